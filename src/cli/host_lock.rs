//! What RHDH has, of the release that a lock was made against.

use std::path::Path;

use super::session::Session;
use crate::error::Result;
use crate::lock::{Rhdh, Sha256};
use crate::resolve::facts::HostFacts;
use crate::resolve::host::HostLock;
use crate::resolve::rhdh;
use crate::store::git::SourceUrl;

/// What RHDH provided at the pinned commit, where it is built in or the cache has that commit. No network.
pub fn cached(session: &Session<'_>, pin: &Rhdh) -> Result<Option<HostLock>> {
    if let Some(facts) = HostFacts::of_lockfile(pin.lockfile)? {
        return Ok(Some(HostLock { label: label(pin), versions: facts.versions, has_backstage: false }));
    }
    let Some(commit) = &pin.commit else { return Ok(None) };
    let repository = std::env::var("RHDH_REPO").ok().filter(|repository| !repository.is_empty());
    let url = SourceUrl::parse(repository.as_deref().unwrap_or(rhdh::REPOSITORY), Path::new("."))?;
    let store = session.store()?;
    let Some(tree) = store.repository(&url, session.interrupt.flag())?.tree(commit)? else { return Ok(None) };
    let bytes = tree.read("yarn.lock")?.filter(|bytes| Sha256::of(bytes) == pin.lockfile);
    bytes.map(|bytes| HostLock::parse(&bytes, Path::new("yarn.lock"), &label(pin))).transpose()
}

/// How reasons call it.
pub fn label(rhdh: &Rhdh) -> String {
    format!("the RHDH {} host lockfile", shown(rhdh))
}

/// `latest` says nothing a year later.
pub fn shown(rhdh: &Rhdh) -> &str {
    match &rhdh.version {
        Some(version) if rhdh.requested == rhdh::LATEST => version,
        _ => &rhdh.requested,
    }
}
