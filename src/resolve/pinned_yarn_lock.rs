//! The `yarn.lock` that a lock pins, read again: that of the commit, after the patches and overlays of the configuration.

use std::path::PathBuf;

use super::configured_pins;
use super::effective::EffectiveTree;
use super::source_files::Files;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lock::{Sha256, Workspace, at};
use crate::store::git::Network;
use crate::tools::provide::Provider;

/// Reads lockfiles from the cache's repositories.
pub struct PinnedYarnLocks<'a> {
    /// The cache, and the user.
    pub provider: &'a Provider<'a>,
    /// GNU patch runs in it.
    pub runtime: &'a tokio::runtime::Handle,
    /// How commits are fetched that the cache does not have; none where they are not.
    pub network: Option<&'a Network>,
    /// The configuration, which has patches, overlays and logins; where it can be read.
    pub config: Option<&'a Config>,
    /// Where relative repositories of the lock start, with the `dir` of their workspaces.
    pub config_dir: PathBuf,
}

impl PinnedYarnLocks<'_> {
    /// The bytes that the lock has the digest of; else why they cannot be had.
    pub fn read(&self, workspace: &Workspace) -> Result<Result<Vec<u8>, String>> {
        match self.find(workspace) {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => Ok(Err(error.to_string())),
            Ok(found) => Ok(found),
        }
    }

    fn find(&self, workspace: &Workspace) -> Result<Result<Vec<u8>, String>> {
        let source = &workspace.source;
        let Some(commit) = source.commit.as_deref().filter(|_| !source.local) else {
            return Ok(Err("a local tree is not pinned".into()));
        };
        let config = self.config.and_then(|config| config.workspaces.iter().find(|one| one.name == workspace.name));
        let url = configured_pins::url(workspace, config, &self.config_dir)?;
        let interrupt = self.provider.interrupt.flag();
        let repository = self.provider.store.repository(&url, interrupt)?;
        let tree = match (repository.tree(commit)?, self.network) {
            (Some(tree), _) => tree,
            (None, Some(network)) => repository.fetch(commit, network, interrupt)?,
            (None, None) => return Ok(Err(format!("the cache does not have commit {} of `{url}`", &commit[..10]))),
        };
        let files = Files::Commit(Box::new(tree));
        let path = at(&source.path, "yarn.lock");
        let Some(effective) = &workspace.effective else {
            return Ok(held(files.read(&path)?, source.yarn_lock, "the commit's is not the one that the lock pins"));
        };
        let Some(config) = config else {
            return Ok(Err("patches change it, and the configuration that has them cannot be read".into()));
        };
        let files = EffectiveTree { provider: self.provider, runtime: self.runtime, config }.of(files)?;
        let other = "with the patches of the configuration it is not the one that the lock pins";
        Ok(held(files.read(&path)?, effective.yarn_lock, other))
    }
}

fn held(bytes: Option<Vec<u8>>, digest: Sha256, other: &str) -> Result<Vec<u8>, String> {
    match bytes {
        Some(bytes) if Sha256::of(&bytes) == digest => Ok(bytes),
        Some(_) => Err(other.to_owned()),
        None => Err("the commit has none".into()),
    }
}
