//! The verdict over a plugin's output: what changed in its inputs, what in its outputs, and where they differ first.

use std::collections::{BTreeMap, BTreeSet};

use super::super::change::{
    ChangeKind, FileChange, FirstDifference, InputClass, Mark, OutputClass, OutputVerdict, SourceChange,
};
use super::super::pairing::PluginIndex;
use super::super::release::Release;
use super::comparison::Comparison;
use crate::build::file_list::{self, DifferenceClass, FileList};
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::lock::recipe::FIRST;
use crate::lock::{self, Lock, PartContent, Sealed, Sha256, Tool, Tools, input_digest};

impl Comparison<'_> {
    /// The verdict over what was built of a plugin on both sides.
    pub(super) fn output(&mut self, before: PluginIndex, now: PluginIndex) -> Result<()> {
        let (Some(old_lock), Some(new_lock)) = (&self.old.lock, &self.new.lock) else { return Ok(()) };
        let old = LockedPlugin::of(old_lock, before);
        let new = LockedPlugin::of(new_lock, now);
        let (Some(was), Some(is)) = (&old.plugin.sealed, &new.plugin.sealed) else {
            self.outputs.unknown += 1;
            self.unbuilt(&old, &new);
            return Ok(());
        };
        let outputs = outputs(was, is);
        let sources = old.sources(&new);
        let mut inputs = old.inputs(&new, (was, is), &sources);
        if inputs.is_empty() && !outputs.is_empty() && old.digest(was) != new.digest(is) {
            inputs.push(InputClass::Other);
        }
        // Under one version, there is one package.
        let has_other_bytes = was.tgz != is.tgz || was.layer != is.layer;
        let is_same_version = (&old.plugin.name, &old.plugin.version) == (&new.plugin.name, &new.plugin.version);
        let same_version = (has_other_bytes && is_same_version).then(|| new.plugin.version.clone());
        let is_restamped = outputs == [OutputClass::Image] && old.plugin.stamp != new.plugin.stamp;
        let (verdict, mark) = match (inputs.is_empty(), outputs.is_empty()) {
            _ if is_restamped => {
                self.outputs.restamped += 1;
                (OutputVerdict::Restamped, Mark::Same)
            }
            (true, true) => {
                self.outputs.same += 1;
                return Ok(());
            }
            (false, false) => {
                self.outputs.changed += 1;
                (OutputVerdict::Changed, if same_version.is_some() { Mark::Review } else { Mark::Changed })
            }
            (false, true) => {
                self.outputs.without_effect += 1;
                (OutputVerdict::WithoutEffect, Mark::Same)
            }
            (true, false) => {
                self.outputs.unreproducible += 1;
                (OutputVerdict::Unreproducible, Mark::Review)
            }
        };
        let first = if outputs.is_empty() { None } else { self.first_difference(&old, &new, !inputs.is_empty())? };
        let what = ChangeKind::Output {
            verdict,
            inputs,
            sources,
            first,
            same_version,
            tgz: (was.tgz != is.tgz).then_some([was.tgz, is.tgz]),
            image: (was.image != is.image).then_some([was.image, is.image]),
            outputs,
        };
        let (workspace, path) = (new.workspace.name.clone(), new.plugin.path.clone());
        self.add(mark, Some(&workspace), Some(&path), what);
        Ok(())
    }

    /// What changed in the sources of a plugin that is not built in one or both releases.
    fn unbuilt(&mut self, old: &LockedPlugin<'_>, new: &LockedPlugin<'_>) {
        let sources = old.sources(new);
        if sources.is_empty() {
            return;
        }
        let what = ChangeKind::Output {
            verdict: OutputVerdict::Unbuilt,
            inputs: vec![InputClass::Source],
            sources,
            outputs: vec![],
            first: None,
            same_version: None,
            tgz: None,
            image: None,
        };
        let (workspace, path) = (new.workspace.name.clone(), new.plugin.path.clone());
        self.add(Mark::Changed, Some(&workspace), Some(&path), what);
    }

    /// Where the packages differ, from the lists of files beside the locks; they are no pins, so their absence is no loss.
    fn first_difference(
        &self,
        old: &LockedPlugin<'_>,
        new: &LockedPlugin<'_>,
        is_expected: bool,
    ) -> Result<Option<FirstDifference>> {
        let read = |release: &Release, locked: &LockedPlugin<'_>| -> Result<Option<FileList>> {
            let bytes = release.companions.read(&CompanionPath::files(&locked.workspace.name, &locked.plugin.path))?;
            Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| FileList::from_text(&text)))
        };
        let (Some(before), Some(now)) = (read(self.old, old)?, read(self.new, new)?) else { return Ok(None) };
        let closure = self.new.companions.read(&CompanionPath::closure(&new.workspace.name, &new.plugin.path))?;
        let own = closure.map(|bytes| file_list::embedded(&String::from_utf8_lossy(&bytes))).unwrap_or_default();
        let difference = before.difference(&now, &own);
        let class = match difference.class {
            DifferenceClass::Packing => old.packing(new),
            // That it changed with what it was made from is no fault of it.
            DifferenceClass::Dependency if is_expected => "a dependency".to_owned(),
            DifferenceClass::Embedded if is_expected => "an embedded package".to_owned(),
            class => class.to_string(),
        };
        Ok(Some(FirstDifference { file: difference.file.clone(), class, count: difference.count }))
    }
}

