//! Replays a lock: checkout, patches, install, export, pack. Takes `&Lock`; asks nobody what is newest.
//!
//! In the order of the data: [`tools`] provisions the pinned programs, [`source`] lays the pinned source down
//! ([`checkout`]), [`tree`] patches it, [`workspace`] has [`install`] run in it (from the [`packages`] of a cache that
//! builds cannot change) and builds its plugins: [`export`] makes the package of one ([`masked`] finds names that npm
//! hides, [`drift`] why a sealed closure no longer fits), [`artefact`] its files, [`verdict`] holds them to what [`seal`]
//! keeps; [`kept`] spares all that for what is sealed and still in the cache. [`inputs`] is the digest of all that
//! went in; [`report`] and [`plugins_yaml`] say what came out. [`root`], [`enter`], [`env`](mod@env) and [`child`] are
//! how third-party code is run, [`native_log`] what is left of a compiler that failed.

pub mod artefact;
pub mod checkout;
pub mod child;
pub mod drift;
pub mod enter;
pub mod env;
pub mod export;
pub mod inputs;
pub mod install;
pub mod kept;
mod masked;
pub mod native_log;
pub mod packages;
pub mod plugins_yaml;
pub mod report;
pub mod root;
pub mod seal;
pub mod source;
pub mod tools;
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
use crate::lock::{Lock, Workspace};
use crate::store::Store;
use crate::store::npm::Registry;
use crate::ui::Ui;
use artefact::Artefact;
use child::Interrupt;
use root::Isolation;

/// How a build is done; nothing here changes what comes out.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct Options {
    /// The configuration directory: patches and overlays lie in it.
    pub config_dir: PathBuf,
    /// The folder of the lock: its companion folder lies in it.
    pub lock_dir: PathBuf,
    /// Where results go.
    pub output_dir: PathBuf,
    /// Steps of third-party code at once.
    pub jobs: usize,
    /// What keeps the build apart.
    pub isolation: Isolation,
    /// Use no network at all.
    pub offline: bool,
    /// Only fill the cache with what a build without network needs.
    pub fetch_only: bool,
    /// Take what is sealed from the finished builds in the cache, instead of building it again.
    pub keeps: bool,
    /// Hold the build to a sealed lock.
    pub frozen: bool,
    /// Give what was made to the caller's own judgement, whatever the lock has sealed.
    pub judge: bool,
    /// How repositories are reached.
    pub network: crate::store::git::Network,
    /// The local tree of workspaces that are not pinned.
    pub local: Option<PathBuf>,
    /// Where a copy of each workspace's patched source is left for people to look at.
    pub laid: Option<PathBuf>,
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

impl Options {
    /// Whether all that is built must be sealed. `fetch` and `verify` go on with less: the one builds nothing, the other
    /// says itself what it cannot compare.
    pub fn must_be_sealed(&self) -> bool {
        self.frozen && !self.fetch_only && !self.judge
    }
}

/// What all workspaces of a build share.
pub struct Shared {
    /// How.
    pub options: Options,
    /// The lock.
    pub lock: Lock,
    /// The cache.
    pub store: Store,
    /// Where packages come from; none when offline.
    pub registry: Option<Registry>,
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

/// Finds out once what this machine grants.
pub async fn probe(store: &Store, choice: root::IsolationChoice) -> Result<(Isolation, Option<String>)> {
    if choice == root::IsolationChoice::Off {
        build_umask();
        return Ok((Isolation::None, None));
    }
    let mut why = String::new();
    let order = if nix::unistd::Uid::effective().is_root() {
        vec![Isolation::Namespaces, Isolation::UserNamespaces]
    } else {
        vec![Isolation::UserNamespaces]
    };
    for isolation in order {
        match try_isolation(store, isolation).await {
            Ok(()) => return Ok((isolation, None)),
            Err(e) => why = e,
        }
    }
    if choice == root::IsolationChoice::Required {
        return Err(Error::usage(
            format!("this machine grants no namespaces: {why}"),
            "allow user namespaces (sysctl `kernel.unprivileged_userns_clone`, a container's security profile), or use `--isolation auto`",
        ));
    }
    build_umask();
    Ok((Isolation::None, Some(why)))
}

/// A build root sets the umask of its children; without one they inherit factory's own.
fn build_umask() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
}

async fn try_isolation(store: &Store, isolation: Isolation) -> Result<(), String> {
    let scratch = store.scratch().map_err(|e| e.to_string())?;
    let (tmp, mount) = (scratch.path().join("tmp"), scratch.path().join("root"));
    for folder in [&tmp, &mount] {
        std::fs::create_dir(folder).map_err(|e| e.to_string())?;
    }
    let mut root = root::Root::new(isolation, mount);
    root.show(&tmp, "tmp", true);
    let env = env::Env::base(0);
    let entered = root.command(std::path::Path::new("/usr/bin/true"), &[], &tmp, &env, false);
    let mut child = tokio::process::Command::new(&entered.program)
        .args(&entered.args)
        .env_clear()
        .envs(env.iter())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| e.to_string())?;
    let _lifeline = child.stdin.take();
    let output = child.wait_with_output().await.map_err(|e| e.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}
