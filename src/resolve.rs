//! Configuration → pins. The only stage that asks "what is newest?".
//!
//! In the order of the data:
//!
//! 1. [`run_request`]: what a run is asked to do. [`configured_pins`]: what the configuration asks for, in the lock's terms.
//!    [`renamed`]: what the lock has under another name.
//! 2. [`rhdh`] finds the RHDH release that plugins are computed against, [`host`] reads what it provides.
//! 3. [`refs`] turns refs into commits; [`commits`] fetches them and has each workspace read.
//! 4. [`workspace`] makes a workspace's block of the lock from its files ([`source_files`], after patches and overlays:
//!    [`effective`]): its plugins (`candidates`, by [`discover`]; [`plugin_files`]), its yarn ([`package_manager`],
//!    [`yarn_hash`]) and the arguments of its plugins ([`compute_args`]: [`build_args`]), and what of it each
//!    plugin is built from ([`plugin_sources`]).
//! 5. `tool_pins` pins node, npm and rhdh-cli; `previous` keeps what the lock there was knows and still holds.
//! 6. [`patched`] reads a workspace before and after one of its patches.
//! 7. [`survey`] looks at a repository of which nothing is configured yet; [`newest`] says what there is by now of what a
//!    lock has, and [`pinned_yarn_lock`] reads the lockfiles that one pins again.

pub mod configured_pins;
pub mod renamed;
pub mod run_request;

pub mod facts;
pub mod host;
pub mod rhdh;

pub mod commits;
pub mod refs;

pub mod discover;
pub mod effective;
pub mod newest;
pub mod package_manager;
pub mod patched;
pub mod pinned_yarn_lock;
pub mod plugin_fault;
pub mod plugin_files;
pub mod plugin_sources;
pub mod source_files;
pub mod survey;
pub mod workspace;
pub mod yarn_hash;

pub mod build_args;
pub mod compute_args;

mod previous;
mod tool_pins;

use std::collections::BTreeMap;

use crate::config::WorkspaceConfig;
use crate::error::{Error, Result};
use crate::lock::text::{REVISION, VERSION};
use crate::lock::{Integrity, Lock, Rhdh, Tools, Workspace, cli_behaviour};
use crate::npm::range::NpmRange;
use crate::npm::registry::NpmRegistry;
use crate::tools::pin::{self, Companion};
use crate::tools::provide::Provider;
use crate::ui::some_names;
use renamed::RenamedWorkspace;
use rhdh::{HostRequest, LazyHost};
pub use run_request::{Demands, Repinned, ResolveRequest, Unmerged, UpdateMode};
use tool_pins::ToolPins;
use workspace::ReadWorkspace;

/// A lock, with the files that belong beside it.
pub struct Resolved {
    /// The lock.
    pub lock: Lock,
    /// Files of the companion folder that are new.
    pub companions: Vec<Companion>,
    /// Generated lists of plugins, to be written into the configuration.
    pub lists: Vec<Companion>,
    /// Workspaces that could not be resolved, or have plugins that cannot be exported, of which the lock keeps what it had;
    /// with `keep_going` it has the reason, and the other plugins.
    pub failed: Vec<(String, Error)>,
    /// Workspaces that the lock there was has under another name.
    pub renamed: Vec<RenamedWorkspace>,
}

/// Why nothing can be locked.
pub struct Unresolvable {
    /// What is wrong with workspaces.
    pub failed: Vec<(String, Error)>,
    /// What is wrong with all of them: the tools cannot be pinned, say.
    pub tools: Option<Error>,
}

impl From<Error> for Unresolvable {
    fn from(error: Error) -> Self {
        Self { failed: vec![], tools: Some(error) }
    }
}

