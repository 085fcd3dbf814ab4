//! Where packages of the lockfile come from after a patch, and what vouches for their archives.

use std::collections::{BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use crate::yarn::lockfile::{LockKind, YarnEntry, YarnLock};

/// A package that comes from elsewhere than before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SourceMove {
    /// Its name, as it is depended on.
    pub package: String,
    /// Its version after the patch.
    pub version: String,
    /// What it resolved to before; empty of a package that is new and from no registry.
    pub from: Vec<String>,
    /// What it resolves to.
    pub to: String,
}

/// A checksum that the patch changes otherwise than a new archive does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ChecksumChange {
    /// The package's name.
    pub package: String,
    /// Its version after the patch.
    pub version: String,
    /// What is wrong with it.
    pub what: ChecksumFault,
    /// The version that has had the checksum; of [`ChecksumFault::Kept`] only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// What is wrong with a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChecksumFault {
    /// It is that of another version: yarn refuses it.
    Kept,
    /// It is none: yarn refuses it.
    Malformed,
    /// It is another, of the same version from the same source: yarn refuses it unless the archive is another too.
    Changed,
    /// There was one, and there is none.
    Missing,
}

impl ChecksumFault {
    /// True if yarn refuses it whatever the archive is.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Kept | Self::Malformed)
    }
}

/// The entries of a lock by what they are depended on by.
struct EarlierEntries<'l, 't> {
    by_key: HashMap<(&'l str, &'l str), &'l YarnEntry<'t>>,
    by_name: HashMap<&'l str, Vec<&'l YarnEntry<'t>>>,
}

impl<'l, 't> EarlierEntries<'l, 't> {
    fn new(lock: &'l YarnLock<'t>) -> Self {
        let (mut by_key, mut by_name) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for entry in others(lock) {
            for descriptor in &entry.descriptors {
                by_key.insert((&*descriptor.name, &*descriptor.range), entry);
                by_name.entry(&*descriptor.name).or_default().push(entry);
            }
        }
        Self { by_key, by_name }
    }

    /// What an entry was: those of its keys, else those of its names.
    fn earlier(&self, entry: &YarnEntry<'_>) -> Vec<&'l YarnEntry<'t>> {
        let keys = entry.descriptors.iter().map(|one| (&*one.name, &*one.range));
        let same: Vec<_> = keys.filter_map(|key| self.by_key.get(&key).copied()).collect();
        if !same.is_empty() {
            return same;
        }
        let names = entry.descriptors.iter().filter_map(|one| self.by_name.get(&*one.name));
        names.flatten().copied().collect()
    }
}

/// The packages that come from elsewhere than before.
pub(super) fn sources(before: &YarnLock<'_>, after: &YarnLock<'_>) -> Vec<SourceMove> {
    let earlier = EarlierEntries::new(before);
    let known: BTreeSet<&str> = others(before).map(|entry| &*entry.resolution).collect();
    let mut found = BTreeSet::new();
    for entry in others(after).filter(|entry| !known.contains(&*entry.resolution)) {
        let before = earlier.earlier(entry);
        let is_same = |one: &&YarnEntry<'_>| one.version != entry.version && origin(one) == origin(entry);
        let is_plain = before.is_empty() && entry.is_from_registry() && !entry.resolution.contains("::__archiveUrl=");
        if is_plain || before.iter().any(is_same) {
            continue;
        }
        let from: BTreeSet<&str> = before.iter().map(|one| &*one.resolution).collect();
        found.insert(SourceMove {
            package: entry.descriptors.first().map_or_else(String::new, |one| one.name.to_string()),
            version: entry.version.to_string(),
            from: from.into_iter().map(str::to_owned).collect(),
            to: entry.resolution.to_string(),
        });
    }
    found.into_iter().collect()
}

/// The checksums that change otherwise than with a new archive.
pub(super) fn checksums(before: &YarnLock<'_>, after: &YarnLock<'_>) -> Vec<ChecksumChange> {
    let of = |entry: &YarnEntry<'_>| (entry.name().to_owned(), entry.version.to_string());
    let mut owners = HashMap::<&str, BTreeSet<(String, String)>>::new();
    for entry in others(before) {
        if let Some(checksum) = vouched(entry) {
            owners.entry(checksum).or_default().insert(of(entry));
        }
    }
    let earlier = EarlierEntries::new(before);
    let mut found = BTreeSet::new();
    for entry in others(after) {
        let before = earlier.earlier(entry);
        let same = before.iter().find(|one| one.version == entry.version && one.resolution == entry.resolution);
        let now = vouched(entry);
        if same.is_some_and(|same| vouched(same) == now) {
            continue;
        }
        let owners = now.and_then(|now| owners.get(now));
        let (what, of) = match (now, owners) {
            (None, _) if before.iter().any(|one| vouched(one).is_some()) => (ChecksumFault::Missing, None),
            (None, _) => continue,
            (Some(_), Some(owners)) if !owners.contains(&of(entry)) => {
                (ChecksumFault::Kept, owners.iter().next().map(|(name, version)| format!("{name} {version}")))
            }
            (Some(now), None) if is_malformed(after.kind, now) => (ChecksumFault::Malformed, None),
            _ if same.is_some_and(|same| vouched(same).is_some()) => (ChecksumFault::Changed, None),
            _ => continue,
        };
        found.insert(ChecksumChange { package: entry.name().to_owned(), version: entry.version.to_string(), what, of });
    }
    found.into_iter().collect()
}

/// What vouches for an entry's archive.
pub(super) fn vouched<'e>(entry: &'e YarnEntry<'_>) -> Option<&'e str> {
    entry.checksum.as_deref().or(entry.integrity.as_deref())
}

/// Where an entry is from, whatever its version: its locator without it, and without digests.
fn origin(entry: &YarnEntry<'_>) -> String {
    let is_digest = |part: &&str| part.len() >= 6 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = entry.resolution.split(['=', '#', '&']).filter(|part| !is_digest(part));
    parts.map(|part| part.replace(&*entry.version, "")).collect::<Vec<_>>().join("#")
}

fn is_malformed(kind: LockKind, checksum: &str) -> bool {
    let hex = checksum.rsplit('/').next().unwrap_or(checksum);
    kind != LockKind::V1 && (hex.len() != 128 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// The entries that are no packages of the workspace.
fn others<'l, 't>(lock: &'l YarnLock<'t>) -> impl Iterator<Item = &'l YarnEntry<'t>> {
    lock.entries.iter().filter(|entry| entry.workspace_path().is_none())
}
