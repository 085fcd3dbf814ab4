//! A commit's tree on disk: exactly the committed bytes, on every machine.
//!
//! No filters, no line-ending conversion, no umask: `.gitattributes` and git's configuration have no say, so that the
//! same commit gives the same files. There is no `.git`.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::parallel::{DISK_THREADS, Workers, cores};
use crate::store::git::{EntryKind, Tree, TreeNode, WritableTree};
use crate::store::remove_tree;
use crate::ui::some_names;
use crate::{Error, Result};

/// A Git LFS pointer is smaller than this.
const LARGEST_POINTER: usize = 1024;
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// What a checkout wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedOut {
    /// Regular files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What the user should know: submodules left out, files that are Git LFS pointers.
    pub warnings: Vec<String>,
}

/// Writes the tree, or its folder `sub_path` (`.` for all), to `dest`, which must be missing or empty.
///
/// Files are 0644 or 0755, folders 0755. Symlinks that lead out of `dest` and names that git itself refuses (`.git` in
/// all its disguises) are errors. On any error, and on an interruption, `dest` is left empty.
pub fn checkout(tree: &Tree, sub_path: &str, dest: &Path, interrupt: &AtomicBool) -> Result<CheckedOut> {
    prepare(dest)?;
    let written = write_all(tree, sub_path, dest, interrupt);
    if written.is_err() {
        for entry in fs::read_dir(dest).into_iter().flatten().flatten() {
            let path = entry.path();
            let _ = if path.is_dir() && !path.is_symlink() { remove_tree(&path) } else { fs::remove_file(path) };
        }
    }
    written
}

fn prepare(dest: &Path) -> Result<()> {
    fs::create_dir_all(dest).map_err(Error::io("create", dest))?;
    if fs::read_dir(dest).map_err(Error::io("read", dest))?.next().is_some() {
        return Err(Error::io("check out into", dest)(io::ErrorKind::DirectoryNotEmpty.into()));
    }
    fs::set_permissions(dest, Permissions::from_mode(0o755)).map_err(Error::io("create", dest))
}

fn write_all(tree: &Tree, sub_path: &str, dest: &Path, interrupt: &AtomicBool) -> Result<CheckedOut> {
    let WritableTree { nodes, links } = tree.writable(sub_path)?;
    let mut checked_out = CheckedOut::default();
    for node in nodes.iter().filter(|node| matches!(node.kind, EntryKind::Folder | EntryKind::Submodule)) {
        let path = on_disk(dest, node);
        DirBuilder::new().mode(0o755).create(&path).map_err(Error::io("create", &path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(Error::io("create", &path))?;
    }
    let pointers = write_files(tree, &nodes, dest, interrupt, &mut checked_out)?;
    // Last, so that no file is ever written through one.
    for (path, target) in &links {
        let path = dest.join(std::ffi::OsStr::from_bytes(path));
        symlink(std::ffi::OsStr::from_bytes(target), &path).map_err(Error::io("create", &path))?;
    }

    let submodules: Vec<_> =
        nodes.iter().filter(|node| node.kind == EntryKind::Submodule).map(|node| node.path.to_string()).collect();
    if !submodules.is_empty() {
        let names = some_names(submodules.iter());
        checked_out.warnings.push(format!("submodules are not checked out, their folders are empty: {names}"));
    }
    if !pointers.is_empty() {
        let names = some_names(pointers.iter());
        checked_out.warnings.push(format!("Git LFS files are left as pointers: {names}"));
    }
    Ok(checked_out)
}

/// Writes the regular files on a few threads; returns those that are Git LFS pointers.
fn write_files(
    tree: &Tree,
    nodes: &[TreeNode],
    dest: &Path,
    interrupt: &AtomicBool,
    checked_out: &mut CheckedOut,
) -> Result<Vec<String>> {
    let files: Vec<&TreeNode> =
        nodes.iter().filter(|node| matches!(node.kind, EntryKind::File | EntryKind::Executable)).collect();
    let objects = tree.objects();
    let workers = Workers::new(cores(DISK_THREADS).min(files.len() / 64 + 1), interrupt);
    let written = workers.try_map_with(
        files,
        || objects.reader(),
        |reader, node| {
            let blob = reader.blob(node.id)?;
            write_file(&on_disk(dest, node), &blob, node.kind.mode())?;
            let is_pointer = blob.len() <= LARGEST_POINTER && blob.starts_with(POINTER);
            Ok((blob.len() as u64, is_pointer.then(|| node.path.to_string())))
        },
    )?;
    checked_out.files = written.len();
    checked_out.bytes = written.iter().map(|(bytes, _)| bytes).sum();
    let mut pointers: Vec<String> = written.into_iter().filter_map(|(_, pointer)| pointer).collect();
    pointers.sort_unstable();
    Ok(pointers)
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        // Whatever the umask took.
        if file.metadata()?.permissions().mode() & 0o7777 != mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(())
    };
    write().map_err(Error::io("write", path))
}

fn on_disk(dest: &Path, node: &TreeNode) -> PathBuf {
    dest.join(std::ffi::OsStr::from_bytes(&node.path))
}
