//! What the configuration asks for: the versions of tools, and the whole of it in the lock's own terms, so that a lock
//! can be compared with it.

use crate::config::env::EnvOrigin;
use crate::config::{self, Config, WorkspaceConfig};
use crate::lock::stale::{Requested, RequestedWorkspace};
use crate::tools::cli_request::CliRequest;
use crate::tools::pin::ToolRequests;

/// The versions a workspace asks for; none where the default will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredTools {
    /// Node.js.
    pub node: Option<String>,
    /// npm.
    pub npm: Option<String>,
    /// rhdh-cli.
    pub cli: Option<String>,
}

/// What a workspace's environment asks for, else what RHDH's `versions.json` pins for the release.
pub fn tools(config: &Config, workspace: &WorkspaceConfig) -> ConfiguredTools {
    let given = |name: &str| {
        let set = workspace.env.origin(name).is_some_and(|origin| *origin != EnvOrigin::Default);
        workspace.env.given(name).filter(|_| set).map(str::to_owned)
    };
    let versions = config.versions.as_ref();
    ConfiguredTools {
        node: given("NODE_VERSION").or_else(|| versions.and_then(|versions| versions.node.clone())),
        npm: given("NPM_VERSION"),
        cli: given("RHDH_CLI_VERSION").or_else(|| versions.and_then(|versions| versions.cli.clone())),
    }
}

impl From<ConfiguredTools> for ToolRequests {
    fn from(asked: ConfiguredTools) -> Self {
        let default = Self::default();
        Self {
            node: asked.node.map_or(default.node, |node| node.trim_start_matches('v').to_owned()),
            npm: asked.npm.unwrap_or(default.npm),
            cli: CliRequest { version: asked.cli, host: None },
        }
    }
}

/// What the configuration asks for.
pub fn of(config: &Config) -> Requested {
    Requested { workspaces: config.workspaces.iter().map(|workspace| one(config, workspace)).collect() }
}

/// What the configuration asks for one of its workspaces.
pub fn one(config: &Config, workspace: &WorkspaceConfig) -> RequestedWorkspace {
    let tools = tools(config, workspace);
    RequestedWorkspace {
        name: workspace.name.clone(),
        dir: workspace.dir.clone(),
        repo: workspace.source.repo.as_ref().map(config::Repo::public).unwrap_or_default(),
        requested: workspace.source.requested.clone(),
        path: workspace.source.workspace_path.clone(),
        local: workspace.source.local.is_some(),
        inputs: workspace.inputs.clone(),
        listed: workspace
            .list
            .as_ref()
            .map(|list| list.entries.iter().map(|entry| (entry.path.clone(), entry.args.clone())).collect()),
        node: tools.node,
        npm: tools.npm,
        cli: tools.cli,
        rhdh: config.env.given("RHDH_VERSION").map(str::to_owned),
    }
}
