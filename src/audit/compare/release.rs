//! What concerns all workspaces: the RHDH release, Backstage, the tools and rhdh-cli's tree.

use std::path::Path;

use super::super::change::{ChangeKind, Mark, Pin, RhdhRelease};
use super::super::closure::{self, PackageVersions};
use super::super::version_step::{VersionStep, is_back};
use super::comparison::Comparison;
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::lock::{Rhdh, Sha256};

impl Comparison<'_> {
    /// What concerns all workspaces: the host, Backstage, the tools and rhdh-cli's tree.
    pub(super) fn release(&mut self) -> Result<()> {
        let (old, new) = (self.old, self.new);
        if old.rhdh != new.rhdh {
            let host = |rhdh: &Rhdh| RhdhRelease {
                requested: rhdh.requested.clone(),
                version: rhdh.version.clone(),
                commit: rhdh.commit.clone(),
                lockfile: rhdh.lockfile,
            };
            let what = ChangeKind::Host { from: old.rhdh.as_ref().map(host), to: new.rhdh.as_ref().map(host) };
            self.add(Mark::Changed, None, None, what);
        }
        self.backstage(None, old.backstage.as_ref(), new.backstage.as_ref());
        self.tools(None, &old.tools, &new.tools);
        self.cli_tree()
    }

    pub(super) fn backstage(&mut self, workspace: Option<&str>, from: Option<&String>, to: Option<&String>) {
        if from == to {
            return;
        }
        let step = from.zip(to).map(|(from, to)| VersionStep::between(from, to));
        let mark = if step == Some(VersionStep::Major) { Mark::Review } else { Mark::Changed };
        self.add(mark, workspace, None, ChangeKind::Backstage { from: from.cloned(), to: to.cloned(), step });
    }

    pub(super) fn tools(&mut self, workspace: Option<&str>, old: &[(&'static str, Pin)], new: &[(&'static str, Pin)]) {
        let find =
            |pins: &[(&str, Pin)], tool: &str| pins.iter().find(|(name, _)| *name == tool).map(|(_, pin)| pin.clone());
        let mut names: Vec<&str> = old.iter().map(|(name, _)| *name).collect();
        names.extend(new.iter().map(|(name, _)| *name).filter(|name| find(old, name).is_none()));
        for tool in names {
            let (from, to) = (find(old, tool), find(new, tool));
            if from == to {
                continue;
            }
            let step = from.as_ref().zip(to.as_ref()).filter(|(from, to)| from.version != to.version);
            let back = step.is_some_and(|(from, to)| is_back(&from.version, &to.version));
            let step = step.map(|(from, to)| VersionStep::between(&from.version, &to.version));
            let mark = match (&from, &to) {
                (None, _) => Mark::Added,
                (_, None) => Mark::Removed,
                _ if step == Some(VersionStep::Major) || back => Mark::Review,
                _ => Mark::Changed,
            };
            self.add(mark, workspace, None, ChangeKind::Tool { tool: tool.to_owned(), from, to, step });
        }
    }

    /// The packages in rhdh-cli's own tree.
    fn cli_tree(&mut self) -> Result<()> {
        let (Some(old), Some(new)) = (&self.old.lock, &self.new.lock) else { return Ok(()) };
        let (old, new) = (&old.tools.rhdh_cli, &new.tools.rhdh_cli);
        if old.tree == new.tree {
            return Ok(());
        }
        let mut read = |is_new: bool, version: &str, tree: Sha256| -> Result<Option<PackageVersions>> {
            let path = CompanionPath::cli_tree(version);
            let bytes = self.companion(is_new, &path, tree)?;
            bytes.map(|bytes| closure::of_package_lock(&bytes, Path::new(path.as_str()))).transpose()
        };
        let (old, new) = (read(false, &old.version, old.tree)?, read(true, &new.version, new.tree)?);
        if let (Some(old), Some(new)) = (old, new) {
            let packages = closure::changes(&old, &new);
            if !packages.is_empty() {
                self.add(Mark::Changed, None, None, ChangeKind::ToolPackages { tool: "rhdh-cli".into(), packages });
            }
        }
        Ok(())
    }
}
