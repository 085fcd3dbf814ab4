//! The workspaces of a configuration directory: one at its root, or one in each sub-folder with a `source.json`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::env::{self, Env};
use super::options::ConfigOptions;
use super::plugins_list::{self, PluginsList};
use super::source_json::{self, Repo, SourceJson};
use super::warning::Warning;
use super::{inputs, path};
use crate::error::Place;
use crate::error::nearest::misspelt;
use crate::lock::Input;
use crate::{Error, Result};

/// One workspace, read and validated.
#[derive(Clone, Debug)]
pub struct WorkspaceConfig {
    /// The sub-folder's name; for a single workspace the last segment of its path, or of the repository.
    pub name: String,
    /// Where its configuration lies from the configuration directory: `.` or the sub-folder.
    pub dir: String,
    /// The same as a path to open.
    pub config_dir: PathBuf,
    /// Where its code comes from.
    pub source: SourceConfig,
    /// The plugins; `None` where they have to be discovered.
    pub list: Option<PluginsList>,
    /// Where the list is, or would be written.
    pub list_path: PathBuf,
    /// Every file its build uses, sorted by path.
    pub inputs: Vec<Input>,
    /// `version` of its own `backstage.json`: the exported packages' `backstage.supported-versions`.
    pub supported_versions: Option<String>,
    /// Its environment.
    pub env: Env,
    /// What a person should look at.
    pub warnings: Vec<Warning>,
}

impl WorkspaceConfig {
    /// A message about what the list has of a plugin, with the line that has it.
    pub fn at_listed(&self, plugin: &str, message: &str) -> String {
        match self.list.as_ref().and_then(|list| list.get(plugin)) {
            Some(entry) => format!("{}: {message}", Place::line(&self.list_path, entry.line)),
            None => message.to_owned(),
        }
    }
}

/// Where a workspace's code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The repository; `None` for a local tree that nothing says the repository of.
    pub repo: Option<Repo>,
    /// The branch, tag or commit asked for; empty for the default branch.
    pub requested: String,
    /// The workspace's folder from the repository's root, `.` for the root itself.
    pub workspace_path: String,
    /// `repo-backstage-version` of `source.json`.
    pub backstage_version: Option<String>,
    /// The tree to build a copy of, instead of fetching the repository.
    pub local: Option<PathBuf>,
}

/// A workspace that cannot be read; the others can still be built.
#[derive(Debug)]
pub struct Broken {
    /// Its name.
    pub name: String,
    /// Why.
    pub error: Error,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.error)
    }
}

/// The sub-folders that hold a `source.json`, sorted by name. Those whose names start with a dot are none, and are
/// returned as the second list.
pub(super) fn sub_folders(config_dir: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let (mut names, mut hidden) = (Vec::new(), Vec::new());
    if !config_dir.exists() {
        return Ok((names, hidden));
    }
    for entry in std::fs::read_dir(config_dir).map_err(Error::io("read", config_dir))? {
        let entry = entry.map_err(Error::io("read", config_dir))?;
        if !entry.path().join(source_json::FILE_NAME).exists() {
            continue;
        }
        let name = entry.file_name().into_string().ok().filter(|name| path::inside(name).as_ref() == Ok(name));
        let name = name.ok_or_else(|| {
            let what = "this workspace's name is not UTF-8, or has a backslash or a control character in it";
            Error::config(Place::file(entry.path()), what, "rename the folder")
        })?;
        if name.starts_with('.') {
            hidden.push(name);
        } else {
            names.push(name);
        }
    }
    names.sort_unstable();
    hidden.sort_unstable();
    Ok((names, hidden))
}

