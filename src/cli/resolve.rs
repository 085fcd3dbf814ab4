//! `factory resolve`

use std::path::Path;

use clap::Args;

use super::failures::{both, broken, failures};
use super::lock_file::{self, CarriedLock};
use super::merged_files;
use super::paths;
use super::pin_options::PinOptions;
use super::resolve_step::{self, PinRequest, ResolveFlags};
use super::session::Session;
use super::source_options::SourceArgs;
use crate::error::{Error, Place, Result};
use crate::resolve::{Unmerged, UpdateMode};
use crate::ui::{self, count, some_names};

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
    pub(super) pins: PinOptions,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) flags: ResolveFlags,
}

pub(super) async fn run(session: &Session<'_>, args: &ResolveArgs) -> Result<()> {
    let names = &args.workspaces;
    let mut config = args.source.config(session, names)?;
    config.check_names(names)?;
    let edits = args.pins.apply(&mut config, names)?;
    let place = if args.keep { lock_file::find } else { lock_file::place };
    let mut lock_file = place(session, None);
    let carried = carried(session, &lock_file, args)?;
    let (old, unmerged) = carried.as_ref().map_or((None, &[][..]), |it| (Some(&it.lock), &it.unmerged[..]));
    let repinned = args.pins.repinned();
    let mode = if args.keep || repinned.is_any() { UpdateMode::Missing } else { UpdateMode::All };
    if !args.dry_run && !args.check {
        lock_file = lock_file::written(session, &lock_file, None)?;
    }
    let theirs = carried.as_ref().and_then(|carried| carried.theirs.as_ref());
    let request = PinRequest {
        config: &config,
        names,
        mode,
        old,
        unmerged: Unmerged { names: unmerged, theirs },
        lock_file: &lock_file,
        source: &args.source,
        flags: &args.flags,
        repinned,
    };
    let mut resolved = request.run(session).await?;
    resolved.failed.extend(broken(&mut config, names));
    let workspaces = resolved.lock.workspace.len();
    if workspaces == 0 && resolved.lock.unresolved.is_empty() && !resolved.failed.is_empty() {
        return failures(session, resolved.failed, 0);
    }
    let is_merge = carried.as_ref().is_some_and(|carried| carried.merges);
    if is_merge && resolved.failed.iter().any(|(name, _)| unmerged.contains(name)) {
        // Neither side is lost: the file stays.
        return failures(session, resolved.failed, workspaces);
    }
    if let Some(theirs) = theirs {
        let found = merged_files::of_theirs(&paths::folder_of(&lock_file), &mut resolved.lock, theirs, unmerged);
        resolved.companions.extend(found);
    }
    let before = match carried {
        Some(carried) if is_merge => carried.text,
        carried => carried.map(|carried| carried.lock.to_text()).unwrap_or_default(),
    };
    let after = resolved.lock.to_text();
    edits.finish(session, &config, &resolved.lock, !args.dry_run && !args.check)?;
    if args.dry_run {
        print_changes(session, &lock_file, &before, &after)?;
    } else if args.check {
        let checked = check_unchanged(&lock_file, &before, &after);
        return both(session, failures(session, resolved.failed, workspaces), checked);
    } else {
        resolve_step::write(session, &lock_file, &resolved, &args.flags)?;
        let plugins = resolved.lock.workspace.iter().map(|workspace| workspace.plugin.len()).sum();
        let done = if before == after { "is unchanged" } else { "written" };
        let what = format!("{}, {}", count(workspaces, "workspace"), count(plugins, "plugin"));
        // What failed is said first, the end of the run last.
        let end = failures(session, resolved.failed, workspaces);
        session.ui.note(format!("{} {done}: {what}", lock_file.display()));
        if is_merge {
            session.ui.note("the merge of the lock is done: `git add` it and factory.lock.d");
        }
        return end;
    }
    failures(session, resolved.failed, workspaces)
}

/// The lock so far. With `--keep`, one that a merge left unmerged is carried on: both sides changed what is resolved anew.
fn carried(session: &Session<'_>, lock_file: &Path, args: &ResolveArgs) -> Result<Option<CarriedLock>> {
    if !args.keep {
        let read = lock_file::read(lock_file)?;
        return Ok(read.map(|lock| CarriedLock {
            lock,
            theirs: None,
            text: String::new(),
            merges: false,
            unmerged: vec![],
        }));
    }
    let carried = lock_file::read_unmerged(lock_file)?;
    if let Some(carried) = carried.as_ref().filter(|carried| carried.merges) {
        let how = match &carried.unmerged[..] {
            [] => "merged by workspace and plugin".to_owned(),
            both => format!("both sides of the merge changed {}: resolved anew", some_names(both.iter())),
        };
        session.ui.note(format!("{}: {how}", lock_file.display()));
    }
    Ok(carried)
}

fn print_changes(session: &Session<'_>, lock_file: &Path, before: &str, after: &str) -> Result<()> {
    if before == after {
        session.ui.note(format!("{} would not change", lock_file.display()));
        return Ok(());
    }
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
