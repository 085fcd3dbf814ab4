//! What the steps of a build share: the options of the run ([`BuildOptions`], [`Shared`]), and of one workspace
//! ([`WorkspaceBuild`]).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use super::cache_repo::repo::CacheRepo;
use super::checks::GlibcVersion;
use super::cli_flags::AskedClis;
use super::held_layer::LayerUse;
use super::packages::PackageCache;
use super::plugins_yaml::ConfigSource;
use super::watch_turns::WatchTurns;
use crate::error::{Error, Result};
use crate::image::Compression;
use crate::interrupt::Interrupt;
use crate::lock::{Lock, Plugin, Workspace};
use crate::npm::registry::{NpmRegistry, RegistryAddresses};
use crate::overlay::join;
use crate::sandbox::child::Log;
use crate::sandbox::root::Isolation;
use crate::store::git::Network;
use crate::store::{Store, room_beneath};
use crate::timeline::{Lane, RunningSpan};
use crate::ui::{Step, Ui};

/// How a build is done. Only tag prefixes, buildah and the compression change what comes out.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct BuildOptions {
    /// The configuration directory: patches and overlays lie in it.
    pub config_dir: PathBuf,
    /// Where the relative paths of repositories start: the configuration directory, unless that is of a commit.
    pub sources_dir: PathBuf,
    /// The folder of the lock: its companion folder lies in it.
    pub lock_dir: PathBuf,
    pub output_dir: PathBuf,
    /// Steps of third-party code at once.
    pub jobs: usize,
    /// Only these plugins, by path or name; all when empty.
    pub plugins: Vec<String>,
    pub isolation: Isolation,
    pub offline: bool,
    /// Only fill the cache with what a build without network needs.
    pub fetch_only: bool,
    /// Take what is sealed from the finished builds in the cache, instead of building it again.
    pub reuse_cache: bool,
    /// Fail where the lock is not sealed, and read every byte of what is in the cache.
    pub frozen: bool,
    /// `factory verify`: the caller compares what was built; a difference from the seal is not an error here.
    pub verify_mode: bool,
    pub network: Network,
    /// The local tree of workspaces that are not pinned.
    pub local: Option<PathBuf>,
    /// Where a copy of each workspace's patched source is left for people to look at.
    pub source_copy: Option<PathBuf>,
    /// How long one step may take.
    pub timeout: Duration,
    /// The glibc of the system that loads the plugins.
    pub target_glibc: GlibcVersion,
    /// Run the install scripts of packages.
    pub install_scripts: bool,
    /// Prefixes of image tags, by workspace; none where there is no entry.
    pub tag_prefixes: BTreeMap<String, String>,
    /// Name the plugin's folder behind each image in `dynamic-plugins.yaml`.
    pub paths_in_references: bool,
    /// Where `dynamic-plugins.yaml` takes the configuration of plugins from that have none.
    pub config_from: Option<ConfigSource>,
    /// Let buildah make the images.
    pub buildah: bool,
    /// The compression of image layers.
    pub compression: Compression,
}

impl BuildOptions {
    /// Whether all that is built must be sealed. `fetch` and `verify` go on with less: the one builds nothing, the other
    /// reports what it cannot compare.
    pub fn must_be_sealed(&self) -> bool {
        self.frozen && !self.fetch_only && !self.verify_mode
    }

    /// Whether seals are about the images of this build: they are about factory's own gzip images.
    pub fn makes_sealed_images(&self) -> bool {
        !self.buildah && self.compression == Compression::Gzip
    }

    /// Whether a plugin is one of those that are built.
    pub fn chooses(&self, plugin: &Plugin) -> bool {
        super::is_named(&self.plugins, plugin)
    }

    /// Where the outputs of a workspace go: the output directory, or its sub-folder when there are several workspaces.
    pub fn output_folder(&self, workspace: &Workspace) -> PathBuf {
        output_folder(&self.output_dir, workspace)
    }

    /// `path` from the output directory, with `/`.
    pub(super) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.output_dir).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// Where the outputs of a workspace are in an output directory.
pub(super) fn output_folder(output_dir: &Path, workspace: &Workspace) -> PathBuf {
    if workspace.dir == "." { output_dir.to_path_buf() } else { output_dir.join(&workspace.name) }
}

/// What all workspaces of a build share.
pub struct Shared {
    pub options: BuildOptions,
    pub lock: Lock,
    pub store: Store,
    /// Where packages come from; none when offline.
    pub registry: Option<NpmRegistry>,
    /// The registries' addresses as npm and yarn are told them, offline too: build scripts see them.
    pub registries: RegistryAddresses,
    pub ui: Arc<Ui>,
    pub interrupt: Interrupt,
    /// How installed packages are kept, or why they cannot be, once that was tried.
    pub layers: std::sync::OnceLock<std::result::Result<LayerUse, String>>,
    /// Where finished builds are shared with other machines, if they are.
    pub cache_repo: Option<Arc<CacheRepo>>,
    /// What the CLIs said of their flags.
    pub clis: AskedClis,
    /// Bounds the exports that are looked at together.
    pub watches: WatchTurns,
    /// Bounds the steps that run at once.
    pub slots: Semaphore,
}

