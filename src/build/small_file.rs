//! Small files of a build's folders.

use std::path::Path;

/// The text of a regular file of up to 1 MiB.
pub(super) fn read_small(path: &Path) -> Option<String> {
    let meta = path.symlink_metadata().ok()?;
    let is_small = meta.is_file() && meta.len() <= 1 << 20;
    is_small.then(|| std::fs::read(path).ok()).flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
