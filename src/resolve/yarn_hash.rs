//! The hash behind the version in `packageManager`, compared with the yarn that is pinned, as corepack compares it: for
//! yarn 2 and later it is that of `bin/yarn.js`, for yarn 1 that of the registry's tarball.

use std::path::Path;

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use crate::error::{Error, Place, Result};
use crate::lock::{Integrity, Yarn};
use crate::tools::provide::{Provider, yarn_package};

/// Larger yarns are not hashed: the largest has 3 MB.
const MAX_YARN: u64 = 64 << 20;

/// `sha512.<hex>` in the `packageManager` of a package.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YarnHash {
    /// The package.json that has it, from the repository's root, after the workspace's name.
    pub file: String,
    /// Algorithm and digest.
    pub text: String,
}

impl YarnHash {
    /// An error that names the file, unless the pinned yarn has this hash.
    pub async fn check(&self, provider: &Provider<'_>, yarn: &Yarn) -> Result<()> {
        let Some(integrity) = &yarn.integrity else { return Ok(()) };
        let Some((algorithm, wanted)) = self.text.split_once('.').filter(|(name, _)| ALGORITHMS.contains(name)) else {
            return Err(self.error(
                &format!(
                    "`packageManager` has the hash `{}`, which is none of {}",
                    self.shown(),
                    ALGORITHMS.join(", ")
                ),
                yarn,
            ));
        };
        let found = digest(algorithm, &bytes(provider, yarn, integrity).await?);
        if found.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        let what = if is_classic(yarn) { "its tarball in the npm registry" } else { "its `bin/yarn.js`" };
        let (shown, version) = (self.shown(), &yarn.version);
        let text =
            format!("`packageManager` has the hash `{shown}` of yarn {version}, but {what} has `{algorithm}.{found}`");
        Err(self.error(&text, yarn))
    }

    fn shown(&self) -> String {
        self.text.chars().take(160).collect::<String>().escape_debug().to_string()
    }

    fn error(&self, what: &str, yarn: &Yarn) -> Error {
        let hint = format!(
            "if yarn {0} is what you want, set `packageManager` to `yarn@{0}` with a patch (`patches/*.patch` in the \
             configuration)",
            yarn.version
        );
        Error::config(Place::file(&self.file), what, hint)
    }
}

/// Those that corepack has written.
const ALGORITHMS: [&str; 5] = ["sha1", "sha224", "sha256", "sha384", "sha512"];

fn is_classic(yarn: &Yarn) -> bool {
    yarn_package(&yarn.version) == "yarn"
}

/// What corepack hashes of a yarn.
async fn bytes(provider: &Provider<'_>, yarn: &Yarn, integrity: &Integrity) -> Result<Vec<u8>> {
    if is_classic(yarn) {
        let scratch = provider.store.scratch()?;
        let tarball = scratch.path().join("yarn.tgz");
        let Some(registry) = provider.registry else { return Ok(vec![]) };
        registry.tarball("yarn", &yarn.version, integrity, &tarball).await?;
        return read(&tarball);
    }
    match provider.yarn(yarn)? {
        Some(entry) => read(&entry.path().join("bin/yarn.js")),
        None => Ok(vec![]),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_YARN).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// In hexadecimal; `algorithm` is one of [`ALGORITHMS`].
fn digest(algorithm: &str, bytes: &[u8]) -> String {
    match algorithm {
        "sha1" => {
            let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
            hasher.update(bytes);
            hasher.try_finalize().map(|id| id.to_hex().to_string()).unwrap_or_default()
        }
        "sha224" => hex::encode(Sha224::digest(bytes)),
        "sha256" => hex::encode(Sha256::digest(bytes)),
        "sha384" => hex::encode(Sha384::digest(bytes)),
        _ => hex::encode(Sha512::digest(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of FIPS 180 for `abc`.
    #[test]
    fn the_algorithms_are_those_of_the_standard() {
        let starts =
            ["a9993e364706816a", "23097d223405d822", "ba7816bf8f01cfea", "cb00753f45a35e8b", "ddaf35a193617aba"];
        for (algorithm, start) in ALGORITHMS.iter().zip(starts) {
            assert!(digest(algorithm, b"abc").starts_with(start), "{algorithm}");
        }
    }
}
