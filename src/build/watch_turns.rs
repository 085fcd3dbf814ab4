//! Which exports are looked at together.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Error, Result};

/// More than are ever looked at together.
const MOST: u16 = u16::MAX;

/// Keeps exports from being looked at together where that is more than the kernel watches.
pub struct WatchTurns(Semaphore);

impl Default for WatchTurns {
    fn default() -> Self {
        Self(Semaphore::new(usize::from(MOST)))
    }
}

impl WatchTurns {
    /// A turn beside others.
    pub(super) async fn beside(&self) -> Result<SemaphorePermit<'_>> {
        self.0.acquire().await.map_err(|_| Error::Interrupted)
    }

    /// A turn after others, while there is none.
    pub(super) async fn alone(&self) -> Result<SemaphorePermit<'_>> {
        self.0.acquire_many(u32::from(MOST)).await.map_err(|_| Error::Interrupted)
    }
}
