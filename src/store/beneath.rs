//! Files and folders below one that a user names: that one may be a link, and nothing below it is written through a link
//! that leads out of it.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use super::atomic::AtomicFile;
use crate::{Error, Result};

const HINT: &str = "remove it; factory follows such a link only where its path is given, as with `--output-dir` or \
                    `--lock-file`";

/// Refuses what lies on the way from `root` to `path`, which is below it, and is a link that leads out of `root`. What is
/// not there yet is no fault.
pub fn stays_beneath(root: &Path, path: &Path) -> Result<()> {
    let mut at = root.to_path_buf();
    for part in path.strip_prefix(root).unwrap_or(path).components() {
        at.push(part);
        match at.symlink_metadata() {
            Ok(found) if !found.is_symlink() => {}
            Ok(_) if leads_within(root, &at) => {}
            Ok(_) => {
                let what = format!("`{}` is a symbolic link that leads out of `{}`", at.display(), root.display());
                return Err(Error::build(what, HINT));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("read", &at)(error)),
        }
    }
    Ok(())
}

fn leads_within(root: &Path, link: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(root).zip(real(link)).is_some_and(|(root, real)| real.starts_with(root))
}

/// Writes a file below `root`, whole or not at all, with the folders above it. A link in its place is replaced.
pub fn file_beneath(root: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    folder_of(root, path)?;
    let mut file = AtomicFile::open_to_all(path)?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.commit()
}

/// Makes room for a file that is then created, not renamed to: a link, a FIFO or a device in its place is removed.
pub fn room_beneath(root: &Path, path: &Path) -> Result<()> {
    folder_of(root, path)?;
    match path.symlink_metadata() {
        Ok(found) if !found.is_file() && !found.is_dir() => fs::remove_file(path).map_err(Error::io("remove", path)),
        _ => Ok(()),
    }
}

fn folder_of(root: &Path, path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(root);
    stays_beneath(root, folder)?;
    fs::create_dir_all(folder).map_err(Error::io("create", folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_written_through_that_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in ["outside", "root/inside"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("outside/victim"), "victim").unwrap();
        symlink("../outside", at("root/link")).unwrap();
        symlink("inside", at("root/inner")).unwrap();
        symlink("../../outside/victim", at("root/inside/file")).unwrap();
        symlink("../nothing", at("root/dangling")).unwrap();
        symlink("root", at("named")).unwrap();
        let said = |path: &str| file_beneath(&at("root"), &at(path), b"new").map_err(|error| error.to_string());
        for path in ["root/link/victim", "root/link/a/b", "root/dangling/a"] {
            let link = at(&path.split('/').take(2).collect::<Vec<_>>().join("/"));
            let error = format!("`{}` is a symbolic link that leads out of `{}`", link.display(), at("root").display());
            assert_eq!(said(path), Err(error));
        }
        for path in ["root/inner/file", "root/inner/more/file", "root/own/file", "root/file"] {
            assert_eq!(said(path), Ok(()));
            assert_eq!(fs::read_to_string(at(path)).unwrap(), "new");
        }
        file_beneath(&at("named"), &at("named/file"), b"newer").unwrap();
        assert_eq!(fs::read_to_string(at("root/file")).unwrap(), "newer");
        assert_eq!(fs::read_to_string(at("outside/victim")).unwrap(), "victim");
        assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 1);
        assert!(!at("nothing").exists());

        symlink("../../outside/victim", at("root/inside/log")).unwrap();
        room_beneath(&at("root"), &at("root/inside/log")).unwrap();
        assert!(!at("root/inside/log").is_symlink());
        room_beneath(&at("root"), &at("root/file")).unwrap();
        assert!(at("root/file").exists());
    }
}
