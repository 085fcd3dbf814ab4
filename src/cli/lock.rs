//! `factory lock`: a merge driver for git.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::lock_file;
use super::session::Session;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::lock::conflict::{Sides, marked};
use crate::lock::merge::merge;
use crate::store::atomic_file;
use crate::ui::some_names;

/// Options of `factory lock`.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    #[command(subcommand)]
    command: LockCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum LockCommand {
    /// Merge the locks of two branches into OURS, as a merge driver of git does
    Merge(MergeArgs),
}

/// Options of `factory lock merge`.
#[derive(Clone, Debug, Args)]
struct MergeArgs {
    /// The lock that both sides began with, `%O`; an empty file if there was none
    base: PathBuf,
    /// The lock of the branch that is checked out, `%A`: the merge is written to it
    ours: PathBuf,
    /// The lock of the branch that is merged, `%B`
    theirs: PathBuf,
    /// What messages call the lock, `%P` [default: OURS]
    name: Option<PathBuf>,
}

pub(super) fn run(session: &Session<'_>, args: &LockArgs) -> Result<()> {
    let LockCommand::Merge(args) = &args.command;
    let name = args.name.as_deref().unwrap_or(&args.ours);
    let base = Some(text(&args.base)?).filter(|text| !text.is_empty());
    let base = base.map(|text| Lock::from_text(&text, &args.base)).transpose()?;
    let read = |path: &Path| Lock::from_text(&text(path)?, path);
    let merged = merge(base.as_ref(), &read(&args.ours)?, &read(&args.theirs)?);
    if merged.workspaces.is_empty() && merged.tables.is_empty() {
        lock_file::write(&args.ours, &merged.ours)?;
        session.ui.note(format!("{}: merged by workspace and plugin", name.display()));
        return Ok(());
    }
    let sides = Sides { ours: merged.ours.to_text(), theirs: merged.theirs.to_text() };
    atomic_file(&args.ours, marked(&sides).as_bytes())?;
    let tables = merged.tables.iter().map(|table| format!("[{table}]"));
    let all: Vec<String> = tables.chain(merged.workspaces).collect();
    Err(Error::build(
        format!("{}: both sides changed {}", name.display(), some_names(all.iter())),
        "run `factory resolve --keep`, which resolves what both changed and keeps the rest; then `git add` the lock and \
         factory.lock.d",
    ))
}

/// The text of one of the three.
fn text(path: &Path) -> Result<String> {
    const HINT: &str = "name three locks";
    if path.is_dir() {
        return Err(Error::usage(format!("`{}` is a folder", path.display()), HINT));
    }
    lock_file::text(path)?.ok_or_else(|| lock_file::missing(path, HINT))
}
