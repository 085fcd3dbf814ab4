//! One workspace of the configuration → its block of the lock.

mod candidates;

use std::collections::BTreeMap;

use candidates::Candidates;

use super::build_args::{self, CliNeed};
use super::compute_args::{ArgsComputation, was_computed};
use super::effective::{self, EffectiveTree};
use super::host::HostLock;
use super::plugin_fault::PluginFault;
use super::rhdh::LazyHost;
use super::source_files::Files;
use super::survey::yarn_workspaces;
use super::{plugin_files, plugin_sources};
use crate::config::{self, plugins_list};
use crate::error::{Error, Place, Result};
use crate::lock::arguments::words;
use crate::lock::recipe::RECIPE;
use crate::lock::{Argument, Lock, PluginProblem, Sha256, Source, Workspace, Yarn, at};
use crate::resolve::package_manager::{self, YarnRequest};
use crate::tools::pin::Companion;
use crate::tools::provide::Provider;
use crate::ui::some_names;
use crate::yarn::lockfile::YarnLock;

/// What the files of a commit say about a workspace.
pub struct ReadWorkspace {
    /// The block, with a yarn whose integrity the registry still has to say.
    pub workspace: Workspace,
    /// What it asks for.
    pub yarn: YarnRequest,
    /// The list to be written beside source.json, when it was absent or its arguments are generated.
    pub list: Option<Companion>,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// Plugins that cannot be exported.
    pub faults: Vec<PluginFault>,
    /// What only some versions of rhdh-cli do, by plugin.
    pub cli_needs: Vec<(String, CliNeed)>,
}

/// Reads the workspaces of one run.
pub struct WorkspaceReader<'a> {
    /// For the registry.
    pub provider: &'a Provider<'a>,
    /// The runtime that the registry is asked in.
    pub runtime: &'a tokio::runtime::Handle,
    /// What arguments are computed against; none leaves listed ones unchecked.
    pub host: Option<&'a LazyHost<'a>>,
    /// The host of frontends: nothing is asked of it.
    pub no_host: HostLock,
    /// What stands for a host where none is looked up.
    pub any_host: HostLock,
    /// Compute the arguments of listed plugins too.
    pub generate: bool,
    /// The lock there is.
    pub old: Option<&'a Lock>,
}

