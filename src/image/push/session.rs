//! One repository of a registry: requests with the right scheme and token, repeated where that may help.
//!
//! oci-client moves the blobs and manifests. What it cannot do is done here: it swallows failures of the token server
//! (the request then goes out without a token, and a busy server looks like a wrong password), knows no refresh
//! tokens, and keeps no headers, so `Retry-After` is requested again.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable as _};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tracing::{debug, warn};

use super::challenge::{self, Challenge};
use super::credential::{Credential, CredentialKind};
use super::error::{self, PushError};
use super::options::Retries;
use super::registry::OciRegistry;
use super::secret::Redaction;
use super::{auth_file, http_client};
use crate::image::name::ImageName;
use crate::lock::Sha256;
use crate::{Error, Result};

const DIGEST: &str = "docker-content-digest";
/// A registry that lists referrers says so (distribution spec 1.1, "Pushing Manifests with Subject").
const SUBJECT: &str = "oci-subject";
/// What registries accept of a manifest at least, and in practice at most (distribution spec, "Pushing Manifests").
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// How long to wait for a TLS handshake where plain HTTP is allowed.
const PROBE: Duration = Duration::from_secs(10);
/// The lifetime of a token that states none (distribution's token specification).
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// A repository of a registry, and a token for it.
pub(super) struct RegistrySession<'a> {
    registry: &'a OciRegistry,
    repository: String,
    /// The API's address, `https://host`.
    base: String,
    http: reqwest::Client,
    credential: Credential,
    retries: &'a Retries,
    granted: tokio::sync::Mutex<Option<Grant>>,
    redaction: Mutex<Redaction>,
}

/// A client with a token that is valid for now.
#[derive(Clone)]
struct Grant {
    client: Client,
    auth: RegistryAuth,
    until: Option<Instant>,
}

impl<'a> RegistrySession<'a> {
    /// Finds the login and how to reach the registry; no token is requested yet.
    pub(super) async fn open(registry: &'a OciRegistry, name: &ImageName, retries: &'a Retries) -> Result<Self> {
        let repository = registry.repository(name);
        let credential = auth_file::find(registry, &repository).await?;
        let redaction = credential.kind.redaction();
        let http = http_client::http(registry)?;
        // Any tag will do: oci-client is asked for the host of the API, which for Docker Hub is another.
        let reference = Reference::with_tag(registry.host().to_owned(), repository.clone(), "latest".to_owned());
        let host = reference.resolve_registry().to_owned();
        let mut session = Self {
            registry,
            repository,
            base: format!("https://{host}"),
            http,
            credential,
            retries,
            granted: tokio::sync::Mutex::new(None),
            redaction: Mutex::new(redaction),
        };
        if registry.insecure() && !session.speaks_tls().await {
            debug!(host, "no TLS: going on with plain HTTP");
            session.base = format!("http://{host}");
        }
        Ok(session)
    }

    /// Starts an upload and cancels it, to see whether we may push.
    pub(super) async fn check(&self) -> Result<()> {
        let begun = self.with_retries("the check of the login", || async {
            let granted = self.granted().await?;
            let upload = self.request(Method::POST, &format!("/v2/{}/blobs/uploads/", self.repository));
            let response = self.ask(authorised(upload, &granted.auth).header("Content-Length", 0)).await?;
            if response.status() == StatusCode::ACCEPTED {
                return Ok((granted, response));
            }
            Err(refused(response).await)
        });
        let (granted, response) =
            begun.await.map_err(|error| self.error("cannot push to", &self.repository, &error))?;
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let upload = location.and_then(|location| response.url().join(location).ok());
        if let Some(upload) = upload.filter(|upload| upload.origin() == response.url().origin()) {
            // Registries remove unfinished uploads by themselves, later.
            let _ = self.ask(authorised(self.http.delete(upload), &granted.auth)).await;
        }
        Ok(())
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
        let granted = self.granted().await?;
        let request = self.request(Method::GET, &format!("/v2/{}/{path}", self.repository));
        let mut response = self.ask(authorised(request, &granted.auth).header(ACCEPT, accept)).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let said = response.headers().get(DIGEST).and_then(|digest| digest.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = self.in_time(response.chunk()).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_MANIFEST {
                return Err(PushError::permanent(format!(
                    "the registry's manifest is greater than {MAX_MANIFEST} bytes"
                )));
            }
        }
        let digest = Sha256::of(&bytes).to_string();
        match said.filter(|said| said.starts_with("sha256:") && *said != digest) {
            Some(said) => Err(PushError::transient(format!("the registry sent {digest} and called it {said}"))),
            None => Ok(bytes),
        }
    }

