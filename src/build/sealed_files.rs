//! What an earlier build sealed: before anything runs, the files beside the lock are those that the lock names.
//!
//! Beside the lock lie, per plugin, its closure (`yarn.lock`) or what is in its bundles (`bundle`), and a list of its
//! files, and per workspace a list of the packages that no lockfile has a checksum for.

use std::path::Path;

use super::context::BuildOptions;
use super::packages::unpinned::Unpinned;
use crate::error::{Error, Place, Result};
use crate::lock::companions::CompanionPath;
use crate::lock::text::FILE_NAME;
use crate::lock::{Plugin, Sha256, Workspace};
use crate::store::stays_beneath;
use crate::user_file;

/// Whether what lies beside the lock is what it says, and with `--frozen` whether all is sealed: found out before
/// anything is done.
pub fn check(options: &BuildOptions, workspace: &Workspace) -> Result<()> {
    let packages = CompanionPath::packages(&workspace.name);
    let files = workspace.plugin.iter().map(|plugin| CompanionPath::files(&workspace.name, &plugin.path));
    for path in std::iter::once(packages).chain(files) {
        let path = path.below(&options.lock_dir);
        stays_beneath(&options.lock_dir, path.parent().unwrap_or(&options.lock_dir))?;
    }
    for plugin in workspace.plugin.iter().filter(|plugin| options.chooses(plugin)) {
        if options.must_be_sealed() && plugin.sealed.is_none() {
            return Err(Error::Lock {
                place: Place::file(options.lock_dir.join(FILE_NAME)),
                what: format!("plugin `{}` of workspace `{}` is not sealed", plugin.path, workspace.name),
                hint: "build without `--frozen` once, and commit the lock".into(),
            });
        }
        sealed_closure(&options.lock_dir, &workspace.name, plugin)?;
        let bundle = plugin.sealed.as_ref().and_then(|sealed| sealed.bundle);
        sealed(&options.lock_dir, &workspace.name, &CompanionPath::bundle(&workspace.name, &plugin.path), bundle)?;
    }
    Unpinned::sealed(&options.lock_dir, workspace).map(drop)
}

/// The sealed closure of a plugin, whose checksum is in the lock; none before it is sealed.
pub fn sealed_closure(lock_dir: &Path, workspace: &str, plugin: &Plugin) -> Result<Option<Vec<u8>>> {
    let digest = plugin.sealed.as_ref().and_then(|sealed| sealed.closure);
    sealed(lock_dir, workspace, &CompanionPath::closure(workspace, &plugin.path), digest)
}

/// A file beside the lock that has this digest.
fn sealed(lock_dir: &Path, workspace: &str, path: &CompanionPath, digest: Option<Sha256>) -> Result<Option<Vec<u8>>> {
    let Some(digest) = digest else { return Ok(None) };
    let path = path.below(lock_dir);
    let broken = |what: String| Error::Lock {
        place: Place::file(&path),
        what,
        hint: format!(
            "restore it from version control, or run `factory resolve --restamp {workspace}` and build again to seal anew"
        ),
    };
    let bytes = user_file::read(&path, user_file::DOCUMENT)
        .map_err(|e| broken(format!("cannot be read ({e}); the lock needs it")))?;
    let found = Sha256::of(&bytes);
    if found != digest {
        return Err(broken(format!("has the checksum {found}, but the lock says {digest}")));
    }
    Ok(Some(bytes))
}
