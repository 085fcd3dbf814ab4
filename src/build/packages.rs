//! The packages of a workspace, in a yarn cache of its own for the time of its build.
//!
//! Install scripts and yarn plugins are third-party code that can write to the cache yarn gives them. So a build never
//! sees the shared cache: what its `yarn.lock` names is copied out of it, each zip held to the lock's checksum on the
//! way, and what yarn fetched is taken back the same way. What a build puts in its own cache beside that is dropped.
//!
//! Yarn's lockfile has no checksum for packages that are only for some platforms (the native parts of bundlers). They
//! are shared only among builds of one repository, and held to what the lock has sealed ([`unpinned`]), before that to
//! what was fetched first.

pub mod classic;
pub mod unpinned;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sha2::{Digest as _, Sha512};

use crate::error::{Error, Result};
use crate::lock::Sha256;
use crate::store::{CacheKind, Store};
use unpinned::Unpinned;

/// Folder of the zips in yarn's global folder.
const CACHE: &str = "cache";
/// Folder, per repository, of zips that no lockfile has a checksum for.
const UNPINNED: &str = "unpinned";
/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 4;

/// A package that a Berry lockfile names and that yarn keeps as a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// `@scope/name@npm:1.2.3`, or another reference.
    pub locator: String,
    /// The digits of the locator's hash that stand in the zip's name.
    hash: String,
    /// The cache key a zip must have and its SHA-512 in hex, where the lock has them.
    checksum: Option<(String, String)>,
    /// Whether this platform needs it.
    required: bool,
}

/// What [`PackageCache::copy_in`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiedIn {
    /// How many are in the build's cache now.
    pub copied: usize,
    /// Needed on this platform, and not in the cache.
    pub missing: Vec<String>,
    /// Zips that were not what they should be; they have been removed.
    pub damaged: Vec<String>,
}

/// The packages of one workspace between the shared cache and its own.
pub struct PackageCache<'a> {
    store: &'a Store,
    /// yarn's global folder of this build.
    own: PathBuf,
    /// Where zips without a checksum are kept.
    unpinned: PathBuf,
    /// What the lock has sealed of these.
    sealed: Unpinned,
}

/// The packages in the text of a Berry lockfile. Those that are made from the workspace's own files are left out.
pub fn of_lock(text: &str) -> Vec<LockedPackage> {
    let mut packages = Vec::new();
    let cache_key = text.lines().find_map(|line| line.strip_prefix("  cacheKey: ")).unwrap_or_default();
    for block in text.split("\n\n") {
        let field = |name: &str| {
            let line =
                block.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(name)?.strip_prefix(": "))?;
            Some(line.trim().trim_matches('"'))
        };
        let Some(locator) = field("resolution") else { continue };
        let Some((name, reference)) = split_locator(locator) else { continue };
        if ["workspace:", "link:", "portal:", "file:"].iter().any(|own| reference.starts_with(own)) {
            continue;
        }
        let checksum = field("checksum").map(|checksum| match checksum.split_once('/') {
            Some((key, hash)) => (key.to_owned(), hash.to_owned()),
            // Lockfiles of yarn 2 and 3 say the key once for all.
            None => (cache_key.to_owned(), checksum.to_owned()),
        });
        packages.push(LockedPackage {
            locator: locator.to_owned(),
            hash: locator_hash(name, reference),
            checksum,
            required: field("conditions").is_none_or(is_for_this_platform),
        });
    }
    packages
}

/// Name and reference of `@scope/name@reference`.
pub(super) fn split_locator(locator: &str) -> Option<(&str, &str)> {
    let at = locator.char_indices().skip(1).find(|(_, c)| *c == '@')?.0;
    Some((&locator[..at], &locator[at + 1..]))
}

/// Yarn's `structUtils.makeLocator(…).locatorHash`, as far as `slugifyLocator` shows it.
fn locator_hash(name: &str, reference: &str) -> String {
    let hash = |a: &str, b: &str| hex::encode(Sha512::new().chain_update(a).chain_update(b).finalize());
    let (scope, name) = match name.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((scope, name)) => (scope, name),
        None => ("", name),
    };
    hash(&hash(scope, name), reference)[..10].to_owned()
}

