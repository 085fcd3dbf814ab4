//! One plugin: its export, the selection of its files, its archive and image, and the check against its seal.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::artefact::{self, Artefact};
use super::cache_repo::NewBuild;
use super::context::{PluginTarget, Slot, Timings, WorkspaceBuild};
use super::export::{Export, Exported};
use super::export_args::ExportArgs;
use super::export_view::ExportView;
use super::packages::lockfile::LockfilePackages;
use super::prepare::Prepared;
use super::read_sources::ReadSources;
use super::workdir::NetworkAccess;
use super::{bundle, checks, finished, verdict};
use crate::error::{Error, Result};
use crate::image::PackageFiles;
use crate::lock::Plugin;
use crate::overlay::SCALPRUM;
use crate::store::LeftKind;
use crate::ui::{Step, count};

/// An export, and what of it belongs to the package.
struct ExportedFiles {
    exported: Exported,
    entries: PackageFiles,
    /// What it read that the lock does not know.
    read: Option<ReadSources>,
}

/// The build of one plugin.
pub(super) struct PluginBuild<'a> {
    build: &'a WorkspaceBuild<'a>,
    prepared: &'a Prepared,
    target: PluginTarget<'a>,
    /// Its place in the lock, by which its temporary folder is named.
    index: usize,
    pub(super) timings: Timings,
    /// Arguments that rhdh-cli is not given, and why.
    pub(super) left_out: OnceLock<Vec<String>>,
}

impl<'a> PluginBuild<'a> {
    pub(super) fn new(build: &'a WorkspaceBuild<'a>, prepared: &'a Prepared, index: usize, plugin: &'a Plugin) -> Self {
        let target = build.target(plugin);
        Self { build, prepared, target, index, timings: Timings::default(), left_out: OnceLock::new() }
    }

    /// The slot is given back as soon as no third-party code runs any more.
    pub(super) async fn run(&self, slot: Slot<'_>) -> Result<Artefact> {
        let export = self.export().await?;
        let ExportedFiles { exported, entries, read } = self.export_and_select(&export).await?;
        drop(slot);
        let is_verified = self.build.shared.options.verify_mode;
        let checking = self.build.shared.ui.timeline().begin(self.target.lane(), "checks");
        let mut warnings = tokio::task::block_in_place(|| checks::of_files(self.target, &entries))?;
        checking.done();
        if let Some(read) = read.as_ref().filter(|_| is_verified) {
            let warning = self.target.unknown_reads(read);
            self.build.shared.ui.warn(format!("{}: {warning}", self.target.label()));
            warnings.push(warning);
        }
        // What its sources are is known now: it is packed, and stored, as what it was built from.
        let mut plugin = self.target.plugin.clone();
        if let Some(ReadSources { sources, .. }) = read.as_ref().filter(|_| !is_verified) {
            plugin.sources.clone_from(sources);
        }
        let target = PluginTarget { plugin: &plugin, ..self.target };
        // A step that changes the files of the package belongs before the checks.
        let artefact = Artefact { read, warnings, ..self.pack(target, &export.view, (&exported, &entries))? };
        if !is_verified {
            verdict::check_sealed(&self.build.shared.options, self.target.workspace, self.target.plugin, &artefact)?;
            tokio::task::block_in_place(|| self.keep(target, &artefact))?;
        }
        Ok(artefact)
    }

    /// Stores it in the cache, and in the cache repository where there is one.
    fn keep(&self, built: PluginTarget<'_>, artefact: &Artefact) -> Result<()> {
        let entry = finished::keep(built, artefact);
        if let Some(repo) = &self.build.shared.cache_repo {
            let mut packages = self.prepared.used.clone();
            packages.merge(self.build.closure_packages(artefact, &self.prepared.workdir.folders.yarn)?);
            repo.store(NewBuild { locked: self.target, built, artefact, packages }, entry);
        }
        Ok(())
    }

    /// Exports the plugin for the dependencies alone that its closure names: they are in the cache then.
    pub(super) async fn fetch(&self) -> Result<()> {
        let _slot = self.build.shared.slot(self.target.lane()).await?;
        let export = self.export().await?;
        let step = self.step("export");
        let exported = export.run().await?;
        step.done("");
        self.share_closure(&exported)
    }

