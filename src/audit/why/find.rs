//! The answer to `factory why`, found in what is shipped and in lockfiles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use super::answer::{
    FORMAT, FoundVersion, ScaffoldState, ScaffoldVersion, ShippedKind, ShippedVersion, Why, WhyAnswer, WhyHost,
    WhyPlugin, WhyTool, WhyWorkspace,
};
use super::query::PackageQuery;
use crate::audit::closure::{PackageVersions, versions};
use crate::audit::package_graph::PackageGraph;
use crate::audit::shipped::{PluginContents, ShippedPlugin};
use crate::lock::bundle::{Bundle, BundlePlace, PackageOrigin};
use crate::lock::{Lock, Rhdh};
use crate::resolve::host::HostLock;
use crate::yarn::lockfile::YarnLock;

/// What an answer is made of.
pub struct WhyEvidence<'a> {
    /// The lock, and its name.
    pub lock: (&'a Lock, String),
    /// What is in the plugins.
    pub plugins: &'a [ShippedPlugin<'a>],
    /// The `yarn.lock` of each workspace.
    pub yarn_locks: &'a [WorkspaceLock],
    /// What RHDH has, or why that is not known. None for a lock without a host.
    pub host: Option<Result<HostLock, String>>,
    /// The packages of each version of rhdh-cli.
    pub tools: BTreeMap<String, PackageVersions>,
}

const YARN_LOCK: &str = "yarn.lock";
/// The version that yarn gives to the packages of the tree itself.
const OWN_VERSION: &str = "0.0.0-use.local";
/// What rhdh-cli adds to the version of a package that it embeds.
const EMBEDDED: &str = "+embedded";

impl WhyEvidence<'_> {
    /// Every name that is known.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.plugins.iter().map(|plugin| plugin.plugin.name.clone()).collect();
        names.extend(self.plugins.iter().flat_map(|plugin| plugin.contents.names()).map(str::to_owned));
        let locked = self.yarn_locks.iter().filter_map(|locked| locked.packages.as_ref().ok());
        names.extend(locked.chain(self.tools.values()).flat_map(|packages| packages.keys().cloned()));
        let host = self.host.as_ref().and_then(|host| host.as_ref().ok());
        names.extend(host.into_iter().flat_map(|host| host.versions.keys().cloned()));
        names
    }
}

/// The packages of a workspace's `yarn.lock`.
pub struct WorkspaceLock {
    /// The workspace.
    pub workspace: String,
    /// The packages, or why they cannot be had.
    pub packages: Result<PackageVersions, String>,
    text: Vec<u8>,
    graph: OnceLock<PackageGraph>,
}

impl WorkspaceLock {
    /// The packages of a `yarn.lock`, those of the tree itself too.
    pub fn of(workspace: &str, yarn_lock: Result<Vec<u8>, String>) -> Self {
        let mut text = Vec::new();
        let packages = yarn_lock.and_then(|bytes| {
            let lock = YarnLock::parse(&bytes, Path::new(YARN_LOCK)).map_err(|error| error.to_string())?;
            let packages = versions(lock.entries.iter().map(|entry| (entry.name(), &*entry.version)));
            text = bytes;
            Ok(packages)
        });
        Self { workspace: workspace.to_owned(), packages, text, graph: OnceLock::new() }
    }

    /// Who asks for which in it. Few are asked: it is made when it is.
    pub fn graph(&self) -> &PackageGraph {
        self.graph.get_or_init(|| {
            let lock = YarnLock::parse(&self.text, Path::new(YARN_LOCK));
            lock.map_or_else(|_| PackageGraph::default(), |lock| PackageGraph::of(&lock))
        })
    }
}

impl Why {
    /// The answer to a question.
    pub fn of(query: &PackageQuery, evidence: &WhyEvidence<'_>) -> Self {
        let (lock, name) = (evidence.lock.0, evidence.lock.1.clone());
        let plugins: Vec<WhyPlugin> = evidence.plugins.iter().map(|plugin| of_plugin(query, plugin)).collect();
        let workspaces = evidence.yarn_locks.iter().map(|locked| of_workspace(query, locked, &plugins)).collect();
        let host = lock.rhdh.as_ref().zip(evidence.host.as_ref()).map(|(rhdh, host)| of_host(query, rhdh, host));
        let tools = evidence.tools.iter().filter_map(|(version, packages)| {
            let versions = packages.get(&query.name)?.iter().map(|found| query.found(found)).collect();
            Some(WhyTool { tool: format!("rhdh-cli {version}"), versions })
        });
        Self {
            version: FORMAT,
            lock: name,
            package: query.name.clone(),
            range: query.range.clone(),
            plugins,
            host,
            workspaces,
            tools: tools.collect(),
        }
    }
}

impl PackageQuery {
    fn found(&self, version: &str) -> FoundVersion {
        FoundVersion { version: version.to_owned(), matches: self.matches(version) }
    }
}

