//! A workspace made ready for its exports: tools, sources, packages, install, type declarations.

use super::cli_flags::CliFlags;
use super::context::WorkspaceBuild;
use super::held_layer::LayerUse;
use super::layers::{Installed, WantedPackages};
use super::opened_files::Opened;
use super::packages::unpinned::Unpinned;
use super::report::InstallScripts;
use super::source;
use super::workdir::{Folders, NetworkAccess, Toolset, Workdir};
use crate::error::Result;
use crate::overlay::{AppliedOverlays, Overlays};
use crate::sandbox::child::Log;
use crate::store::Reading;
use crate::tools::provide::Provider;
use crate::ui::count;

/// A workspace that is ready for its exports.
pub(super) struct Prepared {
    pub(super) workdir: Workdir,
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

impl WorkspaceBuild<'_> {
    pub(super) async fn prepare(&self) -> Result<Prepared> {
        let log = self.new_log(self.log_path())?;
        let tools = self.provide_tools()?;
        let folders = self.clear_folders().await?;
        self.warn_of_room(&folders.work);
        self.write_sources(&folders, &log).await?;
        let sealed = Unpinned::sealed(&self.shared.options.lock_dir, self.workspace)?;
        let packages = self.packages(&folders.yarn)?.with_sealed(sealed.clone());
        let listed = self.listed_packages(&folders)?;
        self.fill_closures(&packages)?;
        let mut workdir = Workdir::new(self, folders, tools)?;
        // Nothing is exported when only the cache is to be filled and it has all that the sealed closures name.
        let exports = !self.shared.options.fetch_only || self.lacks_closures(&packages)?;
        let cli_flags = if exports { self.cli_flags(&workdir, &log).await? } else { CliFlags::default() };
        let wanted = WantedPackages { listed: &listed, sealed: &sealed, cache: &packages };
        let installed = self.install_packages(&mut workdir, &wanted, &log, exports).await?;
        let Installed { install_scripts, used, outside } = installed;
        let watched = tokio::task::block_in_place(|| self.watch_outside(&workdir.folders)).transpose()?;
        if exports {
            self.compile_types(&workdir, &log).await?;
        }
        if exports && self.layer_use(&workdir) == Some(LayerUse::Shown) {
            workdir.part();
        }
        let outside = outside.zip(watched).map(|(before, watched)| Opened::since(watched).and(&before));
        Ok(Prepared { workdir, cli_flags, install_scripts, sealed, used, outside })
    }

    /// Asks the CLI for its flags, in the build root and without a network, unless another workspace has done so.
    async fn cli_flags(&self, workdir: &Workdir, log: &Log) -> Result<CliFlags> {
        let shared = self.shared;
        let asked = shared.clis.of(shared.lock.tools_of(self.workspace));
        let ask = || async {
            let _slot = shared.slot(self.lane()).await?;
            let asking = self.phase("ask rhdh-cli");
            let help = workdir.run(&workdir.programs.cli, &["plugin", "export", "--help"], NetworkAccess::None, log);
            let what = "`rhdh-cli plugin export --help` failed";
            let hint = "`RHDH_CLI_VERSION` chooses another rhdh-cli";
            let help = help.await.map_err(|failure| failure.into_error(what, log, hint))?;
            asking.done();
            Ok(CliFlags::of_help(&help))
        };
        asked.get_or_try_init(ask).await.cloned()
    }

    fn provide_tools(&self) -> Result<Toolset> {
        let phase = self.phase("tools");
        let (shared, source) = (self.shared, &self.workspace.source);
        let options = &shared.options;
        let provider = Provider {
            store: &shared.store,
            registry: shared.registry.as_ref(),
            // Times do not tell of a bit that the disk lost: where every byte counts, every byte is read.
            reading: if options.frozen { Reading::All } else { Reading::Changed },
            isolation: options.isolation,
            ui: &shared.ui,
            interrupt: &shared.interrupt,
        };
        let tools = shared.lock.tools_of(self.workspace);
        let tools = Toolset {
            node: provider.node(tools)?,
            npm: provider.npm(tools)?,
            yarn: provider.yarn(&source.yarn)?,
            cli: provider.cli(tools, &options.lock_dir)?,
        };
        self.timings.record("tools", phase.done());
        Ok(tools)
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
