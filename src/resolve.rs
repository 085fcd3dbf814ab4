//! Configuration → pins. The only stage that asks "what is newest?".
//!
//! In the order of the data: [`commits`] turns refs into commits and fetches them, [`workspace`] reads what those
//! commits say ([`source`], [`discover`], [`package_manager`]) and [`compute`] finds the arguments of its plugins
//! ([`graph`] → [`build_args`], against the [`rhdh`] host); [`wanted`] is the configuration in the lock's terms.

pub mod build_args;
pub mod commits;
pub mod compute;
pub mod discover;
pub mod graph;
pub mod host;
pub mod package_manager;
pub mod refs;
pub mod rhdh;
pub mod source;
pub mod wanted;
pub mod workspace;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::env::EnvOrigin;
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::lock::inputs;
use crate::lock::stale::{self, StaleReason};
use crate::lock::text::{REVISION, VERSION};
use crate::lock::{ArgsFrom, Integrity, Lock, Tools, Workspace};
use crate::npm::registry::NpmRegistry;
use crate::store::git::Network;
use crate::tools::pin::{self, Companion, ToolRequests};
use crate::tools::provide::Provider;
use rhdh::RhdhHost;

/// How much moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moves {
    /// Everything that floats.
    #[default]
    All,
    /// Nothing that is locked: only what is new or changed in the configuration is resolved.
    Missing,
}

/// What to resolve.
pub struct ResolveRequest<'a> {
    /// The whole configuration.
    pub config: &'a Config,
    /// Only these workspaces; all when empty.
    pub names: &'a [String],
    /// How much moves.
    pub moves: Moves,
    /// Resolve the CLI's tree anew even when its version stays.
    pub renew_tools: bool,
    /// The lock there is.
    pub old: Option<&'a Lock>,
    /// The lock's folder.
    pub lock_dir: &'a Path,
    /// Steps at once.
    pub jobs: usize,
    /// How repositories are reached.
    pub network: Network,
    /// The RHDH host that is asked for.
    pub host: rhdh::HostRequest,
    /// Compute the arguments of listed plugins too.
    pub generate: bool,
}

/// A lock, with the files that belong beside it.
pub struct Resolved {
    /// The lock.
    pub lock: Lock,
    /// Files of the companion folder that are new.
    pub companions: Vec<Companion>,
    /// Generated lists of plugins, to be written into the configuration.
    pub lists: Vec<Companion>,
    /// Workspaces that could not be resolved, of which the lock keeps what it had; and plugins that cannot be exported.
    pub failed: Vec<(String, Error)>,
}

/// The versions a workspace asks for; none where the default will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredTools {
    /// Node.js.
    pub node: Option<String>,
    /// npm.
    pub npm: Option<String>,
    /// rhdh-cli.
    pub cli: Option<String>,
}

/// What a workspace's environment asks for, else what RHDH's `versions.json` pins for the release.
pub fn requests(config: &Config, workspace: &config::WorkspaceConfig) -> ConfiguredTools {
    let given = |name: &str| {
        let set = workspace.env.origin(name).is_some_and(|origin| *origin != EnvOrigin::Default);
        workspace.env.given(name).filter(|_| set).map(str::to_owned)
    };
    let versions = config.versions.as_ref();
    ConfiguredTools {
        node: given("NODE_VERSION").or_else(|| versions.and_then(|versions| versions.node.clone())),
        npm: given("NPM_VERSION"),
        cli: given("RHDH_CLI_VERSION").or_else(|| versions.and_then(|versions| versions.cli.clone())),
    }
}

impl From<ConfiguredTools> for ToolRequests {
    fn from(asked: ConfiguredTools) -> Self {
        let default = Self::default();
        Self {
            node: asked.node.map_or(default.node, |node| node.trim_start_matches('v').to_owned()),
            npm: asked.npm.unwrap_or(default.npm),
            cli: asked.cli.unwrap_or(default.cli),
        }
    }
}

