//! Checksums of archives as RHDH's installers read them: one of three algorithms, and base64.

use std::fmt;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Sha256, Sha384, Sha512};

use crate::lock::Integrity;
use crate::user_file;

/// The largest archive that is read, in bytes.
const LARGEST: u64 = 8 << 30;

/// `sha512-<base64>`, or of another algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefIntegrity {
    algorithm: &'static str,
    bytes: Vec<u8>,
}

impl RefIntegrity {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, encoded) = text.split_once('-')?;
        let algorithms = [("sha256", 32), ("sha384", 48), ("sha512", 64)];
        let (algorithm, length) = algorithms.into_iter().find(|(known, _)| *known == name)?;
        let bytes = BASE64.decode(encoded).ok().filter(|bytes| bytes.len() == length)?;
        Some(Self { algorithm, bytes })
    }

    /// That of a file by the same algorithm.
    pub(super) fn of_file(&self, path: &Path) -> std::io::Result<Self> {
        let bytes = match self.algorithm {
            "sha256" => digest::<Sha256>(path)?,
            "sha384" => digest::<Sha384>(path)?,
            _ => digest::<Sha512>(path)?,
        };
        Ok(Self { algorithm: self.algorithm, bytes })
    }

    /// Whether it is another than this; false where they are of two algorithms.
    pub(super) fn contradicts(&self, sealed: Integrity) -> bool {
        self.algorithm == "sha512" && self.to_string() != sealed.to_string()
    }
}

impl fmt::Display for RefIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.algorithm, BASE64.encode(&self.bytes))
    }
}

fn digest<D: sha2::Digest>(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = user_file::open(path)?.take(LARGEST);
    let (mut hasher, mut buffer) = (D::new(), vec![0; 128 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_has_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.tgz");
        std::fs::write(&file, "abc").unwrap();
        for algorithm in ["sha256", "sha384", "sha512"] {
            let length = match algorithm {
                "sha256" => 32,
                "sha384" => 48,
                _ => 64,
            };
            let text = format!("{algorithm}-{}", BASE64.encode(vec![1; length]));
            let read = RefIntegrity::parse(&text).unwrap();
            assert_eq!((read.to_string(), read.of_file(&file).unwrap().bytes.len()), (text, length));
            assert_eq!(RefIntegrity::parse(&format!("{algorithm}-{}", BASE64.encode(vec![1; length - 1]))), None);
        }
        let abc = RefIntegrity::parse("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=").unwrap();
        assert_eq!(abc.of_file(&file).unwrap(), abc);
        for text in ["", "sha512", "md5-AAAA", "sha512-!", "sha512-AAAA sha512-AAAA"] {
            assert_eq!(RefIntegrity::parse(text), None, "{text}");
        }
        let own = RefIntegrity::parse(&Integrity::of("abc").to_string()).unwrap();
        assert_eq!((own.contradicts(Integrity::of("abc")), own.contradicts(Integrity::of("x"))), (false, true));
    }
}
