//! The folders of a workspace's build below the cache's `work/`, and what the children of the build see of them: the
//! same paths, programs and environment on every machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::{Shared, WorkspaceBuild};
use super::held_layer::HeldLayer;
use super::packages::classic::MIRROR;
use super::packages::is_berry;
use super::packages::yarn_settings::YarnSettings;
use super::source::{checked_out, workspace_folder};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lock::Workspace;
use crate::npm::forwarder::{ForwardedTarballs, RegistryForwarder};
use crate::npm::registry::RegistryAddresses;
use crate::sandbox::child::{ChildFailure, Log, Run, run};
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::{Isolation, Root};
use crate::store::{CacheEntry, CacheKind, LockGuard, entry_lock_name};
use crate::tools::provide::CLI_PACKAGE;
use crate::tools::registry_env::{forwarded, npm_settings, npmrc, yarn_settings, yarnrc};

/// The largest yarn and settings of yarn that are read from a source, in bytes.
const LARGEST_YARN: u64 = 64 << 20;
const LARGEST_YARNRC: u64 = 1 << 20;

/// Yarn's settings in every folder from the workspace up (yarn's "Configuration").
const YARNRC: &str = ".yarnrc.yml";

/// The folder of the checkout.
const SOURCE: &str = "source";

/// The pinned programs in the cache that a workspace is installed with, kept from being pruned.
pub(super) struct Toolset {
    pub(super) node: CacheEntry,
    pub(super) npm: CacheEntry,
    /// None where the workspace has committed its yarn.
    pub(super) yarn: Option<CacheEntry>,
}

impl Toolset {
    /// The names of their entries, which follow from what is in them.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let all = [Some(&self.node), Some(&self.npm), self.yarn.as_ref()];
        all.into_iter().flatten().filter_map(|tool| Some(tool.path().file_name()?.to_string_lossy().into_owned()))
    }
}

/// The pinned programs as the build's children see them; each but node itself is run with node.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) node: PathBuf,
    pub(super) npm: PathBuf,
    pub(super) yarn: PathBuf,
}

/// rhdh-cli as exports see it. What is installed does not depend on it.
pub(super) struct ShownCli {
    /// Its tree in the cache.
    pub(super) tree: CacheEntry,
    /// Run with node.
    pub(super) program: PathBuf,
}

/// The folders of one build, empty at first.
pub(super) struct Folders {
    /// The folder of all of them; other processes wait for it.
    pub(super) work: PathBuf,
    pub(super) source: PathBuf,
    home: PathBuf,
    bin: PathBuf,
    pub(super) tmp: PathBuf,
    /// The mount point of the build root.
    root: PathBuf,
    /// yarn's and npm's caches of this build alone: what third-party code writes there, nobody else reads.
    pub(super) yarn: PathBuf,
    npm: PathBuf,
    _lock: LockGuard,
}

/// What a step has of the network.
#[derive(Clone, Copy)]
pub(super) enum NetworkAccess<'a> {
    None,
    Open,
    /// With the registries asked through a forwarder.
    Forwarded(&'a RegistryForwarder),
}

impl NetworkAccess<'_> {
    /// The log with the true addresses of the registries.
    pub(super) fn log(self, log: &Log) -> Log {
        match self {
            Self::Forwarded(forwarder) => log.through(forwarder.restorer()),
            _ => log.clone(),
        }
    }
}

/// A checked-out workspace with all that its children need.
pub(super) struct Workdir {
    pub(super) folders: Folders,
    /// The workspace's folder in the checkout.
    pub(super) tree: PathBuf,
    pub(super) root: Root,
    pub(super) env: ChildEnv,
    pub(super) programs: Programs,
    /// Hosts that the sources allow to be asked without TLS (`unsafeHttpWhitelist`).
    plain_http: Vec<String>,
    /// What else they say about requests for packages.
    pub(super) settings_of_yarn: YarnSettings,
    /// How long one step may take.
    timeout: Duration,
    interrupt: Interrupt,
    pub(super) tools: Toolset,
    /// Folders of installed packages that are kept in the cache.
    pub(super) layer: Option<HeldLayer>,
    /// Each export sees the source for itself ([`super::export_view`]).
    pub(super) is_apart: bool,
}

