//! A workspace's computed arguments: the lock graph is asked, the registry where only it knows, and the lock gets the
//! answers with their reasons.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::build_args::{
    self, Arg, ArgReason, CliNeed, ComputedArgs, Diagnostic, DiagnosticKind, Flag, LISTED, ManifestPurpose, MergedArgs,
    NativeProblem, RegistryManifests, Severity, check_linker, check_listed, compute, merge,
};
use super::host::HostLock;
use super::plugin_fault::PluginFault;
use super::source_files::Files;
use crate::config::WorkspaceConfig;
use crate::error::{Place, Result};
use crate::lock::arguments::words;
use crate::lock::{ArgsFrom, ArgsOrigin, Argument, Integrity, Plugin, Workspace, at};
use crate::tools::provide::Provider;
use crate::yarn::graph::{DependencyGraph, Manifests, PackageJson};
use crate::yarn::lockfile::YarnLock;
use crate::yarn::platform::Platform;

/// What there is to say about a workspace's arguments.
#[derive(Default)]
pub struct ArgsFindings {
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// Plugins that cannot be exported.
    pub faults: Vec<PluginFault>,
    /// What only some versions of rhdh-cli do, by plugin.
    pub cli_needs: Vec<(String, CliNeed)>,
}

/// The inputs of a computation.
pub struct ArgsComputation<'a> {
    /// For the registry.
    pub provider: &'a Provider<'a>,
    /// The runtime that the registry is asked in.
    pub runtime: &'a tokio::runtime::Handle,
    /// The workspace's configuration.
    pub config: &'a WorkspaceConfig,
    /// What RHDH provides.
    pub host: &'a HostLock,
    /// The workspace's files.
    pub files: &'a Files,
    /// Its `yarn.lock`.
    pub lock: &'a YarnLock<'a>,
    /// Its `package.json` files by folder.
    pub manifests: &'a BTreeMap<String, Vec<u8>>,
    /// Replace the arguments of listed plugins too (`--generate-build-args`).
    pub generate: bool,
    /// The workspace as it was locked.
    pub before: Option<&'a Workspace>,
}

