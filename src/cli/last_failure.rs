//! Why there is no lock: what the last `factory resolve` failed for. It is kept in the cache until one succeeds, and
//! said again by commands that find no lock.

use std::fs;
use std::path::{Path, PathBuf};

use super::session::Session;
use crate::config::Config;
use crate::error::Error;
use crate::lock::{Sha256, UnresolvedWorkspace};
use crate::resolve::configured_pins;
use crate::store::{Store, atomic_file};
use crate::user_file;

/// Keeps what is wrong with workspaces. Without a cache that can be written to nothing is kept.
pub fn keep(store: &Store, lock_file: &Path, config: &Config, failed: &[(String, Error)]) {
    let of = |(name, error): &(String, Error)| {
        let workspace = config.workspaces.iter().find(|workspace| workspace.name == *name)?;
        let requested = configured_pins::one(config, workspace).digest();
        Some(UnresolvedWorkspace::new(name, requested, error))
    };
    let all: Vec<_> = failed.iter().filter_map(of).collect();
    if let Ok(text) = serde_json::to_vec(&all) {
        let _ = atomic_file(&file(store, lock_file), &text);
    }
}

/// Forgets it: there is a lock.
pub fn forget(store: &Store, lock_file: &Path) {
    let _ = fs::remove_file(file(store, lock_file));
}

/// Says it again, of these workspaces, or of all without names. What is configured otherwise by now is left out.
pub fn repeat(session: &Session<'_>, lock_file: &Path, config: &Config, names: &[String]) {
    let Ok(store) = session.store() else { return };
    let Ok(text) = user_file::read(&file(&store, lock_file), user_file::SETTINGS) else { return };
    let all: Vec<UnresolvedWorkspace> = serde_json::from_slice(&text).unwrap_or_default();
    for one in all.iter().filter(|one| names.is_empty() || names.contains(&one.name)) {
        let configured = config.workspaces.iter().find(|workspace| workspace.name == one.name);
        if configured.is_some_and(|workspace| configured_pins::one(config, workspace).digest() == one.requested) {
            session.ui.error(&one.error());
        }
    }
}

fn file(store: &Store, lock_file: &Path) -> PathBuf {
    let path = std::path::absolute(lock_file).unwrap_or_else(|_| lock_file.to_owned());
    store.unlocked_dir().join(format!("{}.json", Sha256::of(path.as_os_str().as_encoded_bytes()).hex()))
}
