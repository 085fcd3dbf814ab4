//! Replays a lock: checkout, patches, install, export, pack. Takes `&Lock`; asks nobody what is newest.
//!
//! In the order of the data: [`source`] lays the pinned source down ([`checkout`]), [`tree`] patches it, [`workspace`]
//! has [`install`] run in it (from the [`packages`] of a cache that builds cannot change) and builds its plugins:
//! [`export`] makes the package of one ([`masked`] finds names that npm hides, [`drift`] why a sealed closure no longer
//! fits), [`artefact`] its files, [`verdict`] compares them with what [`seal`] keeps;
//! [`finished`] skips all that for what is sealed and still in the cache. [`report`] and [`plugins_yaml`] say what came
//! out, [`native_log`] what a compiler that failed wrote.

pub mod artefact;
pub mod checkout;
pub mod drift;
pub mod export;
pub mod finished;
pub mod install;
mod masked;
pub mod native_log;
pub mod packages;
pub mod plugins_yaml;
pub mod report;
pub mod seal;
pub mod source;
pub mod tree;
pub mod verdict;
pub mod workspace;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lock::{Lock, Workspace};
use crate::npm::registry::NpmRegistry;
use crate::sandbox::root::Isolation;
use crate::store::Store;
use crate::ui::Ui;
use artefact::Artefact;

/// How a build is done; nothing here changes what comes out.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct BuildOptions {
    /// The configuration directory: patches and overlays lie in it.
    pub config_dir: PathBuf,
    /// The folder of the lock: its companion folder lies in it.
    pub lock_dir: PathBuf,
    /// Where results go.
    pub output_dir: PathBuf,
    /// Steps of third-party code at once.
    pub jobs: usize,
    /// How the build is isolated.
    pub isolation: Isolation,
    /// Use no network at all.
    pub offline: bool,
    /// Only fill the cache with what a build without network needs.
    pub fetch_only: bool,
    /// Take what is sealed from the finished builds in the cache, instead of building it again.
    pub reuse_cache: bool,
    /// Hold the build to a sealed lock.
    pub frozen: bool,
    /// `factory verify`: the caller compares what was built; a difference from the seal is not an error here.
    pub verify_mode: bool,
    /// How repositories are reached.
    pub network: crate::store::git::Network,
    /// The local tree of workspaces that are not pinned.
    pub local: Option<PathBuf>,
    /// Where a copy of each workspace's patched source is left for people to look at.
    pub source_copy: Option<PathBuf>,
    /// How long one step may take.
    pub timeout: Duration,
    /// Run the install scripts of packages.
    pub install_scripts: bool,
    /// Prefixes of image tags, by workspace; none where there is no entry.
    pub tag_prefixes: BTreeMap<String, String>,
    /// Let buildah make the images.
    pub buildah: bool,
    /// The compression of image layers.
    pub compression: crate::image::Compression,
}

impl BuildOptions {
    /// Whether all that is built must be sealed. `fetch` and `verify` go on with less: the one builds nothing, the other
    /// says itself what it cannot compare.
    pub fn must_be_sealed(&self) -> bool {
        self.frozen && !self.fetch_only && !self.verify_mode
    }
}

/// What all workspaces of a build share.
pub struct Shared {
    /// How.
    pub options: BuildOptions,
    /// The lock.
    pub lock: Lock,
    /// The cache.
    pub store: Store,
    /// Where packages come from; none when offline.
    pub registry: Option<NpmRegistry>,
    /// The registry's address as npm and yarn are told it, offline too: build scripts see it. Empty when none is known.
    pub registry_address: String,
    /// The talk.
    pub ui: Arc<Ui>,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Bounds the steps that run at once.
    pub slots: Semaphore,
}

/// A workspace after its build.
pub struct BuiltWorkspace {
    /// Its name.
    pub name: String,
    /// What is said of it in the report.
    pub report: report::WorkspaceReport,
    /// What was made of each plugin, in the order of the lock.
    pub plugins: Vec<Result<Artefact>>,
    /// The packages it used that no lockfile has a checksum for.
    pub unpinned: packages::unpinned::Unpinned,
    /// Why the workspace failed before its plugins.
    pub error: Option<Error>,
}

impl BuiltWorkspace {
    /// Adds to what the report says of a plugin that was built.
    pub fn amend(&mut self, place: usize, add: impl FnOnce(&mut report::Output)) {
        if let Ok(artefact) = &mut self.plugins[place] {
            add(&mut artefact.output);
            self.report.plugins[place].output = Some(artefact.output.clone());
        }
    }

    /// A plugin that was built, and failed afterwards; what was made of it stays in the report.
    pub fn fail(&mut self, place: usize, error: Error) {
        self.report.plugins[place].error = Some(error.to_string());
        self.plugins[place] = Err(error);
    }

    /// The errors of this workspace and its plugins.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        self.error.iter().chain(self.plugins.iter().filter_map(|plugin| plugin.as_ref().err()))
    }
}

/// Builds the workspaces named (all when none is), several at once. A failing one does not stop the others; Ctrl-C does.
pub async fn build(shared: Arc<Shared>, names: &[String]) -> Result<Vec<BuiltWorkspace>> {
    let chosen = choose(&shared.lock, names)?;
    std::fs::create_dir_all(&shared.options.output_dir).map_err(Error::io("create", &shared.options.output_dir))?;
    let mut running = JoinSet::new();
    for (index, workspace) in chosen.iter().cloned().enumerate() {
        let shared = shared.clone();
        running.spawn(async move { (index, workspace::build(&shared, &workspace).await) });
    }
    let mut done: Vec<Option<BuiltWorkspace>> = chosen.iter().map(|_| None).collect();
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok((index, built)) => done[index] = Some(built),
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => return Err(Error::Interrupted),
        }
    }
    shared.interrupt.check()?;
    Ok(done.into_iter().flatten().collect())
}

/// The workspaces of the lock that are named, in the lock's order.
pub fn choose(lock: &Lock, names: &[String]) -> Result<Vec<Workspace>> {
    for name in names {
        if !lock.workspace.iter().any(|workspace| workspace.name == *name) {
            let known: Vec<_> = lock.workspace.iter().map(|w| format!("`{}`", w.name)).collect();
            return Err(Error::usage(
                format!("workspace `{name}` is not in the lock"),
                format!("the lock has {}; run `factory resolve {name}` if it is new", known.join(", ")),
            ));
        }
    }
    Ok(lock.workspace.iter().filter(|w| names.is_empty() || names.contains(&w.name)).cloned().collect())
}