/// Resolves the configuration. Errors of single workspaces are in the result.
pub async fn resolve(
    provider: &Provider<'_>,
    registry: &NpmRegistry,
    request: &ResolveRequest<'_>,
) -> Result<Resolved> {
    let stale: BTreeSet<String> = match (request.moves, request.old) {
        (Moves::Missing, Some(old)) => {
            let reasons = stale::reasons(old, &wanted::of(request.config), false);
            reasons.iter().map(StaleReason::workspace).map(str::to_owned).collect()
        }
        _ => request.config.names().map(str::to_owned).collect(),
    };
    let chosen: Vec<&config::WorkspaceConfig> = request
        .config
        .workspaces
        .iter()
        .filter(|w| request.names.is_empty() || request.names.contains(&w.name))
        .filter(|w| {
            stale.contains(&w.name) || request.old.is_none_or(|old| old.workspace.iter().all(|l| l.name != w.name))
        })
        .collect();
    for workspace in &chosen {
        for warning in &workspace.warnings {
            provider.ui.warn(format!("{}: {warning}", workspace.name));
        }
    }

    let host = host_of(provider, request, &chosen)?;
    let mut failed = Vec::new();
    let mut lists = Vec::new();
    let mut read = Vec::new();
    let kept = request.old.filter(|_| request.moves == Moves::Missing);
    let how = commits::ReadOptions { kept, host: host.as_ref(), generate: request.generate, network: &request.network };
    let outcomes = commits::read(provider, &chosen, &how, request.jobs);
    for (config, outcome) in chosen.iter().zip(outcomes) {
        match outcome {
            Ok(mut one) => {
                for warning in &one.warnings {
                    provider.ui.warn(warning);
                }
                failed.extend(one.errors.drain(..).map(|error| (config.name.clone(), error)));
                read.push((*config, one));
            }
            Err(error) => failed.push((config.name.clone(), error)),
        }
    }

    // A mistyped ref is told at once, not after the minute that the tools take.
    if read.is_empty() && failed.len() == 1 && request.config.broken.is_empty() && request.old.is_none() {
        return Err(failed.remove(0).1);
    }
    let (tools, by_request, companions) = tools_of(provider, registry, request, host.as_ref(), &chosen).await?;
    let mut resolved = Vec::new();
    let mut yarns = Yarns::new();
    for (config, one) in read {
        let name = config.name.clone();
        match finish(registry, &mut yarns, one).await {
            Ok((mut workspace, list)) => {
                let own = &by_request[&wanted_tools(request, host.as_ref(), config)];
                workspace.tools = (*own != tools).then(|| own.clone());
                resolved.push(workspace);
                lists.extend(list);
            }
            Err(error) => failed.push((name, error)),
        }
    }
    let mut lock =
        Lock { version: VERSION, revision: REVISION, rhdh: host.map(|host| host.pin), tools, workspace: resolved };
    keep_others(&mut lock, request);
    keep_reasons(&mut lock, request.old);
    keep_seals(&mut lock, request.old);
    lock.workspace.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Resolved { lock, companions, lists, failed })
}

/// The host, when something must be computed against it: arguments of discovered plugins, or of all that are listed
/// when it is asked for.
fn host_of(
    provider: &Provider<'_>,
    request: &ResolveRequest<'_>,
    chosen: &[&config::WorkspaceConfig],
) -> Result<Option<RhdhHost>> {
    let given = request.host.file.is_some() || request.host.version.is_some();
    let needed = chosen.iter().any(|workspace| workspace.list.is_none() || request.generate);
    if !(given || needed) || chosen.is_empty() {
        return Ok(None);
    }
    tokio::task::block_in_place(|| rhdh::find(provider, &request.host, &request.network)).map(Some)
}

/// The tools of a workspace: those asked for, else the Node.js that the host runs, else the defaults.
fn wanted_tools(
    request: &ResolveRequest<'_>,
    host: Option<&RhdhHost>,
    workspace: &config::WorkspaceConfig,
) -> ToolRequests {
    let mut asked = requests(request.config, workspace);
    asked.node = asked.node.or_else(|| host.and_then(|host| host.node.clone()));
    ToolRequests::from(asked)
}

type ByRequest = BTreeMap<ToolRequests, Tools>;

/// The tools of the run, and those of workspaces that ask for others.
async fn tools_of(
    provider: &Provider<'_>,
    registry: &NpmRegistry,
    request: &ResolveRequest<'_>,
    host: Option<&RhdhHost>,
    chosen: &[&config::WorkspaceConfig],
) -> Result<(Tools, ByRequest, Vec<Companion>)> {
    let asked = |workspace: &config::WorkspaceConfig| wanted_tools(request, host, workspace);
    let mut wanted: BTreeMap<ToolRequests, usize> = BTreeMap::new();
    for workspace in chosen {
        *wanted.entry(asked(workspace)).or_default() += 1;
    }
    if let (Some(old), true) = (request.old, request.moves == Moves::Missing || !request.names.is_empty()) {
        // What most of the lock is built with stays, so that the other workspaces do not move.
        let mut by_request: ByRequest = ByRequest::new();
        by_request.insert(requests_of(&old.tools), old.tools.clone());
        let mut companions = Vec::new();
        for requests in wanted.keys() {
            if !by_request.contains_key(requests) {
                let (tools, companion) =
                    pin::resolve(provider, registry, requests, request.lock_dir, request.renew_tools).await?;
                companions.extend(companion);
                by_request.insert(requests.clone(), tools);
            }
        }
        return Ok((old.tools.clone(), by_request, companions));
    }
    // The tools most workspaces ask for stand at the top of the lock.
    let main = wanted.iter().max_by_key(|(_, count)| **count).map(|(requests, _)| requests.clone()).unwrap_or_default();
    wanted.entry(main.clone()).or_default();
    let mut by_request = ByRequest::new();
    let mut companions: Vec<Companion> = Vec::new();
    for requests in wanted.keys() {
        let (tools, companion) =
            pin::resolve(provider, registry, requests, request.lock_dir, request.renew_tools).await?;
        companions.extend(companion);
        by_request.insert(requests.clone(), tools);
    }
    companions.sort();
    companions.dedup_by(|a, b| a.0 == b.0);
    let tools = by_request[&main].clone();
    Ok((tools, by_request, companions))
}

