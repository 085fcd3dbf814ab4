//! Whom https trusts: the CAs of the system and of `SSL_CERT_FILE`, and servers whose own certificate stands there. And
//! how long a server may take until it is connected to.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::error::{Error, Result};
use crate::user_file;

/// A certificate that was read.
pub type Certificate = CertificateDer<'static>;

/// The longest that one attempt to connect to an npm registry takes, and the default of `--connect-timeout`. What
/// swallows packets is a wrong address or a firewall.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What the user gave instead.
static CONNECT_TIMEOUT: OnceLock<Duration> = OnceLock::new();

/// Lets all of this run wait so long until a server is connected to. The first call counts.
pub fn set_connect_timeout(timeout: Duration) {
    let _ = CONNECT_TIMEOUT.set(timeout);
}

/// The longest time until a connection stands.
pub fn connect_timeout() -> Duration {
    CONNECT_TIMEOUT.get().copied().unwrap_or(CONNECT_WITHIN)
}

/// The certificates of `SSL_CERT_FILE`, none where it is not set.
pub fn named_by_user() -> Result<Vec<Certificate>> {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    file.map_or_else(|| Ok(Vec::new()), |file| certificates(Path::new(&file)))
}

/// The configuration of a client that trusts these certificates too: as CAs, and as a server's own.
pub fn trusting(named: Vec<CertificateDer<'static>>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(default_provider());
    let system = Verifier::new_with_extra_roots(named.clone(), provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NamedServers { system, named }))
        .with_no_client_auth();
    Ok(config)
}

/// The certificates of a PEM file, which has to have one.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = user_file::read(file, user_file::SETTINGS).map_err(Error::io("read", file))?;
    certificates_in(&bytes).ok_or_else(|| {
        Error::usage(
            format!("`{}` holds no certificates in PEM", file.display()),
            "write them as `-----BEGIN CERTIFICATE-----` … `-----END CERTIFICATE-----`",
        )
    })
}

/// The certificates of a text in PEM; none where it has none or a broken one.
pub fn certificates_in(pem: &[u8]) -> Option<Vec<Certificate>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|certificates| !certificates.is_empty())
}

/// What rustls does, except that a certificate with `CA:TRUE` may be a server's when it is named itself: `openssl req
/// -x509` makes such certificates, and OpenSSL and Go trust them.
#[derive(Debug)]
struct NamedServers {
    system: Verifier,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for NamedServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Found after its times were checked; its name was not yet.
            Err(error) if is_ca(&error) && self.named.iter().any(|named| named == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.system.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.system.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

fn is_ca(error: &TlsError) -> bool {
    matches!(error, TlsError::InvalidCertificate(CertificateError::Other(other)) if other.to_string() == CA_AS_SERVER)
}

/// webpki's name of the error, which has no type of its own in rustls.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Nobody known has signed it.
    Issuer,
    /// It is a CA's, and not named itself.
    OwnCa,
    /// It is for other names.
    Name,
    /// It is not valid yet or no more.
    Time,
    /// Anything else.
    Other,
}

impl Distrust {
    /// Reads the message of rustls.
    pub fn of(message: &str) -> Self {
        let has = |part: &str| message.contains(part);
        if has(CA_AS_SERVER) {
            Self::OwnCa
        } else if has("UnknownIssuer") {
            Self::Issuer
        } else if has("not valid for name") || has("NotValidForName") {
            Self::Name
        } else if has("expired") || has("Expired") || has("not valid yet") || has("NotValidYet") {
            Self::Time
        } else {
            Self::Other
        }
    }

    /// What to do; `server` is `the registry`.
    pub fn hint(self, server: &str) -> String {
        match self {
            Self::Issuer => format!("name the file of {server}'s own CA in `SSL_CERT_FILE`"),
            Self::OwnCa => format!(
                "{server}'s certificate is one of a CA (basicConstraints `CA:TRUE`): name its own file in `SSL_CERT_FILE`, \
                 or give {server} one with `CA:FALSE`"
            ),
            Self::Name => format!("use one of the names in the certificate, or give {server} one for this name"),
            Self::Time => format!("give {server} a certificate that is valid today, and check this machine's clock"),
            Self::Other => format!("check the certificate of {server}"),
        }
    }
}

/// What a client says that gives up on an address that swallows packets: nobody accepts its connections, and there is
/// no room for more.
#[cfg(test)]
pub async fn unanswered() -> Option<reqwest::Error> {
    use std::net::{TcpListener, TcpStream};

    const PATIENCE: Duration = Duration::from_millis(100);
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let address = listener.local_addr().ok()?;
    let _waiting: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, PATIENCE).ok()).collect();
    let client = reqwest::Client::builder().no_proxy().connect_timeout(PATIENCE).build().ok()?;
    client.get(format!("http://{address}/")).send().await.err()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Self-signed, `CA:TRUE`, for 127.0.0.1, from 2026 to 2126. Its key was thrown away.
    const NAMED: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgDCCASagAwIBAgIUHIhJRSxFOk+sc8hP6lHqTmOxR7MwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBcjAgFw0yNjExMjcxMDIwNTNaGA8yMTI2MTEwMzEwMjA1M1ow
