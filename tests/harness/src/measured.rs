//! What a run of a program takes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Wall time of a run that must succeed, and the peak of its own resident memory in KiB, without what it starts.
pub fn measured(command: &mut Command) -> (Duration, u64) {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success(), "{command:?} failed");
    (started.elapsed(), peak)
}
