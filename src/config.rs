//! What the user wrote, read and validated. Nothing is changed here, and nobody is asked over the network.
//!
//! [`Config::read`] is the entry. In the order of the data: [`options`] and [`env`](mod@env) (checked against
//! [`variables`]) say where to look; [`workspaces`] finds the workspaces of a configuration directory and puts
//! together, for each, [`source_json`] (where its code comes from), [`plugins_list`] (what is built of it) and
//! [`inputs`] (the files that change it). [`layout`] says
//! whether a directory is for one workspace or for several. [`versions_json`] is what RHDH's export repository pins for a release,
//! [`tag_prefix`] the rule for its image tags. All files are read through [`text`], all paths through
//! [`path`](mod@path); what is suspicious and no error is a [`warning`].

use std::path::{Path, PathBuf};

use crate::config::env::EnvOrigin;
use crate::config::variables::HOST_LOCKFILE;
use crate::error::Place;
use crate::lock::Lock;
use crate::lock::companions::FOLDER_NAME;
use crate::lock::text::FILE_NAME;
use crate::{Error, Result};

pub mod env;
pub mod inputs;
pub mod layout;
pub mod options;
pub mod path;
pub mod plugins_list;
pub mod source_json;
pub mod tag_prefix;
pub mod text;
pub mod variables;
pub mod versions_json;
pub mod warning;
pub mod workspaces;

pub use env::Env;
pub use layout::ConfigLayout;
pub use options::ConfigOptions;
pub use plugins_list::PluginsList;
pub use source_json::Repo;
pub use tag_prefix::TagPrefix;
pub use versions_json::Versions;
pub use warning::Warning;
pub use workspaces::{Broken, SourceConfig, WorkspaceConfig};

/// A configuration directory, read.
#[derive(Debug)]
pub struct Config {
    /// The directory.
    pub dir: PathBuf,
    /// One workspace, or many.
    pub mode: Mode,
    /// RHDH's `versions.json`, where there is one.
    pub versions: Option<Versions>,
    /// The environment that holds for all workspaces: without any workspace's own `.env`.
    pub env: Env,
    /// The workspaces that can be built, sorted by name.
    pub workspaces: Vec<WorkspaceConfig>,
    /// Those that cannot, sorted by name; only in [`Mode::Multi`].
    pub broken: Vec<Broken>,
    /// What a person should look at and belongs to no workspace.
    pub warnings: Vec<Warning>,
}

/// How many workspaces a configuration directory is for. It says where outputs go, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The directory itself is the workspace's configuration.
    Single,
    /// Each sub-folder with a `source.json` is one's.
    Multi,
}

/// Entries of a multi-workspace directory that are not workspaces and belong there.
const KNOWN_AT_ROOT: &[&str] = &[FILE_NAME, FOLDER_NAME, versions_json::FILE_NAME, "README.md", "LICENSE"];

impl Config {
    /// Reads a configuration directory.
    ///
    /// As in the original, sub-folders with a `source.json` make it a multi-workspace directory, whatever lies at its
    /// root; a `source.json` there is then named in the warning about stray files. The error of one of many workspaces
    /// stays with that workspace, the error of a single one is the result.
    pub fn read(options: &ConfigOptions) -> Result<Self> {
        let dir = &options.config_dir;
        let mut warnings = Vec::new();
        if !dir.is_dir() {
            // `--source-repo` alone says enough to build a workspace whose plugins are discovered.
            let (place, what) = (Place::file(dir), "the configuration directory does not exist");
            if dir.exists() || (options.source_repo.is_none() && !options.use_local) {
                let hint = "write one with `factory init`, name it with `--config-dir`, or mount it at `/config`";
                return Err(Error::config(place, what, hint));
            }
            warnings.push(Warning::new(place, what));
        }
        let mut versions = Versions::find(dir)?;
        warnings.extend(versions.as_mut().and_then(Versions::refuse_other_cli));
        let overlays = versions.is_some() || versions_json::overlays_root(dir).is_some();
        let (env, env_warnings) = options.env.with_file(&dir.join(env::FILE_NAME))?;
        let (names, hidden) = workspaces::sub_folders(dir)?;
        warnings.extend(hidden.iter().map(|name| {
            let what = "has a source.json, and is no workspace since its name begins with a dot: rename it";
            Warning::new(Place::file(dir.join(name)), what)
        }));
        let mut config = Self {
            dir: dir.clone(),
            mode: if names.is_empty() { Mode::Single } else { Mode::Multi },
            versions,
            env,
            workspaces: Vec::new(),
            broken: Vec::new(),
            warnings,
        };
        if config.mode == Mode::Single {
            refuse_ref_alone(options)?;
            config.workspaces.push(workspaces::single(options, config.env.clone(), env_warnings, overlays)?);
            return Ok(config);
        }
        refuse_single_options(options)?;
        config.warnings.extend(env_warnings);
        let host = config.host_lockfile();
        config.warnings.extend(strays(dir, &names, host.as_deref())?);
        for name in names {
            match workspaces::of_sub_folder(options, &name, &config.env, overlays) {
                Ok(workspace) => config.workspaces.push(workspace),
                Err(error) => config.broken.push(Broken { name, error }),
            }
        }
        Ok(config)
    }

