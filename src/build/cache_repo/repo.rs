//! A cache repository in use: what is done with it, and when it is given up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::keys::{SigningKey, TrustedKeys};
use crate::answer::Pace;
use crate::image::{ImageName, OciRegistry, OciRepository, RepositoryAccess, RepositoryFailure, Retries};
use crate::ui::Ui;

/// Entries that are looked for at once.
pub(super) const LOOKUPS: usize = 16;
/// Entries that are fetched, or stored, at once.
const TRANSFERS: usize = 4;
/// How much longer than an answer the transfer of an entry may take.
pub(super) const TRANSFER: u32 = 10;

/// What became of an upload: whether anything was stored.
pub(super) type Uploaded = Result<bool, RepositoryFailure>;

/// What is done with a cache repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheRepoMode {
    /// Builds are taken from it, and none is stored.
    Read,
    /// Builds are stored, and none is taken.
    Write,
    /// Both.
    ReadWrite,
}

/// A cache repository and how it is used.
#[derive(Clone, Debug)]
pub struct CacheRepoSettings {
    /// Its registry and namespace.
    pub registry: OciRegistry,
    /// Its last segment.
    pub name: ImageName,
    /// What is done with it.
    pub mode: CacheRepoMode,
    /// Whose entries count where nothing is sealed.
    pub trusted: TrustedKeys,
    /// How long it may take to answer.
    pub patience: Duration,
}

/// A cache repository in use.
pub struct CacheRepo {
    pub(super) repository: OciRepository,
    pub(super) mode: CacheRepoMode,
    pub(super) trusted: TrustedKeys,
    pub(super) key: Option<SigningKey>,
    pub(super) patience: Duration,
    /// Who this is in claims: nobody else has the same.
    pub(super) claimant: String,
    /// What it was given up for, which is said once.
    pub(super) is_given_up: AtomicBool,
    /// That unsealed plugins are not looked for was said.
    pub(super) has_said_unsealed: AtomicBool,
    pub(super) lookups: Semaphore,
    pub(super) transfers: Semaphore,
    /// The tags of entries that were refused: they are replaced.
    pub(super) refused: Mutex<BTreeSet<String>>,
    pub(super) uploads: Mutex<JoinSet<Uploaded>>,
}

impl CacheRepo {
    /// No network access yet. Entries are signed with `key`, if there is one.
    pub fn new(settings: CacheRepoSettings, key: Option<SigningKey>) -> Self {
        let CacheRepoSettings { registry, name, mode, trusted, patience } = settings;
        let access = if mode == CacheRepoMode::Read { RepositoryAccess::Read } else { RepositoryAccess::Write };
        Self {
            repository: OciRepository::new(registry, name, access, retries(patience)),
            mode,
            trusted,
            key,
            patience,
            claimant: anybody(),
            is_given_up: AtomicBool::new(false),
            has_said_unsealed: AtomicBool::new(false),
            lookups: Semaphore::new(LOOKUPS),
            transfers: Semaphore::new(TRANSFERS),
            refused: Mutex::default(),
            uploads: Mutex::default(),
        }
    }

    /// `<host>/<namespace>/<name>`.
    pub fn address(&self) -> String {
        self.repository.address()
    }

    pub(super) fn reads(&self) -> bool {
        self.mode != CacheRepoMode::Write && !self.is_given_up()
    }

    pub(super) fn writes(&self) -> bool {
        self.mode != CacheRepoMode::Read && !self.is_given_up()
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// For the rest of the run: what does not answer, or denies, would do so for every plugin.
    pub(super) fn give_up(&self, ui: &Ui, verb: &str, what: &str) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            ui.warn(format!("the cache repository `{}` cannot be {verb}, and is not used: {what}", self.address()));
        }
    }

    pub(super) fn refuse(&self, tag: &str) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.to_owned());
    }

    pub(super) fn has_refused(&self, tag: &str) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(tag)
    }
}

/// Random; where no random numbers are to be had, this process.
fn anybody() -> String {
    let mut random = [0; 16];
    match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => hex::encode(random),
        Err(_) => format!("process {}", std::process::id()),
    }
}

/// Few and quick: a cache is to save time.
fn retries(patience: Duration) -> Retries {
    Retries {
        attempts: 3,
        first_pause: Duration::from_millis(500),
        longest_pause: patience.min(Duration::from_secs(5)),
        stall: patience,
        pace: Pace { slowest: 16 << 10, window: patience, total: patience * TRANSFER },
    }
}
