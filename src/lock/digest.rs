//! Checksums as they are written in the lock: OCI digests (`sha256:…`) and npm integrities (`sha512-…`).

use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A SHA-256, written `sha256:<64 lower-case hex digits>` (OCI image spec, "Digests").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// A SHA-512 in npm's form, `sha512-<base64>` (W3C Subresource Integrity).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Integrity([u8; 64]);

/// A text that is not a checksum of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a checksum of the form `{wanted}`")]
pub struct ParseDigestError {
    found: String,
    wanted: &'static str,
}

impl Sha256 {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of everything `reader` has to give.
    pub fn of_reader(reader: &mut impl Read) -> io::Result<Self> {
        let mut hasher = sha2::Sha256::new();
        feed(reader, |bytes| hasher.update(bytes))?;
        Ok(Self(hasher.finalize().into()))
    }

    /// From the finished state of a hasher that was fed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hex digits alone.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl Integrity {
    /// The integrity of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha512::digest(bytes).into())
    }

    /// The integrity of everything `reader` has to give.
    pub fn of_reader(reader: &mut impl Read) -> io::Result<Self> {
        let mut hasher = sha2::Sha512::new();
        feed(reader, |bytes| hasher.update(bytes))?;
        Ok(Self(hasher.finalize().into()))
    }

    /// From the finished state of a hasher that was fed elsewhere.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Lower-case hex, as used in names of cache entries and by yarn.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

fn feed(reader: &mut impl Read, mut update: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha512-{}", BASE64.encode(self.0))
    }
}

impl FromStr for Sha256 {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDigestError { found: text.to_owned(), wanted: "sha256:<64 hex digits>" };
        let digits = text.strip_prefix("sha256:").ok_or_else(error)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| error())?;
        Ok(Self(bytes))
    }
}

impl FromStr for Integrity {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDigestError { found: text.to_owned(), wanted: "sha512-<base64>" };
        let encoded = text.strip_prefix("sha512-").ok_or_else(error)?;
        let bytes = BASE64.decode(encoded).map_err(|_| error())?;
        Ok(Self(bytes.try_into().map_err(|_| error())?))
    }
}

/// Reads a checksum out of a text without a copy of it.
struct ChecksumVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = ParseDigestError>> Visitor<'_> for ChecksumVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! textual {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(ChecksumVisitor(PhantomData))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

textual!(Sha256, "Sha256", "^sha256:[0-9a-f]{64}$");
textual!(Integrity, "Integrity", "^sha512-[A-Za-z0-9+/]{86}==$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::of("").to_string(), empty);
        assert_eq!(empty.parse::<Sha256>().unwrap(), Sha256::of_reader(&mut io::empty()).unwrap());
        assert_eq!(
            Integrity::of("").to_string(),
            "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
        );
    }

    #[test]
    fn other_forms_are_refused_with_the_wanted_one() {
        assert_eq!(
            "sha1:00".parse::<Sha256>().unwrap_err().to_string(),
            "`sha1:00` is not a checksum of the form `sha256:<64 hex digits>`"
        );
        let upper = Sha256::of("x").to_string().to_uppercase().replace("SHA256", "sha256");
        assert!(upper.parse::<Sha256>().is_err());
        assert_eq!(
            "sha512-AAAA".parse::<Integrity>().unwrap_err().to_string(),
            "`sha512-AAAA` is not a checksum of the form `sha512-<base64>`"
        );
    }

    /// Fails once with each of the errors, then gives its bytes.
    struct Failing(Vec<io::ErrorKind>, &'static [u8]);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.pop() {
                Some(kind) => Err(kind.into()),
                None => self.1.read(buffer),
            }
        }
    }

    #[test]
    fn an_interrupted_read_goes_on_and_any_other_error_ends_it() {
        let interrupted = || Failing(vec![io::ErrorKind::Interrupted], b"abc");
        assert_eq!(Sha256::of_reader(&mut interrupted()).unwrap(), Sha256::of("abc"));
        assert_eq!(Integrity::of_reader(&mut interrupted()).unwrap(), Integrity::of("abc"));
        let error = Sha256::of_reader(&mut Failing(vec![io::ErrorKind::TimedOut], b"abc")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_checksum_that_is_no_text_is_refused_as_such() {
        let error = serde_json::from_str::<Sha256>("1").unwrap_err().to_string();
        assert_eq!(error, "invalid type: integer `1`, expected a string at line 1 column 1");
    }
}