    /// Err when a name is none of the workspaces'.
    pub fn check_names(&self, names: &[String]) -> Result<()> {
        let known: Vec<_> = self.names().map(str::to_owned).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            return Err(Error::usage(
                format!("there is no workspace `{unknown}` in `{}`", self.dir.display()),
                format!("the workspaces are: {}", known.join(", ")),
            ));
        }
        Ok(())
    }

    /// RHDH's yarn.lock, where the directory's own `.env` names it, by a path from there.
    pub fn host_lockfile(&self) -> Option<PathBuf> {
        let Some(EnvOrigin::File(place)) = self.env.origin(HOST_LOCKFILE) else { return None };
        let folder = place.path.parent().unwrap_or(Path::new(""));
        self.env.given(HOST_LOCKFILE).map(|file| folder.join(file))
    }

    /// Takes the plugins out of a lock's `unlisted` that a list has or leaves out by now: a comment makes no lock stale.
    pub fn forget_listed(&self, lock: &mut Lock) {
        for workspace in &mut lock.workspace {
            let config = self.workspaces.iter().find(|config| config.name == workspace.name);
            if let Some(list) = config.and_then(|config| config.list.as_ref()) {
                workspace.unlisted.retain(|path| !list.names(path));
            }
        }
    }

    /// The names of all workspaces, those that cannot be read too, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<_> = self.workspaces.iter().map(|workspace| workspace.name.as_str()).collect();
        names.extend(self.broken.iter().map(|broken| broken.name.as_str()));
        names.sort_unstable();
        names.into_iter()
    }
}

fn refuse_ref_alone(options: &ConfigOptions) -> Result<()> {
    if options.source_ref.is_some() && options.source_repo.is_none() {
        let hint = "give both, or write `repo-ref` in source.json";
        return Err(Error::usage("`--source-ref` needs `--source-repo`", hint));
    }
    Ok(())
}

fn refuse_single_options(options: &ConfigOptions) -> Result<()> {
    let given = [
        ("--source-repo", options.source_repo.is_some(), "its source"),
        ("--source-ref", options.source_ref.is_some(), "its source"),
        ("--workspace-path", options.workspace_path.is_some(), "its workspace-path"),
    ];
    match given.into_iter().find(|&(_, given, _)| given) {
        None => Ok(()),
        Some((flag, _, what)) => Err(Error::usage(
            format!(
                "`{flag}` cannot be used with the several workspaces of `{}`: each says {what} in its own source.json",
                options.config_dir.display()
            ),
            format!("leave out `{flag}`, or name one workspace's folder with `--config-dir`"),
        )),
    }
}

/// What lies at a multi-workspace root and belongs to no workspace, in one warning.
fn strays(dir: &Path, names: &[String], host: Option<&Path>) -> Result<Option<Warning>> {
    let mut strays = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let entry = entry.map_err(Error::io("read", dir))?;
        if host.is_some_and(|host| host.starts_with(entry.path())) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().escape_debug().to_string();
        if name.starts_with('.') || KNOWN_AT_ROOT.contains(&name.as_str()) || names.contains(&name) {
            continue;
        }
        strays.push(if entry.path().is_dir() { format!("`{name}/` (no source.json)") } else { format!("`{name}`") });
    }
    strays.sort_unstable();
    Ok((!strays.is_empty()).then(|| {
        Warning::new(Place::file(dir), format!("not used, because they belong to no workspace: {}", strays.join(", ")))
    }))
}

#[cfg(test)]
mod tests;
