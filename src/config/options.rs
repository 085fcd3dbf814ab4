//! What the command line says about the configuration.

use std::path::PathBuf;

use super::env::Env;
use super::source_json::Repo;

/// What the command line says about the configuration.
#[derive(Clone, Debug)]
pub struct ConfigOptions {
    /// `--config-dir`.
    pub config_dir: PathBuf,
    /// `--repo-path`: where local code lies.
    pub repo_path: Option<PathBuf>,
    /// `--workspace-path`.
    pub workspace_path: Option<String>,
    /// `--source-repo`.
    pub source_repo: Option<Repo>,
    /// `--source-ref`.
    pub source_ref: Option<String>,
    /// `--use-local`.
    pub use_local: bool,
    /// The environment below the `.env` files: [`Env::of_process`].
    pub env: Env,
}

impl ConfigOptions {
    /// The options of a configuration directory when nothing else is said.
    pub fn new(config_dir: impl Into<PathBuf>) -> Self {
        Self {
            config_dir: config_dir.into(),
            repo_path: None,
            workspace_path: None,
            source_repo: None,
            source_ref: None,
            use_local: false,
            env: Env::of_process(),
        }
    }
}
