//! The npm registry: what it has, and tarballs held to their integrity.
//!
//! The registry is whatever npm is configured to use on this machine; no host is written here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use serde::Deserialize;
use sha2::Digest as _;
use url::Url;

use super::npmrc::{ask_npm, environment, nerf, user_npmrc};
use crate::error::{Error, Result};
use crate::lock::Integrity;
use crate::tls::{self, Distrust};

/// The largest document taken from the registry, in bytes.
const MAX_DOCUMENT: usize = 256 << 20;

/// The registry npm is configured to use.
#[derive(Clone)]
pub struct NpmRegistry {
    base: Url,
    client: reqwest::Client,
    token: Option<Token>,
    /// Why it cannot be reached, once a request has given up: all later ones of the run fail at once.
    unreachable: Arc<OnceLock<String>>,
}

/// A bearer token: never printed.
#[derive(Clone)]
struct Token(String);

/// The parts of a package's document that resolving needs (npm's abbreviated metadata).
#[derive(Debug, Deserialize)]
pub struct Packument {
    /// `latest` and others.
    #[serde(default, rename = "dist-tags")]
    pub dist_tags: BTreeMap<String, String>,
    /// By version.
    #[serde(default)]
    pub versions: BTreeMap<String, PackageVersion>,
}

/// One version of a package.
#[derive(Debug, Deserialize)]
pub struct PackageVersion {
    /// Where its bytes are.
    pub dist: Dist,
}

/// The bytes of a version.
#[derive(Debug, Deserialize)]
pub struct Dist {
    /// Subresource integrities, separated by blanks.
    #[serde(default)]
    pub integrity: Option<String>,
    /// Where the registry keeps the tarball.
    pub tarball: String,
}

impl Packument {
    /// The integrity of a version, if it has a SHA-512.
    pub fn integrity(&self, version: &str) -> Option<Integrity> {
        let all = self.versions.get(version)?.dist.integrity.as_deref()?;
        all.split_ascii_whitespace().find_map(|one| one.parse().ok())
    }

    /// The newest version that is not a pre-release and that `wanted` accepts.
    pub fn newest(&self, wanted: impl Fn(&semver::Version) -> bool) -> Option<semver::Version> {
        self.versions
            .keys()
            .filter_map(|version| semver::Version::parse(version).ok())
            .filter(|version| version.pre.is_empty() && wanted(version))
            .max()
    }
}

