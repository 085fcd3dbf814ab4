//! What a build of a lock has to do, and why: no plugin is built for it and no network asked.

pub mod reason;
mod render;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use reason::PlanReason;

use crate::build::report::Report;
use crate::lock::shards::{MOST_SHARDS, balanced, expected_seconds};
use crate::lock::{Lock, Plugin, Sha256, Shard, Workspace, input_digest};

/// The format of the JSON.
pub const VERSION: u32 = 1;
/// Seconds that a workspace takes of which all is in the cache.
const CACHED_SECONDS: f64 = 1.0;

/// What a build of a lock has to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// Format version.
    pub version: u32,
    /// Digest of the lock's pins: the identity of the release.
    pub lock: Sha256,
    /// What it is compared with, as it was named; absent when there is nothing to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The workspaces, in the order of the lock.
    pub workspaces: Vec<PlannedWorkspace>,
    /// Which workspaces are built together, by about the same time; all workspaces are in one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<PlannedShard>,
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedWorkspace {
    /// Its name.
    pub name: String,
    /// Whether something of it has to be built.
    pub build: bool,
    /// Seconds that its build is expected to take, from those of the last one where they are known.
    pub seconds: f64,
    /// Its plugins, in the order of the lock.
    pub plugins: Vec<PlannedPlugin>,
}

/// A plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedPlugin {
    /// Its folder from the workspace.
    pub path: String,
    /// Its source package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of all inputs. Absent of a backend that is not sealed: only a build finds out its private dependencies,
    /// which are among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Sha256>,
    /// Where its finished build is; absent when it has to be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<CachePlace>,
    /// Why it has to be built; empty when it has not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<PlanReason>,
    /// Seconds that its last build took, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Where a finished build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CachePlace {
    /// In the cache of this machine.
    Local,
    /// In the cache repository.
    Remote,
}

/// Workspaces that are built together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedShard {
    /// The value of `--shard`.
    pub shard: String,
    /// Its workspaces, sorted.
    pub workspaces: Vec<String>,
    /// Those of which something has to be built.
    pub build: Vec<String>,
    /// Seconds that its build is expected to take.
    pub seconds: f64,
}

/// What a plan is made from besides the lock.
pub struct PlanBasis<'a> {
    /// The lock it is compared with, and what that is called.
    pub since: Option<(&'a str, &'a Lock)>,
    /// Where the finished build of these inputs is.
    pub cached: &'a dyn Fn(Sha256) -> Option<CachePlace>,
    /// Reports of builds, the last one first.
    pub reports: &'a [Report],
}

/// Why a plugin of this lock has to be built that no cache has; `since` is the lock before it.
pub fn reasons(since: Option<&Lock>, lock: &Lock, workspace: &Workspace, plugin: &Plugin) -> Vec<PlanReason> {
    let old = since.and_then(|since| since.workspace.iter().find(|one| one.name == workspace.name));
    reason::of(since.map(|since| ("", since)), old, (lock, workspace, plugin))
}

/// The plan of a lock, without shards.
pub fn of(lock: &Lock, basis: &PlanBasis<'_>) -> Plan {
    let since: BTreeMap<&str, &Workspace> =
        basis.since.iter().flat_map(|(_, lock)| &lock.workspace).map(|one| (one.name.as_str(), one)).collect();
    let seconds = KnownSeconds::of(basis.reports);
    let workspaces = lock.workspace.iter().map(|workspace| {
        let old = since.get(workspace.name.as_str()).copied();
        let plugins = workspace.plugin.iter().map(|plugin| {
            let inputs = key(lock, workspace, plugin);
            let sealed = plugin.sealed.is_some() && !workspace.source.local;
            let cached = inputs.filter(|_| sealed).and_then(|inputs| (basis.cached)(inputs));
            let new = (lock, workspace, plugin);
            let reasons = if cached.is_some() { Vec::new() } else { reason::of(basis.since, old, new) };
            PlannedPlugin {
                path: plugin.path.clone(),
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                inputs,
                cached,
                reasons,
                seconds: seconds.plugins.get(&(workspace.name.as_str(), plugin.path.as_str())).copied().map(rounded),
            }
        });
        let plugins: Vec<PlannedPlugin> = plugins.collect();
        let build = plugins.iter().any(|plugin| plugin.cached.is_none());
        let seconds = if build { seconds.expected(workspace, &plugins) } else { CACHED_SECONDS };
        PlannedWorkspace { name: workspace.name.clone(), build, seconds: rounded(seconds), plugins }
    });
    Plan {
        version: VERSION,
        lock: lock.identity(),
        since: basis.since.map(|(name, _)| name.to_owned()),
        workspaces: workspaces.collect(),
        shards: Vec::new(),
    }
}

