//! The HTTP client that asks registries: whom it trusts, and its proxies.

use std::path::Path;
use std::time::Duration;

use super::settings::{NpmSettings, read_text};
use crate::error::{Error, Result};
use crate::{proxy, tls};

/// A client with npm's settings and the variables that npm reads.
pub(super) fn new(settings: &NpmSettings) -> Result<reqwest::Client> {
    let broken = |why: String| {
        Error::network(
            format!("cannot set up the network client: {why}"),
            "check `SSL_CERT_FILE` and the proxy variables",
        )
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("factory/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(tls::connect_timeout().min(tls::CONNECT_WITHIN))
        .read_timeout(Duration::from_secs(60));
    builder = if settings.checks_certificates() {
        let trusting = tls::trusting(authorities(settings)?).map_err(|e| broken(e.to_string()))?;
        builder.tls_backend_preconfigured(trusting)
    } else {
        builder.tls_danger_accept_invalid_certs(true)
    };
    let variable = |name: &str| std::env::var(name).ok();
    if variable("NO_PROXY").or_else(|| variable("no_proxy")).is_some_and(|hosts| proxy::is_for_nobody(&hosts)) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|e| broken(e.to_string()))
}

/// What is trusted besides the system's CAs. Like npm, factory goes on without certificates that cannot be read; those
/// of its own variable are an error.
fn authorities(settings: &NpmSettings) -> Result<Vec<tls::Certificate>> {
    let mut all = tls::named_by_user()?;
    let named = [("NODE_EXTRA_CA_CERTS", authorities_of_node()), ("`ca` or `cafile` of npm", settings.authorities())];
    for (name, pem) in named {
        let Some(pem) = pem else { continue };
        let certificates = tls::certificates_in(pem.as_bytes());
        if certificates.is_none() {
            tracing::warn!("{name} names no certificates in PEM");
        }
        all.extend(certificates.unwrap_or_default());
    }
    Ok(all)
}

/// The certificates of `NODE_EXTRA_CA_CERTS`, in PEM.
pub(super) fn authorities_of_node() -> Option<String> {
    let file = std::env::var_os("NODE_EXTRA_CA_CERTS").filter(|file| !file.is_empty())?;
    read_text(Path::new(&file))
}
