//! What an export reads of its workspace beside what the lock has of the plugin's sources: found when it is sealed, and
//! among its sources from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::SemaphorePermit;
use tokio::task::block_in_place;

use super::context::{PluginTarget, WorkspaceBuild};
use super::dependencies::Dependencies;
use super::export_view::ExportView;
use super::installed::InstalledPackages;
use super::opened_files::{Opened, OpenedFiles, OpenedPaths};
use super::source;
use super::workdir::Folders;
use crate::error::Result;
use crate::lock::recipe::FIRST;
use crate::lock::{PartContent, SourcePart, at, installed_at, installed_name, lies_in};
use crate::overlay::source_parts::{LaidSource, reached_paths};
use crate::ui::some_names;
use crate::yarn::KEPT_BY_YARN;
use crate::yarn::graph::reach::{Reach, Reacher};

/// More than this in a workspace is all of it; elsewhere, the whole repository; of packages, all that are installed.
const MOST: usize = 40;
/// Folders of a source that are looked at only where they are committed.
const INSTALLED: [&str; 2] = ["node_modules", ".yarn"];

/// Where `yarn tsc` writes the declarations of all packages of a workspace (Backstage's `tsconfig.json`), each under the path
/// of its source.
const DECLARATIONS: &str = "dist-types";
/// How many folders a user may watch.
const LIMIT: &str = "/proc/sys/fs/inotify/max_user_watches";

/// Folders that are being watched, or why they are not.
pub(super) type Watched = std::result::Result<OpenedFiles, Errno>;

/// An export that is being looked at.
pub(super) struct PluginWatch {
    opened: Watched,
    /// As they were before it.
    dependencies: Dependencies,
}

/// A plugin's sources with what its export read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReadSources {
    /// `workspace.plugin.reads` of the lock.
    pub reads: Vec<String>,
    /// `workspace.plugin.sources` of the lock.
    pub sources: Vec<SourcePart>,
}

/// Whether a folder of a source is looked at: of what is installed, what is committed.
fn is_looked_at(laid: &LaidSource<'_>, folder: &str) -> bool {
    let is_kept_by_yarn =
        || folder.split_once(".yarn/").is_some_and(|(_, kept)| KEPT_BY_YARN.iter().any(|name| lies_in(kept, name)));
    let is_installed = folder.split('/').any(|name| INSTALLED.contains(&name));
    let is_git = folder.split('/').any(|name| name == ".git");
    !is_git && (!is_installed || !is_kept_by_yarn() && laid.is_source(folder).unwrap_or(true))
}

/// Why a plugin counts as built from its whole repository.
fn cannot_watch(errno: Errno) -> String {
    let limit = fs::read_to_string(LIMIT).ok().filter(|_| errno == Errno::ENOSPC);
    let limit = limit.map(|limit| format!("; `fs.inotify.max_user_watches` is {}", limit.trim())).unwrap_or_default();
    format!("what its export reads cannot be watched ({errno}{limit}): it counts as built from the whole repository")
}

/// What was found, or a folder in place of too much of it.
fn at_most(mut found: BTreeSet<String>, root: &str) -> BTreeSet<String> {
    for outer in [root, "."] {
        if found.iter().filter(|path| lies_in(path, outer)).count() > MOST {
            found.retain(|path| !lies_in(path, outer));
            found.insert(outer.to_owned());
        }
    }
    found
}

impl WorkspaceBuild<'_> {
    /// True where a plugin of it is looked at.
    pub(super) fn is_watched(&self) -> bool {
        self.workspace.plugin.iter().any(|plugin| self.target(plugin).is_watched())
    }

    /// Watches what lies in no package of the workspace while it is installed and compiled, where a plugin of it is looked
    /// at. Of packages these read all there is, and packages are sources where they are reached.
    pub(super) fn watch_outside(&self, folders: &Folders) -> Option<Result<Watched>> {
        let watch = |is_watched: &dyn Fn(&str) -> bool| OpenedFiles::watch(&folders.source, is_watched, &[]);
        self.is_watched().then(|| self.with_outside(folders, watch))
    }

    /// Of what an installation opened, what would have been seen of it so; none where no plugin is looked at.
    pub(super) fn outside_of(&self, folders: &Folders, opened: Opened) -> Result<Option<Opened>> {
        let lies_outside = |path: &str, is_watched: &dyn Fn(&str) -> bool| {
            path.match_indices('/').all(|(end, _)| is_watched(&path[..end]))
        };
        let outside =
            || self.with_outside(folders, |is_watched| opened.without(|path| !lies_outside(path, is_watched)));
        self.is_watched().then(outside).transpose()
    }

    fn with_outside<T>(&self, folders: &Folders, use_it: impl FnOnce(&dyn Fn(&str) -> bool) -> T) -> Result<T> {
        let root = &self.workspace.source.path;
        source::with_laid(self.shared, self.workspace, &folders.source, |laid| {
            let dependencies = Dependencies::read(laid, root)?;
            let packages: Vec<String> = dependencies.folders().map(|folder| at(root, folder)).collect();
            let is_watched =
                |path: &str| !packages.iter().any(|package| lies_in(path, package)) && is_looked_at(laid, path);
            Ok(use_it(&is_watched))
        })
    }
}

