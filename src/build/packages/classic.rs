//! The packages of classic yarn: tarballs in an offline mirror, which yarn holds to the lockfile's integrity.
//!
//! Its usual cache holds unpacked packages that it never checks again, so no build shares one. The mirror is shared as
//! the zips of later yarns are: copied in and taken back by the lockfile's SHA-512.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha512};
use url::Url;

use super::{LARGEST, PackageCache};
use crate::error::{Error, Result};
use crate::lock::Integrity;
use crate::npm::registry::NpmRegistry;
use crate::store::LeftKind;
use crate::yarn::lockfile::YarnLock;

/// The folder, in yarn's and in the shared one.
pub const MIRROR: &str = "mirror";
/// Tarballs that are fetched at once.
const AT_ONCE: usize = 16;
/// Digits of the SHA-512 before a tarball's name in the shared folder.
const DIGITS: usize = 32;

/// The SHA-512 in hex of every package that a classic lockfile names. Old lockfiles have none: nothing is shared then.
pub(super) fn of_lock(lock: &YarnLock<'_>) -> BTreeSet<String> {
    let integrities = lock.entries.iter().filter_map(|entry| entry.integrity.as_deref());
    let each = integrities.flat_map(str::split_ascii_whitespace);
    each.filter_map(|one| one.parse::<Integrity>().ok()).map(|integrity| integrity.hex()).collect()
}

/// Where the tarballs of a lockfile are, by the names that yarn's mirror has for them.
pub fn tarballs(lock: &YarnLock<'_>) -> BTreeMap<String, Url> {
    let urls = lock.entries.iter().filter_map(|entry| Url::parse(&entry.resolution).ok());
    urls.filter_map(|mut url| {
        url.set_fragment(None);
        Some((mirror_name(url.path())?, url))
    })
    .collect()
}

/// The name in the mirror of a tarball at this path (`getTarballMirrorPath` of yarn 1).
fn mirror_name(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let (file, folders) = parts.split_last()?;
    let of_file = || file.to_string();
    if file.is_empty() || matches!(*file, "." | "..") {
        return None;
    }
    let folders = match folders {
        [rest @ .., dash, scope] if scope.starts_with('@') && matches!(*dash, "-" | "_attachments") => {
            [rest, &[*dash]].concat()
        }
        folders => folders.to_vec(),
    };
    let scope = match folders.as_slice() {
        [.., name, "-" | "_attachments"] if name.starts_with('@') && name.contains("%2f") => name.split("%2f").next(),
        [.., scope, _, "-" | "_attachments"] if scope.starts_with('@') => Some(*scope),
        _ => None,
    };
    Some(scope.map_or_else(of_file, |scope| format!("{scope}-{file}")))
}

