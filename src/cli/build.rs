//! `factory build`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::attach;
use super::publish::{self, BuilderChoice, PublishArgs};
use super::repo_path::{self, Sources};
use super::resolve::{broken, code_of, failures, probe, read_lock, stale_reasons, write_lock};
use super::session::Session;
use super::source::SourceArgs;
use super::{paths, session, summary};
use crate::build::packages::unpinned::Unpinned;
use crate::build::report::{self, Report};
use crate::build::{self, BuildOptions, BuiltWorkspace, Shared, plugins_yaml};
use crate::config::{Config, TagPrefix, WorkspaceConfig};
use crate::error::{Error, Place, Result, exit_code};
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, SealedPackages, Sha256};
use crate::npm::registry::NpmRegistry;
use crate::sandbox::root::{Isolation, IsolationChoice};
use crate::store::{Store, atomic_file};
use crate::ui::count;

/// Options of `factory build`.
#[derive(Clone, Debug, Args)]
pub struct BuildArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) options: BuildFlags,
}

/// How a build is done.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Build options")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct BuildFlags {
    /// Where results go [default: /outputs where it exists, else ./outputs]
    #[arg(long, env = "FACTORY_OUTPUT_DIR", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Installs and exports that run at once [default: as many as cores and memory allow]
    #[arg(long, env = "FACTORY_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Keep builds apart from the machine, at fixed paths: when it can be had, always, or not at all
    #[arg(long, env = "FACTORY_ISOLATION", value_enum, default_value = "auto", value_name = "WHEN")]
    pub isolation: IsolationChoice,
    /// Use no network: everything must be in the cache
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    /// Only fill the cache with what `--offline` needs, as `factory fetch` does
    #[arg(long, env = "FACTORY_FETCH_ONLY", conflicts_with = "offline")]
    pub fetch_only: bool,
    /// Seconds that one install or export may take
    #[arg(long, env = "FACTORY_TIMEOUT", value_name = "SECONDS", default_value = "3600")]
    pub timeout: u64,
    /// Do not run the install scripts of packages
    #[arg(long, env = "FACTORY_NO_INSTALL_SCRIPTS")]
    pub no_install_scripts: bool,
    /// Hold the build to a sealed lock, and write nothing into it
    #[arg(long, env = "FACTORY_FROZEN")]
    pub frozen: bool,
    /// Build also what is sealed and still in the cache; --frozen does so too
    #[arg(long, env = "FACTORY_REBUILD")]
    pub rebuild: bool,
    /// Put before the version in image tags; `auto` is `bs_<version>__` or `next__` where versions.json says a
    /// Backstage version, as RHDH's export repository does, and nothing elsewhere
    #[arg(long, env = "FACTORY_TAG_PREFIX", value_name = "PREFIX", default_value = "auto")]
    pub tag_prefix: TagPrefix,
    /// Empty --repo-path without asking before a copy of the patched source is left there; no effect with --use-local
    #[arg(long, env = "FACTORY_CLEAN")]
    pub clean: bool,
    #[command(flatten)]
    pub(super) publish: PublishArgs,
}

