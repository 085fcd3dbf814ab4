//! Claims: of machines that built the same at the same time, one stores it.
//!
//! A registry has no operation that stores something only if nothing is there. So a machine writes under a tag what it is
//! about to store, and by whom; waits until those who looked at the same time have written, too; and reads it back. Who
//! reads the claim of another leaves the build to that one. A claim counts for some minutes only, since its machine may
//! have ended, and nothing is waited for but one's own pause: the worst that a claim does is that a build is not stored,
//! and the worst that a lost one does is that it is stored twice.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::repo::CacheRepo;
use crate::image::manifest::MANIFEST_TYPE;
use crate::image::{BlobRef, RepositoryBlob, RepositoryFailure};
use crate::lock::Sha256;

/// `artifactType` of the manifest of a claim.
pub const CLAIM_TYPE: &str = "application/vnd.factory.claim.v1+json";
/// The config and the only layer of what has no content.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// How long a claim counts.
const LASTS: time::Duration = time::Duration::minutes(5);
/// The shortest and the longest pause before a claim is read back.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// What a machine claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The tags of the entry and the key it is signed with: who signs does not leave it to those who do not.
    subject: Sha256,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimManifest {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    #[serde(default)]
    config: serde_json::Value,
    #[serde(default)]
    layers: Vec<serde_json::Value>,
    annotations: ClaimAnnotations,
}

#[derive(Serialize, Deserialize)]
struct ClaimAnnotations {
    #[serde(rename = "io.factory.claim")]
    subject: String,
    #[serde(rename = "io.factory.claimant")]
    claimant: String,
    #[serde(rename = "org.opencontainers.image.created")]
    created: String,
}

impl Claim {
    /// On what is stored under these tags, signed with the key of this digest.
    ///
    /// # Panics
    /// Never: all of it has a JSON form.
    pub(super) fn of(tags: &[String], key: Option<Sha256>) -> Self {
        Self { subject: Sha256::of(serde_json::to_vec(&("claim", tags, key)).expect("it is plain data")) }
    }

    /// One of few, so that claims need nobody who removes them; the next one on its tag takes the place of this one.
    fn tag(&self) -> String {
        format!("claim-{}", &self.subject.hex()[..3])
    }

    /// # Panics
    /// Never: a manifest has a JSON form.
    fn manifest(&self, claimant: &str, now: OffsetDateTime) -> Vec<u8> {
        let empty = serde_json::json!({
            "mediaType": EMPTY_TYPE, "digest": Sha256::of(EMPTY), "size": EMPTY.len()
        });
        let manifest = ClaimManifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE.to_owned(),
            artifact_type: CLAIM_TYPE.to_owned(),
            config: empty.clone(),
            layers: vec![empty],
            annotations: ClaimAnnotations {
                subject: self.subject.to_string(),
                claimant: claimant.to_owned(),
                created: now.format(&Rfc3339).unwrap_or_default(),
            },
        };
        serde_json::to_vec(&manifest).expect("a manifest is plain data")
    }

    /// Whether a manifest is a claim of somebody else on the same, and counts at this time. The clocks of machines
    /// differ: one that is made in the future counts as long.
    fn is_of_another(&self, manifest: &[u8], claimant: &str, now: OffsetDateTime) -> bool {
        let Some((claim, created)) = read(manifest) else { return false };
        claim.subject == self.subject.to_string() && claim.claimant != claimant && (now - created).abs() < LASTS
    }
}

/// A claim and when it was made; none where it is something else.
fn read(manifest: &[u8]) -> Option<(ClaimAnnotations, OffsetDateTime)> {
    let ClaimManifest { artifact_type, annotations, .. } = serde_json::from_slice(manifest).ok()?;
    let created = OffsetDateTime::parse(&annotations.created, &Rfc3339).ok()?;
    (artifact_type == CLAIM_TYPE).then_some((annotations, created))
}

/// When a claim was made; none where it is something else.
pub fn made_at(manifest: &[u8]) -> Option<OffsetDateTime> {
    Some(read(manifest)?.1)
}

/// True for a tag of a claim.
pub fn is_claim(tag: &str) -> bool {
    let digits = tag.strip_prefix("claim-");
    digits.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl CacheRepo {
    /// Says that this machine is about to store something, unless another one has said so. How long to wait then, before
    /// the claim is read back.
    pub(super) async fn claim(&self, claim: &Claim) -> Result<Option<Duration>, RepositoryFailure> {
        let empty = BlobRef { digest: Sha256::of(EMPTY), size: EMPTY.len() as u64 };
        without_claims(self.repository.put_blob(empty, RepositoryBlob::Bytes(EMPTY)).await, ())?;
        let begun = Instant::now();
        if self.is_claimed(claim).await? {
            return Ok(None);
        }
        let manifest = claim.manifest(&self.claimant, OffsetDateTime::now_utc());
        without_claims(self.repository.put_manifest(&claim.tag(), &manifest).await, ())?;
        // Others take as long from the look to the end of the writing.
        Ok(Some((begun.elapsed() * 2).clamp(PAUSES[0], PAUSES[1])))
    }

    /// Whether another machine stores it.
    pub(super) async fn is_claimed(&self, claim: &Claim) -> Result<bool, RepositoryFailure> {
        let manifest = without_claims(self.repository.manifest(&claim.tag()).await, None)?;
        let now = OffsetDateTime::now_utc();
        Ok(manifest.is_some_and(|manifest| claim.is_of_another(&manifest, &self.claimant, now)))
    }
}

/// A registry that answers and takes no claims, since no tag is written twice there for example, is used without them.
fn without_claims<T>(answer: Result<T, RepositoryFailure>, otherwise: T) -> Result<T, RepositoryFailure> {
    match answer {
        Err(failure) if failure.is_content || matches!(failure.status, Some(400..=499)) => {
            tracing::debug!("no claim: {failure}");
            Ok(otherwise)
        }
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_counts_for_others_on_the_same_build_and_for_minutes() {
        let tags = |name: &str| vec![format!("inputs-{name}")];
        let (claim, now) = (Claim::of(&tags("a"), None), OffsetDateTime::now_utc());
        let is_of_another = |manifest: &[u8], by: &str, minutes: i64| {
            claim.is_of_another(manifest, by, now + time::Duration::minutes(minutes))
        };
        let manifest = claim.manifest("one", now);
        let counts = [-6, -4, 0, 4, 6].map(|minutes| is_of_another(&manifest, "two", minutes));
        assert_eq!(counts, [false, true, true, true, false]);
        assert!(!is_of_another(&manifest, "one", 0), "its own");
        // Another build, one that is signed, and what is no claim.
        for other in [Claim::of(&tags("b"), None), Claim::of(&tags("a"), Some(Sha256::of("key")))] {
            assert!(!is_of_another(&other.manifest("one", now), "two", 0));
        }
        for other in ["", "{", "{}", r#"{"annotations":{}}"#, "null"] {
            assert!(!is_of_another(other.as_bytes(), "two", 0), "{other}");
        }
        assert!(is_claim(&claim.tag()));
        for other in ["claim-", "claim-12", "claim-12g", "claim-1234", "inputs-123"] {
            assert!(!is_claim(other), "{other}");
        }
    }
}
