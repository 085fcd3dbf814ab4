//! Refs → commits → what the commits say. Each repository is asked once and fetched once per commit, whatever the
//! number of workspaces in it; one that cannot be reached fails its own workspaces only.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::refs::{self, Resolution};
use super::rhdh::RhdhHost;
use super::source::Files;
use super::workspace::{self, ReadWorkspace};
use crate::config;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::store::git::{Network, SourceUrl};
use crate::tools::provide::Provider;

/// How workspaces are read.
pub struct ReadOptions<'a> {
    /// Workspaces of this lock keep their commit when they still ask for the same ref.
    pub kept: Option<&'a Lock>,
    /// What arguments are computed against.
    pub host: Option<&'a RhdhHost>,
    /// Compute the arguments of listed plugins too.
    pub generate: bool,
    /// How repositories are reached.
    pub network: &'a Network,
}

/// Resolves and reads workspaces, in their order.
pub fn read(
    provider: &Provider<'_>,
    chosen: &[&config::WorkspaceConfig],
    how: &ReadOptions<'_>,
    jobs: usize,
) -> Vec<Result<ReadWorkspace>> {
    let step = provider.ui.step("sources", format!("resolve {}", crate::ui::count(chosen.len(), "workspace")));
    let kept: Vec<Option<String>> = chosen.iter().map(|config| kept_commit(config, how.kept?)).collect();
    let all = tokio::task::block_in_place(|| read_all(provider, chosen, &kept, how, jobs));
    if all.iter().any(Result::is_ok) {
        step.done("");
    }
    all
}

/// The commit of a workspace that asks for the same ref of the same repository as before.
fn kept_commit(config: &config::WorkspaceConfig, kept: &Lock) -> Option<String> {
    let locked = kept.workspace.iter().find(|locked| locked.name == config.name)?;
    let repo = config.source.repo.as_ref().map(config::Repo::public)?;
    let same = locked.source.repo == repo && locked.source.requested == config.source.requested;
    locked.source.commit.clone().filter(|_| same && config.source.local.is_none())
}

fn read_all(
    provider: &Provider<'_>,
    chosen: &[&config::WorkspaceConfig],
    kept: &[Option<String>],
    how: &ReadOptions<'_>,
    jobs: usize,
) -> Vec<Result<ReadWorkspace>> {
    let runtime = tokio::runtime::Handle::current();
    let interrupt = provider.interrupt.flag();
    let urls: Vec<Result<Option<SourceUrl>>> = chosen.iter().map(|config| url(config)).collect();
    let (indices, requests): (Vec<usize>, Vec<(SourceUrl, String)>) = chosen
        .iter()
        .zip(kept)
        .enumerate()
        .filter_map(|(index, (config, kept))| {
            let url = urls[index].as_ref().ok()?.clone()?;
            let requested = kept.clone().unwrap_or_else(|| config.source.requested.clone());
            Some((index, (url, requested)))
        })
        .unzip();
    let mut resolutions: Vec<Option<Result<Resolution>>> = chosen.iter().map(|_| None).collect();
    let answers = refs::resolve_many(provider.store, &requests, jobs.max(8), how.network, interrupt);
    for (index, answer) in indices.into_iter().zip(answers) {
        resolutions[index] = Some(answer);
    }

    let todo: Vec<Mutex<Option<Todo>>> = urls.into_iter().zip(resolutions).map(|todo| Mutex::new(Some(todo))).collect();
    let done: Vec<Mutex<Option<Result<ReadWorkspace>>>> = chosen.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, chosen.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(config) = chosen.get(index) else { return };
                    let todo = todo[index].lock().unwrap_or_else(PoisonError::into_inner).take();
                    let one =
                        todo.map_or(Err(Error::Interrupted), |todo| read_one(provider, &runtime, config, todo, how));
                    *done[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(one);
                }
            });
        }
    });
    done.into_iter()
        .map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(Err(Error::Interrupted)))
        .collect()
}

/// What is known of a workspace's source before it is read.
type Todo = (Result<Option<SourceUrl>>, Option<Result<Resolution>>);

fn read_one(
    provider: &Provider<'_>,
    runtime: &tokio::runtime::Handle,
    config: &config::WorkspaceConfig,
    (url, resolution): Todo,
    how: &ReadOptions<'_>,
) -> Result<ReadWorkspace> {
    let interrupt = provider.interrupt.flag();
    provider.interrupt.check()?;
    let Some(url) = url? else {
        let local = config.source.local.clone().ok_or_else(|| no_source(config))?;
        return workspace::read(provider, runtime, config, None, &Files::Local(local), how);
    };
    let resolution = resolution.unwrap_or(Err(Error::Interrupted))?;
    if let Some(warning) = &resolution.warning {
        provider.ui.warn(format!("{}: {warning}", config.name));
    }
    let tree = provider.store.repository(&url, interrupt)?.fetch(&resolution.commit, how.network, interrupt)?;
    let commit = tree.commit();
    workspace::read(provider, runtime, config, Some(&commit), &Files::Commit(Box::new(tree)), how)
}

/// The repository; none for a local tree.
fn url(config: &config::WorkspaceConfig) -> Result<Option<SourceUrl>> {
    if config.source.local.is_some() {
        return Ok(None);
    }
    let repo = config.source.repo.as_ref().ok_or_else(|| no_source(config))?;
    SourceUrl::parse(repo.with_credentials(), base(&config.config_dir)).map(Some)
}

/// A relative path is relative to the folder of source.json.
fn base(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn no_source(config: &config::WorkspaceConfig) -> Error {
    Error::usage(format!("workspace `{}` has no source", config.name), "write a source.json, or give `--source-repo`")
}
