//! The tools of a run: those that most workspaces ask for stand at the top of the lock, others with their workspace.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::requested;
use super::resolve_request::ResolveRequest;
use super::rhdh::RhdhHost;
use crate::config::WorkspaceConfig;
use crate::error::Result;
use crate::lock::{Sha256, Tools};
use crate::npm::registry::NpmRegistry;
use crate::tools::pin::{self, Companion, ToolRequests};
use crate::tools::provide::Provider;

/// Pinned tools, by what was asked for.
pub(super) struct ToolPins {
    /// Those at the top of the lock.
    pub common: Tools,
    by_request: BTreeMap<ToolRequests, Tools>,
    /// The trees of the CLIs that are new.
    pub companions: Vec<Companion>,
}

impl ToolPins {
    /// Pins what the chosen workspaces ask for.
    pub async fn resolve(
        provider: &Provider<'_>,
        registry: &NpmRegistry,
        request: &ResolveRequest<'_>,
        host: Option<&RhdhHost>,
        chosen: &[&WorkspaceConfig],
    ) -> Result<Self> {
        let mut counts: BTreeMap<ToolRequests, usize> = BTreeMap::new();
        for workspace in chosen {
            *counts.entry(tool_requests(request, host, workspace)).or_default() += 1;
        }
        let renew = request.demands.renew_tools;
        let mut by_request = BTreeMap::new();
        let common = match request.old {
            // What most of the lock is built with stays, so that the other workspaces do not move.
            Some(old) if !renew && (request.kept().is_some() || !request.names.is_empty()) => {
                let common = locked_requests(&old.tools);
                by_request.insert(common.clone(), old.tools.clone());
                common
            }
            _ => {
                let most = counts.iter().max_by_key(|(_, count)| **count);
                let common = most.map(|(requests, _)| requests.clone()).unwrap_or_default();
                counts.entry(common.clone()).or_default();
                common
            }
        };
        let mut companions: Vec<Companion> = Vec::new();
        for requests in counts.into_keys() {
            if let Entry::Vacant(vacant) = by_request.entry(requests) {
                // Renewed, and not to be moved: the same versions are asked for.
                let held = request.kept().and_then(|old| {
                    let own = old.workspace.iter().filter_map(|workspace| workspace.tools.as_ref());
                    std::iter::once(&old.tools).chain(own).find(|held| locked_requests(held) == *vacant.key())
                });
                let wanted = held.map_or_else(|| vacant.key().clone(), exact_requests);
                let pinned = pin::resolve(provider, registry, &wanted, request.lock_dir, renew);
                let (mut tools, companion) = pinned.await?;
                tools.node.requested.clone_from(&vacant.key().node);
                tools.npm.requested.clone_from(&vacant.key().npm);
                tools.rhdh_cli.requested.clone_from(&vacant.key().cli);
                if let Some((path, tree)) = companion {
                    // A lock has one tree for a version of the CLI, whatever Node.js resolved it.
                    match companions.iter().find(|(known, _)| *known == path) {
                        Some((_, first)) => tools.rhdh_cli.tree = Sha256::of(first),
                        None => companions.push((path, tree)),
                    }
                }
                vacant.insert(tools);
            }
        }
        companions.sort();
        Ok(Self { common: by_request[&common].clone(), by_request, companions })
    }

    /// The tools of a workspace, where they are not the common ones.
    pub fn own(
        &self,
        request: &ResolveRequest<'_>,
        host: Option<&RhdhHost>,
        workspace: &WorkspaceConfig,
    ) -> Option<Tools> {
        let own = &self.by_request[&tool_requests(request, host, workspace)];
        (*own != self.common).then(|| own.clone())
    }
}

/// What a workspace asks for, else the Node.js that the host runs, else the defaults.
fn tool_requests(request: &ResolveRequest<'_>, host: Option<&RhdhHost>, workspace: &WorkspaceConfig) -> ToolRequests {
    let mut tools = requested::tools(request.config, workspace);
    tools.node = tools.node.or_else(|| host.and_then(|host| host.node.clone()));
    ToolRequests::from(tools)
}

fn exact_requests(tools: &Tools) -> ToolRequests {
    ToolRequests {
        node: tools.node.version.clone(),
        npm: tools.npm.version.clone(),
        cli: tools.rhdh_cli.version.clone(),
    }
}

fn locked_requests(tools: &Tools) -> ToolRequests {
    ToolRequests {
        node: tools.node.requested.clone(),
        npm: tools.npm.requested.clone(),
        cli: tools.rhdh_cli.requested.clone(),
    }
}