/// Reads the workspace of a sub-folder.
///
/// `overlays` says that the configuration directory has the layout of RHDH's export repository.
pub(super) fn of_sub_folder(
    options: &ConfigOptions,
    name: &str,
    root_env: &Env,
    overlays: bool,
) -> Result<WorkspaceConfig> {
    let config_dir = options.config_dir.join(name);
    let (env, env_warnings) = root_env.with_workspace_file(&config_dir.join(env::FILE_NAME))?;
    let file = config_dir.join(source_json::FILE_NAME);
    let json = SourceJson::read_required(&file)?;
    let workspace_path = json.effective_path(name, overlays).ok_or_else(|| no_workspace_path(&file, &json.unknown))?;
    let local = match &options.repo_path {
        _ if !options.use_local => None,
        Some(path) => Some(path.join(name)),
        None => return Err(no_local_tree(options)),
    };
    if let Some(tree) = local.as_ref().filter(|tree| !tree.is_dir()) {
        return Err(Error::config(
            Place::file(tree),
            format!("the local tree of workspace `{name}` does not exist"),
            "with `--use-local`, each workspace's repository lies in `<repo-path>/<workspace>`",
        ));
    }
    let mut warnings = unknown_fields(&file, &json);
    warnings.extend(env_warnings);
    let source = SourceConfig {
        repo: Some(json.repo),
        requested: json.requested,
        workspace_path,
        backstage_version: json.backstage_version,
        local,
    };
    let found = FoundWorkspace { name: name.to_owned(), dir: name.to_owned(), source, env, warnings };
    found.read(options)
}

/// Reads the one workspace of a configuration directory.
pub(super) fn single(
    options: &ConfigOptions,
    env: Env,
    mut warnings: Vec<Warning>,
    overlays: bool,
) -> Result<WorkspaceConfig> {
    let source = single_source(options, &mut warnings, overlays)?;
    let of_repository = || match (&source.repo, &source.local) {
        (Some(repo), _) => repo.name(),
        (None, Some(tree)) => folder_name(tree),
        (None, None) => None,
    };
    let name = own_name(&source.workspace_path, of_repository).unwrap_or_else(|| "workspace".to_owned());
    FoundWorkspace { name, dir: ".".to_owned(), source, env, warnings }.read(options)
}

/// The last segment of a workspace's path, else the name of what it is the root of; none where that cannot be a folder's,
/// as of a repository like `https://host/a\b`.
pub fn own_name(workspace_path: &str, of_repository: impl FnOnce() -> Option<String>) -> Option<String> {
    let name = match workspace_path.rsplit('/').next() {
        Some(last) if last != "." => Some(last.to_owned()),
        _ => of_repository(),
    };
    name.filter(|name| path::inside(name).as_ref() == Ok(name))
}

/// The value of `--workspace-path`, in its normal form.
pub fn workspace_path_option(text: &str) -> Result<String> {
    path::inside(text).map_err(|what| {
        Error::usage(format!("`--workspace-path` {what}"), "give the workspace's path from the repository's root")
    })
}

/// Where the code of the one workspace comes from: `--source-repo`, else `source.json`, else the local code.
fn single_source(options: &ConfigOptions, warnings: &mut Vec<Warning>, overlays: bool) -> Result<SourceConfig> {
    let file = options.config_dir.join(source_json::FILE_NAME);
    let wanted = options.workspace_path.as_deref().filter(|path| !path.is_empty());
    let wanted = wanted.map(workspace_path_option).transpose()?;
    let local = || options.repo_path.clone().filter(|path| has_entries(path));

    if let Some(repo) = options.source_repo.clone().filter(|_| !options.use_local) {
        // The original ignores the whole file then, its workspace-path too.
        if file.exists() {
            warnings.push(Warning::new(Place::file(&file), "is ignored, because `--source-repo` is given"));
        }
        let requested = options.source_ref.clone().unwrap_or_default();
        source_json::check_ref_option("--source-ref", &requested)?;
        let workspace_path = wanted.ok_or_else(|| {
            Error::usage(
                "`--source-repo` needs `--workspace-path`",
                "give the workspace's path from the repository's root, `.` when the repository is the workspace",
            )
        })?;
        Ok(SourceConfig { repo: Some(repo), requested, workspace_path, backstage_version: None, local: None })
    } else if let Some(json) = SourceJson::read(&file)? {
        warnings.extend(unknown_fields(&file, &json));
        let name = folder_name(&options.config_dir);
        let from_file = name.as_deref().and_then(|name| json.effective_path(name, overlays));
        let workspace_path = wanted.or(from_file).ok_or_else(|| no_workspace_path(&file, &json.unknown))?;
        let local = if options.use_local { Some(local().ok_or_else(|| no_local_tree(options))?) } else { None };
        Ok(SourceConfig {
            repo: Some(json.repo),
            requested: json.requested,
            workspace_path,
            backstage_version: json.backstage_version,
            local,
        })
    } else if let Some(tree) = local() {
        if !options.use_local {
            warnings.push(Warning::new(
                Place::file(&file),
                format!("does not exist, so a copy of the code in `{}` is built", tree.display()),
            ));
        }
        let workspace_path = wanted.ok_or_else(|| no_workspace_path(&file, &[]))?;
        Ok(SourceConfig {
            repo: None,
            requested: String::new(),
            workspace_path,
            backstage_version: None,
            local: Some(tree),
        })
    } else if options.use_local {
        Err(no_local_tree(options))
    } else {
        Err(no_source(options, &file))
    }
}

