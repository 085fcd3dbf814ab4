//! What an entry of a cache repository consists of: a manifest, whose config is the statement that is signed, and three
//! blobs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::keys::{SigningKey, TrustedKeys};
use crate::build::artefact::PackageRecord;
use crate::build::context::PluginTarget;
use crate::error::Result;
use crate::image::BlobRef;
use crate::image::manifest::MANIFEST_TYPE;
use crate::lock::{Sealed, Sha256, SourcePart, input_digest};
use crate::tools::provide::platform;

/// `artifactType` of the manifest.
pub const BUILD_TYPE: &str = "application/vnd.factory.build.v1+json";
/// The config: [`BuildStatement`].
pub const STATEMENT_TYPE: &str = "application/vnd.factory.build.statement.v1+json";
/// The `.tgz`.
pub const ARCHIVE_TYPE: &str = "application/vnd.factory.build.archive.v1.tar+gzip";
/// The layer of the image.
pub const LAYER_TYPE: &str = "application/vnd.factory.build.layer.v1.tar+gzip";
/// [`BuildFacts`].
pub const FACTS_TYPE: &str = "application/vnd.factory.build.facts.v1+json";

/// What stands before a statement when it is signed: the key signs nothing else that could be taken for one.
const SIGNED: &[u8] = b"factory build statement v1\n";

/// The most bytes of a statement.
pub const MAX_STATEMENT: u64 = 64 << 10;
/// The most bytes of the facts.
pub const MAX_FACTS: u64 = 8 << 20;
/// The most bytes of an archive or a layer.
pub const MAX_ARCHIVE: u64 = 2 << 30;

/// What a signature is about: what was built from, and what was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuildStatement {
    /// The input digest.
    pub inputs: Sha256,
    /// Its [`unsealed_inputs`].
    pub unsealed: Sha256,
    /// What a lock is sealed with.
    pub seal: Sealed,
    /// The `.tgz`.
    pub archive: BlobRef,
    /// The compressed layer.
    pub layer: BlobRef,
    /// [`BuildFacts`] as JSON.
    pub facts: BlobRef,
}

/// What a finished build is besides its two archives: with it a lock is sealed as by the build itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuildFacts {
    /// What the local cache keeps: the closure and the list of files are in it.
    pub record: PackageRecord,
    /// `workspace.plugin.reads` of the lock.
    pub reads: Vec<String>,
    /// `workspace.plugin.sources` of the lock.
    pub sources: Vec<SourcePart>,
    /// Packages without a checksum that it used, as the lock's `packages.sha512` lists them.
    pub packages: String,
}

/// A manifest of an entry, as far as it is read.
#[derive(Debug, Deserialize)]
pub struct EntryManifest {
    /// The statement.
    pub config: EntryBlob,
    /// The other blobs.
    #[serde(default)]
    pub layers: Vec<EntryBlob>,
    #[serde(default)]
    annotations: EntryAnnotations,
}

/// A blob of a manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryBlob {
    media_type: String,
    /// Its digest and size.
    #[serde(flatten)]
    pub blob: BlobRef,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct EntryAnnotations {
    #[serde(rename = "io.factory.signature", default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(rename = "org.opencontainers.image.created", default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewManifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    artifact_type: &'a str,
    config: EntryBlob,
    layers: [EntryBlob; 3],
    annotations: EntryAnnotations,
}

impl BuildStatement {
    /// The bytes that are stored, and signed.
    ///
    /// # Panics
    /// Never: a statement has a JSON form.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement is plain data")
    }

    /// The manifest of an entry, signed if there is a key.
    ///
    /// # Panics
    /// Never: a manifest has a JSON form.
    pub fn manifest(&self, key: Option<&SigningKey>) -> Result<Vec<u8>> {
        let bytes = self.to_bytes();
        let signature = key.map(|key| key.sign(&signed(&bytes))).transpose()?;
        let part = |media_type: &str, blob| EntryBlob { media_type: media_type.to_owned(), blob };
        let config = BlobRef { digest: Sha256::of(&bytes), size: bytes.len() as u64 };
        let manifest = NewManifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            artifact_type: BUILD_TYPE,
            config: part(STATEMENT_TYPE, config),
            layers: [part(ARCHIVE_TYPE, self.archive), part(LAYER_TYPE, self.layer), part(FACTS_TYPE, self.facts)],
            annotations: EntryAnnotations {
                signature: signature.map(|signature| BASE64.encode(signature)),
                created: OffsetDateTime::now_utc().format(&Rfc3339).ok(),
            },
        };
        Ok(serde_json::to_vec(&manifest).expect("a manifest is plain data"))
    }
}

impl EntryManifest {
    /// Whether a trusted key has signed the statement.
    pub fn is_signed(&self, statement: &[u8], trusted: &TrustedKeys) -> bool {
        let signature = self.annotations.signature.as_ref().and_then(|text| BASE64.decode(text).ok());
        signature.is_some_and(|signature| trusted.have_signed(&signed(statement), &signature))
    }

