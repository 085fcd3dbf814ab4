//! Finds the credential for a registry as podman, buildah and skopeo do (containers-auth.json(5)), and docker.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer};

use super::credential::{Credential, CredentialKind};
use super::helper;
use super::registry::{Login, OciRegistry, Variables};
use super::secret::Secret;
use crate::error::Place;
use crate::{Error, Result, user_file};

/// An `auth.json` or docker `config.json`; other fields are ignored. A field that is null is absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthFile {
    #[serde(deserialize_with = "or_default")]
    auths: BTreeMap<String, Option<AuthEntry>>,
    #[serde(deserialize_with = "or_default")]
    cred_helpers: BTreeMap<String, Option<String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    #[serde(deserialize_with = "or_default")]
    auth: String,
    #[serde(deserialize_with = "or_default")]
    username: String,
    #[serde(deserialize_with = "or_default")]
    password: String,
    #[serde(deserialize_with = "or_default")]
    identitytoken: String,
    #[serde(deserialize_with = "or_default")]
    registrytoken: String,
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(field: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(field)?.unwrap_or_default())
}

/// The credential for a repository (`<namespace>/<name>`) of a registry.
///
/// In a file the most specific entry wins: `host/a/b`, `host/a`, `host`; then keys in docker's forms
/// (`https://host/v1/`). A helper named for one of them (`credHelpers`) comes first, the general one (`credsStore`)
/// last. Without a file of the user's, podman's and docker's places are tried in turn.
pub(super) async fn find(registry: &OciRegistry, repository: &str) -> Result<Credential> {
    match registry.login() {
        Login::Password { username, password } => Ok(Credential {
            kind: CredentialKind::Password { username: username.clone(), password: password.clone() },
            source: "`REGISTRY_USERNAME` and `REGISTRY_PASSWORD`".to_owned(),
        }),
        Login::AuthFile(file) => {
            let source = format!("`{}`", file.display());
            let Some(found) = read(file)? else {
                return Err(Error::config(
                    Place::file(file),
                    "the auth file does not exist",
                    "`REGISTRY_AUTH_FILE` names it: mount it, or unset the variable",
                ));
            };
            let kind = found.find(file, registry.host(), repository, registry.variables()).await?;
            Ok(Credential { kind: kind.unwrap_or(CredentialKind::None), source })
        }
        Login::Machine => {
            for file in places(registry.variables()) {
                let Some(found) = read(&file)? else { continue };
                if let Some(kind) = found.find(&file, registry.host(), repository, registry.variables()).await? {
                    return Ok(Credential { kind, source: format!("`{}`", file.display()) });
                }
            }
            Ok(Credential { kind: CredentialKind::None, source: "this machine's login".to_owned() })
        }
    }
}

/// The files of `podman login` and `docker login`, in the order podman reads them.
fn places(variables: &Variables) -> Vec<PathBuf> {
    let home = variables.get("HOME").map(PathBuf::from);
    let runtime = match variables.get("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join("containers/auth.json"),
        None => PathBuf::from(format!("/run/containers/{}/auth.json", nix::unistd::Uid::current())),
    };
    let config = variables.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| home.as_ref().map(|home| home.join(".config")));
    let docker = variables.get("DOCKER_CONFIG").map(PathBuf::from);
    let docker = docker.or_else(|| home.map(|home| home.join(".docker")));
    let rest =
        [config.map(|folder| folder.join("containers/auth.json")), docker.map(|folder| folder.join("config.json"))];
    [Some(runtime)].into_iter().chain(rest).flatten().collect()
}

fn read(file: &Path) -> Result<Option<AuthFile>> {
    let bytes = match user_file::read(file, user_file::SETTINGS) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", file)(error)),
    };
    parse(&bytes, file).map(Some)
}

pub(super) fn parse(bytes: &[u8], file: &Path) -> Result<AuthFile> {
    if bytes.trim_ascii().is_empty() {
        return Ok(AuthFile::default());
    }
    // serde's message may quote a secret: only the position is shown.
    serde_json::from_slice(bytes).map_err(|error| {
        Error::config(
            Place::at(file, error.line(), error.column()),
            "is neither an `auth.json` nor a docker `config.json`",
            "log in again with `podman login --authfile`, or name another file",
        )
    })
}

impl AuthFile {
    async fn find(
        &self,
        file: &Path,
        host: &str,
        repository: &str,
        variables: &Variables,
    ) -> Result<Option<CredentialKind>> {
        for key in keys(host, repository) {
            if let Some(Some(helper)) = self.cred_helpers.get(&key)
                && let Some(kind) = helper::get(helper, &key, variables).await?
            {
                return Ok(Some(kind));
            }
        }
        if let Some(kind) = self.written(file, host, repository)? {
            return Ok(Some(kind));
        }
        if let Some(helper) = self.creds_store.as_deref().filter(|helper| !helper.is_empty()) {
            let server = if canonical(host) == "docker.io" { "https://index.docker.io/v1/" } else { host };
            return helper::get(helper, server, variables).await;
        }
        Ok(None)
    }

    /// The login that stands in the file itself.
    pub(super) fn written(&self, file: &Path, host: &str, repository: &str) -> Result<Option<CredentialKind>> {
        for key in keys(host, repository) {
            if let Some(Some(auth)) = self.auths.get(&key)
                && let Some(kind) = auth.kind(file, &key)?
            {
                return Ok(Some(kind));
            }
        }
        for (key, auth) in &self.auths {
            if docker_key(key) == canonical(host)
                && let Some(auth) = auth
                && let Some(kind) = auth.kind(file, key)?
            {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }
}

/// `host/a/b/c`, `host/a/b`, `host/a`, `host`.
fn keys(host: &str, repository: &str) -> impl Iterator<Item = String> {
    let mut key = format!("{host}/{repository}");
    let mut next = Some(key.clone());
    let host = host.to_owned();
    std::iter::from_fn(move || {
        let this = next.take()?;
        if this != host
            && let Some(at) = key.rfind('/')
        {
            key.truncate(at);
            next = Some(key.clone());
        }
        Some(this)
    })
}

/// The host of a key as docker writes it, `https://index.docker.io/v1/`; a key with a namespace is none.
fn docker_key(key: &str) -> &str {
    let (scheme, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    match rest.split_once('/') {
        None => canonical(rest),
        Some((host, path)) if scheme || matches!(path.trim_end_matches('/'), "v1" | "v2") => canonical(host),
        Some(_) => "",
    }
}

/// Docker Hub has three names.
fn canonical(host: &str) -> &str {
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host }
}

impl AuthEntry {
    fn kind(&self, file: &Path, key: &str) -> Result<Option<CredentialKind>> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(CredentialKind::Bearer(Secret::new(&self.registrytoken))));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(CredentialKind::Identity(Secret::new(&self.identitytoken))));
        }
        if self.auth.is_empty() {
            let set = !self.username.is_empty() && !self.password.is_empty();
            let password = Secret::new(&self.password);
            return Ok(set.then(|| CredentialKind::Password { username: self.username.clone(), password }));
        }
        // `base64` breaks its lines.
        let auth: String = self.auth.split_ascii_whitespace().collect();
        let decoded = BASE64.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let Some((username, password)) = pair else {
            return Err(Error::config(
                Place::file(file),
                format!("the `auth` of `{key}` is not the base64 of `user:password`"),
                "log in again with `podman login --authfile`",
            ));
        };
        // Old dockers pad the password with NULs.
        let password = Secret::new(password.trim_end_matches('\0'));
        Ok(Some(CredentialKind::Password { username: username.to_owned(), password }))
    }
}

#[cfg(test)]
mod tests;
