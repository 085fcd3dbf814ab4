//! Two releases → one list of changes.

mod plugin;
mod workspace;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::change::{
    Change, ChangeKind, Counts, Diff, Form, Mark, Outputs, PackageMove, Pin, RhdhRelease, Side, Summary, Tie, VERSION,
};
use super::closure::{self, PackageVersions, PluginClosure};
use super::companions::{Unusable, cli_tree_path, closure_path};
use super::host::{HostChanges, Hosts, Ties, tie_of};
use super::moves::{self, Pairs};
use super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use super::step::{VersionStep, is_back};
use crate::error::{Error, Result};
use crate::lock::{Rhdh, Sha256};
use crate::ui::count;

/// Compares two releases. `hosts` are the lockfiles of the two RHDH releases, when they are at hand.
pub fn compare(old: &Release, new: &Release, hosts: Option<&Hosts>) -> Result<Diff> {
    if old.form != new.form {
        return Err(Error::usage(
            format!("`{}` and `{}` are a lock and a configuration, which cannot be compared", old.name, new.name),
            "name two locks, or two configuration folders",
        ));
    }
    let mut comparison = Comparison::new(old, new, hosts);
    comparison.release()?;
    comparison.host()?;
    comparison.workspaces()?;
    Ok(comparison.finish())
}

