//! The advisories about what is shipped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::advisory::{Advisory, joined};
use super::ignored::{IgnoreList, IgnoreVerdict};
use super::remedy;
use super::report::{
    AffectedPlugin, AffectedVersion, AuditFinding, AuditReport, FORMAT, HostFinding, IgnoredFinding, ScaffoldFinding,
    UnknownContent,
};
use super::severity::AdvisorySeverity;
use super::versions::{AffectedVersions, KnownVersion};
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
/// Every version that is shipped, by package, lowest first.
type ShippedVersions<'a> = BTreeMap<&'a str, BTreeMap<KnownVersion<'a>, Vec<Instance>>>;
/// Every version in the `yarn.lock` of workspaces, by package, with their positions.
type LockedVersions<'a> = HashMap<&'a str, BTreeMap<KnownVersion<'a>, Vec<usize>>>;

/// Finds advisories.
pub struct AdvisorySearch<'a> {
    evidence: &'a AuditEvidence<'a>,
    shipped: ShippedVersions<'a>,
    locked: LockedVersions<'a>,
    /// What plugins take from RHDH.
    shared: BTreeSet<&'a str>,
    /// Workspaces of which not all plugins are known.
    open: BTreeSet<&'a str>,
}

impl<'a> AdvisorySearch<'a> {
    /// Lays out what is shipped.
    pub fn new(evidence: &'a AuditEvidence<'a>) -> Self {
        let plugins = evidence.plugins.iter();
        let open = plugins.clone().filter(|plugin| plugin.contents.unknown().is_some());
        Self {
            evidence,
            shipped: shipped(evidence.plugins),
            locked: locked(evidence.yarn_locks),
            shared: plugins.flat_map(|plugin| &plugin.shares).map(String::as_str).collect(),
            open: open.map(|plugin| plugin.workspace.name.as_str()).collect(),
        }
    }

    /// Every package of which advisories matter.
    pub fn wanted(&self) -> BTreeSet<String> {
        let shipped = self.shipped.keys();
        shipped.chain(&self.shared).chain(self.locked.keys()).map(|name| (*name).to_owned()).collect()
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
        let shipped = self.shipped.iter().flat_map(|(name, all)| all.keys().map(move |one| (*name, one.text())));
        let locked = self.locked.iter().flat_map(|(name, all)| all.keys().map(move |one| (*name, one.text())));
        let of_host = self.of_host().flat_map(|(name, all)| all.iter().map(move |one| (name, one.as_str())));
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
                let of_host = host.get(name.as_str()).map(|versions| affected_among(affected, versions));
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
                let mut finding = finding(&advisory, name, versions, affected);
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
        shipped
            .iter()
            .filter(|(version, _)| affected.has(version))
            .map(|(known, instances)| {
                let (version, fixed) = (known.text().to_owned(), affected.fixed_after(known));
                let mut askers: BTreeMap<&str, BTreeSet<remedy::PackageAsker>> = BTreeMap::new();
                let mut plugins = Vec::new();
                for &(at, node) in instances {
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
        let Some(graph) = lock.map(WorkspaceLock::graph) else { return BTreeSet::new() };
        let at = graph.named(name).find(|at| graph.get(*at).version == version);
        at.map(|at| remedy::askers(graph, at)).unwrap_or_default()
    }

    /// An advisory about what is only in workspaces.
    fn scaffold(&self, id: &str, name: &str, affected: &AffectedVersions) -> Option<ScaffoldFinding> {
        let mut versions = Vec::new();
        let mut proven = true;
        let locked = self.locked.get(name).into_iter().flatten();
        for (version, locks) in locked.filter(|(version, _)| affected.has(version)) {
            let is_open = |at: &usize| self.open.contains(self.evidence.yarn_locks[*at].workspace.as_str());
            proven &= !locks.iter().any(is_open);
            versions.push(version.text().to_owned());
        }
        let finding = ScaffoldFinding { id: id.to_owned(), package: name.to_owned(), versions, proven };
        (!finding.versions.is_empty()).then_some(finding)
    }
}

/// Lays out what is shipped.
fn shipped<'a>(plugins: &'a [ShippedPlugin<'a>]) -> ShippedVersions<'a> {
    let mut shipped = ShippedVersions::new();
    let mut add = |name: &'a str, version: &'a str, instance: Instance| {
        shipped.entry(name).or_default().entry(KnownVersion::of(version)).or_default().push(instance);
    };
    for (at, plugin) in plugins.iter().enumerate() {
        add(&plugin.plugin.name, &plugin.plugin.version, (at, None));
        match &plugin.contents {
            PluginContents::Closure(graph) => {
                for (node, package) in graph.nodes().iter().enumerate() {
                    add(&package.name, &package.version, (at, Some(node)));
                }
            }
            PluginContents::Bundle(bundle) => {
                let shares = bundle.shares.iter().filter_map(|one| Some((one.name.as_str(), one.version.as_deref()?)));
                let packages = bundle.packages.iter().map(|one| (one.name.as_str(), one.version.as_str()));
                for (name, version) in packages.chain(shares).collect::<BTreeSet<_>>() {
                    add(name, version, (at, None));
                }
            }
            PluginContents::Unsealed | PluginContents::Unrecorded => {}
        }
    }
    shipped
}

/// Lays out what is in the `yarn.lock` of workspaces.
fn locked(locks: &[WorkspaceLock]) -> LockedVersions<'_> {
    let mut locked = LockedVersions::new();
    for (at, lock) in locks.iter().enumerate() {
        for (name, versions) in lock.packages.as_ref().ok().into_iter().flatten() {
            let known = locked.entry(name.as_str()).or_default();
            for version in versions {
                known.entry(KnownVersion::of(version)).or_default().push(at);
            }
        }
    }
    locked
}

/// Those of some versions that are affected, lowest first.
fn affected_among(affected: &AffectedVersions, versions: &[String]) -> Vec<String> {
    let known: BTreeSet<KnownVersion<'_>> = versions.iter().map(|version| KnownVersion::of(version)).collect();
    known.iter().filter(|version| affected.has(version)).map(|version| version.text().to_owned()).collect()
}

fn finding(
    advisory: &Advisory,
    package: &str,
    versions: Vec<AffectedVersion>,
    affected: &AffectedVersions,
) -> AuditFinding {
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
        unreadable: affected.unreadable.clone(),
        expired: None,
    }
}
