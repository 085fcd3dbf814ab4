//! Everything counted, what did not change too.

use std::collections::{BTreeSet, HashSet};

use super::super::diff::{Counts, Form, Summary};
use super::super::pairing;
use super::super::release::Release;
use super::comparison::Comparison;

impl<'a> Comparison<'a> {
    pub(super) fn summary(&mut self) -> Summary {
        let changed: HashSet<&str> = self.changes.iter().filter_map(|change| change.workspace.as_deref()).collect();
        let plugins: HashSet<(&str, &str)> = self
            .changes
            .iter()
            .filter_map(|change| Some((change.workspace.as_deref()?, change.plugin.as_deref()?)))
            .collect();
        let names = |release: &'a Release| -> BTreeSet<&'a str> {
            release
                .workspaces
                .iter()
                .map(|workspace| workspace.name.as_str())
                .filter(|name| !self.broken.contains(name))
                .collect()
        };
        let (old_names, new_names) = (names(self.old), names(self.new));
        let (old_keys, new_keys) = (pairing::keys(self.old), pairing::keys(self.new));
        let is_broken = |key: &&(&str, &str)| !self.broken.contains(key.0);
        let mut other_commit = 0;
        for (&now, &(before, _)) in &self.pairs.workspaces {
            let (now, before) = (&self.new.workspaces[now], &self.old.workspaces[before]);
            let other = match self.new.form {
                Form::Lock => now.commit != before.commit,
                Form::Configuration => now.requested != before.requested,
            };
            other_commit += usize::from(other && now.name == before.name);
        }
        let moved = |evidence: bool| usize::from(evidence);
        Summary {
            workspaces: Counts {
                removed: old_names.difference(&new_names).count(),
                added: new_names.difference(&old_names).count(),
                kept: old_names.intersection(&new_names).count(),
                unchanged: old_names.intersection(&new_names).filter(|name| !changed.contains(*name)).count(),
                moved: self
                    .pairs
                    .workspaces
                    .iter()
                    .map(|(now, (before, _))| {
                        moved(self.new.workspaces[*now].name != self.old.workspaces[*before].name)
                    })
                    .sum(),
            },
            other_commit,
            plugins: Counts {
                removed: old_keys.difference(&new_keys).filter(is_broken).count(),
                added: new_keys.difference(&old_keys).filter(is_broken).count(),
                kept: old_keys.intersection(&new_keys).filter(is_broken).count(),
                unchanged: old_keys
                    .intersection(&new_keys)
                    .filter(is_broken)
                    .filter(|key| !plugins.contains(*key))
                    .count(),
                moved: self.pairs.plugins.values().map(|(_, evidence)| moved(evidence.is_some())).sum(),
            },
            outputs: self.outputs.clone(),
            host: self.host.as_ref().map(|host| host.counts.clone()),
        }
    }
}