/// Fetches those tarballs that are at the hosts of the registries and not in the mirror yet.
pub async fn fetch(registry: &NpmRegistry, mirror: &Path, wanted: BTreeMap<String, Url>) -> Result<()> {
    let missing = wanted.into_iter().map(|(name, url)| (mirror.join(name), url)).filter(|(to, _)| !to.exists());
    futures_util::stream::iter(missing)
        .map(|(to, url)| async move { registry.tarball_at(&url, &to).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
}

impl PackageCache<'_> {
    /// Copies the tarballs of `wanted` into the build's mirror. Returns those that were damaged, and are removed.
    pub fn copy_in_classic(&self, wanted: &BTreeSet<String>) -> Result<Vec<String>> {
        let shared = self.shared.path().join(MIRROR);
        fs::create_dir_all(&shared).map_err(Error::io("create", &shared))?;
        self.own.make_folder(Path::new(MIRROR))?;
        let starts: BTreeSet<&str> = wanted.iter().map(|hex| &hex[..DIGITS]).collect();
        let mut damaged = Vec::new();
        for (name, path) in files(&shared)? {
            let Some((start, tarball)) = name.split_once('-').filter(|(start, _)| starts.contains(start)) else {
                continue;
            };
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            if hex::encode(Sha512::digest(&bytes)).starts_with(start) {
                self.own.write(&Path::new(MIRROR).join(tarball), &bytes, 0o644)?;
            } else {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                damaged.push(format!("`{}`", path.display()));
            }
        }
        Ok(damaged)
    }

    /// Takes back the tarballs of `wanted` that yarn put into the build's mirror.
    pub fn take_back_classic(&self, wanted: &BTreeSet<String>) -> Result<usize> {
        let shared = self.shared.path().join(MIRROR);
        let scratch = self.store.scratch()?;
        let mut taken = 0;
        for (name, kind) in self.own.entries(Path::new(MIRROR))? {
            if kind != LeftKind::File {
                continue;
            }
            let bytes = self.own.read(&Path::new(MIRROR).join(&name), LARGEST)?;
            let found = hex::encode(Sha512::digest(&bytes));
            let to = shared.join(format!("{}-{name}", &found[..DIGITS]));
            if wanted.contains(&found) && !to.exists() {
                let new = scratch.path().join("tarball");
                fs::write(&new, bytes).map_err(Error::io("write", &new))?;
                fs::rename(&new, &to).map_err(Error::io("write", &to))?;
                taken += 1;
            }
        }
        Ok(taken)
    }
}

fn files(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        if let Ok(name) = entry.file_name().into_string() {
            files.push((name, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::store::{CacheKind, Store};

    static GO: AtomicBool = AtomicBool::new(false);

    #[test]
    fn tarballs_are_named_as_yarn_names_them() {
        for (path, name) in [
            ("/npm/left-pad/-/left-pad-1.3.0.tgz", "left-pad-1.3.0.tgz"),
            ("/@s/a/-/a-1.0.0.tgz", "@s-a-1.0.0.tgz"),
            ("/@s%2fa/-/a-1.0.0.tgz", "@s-a-1.0.0.tgz"),
            ("/npm/@s/a/-/@s/a-1.0.0.tgz", "@s-a-1.0.0.tgz"),
            ("/a/_attachments/a-1.0.0.tgz", "a-1.0.0.tgz"),
            ("/@s/files/1.tgz", "1.tgz"),
        ] {
            assert_eq!(mirror_name(path).as_deref(), Some(name), "{path}");
        }
        assert_eq!(mirror_name("/a/"), None);
    }

    #[test]
    fn tarballs_come_and_go_by_the_locks_integrity_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("cache")).unwrap();
        let integrity = Integrity::from_bytes(Sha512::digest(b"good").into());
        let lock = format!(
            "# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.0.0\"\n  resolved \"https://r/a/-/a-1.0.0.tgz#00\"\n  integrity {integrity}\n"
        );
        let wanted = of_lock(&YarnLock::parse(lock.as_bytes(), Path::new("yarn.lock")).unwrap());
        assert_eq!(wanted.len(), 1);

        let own = dir.path().join("a");
        let packages = PackageCache::new(&store, &own, "https://a", &GO).unwrap();
        assert!(packages.copy_in_classic(&wanted).unwrap().is_empty());
        fs::write(own.join("mirror/a-1.0.0.tgz"), "poison").unwrap();
        assert_eq!(packages.take_back_classic(&wanted).unwrap(), 0);
        fs::write(own.join("mirror/a-1.0.0.tgz"), "good").unwrap();
        assert_eq!(packages.take_back_classic(&wanted).unwrap(), 1);

        let own = dir.path().join("b");
        let packages = PackageCache::new(&store, &own, "https://a", &GO).unwrap();
        assert!(packages.copy_in_classic(&wanted).unwrap().is_empty());
        assert_eq!(fs::read(own.join("mirror/a-1.0.0.tgz")).unwrap(), b"good");

        let shared =
            fs::read_dir(store.kind_dir(CacheKind::Yarn).join(MIRROR)).unwrap().next().unwrap().unwrap().path();
        fs::write(&shared, "gooe").unwrap();
        let own = dir.path().join("c");
        let packages = PackageCache::new(&store, &own, "https://a", &GO).unwrap();
        assert_eq!(packages.copy_in_classic(&wanted).unwrap(), [format!("`{}`", shared.display())]);
        assert!(!own.join("mirror/a-1.0.0.tgz").exists() && !shared.exists());
    }
}
