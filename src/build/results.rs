//! What a build leaves in its output directory beside archives and images: `build-report.json` and
//! `dynamic-plugins.yaml`. What earlier builds left of other workspaces stays in both.

use super::artefact::Artefact;
use super::context::Shared;
use super::earlier::Earlier;
use super::plugins_yaml::{self, DynamicPlugin};
use super::report::{self, Report};
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::lock::Lock;
use crate::sandbox::root::Isolation;
use crate::store::{discard_unfinished, file_beneath};

/// Writes both. `lock` is sealed.
pub fn write(shared: &Shared, lock: &Lock, built: &[BuiltWorkspace]) -> Result<()> {
    let output_dir = &shared.options.output_dir;
    discard_unfinished(output_dir);
    let mut earlier = Earlier::find(shared, lock, |name| built.iter().any(|built| built.name == name));
    let (mut workspaces, mut entries) = (Vec::new(), Vec::new());
    for locked in &lock.workspace {
        if let Some(built) = built.iter().find(|built| built.name == locked.name) {
            workspaces.push(built.report.clone());
            entries.extend(built.made().map(|artefact| entry(shared, artefact)));
        } else if let Some((report, kept)) = earlier.take(&locked.name) {
            workspaces.push(report);
            entries.extend(kept);
        }
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
    named(workspace, |place| workspace.plugins[place].is_err() && !workspace.unpushed.contains_key(&place))
}

/// The plugins of a workspace that were built, and whose images are in no registry.
fn unpushed_plugins(workspace: &BuiltWorkspace) -> Vec<String> {
    named(workspace, |place| workspace.unpushed.get(&place).is_some_and(|made| made.output.pushed.is_none()))
}

fn named(workspace: &BuiltWorkspace, is_meant: impl Fn(usize) -> bool) -> Vec<String> {
    let plugins = workspace.report.plugins.iter().enumerate().filter(|(place, _)| is_meant(*place));
    plugins.map(|(_, plugin)| format!("`{}` of workspace `{}`", plugin.path, workspace.name)).collect()
}
