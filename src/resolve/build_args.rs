//! The arguments `rhdh-cli plugin export` needs for a backend plugin, computed from the lock graph alone, each with
//! its reason; and what is known to go wrong, before anything is built.
//!
//! Pure: no I/O. `walk` goes from the plugin through what is embedded (`siblings` come by themselves), `closure` on
//! through what is private (`natives`), `checks` finds what the export would fail on, `cli_needs`
//! what depends on the version of rhdh-cli; [`listed`](check_listed) holds
//! arguments that a user wrote against the result, [`merged`](merge) makes one of both. What only the registry knows is named in
//! [`ComputedArgs::manifest_requests`]; the caller fetches those manifests and asks again with them in
//! [`RegistryManifests`].

mod args;
mod checks;
mod cli_needs;
mod closure;
mod diagnostic;
mod listed;
mod merged;
mod natives;
mod siblings;
mod walk;

use super::host::HostLock;
use crate::error::{Error, Place, Result};
use crate::lock::Role;
use crate::yarn::graph::DependencyGraph;

pub use args::{
    Arg, ArgReason, CliNeed, ComputedArgs, Fate, Flag, ManifestPurpose, ManifestRequest, RegistryManifests,
};
pub use checks::check_linker;
pub use diagnostic::{Diagnostic, DiagnosticKind, ListedProblem, NativeProblem, Severity};
pub use listed::{check_listed, check_words};
pub use merged::{LISTED, MergedArgs, merge};
pub use natives::NativeMarker;

/// Computes the arguments of the plugin in the folder `plugin` (`.` for the root).
///
/// A frontend plugin needs none. An [`Error::Config`] says that the plugin or something it depends on is not in the
/// lock.
pub fn compute(
    graph: &DependencyGraph<'_>,
    plugin: &str,
    host: &HostLock,
    answers: &RegistryManifests,
) -> Result<ComputedArgs> {
    let plugin = plugin.trim_start_matches("./").trim_end_matches('/');
    let plugin = if plugin.is_empty() { "." } else { plugin };
    let Some(node) = graph.workspace(plugin) else {
        return Err(Error::config(
            Place::file(&graph.lock_path),
            format!("the plugin folder `{plugin}` is not a workspace of this lock"),
            "check the path in plugins-list.yaml, and that the root `package.json` lists the folder in `workspaces`",
        ));
    };
    let role = graph.nodes[node].workspace.and_then(|(_, manifest)| manifest.backstage.role.as_deref());
    if !role.and_then(|role| role.parse::<Role>().ok()).is_some_and(Role::is_backend) {
        return Ok(ComputedArgs::default());
    }
    let walk = walk::ExportWalk::new(graph, host, answers, node).run()?;
    Ok(walk.finish())
}

#[cfg(test)]
mod tests;