DDEKMAgGA1UEAwwBcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIL4Jy+ib+e8
mRcf9ranPJnU8XRbqfXuQaEU0lYPGTAYMgJqdn7orzbCOGMd8UElsFOiWN5HCfWO
d/FZU4mVSq2jZDBiMB0GA1UdDgQWBBRdOD8td6FBOKyb6HoxoMVEGXjCVDAfBgNV
HSMEGDAWgBRdOD8td6FBOKyb6HoxoMVEGXjCVDAPBgNVHRMBAf8EBTADAQH/MA8G
A1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAMfY9GiiLc+r5idLp9NL
Pbg82V5CBDyY/2cLcopxFf7oAiA2EzCcyqT5Yj9WXPYc9awj2uqdMghnRNMM3wkY
lWm4ug==
-----END CERTIFICATE-----
";
    /// The same with another key.
    const OTHER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgTCCASagAwIBAgIUDePqdEOIx1H8TgHWBh2iGUBYFFUwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBcjAgFw0yNjExMjcxMDIwNTNaGA8yMTI2MTEwMzEwMjA1M1ow
DDEKMAgGA1UEAwwBcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAFne0n+TSPN
DeoKdUCFTIcZZIezm+ljKcX9LDHRbA9onx5f+S/O5+Ca9B4gsgcRGgf0BN/rNjmh
KefPy20eaSijZDBiMB0GA1UdDgQWBBTx2qmUilwQFUdGAa3n5F4aU2Y48jAfBgNV
HSMEGDAWgBTx2qmUilwQFUdGAa3n5F4aU2Y48jAPBgNVHRMBAf8EBTADAQH/MA8G
A1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSQAwRgIhAMLd8s9iwqYdBGLyDZQJ
kSGT1l8oIjQ+QEmsQWhgo5BGAiEAzsyaDfd+KhcpoSClxCKtX+W24T6vt8rnib5e
ICAA/xA=
-----END CERTIFICATE-----
";

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn verified(server: &str, name: &'static str, year: u64) -> Result<(), String> {
        let provider = Arc::new(default_provider());
        let named = vec![der(NAMED)];
        let system = Verifier::new_with_extra_roots(named.clone(), provider).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952));
        let name = ServerName::try_from(name).unwrap();
        let verified = NamedServers { system, named }.verify_server_cert(&der(server), &[], &name, &[], now);
        verified.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_named_certificate_is_a_servers_for_its_names_and_its_time_alone() {
        assert_eq!(verified(NAMED, "127.0.0.1", 2050), Ok(()));
        for (server, name, year, why) in [
            (OTHER, "127.0.0.1", 2050, Distrust::OwnCa),
            (NAMED, "127.0.0.2", 2050, Distrust::Name),
            (NAMED, "localhost", 2050, Distrust::Name),
            (NAMED, "127.0.0.1", 2200, Distrust::Time),
            (NAMED, "127.0.0.1", 2000, Distrust::Time),
        ] {
            let error = verified(server, name, year).unwrap_err();
            assert_eq!(Distrust::of(&error), why, "{error}");
        }
    }

    #[test]
    fn each_reason_has_its_hint() {
        for (message, why, hint) in [
            (
                "invalid peer certificate: UnknownIssuer",
                Distrust::Issuer,
                "name the file of the server's own CA in `SSL_CERT_FILE`",
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                Distrust::OwnCa,
                "the server's certificate is one of a CA (basicConstraints `CA:TRUE`): name its own file in \
                 `SSL_CERT_FILE`, or give the server one with `CA:FALSE`",
            ),
            (
                "certificate not valid for name \"a\"",
                Distrust::Name,
                "use one of the names in the certificate, or give the server one for this name",
            ),
            (
                "invalid peer certificate: NotValidForName",
                Distrust::Name,
                "use one of the names in the certificate, or give the server one for this name",
            ),
            (
                "certificate expired: 1",
                Distrust::Time,
                "give the server a certificate that is valid today, and check this machine's clock",
            ),
            (
                "invalid peer certificate: Expired",
                Distrust::Time,
                "give the server a certificate that is valid today, and check this machine's clock",
            ),
            (
                "certificate not valid yet: 1",
                Distrust::Time,
                "give the server a certificate that is valid today, and check this machine's clock",
            ),
            (
                "invalid peer certificate: NotValidYet",
                Distrust::Time,
                "give the server a certificate that is valid today, and check this machine's clock",
            ),
            ("invalid peer certificate: BadEncoding", Distrust::Other, "check the certificate of the server"),
        ] {
            assert_eq!((Distrust::of(message), Distrust::of(message).hint("the server").as_str()), (why, hint));
        }
    }
}
