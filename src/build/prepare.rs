//! A workspace made ready for its exports: tools, sources, packages, install, type declarations.

use std::panic::resume_unwind;
use std::thread;

use tokio::runtime::Handle;

use super::cli_flags::CliFlags;
use super::context::WorkspaceBuild;
use super::held_layer::LayerUse;
use super::layers::{Installed, WantedPackages};
use super::opened_files::Opened;
use super::packages::unpinned::Unpinned;
use super::report::InstallScripts;
use super::source;
use super::workdir::{Folders, NetworkAccess, ShownCli, Toolset, Workdir};
use crate::error::Result;
use crate::overlay::{AppliedOverlays, Overlays};
use crate::sandbox::child::Log;
use crate::store::{CacheEntry, Reading};
use crate::tools::cli_tree::PinnedCli;
use crate::tools::provide::Provider;
use crate::ui::count;

/// A workspace that is ready for its exports.
pub(super) struct Prepared {
    pub(super) workdir: Workdir,
    pub(super) cli: ShownCli,
    /// Nothing is known where nothing is exported.
    pub(super) cli_flags: CliFlags,
    pub(super) install_scripts: InstallScripts,
    /// What the lock has sealed of packages without a checksum.
    pub(super) sealed: Unpinned,
    /// Those that the workspace itself uses.
    pub(super) used: Unpinned,
    /// What its installation and its types were read from outside of it, where that was looked at.
    pub(super) outside: Option<Opened>,
}

/// A workspace whose packages are installed, and types made where there are exports.
struct InstalledWorkspace {
    workdir: Workdir,
    installed: Installed,
    sealed: Unpinned,
    /// Whether anything is exported.
    exports: bool,
}