impl WorkspaceReader<'_> {
    /// Reads a workspace, with its patches and overlays. `commit` is none for a local tree. What is large (its lockfile, its
    /// packages) is gone when this returns, so that the number of workspaces does not matter.
    pub fn read(&self, config: &config::WorkspaceConfig, commit: Option<&str>, files: Files) -> Result<ReadWorkspace> {
        // A mistyped path is not the fault of a patch.
        if files.manifests(&config.source.workspace_path)?.is_empty() && !config.inputs.is_empty() {
            let is_there = match &files {
                Files::Local(root) => root.join(&config.source.workspace_path).is_dir(),
                files => files.children(&config.source.workspace_path).is_ok_and(|children| !children.is_empty()),
            };
            if !is_there {
                return Err(no_manifest(config, commit, &files));
            }
        }
        let tree = EffectiveTree { provider: self.provider, runtime: self.runtime, config };
        let files = &tree.of(files)?;
        let read = SourceFiles::read(config, commit, files)?;
        let yarn = package_manager::requested_yarn(files, &config.source.workspace_path, &read.lockfile, &config.name)?;
        let (mut warnings, mut cli_needs) = (Vec::new(), Vec::new());
        let Candidates { plugins, mut faults, unlisted, .. } = Candidates::of(config, &read, commit, &mut warnings)?;
        let SourceFiles { mut manifests, lockfile } = read;
        let source = source(config, commit, files, &yarn)?;
        let mut workspace = Workspace {
            name: config.name.clone(),
            dir: config.dir.clone(),
            recipe: RECIPE,
            unlisted,
            tools: None,
            effective: effective::pinned(source.yarn_lock, &lockfile),
            source,
            sealed: None,
            input: config.inputs.clone(),
            plugin: plugins,
            problem: vec![],
        };
        let host = self.host_of(config, &workspace, &mut warnings)?;
        let lock = YarnLock::parse(&lockfile, &place(config, "yarn.lock").path)?;
        files.add_manifests(&config.source.workspace_path, &lock, &mut manifests)?;
        let computation = ArgsComputation {
            provider: self.provider,
            runtime: self.runtime,
            config,
            host: host.unwrap_or(&self.any_host),
            files,
            lock: &lock,
            manifests: &manifests,
            generate: self.generate,
            before: self.before(&config.name),
        };
        if host.is_some() {
            let mut findings = computation.run(&mut workspace)?;
            warnings.append(&mut findings.warnings);
            faults.append(&mut findings.faults);
            cli_needs = findings.cli_needs;
        } else {
            for plugin in &workspace.plugin {
                let mistakes = build_args::check_words(&words(&plugin.args));
                let shown = |one| config.at_listed(&plugin.path, &format!("{} {}: {one}", config.name, plugin.path));
                warnings.extend(mistakes.iter().map(shown));
            }
            faults.extend(self.remembered(config, &workspace));
            warnings.extend(computation.add_unpublished(&mut workspace));
        }
        plugin_files::set_scalprum(config, &mut workspace)?;
        plugin_sources::set(&mut workspace, files, &lock, &manifests, self.before(&config.name))?;
        workspace.problem = faults.iter().map(PluginFault::problem).collect();
        warnings.extend(plugin_files::unused(config, &workspace));
        let list = self.list(config, &workspace);
        Ok(ReadWorkspace { workspace, yarn, list, warnings, faults, cli_needs })
    }

    /// The host, found now if it is not yet; frontends need none. One that cannot be had fails a workspace whose arguments
    /// must be computed; for others it is none, with a warning.
    fn host_of(
        &self,
        config: &config::WorkspaceConfig,
        workspace: &Workspace,
        warnings: &mut Vec<String>,
    ) -> Result<Option<&HostLock>> {
        let Some(host) = self.host else { return Ok(None) };
        if !workspace.plugin.iter().any(|plugin| plugin.role.is_backend()) {
            return Ok(Some(&self.no_host));
        }
        match host.get() {
            Ok(host) => Ok(Some(&host.lock)),
            Err(error) if config.list.is_none() || self.generate => Err(error.again()),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => {
                warnings.push(format!("{}: listed arguments are not checked: {error}", config.name));
                Ok(None)
            }
        }
    }

    fn before(&self, name: &str) -> Option<&Workspace> {
        self.old?.workspace.iter().find(|before| before.name == name)
    }

    /// What was found when the arguments of the same source were computed, and is not looked for now.
    fn remembered(&self, config: &config::WorkspaceConfig, workspace: &Workspace) -> Vec<PluginFault> {
        let Some(before) = self.before(&workspace.name) else { return vec![] };
        let (then, now) = (&before.source, &workspace.source);
        if (&then.commit, then.yarn_lock, &before.input) != (&now.commit, now.yarn_lock, &workspace.input) {
            return vec![];
        }
        let still_holds = |problem: &&PluginProblem| {
            let plugin = workspace.plugin.iter().find(|plugin| plugin.path == problem.plugin);
            plugin.is_some_and(|plugin| was_computed(before, plugin))
        };
        let place = || place(config, "yarn.lock");
        before.problem.iter().filter(still_holds).map(|problem| PluginFault::remembered(problem, place())).collect()
    }

    /// The plugins-list.yaml to be written: where there is none, or where its arguments are generated.
    fn list(&self, config: &config::WorkspaceConfig, workspace: &Workspace) -> Option<Companion> {
        let mut args = arguments(workspace);
        let text = match &config.list {
            None => {
                // What cannot be exported is listed too: whoever takes it out has seen it.
                for problem in &workspace.problem {
                    args.entry(problem.plugin.clone()).or_default();
                }
                plugins_list::generate(args.iter().map(|(path, args)| (path.as_str(), args.as_slice())))
            }
            Some(list) if self.generate => list.with_args(&args),
            Some(_) => return None,
        };
        Some((config.list_path.clone(), text.into_bytes()))
    }
}

/// What is read of a source before anything else.
struct SourceFiles {
    /// The `package.json` files by folder from the workspace.
    manifests: BTreeMap<String, Vec<u8>>,
    lockfile: Vec<u8>,
}

