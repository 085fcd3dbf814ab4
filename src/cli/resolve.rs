//! `factory resolve`

use std::path::{Path, PathBuf};

use clap::Args;

use super::paths;
use super::session::Session;
use super::source::SourceArgs;
use crate::config::Config;
use crate::error::{Error, Place, Result, exit_code};
use crate::lock::Lock;
use crate::lock::stale::{self, StaleReason};
use crate::npm::registry::NpmRegistry;
use crate::resolve::{self, ResolveRequest, Resolved, UpdateMode, requested, rhdh};
use crate::sandbox::root::{Isolation, IsolationChoice};
use crate::store::{Reading, atomic_file};
use crate::tools::provide::Provider;
use crate::ui::{self, count};

/// Options of `factory resolve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ResolveArgs {
    /// Only these workspaces; the others stay as they are locked
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Move nothing that is locked: only add what is new or changed in the configuration
    #[arg(long)]
    pub keep: bool,
    /// Write nothing; exit with 3 if the lock would change
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,
    /// Write nothing; print how the lock would change
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) options: ResolveFlags,
}

/// How pins are found.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Resolve options")]
pub struct ResolveFlags {
    /// RHDH release the plugins are for: `1.9`, `1.9.8`, a commit [env: `RHDH_VERSION`] [default: the newest release]
    #[arg(long, value_name = "VERSION")]
    pub rhdh_version: Option<String>,
    /// RHDH's yarn.lock as a file, instead of looking it up
    #[arg(long, env = "FACTORY_HOST_LOCKFILE", value_name = "FILE")]
    pub host_lockfile: Option<PathBuf>,
    /// Compute the arguments of listed plugins too, and rewrite plugins-list.yaml with them
    #[arg(long, env = "FACTORY_GENERATE_BUILD_ARGS")]
    pub generate_build_args: bool,
    /// Do not write a plugins-list.yaml where there was none: keep the found plugins in the lock only
    #[arg(long, env = "FACTORY_NO_WRITE_PLUGINS_LIST")]
    pub no_write_plugins_list: bool,
    /// Resolve rhdh-cli's dependencies anew, even when its version stays
    #[arg(long, env = "FACTORY_RENEW_TOOLS")]
    pub renew_tools: bool,
}

pub(super) async fn run(session: &Session<'_>, args: &ResolveArgs) -> Result<()> {
    let config = args.source.config(session)?;
    config.check_names(&args.workspaces)?;
    let lock_file = paths::lock_file(session.global);
    let old = read_lock(&lock_file)?;
    let mode = if args.keep { UpdateMode::Missing } else { UpdateMode::All };
    let mut resolved =
        resolve_now(session, &config, &args.workspaces, mode, old.as_ref(), &args.source, &args.options).await?;
    resolved.failed.extend(broken(config, &args.workspaces));
    if resolved.lock.workspace.is_empty() && !resolved.failed.is_empty() {
        return failures(session, resolved.failed, 0);
    }
    let text = resolved.lock.to_text();
    let before = old.as_ref().map(Lock::to_text).unwrap_or_default();
    if args.check || args.dry_run {
        return unwritten(session, args, &lock_file, &before, &text, &resolved);
    }
    write(session, &lock_file, &resolved, &args.options)?;
    let what =
        format!("{}, {}", count(resolved.lock.workspace.len(), "workspace"), count(plugins(&resolved.lock), "plugin"));
    let said = if before == text { "is unchanged" } else { "written" };
    session.ui.note(format!("{} {said}: {what}", lock_file.display()));
    failures(session, resolved.failed, resolved.lock.workspace.len())
}

fn plugins(lock: &Lock) -> usize {
    lock.workspace.iter().map(|workspace| workspace.plugin.len()).sum()
}

/// The errors of workspaces whose configuration cannot be read.
pub(super) fn broken(config: Config, names: &[String]) -> impl Iterator<Item = (String, Error)> {
    let wanted = |name: &String| names.is_empty() || names.contains(name);
    config.broken.into_iter().filter(move |broken| wanted(&broken.name)).map(|broken| (broken.name, broken.error))
}

/// `--check` and `--dry-run`.
fn unwritten(
    session: &Session<'_>,
    args: &ResolveArgs,
    lock_file: &Path,
    before: &str,
    after: &str,
    resolved: &Resolved,
) -> Result<()> {
    if args.dry_run {
        let name = lock_file.display().to_string();
        let diff = similar::TextDiff::from_lines(before, after);
        let text = diff.unified_diff().context_radius(2).header(&name, &name).to_string();
        ui::data(text).map_err(Error::io("write", "stdout"))?;
    } else if before != after {
        return Err(Error::Lock {
            place: Place::file(lock_file),
            what: "is not up to date: `factory resolve` would change it".into(),
            hint: "see how with `factory resolve --dry-run`".into(),
        });
    }
    if resolved.failed.is_empty() {
        return Ok(());
    }
    for (_, error) in &resolved.failed {
        session.ui.error(error);
    }
    Err(Error::Failed {
        what: format!("{} could not be resolved", count(resolved.failed.len(), "workspace")),
        code: code_of(resolved.failed.iter().map(|(_, error)| error)),
    })
}