    /// When it was stored, if it says so.
    pub fn created(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(self.annotations.created.as_deref()?, &Rfc3339).ok()
    }

    /// Bytes of its blobs.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(self.config.blob.size, |sum, layer| sum.saturating_add(layer.blob.size))
    }
}

fn signed(statement: &[u8]) -> Vec<u8> {
    [SIGNED, statement].concat()
}

/// The tag of a sealed plugin's entry. What was sealed outside of a build root has a tag of its own for each `root`: it is
/// what others build from the same inputs only where that is theirs.
///
/// # Panics
/// Never: all of it has a JSON form.
pub fn sealed_tag(inputs: Sha256, root: Option<&str>) -> String {
    let beneath = |root| Sha256::of(serde_json::to_vec(&("root", inputs, root)).expect("it is plain data"));
    format!("inputs-{}", root.map_or(inputs, beneath).hex())
}

/// The tag of an entry for locks that have not sealed the plugin.
pub fn unsealed_tag(unsealed: Sha256) -> String {
    format!("unsealed-{}", unsealed.hex())
}

/// True for a tag of an entry.
pub fn is_entry(tag: &str) -> bool {
    let digits = tag.strip_prefix("inputs-").or_else(|| tag.strip_prefix("unsealed-"));
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What of its source a plugin that is not sealed is known to be built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::build) enum UnsealedOf {
    /// What the lock has of it and nothing else, so that the commit does not matter.
    Content,
    /// Its commit, since its export reads more of that than the lock says, or may do so.
    Commit,
}

/// What a plugin that is not sealed is built from: its input digest as far as the lock knows it, the platform, for which
/// it may choose packages, and the folder of its sources, if it is not built in a build root.
///
/// # Panics
/// Never: all of it has a JSON form.
pub(in crate::build) fn unsealed_inputs(
    target: PluginTarget<'_>,
    of: UnsealedOf,
    root: Option<&str>,
) -> Result<Sha256> {
    let PluginTarget { shared, workspace, plugin } = target;
    let known = input_digest::digest(&shared.lock, workspace, plugin, None);
    let source = &workspace.source;
    let commit = (of == UnsealedOf::Commit).then_some((&source.repo, &source.commit));
    let all = ("unsealed", known, commit, platform()?, root);
    Ok(Sha256::of(serde_json::to_vec(&all).expect("it is plain data")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Integrity;

    fn statement() -> BuildStatement {
        let blob = |text: &str| BlobRef { digest: Sha256::of(text), size: text.len() as u64 };
        let (tgz, image, layer) = (Integrity::of("a"), Sha256::of("b"), Sha256::of("c"));
        BuildStatement {
            inputs: Sha256::of("inputs"),
            unsealed: Sha256::of("unsealed"),
            seal: Sealed { closure: None, bundle: None, tgz, image, layer, config: None, root: None },
            archive: blob("archive"),
            layer: blob("layer"),
            facts: blob("facts"),
        }
    }

    #[test]
    fn a_signature_is_about_the_inputs_and_all_that_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("a.key"), dir.path().join("a.pub"));
        super::super::keys::generate(&private, &public).unwrap();
        let (key, trusted) = (SigningKey::read(&private).unwrap(), TrustedKeys::read(&[public]).unwrap());
        let honest = statement();
        let manifest = honest.manifest(Some(&key)).unwrap();
        let manifest: EntryManifest = serde_json::from_slice(&manifest).unwrap();
        assert!(manifest.is_signed(&honest.to_bytes(), &trusted));
        let other = BlobRef { digest: Sha256::of("other"), size: 1 };
        let lies: [fn(&mut BuildStatement, BlobRef); 5] = [
            |it, other| it.inputs = other.digest,
            |it, other| it.unsealed = other.digest,
            |it, other| it.archive = other,
            |it, other| it.facts = other,
            |it, other| it.seal.image = other.digest,
        ];
        for lie in lies {
            let mut statement = honest.clone();
            lie(&mut statement, other);
            assert!(!manifest.is_signed(&statement.to_bytes(), &trusted));
        }
        let unsigned: EntryManifest = serde_json::from_slice(&honest.manifest(None).unwrap()).unwrap();
        assert!(!unsigned.is_signed(&honest.to_bytes(), &trusted));
        assert_eq!(unsigned.size(), 17 + honest.to_bytes().len() as u64);
        assert!(unsigned.created().is_some());
    }

    #[test]
    fn tags_of_entries_are_told_from_others() {
        let digest = Sha256::of("a");
        assert!(
            is_entry(&sealed_tag(digest, None))
                && is_entry(&sealed_tag(digest, Some("/a")))
                && is_entry(&unsealed_tag(digest))
        );
        let roots = [None, Some("/a"), Some("/b")].map(|root| sealed_tag(digest, root));
        assert!(roots[0] != roots[1] && roots[1] != roots[2] && roots[0] != roots[2], "{roots:?}");
        for other in ["1.0.0", "inputs-", "inputs-12", &format!("sha256-{}", digest.hex())] {
            assert!(!is_entry(other), "{other}");
        }
    }
}
