//! The pinned source on disk: the tree of a commit, or a copy of a local tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::checkout::{CheckedOut, checkout};
use super::context::Shared;
use crate::error::{Error, Place, Result};
use crate::lock::recipe::FIRST;
use crate::lock::text::FILE_NAME;
use crate::lock::{PartContent, Sha256, Workspace, at};
use crate::overlay;
use crate::overlay::source_parts::LaidSource;
use crate::store::UntrustedTree;
use crate::store::git::{SourceUrl, Tree};
use crate::ui::some_names;

/// The largest `yarn.lock` that is read, in bytes.
pub(super) const LARGEST_LOCKFILE: u64 = 64 << 20;

/// Folders of a local tree that are not copied: what installs and builds made there is made again.
const NOT_COPIED: [&str; 4] = [".git", "node_modules", "dist-dynamic", "dist-types"];

/// Writes the source of a workspace to `to`, an empty folder.
pub fn write(shared: &Shared, workspace: &Workspace, to: &Path) -> Result<()> {
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
        return copy(shared, &from, to, &NOT_COPIED);
    };
    tracing::debug!("{}: check out {commit} of `{}`", workspace.name, workspace.source.repo);
    let url = url(shared, workspace)?;
    let written = match write_commit(shared, &url, commit, to) {
        Err(Error::Damaged { url: name, cause }) => {
            shared.store.remove_repository(&url, shared.interrupt.flag())?;
            let what = format!("the cache's copy of the repository `{name}` was damaged and is removed: {cause}");
            if options.offline {
                return Err(Error::network(what, "run `factory fetch` with a network to fetch it again"));
            }
            shared.ui.warn(format!("{}: {what}", workspace.name));
            write_commit(shared, &url, commit, to)?
        }
        other => other?,
    };
    for warning in written.warnings {
        shared.ui.warn(format!("{}: {warning}", workspace.name));
    }
    check_yarn_lock(shared, workspace, commit, to)
}

/// Warns of what is changed in a local repository since the locked commit: a build does not see it.
pub fn warn_of_uncommitted(shared: &Shared, workspace: &Workspace) {
    let Some(commit) = &workspace.source.commit else { return };
    let Ok(url) = url(shared, workspace) else { return };
    if url.local_path().is_none() {
        return;
    }
    let Ok(repository) = shared.store.repository(&url, shared.interrupt.flag()) else { return };
    let changed = repository.uncommitted(commit, &workspace.source.path);
    if !changed.is_empty() {
        let names = some_names(changed.iter());
        shared.ui.warn(format!("{}: uncommitted changes in `{url}` are not built: {names}", workspace.name));
    }
}