/// The folder in which a workspace is built.
fn work_folder(shared: &Shared, workspace: &Workspace) -> PathBuf {
    shared.store.kind_dir(CacheKind::Work).join(&workspace.name)
}

/// Where children know a workspace's sources, if that is not the same on every machine.
pub(super) fn own_root(shared: &Shared, workspace: &Workspace) -> Option<String> {
    let source = || work_folder(shared, workspace).join(SOURCE);
    (shared.options.isolation == Isolation::None).then(|| workspace_folder(&source(), workspace).display().to_string())
}

impl WorkspaceBuild<'_> {
    /// Waits for other processes that build this workspace, and makes its folders again.
    pub(super) async fn clear_folders(&self) -> Result<Folders> {
        let lock = self.wait_for_folders().await?;
        let work = work_folder(self.shared, self.workspace);
        // Hundreds of thousands of files: on a slow disk their removal takes minutes.
        tokio::task::block_in_place(|| self.shared.store.discard(&work))?;
        let folder = |name: &str| -> Result<PathBuf> {
            let folder = work.join(name);
            fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            Ok(folder)
        };
        Ok(Folders {
            source: folder(SOURCE)?,
            home: folder("home")?,
            bin: folder("bin")?,
            tmp: folder("tmp")?,
            root: folder("root")?,
            yarn: folder("yarn")?,
            npm: folder("npm")?,
            work,
            _lock: lock,
        })
    }

    async fn wait_for_folders(&self) -> Result<LockGuard> {
        // `factory cache prune` leaves alone what is locked so.
        let lock = entry_lock_name(CacheKind::Work, &self.workspace.name);
        let (store, interrupt) = (self.shared.store.clone(), self.shared.interrupt.clone());
        if let Some(free) = store.try_lock(&lock)? {
            return Ok(free);
        }
        let step = self.step("wait for another factory process").waiting();
        let taken = tokio::task::spawn_blocking(move || store.lock(&lock, interrupt.flag()));
        let guard = taken.await.map_err(|_| Error::Interrupted)??;
        step.done("");
        Ok(guard)
    }
}

impl Folders {
    /// The workspace's folder in the checkout.
    pub(super) fn tree(&self, workspace: &Workspace) -> PathBuf {
        workspace_folder(&self.source, workspace)
    }

    /// What children see, outer folders first.
    fn root(&self, shared: &Shared, tools: &Toolset) -> Result<Root> {
        let mut root = Root::new(shared.options.isolation, self.root.clone());
        root.show(&self.source, "source", true)
            .show(&self.home, "home", true)
            .show(&self.tmp, "tmp", true)
            .show(&self.yarn, "yarn", true)
            .show(&self.npm, "npm", true)
            .show(&self.write_settings(shared.options.offline, &shared.registries)?, YARNRC, false)
            .show(&self.bin, "tools/bin", false)
            .show(tools.node.path(), "tools/node", false)
            .show(tools.npm.path(), "tools/npm", false);
        if let Some(yarn) = &tools.yarn {
            root.show(yarn.path(), "tools/yarn", false);
        }
        Ok(root)
    }

    /// Writes yarn's settings that depend on how factory was called, above the sources, where yarn looks for them after
    /// the workspace's own. Not in a variable: a script that writes down its environment would make something else
    /// offline. And the registries of scopes for npm and yarn 1, which look at home.
    fn write_settings(&self, offline: bool, registries: &RegistryAddresses) -> Result<PathBuf> {
        let path = self.work.join(YARNRC);
        let text = format!("enableNetwork: {}\n{}", !offline, yarnrc(registries));
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        let (home, of_scopes) = (self.home.join(".npmrc"), npmrc(registries));
        if !of_scopes.is_empty() {
            fs::write(&home, of_scopes).map_err(Error::io("write", &home))?;
        }
        Ok(path)
    }