fn of_plugin(query: &PackageQuery, plugin: &ShippedPlugin<'_>) -> WhyPlugin {
    let mut answer = WhyPlugin {
        workspace: plugin.workspace.name.clone(),
        plugin: plugin.plugin.path.clone(),
        answer: WhyAnswer::Absent,
        shipped: Vec::new(),
        shares: Some(plugin.shares.contains(&query.name)),
        unknown: None,
    };
    let own = &plugin.plugin.name;
    if query.name == *own || query.name.strip_suffix("-dynamic") == Some(own) {
        let version = plugin.plugin.version.clone();
        let matches = query.matches(&version);
        let itself = ShippedVersion {
            version,
            matches,
            kind: ShippedKind::Plugin,
            optional: false,
            paths: vec![],
            places: vec![],
        };
        answer.shipped.push(itself);
    }
    match &plugin.contents {
        PluginContents::Closure(graph) => answer.shipped.extend(in_closure(query, graph)),
        PluginContents::Bundle(bundle) => answer.shipped.extend(in_bundle(query, bundle)),
        // What it says it shares, it does.
        PluginContents::Unsealed | PluginContents::Unrecorded => answer.shares = answer.shares.filter(|shares| *shares),
    }
    answer.unknown = plugin.contents.unknown();
    answer.answer = match (answer.shipped.is_empty(), answer.shares) {
        (false, _) => WhyAnswer::Shipped,
        (true, _) if answer.unknown.is_some() => WhyAnswer::Unknown,
        (true, Some(true)) => WhyAnswer::Host,
        (true, _) => WhyAnswer::Absent,
    };
    answer
}

fn in_closure(query: &PackageQuery, graph: &PackageGraph) -> Vec<ShippedVersion> {
    let found = graph.named(&query.name);
    if found.is_empty() {
        return Vec::new();
    }
    let routes = graph.routes();
    let step = |at: &usize| format!("{}@{}", graph.get(*at).name, graph.get(*at).version);
    let version_of = |at: usize| {
        let node = graph.get(at);
        ShippedVersion {
            version: node.version.clone(),
            matches: query.matches(&node.version),
            kind: if node.embedded { ShippedKind::Embedded } else { ShippedKind::Dependency },
            optional: node.optional,
            paths: routes.to(at).iter().map(|way| way.iter().map(step).collect()).collect(),
            places: Vec::new(),
        }
    };
    found.map(version_of).collect()
}

fn in_bundle(query: &PackageQuery, bundle: &Bundle) -> Vec<ShippedVersion> {
    let mut found: BTreeMap<&str, Vec<(&BundlePlace, PackageOrigin)>> = BTreeMap::new();
    for package in bundle.packages.iter().filter(|package| package.name == query.name) {
        found.entry(&package.version).or_default().push((&package.place, package.origin));
    }
    let itself = BundlePlace::Shared(query.name.clone());
    for version in bundle.shares.iter().filter(|one| one.name == query.name).filter_map(|one| one.version.as_deref()) {
        found.entry(version).or_insert_with(|| vec![(&itself, PackageOrigin::Installed)]);
    }
    let version_of = |(version, places): (&str, Vec<(&BundlePlace, PackageOrigin)>)| {
        let all = |origin| places.iter().all(|(_, of)| *of == origin);
        let kind = if places.iter().all(|(place, _)| matches!(place, BundlePlace::Shared(_))) {
            ShippedKind::Fallback
        } else if all(PackageOrigin::Workspace) {
            ShippedKind::Embedded
        } else if all(PackageOrigin::Tools) {
            ShippedKind::Bundler
        } else {
            ShippedKind::Bundled
        };
        let places: BTreeSet<String> = places.iter().map(|(place, _)| place.to_string()).collect();
        ShippedVersion {
            version: version.to_owned(),
            matches: query.matches(version),
            kind,
            optional: false,
            paths: Vec::new(),
            places: places.into_iter().collect(),
        }
    };
    found.into_iter().map(version_of).collect()
}

fn of_workspace(query: &PackageQuery, locked: &WorkspaceLock, plugins: &[WhyPlugin]) -> WhyWorkspace {
    let own = || plugins.iter().filter(|plugin| plugin.workspace == locked.workspace);
    // What is embedded has the version of what it was made of, with a mark.
    let unmarked = |version: &'_ str| version.strip_suffix(EMBEDDED).unwrap_or(version).to_owned();
    let shipped: BTreeSet<String> =
        own().flat_map(|plugin| &plugin.shipped).map(|version| unmarked(&version.version)).collect();
    let is_known = own().all(|plugin| plugin.unknown.is_none());
    let is_own_shipped = own()
        .flat_map(|plugin| &plugin.shipped)
        .any(|one| matches!(one.kind, ShippedKind::Plugin | ShippedKind::Embedded));
    let is_shipped = |version: &str| shipped.contains(version) || (version == OWN_VERSION && is_own_shipped);
    let state = |version: &str| match (is_shipped(version), is_known) {
        (true, _) => ScaffoldState::Shipped,
        (false, true) => ScaffoldState::ScaffoldOnly,
        (false, false) => ScaffoldState::Unknown,
    };
    let (versions, unknown) = match &locked.packages {
        Ok(packages) => (packages.get(&query.name).into_iter().flatten().collect(), None),
        Err(why) => (Vec::new(), Some(why.clone())),
    };
    let versions = versions.into_iter().map(|version: &String| ScaffoldVersion {
        version: version.clone(),
        matches: query.matches(version),
        state: state(version),
    });
    WhyWorkspace { workspace: locked.workspace.clone(), versions: versions.collect(), unknown }
}

fn of_host(query: &PackageQuery, rhdh: &Rhdh, host: &Result<HostLock, String>) -> WhyHost {
    let release = rhdh.version.clone().unwrap_or_else(|| rhdh.requested.clone());
    match host {
        Ok(host) => {
            let versions = host.versions.get(&query.name).into_iter().flatten();
            WhyHost { release, versions: versions.map(|version| query.found(version)).collect(), unknown: None }
        }
        Err(why) => WhyHost { release, versions: Vec::new(), unknown: Some(why.clone()) },
    }
}