/// What is under way.
struct Comparison<'a> {
    old: &'a Release,
    new: &'a Release,
    hosts: Option<&'a Hosts>,
    pairs: Pairs,
    changes: Vec<Change>,
    outputs: Outputs,
    host: Option<HostChanges>,
    notes: Vec<String>,
    /// Companions that could not be used: per side and reason, which.
    unusable: BTreeMap<(bool, Unusable), Vec<String>>,
    /// Names of workspaces that cannot be read on one of the sides.
    broken: HashSet<&'a str>,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a Release, new: &'a Release, hosts: Option<&'a Hosts>) -> Self {
        let broken = old.broken.iter().chain(&new.broken).map(|(name, _)| name.as_str()).collect();
        Self {
            old,
            new,
            hosts,
            pairs: Pairs::of(old, new),
            changes: Vec::new(),
            outputs: Outputs::default(),
            host: None,
            notes: Vec::new(),
            unusable: BTreeMap::new(),
            broken,
        }
    }

    fn add(&mut self, mark: Mark, workspace: Option<&str>, plugin: Option<&str>, what: ChangeKind) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.changes.push(Change { mark, workspace: owned(workspace), plugin: owned(plugin), what });
    }

    /// What concerns all workspaces: the host, Backstage, the tools and rhdh-cli's tree.
    fn release(&mut self) -> Result<()> {
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

    fn backstage(&mut self, workspace: Option<&str>, from: Option<&String>, to: Option<&String>) {
        if from == to {
            return;
        }
        let step = from.zip(to).map(|(from, to)| VersionStep::between(from, to));
        let mark = if step == Some(VersionStep::Major) { Mark::Review } else { Mark::Changed };
        self.add(mark, workspace, None, ChangeKind::Backstage { from: from.cloned(), to: to.cloned(), step });
    }

    fn tools(&mut self, workspace: Option<&str>, old: &[(&'static str, Pin)], new: &[(&'static str, Pin)]) {
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

    fn cli_tree(&mut self) -> Result<()> {
        let (Some(old), Some(new)) = (&self.old.lock, &self.new.lock) else { return Ok(()) };
        let (old, new) = (&old.tools.rhdh_cli, &new.tools.rhdh_cli);
        if old.tree == new.tree {
            return Ok(());
        }
        let mut read = |is_new: bool, version: &str, tree: Sha256| -> Result<Option<PackageVersions>> {
            let path = cli_tree_path(version);
            let bytes = self.companion(is_new, &path, tree)?;
            bytes.map(|bytes| closure::of_package_lock(&bytes, Path::new(&path))).transpose()
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

    /// Shared packages of the host, with the plugins that are known to depend on them.
    fn host(&mut self) -> Result<()> {
        let Some(hosts) = self.hosts else {
            let lockfile = |release: &Release| release.rhdh.as_ref().map(|rhdh| rhdh.lockfile);
            if let (Some(old), Some(new)) = (lockfile(self.old), lockfile(self.new))
                && old != new
            {
                self.notes.push(
                    "the packages that plugins share with the host: the cache has not both yarn.lock of RHDH; give them \
                     with `--old-host` and `--new-host`"
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
        if unknown > 0 && !found.changes.is_empty() && self.new.form == Form::Configuration {
            self.notes.push(
                "what a plugin takes from the host, which no configuration says: of the plugins that a host package affects, \
                 those are named whose arguments name it"
                    .into(),
            );
        } else if unknown > 0 && !found.changes.is_empty() {
            let total = self.new.plugins();
            self.notes.push(format!(
                "what a plugin takes from the host stands in the closure of a built backend: {unknown} of {} have none, \
                 so the plugins that a host package affects are not all known",
                count(total, "plugin")
            ));
        }
        self.host = Some(found);
        Ok(())
    }

    /// A file beside the lock; what cannot be used is noted.
    fn companion(&mut self, is_new: bool, path: &str, digest: Sha256) -> Result<Option<Vec<u8>>> {
        let release = if is_new { self.new } else { self.old };
        match release.companions.held(path, digest)? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) => {
                let known = self.unusable.entry((is_new, why)).or_default();
                if !known.iter().any(|known| known == path) {
                    known.push(path.to_owned());
                }
                Ok(None)
            }
        }
    }

    fn closure(
        &mut self,
        is_new: bool,
        workspace: &ReleaseWorkspace,
        plugin: &ReleasePlugin,
    ) -> Result<Option<PluginClosure>> {
        let Some(digest) = plugin.sealed.as_ref().and_then(|sealed| sealed.closure) else { return Ok(None) };
        let path = closure_path(&workspace.name, &plugin.path);
        let bytes = self.companion(is_new, &path, digest)?;
        bytes.map(|bytes| PluginClosure::read(&bytes, Path::new(&path))).transpose()
    }

    fn finish(mut self) -> Diff {
        let summary = self.summary();
        for ((is_new, why), paths) in &self.unusable {
            let side = if *is_new { &self.new.name } else { &self.old.name };
            let what = match why {
                Unusable::Missing => format!("not there beside `{side}`"),
                Unusable::Other => format!("beside `{side}` with another digest than the lock names"),
            };
            let (first, more) = (&paths[0], paths.len() - 1);
            let files = if more == 0 { format!("`{first}` is") } else { format!("`{first}` and {more} more are") };
            let theirs = if more == 0 { "its" } else { "their" };
            self.notes.push(format!("{files} {what}, so {theirs} packages are not compared"));
        }
        for (release, (name, why)) in [self.old, self.new]
            .into_iter()
            .flat_map(|release| release.broken.iter().map(move |broken| (release, broken)))
        {
            self.notes.push(format!("`{name}` of `{}` cannot be read and is not compared: {why}", release.name));
        }
        let side = |release: &Release| Side { name: release.name.clone(), form: release.form, identity: None };
        Diff {
            version: VERSION,
            old: side(self.old),
            new: side(self.new),
            summary,
            changes: self.changes,
            notes: self.notes,
        }
    }

    fn summary(&mut self) -> Summary {
        let changed: HashSet<&str> = self.changes.iter().filter_map(|change| change.workspace.as_deref()).collect();
        let plugins: HashSet<(&str, &str)> = self
            .changes
            .iter()
            .filter_map(|change| Some((change.workspace.as_deref()?, change.plugin.as_deref()?)))
            .collect();
        let names = |release: &'a Release| -> BTreeSet<&'a str> {
            release
                .workspaces
                .iter()
                .map(|workspace| workspace.name.as_str())
                .filter(|name| !self.broken.contains(name))
                .collect()
        };
        let (old_names, new_names) = (names(self.old), names(self.new));
        let (old_keys, new_keys) = (moves::keys(self.old), moves::keys(self.new));
        let is_broken = |key: &&(&str, &str)| !self.broken.contains(key.0);
        let mut other_commit = 0;
        for (&now, &(before, _)) in &self.pairs.workspaces {
            let (now, before) = (&self.new.workspaces[now], &self.old.workspaces[before]);
            let other = match self.new.form {
                Form::Lock => now.commit != before.commit,
                Form::Configuration => now.requested != before.requested,
            };
            other_commit += usize::from(other && now.name == before.name);
        }
        let moved = |evidence: bool| usize::from(evidence);
        Summary {
            workspaces: Counts {
                removed: old_names.difference(&new_names).count(),
                added: new_names.difference(&old_names).count(),
                kept: old_names.intersection(&new_names).count(),
                unchanged: old_names.intersection(&new_names).filter(|name| !changed.contains(*name)).count(),
                moved: self
                    .pairs
                    .workspaces
                    .iter()
                    .map(|(now, (before, _))| {
                        moved(self.new.workspaces[*now].name != self.old.workspaces[*before].name)
                    })
                    .sum(),
            },
            other_commit,
            plugins: Counts {
                removed: old_keys.difference(&new_keys).filter(is_broken).count(),
                added: new_keys.difference(&old_keys).filter(is_broken).count(),
                kept: old_keys.intersection(&new_keys).filter(is_broken).count(),
                unchanged: old_keys
                    .intersection(&new_keys)
                    .filter(is_broken)
                    .filter(|key| !plugins.contains(*key))
                    .count(),
                moved: self.pairs.plugins.values().map(|(_, evidence)| moved(evidence.is_some())).sum(),
            },
            outputs: self.outputs.clone(),
            host: self.host.as_ref().map(|host| host.counts.clone()),
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
