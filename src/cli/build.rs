//! `factory build`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::build_options::BuildFlags;
use super::build_step::Replay;
use super::failures::{both, broken, failures};
use super::lock_file;
use super::session::Session;
use super::source_options::SourceArgs;
use crate::audit::plan::{Plan, PlannedShard};
use crate::build;
use crate::error::{Error, Place, Result};
use crate::lock::{Shard, shards};
use crate::ui::count;
use crate::user_file;

/// Options of `factory build`.
#[derive(Clone, Debug, Args)]
pub struct BuildArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Build one part of several for `factory join`: the workspaces that are named, else the n-th part of the lock. The
    /// lock is left as it is
    #[arg(long, value_name = "N/COUNT", conflicts_with_all = ["plugins", "fetch_only"])]
    pub shard: Option<Shard>,
    /// Take the workspaces of the shard from this plan, which `factory plan --format json --shards 8` printed
    #[arg(long, value_name = "FILE", requires = "shard", conflicts_with = "workspaces")]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) flags: BuildFlags,
}

pub(super) async fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    let done = run_timed(session, args).await;
    args.flags.timings.write(session, "build", args.flags.output_dir.as_deref());
    done
}

async fn run_timed(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    args.flags.publish.check()?;
    let output_dir = args.flags.output_dir.as_deref();
    let mut lock_file = lock_file::place(session, output_dir);
    let names = &match args.shard {
        Some(shard) if args.workspaces.is_empty() => match &args.plan {
            Some(plan) => planned(shard, plan, &lock_file)?,
            None => names_of(shard, &lock_file)?,
        },
        _ => args.workspaces.clone(),
    };
    let (lock, mut config) = lock_file::read_fresh(session, &lock_file, &args.source, names)?;
    let sources = args.flags.sources(session, &config, names, &args.source)?;
    if args.flags.will_seal(&lock, names) {
        lock_file = lock_file::written(session, &lock_file, output_dir)?;
    }
    build::check_plugins(&lock, names, &args.flags.plugins)?;
    let mut failed = lock.problems_of(names, &args.flags.plugins);
    failed.extend(broken(&mut config, names));
    let (config, unresolved, flags) = (&config, &failed[..], &args.flags);
    let (lock_file, shard, since) = (&lock_file, args.shard, None);
    let replay = Replay { config, lock, lock_file, names, unresolved, sources, shard, since, flags };
    let others = replay.workspaces()?;
    let built = replay.run(session).await;
    both(session, failures(session, failed, others), built)
}

/// The workspaces of a shard, by the lock alone: all machines find the same.
fn names_of(shard: Shard, lock_file: &Path) -> Result<Vec<String>> {
    // That there is none is said where the lock is read with its configuration.
    let Some(lock) = lock_file::read(lock_file)? else { return Ok(Vec::new()) };
    let mut parts = shards::balanced(&lock, &BTreeMap::new(), shard.count);
    let names = parts.swap_remove(shard.number - 1);
    if names.is_empty() {
        return Err(Error::usage(
            format!("shard {shard} has no workspace: the lock has {}", count(lock.workspace.len(), "workspace")),
            "build fewer shards",
        ));
    }
    Ok(names)
}

/// The workspaces of a shard as a plan has them, which must be of this lock.
fn planned(shard: Shard, file: &Path, lock_file: &Path) -> Result<Vec<String>> {
    let bytes = user_file::read(file, user_file::DOCUMENT).map_err(Error::io("read", file))?;
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| {
        let place = Place::at(file, error.line(), error.column());
        Error::config(place, error.to_string(), "make the plan again, with `factory plan --format json --shards 8`")
    })?;
    let identity = lock_file::read(lock_file)?.map(|lock| lock.identity());
    if identity.is_some_and(|identity| identity != plan.lock) {
        return Err(Error::usage(
            format!("`{}` is the plan of another lock: its pins are {}", file.display(), plan.lock),
            "make the plan again, from the lock that is built",
        ));
    }
    let is_it = |one: &&PlannedShard| one.shard == shard.to_string();
    let names = plan.shards.iter().find(is_it).map(|one| one.workspaces.clone()).filter(|names| !names.is_empty());
    names.ok_or_else(|| {
        let what = format!("`{}` has no shard {shard}: it has {}", file.display(), count(plan.shards.len(), "shard"));
        Error::usage(what, "give one of its shards with `--shard`")
    })
}
