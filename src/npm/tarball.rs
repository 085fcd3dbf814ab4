//! A package's tarball, unpacked.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// A tool's tarball may unpack to this many bytes; Node.js has about 120 MB.
const MAX_UNPACKED: u64 = 1 << 30;

/// Unpacks an npm tarball: what lies in its one top folder comes to `to`. Only plain files and folders are taken, and
/// nothing leaves `to`.
pub fn unpack(tarball: &Path, to: &Path) -> Result<()> {
    let file = File::open(tarball).map_err(Error::io("read", tarball))?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    let mut total = 0;
    for entry in archive.entries().map_err(Error::io("read", tarball))? {
        let mut entry = entry.map_err(Error::io("read", tarball))?;
        let path = entry.path().map_err(Error::io("read", tarball))?.into_owned();
        let inside: PathBuf = path.components().skip_while(|c| *c == Component::CurDir).skip(1).collect();
        if !entry.header().entry_type().is_file() || inside.as_os_str().is_empty() {
            continue;
        }
        total += entry.size();
        if total > MAX_UNPACKED || !inside.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(Error::network(
                format!("`{}` is not a valid package tarball: it contains `{}`", tarball.display(), path.display()),
                "check which registry npm is configured to use",
            ));
        }
        let target = to.join(&inside);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
        let mut out = File::create(&target).map_err(Error::io("create", &target))?;
        std::io::copy(&mut entry, &mut out).map_err(Error::io("write", &target))?;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(mode))
            .map_err(Error::io("write", &target))?;
    }
    Ok(())
}
