//! Tarballs at the addresses that follow from name and version, where yarn 2 and later looks for them and nowhere else.

use std::fs;
use std::path::Path;

use url::Url;

use super::NpmRegistry;
use crate::error::{Error, Result};

impl NpmRegistry {
    /// Downloads what is at the usual address of a version's tarball to `to`, whole or not at all. False where the
    /// registry has nothing there.
    pub async fn usual_tarball(&self, name: &str, version: &str, to: &Path) -> Result<bool> {
        let what = format!("npm package `{name}@{version}`");
        let url = self.usual_tarball_url(name, version)?;
        let fetched = self.interrupt.unless(async { Ok(self.download(url, name, &what, to).await) }).await;
        let found = fetched.and_then(|answer| match answer {
            Ok(_) => Ok(true),
            Err(failure) if failure.missing => Ok(false),
            Err(failure) => Err(failure.error),
        });
        if !matches!(found, Ok(true)) {
            let _ = fs::remove_file(to);
        }
        found
    }

    pub(super) fn usual_tarball_url(&self, name: &str, version: &str) -> Result<Url> {
        let base_name = name.rsplit('/').next().unwrap_or(name);
        self.package_url(name)?;
        let url = self.of(name).url.join(&format!("{name}/-/{base_name}-{version}.tgz"));
        url.map_err(|e| Error::usage(format!("bad version `{version}`: {e}"), ""))
    }
}
