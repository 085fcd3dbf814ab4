//! Refs → commits → what the commits say. Each repository is asked once and fetched once per commit, whatever the
//! number of workspaces in it; one that cannot be reached fails its own workspaces only.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::configured_pins::{folder, is_same_repository};
use super::host::HostLock;
use super::refs::{self, Resolution};
use super::rhdh::LazyHost;
use super::source_files::Files;
use super::workspace::{ReadWorkspace, WorkspaceReader};
use crate::config;
use crate::error::{Error, Result};
use crate::lock::{Lock, text};
use crate::parallel::Workers;
use crate::store::git::{Network, Repository, SourceUrl};
use crate::tools::provide::Provider;
use crate::ui::some_names;

/// Repositories asked at once, at least: they answer slower than they are read.
const LEAST_REPOSITORIES: usize = 8;

/// How workspaces are read.
pub struct ReadOptions<'a> {
    /// The lock there is.
    pub old: Option<&'a Lock>,
    /// Workspaces of this lock keep their commit when they still ask for the same ref.
    pub kept: Option<&'a Lock>,
    /// Workspaces that do not, since two branches had other commits.
    pub unmerged: &'a [String],
    /// What arguments are computed against.
    pub host: Option<&'a LazyHost<'a>>,
    /// Compute the arguments of listed plugins too.
    pub generate: bool,
    /// How repositories are reached.
    pub network: &'a Network,
    /// Workspaces at once.
    pub jobs: usize,
}

/// Resolves and reads workspaces, in their order.
pub fn read(
    provider: &Provider<'_>,
    chosen: &[&config::WorkspaceConfig],
    options: &ReadOptions<'_>,
) -> Vec<Result<ReadWorkspace>> {
    let step = provider.ui.step("sources", format!("resolve {}", crate::ui::count(chosen.len(), "workspace")));
    let all = tokio::task::block_in_place(|| read_all(provider, chosen, options));
    if all.iter().any(Result::is_ok) {
        step.done("");
    }
    all
}

/// The commit of a workspace that asks for the same ref of the same repository as before.
fn kept_commit(config: &config::WorkspaceConfig, kept: &Lock) -> Option<String> {
    let locked = kept.workspace.iter().find(|locked| locked.name == config.name)?;
    let same = locked.source.requested == config.source.requested && is_same_repository(config, locked);
    locked.source.commit.clone().filter(|_| same && config.source.local.is_none())
}

/// Where the files of a workspace are.
enum LocatedSource {
    Local(PathBuf),
    Commit(Box<(SourceUrl, Resolution)>),
}

fn read_all(
    provider: &Provider<'_>,
    chosen: &[&config::WorkspaceConfig],
    options: &ReadOptions<'_>,
) -> Vec<Result<ReadWorkspace>> {
    let runtime = tokio::runtime::Handle::current();
    let interrupt = provider.interrupt.flag();
    let reader = WorkspaceReader {
        provider,
        runtime: &runtime,
        host: options.host,
        no_host: HostLock::default(),
        any_host: HostLock::of_backstage(),
        generate: options.generate,
        old: options.old,
    };
    let located = locate(provider, chosen, options);
    // Commits of which all can be on disk, as a build needs it. Many workspaces are of one.
    let writable = Mutex::new(HashSet::new());
    Workers::new(options.jobs, interrupt).map(chosen.iter().zip(located), |(config, source)| match source? {
        LocatedSource::Local(folder) => reader.read(config, None, Files::Local(folder)),
        LocatedSource::Commit(located) => {
            let (url, resolution) = *located;
            if let Some(warning) = &resolution.warning {
                provider.ui.warn(format!("{}: {warning}", config.name));
            }
            let repository = provider.store.repository(&url, interrupt)?;
            let tree = repository.fetch(&resolution.commit, options.network, interrupt)?;
            let commit = tree.commit();
            let known = || writable.lock().unwrap_or_else(PoisonError::into_inner);
            if !known().contains(&commit) {
                tree.writable(".")?;
                known().insert(commit.clone());
            }
            let uncommitted = uncommitted(config, &repository, &commit);
            if !uncommitted.is_empty() {
                let files = some_names(uncommitted.iter());
                provider.ui.warn(format!("{}: uncommitted changes in `{url}` are not built: {files}", config.name));
            }
            reader.read(config, Some(&commit), Files::Commit(Box::new(tree)))
        }
    })
}

/// Asks the repositories for the commits of all workspaces.
fn locate(
    provider: &Provider<'_>,
    chosen: &[&config::WorkspaceConfig],
    options: &ReadOptions<'_>,
) -> Vec<Result<LocatedSource>> {
    let urls: Vec<Result<Option<SourceUrl>>> = chosen.iter().map(|config| url(config)).collect();
    let requests: Vec<(SourceUrl, String)> = chosen
        .iter()
        .zip(&urls)
        .filter_map(|(config, url)| {
            let kept = options
                .kept
                .filter(|_| !options.unmerged.contains(&config.name))
                .and_then(|kept| kept_commit(config, kept));
            Some((url.as_ref().ok()?.clone()?, kept.unwrap_or_else(|| config.source.requested.clone())))
        })
        .collect();
    let jobs = options.jobs.max(LEAST_REPOSITORIES);
    let answers = refs::resolve_many(provider.store, &requests, jobs, options.network, provider.interrupt.flag());
    let mut answers = answers.into_iter();
    chosen
        .iter()
        .zip(urls)
        .map(|(config, url)| match url? {
            None => config.source.local.clone().map(LocatedSource::Local).ok_or_else(|| no_source(config)),
            Some(url) => {
                let resolution = answers.next().unwrap_or(Err(Error::Interrupted))?;
                Ok(LocatedSource::Commit(Box::new((url, resolution))))
            }
        })
        .collect()
}

/// The repository; none for a local tree.
fn url(config: &config::WorkspaceConfig) -> Result<Option<SourceUrl>> {
    if config.source.local.is_some() {
        return Ok(None);
    }
    let repo = config.source.repo.as_ref().ok_or_else(|| no_source(config))?;
    SourceUrl::parse(repo.with_credentials(), folder(config)).map(Some)
}

/// What a local work tree has in the workspace's folder that its commit does not have. Files of the configuration do not
/// count: they are read where they are.
fn uncommitted(config: &config::WorkspaceConfig, repository: &Repository, commit: &str) -> Vec<String> {
    let mut names = repository.uncommitted(commit, &config.source.workspace_path);
    let folder = config.config_dir.canonicalize().ok();
    let own = folder.as_deref().and_then(|folder| folder.strip_prefix(repository.url().local_path()?).ok());
    let is_input = |name: &str| config.inputs.iter().any(|input| Path::new(&input.path).starts_with(name));
    names.retain(|name| match own {
        None => true,
        Some(own) if own.as_os_str().is_empty() => !name.starts_with(text::FILE_NAME) && !is_input(name),
        Some(own) => !Path::new(name).starts_with(own) && !own.starts_with(name),
    });
    names
}

fn no_source(config: &config::WorkspaceConfig) -> Error {
    Error::usage(format!("workspace `{}` has no source", config.name), "write a source.json, or give `--source-repo`")
}