fn requests_of(tools: &Tools) -> ToolRequests {
    ToolRequests {
        node: tools.node.requested.clone(),
        npm: tools.npm.requested.clone(),
        cli: tools.rhdh_cli.requested.clone(),
    }
}

/// Version and integrity by what was asked for.
type Yarns = BTreeMap<String, (String, Integrity)>;

/// What only the registry knows of a workspace: its yarn's integrity.
async fn finish(
    registry: &NpmRegistry,
    yarns: &mut Yarns,
    read: workspace::ReadWorkspace,
) -> Result<(Workspace, Option<Companion>)> {
    let workspace::ReadWorkspace { mut workspace, yarn, list, .. } = read;
    if yarn.path.is_none() {
        if !yarns.contains_key(&yarn.version) {
            yarns.insert(yarn.version.clone(), pin::yarn(registry, &yarn.version).await?);
        }
        let (version, integrity) = yarns[&yarn.version].clone();
        workspace.source.yarn.version = version;
        workspace.source.yarn.integrity = Some(integrity);
    }
    Ok((workspace, list))
}

/// Workspaces that were not resolved now stay as they are locked, unless the configuration has them no more.
fn keep_others(lock: &mut Lock, request: &ResolveRequest<'_>) {
    let Some(old) = request.old else { return };
    let known: BTreeSet<&str> = request.config.names().collect();
    for workspace in &old.workspace {
        let wanted = known.contains(workspace.name.as_str());
        if wanted && lock.workspace.iter().all(|new| new.name != workspace.name) {
            let mut kept = workspace.clone();
            let tools = old.tools_of(workspace);
            kept.tools = (*tools != lock.tools).then(|| tools.clone());
            lock.workspace.push(kept);
        }
    }
    if lock.rhdh.is_none() {
        lock.rhdh.clone_from(&old.rhdh);
    }
}

/// Computed arguments end up in a plugins-list.yaml; listed there unchanged, they keep the reasons they were given.
fn keep_reasons(lock: &mut Lock, old: Option<&Lock>) {
    let Some(old) = old else { return };
    for workspace in &mut lock.workspace {
        let Some(before) = old.workspace.iter().find(|before| before.name == workspace.name) else { continue };
        for plugin in workspace.plugin.iter_mut().filter(|plugin| plugin.args_from == ArgsFrom::PluginsList) {
            let known = before.plugin.iter().find(|known| known.path == plugin.path && known.args == plugin.args);
            if let Some(known) = known.filter(|known| known.args_from == ArgsFrom::Computed) {
                plugin.args_from = ArgsFrom::Computed;
                plugin.why.clone_from(&known.why);
            }
        }
    }
}

/// What builds found out still holds for plugins whose inputs did not move.
fn keep_seals(lock: &mut Lock, old: Option<&Lock>) {
    let Some(old) = old else { return };
    let mut seals = Vec::new();
    for (w, workspace) in lock.workspace.iter().enumerate() {
        let Some(before) = old.workspace.iter().find(|before| before.name == workspace.name) else { continue };
        for (p, plugin) in workspace.plugin.iter().enumerate() {
            let Some(known) = before.plugin.iter().find(|known| known.path == plugin.path) else { continue };
            let Some(sealed) = &known.sealed else { continue };
            let digest = |lock, workspace, plugin| inputs::digest(lock, workspace, plugin, sealed.closure);
            if digest(old, before, known) == digest(lock, workspace, plugin) {
                seals.push((w, p, sealed.clone()));
            }
        }
    }
    for workspace in &mut lock.workspace {
        let before = old.workspace.iter().find(|before| before.name == workspace.name);
        // The packages follow from the lockfile: the source's own, and what patches make of it.
        workspace.sealed = before
            .filter(|before| before.source.yarn_lock == workspace.source.yarn_lock)
            .filter(|before| before.source.yarn == workspace.source.yarn && before.input == workspace.input)
            .and_then(|before| before.sealed.clone());
    }
    for (w, p, sealed) in seals {
        lock.workspace[w].plugin[p].sealed = Some(sealed);
    }
}