    /// Stores a manifest. True when the registry has added it to its list of referrers, which oci-client does not
    /// report.
    pub(super) async fn put_manifest(
        &self,
        reference: &impl Display,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, PushError> {
        let granted = self.granted().await?;
        let request = self.request(Method::PUT, &format!("/v2/{}/manifests/{reference}", self.repository));
        let request = authorised(request, &granted.auth).header(CONTENT_TYPE, media_type).body(bytes.to_vec());
        let response = self.ask(request).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        Ok(response.headers().contains_key(SUBJECT))
    }

    /// oci-client with a token that is good for this moment.
    pub(super) async fn client(&self) -> Result<Client, PushError> {
        Ok(self.granted().await?.client)
    }

    /// Repeats `work` while an error is retryable, with growing pauses, or those the registry asks for.
    pub(super) async fn with_retries<T, F, Fut>(&self, doing: &str, mut work: F) -> Result<T, PushError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, PushError>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.retries.first_pause)
            .with_max_delay(self.retries.longest_pause.min(Duration::from_secs(30)))
            .with_max_times(self.retries.attempts.saturating_sub(1))
            .with_jitter();
        let once = || {
            let work = work();
            async {
                match work.await {
                    Err(error) if error.retry_after.is_none() && matches!(error.status, Some(429 | 503)) => {
                        Err(PushError { retry_after: self.retry_after().await, ..error })
                    }
                    result => result,
                }
            }
        };
        let longest = self.retries.longest_pause;
        once.retry(backoff)
            .when(|error| error.retryable)
            .adjust(|error, pause| {
                pause.map(|pause| error.retry_after.unwrap_or(pause)).filter(|pause| *pause <= longest)
            })
            .notify(|error, pause| {
                let what = self.redact(&error.what);
                warn!("{doing} ({}): {what}; trying again in {:.1} s", self.repository, pause.as_secs_f32());
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
        let hint = match (failed.hint, failed.status, &self.credential.kind) {
            (Some(hint), ..) => hint.to_owned(),
            (None, Some(401 | 403), CredentialKind::None) => format!(
                "there is no login for `{}/{}` in {source}: set `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`, or \
                 `REGISTRY_AUTH_FILE`",
                self.registry.host(),
                self.repository
            ),
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

    /// How long a connection may make no progress.
    pub(super) fn stall(&self) -> Duration {
        self.retries.stall
    }

    async fn granted(&self) -> Result<Grant, PushError> {
        let mut granted = self.granted.lock().await;
        if let Some(granted) = granted.as_ref()
            && granted.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(granted.clone());
        }
        let (auth, life) = self.authorise().await?;
        let new = Grant {
            client: http_client::oci_client(self.registry, &self.repository, &self.base, &auth).await?,
            auth,
            // A quarter is left for the request that is about to be made.
            until: life.map(|life| Instant::now() + life * 3 / 4),
        };
        *granted = Some(new.clone());
        Ok(new)
    }

    /// Asks which authentication the registry wants, and gets a token where it wants one.
    async fn authorise(&self) -> Result<(RegistryAuth, Option<Duration>), PushError> {
        let basic = || match &self.credential.kind {
            CredentialKind::Password { username, password } => {
                RegistryAuth::Basic(username.clone(), password.reveal().to_owned())
            }
            _ => RegistryAuth::Anonymous,
        };
        if let CredentialKind::Bearer(token) = &self.credential.kind {
            return Ok((RegistryAuth::Bearer(token.reveal().to_owned()), None));
        }
        let response = self.ask(self.request(Method::GET, "/v2/")).await?;
        match (response.status(), challenge::of(response.headers())) {
            (StatusCode::UNAUTHORIZED, Some(Challenge::Bearer(server))) => {
                let scope = format!("repository:{}:pull,push", self.repository);
                let request = server.request(&self.http, &self.base, &scope, &self.credential.kind)?;
                let response = self.ask(request).await?;
                if !response.status().is_success() {
                    let error = refused(response).await;
                    let what = error.what.replacen("the registry", "its token server", 1);
                    return Err(PushError { what, ..error });
                }
                let (token, life) = challenge::token(response).await?;
                self.redaction.lock().unwrap_or_else(PoisonError::into_inner).add(token.reveal());
                Ok((RegistryAuth::Bearer(token.reveal().to_owned()), Some(life.unwrap_or(TOKEN_LIFE))))
            }
            // Some allow anonymous reads, and ask for the login only when something is pushed.
            (status, _) if status.is_success() || status == StatusCode::UNAUTHORIZED => Ok((basic(), None)),
            _ => Err(refused(response).await),
        }
    }

    /// Called only where plain HTTP is allowed.
    async fn speaks_tls(&self) -> bool {
        let answer = self.request(Method::GET, "/v2/").send();
        matches!(tokio::time::timeout(PROBE.min(self.retries.stall), answer).await, Ok(Ok(_)))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Response, PushError> {
        self.in_time(request.send()).await
    }

    /// The result of a request, or an error when there is none in time.
    pub(super) async fn in_time<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, PushError>
    where
        PushError: From<E>,
    {
        let stall = self.retries.stall;
        Ok(tokio::time::timeout(stall, request).await.map_err(|_| stalled(stall))??)
    }

    /// Requests `Retry-After` again: oci-client does not keep the headers of the response that had it.
    async fn retry_after(&self) -> Option<Duration> {
        let response = self.ask(self.request(Method::GET, "/v2/")).await.ok()?;
        error::retry_after(response.headers())
    }
}

pub(super) fn stalled(stall: Duration) -> PushError {
    PushError::transient(format!("no progress for {} seconds", stall.as_secs()))
}

async fn refused(response: Response) -> PushError {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.unwrap_or_default();
    PushError::status(status, &body).wait(&headers)
}

fn authorised(request: RequestBuilder, auth: &RegistryAuth) -> RequestBuilder {
    match auth {
        RegistryAuth::Anonymous => request,
        RegistryAuth::Basic(username, password) => request.basic_auth(username, Some(password)),
        RegistryAuth::Bearer(token) => request.bearer_auth(token),
    }
}
