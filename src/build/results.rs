//! What a build leaves in its output directory beside archives and images: `build-report.json` and
//! `dynamic-plugins.yaml`. What earlier builds left of other workspaces stays in both.

use std::collections::BTreeMap;

use super::artefact::Artefact;
use super::context::Shared;
use super::earlier::Earlier;
use super::plugins_yaml::{self, DynamicPlugin};
use super::report::{self, PluginReport, Report, WorkspaceReport};
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::lock::{Lock, Workspace};
use crate::sandbox::root::Isolation;
use crate::store::{discard_unfinished, file_beneath};

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
    let (mut workspaces, mut entries) = (Vec::new(), Vec::new());
    for locked in &lock.workspace {
        let built = of_this_build(&locked.name);
        let kept = earlier.take(&locked.name);
        let made: BTreeMap<usize, &Artefact> = built.into_iter().flat_map(BuiltWorkspace::made).collect();
        for (place, plugin) in locked.plugin.iter().enumerate() {
            if let Some(artefact) = made.get(&place) {
                entries.push(entry(shared, artefact));
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
    let report = Report {
        version: report::VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: lock.identity(),
        isolation: match shared.options.isolation {
            Isolation::Namespaces => "namespaces",
            Isolation::UserNamespaces => "user-namespaces",
            Isolation::None => "none",
        }
        .into(),
        workspaces,
        warnings: shared.ui.warnings(),
    };
    file_beneath(output_dir, &output_dir.join(report::FILE_NAME), report.to_json().as_bytes())?;
    let failed: Vec<String> = built.iter().flat_map(failed_plugins).collect();
    if entries.is_empty() && !failed.is_empty() {
        // What an earlier build left there is of more use than an empty list.
        return Ok(());
    }
    let unpushed: Vec<String> = built.iter().flat_map(unpushed_plugins).collect();
    let text = plugins_yaml::render(&entries, &failed, &unpushed);
    file_beneath(output_dir, &output_dir.join(plugins_yaml::FILE_NAME), text.as_bytes())
}

/// The report of a workspace of which only some plugins were built, and the earlier one of others.
fn with_earlier(mut report: WorkspaceReport, kept: WorkspaceReport, locked: &Workspace) -> WorkspaceReport {
    report.plugins.extend(kept.plugins.into_iter().map(|plugin| PluginReport { earlier: true, ..plugin }));
    report.plugins.sort_by_key(|plugin| locked.plugin.iter().position(|locked| locked.path == plugin.path));
    report
}

fn entry(shared: &Shared, artefact: &Artefact) -> DynamicPlugin {
    DynamicPlugin {
        package: match &artefact.output.pushed {
            Some(pinned) => {
                let path = shared.options.paths_in_references.then_some(artefact.output.image_path.as_str());
                plugins_yaml::image_package(pinned, path)
            }
            None => format!("./{}", artefact.output.tgz),
        },
        integrity: artefact.output.pushed.is_none().then_some(artefact.output.integrity),
        plugin_config: artefact.config.clone(),
    }
}

/// The plugins of a workspace that could not be built: all of them when it failed as a whole.
fn failed_plugins(workspace: &BuiltWorkspace) -> Vec<String> {
    if workspace.error.is_some() {
        return vec![format!("all of workspace `{}`", workspace.name)];
    }
    named(workspace, |place| {
        workspace.plugins.get(&place).is_some_and(Result::is_err) && !workspace.unpushed.contains_key(&place)
    })
}

/// The plugins of a workspace that were built, and whose images are in no registry.
fn unpushed_plugins(workspace: &BuiltWorkspace) -> Vec<String> {
    named(workspace, |place| workspace.unpushed.get(&place).is_some_and(|made| made.output.pushed.is_none()))
}

fn named(workspace: &BuiltWorkspace, is_meant: impl Fn(usize) -> bool) -> Vec<String> {
    let plugins = workspace.plugins.keys().zip(&workspace.report.plugins).filter(|(place, _)| is_meant(**place));
    plugins.map(|(_, plugin)| format!("`{}` of workspace `{}`", plugin.path, workspace.name)).collect()
}
