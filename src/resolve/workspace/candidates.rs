//! The plugins of a workspace that are to be built: those of the list; without one, those that are discovered.

use std::collections::BTreeMap;

use super::{SourceFiles, place, source_label};
use crate::config;
use crate::error::nearest::nearest;
use crate::error::{Error, Place, Result};
use crate::lock::{ArgsFrom, ArgsOrigin, Argument, Plugin, at, is_package_name};
use crate::resolve::compute_args::not_a_workspace;
use crate::resolve::discover::{self, DiscoveredPlugin};
use crate::resolve::plugin_fault::PluginFault;
use crate::ui;
use crate::yarn::graph::manifests::{PackageJson, takes_in};

/// The plugins to build, before anything is computed.
#[derive(Default)]
pub(super) struct Candidates {
    pub(super) plugins: Vec<Plugin>,
    /// What is listed and cannot be exported, or locked.
    pub(super) faults: Vec<PluginFault>,
    /// Plugins that a list leaves out without naming them, sorted.
    pub(super) unlisted: Vec<String>,
    /// All plugins that a list does not have as entries, sorted.
    others: Vec<String>,
}

impl Candidates {
    /// Those of a workspace with these files.
    pub(super) fn of(
        config: &config::WorkspaceConfig,
        files: &SourceFiles,
        commit: Option<&str>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let mut all = wanted(config, &files.manifests, commit, warnings)?;
        all.faults.extend(outside(&mut all.plugins, &files.lockfile, config));
        all.faults.extend(unlockable(&mut all.plugins, config));
        let is_workspace = is_workspace_of(&files.lockfile);
        warnings.extend(not_locked(config, files, all.others.iter().filter(|path| !is_workspace(path))));
        all.unlisted.retain(|path| is_workspace(path));
        if !all.unlisted.is_empty() {
            let (names, list) = (ui::some(all.unlisted.iter()), config.list_path.display());
            let them = if all.unlisted.len() == 1 { "it" } else { "them" };
            let what = format!("not listed: {names}; add {them} to {list}, or name {them} in a comment there");
            warnings.push(format!("{}: {what}", config.name));
        }
        Ok(all)
    }
}

/// The plugins of the list; without one, those that are discovered.
fn wanted(
    config: &config::WorkspaceConfig,
    manifests: &BTreeMap<String, Vec<u8>>,
    commit: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Candidates> {
    let packages = manifests.iter().map(|(folder, bytes)| (folder.as_str(), bytes.as_slice()));
    let found = discover::discover(packages);
    if let Some(list) = &config.list {
        return Ok(listed(config, list, &found.plugins, manifests, commit));
    }
    warnings.extend(found.warnings.iter().map(|warning| format!("{}: {warning}", config.name)));
    if found.plugins.is_empty() {
        return Err(Error::config(
            place(config, "package.json"),
            "no package of the workspace has a `backstage.role` that can be exported",
            "check `workspace-path`, or list the plugins in plugins-list.yaml",
        ));
    }
    let plugins = found.plugins.iter().map(|found| plugin(found, ArgsFrom::Computed, vec![])).collect();
    Ok(Candidates { plugins, ..Candidates::default() })
}

/// Whether a folder is a workspace of a `yarn.lock`. Berry's lockfiles name all workspaces, those of yarn 1 none.
fn is_workspace_of(lockfile: &[u8]) -> impl Fn(&str) -> bool {
    let text = str::from_utf8(lockfile).unwrap_or_default();
    let names_workspaces = text.contains("@workspace:");
    move |path| !names_workspaces || text.contains(&format!("@workspace:{path}\""))
}

/// A warning of plugins that are workspaces for the root's package.json and not for yarn.lock, which an install would change.
fn not_locked<'a>(
    config: &config::WorkspaceConfig,
    files: &SourceFiles,
    outside: impl Iterator<Item = &'a String>,
) -> Option<String> {
    let file = place(config, "package.json");
    let root = PackageJson::parse(files.manifests.get(".")?, &file.path).ok()?;
    let missing: Vec<&String> = outside.filter(|path| takes_in(&root, path)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{}: not in yarn.lock, though `workspaces` of package.json takes it in: {}; a build fails in `yarn install`: \
             run that in the repository and commit its yarn.lock",
            config.name,
            ui::some(missing.into_iter())
        )
    })
}