/// Resolves the configuration. Errors of single workspaces are in the result.
pub async fn resolve(
    provider: &Provider<'_>,
    registry: &NpmRegistry,
    request: &ResolveRequest<'_>,
) -> Result<Resolved, Unresolvable> {
    let chosen = request.chosen();
    let host = lazy_host(provider, request, &chosen)?;
    let mut failed = Vec::new();
    let read = read(provider, request, host.as_ref(), &chosen, &mut failed);

    if failed.iter().any(|(_, error)| matches!(error, Error::Interrupted)) {
        return Err(Error::Interrupted.into());
    }
    if read.is_empty() && !failed.is_empty() && !request.keep_going {
        // Nothing is asked of the network for what cannot be locked.
        return match request.old {
            Some(old) => Ok(previous::unchanged(old, request, failed)),
            None => Err(Unresolvable { failed, tools: None }),
        };
    }
    let host = host.and_then(LazyHost::into_found);
    let pins = match ToolPins::resolve(provider, registry, request, host.as_ref(), &chosen).await {
        Ok(pins) => pins,
        Err(error) => return Err(Unresolvable { failed, tools: Some(error) }),
    };
    let mut resolved = Vec::new();
    let mut lists = Vec::new();
    let mut yarns = YarnPins::new();
    for (config, one) in read {
        let tools = pins.of(request, host.as_ref(), config);
        warn_of_cli(provider, tools, &one);
        let locked = locked_yarn(request, &one);
        match pin_yarn((provider, registry), &mut yarns, one, locked).await {
            Ok((mut workspace, list)) => {
                workspace.tools = (*tools != pins.common).then(|| tools.clone());
                resolved.push(workspace);
                lists.extend(list);
            }
            Err(error) => failed.push((config.name.clone(), error)),
        }
    }
    let mut lock = Lock {
        version: VERSION,
        revision: REVISION,
        rhdh: host.map(|host| host.pin),
        tools: pins.common,
        workspace: resolved,
        unresolved: vec![],
    };
    previous::keep_others(&mut lock, request);
    previous::keep_reasons(&mut lock, request.old);
    let unmoved = previous::keep_seals(&mut lock, provider, request);
    if !unmoved.is_empty() {
        let names = some_names(unmoved.iter());
        provider.ui.note(format!("at their commits, since nothing they are built from moved: {names}"));
    }
    let fallen = previous::fallen_seals(&lock, request.old);
    if !fallen.is_empty() {
        let names = some_names(fallen.iter());
        provider.ui.note(format!("to be built again, since what they are built from moved: {names}"));
    }
    let is_chosen = |name: &String| chosen.iter().any(|workspace| workspace.name == *name);
    failed.extend(lock.problems(request.names).into_iter().filter(|(name, _)| !is_chosen(name)));
    lock.workspace.sort_by(|a, b| a.name.cmp(&b.name));
    lock.unresolved = previous::unresolved(&lock, request, &failed);
    Ok(Resolved { lock, companions: pins.companions, lists, failed, renamed: vec![] })
}

/// The host, when something may have to be computed against it: arguments of discovered plugins, or of all that are
/// listed when it is asked for. For the lists that were written from computed arguments it is the host of the lock,
/// unless that was a file.
fn lazy_host<'a>(
    provider: &'a Provider<'_>,
    request: &'a ResolveRequest<'_>,
    chosen: &[&WorkspaceConfig],
) -> Result<Option<LazyHost<'a>>> {
    let is_needed = chosen.iter().any(|workspace| workspace.list.is_none() || request.demands.generate);
    let locked = request.old.and_then(|old| old.rhdh.as_ref());
    let asked = if request.demands.host.is_given() && !chosen.is_empty() {
        request.demands.host.clone()
    } else if is_needed {
        match locked {
            // The lock has one host: what was computed before would be said to be for another.
            Some(host) if host.commit.is_none() => return Err(of_a_file(host)),
            Some(host) if request.kept().is_some() => {
                HostRequest { version: Some(host.requested.clone()), ..request.demands.host.clone() }
            }
            _ => request.demands.host.clone(),
        }
    } else if let Some(version) = request.old.and_then(|old| locked_host(old, chosen)) {
        HostRequest { version: Some(version), ..request.demands.host.clone() }
    } else {
        return Ok(None);
    };
    tokio::task::block_in_place(|| LazyHost::new(provider, asked, &request.network)).map(Some)
}

/// The lock's host is a file, which is not given again.
fn of_a_file(host: &Rhdh) -> Error {
    Error::usage(
        format!("the lock is for the host lockfile `{}`, which is not given", host.requested.escape_debug()),
        "give it with `--host-lockfile`, or a release with `--rhdh-version`; `FACTORY_HOST_LOCKFILE=<path from there>` in \
         the `.env` file of the configuration directory names it for every run",
    )
}

