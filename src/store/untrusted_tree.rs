//! Folders that third-party code writes to, or that a repository fills: what lies there is data, and its paths lead
//! nowhere else.
//!
//! A script can leave a symbolic link to a file of the machine, a FIFO, a link to a device or a file without an end
//! wherever factory looks next. So whatever is below such a folder is read and written here alone: opened beneath the
//! folder without following a link, read if it is a regular file, and no further than to a limit.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use super::real_path::{path_of, root_of_process};
use crate::{Error, Result};

/// A folder whose content nobody vouches for.
#[derive(Debug)]
pub struct UntrustedTree {
    root: OwnedFd,
    /// For messages.
    path: PathBuf,
    /// What it is of, for messages.
    of: String,
    /// What to do about what should not be in it.
    hint: &'static str,
}

/// What lies at a path; a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device.
    Special,
}

/// What a path was opened for.
#[derive(Clone, Copy)]
enum Purpose {
    Read,
    Write,
}

/// The part of a path that could not be opened.
struct Unopened {
    at: PathBuf,
    errno: Errno,
    kind: Option<LeftKind>,
}

/// A FIFO is not waited for, a terminal not taken over.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const LIST: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const CREATE: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_CREAT)
    .union(OFlag::O_EXCL)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

const HINT: &str = "look for what made it: a script of the build, a patch, or the source itself";

