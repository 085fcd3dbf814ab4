//! What a run of `factory resolve` is asked to do.

use std::collections::BTreeSet;
use std::path::Path;

use super::configured_pins;
use super::rhdh::HostRequest;
use crate::config::{Config, WorkspaceConfig};
use crate::lock::Lock;
use crate::lock::stale::{self, StaleReason};
use crate::store::git::Network;

/// What is resolved anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateMode {
    /// Everything that floats.
    #[default]
    All,
    /// Nothing that is locked: only what is new or changed in the configuration is resolved.
    Missing,
}

/// What to resolve.
pub struct ResolveRequest<'a> {
    /// The configuration, of which `names` may choose a part.
    pub config: &'a Config,
    /// Only these workspaces; all when empty.
    pub names: &'a [String],
    /// What is resolved anew.
    pub mode: UpdateMode,
    /// What is asked of every workspace.
    pub demands: Demands,
    /// The lock of the last run, if any.
    pub old: Option<&'a Lock>,
    /// What a merge left undecided.
    pub unmerged: Unmerged<'a>,
    /// The lock's folder.
    pub lock_dir: &'a Path,
    /// Steps at once.
    pub jobs: usize,
    /// How repositories are reached.
    pub network: Network,
    /// Lock what can be exported of a workspace, and why the rest cannot.
    pub keep_going: bool,
}

/// What a merge of two locks left undecided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmerged<'a> {
    /// Workspaces that both sides changed: they are resolved anew whatever may move.
    pub names: &'a [String],
    /// The merge with what the other branch has of them: its seals hold where its inputs are those that are resolved.
    pub theirs: Option<&'a Lock>,
}

/// What is asked of every workspace, also of one that is locked and not stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// The RHDH host that is asked for.
    pub host: HostRequest,
    /// Compute the arguments of listed plugins too.
    pub generate: bool,
    /// Resolve the CLI's tree anew even when its version stays.
    pub renew_tools: bool,
    /// Let images say anew where they come from.
    pub restamp: bool,
    /// What of the named workspaces is pinned anew, though the rest stays.
    pub repinned: Repinned,
}

/// What is pinned anew though it is asked for as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repinned {
    /// The commits.
    pub commits: bool,
    /// Node.js.
    pub node: bool,
    /// rhdh-cli.
    pub rhdh_cli: bool,
}

impl Repinned {
    /// True if anything is.
    pub fn is_any(self) -> bool {
        self.commits || self.has_tools()
    }

    /// True if a tool is.
    pub fn has_tools(self) -> bool {
        self.node || self.rhdh_cli
    }
}

impl Demands {
    /// True if a lock does not meet them already.
    pub fn are_new_to(&self, lock: &Lock, names: &[String]) -> bool {
        let rhdh = lock.rhdh.as_ref();
        let is_other_host = || lock.has_backends(names) && !self.host.is_locked(rhdh);
        let is_other_cli = || {
            let mut wanted = lock.workspace.iter().filter(|locked| names.is_empty() || names.contains(&locked.name));
            let mut is_for = |asked: &String| wanted.all(|locked| lock.tools_of(locked).rhdh_cli.is_for(asked, rhdh));
            self.host.version.as_ref().is_some_and(|asked| !is_for(asked))
        };
        let is_repinned = self.repinned.is_any();
        is_repinned || self.generate || self.renew_tools || self.restamp || is_other_host() || is_other_cli()
    }
}

impl<'a> ResolveRequest<'a> {
    /// The workspaces to resolve.
    pub(super) fn chosen(&self) -> Vec<&'a WorkspaceConfig> {
        let is_stale = self.stale();
        let all = self.old.is_some_and(|old| self.demands.are_new_to(old, self.names));
        self.config
            .workspaces
            .iter()
            .filter(|workspace| self.is_named(&workspace.name))
            .filter(|workspace| {
                // A local tree is no pin: it may have changed.
                let is_locked = |old: &Lock| {
                    old.workspace.iter().any(|locked| locked.name == workspace.name && !locked.source.local)
                };
                all || self.unmerged.names.contains(&workspace.name)
                    || is_stale.contains(&workspace.name)
                    || !self.old.is_some_and(is_locked)
            })
            .collect()
    }

    /// True for a workspace that is asked for.
    pub(super) fn is_named(&self, name: &String) -> bool {
        self.names.is_empty() || self.names.contains(name)
    }

    fn stale(&self) -> BTreeSet<String> {
        match (self.mode, self.old) {
            (UpdateMode::Missing, Some(old)) => {
                let reasons = stale::reasons(old, &configured_pins::of(self.config, old), false);
                reasons.iter().map(StaleReason::workspace).map(str::to_owned).collect()
            }
            _ => self.config.names().map(str::to_owned).collect(),
        }
    }

    /// The lock whose commits stay; none when all may move.
    pub(super) fn kept(&self) -> Option<&'a Lock> {
        self.old.filter(|_| self.mode == UpdateMode::Missing)
    }
}
