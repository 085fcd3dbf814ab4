//! Options of the sources: what is built, and how repositories are reached.

use std::path::PathBuf;

use clap::Args;

use super::paths;
use super::session::Session;
use crate::config::env::EnvOrigin;
use crate::config::{Config, ConfigOptions, Repo, variables};
use crate::error::Result;
use crate::store::git::Network;

/// What is built, when source.json does not say it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Source options")]
pub struct SourceArgs {
    /// Path of the yarn workspace in the repository; overrides source.json
    #[arg(long, env = "FACTORY_WORKSPACE_PATH", value_name = "PATH")]
    pub workspace_path: Option<String>,
    /// Git repository to build from, instead of the one in source.json
    #[arg(long, env = "FACTORY_SOURCE_REPO", value_name = "URL", value_parser = repo)]
    pub source_repo: Option<Repo>,
    /// Branch, tag or commit of `--source-repo` [default: its default branch]
    #[arg(long, env = "FACTORY_SOURCE_REF", value_name = "REF")]
    pub source_ref: Option<String>,
    /// Directory of the local source code for `--use-local`, else of a copy of the patched source [default: /source]
    #[arg(long, env = "FACTORY_REPO_PATH", value_name = "DIR")]
    pub repo_path: Option<PathBuf>,
    /// Build a copy of the local code in `--repo-path`, which is never changed; its lock entry does not pin it
    #[arg(long, env = "FACTORY_USE_LOCAL")]
    pub use_local: bool,
    /// Use the `git` program to reach repositories: it reads .netrc and http.proxy
    #[arg(long, env = "FACTORY_GIT_PROGRAM")]
    pub git_program: bool,
}

fn repo(text: &str) -> Result<Repo, String> {
    Repo::parse(text).map_err(|why| format!("the repository {why}"))
}

impl SourceArgs {
    /// Reads the configuration and says its warnings: those of all, and those of the workspaces that are named (of all
    /// workspaces when none is).
    pub fn config(&self, session: &Session<'_>, names: &[String]) -> Result<Config> {
        let options = ConfigOptions {
            repo_path: Some(self.repo_path.clone().unwrap_or_else(|| PathBuf::from("/source"))),
            workspace_path: self.workspace_path.clone(),
            source_repo: self.source_repo.clone(),
            source_ref: self.source_ref.clone(),
            use_local: self.use_local,
            ..ConfigOptions::new(paths::config_dir(session.global))
        };
        let config = Config::read(&options)?;
        for workspace in &config.workspaces {
            for (name, value) in workspace.env.iter().filter(|(_, value)| value.origin != EnvOrigin::Process) {
                let shown = if variables::is_secret(name, &value.text) { "***" } else { &value.text };
                tracing::debug!("{}: {name}={shown} from {}", workspace.name, value.origin);
            }
        }
        for warning in &config.warnings {
            session.ui.warn(warning);
        }
        for workspace in config.workspaces.iter().filter(|one| names.is_empty() || names.contains(&one.name)) {
            for warning in &workspace.warnings {
                session.ui.warn(format!("{}: {warning}", workspace.name));
            }
        }
        Ok(config)
    }

    /// How repositories are reached.
    pub fn network(&self) -> Network {
        Network { git_program: self.git_program, ..Network::default() }
    }
}
