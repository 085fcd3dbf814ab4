//! A workspace's computed arguments: the lock graph is asked, the registry where only it knows, and the lock gets the
//! answers with their reasons.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::build_args::{
    self, Arg, CliNeed, ComputedArgs, Diagnostic, DiagnosticKind, ManifestPurpose, NativeProblem, RegistryManifests,
    Severity, check_linker, check_listed, compute,
};
use super::host::HostLock;
use super::plugin_fault::PluginFault;
use super::source_files::Files;
use crate::error::{Place, Result};
use crate::lock::arguments::words;
use crate::lock::{ArgsFrom, Argument, Integrity, Plugin, Workspace, at};
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
            let shown = |diagnostic: &Diagnostic| format!("{name} {}: {diagnostic}", plugin.path);
            if plugin.args_from == ArgsFrom::PluginsList && !self.generate && !self.is_our_entry(plugin, &computed) {
                out.warnings.extend(check_listed(&words(&plugin.args), &computed).iter().map(shown));
                continue;
            }
            for diagnostic in &computed.diagnostics {
                match diagnostic.severity {
                    Severity::Warning => out.warnings.push(match (&diagnostic.kind, diagnostic.kind.hint()) {
                        (DiagnosticKind::Native(NativeProblem::Mandatory { .. }), Some(hint)) => {
                            format!("{}: a stub that throws takes its place. To choose, {hint}", shown(diagnostic))
                        }
                        _ => shown(diagnostic),
                    }),
                    Severity::Error => out.faults.push(PluginFault {
                        plugin: plugin.path.clone(),
                        place: Place::file(&self.lock.path),
                        what: format!("plugin `{}` cannot be exported: {diagnostic}", plugin.path),
                        hint: diagnostic.kind.hint().unwrap_or_default(),
                    }),
                }
            }
            set(plugin, &computed);
        }
        Ok(out)
    }

    /// True for an entry of the list with the very arguments that are computed, such as one that was written from them:
    /// it is reported on like what is not listed.
    fn is_our_entry(&self, plugin: &Plugin, computed: &ComputedArgs) -> bool {
        let args: Vec<Argument> = computed.args.iter().map(Arg::argument).collect();
        args == plugin.args && (!args.is_empty() || self.before.is_some_and(|before| was_computed(before, plugin)))
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
                .filter(|request| asked.insert((request.name.clone(), request.version.clone())))
                .collect();
            if new.is_empty() {
                return Ok(computed);
            }
            let mut learned = false;
            for request in new {
                if let Some(manifest) = self.manifest(request) {
                    answers.insert((request.name.clone(), request.version.clone()), manifest);
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
        let entry = self.runtime.block_on(self.provider.package(&request.name, &request.version, &integrity)).ok()?;
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
    known.is_some_and(|known| known.args_from == ArgsFrom::Computed)
}

fn published_integrity(document: &[u8]) -> Option<Integrity> {
    let document: serde_json::Value = serde_json::from_slice(document).ok()?;
    document["dist"]["integrity"].as_str()?.parse().ok()
}

fn set(plugin: &mut Plugin, computed: &ComputedArgs) {
    plugin.args = computed.args.iter().map(Arg::argument).collect();
    plugin.why = computed.args.iter().map(|arg| arg.reason.to_string()).collect();
    plugin.args_from = ArgsFrom::Computed;
}
