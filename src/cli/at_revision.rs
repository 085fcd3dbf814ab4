//! `REV:path` for `--config-dir` and `--lock-file`: what a commit has is laid out in a temporary folder for the run.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Command, GlobalArgs};
use crate::audit::diff_side;
use crate::audit::git_revision::{Revision, TreePathKind};
use crate::config::source_json;
use crate::error::{Error, Result};

/// Folders of commits that are laid out.
#[derive(Clone, Debug, Default)]
pub struct LaidOut(Vec<LaidFolder>);

#[derive(Clone, Debug)]
struct LaidFolder {
    /// Where it is.
    place: PathBuf,
    /// What it is called: `v1:config`.
    name: String,
    /// Where it is in the work tree, or would be.
    in_work_tree: PathBuf,
}

impl LaidOut {
    /// Where a path is in the work tree: relative repositories start there.
    pub fn in_work_tree(&self, path: &Path) -> PathBuf {
        let of = |folder: &LaidFolder| Some(folder.in_work_tree.join(path.strip_prefix(&folder.place).ok()?));
        self.0.iter().find_map(of).unwrap_or_else(|| path.to_path_buf())
    }

    /// A path as it was named.
    pub fn shown(&self, path: &Path) -> String {
        let path = path.display().to_string();
        self.names().fold(path, |path, (place, name)| path.replace(&place, name))
    }

    /// The paths of folders, and what they are called.
    pub fn names(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(|folder| {
            // `v1:` is the root: what lies in it is `v1:factory.lock`.
            let slash = if folder.name.ends_with(':') { "/" } else { "" };
            (format!("{}{slash}", folder.place.display()), folder.name.as_str())
        })
    }
}

/// Lays out what the options name of commits, and has them name where it is. It is removed with what is returned.
pub(super) fn lay_out(global: &mut GlobalArgs, command: Option<&Command>) -> Result<Option<TempDir>> {
    let of = |path: &Option<PathBuf>| path.as_deref().and_then(split);
    let (config, lock) = (of(&global.config_dir), of(&global.lock_file));
    if config.is_none() && lock.is_none() {
        refuse_commits(global, command)?;
    }
    let Some(named) = config.as_ref().or(lock.as_ref()) else { return Ok(None) };
    if !reads_alone(command, named)? {
        return Ok(None);
    }
    let scratch = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    if let Some(config) = config {
        global.config_dir = Some(folder(&config, TreePathKind::Folder, &scratch.path().join("c"), global)?);
    }
    if let Some(lock) = lock {
        let place = folder(&lock, TreePathKind::File, &scratch.path().join("l"), global)?;
        let file = place.join(Path::new(&lock.1).file_name().unwrap_or_default());
        if global.config_dir.is_none() && has_configuration(&place) {
            global.config_dir = Some(place);
        }
        global.lock_file = Some(file);
    }
    Ok(Some(scratch))
}

/// Err for a commit that is given without a path, to a command that only reads a lock and a configuration.
fn refuse_commits(global: &GlobalArgs, command: Option<&Command>) -> Result<()> {
    let here = std::env::current_dir().map_err(Error::io("find", "the current directory"))?;
    let is_lock = global.lock_file.is_some();
    let Some(rev) = global.lock_file.as_ref().or(global.config_dir.as_ref()) else { return Ok(()) };
    let Some(name) = rev.to_str().filter(|_| !rev.exists() && only_reads(command)) else { return Ok(()) };
    let Ok(revision) = Revision::open(&here, name) else { return Ok(()) };
    let lock = diff_side::lock_in(&revision);
    let (what, path) = match lock.rsplit_once('/') {
        _ if is_lock => ("the lock file", lock.as_str()),
        Some((folder, _)) => ("the configuration directory", folder),
        None => ("the configuration directory", ""),
    };
    let name = name.escape_debug();
    let hint = format!("it is a commit: give {what} in it as `{name}:{path}`");
    Err(Error::usage(format!("{what} `{name}` does not exist"), hint))
}

/// True for a command that reads a lock and a configuration, and takes them of a commit.
fn only_reads(command: Option<&Command>) -> bool {
    matches!(
        command,
        Some(
            Command::Build(_)
                | Command::Fetch(_)
                | Command::Verify(_)
                | Command::Status(_)
                | Command::Sbom(_)
                | Command::Why(_)
                | Command::Audit(_)
                | Command::Diff(_)
                | Command::Plan(_)
        )
    )
}

/// The commit and the path that `REV:path` names; none for what is a path.
fn split(path: &Path) -> Option<(String, String)> {
    let (rev, below) = path.to_str()?.split_once(':')?;
    (!rev.is_empty() && !path.exists()).then(|| (rev.to_owned(), below.to_owned()))
}

/// True for a command that reads a lock and a configuration, false for one that reads none.
fn reads_alone(command: Option<&Command>, (rev, path): &(String, String)) -> Result<bool> {
    let (name, hint) = match command {
        Some(Command::Build(args)) if !args.flags.frozen => ("build", "add `--frozen`: then nothing is written"),
        _ if only_reads(command) => return Ok(true),
        Some(Command::Join(_)) => ("join", "check the commit out, or name a folder"),
        Some(Command::Resolve(_)) => ("resolve", "check the commit out, or name a folder"),
        Some(Command::Run(_)) | None => ("run", "build a release again with `factory build --frozen`"),
        Some(Command::Outdated(_)) => ("outdated", "check the commit out, or name a folder"),
        Some(Command::Doctor(_)) => ("doctor", "check the commit out, or name a folder"),
        Some(_) => return Ok(false),
    };
    let what = format!("`{rev}:{path}` is of a commit, and `factory {name}` needs a folder that it can write to");
    Err(Error::usage(what, hint))
}

/// Lays out the folder that is named, or that of the file; returns where.
fn folder(
    (rev, below): &(String, String),
    wanted: TreePathKind,
    scratch: &Path,
    global: &mut GlobalArgs,
) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::io("find", "the current directory"))?;
    let revision = Revision::open(&here, rev)?;
    let path = revision.path(&here, below)?;
    if revision.kind(&path)? != Some(wanted) {
        let what = if wanted == TreePathKind::File { "file" } else { "folder" };
        return Err(Error::usage(
            format!("there is no {what} `{}` in `{}`", path.escape_debug(), rev.escape_debug()),
            "paths in a commit start at the repository's root, or with `./` in this folder",
        ));
    }
    let dir = match wanted {
        TreePathKind::Folder => path.as_str(),
        TreePathKind::File => path.rsplit_once('/').map_or("", |(dir, _)| dir),
    };
    let place = revision.lay_out(dir, scratch)?;
    let in_work_tree = revision.in_work_tree(dir).unwrap_or_else(|| place.clone());
    global.laid_out.0.push(LaidFolder { place: place.clone(), name: format!("{rev}:{dir}"), in_work_tree });
    Ok(place)
}

/// True for a folder with a source.json, or with a folder that has one.
fn has_configuration(folder: &Path) -> bool {
    let has = |folder: &Path| folder.join(source_json::FILE_NAME).is_file();
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    has(folder) || folders.into_iter().any(|entry| has(&entry.path()))
}
