//! What is in the plugins of a release, before it becomes a document.

use std::collections::BTreeSet;

use super::super::build_only;
use super::super::companions::{Companions, read_bundle};
use super::graph::{BillGraph, BillPackage};
use super::stamp::time;
use crate::error::{Error, Result};
use crate::lock::cli_behaviour::added_argument;
use crate::lock::companions::CompanionPath;
use crate::lock::input_digest;
use crate::lock::{self, Argument, Lock, Sha256};

/// What is in a release, or in the part of it that was asked for.
#[derive(Clone, Debug)]
pub struct Bill<'a> {
    /// The lock.
    pub lock: &'a Lock,
    /// The identity of the release.
    pub identity: Sha256,
    /// False for what is about one plugin alone, of which the rest of the release says nothing.
    pub is_release: bool,
    /// The plugins.
    pub plugins: Vec<PluginBill<'a>>,
    /// What could not be told.
    pub warnings: Vec<String>,
}

/// What is in a plugin.
#[derive(Clone, Debug)]
pub struct PluginBill<'a> {
    /// Its workspace.
    pub workspace: &'a lock::Workspace,
    /// The plugin.
    pub plugin: &'a lock::Plugin,
    /// Where it comes from.
    pub origin: PluginOrigin<'a>,
    /// What its export is given besides its own arguments.
    pub added: Option<Argument>,
    /// Its private dependencies, or the packages in a frontend's bundles; none where they are not known.
    pub packages: Option<Vec<BillPackage>>,
    /// Parts of a frontend of which it is not known what is in them: the file, and why.
    pub unknown: Vec<String>,
    /// Those it depends on itself.
    pub direct: BTreeSet<usize>,
}

/// Where a plugin comes from. In a release it is what the lock has of its workspace; a plugin alone comes from where its
/// image says, so that what is said of it stays the same as long as the image does.
#[derive(Clone, Copy, Debug)]
pub struct PluginOrigin<'a> {
    /// The repository; none for a local tree, and for one that means nothing elsewhere where that is known.
    pub repo: Option<&'a str>,
    /// The commit; none for a local tree.
    pub commit: Option<&'a str>,
    /// Its committer time in seconds since 1970.
    pub epoch: u64,
}

/// Reads what is in the named workspaces of a lock; all of them when none is named.
pub fn bill<'a>(lock: &'a Lock, companions: &Companions, names: &[String]) -> Result<Bill<'a>> {
    if let Some(unknown) = names.iter().find(|name| !lock.workspace.iter().any(|known| known.name == **name)) {
        let known: Vec<_> = lock.workspace.iter().map(|workspace| workspace.name.as_str()).collect();
        return Err(Error::usage(
            format!("workspace `{}` not found in the lock", unknown.escape_debug()),
            format!("the workspaces are: {}", known.join(", ")),
        ));
    }
    let mut bill = Bill::of(lock, Vec::new());
    for workspace in lock.workspace.iter().filter(|known| names.is_empty() || names.contains(&known.name)) {
        for plugin in &workspace.plugin {
            let plugin = plugin_bill(lock, workspace, plugin, companions)?;
            if let Some(first) = plugin.unknown.first() {
                let more = match plugin.unknown.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let of = format!("`{} {}`", workspace.name, plugin.plugin.path);
                bill.warnings.push(format!("{of} may have more packages than are known, in `{first}`{more}"));
            }
            if plugin.packages.is_none() && plugin.plugin.role.is_backend() {
                bill.warnings.push(format!(
                    "`{} {}` has not been built, so its dependencies are not known",
                    workspace.name, plugin.plugin.path
                ));
            }
            bill.plugins.push(plugin);
        }
    }
    Ok(bill)
}

/// Reads what is in one plugin, the `index`th of its workspace.
pub fn bill_of<'a>(
    lock: &'a Lock,
    companions: &Companions,
    workspace: &'a lock::Workspace,
    index: usize,
) -> Result<Bill<'a>> {
    Ok(Bill::of(lock, vec![plugin_bill(lock, workspace, &workspace.plugin[index], companions)?]).of_plugin(0))
}

