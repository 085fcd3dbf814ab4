//! The files of the configuration that are for one plugin, and what becomes of them once the plugins are known.

use std::collections::BTreeSet;

use crate::config::inputs::{APP_CONFIG, OVERLAYS, SCALPRUM};
use crate::config::{WorkspaceConfig, text};
use crate::error::Result;
use crate::lock::{Plugin, Workspace, at};

/// Sets which file of an overlay is a frontend's Scalprum configuration: where none lies beside the overlay, and no
/// argument names another.
pub fn set_scalprum(config: &WorkspaceConfig, workspace: &mut Workspace) -> Result<()> {
    for plugin in &mut workspace.plugin {
        plugin.scalprum = scalprum_of(config, plugin);
        if let Some(path) = &plugin.scalprum {
            let file = config.config_dir.join(path);
            let hint = "write a JSON object with `name` and `exposedModules`";
            text::json::<serde_json::Map<_, _>>(&file, &text::read(&file)?.unwrap_or_default(), hint)?;
        }
    }
    Ok(())
}

fn scalprum_of(config: &WorkspaceConfig, plugin: &Plugin) -> Option<String> {
    let is_given = plugin.args.iter().any(|arg| arg.flag == "--scalprum-config");
    let find = |path: &str| config.inputs.iter().find(|input| input.path == path).map(|input| input.path.clone());
    if plugin.role.is_backend() || is_given || find(&at(&plugin.path, SCALPRUM)).is_some() {
        return None;
    }
    OVERLAYS.iter().find_map(|folder| find(&at(&plugin.path, &format!("{folder}/{SCALPRUM}"))))
}

/// Files that are not used: of folders that are no plugins, where the plugins were discovered, and Scalprum
/// configurations of backends.
pub fn unused(config: &WorkspaceConfig, workspace: &Workspace) -> Vec<String> {
    let plugin = |folder: &str| workspace.plugin.iter().find(|plugin| plugin.path == folder);
    let is_problem = |folder: &str| workspace.problem.iter().any(|problem| problem.plugin == folder);
    let mut warnings = Vec::new();
    let folders: BTreeSet<&str> = config.inputs.iter().filter_map(|input| folder_of(&input.path)).collect();
    for folder in folders {
        let place = config.config_dir.join(folder);
        if config.list.is_none() && plugin(folder).is_none() && !is_problem(folder) {
            let what = format!("`{folder}` is no plugin of the workspace, so its files are not used");
            warnings.push(format!("{}: {}: {what}", config.name, place.display()));
        }
        let scalprum = at(folder, SCALPRUM);
        let is_backend = plugin(folder).is_some_and(|plugin| plugin.role.is_backend());
        if is_backend && config.inputs.iter().any(|input| input.path == scalprum) {
            let file = config.config_dir.join(&scalprum);
            warnings.push(format!("{}: {}: is not used: `{folder}` is a backend plugin", config.name, file.display()));
        }
    }
    warnings
}

/// The folder of the plugin that an input is for; none for patches and `backstage.json`.
fn folder_of(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    let overlay = parts[..parts.len() - 1].iter().position(|part| OVERLAYS.contains(part));
    let is_plugins = overlay.is_some() || parts.last().is_some_and(|name| [SCALPRUM, APP_CONFIG].contains(name));
    if !is_plugins {
        return None;
    }
    let count = overlay.unwrap_or(parts.len() - 1);
    let length = parts[..count].iter().map(|part| part.len() + 1).sum::<usize>();
    Some(if length == 0 { "." } else { &path[..length - 1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_for_the_plugin_whose_folder_it_lies_in() {
        for (path, folder) in [
            ("plugins/a/overlay/src/x.ts", Some("plugins/a")),
            ("plugins/a/overlay/overlay/x.ts", Some("plugins/a")),
            ("overlays/x.ts", Some(".")),
            ("scalprum-config.json", Some(".")),
            ("plugins/a/app-config.dynamic.yaml", Some("plugins/a")),
            ("patches/1.patch", None),
            ("backstage.json", None),
        ] {
            assert_eq!(folder_of(path), folder, "{path}");
        }
    }
}
