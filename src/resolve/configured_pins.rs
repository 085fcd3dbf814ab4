//! What the configuration asks for: the versions of tools, and the whole of it in the lock's own terms, so that a lock
//! can be compared with it.

use std::path::{Component, Path, PathBuf};

use crate::config::env::EnvOrigin;
use crate::config::variables::HOST_LOCKFILE;
use crate::config::{self, Config, WorkspaceConfig};
use crate::error::Result;
use crate::lock::stale::{Requested, RequestedFile, RequestedWorkspace};
use crate::lock::{Lock, Sha256, Workspace};
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
        if let Some(locked) = locked.filter(|locked| is_same_repository(workspace, locked)) {
            asked.repo.clone_from(&locked.source.repo);
        }
        asked
    };
    Requested { workspaces: config.workspaces.iter().map(in_its_words).collect() }
}

/// Whether a workspace is of the repository that is locked, however the two are written: with another `.git` or `./`, as a
/// relative or an absolute path, or from another folder, where the configuration was laid out otherwise.
pub fn is_same_repository(workspace: &WorkspaceConfig, locked: &Workspace) -> bool {
    let Some(asked) = workspace.source.repo.as_ref().map(config::Repo::public) else { return false };
    let locked_repo = &locked.source.repo;
    if workspace.dir == locked.dir && asked == *locked_repo {
        return true;
    }
    let before = root(workspace).join(&locked.dir);
    place(&asked, folder(workspace)).is_some_and(|asked| place(locked_repo, &before) == Some(asked))
}

/// The repository of a locked workspace, with the login that only the configuration has. Where it is of another one, a
/// relative path starts in the workspace's folder below `root`.
pub fn url(locked: &Workspace, configured: Option<&WorkspaceConfig>, root: &Path) -> Result<SourceUrl> {
    let configured = configured.filter(|one| is_same_repository(one, locked));
    match configured.and_then(|one| Some((one.source.repo.as_ref()?, folder(one)))) {
        Some((repo, folder)) => SourceUrl::parse(repo.with_credentials(), folder),
        None => SourceUrl::parse(&locked.source.repo, &root.join(&locked.dir)),
    }
}

/// Where a repository is, whose relative path starts in this folder; none for what is no repository.
fn place(repo: &str, folder: &Path) -> Option<String> {
    if let Ok(url) = SourceUrl::parse(repo, folder) {
        return Some(url.canonical());
    }
    // The folder may be gone; a repository that is not here has its path alone.
    let path = SourceUrl::is_path(repo).then(|| plain(&folder.join(repo)).display().to_string())?;
    Some(SourceUrl::parse(&path, Path::new(".")).map_or(path, |url| url.canonical()))
}

/// A repository as it is named from the configuration directory: the same for every layout of it.
pub fn from_root(repo: &str, dir: &str) -> String {
    let is_relative = SourceUrl::is_path(repo) && Path::new(repo).is_relative();
    if is_relative { plain(&Path::new(dir).join(repo)).display().to_string() } else { repo.to_owned() }
}

/// The configuration directory of a workspace.
fn root(workspace: &WorkspaceConfig) -> &Path {
    let folder = &workspace.config_dir;
    let root = if workspace.dir == "." { Some(folder.as_path()) } else { folder.parent() };
    root.filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
