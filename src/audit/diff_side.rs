//! OLD and NEW of `factory diff`: a path, `-`, or `REV:path`; a lock or a folder.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::companions::Companions;
use super::configurations;
use super::git_revision::{Revision, TreePathKind, WORKSPACES, below};
use super::metadata::MetadataFiles;
use super::release::Release;
use crate::config::source_json;
use crate::error::{Error, Place, Result};
use crate::lock::Lock;
use crate::lock::text::FILE_NAME;
use crate::parallel;
use crate::user_file;

/// What OLD or NEW names, found and not read yet.
pub struct DiffSide {
    /// As it was given, or the lock in it.
    name: String,
    place: SidePlace,
    /// A folder, and whether a lock is in it; none for a lock.
    folder: Option<HasLock>,
}

/// Whether a folder has a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
struct HasLock(bool);

enum SidePlace {
    Stdin,
    Path(PathBuf),
    /// A path in a commit, from the repository's root.
    Revision(Box<Revision>, String),
    /// It is none of them; relative paths start here.
    Nowhere(PathBuf),
}

impl DiffSide {
    /// What `text` names; relative paths start at `here`. What cannot be found is a lock, whose reader says so.
    pub fn find(text: &str, here: &Path) -> Result<Self> {
        let (path, name) = (here.join(text), text.to_owned());
        if text == "-" {
            return Ok(Self { name, place: SidePlace::Stdin, folder: None });
        }
        if path.exists() {
            let folder = path.is_dir().then(|| HasLock(path.join(FILE_NAME).is_file()));
            return Ok(Self { name, place: SidePlace::Path(path), folder });
        }
        let Some((rev, path)) = text.split_once(':').filter(|(rev, _)| !rev.is_empty()) else {
            return Ok(Self::of_commit(text, here));
        };
        let revision = Revision::open(here, rev)?;
        let path = revision.path(here, path)?;
        Self::at(name, revision, path)
    }

    /// A commit alone stands for the lock in it, or for the workspaces of RHDH's export repository.
    fn of_commit(text: &str, here: &Path) -> Self {
        let found = Revision::open(here, text).ok().and_then(|revision| {
            let path = known_lock(&revision).or_else(|| {
                let is_there = matches!(revision.kind(WORKSPACES), Ok(Some(TreePathKind::Folder)));
                is_there.then(|| WORKSPACES.to_owned())
            })?;
            Self::at(format!("{text}:{path}"), revision, path).ok()
        });
        let nowhere = || Self { name: text.to_owned(), place: SidePlace::Nowhere(here.to_path_buf()), folder: None };
        found.unwrap_or_else(nowhere)
    }

    /// A path in a commit, from the repository's root.
    fn at(name: String, revision: Revision, path: String) -> Result<Self> {
        let folder = match revision.kind(&path)? {
            Some(TreePathKind::Folder) => {
                Some(HasLock(revision.kind(&below(&path, FILE_NAME))? == Some(TreePathKind::File)))
            }
            _ => None,
        };
        Ok(Self { name, place: SidePlace::Revision(Box::new(revision), path), folder })
    }

    /// True for a folder without a lock: a configuration.
    pub fn is_configuration(&self) -> bool {
        self.folder == Some(HasLock(false))
    }

    /// True for what is neither there nor `-` nor `REV:path`; it may be a commit.
    pub fn is_nowhere(&self) -> bool {
        matches!(self.place, SidePlace::Nowhere(_))
    }

    /// As it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the lock in it is called, of a folder that has one.
    pub fn lock_name(&self) -> Option<String> {
        let is_there = self.folder == Some(HasLock(true));
        is_there.then(|| match &self.place {
            SidePlace::Revision(revision, path) => format!("{}:{}", revision.name(), below(path, FILE_NAME)),
            _ => format!("{}/{FILE_NAME}", self.name.trim_end_matches('/')),
        })
    }

    /// The lock in it, where it is a folder that has one.
    #[must_use]
    pub fn or_its_lock(mut self) -> Self {
        let Some(name) = self.lock_name() else { return self };
        self.place = match self.place {
            SidePlace::Path(path) => SidePlace::Path(path.join(FILE_NAME)),
            SidePlace::Revision(revision, path) => SidePlace::Revision(revision, below(&path, FILE_NAME)),
            other => other,
        };
        Self { name, folder: None, ..self }
    }

    /// Reads it.
    pub fn read(self) -> Result<Release> {
        let name = &self.name;
        match self.place {
            SidePlace::Stdin => of_stdin(),
            SidePlace::Path(path) => at_path(name, &path),
            SidePlace::Revision(revision, path) => at_revision(name, *revision, &path),
            SidePlace::Nowhere(here) => {
                let hint = match Revision::open(&here, name) {
                    Ok(revision) => {
                        format!(
                            "it is a commit: give the lock in it as `{}:{}`",
                            name.escape_debug(),
                            lock_in(&revision)
                        )
                    }
                    Err(_) => "pass a lock, a configuration folder, `REV:path`, or `-` for stdin".to_owned(),
                };
                Err(Error::usage(format!("`{}` not found", name.escape_debug()), hint))
            }
        }
    }
}

