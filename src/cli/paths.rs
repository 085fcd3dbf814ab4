//! Where things are when the command line does not say: the container's folders where they exist, else folders here.

use std::path::{Path, PathBuf};

use super::GlobalArgs;
use crate::error::{Error, Result};
use crate::lock::text::FILE_NAME;

/// The configuration directory.
pub fn config_dir(global: &GlobalArgs) -> PathBuf {
    global.config_dir.clone().unwrap_or_else(|| mounted("/config", "config"))
}

/// The lock.
pub fn lock_file(global: &GlobalArgs) -> PathBuf {
    global.lock_file.clone().unwrap_or_else(|| config_dir(global).join(FILE_NAME))
}

/// The folder of a file, `.` when it names none.
pub fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The output directory.
pub fn output_dir(given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| mounted("/outputs", "outputs"), Path::to_path_buf)
}

/// The cache (XDG base directory specification).
pub fn cache_dir(global: &GlobalArgs) -> Result<PathBuf> {
    if let Some(dir) = &global.cache_dir {
        return Ok(dir.clone());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("factory"))
        .ok_or_else(|| Error::usage("there is no home folder for the cache", "name one with `--cache-dir`"))
}

fn mounted(container: &str, here: &str) -> PathBuf {
    let path = Path::new(container);
    if path.is_dir() { path.into() } else { here.into() }
}
