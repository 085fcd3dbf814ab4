//! Why a plugin has to be built.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::display::short_ref;
use crate::lock::{Lock, Plugin, Sha256, Tools, Workspace, input_digest, lies_in, recipe};

/// Why a plugin has to be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "reason")]
pub enum PlanReason {
    /// The other lock does not have it.
    New,
    /// It is of a local tree, which is never sealed.
    Local,
    /// Its source is at another commit, or in another repository or folder.
    CommitMoved {
        /// What the other lock has.
        from: String,
        /// What the lock has.
        to: String,
    },
    /// A tool has another version.
    ToolMoved {
        /// `node`, `npm`, `rhdh-cli` or `yarn`.
        tool: String,
        /// What the other lock has.
        from: String,
        /// What the lock has.
        to: String,
    },
    /// A file of the configuration was added, removed or changed.
    FileChanged {
        /// From the workspace's configuration.
        path: String,
        /// What happened to it.
        change: PlannedFileChange,
    },
    /// The arguments of its export changed.
    ArgumentsChanged,
    /// What its export reads besides its own sources is another, or is known by now.
    SourcesChanged,
    /// Another version of factory makes its bytes in another way.
    RecipeChanged,
    /// Something else that its bytes depend on changed.
    InputsChanged,
    /// It was not built before: the lock has no seal of it.
    NotSealed,
    /// It was built before, and the cache does not have it.
    NotCached,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedFileChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other bytes.
    Changed,
}

/// A plugin in its lock.
type Placed<'a> = (&'a Lock, &'a Workspace, &'a Plugin);

/// Why a plugin has to be built that is not in the cache. `since` is the lock it is compared with, if there is one, `old`
/// its workspace there.
pub(super) fn of(since: Option<(&str, &Lock)>, old: Option<&Workspace>, new: Placed<'_>) -> Vec<PlanReason> {
    let (_, workspace, plugin) = new;
    if workspace.source.local {
        return vec![PlanReason::Local];
    }
    let unchanged = if plugin.sealed.is_some() { PlanReason::NotCached } else { PlanReason::NotSealed };
    let Some((_, since)) = since else { return vec![unchanged] };
    let there = old.and_then(|old| Some((old, old.plugin.iter().find(|one| one.path == plugin.path)?)));
    let Some((old, was)) = there else { return vec![PlanReason::New] };
    let changes = changes((since, old, was), new);
    if changes.is_empty() { vec![unchanged] } else { changes }
}

/// What changed of the inputs; empty when nothing did.
fn changes(old: Placed<'_>, new: Placed<'_>) -> Vec<PlanReason> {
    let digest = |(lock, workspace, plugin): Placed<'_>| input_digest::digest(lock, workspace, plugin, None);
    if digest(old) == digest(new) {
        return Vec::new();
    }
    let ((_, was, had), (_, is, has)) = (old, new);
    let mut found = Vec::new();
    let is_first = is.recipe == recipe::FIRST;
    // Of later recipes the content counts, whatever commit it is of.
    let other_sources = is_first || was.recipe != is.recipe || had.sources != has.sources;
    if other_sources
        && let (from, to) = (pin(was), pin(is))
        && from != to
    {
        found.push(PlanReason::CommitMoved { from, to });
    }
    for ((tool, from), (_, to)) in tools(old).into_iter().zip(tools(new)) {
        if from != to {
            found.push(PlanReason::ToolMoved { tool: tool.to_owned(), from, to });
        }
    }
    found.extend(files(was, is, |path| {
        let is_scalprum = path.ends_with(input_digest::SCALPRUM);
        (other_sources || is_scalprum) && (is_first || path.starts_with("patches/") || lies_in(path, &has.path))
    }));
    if had.args != has.args {
        found.push(PlanReason::ArgumentsChanged);
    }
    if was.recipe != is.recipe {
        found.push(PlanReason::RecipeChanged);
    }
    if found.is_empty() {
        found.push(if other_sources { PlanReason::SourcesChanged } else { PlanReason::InputsChanged });
    }
    found
}

/// Where a workspace's source is.
fn pin(workspace: &Workspace) -> String {
    workspace.source.commit.clone().unwrap_or_default()
}

/// The versions of what builds a workspace.
fn tools((lock, workspace, _): Placed<'_>) -> [(&'static str, String); 4] {
    let Tools { node, npm, rhdh_cli } = lock.tools_of(workspace);
    [
        ("node", node.version.clone()),
        ("npm", npm.version.clone()),
        ("rhdh-cli", rhdh_cli.version.clone()),
        ("yarn", workspace.source.yarn.version.clone()),
    ]
}

/// The files of the configuration that changed, of those that count.
fn files(old: &Workspace, new: &Workspace, counts: impl Fn(&str) -> bool) -> Vec<PlanReason> {
    let of = |workspace: &Workspace| -> BTreeMap<String, (Sha256, bool)> {
        let counted = workspace.input.iter().filter(|input| counts(&input.path));
        counted.map(|input| (input.path.clone(), (input.sha256, input.executable))).collect()
    };
    let (old, new) = (of(old), of(new));
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let change = |path: &String| match (old.get(path), new.get(path)) {
        (None, _) => Some(PlannedFileChange::Added),
        (_, None) => Some(PlannedFileChange::Removed),
        (old, new) => (old != new).then_some(PlannedFileChange::Changed),
    };
    paths
        .into_iter()
        .filter_map(|path| Some(PlanReason::FileChanged { path: path.clone(), change: change(path)? }))
        .collect()
}

impl fmt::Display for PlanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Local => f.write_str("local tree"),
            Self::CommitMoved { from, to } => write!(f, "commit moved {} → {}", short_ref(from), short_ref(to)),
            Self::ToolMoved { tool, from, to } => write!(f, "{tool} {from} → {to}"),
            Self::FileChanged { path, change } => write!(
                f,
                "{path} {}",
                match change {
                    PlannedFileChange::Added => "added",
                    PlannedFileChange::Removed => "removed",
                    PlannedFileChange::Changed => "changed",
                }
            ),
            Self::ArgumentsChanged => f.write_str("arguments changed"),
            Self::SourcesChanged => f.write_str("other files are read"),
            Self::RecipeChanged => f.write_str("made in another way by this factory"),
            Self::InputsChanged => f.write_str("inputs changed"),
            Self::NotSealed => f.write_str("not built before"),
            Self::NotCached => f.write_str("not in the cache"),
        }
    }
}
