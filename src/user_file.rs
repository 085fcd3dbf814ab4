//! Files at paths that a user names, or where a tool looks for its own: anything may lie there.
//!
//! A FIFO or a device is refused at once instead of waited for, and nothing is read further than to a limit. Links are
//! followed: the path is the user's own.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// What is said of a FIFO, a socket or a device in place of a file.
pub const NO_FILE: &str = "is no regular file but a pipe or a device";

/// The error of a path where something lies that is no file.
#[derive(Debug, thiserror::Error)]
#[error("it {NO_FILE}")]
struct NoFile;

/// Of lockfiles, reports and other documents: real ones have up to a few megabytes.
pub const DOCUMENT: u64 = 64 << 20;
/// Of settings, logins and certificates: the bundle of a system has a quarter of a megabyte.
pub const SETTINGS: u64 = 4 << 20;

/// Opens a file, or a folder.
pub fn open(path: &Path) -> Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(|error| {
        // It cannot be opened at all.
        let is_socket = path.metadata().is_ok_and(|found| found.file_type().is_socket());
        if is_socket { Error::other(NoFile) } else { error }
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() { Ok(file) } else { Err(Error::other(NoFile)) }
}

/// True for the name of a YAML file.
pub fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// True for the error of a FIFO, a socket or a device.
pub fn is_no_file(error: &Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<NoFile>()).is_some()
}

/// The bytes of a file of up to `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_to(open(path)?, limit)
}

fn read_to(file: File, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// The same, of a file that may also be a pipe which the caller's shell opened: `<(…)`, or `/dev/stdin`.
pub fn read_piped(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let is_of_shell = ["/dev/fd", "/proc/self/fd", "/dev/stdin"].iter().any(|folder| path.starts_with(folder));
    if !is_of_shell {
        return read(path, limit);
    }
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_fifo() { read_to(file, limit) } else { Err(Error::other(NoFile)) }
}

/// Opens a file to write to its end, and to read what is there; it is made where there is none.
pub fn append(path: &Path) -> Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(Error::other(NoFile)) }
}

/// The text of a file of up to `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_has_no_end_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (file, fifo, socket) = (dir.path().join("file"), dir.path().join("fifo"), dir.path().join("socket"));
        std::fs::write(&file, "12345").unwrap();
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let said = |path: &Path, limit| read_text(path, limit).map_err(|error| error.to_string());
        let no_file = "it is no regular file but a pipe or a device";
        assert_eq!(said(&file, 5).unwrap(), "12345");
        assert_eq!(said(&file, 4).unwrap_err(), "it is larger than 4 bytes");
        for path in [&fifo, &socket, Path::new("/dev/zero"), Path::new("/dev/null")] {
            assert_eq!(said(path, 5).unwrap_err(), no_file, "{}", path.display());
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert_eq!(said(&link, 5).unwrap_err(), no_file);
        std::os::unix::fs::symlink(&file, dir.path().join("good")).unwrap();
        assert_eq!(said(&dir.path().join("good"), 5).unwrap(), "12345");
        assert_eq!(read(&dir.path().join("none"), 5).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
