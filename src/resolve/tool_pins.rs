//! The tools of a run: those that most workspaces ask for stand at the top of the lock, others with their workspace.

use std::collections::BTreeMap;

use super::configured_pins;
use super::facts::HostFacts;
use super::rhdh::RhdhHost;
use super::run_request::ResolveRequest;
use crate::config::WorkspaceConfig;
use crate::error::{Error, Result};
use crate::lock::{Lock, ReleaseLine, Rhdh, Tools};
use crate::npm::registry::NpmRegistry;
use crate::tools::cli_request::{CliRequest, DEFAULT_CLI, cli_reason};
use crate::tools::pin::{self, CliTrees, Companion, ToolRequests};
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
        let kept = standing(request).filter(|old| {
            let is_chosen = |name: &String| chosen.iter().any(|workspace| workspace.name == *name);
            let mut others = old.workspace.iter().filter(|locked| !is_chosen(&locked.name));
            counts.is_empty()
                || others.any(|locked| locked.tools.is_none())
                || counts.keys().any(|requests| is_answer(&old.tools, requests))
        });
        let most = counts.iter().max_by_key(|(_, count)| **count).map(|(requests, _)| requests.clone());
        let most = most.unwrap_or_default();
        if kept.is_none() {
            counts.entry(most.clone()).or_default();
        }
        let (is_host_known, by_request) = (host.is_some() || request.demands.host.version.is_none(), BTreeMap::new());
        let mut pins = Pinning { provider, registry, request, is_host_known, by_request, companions: Vec::new() };
        for requests in counts.into_keys() {
            match kept {
                Some(old) if is_answer(&old.tools, &requests) => {
                    pins.by_request.insert(requests, old.tools.clone());
                }
                _ => pins.pin(requests).await?,
            }
        }
        let Pinning { by_request, mut companions, .. } = pins;
        companions.sort();
        let common = kept.map_or_else(|| by_request[&most].clone(), |old| old.tools.clone());
        Ok(Self { common, by_request, companions })
    }

    /// The tools of a workspace.
    pub fn of(&self, request: &ResolveRequest<'_>, host: Option<&RhdhHost>, workspace: &WorkspaceConfig) -> &Tools {
        &self.by_request[&tool_requests(request, host, workspace)]
    }
}

/// The pins of a run while they are made.
struct Pinning<'a> {
    provider: &'a Provider<'a>,
    registry: &'a NpmRegistry,
    request: &'a ResolveRequest<'a>,
    /// Whether the host was found. Frontends alone do not look it up.
    is_host_known: bool,
    by_request: BTreeMap<ToolRequests, Tools>,
    companions: Vec<Companion>,
}

impl Pinning<'_> {
    async fn pin(&mut self, requests: ToolRequests) -> Result<()> {
        let request = self.request;
        // Renewed, and not to be moved: the same versions are asked for.
        let held = request.kept().and_then(|old| {
            let own = old.workspace.iter().filter_map(|workspace| workspace.tools.as_ref());
            std::iter::once(&old.tools).chain(own).find(|held| is_answer(held, &requests))
        });
        let wanted = held.map_or_else(|| requests.clone(), exact_requests);
        let renew = request.demands.renew_tools;
        let trees = CliTrees { lock_dir: request.lock_dir, renew, resolved: &self.companions };
        let (mut tools, companion) = pin::resolve(self.provider, self.registry, &wanted, trees).await?;
        tools.node.requested.clone_from(&requests.node);
        tools.npm.requested.clone_from(&requests.npm);
        match (held, requests.cli.version.is_none(), requests.cli.host) {
            (Some(held), ..) => tools.rhdh_cli.requested.clone_from(&held.rhdh_cli.requested),
            (None, true, Some(host)) => {
                if !self.is_host_known && tools.rhdh_cli.requested == DEFAULT_CLI {
                    return Err(unknown_host(host));
                }
                self.provider.ui.note(cli_reason(&tools.rhdh_cli, host));
            }
            (None, true, None) => {
                let why = "since no RHDH release is named with `--rhdh-version`";
                self.provider.ui.note(format!("rhdh-cli {}: `{DEFAULT_CLI}`, {why}", tools.rhdh_cli.version));
            }
            _ => {}
        }
        self.companions.extend(companion);
        self.by_request.insert(requests, tools);
        Ok(())
    }
}

