//! What a build found out goes into the lock and beside it, so that `verdict` can compare later builds with it.

use super::context::Shared;
use super::packages::unpinned::Unpinned;
use super::read_sources::ReadSources;
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, SealedPackages, Sha256};
use crate::store::file_beneath;

/// A lock with the seals of a build, and how many of them are new.
pub struct SealedLock {
    /// The lock, not written yet.
    pub lock: Lock,
    /// Newly sealed plugins.
    pub plugins: usize,
    /// Workspaces with newly sealed packages.
    pub packages: usize,
}

/// Seals what is not sealed yet. The companions are written, since a lock must never name what is not there; the lock
/// is for the caller to write.
pub fn seal(shared: &Shared, built: &[BuiltWorkspace]) -> Result<SealedLock> {
    let mut sealed = SealedLock { lock: shared.lock.clone(), plugins: 0, packages: 0 };
    let lock_dir = &shared.options.lock_dir;
    for workspace in &mut sealed.lock.workspace {
        let Some(built) = built.iter().find(|built| built.name == workspace.name) else { continue };
        // A local tree is no pin.
        if workspace.source.local || !shared.options.makes_sealed_images() {
            continue;
        }
        for (place, plugin) in workspace.plugin.iter_mut().enumerate() {
            let Some(Ok(artefact)) = built.plugins.get(&place) else { continue };
            if plugin.sealed.is_some() {
                continue;
            }
            if let Some(closure) = &artefact.record.closure {
                let path = CompanionPath::closure(&workspace.name, &plugin.path).below(lock_dir);
                file_beneath(lock_dir, &path, closure.as_bytes())?;
            }
            let files = CompanionPath::files(&workspace.name, &plugin.path).below(lock_dir);
            file_beneath(lock_dir, &files, artefact.files.to_text().as_bytes())?;
            plugin.sealed = Some(artefact.sealed.clone());
            plugin.stamp.clone_from(&artefact.stamp);
            if let Some(ReadSources { reads, sources }) = &artefact.read {
                plugin.reads.clone_from(reads);
                plugin.sources.clone_from(sources);
            }
            sealed.plugins += 1;
        }
        let mut packages = Unpinned::sealed(lock_dir, workspace)?;
        if workspace.plugin.iter().any(|plugin| plugin.sealed.is_some()) && packages.merge(built.unpinned.clone()) {
            let text = packages.to_text();
            let path = CompanionPath::packages(&workspace.name).below(lock_dir);
            file_beneath(lock_dir, &path, text.as_bytes())?;
            workspace.sealed = Some(SealedPackages { packages: Sha256::of(&text) });
            sealed.packages += 1;
        }
    }
    Ok(sealed)
}
