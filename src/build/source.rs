//! The pinned source on disk: a commit's tree, or a copy of a local one.

use std::fs;
use std::path::Path;

use super::Shared;
use super::checkout::checkout;
use crate::error::{Error, Result};
use crate::lock::Workspace;
use crate::store::git::SourceUrl;

/// Folders of a local tree that are not copied: what installs and builds made there is made again.
const NOT_COPIED: [&str; 4] = [".git", "node_modules", "dist-dynamic", "dist-types"];

/// Lays the source of a workspace into `to`, an empty folder.
pub fn lay(shared: &Shared, workspace: &Workspace, to: &Path) -> Result<()> {
    let options = &shared.options;
    let Some(commit) = &workspace.source.commit else {
        let from = options.local.as_ref().ok_or_else(|| {
            Error::usage(
                format!("workspace `{}` was resolved from a local tree", workspace.name),
                "build it with `--use-local` and `--repo-path`, or run `factory resolve` to pin a commit",
            )
        })?;
        let from = if workspace.dir == "." { from.clone() } else { from.join(&workspace.name) };
        shared.ui.warn(format!("{}: built from a local tree, which is not a pin", workspace.name));
        return copy(shared, &from, to);
    };
    let base = options.config_dir.join(&workspace.dir);
    let url = SourceUrl::parse(&workspace.source.repo, &base)?;
    let interrupt = shared.interrupt.flag();
    let repository = shared.store.repository(&url, interrupt)?;
    let tree = if options.offline {
        repository.tree(commit)?.ok_or_else(|| {
            Error::network(
                format!(
                    "commit {commit} of `{}` is not in the cache, and `--offline` allows no network",
                    workspace.source.repo
                ),
                "run `factory fetch` with a network first",
            )
        })?
    } else {
        repository.fetch(commit, &options.network, interrupt)?
    };
    let written = checkout(&tree, ".", to, interrupt)?;
    for warning in written.warnings {
        shared.ui.warn(format!("{}: {warning}", workspace.name));
    }
    Ok(())
}

/// Copies a tree; the original is only read. Links are copied as links.
fn copy(shared: &Shared, from: &Path, to: &Path) -> Result<()> {
    shared.interrupt.check()?;
    for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
        let entry = entry.map_err(Error::io("read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_symlink() {
            let link = fs::read_link(&path).map_err(Error::io("read", &path))?;
            std::os::unix::fs::symlink(link, &target).map_err(Error::io("create", &target))?;
        } else if kind.is_dir() {
            if !NOT_COPIED.iter().any(|name| entry.file_name() == *name) {
                fs::create_dir(&target).map_err(Error::io("create", &target))?;
                copy(shared, &path, &target)?;
            }
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(Error::io("copy", &path))?;
        }
    }
    Ok(())
}
