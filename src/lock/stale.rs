//! Why a lock no longer says what the configuration says: typed reasons that name a file or field. No network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::Sha256;
use super::arguments::Argument;
use super::model::{Input, Lock, Tools, Workspace};
use crate::ui::some_names;

/// What the configuration asks for, in the lock's own terms.
#[derive(Clone, Debug, Default)]
pub struct Requested {
    /// The workspaces, those that cannot be read left out.
    pub workspaces: Vec<RequestedWorkspace>,
}

/// What the configuration asks for one workspace.
#[derive(Clone, Debug, Serialize)]
pub struct RequestedWorkspace {
    pub name: String,
    /// Where its configuration lies.
    pub dir: String,
    /// The repository, without userinfo.
    pub repo: String,
    /// Branch, tag or commit; empty for the default branch.
    pub requested: String,
    /// The workspace's folder in the repository.
    pub path: String,
    /// Whether a local tree is built.
    pub local: bool,
    /// Every file the build uses.
    pub inputs: Vec<Input>,
    /// The listed plugins with their arguments; none when they are discovered.
    pub listed: Option<BTreeMap<String, Vec<Argument>>>,
    /// The versions asked for, of node, npm and rhdh-cli; none where any will do.
    pub node: Option<String>,
    pub npm: Option<String>,
    pub cli: Option<String>,
    /// The RHDH release to compute arguments against; none where any will do.
    pub rhdh: Option<String>,
    /// RHDH's yarn.lock, where the configuration has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_lockfile: Option<RequestedFile>,
}

/// A file that is asked for by its content.
#[derive(Clone, Debug, Serialize)]
pub struct RequestedFile {
    /// As the configuration names it.
    pub name: String,
    pub sha256: Sha256,
}

impl RequestedWorkspace {
    /// Digest of all of it: equal when the same is asked for again.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// One reason why a lock is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The configuration has a workspace that the lock has not.
    Added { workspace: String },
    /// The configuration changed a workspace that could not be resolved.
    Unresolved { workspace: String },
    /// The lock has a workspace that the configuration has not.
    Removed { workspace: String },
    /// The lock has a workspace under another name than the configuration.
    Renamed { workspace: String, to: String },
    /// The lock has a workspace that the configuration has not, and that several new ones of it could be.
    Unclear { workspace: String, to: Vec<String> },
    /// A field asks for something else.
    Field {
        workspace: String,
        /// What it is called where the user wrote it.
        field: &'static str,
        locked: String,
        wanted: String,
    },
    /// The arguments were computed against another host than the file that the configuration names.
    Host { workspace: String, file: String },
    /// A file changed.
    Changed { workspace: String, file: String },
    /// A file is new.
    NewFile { workspace: String, file: String },
    /// A file is gone.
    Gone { workspace: String, file: String },
    /// `plugins-list.yaml` lists a plugin that is not locked.
    NewPlugin { workspace: String, plugin: String },
    /// `plugins-list.yaml` no longer lists a plugin.
    PluginGone { workspace: String, plugin: String },
    /// `plugins-list.yaml` gives a plugin other arguments.
    Arguments { workspace: String, plugin: String },
}

impl StaleReason {
    /// The workspace it is about.
    pub fn workspace(&self) -> &str {
        match self {
            Self::Added { workspace }
            | Self::Unresolved { workspace }
            | Self::Removed { workspace }
            | Self::Renamed { workspace, .. }
            | Self::Unclear { workspace, .. }
            | Self::Field { workspace, .. }
            | Self::Host { workspace, .. }
            | Self::Changed { workspace, .. }
            | Self::NewFile { workspace, .. }
            | Self::Gone { workspace, .. }
            | Self::NewPlugin { workspace, .. }
            | Self::PluginGone { workspace, .. }
            | Self::Arguments { workspace, .. } => workspace,
        }
    }
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workspace `{}`: ", self.workspace())?;
        match self {
            Self::Added { .. } => write!(f, "is new since `factory resolve`"),
            Self::Unresolved { .. } => write!(f, "could not be resolved, and was changed since `factory resolve`"),
            Self::Removed { .. } => write!(f, "is no longer in the configuration"),
            Self::Renamed { to, .. } => {
                write!(f, "is now called `{to}`, and what is locked of it is under its old name")
            }
            Self::Unclear { to, .. } => {
                write!(f, "is no longer in the configuration, and {} could be it", some_names(to.iter()))
            }
            Self::Field { field, locked, wanted, .. } => {
                let shown = |text: &str| match (text, *field) {
                    ("", "repo-ref") => "the default branch".to_owned(),
                    ("", _) => "nothing".to_owned(),
                    _ => format!("`{text}`"),
                };
                write!(f, "{field} is now {}, the lock was made for {}", shown(wanted), shown(locked))
            }
            Self::Host { file, .. } => {
                write!(f, "{file} is not the host lockfile that its arguments were computed against")
            }
            Self::Changed { file, .. } => write!(f, "{file} changed since `factory resolve`"),
            Self::NewFile { file, .. } => write!(f, "{file} is new since `factory resolve`"),
            Self::Gone { file, .. } => write!(f, "{file} was removed since `factory resolve`"),
            Self::NewPlugin { plugin, .. } => write!(f, "plugins-list.yaml lists `{plugin}` since `factory resolve`"),
            Self::PluginGone { plugin, .. } => write!(f, "plugins-list.yaml no longer lists `{plugin}`"),
            Self::Arguments { plugin, .. } => {
                write!(f, "plugins-list.yaml gives `{plugin}` other arguments since `factory resolve`")
            }
        }
    }
}

