//! What an RHDH release provides to plugins, read from its `yarn.lock`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Result;
use crate::npm::range::npm_version;
use crate::yarn::lockfile::{LockKind, YarnLock};

/// The packages a host's `yarn.lock` installs, dev dependencies and all: the rule of the original tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLock {
    /// How the reasons of arguments call it: `the RHDH 1.9 host lockfile`.
    pub label: String,
    /// The versions of each name, lowest first.
    pub versions: BTreeMap<String, Vec<String>>,
    /// True if it stands for any host: one that has whatever is in the scope `@backstage`.
    pub has_backstage: bool,
}

impl HostLock {
    /// Reads a host's `yarn.lock`: every name that a key of it gets from an npm registry.
    pub fn parse(text: &[u8], path: &Path, label: &str) -> Result<Self> {
        let lock = YarnLock::parse(text, path)?;
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in &lock.entries {
            for descriptor in &entry.descriptors {
                let provided = match lock.kind {
                    LockKind::V1 => true,
                    // `patch:` of a registry package has the name twice: `name@patch:name@npm%3A…`.
                    LockKind::Berry(_) => ["npm:", "backstage:", "patch:"]
                        .into_iter()
                        .any(|protocol| descriptor.range.starts_with(protocol)),
                };
                if !provided {
                    continue;
                }
                let known = versions.entry(descriptor.name.to_string()).or_default();
                if !known.iter().any(|version| *version == entry.version) {
                    known.push(entry.version.to_string());
                }
            }
        }
        for known in versions.values_mut() {
            known.sort_by(|one, other| npm_version(one).cmp(&npm_version(other)).then_with(|| one.cmp(other)));
        }
        Ok(Self { label: label.to_owned(), versions, has_backstage: false })
    }

    /// What stands for a host where none is looked up.
    pub fn of_backstage() -> Self {
        Self { has_backstage: true, ..Self::default() }
    }

    /// True when the host has a package of this name.
    pub fn has(&self, name: &str) -> bool {
        (self.has_backstage && name.starts_with("@backstage/")) || self.versions.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_name_from_a_registry() {
        let text = br#"__metadata:
  version: 8

"@backstage/config@backstage:^::backstage=1.50.0&npm=1.3.7, @backstage/config@npm:^1.3.7":
  version: 1.3.7
  resolution: "@backstage/config@npm:1.3.7"

"app@workspace:packages/app":
  version: 0.0.0-use.local
  resolution: "app@workspace:packages/app"

"lib@npm:^10.0.0":
  version: 10.0.0
  resolution: "lib@npm:10.0.0"

"lib@npm:^9.0.0":
  version: 9.1.0
  resolution: "lib@npm:9.1.0"

"lib@patch:lib@npm%3A^10.0.0#~/.yarn/patches/lib.patch":
  version: 10.0.0
  resolution: "lib@patch:lib@npm%3A10.0.0#~/.yarn/patches/lib.patch::version=10.0.0&hash=abc"

"short@npm:long@^1":
  version: 1.0.0
  resolution: "long@npm:1.0.0"
"#;
        let host = HostLock::parse(text, Path::new("yarn.lock"), "the RHDH 1.9 host lockfile").unwrap();
        let expected =
            [("@backstage/config", vec!["1.3.7"]), ("lib", vec!["9.1.0", "10.0.0"]), ("short", vec!["1.0.0"])];
        let found: Vec<_> = host
            .versions
            .iter()
            .map(|(name, versions)| (name.as_str(), versions.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        assert_eq!(found, expected);
        assert!(!host.has("app"));
    }
}