/// The host that a lock asked for, if arguments of the chosen workspaces were computed against it.
fn locked_host(old: &Lock, chosen: &[&WorkspaceConfig]) -> Option<String> {
    let host = old.rhdh.as_ref().filter(|host| host.commit.is_some())?;
    let is_chosen = |locked: &&Workspace| chosen.iter().any(|workspace| workspace.name == locked.name);
    old.workspace.iter().filter(is_chosen).any(Workspace::is_computed).then(|| host.requested.clone())
}

/// The workspaces that could be read. The errors of the others, and of plugins, go to `failed`.
fn read<'a>(
    provider: &Provider<'_>,
    request: &ResolveRequest<'_>,
    host: Option<&LazyHost<'_>>,
    chosen: &[&'a WorkspaceConfig],
    failed: &mut Vec<(String, Error)>,
) -> Vec<(&'a WorkspaceConfig, ReadWorkspace)> {
    let options = commits::ReadOptions {
        old: request.old,
        kept: request.kept().filter(|_| !request.demands.repinned.commits),
        unmerged: request.unmerged.names,
        host,
        generate: request.demands.generate,
        network: &request.network,
        jobs: request.jobs,
    };
    let mut read = Vec::new();
    for (config, outcome) in chosen.iter().zip(commits::read(provider, chosen, &options)) {
        match outcome {
            Ok(mut one) => {
                for warning in &one.warnings {
                    provider.ui.warn(warning);
                }
                let is_left = !one.faults.is_empty() && (one.workspace.plugin.is_empty() || !request.keep_going);
                failed.extend(one.faults.drain(..).map(|fault| (config.name.clone(), fault.error())));
                if !is_left {
                    read.push((*config, one));
                }
            }
            Err(error) => failed.push((config.name.clone(), error)),
        }
    }
    read
}

/// Warns of what the CLI of a workspace does otherwise than its plugins need, or its host.
fn warn_of_cli(provider: &Provider<'_>, tools: &Tools, read: &ReadWorkspace) {
    let ReadWorkspace { workspace, cli_needs, .. } = read;
    let name = &workspace.name;
    let has_frontends = workspace.plugin.iter().any(|plugin| !plugin.role.is_backend());
    let features = has_frontends.then(|| cli_behaviour::lacks_features(tools)).flatten();
    for warning in cli_behaviour::misfit(tools).into_iter().chain(features) {
        provider.ui.warn(format!("{name}: {warning}; set `RHDH_CLI_VERSION` to another"));
    }
    for (plugin, need) in cli_needs {
        if let Some(warning) = need.warning(&tools.rhdh_cli.version) {
            provider.ui.warn(format!("{name} {plugin}: {warning}"));
        }
    }
}

/// Version and integrity by what was asked for.
type YarnPins = BTreeMap<String, (String, Integrity)>;

/// The yarn of a workspace that is locked and stays, if it is what the workspace asks for.
fn locked_yarn(request: &ResolveRequest<'_>, read: &ReadWorkspace) -> Option<(String, Integrity)> {
    let name = &read.workspace.name;
    let locked = &request.kept()?.workspace.iter().find(|locked| locked.name == *name)?.source.yarn;
    let is_in_range = || {
        let range = NpmRange::parse(&read.yarn.version)?;
        semver::Version::parse(&locked.version).ok().filter(|version| range.allows(version))
    };
    let is_wanted = locked.from == read.yarn.from && (locked.version == read.yarn.version || is_in_range().is_some());
    Some((locked.version.clone(), locked.integrity.filter(|_| is_wanted)?))
}

/// What only the registry knows of a workspace: its yarn's integrity, unless that is locked.
async fn pin_yarn(
    (provider, registry): (&Provider<'_>, &NpmRegistry),
    yarns: &mut YarnPins,
    read: ReadWorkspace,
    locked: Option<(String, Integrity)>,
) -> Result<(Workspace, Option<Companion>)> {
    let ReadWorkspace { mut workspace, yarn, list, .. } = read;
    if yarn.path.is_none() {
        let (version, integrity) = match (locked, yarns.get(&yarn.version)) {
            (Some(locked), _) => locked,
            (None, Some(known)) => known.clone(),
            (None, None) => {
                let found = pin::yarn(registry, &yarn.version).await?;
                yarns.insert(yarn.version.clone(), found.clone());
                found
            }
        };
        workspace.source.yarn.version = version;
        workspace.source.yarn.integrity = Some(integrity);
        if let Some(hash) = &yarn.hash {
            hash.check(provider, &workspace.source.yarn).await?;
        }
    }
    Ok((workspace, list))
}
