//! `factory status`

use std::path::{Path, PathBuf};

use clap::Args;

use super::failures::failures;
use super::session::Session;
use super::source_options::SourceArgs;
use super::{last_failure, lock_file, paths};
use crate::audit::status::{self, BuiltState, Status, WorkspaceStatus};
use crate::build::report::{self, Report};
use crate::error::{Error, Result, exit_code};
use crate::ui::{self, count};

/// Options of `factory status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Exit with 3 if the lock is stale, with 1 if a plugin is not built as it is locked
    #[arg(long)]
    pub check: bool,
    /// Output directory of builds [default: /outputs where it exists, else ./outputs]
    #[arg(long, env = "FACTORY_OUTPUT_DIR", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// The configuration to compare with.
    #[command(flatten)]
    pub source: SourceArgs,
}

pub(super) fn run(session: &Session<'_>, args: &StatusArgs) -> Result<()> {
    let lock_file = lock_file::place(session, args.output_dir.as_deref());
    let Some(mut lock) = lock_file::read(&lock_file)? else {
        if let Ok(config) = args.source.config(session, &[]) {
            last_failure::repeat(session, &lock_file, &config, &[]);
        }
        return Err(lock_file::missing(&lock_file, "run `factory resolve` to pin what the configuration asks for"));
    };
    let mut notes = Vec::new();
    // A lock alone, in a release's archive say, still has a status.
    let (reasons, unread, unreadable) = match args.source.config(session, &[]) {
        Ok(config) => {
            notes.extend(config.broken.iter().map(|broken| format!("{broken}")));
            config.forget_listed(&mut lock);
            let first = config.broken.first().map(|broken| broken.error.again());
            (Some(lock_file::stale_reasons(&config, &lock, &[])), first, config.broken.len())
        }
        Err(error) => {
            notes.push(format!("the configuration cannot be read, so it is not known what is stale: {error}"));
            (None, Some(error), 0)
        }
    };
    let output_dir = paths::output_dir(args.output_dir.as_deref());
    let report = match read_report(&output_dir) {
        Ok(report) => report,
        Err(error) => {
            notes.push(format!("it is not known what is built: {error}"));
            None
        }
    };
    let name = session.global.laid_out.shown(&lock_file);
    let mut status = status::of(&lock, &name, reasons.as_deref(), report.as_ref(), &output_dir);
    status.notes = notes;
    status.unreadable = unreadable;
    let text = if args.json { status.to_json() } else { status.to_text() };
    let written = if args.json { ui::data_as_it_is(&text) } else { ui::text(&text) };
    written.map_err(Error::io("write", Path::new("stdout")))?;
    match unread {
        Some(error) if args.check => Err(error),
        _ if args.check => verdict(&status),
        _ => failures(session, lock.problems(&[]), lock.workspace.len()),
    }
}

/// The error of `--check`, if what is locked is not what is asked for, or not what is built.
fn verdict(status: &Status) -> Result<()> {
    let failed = |what: String, code| Err(Error::Failed { what, code });
    let stale = status.workspaces.iter().filter(|workspace| !workspace.stale.is_empty());
    let stale: Vec<String> = stale.map(|workspace| format!("`{}`", workspace.name)).collect();
    if !stale.is_empty() {
        return failed(format!("the lock is stale: {}", stale.join(", ")), exit_code::LOCK);
    }
    let unresolved = status.workspaces.iter().filter(|workspace| workspace.unresolved.is_some()).count();
    if unresolved > 0 {
        return failed(format!("{} not resolved", count(unresolved, "workspace")), exit_code::FAILED);
    }
    let plugins = status.workspaces.iter().flat_map(|workspace| &workspace.plugins);
    let unbuilt = plugins.filter(|plugin| plugin.built != BuiltState::Yes).count();
    // A problem of a plugin that is locked is counted as that plugin.
    let is_locked =
        |workspace: &WorkspaceStatus, path: &str| workspace.plugins.iter().any(|plugin| plugin.path == path);
    let problems = status
        .workspaces
        .iter()
        .map(|workspace| workspace.problems.iter().filter(|problem| !is_locked(workspace, &problem.plugin)).count());
    match unbuilt + problems.sum::<usize>() {
        0 => Ok(()),
        n => failed(format!("{} not built as locked", count(n, "plugin")), exit_code::FAILED),
    }
}

/// The report of the last build; none when there is no such file.
fn read_report(output_dir: &Path) -> Result<Option<Report>> {
    let path = output_dir.join(report::FILE_NAME);
    match Report::read(&path, "remove it; the next build writes it anew") {
        Err(error) if error.is_missing_file() => Ok(None),
        read => read.map(Some),
    }
}