impl WorkspaceBuild<'_> {
    /// rhdh-cli, where it is not in the cache, is installed beside all that does not need it.
    pub(super) async fn prepare(&self) -> Result<Prepared> {
        let log = self.new_log(self.log_path())?;
        let (shared, provider, phase) = (self.shared, self.provider(), self.phase("tools"));
        let tools = shared.lock.tools_of(self.workspace);
        let (node, npm) = (provider.node(tools)?, provider.npm(tools)?);
        let pinned = PinnedCli::read(tools, &shared.options.lock_dir)?;
        let found = provider.find_cli(&pinned)?;
        let install = async {
            let toolset = Toolset { node, npm, yarn: provider.yarn(&self.workspace.source.yarn)? };
            self.timings.record("tools", phase.done());
            self.install_workspace(toolset, &log).await
        };
        let (installed, cli) = match found {
            Some(cli) => (install.await, Ok(cli)),
            None => self.beside(|| provider.install_cli(&pinned), install),
        };
        self.ready(installed?, cli?, &log).await
    }

    /// Does both at the same time, `other` on a thread of its own.
    fn beside<T: Send, U>(&self, other: impl FnOnce() -> T + Send, work: impl Future<Output = U>) -> (U, T) {
        let runtime = &Handle::current();
        tokio::task::block_in_place(|| {
            thread::scope(|scope| {
                let other = scope.spawn(|| {
                    let _entered = runtime.enter();
                    other()
                });
                let done = runtime.block_on(work);
                let waiting = self.shared.ui.timeline().wait(self.lane(), "wait for rhdh-cli");
                let other = other.join().unwrap_or_else(|panic| resume_unwind(panic));
                waiting.done();
                (done, other)
            })
        })
    }

    /// Writes the sources, installs their packages, and makes their types.
    async fn install_workspace(&self, tools: Toolset, log: &Log) -> Result<InstalledWorkspace> {
        let folders = self.clear_folders().await?;
        self.warn_of_room(&folders.work);
        self.write_sources(&folders, log).await?;
        let sealed = Unpinned::sealed(&self.shared.options.lock_dir, self.workspace)?;
        let packages = self.packages(&folders.yarn)?.with_sealed(sealed.clone());
        let listed = self.listed_packages(&folders)?;
        self.fill_closures(&packages)?;
        let mut workdir = Workdir::new(self, folders, tools)?;
        // Nothing is exported when only the cache is to be filled and it has all that the sealed closures name.
        let exports = !self.shared.options.fetch_only || self.lacks_closures(&packages)?;
        let wanted = WantedPackages { listed: &listed, sealed: &sealed, cache: &packages };
        let installed = self.install_packages(&mut workdir, &wanted, log, exports).await?;
        let opened = if exports { self.make_types(&workdir, log).await? } else { None };
        let outside = installed.outside.zip(opened).map(|(before, opened)| opened.and(&before));
        Ok(InstalledWorkspace { workdir, installed: Installed { outside, ..installed }, sealed, exports })
    }

    /// Lets exports begin.
    async fn ready(&self, ready: InstalledWorkspace, cli: CacheEntry, log: &Log) -> Result<Prepared> {
        let InstalledWorkspace { mut workdir, installed, sealed, exports } = ready;
        let cli = workdir.show_cli(cli);
        if exports && self.layer_use(&workdir) == Some(LayerUse::Shown) {
            workdir.part();
        }
        let cli_flags = if exports { self.cli_flags(&workdir, &cli, log).await? } else { CliFlags::default() };
        let Installed { install_scripts, used, outside } = installed;
        Ok(Prepared { workdir, cli, cli_flags, install_scripts, sealed, used, outside })
    }

    /// Asks the CLI for its flags, in the build root and without a network, unless another workspace has done so.
    async fn cli_flags(&self, workdir: &Workdir, cli: &ShownCli, log: &Log) -> Result<CliFlags> {
        let shared = self.shared;
        let asked = shared.clis.of(shared.lock.tools_of(self.workspace));
        let ask = || async {
            let _slot = shared.slot(self.lane()).await?;
            let asking = self.phase("ask rhdh-cli");
            let help = workdir.run(&cli.program, &["plugin", "export", "--help"], NetworkAccess::None, log);
            let what = "`rhdh-cli plugin export --help` failed";
            let hint = "`RHDH_CLI_VERSION` chooses another rhdh-cli";
            let help = help.await.map_err(|failure| failure.into_error(what, log, hint))?;
            asking.done();
            Ok(CliFlags::of_help(&help))
        };
        asked.get_or_try_init(ask).await.cloned()
    }

    fn provider(&self) -> Provider<'_> {
        let shared = self.shared;
        Provider {
            store: &shared.store,
            registry: shared.registry.as_ref(),
            // Times do not tell of a bit that the disk lost: where every byte counts, every byte is read.
            reading: if shared.options.frozen { Reading::All } else { Reading::Changed },
            isolation: shared.options.isolation,
            ui: &shared.ui,
            interrupt: &shared.interrupt,
        }
    }

    /// The pinned sources, patched, with the overlays.
    async fn write_sources(&self, folders: &Folders, log: &Log) -> Result<()> {
        let (shared, workspace) = (self.shared, self.workspace);
        let step = self.step("check out");
        tokio::task::block_in_place(|| source::write(shared, workspace, &folders.source))?;
        let plugins: Vec<&str> = workspace.plugin.iter().map(|plugin| plugin.path.as_str()).collect();
        let overlays = Overlays {
            workspace: &workspace.name,
            epoch: workspace.time(),
            inputs: &workspace.input,
            plugins: &plugins,
            config: &shared.options.config_dir.join(&workspace.dir),
            tree: &folders.tree(workspace),
            log,
            interrupt: &shared.interrupt,
        };
        let applied = overlays.apply().await;
        // Also after a patch that failed: that is when people want to look at it.
        tokio::task::block_in_place(|| source::leave_copy(shared, workspace, &folders.source))?;
        let AppliedOverlays { patches, overlays, .. } = applied?;
        source::check_effective(shared, workspace, &folders.source)?;
        let commit = workspace.source.commit.as_deref().map_or("local tree", |commit| &commit[..commit.len().min(12)]);
        let took = step.done(format!("{commit}, {}, {}", count(patches, "patch"), count(overlays, "overlay file")));
        self.timings.record("checkout", took);
        Ok(())
    }
}
