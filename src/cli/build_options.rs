//! Options of a build, for every command that does its steps.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::cache_repo::CacheRepoArgs;
use super::paths;
use super::publish::PublishArgs;
use super::repo_path::{RepoPath, Sources};
use super::session::Session;
use super::source_options::SourceArgs;
use super::timings::TimingsArgs;
use crate::build::checks::GlibcVersion;
use crate::build::plugins_yaml::ConfigSource;
use crate::config::{Config, TagPrefix, WorkspaceConfig};
use crate::error::Result;
use crate::lock::Lock;
use crate::sandbox::root::IsolationChoice;

/// Options of a build whose results are kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Build options")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct BuildFlags {
    /// Only this plugin, by its path in the workspace or its package; can be given several times
    #[arg(short, long = "plugin", value_name = "PLUGIN")]
    pub plugins: Vec<String>,
    /// Output directory [default: /outputs where it exists, else ./outputs]
    #[arg(long, env = "FACTORY_OUTPUT_DIR", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Number of installs and exports that run at once [default: as many as cores and memory allow]
    #[arg(long, env = "FACTORY_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Isolate builds from the machine, at fixed paths: when possible, always, or never
    #[arg(long, env = "FACTORY_ISOLATION", value_enum, default_value = "auto", value_name = "WHEN")]
    pub isolation: IsolationChoice,
    /// Use no network: everything must be in the cache
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    /// Only download what `--offline` needs, as `factory fetch` does
    #[arg(long, env = "FACTORY_FETCH_ONLY", conflicts_with_all = ["offline", "timings"])]
    pub fetch_only: bool,
    /// Time limit of one install or export, in seconds
    #[arg(long, env = "FACTORY_TIMEOUT", value_name = "SECONDS", default_value = "3600")]
    pub timeout: u64,
    /// Do not run the install scripts of packages
    #[arg(long, env = "FACTORY_NO_INSTALL_SCRIPTS")]
    pub no_install_scripts: bool,
    /// Version of glibc where RHDH runs: native libraries that need a newer one are errors
    #[arg(long, env = "FACTORY_TARGET_GLIBC", value_name = "VERSION", default_value_t = GlibcVersion::UBI_9)]
    pub target_glibc: GlibcVersion,
    /// Require a sealed lock, rebuild everything, and do not change the lock
    #[arg(long, env = "FACTORY_FROZEN")]
    pub frozen: bool,
    /// Rebuild what is sealed and still in the cache, too; `--frozen` implies it
    #[arg(long, env = "FACTORY_REBUILD")]
    pub rebuild: bool,
    /// Prefix of image tags; `auto` is `bs_<version>__` or `next__` where versions.json has a Backstage version, as in
    /// RHDH's export repository, and none elsewhere
    #[arg(long, env = "FACTORY_TAG_PREFIX", value_name = "PREFIX", default_value = "auto")]
    pub tag_prefix: TagPrefix,
    /// Where `dynamic-plugins.yaml` takes the configuration of plugins from that have none of their own
    #[arg(long, env = "FACTORY_CONFIG_FROM", value_enum, value_name = "SOURCE")]
    pub config_from: Option<ConfigSource>,
    /// Empty `--repo-path` without asking before a copy of the patched source is written there; no effect with
    /// `--use-local`
    #[arg(long, env = "FACTORY_CLEAN")]
    pub clean: bool,
    #[command(flatten)]
    pub(super) timings: TimingsArgs,
    #[command(flatten)]
    pub(super) publish: PublishArgs,
    #[command(flatten)]
    pub(super) cache_repo: CacheRepoArgs,
}

impl BuildFlags {
    /// Where the sources of a build come from; asks before it empties `--repo-path`.
    pub fn sources(
        &self,
        session: &Session<'_>,
        config: &Config,
        names: &[String],
        source: &SourceArgs,
    ) -> Result<Sources> {
        let output_dir = paths::output_dir(self.output_dir.as_deref());
        RepoPath { session, source, output_dir: &output_dir, clean: self.clean }.prepare(config, names)
    }

