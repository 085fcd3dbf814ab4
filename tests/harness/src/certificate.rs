//! Certificates of servers, made by the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A certificate as `openssl req -x509` makes it, self-signed and `CA:TRUE`, for a name such as `IP:127.0.0.1`: the
/// configuration of a server that has it, and its file.
pub fn self_signed(dir: &Path, name: &str) -> (Arc<rustls::ServerConfig>, PathBuf) {
    made(dir, name, &[])
}

/// The same with `CA:FALSE`, as a server's own has it.
pub fn of_server(dir: &Path, name: &str) -> (Arc<rustls::ServerConfig>, PathBuf) {
    made(dir, name, &["-addext", "basicConstraints=critical,CA:FALSE"])
}

fn made(dir: &Path, name: &str, more: &[&str]) -> (Arc<rustls::ServerConfig>, PathBuf) {
    crate::needs(&["openssl"]);
    let (key, pem) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.crt")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=r", "-addext", &format!("subjectAltName={name}")])
        .args(more)
        .arg("-keyout")
        .args([&key, Path::new("-out"), &pem])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&pem).unwrap()],
            PrivateKeyDer::from_pem_file(&key).unwrap(),
        )
        .unwrap();
    (config.into(), pem)
}
