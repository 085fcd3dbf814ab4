//! The manifests of packages in the archives of backends, which the cache keeps of finished builds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::super::release::Release;
use super::KnownFacts;
use crate::build::finished_archive;
use crate::lock::{Integrity, input_digest};
use crate::npm::package_facts::VersionFacts;
use crate::user_file;

/// The most bytes of a manifest; larger ones are not read.
const MOST_BYTES: u64 = 1 << 20;
/// The most bytes that an archive unpacks to.
const MOST_UNPACKED: u64 = 4 << 30;

impl KnownFacts {
    /// Reads the archives that `builds`, the folder of finished builds, has of a release: those with the bytes that the
    /// lock has sealed. Others are as if they were not there.
    pub fn read_archives(&mut self, builds: &Path, release: &Release) {
        let Some(lock) = &release.lock else { return };
        for workspace in &lock.workspace {
            for plugin in &workspace.plugin {
                let Some(sealed) = &plugin.sealed else { continue };
                if sealed.closure.is_none() {
                    continue;
                }
                let inputs = input_digest::digest(lock, workspace, plugin, sealed.closure);
                let archive = finished_archive(builds, inputs);
                if let Some(found) = manifests(&archive, sealed.tgz) {
                    self.manifests.extend(found);
                }
            }
        }
    }
}

/// What the manifests of an archive say; none where it is not there, has other bytes, or cannot be read.
fn manifests(archive: &Path, sealed: Integrity) -> Option<BTreeMap<(String, String), VersionFacts>> {
    let open = || user_file::open(archive).ok().map(BufReader::new);
    let found = Integrity::of_reader(&mut open()?).ok()?;
    if found != sealed {
        return None;
    }
    let mut tar = tar::Archive::new(MultiGzDecoder::new(open()?).take(MOST_UNPACKED));
    let (mut known, mut native) = (BTreeMap::new(), BTreeSet::new());
    for entry in tar.entries().ok()? {
        let mut entry = entry.ok()?;
        let path = entry.path().ok()?.to_str()?.to_owned();
        let Some((folder, file)) = path.rsplit_once('/').filter(|(folder, _)| is_package(folder)) else { continue };
        if file == "binding.gyp" {
            native.insert(folder.to_owned());
        }
        if file != "package.json" || entry.size() > MOST_BYTES {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).ok()?;
        if let Some((key, facts)) = of_manifest(&bytes) {
            known.insert(folder.to_owned(), (key, facts));
        }
    }
    // npm compiles what has a `binding.gyp` and no script of its own.
    let with_native = |(folder, (key, facts)): (String, ((String, String), VersionFacts))| {
        let has_install_script = facts.has_install_script || native.contains(&folder);
        (key, VersionFacts { has_install_script, ..facts })
    };
    Some(known.into_iter().map(with_native).collect())
}

/// True for the folder of a package in `node_modules`, also in those of another package.
fn is_package(folder: &str) -> bool {
    let Some((_, name)) = folder.rsplit_once("node_modules/") else { return false };
    name.split('/').count() == if name.starts_with('@') { 2 } else { 1 }
}

fn of_manifest(bytes: &[u8]) -> Option<((String, String), VersionFacts)> {
    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
        version: String,
    }
    let Named { name, version } = serde_json::from_slice(bytes).ok()?;
    Some(((name, version), VersionFacts::of_manifest(bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_their_folders() {
        for (folder, is) in [
            ("package/node_modules/a", true),
            ("package/node_modules/@s/a", true),
            ("package/node_modules/@s/a/node_modules/b", true),
            ("package/node_modules/a/dist", false),
            ("package/node_modules/@s", false),
            ("package", false),
        ] {
            assert_eq!(is_package(folder), is, "{folder}");
        }
    }
}
