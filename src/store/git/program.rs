//! The same through the `git` program, for what gix does not know: `.netrc`, `http.proxy`, `http.sslCAInfo`, …

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::ByteSlice;

use super::failure::GitFailure;
use super::remote::{Advertised, RefScope, basic_header};
use super::repository::{Repository, create_bare};
use super::url::SourceLocation;

/// Variables by which a hook, or another git, would make ours use another repository.
const REDIRECTING: [&str; 11] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_TRACE",
];

pub(super) fn list(repository: &Repository, scope: RefScope, stop: &AtomicBool) -> Result<Vec<Advertised>, GitFailure> {
    let mut git = git(repository);
    git.args(["ls-remote", "--symref", "--", &url(repository)]);
    if scope == RefScope::Usual {
        git.args(["HEAD", "refs/heads/*", "refs/tags/*"]);
    }
    run(git, stop).map(|stdout| parse_listing(&stdout))
}

pub(super) fn fetch(repository: &Repository, commit: ObjectId, stop: &AtomicBool) -> Result<(), GitFailure> {
    let mut git = git(repository);
    git.args(["fetch", "--quiet", "--depth=1", "--no-tags", "--no-auto-gc", "--no-write-fetch-head"]);
    git.args(["--no-recurse-submodules", "--", &url(repository), &commit.to_string()]);
    run(git, stop).map(drop)
}

/// The commits of a remote whose ids begin with `prefix`. This takes its history, though of commits only, where the
/// server can leave out trees; it goes to a throw-away repository.
pub(super) fn commits_with_prefix(
    repository: &Repository,
    prefix: &str,
    stop: &AtomicBool,
) -> Result<Vec<String>, GitFailure> {
    let broken = |error: crate::Error| GitFailure::Other(error.to_string());
    let scratch = repository.store.scratch().map_err(broken)?;
    create_bare(scratch.path()).map_err(broken)?;
    let history = Repository { dir: scratch.path().to_path_buf(), ..repository.clone() };
    let mut fetch = git(&history);
    fetch.args(["fetch", "--quiet", "--filter=tree:0", "--no-tags", "--no-auto-gc", "--no-write-fetch-head"]);
    fetch.args(["--no-recurse-submodules", "--", &url(repository)]);
    fetch.args(["+refs/heads/*:refs/factory/heads/*", "+refs/tags/*:refs/factory/tags/*"]);
    run(fetch, stop)?;
    let mut list = git(&history);
    list.args(["rev-list", "--all"]);
    let all = run(list, stop)?;
    Ok(all.lines().filter(|commit| commit.starts_with(prefix)).map(str::to_owned).collect())
}

fn url(repository: &Repository) -> String {
    match repository.url.location() {
        SourceLocation::Remote { url, .. } => url.to_bstring().to_str_lossy().into_owned(),
        SourceLocation::Local(path) => path.display().to_string(),
    }
}

/// `git -C <bare repository>`, with the account of the URL handed over in the environment: arguments can be read by
/// everyone on the machine.
fn git(repository: &Repository) -> Command {
    let mut git = Command::new("git");
    for name in REDIRECTING {
        git.env_remove(name);
    }
    git.arg("-C").arg(&repository.dir);
    git.args(["-c", "protocol.ext.allow=never", "-c", "protocol.fd.allow=never", "-c", "core.useReplaceRefs=false"]);
    git.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
        git.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20");
    }
    if let SourceLocation::Remote { url, account: Some(account) } = repository.url.location()
        && let Some(header) = basic_header(account)
    {
        let set = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0_usize);
        let origin = format!("{}://{}", url.scheme, url.host().unwrap_or_default());
        let origin = url.port.map_or(origin.clone(), |port| format!("{origin}:{port}"));
        git.env("GIT_CONFIG_COUNT", (set + 1).to_string());
        git.env(format!("GIT_CONFIG_KEY_{set}"), format!("http.{origin}/.extraHeader"));
        git.env(format!("GIT_CONFIG_VALUE_{set}"), header);
    }
    git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    git
}

/// Runs `git` and waits for it; kills it when `stop` is set.
fn run(mut git: Command, stop: &AtomicBool) -> Result<String, GitFailure> {
    let mut child = git.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => GitFailure::Other("`git` is not installed".to_owned()),
        _ => GitFailure::Other(format!("cannot start `git`: {error}")),
    })?;
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = reader(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = reader(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let status = loop {
        if stop.load(Ordering::Relaxed) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(GitFailure::Interrupted);
        }
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(GitFailure::Other(format!("cannot wait for `git`: {error}"))),
        }
    };
    let broken = |_| GitFailure::Other("cannot read what `git` says".to_owned());
    let stdout = stdout.join().map_err(broken)?;
    let stderr = stderr.join().map_err(broken)?;
    if status.success() { Ok(stdout) } else { Err(GitFailure::from_git(&stderr)) }
}

/// Reads `git ls-remote --symref`: `ref: <target>\t<name>` and `<id>\t<name>`, `<name>^{}` for what is behind a tag.
fn parse_listing(text: &str) -> Vec<Advertised> {
    let mut refs: Vec<Advertised> = Vec::new();
    let mut symbolic: Option<(String, String)> = None;
    for (left, name) in text.lines().filter_map(|line| line.split_once('\t')) {
        if let Some(target) = left.strip_prefix("ref: ") {
            symbolic = Some((name.to_owned(), target.to_owned()));
        } else if let Some(tag) = name.strip_suffix("^{}") {
            if let Some(last) = refs.last_mut().filter(|last| last.name == tag) {
                last.peeled = Some(left.to_owned());
            }
        } else {
            let symbolic = symbolic.take_if(|(of, _)| of == name).map(|(_, target)| target);
            refs.push(Advertised { name: name.to_owned(), target: left.to_owned(), peeled: None, symbolic });
        }
    }
    refs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_listing() {
        let a = "a".repeat(40);
        let b = "b".repeat(40);
        let listing = format!(
            "ref: refs/heads/main\tHEAD\n{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/tags/v1\n{a}\trefs/tags/v1^{{}}\nnoise\n"
        );
        let refs = parse_listing(&listing);
        let names: Vec<_> = refs.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
        assert_eq!(refs[0].symbolic.as_deref(), Some("refs/heads/main"));
        assert_eq!(refs[1].symbolic, None);
        assert_eq!((refs[2].target.as_str(), refs[2].peeled.as_deref()), (b.as_str(), Some(a.as_str())));
    }
}
