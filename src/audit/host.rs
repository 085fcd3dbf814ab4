//! What plugins take from RHDH itself, and how that changed between two of its lockfiles.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Affected, PackageChange, PackageMove, PluginPlace, Tie};
use super::diff::{HostCounts, HostMoves};
use super::version_step::VersionStep;
use crate::lock::Argument;
use crate::resolve::host::HostLock;

/// Modules that frontend plugins take from the host without saying so: the singletons that rhdh-cli shares
/// (`sharedModules` in its `scalprumConfig`).
const SINGLETONS: [&str; 14] = [
    "@emotion/cache",
    "@emotion/react",
    "@material-ui/core",
    "@material-ui/styles",
    "@mui/material",
    "@mui/private-theming",
    "@mui/styled-engine",
    "@mui/system",
    "@openshift/dynamic-plugin-sdk",
    "@scalprum/react-core",
    "react",
    "react-dom",
    "react-router",
    "react-router-dom",
];

/// The lockfiles of the two hosts.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Before.
    pub old: HostLock,
    /// Now.
    pub new: HostLock,
}

/// How a plugin is tied to packages of the host.
#[derive(Clone, Debug)]
pub struct Ties {
    /// The plugin.
    pub place: PluginPlace,
    /// What it takes from the host.
    pub shares: BTreeSet<String>,
    /// What it brings with it.
    pub embeds: BTreeSet<String>,
}

/// What became of the host's packages.
#[derive(Debug, Default)]
pub struct HostChanges {
    /// Shared packages that were dropped, added, or moved by a major or a minor of 0.x; the last first by weight.
    pub changes: Vec<(PackageChange, Vec<Affected>)>,
    /// All of them, counted.
    pub counts: HostCounts,
}

/// `--embed-package X`, `--shared-package X` or `--shared-package !X`: what a plugin brings, takes or refuses.
pub fn tie_of(argument: &Argument) -> Option<(Tie, &str)> {
    let value = argument.values.first()?.as_str();
    match argument.flag.as_str() {
        "--embed-package" => Some((Tie::Embeds, value)),
        "--shared-package" => match value.strip_prefix('!') {
            Some(refused) => Some((Tie::Embeds, refused)),
            None => Some((Tie::Shares, value)),
        },
        _ => None,
    }
}

impl Hosts {
    /// Compares the two lockfiles; `ties` are those of the new release's plugins.
    pub fn changes(&self, ties: &[Ties]) -> HostChanges {
        let taken: BTreeSet<&str> = ties.iter().flat_map(|ties| &ties.shares).map(String::as_str).collect();
        let is_shared =
            |name: &str| name.starts_with("@backstage/") || SINGLETONS.contains(&name) || taken.contains(name);
        let mut out = HostChanges::default();
        let none = Vec::new();
        let names: BTreeSet<&String> = self.old.versions.keys().chain(self.new.versions.keys()).collect();
        let set = |versions: &BTreeMap<String, Vec<String>>, name: &str| -> BTreeSet<String> {
            versions.get(name).unwrap_or(&none).iter().cloned().collect()
        };
        for name in names {
            let shared = is_shared(name);
            let change = PackageChange::between(name, &set(&self.old.versions, name), &set(&self.new.versions, name));
            let counts = if shared { &mut out.counts.shared } else { &mut out.counts.others };
            count(counts, change.as_ref());
            let Some(change) = change.filter(|change| shared && rank(change) < 4) else { continue };
            let affects = affected(name, &change, ties);
            out.changes.push((change, affects));
        }
        out.changes.sort_by_key(|(change, _)| rank(change));
        out
    }
}

/// Dropped, majors, minors of 0.x, new; the rest is only counted.
fn rank(change: &PackageChange) -> u8 {
    match (change.change, change.step) {
        (PackageMove::Removed, _) => 0,
        (_, Some(VersionStep::Major)) => 1,
        (_, Some(VersionStep::ZeroMinor)) => 2,
        (PackageMove::Added, _) => 3,
        _ => 4,
    }
}

