//! `factory man`: the manual pages, made of the same text as `--help`.

use std::path::Path;

use clap_mangen::Man;

use crate::error::{Error, Result};
use crate::store::atomic_file;

/// Prints the page of a command, or writes those of all commands to a folder.
pub fn run(command: Option<&str>, folder: Option<&Path>) -> Result<()> {
    let pages = pages()?;
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        for (name, page) in &pages {
            atomic_file(&folder.join(name), page.as_bytes())?;
        }
        return Ok(());
    }
    let wanted = command.map_or_else(|| "factory.1".to_owned(), |command| format!("factory-{command}.1"));
    let Some((_, page)) = pages.iter().find(|(name, _)| *name == wanted) else {
        let command = command.unwrap_or_default();
        return Err(Error::usage(format!("there is no command `{}`", command.escape_debug()), "see `factory --help`"));
    };
    crate::ui::data(page).map_err(Error::io("write", "stdout"))
}

/// The pages by the names of their files.
fn pages() -> Result<Vec<(String, String)>> {
    let mut program = super::command();
    program.build();
    let rendered = |command: clap::Command| {
        let man = Man::new(command).manual("factory").source(concat!("factory ", env!("CARGO_PKG_VERSION")));
        let mut page = Vec::new();
        man.render(&mut page).map_err(Error::io("write", "the manual"))?;
        let name = man.get_filename();
        let heading = if name == "factory.1" { "EXIT STATUS AND EXAMPLES" } else { "EXAMPLES" };
        let page = String::from_utf8_lossy(&page).replace("\n.SH EXTRA\n", &format!("\n.SH {heading}\n"));
        Ok((name, page))
    };
    let commands: Vec<_> = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    std::iter::once(program).chain(commands).map(rendered).collect()
}
