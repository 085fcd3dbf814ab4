//! The advisories about what is shipped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::advisory::{Advisory, joined};
use super::ignored::{IgnoreList, IgnoreVerdict};
use super::remedy;
use super::report::{
    AffectedPlugin, AffectedVersion, AuditFinding, AuditReport, FORMAT, HostFinding, IgnoredFinding, ScaffoldFinding,
    UnknownContent,
};
use super::severity::AdvisorySeverity;
use super::versions::AffectedVersions;
use crate::audit::closure::PackageVersions;
use crate::audit::package_graph::Routes;
use crate::audit::shipped::{PluginContents, ShippedPlugin};
use crate::audit::why::WorkspaceLock;
use crate::npm::range::npm_version;
use crate::resolve::host::HostLock;

/// What a report is made of, without the advisories.
pub struct AuditEvidence<'a> {
    /// The lock's path, as it was given.
    pub lock: String,
    /// Where the advisories are from.
    pub source: String,
    /// What is in the plugins.
    pub plugins: &'a [ShippedPlugin<'a>],
    /// The `yarn.lock` of each workspace.
    pub yarn_locks: &'a [WorkspaceLock],
    /// What RHDH has, where that is known.
    pub host: Option<&'a HostLock>,
}

/// Where a version is: the plugin, and its place in the closure.
type Instance = (usize, Option<usize>);
/// Every version that is shipped, by package.
type ShippedVersions = BTreeMap<String, BTreeMap<String, Vec<Instance>>>;

/// Finds advisories.
pub struct AdvisorySearch<'a> {
    evidence: &'a AuditEvidence<'a>,
    shipped: ShippedVersions,
    /// What plugins take from RHDH.
    shared: BTreeSet<&'a str>,
    /// Workspaces of which not all plugins are known.
    open: BTreeSet<&'a str>,
}

impl<'a> AdvisorySearch<'a> {
    /// Lays out what is shipped.
    pub fn new(evidence: &'a AuditEvidence<'a>) -> Self {
        let mut shipped = ShippedVersions::new();
        let mut add = |name: &str, version: &str, instance: Instance| {
            let versions = shipped.entry(name.to_owned()).or_default();
            versions.entry(version.to_owned()).or_default().push(instance);
        };
        for (at, plugin) in evidence.plugins.iter().enumerate() {
            add(&plugin.plugin.name, &plugin.plugin.version, (at, None));
            match &plugin.contents {
                PluginContents::Closure(graph) => {
                    for (node, package) in graph.nodes().iter().enumerate() {
                        add(&package.name, &package.version, (at, Some(node)));
                    }
                }
                PluginContents::Bundle(bundle) => {
                    let shares =
                        bundle.shares.iter().filter_map(|one| Some((one.name.as_str(), one.version.as_deref()?)));
                    let packages = bundle.packages.iter().map(|one| (one.name.as_str(), one.version.as_str()));
                    for (name, version) in packages.chain(shares).collect::<BTreeSet<_>>() {
                        add(name, version, (at, None));
                    }
                }
                PluginContents::Unsealed | PluginContents::Unrecorded => {}
            }
        }
        let plugins = evidence.plugins.iter();
        let open = plugins.clone().filter(|plugin| plugin.contents.unknown().is_some());
        Self {
            evidence,
            shipped,
            shared: plugins.flat_map(|plugin| &plugin.shares).map(String::as_str).collect(),
            open: open.map(|plugin| plugin.workspace.name.as_str()).collect(),
        }
    }

    /// Every package of which advisories matter.
    pub fn wanted(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.shipped.keys().cloned().collect();
        names.extend(self.shared.iter().map(|name| (*name).to_owned()));
        let locks = self.evidence.yarn_locks.iter().filter_map(|lock| lock.packages.as_ref().ok());
        names.extend(locks.flat_map(|packages| packages.keys().cloned()));
        names
    }

