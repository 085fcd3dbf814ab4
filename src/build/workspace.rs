//! One workspace: prepared once, then its plugins; what the cache has of what is sealed is not built again.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;

use super::artefact::{Artefact, LAYOUT};
use super::context::{Shared, Slot, Timings, WorkspaceBuild};
use super::packages::lockfile::LockfilePackages;
use super::packages::unpinned::Unpinned;
use super::plugin::PluginBuild;
use super::prepare::Prepared;
use super::report::{InstallScripts, Output, PluginReport, WorkspaceReport};
use super::{cache_repo, finished, sealed_files, source};
use crate::error::{Error, Result};
use crate::lock::{Plugin, Workspace};
use crate::store::{discard_unfinished, stays_beneath};

/// A workspace after its build.
pub struct BuiltWorkspace {
    pub name: String,
    pub report: WorkspaceReport,
    /// What was made of each plugin that was chosen, by its place in the lock.
    pub plugins: BTreeMap<usize, Result<Artefact>>,
    /// The packages it used that no lockfile has a checksum for.
    pub unpinned: Unpinned,
    /// What was made of plugins whose image could not be pushed, by their places.
    pub unpushed: BTreeMap<usize, Artefact>,
    /// Why the workspace failed before its plugins.
    pub error: Option<Error>,
}

impl BuiltWorkspace {
    /// Adds to what the report says of a plugin that was built.
    pub fn amend(&mut self, place: usize, add: impl FnOnce(&mut Output)) {
        let row = self.row(place);
        if let Some(Ok(artefact)) = self.plugins.get_mut(&place) {
            add(&mut artefact.output);
            self.report.plugins[row].output = Some(artefact.output.clone());
        }
    }

    /// A plugin that was built, and whose image could not be pushed or had nothing attached; what was made of it stays.
    pub fn fail(&mut self, place: usize, error: Error) {
        let row = self.row(place);
        self.report.plugins[row].error = Some(error.to_string());
        if let Some(Ok(artefact)) = self.plugins.insert(place, Err(error)) {
            self.unpushed.insert(place, artefact);
        }
    }

    /// Which of the report's plugins is the one at this place of the lock.
    fn row(&self, place: usize) -> usize {
        self.plugins.range(..place).count()
    }

    /// What was made of its plugins, pushed or not, by their places in the lock.
    pub fn made(&self) -> impl Iterator<Item = (usize, &Artefact)> {
        let pushed = self.plugins.iter().filter_map(|(place, plugin)| Some((*place, plugin.as_ref().ok()?)));
        pushed.chain(self.unpushed.iter().map(|(place, made)| (*place, made)))
    }

    /// The errors of this workspace and its plugins.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        self.error.iter().chain(self.plugins.values().filter_map(|plugin| plugin.as_ref().err()))
    }
}

/// Builds a workspace; errors are in the result.
pub(super) async fn build(shared: &Shared, workspace: &Workspace) -> BuiltWorkspace {
    let build = WorkspaceBuild::new(shared, workspace);
    let mut progress = Progress::default();
    let error = build.run(&mut progress).await.err().map(|error| build.of_disk(error));
    if let Some(error) = &error {
        build.say(error);
    }
    build.conclude(progress, error)
}

/// Refuses folders for the outputs of a workspace that are links which lead out of the output directory, and removes from
/// the others what runs that were killed began to write there.
pub(super) fn clear_outputs(output_dir: &Path, folder: &Path) -> Result<()> {
    let folders = [folder, &folder.join("logs"), &folder.join(LAYOUT).join("blobs/sha256")];
    for folder in folders {
        stays_beneath(output_dir, folder)?;
        discard_unfinished(folder);
    }
    discard_unfinished(&folder.join(LAYOUT));
    Ok(())
}

/// What is known of a workspace's build, failed or not.
#[derive(Default)]
struct Progress {
    /// Whether anything was run, and logged.
    has_log: bool,
    install_scripts: InstallScripts,
    unpinned: Unpinned,
    plugins: Vec<BuiltPlugin>,
}

