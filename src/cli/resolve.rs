//! `factory resolve`

use std::path::Path;

use clap::Args;

use super::failures::{broken, failures};
use super::lock_file;
use super::resolve_step::{self, PinRequest, ResolveFlags};
use super::session::Session;
use super::source_options::SourceArgs;
use crate::error::{Error, Place, Result};
use crate::lock::Lock;
use crate::resolve::UpdateMode;
use crate::ui::{self, count};

/// Options of `factory resolve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ResolveArgs {
    /// Only these workspaces; the others stay as they are locked
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Move nothing that is locked: only add what is new or changed in the configuration
    #[arg(long)]
    pub keep: bool,
    /// Write nothing; exit with 3 if the lock would change
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,
    /// Write nothing; print how the lock would change
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) flags: ResolveFlags,
}

pub(super) async fn run(session: &Session<'_>, args: &ResolveArgs) -> Result<()> {
    let names = &args.workspaces;
    let mut config = args.source.config(session, names)?;
    config.check_names(names)?;
    let mut lock_file = lock_file::place(session, None);
    let old = lock_file::read(&lock_file)?;
    let mode = if args.keep { UpdateMode::Missing } else { UpdateMode::All };
    if !args.dry_run && !args.check {
        lock_file = lock_file::written(session, &lock_file, None)?;
    }
    let request = PinRequest {
        config: &config,
        names,
        mode,
        old: old.as_ref(),
        lock_file: &lock_file,
        source: &args.source,
        flags: &args.flags,
    };
    let mut resolved = request.run(session).await?;
    resolved.failed.extend(broken(&mut config, names));
    let workspaces = resolved.lock.workspace.len();
    if workspaces == 0 && resolved.lock.unresolved.is_empty() && !resolved.failed.is_empty() {
        return failures(session, resolved.failed, 0);
    }
    let before = old.as_ref().map(Lock::to_text).unwrap_or_default();
    let after = resolved.lock.to_text();
    if args.dry_run {
        print_changes(&lock_file, &before, &after)?;
    } else if args.check {
        check_unchanged(&lock_file, &before, &after)?;
    } else {
        resolve_step::write(session, &lock_file, &resolved, &args.flags)?;
        let plugins = resolved.lock.workspace.iter().map(|workspace| workspace.plugin.len()).sum();
        let done = if before == after { "is unchanged" } else { "written" };
        let what = format!("{}, {}", count(workspaces, "workspace"), count(plugins, "plugin"));
        session.ui.note(format!("{} {done}: {what}", lock_file.display()));
    }
    failures(session, resolved.failed, workspaces)
}

fn print_changes(lock_file: &Path, before: &str, after: &str) -> Result<()> {
    let name = lock_file.display().to_string();
    let diff = similar::TextDiff::from_lines(before, after);
    let text = diff.unified_diff().context_radius(2).header(&name, &name).to_string();
    ui::data(text).map_err(Error::io("write", "stdout"))
}

fn check_unchanged(lock_file: &Path, before: &str, after: &str) -> Result<()> {
    if before == after {
        return Ok(());
    }
    Err(Error::Lock {
        place: Place::file(lock_file),
        what: "is not up to date: `factory resolve` would change it".into(),
        hint: "see how with `factory resolve --dry-run`".into(),
    })
}
