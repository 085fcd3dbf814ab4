//! A configuration directory as a release: the pins it knows, for branches that have no lock.
//!
//! RHDH's export repository pins commits, Backstage versions, arguments and plugins in its own files, and its tools in
//! `versions.json`; what only a lock knows (packages, closures, outputs) is not there.

use std::collections::BTreeMap;
use std::path::Path;

use super::change::{ExplainedArgument, Pin};
use super::companions::Companions;
use super::diff::Form;
use super::metadata::MetadataFiles;
use super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use crate::config::{self, Config, ConfigOptions, Env};
use crate::error::Result;
use crate::lock::{ArgsFrom, Argument, is_commit};
use crate::resolve::configured_pins::{self, ConfiguredTools};

/// Reads a configuration directory. The machine's own environment is left out, so that all see the same.
pub fn read(name: &str, dir: &Path) -> Result<Release> {
    let options = ConfigOptions { env: Env::new([]), ..ConfigOptions::new(dir) };
    let config = Config::read(&options)?;
    let asked: Vec<ConfiguredTools> =
        config.workspaces.iter().map(|workspace| configured_pins::tools(&config, workspace)).collect();
    // What most workspaces ask for is the release's; the others have tools of their own.
    let mut counts: BTreeMap<Vec<(&str, Pin)>, usize> = BTreeMap::new();
    for one in &asked {
        *counts.entry(tools(one)).or_default() += 1;
    }
    let common = counts.into_iter().max_by_key(|(_, count)| *count).map(|(tools, _)| tools).unwrap_or_default();
    let versions = config.versions.as_ref();
    let mut release_tools = common;
    if let Some(package) = versions.and_then(|versions| versions.cli_package.clone()) {
        release_tools.push(("cli package", Pin { requested: None, version: package }));
    }
    let here = format!("{}/", dir.display());
    let broken = |broken: &config::Broken| (broken.name.clone(), broken.error.to_string().replace(&here, ""));
    Ok(Release {
        name: name.to_owned(),
        form: Form::Configuration,
        lock: None,
        companions: Companions::None,
        rhdh: None,
        backstage: versions.and_then(|versions| versions.backstage.clone()),
        tools: release_tools,
        workspaces: config.workspaces.iter().zip(&asked).map(|(one, asked)| workspace(one, asked)).collect(),
        broken: config.broken.iter().map(broken).collect(),
        metadata: MetadataFiles::beside(dir)?,
    })
}

fn tools(asked: &ConfiguredTools) -> Vec<(&'static str, Pin)> {
    let pin = |version: &Option<String>| version.clone().map(|version| Pin { requested: None, version });
    [("node", pin(&asked.node)), ("npm", pin(&asked.npm)), ("rhdh-cli", pin(&asked.cli))]
        .into_iter()
        .filter_map(|(tool, pin)| pin.map(|pin| (tool, pin)))
        .collect()
}

fn workspace(read: &config::WorkspaceConfig, asked: &ConfiguredTools) -> ReleaseWorkspace {
    let source = &read.source;
    let mut plugins: Vec<ReleasePlugin> =
        read.list.iter().flat_map(|list| &list.entries).map(|entry| plugin(&entry.path, &entry.args)).collect();
    plugins.sort_by(|a, b| a.path.cmp(&b.path));
    ReleaseWorkspace {
        name: read.name.clone(),
        repo: source.repo.as_ref().map(config::Repo::public).unwrap_or_default(),
        dir: read.dir.clone(),
        requested: source.requested.clone(),
        commit: Some(source.requested.clone()).filter(|requested| is_commit(requested)),
        epoch: None,
        folder: None,
        path: source.workspace_path.clone(),
        backstage: source.backstage_version.clone(),
        tools: tools(asked),
        yarn_lock: None,
        effective_yarn_lock: None,
        problems: Vec::new(),
        unlisted: Vec::new(),
        inputs: read.inputs.clone(),
        plugins,
    }
}

fn plugin(path: &str, args: &[Argument]) -> ReleasePlugin {
    let argument = |argument: &Argument| ExplainedArgument { argument: argument.clone(), why: None, because: None };
    ReleasePlugin {
        path: path.to_owned(),
        package: None,
        version: None,
        role: None,
        arguments: args.iter().map(argument).collect(),
        origin: ArgsFrom::PluginsList,
        sealed: None,
    }
}
