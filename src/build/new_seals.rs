//! What a build found out goes into the lock and beside it, so that `verdict` can compare later builds with it.

use std::path::Path;

use super::artefact::Artefact;
use super::context::Shared;
use super::packages::unpinned::Unpinned;
use super::read_sources::ReadSources;
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, Sealed, SealedPackages, Sha256, Stamp, Workspace};
use crate::store::{discard_unfinished, file_beneath};
use crate::ui::count;

/// A lock with the seals of a build, and how many of them are new. Nothing of it is written yet.
pub struct SealedLock {
    /// The lock.
    pub lock: Lock,
    /// What lies beside it of the new seals.
    companions: Vec<(CompanionPath, String)>,
    /// Newly sealed plugins.
    pub plugins: usize,
    /// Workspaces with newly sealed packages.
    pub packages: usize,
}

/// What a build found out of a plugin.
pub(super) struct FoundSeal<'a> {
    pub(super) sealed: &'a Sealed,
    pub(super) stamp: Option<&'a Stamp>,
    pub(super) read: Option<&'a ReadSources>,
    pub(super) companions: FoundCompanions<'a>,
}

/// What lies beside the lock of a plugin that is sealed.
pub(super) struct FoundCompanions<'a> {
    /// The `yarn.lock` of a backend's private dependencies.
    pub(super) closure: Option<&'a str>,
    /// The packages in a frontend's bundles.
    pub(super) bundle: Option<&'a str>,
    /// The list of the files of its package.
    pub(super) files: &'a str,
}

impl FoundCompanions<'_> {
    /// Those that there are, with their places.
    pub(super) fn placed(&self, workspace: &str, plugin: &str) -> impl Iterator<Item = (CompanionPath, &str)> {
        let all = [
            (CompanionPath::closure(workspace, plugin), self.closure),
            (CompanionPath::bundle(workspace, plugin), self.bundle),
            (CompanionPath::files(workspace, plugin), Some(self.files)),
        ];
        all.into_iter().filter_map(|(path, text)| Some((path, text?)))
    }
}

impl SealedLock {
    /// A lock with the seals it has.
    pub(super) fn of(lock: Lock) -> Self {
        Self { lock, companions: Vec::new(), plugins: 0, packages: 0 }
    }

    /// Writes what lies beside the lock to `lock_dir`: before the lock, which must never name what is not there. What a
    /// killed run began to write there goes.
    pub fn write_companions(&self, lock_dir: &Path) -> Result<()> {
        for (path, text) in &self.companions {
            let path = path.below(lock_dir);
            file_beneath(lock_dir, &path, text.as_bytes())?;
            path.parent().into_iter().for_each(discard_unfinished);
        }
        discard_unfinished(lock_dir);
        Ok(())
    }

    /// Seals a plugin that is not sealed yet.
    pub(super) fn seal_plugin(&mut self, (workspace, place): (usize, usize), found: &FoundSeal<'_>) {
        let Workspace { name, plugin, .. } = &mut self.lock.workspace[workspace];
        let plugin = &mut plugin[place];
        if plugin.sealed.is_some() {
            return;
        }
        self.companions.extend(found.companions.placed(name, &plugin.path).map(|(path, text)| (path, text.to_owned())));
        plugin.sealed = Some(found.sealed.clone());
        plugin.stamp = found.stamp.cloned();
        if let Some(ReadSources { reads, sources }) = found.read {
            plugin.reads.clone_from(reads);
            plugin.sources.clone_from(sources);
        }
        self.plugins += 1;
    }

    /// Seals the packages without a checksum that a workspace used, if one of its plugins is sealed.
    pub(super) fn seal_packages(&mut self, lock_dir: &Path, workspace: usize, used: Unpinned) -> Result<()> {
        let workspace = &mut self.lock.workspace[workspace];
        let mut packages = Unpinned::sealed(lock_dir, workspace)?;
        if workspace.plugin.iter().any(|plugin| plugin.sealed.is_some()) && packages.merge(used) {
            let text = packages.to_text();
            workspace.sealed = Some(SealedPackages { packages: Sha256::of(&text) });
            self.companions.push((CompanionPath::packages(&workspace.name), text));
            self.packages += 1;
        }
        Ok(())
    }

    /// What is new, in words; none when nothing is.
    pub fn news(&self) -> Option<String> {
        let plugins = (self.plugins > 0).then(|| format!("{} sealed", count(self.plugins, "plugin")));
        let packages =
            (self.packages > 0).then(|| format!("packages of this platform in {}", count(self.packages, "workspace")));
        let news: Vec<String> = plugins.into_iter().chain(packages).collect();
        (!news.is_empty()).then(|| news.join(", "))
    }
}

/// Whether what is built of this workspace is sealed: a local tree is no pin, and seals are about factory's own images.
pub(super) fn is_sealed_here(shared: &Shared, workspace: &Workspace) -> bool {
    !workspace.source.local && shared.options.makes_sealed_images()
}

impl Artefact {
    /// What is found out of it, for the lock; `files` is the text of its list of files.
    pub(super) fn found<'a>(&'a self, files: &'a str) -> FoundSeal<'a> {
        FoundSeal {
            sealed: &self.sealed,
            stamp: self.stamp.as_ref(),
            read: self.read.as_ref(),
            companions: FoundCompanions {
                closure: self.record.closure.as_deref(),
                bundle: self.record.bundle.as_deref(),
                files,
            },
        }
    }
}

/// Seals what is not sealed yet; the lock and what lies beside it are for the caller to write.
pub fn seal(shared: &Shared, built: &[BuiltWorkspace]) -> Result<SealedLock> {
    let mut sealed = SealedLock::of(shared.lock.clone());
    let lock_dir = &shared.options.lock_dir;
    for (index, workspace) in shared.lock.workspace.iter().enumerate() {
        let Some(built) = built.iter().find(|built| built.name == workspace.name) else { continue };
        if !is_sealed_here(shared, workspace) {
            continue;
        }
        for (place, plugin) in &built.plugins {
            let Ok(artefact) = plugin else { continue };
            sealed.seal_plugin((index, *place), &artefact.found(&artefact.files.to_text()));
        }
        sealed.seal_packages(lock_dir, index, built.unpinned.clone())?;
    }
    Ok(sealed)
}
