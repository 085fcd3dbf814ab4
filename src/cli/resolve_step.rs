//! The resolve that `resolve` and `run` do, and what it writes.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failures::{both, failures, of_workspace};
use super::session::Session;
use super::source_options::SourceArgs;
use super::{last_failure, lock_file, paths, renamed};
use crate::config::Config;
use crate::config::variables::HOST_LOCKFILE;
use crate::error::{Error, Result, exit_code};
use crate::image::limits::{PlannedImage, check_distinct};
use crate::lock::Lock;
use crate::npm::registry::NpmRegistry;
use crate::resolve::renamed::Renames;
use crate::resolve::{self, Demands, Repinned, ResolveRequest, Resolved, Unmerged, Unresolvable, UpdateMode, rhdh};
use crate::sandbox::root::IsolationChoice;
use crate::store::{Reading, atomic_file, file_beneath};
use crate::tools::provide::Provider;
use crate::user_file;

/// Options of a resolve.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Resolve options")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct ResolveFlags {
    /// RHDH release the plugins are for: `1.9`, `1.9.8`, a commit [env: `RHDH_VERSION`] [default: the newest release]
    #[arg(long, value_name = "VERSION")]
    pub rhdh_version: Option<String>,
    /// RHDH's yarn.lock as a file, instead of looking it up; can be in the `.env` of the configuration directory
    #[arg(long, env = "FACTORY_HOST_LOCKFILE", value_name = "FILE")]
    pub host_lockfile: Option<PathBuf>,
    /// Compute the arguments of listed plugins too, and update plugins-list.yaml with them
    #[arg(long, env = "FACTORY_GENERATE_BUILD_ARGS")]
    pub generate_build_args: bool,
    /// Do not write a missing plugins-list.yaml: keep the discovered plugins in the lock only
    #[arg(long, env = "FACTORY_NO_WRITE_PLUGINS_LIST")]
    pub no_write_plugins_list: bool,
    /// Lock what can be exported where something of a workspace cannot, with the reason, which every command repeats
    #[arg(long, env = "FACTORY_KEEP_GOING")]
    pub keep_going: bool,
    /// Resolve rhdh-cli's dependencies again, even when its version stays
    #[arg(long, env = "FACTORY_RENEW_TOOLS")]
    pub renew_tools: bool,
    /// Let images say anew which commit they come from, also where their content stays the same
    #[arg(long, env = "FACTORY_RESTAMP")]
    pub restamp: bool,
}

/// What is resolved, and how.
pub struct PinRequest<'a> {
    pub config: &'a Config,
    /// Only these workspaces; all when empty.
    pub names: &'a [String],
    /// What may move.
    pub mode: UpdateMode,
    /// The lock so far.
    pub old: Option<&'a Lock>,
    /// What a merge left undecided.
    pub unmerged: Unmerged<'a>,
    /// Where the new one goes.
    pub lock_file: &'a Path,
    /// How repositories are reached.
    pub source: &'a SourceArgs,
    /// How it is resolved.
    pub flags: &'a ResolveFlags,
    /// What is pinned anew though it is asked for as before.
    pub repinned: Repinned,
}

impl PinRequest<'_> {
    /// True if something is asked for that the lock does not have, even if it is not stale.
    pub fn asks_for_more(&self) -> bool {
        self.old.is_some_and(|old| self.demands().are_new_to(old, self.names))
    }

    /// The host's lockfile. Another release that is asked for wins over the one that the configuration names.
    fn host_lockfile(&self) -> Option<PathBuf> {
        let given = self.flags.host_lockfile.as_deref();
        if given.is_none() && self.flags.rhdh_version.is_some() {
            return None;
        }
        host_lockfile(given, self.config)
    }

    fn demands(&self) -> Demands {
        let given = |name: &str| self.config.env.given(name).map(str::to_owned);
        Demands {
            host: rhdh::HostRequest {
                file: self.host_lockfile(),
                version: self.flags.rhdh_version.clone().or_else(|| given("RHDH_VERSION")),
                repository: given("RHDH_REPO"),
            },
            generate: self.flags.generate_build_args,
            renew_tools: self.flags.renew_tools,
            restamp: self.flags.restamp,
            repinned: self.repinned,
        }
    }

    /// Resolves with this machine's registry.
    pub async fn run(&self, session: &Session<'_>) -> Result<Resolved> {
        let config = self.config;
        let resolving = session.ui.timeline().begin("resolve".into(), "resolve");
        let store = session.store()?;
        let registry = NpmRegistry::of_machine(&paths::config_dir(session.global), &session.interrupt)?;
        let isolation = session.isolation(&store, IsolationChoice::Auto).await?;
        let provider = Provider {
            store: &store,
            registry: Some(&registry),
            reading: Reading::Changed,
            isolation,
            ui: &session.ui,
            interrupt: &session.interrupt,
        };
        let lock_dir = paths::folder_of(self.lock_file);
        let renames = self.old.map(|old| Renames::of(config, old)).unwrap_or_default();
        renamed::say(session, &renames);
        let old = self.old.map(|old| renames.apply(old));
        let request = ResolveRequest {
            config,
            names: self.names,
            mode: self.mode,
            demands: self.demands(),
            old: old.as_ref(),
            unmerged: self.unmerged,
            lock_dir: &lock_dir,
            jobs: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            network: self.source.network(&session.ui),
            keep_going: self.flags.keep_going,
        };
        let resolved = resolve::resolve(&provider, &registry, &request).await;
        let nothing = match &resolved {
            Ok(resolved) if resolved.lock.workspace.is_empty() && resolved.lock.unresolved.is_empty() => {
                Some(&resolved.failed)
            }
            Err(unresolvable) => Some(&unresolvable.failed),
            Ok(_) => None,
        };
        if let Some(failed) = nothing.filter(|failed| self.old.is_none() && !failed.is_empty()) {
            last_failure::keep(&store, self.lock_file, config, failed);
        }
        match resolved {
            Ok(mut resolved) => {
                resolved.failed = named(config, resolved.failed);
                resolved.renamed = renames.certain;
                warn_of_same_images(session, &resolved.lock);
                resolving.done();
                Ok(resolved)
            }
            Err(Unresolvable { failed, tools }) => Err(self.failed(session, named(config, failed), tools)),
        }
    }

    /// The error of a run of which nothing can be locked: what is wrong with workspaces is said before what is wrong with
    /// the network.
    fn failed(&self, session: &Session<'_>, mut failed: Vec<(String, Error)>, tools: Option<Error>) -> Error {
        let is_wanted = |name: &String| self.names.is_empty() || self.names.contains(name);
        let broken = self.config.broken.iter().filter(|broken| is_wanted(&broken.name));
        failed.extend(broken.map(|broken| (broken.name.clone(), broken.error.again())));
        let Some(tools) = tools else {
            return failures(session, failed, 0).err().unwrap_or(Error::Interrupted);
        };
        if failed.is_empty() || matches!(tools, Error::Interrupted) {
            return tools;
        }
        let before = failures(session, failed, 1);
        both(session, before, Err(tools)).err().unwrap_or(Error::Interrupted)
    }
}

