//! The tree that is built: a source with its patches and overlays, as far as `resolve` reads it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::discover;
use super::source_files::Files;
use super::source_files::changed::ChangedFiles;
use crate::config::WorkspaceConfig;
use crate::error::{Error, Result};
use crate::lock::{Effective, Sha256, at};
use crate::overlay::{self, BACKSTAGE, OVERLAY_FOLDERS, Overlays, is_patch};
use crate::sandbox::child::Log;
use crate::tools::provide::Provider;

/// Lays the patches and overlays of a workspace over its source. Without any, it stays as it is.
pub struct EffectiveTree<'a> {
    /// For the cache and the user.
    pub provider: &'a Provider<'a>,
    /// GNU patch runs in it.
    pub runtime: &'a tokio::runtime::Handle,
    /// The workspace.
    pub config: &'a WorkspaceConfig,
}

impl EffectiveTree<'_> {
    /// The files of the tree that is built.
    pub fn of(&self, base: Files) -> Result<Files> {
        let is_used = |path: &str| is_patch(path) || path == BACKSTAGE || overlaid_plugin(path).is_some();
        if !self.config.inputs.iter().any(|input| is_used(&input.path)) {
            return Ok(base);
        }
        if let Some(list) = &self.config.list {
            let plugins: Vec<&str> = list.entries.iter().map(|entry| entry.path.as_str()).collect();
            return self.lay(base, &plugins);
        }
        // An overlay may make a plugin of its folder; one over a folder that is none is not built either.
        let overlaid: BTreeSet<&str> =
            self.config.inputs.iter().filter_map(|input| overlaid_plugin(&input.path)).collect();
        let plugins: Vec<&str> = overlaid.into_iter().collect();
        let files = self.lay(base, &plugins)?;
        let found = discover::discover(files.manifests(&self.config.source.workspace_path)?).plugins;
        let kept: Vec<&str> =
            plugins.iter().copied().filter(|path| found.iter().any(|plugin| plugin.path == *path)).collect();
        match files {
            Files::Changed(changed) if kept.len() < plugins.len() => self.lay(changed.into_base(), &kept),
            files => Ok(files),
        }
    }

    fn lay(&self, base: Files, plugins: &[&str]) -> Result<Files> {
        let config = self.config;
        let scratch = self.provider.store.scratch()?;
        let root = scratch.path().join("tree");
        let path = config.source.workspace_path.as_str();
        let tree = if path == "." { root.clone() } else { root.join(path) };
        fs::create_dir_all(&tree).map_err(Error::io("create", &tree))?;
        let log = Log::create(scratch.path().join("patch.log"))?;
        let overlays = Overlays {
            workspace: &config.name,
            epoch: base.epoch(),
            inputs: &config.inputs,
            plugins,
            config: &config.config_dir,
            tree: &tree,
            log: &log,
            interrupt: self.provider.interrupt,
        };
        let touched: BTreeSet<String> = overlay::touched(&config.inputs, plugins, &config.config_dir)?
            .iter()
            .map(|touched| at(path, touched))
            .collect();
        for path in &touched {
            if let Some(bytes) = base.read(path)? {
                write(&root.join(path), &bytes, base.mode(path)?)?;
            }
        }
        for warning in self.runtime.block_on(overlays.apply())?.warnings {
            self.provider.ui.warn(warning);
        }
        Ok(Files::Changed(Box::new(ChangedFiles::new(base, root, scratch, touched))))
    }
}

/// What the lock says of the effective tree: the `yarn.lock` that is built, where it is another than the source's.
pub fn pinned(source: Sha256, built: &[u8]) -> Option<Effective> {
    let yarn_lock = Sha256::of(built);
    (yarn_lock != source).then_some(Effective { yarn_lock })
}

/// The folder of the plugin that a file of the configuration is copied over.
fn overlaid_plugin(path: &str) -> Option<&str> {
    OVERLAY_FOLDERS.iter().find_map(|folder| {
        if path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) {
            return Some(".");
        }
        path.split_once(&format!("/{folder}/")).map(|(plugin, _)| plugin)
    })
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    fs::write(path, bytes).map_err(Error::io("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("write", path))
}
