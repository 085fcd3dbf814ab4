//! The HTTP clients of a session, ours and oci-client's: certificates, proxies, the login.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::RegistryTokenType;
use oci_client::{Client, Reference, RegistryOperation};

use super::error::PushError;
use super::registry::{OciRegistry, Variables};
use crate::{Error, Result};

const USER_AGENT: &str = concat!("factory/", env!("CARGO_PKG_VERSION"));
const CONNECT: Duration = Duration::from_secs(20);

/// oci-client for one repository; `base` is the address of the registry's API, `https://host`.
pub(super) async fn oci_client(
    registry: &OciRegistry,
    repository: &str,
    base: &str,
    auth: &RegistryAuth,
) -> Result<Client, PushError> {
    let variables = registry.variables();
    let certificate = |data| Certificate { encoding: CertificateEncoding::Pem, data };
    let certificates = certificates(registry).map_err(|error| PushError::permanent(error.to_string()))?;
    let config = ClientConfig {
        protocol: if base.starts_with("https:") { ClientProtocol::Https } else { ClientProtocol::Http },
        accept_invalid_certificates: registry.insecure(),
        use_monolithic_push: true,
        extra_root_certificates: certificates.into_iter().map(certificate).collect(),
        connect_timeout: Some(CONNECT),
        user_agent: USER_AGENT,
        https_proxy: proxy(variables, "HTTPS_PROXY"),
        http_proxy: proxy(variables, "HTTP_PROXY"),
        no_proxy: proxy(variables, "NO_PROXY"),
        ..ClientConfig::default()
    };
    let client = Client::try_from(config)?;
    let reference = Reference::with_tag(registry.host().to_owned(), repository.to_owned(), "latest".to_owned());
    if *auth != RegistryAuth::Anonymous {
        client.store_auth_if_needed(reference.resolve_registry(), auth).await;
    }
    if let RegistryAuth::Basic(username, password) = auth {
        // Or it asks `/v2/` whether to send them, and sends nothing when that question fails.
        for operation in [RegistryOperation::Pull, RegistryOperation::Push] {
            let token = RegistryTokenType::Basic(username.clone(), password.clone());
            client.tokens.insert(&reference, operation, token).await;
        }
    }
    Ok(client)
}

pub(super) fn http(registry: &OciRegistry) -> Result<reqwest::Client> {
    let broken = |error: reqwest::Error| {
        Error::usage(
            format!("the settings for `{}` do not work: {}", registry.host(), PushError::from(error).what),
            "check `SSL_CERT_FILE` and the proxy variables",
        )
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .tls_danger_accept_invalid_certs(registry.insecure());
    for pem in certificates(registry)? {
        builder = builder.tls_certs_merge([reqwest::Certificate::from_pem(&pem).map_err(broken)?]);
    }
    let variables = registry.variables();
    let except = proxy(variables, "NO_PROXY").and_then(|hosts| reqwest::NoProxy::from_string(&hosts));
    if let Some(address) = proxy(variables, "HTTPS_PROXY") {
        builder = builder.proxy(reqwest::Proxy::https(address).map_err(broken)?.no_proxy(except.clone()));
    }
    if let Some(address) = proxy(variables, "HTTP_PROXY") {
        builder = builder.proxy(reqwest::Proxy::http(address).map_err(broken)?.no_proxy(except));
    }
    builder.build().map_err(broken)
}

/// A proxy variable in either case; the lower one wins, as in curl.
fn proxy(variables: &Variables, name: &str) -> Option<String> {
    variables.get(&name.to_ascii_lowercase()).or_else(|| variables.get(name)).map(str::to_owned)
}

/// The CAs to trust besides the system's: `SSL_CERT_FILE`, and podman's and docker's folders for this registry.
fn certificates(registry: &OciRegistry) -> Result<Vec<Vec<u8>>> {
    let variables = registry.variables();
    let mut files: Vec<PathBuf> = variables.get("SSL_CERT_FILE").map(PathBuf::from).into_iter().collect();
    let user = variables.get("HOME").map(|home| Path::new(home).join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    for folder in user.into_iter().chain(system) {
        let Ok(entries) = std::fs::read_dir(folder.join(registry.host())) else { continue };
        let found = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files.extend(found.filter(|file| file.extension().is_some_and(|extension| extension == "crt")));
    }
    files.iter().map(|file| std::fs::read(file).map_err(Error::io("read", file))).collect()
}
