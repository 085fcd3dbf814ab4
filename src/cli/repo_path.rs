//! `--repo-path`: where local code is taken from, and where a copy of fetched and patched code is left to look at.
//!
//! The original clones into this folder and builds there. Here a build has its own place; the folder gets a copy when
//! it is named, or when `/source` is mounted. As in the original it is emptied first, after a question.

use std::fs;
use std::path::{Path, PathBuf};

use super::session::Session;
use super::source::SourceArgs;
use super::{GlobalArgs, paths};
use crate::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::store::git::Network;

/// How a build gets at its sources, and what it leaves of them.
pub struct Sources {
    /// How repositories are reached.
    pub network: Network,
    /// The local tree of workspaces that are not pinned.
    pub local: Option<PathBuf>,
    /// Where a copy of the patched source is left.
    pub source_copy: Option<PathBuf>,
}

impl Sources {
    /// Sources of which nothing is left to look at.
    pub fn unseen(config: &Config, args: &SourceArgs) -> Self {
        let local = config.workspaces.iter().any(|workspace| workspace.source.local.is_some()) || args.use_local;
        let folder = args.repo_path.clone().unwrap_or_else(|| MOUNT.into());
        Self { network: args.network(), local: local.then_some(folder), source_copy: None }
    }
}

/// The folder in the container.
pub const MOUNT: &str = "/source";

/// Finds out, and empties the folder of copies when the user agrees to it.
pub fn prepare(
    session: &Session<'_>,
    config: &Config,
    names: &[String],
    args: &SourceArgs,
    output_dir: &Path,
    clean: bool,
) -> Result<Sources> {
    let folder = args.repo_path.clone().unwrap_or_else(|| MOUNT.into());
    let unseen = Sources::unseen(config, args);
    let wanted = args.repo_path.is_some() || folder.is_dir();
    if unseen.local.is_some() || !wanted || config.workspaces.is_empty() {
        return Ok(unseen);
    }
    let places = match config.mode {
        Mode::Multi if !names.is_empty() => names.iter().map(|name| folder.join(name)).collect(),
        _ => vec![folder.clone()],
    };
    for place in places.iter().filter(|place| has_entries(place)) {
        make_room(session, place, output_dir, clean)?;
    }
    Ok(Sources { source_copy: Some(folder), ..unseen })
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn make_room(session: &Session<'_>, folder: &Path, output_dir: &Path, clean: bool) -> Result<()> {
    if let Some(what) = held(session.global, folder, output_dir)? {
        return Err(Error::usage(
            format!("`--repo-path` is `{}`, which holds {what}: it cannot be emptied", folder.display()),
            "name a folder for the source code alone, or give `--use-local` to build the code that is in it",
        ));
    }
    if !clean {
        let question = format!("`{}` is not empty. Remove everything in it?", folder.display());
        match session.ui.ask(&question) {
            Some(true) => {}
            Some(false) => {
                return Err(Error::usage(
                    format!("`{}` is left as it is, so nothing is built", folder.display()),
                    "give another `--repo-path`, or `--use-local` to build the code that is in it",
                ));
            }
            None => {
                return Err(Error::usage(
                    format!(
                        "`{}` is not empty, and there is nobody to ask whether it may be emptied",
                        folder.display()
                    ),
                    "give `--clean` to empty it, another `--repo-path`, or `--use-local` to build the code that is in it",
                ));
            }
        }
    }
    session.ui.note(format!("removing what is in {}", folder.display()));
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

/// What of the user's or of factory's own lies in the folder, or is the folder.
fn held(global: &GlobalArgs, folder: &Path, output_dir: &Path) -> Result<Option<&'static str>> {
    let folder = folder.canonicalize().map_err(Error::io("open", folder))?;
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let here = std::env::current_dir().ok();
    let own = [
        ("the configuration", Some(paths::config_dir(global))),
        ("the lock", Some(paths::lock_file(global))),
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
