//! `factory build`

use clap::Args;

use super::build_options::BuildFlags;
use super::build_step::Replay;
use super::failures::{both, broken, failures};
use super::lock_file;
use super::session::Session;
use super::source_options::SourceArgs;
use crate::build;
use crate::error::Result;

/// Options of `factory build`.
#[derive(Clone, Debug, Args)]
pub struct BuildArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) flags: BuildFlags,
}

pub(super) async fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    args.flags.publish.check()?;
    let names = &args.workspaces;
    let output_dir = args.flags.output_dir.as_deref();
    let mut lock_file = lock_file::place(session, output_dir);
    let (lock, mut config) = lock_file::read_fresh(session, &lock_file, &args.source, names)?;
    let sources = args.flags.sources(session, &config, names, &args.source)?;
    if args.flags.will_seal(&lock, names) {
        lock_file = lock_file::written(session, &lock_file, output_dir)?;
    }
    build::check_plugins(&lock, names, &args.flags.plugins)?;
    let mut failed = lock.problems_of(names, &args.flags.plugins);
    failed.extend(broken(&mut config, names));
    let (config, unresolved, flags) = (&config, &failed[..], &args.flags);
    let replay = Replay { config, lock, lock_file: &lock_file, names, unresolved, sources, flags };
    let others = replay.workspaces()?;
    let built = replay.run(session).await;
    both(session, failures(session, failed, others), built)
}