impl UntrustedTree {
    /// The tree at `path`, which is a folder of ours; `of` is what messages begin with.
    pub fn open(path: &Path, of: impl Into<String>) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|errno| Error::io("read", path)(errno.into()))?;
        Ok(Self { root, path: path.to_path_buf(), of: of.into(), hint: HINT })
    }

    /// The same with the path by which messages name it.
    #[must_use]
    pub fn named(self, path: &Path) -> Self {
        Self { path: path.to_path_buf(), ..self }
    }

    /// The same with another hint: not all such folders are filled by builds.
    #[must_use]
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// A folder in it, through links that stay in the tree.
    pub fn folder(&self, path: &Path) -> Result<Self> {
        let root = self.opened(&self.resolved(path)?, FOLDER)?;
        Ok(Self { root, path: self.path.join(path), of: self.of.clone(), hint: self.hint })
    }

    /// What lies at a path; the empty one is this folder.
    pub fn kind(&self, path: &Path) -> Option<LeftKind> {
        if path.as_os_str().is_empty() {
            return Some(LeftKind::Folder);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return None };
        let folder = open_beneath(self.root.as_fd(), parent, FOLDER).ok()?;
        kind_at(folder.as_fd(), name)
    }

    /// Whether its owner may execute what lies at a path.
    pub fn is_executable(&self, path: &Path) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let Ok(folder) = open_beneath(self.root.as_fd(), parent, FOLDER) else { return false };
        let stat = fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| Mode::from_bits_truncate(stat.st_mode).contains(Mode::S_IXUSR))
    }

    /// What a link says; none if there is no link.
    pub fn target(&self, path: &Path) -> Option<std::ffi::OsString> {
        let (parent, name) = (path.parent()?, path.file_name()?);
        let folder = open_beneath(self.root.as_fd(), parent, FOLDER).ok()?;
        nix::fcntl::readlinkat(&folder, name).ok()
    }

    /// The bytes of a regular file of up to `limit` bytes, which no link leads to.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let file = self.open_file(path)?;
        let whole = self.path.join(path);
        let io = || Error::io("read", &whole);
        let mut bytes = Vec::new();
        // A length is only a hint: the file may grow.
        if file.metadata().map_err(io())?.len() <= limit {
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io())?;
            if bytes.len() as u64 <= limit {
                return Ok(bytes);
            }
        }
        Err(self.fault(path, &format!("is larger than {limit} bytes, which is the most that factory reads of it")))
    }

    /// A regular file which no link leads to, for reading.
    pub fn open_file(&self, path: &Path) -> Result<File> {
        let file = File::from(self.opened(path, READ)?);
        let stat = fstat(&file).map_err(|errno| Error::io("read", &self.path.join(path))(errno.into()))?;
        match kind_of(stat.st_mode) {
            LeftKind::File => Ok(file),
            kind => Err(self.refused(path, kind.phrase(), Purpose::Read)),
        }
    }

    /// As [`Self::read`], through links that stay in the tree: repositories have such.
    pub fn read_linked(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        self.read(&self.resolved(path)?, limit)
    }

    /// As [`Self::read_linked`]; none where nothing lies.
    pub fn find_linked(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.read_linked(path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in a folder that are UTF-8, sorted, with what lies there.
    pub fn entries(&self, folder: &Path) -> Result<Vec<(String, LeftKind)>> {
        let opened = self.opened(folder, LIST)?;
        let io = |errno: Errno| Error::io("read", &self.path.join(folder))(errno.into());
        let mut found = Vec::new();
        for entry in Dir::from_fd(opened).map_err(io)?.iter() {
            let entry = entry.map_err(io)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !matches!(name, "." | "..") {
                let kind = entry.file_type().map(|kind| match kind {
                    Type::File => LeftKind::File,
                    Type::Directory => LeftKind::Folder,
                    Type::Symlink => LeftKind::Link,
                    _ => LeftKind::Special,
                });
                found.extend(kind.or_else(|| self.kind(&folder.join(name))).map(|kind| (name.to_owned(), kind)));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Writes a file with these permissions, and the folders above it. What lay there, a link too, is removed first.
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let folder = self.made(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        if kind_at(folder.as_fd(), name) == Some(LeftKind::Folder) {
            return Err(self.refused(path, LeftKind::Folder.phrase(), Purpose::Write));
        }
        let whole = self.path.join(path);
        let io = || Error::io("write", &whole);
        match unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(io()(errno.into())),
        }
        let file = openat(&folder, name, CREATE, Mode::from_bits_truncate(0o600));
        let mut file = File::from(file.map_err(|errno| io()(errno.into()))?);
        file.write_all(bytes).map_err(io())?;
        file.set_permissions(Permissions::from_mode(mode)).map_err(io())
    }

    /// Makes a symbolic link, and the folders above it; never one that is followed here.
    pub fn link(&self, path: &Path, target: &str) -> Result<()> {
        let folder = self.made(path.parent().unwrap_or(Path::new("")))?;
        symlinkat(target, &folder, path.file_name().unwrap_or_default())
            .map_err(|errno| Error::io("create", &self.path.join(path))(errno.into()))
    }

    /// Makes a folder and those above it.
    pub fn make_folder(&self, path: &Path) -> Result<()> {
        self.made(path).map(drop)
    }

    /// Removes what lies at a path and is not a folder.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let folder = self.opened(path.parent().unwrap_or(Path::new("")), FOLDER)?;
        unlinkat(&folder, path.file_name().unwrap_or_default(), UnlinkatFlags::NoRemoveDir)
            .map_err(|errno| Error::io("remove", &self.path.join(path))(errno.into()))
    }

    fn made(&self, path: &Path) -> Result<OwnedFd> {
        let mut folder = self.opened(Path::new(""), FOLDER)?;
        let mut at = PathBuf::new();
        for name in names(path).ok_or_else(|| self.fault(path, "leads out of its folder"))? {
            at.push(name);
            match mkdirat(&folder, name, Mode::from_bits_truncate(0o777)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::io("create", &self.path.join(&at))(errno.into())),
            }
            folder = openat(&folder, name, FOLDER, Mode::empty()).map_err(|errno| {
                match kind_at(folder.as_fd(), name).filter(|kind| *kind != LeftKind::Folder) {
                    Some(kind) => self.refused(&at, kind.phrase(), Purpose::Write),
                    None => Error::io("create", &self.path.join(&at))(errno.into()),
                }
            })?;
        }
        Ok(folder)
    }

    fn opened(&self, path: &Path, flags: OFlag) -> Result<OwnedFd> {
        if names(path).is_none() {
            return Err(self.fault(path, "leads out of its folder"));
        }
        open_beneath(self.root.as_fd(), path, flags).map_err(|Unopened { at, errno, kind }| match kind {
            Some(kind @ (LeftKind::Link | LeftKind::Special)) => self.refused(&at, kind.phrase(), Purpose::Read),
            Some(LeftKind::File) if at != path || flags != READ => {
                self.refused(&at, LeftKind::File.phrase(), Purpose::Read)
            }
            // What lies there is as it should be, and cannot be read.
            _ => Error::io("read", &self.path.join(path))(errno.into()),
        })
    }

    /// The path without links that `path` leads to.
    fn resolved(&self, path: &Path) -> Result<PathBuf> {
        let whole = self.path.join(path);
        let io = |errno: Errno| Error::io("read", &whole)(errno.into());
        let below = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let found = openat(&self.root, below, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(io)?;
        let (root, real) = (path_of(&self.root).map_err(io)?, path_of(&found).map_err(io)?);
        let inner = real.strip_prefix(&root).map(Path::to_path_buf);
        inner.map_err(|_| self.fault(path, "is a symbolic link that leads out of the source"))
    }

    fn refused(&self, path: &Path, what: &str, purpose: Purpose) -> Error {
        let rule = match purpose {
            Purpose::Read => "factory reads only regular files that a build left",
            Purpose::Write => "factory writes only where there is none in the way",
        };
        self.fault(path, &format!("is {what}; {rule}"))
    }

    fn fault(&self, path: &Path, what: &str) -> Error {
        Error::build(format!("{}: `{}` {what}", self.of, path.display().to_string().escape_debug()), self.hint)
    }
}

impl LeftKind {
    fn phrase(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Special => "a FIFO, a socket or a device",
        }
    }
}

/// Opens a file at a path that has no links in it, for reading; one of [`super::real_path`].
pub fn open_unlinked(path: &Path) -> std::io::Result<File> {
    let own = || path.strip_prefix("/").map_or((PathBuf::from("."), path), |below| (PathBuf::from("/"), below));
    let (root, below) = root_of_process(path).unwrap_or_else(own);
    let root = open(&root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(File::from(open_beneath(root.as_fd(), below, READ).map_err(|unopened| unopened.errno)?))
}

/// Opens a folder (`O_PATH`) beneath another without following a link.
pub fn open_folder_beneath(root: &Path, path: &Path) -> std::io::Result<OwnedFd> {
    let root = open(root, FOLDER, Mode::empty())?;
    open_beneath(root.as_fd(), path, FOLDER).map_err(|unopened| unopened.errno.into())
}

/// The names of a path; none of one that is absolute or has `..`.
fn names(path: &Path) -> Option<Vec<&OsStr>> {
    let name = |part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    path.components().filter(|part| *part != Component::CurDir).map(name).collect()
}

fn open_beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlag) -> Result<OwnedFd, Unopened> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // Whatever the kernel says (it may be old, or a filter in the way), the walk does without it, and knows which part
    // of the path is at fault.
    openat2(root, path, OpenHow::new().flags(flags).resolve(resolve)).or_else(|_| walk(root, path, flags))
}