/// A workspace of which the source is known, and its files are not read yet.
struct FoundWorkspace {
    name: String,
    dir: String,
    source: SourceConfig,
    env: Env,
    warnings: Vec<Warning>,
}

impl FoundWorkspace {
    fn read(self, options: &ConfigOptions) -> Result<WorkspaceConfig> {
        let Self { name, dir, source, env, mut warnings } = self;
        let config_dir = if dir == "." { options.config_dir.clone() } else { options.config_dir.join(&dir) };
        let list_path = config_dir.join(plugins_list::FILE_NAME);
        let list = PluginsList::read(&list_path)?;
        let inputs = inputs::read(&options.config_dir, &config_dir, list.as_ref())?;
        warnings.extend(inputs.warnings);
        Ok(WorkspaceConfig {
            name,
            dir,
            config_dir,
            source,
            list,
            list_path,
            inputs: inputs.files,
            supported_versions: inputs.supported_versions,
            env,
            warnings,
        })
    }
}

fn unknown_fields(file: &Path, json: &SourceJson) -> Vec<Warning> {
    json.unknown
        .iter()
        .map(|name| {
            let meant = misspelt(name, source_json::FIELDS.into_iter());
            let meant = meant.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
            Warning::new(Place::file(file), format!("the field `{}` is not known{meant}", name.escape_debug()))
        })
        .collect()
}

fn has_entries(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// The name of a folder, also of one that is written `.` or `..`.
fn folder_name(path: &Path) -> Option<String> {
    path.canonicalize().ok()?.file_name()?.to_str().map(str::to_owned)
}

fn no_workspace_path(file: &Path, unknown: &[String]) -> Error {
    let what = "nothing says which folder of the repository is the workspace";
    let is_meant = |name: &&String| misspelt(name, source_json::FIELDS.into_iter()) == Some("workspace-path");
    if let Some(name) = unknown.iter().find(is_meant) {
        let what = format!("{what}, and the field `{}` is not known", name.escape_debug());
        return Error::config(Place::file(file), what, "did you mean `workspace-path`?");
    }
    Error::config(
        Place::file(file),
        what,
        "give `--workspace-path`, or write `\"workspace-path\"` in source.json; `.` when the repository is the workspace",
    )
}

fn no_local_tree(options: &ConfigOptions) -> Error {
    let (what, hint) = match &options.repo_path {
        Some(path) => (
            format!("`--use-local` is given, but `{}` is empty or does not exist", path.display()),
            "put the repository's code there, or name its folder with `--repo-path`",
        ),
        None => {
            ("`--use-local` is given without `--repo-path`".to_owned(), "name the code's folder with `--repo-path`")
        }
    };
    Error::usage(what, hint)
}

fn no_source(options: &ConfigOptions, file: &Path) -> Error {
    // The root of RHDH's export repository holds its workspaces one folder deeper.
    let below = options.config_dir.join("workspaces");
    let hint = if sub_folders(&below).is_ok_and(|(names, _)| !names.is_empty()) {
        format!("the workspaces are in `{0}`: give `--config-dir {0}`", below.display())
    } else {
        "write a source.json, give `--source-repo`, or put the code in `--repo-path` and give `--use-local`".to_owned()
    };
    Error::config(Place::file(file), "does not exist, and there is no local code to build", hint)
}