/// The digest of a plugin's inputs, as far as the lock says them: the key of its finished build.
fn key(lock: &Lock, workspace: &Workspace, plugin: &Plugin) -> Option<Sha256> {
    let closure = plugin.sealed.as_ref().and_then(|sealed| sealed.closure);
    let is_known = plugin.sealed.is_some() || !plugin.role.is_backend();
    is_known.then(|| input_digest::digest(lock, workspace, plugin, closure))
}

/// What the last builds took.
struct KnownSeconds<'a> {
    /// Before the plugins.
    workspaces: BTreeMap<&'a str, f64>,
    plugins: BTreeMap<(&'a str, &'a str), f64>,
}

impl<'a> KnownSeconds<'a> {
    /// Of what came from the cache a report knows nothing, and an earlier one may.
    fn of(reports: &'a [Report]) -> Self {
        let sum = |phases: &BTreeMap<String, f64>| phases.values().filter(|seconds| seconds.is_finite()).sum::<f64>();
        let (mut workspaces, mut plugins) = (BTreeMap::new(), BTreeMap::new());
        for workspace in reports.iter().flat_map(|report| &report.workspaces) {
            if !workspace.seconds.is_empty() {
                workspaces.entry(workspace.name.as_str()).or_insert_with(|| sum(&workspace.seconds));
            }
            for plugin in workspace.plugins.iter().filter(|plugin| !plugin.seconds.is_empty()) {
                plugins.entry((workspace.name.as_str(), plugin.path.as_str())).or_insert_with(|| sum(&plugin.seconds));
            }
        }
        Self { workspaces, plugins }
    }

    /// What the build of a workspace is expected to take.
    fn expected(&self, workspace: &Workspace, plugins: &[PlannedPlugin]) -> f64 {
        let wanted = |plugin: &Plugin| plugins.iter().any(|one| one.path == plugin.path && one.cached.is_none());
        let name = workspace.name.as_str();
        let is_known = |plugin: &Plugin| self.plugins.contains_key(&(name, plugin.path.as_str()));
        let mut unknown = workspace.clone();
        unknown.plugin.retain(|plugin| wanted(plugin) && !is_known(plugin));
        let known = workspace.plugin.iter().filter(|plugin| wanted(plugin));
        let known: f64 = known.filter_map(|plugin| self.plugins.get(&(name, plugin.path.as_str()))).sum();
        let without_plugins = expected_seconds(&Workspace { plugin: Vec::new(), ..unknown.clone() });
        let before = self.workspaces.get(name).copied().unwrap_or(without_plugins);
        before + known + expected_seconds(&unknown) - without_plugins
    }
}

/// To tenths.
fn rounded(seconds: f64) -> f64 {
    (seconds.max(0.0) * 10.0).round() / 10.0
}

impl Plan {
    /// How many plugins have to be built.
    pub fn builds(&self) -> usize {
        self.workspaces.iter().flat_map(|one| &one.plugins).filter(|plugin| plugin.cached.is_none()).count()
    }

    /// Divides the workspaces, the whole of each, by seconds: into no more shards than are asked for, and than have
    /// something to build, but at least one.
    pub fn divide(&mut self, lock: &Lock, most: usize) {
        let building = self.workspaces.iter().filter(|workspace| workspace.build).count();
        let count = most.min(building).clamp(1, MOST_SHARDS);
        let seconds = self.workspaces.iter().map(|one| (one.name.clone(), one.seconds)).collect();
        let known: BTreeMap<&str, &PlannedWorkspace> =
            self.workspaces.iter().map(|one| (one.name.as_str(), one)).collect();
        let shards = balanced(lock, &seconds, count).into_iter().enumerate().map(|(index, workspaces)| {
            let planned: Vec<&PlannedWorkspace> =
                workspaces.iter().filter_map(|name| known.get(name.as_str()).copied()).collect();
            PlannedShard {
                shard: Shard { number: index + 1, count }.to_string(),
                build: planned.iter().filter(|one| one.build).map(|one| one.name.clone()).collect(),
                seconds: rounded(planned.iter().map(|one| one.seconds).sum()),
                workspaces,
            }
        });
        self.shards = shards.collect();
    }
}