pub(super) struct BuiltPlugin {
    /// Its place in the lock.
    pub(super) place: usize,
    result: Result<Artefact>,
    timings: Timings,
    /// Arguments that rhdh-cli was not given, and why.
    left_out: Vec<String>,
    /// Whether anything was run, and logged.
    has_log: bool,
}

impl WorkspaceBuild<'_> {
    async fn run(&self, progress: &mut Progress) -> Result<()> {
        let looking = self.phase("look in the cache");
        let mut finished = tokio::task::block_in_place(|| {
            let options = &self.shared.options;
            clear_outputs(&options.output_dir, &options.output_folder(self.workspace))?;
            sealed_files::check(&self.shared.options, self.workspace)?;
            source::check_sources(self.shared, self.workspace)?;
            source::warn_of_uncommitted(self.shared, self.workspace);
            finished::all(self.shared, self.workspace)
        })?;
        let missing: Vec<usize> = (0..finished.len()).filter(|place| finished[*place].is_none()).collect();
        let timeline = self.shared.ui.timeline();
        for (place, _) in finished.iter().enumerate().filter(|(_, kept)| kept.is_some()) {
            timeline.taken_from(self.lane_of(place), "this machine's cache");
        }
        for (place, found) in cache_repo::find_all(self.shared, self.workspace, &missing).await? {
            timeline.taken_from(self.lane_of(place), "the cache repository");
            finished[place] = Some(found.made);
            progress.unpinned.merge(found.packages);
        }
        looking.done();
        let fetch_only = self.shared.options.fetch_only;
        let is_done = |(plugin, kept): (&Plugin, &Option<_>)| kept.is_some() || !self.shared.options.chooses(plugin);
        if !fetch_only && self.workspace.plugin.iter().zip(&finished).all(is_done) {
            let kept = finished.into_iter().enumerate().filter_map(|(place, kept)| Some((place, kept?)));
            progress.plugins = kept.map(|(place, kept)| self.reuse(place, kept)).collect();
            return Ok(());
        }
        progress.has_log = true;
        let prepared = self.prepare().await?;
        progress.install_scripts = prepared.install_scripts.clone();
        let done = if fetch_only {
            self.fetch_closures(&prepared).await
        } else {
            // Not while the source itself is watched: it lists all of that. Without a measure the next build does as well.
            let mut measured = Some(self.measure(&prepared.workdir.folders.work));
            if self.is_watched() && !prepared.workdir.is_apart {
                let _ = join_all(measured.take()).await;
            }
            let plugins = self.plugins(&prepared, finished).await;
            let _ = join_all(measured).await;
            self.used_packages(&prepared, &plugins).map(|used| {
                progress.unpinned.merge(used);
                progress.plugins = plugins;
            })
        };
        // The shared cache has it all.
        let _ = self.shared.store.discard(&prepared.workdir.folders.yarn);
        done
    }

    /// What was made of the plugins that are chosen, in the order of the lock.
    async fn plugins(&self, prepared: &Prepared, finished: Vec<Option<Result<Artefact>>>) -> Vec<BuiltPlugin> {
        let (mut built, mut missing) = (Vec::new(), Vec::new());
        for ((place, plugin), finished) in self.workspace.plugin.iter().enumerate().zip(finished) {
            match finished {
                _ if !self.shared.options.chooses(plugin) => {}
                Some(kept) => built.push(self.reuse(place, kept)),
                None => missing.push((place, plugin)),
            }
        }
        built.extend(self.build_plugins(prepared, missing).await);
        built.sort_by_key(|built| built.place);
        built
    }

    /// Builds a plugin in a slot.
    pub(super) async fn plugin(
        &self,
        prepared: &Prepared,
        (place, plugin): (usize, &Plugin),
        slot: Result<Slot<'_>>,
    ) -> BuiltPlugin {
        let build = PluginBuild::new(self, prepared, place, plugin);
        let run = async { build.run(slot?).await };
        let result = run.await.map_err(|error| self.of_disk(error));
        if let Err(error) = &result {
            self.say(error);
        }
        let left_out = build.left_out.into_inner().unwrap_or_default();
        BuiltPlugin { place, result, timings: build.timings, left_out, has_log: true }
    }

    /// A plugin that was taken from the cache, or did not pass the checks there.
    fn reuse(&self, place: usize, kept: Result<Artefact>) -> BuiltPlugin {
        match &kept {
            Ok(artefact) => {
                self.shared.ui.note(format!("{}: {} from the cache", self.workspace.name, artefact.label()));
            }
            Err(error) => self.say(error),
        }
        BuiltPlugin { place, result: kept, timings: Timings::default(), left_out: vec![], has_log: false }
    }

    /// Exports the backends whose dependencies are not in the cache yet, so that they get there.
    async fn fetch_closures(&self, prepared: &Prepared) -> Result<()> {
        let packages = self.packages(&prepared.workdir.folders.yarn)?;
        for (index, plugin) in self.workspace.plugin.iter().enumerate() {
            if self.needs_network(plugin, &packages)? {
                PluginBuild::new(self, prepared, index, plugin).fetch().await?;
            }
        }
        Ok(())
    }

    /// The packages without a checksum that the workspace and the closures of its plugins use.
    fn used_packages(&self, prepared: &Prepared, plugins: &[BuiltPlugin]) -> Result<Unpinned> {
        let mut used = prepared.used.clone();
        for artefact in plugins.iter().filter_map(|plugin| plugin.result.as_ref().ok()) {
            // What was taken from the cache was sealed with its packages.
            if !artefact.reused {
                used.merge(self.closure_packages(artefact, &prepared.workdir.folders.yarn)?);
            }
        }
        Ok(used)
    }

    /// Those that the closure of a plugin uses. `yarn` is the cache of its installation.
    pub(super) fn closure_packages(&self, artefact: &Artefact, yarn: &Path) -> Result<Unpinned> {
        let Some(closure) = &artefact.record.closure else { return Ok(Unpinned::default()) };
        let path = Path::new(&artefact.output.tgz);
        LockfilePackages::of(self.workspace, closure.as_bytes(), path)?.unpinned(&self.packages(yarn)?)
    }

    fn say(&self, error: &Error) {
        if !matches!(error, Error::Interrupted) {
            self.shared.ui.error(error);
        }
    }

    fn conclude(self, progress: Progress, error: Option<Error>) -> BuiltWorkspace {
        let Progress { has_log, install_scripts, unpinned, plugins } = progress;
        let report = WorkspaceReport {
            name: self.workspace.name.clone(),
            earlier: false,
            error: error.as_ref().map(ToString::to_string),
            log: has_log.then(|| self.shared.options.relative(&self.log_path())),
            install_scripts,
            seconds: self.timings.to_report(),
            plugins: plugins.iter().map(|built| self.plugin_report(built)).collect(),
        };
        BuiltWorkspace {
            name: self.workspace.name.clone(),
            report,
            plugins: plugins.into_iter().map(|plugin| (plugin.place, plugin.result)).collect(),
            unpushed: BTreeMap::new(),
            unpinned,
            error,
        }
    }

    fn plugin_report(&self, built: &BuiltPlugin) -> PluginReport {
        let plugin = &self.workspace.plugin[built.place];
        let artefact = built.result.as_ref().ok();
        PluginReport {
            path: plugin.path.clone(),
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            role: plugin.role,
            earlier: false,
            output: artefact.map(|artefact| artefact.output.clone()),
            error: built.result.as_ref().err().map(ToString::to_string),
            left_out: built.left_out.clone(),
            warnings: artefact.map(|artefact| artefact.warnings.clone()).unwrap_or_default(),
            kept: artefact.is_some_and(|artefact| artefact.reused),
            log: built.has_log.then(|| self.shared.options.relative(&self.plugin_log_path(plugin))),
            seconds: built.timings.to_report(),
        }
    }
}
