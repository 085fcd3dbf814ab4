//! The packages that plugins share with the host.

use std::collections::BTreeSet;

use super::super::change::{ChangeKind, Mark, PackageMove, Tie};
use super::super::closure::PluginClosure;
use super::super::diff::Form;
use super::super::host::{Ties, tie_of};
use super::super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use super::super::version_step::VersionStep;
use super::comparison::Comparison;
use crate::error::Result;
use crate::ui::count;

impl Comparison<'_> {
    /// Shared packages of the host, with the plugins that are known to depend on them.
    pub(super) fn host(&mut self) -> Result<()> {
        let Some(hosts) = self.hosts else {
            let lockfile = |release: &Release| release.rhdh.as_ref().map(|rhdh| rhdh.lockfile);
            if let (Some(old), Some(new)) = (lockfile(self.old), lockfile(self.new))
                && old != new
            {
                self.notes.push(
                    "packages shared with the host: the cache does not have the yarn.lock of both RHDH releases; pass \
                     them with `--old-host` and `--new-host`"
                        .into(),
                );
            }
            return Ok(());
        };
        let mut ties = Vec::new();
        let mut unknown = 0;
        for workspace in &self.new.workspaces {
            for plugin in &workspace.plugins {
                let closure = self.closure(true, workspace, plugin)?;
                unknown += usize::from(closure.is_none());
                ties.push(ties_of(workspace, plugin, closure.as_ref()));
            }
        }
        let found = hosts.changes(&ties);
        for (package, affects) in &found.changes {
            let mark = match (package.change, package.step) {
                (PackageMove::Removed, _) | (_, Some(VersionStep::Major)) => Mark::Review,
                (PackageMove::Added, _) => Mark::Added,
                _ => Mark::Changed,
            };
            let what = ChangeKind::HostPackage { package: package.clone(), affects: affects.clone() };
            self.add(mark, None, None, what);
        }
        if unknown > 0 && !found.changes.is_empty() {
            self.notes.push(self.unknown_ties(unknown));
        }
        self.host = Some(found);
        Ok(())
    }

    /// Why the plugins that a host package affects are not all known.
    fn unknown_ties(&self, unknown: usize) -> String {
        match self.new.form {
            Form::Configuration => "a configuration does not record which host packages a plugin uses: only plugins \
                                    whose arguments name the package are listed as affected"
                .into(),
            Form::Lock => format!(
                "the host packages that a plugin uses are recorded in the closure of a built backend: {unknown} of {} \
                 have none, so the lists of affected plugins are incomplete",
                count(self.new.plugins(), "plugin")
            ),
        }
    }
}

fn ties_of(workspace: &ReleaseWorkspace, plugin: &ReleasePlugin, closure: Option<&PluginClosure>) -> Ties {
    let mut ties = Ties {
        place: workspace.place(plugin),
        shares: closure.map(|closure| closure.shares.clone()).unwrap_or_default(),
        embeds: BTreeSet::new(),
    };
    for (tie, package) in plugin.arguments.iter().filter_map(|argument| tie_of(&argument.argument)) {
        match tie {
            Tie::Shares => ties.shares.insert(package.to_owned()),
            Tie::Embeds => ties.embeds.insert(package.to_owned()),
        };
    }
    ties
}
