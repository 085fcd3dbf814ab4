//! The packages of yarn 2 and later: zips in its cache, named by a hash of their locator.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha512};

use super::unpinned::Unpinned;
use super::{CACHE, CopiedIn, LARGEST, PackageCache};
use crate::error::{Error, Result};
use crate::parallel::Workers;
use crate::store::LeftKind;
use crate::yarn::lockfile::{YarnEntry, YarnLock};
use crate::yarn::platform::Platform;

/// A package that a Berry lockfile names and that yarn keeps as a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// `@scope/name@npm:1.2.3`, or another reference.
    pub locator: String,
    /// The digits of the locator's hash that stand in the zip's name.
    pub(super) hash: String,
    /// The cache key a zip must have and its SHA-512 in hex, where the lock has them.
    checksum: Option<(String, String)>,
    /// Whether this platform needs it.
    pub(super) required: bool,
}

/// The packages of a Berry lockfile. Those that are made from the workspace's own files are left out.
pub fn of_lock(lock: &YarnLock<'_>) -> Vec<LockedPackage> {
    let platform = Platform::of_machine();
    let package = |entry: &YarnEntry<'_>| {
        let locator = entry.locator()?;
        if locator.workspace_path().is_some() || locator.is_from_folder() {
            return None;
        }
        let checksum = entry.checksum.as_deref().map(|checksum| match checksum.split_once('/') {
            Some((key, hash)) => (key.to_owned(), hash.to_owned()),
            // Lockfiles of yarn 2 and 3 say the key once for all.
            None => (lock.cache_key.as_deref().unwrap_or_default().to_owned(), checksum.to_owned()),
        });
        Some(LockedPackage {
            locator: entry.resolution.clone().into_owned(),
            hash: locator.cache_hash(),
            checksum,
            required: entry.conditions.as_deref().is_none_or(|conditions| platform.allows(conditions)),
        })
    };
    lock.entries.iter().filter_map(package).collect()
}

