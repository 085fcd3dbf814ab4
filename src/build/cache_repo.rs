//! The cache repository: finished builds in a registry, for machines that share no disk.
//!
//! In the order of the data: [`repo`] is the repository in use, [`keys`] signs and trusts, [`entry`] is what lies under a
//! tag; `lookup` finds the entries of plugins that the local cache does not have, `proven` holds their archives against
//! what they say of themselves, and `upload` stores what was built here while other plugins are built. [`tagged`] lists
//! and removes entries.
//!
//! The repository is believed nothing: what comes from it is what the lock has sealed, or what a trusted key has signed
//! for these very inputs. Whatever is wrong with it, plugins are built.

pub mod entry;
pub mod keys;
mod lookup;
mod proven;
pub mod repo;
pub mod tagged;
mod upload;

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::image::RepositoryFailure;
use crate::lock::{Lock, Plugin, Sha256, Workspace, input_digest};
use crate::ui::Ui;
pub(super) use lookup::find_all;
use repo::LOOKUPS;
pub use repo::{CacheRepo, CacheRepoMode, CacheRepoSettings};
pub(super) use upload::NewBuild;

impl CacheRepo {
    /// Whether it has a finished build of these inputs, by one request. Whether that is believed is not asked.
    pub async fn has_build(&self, inputs: Sha256) -> Result<bool, RepositoryFailure> {
        let _slot = self.lookups.acquire().await;
        self.repository.has(&entry::sealed_tag(inputs)).await
    }

    /// Of which of these inputs it has builds: one request for each, many at once. A repository that does not answer has
    /// none, with one warning.
    pub async fn having(&self, ui: &Ui, wanted: &[Sha256]) -> BTreeSet<Sha256> {
        let asked = wanted.iter().map(|inputs| async { (*inputs, self.has_build(*inputs).await) });
        let mut asked = stream::iter(asked).buffer_unordered(LOOKUPS);
        let mut found = BTreeSet::new();
        while let Some((inputs, answer)) = asked.next().await {
            match answer {
                Ok(is_there) => found.extend(is_there.then_some(inputs)),
                Err(failure) => {
                    self.give_up(ui, "read", &failure.what);
                    return BTreeSet::new();
                }
            }
        }
        found
    }
}

/// The input digest by which a sealed plugin is looked for; none of one that is not sealed.
pub fn sealed_inputs(lock: &Lock, workspace: &Workspace, plugin: &Plugin) -> Option<Sha256> {
    plugin.sealed.as_ref().map(|sealed| input_digest::digest(lock, workspace, plugin, sealed.closure))
}