fn count(counts: &mut HostMoves, change: Option<&PackageChange>) {
    let Some(change) = change else {
        counts.same += 1;
        return;
    };
    match rank(change) {
        0 => counts.dropped += 1,
        1 => counts.major += 1,
        2 => counts.zero_minor += 1,
        3 => counts.added += 1,
        _ => counts.less += 1,
    }
}

/// A package that is new in the host matters to those who bring their own; all others to those who take the host's.
fn affected(name: &str, change: &PackageChange, ties: &[Ties]) -> Vec<Affected> {
    let mut affected = Vec::new();
    for ties in ties {
        let how = if change.change != PackageMove::Added && ties.shares.contains(name) {
            Tie::Shares
        } else if change.change != PackageMove::Changed && ties.embeds.contains(name) {
            Tie::Embeds
        } else {
            continue;
        };
        affected.push(Affected { place: ties.place.clone(), how });
    }
    affected.sort_by(|a, b| (a.how, &a.place).cmp(&(b.how, &b.place)));
    affected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(packages: &[(&str, &[&str])]) -> HostLock {
        let versions = packages
            .iter()
            .map(|(name, versions)| ((*name).to_owned(), versions.iter().map(|v| (*v).to_owned()).collect()))
            .collect();
        HostLock { versions, ..HostLock::default() }
    }

    #[test]
    fn shared_packages_are_listed_by_weight_and_the_others_counted() {
        let hosts = Hosts {
            old: host(&[
                ("@backstage/gone", &["1.0.0"]),
                ("@backstage/major", &["1.20.0"]),
                ("@backstage/same", &["1.0.0"]),
                ("@backstage/zero", &["0.9.1"]),
                ("isolated-vm", &["5.0.1"]),
                ("jest", &["29.0.0"]),
            ]),
            new: host(&[
                ("@backstage/major", &["1.20.0", "2.0.1"]),
                ("@backstage/new", &["1.0.0"]),
                ("@backstage/same", &["1.0.0"]),
                ("@backstage/zero", &["0.10.0"]),
                ("isolated-vm", &["6.0.2"]),
                ("jest", &["30.0.0"]),
            ]),
        };
        let ties = Ties {
            place: PluginPlace { workspace: "w".into(), plugin: "p".into() },
            shares: ["@backstage/major".to_owned(), "isolated-vm".to_owned()].into(),
            embeds: ["@backstage/gone".to_owned(), "@backstage/new".to_owned()].into(),
        };
        let found = hosts.changes(&[ties]);
        let names: Vec<_> =
            found.changes.iter().map(|(change, affects)| (change.package.as_str(), affects.len())).collect();
        let expected = [
            ("@backstage/gone", 1),
            ("@backstage/major", 1),
            ("isolated-vm", 1),
            ("@backstage/zero", 0),
            ("@backstage/new", 1),
        ];
        assert_eq!(names, expected);
        let shared = HostMoves { dropped: 1, added: 1, major: 2, zero_minor: 1, less: 0, same: 1 };
        assert_eq!(found.counts.shared, shared);
        assert_eq!(found.counts.others, HostMoves { major: 1, ..HostMoves::default() });
    }

    #[test]
    fn arguments_tie_a_plugin_to_packages() {
        assert_eq!(tie_of(&"--embed-package @x/y".parse().unwrap()), Some((Tie::Embeds, "@x/y")));
        assert_eq!(tie_of(&"--shared-package !@x/y".parse().unwrap()), Some((Tie::Embeds, "@x/y")));
        assert_eq!(tie_of(&"--shared-package '!@x/y'".parse().unwrap()), Some((Tie::Embeds, "@x/y")));
        assert_eq!(tie_of(&"--shared-package isolated-vm".parse().unwrap()), Some((Tie::Shares, "isolated-vm")));
        assert_eq!(tie_of(&"--suppress-native-package x".parse().unwrap()), None);
        assert_eq!(tie_of(&"--no-build".parse().unwrap()), None);
    }
}