/// Takes out the plugins that are no workspaces of a `yarn.lock`: wrappers with a lockfile of their own, say.
fn outside(plugins: &mut Vec<Plugin>, lockfile: &[u8], config: &config::WorkspaceConfig) -> Vec<PluginFault> {
    let is_workspace = is_workspace_of(lockfile);
    let folder = &config.source.workspace_path;
    plugins
        .extract_if(.., |plugin| !is_workspace(&plugin.path))
        .map(|plugin| not_a_workspace(&plugin.path, folder, place(config, "yarn.lock")))
        .collect()
}

/// Takes out the plugins whose name or version cannot stand in a lock: tags of images are made of them.
fn unlockable(plugins: &mut Vec<Plugin>, config: &config::WorkspaceConfig) -> Vec<PluginFault> {
    let wrong = |plugin: &Plugin| {
        let Plugin { path, name, version, .. } = plugin;
        if !is_package_name(name) {
            return Some(format!(
                "`name` of `{path}` is `{}`, which is not the name of a package",
                name.escape_debug()
            ));
        }
        let is_version = semver::Version::parse(version).is_ok();
        let version = version.escape_debug();
        (!is_version).then(|| format!("`version` of `{path}` is `{version}`, which is not a version like `1.2.3`"))
    };
    let fault = |plugin: Plugin| {
        let place = place(config, &at(&plugin.path, "package.json"));
        let hint = "set it with a patch (`patches/*.patch` in the configuration), or with an overlay".to_owned();
        let what = wrong(&plugin).unwrap_or_default();
        PluginFault { plugin: plugin.path, place, what, hint }
    };
    plugins.extract_if(.., |plugin| wrong(plugin).is_some()).map(fault).collect()
}

fn plugin(found: &DiscoveredPlugin, args_from: ArgsFrom, args: Vec<Argument>) -> Plugin {
    let DiscoveredPlugin { path, name, version, role } = found.clone();
    Plugin {
        path,
        name,
        version,
        role,
        args_from: ArgsOrigin::All(args_from),
        args,
        why: vec![],
        scalprum: None,
        sources: vec![],
        reads: vec![],
        stamp: None,
        sealed: None,
    }
}

/// The plugins of the list; those that are no packages that can be exported are faults.
fn listed(
    config: &config::WorkspaceConfig,
    list: &config::PluginsList,
    found: &[DiscoveredPlugin],
    manifests: &BTreeMap<String, Vec<u8>>,
    commit: Option<&str>,
) -> Candidates {
    let unlisted = found.iter().filter(|found| !list.names(&found.path)).map(|found| found.path.clone());
    let others = found.iter().filter(|found| list.get(&found.path).is_none()).map(|found| found.path.clone());
    let mut out = Candidates { unlisted: unlisted.collect(), others: others.collect(), ..Candidates::default() };
    for entry in &list.entries {
        if let Some(found) = found.iter().find(|found| found.path == entry.path) {
            out.plugins.push(plugin(found, ArgsFrom::PluginsList, entry.args.clone()));
            continue;
        }
        let (what, hint) = match manifests.get(&entry.path) {
            None => not_there(&entry.path, found, &source_label(config, commit)),
            Some(bytes) => without_role(&entry.path, bytes),
        };
        let place = Place::line(&config.list_path, entry.line);
        out.faults.push(PluginFault { plugin: entry.path.clone(), place, what, hint });
    }
    out
}

/// What is wrong with a listed folder that has no package, and the next step.
fn not_there(path: &str, found: &[DiscoveredPlugin], source: &str) -> (String, String) {
    let near = nearest(path, found.iter().map(|found| found.path.as_str()));
    let hint = if near.is_empty() {
        "the workspace has no package that can be exported".to_owned()
    } else {
        format!("the workspace has `{}`", near.join("`, `"))
    };
    (format!("plugin `{path}` is not in the workspace at {source}"), hint)
}

/// What is wrong with a listed package that is no plugin, and the next step.
fn without_role(path: &str, manifest: &[u8]) -> (String, String) {
    if let Err(e) = serde_json::from_slice::<serde::de::IgnoredAny>(manifest) {
        let what = format!("`{}` is not JSON: {e}", at(path, "package.json"));
        return (what, "mend it in the repository, or with a patch".to_owned());
    }
    let what = format!(
        "`{path}` cannot be exported: its package.json needs `name`, `version` and a `backstage.role` of \
         frontend-plugin, backend-plugin, frontend-plugin-module or backend-plugin-module"
    );
    (what, "remove it from the list, or add what is missing with an overlay".to_owned())
}