/// All reasons, in the order of the workspaces' names. `all` is false when only some workspaces were read: then the
/// lock's others are not missed.
pub fn reasons(lock: &Lock, wanted: &Requested, all: bool) -> Vec<StaleReason> {
    let mut out = Vec::new();
    for workspace in &wanted.workspaces {
        match lock.workspace.iter().find(|locked| locked.name == workspace.name) {
            Some(locked) => compare(lock, locked, workspace, &mut out),
            None => match lock.unresolved.iter().find(|one| one.name == workspace.name) {
                None => out.push(StaleReason::Added { workspace: workspace.name.clone() }),
                // That it cannot be resolved is known.
                Some(one) if one.requested == workspace.digest() => {}
                Some(_) => out.push(StaleReason::Unresolved { workspace: workspace.name.clone() }),
            },
        }
    }
    if all {
        let removed = lock.workspace.iter().filter(|l| !wanted.workspaces.iter().any(|w| w.name == l.name));
        out.extend(removed.map(|locked| StaleReason::Removed { workspace: locked.name.clone() }));
    }
    out.sort_by(|a, b| a.workspace().cmp(b.workspace()));
    out
}

fn compare(lock: &Lock, locked: &Workspace, wanted: &RequestedWorkspace, out: &mut Vec<StaleReason>) {
    let workspace = || wanted.name.clone();
    let mut field = |field, locked: &str, wanted: &str| {
        if locked != wanted {
            out.push(StaleReason::Field {
                workspace: workspace(),
                field,
                locked: locked.to_owned(),
                wanted: wanted.to_owned(),
            });
        }
    };
    let source = &locked.source;
    field("its folder", &locked.dir, &wanted.dir);
    field("its repository", &source.repo, &wanted.repo);
    field("repo-ref", &source.requested, &wanted.requested);
    field("workspace-path", &source.path, &wanted.path);
    field("use-local", if source.local { "true" } else { "" }, if wanted.local { "true" } else { "" });
    let Tools { node, npm, rhdh_cli } = locked.tools.as_ref().unwrap_or(&lock.tools);
    for (name, locked, wanted) in [
        ("NODE_VERSION", &node.requested, &wanted.node),
        ("NPM_VERSION", &npm.requested, &wanted.npm),
        ("RHDH_CLI_VERSION", &rhdh_cli.requested, &wanted.cli),
    ] {
        if let Some(wanted) = wanted {
            field(name, locked, wanted);
        }
    }
    if let Some(wanted) = &wanted.rhdh {
        let rhdh = lock.rhdh.as_ref();
        let asked = rhdh.map(|host| host.asked_version().unwrap_or(&host.requested)).unwrap_or_default();
        if locked.is_computed() && asked != wanted {
            field("RHDH_VERSION", asked, wanted);
        } else if let Some(host) = rhdh_cli.host.filter(|_| !rhdh_cli.is_for(wanted, rhdh)) {
            field("RHDH_VERSION", &host.to_string(), wanted);
        }
    }
    compare_files(lock, locked, wanted, out);
    let Some(listed) = &wanted.listed else { return };
    for (path, args) in listed {
        let plugin = || path.clone();
        match locked.plugin.iter().find(|known| known.path == *path) {
            // That it cannot be exported is known.
            None if locked.problem.iter().any(|problem| problem.plugin == *path) => {}
            None => out.push(StaleReason::NewPlugin { workspace: workspace(), plugin: plugin() }),
            Some(known) if known.listed_args() != *args => {
                out.push(StaleReason::Arguments { workspace: workspace(), plugin: plugin() });
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<&String> = locked
        .plugin
        .iter()
        .map(|plugin| &plugin.path)
        .chain(locked.problem.iter().map(|problem| &problem.plugin))
        .collect();
    for plugin in known.into_iter().filter(|path| !listed.contains_key(*path)) {
        out.push(StaleReason::PluginGone { workspace: workspace(), plugin: plugin.clone() });
    }
}

/// The files that a workspace is made of, and the host that its arguments were computed against.
fn compare_files(lock: &Lock, locked: &Workspace, wanted: &RequestedWorkspace, out: &mut Vec<StaleReason>) {
    let workspace = || wanted.name.clone();
    let is_host = |file: &RequestedFile| lock.rhdh.as_ref().is_some_and(|host| host.lockfile == file.sha256);
    if let Some(file) = wanted.host_lockfile.as_ref().filter(|file| locked.is_computed() && !is_host(file)) {
        out.push(StaleReason::Host { workspace: workspace(), file: file.name.clone() });
    }
    for input in &wanted.inputs {
        let file = || input.path.clone();
        match locked.input.iter().find(|known| known.path == input.path) {
            None => out.push(StaleReason::NewFile { workspace: workspace(), file: file() }),
            Some(known) if known != input => out.push(StaleReason::Changed { workspace: workspace(), file: file() }),
            Some(_) => {}
        }
    }
    for input in locked.input.iter().filter(|known| !wanted.inputs.iter().any(|input| input.path == known.path)) {
        out.push(StaleReason::Gone { workspace: workspace(), file: input.path.clone() });
    }
}

#[cfg(test)]
mod tests;