    /// The sources' settings of yarn, before any script has run; None for one that cannot be read.
    fn yarnrc_texts(&self, workspace: &Workspace) -> Vec<Option<String>> {
        let tree = self.tree(workspace);
        let folders = tree.ancestors().take_while(|folder| folder.starts_with(&self.source));
        let Ok(sources) = checked_out(workspace, &self.source) else { return vec![None] };
        let path = |folder: &Path| folder.strip_prefix(&self.source).unwrap_or(folder).join(YARNRC);
        let read = |folder: &Path| sources.find_linked(&path(folder), LARGEST_YARNRC).transpose();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        folders.filter_map(read).map(|bytes| bytes.ok().map(text)).collect()
    }

    /// yarn as children see it: the registry's, or a copy of the one that the workspace has committed.
    fn yarn_program(&self, workspace: &Workspace, root: &Root, tools: &Toolset) -> Result<PathBuf> {
        match (&tools.yarn, &workspace.source.yarn.path) {
            (Some(folder), _) => Ok(root.inside(&folder.path().join("bin/yarn.js"))),
            (None, Some(path)) => {
                let to = self.bin.join("yarn.cjs");
                let bytes = checked_out(workspace, &self.source)?.read_linked(Path::new(path), LARGEST_YARN)?;
                fs::write(&to, bytes).map_err(Error::io("write", &to))?;
                fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).map_err(Error::io("write", &to))?;
                Ok(root.inside(&to))
            }
            (None, None) => Err(Error::usage("the lock has no yarn", "run `factory resolve`")),
        }
    }

    /// Finds the programs, and links those that scripts call by name into the folder that `PATH` begins with.
    fn programs(&self, workspace: &Workspace, root: &Root, tools: &Toolset) -> Result<Programs> {
        let programs = Programs {
            node: root.inside(&tools.node.path().join("bin/node")),
            npm: root.inside(&tools.npm.path().join("bin/npm-cli.js")),
            yarn: self.yarn_program(workspace, root, tools)?,
        };
        // A frontend's types come from `npx tsc`: without npx the CLI leaves them out and says nothing.
        let npx = root.inside(&tools.npm.path().join("bin/npx-cli.js"));
        let by_name = [("node", &programs.node), ("npm", &programs.npm), ("npx", &npx), ("yarn", &programs.yarn)];
        for (name, target) in by_name {
            let link = self.bin.join(name);
            symlink(target, &link).map_err(Error::io("create", &link))?;
        }
        Ok(programs)
    }

    fn env(&self, shared: &Shared, workspace: &Workspace, root: &Root, node: &Path) -> ChildEnv {
        let mut env = ChildEnv::base(workspace.time());
        let yarn = root.inside(&self.yarn);
        env.set("PATH", format!("{}:/usr/bin:/bin", root.inside(&self.bin).display()))
            .set("HOME", root.inside(&self.home))
            .set("TMPDIR", root.inside(&self.tmp))
            .set("YARN_GLOBAL_FOLDER", &yarn)
            .set("YARN_ENABLE_TELEMETRY", "0")
            .set("YARN_ENABLE_PROGRESS_BARS", "0")
            .set("YARN_ENABLE_GLOBAL_CACHE", "1");
        if !is_berry(workspace) {
            env.set("YARN_CACHE_FOLDER", yarn.join("classic")).set("YARN_YARN_OFFLINE_MIRROR", yarn.join(MIRROR));
        }
        if node.join("include/node").is_dir() {
            // Else node-gyp downloads the headers from a place that nothing pins.
            env.set("npm_config_nodedir", root.inside(node));
        }
        npm_settings(&mut env, &root.inside(&self.npm), &shared.registries);
        if !shared.options.install_scripts {
            env.set("YARN_ENABLE_SCRIPTS", "0").set("npm_config_ignore_scripts", "true");
        }
        env
    }
}

