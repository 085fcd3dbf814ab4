//! The npm registry: what it has, and tarballs held to their integrity.
//!
//! The registry is whatever npm is configured to use on this machine; no host is written here.

mod advisories;
mod ask_npm;
pub mod facts;
mod failure;
mod upstreams;
mod usual_tarball;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use backon::Retryable as _;
use sha2::Digest as _;
use url::Url;

use super::documents::{DocumentTurns, NpmDocument};
use super::http_client;
use super::limits::NpmLimits;
use super::packument::Packument;
use super::registry_login::{RegistryLogin, with_login};
use super::settings::{NpmSettings, NpmSurroundings};
use crate::answer::{AnswerLimits, BoundedAnswer};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lock::Integrity;
use ask_npm::ask_npm;
use failure::{RequestFailure, backoff, cannot_be_reached, cause_of, connected, no_answer, torn};
pub use upstreams::RegistryAddresses;

/// What is asked for: where the registry has it, what installing takes.
const ABBREVIATED: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

/// The origins that have answered in this run, whoever asked: one that then swallows a connection is busy, not wrong.
static ANSWERED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The registries npm is configured to use: one, and others for scopes.
#[derive(Clone)]
pub struct NpmRegistry {
    base: Address,
    /// By `@scope`.
    scopes: BTreeMap<String, Address>,
    settings: NpmSettings,
    client: reqwest::Client,
    /// Why one cannot be reached, once a request has given up: all later ones of the run fail at once. By its origin.
    unreachable: Arc<Mutex<BTreeMap<String, String>>>,
    pub(super) limits: NpmLimits,
    pub(super) documents: Arc<DocumentTurns>,
    interrupt: Interrupt,
}

/// The address of a registry, which ends with a slash, and the login that stood in it.
#[derive(Clone, Debug)]
pub(super) struct Address {
    url: Url,
    login: Option<RegistryLogin>,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let login = RegistryLogin::taken_from(&mut url);
        Some(Self { url, login })
    }
}

impl NpmRegistry {
    /// The registries of this machine, as npm would find them from the working directory; the `.npmrc` of `config_dir`
    /// comes before the project's. Where only npm's own default is left, npm is asked for it.
    pub fn of_machine(config_dir: &Path, interrupt: &Interrupt) -> Result<Self> {
        Self::new(NpmSettings::read(&NpmSurroundings::of_process(config_dir)), interrupt)
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: NpmLimits) -> Self {
        Self { limits, ..self }
    }

    /// The registries of these settings, asked until `interrupt`.
    pub fn new(settings: NpmSettings, interrupt: &Interrupt) -> Result<Self> {
        let wrong = |what: &str| {
            Error::usage(
                format!("the npm registry that npm is configured to use{what} is not an http(s) address"),
                "set `NPM_CONFIG_REGISTRY` to the registry's address",
            )
        };
        let configured = match settings.registry() {
            Some(registry) => registry.to_owned(),
            None => ask_npm(NpmLimits::default().npm_within, interrupt)?,
        };
        settings.check_variables("registry", &configured)?;
        let base = Address::parse(&configured).ok_or_else(|| wrong(""))?;
        let mut scopes = BTreeMap::new();
        for (scope, registry) in settings.scopes() {
            settings.check_variables(&format!("{scope}:registry"), registry)?;
            let address = Address::parse(registry).ok_or_else(|| {
                Error::usage(
                    format!("the npm registry of `{}` is not an http(s) address", scope.escape_debug()),
                    format!("correct `{}:registry` in npm's configuration", scope.escape_debug()),
                )
            })?;
            scopes.insert(scope.to_owned(), address);
        }
        let client = http_client::new(&settings)?;
        Ok(Self {
            base,
            scopes,
            settings,
            client,
            unreachable: Arc::default(),
            limits: NpmLimits::default(),
            documents: Arc::default(),
            interrupt: interrupt.clone(),
        })
    }

    /// The registry that has a package.
    fn of(&self, name: &str) -> &Address {
        name.split_once('/').and_then(|(scope, _)| self.scopes.get(scope)).unwrap_or(&self.base)
    }

    /// What is sent to `url`, of a package of `registry`. A login for https is not sent in the clear.
    fn login(&self, url: &Url, registry: &Address) -> Option<RegistryLogin> {
        if url.scheme() == "http" && registry.url.scheme() == "https" {
            return None;
        }
        let of_host = || {
            let is_same = url.origin() == registry.url.origin();
            is_same.then(|| self.settings.login(&registry.url).or_else(|| registry.login.clone())).flatten()
        };
        self.settings.login(url).or_else(of_host)
    }

