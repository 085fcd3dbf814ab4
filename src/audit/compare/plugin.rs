//! The changes of one plugin: where it is, its version, its arguments and its dependencies.

use super::super::change::{ArgumentsOrigin, ChangeKind, Evidence, ExplainedArgument, Mark, Tie};
use super::super::closure;
use super::super::host::tie_of;
use super::super::pairing::PluginIndex;
use super::super::release::{ReleasePlugin, ReleaseWorkspace};
use super::super::version_step::{VersionStep, is_back};
use super::comparison::Comparison;
use crate::error::Result;
use crate::lock::Argument;

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
        let (Some(was), Some(is)) = (&old.1.sealed, &new.1.sealed) else { return Ok(()) };
        let (from, to) = match (was.closure.or(was.bundle), is.closure.or(is.bundle)) {
            (Some(from), Some(to)) => (from, to),
            // Sealed by an earlier version.
            (None, Some(_)) if is.bundle.is_some() => {
                self.is_opaque(false, old.0, old.1);
                return Ok(());
            }
            (Some(_), None) if was.bundle.is_some() => {
                self.is_opaque(true, new.0, new.1);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if from == to {
            return Ok(());
        }
        let before = self.closure(false, old.0, old.1)?;
        let now = self.closure(true, new.0, new.1)?;
        let (Some(before), Some(now)) = (before, now) else { return Ok(()) };
        let packages = closure::moves(&before, &now);
        if !packages.is_empty() {
            let what = ChangeKind::Dependencies { packages };
            self.add(Mark::Changed, Some(&new.0.name), Some(&new.1.path), what);
        }
        Ok(())
    }
}
