//! `factory run`: the original's one command.

use clap::Args;

use super::build::{BuildFlags, Job, build_now};
use super::resolve::{ResolveFlags, broken, failures, read_lock, resolve_now, stale_reasons, write};
use super::session::Session;
use super::source::SourceArgs;
use super::{attach, dry_run, misspelt, paths, publish};
use crate::error::Result;
use crate::resolve::UpdateMode;

/// Options of `factory run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Resolve nothing and build nothing: list the workspaces and plugins that would be built
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
    attach::check(&args.build.publish)?;
    let config = args.source.config(session).or_else(|error| {
        misspelt::command(&args.workspaces, None)?;
        Err(error)
    })?;
    misspelt::command(&args.workspaces, Some(&config))?;
    config.check_names(&args.workspaces)?;
    let lock_file = paths::lock_file(session.global);
    let old = read_lock(&lock_file)?;
    if args.dry_run {
        return dry_run::list(session, config, old.as_ref(), &args.workspaces, &args.build);
    }
    publish::registries(&config, &args.workspaces, &args.build.publish)?;
    let sources = args.build.sources(session, &config, &args.workspaces, &args.source)?;
    let fresh = old.as_ref().is_some_and(|lock| stale_reasons(&config, lock, &args.workspaces).is_empty());
    let mut failed = Vec::new();
    let lock = match old {
        Some(lock) if fresh => lock,
        old => {
            let resolved = resolve_now(
                session,
                &config,
                &args.workspaces,
                UpdateMode::Missing,
                old.as_ref(),
                &args.source,
                &args.resolve,
            )
            .await?;
            if !resolved.lock.workspace.is_empty() {
                write(session, &lock_file, &resolved, &args.resolve)?;
                session.ui.note(format!("{} written", lock_file.display()));
            }
            failed = resolved.failed;
            resolved.lock
        }
    };
    let built = if lock.workspace.is_empty() {
        Ok(())
    } else {
        let job = Job {
            config: &config,
            lock,
            lock_file: &lock_file,
            names: &args.workspaces,
            sources,
            options: &args.build,
        };
        build_now(session, job).await
    };
    let resolved = usize::from(built.is_err());
    failed.extend(broken(config, &args.workspaces));
    failures(session, failed, resolved).and(built)
}
