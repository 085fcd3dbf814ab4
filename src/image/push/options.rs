//! How to push.

use std::time::Duration;

use serde::Serialize;

use crate::answer::Pace;

/// The options of a push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Move a tag that names another image. Without it such a push fails: releases do not change.
    pub overwrite: bool,
    /// Which program pushes.
    pub pusher: Pusher,
    /// Attempts and pauses.
    pub retries: Retries,
}

/// Which program pushes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pusher {
    /// This program.
    #[default]
    Builtin,
    /// `skopeo copy`: the same bytes, for registries that need something this program does not support.
    Skopeo,
    /// `buildah push`, which compresses the layer again: the same content under another digest.
    Buildah,
}

/// Attempts after 429, 5xx and broken connections, for each request of a push.
#[derive(Clone, Debug)]
pub struct Retries {
    /// The most attempts of one request, the first included.
    pub attempts: usize,
    /// The pause before the second attempt; it doubles from there, with some jitter.
    pub first_pause: Duration,
    /// The longest pause. When a registry asks for a longer one (`Retry-After`), the push fails.
    pub longest_pause: Duration,
    /// How long a connection may make no progress.
    pub stall: Duration,
    /// How slowly manifests, tokens and errors may come. They are small: 4 MiB at most.
    pub pace: Pace,
}

/// The slowest registry, in bytes a second.
const SLOWEST: u64 = 1 << 10;
/// Over how long that is measured.
const WINDOW: Duration = Duration::from_secs(60);
/// The longest that the body of one answer may take.
const BODY_WITHIN: Duration = Duration::from_secs(5 * 60);

impl Default for Retries {
    /// Six attempts within about a minute, or with pauses of up to five minutes where the registry asks for them.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            stall: Duration::from_secs(60),
            pace: Pace { slowest: SLOWEST, window: WINDOW, total: BODY_WITHIN },
        }
    }
}
