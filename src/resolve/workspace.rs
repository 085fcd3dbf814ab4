//! One workspace of the configuration → its block of the lock.

use std::collections::BTreeMap;

use super::build_args::{self, CliNeed};
use super::compute_args::{ArgsComputation, not_a_workspace, was_computed};
use super::discover::{self, DiscoveredPlugin};
use super::effective::{self, EffectiveTree};
use super::host::HostLock;
use super::plugin_fault::PluginFault;
use super::rhdh::LazyHost;
use super::source_files::{Files, at};
use super::{plugin_files, plugin_sources};
use crate::config::{self, plugins_list};
use crate::error::nearest::nearest;
use crate::error::{Error, Place, Result};
use crate::lock::arguments::words;
use crate::lock::recipe::RECIPE;
use crate::lock::{ArgsFrom, Argument, Lock, Plugin, PluginProblem, Sha256, Source, Workspace, Yarn, is_package_name};
use crate::resolve::package_manager::{self, YarnRequest};
use crate::tools::pin::Companion;
use crate::tools::provide::Provider;

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
    /// Compute the arguments of listed plugins too.
    pub generate: bool,
    /// The lock there is.
    pub old: Option<&'a Lock>,
}

impl WorkspaceReader<'_> {
    /// Reads a workspace, with its patches and overlays. `commit` is none for a local tree. What is large (its lockfile, its
    /// packages) is gone when this returns, so that the number of workspaces does not matter.
    pub fn read(&self, config: &config::WorkspaceConfig, commit: Option<&str>, files: Files) -> Result<ReadWorkspace> {
        let tree = EffectiveTree { provider: self.provider, runtime: self.runtime, config };
        let files = &tree.of(files)?;
        let SourceFiles { mut manifests, lockfile } = SourceFiles::read(config, commit, files)?;
        let yarn = package_manager::requested_yarn(files, &config.source.workspace_path, &lockfile, &config.name)?;
        let (mut warnings, mut cli_needs) = (Vec::new(), Vec::new());
        let Candidates { mut plugins, mut faults } = candidates(config, &manifests, commit, &mut warnings)?;
        faults.extend(outside(&mut plugins, &lockfile, config));
        faults.extend(unlockable(&mut plugins, config));
        let source = source(config, commit, files, &yarn)?;
        let mut workspace = Workspace {
            name: config.name.clone(),
            dir: config.dir.clone(),
            recipe: RECIPE,
            tools: None,
            effective: effective::pinned(source.yarn_lock, &lockfile),
            source,
            sealed: None,
            input: config.inputs.clone(),
            plugin: plugins,
            problem: vec![],
        };
        if let Some(host) = self.host_of(config, &workspace, &mut warnings)? {
            let mut computation = ArgsComputation {
                provider: self.provider,
                runtime: self.runtime,
                host,
                files,
                lockfile: &lockfile,
                manifests: &mut manifests,
                generate: self.generate,
                before: self.before(&config.name),
            };
            let mut findings = computation.run(&mut workspace)?;
            warnings.append(&mut findings.warnings);
            faults.append(&mut findings.faults);
            cli_needs = findings.cli_needs;
        } else {
            for plugin in &workspace.plugin {
                let mistakes = build_args::check_words(&words(&plugin.args));
                warnings.extend(mistakes.iter().map(|one| format!("{} {}: {one}", config.name, plugin.path)));
            }
            faults.extend(self.remembered(&workspace));
        }
        plugin_files::set_scalprum(config, &mut workspace)?;
        plugin_sources::set(&mut workspace, files, &lockfile, &manifests, self.before(&config.name))?;
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
    fn remembered(&self, workspace: &Workspace) -> Vec<PluginFault> {
        let Some(before) = self.before(&workspace.name) else { return vec![] };
        let (then, now) = (&before.source, &workspace.source);
        if (&then.commit, then.yarn_lock, &before.input) != (&now.commit, now.yarn_lock, &workspace.input) {
            return vec![];
        }
        let still_holds = |problem: &&PluginProblem| {
            let plugin = workspace.plugin.iter().find(|plugin| plugin.path == problem.plugin);
            plugin.is_some_and(|plugin| was_computed(before, plugin))
        };
        let place = || Place::file(format!("{}: {}", workspace.name, at(&workspace.source.path, "yarn.lock")));
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
        let place = |file: &str| Place::file(format!("{}: {}", config.name, at(path, file)));
        let manifests: BTreeMap<String, Vec<u8>> = files.manifests(path)?.into_iter().collect();
        let root = manifests.get(".").ok_or_else(|| {
            Error::config(
                place("package.json"),
                format!("is not in {}", source_label(config, commit)),
                "set `workspace-path` to the folder of the yarn workspace in the repository",
            )
        })?;
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

/// The plugins to build, before anything is computed.
#[derive(Default)]
struct Candidates {
    plugins: Vec<Plugin>,
    faults: Vec<PluginFault>,
}

/// The plugins of the list; without one, those that are discovered.
fn candidates(
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
            Place::file(format!("{}: {}", config.name, at(&config.source.workspace_path, "package.json"))),
            "no package of the workspace has a `backstage.role` that can be exported",
            "check `workspace-path`, or list the plugins in plugins-list.yaml",
        ));
    }
    let plugins = found.plugins.iter().map(|found| plugin(found, ArgsFrom::Computed, vec![])).collect();
    Ok(Candidates { plugins, faults: vec![] })
}

/// Takes out the plugins that are no workspaces of a `yarn.lock`: wrappers with a lockfile of their own, say. Berry's
/// lockfiles name all workspaces, those of yarn 1 none.
fn outside(plugins: &mut Vec<Plugin>, lockfile: &[u8], config: &config::WorkspaceConfig) -> Vec<PluginFault> {
    let text = str::from_utf8(lockfile).unwrap_or_default();
    if !text.contains("@workspace:") {
        return vec![];
    }
    let folder = &config.source.workspace_path;
    let place = || Place::file(format!("{}: {}", config.name, at(folder, "yarn.lock")));
    plugins
        .extract_if(.., |plugin| !text.contains(&format!("@workspace:{}\"", plugin.path)))
        .map(|plugin| not_a_workspace(&plugin.path, folder, place()))
        .collect()
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
        let file = at(&config.source.workspace_path, &at(&plugin.path, "package.json"));
        let hint = "set it with a patch (`patches/*.patch` in the configuration), or with an overlay".to_owned();
        let (place, what) = (Place::file(format!("{}: {file}", config.name)), wrong(&plugin).unwrap_or_default());
        PluginFault { plugin: plugin.path, place, what, hint }
    };
    plugins.extract_if(.., |plugin| wrong(plugin).is_some()).map(fault).collect()
}

/// Where a file was looked for, in messages.
fn source_label(config: &config::WorkspaceConfig, commit: Option<&str>) -> String {
    match (commit, &config.source.local) {
        (Some(commit), _) => format!("commit {}", &commit[..commit.len().min(12)]),
        (None, Some(local)) => format!("`{}`", local.display()),
        (None, None) => "the source".to_owned(),
    }
}

fn plugin(found: &DiscoveredPlugin, args_from: ArgsFrom, args: Vec<Argument>) -> Plugin {
    let DiscoveredPlugin { path, name, version, role } = found.clone();
    Plugin {
        path,
        name,
        version,
        role,
        args_from,
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
    let mut out = Candidates::default();
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
