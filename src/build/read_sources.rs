//! What an export reads of its workspace beside what the lock has of the plugin's sources: found when it is sealed, and
//! among its sources from then on.

use std::collections::BTreeSet;
use std::path::Path;

use nix::errno::Errno;

use super::context::{PluginTarget, WorkspaceBuild};
use super::opened_files::{Opened, OpenedFiles};
use super::source;
use super::workdir::Folders;
use crate::error::Result;
use crate::lock::recipe::FIRST;
use crate::lock::{SourcePart, at};
use crate::overlay::source_parts::{LaidSource, lies_in};
use crate::store::git::EntryKind;
use crate::ui::some_names;
use crate::yarn::lockfile::YarnLock;

/// More than this is the whole workspace.
const MOST: usize = 40;

/// A plugin's sources with what its export read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSources {
    /// `workspace.plugin.reads` of the lock.
    pub reads: Vec<String>,
    /// `workspace.plugin.sources`.
    pub sources: Vec<SourcePart>,
}

impl WorkspaceBuild<'_> {
    /// Watches what lies outside of the workspace while it is installed and compiled, where a plugin of it is looked at. In
    /// the workspace these read all there is; of that its root's own files are sources of each plugin, and packages where
    /// they are reached.
    pub(super) fn watch_outside(&self, folders: &Folders) -> Option<Result<OpenedFiles, Errno>> {
        let root = &self.workspace.source.path;
        let is_watched = self.workspace.plugin.iter().any(|plugin| self.target(plugin).is_watched());
        (is_watched && root != ".").then(|| OpenedFiles::watch(&folders.source, |path| lies_in(path, root)))
    }
}

impl PluginTarget<'_> {
    /// True where the lock can still learn what the export reads, and in `verify`. One export at a time is looked at in a
    /// workspace: the kernel does not say who opened a file.
    pub(super) fn is_watched(self) -> bool {
        let options = &self.shared.options;
        let is_pinned = !self.workspace.source.local && self.workspace.recipe != FIRST;
        is_pinned && (self.plugin.sealed.is_none() || options.verify_mode)
    }

    /// Watches all of the source but the folders that the plugin is known to be built from. Where the machine cannot,
    /// the error is kept for [`Self::read_sources`].
    pub(super) fn watch(self, folders: &Folders) -> Result<OpenedFiles, Errno> {
        let covered: BTreeSet<&str> = self.plugin.sources.iter().map(|part| part.path.as_str()).collect();
        OpenedFiles::watch(&folders.source, |path| covered.iter().any(|outer| lies_in(path, outer)))
    }

    /// What was read besides, of what was opened by the export and the steps before all exports; none where there is
    /// nothing new.
    pub(super) fn read_sources(self, opened: Opened, folders: &Folders) -> Result<Option<ReadSources>> {
        let root = &self.workspace.source.path;
        let all = || BTreeSet::from([root.clone()]);
        source::with_laid(self.shared, self.workspace, &folders.source, |laid| {
            let found = match opened {
                Opened::Paths(paths) => self.besides(laid, paths)?,
                Opened::TooMany => all(),
                Opened::Unwatched(errno) => {
                    let what = format!("what its export reads cannot be watched ({errno})");
                    let counts = "it counts as built from the whole workspace";
                    self.shared.ui.warn(format!("{}: {what}: {counts}", self.label()));
                    all()
                }
            };
            let found = if found.len() > MOST { all() } else { found };
            if found.is_empty() {
                return Ok(None);
            }
            if !self.shared.options.verify_mode {
                self.shared.ui.note(format!("{}: its export also reads {}", self.label(), some_names(found.iter())));
            }
            let reads: BTreeSet<String> = self.plugin.reads.iter().cloned().chain(found).collect();
            // What a yarn.lock says of the packages that are reached is not what lies there.
            let (reached, known): (Vec<_>, Vec<_>) = self.plugin.sources.iter().partition(|part| part.is_reached());
            let known = known.into_iter().map(|part| part.path.as_str());
            let mut sources = laid.parts(known.chain(reads.iter().map(String::as_str)))?;
            let is_read = |part: &&&SourcePart| reads.iter().any(|path| lies_in(&part.path, path));
            sources.extend(reached.iter().filter(|part| !is_read(part)).map(|part| (*part).clone()));
            sources.sort();
            Ok(Some(ReadSources { reads: reads.into_iter().collect(), sources }))
        })
    }

    /// What was read though it is not among the plugin's sources: packages as a whole; of what is in no package the
    /// outermost folder, since a file that is added there may be read next time. Every package's `package.json` is read
    /// to find packages, and counts only for those that the plugin reaches.
    fn besides(self, laid: &LaidSource<'_>, paths: BTreeSet<String>) -> Result<BTreeSet<String>> {
        let root = &self.workspace.source.path;
        let packages = packages(laid, root)?;
        // A folder that others are in is listed by whoever looks for packages.
        let holds = |folder: &str| lies_in(root, folder) || packages.iter().any(|package| lies_in(package, folder));
        let mut found = BTreeSet::new();
        for path in paths {
            let (folder, name) = path.rsplit_once('/').unwrap_or((".", &path));
            let is_known = self.plugin.sources.iter().any(|part| lies_in(&path, &part.path));
            let is_manifest = name == "package.json" && (folder == root || packages.iter().any(|it| it == folder));
            let is_lockfile = name == "yarn.lock" && folder == root;
            if is_known
                || is_manifest
                || is_lockfile
                || holds(&path) && !packages.contains(&path)
                || !laid.has(&path)?
            {
                continue;
            }
            let package = packages.iter().filter(|package| lies_in(&path, package)).max_by_key(|package| package.len());
            let outermost = || {
                let mut outer = path.as_str();
                while let Some((parent, _)) = outer.rsplit_once('/').filter(|(parent, _)| !holds(parent)) {
                    outer = parent;
                }
                outer.to_owned()
            };
            found.insert(package.cloned().unwrap_or_else(outermost));
        }
        Ok(found)
    }

    /// Says in `verify` what the lock does not know.
    pub(super) fn unknown_reads(self, read: &ReadSources) -> String {
        let new: Vec<&String> = read.reads.iter().filter(|path| !self.plugin.reads.contains(path)).collect();
        format!(
            "its export reads {}, which the lock does not have among its sources: a change there is not noticed; seal it \
             anew with `factory resolve --restamp {}` and `factory build`",
            some_names(new.iter()),
            self.workspace.name
        )
    }
}

/// The folders of a workspace's packages from the repository's root, the workspace's own left out. yarn 1 has them in no
/// lockfile: then every folder with a `package.json` counts.
fn packages(laid: &LaidSource<'_>, root: &str) -> Result<BTreeSet<String>> {
    let path = at(root, "yarn.lock");
    let bytes = laid.tree.read(&path)?.unwrap_or_default();
    let lock = YarnLock::parse(&bytes, Path::new(&path)).ok();
    let locked = lock.as_ref().and_then(YarnLock::workspace_paths);
    if let Some(locked) = locked {
        return Ok(locked.into_iter().filter(|folder| *folder != ".").map(|folder| at(root, folder)).collect());
    }
    let manifests = laid.tree.walk(root, |path, kind| {
        kind == EntryKind::Folder && !path.ends_with("node_modules") || path.ends_with("/package.json")
    })?;
    let folders = manifests.filter_map(|entry| entry.path.strip_suffix("/package.json").map(str::to_owned));
    Ok(folders.filter(|folder| folder != root).collect())
}
