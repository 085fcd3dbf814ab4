//! The order in which the plugins of a workspace are built, and which of them at the same time.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::context::WorkspaceBuild;
use super::earlier::export_seconds;
use super::packages::is_berry;
use super::prepare::Prepared;
use super::workspace::BuiltPlugin;
use crate::lock::Plugin;
use crate::timeline::Lane;

/// Plugins with their places in the lock.
type PlacedPlugins<'p> = Vec<(usize, &'p Plugin)>;

impl WorkspaceBuild<'_> {
    /// Builds plugins of the workspace.
    pub(super) async fn build_plugins(&self, prepared: &Prepared, plugins: PlacedPlugins<'_>) -> Vec<BuiltPlugin> {
        let (together, one_by_one) = self.scheduled(prepared, plugins);
        let began = Instant::now();
        let mut built = self.side_by_side(prepared, together);
        let mut before: Vec<Lane> = built.iter().map(|one| self.lane_of(one.place)).collect();
        for (place, plugin) in one_by_one {
            let lane = self.lane_of(place);
            if !before.is_empty() {
                let what = "wait for the exports before it";
                self.shared.ui.timeline().waited(lane.clone(), what, (began, &before));
            }
            before = vec![lane.clone()];
            let slot = self.shared.slot(lane).await;
            built.push(self.plugin(prepared, (place, plugin), slot).await);
        }
        built
    }

    /// Those that are built side by side, and those that follow them one by one.
    ///
    /// All are side by side where each has a view of the source of its own. Else backends follow: the CLI builds the packages
    /// they embed in their source folders, and two may embed the same. And all follow one another where it is looked at
    /// what one reads, since the kernel does not say who opened a file. Backends follow with yarn 1, too: several of it
    /// must not write to one cache.
    fn scheduled<'p>(
        &self,
        prepared: &Prepared,
        mut plugins: PlacedPlugins<'p>,
    ) -> (PlacedPlugins<'p>, PlacedPlugins<'p>) {
        let is_apart = prepared.workdir.is_apart;
        if is_apart {
            let options = &self.shared.options;
            sort_longest_first(&mut plugins, &export_seconds(&options.output_dir, &self.workspace.name));
        } else {
            plugins.sort_by_key(|(place, plugin)| (plugin.role.is_backend(), *place));
        }
        let is_watched = plugins.iter().any(|(_, plugin)| self.target(plugin).is_watched());
        if !is_apart && is_watched {
            return (Vec::new(), plugins);
        }
        if is_apart && is_berry(self.workspace) {
            return (plugins, Vec::new());
        }
        plugins.into_iter().partition(|(_, plugin)| !plugin.role.is_backend())
    }

    /// Each on a thread of its own, as there are slots for them: what is done here after an export, such as packing, does
    /// not keep the next one waiting.
    fn side_by_side(&self, prepared: &Prepared, plugins: PlacedPlugins<'_>) -> Vec<BuiltPlugin> {
        let (began, runtime) = (Instant::now(), &Handle::current());
        block_in_place(|| {
            thread::scope(|scope| {
                let mut running = Vec::new();
                for (place, plugin) in plugins {
                    let slot = runtime.block_on(self.shared.slot_since(self.lane_of(place), began));
                    let build = move || runtime.block_on(self.plugin(prepared, (place, plugin), slot));
                    running.push(scope.spawn(build));
                }
                running.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
            })
        })
    }

    /// The lane of the plugin at a place of the lock.
    pub(super) fn lane_of(&self, place: usize) -> Lane {
        self.target(&self.workspace.plugin[place]).lane()
    }
}

/// Those that took longest before are begun first, and before them those of which nothing is known, frontends first.
fn sort_longest_first(plugins: &mut PlacedPlugins<'_>, seconds: &BTreeMap<String, f64>) {
    let took = |plugin: &Plugin| seconds.get(&plugin.path).copied().unwrap_or(f64::INFINITY);
    plugins.sort_by(|(place, plugin), (other_place, other)| {
        let by_role = || plugin.role.is_backend().cmp(&other.role.is_backend());
        took(other).total_cmp(&took(plugin)).then_with(by_role).then_with(|| place.cmp(other_place))
    });
}
