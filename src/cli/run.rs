//! `factory run`: the original's one command.

use clap::Args;

use super::build_options::BuildFlags;
use super::build_step::Replay;
use super::failures::{both, broken, failures};
use super::github_output::StepOutputs;
use super::resolve_step::{self, PinRequest, ResolveFlags};
use super::session::Session;
use super::source_options::SourceArgs;
use super::{dry_run, lock_file, misspelt, publish};
use crate::build;
use crate::error::{Error, Result};
use crate::lock::{Lock, Workspace};
use crate::resolve::{Repinned, Unmerged, UpdateMode};

/// Options of `factory run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Resolve and build nothing: list the workspaces and plugins that would be built
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) resolve: ResolveFlags,
    #[command(flatten)]
    pub(super) build: BuildFlags,
}

pub(super) async fn run(session: &Session<'_>, args: &RunArgs) -> Result<()> {
    let done = run_timed(session, args).await;
    args.build.timings.write(session, "run", args.build.output_dir.as_deref());
    done
}

async fn run_timed(session: &Session<'_>, args: &RunArgs) -> Result<()> {
    let names = &args.workspaces;
    args.build.publish.check()?;
    let mut config = args.source.config(session, names).or_else(|error| {
        misspelt::command(names, None)?;
        Err(error)
    })?;
    misspelt::command(names, Some(&config))?;
    config.check_names(names)?;
    let output_dir = args.build.output_dir.as_deref();
    let mut lock_file = lock_file::place(session, output_dir);
    let old = lock_file::read(&lock_file)?;
    if args.dry_run {
        return dry_run::list(session, config, old.as_ref(), names, &args.build);
    }
    publish::registries(&config, names, &args.build.publish)?;
    let sources = args.build.sources(session, &config, names, &args.source)?;
    let place = lock_file.clone();
    let mut request = PinRequest {
        config: &config,
        names,
        mode: UpdateMode::Missing,
        old: old.as_ref(),
        unmerged: Unmerged::default(),
        lock_file: &place,
        source: &args.source,
        flags: &args.resolve,
        repinned: Repinned::default(),
    };
    let is_fresh = |lock: &&Lock| {
        let is_resolved = !lock.unresolved.iter().any(|one| names.is_empty() || names.contains(&one.name));
        is_resolved && lock_file::stale_reasons(&config, lock, names).is_empty() && !request.asks_for_more()
    };
    let (lock, mut failed) = if let Some(lock) = old.as_ref().filter(is_fresh) {
        if args.build.will_seal(lock, names) {
            lock_file = lock_file::written(session, &lock_file, output_dir)?;
        }
        (lock.clone(), lock.problems(names))
    } else {
        lock_file = lock_file::written(session, &lock_file, output_dir)?;
        request.lock_file = &lock_file;
        let resolved = request.run(session).await.inspect_err(|error| {
            if !matches!(error, Error::Interrupted) {
                StepOutputs::unresolved(&config, names).write(session);
            }
        })?;
        if !(resolved.lock.workspace.is_empty() && resolved.lock.unresolved.is_empty()) {
            resolve_step::write(session, &lock_file, &resolved, &args.resolve)?;
            session.ui.note(format!("{} written", lock_file.display()));
        }
        (resolved.lock, resolved.failed)
    };
    build::check_plugins(&lock, names, &args.build.plugins)?;
    failed.extend(broken(&mut config, names));
    let (config, unresolved, shard, flags) = (&config, &failed[..], None, &args.build);
    // Of what could not be resolved the lock may have an earlier commit, which nobody asked for.
    let is_resolved = |locked: &&Workspace| {
        args.resolve.keep_going || !locked.problem.is_empty() || !failed.iter().any(|(name, _)| *name == locked.name)
    };
    let wanted = lock.workspace.iter().filter(|locked| names.is_empty() || names.contains(&locked.name));
    let resolved: Vec<String> = wanted.filter(is_resolved).map(|locked| locked.name.clone()).collect();
    if resolved.is_empty() && !failed.is_empty() {
        StepOutputs::of(config.mode, &lock, &[], vec![], unresolved).write(session);
        return failures(session, failed, 0);
    }
    let (names, lock_file, since) = (&resolved[..], &*lock_file, old.as_ref());
    let replay = Replay { config, lock, lock_file, names, unresolved, sources, shard, since, flags };
    let built = replay.run(session).await;
    let others = usize::from(built.is_err());
    both(session, failures(session, failed, others), built)
}
