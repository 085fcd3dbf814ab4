//! The changes of one plugin: where it is, its version, its arguments, its dependencies, and the verdict over its output.

use super::super::change::{
    ArgumentsOrigin, ChangeKind, Evidence, ExplainedArgument, FirstDifference, InputClass, Mark, OutputClass,
    OutputVerdict, Tie,
};
use super::super::closure;
use super::super::companions::{closure_path, files_path};
use super::super::host::tie_of;
use super::super::moves::PluginIndex;
use super::super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use super::super::step::{VersionStep, is_back};
use super::Comparison;
use crate::build::seal::{self, FileList};
use crate::error::Result;
use crate::lock::inputs;
use crate::lock::{Argument, Lock, Sealed, Tool, Tools};

impl Comparison<'_> {
    pub(super) fn plugin_new(&mut self, workspace: &str, plugin: &ReleasePlugin) {
        let mut arguments = plugin.arguments.clone();
        for argument in &mut arguments {
            argument.because = self.cause(&argument.argument, true);
        }
        let what =
            ChangeKind::PluginAdded { package: plugin.package.clone(), version: plugin.version.clone(), arguments };
        self.add(Mark::Added, Some(workspace), Some(&plugin.path), what);
    }

    pub(super) fn plugin_gone(&mut self, workspace: &str, plugin: &ReleasePlugin) {
        let what = ChangeKind::PluginRemoved { package: plugin.package.clone(), version: plugin.version.clone() };
        self.add(Mark::Removed, Some(workspace), Some(&plugin.path), what);
    }

    pub(super) fn plugin_kept(
        &mut self,
        before: PluginIndex,
        now: PluginIndex,
        evidence: Option<Evidence>,
    ) -> Result<()> {
        let (old_workspace, workspace) = (&self.old.workspaces[before.0], &self.new.workspaces[now.0]);
        let (old, new) = (&old_workspace.plugins[before.1], &workspace.plugins[now.1]);
        let at = (Some(workspace.name.as_str()), Some(new.path.as_str()));
        if let Some(evidence) = evidence {
            let what = ChangeKind::PluginMoved { from: old_workspace.place(old), to: workspace.place(new), evidence };
            self.add(Mark::Same, at.0, at.1, what);
        }
        if let (Some(from), Some(to)) = (&old.package, &new.package)
            && from != to
        {
            let what = ChangeKind::PluginPackage { from: from.clone(), to: to.clone() };
            self.add(Mark::Review, at.0, at.1, what);
        }
        if let (Some(from), Some(to)) = (&old.version, &new.version)
            && from != to
        {
            let step = VersionStep::between(from, to);
            let mark = if step == VersionStep::Major || is_back(from, to) { Mark::Review } else { Mark::Changed };
            self.add(mark, at.0, at.1, ChangeKind::PluginVersion { from: from.clone(), to: to.clone(), step });
        }
        if let (Some(from), Some(to)) = (old.role, new.role)
            && from != to
        {
            self.add(Mark::Review, at.0, at.1, ChangeKind::PluginRole { from, to });
        }
        self.arguments(&workspace.name, old, new);
        self.dependencies((old_workspace, old), (workspace, new))?;
        self.output(before, now)
    }

    fn arguments(&mut self, workspace: &str, old: &ReleasePlugin, new: &ReleasePlugin) {
        let has = |plugin: &ReleasePlugin, wanted: &ExplainedArgument| {
            plugin.arguments.iter().any(|argument| argument.argument == wanted.argument)
        };
        let with_cause = |argument: &ExplainedArgument, is_new| ExplainedArgument {
            because: self.cause(&argument.argument, is_new),
            ..argument.clone()
        };
        let added: Vec<ExplainedArgument> =
            new.arguments.iter().filter(|argument| !has(old, argument)).map(|a| with_cause(a, true)).collect();
        let removed: Vec<ExplainedArgument> =
            old.arguments.iter().filter(|argument| !has(new, argument)).map(|a| with_cause(a, false)).collect();
        let texts = |plugin: &ReleasePlugin| plugin.arguments.iter().map(|a| a.argument.clone()).collect::<Vec<_>>();
        let reordered = added.is_empty() && removed.is_empty() && texts(old) != texts(new);
        let origin = ArgumentsOrigin { from: old.origin, to: new.origin };
        if added.is_empty() && removed.is_empty() && !reordered && origin.from == origin.to {
            return;
        }
        let what = ChangeKind::Arguments { added, removed, reordered, origin };
        self.add(Mark::Changed, Some(workspace), Some(&new.path), what);
    }

    /// What made an argument come or go, as far as the two hosts' lockfiles show it.
    fn cause(&self, argument: &Argument, is_new: bool) -> Option<String> {
        let (tie, package) = tie_of(argument)?;
        let hosts = self.hosts?;
        let (had, has) = (hosts.old.has(package), hosts.new.has(package));
        let label = &hosts.new.label;
        match (tie, is_new, had, has) {
            (Tie::Embeds, true, true, false) | (Tie::Shares, false, true, false) => {
                Some(format!("{label} no longer provides it"))
            }
            (Tie::Embeds, false, false, true) | (Tie::Shares, true, false, true) => {
                Some(format!("{label} now provides it"))
            }
            _ => None,
        }
    }

    fn dependencies(
        &mut self,
        old: (&ReleaseWorkspace, &ReleasePlugin),
        new: (&ReleaseWorkspace, &ReleasePlugin),
    ) -> Result<()> {
        let digest = |plugin: &ReleasePlugin| plugin.sealed.as_ref().and_then(|sealed| sealed.closure);
        let (Some(from), Some(to)) = (digest(old.1), digest(new.1)) else { return Ok(()) };
        if from == to {
            return Ok(());
        }
        let before = self.closure(false, old.0, old.1)?;
        let now = self.closure(true, new.0, new.1)?;
        let (Some(before), Some(now)) = (before, now) else { return Ok(()) };
        let packages = closure::changes(&before.packages, &now.packages);
        if !packages.is_empty() {
            let what = ChangeKind::Dependencies { packages };
            self.add(Mark::Changed, Some(&new.0.name), Some(&new.1.path), what);
        }
        Ok(())
    }

    fn output(&mut self, before: PluginIndex, now: PluginIndex) -> Result<()> {
        let (Some(old_lock), Some(new_lock)) = (&self.old.lock, &self.new.lock) else { return Ok(()) };
        let old = LockedPlugin::of(old_lock, before);
        let new = LockedPlugin::of(new_lock, now);
        let (Some(was), Some(is)) = (&old.plugin.sealed, &new.plugin.sealed) else {
            self.outputs.unknown += 1;
            return Ok(());
        };
        let outputs = outputs(was, is);
        let mut inputs = old.inputs(&new, was, is);
        if inputs.is_empty() && !outputs.is_empty() && old.digest(was) != new.digest(is) {
            inputs.push(InputClass::Other);
        }
        let (verdict, mark) = match (inputs.is_empty(), outputs.is_empty()) {
            (true, true) => {
                self.outputs.same += 1;
                return Ok(());
            }
            (false, false) => {
                self.outputs.changed += 1;
                (OutputVerdict::Changed, Mark::Changed)
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
        let first = if outputs.is_empty() { None } else { self.first_difference(&old, &new)? };
        let what = ChangeKind::Output {
            verdict,
            inputs,
            first,
            tgz: (was.tgz != is.tgz).then_some([was.tgz, is.tgz]),
            image: (was.image != is.image).then_some([was.image, is.image]),
            outputs,
        };
        let (workspace, path) = (new.workspace.name.clone(), new.plugin.path.clone());
        self.add(mark, Some(&workspace), Some(&path), what);
        Ok(())
    }

    /// Where the packages differ, from the lists of files beside the locks; they are no pins, so their absence is no loss.
    fn first_difference(&self, old: &LockedPlugin<'_>, new: &LockedPlugin<'_>) -> Result<Option<FirstDifference>> {
        let read = |release: &Release, locked: &LockedPlugin<'_>| -> Result<Option<FileList>> {
            let bytes = release.companions.read(&files_path(&locked.workspace.name, &locked.plugin.path))?;
            Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| FileList::from_text(&text)))
        };
        let (Some(before), Some(now)) = (read(self.old, old)?, read(self.new, new)?) else { return Ok(None) };
        let closure = self.new.companions.read(&closure_path(&new.workspace.name, &new.plugin.path))?;
        let own = closure.map(|bytes| seal::embedded(&String::from_utf8_lossy(&bytes))).unwrap_or_default();
        let difference = before.difference(&now, &own);
        Ok(Some(FirstDifference {
            file: difference.file.clone(),
            class: difference.class.to_string(),
            count: difference.count,
        }))
    }
}