/// Opens part by part.
fn walk(root: BorrowedFd<'_>, path: &Path, flags: OFlag) -> Result<OwnedFd, Unopened> {
    let unopened = |at: &Path, errno, kind| Unopened { at: at.to_path_buf(), errno, kind };
    let names = names(path).ok_or_else(|| unopened(path, Errno::EXDEV, None))?;
    let mut at = PathBuf::new();
    let mut here = openat(root, ".", FOLDER, Mode::empty()).map_err(|errno| unopened(path, errno, None))?;
    for (index, name) in names.iter().enumerate() {
        at.push(name);
        let flags = if index + 1 == names.len() { flags } else { FOLDER };
        here = openat(&here, *name, flags, Mode::empty())
            .map_err(|errno| unopened(&at, errno, kind_at(here.as_fd(), name)))?;
    }
    if names.is_empty() {
        openat(root, ".", flags, Mode::empty()).map_err(|errno| unopened(path, errno, None))
    } else {
        Ok(here)
    }
}

fn kind_at(folder: BorrowedFd<'_>, name: &OsStr) -> Option<LeftKind> {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok().map(|stat| kind_of(stat.st_mode))
}

fn kind_of(mode: nix::libc::mode_t) -> LeftKind {
    match SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => LeftKind::File,
        SFlag::S_IFDIR => LeftKind::Folder,
        SFlag::S_IFLNK => LeftKind::Link,
        _ => LeftKind::Special,
    }
}

#[cfg(test)]
mod tests;
