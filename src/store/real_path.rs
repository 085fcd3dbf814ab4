//! Where a path leads once all links on its way are followed, for what another process has mounted as well: paths of that
//! begin with `/proc/<pid>/root`, which is a link that cannot be read (proc(5)).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlink};
use nix::sys::stat::Mode;

/// The path without links that `path` leads to; what is below the root of another process stays there.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let opened = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let real = path_of(&opened)?;
    let Some((root, _)) = root_of_process(path) else { return Ok(real) };
    Ok(real.strip_prefix("/").map_or_else(|_| real.clone(), |below| root.join(below)))
}

/// The path of what is open, in the mounts that it is in.
pub(super) fn path_of(opened: impl AsFd) -> Result<PathBuf, Errno> {
    readlink(Path::new(&format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))).map(PathBuf::from)
}

/// The root of another process that a path begins with, and what is below it.
pub(super) fn root_of_process(path: &Path) -> Option<(PathBuf, &Path)> {
    let mut parts = path.components();
    let is_named = |part: Option<Component<'_>>, name: &str| part.is_some_and(|part| part.as_os_str() == name);
    if parts.next() != Some(Component::RootDir) || !is_named(parts.next(), "proc") {
        return None;
    }
    let process = parts.next()?.as_os_str().to_str()?;
    if process.parse::<u32>().is_err() || !is_named(parts.next(), "root") {
        return None;
    }
    Some((Path::new("/proc").join(process).join("root"), parts.as_path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_root_of_a_process_stays_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", dir.path().join("link")).unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let own = PathBuf::from(format!("/proc/{}/root", std::process::id()));
        let below = |path: &Path| own.join(path.strip_prefix("/").unwrap());
        assert_eq!(real_path(&dir.join("link")).unwrap(), dir.join("folder"));
        assert_eq!(real_path(&below(&dir).join("link")).unwrap(), below(&dir.join("folder")));
        assert_eq!(real_path(&dir.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        for other in ["/proc/self/root/etc", "/proc/1/cwd", "proc/1/root", "/proc/1"] {
            assert_eq!(root_of_process(Path::new(other)), None, "{other}");
        }
    }
}
