//! The answer to `factory why` for people: what is shipped first, by version.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{FoundVersion, ScaffoldState, ShippedKind, ShippedVersion, Why, WhyPlugin};
use crate::audit::branches::Branch;
use crate::audit::display::printable;
use crate::npm::range::npm_version;
use crate::ui::count;

/// How many names of one line are shown.
const NAMES: usize = 5;

impl Why {
    /// A tree for each version that is somewhere; with `all` every way to it.
    pub fn to_text(&self, all: bool) -> String {
        let mut roots = self.shipped(all);
        if roots.is_empty() && self.plugins.iter().all(|plugin| plugin.unknown.is_none()) {
            roots.push(Branch::leaf(format!("no plugin ships it ({} looked at)", count(self.plugins.len(), "plugin"))));
        }
        roots.extend(self.of_host());
        roots.extend(self.scaffold());
        roots.extend(self.unknown());
        roots.extend(self.tools.iter().map(|tool| {
            let versions = self.listed(&tool.versions);
            Branch::leaf(format!("{versions}: in {}, a build tool, which is not shipped", printable(&tool.tool)))
        }));
        let range = self.range.as_ref().map(|range| format!("@{range}")).unwrap_or_default();
        let mut text = format!("{}{}\n", printable(&self.package), printable(&range));
        for root in roots {
            text.push('\n');
            root.write(&mut text);
        }
        text
    }

    /// `4.17.20 (matches)`
    fn version(&self, version: &str, matches: Option<bool>) -> String {
        let said = match (&self.range, matches) {
            (None, _) => "",
            (Some(_), Some(true)) => " (matches)",
            (Some(_), Some(false)) => " (does not match)",
            (Some(_), None) => " (not comparable)",
        };
        format!("{}{said}", printable(version))
    }

    fn listed(&self, versions: &[FoundVersion]) -> String {
        let versions: Vec<String> = versions.iter().map(|found| self.version(&found.version, found.matches)).collect();
        versions.join(", ")
    }

    fn shipped(&self, all: bool) -> Vec<Branch> {
        let mut versions: BTreeMap<_, Vec<(&WhyPlugin, &ShippedVersion)>> = BTreeMap::new();
        for plugin in &self.plugins {
            for shipped in &plugin.shipped {
                let order = (shipped.matches != Some(true), npm_version(&shipped.version), &shipped.version);
                versions.entry(order).or_default().push((plugin, shipped));
            }
        }
        let root = |found: Vec<(&WhyPlugin, &ShippedVersion)>| {
            let (version, matches) = (&found[0].1.version, found[0].1.matches);
            let label = format!("{}: shipped by {}", self.version(version, matches), count(found.len(), "plugin"));
            Branch::new(label, found.into_iter().map(|(plugin, shipped)| in_plugin(plugin, shipped, all)).collect())
        };
        versions.into_values().map(root).collect()
    }

    fn of_host(&self) -> Option<Branch> {
        let takers: Vec<&WhyPlugin> = self.plugins.iter().filter(|plugin| plugin.shares == Some(true)).collect();
        let host = self.host.as_ref();
        let release = host.map_or("RHDH".to_owned(), |host| format!("RHDH {}", printable(&host.release)));
        let label = match host {
            Some(host) if !host.versions.is_empty() && takers.is_empty() => {
                format!("{}: in {release}, from which no plugin takes it", self.listed(&host.versions))
            }
            Some(host) if !host.versions.is_empty() => {
                format!("{}: provided by {release} to {}", self.listed(&host.versions), count(takers.len(), "plugin"))
            }
            _ if takers.is_empty() => return None,
            Some(host) if host.unknown.is_none() => {
                format!("not in {release}, of which {} it", expects(takers.len()))
            }
            _ => format!("{} it of {release}; its version is not known", expects(takers.len())),
        };
        Some(Branch::new(label, takers.into_iter().map(|plugin| Branch::leaf(place(plugin))).collect()))
    }

