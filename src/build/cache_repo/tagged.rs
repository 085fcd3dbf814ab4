//! The entries of a repository as they lie there: how large they are, and which are old enough to go.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use time::OffsetDateTime;

use super::claim::{self, is_claim};
use super::entry::{EntryManifest, is_entry};
use crate::error::{Error, Result};
use crate::image::{OciRepository, RepositoryFailure};
use crate::lock::Sha256;

/// Manifests that are asked for at once.
const AT_ONCE: usize = 8;

/// An entry that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its manifest.
    pub manifest: Sha256,
    /// Bytes of its blobs, which other entries may share.
    pub bytes: u64,
    /// When it was stored; none where it does not say so.
    pub created: Option<OffsetDateTime>,
    /// It is no build, but a claim on one.
    pub is_claim: bool,
}

/// The entries of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredEntries {
    /// Oldest first.
    pub entries: Vec<StoredEntry>,
    /// It has more tags than are read.
    pub is_cut: bool,
}

/// The entries of a repository. Tags of others are passed over.
pub async fn list(repository: &OciRepository) -> Result<StoredEntries> {
    let unread = |failure: RepositoryFailure| {
        let hint = "check the address, the network and the login: `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`, or \
                    `REGISTRY_AUTH_FILE`";
        Error::network(format!("the cache repository `{}` cannot be read: {failure}", repository.address()), hint)
    };
    let listed = repository.tags(|tag| is_entry(tag) || is_claim(tag)).await.map_err(unread)?;
    let manifests = listed.tags.iter().map(async |tag| (is_claim(tag), repository.manifest(tag).await));
    let mut manifests = stream::iter(manifests).buffer_unordered(AT_ONCE);
    let mut entries = BTreeMap::new();
    while let Some((is_claim, manifest)) = manifests.next().await {
        // Removed since.
        let Some(bytes) = manifest.map_err(unread)? else { continue };
        let manifest = Sha256::of(&bytes);
        if is_claim {
            let Some(made) = claim::made_at(&bytes) else { continue };
            let claim = StoredEntry { manifest, bytes: 0, created: Some(made), is_claim };
            entries.entry(manifest).or_insert(claim);
            continue;
        }
        let known = serde_json::from_slice::<EntryManifest>(&bytes).ok();
        let (bytes, created) = known.map_or((0, None), |known| (known.size(), known.created()));
        entries.insert(manifest, StoredEntry { manifest, bytes, created, is_claim });
    }
    let mut entries: Vec<_> = entries.into_values().collect();
    entries.sort_by_key(|entry| (entry.created, entry.manifest));
    Ok(StoredEntries { entries, is_cut: listed.is_cut })
}

/// How many of entries are builds.
pub fn builds(entries: &[StoredEntry]) -> usize {
    entries.iter().filter(|entry| !entry.is_claim).count()
}

/// Bytes of entries together; what they say of themselves may be more than a number holds.
pub fn size(entries: &[StoredEntry]) -> u64 {
    entries.iter().fold(0, |sum, entry| entry.bytes.saturating_add(sum))
}

/// Those of `entries` that are older than `age`, and the oldest until the rest has at most `most` bytes; all without
/// either.
pub fn to_remove(entries: Vec<StoredEntry>, age: Option<Duration>, most: Option<u64>) -> Vec<StoredEntry> {
    let now = OffsetDateTime::now_utc();
    // Their sizes are what somebody wrote: together they may be more than one number holds.
    let mut left: u128 = entries.iter().map(|entry| u128::from(entry.bytes)).sum();
    let is_old = |entry: &StoredEntry| age.is_some_and(|age| entry.created.is_none_or(|created| now - created > age));
    let is_removed = |entry: &StoredEntry| {
        let removed =
            (age.is_none() && most.is_none()) || is_old(entry) || most.is_some_and(|most| left > u128::from(most));
        if removed {
            left -= u128::from(entry.bytes);
        }
        removed
    };
    entries.into_iter().filter(is_removed).collect()
}

/// Removes entries; how many builds, with an error if the registry does not let it.
pub async fn remove(repository: &OciRepository, entries: &[StoredEntry]) -> Result<usize> {
    for entry in entries {
        repository.delete(entry.manifest).await.map_err(|failure| {
            let hint = match failure.status {
                Some(400 | 405 | 501) => {
                    "the registry removes nothing on request: have it do so (docker-registry: \
                     `REGISTRY_STORAGE_DELETE_ENABLED=true`), or let its own rules of retention remove what is old"
                }
                Some(401 | 403) => {
                    "the login may not remove anything there: ask for that permission, or let the \
                                    registry's own rules of retention remove what is old"
                }
                _ => "try again later",
            };
            Error::network(format!("entries of `{}` cannot be removed: {failure}", repository.address()), hint)
        })?;
    }
    Ok(builds(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_and_then_the_oldest() {
        let now = OffsetDateTime::now_utc();
        let entry = |name: &str, days: Option<i64>, bytes| StoredEntry {
            manifest: Sha256::of(name),
            bytes,
            created: days.map(|days| now - time::Duration::days(days)),
            is_claim: false,
        };
        let all =
            || vec![entry("none", None, 1), entry("a", Some(30), 10), entry("b", Some(9), 20), entry("c", Some(1), 40)];
        let bytes = |age: Option<u64>, most| {
            let age = age.map(|days| Duration::from_secs(days * 86_400));
            to_remove(all(), age, most).iter().map(|entry| entry.bytes).collect::<Vec<_>>()
        };
        assert_eq!(bytes(None, None), [1, 10, 20, 40]);
        assert_eq!(bytes(Some(8), None), [1, 10, 20]);
        assert_eq!(bytes(Some(40), None), [1]);
        assert_eq!(bytes(None, Some(60)), [1, 10]);
        assert_eq!(bytes(Some(10), Some(40)), [1, 10, 20]);
        assert_eq!(bytes(None, Some(100)), [0; 0]);
    }

    #[test]
    fn sizes_that_lie_remove_nothing_else() {
        let created = Some(OffsetDateTime::now_utc());
        let entry = |name: &str, bytes| StoredEntry { manifest: Sha256::of(name), bytes, created, is_claim: false };
        let all = || vec![entry("a", u64::MAX), entry("b", u64::MAX), entry("c", 10), entry("d", 20)];
        let left = |most| to_remove(all(), None, Some(most)).len();
        assert_eq!((left(30), left(20), left(u64::MAX)), (2, 3, 2));
    }
}