impl<'a> PluginOrigin<'a> {
    fn of(source: &'a lock::Source) -> Self {
        let repo = Some(source.repo.as_str()).filter(|_| !source.local);
        Self { repo, commit: source.commit.as_deref(), epoch: source.epoch }
    }

    /// The source as SPDX and in-toto write it: `git+https://host/a/b@<commit>`; none for a local or unpublished one.
    pub(super) fn uri(&self) -> Option<String> {
        let (repo, commit) = self.repo.zip(self.commit)?;
        let (scheme, rest) = repo.split_once("://")?;
        let public = matches!(scheme, "https" | "http" | "ssh" | "git");
        (public && !rest.contains(char::is_whitespace)).then(|| format!("git+{repo}@{commit}"))
    }
}

impl<'a> PluginBill<'a> {
    /// The arguments of its export.
    pub fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.plugin.args.iter().chain(&self.added)
    }

    /// What its image says of where it comes from; none where it says what the lock has.
    fn stamp(&self) -> Option<&'a lock::Stamp> {
        let sealed = self.plugin.sealed.as_ref()?;
        self.plugin.stamp.as_ref().filter(|stamp| stamp.layer == sealed.layer)
    }

    /// The input digest that its image says.
    pub(super) fn inputs(&self, lock: &Lock) -> Sha256 {
        let closure = self.plugin.sealed.as_ref().and_then(|sealed| sealed.closure);
        self.stamp()
            .map_or_else(|| input_digest::digest(lock, self.workspace, self.plugin, closure), |stamp| stamp.inputs)
    }
}

impl<'a> Bill<'a> {
    fn of(lock: &'a Lock, plugins: Vec<PluginBill<'a>>) -> Self {
        Self { lock, identity: lock.identity(), is_release: true, plugins, warnings: Vec::new() }
    }

    /// One of the plugins alone.
    #[must_use]
    pub fn of_plugin(&self, index: usize) -> Self {
        let mut plugins: Vec<_> = self.plugins.get(index).cloned().into_iter().collect();
        for plugin in &mut plugins {
            if let Some(stamp) = plugin.stamp() {
                plugin.origin =
                    PluginOrigin { repo: stamp.repo.as_deref(), commit: Some(&stamp.commit), epoch: stamp.epoch };
            }
        }
        Self { is_release: false, plugins, warnings: Vec::new(), ..*self }
    }

    /// The time of the newest commit, `2025-11-13T02:13:20Z`: the documents are about nothing later.
    pub fn time(&self) -> String {
        let epoch = self.plugins.iter().map(|plugin| plugin.origin.epoch).max().unwrap_or(0);
        time(epoch)
    }
}

fn plugin_bill<'a>(
    lock: &Lock,
    workspace: &'a lock::Workspace,
    plugin: &'a lock::Plugin,
    companions: &Companions,
) -> Result<PluginBill<'a>> {
    let added = added_argument(lock.tools_of(workspace), plugin);
    let origin = PluginOrigin::of(&workspace.source);
    let (unknown, direct) = (Vec::new(), BTreeSet::new());
    let mut bill = PluginBill { workspace, plugin, origin, added, packages: None, unknown, direct };
    let Some(sealed) = &plugin.sealed else { return Ok(bill) };
    let graph = if let Some(digest) = sealed.closure {
        let path = CompanionPath::closure(&workspace.name, &plugin.path);
        let bytes = companions.required(&path, digest)?;
        BillGraph::of(&build_only::closure(&bytes, companions, (&workspace.name, &plugin.path))?)
    } else if let Some(digest) = sealed.bundle {
        let path = CompanionPath::bundle(&workspace.name, &plugin.path);
        let bundle = read_bundle(&companions.required(&path, digest)?, &path)?;
        bill.unknown.extend(bundle.unknown.iter().map(|part| format!("{}: {}", part.file, part.why)));
        BillGraph::from(&bundle)
    } else {
        return Ok(bill);
    };
    bill.direct = graph.direct;
    bill.packages = Some(graph.packages);
    Ok(bill)
}

/// A plugin as the documents call it: `@x/plugin-todo-dynamic`, the package that is exported.
pub(super) fn exported_name(plugin: &lock::Plugin) -> String {
    format!("{}-dynamic", plugin.name)
}
