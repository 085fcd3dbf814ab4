//! Which RHDH release plugins are for: its commit, and its `yarn.lock`.

use std::path::{Path, PathBuf};

use super::host::HostLock;
use super::refs;
use crate::error::{Error, Place, Result};
use crate::lock::{Rhdh, Sha256};
use crate::store::git::{Network, RefScope, SourceUrl};
use crate::tools::provide::Provider;

/// RHDH's repository, when `RHDH_REPO` does not name a mirror.
pub const REPOSITORY: &str = "https://github.com/redhat-developer/rhdh";
/// `RHDH_VERSION` when nobody asks for one: the newest release branch.
pub const LATEST: &str = "latest";

/// Which host is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRequest {
    /// `--host-lockfile`: this file, and no repository.
    pub file: Option<PathBuf>,
    /// `RHDH_VERSION`: `1.9`, `1.9.8`, a commit or another ref.
    pub version: Option<String>,
    /// `RHDH_REPO`.
    pub repository: Option<String>,
}

/// A host that was found.
#[derive(Clone, Debug)]
pub struct RhdhHost {
    /// What the lock says of it.
    pub pin: Rhdh,
    /// What it provides.
    pub lock: HostLock,
    /// The Node.js it runs, from its `.nvmrc`.
    pub node: Option<String>,
}

/// Finds the host. Blocks on the network unless a file is given.
pub fn find(provider: &Provider<'_>, asked: &HostRequest, network: &Network) -> Result<RhdhHost> {
    match &asked.file {
        Some(file) => of_file(file, asked.version.as_deref()),
        None => of_repository(provider, asked, network),
    }
}

fn of_file(file: &Path, version: Option<&str>) -> Result<RhdhHost> {
    let bytes = std::fs::read(file).map_err(|e| {
        Error::config(Place::file(file), format!("the host lockfile cannot be read: {e}"), "name RHDH's yarn.lock")
    })?;
    let name = file.file_name().map_or_else(|| "host".into(), |name| name.to_string_lossy().into_owned());
    let label = version.map_or_else(|| format!("the host lockfile {name}"), label);
    let lock = HostLock::parse(&bytes, file, &label)?;
    let pin = Rhdh { requested: name, commit: None, version: version.map(str::to_owned), lockfile: Sha256::of(&bytes) };
    Ok(RhdhHost { pin, lock, node: None })
}

fn label(version: &str) -> String {
    format!("the RHDH {version} host lockfile")
}

fn of_repository(provider: &Provider<'_>, asked: &HostRequest, network: &Network) -> Result<RhdhHost> {
    let repository = asked.repository.as_deref().unwrap_or(REPOSITORY);
    let requested = asked.version.as_deref().unwrap_or(LATEST);
    let interrupt = provider.interrupt.flag();
    let url = SourceUrl::parse(repository, Path::new("."))?;
    let step = provider.ui.step("rhdh", format!("find RHDH {requested}"));
    let commit = commit(provider, &url, requested, network)?;
    let tree = provider.store.repository(&url, interrupt)?.fetch(&commit, network, interrupt)?;
    let place = PathBuf::from(format!("{url}: yarn.lock"));
    let bytes = tree.read("yarn.lock")?.ok_or_else(|| {
        Error::usage(
            format!("RHDH's repository `{url}` has no yarn.lock at {requested}"),
            "check `RHDH_VERSION` and `RHDH_REPO`, or give the file with `--host-lockfile`",
        )
    })?;
    let text = |path: &str| -> Result<Option<String>> {
        Ok(tree.read(path)?.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| text.trim().to_owned()))
    };
    let version = text("package.json")?
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .and_then(|package| package["version"].as_str().map(str::to_owned));
    let shown = if requested == LATEST { version.as_deref().unwrap_or(requested) } else { requested };
    let lock = HostLock::parse(&bytes, &place, &label(shown))?;
    let node = text(".nvmrc")?.map(|line| line.trim_start_matches('v').to_owned()).filter(|line| !line.is_empty());
    step.done(version.as_deref().unwrap_or(&commit[..12.min(commit.len())]));
    let pin = Rhdh { requested: requested.to_owned(), commit: Some(commit), version, lockfile: Sha256::of(&bytes) };
    Ok(RhdhHost { pin, lock, node })
}

/// `latest` is the newest branch `release-x.y`; `1.9` that branch; `1.9.8` the tag of that release, with or without
/// `v`; anything else a ref or commit.
fn commit(provider: &Provider<'_>, url: &SourceUrl, requested: &str, network: &Network) -> Result<String> {
    let refs = refs::list_refs(provider.store, url, RefScope::Usual, network, provider.interrupt.flag())?;
    let names: Vec<&str> = refs.all().iter().map(|found| found.name.as_str()).collect();
    let wanted = if requested == LATEST {
        newest_release(&names).ok_or_else(|| {
            Error::usage(
                format!("RHDH's repository `{url}` has no branch `release-x.y`"),
                "name a version with `RHDH_VERSION`, or give the file with `--host-lockfile`",
            )
        })?
    } else {
        let candidates = [
            format!("refs/heads/release-{requested}"),
            format!("refs/tags/v{requested}"),
            format!("refs/tags/{requested}"),
        ];
        candidates.into_iter().find(|name| names.contains(&name.as_str())).unwrap_or_else(|| requested.to_owned())
    };
    Ok(refs.resolve(&wanted)?.commit)
}

fn newest_release(names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| {
            let (major, minor) = name.strip_prefix("refs/heads/release-")?.split_once('.')?;
            Some(((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?), *name))
        })
        .max()
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_by_number() {
        let names =
            ["refs/heads/main", "refs/heads/release-1.9", "refs/heads/release-1.10", "refs/heads/release-1.9-fix"];
        assert_eq!(newest_release(&names).unwrap(), "refs/heads/release-1.10");
        assert_eq!(newest_release(&["refs/heads/main"]), None);
    }
}
