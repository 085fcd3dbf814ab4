//! Locks between processes, on files: the kernel releases them when the holder dies, however it dies.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long to wait before a message names the other holder.
const QUIET: Duration = Duration::from_millis(500);
/// How often a held lock is tried again. Polling, because a blocked `flock` cannot be interrupted.
const POLL: Duration = Duration::from_millis(20);

/// Who else may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nobody.
    Exclusive,
    /// Others that share.
    Shared,
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
#[must_use]
pub struct LockGuard {
    file: File,
    waited: Duration,
}

impl LockGuard {
    /// How long another process or thread was waited for; zero when the lock was free.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Closing does it too; a descriptor that a child inherited would keep it otherwise.
        let _ = self.file.unlock();
    }
}

/// Takes the lock on `path`, waiting while others hold it; logs once when that takes longer than [`QUIET`].
pub(super) fn acquire(path: &Path, share: Share, interrupt: &AtomicBool) -> Result<LockGuard> {
    let start = Instant::now();
    let mut told = false;
    loop {
        if let Some(mut guard) = attempt(path, share)? {
            if told || start.elapsed() >= POLL {
                guard.waited = start.elapsed();
            }
            return Ok(guard);
        }
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if !told && start.elapsed() >= QUIET {
            told = true;
            tracing::info!("waiting for {} to release `{}`", holder(path), path.display());
        }
        thread::sleep(POLL);
    }
}

/// Takes the lock on `path` if it is free.
pub(super) fn attempt(path: &Path, share: Share) -> Result<Option<LockGuard>> {
    let attempt = || -> io::Result<Option<LockGuard>> {
        loop {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
            let taken = match share {
                Share::Exclusive => file.try_lock(),
                Share::Shared => file.try_lock_shared(),
            };
            match taken {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The file may have been removed between open and lock; a lock on a removed file excludes nobody.
            if is_at(&file, path) {
                if share == Share::Exclusive {
                    file.set_len(0)?;
                    write!(file, "{}", std::process::id())?;
                }
                return Ok(Some(LockGuard { file, waited: Duration::ZERO }));
            }
        }
    };
    attempt().map_err(Error::io("lock", path))
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(named)) => held.dev() == named.dev() && held.ino() == named.ino(),
        _ => false,
    }
}

fn holder(path: &Path) -> String {
    let mut text = String::new();
    let open = || OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    match open().and_then(|file| file.take(20).read_to_string(&mut text)) {
        Ok(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => format!("process {text}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    static GO: AtomicBool = AtomicBool::new(false);

    #[test]
    fn one_holder_at_a_time_and_the_second_knows_that_it_waited() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let first = acquire(&path, Share::Exclusive, &GO).unwrap();
        assert_eq!(first.waited(), Duration::ZERO);
        assert!(attempt(&path, Share::Exclusive).unwrap().is_none());
        assert!(attempt(&path, Share::Shared).unwrap().is_none());

        let (about_to, started) = mpsc::channel();
        let second = thread::spawn({
            let path = path.clone();
            move || {
                about_to.send(()).unwrap();
                acquire(&path, Share::Exclusive, &GO).unwrap().waited()
            }
        });
        started.recv().unwrap();
        drop(first);
        second.join().unwrap();
        assert!(attempt(&path, Share::Exclusive).unwrap().is_some());
    }

    #[test]
    fn sharers_share() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let one = attempt(&path, Share::Shared).unwrap().unwrap();
        let two = attempt(&path, Share::Shared).unwrap().unwrap();
        assert!(attempt(&path, Share::Exclusive).unwrap().is_none());
        drop((one, two));
        assert!(attempt(&path, Share::Exclusive).unwrap().is_some());
    }

    #[test]
    fn waiting_can_be_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let _held = acquire(&path, Share::Exclusive, &GO).unwrap();
        let interrupted = acquire(&path, Share::Exclusive, &AtomicBool::new(true));
        assert!(matches!(interrupted, Err(Error::Interrupted)));
    }

    #[test]
    fn a_removed_lock_file_does_not_let_two_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let old = acquire(&path, Share::Exclusive, &GO).unwrap();
        fs::remove_file(&path).unwrap();
        drop(old);
        let _new = acquire(&path, Share::Exclusive, &GO).unwrap();
        assert!(attempt(&path, Share::Exclusive).unwrap().is_none());
    }
}
