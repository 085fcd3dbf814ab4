//! Which files of a folder are opened or moved while a program runs (`inotify`, which needs no privilege and looks through
//! the mounts of the build root).
//!
//! It does not say who opens them: `du` or a backup that walks the cache meanwhile opens each folder as well. Such a walk
//! also comes through empty folders beside the watched one, which the program cannot see; then lists of folders are not
//! counted, only files.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tempfile::TempDir;

/// The endings of TypeScript's declarations.
const DECLARATIONS: [&str; 3] = [".d.ts", ".d.mts", ".d.cts"];

/// How many empty folders lie beside the watched one: a walk in the order of a file system most likely comes through one
/// of them before it leaves the watched one.
const BESIDE: usize = 4;

/// Folders that are being watched. The kernel remembers few events (16,384 by default), so a thread takes them from it.
pub(super) struct OpenedFiles {
    #[cfg(test)]
    found: Arc<Mutex<SeenPaths>>,
    reader: JoinHandle<Result<Opened, Errno>>,
    /// Closing it ends the thread.
    until: PipeWriter,
}

/// The watch itself.
struct FolderWatch {
    inotify: Inotify,
    root: PathBuf,
    folders: HashMap<WatchDescriptor, WatchedFolder>,
    /// When it began, by the clock of the file system: seconds, nanoseconds.
    began: Option<(i64, i64)>,
    /// Empty folders beside the root, which are removed with this.
    beside: Vec<TempDir>,
    found: Arc<Mutex<SeenPaths>>,
}

enum WatchedFolder {
    /// From the watched root.
    Source(PathBuf),
    /// It, or the folder that it lies in, is a package of this name.
    Package(String),
    /// Empty, beside the root.
    Beside,
}

/// What events have said so far.
#[derive(Debug, Default)]
struct SeenPaths {
    paths: OpenedPaths,
    /// Folders that were opened, from the watched root.
    listed: BTreeSet<String>,
    /// Something walks through the folders around the root.
    is_walked: bool,
}

/// What was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Some(OpenedPaths),
    /// More than the kernel remembers.
    TooMany,
    /// That could not be watched, for this reason.
    Unwatched(Errno),
}

/// What was opened, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenedPaths {
    /// Files, and folders that were listed, from the watched root.
    pub(super) files: BTreeSet<String>,
    /// Packages, by name, of which more was opened than `package.json` and declarations.
    pub(super) packages: BTreeSet<String>,
}

impl Opened {
    /// What was opened since a watch began.
    pub(super) fn since(watched: Result<OpenedFiles, Errno>) -> Self {
        watched.and_then(OpenedFiles::opened).unwrap_or_else(Self::Unwatched)
    }

    /// The same without files or folders.
    pub(super) fn without(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        if let Self::Some(paths) = &mut self {
            paths.files.retain(|path| !is_left_out(path));
        }
        self
    }

    /// What was opened in one time or the other.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Some(paths), Self::Some(others)) => Self::Some(OpenedPaths {
                files: &paths.files | &others.files,
                packages: &paths.packages | &others.packages,
            }),
            (Self::Unwatched(errno), _) | (_, Self::Unwatched(errno)) => Self::Unwatched(*errno),
            _ => Self::TooMany,
        }
    }
}

impl OpenedFiles {
    /// Watches the folders below `root` that are there now, as far as `is_watched` says so, which is asked for none in a
    /// folder that it refused; and the packages of these names and folders, with all that lies in them.
    /// Links are not followed.
    pub(super) fn watch(
        root: &Path,
        is_watched: impl Fn(&str) -> bool,
        packages: &[(String, PathBuf)],
    ) -> Result<Self, Errno> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let (root, folders, found) = (root.to_path_buf(), HashMap::new(), Arc::default());
        let mut watch = FolderWatch { inotify, began: now(&root), root, folders, beside: Vec::new(), found };
        watch.add(Path::new(""), is_watched, |folder| WatchedFolder::Source(folder.to_path_buf()))?;
        for (name, folder) in packages {
            watch.add(folder, |_| true, |_| WatchedFolder::Package(name.clone()))?;
        }
        watch.add_beside()?;
        // This walk opened folders as well.
        while watch.events()?.is_some() {}
        #[cfg(test)]
        let found = watch.found.clone();
        let failed = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let (ended, until) = io::pipe().map_err(failed)?;
        let thread = thread::Builder::new().name("opened-files".to_owned());
        let reader = thread.spawn(move || watch.follow(&ended)).map_err(failed)?;
        Ok(Self {
            #[cfg(test)]
            found,
            reader,
            until,
        })
    }

    /// What was opened since.
    fn opened(self) -> Result<Opened, Errno> {
        drop(self.until);
        self.reader.join().unwrap_or(Err(Errno::EIO))
    }
}

