//! What is in the archive of each plugin, as far as the lock and the files beside it prove it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::build_only;
use super::change::Tie;
use super::companions::{Companions, read_bundle};
use super::host::tie_of;
use super::package_graph::PackageGraph;
use crate::error::Result;
use crate::lock;
use crate::lock::bundle::Bundle;
use crate::lock::companions::CompanionPath;
use crate::parallel::Workers;
use crate::ui::count;

/// A plugin of a lock, and what is in it.
#[derive(Clone, Debug)]
pub struct ShippedPlugin<'a> {
    /// Its workspace.
    pub workspace: &'a lock::Workspace,
    /// The plugin.
    pub plugin: &'a lock::Plugin,
    /// What is in it.
    pub contents: PluginContents,
    /// Packages that it takes from RHDH.
    pub shares: BTreeSet<String>,
}

/// What is in a plugin.
#[derive(Clone, Debug)]
pub enum PluginContents {
    /// The packages of its sealed closure.
    Closure(PackageGraph),
    /// What its bundles say.
    Bundle(Bundle),
    /// It was not built.
    Unsealed,
    /// A frontend, of whose bundles nothing is sealed.
    Unrecorded,
}

impl PluginContents {
    /// Why it is not known what is in the plugin, or in a part of it; none where all is known.
    pub fn unknown(&self) -> Option<String> {
        match self {
            Self::Closure(_) => None,
            Self::Bundle(bundle) => {
                let mut parts = bundle.unknown.iter();
                let first = parts.next()?;
                let file = if first.file == "." { String::new() } else { format!("{}: ", first.file) };
                let rest = parts.len();
                let more = if rest == 0 { String::new() } else { format!(", and {}", count(rest, "more part")) };
                Some(format!("not all of its bundles say what is in them: {file}{}{more}", first.why))
            }
            Self::Unsealed => Some("it has not been built".into()),
            Self::Unrecorded => Some("what is in its bundles was not recorded when it was built".into()),
        }
    }

    /// The names of the packages in it.
    pub fn names(&self) -> BTreeSet<&str> {
        match self {
            Self::Closure(graph) => graph.nodes().iter().map(|node| node.name.as_str()).collect(),
            Self::Bundle(bundle) => bundle.packages.iter().map(|package| package.name.as_str()).collect(),
            Self::Unsealed | Self::Unrecorded => BTreeSet::new(),
        }
    }
}

/// Reads what is in the plugins of these workspaces of a lock that lies in `folder`.
pub fn read<'a>(
    workspaces: &'a [lock::Workspace],
    folder: &Path,
    interrupt: &AtomicBool,
) -> Result<Vec<ShippedPlugin<'a>>> {
    let plugins =
        workspaces.iter().flat_map(|workspace| workspace.plugin.iter().map(move |plugin| (workspace, plugin)));
    let beside = || Companions::Folder(folder.to_path_buf());
    Workers::of_disk(interrupt).try_map_with(plugins, beside, |companions, (workspace, plugin)| {
        ShippedPlugin::read(workspace, plugin, companions)
    })
}

impl<'a> ShippedPlugin<'a> {
    fn read(workspace: &'a lock::Workspace, plugin: &'a lock::Plugin, companions: &Companions) -> Result<Self> {
        let arguments = plugin.args.iter().filter_map(tie_of).filter(|(tie, _)| *tie == Tie::Shares);
        let mut shares: BTreeSet<String> = arguments.map(|(_, name)| name.to_owned()).collect();
        let contents = match &plugin.sealed {
            None => PluginContents::Unsealed,
            Some(sealed) => match (sealed.closure, sealed.bundle) {
                (None, None) => PluginContents::Unrecorded,
                (None, Some(digest)) => {
                    let path = CompanionPath::bundle(&workspace.name, &plugin.path);
                    let bundle = read_bundle(&companions.required(&path, digest)?, &path)?;
                    shares.extend(bundle.shares.iter().map(|shared| shared.name.clone()));
                    PluginContents::Bundle(bundle)
                }
                (Some(digest), _) => {
                    let path = CompanionPath::closure(&workspace.name, &plugin.path);
                    let bytes = companions.required(&path, digest)?;
                    let closure = build_only::closure(&bytes, companions, (&workspace.name, &plugin.path))?;
                    // The plugin itself, and what is embedded in it: peers of others are met inside.
                    let peers = closure.entries.iter().filter(|entry| entry.is_own()).flat_map(|entry| &entry.peers);
                    shares.extend(peers.map(|peer| peer.name.to_string()));
                    PluginContents::Closure(PackageGraph::of(&closure))
                }
            },
        };
        Ok(Self { workspace, plugin, contents, shares })
    }

    /// `workspace plugin`, as messages call it.
    pub fn place(&self) -> String {
        format!("{} {}", self.workspace.name, self.plugin.path)
    }
}