    /// The versions to ask a registry for: those of it, of what is shipped, shared or in a workspace.
    pub fn of_registry(&self) -> PackageVersions {
        let mut asked = PackageVersions::new();
        let own: BTreeSet<&str> = self.evidence.plugins.iter().map(|plugin| plugin.plugin.name.as_str()).collect();
        let mut add = |name: &str, version: &str| {
            if npm_version(version).is_some() && !version.ends_with("-use.local") && !version.ends_with("+embedded") {
                asked.entry(name.to_owned()).or_default().insert(version.to_owned());
            }
        };
        let shipped =
            self.shipped.iter().flat_map(|(name, versions)| versions.keys().map(move |one| (name.as_str(), one)));
        let locked = self.evidence.yarn_locks.iter().filter_map(|lock| lock.packages.as_ref().ok()).flatten();
        let locked = locked.flat_map(|(name, versions)| versions.iter().map(move |one| (name.as_str(), one)));
        let of_host = self.of_host().flat_map(|(name, versions)| versions.iter().map(move |one| (name, one)));
        for (name, version) in shipped.chain(locked).chain(of_host) {
            add(name, version);
        }
        asked.retain(|name, _| !own.contains(name.as_str()));
        asked
    }

    fn of_host(&self) -> impl Iterator<Item = (&'a str, &'a Vec<String>)> {
        let host = self.evidence.host;
        self.shared.iter().filter_map(move |name| Some((*name, host?.versions.get(*name)?)))
    }

