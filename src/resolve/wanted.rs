//! The configuration in the lock's own terms, so that a lock can be compared with it.

use crate::config::{Config, WorkspaceConfig};
use crate::lock::stale::{Requested, RequestedWorkspace};

/// What the configuration asks for.
pub fn of(config: &Config) -> Requested {
    Requested { workspaces: config.workspaces.iter().map(|workspace| one(config, workspace)).collect() }
}

fn one(config: &Config, workspace: &WorkspaceConfig) -> RequestedWorkspace {
    let requests = super::requests(config, workspace);
    RequestedWorkspace {
        name: workspace.name.clone(),
        dir: workspace.dir.clone(),
        repo: workspace.source.repo.as_ref().map(crate::config::Repo::public).unwrap_or_default(),
        requested: workspace.source.requested.clone(),
        path: workspace.source.workspace_path.clone(),
        local: workspace.source.local.is_some(),
        inputs: workspace.inputs.clone(),
        listed: workspace
            .list
            .as_ref()
            .map(|list| list.entries.iter().map(|entry| (entry.path.clone(), entry.args.clone())).collect()),
        node: requests.node,
        npm: requests.npm,
        cli: requests.cli,
    }
}
