//! Which RHDH release plugins are for: its commit, and its `yarn.lock`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::facts::HostFacts;
use super::host::HostLock;
use super::refs::{self, Refs};
use crate::error::{Error, Place, Result};
use crate::lock::{ReleaseLine, Rhdh, Sha256};
use crate::store::git::{Network, RefScope, SourceUrl};
use crate::tools::provide::Provider;
use crate::user_file;

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

impl HostRequest {
    /// True when somebody asks for a host, not only for the newest.
    pub fn is_given(&self) -> bool {
        self.file.is_some() || self.version.is_some()
    }

    /// True if a lock was made for this host.
    pub fn is_locked(&self, pin: Option<&Rhdh>) -> bool {
        match (&self.file, &self.version, pin) {
            (Some(file), version, Some(pin)) => {
                let is_same = |bytes: Vec<u8>| Sha256::of(bytes) == pin.lockfile;
                user_file::read(file, user_file::DOCUMENT).is_ok_and(is_same)
                    && version.as_deref().is_none_or(|version| pin.asked_version() == Some(version))
            }
            (None, Some(version), Some(pin)) => pin.asked_version() == Some(version),
            (None, None, _) => true,
            (_, _, None) => false,
        }
    }

    /// The facts that are built in; none where a file or a repository is asked.
    pub fn built_in(&self) -> Result<Option<HostFacts>> {
        match (&self.file, &self.repository, self.version.as_deref()) {
            (None, None, None | Some(LATEST)) => HostFacts::newest().map(Some),
            (None, None, Some(version)) => HostFacts::named(version),
            _ => Ok(None),
        }
    }
}

/// The host of a run, found when it is first needed: many workspaces need none.
pub struct LazyHost<'a> {
    provider: &'a Provider<'a>,
    asked: HostRequest,
    network: &'a Network,
    found: OnceLock<Result<RhdhHost>>,
}

impl<'a> LazyHost<'a> {
    /// A host that is not found yet. A file, and what is built in, is read at once.
    pub fn new(provider: &'a Provider<'a>, asked: HostRequest, network: &'a Network) -> Result<Self> {
        let found = OnceLock::new();
        if let Some(file) = &asked.file {
            let _ = found.set(Ok(of_file(file, asked.version.as_deref())?));
        } else if let Some(facts) = asked.built_in()? {
            let _ = found.set(Ok(of_facts(provider, &asked, facts)));
        }
        Ok(Self { provider, asked, network, found })
    }

    /// The host. The first call blocks on the network, unless the host is a file or built in.
    pub fn get(&self) -> Result<&RhdhHost, &Error> {
        let find = || of_repository(self.provider, &self.asked, self.network).map_err(|e| not_found(&self.asked, &e));
        self.found.get_or_init(find).as_ref()
    }

    /// The host, if it was needed and found.
    pub fn into_found(self) -> Option<RhdhHost> {
        self.found.into_inner()?.ok()
    }
}

/// What to do about a host that cannot be had.
pub fn alternatives() -> String {
    format!(
        "give RHDH's yarn.lock with `--host-lockfile`, a mirror of its repository with `RHDH_REPO`, or a release that is \
         built in: {}",
        HostFacts::names().join(", ")
    )
}

fn not_found(asked: &HostRequest, error: &Error) -> Error {
    let requested = asked.version.as_deref().unwrap_or(LATEST);
    let hint = alternatives();
    let what = format!("the RHDH {requested} host cannot be read: {error}");
    match error {
        Error::Interrupted => Error::Interrupted,
        Error::Usage { .. } | Error::Config { .. } => Error::usage(what, hint),
        _ => Error::network(what, hint),
    }
}

fn of_facts(provider: &Provider<'_>, asked: &HostRequest, facts: HostFacts) -> RhdhHost {
    let requested = asked.version.as_deref().unwrap_or(LATEST);
    let shown = facts.version.as_deref().unwrap_or(requested);
    let step = provider.ui.step("rhdh", format!("find RHDH {requested}"));
    step.done(format!("{shown}, built in, commit {}", &facts.commit[..12.min(facts.commit.len())]));
    RhdhHost::new(requested, facts)
}

impl RhdhHost {
    fn new(requested: &str, facts: HostFacts) -> Self {
        let HostFacts { commit, version, node, lockfile, versions } = facts;
        let shown = version.as_deref().filter(|_| requested == LATEST).unwrap_or(requested);
        let lock = HostLock { label: label(shown), versions, has_backstage: false };
        Self { pin: Rhdh { requested: requested.to_owned(), commit: Some(commit), version, lockfile }, lock, node }
    }
}

fn of_file(file: &Path, version: Option<&str>) -> Result<RhdhHost> {
    let bytes = user_file::read(file, user_file::DOCUMENT).map_err(|e| {
        Error::config(Place::file(file), format!("the host lockfile cannot be read: {e}"), "name RHDH's yarn.lock")
    })?;
    let name = file.file_name().map_or_else(|| "host".into(), |name| name.to_string_lossy().into_owned());
    let label = version.map_or_else(|| format!("the host lockfile {name}"), label);
    let lock = HostLock::parse(&bytes, file, &label).map_err(|error| match error {
        Error::Config { place, what, .. } => Error::config(
            place,
            format!("is no yarn.lock: {what}"),
            "name the yarn.lock of RHDH's repository with `--host-lockfile`",
        ),
        other => other,
    })?;
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
    let refs = refs::list_refs(provider.store, &url, RefScope::Usual, network, interrupt)?;
    let commit = commit_of(&refs, &url, requested)?;
    let tree = provider.store.repository(&url, interrupt)?.fetch(&commit, network, interrupt)?;
    let yarn_lock = tree.read("yarn.lock")?.ok_or_else(|| {
        Error::usage(
            format!("RHDH's repository `{url}` has no yarn.lock at {requested}"),
            "check `RHDH_VERSION` and `RHDH_REPO`, or give the file with `--host-lockfile`",
        )
    })?;
    let (package, nvmrc) = (tree.read("package.json")?, tree.read(".nvmrc")?);
    let facts = HostFacts::of_files(&commit, &yarn_lock, package.as_deref(), nvmrc.as_deref())?;
    step.done(facts.version.as_deref().unwrap_or(&commit[..12.min(commit.len())]));
    Ok(RhdhHost::new(requested, facts))
}

/// `latest` is the newest branch `release-x.y`; `1.9` that branch; `1.9.8` the tag of that release, with or without
/// `v`; anything else a ref or commit.
pub fn commit_of(refs: &Refs, url: &SourceUrl, requested: &str) -> Result<String> {
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

/// The newest line that a repository of RHDH has a branch of.
pub fn newest_line(refs: &Refs) -> Option<ReleaseLine> {
    let names: Vec<&str> = refs.all().iter().map(|found| found.name.as_str()).collect();
    ReleaseLine::of(newest_release(&names)?.strip_prefix("refs/heads/")?)
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
