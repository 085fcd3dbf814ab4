//! What a build leaves in its output directory beside archives and images: `build-report.json` and
//! `dynamic-plugins.yaml`. What earlier builds left of other workspaces stays in both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use yaml_serde::Value;

use super::artefact::{Artefact, archive_of};
use super::context::Shared;
use super::earlier::Earlier;
use super::plugins_yaml::{self, ConfigFiller, DynamicPlugin};
use super::report::{self, Output, PluginReport, Report, WorkspaceReport};
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::lock::{Lock, Workspace};
use crate::store::{discard_unfinished, file_beneath};
use crate::ui::some_names;

/// Writes both. `lock` is sealed.
pub fn write(shared: &Shared, lock: &Lock, built: &[BuiltWorkspace]) -> Result<()> {
    let output_dir = &shared.options.output_dir;
    discard_unfinished(output_dir);
    let of_this_build = |name: &str| built.iter().find(|built| built.name == name);
    let mut earlier = Earlier::find(shared, lock, |name, path| {
        let is_one = |built: &BuiltWorkspace| {
            built.error.is_some() || built.report.plugins.iter().any(|plugin| plugin.path == path)
        };
        of_this_build(name).is_some_and(is_one)
    });
    let mut filler = ConfigFiller::new(shared.options.config_from, &shared.options.config_dir);
    let (mut workspaces, mut entries) = (Vec::new(), Vec::new());
    for locked in &lock.workspace {
        let built = of_this_build(&locked.name);
        let kept = earlier.take(&locked.name);
        let made: BTreeMap<usize, &Artefact> = built.into_iter().flat_map(BuiltWorkspace::made).collect();
        for (place, plugin) in locked.plugin.iter().enumerate() {
            if let Some(artefact) = made.get(&place) {
                let with_path = shared.options.paths_in_references;
                let config = filler.fill(locked, plugin, artefact.config.clone());
                entries.push(entry(&artefact.output, with_path, config));
            } else if let Some(kept) = kept.as_ref().and_then(|kept| kept.output_of(&plugin.path)) {
                entries.extend(earlier.entry(kept));
            }
        }
        workspaces.extend(match (built, kept) {
            (Some(built), Some(kept)) => Some(with_earlier(built.report.clone(), kept, locked)),
            (Some(built), None) => Some(built.report.clone()),
            (None, kept) => kept,
        });
    }
    filler.messages().say(&shared.ui);
    let left_behind = earlier.left_behind(output_dir, &workspaces);
    let mut old = no_longer_locked(lock, &left_behind);
    old.retain(|archive| !earlier.is_known_left(archive));
    if let Some(text) = left_behind_note(output_dir, &old) {
        shared.ui.note(text);
    }
    let report = Report {
        version: report::VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: lock.identity(),
        isolation: shared.options.isolation.as_str().into(),
        workspaces,
        left_behind,
        warnings: warnings(shared.ui.warnings()),
    };
    lay_down(output_dir, &report, &entries)
}

/// The warnings of a run, in an order that does not depend on which thread was first.
pub(super) fn warnings(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all.dedup();
    all
}

/// Writes a report, and the list of these entries.
pub(super) fn lay_down(output_dir: &Path, report: &Report, entries: &[DynamicPlugin]) -> Result<()> {
    file_beneath(output_dir, &output_dir.join(report::FILE_NAME), report.to_json().as_bytes())?;
    let built = || report.workspaces.iter().filter(|workspace| !workspace.earlier);
    let failed: Vec<String> = built().flat_map(failed_plugins).collect();
    if entries.is_empty() && !failed.is_empty() {
        // What an earlier build left there is of more use than an empty list.
        return Ok(());
    }
    let unpushed: Vec<String> = built().flat_map(unpushed_plugins).collect();
    let text = plugins_yaml::render(entries, &failed, &unpushed);
    file_beneath(output_dir, &output_dir.join(plugins_yaml::FILE_NAME), text.as_bytes())
}

/// Those of these archives that are of nothing in the lock, in whatever folder they lie.
pub(super) fn no_longer_locked(lock: &Lock, left_behind: &[String]) -> Vec<String> {
    let locked: BTreeSet<String> =
        lock.workspace.iter().flat_map(|workspace| &workspace.plugin).map(archive_of).collect();
    let is_locked = |archive: &str| locked.contains(archive.rsplit('/').next().unwrap_or_default());
    left_behind.iter().filter(|archive| !is_locked(archive)).cloned().collect()
}

/// Names the archives of what the lock no longer has, if there are any: they are for a person to remove.
pub fn left_behind_note(output_dir: &Path, old: &[String]) -> Option<String> {
    (!old.is_empty()).then(|| {
        format!(
            "{} still has what earlier builds made and the lock no longer has: {}; to be rid of it and of its images, \
             remove the folder and build again (said once; `left-behind` of {} has the list)",
            output_dir.display(),
            some_names(old.iter()),
            report::FILE_NAME
        )
    })
}

/// The report of a workspace of which only some plugins were built, and the earlier one of others.
fn with_earlier(mut report: WorkspaceReport, kept: WorkspaceReport, locked: &Workspace) -> WorkspaceReport {
    report.plugins.extend(kept.plugins.into_iter().map(|plugin| PluginReport { earlier: true, ..plugin }));
    report.plugins.sort_by_key(|plugin| locked.plugin.iter().position(|locked| locked.path == plugin.path));
    report
}

/// The entry of a plugin. `with_path` names its folder behind an image.
pub(super) fn entry(output: &Output, with_path: bool, config: Option<Value>) -> DynamicPlugin {
    DynamicPlugin {
        package: match &output.pushed {
            Some(pinned) => plugins_yaml::image_package(pinned, with_path.then_some(output.image_path.as_str())),
            None => format!("./{}", output.tgz),
        },
        integrity: output.pushed.is_none().then_some(output.integrity),
        plugin_config: config,
    }
}

/// The plugins of a workspace that could not be built: all of them when it failed as a whole.
fn failed_plugins(workspace: &WorkspaceReport) -> Vec<String> {
    if workspace.error.is_some() {
        return vec![format!("all of workspace `{}`", workspace.name)];
    }
    named(workspace, |plugin| plugin.error.is_some() && plugin.output.is_none())
}

/// The plugins of a workspace that were built, and whose images are in no registry.
fn unpushed_plugins(workspace: &WorkspaceReport) -> Vec<String> {
    let is_pushed = |output: &Output| output.pushed.is_some();
    named(workspace, |plugin| plugin.error.is_some() && plugin.output.as_ref().is_some_and(|made| !is_pushed(made)))
}

fn named(workspace: &WorkspaceReport, is_meant: impl Fn(&PluginReport) -> bool) -> Vec<String> {
    let plugins = workspace.plugins.iter().filter(|plugin| !plugin.earlier && is_meant(plugin));
    plugins.map(|plugin| format!("`{}` of workspace `{}`", plugin.path, workspace.name)).collect()
}
