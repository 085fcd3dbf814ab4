//! skopeo and buildah as child processes: an environment of a few variables, no shell, nothing secret in the
//! arguments, killed as a group when the caller stops waiting.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::answer::{duration, size};
use crate::{Error, Result};

/// The variables they get: how to find the programs and their configuration, certificates and proxies.
const KEPT: [&str; 12] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// The most bytes of a program's standard output: a manifest, which has 4 MiB at most.
const MOST_PRINTED: usize = 8 << 20;
/// How many bytes are kept of the end of what it says to people.
const MOST_SAID: usize = 1 << 20;
/// The longest that a program may take: the upload of an image, or its build.
const WITHIN: Duration = Duration::from_secs(2 * 3600);

/// The result of a program.
pub(super) struct ProgramOutput {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl ProgramOutput {
    /// Its standard output as text, without the end of the line.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Its error message: the last line of stderr, without the log format around it.
    pub(super) fn complaint(&self) -> String {
        let last = self.stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        let message = match last.split_once("msg=\"") {
            Some((_, message)) => message.strip_suffix('"').unwrap_or(message).replace("\\\"", "\""),
            None => last.trim_start_matches("Error: ").to_owned(),
        };
        message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
    }

    /// The last lines, for a failed build.
    pub(super) fn tail(&self) -> Vec<String> {
        let lines: Vec<&str> = self.stderr.lines().collect();
        lines[lines.len().saturating_sub(20)..].iter().map(|line| (*line).to_owned()).collect()
    }
}

/// The environment of a child: the kept ones of `variables`, and its own folder for temporary and runtime files, so that
/// it does not find the user's logins.
pub(super) fn environment<'a>(
    variables: impl Iterator<Item = (&'a str, &'a str)>,
    temporary: &'a str,
) -> BTreeMap<String, String> {
    let kept = variables.filter(|(name, _)| KEPT.contains(name));
    let ours = [("LANG", "C.UTF-8"), ("TMPDIR", temporary), ("XDG_RUNTIME_DIR", temporary)];
    kept.chain(ours).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Runs a program in `folder` and waits for it. Only a program that cannot be run is an error; `instead` is what to do
/// without it.
pub(super) async fn run(
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    instead: &str,
) -> Result<ProgramOutput> {
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::usage(format!("`{program}` is not installed"), format!("install it, or {instead}"))
        }
        _ => Error::io("run", program)(error),
    })?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok().map(Pid::from_raw)));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = async { tokio::try_join!(beginning(out), end(err), child.wait()) };
    let Ok(ended) = tokio::time::timeout(WITHIN, ended).await else {
        return Err(Error::network(
            format!("`{program}` did not end within {}", duration(WITHIN)),
            format!("check the network, or {instead}"),
        ));
    };
    let (stdout, stderr, status) = ended.map_err(Error::io("run", program))?;
    group.done();
    let Some(stdout) = stdout else {
        return Err(Error::network(
            format!("`{program}` printed more than {}, the limit", size(MOST_PRINTED as u64)),
            format!("check the registry, or {instead}"),
        ));
    };
    Ok(ProgramOutput { success: status.success(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

/// All that comes from a pipe; none if it is more than [`MOST_PRINTED`].
async fn beginning(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Option<Vec<u8>>> {
    let mut all = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(Some(all)) };
    (&mut pipe).take(MOST_PRINTED as u64).read_to_end(&mut all).await?;
    let more = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok((more == 0).then_some(all))
}

/// The last of what comes from a pipe, at most twice [`MOST_SAID`].
async fn end(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut last = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(last) };
    while (&mut pipe).take(MOST_SAID as u64).read_to_end(&mut last).await? > 0 {
        last.drain(..last.len().saturating_sub(MOST_SAID));
    }
    Ok(last)
}

/// Kills a child with its own children when dropped.
struct Group(Option<Pid>);

impl Group {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> ProgramOutput {
        ProgramOutput { success: false, stdout: b"out\n".to_vec(), stderr: stderr.to_owned() }
    }

    #[test]
    fn complaints_are_told_without_their_trimmings() {
        let fatal = "Getting image\ntime=\"2026\" level=fatal msg=\"bad \\\"name\\\": denied\"\n\n";
        assert_eq!(said(fatal).complaint(), "bad \"name\": denied");
        assert_eq!(said("Error: no such\timage\n").complaint(), "no such image");
        assert_eq!(said("").complaint(), "no message");
        assert_eq!(said("").line(), "out");
        assert_eq!(said(&"x\n".repeat(50)).tail().len(), 20);
    }

    /// A folder with two named pipes, `go` and `out`, and the script that is run there.
    fn script(text: &str) -> (tempfile::TempDir, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["go", "out"] {
            nix::unistd::mkfifo(&dir.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        (dir, vec!["-c".to_owned(), text.to_owned()])
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_program_that_nobody_waits_for_is_killed_with_its_children() {
        // The child tells that it runs, and would write once more.
        let (dir, arguments) = script("{ echo runs; sleep 20; echo late; } > out & wait");
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let mut out = String::new();
        runtime().block_on(async {
            let run = run("sh", &arguments, dir.path(), &environment, "do without");
            let (path, (sender, receiver)) = (dir.path().join("out"), tokio::sync::oneshot::channel());
            let reading = std::thread::spawn(move || {
                use std::io::{BufRead as _, Read as _};
                let (mut reader, mut all) = (io::BufReader::new(std::fs::File::open(path).unwrap()), String::new());
                reader.read_line(&mut all).unwrap();
                sender.send(()).unwrap();
                reader.read_to_string(&mut all).unwrap();
                all
            });
            tokio::select! {
                _ = run => panic!("it has not ended"),
                running = receiver => running.unwrap(),
            }
            out = tokio::task::spawn_blocking(|| reading.join().unwrap()).await.unwrap();
        });
        assert_eq!(out, "runs\n");
    }

    #[test]
    fn what_a_program_leaves_running_when_it_ends_is_left_alone() {
        let (dir, arguments) =
            script("{ read line < go; echo \"$line\" > out; } > /dev/null 2>&1 & echo said; echo no >&2; exit 3");
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let ended = runtime().block_on(run("sh", &arguments, dir.path(), &environment, "do without")).unwrap();
        assert_eq!((ended.success, ended.line(), ended.complaint()), (false, "said".to_owned(), "no".to_owned()));
        let path = dir.path().join("out");
        let reading = std::thread::spawn(move || std::fs::read_to_string(path).unwrap());
        std::fs::write(dir.path().join("go"), "went on\n").unwrap();
        assert_eq!(reading.join().unwrap(), "went on\n");
        let ended = runtime().block_on(run("true", [""; 0], dir.path(), &environment, "do without")).unwrap();
        assert!(ended.success);
    }

    #[test]
    fn of_what_a_program_prints_no_more_is_kept_than_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let run_script = |script: &str| {
            let arguments = ["-c".to_owned(), script.to_owned()];
            runtime().block_on(run("sh", arguments, dir.path(), &environment, "do without"))
        };
        let error = run_script("head -c 9000000 /dev/zero").err().unwrap();
        assert_eq!(error.to_string(), "`sh` printed more than 8 MiB, the limit");
        assert_eq!(error.exit_code(), 5);
        let said = run_script("head -c 9000000 /dev/zero >&2; echo >&2; echo last >&2; echo out").unwrap();
        assert_eq!((said.complaint().as_str(), said.line().as_str()), ("last", "out"));
        assert!(said.stderr.len() <= 2 * MOST_SAID, "{}", said.stderr.len());
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let fails = |program: &str| {
            let run = runtime().block_on(run(program, [""; 0], dir.path(), &BTreeMap::new(), "do without"));
            run.err().unwrap()
        };
        let missing = fails("no-such-program");
        assert_eq!(missing.to_string(), "`no-such-program` is not installed");
        assert_eq!(missing.hint().as_deref(), Some("install it, or do without"));
        assert!(fails(dir.path().to_str().unwrap()).to_string().starts_with("cannot run `"));
    }

    #[test]
    fn children_see_what_they_need_and_nothing_else() {
        let variables =
            [("PATH", "/bin"), ("REGISTRY_PASSWORD", "hunter2"), ("https_proxy", "p"), ("XDG_RUNTIME_DIR", "r")];
        let seen = environment(variables.into_iter(), "/t");
        let names: Vec<_> = seen.keys().map(String::as_str).collect();
        assert_eq!(names, ["LANG", "PATH", "TMPDIR", "XDG_RUNTIME_DIR", "https_proxy"]);
        assert_eq!(seen["XDG_RUNTIME_DIR"], "/t");
    }
}