    fn scaffold(&self) -> Vec<Branch> {
        let mut versions: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for workspace in &self.workspaces {
            for found in workspace.versions.iter().filter(|found| found.state != ScaffoldState::Shipped) {
                let order = (found.matches != Some(true), npm_version(&found.version));
                let key = (order, found.state, found.version.as_str(), found.matches);
                versions.entry(key).or_default().insert(&workspace.workspace);
            }
        }
        let root = |((_, state, version, matches), names): ((_, ScaffoldState, &str, _), BTreeSet<&str>)| {
            let what = if state == ScaffoldState::Unknown {
                "in yarn.lock; it is not known whether plugins ship it"
            } else {
                "scaffold only: in yarn.lock, and in no plugin of the workspace"
            };
            let names = names.into_iter().map(|name| Branch::leaf(printable(name))).collect();
            Branch::new(format!("{}: {what}", self.version(version, matches)), names)
        };
        versions.into_iter().map(root).collect()
    }

    fn unknown(&self) -> Option<Branch> {
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for plugin in &self.plugins {
            reasons.entry(plugin.unknown.as_deref().unwrap_or_default()).or_default().push(place(plugin));
        }
        reasons.remove("");
        let mut children: Vec<Branch> =
            reasons.into_iter().map(|(why, places)| Branch::leaf(format!("{}: {why}", shortened(&places)))).collect();
        let mut locks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for workspace in &self.workspaces {
            let why = workspace.unknown.as_deref().unwrap_or_default();
            locks.entry(why).or_default().push(printable(&workspace.workspace));
        }
        locks.remove("");
        let of_locks = |(why, names): (&str, Vec<String>)| {
            Branch::leaf(format!("yarn.lock of {}: {}", shortened(&names), printable(why)))
        };
        children.extend(locks.into_iter().map(of_locks));
        let host = self.host.as_ref().and_then(|host| Some((host, host.unknown.as_ref()?)));
        children.extend(host.map(|(host, why)| Branch::leaf(format!("RHDH {}: {}", printable(&host.release), why))));
        (!children.is_empty()).then(|| Branch::new("not known", children))
    }
}

fn in_bundle(place: &str) -> String {
    match place.split_once(':') {
        Some(("exposes", module)) => format!("loaded with the module `{module}`"),
        Some(("shares", package)) => format!("loaded for the shared package `{package}`"),
        _ if place == "entry" => "in the file that RHDH loads first".to_owned(),
        _ => "in a file of which the bundle does not say who loads it".to_owned(),
    }
}

fn expects(plugins: usize) -> String {
    format!("{} {}", count(plugins, "plugin"), if plugins == 1 { "expects" } else { "expect" })
}

fn place(plugin: &WhyPlugin) -> String {
    printable(&format!("{} {}", plugin.workspace, plugin.plugin))
}

fn shortened(names: &[String]) -> String {
    let rest = names.len().saturating_sub(NAMES);
    let first = names[..names.len() - rest].join(", ");
    if rest == 0 { first } else { format!("{first} and {rest} more") }
}

fn in_plugin(plugin: &WhyPlugin, shipped: &ShippedVersion, all: bool) -> Branch {
    let kind = match shipped.kind {
        ShippedKind::Plugin => ": the plugin itself",
        ShippedKind::Embedded => ": embedded",
        ShippedKind::Dependency if shipped.optional => ": on some platforms only",
        ShippedKind::Dependency => "",
        ShippedKind::Bundled => ": bundled",
        ShippedKind::Fallback => ": bundled, for an RHDH without it",
        ShippedKind::Bundler => ": bundled by rhdh-cli",
    };
    let line = |path: &Vec<String>| Branch::leaf(printable(&path.join(" > ")));
    let shown = if all { shipped.paths.len() } else { 1 };
    let mut children: Vec<Branch> = shipped.paths.iter().take(shown).map(line).collect();
    let more = shipped.paths.len().saturating_sub(shown);
    if more > 0 {
        children.push(Branch::leaf(format!("and {}: see `--all-paths`", count(more, "more path"))));
    }
    children.extend(shipped.places.iter().map(|place| Branch::leaf(printable(&in_bundle(place)))));
    Branch::new(format!("{}{kind}", place(plugin)), children)
}