/// The error of a release that nobody looked up, and that has no rhdh-cli.
fn unknown_host(host: ReleaseLine) -> Error {
    Error::usage(
        format!("nothing is known of RHDH {host}: it is not built in, and the npm registry has no rhdh-cli of {host}"),
        format!(
            "check `--rhdh-version` (`RHDH_VERSION`): built in are {}; to build for another one, name its rhdh-cli with \
             `RHDH_CLI_VERSION`",
            HostFacts::names().join(", ")
        ),
    )
}

/// The lock whose tools stay for those who ask for the same, so that the other workspaces do not move.
fn standing<'a>(request: &ResolveRequest<'a>) -> Option<&'a Lock> {
    request.old.filter(|_| !request.demands.renew_tools && moves_little(request))
}

fn moves_little(request: &ResolveRequest<'_>) -> bool {
    request.kept().is_some() || !request.names.is_empty()
}

/// What a workspace asks for, else the Node.js that the host runs and the rhdh-cli that belongs to it, else the defaults.
fn tool_requests(request: &ResolveRequest<'_>, host: Option<&RhdhHost>, workspace: &WorkspaceConfig) -> ToolRequests {
    let mut tools = configured_pins::tools(request.config, workspace);
    tools.node = tools.node.or_else(|| host.and_then(|host| host.node.clone())).or_else(|| locked_node(request, host));
    let mut requests = ToolRequests::from(tools);
    let line = host_line(request, host);
    // Where a lock was made before it said for which host its rhdh-cli is, that one stays.
    let stays = request.old.filter(|_| moves_little(request)).is_some_and(|old| {
        let locked = old.workspace.iter().find(|locked| locked.name == workspace.name);
        let tools = locked.map_or(&old.tools, |locked| old.tools_of(locked));
        old.rhdh.as_ref().and_then(Rhdh::line) == line && requests.cli.is_answered_by(&tools.rhdh_cli)
    });
    if !stays {
        requests.cli.host = line;
    }
    requests
}

/// The Node.js of the lock's host, where that stays and is not looked up again.
fn locked_node(request: &ResolveRequest<'_>, host: Option<&RhdhHost>) -> Option<String> {
    let pin = request.old?.rhdh.as_ref().filter(|_| host.is_none() && !request.demands.host.is_given())?;
    HostFacts::of_lockfile(pin.lockfile).ok().flatten()?.node
}

/// The line of the host that the plugins are for: of the one that was found, else of the one that is asked for, which
/// frontends alone do not look up, else of the lock's.
fn host_line(request: &ResolveRequest<'_>, host: Option<&RhdhHost>) -> Option<ReleaseLine> {
    let asked = &request.demands.host;
    match (host, &asked.version) {
        (Some(host), _) => host.pin.line(),
        (None, Some(version)) => ReleaseLine::of(version),
        (None, None) if asked.file.is_some() => None,
        (None, None) => request.old?.rhdh.as_ref()?.line(),
    }
}

fn is_answer(tools: &Tools, requests: &ToolRequests) -> bool {
    let Tools { node, npm, rhdh_cli } = tools;
    (&node.requested, &npm.requested) == (&requests.node, &requests.npm) && requests.cli.is_answered_by(rhdh_cli)
}

fn exact_requests(tools: &Tools) -> ToolRequests {
    let Tools { node, npm, rhdh_cli } = tools;
    let cli = CliRequest { version: Some(rhdh_cli.version.clone()), host: rhdh_cli.host };
    ToolRequests { node: node.version.clone(), npm: npm.version.clone(), cli }
}