/// Where a commit has a lock, for messages.
pub fn lock_in(revision: &Revision) -> String {
    known_lock(revision).unwrap_or_else(|| "<folder>/factory.lock".to_owned())
}

/// The lock at a commit's root, in the usual configuration directory, or in that of the export repository.
fn known_lock(revision: &Revision) -> Option<String> {
    let is_lock = |path: &String| matches!(revision.kind(path), Ok(Some(TreePathKind::File)));
    ["", "config", WORKSPACES].into_iter().map(|folder| below(folder, FILE_NAME)).find(is_lock)
}

fn of_stdin() -> Result<Release> {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin.take(user_file::DOCUMENT + 1).read_to_end(&mut bytes).map_err(Error::io("read", "stdin"))?;
    if bytes.len() as u64 > user_file::DOCUMENT {
        let what = format!("stdin has more than {} bytes", user_file::DOCUMENT);
        return Err(Error::usage(what, "write a factory.lock to it"));
    }
    if bytes.trim_ascii().is_empty() {
        let hint = "pipe a factory.lock into the command, such as that of `git show v1:config/factory.lock`";
        return Err(Error::usage("nothing came from stdin", hint));
    }
    of_bytes("stdin", bytes, Path::new("stdin"), Companions::None)
}

/// Reads both sides at once: reading is most of the work of a comparison.
pub fn both<E: Send>(
    old: impl FnOnce() -> Result<Release, E> + Send,
    new: impl FnOnce() -> Result<Release, E>,
) -> Result<(Release, Release), E> {
    let (old, new) = parallel::join(old, new);
    Ok((old?, new?))
}

/// The lock `path` as `rev` has it, for the default of OLD.
pub fn at_rev(rev: &str, path: &Path, here: &Path) -> Result<Release> {
    let full = here.join(path);
    let revision = Revision::open(full.parent().unwrap_or(here), rev)?;
    let path = revision.relative(here, &full)?;
    let name = format!("{rev}:{path}");
    at_revision(&name, revision, &path)
}

/// The lock or the configuration at `path`.
pub fn at_path(name: &str, path: &Path) -> Result<Release> {
    if path.is_dir() {
        let dir = configuration_dir(path);
        return configurations::read(name, &dir);
    }
    let bytes = user_file::read_piped(path, user_file::DOCUMENT).map_err(Error::io("read", path))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let metadata = MetadataFiles::beside(&folder)?;
    Ok(Release { metadata, ..of_bytes(name, bytes, Path::new(name), Companions::Folder(folder))? })
}

fn at_revision(name: &str, revision: Revision, path: &str) -> Result<Release> {
    match revision.kind(path)? {
        Some(TreePathKind::File) => {
            let bytes = revision.read(path)?.unwrap_or_default();
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
            let metadata = MetadataFiles::in_commit(&revision, &dir)?;
            let companions = Companions::Revision(Box::new(revision), dir);
            Ok(Release { metadata, ..of_bytes(name, bytes, Path::new(name), companions)? })
        }
        Some(TreePathKind::Folder) => folder_of(name, &revision, path),
        None => Err(Error::usage(
            format!("`{}` not found", name.escape_debug()),
            "paths in a commit start at the repository's root; commit the lock, or name another one",
        )),
    }
}

/// A configuration folder of a commit, laid out in a temporary folder: `versions.json` lies beside `workspaces`.
fn folder_of(name: &str, revision: &Revision, path: &str) -> Result<Release> {
    let path = path.trim_matches('/');
    let is_root = revision.kind(&below(path, source_json::FILE_NAME))?.is_none()
        && revision.kind(&below(path, WORKSPACES))? == Some(TreePathKind::Folder);
    let path = if is_root { below(path, WORKSPACES) } else { path.to_owned() };
    let scratch = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    let dir = revision.lay_out(&path, scratch.path())?;
    configurations::read(name, &dir)
}

/// The root of RHDH's export repository stands for the folder of its workspaces.
fn configuration_dir(path: &Path) -> PathBuf {
    let below = path.join(WORKSPACES);
    if !path.join(source_json::FILE_NAME).exists() && below.is_dir() { below } else { path.to_path_buf() }
}

fn of_bytes(name: &str, bytes: Vec<u8>, path: &Path, companions: Companions) -> Result<Release> {
    let text = String::from_utf8(bytes).map_err(|_| Error::Lock {
        place: Place::file(path),
        what: "is not UTF-8".into(),
        hint: "pass a factory.lock".into(),
    })?;
    Ok(Release::of_lock(name, Lock::from_text(&text, path)?, companions))
}
