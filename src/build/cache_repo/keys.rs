//! The keys that entries of a cache repository are signed with: ed25519 or ECDSA P-256, in PEM as openssl writes them.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::{SectionKind, from_buf};

use crate::error::{Error, Place, Result};
use crate::lock::Sha256;
use crate::user_file;

/// `SubjectPublicKeyInfo` up to the 32 bytes of an ed25519 key (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The same of an uncompressed point of P-256 (RFC 5480), up to its 65 bytes.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The most bytes of a file of keys.
const KEY_FILE: u64 = 64 << 10;
const KINDS: &str = "a key is ed25519 or ECDSA P-256, in PEM: `factory cache keygen` writes a pair";

/// What entries are signed with.
pub struct SigningKey(KeyPairKind);

enum KeyPairKind {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a private key (PKCS #8). Nothing of it is in an error.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |what: &str, hint: &str| Error::config(Place::file(path), what, hint);
        let sections = sections(path)?;
        let Some((kind, der)) = sections.first() else { return Err(wrong("has no private key", KINDS)) };
        if *kind != SectionKind::PrivateKey {
            let hint = "the private key is the file without `.pub`; `openssl pkcs8 -topk8 -nodes` converts others";
            return Err(wrong("has no private key in PKCS #8 (`-----BEGIN PRIVATE KEY-----`)", hint));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(KeyPairKind::Ed25519(pair)));
        }
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            Ok(pair) => Ok(Self(KeyPairKind::P256(pair))),
            Err(_) => Err(wrong("has a private key of another kind", KINDS)),
        }
    }

    /// Of its public key.
    pub fn digest(&self) -> Sha256 {
        match &self.0 {
            KeyPairKind::Ed25519(pair) => Sha256::of(pair.public_key()),
            KeyPairKind::P256(pair) => Sha256::of(pair.public_key()),
        }
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = match &self.0 {
            KeyPairKind::Ed25519(pair) => pair.try_sign(message),
            KeyPairKind::P256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        let signature =
            signature.map_err(|_| Error::usage("nothing can be signed with the key for the cache", KINDS))?;
        Ok(signature.as_ref().to_vec())
    }
}

/// The public keys whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<PublicKey>);

#[derive(Clone, Debug)]
struct PublicKey {
    algorithm: &'static dyn VerificationAlgorithm,
    /// The key alone.
    bytes: Vec<u8>,
}

impl TrustedKeys {
    /// Reads files of one or more public keys each.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut keys = Vec::new();
        for path in files {
            let before = keys.len();
            for (kind, der) in sections(path)? {
                let key = Some(der).filter(|_| kind == SectionKind::PublicKey).and_then(|der| PublicKey::of(&der));
                let what = "has something else than public keys of a known kind (`-----BEGIN PUBLIC KEY-----`)";
                keys.push(key.ok_or_else(|| Error::config(Place::file(path), what, KINDS))?);
            }
            if keys.len() == before {
                return Err(Error::config(Place::file(path), "has no public key", KINDS));
            }
        }
        Ok(Self(keys))
    }

    /// True when no key is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them has signed a message.
    pub fn have_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|key| UnparsedPublicKey::new(key.algorithm, &key.bytes).verify(message, signature).is_ok())
    }
}

impl PublicKey {
    fn of(der: &[u8]) -> Option<Self> {
        let bytes = |prefix: &[u8], len| der.strip_prefix(prefix).filter(|key| key.len() == len).map(<[u8]>::to_vec);
        if let Some(bytes) = bytes(&ED25519_SPKI, 32) {
            return Some(Self { algorithm: &ED25519, bytes });
        }
        bytes(&P256_SPKI, 65).map(|bytes| Self { algorithm: &ECDSA_P256_SHA256_ASN1, bytes })
    }
}

/// Writes a new ed25519 pair, the private key for its owner alone; nothing that is there is replaced.
pub fn generate(private: &Path, public: &Path) -> Result<()> {
    let failed = |_| Error::usage("the machine gives no random numbers for a key", "");
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
    let spki = [&ED25519_SPKI[..], pair.public_key().as_ref()].concat();
    write_new(private, &pem("PRIVATE KEY", pkcs8.as_ref()), 0o600)?;
    write_new(public, &pem("PUBLIC KEY", &spki), 0o644).inspect_err(|_| {
        // Half a pair would be of no use, and in the way of the next one.
        let _ = std::fs::remove_file(private);
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = created.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::usage(
            format!("`{}` is there already", path.display()),
            "keys are not replaced: name another file, or remove that one",
        ),
        _ => Error::io("create", path)(error),
    })?;
    file.write_all(text.as_bytes()).map_err(Error::io("write", path))
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// The sections of a PEM file.
fn sections(path: &Path) -> Result<Vec<(SectionKind, Vec<u8>)>> {
    let bytes = user_file::read_piped(path, KEY_FILE).map_err(Error::io("read", path))?;
    let mut rest = &bytes[..];
    let mut found = Vec::new();
    loop {
        match from_buf(&mut rest) {
            Ok(Some(section)) => found.push(section),
            Ok(None) => return Ok(found),
            Err(_) => return Err(Error::config(Place::file(path), "is not PEM", KINDS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_generated_pair_signs_and_its_private_half_is_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("a.key"), dir.path().join("a.pub"));
        generate(&private, &public).unwrap();
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let key = SigningKey::read(&private).unwrap();
        let signature = key.sign(b"a").unwrap();
        let trusted = TrustedKeys::read(std::slice::from_ref(&public)).unwrap();
        assert!(trusted.have_signed(b"a", &signature) && !trusted.have_signed(b"b", &signature));
        assert!(!TrustedKeys::default().have_signed(b"a", &signature));
        let other = (dir.path().join("b.key"), dir.path().join("b.pub"));
        generate(&other.0, &other.1).unwrap();
        assert!(!TrustedKeys::read(std::slice::from_ref(&other.1)).unwrap().have_signed(b"a", &signature));
        assert!(TrustedKeys::read(&[other.1, public.clone()]).unwrap().have_signed(b"a", &signature));
        // No half of a pair is left.
        let half = dir.path().join("half.key");
        let error = generate(&half, &public).unwrap_err().to_string();
        assert_eq!((error, half.exists()), (format!("`{}` is there already", public.display()), false));
        // Nothing is replaced, and the two files are not taken for each other.
        let error = generate(&private, &public).unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is there already", private.display()));
        assert!(SigningKey::read(&public).unwrap_err().to_string().contains("has no private key in PKCS #8"));
        let error = TrustedKeys::read(std::slice::from_ref(&private)).unwrap_err();
        let text = std::fs::read_to_string(&private).unwrap();
        assert!(!format!("{error:?}").contains(text.lines().nth(1).unwrap()), "{error:?}");
        assert!(error.to_string().contains("has something else than public keys"), "{error}");
        std::fs::write(&public, "nothing").unwrap();
        assert!(TrustedKeys::read(&[public]).unwrap_err().to_string().contains("has no public key"));
    }

    #[test]
    fn keys_of_p_256_are_read_too() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("a.key"), dir.path().join("a.pub"));
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        std::fs::write(&private, pem("PRIVATE KEY", pkcs8.as_ref())).unwrap();
        std::fs::write(&public, pem("PUBLIC KEY", &[&P256_SPKI[..], pair.public_key().as_ref()].concat())).unwrap();
        let signature = SigningKey::read(&private).unwrap().sign(b"a").unwrap();
        let trusted = TrustedKeys::read(&[public]).unwrap();
        assert!(trusted.have_signed(b"a", &signature) && !trusted.have_signed(b"b", &signature));
    }
}
