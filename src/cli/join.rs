//! `factory join`

use std::path::PathBuf;

use clap::Args;

use super::failures::{both, failures};
use super::github_output::StepOutputs;
use super::lock_file;
use super::paths;
use super::session::Session;
use super::summary::BuildOutcome;
use crate::build::join::{self, GivenShard, JoinFolders};
use crate::build::report::Report;
use crate::build::results::left_behind_note;
use crate::config::Mode;
use crate::error::full_disk::MovableFolder;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::ui::some_names;

/// Options of `factory join`.
#[derive(Clone, Debug, Args)]
pub struct JoinArgs {
    /// Output directories of `factory build --shard`, or the `shard-<n>.json` in them: all shards of one build [default: the
    /// output directory]
    #[arg(value_name = "SHARD")]
    pub shards: Vec<PathBuf>,
    /// Output directory [default: /outputs where it exists, else ./outputs]
    #[arg(long, env = "FACTORY_OUTPUT_DIR", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
}

pub(super) fn run(session: &Session<'_>, args: &JoinArgs) -> Result<()> {
    let given = args.output_dir.as_deref();
    let lock_file = lock_file::place(session, given);
    let lock = lock_file::read(&lock_file)?
        .ok_or_else(|| lock_file::missing(&lock_file, "join with the lock that the shards were built from"))?;
    let output_dir = paths::writable_output_dir(given)?;
    let own = [output_dir.clone()];
    let shards = GivenShard::read_all(if args.shards.is_empty() { &own } else { &args.shards })?;
    let written = lock_file::written(session, &lock_file, given)?;
    std::fs::create_dir_all(&output_dir).map_err(Error::io("create", &output_dir))?;
    let output_dir = output_dir.canonicalize().map_err(Error::io("open", &output_dir))?;
    let (lock_dir, config_dir) = (paths::folder_of(&written), paths::config_dir(session.global));
    let folders = JoinFolders { lock: &lock_dir, config: &config_dir, output: &output_dir };
    let joined = join::join(&lock, folders, &shards, &session.interrupt)
        .map_err(|error| MovableFolder::outputs(&output_dir).explained(error))?;
    let sealed = lock_file::write_sealed(session, &written, &joined.sealed);
    let has_others = say_others(session, &lock, &joined.report);
    joined.examples.say(&session.ui);
    let unresolved = lock.problems(&[]);
    let reports: Vec<_> = joined.report.workspaces.iter().collect();
    if let Some(text) = left_behind_note(&output_dir, &joined.old) {
        session.ui.note(text);
    }
    // Only the workspace of a configuration without others is the configuration's own folder.
    let mode = if lock.workspace.iter().all(|workspace| workspace.dir == ".") { Mode::Single } else { Mode::Multi };
    StepOutputs::of(mode, &joined.sealed.lock, &reports, joined.published, &unresolved).write(session);
    let (output_dir, code) = (&output_dir, joined.exit_code);
    let outcome = BuildOutcome {
        reports,
        unresolved: &unresolved,
        output_dir,
        has_report: true,
        code,
        sealed: (!has_others).then_some(&lock),
    };
    let said = outcome.say(&session.ui);
    let others = joined.report.workspaces.len();
    both(session, failures(session, unresolved, others), sealed.and(said))
}

/// Names the plugins whose images are not those that the lock has sealed: nothing holds them to it. True if there are any.
fn say_others(session: &Session<'_>, lock: &Lock, report: &Report) -> bool {
    let mut others = Vec::new();
    for (workspace, plugin) in
        report.workspaces.iter().flat_map(|one| one.plugins.iter().map(move |plugin| (one, plugin)))
    {
        let locked = lock.workspace.iter().find(|locked| locked.name == workspace.name);
        let locked = locked.and_then(|locked| locked.plugin.iter().find(|locked| locked.path == plugin.path));
        let sealed = locked.and_then(|locked| locked.sealed.as_ref());
        if sealed.zip(plugin.output.as_ref()).is_some_and(|(sealed, output)| sealed.image != output.digest) {
            others.push(format!("{}/{}", workspace.name, plugin.path));
        }
    }
    if !others.is_empty() {
        session.ui.warn(format!(
            "images that are not the ones that the lock has sealed, as with another compression or image builder: {}",
            some_names(others.iter())
        ));
    }
    !others.is_empty()
}
