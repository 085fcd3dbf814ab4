//! Where things are when the command line does not say: the container's folders where they exist, else folders here.

use std::path::{Path, PathBuf};

use super::GlobalArgs;
use crate::error::{Error, Result};
use crate::lock::text::FILE_NAME;
use crate::store::stays_beneath;

/// The configuration directory.
pub fn config_dir(global: &GlobalArgs) -> PathBuf {
    global.config_dir.clone().unwrap_or_else(default_config_dir)
}

/// The configuration directory where none is named.
pub fn default_config_dir() -> PathBuf {
    mounted("/config", "config")
}

/// Where the relative paths of repositories start: at the configuration directory, or where it is in the work tree.
pub fn sources_dir(global: &GlobalArgs) -> PathBuf {
    global.laid_out.in_work_tree(&config_dir(global))
}

/// Where the lock is written: `--lock-file`, else beside the configuration, or beside the outputs where the configuration
/// can only be read (a `ConfigMap`, a mount with `:ro`).
pub fn written_lock(global: &GlobalArgs, output: Option<&Path>) -> PathBuf {
    match &global.lock_file {
        Some(file) => file.clone(),
        None if is_read_only(&config_dir(global)) => {
            output.map_or_else(|| output_dir(output_dir_of_environment().as_deref()), Path::to_path_buf).join(FILE_NAME)
        }
        None => config_dir(global).join(FILE_NAME),
    }
}

/// The lock that is read: the one that is written, or, where there is none yet, the one beside the configuration.
pub fn lock_file(global: &GlobalArgs, output: Option<&Path>) -> PathBuf {
    let written = written_lock(global, output);
    let beside = config_dir(global).join(FILE_NAME);
    if global.lock_file.is_none() && !written.exists() && beside.exists() { beside } else { written }
}

/// The output directory of the environment, for commands that have no such option.
pub fn output_dir_of_environment() -> Option<PathBuf> {
    std::env::var_os("FACTORY_OUTPUT_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// True for a folder that is there and cannot be written to.
pub fn is_read_only(folder: &Path) -> bool {
    folder.is_dir() && nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK).is_err()
}

/// The folder of a file, `.` when it names none.
pub fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The output directory.
pub fn output_dir(given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| mounted("/outputs", "outputs"), Path::to_path_buf)
}

/// The output directory, to be written to: a link in the place of the default one is not followed out of this folder.
pub fn writable_output_dir(given: Option<&Path>) -> Result<PathBuf> {
    let folder = output_dir(given);
    if given.is_none() && folder.is_relative() {
        stays_beneath(Path::new("."), &folder)?;
    }
    Ok(folder)
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
