//! What is read of a workspace before and after one of its patches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::effective::EffectiveTree;
use super::source_files::Files;
use crate::config::WorkspaceConfig;
use crate::error::{Error, Place, Result};
use crate::lock::{Input, Sha256, at};
use crate::overlay::patch::PatchText;
use crate::overlay::{is_patch, read_input};
use crate::tools::provide::Provider;
use crate::user_file;
use crate::yarn::lockfile::YarnLock;

/// A workspace before and after a patch.
pub struct PatchSides {
    /// After the patches whose names come before.
    pub before: PatchedFiles,
    /// After this one too.
    pub after: PatchedFiles,
    /// The files that it changes, makes or removes, from the workspace's folder, sorted.
    pub changed: Vec<String>,
}

/// What is read of one side.
#[derive(Default)]
pub struct PatchedFiles {
    /// The `yarn.lock`.
    pub lockfile: Vec<u8>,
    /// The `package.json` files by folder from the workspace.
    pub manifests: BTreeMap<String, Vec<u8>>,
}

/// Reads both sides. `open` gives the source, which has no patches yet.
pub fn sides(
    provider: &Provider<'_>,
    config: &WorkspaceConfig,
    patch: &Path,
    open: &dyn Fn() -> Result<Files>,
) -> Result<PatchSides> {
    let runtime = tokio::runtime::Handle::current();
    let bytes = user_file::read(patch, user_file::DOCUMENT).map_err(unreadable(patch))?;
    let name = patch.file_name().and_then(|name| name.to_str()).map(|name| format!("patches/{name}"));
    let name = name.filter(|name| is_patch(name)).ok_or_else(|| {
        Error::usage(format!("`{}` is not called `….patch`", patch.display()), "builds apply `patches/*.patch` alone")
    })?;
    // The patches that come before it, and it: the configuration may have another of its name, or none.
    let folder = provider.store.scratch()?;
    let mut inputs = Vec::new();
    for input in config.inputs.iter().filter(|input| is_patch(&input.path) && input.path < name) {
        write(folder.path(), &input.path, &read_input(&config.config_dir, input)?)?;
        inputs.push(input.clone());
    }
    write(folder.path(), &name, &bytes)?;
    let side = |inputs: Vec<Input>| {
        let config = WorkspaceConfig { inputs, config_dir: folder.path().to_path_buf(), ..config.clone() };
        let source = open()?;
        EffectiveTree { provider, runtime: &runtime, config: &config }.of(source).map_err(unapplied)
    };
    let before = side(inputs.clone())?;
    inputs.push(Input { path: name, sha256: Sha256::of(&bytes), executable: false });
    let after = side(inputs)?;
    let root = &config.source.workspace_path;
    let mut changed = BTreeSet::new();
    let text = PatchText::parse(&bytes);
    // No path of them is read from a tree: they count as changed.
    changed.extend(text.unreadable());
    for path in text.touched() {
        let place = at(root, &path);
        if before.read(&place)? != after.read(&place)? {
            changed.insert(path);
        }
    }
    Ok(PatchSides {
        before: read(config, &before)?,
        after: read(config, &after).map_err(|error| broken(&patch.display().to_string(), error))?,
        changed: changed.into_iter().collect(),
    })
}

/// The error of a patch that cannot be read.
pub fn unreadable(patch: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::usage(format!("cannot read `{}`: {source}", patch.display()), "name the file of a patch")
}

/// The error of files that are well-formed before a patch and not so after it: the patch is what is wrong.
pub fn broken(patch: &str, error: Error) -> Error {
    match error {
        Error::Config { place, what, .. } => {
            let what = format!("`{patch}` breaks `{}`: {what}", place.to_string().escape_debug());
            Error::Build { what, tail: Vec::new(), hint: "correct the patch".to_owned() }
        }
        other => other,
    }
}

/// A patch that does not apply is one of the configuration, or of the command line: nothing was built.
fn unapplied(error: Error) -> Error {
    match error {
        Error::Build { what, hint, .. } => Error::usage(what, hint),
        other => other,
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    fs::write(&path, bytes).map_err(Error::io("write", &path))
}

fn read(config: &WorkspaceConfig, files: &Files) -> Result<PatchedFiles> {
    let root = &config.source.workspace_path;
    let path = at(root, "yarn.lock");
    let lockfile = files.read(&path)?.ok_or_else(|| {
        Error::config(
            Place::file(format!("{}: {path}", config.name)),
            "is not in the source",
            "set `workspace-path` to the folder of the yarn workspace in the repository",
        )
    })?;
    let mut manifests: BTreeMap<String, Vec<u8>> = files.manifests(root)?.into_iter().collect();
    files.add_manifests(root, &YarnLock::parse(&lockfile, Path::new(&path))?, &mut manifests)?;
    Ok(PatchedFiles { lockfile, manifests })
}