    /// Asks for a package's versions.
    pub async fn packument(&self, name: &str) -> Result<Packument> {
        let url = self.package_url(name)?;
        let what = format!("npm package `{name}`");
        let document = self.document(&url, name, &what, (ABBREVIATED, self.limits.document)).await?;
        serde_json::from_slice(&document.bytes).map_err(|e| {
            Error::network(
                format!("{what}: cannot parse the npm registry's response: {e}"),
                "check which registry npm is configured to use (`npm config get registry`)",
            )
        })
    }

    /// The registry's document of one version: its `package.json` with what the registry adds.
    pub async fn manifest(&self, name: &str, version: &str) -> Result<Vec<u8>> {
        let (what, url) = (format!("npm package `{name}@{version}`"), self.version_url(name, version)?);
        Ok(self.document(&url, name, &what, (ABBREVIATED, self.limits.manifest)).await?.bytes)
    }

    fn version_url(&self, name: &str, version: &str) -> Result<Url> {
        Url::parse(&format!("{}/{version}", self.package_url(name)?))
            .map_err(|e| Error::usage(format!("bad version `{version}`: {e}"), ""))
    }

    /// Whether the registry has a version of a package; an error where it cannot be asked.
    pub async fn has_version(&self, name: &str, version: &str) -> Result<bool> {
        let (what, url) = (format!("npm package `{name}@{version}`"), self.version_url(name, version)?);
        let attempt = || self.get(url.clone(), name, &what, ABBREVIATED);
        let attempts = attempt.retry(backoff()).when(|failure: &RequestFailure| failure.again);
        match self.interrupt.unless(async { Ok(attempts.await) }).await? {
            Err(failure) if failure.missing => Ok(false),
            answer => answer.map(|_| true).map_err(|failure| self.given_up(failure).error),
        }
    }

