//! The cache repository: finished builds in a registry, for machines that share no disk.
//!
//! In the order of the data: [`repo`] is the repository in use, [`keys`] signs and trusts, [`entry`] is what lies under a
//! tag; `lookup` finds the entries of plugins that the local cache does not have, `proven` holds their archives against
//! what they say of themselves, and `upload` stores what was built here while other plugins are built, unless another machine
//! says in a [`claim`] that it does. [`tagged`] lists and removes entries.
//!
//! The repository is believed nothing: what comes from it is what the lock has sealed, or what a trusted key has signed
//! for these very inputs. Whatever is wrong with it, plugins are built.

pub mod claim;
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
pub(super) use lookup::find_all;
use repo::LOOKUPS;
pub use repo::{CacheRepo, CacheRepoMode, CacheRepoSettings};
pub(super) use upload::NewBuild;

impl CacheRepo {
    /// Of which of these inputs, sealed under these roots, it has finished builds: one request for each, many at once.
    /// Whether they are believed is not asked. After a failure, which is returned, nothing more is asked.
    pub async fn having(
        &self,
        wanted: impl IntoIterator<Item = (Sha256, Option<&str>)>,
    ) -> (BTreeSet<Sha256>, Option<RepositoryFailure>) {
        let ask = async |(inputs, root)| (inputs, self.repository.has(&entry::sealed_tag(inputs, root)).await);
        let mut asked = stream::iter(wanted.into_iter().map(ask)).buffer_unordered(LOOKUPS);
        let mut found = BTreeSet::new();
        while let Some((inputs, answer)) = asked.next().await {
            match answer {
                Ok(is_there) => found.extend(is_there.then_some(inputs)),
                Err(failure) => return (found, Some(failure)),
            }
        }
        (found, None)
    }
}

/// The input digest by which a sealed plugin is looked for, and the root it is sealed under; none of one that is not
/// sealed.
pub fn sealed_inputs<'l>(lock: &Lock, workspace: &Workspace, plugin: &'l Plugin) -> Option<(Sha256, Option<&'l str>)> {
    let sealed = plugin.sealed.as_ref()?;
    Some((input_digest::digest(lock, workspace, plugin, sealed.closure), sealed.root.as_deref()))
}