/// A plugin where it stands in its lock.
struct LockedPlugin<'a> {
    lock: &'a Lock,
    workspace: &'a crate::lock::Workspace,
    plugin: &'a crate::lock::Plugin,
}

impl<'a> LockedPlugin<'a> {
    fn of(lock: &'a Lock, (w, p): PluginIndex) -> Self {
        let workspace = &lock.workspace[w];
        Self { lock, workspace, plugin: &workspace.plugin[p] }
    }

    /// The digest that the build itself compares.
    fn digest(&self, sealed: &Sealed) -> crate::lock::Sha256 {
        inputs::digest(self.lock, self.workspace, self.plugin, sealed.closure)
    }

    /// The kinds of inputs that differ.
    fn inputs(&self, new: &Self, was: &Sealed, is: &Sealed) -> Vec<InputClass> {
        let (before, now) = (&self.workspace.source, &new.workspace.source);
        let mut classes = Vec::new();
        let mut differ = |differs: bool, class| {
            if differs {
                classes.push(class);
            }
        };
        let tools = (self.lock.tools_of(self.workspace), new.lock.tools_of(new.workspace));
        differ(!same_pins(tools.0, tools.1), InputClass::Tools);
        differ((&before.repo, &before.commit, &before.path) != (&now.repo, &now.commit, &now.path), InputClass::Source);
        differ(
            (&before.yarn.version, &before.yarn.integrity) != (&now.yarn.version, &now.yarn.integrity),
            InputClass::Yarn,
        );
        differ(self.workspace.input != new.workspace.input, InputClass::Files);
        differ(self.plugin.path != new.plugin.path, InputClass::Path);
        differ(self.plugin.args != new.plugin.args, InputClass::Arguments);
        differ(was.closure != is.closure, InputClass::Dependencies);
        // The folder of the sources is in the output.
        differ(was.root != is.root, InputClass::Other);
        classes
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
