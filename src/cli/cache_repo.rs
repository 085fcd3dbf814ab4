//! `--cache-repo` and its options.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::registry_option::{self, RegistryOption};
use super::session::Session;
use crate::build::cache_repo::keys::{SigningKey, TrustedKeys};
use crate::build::cache_repo::{CacheRepo, CacheRepoMode, CacheRepoSettings};
use crate::error::{Error, Result};
use crate::image::{ImageName, OciRegistry, OciRepository, RepositoryAccess, Retries};

/// Where finished builds are shared.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cache repository")]
#[allow(clippy::struct_field_names)] // the options' names
pub struct CacheRepoArgs {
    /// Share finished builds in a repository of a registry, such as `oci://quay.io/my-organisation/factory-cache`
    #[arg(long, env = "FACTORY_CACHE_REPO", value_name = "REPOSITORY")]
    pub cache_repo: Option<String>,
    /// Take builds from the cache repository, store those that are made here, or both
    #[arg(long, env = "FACTORY_CACHE_MODE", value_enum, default_value = "read", value_name = "MODE")]
    pub cache_mode: CacheModeChoice,
    /// Public keys, in a file: builds that they have signed are also taken where the lock is not sealed; can be given
    /// several times
    #[arg(long, env = "FACTORY_CACHE_TRUST", value_name = "FILE", value_delimiter = ',')]
    pub cache_trust: Vec<PathBuf>,
    /// Private key, in a file, that signs the builds which are stored
    #[arg(long, env = "FACTORY_CACHE_SIGN_KEY", hide_env_values = true, value_name = "FILE")]
    pub cache_sign_key: Option<PathBuf>,
    /// Seconds that the cache repository may take to answer; the files of a build may take ten times as long
    #[arg(long, env = "FACTORY_CACHE_TIMEOUT", value_name = "SECONDS", default_value = "30",
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub cache_timeout: u32,
}

/// What is done with a cache repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheModeChoice {
    /// Take builds from it
    Read,
    /// Store builds in it
    Write,
    /// Both
    ReadWrite,
}

impl CacheRepoArgs {
    /// No repository.
    pub fn none() -> Self {
        Self {
            cache_repo: None,
            cache_mode: CacheModeChoice::Read,
            cache_trust: vec![],
            cache_sign_key: None,
            cache_timeout: 30,
        }
    }

    /// The repository, if one is named. Reads keys; uses no network.
    pub fn open(&self, session: &Session<'_>) -> Result<Option<Arc<CacheRepo>>> {
        let Some(text) = self.cache_repo.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let (registry, name) = repository(session, text)?;
        let mode = match self.cache_mode {
            CacheModeChoice::Read => CacheRepoMode::Read,
            CacheModeChoice::Write => CacheRepoMode::Write,
            CacheModeChoice::ReadWrite => CacheRepoMode::ReadWrite,
        };
        // A variable that is set to nothing, as an engine does it with a secret that is not there.
        let trusted: Vec<_> = self.cache_trust.iter().filter(|file| !file.as_os_str().is_empty()).cloned().collect();
        let key = self.cache_sign_key.as_ref().filter(|file| !file.as_os_str().is_empty());
        if key.is_some_and(|file| file.to_string_lossy().contains("-----BEGIN")) {
            return Err(Error::usage(
                "`--cache-sign-key` is a key itself, which is not shown here",
                "write it to a file that only you can read, and name that file",
            ));
        }
        let key = key.filter(|_| mode != CacheRepoMode::Read).map(|file| SigningKey::read(file)).transpose()?;
        let settings = CacheRepoSettings {
            registry,
            name,
            mode,
            trusted: TrustedKeys::read(&trusted)?,
            patience: Duration::from_secs(u64::from(self.cache_timeout)),
        };
        Ok(Some(Arc::new(CacheRepo::new(settings, key))))
    }
}

/// The repository that `factory cache` looks at.
pub fn open(session: &Session<'_>, text: &str, access: RepositoryAccess) -> Result<OciRepository> {
    let (registry, name) = repository(session, text)?;
    let retries = Retries { attempts: 4, ..Retries::default() };
    Ok(OciRepository::new(registry, name, access, retries))
}

/// Reads `oci://host/namespace/name`. The login is that of a push.
fn repository(session: &Session<'_>, text: &str) -> Result<(OciRegistry, ImageName)> {
    let wrong = || {
        // A login in it is shown to nobody.
        let shown = if text.contains('@') { "…" } else { text };
        Error::usage(
            format!("`--cache-repo` is `{}`, which names no repository", shown.escape_debug()),
            "give host, namespace and name, such as `oci://quay.io/my-organisation/factory-cache`",
        )
    };
    let path = text.strip_prefix("oci://").unwrap_or(text);
    if path.contains("://") || path.contains('@') {
        return Err(wrong());
    }
    let (registry, name) = path.trim_end_matches('/').rsplit_once('/').ok_or_else(wrong)?;
    let option = RegistryOption::of(registry).ok_or_else(wrong)?;
    let mut variables = registry_option::variables(session.global)?;
    let login_of = option.replace(&mut variables);
    let registry = OciRegistry::from_variables(&variables).map_err(|error| {
        // Of other variables, it is their error.
        let is_address = ["`REGISTRY_URL`", "`REGISTRY_NAMESPACE`"].iter().any(|name| error.to_string().contains(name));
        if is_address { wrong() } else { error }
    })?;
    let name = Some(name).filter(|name| !name.contains(':')).ok_or_else(wrong)?;
    Ok((registry.without_login_of(login_of), ImageName::of_package(name).map_err(|_| wrong())?))
}