impl ArgsComputation<'_> {
    /// Sets the arguments of `workspace`, or checks those that are listed.
    pub fn run(&self, workspace: &mut Workspace) -> Result<ArgsFindings> {
        let folder = &workspace.source.path;
        let manifests = Manifests::parse(self.lock, self.manifests)?;
        let graph = DependencyGraph::new(self.lock, &manifests, &Platform::default());
        let mut out = ArgsFindings::default();
        if let Some(diagnostic) = self.linker(folder)? {
            out.warnings.push(format!("{}: {diagnostic}", workspace.name));
        }
        let mut answers = RegistryManifests::new();
        let name = workspace.name.clone();
        let is_locked = |path: &str| graph.workspace(path).is_some();
        let outside = workspace.plugin.extract_if(.., |plugin| !is_locked(&plugin.path));
        out.faults.extend(outside.map(|plugin| not_a_workspace(&plugin.path, folder, Place::file(&self.lock.path))));
        for plugin in &mut workspace.plugin {
            let computed = self.compute(&graph, &plugin.path, &mut answers)?;
            out.cli_needs.extend(computed.cli_needs.iter().map(|need| (plugin.path.clone(), need.clone())));
            let merged = merge(&plugin.args, &computed, |argument| self.was_made(&plugin.path, argument));
            if plugin.args_from.word() == ArgsFrom::PluginsList
                && !self.generate
                && !self.is_our_entry(plugin, &computed, &merged)
            {
                let shown = |diagnostic: &Diagnostic| format!("{name} {}: {diagnostic}", plugin.path);
                let problems = check_listed(&words(&plugin.args), &computed);
                out.warnings.extend(problems.iter().map(|one| self.config.at_listed(&plugin.path, &shown(one))));
                out.warnings.extend(add_unpublished(&name, plugin, &computed));
                continue;
            }
            self.report(&name, &plugin.path, &merged.diagnostics, &mut out);
            (plugin.args, plugin.args_from) = (merged.args, merged.origin);
            plugin.why = if plugin.args_from.is_computed() { merged.why } else { vec![] };
        }
        Ok(out)
    }

    /// What was found about a plugin whose arguments are computed.
    fn report(&self, workspace: &str, plugin: &str, diagnostics: &[Diagnostic], out: &mut ArgsFindings) {
        for diagnostic in diagnostics {
            let hint = diagnostic.kind.hint();
            let shown = format!("{workspace} {plugin}: {diagnostic}");
            match (diagnostic.severity, &diagnostic.kind, hint) {
                (Severity::Error, _, hint) => out.faults.push(PluginFault {
                    plugin: plugin.to_owned(),
                    place: Place::file(&self.lock.path),
                    what: format!("plugin `{plugin}` cannot be exported: {diagnostic}"),
                    hint: hint.unwrap_or_default(),
                }),
                (_, DiagnosticKind::Native(NativeProblem::Mandatory { .. }), Some(hint)) => {
                    out.warnings.push(format!("{shown}: a stub that throws takes its place. To choose, {hint}"));
                }
                (_, DiagnosticKind::WorkspaceFromRegistry { .. } | DiagnosticKind::Listed(_), Some(hint)) => {
                    out.warnings.push(format!("{shown}; {hint}"));
                }
                _ => out.warnings.push(shown),
            }
        }
    }

    /// Adds to listed plugins what they embed of the workspace that no registry has, where no host is looked up: builds
    /// would look for it in the registry. What cannot be read of the lockfile is left to the build.
    pub fn add_unpublished(&self, workspace: &mut Workspace) -> Vec<String> {
        let Ok(manifests) = Manifests::parse(self.lock, self.manifests) else { return vec![] };
        let graph = DependencyGraph::new(self.lock, &manifests, &Platform::default());
        let (name, mut answers, mut warnings) = (workspace.name.clone(), RegistryManifests::new(), Vec::new());
        for plugin in workspace.plugin.iter_mut().filter(|plugin| graph.workspace(&plugin.path).is_some()) {
            if let Ok(computed) = self.compute(&graph, &plugin.path, &mut answers) {
                warnings.extend(add_unpublished(&name, plugin, &computed));
            }
        }
        warnings
    }

    /// True if the lock there is has an argument of a plugin as computed.
    fn was_made(&self, plugin: &str, argument: &Argument) -> bool {
        let known = self.before.and_then(|before| before.plugin.iter().find(|known| known.path == plugin));
        known.is_some_and(|known| {
            let at = known.args.iter().position(|other| other == argument);
            at.is_some_and(|at| known.args_from.at(at) == ArgsFrom::Computed)
        })
    }

    /// True for an entry of the list with the very arguments that are computed, such as one that was written from them:
    /// it is reported on like what is not listed. So is one that has a user's own besides, once that was locked.
    fn is_our_entry(&self, plugin: &Plugin, computed: &ComputedArgs, merged: &MergedArgs) -> bool {
        let args: Vec<Argument> = computed.args.iter().map(Arg::argument).collect();
        let was_computed = || self.before.is_some_and(|before| was_computed(before, plugin));
        (args == plugin.args && (!args.is_empty() || was_computed())) || (merged.args == plugin.args && was_computed())
    }

    /// Computes; where only the registry knows, asks it and computes again, until nothing new is asked.
    fn compute(
        &self,
        graph: &DependencyGraph<'_>,
        plugin: &str,
        answers: &mut RegistryManifests,
    ) -> Result<ComputedArgs> {
        let mut asked = std::collections::BTreeSet::new();
        loop {
            let computed = compute(graph, plugin, self.host, answers)?;
            let new: Vec<&build_args::ManifestRequest> = computed
                .manifest_requests
                .iter()
                .filter(|request| !self.host.has_backstage || request.purpose == ManifestPurpose::Published)
                .filter(|request| asked.insert((request.name.clone(), request.version.clone())))
                .collect();
            if new.is_empty() {
                return Ok(computed);
            }
            let mut learned = false;
            for request in new {
                let (name, version) = (&request.name, &request.version);
                if request.purpose == ManifestPurpose::Published {
                    if let Some(is_published) = self.is_published(name, version) {
                        answers.insert_published(name, version, is_published);
                        learned = true;
                    }
                } else if let Some(manifest) = self.manifest(request) {
                    answers.insert(name, version, manifest);
                    learned = true;
                }
                // What was not asked any more is not what the registry does not know.
                self.provider.interrupt.check()?;
            }
            if !learned {
                return Ok(computed);
            }
        }
    }

    /// Whether the registry has a version; none when it cannot be asked.
    fn is_published(&self, name: &str, version: &str) -> Option<bool> {
        self.runtime.block_on(self.provider.registry?.has_version(name, version)).ok()
    }

    /// What the registry says of a package; none when it cannot be asked, which the diagnostics then say.
    fn manifest(&self, request: &build_args::ManifestRequest) -> Option<PackageJson> {
        let registry = self.provider.registry?;
        let what = PathBuf::from(format!("{}@{}/package.json", request.name, request.version));
        let document = self.runtime.block_on(registry.manifest(&request.name, &request.version)).ok()?;
        let manifest = PackageJson::parse(&document, &what).ok()?;
        if request.purpose == ManifestPurpose::Embedded || !(manifest.gypfile || manifest.binary) {
            return Some(manifest);
        }
        // The registry adds `gypfile` to its own documents: the tarball decides.
        let locked: Option<Integrity> = request.integrity.as_deref().and_then(|text| text.parse().ok());
        let integrity = match locked {
            Some(integrity) => integrity,
            None => published_integrity(&document)?,
        };
        let _runtime = self.runtime.enter();
        let entry = self.provider.package(&request.name, &request.version, &integrity).ok()?;
        let bytes = std::fs::read(entry.path().join("package.json")).ok()?;
        PackageJson::parse(&bytes, &what).ok()
    }

    fn linker(&self, folder: &str) -> Result<Option<Diagnostic>> {
        let mut files = Vec::new();
        for folder in crate::resolve::package_manager::ancestors(folder) {
            let path = at(&folder, ".yarnrc.yml");
            if let Some(bytes) = self.files.read_text(&path)? {
                files.push((PathBuf::from(path), bytes));
            }
        }
        let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice())).collect();
        check_linker(self.lock.kind, &files)
    }
}

