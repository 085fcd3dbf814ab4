//! OLD and NEW of `factory diff`: a path, `-`, or `REV:path`; a lock or a folder.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::companions::Companions;
use super::configurations;
use super::git_revision::{Revision, TreePathKind, WORKSPACES, below};
use super::release::Release;
use crate::config::source_json;
use crate::error::{Error, Place, Result};
use crate::lock::Lock;
use crate::lock::text::FILE_NAME;
use crate::parallel;
use crate::user_file;

/// What OLD or NEW names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffSideKind {
    /// A file, or stdin: a lock.
    Lock,
    /// A folder with this lock in it.
    FolderWithLock(String),
    /// A folder without a lock: a configuration.
    Configuration,
}

/// What `text` names; relative paths start at `here`. What cannot be found is a lock, whose reader says so.
pub fn kind(text: &str, here: &Path) -> Result<DiffSideKind> {
    let path = here.join(text);
    if text == "-" || path.is_file() {
        return Ok(DiffSideKind::Lock);
    }
    let of_folder = |has_lock: bool, lock: String| {
        if has_lock { DiffSideKind::FolderWithLock(lock) } else { DiffSideKind::Configuration }
    };
    if path.is_dir() {
        let lock = format!("{}/{FILE_NAME}", text.trim_end_matches('/'));
        return Ok(of_folder(path.join(FILE_NAME).is_file(), lock));
    }
    let Some((rev, path)) = text.split_once(':').filter(|(rev, _)| !rev.is_empty()) else {
        return Ok(DiffSideKind::Lock);
    };
    let revision = Revision::open(here, rev)?;
    let path = revision.path(here, path)?;
    if revision.kind(&path)? != Some(TreePathKind::Folder) {
        return Ok(DiffSideKind::Lock);
    }
    let lock = below(&path, FILE_NAME);
    Ok(of_folder(revision.kind(&lock)? == Some(TreePathKind::File), format!("{rev}:{lock}")))
}

/// Reads what `text` names; relative paths start at `here`.
pub fn read(text: &str, here: &Path) -> Result<Release> {
    if text == "-" {
        let mut bytes = Vec::new();
        let stdin = std::io::stdin().lock();
        stdin.take(user_file::DOCUMENT + 1).read_to_end(&mut bytes).map_err(Error::io("read", "stdin"))?;
        if bytes.len() as u64 > user_file::DOCUMENT {
            let what = format!("stdin has more than {} bytes", user_file::DOCUMENT);
            return Err(Error::usage(what, "write a factory.lock to it"));
        }
        return of_bytes("stdin", bytes, Path::new("stdin"), Companions::None);
    }
    let path = here.join(text);
    if path.exists() {
        return at_path(text, &path);
    }
    match text.split_once(':') {
        Some((rev, path)) if !rev.is_empty() => {
            let revision = Revision::open(here, rev)?;
            let path = revision.path(here, path)?;
            at_revision(text, revision, &path)
        }
        _ => {
            let what = format!("`{}` not found", text.escape_debug());
            let hint = match Revision::open(here, text) {
                Ok(_) => format!("it is a commit: give the lock in it as `{}:factory.lock`", text.escape_debug()),
                Err(_) => "pass a lock, a configuration folder, `REV:path`, or `-` for stdin".to_owned(),
            };
            Err(Error::usage(what, hint))
        }
    }
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
    of_bytes(name, bytes, Path::new(name), Companions::Folder(folder))
}

fn at_revision(name: &str, revision: Revision, path: &str) -> Result<Release> {
    match revision.kind(path)? {
        Some(TreePathKind::File) => {
            let bytes = revision.read(path)?.unwrap_or_default();
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
            of_bytes(name, bytes, Path::new(name), Companions::Revision(Box::new(revision), dir))
        }
        Some(TreePathKind::Folder) => folder_of(name, &revision, path),
        None => Err(Error::usage(
            format!("`{}` not found", name.escape_debug()),
            "paths in a commit start at the repository's root; commit the lock, or pass OLD and NEW",
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
