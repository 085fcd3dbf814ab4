//! Proxies, certificate authorities and npm's settings of the configuration directory's `.env` hold for the whole run. All
//! that reads them (the network's clients, npm, what the sandbox passes on) reads the environment of the process, so the
//! program starts again with them in it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::{GlobalArgs, paths};
use crate::config::Env;
use crate::config::env::FILE_NAME;
use crate::error::{Error, Result};

/// The first argument of a program that was started again.
pub const MARK: &str = "__with_env_file";

/// Starts the program again with `arguments` where the `.env` file has such settings that the environment does not have;
/// otherwise returns. A file that cannot be read is reported when the configuration is.
pub fn with_env_file(global: &GlobalArgs, arguments: &[OsString]) -> Result<()> {
    let file = paths::config_dir(global).join(FILE_NAME);
    let Ok((env, _)) = Env::of_process().with_file(&file) else { return Ok(()) };
    let in_file = |wanted: &str| env.of_run().any(|(name, _)| name == wanted);
    let replaced = |name: &str| other_case(name).filter(|other| !in_file(other));
    let is_new = |(name, value): (&str, &str)| {
        let is_set = std::env::var_os(name).as_deref() == Some(OsStr::new(value));
        !is_set || replaced(name).is_some_and(|other| std::env::var_os(other).is_some())
    };
    if !env.of_run().any(is_new) {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(Error::io("start", "/proc/self/exe"))?;
    let mut command = Command::new(&program);
    for (name, value) in env.of_run() {
        if let Some(other) = replaced(name) {
            command.env_remove(other);
        }
        command.env(name, value);
    }
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    Err(Error::io("start", &program)(command.arg(MARK).args(arguments).exec()))
}

/// Proxies are read in either case, npm's settings too: the file's value wins over both.
fn other_case(name: &str) -> Option<String> {
    [name.to_ascii_uppercase(), name.to_ascii_lowercase()].into_iter().find(|other| other != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_case_is_another_name() {
        assert_eq!(other_case("HTTPS_PROXY").as_deref(), Some("https_proxy"));
        assert_eq!(other_case("no_proxy").as_deref(), Some("NO_PROXY"));
        assert_eq!(other_case("npm_config__authToken").as_deref(), Some("NPM_CONFIG__AUTHTOKEN"));
    }
}
