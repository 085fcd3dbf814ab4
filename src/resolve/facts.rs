//! What the hosts of RHDH's releases provide, built in: package → versions of their `yarn.lock`, with the commit it is
//! of. No lookup is needed for them.
//!
//! `tests/harness/examples/host-facts.rs` makes the files in `facts/` from a clone of RHDH's repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::host::HostLock;
use crate::error::{Error, Result};
use crate::lock::{ReleaseLine, Sha256};

/// What is known of a host at a commit of RHDH's repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The commit.
    pub commit: String,
    /// RHDH's own version at that commit, when it says one.
    pub version: Option<String>,
    /// The Node.js it runs, from its `.nvmrc`.
    pub node: Option<String>,
    /// The digest of its `yarn.lock`.
    pub lockfile: Sha256,
    /// The versions of each package, lowest first.
    pub versions: BTreeMap<String, Vec<String>>,
}

/// What a release is asked for by, and its facts.
type BuiltIn = (&'static [&'static str], &'static [u8]);

/// The newest release.
const NEWEST: BuiltIn = (&["1.10"], include_bytes!("facts/1.10.zst"));
/// All of them, the newest first. A version with three numbers is there if the facts are those of its tag.
const BUILT_IN: [BuiltIn; 4] = [
    (&["main"], include_bytes!("facts/main.zst")),
    NEWEST,
    (&["1.9", "1.9.8"], include_bytes!("facts/1.9.zst")),
    (&["1.8", "1.8.7"], include_bytes!("facts/1.8.zst")),
];

impl HostFacts {
    /// The facts of the files of a commit.
    pub fn of_files(commit: &str, yarn_lock: &[u8], package_json: Option<&[u8]>, nvmrc: Option<&[u8]>) -> Result<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().trim_start_matches('v').to_owned();
        let package = package_json.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(bytes).ok());
        Ok(Self {
            commit: commit.to_owned(),
            version: package.and_then(|package| package["version"].as_str().map(str::to_owned)),
            node: nvmrc.map(text).filter(|line| !line.is_empty()),
            lockfile: Sha256::of(yarn_lock),
            versions: HostLock::parse(yarn_lock, Path::new("RHDH's yarn.lock"), "")?.versions,
        })
    }

    /// The newest release that is built in.
    pub fn newest() -> Result<Self> {
        Self::from_bytes(NEWEST.1)
    }

    /// The line of the newest release.
    pub fn newest_line() -> Option<ReleaseLine> {
        NEWEST.0.first().and_then(|name| ReleaseLine::of(name))
    }

    /// The facts of a branch or tag of RHDH as it is asked for (`1.10`, `1.9.8`, `main`), or of a commit.
    pub fn named(requested: &str) -> Result<Option<Self>> {
        if let Some((_, bytes)) = BUILT_IN.iter().find(|(names, _)| names.contains(&requested)) {
            return Self::from_bytes(bytes).map(Some);
        }
        if !crate::lock::is_commit(requested) {
            return Ok(None);
        }
        Self::find(|facts| facts.commit == requested)
    }

    /// The facts that a lock was made with.
    pub fn of_lockfile(digest: Sha256) -> Result<Option<Self>> {
        Self::find(|facts| facts.lockfile == digest)
    }

    fn find(is_it: impl Fn(&Self) -> bool) -> Result<Option<Self>> {
        for (_, bytes) in BUILT_IN {
            let facts = Self::from_bytes(bytes)?;
            if is_it(&facts) {
                return Ok(Some(facts));
            }
        }
        Ok(None)
    }

    /// What is built in, as it is asked for, the oldest first.
    pub fn names() -> Vec<&'static str> {
        BUILT_IN.iter().rev().filter_map(|(names, _)| names.first().copied()).collect()
    }

    /// One fact a line, compressed: the same facts give the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = format!("commit {}\nlockfile {}\n", self.commit, self.lockfile);
        for (key, value) in [("version", &self.version), ("node", &self.node)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} {value}");
            }
        }
        text.push('\n');
        for (name, versions) in &self.versions {
            let _ = writeln!(text, "{name} {}", versions.join(" "));
        }
        zstd::encode_all(text.as_bytes(), 19).map_err(Error::io("compress", "the facts of a host"))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let text = zstd::decode_all(bytes).map_err(Error::io("read", "the facts of a host"))?;
        let text = String::from_utf8_lossy(&text);
        let (head, packages) = text.split_once("\n\n").unwrap_or((&text, ""));
        let of = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::to_owned);
        let lockfile = of("lockfile").and_then(|digest| digest.parse().ok());
        let package = |line: &str| {
            let (name, versions) = line.split_once(' ')?;
            Some((name.to_owned(), versions.split(' ').map(str::to_owned).collect()))
        };
        Ok(Self {
            commit: of("commit").unwrap_or_default(),
            version: of("version"),
            node: of("node"),
            lockfile: lockfile.ok_or_else(|| Error::usage("the facts of a host name no lockfile", ""))?,
            versions: packages.lines().filter_map(package).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_found_by_version_commit_and_lockfile() {
        assert_eq!(HostFacts::names(), ["1.8", "1.9", "1.10", "main"]);
        for (name, commit, version, node, packages) in [
            ("main", "fadb2c2f09873b752b5fa5cde2b6e3460eda9a80", "2.0.0", "24.18.0", MAIN),
            ("1.10", "3906cda47380793e4bedbfb01a440e7e5c13fdc2", "1.10.4", "24.18.0", 2_932),
            ("1.9", "8ebe70a852c12b63690b45a0ba7e03d87b79d25f", "1.9.8", "22.23.1", 2_903),
            ("1.8", "ef1b89577e5aad691f77a0de07d9cf69318e50d3", "1.8.7", "22.22.2", 2_883),
        ] {
            let facts = HostFacts::named(name).unwrap().unwrap();
            assert_eq!((&*facts.commit, facts.version.as_deref()), (commit, Some(version)), "{name}");
            assert_eq!((facts.node.as_deref(), facts.versions.len()), (Some(node), packages), "{name}");
            assert_eq!(HostFacts::named(commit).unwrap().as_ref(), Some(&facts));
            assert_eq!(HostFacts::of_lockfile(facts.lockfile).unwrap().as_ref(), Some(&facts));
            assert!(facts.versions.contains_key("@backstage/backend-plugin-api"), "{name}");
        }
        assert_eq!(HostFacts::newest().unwrap(), HostFacts::named("1.10").unwrap().unwrap());
        for other in ["1.7", "1.10.1", "release-1.10", "3906cda", &"0".repeat(40)] {
            assert_eq!(HostFacts::named(other).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn the_same_facts_are_the_same_bytes() {
        for (_, bytes) in BUILT_IN {
            assert_eq!(HostFacts::from_bytes(bytes).unwrap().to_bytes().unwrap(), bytes);
        }
    }

    /// The packages of `main`.
    const MAIN: usize = 2_749;
}
