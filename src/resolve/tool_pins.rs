//! The tools of a run: those that most workspaces ask for stand at the top of the lock, others with their workspace.

use std::collections::BTreeMap;

use super::configured_pins::{self, ConfiguredTools};
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
use crate::tools::version_origin::{VersionOrigin, VersionOrigins};

/// What was asked for; and the workspace, where only some of its own tools move.
type PinKey = (ToolRequests, Option<String>);

/// Pinned tools, by what was asked for.
pub(super) struct ToolPins {
    /// Those at the top of the lock.
    pub common: Tools,
    by_request: BTreeMap<PinKey, Tools>,
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
        let mut counts: BTreeMap<PinKey, usize> = BTreeMap::new();
        for workspace in chosen {
            *counts.entry(key(request, host, workspace)).or_default() += 1;
        }
        let moves = request.demands.repinned.has_tools();
        let is_locked = |old: &Lock, (requests, _): &PinKey| !moves && is_answer(&old.tools, requests);
        let kept = standing(request).filter(|old| {
            let is_chosen = |name: &String| chosen.iter().any(|workspace| workspace.name == *name);
            let mut others = old.workspace.iter().filter(|locked| !is_chosen(&locked.name));
            counts.is_empty()
                || others.any(|locked| locked.tools.is_none())
                || counts.keys().any(|key| is_locked(old, key))
        });
        let most = counts.iter().max_by_key(|(_, count)| **count).map(|(key, _)| key.clone());
        let most = most.unwrap_or_default();
        if kept.is_none() {
            counts.entry(most.clone()).or_default();
        }
        let (is_host_known, by_request) = (host.is_some() || request.demands.host.version.is_none(), BTreeMap::new());
        let mut pins = Pinning { provider, registry, request, is_host_known, by_request, companions: Vec::new() };
        for key in counts.into_keys() {
            match kept {
                Some(old) if is_locked(old, &key) => {
                    pins.by_request.insert(key, old.tools.clone());
                }
                _ => pins.pin(key).await?,
            }
        }
        let Pinning { by_request, mut companions, .. } = pins;
        companions.sort();
        let common = kept.map_or_else(|| by_request[&most].clone(), |old| old.tools.clone());
        Ok(Self { common, by_request, companions })
    }

    /// The tools of a workspace.
    pub fn of(&self, request: &ResolveRequest<'_>, host: Option<&RhdhHost>, workspace: &WorkspaceConfig) -> &Tools {
        &self.by_request[&key(request, host, workspace)]
    }
}

/// The pins of a run while they are made.
struct Pinning<'a> {
    provider: &'a Provider<'a>,
    registry: &'a NpmRegistry,
    request: &'a ResolveRequest<'a>,
    /// Whether the host was found. Frontends alone do not look it up.
    is_host_known: bool,
    by_request: BTreeMap<PinKey, Tools>,
    companions: Vec<Companion>,
}

/// What is asked of the registry.
struct HeldTools {
    wanted: ToolRequests,
    /// What the rhdh-cli that stays was asked for by.
    cli: Option<String>,
}