    /// The report of some advisories; `today` is `2026-12-31`. Also which entries of the list of ignored ones were used.
    pub fn report(&self, records: Vec<Advisory>, ignore: &IgnoreList, today: &str) -> (AuditReport, BTreeSet<usize>) {
        let host: BTreeMap<&str, &Vec<String>> = self.of_host().collect();
        let mut report = AuditReport {
            version: FORMAT,
            lock: self.evidence.lock.clone(),
            source: self.evidence.source.clone(),
            packages: self.shipped.values().map(BTreeMap::len).sum(),
            findings: Vec::new(),
            host: Vec::new(),
            ignored: Vec::new(),
            scaffold: Vec::new(),
            unknown: self.unknown(),
        };
        let mut routes: BTreeMap<usize, Routes<'a>> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for advisory in joined(records) {
            for (name, affected) in &advisory.affected {
                let of_host = host.get(name.as_str()).map(|versions| having(affected, versions.iter()));
                let of_host = of_host.filter(|versions| !versions.is_empty());
                let is_of_host = of_host.is_some();
                report.host.extend(of_host.map(|versions| HostFinding {
                    id: advisory.id.clone(),
                    severity: advisory.severity,
                    package: name.clone(),
                    versions,
                }));
                let versions = self.affected(name, affected, &mut routes);
                if versions.is_empty() {
                    if !is_of_host {
                        report.scaffold.extend(self.scaffold(&advisory.id, name, affected));
                    }
                    continue;
                }
                let mut finding = finding(&advisory, name, versions);
                let (verdict, entries) = ignore.verdict(&finding, today);
                used.extend(entries);
                match verdict {
                    IgnoreVerdict::Counts => report.findings.push(finding),
                    IgnoreVerdict::Ignored(reason) => report.ignored.push(IgnoredFinding { finding, reason }),
                    IgnoreVerdict::Expired(day) => {
                        finding.expired = Some(day);
                        report.findings.push(finding);
                    }
                }
            }
        }
        let order = |severity: AdvisorySeverity| (severity == AdvisorySeverity::Unknown, Reverse(severity));
        report
            .findings
            .sort_by(|a, b| (order(a.severity), &a.package, &a.id).cmp(&(order(b.severity), &b.package, &b.id)));
        report.host.sort_by(|a, b| (order(a.severity), &a.package, &a.id).cmp(&(order(b.severity), &b.package, &b.id)));
        report.scaffold.sort_by(|a, b| (&a.package, &a.id).cmp(&(&b.package, &b.id)));
        (report, used)
    }

    fn unknown(&self) -> Vec<UnknownContent> {
        let plugins = self.evidence.plugins.iter();
        let plugins = plugins.filter_map(|plugin| Some((plugin.place(), plugin.contents.unknown()?)));
        let locks = self.evidence.yarn_locks.iter();
        let locks = locks.filter_map(|lock| {
            Some((format!("yarn.lock of {}", lock.workspace), lock.packages.as_ref().err()?.clone()))
        });
        plugins.chain(locks).map(|(what, why)| UnknownContent { what, why }).collect()
    }

    /// The versions of a package that are shipped and that an advisory is about.
    fn affected(
        &self,
        name: &str,
        affected: &AffectedVersions,
        routes: &mut BTreeMap<usize, Routes<'a>>,
    ) -> Vec<AffectedVersion> {
        let Some(shipped) = self.shipped.get(name) else { return Vec::new() };
        having(affected, shipped.keys())
            .into_iter()
            .map(|version| {
                let fixed = affected.fixed_after(&version);
                let mut askers: BTreeMap<&str, BTreeSet<remedy::PackageAsker>> = BTreeMap::new();
                let mut plugins = Vec::new();
                for &(at, node) in &shipped[&version] {
                    let plugin = &self.evidence.plugins[at];
                    let own = askers.entry(&plugin.workspace.name).or_default();
                    let mut path = Vec::new();
                    if let (PluginContents::Closure(graph), Some(node)) = (&plugin.contents, node) {
                        own.extend(remedy::askers(graph, node));
                        let ways = routes.entry(at).or_insert_with(|| graph.routes()).to(node);
                        let step = |at: &usize| format!("{}@{}", graph.get(*at).name, graph.get(*at).version);
                        path = ways.first().map(|way| way.iter().map(step).collect()).unwrap_or_default();
                    } else {
                        own.extend(self.asked_in_workspace(&plugin.workspace.name, name, &version));
                    }
                    let (workspace, plugin) = (plugin.workspace.name.clone(), plugin.plugin.path.clone());
                    plugins.push(AffectedPlugin { workspace, plugin, path });
                }
                let change = |(workspace, askers): (&&str, &BTreeSet<remedy::PackageAsker>)| {
                    remedy::change(workspace, name, fixed.as_ref(), askers)
                };
                let changes = askers.iter().map(change).collect();
                AffectedVersion { version, fixed: fixed.map(|fixed| fixed.to_string()), plugins, changes }
            })
            .collect()
    }

    /// Who asks for a version in a workspace's own lockfile: a bundle does not say it.
    fn asked_in_workspace(&self, workspace: &str, name: &str, version: &str) -> BTreeSet<remedy::PackageAsker> {
        let lock = self.evidence.yarn_locks.iter().find(|lock| lock.workspace == workspace);
        let graph = lock.map(|lock| &lock.graph);
        let of = |graph: &crate::audit::package_graph::PackageGraph| {
            let at = graph.named(name).find(|at| graph.get(*at).version == version)?;
            Some(remedy::askers(graph, at))
        };
        graph.and_then(of).unwrap_or_default()
    }

    /// An advisory about what is only in workspaces.
    fn scaffold(&self, id: &str, name: &str, affected: &AffectedVersions) -> Option<ScaffoldFinding> {
        let mut versions = BTreeSet::new();
        let mut proven = true;
        for lock in self.evidence.yarn_locks {
            let of_name = lock.packages.as_ref().ok().and_then(|packages| packages.get(name));
            let found = having(affected, of_name.into_iter().flatten());
            proven &= found.is_empty() || !self.open.contains(lock.workspace.as_str());
            versions.extend(found);
        }
        let versions: Vec<String> = versions.into_iter().collect();
        let finding = ScaffoldFinding { id: id.to_owned(), package: name.to_owned(), versions, proven };
        (!finding.versions.is_empty()).then_some(finding)
    }
}

/// Those of some versions that are affected, lowest first.
fn having<'v>(affected: &AffectedVersions, versions: impl Iterator<Item = &'v String>) -> Vec<String> {
    let mut found: Vec<String> = versions.filter(|version| affected.has(version)).cloned().collect();
    found.sort_by(|one, other| npm_version(one).cmp(&npm_version(other)).then_with(|| one.cmp(other)));
    found
}

fn finding(advisory: &Advisory, package: &str, versions: Vec<AffectedVersion>) -> AuditFinding {
    let (score, vector) = advisory.score.clone().unzip();
    AuditFinding {
        id: advisory.id.clone(),
        aliases: advisory.aliases.clone(),
        severity: advisory.severity,
        score,
        vector,
        summary: advisory.summary.clone(),
        url: advisory.url.clone(),
        package: package.to_owned(),
        versions,
        expired: None,
    }
}