/// The fault of a plugin that is no workspace of the `yarn.lock` beside which it lies in the folder `workspace`.
pub fn not_a_workspace(plugin: &str, workspace: &str, place: Place) -> PluginFault {
    PluginFault {
        plugin: plugin.to_owned(),
        place,
        what: format!("plugin `{plugin}` cannot be exported: its folder is not a workspace of this yarn.lock"),
        hint: format!(
            "remove it from plugins-list.yaml; if it has a yarn.lock of its own, build it as a workspace with \
             `workspace-path` `{}`",
            at(workspace, plugin)
        ),
    }
}

/// True if a lock has a plugin with these very arguments, computed.
pub fn was_computed(before: &Workspace, plugin: &Plugin) -> bool {
    let known = before.plugin.iter().find(|known| known.path == plugin.path && known.args == plugin.args);
    known.is_some_and(|known| known.args_from.is_computed())
}

fn published_integrity(document: &[u8]) -> Option<Integrity> {
    let document: serde_json::Value = serde_json::from_slice(document).ok()?;
    document["dist"]["integrity"].as_str()?.parse().ok()
}

/// Adds the packages of the workspace that a listed plugin embeds since no registry has them; returns what to say.
fn add_unpublished(workspace: &str, plugin: &mut Plugin, computed: &ComputedArgs) -> Vec<String> {
    let mut warnings = Vec::new();
    let (mut each, mut why) =
        (vec![ArgsFrom::PluginsList; plugin.args.len()], vec![LISTED.to_owned(); plugin.args.len()]);
    let listed = plugin.args.clone();
    let is_listed = |arg: &Arg| {
        listed.iter().any(|one| {
            let is_same = one.flag == Flag::Embed.as_str() || one.flag == Flag::Share.as_str();
            is_same && one.values.contains(&arg.value)
        })
    };
    let unpublished = |arg: &&Arg| matches!(arg.reason, ArgReason::NotPublished { .. }) && !is_listed(arg);
    for arg in computed.args.iter().filter(unpublished) {
        warnings.push(format!("{workspace} {}: `{arg}` is added: {}", plugin.path, arg.reason));
        plugin.args.push(arg.argument());
        each.push(ArgsFrom::Added);
        why.push(arg.reason.to_string());
    }
    if !warnings.is_empty() {
        (plugin.args_from, plugin.why) = (ArgsOrigin::of(each, ArgsFrom::PluginsList), why);
    }
    warnings
}