    /// All that the registry says of a package, not only what installing it takes.
    pub(super) async fn full_document(&self, name: &str) -> Result<NpmDocument<'_>> {
        let wanted = ("application/json", self.limits.document);
        self.document(&self.package_url(name)?, name, &format!("npm package `{name}`"), wanted).await
    }

    /// A document about the package `name`, whole: what is asked for, and as much of it as is taken.
    async fn document(
        &self,
        url: &Url,
        name: &str,
        what: &str,
        (accept, limits): (&str, AnswerLimits),
    ) -> Result<NpmDocument<'_>> {
        let attempt = || async {
            let response = self.get(url.clone(), name, what, accept).await?;
            let server = response.url().clone();
            let read = self.documents.read(BoundedAnswer::new(response, limits)).await;
            read.map_err(|failure| RequestFailure::of_answer(what, &server, &failure))
        };
        let attempts = async {
            let attempts = attempt.retry(backoff()).when(|failure: &RequestFailure| failure.again);
            attempts.await.map_err(|failure| self.given_up(failure).error)
        };
        self.interrupt.unless(attempts).await
    }

    /// Downloads a version's tarball to `to`; the bytes on disk have the integrity, or there are none.
    pub async fn tarball(&self, name: &str, version: &str, integrity: &Integrity, to: &Path) -> Result<()> {
        let fetched = self.interrupt.unless(self.checked_tarball(name, version, integrity, to)).await;
        if fetched.is_err() {
            let _ = fs::remove_file(to);
        }
        fetched
    }

    async fn checked_tarball(&self, name: &str, version: &str, integrity: &Integrity, to: &Path) -> Result<()> {
        let what = format!("npm package `{name}@{version}`");
        let first = self.download(self.usual_tarball_url(name, version)?, name, &what, to).await;
        let found = match first {
            Err(RequestFailure { missing: true, error, .. }) => {
                // Registries may keep tarballs elsewhere; their document says where.
                let packument = self.packument(name).await?;
                let url =
                    packument.versions.get(version).and_then(|v| Url::parse(&v.dist.tarball).ok()).ok_or(error)?;
                self.download(url, name, &what, to).await.map_err(|failure| failure.error)?
            }
            other => other.map_err(|failure| failure.error)?,
        };
        if found != *integrity {
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

    async fn download(&self, url: Url, name: &str, what: &str, to: &Path) -> Result<Integrity, RequestFailure> {
        (|| async {
            let response = self.get(url.clone(), name, what, ABBREVIATED).await?;
            let server = response.url().clone();
            let mut answer = BoundedAnswer::new(response, self.limits.tarball);
            let failed = |failure| RequestFailure::of_answer(what, &server, &failure);
            let mut file = File::create(to).map_err(|e| RequestFailure::last(Error::io("write", to)(e)))?;
            let mut hasher = sha2::Sha512::new();
            while let Some(chunk) = answer.chunk().await.map_err(failed)? {
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

    /// Remembers why a registry cannot be reached.
    fn given_up(&self, failure: RequestFailure) -> RequestFailure {
        if let Some((origin, cause)) = &failure.no_connection {
            let mut unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
            unreachable.entry(origin.clone()).or_insert_with(|| cause.clone());
        }
        failure
    }

    /// One request for the package `name`.
    async fn get(&self, url: Url, name: &str, what: &str, accept: &str) -> Result<reqwest::Response, RequestFailure> {
        let registry = self.of(name);
        let origin = url.origin().ascii_serialization();
        let is_registry = url.origin() == registry.url.origin();
        let known = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner).get(&origin).cloned();
        if let Some(cause) = known {
            return Err(RequestFailure::last(cannot_be_reached(what, &cause)));
        }
        let login = self.login(&url, registry);
        let attempt = || {
            let request = self.client.get(url.clone()).header("accept", accept);
            with_login(request, login.as_ref()).send()
        };
        let within = self.limits.answer_within;
        let answered = tokio::time::timeout(within, connected(self.limits.connect_within, attempt)).await;
        let response = answered.map_err(|_| no_answer(what, within))?.map_err(|e| {
            let has_answered = ANSWERED.lock().unwrap_or_else(PoisonError::into_inner).contains(&origin);
            let failure = torn(what, &e, has_answered);
            let no_connection = (is_registry && e.is_connect()).then(|| (origin.clone(), cause_of(&e)));
            RequestFailure { no_connection, ..failure }
        })?;
        ANSWERED.lock().unwrap_or_else(PoisonError::into_inner).insert(origin);
        let status = response.status();
        tracing::debug!("asked the npm registry for {what}: {status}");
        if status.is_success() {
            return Ok(response);
        }
        let hint = match status.as_u16() {
            401 | 403 => self.login_hint(login.is_some()),
            404 => "check the name and version; some registries hold only a part of npm".to_owned(),
            _ => "try again, or use another registry (`NPM_CONFIG_REGISTRY`)".to_owned(),
        };
        Err(RequestFailure {
            again: status.is_server_error() || status.as_u16() == 429,
            missing: status.as_u16() == 404,
            no_connection: None,
            error: Error::network(format!("{what}: the npm registry answered {status}"), hint),
        })
    }

    /// What to do when a registry refuses.
    pub(super) fn login_hint(&self, is_sent: bool) -> String {
        match self.settings.login_of_no_registry() {
            Some(name) if !is_sent => {
                format!("`{name}` in npm's configuration is of no registry: write it as `//<host>/<path>/:{name}`")
            }
            _ if is_sent => "the login in npm's configuration is not accepted: renew it with `npm login`".to_owned(),
            _ => "log in to the registry with `npm login`, or set its `_authToken` in `.npmrc`".to_owned(),
        }
    }

    fn package_url(&self, name: &str) -> Result<Url> {
        if !crate::lock::is_package_name(name) {
            return Err(Error::usage(format!("`{}` is not an npm package name", name.escape_debug()), ""));
        }
        self.of(name)
            .url
            .join(&name.replace('/', "%2f"))
            .map_err(|e| Error::usage(format!("bad package name `{name}`: {e}"), ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Read as _;
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    fn registry_at(address: SocketAddr, patience: Duration) -> NpmRegistry {
        let variables = [("npm_config_registry".to_owned(), format!("http://{address}/"))].into();
        let surroundings = NpmSurroundings { variables, folder: "/".into(), config_dir: None };
        let client = reqwest::Client::builder().no_proxy().connect_timeout(patience).build().unwrap();
        NpmRegistry { client, ..NpmRegistry::new(NpmSettings::read(&surroundings), &Interrupt::default()).unwrap() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_registry_that_was_there_and_swallows_connections_is_asked_again() {
        const PATIENCE: Duration = Duration::from_millis(100);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = registry_at(listener.local_addr().unwrap(), PATIENCE);
        let one_answer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            listener
        });
        registry.packument("a").await.unwrap_err();
        let listener = one_answer.join().unwrap();
        let address = listener.local_addr().unwrap();
        let _waiting: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, PATIENCE).ok()).collect();
        let url = Url::parse(&format!("http://{address}/b")).unwrap();
        let registry = registry_at(address, PATIENCE);
        let failure = registry.get(url, "b", "it", ABBREVIATED).await.err().unwrap();
        assert!(failure.again);
        assert_eq!(
            failure.error.to_string(),
            "it: the npm registry cannot be reached: nothing answers at that address"
        );
    }

    #[tokio::test]
    async fn a_registry_that_cannot_be_reached_is_asked_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let registry = registry_at(address, Duration::from_secs(5));
        let refused = |name: &str| {
            format!("npm package `{name}`: the npm registry cannot be reached: Connection refused (os error 111)")
        };
        assert_eq!(registry.packument("a").await.unwrap_err().to_string(), refused("a"));
        // It is there now, and nobody looks: also not whoever shares this registry.
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(registry.packument("b").await.unwrap_err().to_string(), refused("b"));
        assert_eq!(registry.clone().manifest("c", "1.0.0").await.unwrap_err().to_string(), refused("c@1.0.0"));
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
