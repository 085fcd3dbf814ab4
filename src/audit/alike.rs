//! Packages that moved in the same way in several plugins: a release moves one package in many of them.

use std::collections::BTreeMap;

use super::change::{ChangeKind, PackageChange};
use super::diff::Diff;
use super::version_step::VersionStep;

/// A package that moved in the same way in several plugins.
#[derive(Debug)]
pub struct AlikeMove<'a> {
    /// How it moved.
    pub package: &'a PackageChange,
    /// The workspaces and paths of the plugins.
    pub plugins: Vec<(&'a str, &'a str)>,
}

/// The moves that several plugins have.
#[derive(Debug, Default)]
pub struct AlikeMoves<'a> {
    known: BTreeMap<MoveKey<'a>, AlikeMove<'a>>,
}

type MoveKey<'a> = (&'a str, &'a [String], &'a [String], Option<(&'a str, &'a str)>);

impl<'a> AlikeMoves<'a> {
    /// Finds them.
    pub fn of(diff: &'a Diff) -> Self {
        let mut known: BTreeMap<_, AlikeMove<'_>> = BTreeMap::new();
        for change in &diff.changes {
            let (Some(workspace), Some(plugin)) = (&change.workspace, &change.plugin) else { continue };
            let ChangeKind::Dependencies { packages } = &change.what else { continue };
            for package in packages {
                let alike = known.entry(key(package)).or_insert_with(|| AlikeMove { package, plugins: Vec::new() });
                alike.plugins.push((workspace, plugin));
            }
        }
        known.retain(|_, alike| alike.plugins.len() > 1);
        Self { known }
    }

    /// True if other plugins have this move too.
    pub fn has(&self, package: &PackageChange) -> bool {
        self.known.contains_key(&key(package))
    }

    /// All, majors first, then those that most plugins have.
    pub fn sorted(&self) -> Vec<&AlikeMove<'a>> {
        let mut all: Vec<_> = self.known.values().collect();
        all.sort_by_key(|alike| {
            let is_major = alike.package.step == Some(VersionStep::Major);
            (!is_major, std::cmp::Reverse(alike.plugins.len()), alike.package.change)
        });
        all
    }
}

fn key(package: &PackageChange) -> MoveKey<'_> {
    let own = package.own.as_ref().map(|own| (own.from.as_str(), own.to.as_str()));
    (&package.package, &package.from, &package.to, own)
}