/// The output folder that a build would be given by its variable.
pub(super) fn output_dir_of_environment() -> Option<PathBuf> {
    std::env::var_os("FACTORY_OUTPUT_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

impl BuildFlags {
    /// How a build gets at its sources; asks before it empties `--repo-path`.
    pub fn sources(
        &self,
        session: &Session<'_>,
        config: &Config,
        names: &[String],
        args: &SourceArgs,
    ) -> Result<Sources> {
        let output_dir = paths::output_dir(self.output_dir.as_deref());
        repo_path::prepare(session, config, names, args, &output_dir, self.clean)
    }

    /// The prefix of a workspace's image tags. `own` is the Backstage version that its source says it is for, which
    /// counts when its configuration says none.
    pub fn prefix(&self, config: &Config, workspace: &WorkspaceConfig, own: Option<&str>) -> String {
        let release = config.versions.as_ref().and_then(|versions| versions.backstage.as_deref());
        let configured = workspace.supported_versions.as_deref().or(workspace.source.backstage_version.as_deref());
        self.tag_prefix.of(release, configured.or(own))
    }

    fn prefixes(&self, config: &Config, lock: &Lock) -> BTreeMap<String, String> {
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

pub(super) async fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    attach::check(&args.options.publish)?;
    let lock_file = paths::lock_file(session.global);
    let (lock, config) = fresh_lock(session, &lock_file, &args.source, &args.workspaces)?;
    let sources = args.options.sources(session, &config, &args.workspaces, &args.source)?;
    let job =
        Job { config: &config, lock, lock_file: &lock_file, names: &args.workspaces, sources, options: &args.options };
    let built = build_now(session, job).await;
    failures(session, broken(config, &args.workspaces).collect(), 1).and(built)
}

/// What is built, and how.
pub(super) struct Job<'a> {
    /// The whole configuration.
    pub(super) config: &'a Config,
    /// A lock that fits it.
    pub(super) lock: Lock,
    /// Where the lock is.
    pub(super) lock_file: &'a Path,
    /// Only these workspaces; all when empty.
    pub(super) names: &'a [String],
    /// How sources are reached.
    pub(super) sources: Sources,
    /// How it is done.
    pub(super) options: &'a BuildFlags,
}

/// The lock, which must be there and fit the configuration, and the configuration.
pub(super) fn fresh_lock(
    session: &Session<'_>,
    lock_file: &Path,
    source: &SourceArgs,
    names: &[String],
) -> Result<(Lock, Config)> {
    let config = source.config(session)?;
    config.check_names(names)?;
    let lock = read_lock(lock_file)?.ok_or_else(|| Error::Lock {
        place: Place::file(lock_file),
        what: "there is no lock".into(),
        hint: "run `factory resolve` first, or `factory run` for both".into(),
    })?;
    let reasons = stale_reasons(&config, &lock, names);
    if !reasons.is_empty() {
        return Err(Error::Stale {
            reasons: reasons.iter().map(ToString::to_string).collect(),
            hint: format!("run `factory resolve{}`", only_one(&reasons)),
        });
    }
    Ok((lock, config))
}

/// ` todo` when all reasons are about `todo`.
fn only_one(reasons: &[crate::lock::stale::StaleReason]) -> String {
    let first = reasons.first().map(crate::lock::stale::StaleReason::workspace).unwrap_or_default();
    if reasons.iter().all(|reason| reason.workspace() == first) { format!(" {first}") } else { String::new() }
}

/// Replays a lock that is not stale.
pub(super) async fn build_now(session: &Session<'_>, job: Job<'_>) -> Result<()> {
    let (args, names, lock_file) = (job.options, job.names, job.lock_file);
    let store = session.store()?;
    let output_dir =
        if args.fetch_only { store.dir().join("logs/fetch") } else { paths::output_dir(args.output_dir.as_deref()) };
    let config = job.config;
    let shared = share(session, job, store, &output_dir, false).await?;
    let output_dir = &shared.options.output_dir;
    let publication = publish::prepare(session, config, &shared.lock, names, &args.publish, &shared.options).await?;
    let mut built = build::build(shared.clone(), names).await?;
    if args.fetch_only {
        return fetched(session, &built);
    }
    // Sealed before it is pushed: what is attached to the images describes what is sealed.
    let lock = if args.frozen { shared.lock.clone() } else { seal_lock(&shared, &built, lock_file)? };
    if let Some(publication) = publication {
        publication.push(session, &lock, &shared.options.lock_dir, &mut built).await?;
    }
    write_results(&shared, &built, output_dir)?;
    conclude(session, &built, output_dir)
}

/// What all workspaces of a build share, from the command line.
pub(super) async fn share(
    session: &Session<'_>,
    job: Job<'_>,
    store: Store,
    output_dir: &Path,
    verify_mode: bool,
) -> Result<Arc<Shared>> {
    let Job { config, lock, lock_file, sources, options: args, .. } = job;
    let isolation = probe(session, &store, args.isolation).await?;
    let registry = NpmRegistry::of_machine();
    let registry_address = registry.as_ref().map(NpmRegistry::address).unwrap_or_default();
    let registry = if args.offline { None } else { Some(registry?) };
    std::fs::create_dir_all(output_dir).map_err(Error::io("create", output_dir))?;
    let output_dir = output_dir.canonicalize().map_err(Error::io("open", output_dir))?;
    let jobs = args.jobs.map_or_else(session::jobs, usize::from);
    Ok(Arc::new(Shared {
        options: BuildOptions {
            config_dir: paths::config_dir(session.global),
            lock_dir: paths::folder_of(lock_file),
            output_dir,
            jobs,
            isolation,
            offline: args.offline,
            fetch_only: args.fetch_only,
            reuse_cache: !(args.rebuild || args.frozen || args.fetch_only || verify_mode),
            frozen: args.frozen,
            verify_mode,
            timeout: Duration::from_secs(args.timeout),
            install_scripts: !args.no_install_scripts,
            tag_prefixes: args.prefixes(config, &lock),
            compression: args.publish.compression(),
            buildah: args.publish.image_builder == BuilderChoice::Buildah,
            network: sources.network,
            local: sources.local,
            source_copy: sources.source_copy,
        },
        lock,
        store,
        registry,
        registry_address,
        ui: session.ui.clone(),
        interrupt: session.interrupt.clone(),
        slots: tokio::sync::Semaphore::new(jobs),
    }))
}

/// The summary of `factory fetch`.
fn fetched(session: &Session<'_>, built: &[BuiltWorkspace]) -> Result<()> {
    let errors: Vec<&Error> = built.iter().flat_map(BuiltWorkspace::errors).collect();
    let good = built.iter().filter(|workspace| workspace.error.is_none()).count();
    let what = format!("{} ready for `factory build --offline`", count(good, "workspace"));
    if errors.is_empty() {
        session.ui.note(what);
        return Ok(());
    }
    let failed: Vec<_> = built.iter().filter(|w| w.error.is_some()).map(|w| format!("`{}`", w.name)).collect();
    Err(Error::Failed { what: format!("{what}, failed: {}", failed.join(", ")), code: code_of(errors.into_iter()) })
}

/// `build-report.json` and `dynamic-plugins.yaml`.
fn write_results(shared: &Shared, built: &[BuiltWorkspace], output_dir: &Path) -> Result<()> {
    let report = Report {
        version: report::VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: shared.lock.identity(),
        isolation: match shared.options.isolation {
            Isolation::Namespaces => "namespaces",
            Isolation::UserNamespaces => "user-namespaces",
            Isolation::None => "none",
        }
        .into(),
        workspaces: built.iter().map(|workspace| workspace.report.clone()).collect(),
        warnings: shared.ui.warnings(),
    };
    atomic_file(&output_dir.join(report::FILE_NAME), report.to_json().as_bytes())?;
    let artefacts = built.iter().flat_map(|workspace| workspace.plugins.iter().flatten());
    let entries: Vec<_> = artefacts
        .map(|artefact| plugins_yaml::DynamicPlugin {
            package: match &artefact.output.pushed {
                Some(pinned) => format!("oci://{pinned}!{}", artefact.output.image_path),
                None => format!("./{}", artefact.output.tgz),
            },
            integrity: artefact.output.pushed.is_none().then_some(artefact.output.integrity),
            disabled: false,
            plugin_config: artefact.config.clone(),
        })
        .collect();
    let failed: Vec<String> = built.iter().flat_map(failed_plugins).collect();
    if entries.is_empty() && !failed.is_empty() {
        // What an earlier build left there is of more use than an empty list.
        return Ok(());
    }
    atomic_file(&output_dir.join(plugins_yaml::FILE_NAME), plugins_yaml::render(&entries, &failed).as_bytes())
}

/// The plugins of a workspace that could not be built, or pushed: all of them when it failed as a whole.
fn failed_plugins(workspace: &BuiltWorkspace) -> Vec<String> {
    if workspace.error.is_some() {
        return vec![format!("all of workspace `{}`", workspace.name)];
    }
    let bad = workspace.report.plugins.iter().filter(|plugin| plugin.error.is_some());
    bad.map(|plugin| format!("`{}` of workspace `{}`", plugin.path, workspace.name)).collect()
}

/// Adds what this build found out to what is not sealed yet, plugins and packages: companions first, then the lock, which
/// is returned.
fn seal_lock(shared: &Shared, built: &[BuiltWorkspace], lock_file: &Path) -> Result<Lock> {
    let mut lock = shared.lock.clone();
    let (mut new, mut packages) = (0, 0);
    for workspace in &mut lock.workspace {
        let Some(built) = built.iter().find(|built| built.name == workspace.name) else { continue };
        // A local tree is no pin, and buildah's digests are buildah's.
        if workspace.source.local || !shared.options.makes_sealed_images() {
            continue;
        }
        for (plugin, result) in workspace.plugin.iter_mut().zip(&built.plugins) {
            let Ok(artefact) = result else { continue };
            if plugin.sealed.is_some() {
                continue;
            }
            let lock_dir = &shared.options.lock_dir;
            if let Some(closure) = &artefact.record.closure {
                let path = CompanionPath::closure(&workspace.name, &plugin.path).below(lock_dir);
                atomic_file(&path, closure.as_bytes())?;
            }
            let files = CompanionPath::files(&workspace.name, &plugin.path).below(lock_dir);
            atomic_file(&files, artefact.files.to_text().as_bytes())?;
            plugin.sealed = Some(artefact.sealed.clone());
            new += 1;
        }
        let mut sealed = Unpinned::sealed(&shared.options.lock_dir, workspace)?;
        if workspace.plugin.iter().any(|plugin| plugin.sealed.is_some()) && sealed.merge(built.unpinned.clone()) {
            let text = sealed.to_text();
            atomic_file(&Unpinned::path(&shared.options.lock_dir, &workspace.name), text.as_bytes())?;
            workspace.sealed = Some(SealedPackages { packages: Sha256::of(&text) });
            packages += 1;
        }
    }
    if new > 0 || packages > 0 {
        write_lock(lock_file, &lock)?;
        let plugins = (new > 0).then(|| format!("{} sealed", count(new, "plugin")));
        let packages = (packages > 0).then(|| format!("packages of this platform in {}", count(packages, "workspace")));
        let sealed = plugins.into_iter().chain(packages).collect::<Vec<_>>().join(", ");
        shared.ui.note(format!("{}: {sealed}", lock_file.display()));
    }
    Ok(lock)
}

/// The summary.
fn conclude(session: &Session<'_>, built: &[BuiltWorkspace], output_dir: &Path) -> Result<()> {
    summary::say(&session.ui, built, output_dir);
    let good = built.iter().flat_map(|workspace| &workspace.plugins).filter(|plugin| plugin.is_ok()).count();
    let errors: Vec<&Error> = built.iter().flat_map(BuiltWorkspace::errors).collect();
    if errors.is_empty() {
        let kept = built.iter().flat_map(|workspace| &workspace.report.plugins).filter(|plugin| plugin.kept).count();
        let kept = if kept == 0 { String::new() } else { format!(", {kept} of them from the cache") };
        session.ui.note(format!("{} built into {}{kept}", count(good, "plugin"), output_dir.display()));
        return Ok(());
    }
    let failed: Vec<String> = built
        .iter()
        .filter(|workspace| workspace.errors().next().is_some())
        .map(|workspace| {
            if workspace.error.is_some() {
                format!("`{}`", workspace.name)
            } else {
                let bad: Vec<_> = workspace
                    .report
                    .plugins
                    .iter()
                    .filter(|plugin| plugin.error.is_some())
                    .map(|plugin| plugin.path.as_str())
                    .collect();
                format!("`{}` ({})", workspace.name, bad.join(", "))
            }
        })
        .collect();
    let code = code_of(errors.into_iter());
    Err(Error::Failed {
        what: format!(
            "{} built, failed: {}; see {}",
            count(good, "plugin"),
            failed.join(", "),
            output_dir.join(report::FILE_NAME).display()
        ),
        code: if code == 0 { exit_code::FAILED } else { code },
    })
}