impl FolderWatch {
    fn add(
        &mut self,
        outermost: &Path,
        is_watched: impl Fn(&str) -> bool,
        of: impl Fn(&Path) -> WatchedFolder,
    ) -> Result<(), Errno> {
        let flags = AddWatchFlags::IN_OPEN
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        let mut pending = vec![outermost.to_path_buf()];
        while let Some(folder) = pending.pop() {
            let path = self.root.join(&folder);
            // One that cannot be listed cannot be read either.
            let Ok(entries) = fs::read_dir(&path) else { continue };
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let inner = folder.join(entry.file_name());
                if inner.to_str().is_some_and(&is_watched) {
                    pending.push(inner);
                }
            }
            self.folders.insert(self.inotify.add_watch(&path, flags)?, of(&folder));
        }
        Ok(())
    }

    /// Makes and watches empty folders beside the root, where that can be done. Nobody walks through the mounts of another
    /// process.
    fn add_beside(&mut self) -> Result<(), Errno> {
        let Some(parent) = self.root.parent().filter(|parent| !parent.starts_with("/proc")) else { return Ok(()) };
        self.beside.extend((0..BESIDE).map_while(|_| TempDir::new_in(parent).ok()));
        for folder in &self.beside {
            let watch = self.inotify.add_watch(folder.path(), AddWatchFlags::IN_OPEN)?;
            self.folders.insert(watch, WatchedFolder::Beside);
        }
        Ok(())
    }

    /// Takes events from the kernel until the other end of `ended` is closed. A file that was linked to is opened under
    /// another name: that changed its own times.
    fn follow(self, ended: &PipeReader) -> Result<Opened, Errno> {
        loop {
            let mut ready = [self.inotify.as_fd(), ended.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => drop(other?),
            }
            let is_over = ready[1].any() != Some(false);
            while let Some(events) = self.events()? {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                for event in events {
                    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                        return Ok(Opened::TooMany);
                    }
                    self.add_event(event, &mut found);
                }
            }
            if is_over {
                break;
            }
        }
        let changed = self.changed();
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        let mut paths = found.paths;
        paths.files.extend(changed);
        if !found.is_walked {
            paths.files.extend(found.listed);
        }
        Ok(Opened::Some(paths))
    }

    /// Some of what the kernel remembers, if there is anything.
    fn events(&self) -> Result<Option<Vec<InotifyEvent>>, Errno> {
        loop {
            match self.inotify.read_events() {
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                events => return events.map(Some),
            }
        }
    }

    /// Adds what an event says; a name that is not UTF-8 is the whole folder it is in.
    fn add_event(&self, event: InotifyEvent, found: &mut SeenPaths) {
        let is_listed = event.mask.contains(AddWatchFlags::IN_ISDIR) && event.mask.contains(AddWatchFlags::IN_OPEN);
        match self.folders.get(&event.wd) {
            Some(WatchedFolder::Source(folder)) => {
                let path = event.name.map(|name| folder.join(name));
                let path = path.as_deref().filter(|path| path.to_str().is_some()).unwrap_or(folder);
                let path = path.to_str().map(|path| if path.is_empty() { "." } else { path }.to_owned());
                if is_listed { &mut found.listed } else { &mut found.paths.files }.extend(path);
            }
            Some(WatchedFolder::Package(name)) => {
                let is_file = !event.mask.contains(AddWatchFlags::IN_ISDIR);
                let is_used = is_file && event.name.is_some_and(|file| !is_of_finding(file.to_str()));
                if is_used && !found.paths.packages.contains(name) {
                    found.paths.packages.insert(name.clone());
                }
            }
            Some(WatchedFolder::Beside) => found.is_walked = true,
            None => {}
        }
    }

    /// Files of the source whose content, name, links or permissions changed since the watch began.
    fn changed(&self) -> Vec<String> {
        let mut changed = Vec::new();
        for folder in self.folders.values() {
            let WatchedFolder::Source(folder) = folder else { continue };
            for entry in fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten() {
                let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
                let is_new =
                    is_file && entry.metadata().is_ok_and(|file| Some((file.ctime(), file.ctime_nsec())) > self.began);
                changed.extend(folder.join(entry.file_name()).to_str().filter(|_| is_new).map(str::to_owned));
            }
        }
        changed
    }
}

/// Files of packages that tools read to find packages and to check types: `tsc` loads the types of React for every module
/// of a workspace that has React anywhere.
fn is_of_finding(file: Option<&str>) -> bool {
    file.is_some_and(|file| file == "package.json" || DECLARATIONS.iter().any(|ending| file.ends_with(ending)))
}

