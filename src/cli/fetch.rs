//! `factory fetch`

use clap::Args;

use super::build_options::{BuildFlags, StepFlags};
use super::build_step::Replay;
use super::failures::{broken, failures};
use super::lock_file;
use super::repo_path::Sources;
use super::session::Session;
use super::source_options::SourceArgs;
use crate::error::Result;

/// Options of `factory fetch`.
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub steps: StepFlags,
}

pub(super) async fn run(session: &Session<'_>, args: &FetchArgs) -> Result<()> {
    let names = &args.workspaces;
    let lock_file = lock_file::place(session, None);
    let (lock, mut config) = lock_file::read_fresh(session, &lock_file, &args.source, names)?;
    let flags = BuildFlags { fetch_only: true, ..args.steps.build_flags() };
    let sources = Sources::without_copy(&config, &args.source, &session.ui);
    let mut failed = lock.problems(names);
    failed.extend(broken(&mut config, names));
    let (config, lock_file, unresolved, flags) = (&config, &*lock_file, &failed[..], &flags);
    let (shard, since) = (None, None);
    let replay = Replay { config, lock, lock_file, names, unresolved, sources, shard, since, flags };
    let others = replay.workspaces()?;
    let fetched = replay.run(session).await;
    failures(session, failed, others).and(fetched)
}
