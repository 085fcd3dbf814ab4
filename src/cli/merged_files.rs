//! The files beside a lock of which a merge took a side: those that its seals name, of the side that they are from.

use std::path::Path;

use crate::audit::git_index::{UnmergedFile, unmerged};
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, Sha256, Workspace};
use crate::tools::pin::Companion;
use crate::user_file;

/// What has to be written beside the lock, so that seals of the branch that is merged find what they name. A seal whose
/// files neither the folder nor git's index has is dropped.
pub fn of_theirs(lock_dir: &Path, lock: &mut Lock, theirs: &Lock, names: &[String]) -> Vec<Companion> {
    let mut found = Vec::new();
    for workspace in lock.workspace.iter_mut().filter(|workspace| names.contains(&workspace.name)) {
        if let Some(side) = theirs.workspace.iter().find(|one| one.name == workspace.name) {
            of_workspace(lock_dir, workspace, side, &mut found);
        }
    }
    found
}

fn of_workspace(lock_dir: &Path, workspace: &mut Workspace, theirs: &Workspace, found: &mut Vec<Companion>) {
    let name = &workspace.name;
    let packages = workspace.sealed.as_ref().map(|sealed| sealed.packages);
    if packages.is_some_and(|digest| !is_had(lock_dir, &CompanionPath::packages(name), digest, found)) {
        workspace.sealed = None;
    }
    for plugin in &mut workspace.plugin {
        let Some(sealed) = &plugin.sealed else { continue };
        let is_theirs =
            theirs.plugin.iter().any(|other| other.path == plugin.path && other.sealed.as_ref() == Some(sealed));
        if !is_theirs {
            continue;
        }
        let named = [
            (CompanionPath::closure(name, &plugin.path), sealed.closure),
            (CompanionPath::bundle(name, &plugin.path), sealed.bundle),
        ];
        if named.iter().any(|(path, digest)| digest.is_some_and(|digest| !is_had(lock_dir, path, digest, found))) {
            plugin.sealed = None;
            continue;
        }
        // The list of files is named by no digest.
        let files = CompanionPath::files(name, &plugin.path).below(lock_dir);
        if let Some(UnmergedFile { theirs, .. }) = unmerged(&files, user_file::DOCUMENT) {
            found.push((files, theirs.into_bytes()));
        }
    }
}

/// Whether a file has this digest, in the folder or on their side of the merge.
fn is_had(lock_dir: &Path, path: &CompanionPath, digest: Sha256, found: &mut Vec<Companion>) -> bool {
    let path = path.below(lock_dir);
    if user_file::read(&path, user_file::DOCUMENT).is_ok_and(|bytes| Sha256::of(&bytes) == digest) {
        return true;
    }
    let theirs = unmerged(&path, user_file::DOCUMENT).map(|sides| sides.theirs.into_bytes());
    let theirs = theirs.filter(|bytes| Sha256::of(bytes) == digest);
    let is_theirs = theirs.is_some();
    found.extend(theirs.map(|bytes| (path, bytes)));
    is_theirs
}
