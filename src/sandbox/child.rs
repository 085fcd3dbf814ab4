//! Child processes: in a process group of their own, streamed line by line to a log, ended as a group.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::sandbox::enter::CANNOT_ENTER;
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::Root;

pub use crate::sandbox::log::Log;

/// Lines of a failed child's output that are shown with its error.
const TAIL_LINES: usize = 25;
/// Longest line that is kept for the error, in bytes; the log has it whole up to [`LOG_LINE`].
const TAIL_LINE: usize = 500;
/// Longest piece written to the log at once, in bytes: a child that never ends its line must not fill the memory.
const LOG_LINE: usize = 64 * 1024;
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// What to run.
pub struct Run<'a> {
    /// The program: a path inside the root.
    pub program: &'a Path,
    /// Its arguments, as they are: no shell sees them.
    pub args: &'a [String],
    /// The working directory: a path outside, in a folder that the root shows.
    pub cwd: &'a Path,
    /// The whole environment.
    pub env: &'a ChildEnv,
    /// The view of the file system.
    pub root: &'a Root,
    /// Whether the network is needed.
    pub network: bool,
    /// Where the output goes.
    pub log: &'a Log,
    /// How long it may take.
    pub timeout: Duration,
    /// Set by Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// Why a child failed.
#[derive(Debug)]
pub enum ChildFailure {
    /// Its exit code, and its last lines of output.
    Code(i32, Vec<String>),
    /// It took longer than the time limit; its last lines of output.
    Timeout(Duration, Vec<String>),
    /// The user pressed Ctrl-C.
    Interrupted,
    /// It could not be started.
    Start(String),
}

impl ChildFailure {
    /// The error for the user: `what` is like "`yarn install` failed for workspace `todo`".
    pub fn into_error(self, what: &str, log: &Log, hint: &str) -> Error {
        let see = format!("see the whole output in `{}`", log.path().display());
        let hint = if hint.is_empty() { see } else { format!("{hint}; {see}") };
        match self {
            Self::Code(code, tail) => Error::Build { what: format!("{what} (exit code {code})"), tail, hint },
            Self::Timeout(limit, tail) => Error::Build {
                what: format!("{what}: timed out after {}", crate::ui::seconds(limit)),
                tail,
                hint: format!("raise `--timeout` if it needs longer; {hint}"),
            },
            Self::Interrupted => Error::Interrupted,
            Self::Start(why) => Error::Build { what: format!("{what}: {why}"), tail: vec![], hint },
        }
    }
}

/// Runs a child to its end; its stdout (up to 64 MiB) is returned, and with stderr streamed to the log.
pub async fn run(run: Run<'_>) -> Result<String, ChildFailure> {
    if run.interrupt.is_set() {
        return Err(ChildFailure::Interrupted);
    }
    let entered = run.root.command(run.program, run.args, run.cwd, run.env, run.network);
    run.log.line(&format!("$ {} {}", run.program.display(), run.args.join(" ")));
    let names: Vec<&str> = run.env.iter().map(|(name, _)| name.as_str()).collect();
    tracing::debug!(
        "run `{} {}` in `{}`, network {}, with the variables {}",
        run.program.display(),
        run.args.join(" "),
        run.cwd.display(),
        if run.network { "on" } else { "off" },
        names.join(" ")
    );
    let mut command = Command::new(&entered.program);
    command.args(&entered.args).env_clear().envs(run.env.iter());
    if let Some(cwd) = &entered.cwd {
        command.current_dir(cwd);
    }
    // Nothing is ever written to it: it closes when factory dies, and with that the root ends (enter.rs).
    let stdin = if entered.cwd.is_some() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|e| ChildFailure::Start(format!("cannot start `{}`: {e}", run.program.display())))?;

    let _lifeline = child.stdin.take();
    // Forgotten by the child once it has been waited for.
    let group = child.id();
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    let out = tokio::spawn(stream(child.stdout.take(), run.log.clone(), tail.clone(), true));
    let err = tokio::spawn(stream(child.stderr.take(), run.log.clone(), tail.clone(), false));
    let last = || tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect::<Vec<String>>();

    let status = tokio::select! {
        status = child.wait() => status.map_err(|e| ChildFailure::Start(format!("cannot wait for `{}`: {e}", run.program.display())))?,
        () = run.interrupt.wait() => {
            end(&mut child).await;
            return Err(ChildFailure::Interrupted);
        }
        () = tokio::time::sleep(run.timeout) => {
            end(&mut child).await;
            run.log.line(&format!("timed out after {}", crate::ui::seconds(run.timeout)));
            return Err(ChildFailure::Timeout(run.timeout, last()));
        }
    };
    // A grandchild may hold the pipes open; it is in the group, so it ends here (in a namespace it has ended already).
    signal_group(group, Signal::SIGKILL);
    let stdout = tokio::time::timeout(GRACE, out).await.ok().and_then(std::result::Result::ok).unwrap_or_default();
    let _ = tokio::time::timeout(GRACE, err).await;
    tracing::debug!("`{}` ended with {status}", run.program.display());
    match status.code() {
        Some(0) => Ok(stdout),
        Some(code) if code == i32::from(CANNOT_ENTER) => {
            Err(ChildFailure::Start(format!("cannot enter the build root: {}", last().join(" "))))
        }
        code => Err(ChildFailure::Code(code.unwrap_or_else(|| 128 + signal_of(status)), last())),
    }
}

fn signal_of(status: std::process::ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)
}

async fn end(child: &mut Child) {
    let group = child.id();
    signal_group(group, Signal::SIGTERM);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        signal_group(group, Signal::SIGKILL);
        let _ = child.wait().await;
    }
    signal_group(group, Signal::SIGKILL);
}

fn signal_group(group: Option<u32>, signal: Signal) {
    if let Some(pid) = group.and_then(|pid| i32::try_from(pid).ok()) {
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}

async fn stream(
    pipe: Option<impl AsyncRead + Unpin>,
    log: Log,
    tail: Arc<Mutex<VecDeque<String>>>,
    keep: bool,
) -> String {
    const KEEP: usize = 64 * 1024 * 1024;
    let mut kept = String::new();
    let Some(pipe) = pipe else { return kept };
    let mut reader = BufReader::with_capacity(LOG_LINE, pipe);
    let mut line = Vec::new();
    loop {
        let (taken, ended) = match reader.fill_buf().await {
            Ok([]) | Err(_) => (0, true),
            Ok(bytes) => {
                if let Some(at) = bytes.iter().position(|b| *b == b'\n') {
                    line.extend_from_slice(&bytes[..at]);
                    (at + 1, true)
                } else {
                    line.extend_from_slice(bytes);
                    (bytes.len(), line.len() >= LOG_LINE)
                }
            }
        };
        if ended && !(taken == 0 && line.is_empty()) {
            let text = String::from_utf8_lossy(&line);
            if keep && kept.len() + text.len() < KEEP {
                kept.push_str(&text);
                kept.push('\n');
            }
            let text = text.trim_end_matches('\r');
            log.line(text);
            if !text.trim().is_empty() {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(log.shown(text).chars().take(TAIL_LINE).collect());
            }
            line.clear();
        }
        if taken == 0 {
            return kept;
        }
        reader.consume(taken);
    }
}