/// Resolves with this machine's registry.
pub(super) async fn resolve_now(
    session: &Session<'_>,
    config: &Config,
    names: &[String],
    mode: UpdateMode,
    old: Option<&Lock>,
    source: &SourceArgs,
    options: &ResolveFlags,
) -> Result<Resolved> {
    let store = session.store()?;
    let registry = NpmRegistry::of_machine()?;
    let isolation = probe(session, &store, IsolationChoice::Auto).await?;
    let provider = Provider {
        store: &store,
        registry: Some(&registry),
        reading: Reading::Changed,
        isolation,
        ui: &session.ui,
        interrupt: &session.interrupt,
    };
    let lock_dir = paths::folder_of(&paths::lock_file(session.global));
    let request = ResolveRequest {
        config,
        names,
        mode,
        renew_tools: options.renew_tools,
        old,
        lock_dir: &lock_dir,
        jobs: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        network: source.network(),
        host: rhdh::HostRequest {
            file: options.host_lockfile.clone(),
            version: options.rhdh_version.clone().or_else(|| config.env.given("RHDH_VERSION").map(str::to_owned)),
            repository: config.env.given("RHDH_REPO").map(str::to_owned),
        },
        generate: options.generate_build_args,
    };
    resolve::resolve(&provider, &registry, &request).await
}

/// What the machine grants; a machine that grants nothing is warned about once.
pub(super) async fn probe(
    session: &Session<'_>,
    store: &crate::store::Store,
    choice: IsolationChoice,
) -> Result<Isolation> {
    let (isolation, why) = crate::sandbox::probe::probe(store, choice).await?;
    if let Some(why) = why {
        session.ui.warn(format!(
            "this machine grants no namespaces ({why}): builds run at the cache's own paths and see the machine's files; \
             their digests hold under this path only"
        ));
    }
    Ok(isolation)
}

/// Writes the lock and what belongs beside it: the companions first, so that a lock never names what is not there.
pub(super) fn write(
    session: &Session<'_>,
    lock_file: &Path,
    resolved: &Resolved,
    options: &ResolveFlags,
) -> Result<()> {
    for (path, bytes) in &resolved.companions {
        atomic_file(path, bytes)?;
    }
    if !options.no_write_plugins_list {
        for (path, bytes) in &resolved.lists {
            let after = String::from_utf8_lossy(bytes);
            match std::fs::read_to_string(path) {
                Ok(before) if before == after => continue,
                Ok(before) => {
                    let changes = similar::TextDiff::from_lines(before.as_str(), &after);
                    let changes = changes.unified_diff().context_radius(0).to_string();
                    session.ui.note(format!("{} rewritten:\n{}", path.display(), changes.trim_end()));
                }
                Err(_) => session.ui.note(format!(
                    "{} written: no list was there, all plugins of the workspace are in it",
                    path.display()
                )),
            }
            atomic_file(path, bytes)?;
        }
    }
    write_lock(lock_file, &resolved.lock)
}

/// Writes a lock, when its text changes.
pub(super) fn write_lock(lock_file: &Path, lock: &Lock) -> Result<()> {
    let text = lock.to_text();
    if std::fs::read_to_string(lock_file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    atomic_file(lock_file, text.as_bytes())
}

/// The lock; none when there is no such file.
pub(super) fn read_lock(path: &Path) -> Result<Option<Lock>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| Error::Lock {
                place: Place::file(path),
                what: "is not UTF-8".into(),
                hint: "restore the file from version control, or remove it and run `factory resolve` to write it anew"
                    .into(),
            })?;
            Lock::from_text(&text, path).map(Some)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Why the lock is stale; workspaces that cannot be read are reported on their own.
pub(super) fn stale_reasons(config: &Config, lock: &Lock, names: &[String]) -> Vec<StaleReason> {
    let all = names.is_empty() && config.broken.is_empty();
    let mut wanted = requested::of(config);
    wanted.workspaces.retain(|workspace| names.is_empty() || names.contains(&workspace.name));
    stale::reasons(lock, &wanted, all)
}

/// The error of a resolve in which some workspaces failed; each is said first.
pub(super) fn failures(session: &Session<'_>, mut failed: Vec<(String, Error)>, resolved: usize) -> Result<()> {
    match failed.len() {
        0 => Ok(()),
        1 if resolved == 0 => Err(failed.remove(0).1),
        n => {
            for (_, error) in &failed {
                session.ui.error(error);
            }
            let names: Vec<_> = failed.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(Error::Failed {
                what: format!("{} could not be resolved: {}", count(n, "workspace"), names.join(", ")),
                code: code_of(failed.iter().map(|(_, error)| error)),
            })
        }
    }
}

/// The one code that all errors share, else 1.
pub(super) fn code_of<'e>(errors: impl Iterator<Item = &'e Error>) -> u8 {
    let codes: std::collections::BTreeSet<u8> = errors.map(Error::exit_code).collect();
    match codes.first() {
        Some(code) if codes.len() == 1 => *code,
        _ => exit_code::FAILED,
    }
}