/// Hands over the workspace's commit with what patches and overlays made of it, which lies in `laid`, its checkout.
pub fn with_laid<T>(
    shared: &Shared,
    workspace: &Workspace,
    laid: &Path,
    use_it: impl FnOnce(&LaidSource<'_>) -> Result<T>,
) -> Result<T> {
    let commit = workspace.source.commit.as_deref().unwrap_or_default();
    let tree = known_tree(shared, &url(shared, workspace)?, commit)?;
    let tree = tree.ok_or_else(|| Error::usage(format!("commit {commit} is gone from the cache"), "build again"))?;
    let touched = touched(shared, workspace)?;
    use_it(&LaidSource { tree: &tree, touched: &touched, laid })
}

/// The sources of the plugins must be those of the commit, as far as the cache has it: a lock in which only one of both
/// was changed speaks of no tree. What patches and overlays may change is not looked at.
pub fn check_sources(shared: &Shared, workspace: &Workspace) -> Result<()> {
    let Some(commit) = workspace.source.commit.as_deref().filter(|_| workspace.recipe != FIRST) else { return Ok(()) };
    let Ok(Some(tree)) = known_tree(shared, &url(shared, workspace)?, commit) else { return Ok(()) };
    let touched = touched(shared, workspace)?;
    for plugin in &workspace.plugin {
        let wrong = plugin.sources.iter().filter(|part| !touched.contains(&part.path)).find(|part| {
            let PartContent::Git { mode, id } = &part.content else { return part.content == PartContent::Gone };
            tree.git_entry(&part.path).is_ok_and(|there| there.as_ref() != Some(&(*mode, id.clone())))
        });
        if let Some(part) = wrong {
            return Err(Error::Lock {
                place: Place::file(shared.options.lock_dir.join(FILE_NAME)),
                what: format!(
                    "plugin `{}` of workspace `{}`: the source `{}` is not what commit {commit} has",
                    plugin.path, workspace.name, part.path
                ),
                hint: format!("restore the lock from version control, or run `factory resolve {}`", workspace.name),
            });
        }
    }
    Ok(())
}

/// The repository of a workspace; relative paths start at its configuration.
fn url(shared: &Shared, workspace: &Workspace) -> Result<SourceUrl> {
    SourceUrl::parse(&workspace.source.repo, &shared.options.sources_dir.join(&workspace.dir))
}

/// A commit that is in the cache, or in a local repository.
fn known_tree(shared: &Shared, url: &SourceUrl, commit: &str) -> Result<Option<Tree>> {
    shared.store.repository(url, shared.interrupt.flag())?.tree(commit)
}

/// The files that patches and overlays may change, from the repository's root.
fn touched(shared: &Shared, workspace: &Workspace) -> Result<BTreeSet<String>> {
    let plugins: Vec<&str> = workspace.plugin.iter().map(|plugin| plugin.path.as_str()).collect();
    let config = shared.options.config_dir.join(&workspace.dir);
    let touched = overlay::touched(&workspace.input, &plugins, &config)?;
    Ok(touched.into_iter().map(|path| at(&workspace.source.path, &path)).collect())
}

/// Checks a commit out of the cache, where it is fetched to first when there is a network.
fn write_commit(shared: &Shared, url: &SourceUrl, commit: &str, to: &Path) -> Result<CheckedOut> {
    let options = &shared.options;
    let interrupt = shared.interrupt.flag();
    let repository = shared.store.repository(url, interrupt)?;
    let tree = if options.offline {
        repository.tree(commit)?.ok_or_else(|| {
            Error::network(
                format!("commit {commit} of `{url}` is not in the cache, and `--offline` allows no network"),
                "run `factory fetch` with a network first",
            )
        })?
    } else {
        repository.fetch(commit, &options.network, interrupt)?
    };
    checkout(&tree, ".", to, interrupt)
}

/// The commit's `yarn.lock` must be the one in the lock: a commit has only one, so the lock is wrong when it is not.
fn check_yarn_lock(shared: &Shared, workspace: &Workspace, commit: &str, source: &Path) -> Result<()> {
    let found = yarn_lock(workspace, source)?;
    if found == workspace.source.yarn_lock {
        return Ok(());
    }
    Err(Error::Lock {
        place: Place::file(shared.options.lock_dir.join(FILE_NAME)),
        what: format!(
            "the `yarn.lock` of workspace `{}` has the checksum {found} at commit {commit}, but the lock says {}",
            workspace.name, workspace.source.yarn_lock
        ),
        hint: format!("restore the lock from version control, or run `factory resolve {}`", workspace.name),
    })
}

/// The `yarn.lock` that patches and overlays make must be the one that `factory resolve` read.
pub fn check_effective(shared: &Shared, workspace: &Workspace, source: &Path) -> Result<()> {
    let Some(effective) = &workspace.effective else { return Ok(()) };
    let found = yarn_lock(workspace, source)?;
    if found == effective.yarn_lock {
        return Ok(());
    }
    Err(Error::Lock {
        place: Place::file(shared.options.lock_dir.join(FILE_NAME)),
        what: format!(
            "the `yarn.lock` of workspace `{}` has the checksum {found} after its patches and overlays, but the lock says {}",
            workspace.name, effective.yarn_lock
        ),
        hint: format!("restore the lock from version control, or run `factory resolve {}`", workspace.name),
    })
}

/// The digest of a workspace's `yarn.lock`; of no bytes where there is none, since a patch or overlay may add it.
fn yarn_lock(workspace: &Workspace, source: &Path) -> Result<Sha256> {
    let bytes = checked_out(workspace, source)?.find_linked(&lockfile_path(workspace), LARGEST_LOCKFILE)?;
    Ok(Sha256::of(bytes.unwrap_or_default()))
}

/// A workspace's folder in a checkout of its source.
pub(super) fn workspace_folder(source: &Path, workspace: &Workspace) -> PathBuf {
    let path = &workspace.source.path;
    if path == "." { source.to_path_buf() } else { source.join(path) }
}

/// A checkout of a workspace's source, with what scripts left in it.
pub(super) fn checked_out(workspace: &Workspace, source: &Path) -> Result<UntrustedTree> {
    UntrustedTree::open(source, format!("workspace `{}`", workspace.name))
}

/// The `yarn.lock` of a workspace in that tree.
pub(super) fn lockfile_path(workspace: &Workspace) -> PathBuf {
    lockfile_below(&workspace.source.path)
}

/// The `yarn.lock` of the workspace at `root`.
pub(super) fn lockfile_below(root: &str) -> PathBuf {
    overlay::join(root, "yarn.lock")
}

/// Leaves a copy of a workspace's patched source where the user asked for it; factory never reads it again.
pub fn leave_copy(shared: &Shared, workspace: &Workspace, source: &Path) -> Result<()> {
    let Some(to) = shared.options.source_copy.as_ref().filter(|_| !workspace.source.local) else { return Ok(()) };
    let to = if workspace.dir == "." { to.clone() } else { to.join(&workspace.name) };
    fs::create_dir_all(&to).map_err(Error::io("create", &to))?;
    copy(shared, source, &to, &[overlay::SCALPRUM])
}

/// Copies a tree; the original is only read. Links are copied as links. Folders that factory itself writes to are left
/// out: the cache or the output folder may lie inside a local tree.
fn copy(shared: &Shared, from: &Path, to: &Path, left_out: &[&str]) -> Result<()> {
    shared.interrupt.check()?;
    for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
        let entry = entry.map_err(Error::io("read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if left_out.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_symlink() {
            let link = fs::read_link(&path).map_err(Error::io("read", &path))?;
            std::os::unix::fs::symlink(link, &target).map_err(Error::io("create", &target))?;
        } else if kind.is_dir() {
            let ours = [shared.store.dir(), &shared.options.output_dir];
            if !ours.iter().any(|ours| is_same(&path, ours)) {
                fs::create_dir(&target).map_err(Error::io("create", &target))?;
                copy(shared, &path, &target, left_out)?;
            }
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(Error::io("copy", &path))?;
        }
    }
    Ok(())
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
