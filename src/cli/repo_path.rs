//! `--repo-path`: where local code is taken from, and where a copy of fetched and patched code is left to look at.
//!
//! The original clones into this folder and builds there. Here a build has its own place; the folder gets a copy when
//! it is named, or when `/source` is mounted. As in the original it is emptied first, after a question.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::session::Session;
use super::source_options::SourceArgs;
use super::{GlobalArgs, paths};
use crate::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::store::git::Network;
use crate::ui::Ui;

/// Where the sources of a build come from, and where a copy of them goes.
pub struct Sources {
    /// How repositories are reached.
    pub network: Network,
    /// The local tree of workspaces that are not pinned.
    pub local: Option<PathBuf>,
    /// Where a copy of the patched source is left.
    pub source_copy: Option<PathBuf>,
}

impl Sources {
    /// Sources of which no copy is left.
    pub fn without_copy(config: &Config, args: &SourceArgs, ui: &Arc<Ui>) -> Self {
        let local = config.workspaces.iter().any(|workspace| workspace.source.local.is_some()) || args.use_local;
        let folder = args.repo_path.clone().unwrap_or_else(|| MOUNT.into());
        Self { network: args.network(ui), local: local.then_some(folder), source_copy: None }
    }
}

/// The folder in the container.
pub const MOUNT: &str = "/source";

/// `--repo-path` of one run.
pub struct RepoPath<'a> {
    pub session: &'a Session<'a>,
    /// The options that name the folder.
    pub source: &'a SourceArgs,
    /// Where results go.
    pub output_dir: &'a Path,
    /// Empty the folder without asking.
    pub clean: bool,
}

impl RepoPath<'_> {
    /// Finds the sources of the workspaces that are named (all when none is), and empties the folder of copies when the
    /// user agrees to it.
    pub fn prepare(&self, config: &Config, names: &[String]) -> Result<Sources> {
        let folder = self.source.repo_path.clone().unwrap_or_else(|| MOUNT.into());
        let without_copy = Sources::without_copy(config, self.source, &self.session.ui);
        let wanted = self.source.repo_path.is_some() || folder.is_dir();
        if without_copy.local.is_some() || !wanted || config.workspaces.is_empty() {
            return Ok(without_copy);
        }
        let places = match config.mode {
            Mode::Multi if !names.is_empty() => names.iter().map(|name| folder.join(name)).collect(),
            _ => vec![folder.clone()],
        };
        for place in places.iter().filter(|place| has_entries(place)) {
            self.empty(place)?;
        }
        Ok(Sources { source_copy: Some(folder), ..without_copy })
    }

    fn empty(&self, folder: &Path) -> Result<()> {
        let ui = &self.session.ui;
        if let Some(what) = protected(self.session.global, folder, self.output_dir)? {
            return Err(Error::usage(
                format!("`--repo-path` is `{}`, which contains {what}: it cannot be emptied", folder.display()),
                "name a folder for the source code alone, or give `--use-local` to build the code that is in it",
            ));
        }
        if !self.clean {
            self.confirm(folder)?;
        }
        ui.note(format!("removing what is in {}", folder.display()));
        for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
            let entry = entry.map_err(Error::io("read", folder))?;
            let path = entry.path();
            // The folder itself stays: it may be a mount. A link is removed, not what it points to.
            let removed = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    fn confirm(&self, folder: &Path) -> Result<()> {
        let question = format!("`{}` is not empty. Remove everything in it?", folder.display());
        match self.session.ui.ask(&question) {
            Some(true) => Ok(()),
            Some(false) => Err(Error::usage(
                format!("`{}` is left as it is, so nothing is built", folder.display()),
                "give another `--repo-path`, or `--use-local` to build the code that is in it",
            )),
            None => Err(Error::usage(
                format!(
                    "`{}` is not empty, and there is no terminal to confirm that it may be emptied",
                    folder.display()
                ),
                "give `--clean` to empty it, another `--repo-path`, or `--use-local` to build the code that is in it",
            )),
        }
    }
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// What the folder contains, or is, that must not be removed.
fn protected(global: &GlobalArgs, folder: &Path, output_dir: &Path) -> Result<Option<&'static str>> {
    let folder = folder.canonicalize().map_err(Error::io("open", folder))?;
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let here = std::env::current_dir().ok();
    let own = [
        ("the configuration", Some(paths::config_dir(global))),
        ("the lock", Some(paths::lock_file(global, Some(output_dir)))),
        ("the output folder", Some(output_dir.to_path_buf())),
        ("the cache", paths::cache_dir(global).ok()),
        ("your home folder", home),
        ("the folder you are in", here),
    ];
    Ok(own
        .into_iter()
        .find(|(_, path)| {
            path.as_ref().and_then(|path| path.canonicalize().ok()).is_some_and(|p| p.starts_with(&folder))
        })
        .map(|(what, _)| what))
}
