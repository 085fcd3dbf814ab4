//! Attempts at what may take long or fail for a moment: again, not forever, and until Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::GitFailure;
use super::pack_watch::PackWatch;

/// Runs `work` on a thread of its own and waits for it, for Ctrl-C, for a pack that is too large, or for the time to be up. A read that blocks in the
/// kernel or in the ssh program cannot be woken, so the thread is left to notice `stop` by itself.
pub(super) fn attempt<T: Send + 'static>(
    timeout: Duration,
    interrupt: &AtomicBool,
    mut watch: PackWatch,
    work: impl FnOnce(&AtomicBool) -> Result<T, GitFailure> + Send + 'static,
) -> Result<T, GitFailure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (done, outcome) = mpsc::channel();
    let worker = {
        let stop = Arc::clone(&stop);
        thread::Builder::new().name("git".to_owned()).spawn(move || {
            let _ = done.send(work(&stop));
        })
    };
    if let Err(error) = worker {
        return Err(GitFailure::Other(format!("cannot start a thread: {error}")));
    }
    let start = Instant::now();
    let given_up = loop {
        match outcome.recv_timeout(Duration::from_millis(20)) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(GitFailure::Other("the transport broke down".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) if interrupt.load(Ordering::Relaxed) => break GitFailure::Interrupted,
            Err(RecvTimeoutError::Timeout) if start.elapsed() >= timeout => break GitFailure::Timeout(timeout),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(failure) = watch.look() {
                    break failure;
                }
            }
        }
    };
    stop.store(true, Ordering::Relaxed);
    Err(given_up)
}

/// Runs `attempt` up to `attempts` times while the failure may go away, pausing `pause`, then twice that, and so on.
pub(super) fn with_retries<T>(
    attempts: u32,
    pause: Duration,
    interrupt: &AtomicBool,
    what: &str,
    mut attempt: impl FnMut() -> Result<T, GitFailure>,
) -> Result<T, GitFailure> {
    let mut pause = pause;
    let mut left = attempts.max(1);
    loop {
        left -= 1;
        match attempt() {
            Err(GitFailure::Unreachable(why)) if left > 0 => {
                tracing::warn!("{what}: {why}; trying again in {} ms", pause.as_millis());
            }
            other => return other,
        }
        let until = Instant::now() + pause;
        while let Some(rest) = until.checked_duration_since(Instant::now()) {
            if interrupt.load(Ordering::Relaxed) {
                return Err(GitFailure::Interrupted);
            }
            thread::sleep(rest.min(Duration::from_millis(50)));
        }
        pause *= 2;
    }
}
