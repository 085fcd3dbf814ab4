//! What the configuration asks for: the versions of tools, and the whole of it in the lock's own terms, so that a lock
//! can be compared with it.

use std::path::{Component, Path, PathBuf};

use crate::config::env::EnvOrigin;
use crate::config::variables::HOST_LOCKFILE;
use crate::config::{self, Config, WorkspaceConfig};
use crate::lock::stale::{Requested, RequestedFile, RequestedWorkspace};
use crate::lock::{Lock, Sha256};
use crate::store::git::SourceUrl;
use crate::tools::cli_request::CliRequest;
use crate::tools::pin::ToolRequests;
use crate::user_file;

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

/// What the configuration asks for. A repository that the lock has in other words is in the lock's.
pub fn of(config: &Config, lock: &Lock) -> Requested {
    let in_its_words = |workspace: &WorkspaceConfig| {
        let mut asked = one(config, workspace);
        let locked = lock.workspace.iter().find(|locked| locked.name == workspace.name);
        if let Some(locked) = locked.filter(|locked| is_same_repository(workspace, &locked.source.repo)) {
            asked.repo.clone_from(&locked.source.repo);
        }
        asked
    };
    Requested { workspaces: config.workspaces.iter().map(in_its_words).collect() }
}

/// Whether a workspace is of this repository, however the two are written: with another `.git` or `./`, as a relative or
/// an absolute path.
pub fn is_same_repository(workspace: &WorkspaceConfig, locked: &str) -> bool {
    let Some(asked) = workspace.source.repo.as_ref().map(config::Repo::public) else { return false };
    let folder = folder(workspace);
    let place = |text: &str| match SourceUrl::parse(text, folder) {
        Ok(url) => Some(url.canonical()),
        // A folder that is not here has its path alone.
        Err(_) => SourceUrl::is_path(text).then(|| plain(&folder.join(text)).display().to_string()),
    };
    asked == locked || place(&asked).is_some_and(|asked| place(locked) == Some(asked))
}

/// Where the relative path of a repository starts: in the folder of source.json.
pub fn folder(workspace: &WorkspaceConfig) -> &Path {
    let folder = &workspace.config_dir;
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// A path without `.` and, as far as names stand before them, `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        let is_named = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::ParentDir if is_named => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
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
        host_lockfile: host_lockfile(config),
    }
}

/// RHDH's yarn.lock, where the configuration names it. What cannot be read is reported by the resolve that needs it.
fn host_lockfile(config: &Config) -> Option<RequestedFile> {
    let bytes = user_file::read(&config.host_lockfile()?, user_file::DOCUMENT).ok()?;
    let name = config.env.given(HOST_LOCKFILE)?.escape_debug().to_string();
    Some(RequestedFile { name, sha256: Sha256::of(bytes) })
}