/// Yarn's conditions: `os=linux & cpu=x64 & libc=glibc`. One we do not know is taken for unmet: yarn has the last word.
fn is_for_this_platform(conditions: &str) -> bool {
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    conditions.split('&').map(str::trim).all(|condition| match condition.split_once('=') {
        Some(("os", os)) => os == std::env::consts::OS,
        Some(("cpu", wanted)) => wanted == cpu,
        Some(("libc", libc)) => libc == "glibc",
        _ => false,
    })
}

impl<'a> PackageCache<'a> {
    /// `own` is the build's folder; `repo` the source's repository.
    pub fn new(store: &'a Store, own: &Path, repo: &str) -> Result<Self> {
        let shared = store.kind_dir(CacheKind::Yarn);
        let unpinned = shared.join(UNPINNED).join(&Sha256::of(repo).hex()[..16]);
        for folder in [&own.join(CACHE), &shared.join(CACHE), &unpinned] {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        Ok(Self { store, own: own.to_path_buf(), unpinned, sealed: Unpinned::default() })
    }

    /// Holds zips without a checksum to those that the lock has sealed.
    #[must_use]
    pub fn with_sealed(self, sealed: Unpinned) -> Self {
        Self { sealed, ..self }
    }

    /// Those of `packages` in the build's cache that the lockfile has no checksum for.
    pub fn unpinned(&self, packages: &[LockedPackage]) -> Result<Unpinned> {
        let own = zips(&self.own.join(CACHE))?;
        let mut found = Unpinned::default();
        for package in packages {
            for (key, path) in own.get(&package.hash).into_iter().flatten() {
                if package.pinned(key).is_none() {
                    let bytes = fs::read(path).map_err(Error::io("read", path))?;
                    found.insert(&package.locator, key, hash(&bytes));
                }
            }
        }
        Ok(found)
    }

    /// Copies what the lockfile names into the build's cache, checked.
    pub fn copy_in(&self, packages: &[LockedPackage]) -> Result<CopiedIn> {
        let pinned = self.store.kind_dir(CacheKind::Yarn).join(CACHE);
        let (shared, unpinned, own) = (zips(&pinned)?, zips(&self.unpinned)?, zips(&self.own.join(CACHE))?);
        let result = Mutex::new(CopiedIn::default());
        in_parallel(packages, |package| {
            let done = |step: &dyn Fn(&mut CopiedIn)| step(&mut result.lock().unwrap_or_else(PoisonError::into_inner));
            let mut found = own.contains_key(&package.hash);
            let here = |zips: &HashMap<_, Vec<_>>| zips.get(&package.hash).cloned().unwrap_or_default();
            let (pinned, noted) = (here(&shared).into_iter(), here(&unpinned).into_iter());
            let all = pinned.map(|zip| (zip, false)).chain(noted.map(|zip| (zip, true)));
            for ((key, path), is_noted) in all {
                if found {
                    break;
                }
                let (key, path) = (&key, &path);
                let bytes = fs::read(path).map_err(Error::io("read", path))?;
                match package.verdict(key, &bytes, is_noted.then_some(path), &self.sealed) {
                    ZipCheck::Good => {
                        let name = path.file_name().unwrap_or_default();
                        let to = self.own.join(CACHE).join(name);
                        fs::write(&to, bytes).map_err(Error::io("write", &to))?;
                        found = true;
                    }
                    ZipCheck::OtherKey => {}
                    ZipCheck::Damaged => {
                        fs::remove_file(path).map_err(Error::io("remove", path))?;
                        done(&|result| result.damaged.push(format!("`{}` ({})", path.display(), package.locator)));
                    }
                }
            }
            done(&|result| match (found, package.required) {
                (true, _) => result.copied += 1,
                (false, true) => result.missing.push(package.locator.clone()),
                (false, false) => {}
            });
            Ok(())
        })?;
        let mut result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.missing.sort_unstable();
        result.damaged.sort_unstable();
        Ok(result)
    }

    /// Those of `packages` that this platform needs and that are not in the build's cache.
    pub fn missing(&self, packages: &[LockedPackage]) -> Result<usize> {
        let own = zips(&self.own.join(CACHE))?;
        Ok(packages.iter().filter(|package| package.required && !own.contains_key(&package.hash)).count())
    }

    /// Takes back what yarn fetched: only what the lockfile names, and only with its checksum.
    pub fn take_back(&self, packages: &[LockedPackage]) -> Result<usize> {
        let pinned = self.store.kind_dir(CacheKind::Yarn).join(CACHE);
        let own = zips(&self.own.join(CACHE))?;
        let scratch = self.store.scratch()?;
        let (taken, serial) = (AtomicUsize::new(0), AtomicUsize::new(0));
        in_parallel(packages, |package| {
            for (key, path) in own.get(&package.hash).into_iter().flatten() {
                let name = path.file_name().unwrap_or_default();
                let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
                if !is_file || pinned.join(name).exists() || self.unpinned.join(name).exists() {
                    continue;
                }
                let bytes = fs::read(path).map_err(Error::io("read", path))?;
                let number = serial.fetch_add(1, Ordering::Relaxed);
                let place = |to: &Path, bytes: &[u8], what: &str| -> Result<()> {
                    let new = scratch.path().join(format!("{number}{what}"));
                    fs::write(&new, bytes).map_err(Error::io("write", &new))?;
                    fs::rename(&new, to).map_err(Error::io("write", to))
                };
                let to = match package.verdict(key, &bytes, None, &self.sealed) {
                    ZipCheck::Good => pinned.join(name),
                    ZipCheck::Damaged => continue,
                    ZipCheck::OtherKey => {
                        let to = self.unpinned.join(name);
                        place(&beside(&to), hash(&bytes).as_bytes(), "s")?;
                        to
                    }
                };
                place(&to, &bytes, "")?;
                taken.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(taken.into_inner())
    }
}

#[derive(PartialEq, Eq)]
enum ZipCheck {
    Good,
    /// Made with another compression level or version of the cache: not this lockfile's.
    OtherKey,
    Damaged,
}

impl LockedPackage {
    /// The lockfile's checksum for zips with this cache key.
    fn pinned(&self, key: &str) -> Option<&str> {
        self.checksum.as_ref().filter(|(wanted, _)| wanted == key).map(|(_, checksum)| checksum.as_str())
    }

    /// Whether a zip is this package: by the lockfile's checksum, else by what the lock has sealed, else by what was
    /// noted of it in `noted`.
    fn verdict(&self, key: &str, bytes: &[u8], noted: Option<&Path>, sealed: &Unpinned) -> ZipCheck {
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

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha512::digest(bytes))
}

/// The zips of a folder by the locator's hash in their names, `<slug>-<hash>-<key>.zip`, with their key.
fn zips(folder: &Path) -> Result<HashMap<String, Vec<(String, PathBuf)>>> {
    let mut zips: HashMap<String, Vec<_>> = HashMap::new();
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".zip")) else { continue };
        let mut parts = name.rsplitn(3, '-');
        if let (Some(key), Some(hash), Some(_)) = (parts.next(), parts.next(), parts.next()) {
            zips.entry(hash.to_owned()).or_default().push((key.to_owned(), path.clone()));
        }
    }
    Ok(zips)
}

/// Runs `work` for each package on a few threads; the first error wins.
fn in_parallel(packages: &[LockedPackage], work: impl Fn(&LockedPackage) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    // A locator stands once in a lockfile; were it to stand twice, two threads would write one file.
    let unique: BTreeMap<&str, &LockedPackage> =
        packages.iter().map(|package| (package.hash.as_str(), package)).collect();
    let unique: Vec<&LockedPackage> = unique.into_values().collect();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(package) = unique.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(package) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(checksum: &str) -> Vec<LockedPackage> {
        of_lock(&format!(
            "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@babel/runtime@npm:^7.0.0\":\n  version: 7.29.14\n  resolution: \"@babel/runtime@npm:7.29.14\"\n  checksum: 10c0/{checksum}\n  languageName: node\n\n\"native@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"native@npm:1.0.0\"\n  conditions: os=linux\n\n\"mac@npm:1.0.0\":\n  resolution: \"mac@npm:1.0.0\"\n  conditions: os=darwin & cpu=x64\n\n\"own@workspace:.\":\n  resolution: \"own@workspace:.\"\n"
        ))
    }

    #[test]
    fn zips_are_named_as_yarn_names_them() {
        // The names of files in a real cache of yarn 4.
        assert_eq!(locator_hash("@babel/runtime", "npm:7.29.14"), "d931f5c57a");
        assert_eq!(locator_hash("parseurl", "npm:1.3.3"), "1542397e00");
        let packages = lock("00");
        let locators: Vec<_> = packages.iter().map(|p| (p.locator.as_str(), p.required)).collect();
        assert_eq!(
            locators,
            [("@babel/runtime@npm:7.29.14", true), ("native@npm:1.0.0", true), ("mac@npm:1.0.0", false)]
        );
    }

    #[test]
    fn a_build_can_neither_poison_the_shared_cache_nor_be_given_damaged_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("cache")).unwrap();
        let good = lock(&hash(b"good"));
        let name = "@babel-runtime-npm-7.29.14-d931f5c57a-10c0.zip";
        let native = format!("native-npm-1.0.0-{}-10c0.zip", locator_hash("native", "npm:1.0.0"));
        let shared = store.kind_dir(CacheKind::Yarn).join("cache").join(name);

