//! Which files of a folder are opened while a program runs (`inotify`, which needs no privilege and looks through the
//! mounts of the build root).

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Folders of a source that are not looked at: what is in them was not committed, or is in every plugin's sources.
const NOT_WATCHED: [&str; 3] = [".git", ".yarn", "node_modules"];

/// Folders that are being watched.
pub(super) struct OpenedFiles {
    inotify: Inotify,
    /// From the watched root.
    folders: HashMap<WatchDescriptor, PathBuf>,
}

/// What was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// These files, and folders that were listed, from the watched root.
    Paths(BTreeSet<String>),
    /// More than the kernel remembers.
    TooMany,
    /// That could not be watched, for this reason.
    Unwatched(Errno),
}

impl Opened {
    /// What was opened since a watch began.
    pub(super) fn since(watched: Result<OpenedFiles, Errno>) -> Self {
        watched.and_then(|watched| watched.paths()).unwrap_or_else(Self::Unwatched)
    }

    /// What was opened in one time or the other.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Paths(paths), Self::Paths(others)) => Self::Paths(paths.union(others).cloned().collect()),
            (Self::Unwatched(errno), _) | (_, Self::Unwatched(errno)) => Self::Unwatched(*errno),
            _ => Self::TooMany,
        }
    }
}

impl OpenedFiles {
    /// Watches the folders below `root` that are there now, but those that `is_left_out` says. Links are not followed.
    pub(super) fn watch(root: &Path, is_left_out: impl Fn(&str) -> bool) -> Result<Self, Errno> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let flags = AddWatchFlags::IN_OPEN | AddWatchFlags::IN_ONLYDIR | AddWatchFlags::IN_DONT_FOLLOW;
        let mut folders = HashMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(folder) = pending.pop() {
            let path = root.join(&folder);
            // One that cannot be listed cannot be read either.
            let Ok(entries) = fs::read_dir(&path) else { continue };
            for entry in entries.flatten() {
                let (name, kind) = (entry.file_name(), entry.file_type());
                let inner = folder.join(&name);
                let is_watched = !NOT_WATCHED.iter().any(|skipped| name.as_bytes() == skipped.as_bytes());
                if kind.is_ok_and(|kind| kind.is_dir())
                    && is_watched
                    && inner.to_str().is_some_and(|path| !is_left_out(path))
                {
                    pending.push(inner);
                }
            }
            folders.insert(inotify.add_watch(&path, flags)?, folder);
        }
        let watched = Self { inotify, folders };
        // This walk opened folders as well.
        watched.paths()?;
        Ok(watched)
    }

    /// What was opened since; a name that is not UTF-8 is the whole folder it is in.
    fn paths(&self) -> Result<Opened, Errno> {
        let mut found = BTreeSet::new();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(Opened::Paths(found)),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    return Ok(Opened::TooMany);
                }
                let Some(folder) = self.folders.get(&event.wd) else { continue };
                let path = event.name.map(|name| folder.join(name));
                let path = path.as_deref().filter(|path| path.to_str().is_some()).unwrap_or(folder);
                found.extend(path.to_str().map(|path| if path.is_empty() { "." } else { path }.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_is_named_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/in.txt", "a/b/deep.txt", "left/out.txt", "node_modules/x/y.js", "top.txt", "never.txt"] {
            let file = dir.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.path().join("etc")).unwrap();
        let opened = OpenedFiles::watch(dir.path(), |path| path == "left").unwrap();
        for path in ["a/b/deep.txt", "top.txt", "left/out.txt", "node_modules/x/y.js", "etc/hostname"] {
            let _ = fs::read(dir.path().join(path));
        }
        let _ = fs::read_dir(dir.path().join("a")).unwrap().count();
        let Opened::Paths(paths) = opened.paths().unwrap() else { panic!() };
        assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["a", "a/b/deep.txt", "top.txt"]);
        assert_eq!(opened.paths().unwrap(), Opened::Paths(BTreeSet::new()));
    }
}
