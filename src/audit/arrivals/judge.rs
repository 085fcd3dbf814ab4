//! What is known of packages that arrived → changes, and notes of what is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::super::change::{ArrivedPackage, Change, ChangeKind, Mark};
use super::super::diff::Diff;
use super::{Arrival, ArrivalRules, Arrivals, KnownFacts};
use crate::npm::package_facts::VersionFacts;
use crate::ui::{count, some};

impl Diff {
    /// Adds what `facts` say of the packages that arrived, as changes of all workspaces.
    pub fn add_arrivals(&mut self, arrivals: &Arrivals, facts: &KnownFacts, rules: ArrivalRules) {
        let judge = Judge { arrivals, facts };
        let mut found = Vec::new();
        if rules.facts {
            found.extend(judge.licences());
            found.extend(judge.install_scripts());
        }
        if let Some(since) = rules.since {
            found.extend(judge.published_after(since));
        }
        let at = self.changes.iter().position(|change| change.workspace.is_some()).unwrap_or(self.changes.len());
        let change = |(mark, what)| Change { mark, workspace: None, plugin: None, what };
        self.changes.splice(at..at, found.into_iter().map(change));
        self.notes.extend(arrivals.notes.iter().cloned());
        self.notes.extend(judge.notes(rules));
    }
}

struct Judge<'a> {
    arrivals: &'a Arrivals,
    facts: &'a KnownFacts,
}

impl<'a> Judge<'a> {
    fn of(&self, package: &str, version: &str) -> Option<&'a VersionFacts> {
        self.facts.manifests.get(&(package.to_owned(), version.to_owned()))
    }

    fn before(&self, arrival: &'a Arrival) -> impl Iterator<Item = &'a VersionFacts> {
        arrival.before.iter().filter_map(|version| self.of(&arrival.package, version))
    }

    fn known(&self) -> impl Iterator<Item = (&'a Arrival, &'a VersionFacts)> {
        self.arrivals.arrived.iter().filter_map(|arrival| Some((arrival, self.of(&arrival.package, &arrival.version)?)))
    }

    /// Licences that no package known of the old release has, then those that packages changed to.
    fn licences(&self) -> Vec<(Mark, ChangeKind)> {
        let all =
            self.arrivals.old.iter().flat_map(|(name, versions)| versions.iter().map(move |version| (name, version)));
        let old: Vec<&VersionFacts> = all.filter_map(|(name, version)| self.of(name, version)).collect();
        let had: BTreeSet<Option<&str>> = old.iter().map(|facts| facts.licence.as_deref()).collect();
        let mut found: BTreeMap<(bool, Option<&str>), Vec<ArrivedPackage>> = BTreeMap::new();
        for (arrival, facts) in self.known() {
            let licence = facts.licence.as_deref();
            let licences: BTreeSet<Option<&str>> = self.before(arrival).map(|facts| facts.licence.as_deref()).collect();
            let has_changed = !licences.is_empty() && !licences.contains(&licence);
            if had.contains(&licence) && !has_changed {
                continue;
            }
            let licences = licences.into_iter().map(|licence| licence.unwrap_or("none").to_owned()).collect();
            let package = ArrivedPackage { licences_before: licences, ..arrived(arrival) };
            found.entry((had.contains(&licence), licence)).or_default().push(package);
        }
        let change = |((known, licence), packages): ((bool, Option<&str>), Vec<ArrivedPackage>)| {
            // Where nothing is known of what was, nothing appeared.
            let appeared = !known && !old.is_empty();
            let mark = if old.is_empty() { Mark::Added } else { Mark::Review };
            let what =
                ChangeKind::Licence { licence: licence.map(str::to_owned), appeared, known: old.len(), packages };
            (mark, what)
        };
        found.into_iter().map(change).collect()
    }

    /// Packages with install scripts of which no version that was shipped is known to have had any.
    fn install_scripts(&self) -> Option<(Mark, ChangeKind)> {
        let has_appeared = |(arrival, facts): &(&'a Arrival, &VersionFacts)| {
            facts.has_install_script && !self.before(arrival).any(|facts| facts.has_install_script)
        };
        let packages: Vec<_> = self.known().filter(has_appeared).map(|(arrival, _)| arrived(arrival)).collect();
        (!packages.is_empty()).then_some((Mark::Review, ChangeKind::InstallScripts { packages }))
    }

    /// What was published lately, the newest first.
    fn published_after(&self, since: time::OffsetDateTime) -> Option<(Mark, ChangeKind)> {
        let time = |arrival: &Arrival| self.facts.published.get(&(arrival.package.clone(), arrival.version.clone()));
        let mut recent: Vec<_> = self
            .arrivals
            .arrived
            .iter()
            .filter_map(|arrival| Some((*time(arrival)?, arrival)))
            .filter(|(time, _)| *time > since)
            .collect();
        recent.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let package = |(time, arrival): (time::OffsetDateTime, &Arrival)| ArrivedPackage {
            published: Some(text_of(time)),
            ..arrived(arrival)
        };
        let packages: Vec<_> = recent.into_iter().map(package).collect();
        (!packages.is_empty()).then(|| (Mark::Review, ChangeKind::Published { since: text_of(since), packages }))
    }

    fn notes(&self, rules: ArrivalRules) -> Vec<String> {
        let name = |arrival: &Arrival| format!("`{}@{}`", arrival.package, arrival.version);
        let mut notes = Vec::new();
        let mut note = |what: &str, unknown: Vec<&Arrival>| {
            if unknown.is_empty() {
                return;
            }
            let why = self.why(&unknown);
            let packages = count(unknown.len(), "new package");
            notes.push(format!("{what} of {packages} is not known: {}{why}", some(unknown.into_iter().map(name))));
        };
        let all = || self.arrivals.arrived.iter();
        if rules.facts {
            note(
                "the licence, and whether install scripts appeared,",
                all().filter(|arrival| self.of(&arrival.package, &arrival.version).is_none()).collect(),
            );
        }
        if rules.since.is_some() {
            let key = |arrival: &Arrival| (arrival.package.clone(), arrival.version.clone());
            let unknown = all().filter(|arrival| !self.facts.published.contains_key(&key(arrival)));
            note("the time of publication", unknown.collect());
        }
        notes
    }

    fn why(&self, unknown: &[&Arrival]) -> String {
        if !self.facts.asked {
            return "; the cache has no archive with them: ask the registry with `--package-facts registry`".to_owned();
        }
        let refused = unknown.iter().find_map(|arrival| self.facts.refused.get(&arrival.package));
        refused.map_or_else(|| "; the npm registry does not say it".to_owned(), |why| format!("; {why}"))
    }
}

fn arrived(arrival: &Arrival) -> ArrivedPackage {
    ArrivedPackage {
        package: arrival.package.clone(),
        version: arrival.version.clone(),
        before: arrival.before.iter().cloned().collect(),
        licences_before: Vec::new(),
        published: None,
        plugins: arrival.plugins.clone(),
    }
}

/// `2026-11-28T09:38:00Z`
fn text_of(time: time::OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}