/// RHDH's yarn.lock: of the option, else of the configuration's `.env` file, else of the environment.
pub fn host_lockfile(given: Option<&Path>, config: &Config) -> Option<PathBuf> {
    let of_environment = std::env::var_os(HOST_LOCKFILE);
    let is_option = given.is_some_and(|given| of_environment.is_none_or(|value| value != given.as_os_str()));
    config.host_lockfile().filter(|_| !is_option).or_else(|| given.map(Path::to_path_buf))
}

/// What a build of the whole lock would be refused for.
fn warn_of_same_images(session: &Session<'_>, lock: &Lock) {
    let all =
        lock.workspace.iter().flat_map(|workspace| workspace.plugin.iter().map(move |plugin| (workspace, plugin)));
    let planned: Result<Vec<PlannedImage>> =
        all.map(|(workspace, plugin)| PlannedImage::of(workspace, plugin, "")).collect();
    if let Err(error) = planned.and_then(|planned| check_distinct(&planned)) {
        let hint = error.hint().map(|hint| format!(". {hint}")).unwrap_or_default();
        session.ui.warn(format!("{error}{hint}"));
    }
}

/// Errors of workspaces, which they name where there are several; what is wrong here comes before what is wrong with the
/// network.
fn named(config: &Config, failed: Vec<(String, Error)>) -> Vec<(String, Error)> {
    let of = |(name, error): (String, Error)| {
        let error = of_workspace(config, &name, error);
        (name, error)
    };
    let (mut all, network): (Vec<_>, Vec<_>) =
        failed.into_iter().map(of).partition(|(_, error)| error.exit_code() != exit_code::NETWORK);
    all.extend(network);
    all
}

/// Writes the lock and what belongs beside it: the companions first, so that a lock never names what is not there.
pub fn write(session: &Session<'_>, lock_file: &Path, resolved: &Resolved, flags: &ResolveFlags) -> Result<()> {
    for (path, bytes) in &resolved.companions {
        file_beneath(&paths::folder_of(lock_file), path, bytes)?;
    }
    if !flags.no_write_plugins_list {
        for (path, bytes) in &resolved.lists {
            write_list(session, path, bytes)?;
        }
    }
    let lock_dir = paths::folder_of(lock_file);
    renamed::copy_companions(&lock_dir, &resolved.renamed)?;
    lock_file::write(lock_file, &resolved.lock)?;
    renamed::remove_companions(&lock_dir, &resolved.renamed)?;
    last_failure::forget(&session.store()?, lock_file);
    Ok(())
}

fn write_list(session: &Session<'_>, path: &Path, bytes: &[u8]) -> Result<()> {
    let after = String::from_utf8_lossy(bytes);
    if paths::is_read_only(&paths::folder_of(path)) {
        let what =
            "is not written, since its folder is read-only: its plugins and their arguments are in the lock alone";
        session.ui.warn(format!("{} {what}", path.display()));
        return Ok(());
    }
    match user_file::read_text(path, user_file::SETTINGS) {
        Ok(before) if before == after => return Ok(()),
        Ok(before) => {
            let changes = similar::TextDiff::from_lines(before.as_str(), &after);
            let changes = changes.unified_diff().context_radius(0).to_string();
            session.ui.note(format!("{} rewritten:\n{}", path.display(), changes.trim_end()));
        }
        Err(_) => session
            .ui
            .note(format!("{} written: there was no list, so it has all plugins of the workspace", path.display())),
    }
    atomic_file(path, bytes)
}
