//! Documents of a registry in memory: many small ones at once, large ones one after the other.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::answer::{AnswerFailure, BoundedAnswer};

/// Documents that are in memory at once.
const AT_ONCE: usize = 16;
/// The most bytes of a small document; of those that are larger, one is in memory at a time.
const SMALL: usize = 2 << 20;

/// Who may read a document.
#[derive(Debug)]
pub(super) struct DocumentTurns {
    all: Semaphore,
    large: Semaphore,
}

impl Default for DocumentTurns {
    fn default() -> Self {
        Self { all: Semaphore::new(AT_ONCE), large: Semaphore::new(1) }
    }
}

/// A document that was read whole; others wait until it is dropped.
#[derive(Debug)]
pub(super) struct NpmDocument<'a> {
    pub(super) bytes: Vec<u8>,
    _turns: [Option<SemaphorePermit<'a>>; 2],
}

impl DocumentTurns {
    /// Reads an answer, when it is its turn.
    pub(super) async fn read(&self, mut answer: BoundedAnswer) -> Result<NpmDocument<'_>, AnswerFailure> {
        // They are never closed.
        let turn = self.all.acquire().await.ok();
        let (mut bytes, mut large) = (Vec::new(), None);
        while let Some(chunk) = answer.chunk().await? {
            if large.is_none() && bytes.len() + chunk.len() > SMALL {
                large = self.large.acquire().await.ok();
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(NpmDocument { bytes, _turns: [turn, large] })
    }
}