impl PackageCache<'_> {
    /// Those of `packages` in the build's cache that the lockfile has no checksum for.
    pub fn unpinned(&self, packages: &[LockedPackage]) -> Result<Unpinned> {
        let own = self.own_zips()?;
        let mut found = Unpinned::default();
        for package in packages {
            for (key, path) in own.get(&package.hash).into_iter().flatten() {
                if package.pinned(key).is_none() {
                    let bytes = self.own.read(path, LARGEST)?;
                    found.insert(&package.locator, key, hash(&bytes));
                }
            }
        }
        Ok(found)
    }

    /// Copies what the lockfile names into the build's cache, checked.
    pub fn copy_in(&self, packages: &[LockedPackage]) -> Result<CopiedIn> {
        let pinned = self.shared.path().join(CACHE);
        let (shared, unpinned, own) = (zips(&pinned)?, zips(&self.unpinned)?, self.own_zips()?);
        let each = self.workers().try_map(once_each(packages), |package| {
            let mut damaged = Vec::new();
            if own.contains_key(&package.hash) {
                return Ok((package, true, damaged));
            }
            let here = |zips: &Zips| zips.get(&package.hash).cloned().unwrap_or_default();
            let (pinned, noted) = (here(&shared).into_iter(), here(&unpinned).into_iter());
            let all = pinned.map(|zip| (zip, false)).chain(noted.map(|zip| (zip, true)));
            for ((key, path), is_noted) in all {
                let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
                match package.check(&key, &bytes, is_noted.then_some(&path), &self.sealed) {
                    ZipCheck::Good => {
                        let to = Path::new(CACHE).join(path.file_name().unwrap_or_default());
                        self.own.write(&to, &bytes, 0o644)?;
                        return Ok((package, true, damaged));
                    }
                    ZipCheck::OtherKey => {}
                    ZipCheck::Damaged => {
                        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                        damaged.push(format!("`{}` ({})", path.display(), package.locator));
                    }
                }
            }
            Ok((package, false, damaged))
        })?;
        let mut result = CopiedIn::default();
        for (package, found, damaged) in each {
            result.damaged.extend(damaged);
            match (found, package.required) {
                (true, _) => result.copied += 1,
                (false, true) => result.missing.push(package.locator.clone()),
                (false, false) => {}
            }
        }
        result.missing.sort_unstable();
        result.damaged.sort_unstable();
        Ok(result)
    }

    /// Those of `packages` that this platform needs and that are not in the build's cache.
    pub fn missing(&self, packages: &[LockedPackage]) -> Result<usize> {
        let own = self.own_zips()?;
        Ok(packages.iter().filter(|package| package.required && !own.contains_key(&package.hash)).count())
    }

    /// Copies what yarn fetched into the shared cache: only what the lockfile names, and only with its checksum.
    pub fn take_back(&self, packages: &[LockedPackage]) -> Result<usize> {
        let pinned = self.shared.path().join(CACHE);
        let own = self.own_zips()?;
        let scratch = self.store.scratch()?;
        let serial = AtomicUsize::new(0);
        let taken = self.workers().try_map(once_each(packages), |package| {
            let mut taken = 0;
            for (key, path) in own.get(&package.hash).into_iter().flatten() {
                let name = path.file_name().unwrap_or_default();
                let is_file = self.own.kind(path) == Some(LeftKind::File);
                if !is_file || pinned.join(name).exists() || self.unpinned.join(name).exists() {
                    continue;
                }
                let bytes = self.own.read(path, LARGEST)?;
                let number = serial.fetch_add(1, Ordering::Relaxed);
                let place = |to: &Path, bytes: &[u8], what: &str| -> Result<()> {
                    let new = scratch.path().join(format!("{number}{what}"));
                    fs::write(&new, bytes).map_err(Error::io("write", &new))?;
                    fs::rename(&new, to).map_err(Error::io("write", to))
                };
                let to = match package.check(key, &bytes, None, &self.sealed) {
                    ZipCheck::Good => pinned.join(name),
                    ZipCheck::Damaged => continue,
                    ZipCheck::OtherKey => {
                        let to = self.unpinned.join(name);
                        place(&beside(&to), hash(&bytes).as_bytes(), "s")?;
                        to
                    }
                };
                place(&to, &bytes, "")?;
                taken += 1;
            }
            Ok(taken)
        })?;
        Ok(taken.into_iter().sum())
    }

    /// The zips of the build's cache, from its root.
    pub(super) fn own_zips(&self) -> Result<Zips> {
        let entries = self.own.entries(Path::new(CACHE))?;
        Ok(by_hash(entries.into_iter().map(|(name, _)| Path::new(CACHE).join(name))))
    }

    fn workers(&self) -> Workers<'_> {
        Workers::of_disk(self.interrupt)
    }
}

/// A locator stands once in a lockfile; closures name what the workspace's names, too, and two threads would write one
/// file.
pub(super) fn once_each(packages: &[LockedPackage]) -> impl Iterator<Item = &LockedPackage> {
    let unique: BTreeMap<&str, &LockedPackage> =
        packages.iter().map(|package| (package.hash.as_str(), package)).collect();
    unique.into_values()
}

#[derive(PartialEq, Eq)]
enum ZipCheck {
    Good,
    /// Made with another compression level or version of the cache: not this lockfile's.
    OtherKey,
    Damaged,
}

impl LockedPackage {
    /// The cache key that a zip must have, and its SHA-512 in hex.
    pub(super) fn checksum(&self) -> Option<(&str, &str)> {
        self.checksum.as_ref().map(|(key, checksum)| (&**key, &**checksum))
    }

    /// The lockfile's checksum for zips with this cache key.
    fn pinned(&self, key: &str) -> Option<&str> {
        self.checksum.as_ref().filter(|(wanted, _)| wanted == key).map(|(_, checksum)| checksum.as_str())
    }

    /// Whether a zip is this package: by the lockfile's checksum, else by what the lock has sealed, else by what was
    /// noted of it in `noted`.
    fn check(&self, key: &str, bytes: &[u8], noted: Option<&Path>, sealed: &Unpinned) -> ZipCheck {
        let expected = match (self.pinned(key).or_else(|| sealed.get(&self.locator, key)), noted) {
            (Some(checksum), _) => checksum.to_owned(),
            (None, Some(zip)) => fs::read_to_string(beside(zip)).unwrap_or_default(),
            (None, None) => return ZipCheck::OtherKey,
        };
        if hash(bytes) == expected { ZipCheck::Good } else { ZipCheck::Damaged }
    }
}