impl NpmRegistry {
    /// The registry of the machine: `NPM_CONFIG_REGISTRY`, the user's `.npmrc`, else what `npm config get registry` says.
    pub fn of_machine() -> Result<Self> {
        let npmrc = user_npmrc();
        let configured =
            environment("npm_config_registry").or_else(|| npmrc.get("registry").cloned()).map_or_else(ask_npm, Ok)?;
        let mut base = Url::parse(configured.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                Error::usage(
                    "the npm registry that npm is configured to use is not an http(s) address",
                    "set `NPM_CONFIG_REGISTRY` to the registry's address",
                )
            })?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let token = npmrc.get(&format!("{}:_authToken", nerf(&base))).cloned().map(Token);
        Ok(Self { base, client: client()?, token, unreachable: Arc::default() })
    }

    /// The address without a trailing slash, as yarn wants it, and without a login: build scripts see it.
    pub fn address(&self) -> String {
        let mut base = self.base.clone();
        // An http address can have both.
        let _ = (base.set_username(""), base.set_password(None));
        base.as_str().trim_end_matches('/').to_owned()
    }

    /// Asks for a package's versions.
    pub async fn packument(&self, name: &str) -> Result<Packument> {
        let url = self.package_url(name)?;
        let what = format!("npm package `{name}`");
        let body = (|| async { self.get(url.clone(), &what).await?.bytes().await.map_err(|e| torn(&what, &e)) })
            .retry(backoff())
            .when(|failure: &RequestFailure| failure.again)
            .await
            .map_err(|failure| self.given_up(failure).error)?;
        if body.len() > MAX_DOCUMENT {
            return Err(Error::network(format!("{what}: the npm registry's document is too large"), ""));
        }
        serde_json::from_slice(&body).map_err(|e| {
            Error::network(
                format!("{what}: cannot parse the npm registry's response: {e}"),
                "check which registry npm is configured to use (`npm config get registry`)",
            )
        })
    }

    /// The registry's document of one version: its `package.json` with what the registry adds.
    pub async fn manifest(&self, name: &str, version: &str) -> Result<Vec<u8>> {
        let url = self.package_url(name)?;
        let what = format!("npm package `{name}@{version}`");
        let url = Url::parse(&format!("{url}/{version}"))
            .map_err(|e| Error::usage(format!("bad version `{version}`: {e}"), ""))?;
        (|| async { self.get(url.clone(), &what).await?.bytes().await.map_err(|e| torn(&what, &e)) })
            .retry(backoff())
            .when(|failure: &RequestFailure| failure.again)
            .await
            .map(|bytes| bytes.to_vec())
            .map_err(|failure| self.given_up(failure).error)
    }

    /// Downloads a version's tarball to `to`; the bytes on disk have the integrity, or there are none.
    pub async fn tarball(&self, name: &str, version: &str, integrity: &Integrity, to: &Path) -> Result<()> {
        let what = format!("npm package `{name}@{version}`");
        let base_name = name.rsplit('/').next().unwrap_or(name);
        self.package_url(name)?;
        let usual = self
            .base
            .join(&format!("{name}/-/{base_name}-{version}.tgz"))
            .map_err(|e| Error::usage(format!("bad version `{version}`: {e}"), ""))?;
        let first = self.download(usual, &what, to).await;
        let found = match first {
            Err(RequestFailure { missing: true, error, .. }) => {
                // Registries may keep tarballs elsewhere; their document says where.
                let packument = self.packument(name).await?;
                let url =
                    packument.versions.get(version).and_then(|v| Url::parse(&v.dist.tarball).ok()).ok_or(error)?;
                self.download(url, &what, to).await.map_err(|failure| failure.error)?
            }
            other => other.map_err(|failure| failure.error)?,
        };
        if found != *integrity {
            let _ = fs::remove_file(to);
            return Err(Error::Integrity {
                what,
                expected: integrity.to_string(),
                found: found.to_string(),
                hint: "the registry serves different bytes than those in the lock, and they were not used; compare with another \
                       registry, and run `factory resolve` if the change is legitimate"
                    .into(),
            });
        }
        Ok(())
    }

    async fn download(&self, url: Url, what: &str, to: &Path) -> Result<Integrity, RequestFailure> {
        (|| async {
            let mut response = self.get(url.clone(), what).await?;
            let mut file = File::create(to).map_err(|e| RequestFailure::last(Error::io("write", to)(e)))?;
            let mut hasher = sha2::Sha512::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| torn(what, &e))? {
                hasher.update(&chunk);
                file.write_all(&chunk).map_err(|e| RequestFailure::last(Error::io("write", to)(e)))?;
            }
            Ok(Integrity::from_bytes(hasher.finalize().into()))
        })
        .retry(backoff())
        .when(|failure: &RequestFailure| failure.again)
        .await
        .map_err(|failure| self.given_up(failure))
    }

    /// Remembers why the registry cannot be reached.
    fn given_up(&self, failure: RequestFailure) -> RequestFailure {
        if let Some(cause) = &failure.no_connection {
            let _ = self.unreachable.set(cause.clone());
        }
        failure
    }

    async fn get(&self, url: Url, what: &str) -> Result<reqwest::Response, RequestFailure> {
        let same_host = url.origin() == self.base.origin();
        if let Some(cause) = self.unreachable.get().filter(|_| same_host) {
            return Err(RequestFailure::last(cannot_be_reached(what, cause)));
        }
        let mut request = self
            .client
            .get(url)
            .header("accept", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*");
        if let Some(token) = self.token.as_ref().filter(|_| same_host) {
            request = request.bearer_auth(&token.0);
        }
        let response = request.send().await.map_err(|e| {
            let failure = torn(what, &e);
            let no_connection = (same_host && e.is_connect()).then(|| cause_of(&e));
            RequestFailure { no_connection, ..failure }
        })?;
        let status = response.status();
        tracing::debug!("asked the npm registry for {what}: {status}");
        if status.is_success() {
            return Ok(response);
        }
        let hint = match status.as_u16() {
            401 | 403 => "log in to the registry with `npm login`, or set its `_authToken` in `.npmrc`",
            404 => "check the name and version; some registries hold only a part of npm",
            _ => "try again, or use another registry (`NPM_CONFIG_REGISTRY`)",
        };
        Err(RequestFailure {
            again: status.is_server_error() || status.as_u16() == 429,
            missing: status.as_u16() == 404,
            no_connection: None,
            error: Error::network(format!("{what}: the npm registry answered {status}"), hint),
        })
    }

    fn package_url(&self, name: &str) -> Result<Url> {
        if !crate::lock::is_package_name(name) {
            return Err(Error::usage(format!("`{}` is not an npm package name", name.escape_debug()), ""));
        }
        self.base
            .join(&name.replace('/', "%2f"))
            .map_err(|e| Error::usage(format!("bad package name `{name}`: {e}"), ""))
    }
}