        // What a build put in its cache comes back only with the lock's checksum.
        let own = dir.path().join("a");
        let packages = PackageCache::new(&store, &own, "https://a").unwrap();
        fs::write(own.join("cache").join(name), "poison").unwrap();
        fs::write(own.join("cache/unknown-npm-1.0.0-0123456789-10c0.zip"), "x").unwrap();
        assert_eq!(packages.take_back(&good).unwrap(), 0);
        assert!(!shared.exists());
        fs::write(own.join("cache").join(name), "good").unwrap();
        fs::write(own.join("cache").join(&native), "native").unwrap();
        assert_eq!(packages.take_back(&good).unwrap(), 2);
        assert_eq!(fs::read(&shared).unwrap(), b"good");

        // Another repository is not given what has no checksum.
        let other = PackageCache::new(&store, &dir.path().join("b"), "https://b").unwrap().copy_in(&good).unwrap();
        assert_eq!((other.copied, other.missing.as_slice()), (1, &["native@npm:1.0.0".to_owned()][..]));
        let own = dir.path().join("c");
        let again = PackageCache::new(&store, &own, "https://a").unwrap();
        assert_eq!(again.copy_in(&good).unwrap(), CopiedIn { copied: 2, ..CopiedIn::default() });
        assert_eq!(fs::read(own.join("cache").join(&native)).unwrap(), b"native");

