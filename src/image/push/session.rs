//! One repository of a registry: requests with the right scheme and token, repeated where that may help, and sent again
//! where an answer leads elsewhere.
//!
//! The login goes to the registry's own address and its token server alone: what is asked elsewhere is asked without it.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable as _};
use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use tracing::{debug, warn};
use url::Url;

use super::challenge::{self, Challenge, TokenServer};
use super::credential::{Authorization, Credential, CredentialKind};
use super::error::{self, PushError};
use super::options::Retries;
use super::registry::OciRegistry;
use super::response::{body, refused};
use super::secret::Redaction;
use super::{auth_file, http_client, location};
use crate::image::name::ImageName;
use crate::lock::Sha256;
use crate::{Error, Result};

const DIGEST: &str = "docker-content-digest";
/// A registry that lists referrers says so (distribution spec 1.1, "Pushing Manifests with Subject").
const SUBJECT: &str = "oci-subject";
/// What registries accept of a manifest at least, and in practice at most (distribution spec, "Pushing Manifests").
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// The most bytes of a token server's answer; the longest tokens have some KiB.
const MAX_TOKEN: usize = 64 * 1024;
/// How long to wait for a TLS handshake where plain HTTP is allowed.
const PROBE: Duration = Duration::from_secs(10);
/// The lifetime of a token that states none (distribution's token specification).
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// As many as browsers and curl follow at least.
const MOST_REDIRECTS: usize = 10;
/// Attempts to reach an address that has never answered: it may be wrong.
const ATTEMPTS_TO_REACH: usize = 2;

/// A repository of a registry, and a token for it.
pub(super) struct RegistrySession {
    registry: OciRegistry,
    repository: String,
    /// The API's address, `https://host/`.
    base: Url,
    http: Client,
    credential: Credential,
    retries: Retries,
    /// What a token is asked for.
    pub(super) actions: &'static str,
    granted: tokio::sync::Mutex<Option<Grant>>,
    /// The address is right: something has answered there.
    has_answered: AtomicBool,
    redaction: Mutex<Redaction>,
}

/// What opens the registry for now.
#[derive(Clone)]
struct Grant {
    authorization: Authorization,
    until: Option<Instant>,
}

impl RegistrySession {
    /// Finds the login and how to reach the registry; no token is requested yet.
    pub(super) async fn open(registry: &OciRegistry, name: &ImageName, retries: &Retries) -> Result<Self> {
        let repository = registry.repository(name);
        let credential = auth_file::find(registry, &repository).await?;
        let redaction = credential.kind.redaction();
        let http = http_client::http(registry)?;
        let mut session = Self {
            registry: registry.clone(),
            repository,
            base: base(registry, "https")?,
            http,
            credential,
            retries: retries.clone(),
            actions: "pull,push",
            granted: tokio::sync::Mutex::new(None),
            has_answered: AtomicBool::new(false),
            redaction: Mutex::new(redaction),
        };
        if registry.insecure() && !session.speaks_tls().await {
            debug!(host = registry.host(), "no TLS: going on with plain HTTP");
            session.base = base(registry, "http")?;
        }
        Ok(session)
    }

    /// Starts an upload and cancels it, to see whether we may push.
    pub(super) async fn check(&self) -> Result<()> {
        let begun = self.with_retries("the check of the login", || self.begin_upload()).await;
        let upload = begun.map_err(|error| self.error("cannot push to", &self.address(), &error))?;
        if self.is_own(&upload) {
            // Registries remove unfinished uploads by themselves, later.
            let _ = self.follow(&Method::DELETE, upload, |request| self.ask(request).boxed()).await;
        }
        Ok(())
    }

