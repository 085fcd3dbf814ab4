//! Words on the command line and in the environment that nothing answers to.

use clap::CommandFactory as _;

use super::Cli;
use crate::config::Config;
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
                Some(config) => format!("`{word}` is no command, and no workspace of `{}`", config.dir.display()),
                None => format!("`{word}` is no command, and there is no configuration with workspaces"),
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
    let mut unknown: Vec<_> =
        names.filter(|name| name.starts_with(PREFIX) && !name.starts_with(TESTS) && !known.contains(name)).collect();
    unknown.sort_unstable();
    for name in unknown {
        let meant = misspelt(&name, known.iter().map(String::as_str));
        let meant = meant.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
        ui.warn(format!("no option of factory has the variable `{name}`{meant}"));
    }
}