        // Sealed, it is everybody's; other bytes than the sealed ones are not this package.
        let own_lock = of_lock("\"native@npm:1.0.0\":\n  resolution: \"native@npm:1.0.0\"\n  conditions: os=linux\n");
        let used = again.unpinned(&good).unwrap();
        assert_eq!(used.to_text(), format!("{} 10c0 native@npm:1.0.0\n", hash(b"native")));
        assert_eq!(again.with_sealed(used.clone()).take_back(&own_lock).unwrap(), 0);
        let sealed = |name: &str, digest: &[u8]| {
            let mut sealed = Unpinned::default();
            sealed.insert("native@npm:1.0.0", "10c0", hash(digest));
            PackageCache::new(&store, &dir.path().join(name), "https://c").unwrap().with_sealed(sealed)
        };
        let third = sealed("sealed", b"native");
        fs::write(dir.path().join("sealed/cache").join(&native), "nativf").unwrap();
        assert_eq!(third.take_back(&own_lock).unwrap(), 0);
        fs::write(dir.path().join("sealed/cache").join(&native), "native").unwrap();
        assert_eq!(third.take_back(&own_lock).unwrap(), 1);
        assert_eq!(sealed("sealed too", b"native").copy_in(&own_lock).unwrap().copied, 1);
        let other = PackageCache::new(&store, &dir.path().join("e"), "https://a").unwrap();
        let mut seal = Unpinned::default();
        seal.insert("native@npm:1.0.0", "10c0", hash(b"others"));
        let refused = other.with_sealed(seal).copy_in(&own_lock).unwrap();
        assert_eq!((refused.copied, refused.damaged.len()), (0, 2));

        // A flipped bit is named, removed, and not copied.
        fs::write(&shared, "gooe").unwrap();
        let own = dir.path().join("d");
        let damaged = PackageCache::new(&store, &own, "https://a").unwrap().copy_in(&good).unwrap();
        assert_eq!(damaged.missing, ["@babel/runtime@npm:7.29.14", "native@npm:1.0.0"]);
        assert_eq!(damaged.damaged, [format!("`{}` (@babel/runtime@npm:7.29.14)", shared.display())]);
        assert!(!own.join("cache").join(name).exists() && !shared.exists());
    }
}
