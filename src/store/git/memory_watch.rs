//! The memory of a program while it runs, with all that it has started.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::failure::GitFailure;
use super::look::LookPause;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// Watches the memory of a process and its descendants.
pub(super) struct MemoryWatch {
    process: u32,
    limit: u64,
    pause: LookPause,
}

impl MemoryWatch {
    pub(super) fn new(process: u32, limit: u64) -> Self {
        Self { process, limit, pause: LookPause::new(LOOK) }
    }

    /// Err once they have more memory than they may.
    pub(super) fn look(&mut self) -> Result<(), GitFailure> {
        if self.pause.is_over() { self.check() } else { Ok(()) }
    }

    fn check(&self) -> Result<(), GitFailure> {
        let taken: u64 = family(self.process).into_iter().map(resident).sum();
        if taken > self.limit { Err(GitFailure::too_large("what `git` keeps in memory", self.limit)) } else { Ok(()) }
    }

    /// Ends all of them.
    pub(super) fn kill(&self) {
        for process in family(self.process) {
            if let Ok(process) = i32::try_from(process) {
                let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
            }
        }
    }
}

/// A process and its descendants.
fn family(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut at = 0;
    while let Some(process) = all.get(at) {
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    all
}

/// What a process has in memory, in bytes; nothing for one that has ended.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|bytes| u64::try_from(bytes).ok());
    pages * page.unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_program_starts_counts_and_is_ended_with_it() {
        let script = "exec 3<&0; sh -c 'echo runs; read line' <&3 & wait";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let processes = family(child.id());
        assert_eq!(processes.len(), 2);
        let alone = resident(child.id());
        assert!(alone > 0);
        let GitFailure::Refused(why) = MemoryWatch::new(child.id(), alone).check().unwrap_err() else {
            panic!("another failure")
        };
        assert!(why.starts_with("what `git` keeps in memory has more than "), "{why}");
        let watch = MemoryWatch::new(child.id(), 1 << 40);
        assert!(watch.check().is_ok());
        watch.kill();
        assert!(!child.wait().unwrap().success());
    }
}
