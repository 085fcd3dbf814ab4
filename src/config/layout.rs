//! How a configuration directory is laid out, before anything in it is read.

use std::path::Path;

use super::{Versions, versions_json, workspaces};
use crate::Result;

/// The layout of a configuration directory, which may not exist yet.
#[derive(Clone, Debug)]
pub struct ConfigLayout {
    /// The sub-folders that are workspaces, sorted.
    pub workspaces: Vec<String>,
    /// It has the layout of RHDH's export repository.
    pub is_overlays: bool,
    /// It is the `workspaces` folder of that repository.
    is_workspaces: bool,
}

impl ConfigLayout {
    /// That of a directory.
    pub fn of(config_dir: &Path) -> Result<Self> {
        let (workspaces, _) = workspaces::sub_folders(config_dir)?;
        let is_overlays = versions_json::overlays_root(config_dir).is_some() || Versions::find(config_dir)?.is_some();
        let real = config_dir.canonicalize().ok();
        let is_workspaces = real.is_some_and(|dir| dir.file_name().is_some_and(|name| name == "workspaces"));
        Ok(Self { workspaces, is_overlays, is_workspaces })
    }

    /// True if it is for several workspaces.
    pub fn is_several(&self) -> bool {
        self.is_workspaces || !self.workspaces.is_empty()
    }
}