impl PluginTarget<'_> {
    /// True where the lock can still learn what the export reads, and in `verify`.
    pub(super) fn is_watched(self) -> bool {
        let options = &self.shared.options;
        let is_pinned = !self.workspace.source.local && self.workspace.recipe != FIRST;
        is_pinned && (self.plugin.sealed.is_none() || options.verify_mode)
    }

    /// Watches the source that an export sees, together with the exports of others if there are watches enough, else after
    /// them. What is returned lasts as long as the watch.
    pub(super) async fn watch_in_turn<'s>(self, view: &ExportView) -> Result<(PluginWatch, SemaphorePermit<'s>)>
    where
        Self: 's,
    {
        let turns = &self.shared.watches;
        let watch = || block_in_place(|| self.watch(view));
        let turn = turns.beside().await?;
        let watched = watch()?;
        if watched.opened.as_ref().err() != Some(&Errno::ENOSPC) {
            return Ok((watched, turn));
        }
        drop(turn);
        let waiting = self.shared.ui.timeline().wait(self.lane(), "wait for inotify watches");
        let alone = turns.alone().await?;
        waiting.done();
        Ok((watch()?, alone))
    }

    /// Watches all of the source but the folders that the plugin is known to be built from, and the packages that are
    /// installed but those that it reaches. Where the machine cannot, the error is kept for [`Self::read_sources`].
    fn watch(self, view: &ExportView) -> Result<PluginWatch> {
        let (root, source) = (&self.workspace.source.path, &view.seen());
        source::with_laid(self.shared, self.workspace, source, |laid| {
            let dependencies = Dependencies::read(laid, root)?;
            let covered: BTreeSet<&str> = self.plugin.sources.iter().map(|part| part.path.as_str()).collect();
            let is_watched = |path: &str| !covered.iter().any(|outer| lies_in(path, outer)) && is_looked_at(laid, path);
            let packages = self.not_reached(&dependencies, source);
            Ok(PluginWatch { opened: OpenedFiles::watch(source, is_watched, &packages), dependencies })
        })
    }

    /// The packages that are installed and that the plugin does not reach, by name and folder.
    fn not_reached(self, dependencies: &Dependencies, source: &Path) -> Vec<(String, PathBuf)> {
        // Else it follows all there are.
        if !self.plugin.sources.iter().any(SourcePart::is_reached) {
            return vec![];
        }
        let found = dependencies.ask(|reacher| {
            let (all, reached) = (reacher.of(&[], &[""]).names, self.reach(reacher, &self.plugin.reads).names);
            let is_wanted = |name: &str| all.contains(name) && !reached.contains(name);
            let mut installed = InstalledPackages { source, is_wanted: &is_wanted, found: vec![] };
            for folder in dependencies.folders().chain(["."]) {
                installed.find(&at(&self.workspace.source.path, folder));
            }
            installed.found.into_iter().map(|(name, folder)| (name, source.join(&folder))).collect()
        });
        found.unwrap_or_default()
    }

    fn reach<'a>(self, reacher: &Reacher<'_, 'a>, reads: &[String]) -> Reach<'a> {
        let root = &self.workspace.source.path;
        let installed: Vec<&str> = reads.iter().filter_map(|read| installed_name(root, read)).collect();
        reacher.of(&[".", &self.plugin.path], &installed)
    }

    /// What was read besides, of what was opened by the export and by the steps `before` all exports; none where there is
    /// nothing new.
    pub(super) fn read_sources(
        self,
        watch: PluginWatch,
        before: Option<&Opened>,
        view: &ExportView,
    ) -> Result<Option<ReadSources>> {
        let root = &self.workspace.source.path;
        let all = || BTreeSet::from([".".to_owned()]);
        let PluginWatch { opened, dependencies } = watch;
        let opened = Opened::since(opened);
        source::with_laid(self.shared, self.workspace, &view.seen(), |laid| {
            // `tsc` lists the folders of a workspace to find what it compiles, and opens that.
            let is_listed = |path: &str| lies_in(path, root) && laid.is_folder(path).unwrap_or(false);
            let before = before.map(|before| before.clone().without(is_listed));
            let mut seen = None;
            let found = match before.map_or(opened.clone(), |before| opened.and(&before)) {
                Opened::Some(OpenedPaths { files, packages }) => {
                    let besides = self.besides(laid, &dependencies, files)?;
                    seen = besides.values().next().cloned();
                    let found = at_most(besides.into_keys().collect(), root);
                    &found | &self.used(&dependencies, packages)
                }
                Opened::TooMany => all(),
                Opened::Unwatched(errno) => {
                    self.shared.ui.warn(format!("{}: {}", self.label(), cannot_watch(errno)));
                    all()
                }
            };
            if found.is_empty() {
                return Ok(None);
            }
            if !self.shared.options.verify_mode {
                let file = seen
                    .filter(|file| !found.contains(file))
                    .map(|file| format!(", such as the file `{file}`"))
                    .unwrap_or_default();
                self.shared.ui.note(format!(
                    "{}: its export read more than the plugin's own sources: {}{file}; it is built again when that changes, \
                     which `reads` in the lock says",
                    self.label(),
                    some_names(found.iter())
                ));
            }
            let reads: BTreeSet<String> = self.plugin.reads.iter().cloned().chain(found).collect();
            self.with_reads(laid, &dependencies, reads.into_iter().collect()).map(Some)
        })
    }

    /// The sources with what was read, as resolving finds them.
    fn with_reads(self, laid: &LaidSource<'_>, dependencies: &Dependencies, reads: Vec<String>) -> Result<ReadSources> {
        let root = &self.workspace.source.path;
        // What a yarn.lock says of the packages that are reached is not what lies there.
        let (reached, known): (Vec<_>, Vec<_>) = self.plugin.sources.iter().partition(|part| part.is_reached());
        let mut wanted: BTreeSet<String> = known.into_iter().map(|part| part.path.clone()).collect();
        wanted.extend(reads.iter().cloned());
        let reached = dependencies.ask(|reacher| {
            let reach = self.reach(reacher, &reads);
            wanted.extend(reached_paths(&reach, root));
            let locked = PartContent::Reached(reach.locked);
            reached.into_iter().map(|part| SourcePart { content: locked.clone(), ..part.clone() }).collect::<Vec<_>>()
        });
        let mut sources = laid.parts(wanted.iter().map(String::as_str))?;
        // Scripts may have changed what patches and overlays made.
        for part in &mut sources {
            let before = self.plugin.sources.iter().find(|known| known.path == part.path);
            part.content = before.map_or_else(|| part.content.clone(), |known| known.content.clone());
        }
        let is_read = |part: &SourcePart| reads.iter().any(|path| lies_in(&part.path, path));
        sources.extend(reached.into_iter().flatten().filter(|part| !is_read(part)));
        sources.sort();
        Ok(ReadSources { reads, sources })
    }

    /// The packages of which files were opened, without those that others of them reach; where they are too many, all
    /// there are.
    fn used(self, dependencies: &Dependencies, mut packages: BTreeSet<String>) -> BTreeSet<String> {
        let root = &self.workspace.source.path;
        let _ = dependencies.ask(|reacher| {
            for name in packages.clone() {
                packages.remove(&name);
                let others: Vec<&str> = packages.iter().map(String::as_str).collect();
                let is_reached = !others.is_empty() && reacher.of(&[], &others).names.contains(name.as_str());
                if !is_reached {
                    packages.insert(name);
                }
            }
        });
        let named = if packages.len() > MOST { BTreeSet::from([String::new()]) } else { packages };
        named.iter().map(|name| installed_at(root, name)).collect()
    }

    /// What was read though it is not among the plugin's sources: packages as a whole; of what is in no package the
    /// outermost folder, since a file that is added there may be read next time; each with the first file of it. Every
    /// package's `package.json` is read to find packages, and counts only for those that the plugin reaches. A declaration
    /// that `yarn tsc` made is its package.
    fn besides(
        self,
        laid: &LaidSource<'_>,
        dependencies: &Dependencies,
        paths: BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>> {
        let root = &self.workspace.source.path;
        let packages: BTreeSet<String> = dependencies.folders().map(|folder| at(root, folder)).collect();
        // A folder that others are in is listed by whoever looks for packages.
        let holds = |folder: &str| lies_in(root, folder) || packages.iter().any(|package| lies_in(package, folder));
        let innermost = |path: &str| {
            packages.iter().filter(|package| lies_in(path, package)).max_by_key(|package| package.len()).cloned()
        };
        let declared = |path: &str| {
            let path = path.strip_prefix(&at(root, DECLARATIONS))?.strip_prefix('/')?;
            let path = at(root, path.strip_suffix("ts").map(|_| path)?);
            innermost(&path)
        };
        let mut found = BTreeMap::new();
        for file in paths {
            let path = declared(&file).unwrap_or_else(|| file.clone());
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
            let outermost = || {
                let mut outer = path.as_str();
                while let Some((parent, _)) = outer.rsplit_once('/').filter(|(parent, _)| !holds(parent)) {
                    outer = parent;
                }
                outer.to_owned()
            };
            let deeper = |known: &mut String| {
                if lies_in(&file, known) {
                    known.clone_from(&file);
                }
            };
            found.entry(innermost(&path).unwrap_or_else(outermost)).and_modify(deeper).or_insert_with(|| file.clone());
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
