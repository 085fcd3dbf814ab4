//! `factory fetch`

use clap::Args;

use super::build::{BuildFlags, Job, build_now, fresh_lock};
use super::paths;
use super::publish::PublishArgs;
use super::repo_path::Sources;
use super::resolve::{broken, failures};
use super::session::Session;
use super::source::SourceArgs;
use crate::config::tag_prefix::TagPrefix;
use crate::error::Result;
use crate::sandbox::root::IsolationChoice;

/// Options of `factory fetch`.
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Where sources are.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How it is done.
    #[command(flatten)]
    pub steps: StepFlags,
}

/// How steps of third-party code run, where nothing is put out.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Build options")]
pub struct StepFlags {
    /// Installs and exports that run at once [default: as many as cores and memory allow]
    #[arg(long, env = "FACTORY_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Keep builds apart from the machine, at fixed paths: when it can be had, always, or not at all
    #[arg(long, env = "FACTORY_ISOLATION", value_enum, default_value = "auto", value_name = "WHEN")]
    pub isolation: IsolationChoice,
    /// Seconds that one install or export may take
    #[arg(long, env = "FACTORY_TIMEOUT", value_name = "SECONDS", default_value = "3600")]
    pub timeout: u64,
    /// Do not run the install scripts of packages
    #[arg(long, env = "FACTORY_NO_INSTALL_SCRIPTS")]
    pub no_install_scripts: bool,
    /// Put before the version in image tags, as `factory build` does
    #[arg(long, env = "FACTORY_TAG_PREFIX", value_name = "PREFIX", default_value = "auto")]
    pub tag_prefix: TagPrefix,
}

impl StepFlags {
    /// The options of a build that does it this way, with the network and the lock as it is.
    pub(super) fn build_options(&self) -> BuildFlags {
        BuildFlags {
            output_dir: None,
            jobs: self.jobs,
            isolation: self.isolation,
            offline: false,
            fetch_only: false,
            timeout: self.timeout,
            no_install_scripts: self.no_install_scripts,
            frozen: true,
            rebuild: true,
            clean: false,
            publish: PublishArgs::unpublished(),
            tag_prefix: self.tag_prefix.clone(),
        }
    }
}

pub(super) async fn run(session: &Session<'_>, args: &FetchArgs) -> Result<()> {
    let lock_file = paths::lock_file(session.global);
    let (lock, config) = fresh_lock(session, &lock_file, &args.source, &args.workspaces)?;
    let options = BuildFlags { fetch_only: true, ..args.steps.build_options() };
    let sources = Sources::unseen(&config, &args.source);
    let job = Job { config: &config, lock, lock_file: &lock_file, names: &args.workspaces, sources, options: &options };
    let fetched = build_now(session, job).await;
    failures(session, broken(config, &args.workspaces).collect(), 1).and(fetched)
}