/// Where the digest of a zip without a checksum is kept.
fn beside(zip: &Path) -> PathBuf {
    zip.with_extension("sha512")
}

pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha512::digest(bytes))
}

/// The zips of a folder by the locator's hash in their names, `<slug>-<hash>-<key>.zip`, with their key.
pub(super) type Zips = HashMap<String, Vec<(String, PathBuf)>>;

fn zips(folder: &Path) -> Result<Zips> {
    let entries = fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    Ok(by_hash(paths.collect::<Result<Vec<_>, _>>().map_err(Error::io("read", folder))?))
}

fn by_hash(paths: impl IntoIterator<Item = PathBuf>) -> Zips {
    let mut zips = Zips::new();
    for path in paths {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".zip")) else { continue };
        let mut parts = name.rsplitn(3, '-');
        if let (Some(key), Some(hash), Some(_)) = (parts.next(), parts.next(), parts.next()) {
            zips.entry(hash.to_owned()).or_default().push((key.to_owned(), path.clone()));
        }
    }
    zips
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::store::{CacheKind, Store};

    static GO: AtomicBool = AtomicBool::new(false);

    fn packages_of(text: &str) -> Vec<LockedPackage> {
        of_lock(&YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap())
    }

    fn lock(checksum: &str) -> Vec<LockedPackage> {
        packages_of(&format!(
            "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@babel/runtime@npm:^7.0.0\":\n  version: 7.29.14\n  resolution: \"@babel/runtime@npm:7.29.14\"\n  checksum: 10c0/{checksum}\n  languageName: node\n\n\"native@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"native@npm:1.0.0\"\n  conditions: os=linux\n\n\"mac@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"mac@npm:1.0.0\"\n  conditions: os=darwin & cpu=x64\n\n\"own@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"own@workspace:.\"\n"
        ))
    }

    #[test]
    fn zips_are_named_as_yarn_names_them() {
        // The names of files in a real cache of yarn 4.
        let packages = lock("00");
        assert_eq!(packages[0].hash, "d931f5c57a");
        let locators: Vec<_> = packages.iter().map(|p| (p.locator.as_str(), p.required)).collect();
        assert_eq!(
            locators,
            [("@babel/runtime@npm:7.29.14", true), ("native@npm:1.0.0", true), ("mac@npm:1.0.0", false)]
        );
    }

    #[test]
    fn what_a_script_planted_in_its_cache_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("cache")).unwrap();
        let packages = lock(&hash(b"good"));
        let (own, secret) = (dir.path().join("own"), dir.path().join("secret"));
        let cache = PackageCache::new(&store, &own, "https://a", &GO).unwrap();
        fs::write(&secret, "good").unwrap();
        let native = format!("cache/native-npm-1.0.0-{}-10c0.zip", packages[1].hash);
        let refused = |cache: &PackageCache<'_>| cache.unpinned(&packages).unwrap_err().to_string();
        let rule = "factory reads only regular files that a build left";
        for target in [&secret, Path::new("/dev/zero")] {
            std::os::unix::fs::symlink(target, own.join(&native)).unwrap();
            assert_eq!(cache.take_back(&packages).unwrap(), 0);
            let link = format!("yarn's cache of the build: `{native}` is a symbolic link; {rule}");
            assert_eq!(refused(&cache), link);
            fs::remove_file(own.join(&native)).unwrap();
        }
        nix::unistd::mkfifo(&own.join(&native), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(cache.take_back(&packages).unwrap(), 0);
        let fifo = format!("yarn's cache of the build: `{native}` is a FIFO, a socket or a device; {rule}");
        assert_eq!(refused(&cache), fifo);
        fs::remove_dir_all(own.join("cache")).unwrap();
        std::os::unix::fs::symlink(dir.path(), own.join("cache")).unwrap();
        let folder = format!("yarn's cache of the build: `cache` is a symbolic link; {rule}");
        assert_eq!(refused(&cache), folder);
        assert_eq!(cache.take_back(&packages).unwrap_err().to_string(), folder);
        let again = PackageCache::new(&store, &own, "https://a", &GO).map(drop).unwrap_err().to_string();
        let written = "factory writes only where there is none in the way";
        assert_eq!(again, format!("yarn's cache of the build: `cache` is a symbolic link; {written}"));
    }

    #[test]
    fn a_build_can_neither_poison_the_shared_cache_nor_be_given_damaged_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("cache")).unwrap();
        let good = lock(&hash(b"good"));
        let name = "@babel-runtime-npm-7.29.14-d931f5c57a-10c0.zip";
        let native = format!("native-npm-1.0.0-{}-10c0.zip", good[1].hash);
        let shared = store.kind_dir(CacheKind::Yarn).join("cache").join(name);

        // What a build put in its cache comes back only with the lock's checksum.
        let own = dir.path().join("a");
        let packages = PackageCache::new(&store, &own, "https://a", &GO).unwrap();
        fs::write(own.join("cache").join(name), "poison").unwrap();
        fs::write(own.join("cache/unknown-npm-1.0.0-0123456789-10c0.zip"), "x").unwrap();
        assert_eq!(packages.take_back(&good).unwrap(), 0);
        assert!(!shared.exists());
        fs::write(own.join("cache").join(name), "good").unwrap();
        fs::write(own.join("cache").join(&native), "native").unwrap();
        assert_eq!(packages.take_back(&good).unwrap(), 2);
        assert_eq!(fs::read(&shared).unwrap(), b"good");

        // Another repository is not given what has no checksum.
        let other = PackageCache::new(&store, &dir.path().join("b"), "https://b", &GO).unwrap().copy_in(&good).unwrap();
        assert_eq!((other.copied, other.missing.as_slice()), (1, &["native@npm:1.0.0".to_owned()][..]));
        let own = dir.path().join("c");
        let again = PackageCache::new(&store, &own, "https://a", &GO).unwrap();
        assert_eq!(again.copy_in(&good).unwrap(), CopiedIn { copied: 2, ..CopiedIn::default() });
        assert_eq!(fs::read(own.join("cache").join(&native)).unwrap(), b"native");

        // Sealed, it is everybody's; other bytes than the sealed ones are not this package.
        let own_lock = packages_of(
            "__metadata:\n  version: 8\n\n\"native@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"native@npm:1.0.0\"\n  conditions: os=linux\n",
        );
        let used = again.unpinned(&good).unwrap();
        assert_eq!(used.to_text(), format!("{} 10c0 native@npm:1.0.0\n", hash(b"native")));
        assert_eq!(again.with_sealed(used.clone()).take_back(&own_lock).unwrap(), 0);
        let sealed = |name: &str, digest: &[u8]| {
            let mut sealed = Unpinned::default();
            sealed.insert("native@npm:1.0.0", "10c0", hash(digest));
            PackageCache::new(&store, &dir.path().join(name), "https://c", &GO).unwrap().with_sealed(sealed)
        };
        let third = sealed("sealed", b"native");
        fs::write(dir.path().join("sealed/cache").join(&native), "nativf").unwrap();
        assert_eq!(third.take_back(&own_lock).unwrap(), 0);
        fs::write(dir.path().join("sealed/cache").join(&native), "native").unwrap();
        assert_eq!(third.take_back(&own_lock).unwrap(), 1);
        assert_eq!(sealed("sealed too", b"native").copy_in(&own_lock).unwrap().copied, 1);
        let other = PackageCache::new(&store, &dir.path().join("e"), "https://a", &GO).unwrap();
        let mut seal = Unpinned::default();
        seal.insert("native@npm:1.0.0", "10c0", hash(b"others"));
        let refused = other.with_sealed(seal).copy_in(&own_lock).unwrap();
        assert_eq!((refused.copied, refused.damaged.len()), (0, 2));

        // A flipped bit is named, removed, and not copied.
        fs::write(&shared, "gooe").unwrap();
        let own = dir.path().join("d");
        let damaged = PackageCache::new(&store, &own, "https://a", &GO).unwrap().copy_in(&good).unwrap();
        assert_eq!(damaged.missing, ["@babel/runtime@npm:7.29.14", "native@npm:1.0.0"]);
        assert_eq!(damaged.damaged, [format!("`{}` (@babel/runtime@npm:7.29.14)", shared.display())]);
        assert!(!own.join("cache").join(name).exists() && !shared.exists());
    }
}
