//! What is taken of an npm registry, and how long it may take.

use std::time::Duration;

use crate::answer::{AnswerLimits, Pace};
use crate::tls;

/// The most bytes of a document about a package. npm's own has 3 MiB, with 500 versions.
const DOCUMENT: u64 = 64 << 20;
/// The most bytes of a document about one version: a `package.json` and what the registry adds.
const MANIFEST: u64 = 4 << 20;
/// The most bytes of a tarball; Node.js has about 50 MiB.
const TARBALL: u64 = 512 << 20;
/// The slowest registry, in bytes a second: one channel of ISDN.
const SLOWEST: u64 = 8 << 10;
/// Over how long that is measured.
const WINDOW: Duration = Duration::from_secs(60);
/// How long the beginning of an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The longest that one document may take.
const DOCUMENT_WITHIN: Duration = Duration::from_secs(10 * 60);
/// The longest that one tarball may take.
const TARBALL_WITHIN: Duration = Duration::from_secs(2 * 3600);
/// The longest that `npm config get registry` may take.
const NPM_WITHIN: Duration = Duration::from_secs(30);

/// The limits of one registry.
#[derive(Clone, Copy, Debug)]
pub struct NpmLimits {
    /// Of a document about a package.
    pub document: AnswerLimits,
    /// Of a document about one version.
    pub manifest: AnswerLimits,
    /// Of a tarball.
    pub tarball: AnswerLimits,
    /// How long a registry that swallows connections is tried.
    pub connect_within: Duration,
    /// How long the beginning of an answer is waited for.
    pub answer_within: Duration,
    /// How long npm is waited for, when it is asked which registry is its default.
    pub npm_within: Duration,
}

impl Default for NpmLimits {
    fn default() -> Self {
        let limits = |bytes, total| AnswerLimits { bytes, pace: Pace { slowest: SLOWEST, window: WINDOW, total } };
        Self {
            document: limits(DOCUMENT, DOCUMENT_WITHIN),
            manifest: limits(MANIFEST, DOCUMENT_WITHIN),
            tarball: limits(TARBALL, TARBALL_WITHIN),
            connect_within: tls::connect_timeout(),
            answer_within: ANSWER_WITHIN,
            npm_within: NPM_WITHIN,
        }
    }
}