    async fn export_and_select(&self, export: &Export<'_>) -> Result<ExportedFiles> {
        let step = self.step("export");
        let view = &export.view;
        let watched = if self.target.is_watched() { Some(self.target.watch_in_turn(view).await?) } else { None };
        let exported = export.run().await?;
        let before = self.prepared.outside.as_ref();
        let look = |(watched, _)| tokio::task::block_in_place(|| self.target.read_sources(watched, before, view));
        let read = watched.map(look).transpose()?.flatten();
        let entries = export.select().await?;
        self.timings.record("export", step.done(count(entries.entries().len(), "file")));
        self.share_closure(&exported)?;
        Ok(ExportedFiles { exported, entries, read })
    }

    /// The export, in folders of its own.
    async fn export(&self) -> Result<Export<'a>> {
        let shared = self.build.shared;
        shared.interrupt.check()?;
        let workdir = &self.prepared.workdir;
        let log = self.build.new_log(self.build.plugin_log_path(self.target.plugin))?;
        let folder = |what: &str| workdir.folders.work.join(format!("{what}-{}", self.index));
        let (tmp, mount) = (folder("tmp"), folder("root"));
        for folder in [&tmp, &mount] {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let mut root = workdir.root.at(mount);
        root.replace(&workdir.folders.tmp, &tmp);
        let of = self.target.to_string();
        let view = tokio::task::block_in_place(|| ExportView::show(workdir, &mut root, &folder("export"), &of))?;
        let args = self.args(&view)?;
        let env = workdir.env.clone().with("TMPDIR", root.inside(&tmp));
        let packages = self.build.packages(&workdir.folders.yarn)?;
        let network = !shared.options.offline && self.build.needs_network(self.target.plugin, &packages)?;
        let forwarder = if network { workdir.forwarder(self.build).await? } else { None };
        let (env, log) = match &forwarder {
            Some(forwarder) => (workdir.forwarded(&env, forwarder), NetworkAccess::Forwarded(forwarder).log(&log)),
            None => (env, log),
        };
        let (target, cli) = (self.target, &self.prepared.cli);
        Ok(Export { target, workdir, cli, root, view, env, network, forwarder, log, args })
    }

    fn args(&self, view: &ExportView) -> Result<Vec<String>> {
        let has_scalprum = view
            .tree(self.target.to_string())?
            .folder(&self.target.source_path(""))?
            .kind(Path::new(SCALPRUM))
            .is_some_and(|kind| kind == LeftKind::File);
        let ExportArgs { words, left_out } = self.target.export_args(&self.prepared.cli_flags, has_scalprum)?;
        for reason in &left_out {
            self.build.shared.ui.note(format!("{}: left out {reason}", self.target.label()));
        }
        let _ = self.left_out.set(left_out);
        Ok(words)
    }

    /// Checks the dependencies that the closure names, and shares those that yarn fetched with other builds.
    fn share_closure(&self, exported: &Exported) -> Result<()> {
        let Some(closure) = &exported.closure else { return Ok(()) };
        let sealed = &self.prepared.sealed;
        let packages = self.build.packages(&self.prepared.workdir.folders.yarn)?.with_sealed(sealed.clone());
        let listed = LockfilePackages::of(self.target.workspace, closure, &exported.folder.join("yarn.lock"))?;
        tokio::task::block_in_place(|| {
            listed.take_back(&packages)?;
            self.build.check_packages(&listed, sealed, &packages).map(drop)
        })
    }

    fn pack(
        &self,
        target: PluginTarget<'_>,
        view: &ExportView,
        (exported, entries): (&Exported, &PackageFiles),
    ) -> Result<Artefact> {
        let step = self.step("pack");
        let artefact = tokio::task::block_in_place(|| {
            let bundle = bundle::of_frontend(target, (self.prepared, view), entries)?;
            artefact::pack(target, &view.tree(target.to_string())?, exported, entries, bundle.as_ref())
        })?;
        self.timings.record("pack", step.done(artefact.label()));
        Ok(artefact)
    }

    fn step(&self, what: &str) -> Step<'_> {
        self.build.shared.ui.step(self.target.lane(), what)
    }
}