impl Shared {
    /// Waits until another step of third-party code may run, for this lane.
    pub(super) async fn slot(&self, lane: Lane) -> Result<Slot<'_>> {
        self.slot_since(lane, Instant::now()).await
    }

    /// The same for a lane that could have run since `began`.
    pub(super) async fn slot_since(&self, lane: Lane, began: Instant) -> Result<Slot<'_>> {
        let timeline = self.ui.timeline();
        let permit = match self.slots.try_acquire() {
            Ok(permit) => {
                timeline.take_slot();
                permit
            }
            Err(TryAcquireError::Closed) => return Err(Error::Interrupted),
            Err(TryAcquireError::NoPermits) => {
                let waiting = timeline.wait_since(lane.clone(), "wait for a slot", began);
                let permit = self.slots.acquire().await.map_err(|_| Error::Interrupted)?;
                waiting.over(timeline.take_slot());
                permit
            }
        };
        Ok(Slot { shared: self, lane, _permit: permit })
    }
}

/// Leave to run third-party code, until it is dropped.
pub(super) struct Slot<'a> {
    shared: &'a Shared,
    lane: Lane,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Slot<'_> {
    /// Whoever gets it next has waited for what ran with it.
    fn drop(&mut self) {
        self.shared.ui.timeline().give_slot_back(&self.lane);
    }
}

/// Seconds per phase, as the report has them; phases may end in any order. The timeline has measured them.
#[derive(Debug, Default)]
pub(super) struct Timings(Mutex<BTreeMap<String, f64>>);

impl Timings {
    /// Adds to what the phase has taken.
    pub(super) fn record(&self, phase: &str, elapsed: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(phase.to_owned()).or_default() += elapsed.as_secs_f64();
    }

    pub(super) fn to_report(&self) -> BTreeMap<String, f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The build of one workspace. Its steps are methods, in the files in which the steps are.
pub(super) struct WorkspaceBuild<'a> {
    pub(super) shared: &'a Shared,
    pub(super) workspace: &'a Workspace,
    /// Of the steps before the plugins.
    pub(super) timings: Timings,
    logs: PathBuf,
}

impl<'a> WorkspaceBuild<'a> {
    pub(super) fn new(shared: &'a Shared, workspace: &'a Workspace) -> Self {
        let logs = shared.options.output_folder(workspace).join("logs");
        Self { shared, workspace, timings: Timings::default(), logs }
    }

    /// The plugin of this workspace, with what its files are made for.
    pub(super) fn target(&self, plugin: &'a Plugin) -> PluginTarget<'a> {
        PluginTarget { shared: self.shared, workspace: self.workspace, plugin }
    }

    /// The log of the steps before the plugins.
    pub(super) fn log_path(&self) -> PathBuf {
        self.logs.join("workspace.log")
    }

    pub(super) fn plugin_log_path(&self, plugin: &Plugin) -> PathBuf {
        let name = if plugin.path == "." { "root".to_owned() } else { plugin.path.replace('/', "-") };
        self.logs.join(format!("{name}.log"))
    }

    /// A new log at one of these paths.
    pub(super) fn new_log(&self, path: PathBuf) -> Result<Log> {
        room_beneath(&self.shared.options.output_dir, &path)?;
        Log::create(path)
    }

    pub(super) fn lane(&self) -> Lane {
        Lane::workspace(&self.workspace.name)
    }

    pub(super) fn step(&self, what: &str) -> Step<'_> {
        self.shared.ui.step(self.lane(), what)
    }

    /// Begins a phase of which nothing is said.
    pub(super) fn phase(&self, what: &str) -> RunningSpan<'_> {
        self.shared.ui.timeline().begin(self.lane(), what)
    }

    /// A phase that began then ends now.
    pub(super) fn record_since(&self, phase: &str, began: Instant) {
        self.timings.record(phase, self.shared.ui.timeline().record(self.lane(), phase, began));
    }

    /// The packages of this workspace, in the yarn cache of its own.
    pub(super) fn packages(&self, own: &Path) -> Result<PackageCache<'a>> {
        PackageCache::new(&self.shared.store, own, &self.workspace.source.repo, self.shared.interrupt.flag())
    }
}

/// A plugin, and for which build its files are made.
#[derive(Clone, Copy)]
pub(super) struct PluginTarget<'a> {
    pub(super) shared: &'a Shared,
    pub(super) workspace: &'a Workspace,
    pub(super) plugin: &'a Plugin,
}

impl PluginTarget<'_> {
    /// What messages about it begin with: `todo plugins/a`.
    pub(super) fn label(self) -> String {
        self.lane().to_string()
    }

    pub(super) fn lane(self) -> Lane {
        Lane::plugin(&self.workspace.name, &self.plugin.path)
    }

    /// A path of the plugin in the checkout of its repository.
    pub(super) fn source_path(self, name: &str) -> PathBuf {
        join(&self.workspace.source.path, join(&self.plugin.path, name))
    }
}

impl fmt::Display for PluginTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin `{}` of workspace `{}`", self.plugin.path, self.workspace.name)
    }
}