/// The time that a file beside `root` gets which is made now. None where none can be made: then nothing is as old.
fn now(root: &Path) -> Option<(i64, i64)> {
    let file = tempfile::tempfile_in(root.parent()?).ok()?;
    let made = file.metadata().ok()?;
    Some((made.ctime(), made.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn folder(paths: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in paths {
            let file = dir.path().join("source").join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        dir
    }

    fn some(watched: OpenedFiles) -> (Vec<String>, Vec<String>) {
        let opened = Opened::since(Ok(watched));
        let Opened::Some(OpenedPaths { files, packages }) = opened else { panic!("{opened:?}") };
        (files.into_iter().collect(), packages.into_iter().collect())
    }

    #[test]
    fn what_is_opened_is_named_and_nothing_else() {
        let dir = folder(&["a/in.txt", "a/b/deep.txt", "left/out.txt", "top.txt", "never.txt"]);
        let root = dir.path().join("source");
        std::os::unix::fs::symlink("/etc", root.join("etc")).unwrap();
        let watched = OpenedFiles::watch(&root, |path| path != "left", &[]).unwrap();
        for path in ["a/b/deep.txt", "top.txt", "left/out.txt", "etc/hostname"] {
            let _ = fs::read(root.join(path));
        }
        let _ = fs::read_dir(root.join("a")).unwrap().count();
        let (files, packages) = some(watched);
        assert_eq!(files, ["a", "a/b/deep.txt", "top.txt"]);
        assert!(packages.is_empty());
    }

    #[test]
    fn a_walk_through_all_folders_lists_none() {
        let dir = folder(&["a/in.txt", "a/b/deep.txt", "top.txt"]);
        let watched = OpenedFiles::watch(&dir.path().join("source"), |_| true, &[]).unwrap();
        let beside = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(beside, 1 + BESIDE);
        let walked = std::process::Command::new("du").arg(dir.path()).output().unwrap();
        assert!(walked.status.success());
        fs::read(dir.path().join("source/a/in.txt")).unwrap();
        assert_eq!(some(watched).0, ["a/in.txt"]);
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_package_is_opened_by_its_files() {
        let files = ["n/a/package.json", "n/a/a.d.ts", "n/b/package.json", "n/b/lib/b.js", "n/@s/c/n/d/d.js"];
        let dir = folder(&files);
        let root = dir.path().join("source");
        let packages = [("a", "n/a"), ("b", "n/b"), ("@s/c", "n/@s/c")];
        let packages = packages.map(|(name, folder)| (name.to_owned(), root.join(folder)));
        let read = |paths: &[&str]| paths.iter().for_each(|path| drop(fs::read(root.join(path)).unwrap()));
        let watched = OpenedFiles::watch(&root, |path| path != "n", &packages).unwrap();
        read(&["n/a/package.json", "n/a/a.d.ts", "n/b/package.json"]);
        let _ = fs::read_dir(root.join("n/b/lib")).unwrap().count();
        assert_eq!(some(watched), (vec![], vec![]));
        let watched = OpenedFiles::watch(&root, |path| path != "n", &packages).unwrap();
        read(&["n/b/lib/b.js", "n/@s/c/n/d/d.js"]);
        assert_eq!(some(watched), (vec![], vec!["@s/c".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn more_is_opened_than_the_kernel_remembers() {
        let dir = folder(&["a.txt", "b.txt"]);
        let root = dir.path().join("source");
        let watched = OpenedFiles::watch(&root, |_| true, &[]).unwrap();
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let rounds = most.trim().parse::<usize>().unwrap().div_ceil(8000) + 1;
        for round in 0..rounds {
            for _ in 0..4000 {
                // One file twice in a row is one event.
                let _ = ["a.txt", "b.txt"].map(|file| fs::File::open(root.join(file)).unwrap());
            }
            let last = root.join(format!("{round}"));
            fs::write(&last, "").unwrap();
            // What comes after is more than fits, so what came before has to be gone.
            while !watched.found.lock().unwrap().paths.files.contains(&round.to_string()) {
                thread::yield_now();
            }
        }
        assert_eq!(some(watched).0.len(), rounds + 2);
    }

    #[test]
    fn what_is_moved_or_linked_is_opened() {
        let dir =
            folder(&["a/moved.txt", "a/linked.txt", "a/gone.txt", "a/left.txt", "b/folder/in.txt", "mine/own.txt"]);
        let root = dir.path().join("source");
        // Later than the files by the coarsest clock of a file system that builds run on.
        while now(&root) <= fs::metadata(root.join("mine/own.txt")).ok().map(|file| (file.ctime(), file.ctime_nsec())) {
        }
        let watched = OpenedFiles::watch(&root, |path| path != "mine", &[]).unwrap();
        let began = now(&root);
        while now(&root) <= began {}
        fs::rename(root.join("a/moved.txt"), root.join("mine/moved.txt")).unwrap();
        fs::hard_link(root.join("a/linked.txt"), root.join("mine/linked.txt")).unwrap();
        fs::rename(root.join("b/folder"), root.join("mine/folder")).unwrap();
        fs::hard_link(root.join("a/gone.txt"), root.join("mine/gone.txt")).unwrap();
        fs::remove_file(root.join("a/gone.txt")).unwrap();
        fs::read(root.join("mine/moved.txt")).unwrap();
        assert_eq!(some(watched).0, ["a/gone.txt", "a/linked.txt", "a/moved.txt", "b/folder"]);
    }
}