/// A plugin where it stands in its lock.
struct LockedPlugin<'a> {
    lock: &'a Lock,
    workspace: &'a lock::Workspace,
    plugin: &'a lock::Plugin,
}

impl<'a> LockedPlugin<'a> {
    fn of(lock: &'a Lock, (w, p): PluginIndex) -> Self {
        let workspace = &lock.workspace[w];
        Self { lock, workspace, plugin: &workspace.plugin[p] }
    }

    /// The digest that the build itself compares.
    fn digest(&self, sealed: &Sealed) -> Sha256 {
        input_digest::digest(self.lock, self.workspace, self.plugin, sealed.closure)
    }

    /// The kinds of inputs that differ.
    fn inputs(&self, new: &Self, (was, is): (&Sealed, &Sealed), sources: &[SourceChange]) -> Vec<InputClass> {
        let (before, now) = (&self.workspace.source, &new.workspace.source);
        let mut classes = Vec::new();
        let mut differ = |differs: bool, class| {
            if differs {
                classes.push(class);
            }
        };
        let tools = (self.lock.tools_of(self.workspace), new.lock.tools_of(new.workspace));
        differ(!same_pins(tools.0, tools.1), InputClass::Tools);
        let recipes = (self.workspace.recipe, new.workspace.recipe);
        differ(recipes.0 != recipes.1, InputClass::Recipe);
        // By later recipes, what counts of a repository is what the plugin is built from.
        let by_commit = recipes == (FIRST, FIRST);
        let is_elsewhere = before.path != now.path;
        let is_other_commit = by_commit && (&before.repo, &before.commit) != (&now.repo, &now.commit);
        differ(is_elsewhere || is_other_commit || (!by_commit && !sources.is_empty()), InputClass::Source);
        differ(
            (&before.yarn.version, &before.yarn.integrity) != (&now.yarn.version, &now.yarn.integrity),
            InputClass::Yarn,
        );
        differ(by_commit && self.workspace.input != new.workspace.input, InputClass::Files);
        differ(self.plugin.path != new.plugin.path, InputClass::Path);
        differ(self.plugin.args != new.plugin.args, InputClass::Arguments);
        differ(was.closure != is.closure, InputClass::Dependencies);
        let scalprum = |side: &Self| input_digest::scalprum(side.workspace, side.plugin);
        differ(!by_commit && scalprum(self) != scalprum(new), InputClass::Files);
        // The folder of the sources is in the output.
        differ(was.root != is.root, InputClass::Other);
        classes
    }
}

impl LockedPlugin<'_> {
    /// What of the repository became another; nothing where one of the locks does not say it.
    fn sources(&self, new: &Self) -> Vec<SourceChange> {
        fn known<'p>(side: &LockedPlugin<'p>) -> BTreeMap<&'p str, &'p PartContent> {
            side.plugin.sources.iter().map(|part| (part.path.as_str(), &part.content)).collect()
        }
        let (olds, news) = (known(self), known(new));
        if olds.is_empty() || news.is_empty() {
            return vec![];
        }
        let paths: BTreeSet<&str> = olds.keys().chain(news.keys()).copied().collect();
        let change = |path| match (olds.get(path), news.get(path)) {
            (None, _) => Some(FileChange::Added),
            (_, None) => Some(FileChange::Removed),
            (old, new) => (old != new).then_some(FileChange::Changed),
        };
        let changed = paths.into_iter().filter_map(|path| Some((path.to_owned(), change(path)?)));
        changed.map(|(path, change)| SourceChange { path, change }).collect()
    }

    /// Why archives of equal files differ.
    fn packing(&self, new: &Self) -> String {
        let times = (self.workspace.time(), new.workspace.time());
        if times.0 != times.1 {
            return "the files are equal: only the times in the archive differ, which the first recipe takes from the commit"
                .to_owned();
        }
        format!("{}, which is a defect of factory", DifferenceClass::Packing)
    }
}

/// True for the same tools, whatever was asked for.
fn same_pins(old: &Tools, new: &Tools) -> bool {
    let tool = |old: &Tool, new: &Tool| (&old.version, old.integrity) == (&new.version, new.integrity);
    (&old.node.version, &old.node.integrity) == (&new.node.version, &new.node.integrity)
        && tool(&old.npm, &new.npm)
        && (&old.rhdh_cli.version, old.rhdh_cli.integrity, old.rhdh_cli.tree)
            == (&new.rhdh_cli.version, new.rhdh_cli.integrity, new.rhdh_cli.tree)
}

fn outputs(was: &Sealed, is: &Sealed) -> Vec<OutputClass> {
    let mut classes = Vec::new();
    for (differs, class) in [
        (was.tgz != is.tgz, OutputClass::Tgz),
        (was.layer != is.layer, OutputClass::Layer),
        (was.image != is.image, OutputClass::Image),
    ] {
        if differs {
            classes.push(class);
        }
    }
    classes
}
