//! The HTTP client of a session: certificates and proxies.

use std::path::{Path, PathBuf};

use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;

use super::error::PushError;
use super::registry::{OciRegistry, Variables};
use crate::proxy::is_for_nobody;
use crate::{Error, Result, tls};

const USER_AGENT: &str = concat!("factory/", env!("CARGO_PKG_VERSION"));

/// A client that follows no redirects: what a session sends elsewhere is another request.
pub(super) fn http(registry: &OciRegistry) -> Result<reqwest::Client> {
    let broken = |why: String| {
        Error::usage(
            format!("the settings for `{}` do not work: {why}", registry.host()),
            "check `SSL_CERT_FILE` and the proxy variables",
        )
    };
    let of_reqwest = |error: reqwest::Error| broken(PushError::from(error).what);
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(tls::connect_timeout())
        .redirect(Policy::none());
    let certificates = certificates(registry)?;
    builder = if registry.insecure() {
        builder.tls_danger_accept_invalid_certs(true)
    } else {
        builder.tls_backend_preconfigured(tls::trusting(certificates).map_err(|error| broken(error.to_string()))?)
    };
    let variables = registry.variables();
    let except = proxy(variables, "NO_PROXY");
    if except.as_deref().is_some_and(is_for_nobody) {
        return builder.no_proxy().build().map_err(of_reqwest);
    }
    let except = except.and_then(|hosts| reqwest::NoProxy::from_string(&hosts));
    if let Some(address) = proxy(variables, "HTTPS_PROXY") {
        builder = builder.proxy(reqwest::Proxy::https(address).map_err(of_reqwest)?.no_proxy(except.clone()));
    }
    if let Some(address) = proxy(variables, "HTTP_PROXY") {
        builder = builder.proxy(reqwest::Proxy::http(address).map_err(of_reqwest)?.no_proxy(except));
    }
    builder.build().map_err(of_reqwest)
}

/// A proxy variable in either case; the lower one wins, as in curl.
fn proxy(variables: &Variables, name: &str) -> Option<String> {
    variables.get(&name.to_ascii_lowercase()).or_else(|| variables.get(name)).map(str::to_owned)
}

/// What is trusted besides the system's CAs: `SSL_CERT_FILE`, and podman's and docker's folders for this registry.
fn certificates(registry: &OciRegistry) -> Result<Vec<CertificateDer<'static>>> {
    let variables = registry.variables();
    let mut files: Vec<PathBuf> = variables.get("SSL_CERT_FILE").map(PathBuf::from).into_iter().collect();
    let user = variables.get("HOME").map(|home| Path::new(home).join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    for folder in user.into_iter().chain(system) {
        let Ok(entries) = std::fs::read_dir(folder.join(registry.host())) else { continue };
        let found = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files.extend(found.filter(|file| file.extension().is_some_and(|extension| extension == "crt")));
    }
    let read = files.iter().map(|file| tls::certificates(file));
    Ok(read.collect::<Result<Vec<_>>>()?.concat())
}
