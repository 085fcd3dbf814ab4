//! What a build leaves in its output directory beside archives and images: `build-report.json` and
//! `dynamic-plugins.yaml`.

use super::context::Shared;
use super::plugins_yaml;
use super::report::{self, Report};
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::sandbox::root::Isolation;
use crate::store::file_beneath;

/// Writes both.
pub fn write(shared: &Shared, built: &[BuiltWorkspace]) -> Result<()> {
    let output_dir = &shared.options.output_dir;
    let report = Report {
        version: report::VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: shared.lock.identity(),
        isolation: match shared.options.isolation {
            Isolation::Namespaces => "namespaces",
            Isolation::UserNamespaces => "user-namespaces",
            Isolation::None => "none",
        }
        .into(),
        workspaces: built.iter().map(|workspace| workspace.report.clone()).collect(),
        warnings: shared.ui.warnings(),
    };
    file_beneath(output_dir, &output_dir.join(report::FILE_NAME), report.to_json().as_bytes())?;
    let artefacts = built.iter().flat_map(|workspace| workspace.plugins.iter().flatten());
    let entries: Vec<_> = artefacts
        .map(|artefact| plugins_yaml::DynamicPlugin {
            package: match &artefact.output.pushed {
                Some(pinned) => {
                    let path = shared.options.paths_in_references.then_some(artefact.output.image_path.as_str());
                    plugins_yaml::image_package(pinned, path)
                }
                None => format!("./{}", artefact.output.tgz),
            },
            integrity: artefact.output.pushed.is_none().then_some(artefact.output.integrity),
            plugin_config: artefact.config.clone(),
        })
        .collect();
    let failed: Vec<String> = built.iter().flat_map(failed_plugins).collect();
    if entries.is_empty() && !failed.is_empty() {
        // What an earlier build left there is of more use than an empty list.
        return Ok(());
    }
    file_beneath(
        output_dir,
        &output_dir.join(plugins_yaml::FILE_NAME),
        plugins_yaml::render(&entries, &failed).as_bytes(),
    )
}

/// The plugins of a workspace that could not be built, or pushed: all of them when it failed as a whole.
fn failed_plugins(workspace: &BuiltWorkspace) -> Vec<String> {
    if workspace.error.is_some() {
        return vec![format!("all of workspace `{}`", workspace.name)];
    }
    let bad = workspace.report.plugins.iter().filter(|plugin| plugin.error.is_some());
    bad.map(|plugin| format!("`{}` of workspace `{}`", plugin.path, workspace.name)).collect()
}