    /// True if the build of these workspaces, of all when no name is given, will seal something in the lock.
    pub fn will_seal(&self, lock: &Lock, names: &[String]) -> bool {
        let mut chosen = lock.workspace.iter().filter(|locked| names.is_empty() || names.contains(&locked.name));
        let writes = !self.frozen && !self.fetch_only;
        writes && chosen.any(|locked| locked.plugin.iter().any(|plugin| plugin.sealed.is_none()))
    }

    /// The prefix of a workspace's image tags. `own` is the Backstage version that its source says it is for, which
    /// counts when its configuration says none.
    pub fn prefix(&self, config: &Config, workspace: &WorkspaceConfig, own: Option<&str>) -> String {
        let release = config.versions.as_ref().and_then(|versions| versions.backstage.as_deref());
        let configured = workspace.supported_versions.as_deref().or(workspace.source.backstage_version.as_deref());
        match (&self.tag_prefix, workspace.env.given("INPUTS_IMAGE_TAG_PREFIX")) {
            (TagPrefix::Auto, Some(prefix)) => prefix.to_owned(),
            (given, _) => given.of(release, configured.or(own)),
        }
    }

    /// The prefix of each workspace's image tags.
    pub fn prefixes(&self, config: &Config, lock: &Lock) -> BTreeMap<String, String> {
        let locked = |name: &str| lock.workspace.iter().find(|locked| locked.name == name);
        config
            .workspaces
            .iter()
            .map(|workspace| {
                let own = locked(&workspace.name).and_then(|locked| locked.source.backstage.as_deref());
                (workspace.name.clone(), self.prefix(config, workspace, own))
            })
            .collect()
    }
}

/// Options of a build whose results are not kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Build options")]
pub struct StepFlags {
    /// Number of installs and exports that run at once [default: as many as cores and memory allow]
    #[arg(long, env = "FACTORY_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Isolate builds from the machine, at fixed paths: when possible, always, or never
    #[arg(long, env = "FACTORY_ISOLATION", value_enum, default_value = "auto", value_name = "WHEN")]
    pub isolation: IsolationChoice,
    /// Time limit of one install or export, in seconds
    #[arg(long, env = "FACTORY_TIMEOUT", value_name = "SECONDS", default_value = "3600")]
    pub timeout: u64,
    /// Do not run the install scripts of packages
    #[arg(long, env = "FACTORY_NO_INSTALL_SCRIPTS")]
    pub no_install_scripts: bool,
}

impl StepFlags {
    /// The options of a build that does these steps, with the network and the lock as it is.
    pub fn build_flags(&self) -> BuildFlags {
        BuildFlags {
            plugins: vec![],
            output_dir: None,
            jobs: self.jobs,
            isolation: self.isolation,
            offline: false,
            fetch_only: false,
            timeout: self.timeout,
            no_install_scripts: self.no_install_scripts,
            target_glibc: GlibcVersion::UBI_9,
            frozen: true,
            rebuild: true,
            config_from: None,
            clean: false,
            timings: TimingsArgs::default(),
            publish: PublishArgs::unpublished(),
            cache_repo: CacheRepoArgs::none(),
            tag_prefix: TagPrefix::Auto,
        }
    }
}

/// Options of a build that is compared with an earlier one.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Build options")]
pub struct CompareFlags {
    /// Version of glibc where RHDH runs: native libraries that need a newer one are errors
    #[arg(long, env = "FACTORY_TARGET_GLIBC", value_name = "VERSION", default_value_t = GlibcVersion::UBI_9)]
    pub target_glibc: GlibcVersion,
    /// Prefix of image tags, as for `factory build`
    #[arg(long, env = "FACTORY_TAG_PREFIX", value_name = "PREFIX", default_value = "auto")]
    pub tag_prefix: TagPrefix,
}

impl CompareFlags {
    /// The same build with these options.
    pub fn of(&self, flags: BuildFlags) -> BuildFlags {
        BuildFlags { target_glibc: self.target_glibc, tag_prefix: self.tag_prefix.clone(), ..flags }
    }
}
