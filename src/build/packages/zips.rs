//! The packages of yarn 2 and later, fetched ahead of it: many at once, and made into the zips that yarn would make.
//!
//! yarn itself makes them on one thread. A zip that has the lockfile's checksum is what yarn would have, and it takes it
//! from its cache. All else is left to yarn, with its messages: what is not the same, what the registry does not have, and
//! everything from the first request on that fails otherwise.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use super::berry::{LockedPackage, hash, once_each};
use super::yarn_settings::YarnSettings;
use super::{CACHE, PackageCache};
use crate::error::{Error, Result};
use crate::lock::is_package_name;
use crate::npm::registry::NpmRegistry;
use crate::parallel::{DISK_THREADS, cores};
use crate::yarn::locator::Locator;
use crate::yarn::package_zip::{self, ZipCompression};

/// Tarballs that are fetched at once.
const DOWNLOADS: usize = 32;

/// What [`PackageCache::fetch`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchedZips {
    /// How many are in the build's cache now.
    pub fetched: usize,
    /// How many were looked for, and are left to yarn.
    pub left: usize,
}

/// A zip of a registry's package whose bytes are known by their checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WantedZip {
    name: String,
    version: String,
    compression: ZipCompression,
    /// SHA-512 in hex.
    checksum: String,
    /// As yarn names it in its cache.
    file: String,
}

impl WantedZip {
    /// None for all that is not a plain version of a registry, or kept in another way.
    fn of(package: &LockedPackage) -> Option<Self> {
        let (key, checksum) = package.checksum().filter(|_| package.required)?;
        let compression = ZipCompression::of_key(key)?;
        let Locator { name, reference } = Locator::parse(&package.locator)?;
        let version = reference.strip_prefix("npm:")?;
        let plain = semver::Version::parse(version).ok().filter(|version| version.build.is_empty());
        (plain.is_some() && is_package_name(name)).then(|| Self {
            name: name.to_owned(),
            version: version.to_owned(),
            checksum: checksum.to_owned(),
            compression,
            file: format!("{}-npm-{version}-{}-{key}.zip", name.replace('/', "-"), package.hash),
        })
    }

    /// Makes it of the tarball; None where that is another.
    fn make(&self, tarball: &Path) -> Option<Vec<u8>> {
        let read = || -> io::Result<Vec<u8>> {
            package_zip::of_tarball(
                BufReader::with_capacity(64 << 10, File::open(tarball)?),
                &self.name,
                self.compression,
            )
        };
        let made = read();
        let _ = std::fs::remove_file(tarball);
        let left = |why: &dyn std::fmt::Display| {
            tracing::debug!("`{}@{}` is left to yarn: {why}", self.name, self.version);
        };
        match made {
            Ok(zip) if hash(&zip) == self.checksum => Some(zip),
            Ok(_) => {
                left(&"the zip that factory makes of it has another checksum");
                None
            }
            Err(e) => {
                left(&e);
                None
            }
        }
    }
}

impl PackageCache<'_> {
    /// Fetches what of `packages` is not in the build's cache, as far as yarn would ask the same registries.
    pub async fn fetch(
        &self,
        registry: &NpmRegistry,
        packages: &[LockedPackage],
        settings: &YarnSettings,
    ) -> Result<FetchedZips> {
        let own = self.own_zips()?;
        let missing = once_each(packages).filter(|package| !own.contains_key(&package.hash));
        let wanted: Vec<WantedZip> =
            missing.filter_map(WantedZip::of).filter(|zip| settings.leaves_registry_of(&zip.name)).collect();
        if wanted.is_empty() {
            return Ok(FetchedZips::default());
        }
        let count = wanted.len();
        let scratch = self.store.scratch()?;
        let fetching = FetchingZips {
            packages: self,
            registry,
            threads: Semaphore::new(cores(DISK_THREADS)),
            stop: AtomicBool::new(false),
        };
        let one = |(number, zip): (usize, WantedZip)| fetching.one(zip, scratch.path().join(number.to_string()));
        let mut all = futures_util::stream::iter(wanted.into_iter().enumerate()).map(one).buffer_unordered(DOWNLOADS);
        let (mut fetched, mut fault) = (0, None);
        // To the end also after a fault: nothing is written any more when this returns.
        while let Some(result) = all.next().await {
            match result {
                Ok(is_here) => fetched += usize::from(is_here),
                Err(error) => {
                    fetching.stop.store(true, Ordering::Relaxed);
                    fault.get_or_insert(error);
                }
            }
        }
        fault.map_or(Ok(FetchedZips { fetched, left: count - fetched }), Err)
    }
}