impl Workdir {
    /// Completes the folders of a build, whose sources are in place, with what children need.
    pub(super) fn new(build: &WorkspaceBuild<'_>, folders: Folders, tools: Toolset) -> Result<Self> {
        let WorkspaceBuild { shared, workspace, .. } = build;
        let root = folders.root(shared, &tools)?;
        let programs = folders.programs(workspace, &root, &tools)?;
        let mut env = folders.env(shared, workspace, &root, tools.node.path());
        let texts = folders.yarnrc_texts(workspace);
        let plain_http: Vec<String> = texts.iter().flatten().flat_map(|text| allowed_hosts(text)).collect();
        let settings_of_yarn = YarnSettings::of_texts(texts.iter().map(Option::as_deref));
        yarn_settings(&mut env, &shared.registries, &plain_http);
        Ok(Self {
            tree: folders.tree(workspace),
            folders,
            root,
            env,
            programs,
            plain_http,
            settings_of_yarn,
            timeout: shared.options.timeout,
            interrupt: shared.interrupt.clone(),
            tools,
            layer: None,
            is_apart: false,
        })
    }

    /// Shows rhdh-cli to all children from now on.
    pub(super) fn show_cli(&mut self, tree: CacheEntry) -> ShownCli {
        self.root.show(tree.path(), "tools/rhdh-cli", false);
        let program = tree.path().join("node_modules").join(CLI_PACKAGE).join("bin/rhdh-cli");
        ShownCli { program: self.root.inside(&program), tree }
    }

    /// Shows folders of installed packages to the steps before the exports.
    pub(super) fn show_layer(&mut self, layer: HeldLayer, folders: &[String]) {
        layer.show(&mut self.root, &self.folders.source, folders);
        self.layer = Some(layer);
    }

    /// The steps before the exports are over: from now on, nothing writes to the source, and each export sees it for itself.
    pub(super) fn part(&mut self) {
        self.layer.iter_mut().for_each(HeldLayer::close);
        self.root.release();
        self.is_apart = true;
    }

    /// A forwarder to the registries, where children need one.
    pub(super) async fn forwarder(&self, build: &WorkspaceBuild<'_>) -> Result<Option<RegistryForwarder>> {
        let Some(registry) = &build.shared.registry else { return Ok(None) };
        // yarn 1 takes a tarball from any address, and the lockfile that it writes is corrected.
        let is_berry = is_berry(build.workspace);
        let tarballs = if is_berry { ForwardedTarballs::Usual } else { ForwardedTarballs::All };
        RegistryForwarder::if_needed(registry, tarballs).await
    }

    /// The environment of children that ask the registries through a forwarder.
    pub(super) fn forwarded(&self, env: &ChildEnv, forwarder: &RegistryForwarder) -> ChildEnv {
        forwarded(env, forwarder, &self.plain_http)
    }

    /// Runs a program with the pinned node, in the workspace's folder; returns its stdout.
    pub(super) async fn run(
        &self,
        program: &Path,
        args: &[&str],
        access: NetworkAccess<'_>,
        log: &Log,
    ) -> Result<String, ChildFailure> {
        let env = match access {
            NetworkAccess::Forwarded(forwarder) => self.forwarded(&self.env, forwarder),
            _ => self.env.clone(),
        };
        let log = &access.log(log);
        let program = program.to_string_lossy().into_owned();
        let args: Vec<String> = std::iter::once(program).chain(args.iter().map(|arg| (*arg).to_owned())).collect();
        run(Run {
            program: &self.programs.node,
            args: &args,
            cwd: &self.tree,
            env: &env,
            root: &self.root,
            network: !matches!(access, NetworkAccess::None),
            log,
            timeout: self.timeout,
            interrupt: &self.interrupt,
        })
        .await
    }
}

/// `unsafeHttpWhitelist` of a `.yarnrc.yml`.
fn allowed_hosts(text: &str) -> Vec<String> {
    #[derive(Default, serde::Deserialize)]
    struct Rc {
        #[serde(default, rename = "unsafeHttpWhitelist")]
        hosts: Vec<String>,
    }
    yaml_serde::from_str::<Rc>(text).unwrap_or_default().hosts
}
