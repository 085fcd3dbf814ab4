//! Options of a command that stand before it.

use clap::parser::ValueSource;

use crate::error::{Error, Result};

/// `factory --push-images build` would forget the flag: options of a command stand behind it.
pub fn check<A: clap::Args>(matches: &clap::ArgMatches) -> Result<()> {
    let own = A::augment_args(clap::Command::new("run"));
    let flag = own.get_arguments().find(|arg| {
        matches.try_contains_id(arg.get_id().as_str()).unwrap_or(false)
            && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    });
    match (flag, matches.subcommand_name()) {
        (Some(flag), Some(command)) => {
            let name = flag.get_long().map_or_else(|| flag.get_id().to_string(), |long| format!("--{long}"));
            Err(Error::usage(
                format!("`{name}` stands before `{command}`"),
                format!("write `factory {command} {name}`"),
            ))
        }
        _ => Ok(()),
    }
}
