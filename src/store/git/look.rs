//! When a watch looks again.

use std::time::{Duration, Instant};

/// A pause between two looks.
pub(super) struct LookPause {
    every: Duration,
    next: Instant,
}

impl LookPause {
    /// The first look is one pause from now.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    /// True once it is time to look; the next pause begins then.
    pub(super) fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let is_over = now >= self.next;
        if is_over {
            self.next = now + self.every;
        }
        is_over
    }
}