impl Pinning<'_> {
    async fn pin(&mut self, key: PinKey) -> Result<()> {
        let request = self.request;
        let requests = &key.0;
        let HeldTools { wanted, cli } = self.held(&key);
        let renew = request.demands.renew_tools;
        let trees = CliTrees { lock_dir: request.lock_dir, renew, resolved: &self.companions };
        let (mut tools, companion) =
            pin::resolve(self.provider, self.registry, &wanted, self.origins(requests, &wanted), trees).await?;
        tools.node.requested.clone_from(&requests.node);
        tools.npm.requested.clone_from(&requests.npm);
        match (cli, requests.cli.version.is_none(), requests.cli.host) {
            (Some(requested), ..) => tools.rhdh_cli.requested = requested,
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
        self.by_request.insert(key, tools);
        Ok(())
    }

    /// Who asked for these versions; those that only the lock has were asked for by nobody.
    fn origins(&self, asked: &ToolRequests, wanted: &ToolRequests) -> VersionOrigins {
        let (request, moved) = (self.request, self.request.demands.repinned);
        let chosen = request.chosen();
        let configured = |is_asked: &dyn Fn(ConfiguredTools) -> bool| {
            chosen.iter().any(|workspace| is_asked(configured_pins::tools(request.config, workspace)))
        };
        let origin = |option: Option<&'static str>, variable, is_asked: bool| match option {
            Some(option) => VersionOrigin::Option(option),
            None if is_asked => VersionOrigin::Variable(variable),
            None => VersionOrigin::Default(variable),
        };
        let node = wanted.node == asked.node
            && configured(&|tools| tools.node.is_some_and(|node| node.trim_start_matches('v') == asked.node));
        let npm = wanted.npm == asked.npm && configured(&|tools| tools.npm.as_ref() == Some(&asked.npm));
        let cli = wanted.cli == asked.cli && configured(&|tools| tools.cli.is_some() && tools.cli == asked.cli.version);
        VersionOrigins {
            node: origin(moved.node.then_some("--node"), "NODE_VERSION", node),
            npm: origin(None, "NPM_VERSION", npm),
            cli: origin(moved.rhdh_cli.then_some("--rhdh-cli"), "RHDH_CLI_VERSION", cli),
        }
    }

    /// What is locked and not to be moved: renewed, or beside a tool that moves. The same versions are asked for.
    fn held(&self, (requests, own): &PinKey) -> HeldTools {
        let mut held = HeldTools { wanted: requests.clone(), cli: None };
        let Some(old) = self.request.kept() else { return held };
        let moved = self.request.demands.repinned;
        let owners = || old.workspace.iter().filter(|locked| own.is_none() || own.as_ref() == Some(&locked.name));
        let common = own.is_none().then_some(&old.tools);
        let tools: Vec<&Tools> =
            common.into_iter().chain(owners().filter_map(|locked| locked.tools.as_ref())).collect();
        let whole = tools.iter().find(|tools| is_answer(tools, requests));
        if !moved.has_tools() {
            if let Some(whole) = whole {
                held = HeldTools { wanted: exact_requests(whole), cli: Some(whole.rhdh_cli.requested.clone()) };
            }
            return held;
        }
        let Some(tools) = whole.or(tools.first()) else { return held };
        let exact = exact_requests(tools);
        if !moved.node && tools.node.requested == requests.node {
            held.wanted.node = exact.node;
        }
        if tools.npm.requested == requests.npm {
            held.wanted.npm = exact.npm;
        }
        if !moved.rhdh_cli && requests.cli.is_answered_by(&tools.rhdh_cli) {
            held.wanted.cli = exact.cli;
            held.cli = Some(tools.rhdh_cli.requested.clone());
        }
        held
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

/// What a workspace asks for; with its name where it has tools of its own, and one of them moves.
fn key(request: &ResolveRequest<'_>, host: Option<&RhdhHost>, workspace: &WorkspaceConfig) -> PinKey {
    let has_own = |old: &Lock| old.workspace.iter().any(|one| one.name == workspace.name && one.tools.is_some());
    let is_own = request.demands.repinned.has_tools() && request.old.is_some_and(has_own);
    (tool_requests(request, host, workspace), is_own.then(|| workspace.name.clone()))
}

/// What a workspace asks for, else the Node.js that the host runs and the rhdh-cli that belongs to it, else the defaults.
fn tool_requests(request: &ResolveRequest<'_>, host: Option<&RhdhHost>, workspace: &WorkspaceConfig) -> ToolRequests {
    let mut tools = configured_pins::tools(request.config, workspace);
    tools.node = tools.node.or_else(|| standing_node(request, workspace));
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

/// The Node.js of a workspace where only another pin moves.
fn standing_node(request: &ResolveRequest<'_>, workspace: &WorkspaceConfig) -> Option<String> {
    let is_one_pin = request.demands.repinned.is_any() && !request.demands.host.is_given();
    let old = request.kept().filter(|_| is_one_pin)?;
    let locked = old.workspace.iter().find(|locked| locked.name == workspace.name)?;
    Some(old.tools_of(locked).node.requested.clone())
}

/// The Node.js of the lock's host, where that stays and is not looked up again.
fn locked_node(request: &ResolveRequest<'_>, host: Option<&RhdhHost>) -> Option<String> {
    let pin = request.old?.rhdh.as_ref().filter(|_| host.is_none() && !request.demands.host.is_given())?;
    // A file was asked for nothing but packages.
    pin.commit.as_ref()?;
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