struct RequestFailure {
    error: Error,
    again: bool,
    missing: bool,
    /// Why there was no connection to the registry, if that is what failed.
    no_connection: Option<String>,
}

impl RequestFailure {
    fn last(error: Error) -> Self {
        Self { error, again: false, missing: false, no_connection: None }
    }
}

/// The end of an error's chain: the cause, without the URL (it may carry credentials).
fn cause_of(e: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = e;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// An error of the connection.
fn torn(what: &str, e: &reqwest::Error) -> RequestFailure {
    let cause = cause_of(e);
    RequestFailure { again: distrust(&cause).is_none(), ..RequestFailure::last(cannot_be_reached(what, &cause)) }
}

fn distrust(cause: &str) -> Option<Distrust> {
    cause.contains("certificate").then(|| Distrust::of(cause))
}

fn cannot_be_reached(what: &str, cause: &str) -> Error {
    let hint = match distrust(cause) {
        Some(why) => why.hint("the npm registry"),
        None => {
            "check the network, the proxy (`HTTPS_PROXY`) and the CA (`SSL_CERT_FILE`), then run the same command again"
                .to_owned()
        }
    };
    Error::network(format!("{what}: the npm registry cannot be reached: {cause}"), hint)
}

fn backoff() -> ExponentialBuilder {
    let first = Duration::from_millis(if cfg!(test) { 1 } else { 500 });
    ExponentialBuilder::default().with_min_delay(first).with_max_times(4).with_jitter()
}

fn client() -> Result<reqwest::Client> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    let named = named.map(|file| tls::certificates(Path::new(&file)));
    let trusting = tls::trusting(named.transpose()?.unwrap_or_default())
        .map_err(|e| Error::network(format!("cannot set up the network client: {e}"), "check `SSL_CERT_FILE`"))?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(trusting)
        .user_agent(concat!("factory/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(|e| Error::network(format!("cannot set up the network client: {e}"), "check `SSL_CERT_FILE`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wanted_version_is_no_prerelease() {
        let document = r#"{"versions": {"22.9.0": {"dist": {"tarball": "x"}}, "22.10.0": {"dist": {"tarball": "x"}},
            "22.11.0-rc.1": {"dist": {"tarball": "x"}}, "24.1.0": {"dist": {"tarball": "x"}}}}"#;
        let packument: Packument = serde_json::from_str(document).unwrap();
        assert_eq!(packument.newest(|v| v.major == 22).unwrap().to_string(), "22.10.0");
        assert_eq!(packument.newest(|v| v.major == 23), None);
    }

    #[tokio::test]
    async fn a_registry_that_cannot_be_reached_is_asked_no_more() {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = free();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let registry = NpmRegistry {
            base: Url::parse(&format!("http://{address}/")).unwrap(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: None,
            unreachable: Arc::default(),
        };
        let refused = |name: &str| {
            format!("npm package `{name}`: the npm registry cannot be reached: Connection refused (os error 111)")
        };
        assert_eq!(registry.packument("a").await.unwrap_err().to_string(), refused("a"));
        // It is there now, and nobody looks: also not whoever shares this registry.
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(registry.packument("b").await.unwrap_err().to_string(), refused("b"));
        assert_eq!(registry.clone().manifest("c", "1.0.0").await.unwrap_err().to_string(), refused("c@1.0.0"));
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
