//! What an export reads of its workspace beside what the lock has of the plugin's sources: found when it is sealed, and
//! among its sources from then on.

use std::collections::BTreeSet;

use super::context::PluginTarget;
use super::opened_files::{Opened, OpenedFiles};
use super::source;
use super::workdir::Folders;
use crate::error::Result;
use crate::lock::SourcePart;
use crate::lock::recipe::FIRST;
use crate::overlay::source_parts::{LaidSource, lies_in};
use crate::ui::some_names;

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
    pub(super) fn watch(self, folders: &Folders) -> Result<OpenedFiles, nix::errno::Errno> {
        let covered: BTreeSet<&str> = self.plugin.sources.iter().map(|part| part.path.as_str()).collect();
        OpenedFiles::watch(&folders.source, |path| covered.iter().any(|outer| lies_in(path, outer)))
    }

    /// What was read besides; none where there is nothing new.
    pub(super) fn read_sources(
        self,
        watched: Result<OpenedFiles, nix::errno::Errno>,
        folders: &Folders,
    ) -> Result<Option<ReadSources>> {
        let opened = watched.and_then(|watched| watched.files());
        let root = &self.workspace.source.path;
        source::with_laid(self.shared, self.workspace, &folders.source, |laid| {
            let found = match opened {
                Ok(Opened::Files(files)) => self.besides(laid, files)?,
                Ok(Opened::TooMany) => BTreeSet::from([root.clone()]),
                Err(errno) => {
                    let what = format!("what its export reads cannot be watched ({errno})");
                    self.shared
                        .ui
                        .warn(format!("{}: {what}: it counts as built from the whole workspace", self.label()));
                    BTreeSet::from([root.clone()])
                }
            };
            let found = if found.len() > MOST { BTreeSet::from([root.clone()]) } else { found };
            if found.is_empty() {
                return Ok(None);
            }
            if !self.shared.options.verify_mode {
                self.shared.ui.note(format!("{}: its export also reads {}", self.label(), some_names(found.iter())));
            }
            let reads: BTreeSet<String> = self.plugin.reads.iter().cloned().chain(found).collect();
            let known = self.plugin.sources.iter().map(|part| part.path.as_str());
            let mut sources = laid.parts(known.chain(reads.iter().map(String::as_str)))?;
            // What a yarn.lock says of the packages that are reached is not what lies there.
            let reached = self.plugin.sources.iter().filter(|part| part.is_reached());
            let reached: Vec<SourcePart> =
                reached.filter(|part| !reads.iter().any(|path| lies_in(&part.path, path))).cloned().collect();
            sources.retain(|part| !reached.iter().any(|one| one.path == part.path));
            sources.extend(reached);
            sources.sort();
            Ok(Some(ReadSources { reads: reads.into_iter().collect(), sources }))
        })
    }

    /// The packages, and files of none, that were read though they are not among the plugin's sources. Every package's
    /// `package.json` is read to find packages, and counts only for those that the plugin reaches.
    fn besides(self, laid: &LaidSource<'_>, files: BTreeSet<String>) -> Result<BTreeSet<String>> {
        let root = &self.workspace.source.path;
        let mut found = BTreeSet::new();
        for file in files {
            let name = file.rsplit('/').next().unwrap_or(&file);
            let is_known = self.plugin.sources.iter().any(|part| lies_in(&file, &part.path));
            if is_known || matches!(name, "package.json" | "yarn.lock") || !laid.has(&file)? {
                continue;
            }
            let mut package = None;
            let mut folder = file.as_str();
            while let Some((parent, _)) = folder.rsplit_once('/') {
                folder = parent;
                if !lies_in(folder, root) || folder == root {
                    break;
                }
                if laid.has(&format!("{folder}/package.json"))? {
                    package = Some(folder.to_owned());
                    break;
                }
            }
            found.insert(package.unwrap_or(file));
        }
        Ok(found)
    }

    pub(super) fn label(self) -> String {
        format!("{} {}", self.workspace.name, self.plugin.path)
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
