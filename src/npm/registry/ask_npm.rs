//! npm's own default, which nothing else says: no host is written in factory.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::answer::duration;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// The most bytes of npm's answer that are read: an address.
const LONGEST_ANSWER: u64 = 16 << 10;
/// How often it is looked whether npm has ended.
const POLL: Duration = Duration::from_millis(10);

/// The address that `npm config get registry` prints within `limit`.
pub(super) fn ask_npm(limit: Duration, interrupt: &Interrupt) -> Result<String> {
    let mut npm = Command::new("npm");
    npm.args(["config", "get", "registry"]);
    answer_of(npm, limit, interrupt)
}

fn answer_of(mut npm: Command, limit: Duration, interrupt: &Interrupt) -> Result<String> {
    let unknown = |why: String| {
        Error::usage(
            format!("no npm registry is known: {why}"),
            "install npm, or set `NPM_CONFIG_REGISTRY` to the registry's address",
        )
    };
    let mut child =
        npm.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn().map_err(
            |e| unknown(format!("`npm` cannot be run ({e}), and neither the environment nor `.npmrc` sets one")),
        )?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // What it leaves running may keep the pipe open: nobody waits for this thread.
        thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = stdout.take(LONGEST_ANSWER).read_to_end(&mut answer);
            let _ = sender.send(answer);
        });
    }
    let start = Instant::now();
    let mut answer = None;
    let status = loop {
        match &answer {
            None => answer = receiver.recv_timeout(POLL).ok(),
            Some(_) => thread::sleep(POLL),
        }
        if answer.is_some()
            && let Some(status) = child.try_wait().map_err(|e| unknown(format!("`npm` cannot be waited for ({e})")))?
        {
            break status;
        }
        if start.elapsed() >= limit || interrupt.is_set() {
            end(&mut child);
            interrupt.check()?;
            return Err(unknown(format!("`npm config get registry` did not end within {}", duration(limit))));
        }
    };
    let address = String::from_utf8_lossy(&answer.unwrap_or_default()).trim().to_owned();
    if status.success() && address.starts_with("http") {
        Ok(address)
    } else {
        Err(unknown("`npm config get registry` prints no address".into()))
    }
}

/// Ends npm and what it has started.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(script: &str, limit: Duration) -> String {
        let mut npm = Command::new("sh");
        npm.args(["-c", script]);
        match answer_of(npm, limit, &Interrupt::default()) {
            Ok(address) => address,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn npm_has_a_limit_of_time_and_of_words() {
        let patient = Duration::from_secs(600);
        assert_eq!(said("echo; echo ' http://host/ '", patient), "http://host/");
        // Also where what it has started keeps its output open.
        for endless in ["sleep 600", "sleep 600 & exit 0"] {
            let late = "no npm registry is known: `npm config get registry` did not end within 20 ms";
            assert_eq!(said(endless, Duration::from_millis(20)), late, "{endless}");
        }
        let none = "no npm registry is known: `npm config get registry` prints no address";
        assert_eq!(said("yes http://host/", patient), none);
        assert_eq!(said("echo http://host/; exit 1", patient), none);
    }
}
