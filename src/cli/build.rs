//! `factory build`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::resolve::{broken, code_of, failures, probe, read_lock, stale_reasons, write_lock};
use super::session::Session;
use super::source::SourceArgs;
use super::{paths, session};
use crate::build::report::{self, Report};
use crate::build::root::{Isolation, IsolationChoice};
use crate::build::{self, BuiltWorkspace, Options, Shared, inputs, plugins_yaml, seal};
use crate::error::{Error, Place, Result, exit_code};
use crate::image::Compression;
use crate::lock::Lock;
use crate::store::npm::Registry;
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
    pub(super) options: BuildOptions,
}

/// How a build is done.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Build options")]
#[allow(clippy::struct_excessive_bools)]
pub struct BuildOptions {
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
    /// Put before the version in image tags
    #[arg(long, env = "FACTORY_TAG_PREFIX", value_name = "PREFIX", default_value = "")]
    pub tag_prefix: String,
}

pub(super) async fn run(session: &Session<'_>, args: &BuildArgs) -> Result<()> {
    let lock_file = paths::lock_file(session.global);
    let (lock, failed) = fresh_lock(session, &lock_file, &args.source, &args.workspaces)?;
    let built = build_now(session, lock, &lock_file, &args.workspaces, &args.source, &args.options).await;
    failures(session, failed, 1).and(built)
}

/// The lock, which must be there and fit the configuration, and what is broken in the configuration.
pub(super) fn fresh_lock(
    session: &Session<'_>,
    lock_file: &Path,
    source: &SourceArgs,
    names: &[String],
) -> Result<(Lock, Vec<(String, Error)>)> {
    let lock = read_lock(lock_file)?.ok_or_else(|| Error::Lock {
        place: Place::file(lock_file),
        what: "there is no lock".into(),
        hint: "run `factory resolve` first, or `factory run` for both".into(),
    })?;
    let config = source.config(session)?;
    config.check_names(names)?;
    let reasons = stale_reasons(&config, &lock, names);
    if !reasons.is_empty() {
        return Err(Error::Stale {
            reasons: reasons.iter().map(ToString::to_string).collect(),
            hint: format!("run `factory resolve{}`", only_one(&reasons)),
        });
    }
    Ok((lock, broken(config, names).collect()))
}

/// ` todo` when all reasons are about `todo`.
fn only_one(reasons: &[crate::lock::stale::Reason]) -> String {
    let first = reasons.first().map(crate::lock::stale::Reason::workspace).unwrap_or_default();
    if reasons.iter().all(|reason| reason.workspace() == first) { format!(" {first}") } else { String::new() }
}

/// Replays a lock that is not stale.
pub(super) async fn build_now(
    session: &Session<'_>,
    lock: Lock,
    lock_file: &Path,
    names: &[String],
    source: &SourceArgs,
    args: &BuildOptions,
) -> Result<()> {
    let store = session.store()?;
    let output_dir =
        if args.fetch_only { store.dir().join("logs/fetch") } else { paths::output_dir(args.output_dir.as_deref()) };
    let shared = share(session, lock, lock_file, store, &output_dir, source, args, false).await?;
    let output_dir = &shared.options.output_dir;
    let built = build::build(shared.clone(), names).await?;
    if args.fetch_only {
        return fetched(session, &built);
    }
    write_results(&shared, &built, output_dir)?;
    if !args.frozen {
        seal_lock(&shared, &built, lock_file)?;
    }
    conclude(session, &built, output_dir)
}

/// What all workspaces of a build share, from the command line.
#[allow(clippy::too_many_arguments)]
pub(super) async fn share(
    session: &Session<'_>,
    lock: Lock,
    lock_file: &Path,
    store: Store,
    output_dir: &Path,
    source: &SourceArgs,
    args: &BuildOptions,
    judge: bool,
) -> Result<Arc<Shared>> {
    let isolation = probe(session, &store, args.isolation).await?;
    let registry = if args.offline { None } else { Some(Registry::of_machine()?) };
    std::fs::create_dir_all(output_dir).map_err(Error::io("create", output_dir))?;
    let output_dir = output_dir.canonicalize().map_err(Error::io("open", output_dir))?;
    let jobs = args.jobs.map_or_else(session::jobs, usize::from);
    Ok(Arc::new(Shared {
        options: Options {
            config_dir: paths::config_dir(session.global),
            lock_dir: paths::folder_of(lock_file),
            output_dir,
            jobs,
            isolation,
            offline: args.offline,
            fetch_only: args.fetch_only,
            frozen: args.frozen,
            judge,
            timeout: Duration::from_secs(args.timeout),
            install_scripts: !args.no_install_scripts,
            tag_prefix: args.tag_prefix.clone(),
            compression: Compression::default(),
            network: source.network(),
            local: source.use_local.then(|| source.repo_path.clone().unwrap_or_else(|| "/source".into())),
        },
        lock,
        store,
        registry,
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
        lock: inputs::identity(&shared.lock),
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
        .map(|artefact| plugins_yaml::Entry {
            package: format!("./{}", artefact.output.tgz),
            integrity: Some(artefact.output.integrity),
            disabled: false,
            plugin_config: artefact.config.clone(),
        })
        .collect();
    atomic_file(&output_dir.join(plugins_yaml::FILE_NAME), plugins_yaml::render(&entries).as_bytes())
}

/// Adds what this build found out to plugins that are not sealed yet: their companions first, then the lock.
fn seal_lock(shared: &Shared, built: &[BuiltWorkspace], lock_file: &Path) -> Result<()> {
    let mut lock = shared.lock.clone();
    let mut new = 0;
    for workspace in &mut lock.workspace {
        let Some(built) = built.iter().find(|built| built.name == workspace.name) else { continue };
        if workspace.source.local {
            continue;
        }
        for (plugin, result) in workspace.plugin.iter_mut().zip(&built.plugins) {
            let Ok(artefact) = result else { continue };
            if plugin.sealed.is_some() {
                continue;
            }
            let lock_dir = &shared.options.lock_dir;
            if let Some(closure) = &artefact.closure {
                atomic_file(&build::export::closure_path(lock_dir, &workspace.name, &plugin.path), closure)?;
            }
            let files = seal::files_path(lock_dir, &workspace.name, &plugin.path);
            atomic_file(&files, artefact.files.to_text().as_bytes())?;
            plugin.sealed = Some(artefact.sealed.clone());
            new += 1;
        }
    }
    if new > 0 {
        write_lock(lock_file, &lock)?;
        shared.ui.note(format!("{}: {} sealed", lock_file.display(), count(new, "plugin")));
    }
    Ok(())
}

/// The summary.
fn conclude(session: &Session<'_>, built: &[BuiltWorkspace], output_dir: &Path) -> Result<()> {
    let good = built.iter().flat_map(|workspace| &workspace.plugins).filter(|plugin| plugin.is_ok()).count();
    let errors: Vec<&Error> = built.iter().flat_map(BuiltWorkspace::errors).collect();
    if errors.is_empty() {
        session.ui.note(format!("{} built into {}", count(good, "plugin"), output_dir.display()));
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