struct FetchingZips<'a> {
    packages: &'a PackageCache<'a>,
    registry: &'a NpmRegistry,
    threads: Semaphore,
    /// Nothing more is asked for.
    stop: AtomicBool,
}

impl FetchingZips<'_> {
    /// True if the zip is in the build's cache then.
    async fn one(&self, zip: WantedZip, tarball: PathBuf) -> Result<bool> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match self.registry.usual_tarball(&zip.name, &zip.version, &tarball).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // Not one login is refused a thousand times, and nobody waits a thousand times.
            Err(error @ Error::Network { .. }) => {
                tracing::debug!("the packages that are not fetched yet are left to yarn: {error}");
                self.stop.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let _thread = self.threads.acquire().await.map_err(|_| Error::Interrupted)?;
        let to = Path::new(CACHE).join(&zip.file);
        let made = tokio::task::spawn_blocking(move || zip.make(&tarball)).await.map_err(|_| Error::Interrupted)?;
        if self.packages.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        made.map_or(Ok(false), |zip| self.packages.own.write(&to, &zip, 0o644).map(|()| true))
    }
}

#[cfg(test)]
mod tests {
    use super::super::berry::of_lock;
    use super::*;
    use crate::yarn::lockfile::YarnLock;

    #[test]
    fn zips_are_named_as_yarn_names_them() {
        // Locators and names of files of a real cache of yarn 4; then what is left to it.
        let entry = |locator: &str, more: &str| {
            format!("\n\"{locator}\":\n  version: 1.0.0\n  resolution: \"{locator}\"\n{more}  languageName: node\n")
        };
        let pinned = |locator: &str| entry(locator, "  checksum: 10c0/ab\n");
        let entries = [
            pinned("@babel/runtime@npm:7.29.14"),
            pinned("parseurl@npm:1.3.3"),
            pinned("a@npm:1.0.0-beta.1"),
            entry("b@npm:1.0.0", ""),
            entry("b@npm:1.0.1", "  checksum: 10/ab\n"),
            entry("b@npm:1.0.5", "  checksum: 8/ab\n"),
            entry("b@npm:1.0.2", "  checksum: 10c0/ab\n  conditions: os=darwin\n"),
            pinned("b@npm:1.0.3+build"),
            pinned("b@npm:1.0.4::__archiveUrl=https%3A%2F%2Fr.example%2Fb.tgz"),
            pinned("b@patch:b@npm%3A1.0.0#~/b.patch"),
            pinned("b@https://r.example/b.tgz"),
        ];
        let text = format!("__metadata:\n  version: 8\n  cacheKey: 10c0\n{}", entries.concat());
        let packages = of_lock(&YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap());
        assert_eq!(packages.len(), entries.len());
        let wanted: Vec<_> = packages.iter().filter_map(WantedZip::of).map(|zip| zip.file).collect();
        assert_eq!(
            wanted,
            [
                "@babel-runtime-npm-7.29.14-d931f5c57a-10c0.zip",
                "parseurl-npm-1.3.3-1542397e00-10c0.zip",
                &format!("a-npm-1.0.0-beta.1-{}-10c0.zip", Locator::parse("a@npm:1.0.0-beta.1").unwrap().cache_hash()),
                &format!("b-npm-1.0.1-{}-10.zip", Locator::parse("b@npm:1.0.1").unwrap().cache_hash()),
            ]
        );
    }
}
