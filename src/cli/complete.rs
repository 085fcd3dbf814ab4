//! Completions: the scripts of shells, and the names that only the configuration and its lock know.
//!
//! The scripts ask `factory` itself, with the words so far, at every press of the key.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::lock_file;
use crate::config::{Config, ConfigOptions};
use crate::error::{Error, Result};
use crate::lock::text::FILE_NAME;

/// The variable that the scripts set: the name of the shell.
const ASKS: &str = "FACTORY_COMPLETE";

/// Writes the script of a shell.
pub fn script(shell: clap_complete::Shell) -> Result<()> {
    let name = shell.to_string();
    let mut script = Vec::new();
    if let Some(completer) = Shells::builtins().completer(&name) {
        let written = completer.write_registration(ASKS, "factory", "factory", "factory", &mut script);
        written.map_err(Error::io("write", "stdout"))?;
    }
    crate::ui::data(String::from_utf8_lossy(&script)).map_err(Error::io("write", "stdout"))
}

/// Answers a script; false where none asks.
pub fn answer() -> Result<bool> {
    let asked = CompleteEnv::with_factory(super::command).var(ASKS);
    let here = std::env::current_dir().ok();
    asked.try_complete(std::env::args_os(), here.as_deref()).map_err(|e| Error::usage(e.to_string(), ""))
}

/// The argument, with the candidates for its value if that is the name of a workspace or a plugin.
pub fn named(arg: clap::Arg) -> clap::Arg {
    match arg.get_id().as_str() {
        "workspaces" => arg.add(ArgValueCandidates::new(|| candidates(workspaces))),
        "command" => arg.add(ArgValueCandidates::new(commands)),
        "plugins" => arg.add(ArgValueCandidates::new(|| candidates(plugins))),
        _ => arg,
    }
}

/// The commands that can stand behind the words of `factory man` so far.
fn commands() -> Vec<CompletionCandidate> {
    let words: Vec<String> = std::env::args().collect();
    let behind = words.iter().rposition(|word| word == "man").map_or(words.len(), |man| man + 1);
    // The last word is the one that is completed.
    let whole = words.get(behind..words.len().saturating_sub(1)).unwrap_or_default();
    let mut command = super::command();
    for word in whole {
        let Some(inner) = command.find_subcommand(word).cloned() else { return Vec::new() };
        command = inner;
    }
    command
        .get_subcommands()
        .filter(|inner| is_shown(inner))
        .map(|inner| CompletionCandidate::new(inner.get_name()))
        .collect()
}

/// True for a command that has a page, and is offered.
pub fn is_shown(command: &clap::Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// What `find` has of the configuration directory and the lock that the words so far, or variables, name.
fn candidates(find: fn(&Path, &Path) -> BTreeSet<String>) -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let folder = option(&words, "--config-dir", "FACTORY_CONFIG_DIR");
    let folder = folder.map_or_else(super::paths::default_config_dir, Into::into);
    let lock = option(&words, "--lock-file", "FACTORY_LOCK_FILE").map_or_else(|| folder.join(FILE_NAME), Into::into);
    find(folder.as_path(), &lock).into_iter().map(CompletionCandidate::new).collect()
}

/// The paths of the plugins of the lock. What cannot be read has none.
fn plugins(_: &Path, lock: &Path) -> BTreeSet<String> {
    let locked = lock_file::read(lock).ok().flatten().into_iter().flat_map(|lock| lock.workspace);
    locked.flat_map(|workspace| workspace.plugin).map(|plugin| plugin.path).collect()
}

/// The workspaces of the configuration and of its lock. What cannot be read has none.
fn workspaces(folder: &Path, lock: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok(config) = Config::read(&ConfigOptions::new(folder)) {
        names.extend(config.workspaces.into_iter().map(|workspace| workspace.name));
        names.extend(config.broken.into_iter().map(|workspace| workspace.name));
    }
    if let Ok(Some(lock)) = lock_file::read(lock) {
        names.extend(lock.workspace.into_iter().map(|workspace| workspace.name));
    }
    names
}

/// The value of an option: in the words, as `--name value` or `--name=value`, else in its variable.
fn option(words: &[OsString], name: &str, variable: &str) -> Option<OsString> {
    let behind = words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    let joined = || {
        let value = |word: &OsString| word.to_str()?.strip_prefix(name)?.strip_prefix('=').map(OsString::from);
        words.iter().find_map(value)
    };
    behind.or_else(joined).or_else(|| std::env::var_os(variable)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_in_the_words() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let found = |text: &str| option(&words(text), "--config-dir", "NO_SUCH_VARIABLE");
        assert_eq!(found("factory build --config-dir a b"), Some("a".into()));
        assert_eq!(found("factory --config-dir=a build"), Some("a".into()));
        assert_eq!(found("factory build"), None);
        assert_eq!(found("factory build --config-dir="), None);
    }
}