    /// Starts an upload; the address for its bytes.
    pub(super) async fn begin_upload(&self) -> Result<Url, PushError> {
        // Some registries want the length even of nothing.
        let begin = |request: RequestBuilder| self.ask(request.header(CONTENT_LENGTH, 0)).boxed();
        let response = self.follow(&Method::POST, self.url("blobs/uploads/")?, begin).await?;
        if response.status().is_success() {
            location::of_upload(&response)
        } else {
            Err(refused(response, self.retries.pace).await)
        }
    }

    /// Whether the registry has a blob.
    pub(super) async fn has_blob(&self, digest: Sha256) -> Result<bool, PushError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let mut response = self.follow(&Method::HEAD, url.clone(), |request| self.ask(request).boxed()).await?;
        if matches!(response.status().as_u16(), 400 | 403 | 405 | 501) {
            // Presigned addresses of a storage are good for GET alone, and some registries refuse HEAD.
            let first_byte = |request: RequestBuilder| self.ask(request.header(RANGE, "bytes=0-0")).boxed();
            response = self.follow(&Method::GET, url, first_byte).await?;
        }
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(response, self.retries.pace).await),
        }
    }

    /// The manifest under a tag or digest; where the response names a digest, it must be that of its bytes.
    pub(super) async fn manifest(&self, reference: &impl Display, accept: &str) -> Result<Vec<u8>, PushError> {
        self.get(&format!("manifests/{reference}"), accept).await
    }

    /// The registry's own list of an image's referrers (distribution spec 1.1, "Listing Referrers").
    pub(super) async fn referrers(&self, subject: Sha256, accept: &str) -> Result<Vec<u8>, PushError> {
        self.get(&format!("referrers/{subject}"), accept).await
    }

    async fn get(&self, path: &str, accept: &str) -> Result<Vec<u8>, PushError> {
        let get = |request: RequestBuilder| self.ask(request.header(ACCEPT, accept)).boxed();
        let response = self.follow(&Method::GET, self.url(path)?, get).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(response, self.retries.pace).await);
        }
        let said = response.headers().get(DIGEST).and_then(|digest| digest.to_str().ok()).map(str::to_owned);
        let bytes = body(response, MAX_MANIFEST, self.retries.pace).await?;
        let digest = Sha256::of(&bytes).to_string();
        match said.filter(|said| said.starts_with("sha256:") && *said != digest) {
            Some(said) => Err(PushError::transient(format!("the registry sent {digest} and called it {said}"))),
            None => Ok(bytes),
        }
    }

    /// Stores a manifest: any 2xx says so. True when the registry has added it to its list of referrers.
    pub(super) async fn put_manifest(
        &self,
        reference: &impl Display,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, PushError> {
        let put =
            |request: RequestBuilder| self.ask(request.header(CONTENT_TYPE, media_type).body(bytes.to_vec())).boxed();
        let response = self.follow(&Method::PUT, self.url(&format!("manifests/{reference}"))?, put).await?;
        if !response.status().is_success() {
            return Err(refused(response, self.retries.pace).await);
        }
        Ok(response.headers().contains_key(SUBJECT))
    }

    /// Sends a request to `first`, and again to where the answers lead. `send` adds to a request what it needs each time.
    pub(super) async fn follow<'s>(
        &self,
        method: &Method,
        first: Url,
        send: impl Fn(RequestBuilder) -> BoxFuture<'s, Result<Response, PushError>> + Send + Sync,
    ) -> Result<Response, PushError> {
        let mut granted = self.granted().await?;
        let mut url = first;
        for _ in 0..=MOST_REDIRECTS {
            let request = self.http.request(method.clone(), url.clone());
            let is_own = self.is_own(&url);
            let response = send(if is_own { granted.on(request) } else { request }).await?;
            if let Some(next) = location::of_redirect(&response, method)? {
                url = next;
                continue;
            }
            // Some let anybody read, and name their token server only when something is pushed.
            if is_own
                && response.status() == StatusCode::UNAUTHORIZED
                && !matches!(granted, Authorization::Bearer(_))
                && let Some(Challenge::Bearer(server)) = challenge::of(response.headers())
            {
                granted = self.grant(self.token(&server).await?, &mut *self.granted.lock().await);
                continue;
            }
            return Ok(response);
        }
        Err(PushError::permanent(format!("the registry redirects more than {MOST_REDIRECTS} times")))
    }

    /// Repeats `work` while an error is retryable, with growing pauses, or those the registry asks for.
    pub(super) async fn with_retries<T, F, Fut>(&self, doing: &str, work: F) -> Result<T, PushError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, PushError>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.retries.first_pause)
            .with_max_delay(self.retries.longest_pause.min(Duration::from_secs(30)))
            .with_max_times(self.retries.attempts.saturating_sub(1))
            .with_jitter();
        let longest = self.retries.longest_pause;
        let mut unreached = 0;
        work.retry(backoff)
            .when(|error| {
                unreached += usize::from(error.is_unreachable && !self.has_answered.load(Ordering::Relaxed));
                error.retryable && unreached < ATTEMPTS_TO_REACH
            })
            .adjust(|error, pause| {
                pause.map(|pause| error.retry_after.unwrap_or(pause)).filter(|pause| *pause <= longest)
            })
            .notify(|error, pause| {
                let what = self.redact(&error.what);
                warn!("{doing} ({}): {what}; trying again in {:.1} s", self.address(), pause.as_secs_f32());
            })
            .await
            .map_err(|error| match error.retry_after {
                Some(after) if after > longest => {
                    PushError { what: format!("{}, and asks to wait {} seconds", error.what, after.as_secs()), ..error }
                }
                _ => error,
            })
    }

    /// `verb` and `what` make the beginning of the sentence: ``cannot push `host/a:1` ``.
    pub(super) fn error(&self, verb: &str, what: &str, failed: &PushError) -> Error {
        let source = &self.credential.source;
        let hint = match (&failed.hint, failed.status, &self.credential.kind) {
            (Some(hint), ..) => hint.clone(),
            (None, Some(401 | 403), CredentialKind::None) => self.registry.missing_login(&self.address(), source),
            (None, Some(401 | 403), _) => format!(
                "the login is from {source}: check that it is right and may push to `{}`; some registries want the \
                 repository created first",
                self.repository
            ),
            (None, Some(404), _) => "check `REGISTRY_NAMESPACE`: some registries want the namespace or the repository \
                                     created first"
                .to_owned(),
            (None, ..) if failed.retryable => "the registry may be busy: try again later".to_owned(),
            (None, ..) => error::OTHER_PUSHER.to_owned(),
        };
        Error::network(self.redact(&format!("{verb} `{what}`: {}", failed.what)), hint)
    }

    pub(super) fn redact(&self, text: &str) -> String {
        self.redaction.lock().unwrap_or_else(PoisonError::into_inner).apply(text)
    }

    /// How long is waited, and how often.
    pub(super) fn retries(&self) -> &Retries {
        &self.retries
    }

    /// `<host>/<namespace>/<name>`.
    pub(super) fn address(&self) -> String {
        format!("{}/{}", self.registry.host(), self.repository)
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, PushError> {
        let url = self.base.join(&format!("v2/{}/{path}", self.repository));
        url.map_err(|error| PushError::permanent(format!("`{path}` makes no URL: {error}")))
    }

    /// True for addresses that may have the login.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    async fn granted(&self) -> Result<Authorization, PushError> {
        let mut granted = self.granted.lock().await;
        if let Some(granted) = granted.as_ref()
            && granted.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(granted.authorization.clone());
        }
        let new = self.authorise().await?;
        Ok(self.grant(new, &mut granted))
    }

    fn grant(&self, (authorization, life): (Authorization, Option<Duration>), to: &mut Option<Grant>) -> Authorization {
        if let Authorization::Bearer(token) = &authorization {
            self.redaction.lock().unwrap_or_else(PoisonError::into_inner).add(token.reveal());
        }
        let until = life.map(|life| Instant::now() + usable(life));
        *to = Some(Grant { authorization: authorization.clone(), until });
        authorization
    }

    /// Asks which authentication the registry wants, and gets a token where it wants one.
    async fn authorise(&self) -> Result<(Authorization, Option<Duration>), PushError> {
        if let CredentialKind::Bearer(token) = &self.credential.kind {
            return Ok((Authorization::Bearer(token.clone()), None));
        }
        let response = self.ping().await?;
        match (response.status(), challenge::of(response.headers())) {
            (StatusCode::UNAUTHORIZED, Some(Challenge::Bearer(server))) => self.token(&server).await,
            // Some allow anonymous reads, and ask for the login only when something is pushed.
            (status, _) if status.is_success() || status == StatusCode::UNAUTHORIZED => {
                Ok((self.credential.kind.basic(), None))
            }
            (StatusCode::NOT_FOUND, _) => Err(PushError::no_registry(&self.base)),
            _ => Err(refused(response, self.retries.pace).await),
        }
    }

    async fn ping(&self) -> Result<Response, PushError> {
        let mut url = self.base.join("v2/").map_err(|error| PushError::permanent(error.to_string()))?;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(self.http.get(url)).await?;
            match location::of_redirect(&response, &Method::GET)? {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        Err(PushError::permanent(format!("the registry redirects more than {MOST_REDIRECTS} times")))
    }

    /// A token, and how long it is good for.
    async fn token(&self, server: &TokenServer) -> Result<(Authorization, Option<Duration>), PushError> {
        let scope = format!("repository:{}:{}", self.repository, self.actions);
        let request = server.request(&self.http, self.base.as_str(), &scope, &self.credential.kind)?;
        let response = self.ask(request).await?;
        if !response.status().is_success() {
            return Err(of_token_server(refused(response, self.retries.pace).await));
        }
        let answer = body(response, MAX_TOKEN, self.retries.pace).await.map_err(of_token_server)?;
        let (token, life) = challenge::token(&answer)?;
        Ok((Authorization::Bearer(token), Some(life.unwrap_or(TOKEN_LIFE))))
    }

    /// Called only where plain HTTP is allowed.
    async fn speaks_tls(&self) -> bool {
        tokio::time::timeout(PROBE.min(self.retries.stall), self.ping()).await.is_ok_and(|answer| answer.is_ok())
    }

    pub(super) async fn ask(&self, request: RequestBuilder) -> Result<Response, PushError> {
        let response = self.in_time(request.send()).await?;
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(response)
    }

    /// The result of a request, or an error when there is none in time.
    async fn in_time<T>(&self, request: impl Future<Output = reqwest::Result<T>>) -> Result<T, PushError> {
        let stall = self.retries.stall;
        Ok(tokio::time::timeout(stall, request).await.map_err(|_| stalled(stall))??)
    }
}

/// The address of the registry's API. Docker Hub's is not its name.
fn base(registry: &OciRegistry, scheme: &str) -> Result<Url> {
    let host = if registry.host() == "docker.io" { "index.docker.io" } else { registry.host() };
    Url::parse(&format!("{scheme}://{host}/")).map_err(|error| {
        Error::usage(format!("`REGISTRY_URL` is `{host}`, which is not valid: {error}"), "give the host alone")
    })
}

/// How long a token is used: a quarter of its life is left for the request that is about to be made.
fn usable(life: Duration) -> Duration {
    life * 3 / 4
}

/// The same of the registry's token server.
fn of_token_server(error: PushError) -> PushError {
    PushError { what: error.what.replacen("the registry", "its token server", 1), ..error }
}

pub(super) fn stalled(stall: Duration) -> PushError {
    PushError::transient(format!("no progress for {} seconds", stall.as_secs()))
}

#[cfg(test)]
mod tests;
