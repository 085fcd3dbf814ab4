//! `factory man`: the manual pages, made of the same text as `--help`.

use std::path::Path;

use clap_mangen::Man;

use super::complete::is_shown;
use crate::error::{Error, Result};
use crate::store::atomic_file;

/// Prints the page of a command, or writes those of all commands to a folder.
pub fn run(command: &[String], folder: Option<&Path>) -> Result<()> {
    let pages = pages()?;
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        for (name, page) in &pages {
            atomic_file(&folder.join(name), page.as_bytes())?;
        }
        return Ok(());
    }
    let words: Vec<&str> = std::iter::once("factory").chain(command.iter().map(String::as_str)).collect();
    let wanted = format!("{}.1", words.join("-"));
    let Some((_, page)) = pages.iter().find(|(name, _)| *name == wanted) else {
        let what = format!("there is no command `{}`", command.join(" ").escape_debug());
        return Err(Error::usage(what, "see `factory --help`"));
    };
    crate::ui::data(page).map_err(Error::io("write", "stdout"))
}

/// The pages by the names of their files.
fn pages() -> Result<Vec<(String, String)>> {
    let mut program = super::command();
    program.build();
    let rendered = |command: clap::Command| {
        // As `--help` says it, with values; and what `-h` leaves out has no text in a page.
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
        let command = command.override_usage(usage).mut_args(|arg| arg.hide_short_help(false));
        let man = Man::new(command).manual("factory").source(concat!("factory ", env!("CARGO_PKG_VERSION")));
        let mut page = Vec::new();
        man.render(&mut page).map_err(Error::io("write", "the manual"))?;
        let name = man.get_filename();
        let heading = if name == "factory.1" { "EXIT STATUS AND EXAMPLES" } else { "EXAMPLES" };
        let page = String::from_utf8_lossy(&page).replace("\n.SH EXTRA\n", &format!("\n.SH {heading}\n"));
        Ok((name, page))
    };
    let mut commands = Vec::new();
    with_all(program, &mut commands);
    commands.into_iter().map(rendered).collect()
}

/// A command, and the commands in it.
fn with_all(command: clap::Command, all: &mut Vec<clap::Command>) {
    let inner: Vec<_> = command.get_subcommands().filter(|inner| is_shown(inner)).cloned().collect();
    all.push(command);
    for inner in inner {
        with_all(inner, all);
    }
}
