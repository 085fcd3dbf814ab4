//! OLD and NEW of `factory diff`: a path, `-`, or `REV:path`; a lock or a folder.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::companions::Companions;
use super::configurations;
use super::git_revision::{Revision, TreePathKind};
use super::release::Release;
use crate::config::source_json;
use crate::error::{Error, Place, Result};
use crate::lock::Lock;
use crate::parallel;
use crate::user_file;

/// What RHDH's export repository calls the folder of its workspaces.
const WORKSPACES: &str = "workspaces";

/// Reads what `text` names; relative paths start at `here`.
pub fn read(text: &str, here: &Path) -> Result<Release> {
    if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(Error::io("read", "stdin"))?;
        return of_bytes("stdin", bytes, Path::new("stdin"), Companions::None);
    }
    let path = here.join(text);
    if path.exists() {
        return at_path(text, &path);
    }
    match text.split_once(':') {
        Some((rev, path)) if !rev.is_empty() => {
            let revision = Revision::open(here, rev)?;
            // As git does: from the root, or with `./` from here.
            let path = if path.starts_with("./") || path.starts_with("../") {
                revision.relative(here, Path::new(path))?
            } else {
                path.trim_end_matches('/').to_owned()
            };
            at_revision(text, revision, &path)
        }
        _ => Err(Error::usage(
            format!("`{}` not found", text.escape_debug()),
            "pass a lock, a configuration folder, `REV:path`, or `-` for stdin",
        )),
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
    let bytes = read_bounded(path).map_err(Error::io("read", path))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    of_bytes(name, bytes, Path::new(name), Companions::Folder(folder))
}

/// The bytes of a file, or of the pipe of a shell's `<(…)`.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") {
        return std::fs::read(path);
    }
    user_file::read(path, user_file::DOCUMENT)
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
    let below = |dir: &str, entry: &str| if dir.is_empty() { entry.to_owned() } else { format!("{dir}/{entry}") };
    let is_root = revision.kind(&below(path, source_json::FILE_NAME))?.is_none()
        && revision.kind(&below(path, WORKSPACES))? == Some(TreePathKind::Folder);
    let path = if is_root { below(path, WORKSPACES) } else { path.to_owned() };
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", &path));
    let scratch = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    let dir = scratch.path().join(if last == WORKSPACES { WORKSPACES } else { "config" });
    revision.export(&path, &dir)?;
    if last == WORKSPACES {
        let versions = crate::config::versions_json::FILE_NAME;
        if let Some(bytes) = revision.read(&below(parent, versions))? {
            let file = scratch.path().join(versions);
            std::fs::write(&file, bytes).map_err(Error::io("write", &file))?;
        }
    }
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
