//! Size, times and inode of an entry's files when they were last read: a file that still has them is not read again in
//! ordinary runs.
//!
//! A write, a change of mode, a rename over it or a copy gives a file another ctime or inode, and nobody but the kernel
//! sets a ctime (inode(7)). A bit that the disk lost changes neither: [`Reading::All`] finds it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

/// The record, in the entry's folder. It is no part of what the list lists.
pub const RECORD: &str = ".factory-seen";
/// Two writes within one tick of the file system's clock have the same ctime. The coarsest clock, FAT's, ticks every two
/// seconds; a file that changed more recently is read again the next time (git calls such files racily clean).
pub const TICK: Duration = Duration::from_secs(2);
/// The same of Linux itself, whose coarsest clock ticks a hundred times a second.
pub const KERNEL_TICK: Duration = Duration::from_millis(10);

/// How much of an entry is read before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Every file.
    All,
    /// The files that are not as they were when they were last read.
    Changed,
}

/// Size, mtime, ctime, inode and device of a file, as one word a value.
#[derive(Clone, Debug)]
pub struct Stat {
    words: String,
    /// Nanoseconds since 1970.
    ctime: i128,
}

impl Stat {
    /// Of a file or link, not of what a link leads to.
    pub fn of(meta: &Metadata) -> Self {
        let (size, mtime, mtime_nsec) = (meta.size(), meta.mtime(), meta.mtime_nsec());
        let (ctime, ctime_nsec, inode, device) = (meta.ctime(), meta.ctime_nsec(), meta.ino(), meta.dev());
        let words = format!("{size} {mtime}.{mtime_nsec:09} {ctime}.{ctime_nsec:09} {inode} {device}");
        Self { words, ctime: i128::from(ctime) * 1_000_000_000 + i128::from(ctime_nsec) }
    }
}

/// The files of one list that were read, each with its [`Stat`] from just before.
#[derive(Debug, Default)]
pub struct StatCache(HashMap<String, String>);

impl StatCache {
    /// The record in `folder`, made for the list that names itself `list`; empty when there is none, or it is damaged.
    pub fn read(folder: &Path, list: &str) -> Self {
        let text = fs::read_to_string(folder.join(RECORD)).unwrap_or_default();
        let (own, rest) = text.split_once('\n').unwrap_or_default();
        if hex::encode(Sha256::digest(rest.as_bytes())) != own {
            return Self::default();
        }
        let Some(lines) = rest.strip_prefix(list).and_then(|rest| rest.strip_prefix('\n')) else {
            return Self::default();
        };
        let line = |line: &str| {
            let (blank, _) = line.match_indices(' ').nth(4)?;
            Some((line[blank + 1..].to_owned(), line[..blank].to_owned()))
        };
        Self(lines.lines().filter_map(line).collect())
    }

    /// Whether the file at `path` is as it was.
    pub fn knows(&self, path: &str, stat: &Stat) -> bool {
        self.0.get(path) == Some(&stat.words)
    }
}

/// The text of a record for the list that names itself `list`. `before` is a time before the first of `files` was looked
/// at, and `tick` how long the clock of their times may stand still.
pub fn record<'a>(
    list: &str,
    files: impl Iterator<Item = (&'a str, &'a Stat)>,
    before: SystemTime,
    tick: Duration,
) -> String {
    let before = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let settled = i128::try_from(before.saturating_sub(tick).as_nanos()).unwrap_or_default();
    let mut text = format!("{list}\n");
    for (path, stat) in files.filter(|(_, stat)| stat.ctime < settled) {
        let _ = writeln!(text, "{} {path}", stat.words);
    }
    format!("{}\n{text}", hex::encode(Sha256::digest(text.as_bytes())))
}
