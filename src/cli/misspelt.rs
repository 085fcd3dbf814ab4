//! Misspelt commands and variables.

use clap::CommandFactory as _;

use super::Cli;
use crate::config::Config;
use crate::config::variables::replacement;
use crate::error::nearest::misspelt;
use crate::error::{Error, Result};
use crate::ui::Ui;

/// What the variables of the options begin with.
const PREFIX: &str = "FACTORY_";
/// Variables that are for factory's own tests.
const TESTS: &str = "FACTORY_TEST_";

/// Err when the first of `words`, taken for a workspace's name, is none, and looks like a command. Without a
/// configuration there are no workspaces.
pub(super) fn command(words: &[String], config: Option<&Config>) -> Result<()> {
    let is_known = |word: &String| config.is_some_and(|config| config.names().any(|name| name == word));
    let Some(word) = words.first().filter(|word| !is_known(word)) else { return Ok(()) };
    let factory = Cli::command();
    match misspelt(word, factory.get_subcommands().map(clap::Command::get_name)) {
        Some(command) => Err(Error::usage(
            match config {
                Some(config) => format!("`{word}` is neither a command nor a workspace of `{}`", config.dir.display()),
                None => format!("`{word}` is not a command, and there is no configuration with workspaces"),
            },
            format!("did you mean `factory {command}`? See all commands with `factory --help`"),
        )),
        None => Ok(()),
    }
}

/// Warns of variables that look like an option's and are none: what they were meant to set is not set.
pub(super) fn variables(ui: &Ui) {
    let factory = Cli::command();
    let options = |command: &clap::Command| {
        command.get_arguments().filter_map(|option| Some(option.get_env()?.to_str()?.to_owned())).collect::<Vec<_>>()
    };
    let mut known: Vec<_> = factory.get_subcommands().flat_map(options).collect();
    known.extend(options(&factory));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let names: Vec<String> = names.collect();
    let mut replaced: Vec<_> = names.iter().filter_map(|name| Some((name, replacement(name)?))).collect();
    replaced.sort_unstable();
    for (name, instead) in replaced {
        ui.warn(format!("environment variable `{name}` has no effect: {instead}"));
    }
    let mut unknown: Vec<_> = names
        .into_iter()
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with(TESTS) && !known.contains(name))
        .collect();
    unknown.sort_unstable();
    for name in unknown {
        let meant = misspelt(&name, known.iter().map(String::as_str));
        let meant = meant.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
        ui.warn(format!("unknown environment variable `{name}`{meant}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::variables::OPTIONS;

    #[test]
    fn the_table_of_variables_is_that_of_the_options() {
        let factory = Cli::command();
        let mut options = BTreeMap::new();
        for command in std::iter::once(&factory).chain(factory.get_subcommands()) {
            for option in command.get_arguments() {
                let (Some(name), Some(flag)) = (option.get_env(), option.get_long()) else { continue };
                let default: Vec<_> = option.get_default_values().iter().map(|value| value.to_str().unwrap()).collect();
                let default = if option.get_action().takes_values() { default.join(",") } else { String::new() };
                options.insert(name.to_str().unwrap().to_owned(), (format!("--{flag}"), default));
            }
        }
        let listed: BTreeMap<_, _> = OPTIONS
            .iter()
            .map(|variable| (variable.name.to_owned(), (variable.used_by.to_owned(), variable.default.to_owned())))
            .collect();
        assert_eq!(listed, options);
    }
}