impl SourceFiles {
    /// Both a `package.json` and a `yarn.lock` must be there.
    fn read(config: &config::WorkspaceConfig, commit: Option<&str>, files: &Files) -> Result<Self> {
        let path = &config.source.workspace_path;
        let place = |file: &str| place(config, file);
        let manifests: BTreeMap<String, Vec<u8>> = files.manifests(path)?.into_iter().collect();
        let root = manifests.get(".").ok_or_else(|| no_manifest(config, commit, files))?;
        check_json(root, &place("package.json"))?;
        let lockfile = files.read(&at(path, "yarn.lock"))?;
        for (other, manager) in [("pnpm-lock.yaml", "pnpm"), ("package-lock.json", "npm")] {
            if lockfile.is_none() && files.read(&at(path, other))?.is_some() {
                return Err(Error::config(
                    place(other),
                    format!("the workspace is one of {manager}: there is no yarn.lock beside it"),
                    "factory builds workspaces of yarn 1 to 4; add a yarn.lock with an overlay or a patch",
                ));
            }
        }
        let lockfile = lockfile.ok_or_else(|| {
            Error::config(
                place("yarn.lock"),
                format!("is not in {}: nothing pins what is installed", source_label(config, commit)),
                "commit one, or set `workspace-path` to the folder of the yarn workspace in the repository",
            )
        })?;
        Ok(Self { manifests, lockfile })
    }
}

fn no_manifest(config: &config::WorkspaceConfig, commit: Option<&str>, files: &Files) -> Error {
    let known = yarn_workspaces(files);
    let known = if known.is_empty() { String::new() } else { format!(", which has: {}", some_names(known.iter())) };
    Error::config(
        place(config, "package.json"),
        format!("is not in {}", source_label(config, commit)),
        format!("set `workspace-path` to the folder of the yarn workspace in the repository{known}"),
    )
}

/// The source's block of the lock.
fn source(config: &config::WorkspaceConfig, commit: Option<&str>, files: &Files, yarn: &YarnRequest) -> Result<Source> {
    let path = &config.source.workspace_path;
    // Where a patch or overlay adds it, the commit has none: no bytes.
    let lockfile = files.pinned().read(&at(path, "yarn.lock"))?.unwrap_or_default();
    let backstage = match &config.source.backstage_version {
        Some(version) => Some(version.clone()),
        None => files.read_text(&at(path, "backstage.json"))?.as_deref().and_then(backstage_version),
    };
    Ok(Source {
        repo: config.source.repo.as_ref().map(config::Repo::public).unwrap_or_default(),
        requested: config.source.requested.clone(),
        commit: commit.map(str::to_owned),
        local: commit.is_none(),
        epoch: files.epoch(),
        path: path.clone(),
        backstage,
        yarn: Yarn { from: yarn.from, version: yarn.version.clone(), integrity: None, path: yarn.path.clone() },
        yarn_lock: Sha256::of(lockfile),
    })
}

/// A file of a workspace in its repository, in messages.
fn place(config: &config::WorkspaceConfig, file: &str) -> Place {
    Place::file(format!("{}: {}", config.name, at(&config.source.workspace_path, file)))
}

/// Where a file was looked for, in messages.
fn source_label(config: &config::WorkspaceConfig, commit: Option<&str>) -> String {
    match (commit, &config.source.local) {
        (Some(commit), _) => format!("commit {}", &commit[..commit.len().min(12)]),
        (None, Some(local)) => format!("`{}`", local.display()),
        (None, None) => "the source".to_owned(),
    }
}

fn check_json(bytes: &[u8], place: &Place) -> Result<()> {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map(drop).map_err(|e| {
        let place = Place::at(&place.path, e.line(), e.column());
        Error::config(place, format!("is not valid JSON: {e}"), "fix it in the repository, or with a patch")
    })
}

fn backstage_version(bytes: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    value["version"].as_str().map(str::to_owned)
}

/// The arguments of each plugin by its folder.
fn arguments(workspace: &Workspace) -> BTreeMap<String, Vec<Argument>> {
    workspace.plugin.iter().map(|plugin| (plugin.path.clone(), plugin.args.clone())).collect()
}
