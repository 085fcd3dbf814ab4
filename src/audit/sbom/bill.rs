//! What is in the plugins of a release, before it becomes a document.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::companions::{Companions, read_bundle};
use super::graph::{BillGraph, BillPackage};
use super::stamp::time;
use crate::error::{Error, Result};
use crate::lock::cli_behaviour::added_argument;
use crate::lock::companions::CompanionPath;
use crate::lock::{self, Argument, Lock, Sha256};
use crate::yarn::lockfile::YarnLock;

/// What is in a release, or in the part of it that was asked for.
#[derive(Clone, Debug)]
pub struct Bill<'a> {
    /// The lock.
    pub lock: &'a Lock,
    /// The identity of the release.
    pub identity: Sha256,
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
    /// What its export is given besides its own arguments.
    pub added: Option<Argument>,
    /// Its private dependencies, or the packages in a frontend's bundles; none where they are not known.
    pub packages: Option<Vec<BillPackage>>,
    /// Parts of a frontend of which it is not known what is in them: the file, and why.
    pub unknown: Vec<String>,
    /// Those it depends on itself.
    pub direct: BTreeSet<usize>,
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
    let mut bill = Bill { lock, identity: lock.identity(), plugins: Vec::new(), warnings: Vec::new() };
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
    let plugin = plugin_bill(lock, workspace, &workspace.plugin[index], companions)?;
    Ok(Bill { lock, identity: lock.identity(), plugins: vec![plugin], warnings: Vec::new() })
}

impl PluginBill<'_> {
    /// The arguments of its export.
    pub fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.plugin.args.iter().chain(&self.added)
    }
}

impl Bill<'_> {
    /// The same for one of the plugins.
    #[must_use]
    pub fn of_plugin(&self, index: usize) -> Self {
        Self { plugins: self.plugins.get(index).cloned().into_iter().collect(), warnings: Vec::new(), ..*self }
    }

    /// The time of the newest commit, `2025-11-13T02:13:20Z`: the documents are about nothing later.
    pub fn time(&self) -> String {
        let epoch = self.plugins.iter().map(|plugin| plugin.workspace.source.epoch).max().unwrap_or(0);
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
    let mut bill = PluginBill { workspace, plugin, added, packages: None, unknown: vec![], direct: BTreeSet::new() };
    let Some(sealed) = &plugin.sealed else { return Ok(bill) };
    let graph = if let Some(digest) = sealed.closure {
        let path = CompanionPath::closure(&workspace.name, &plugin.path);
        let bytes = companions.required(&path, digest)?;
        BillGraph::of(&YarnLock::parse(&bytes, Path::new(path.as_str()))?)
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

/// Its archive's name.
pub(super) fn tgz_name(plugin: &lock::Plugin) -> String {
    format!("{}-{}.tgz", exported_name(plugin).trim_start_matches('@').replace('/', "-"), plugin.version)
}

/// The source as SPDX and in-toto write it: `git+https://host/a/b@<commit>`; none for a local or unpublished one.
pub(super) fn source_uri(workspace: &lock::Workspace, reference: &str) -> Option<String> {
    let source = &workspace.source;
    let (scheme, rest) = source.repo.split_once("://")?;
    let public = matches!(scheme, "https" | "http" | "ssh" | "git");
    (public && !source.local && !rest.contains(char::is_whitespace)).then(|| format!("git+{}@{reference}", source.repo))
}
