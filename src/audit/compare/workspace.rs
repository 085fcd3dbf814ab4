//! The changes of one workspace, then those of its plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::change::{ChangeKind, Evidence, FileChange, Mark, Pin, WorkspacePlace};
use super::super::release::{Release, ReleasePlugin, ReleaseWorkspace, input_kind};
use super::super::{link, pairing};
use super::comparison::Comparison;
use crate::error::Result;
use crate::lock::{Input, PluginProblem, Sha256};

/// A workspace of the union, by its positions.
enum WorkspaceIndex {
    Old(usize),
    New(usize),
}

impl Comparison<'_> {
    /// All workspaces, sorted by their names.
    pub(super) fn workspaces(&mut self) -> Result<()> {
        let mut order: BTreeMap<(&str, bool), WorkspaceIndex> = BTreeMap::new();
        for (at, workspace) in self.new.workspaces.iter().enumerate() {
            order.insert((&workspace.name, true), WorkspaceIndex::New(at));
        }
        for (at, workspace) in self.old.workspaces.iter().enumerate() {
            if !self.pairs.old_workspaces.contains_key(&at) {
                order.insert((&workspace.name, false), WorkspaceIndex::Old(at));
            }
        }
        for ((name, _), which) in order {
            if self.broken.contains(name) {
                continue;
            }
            match which {
                WorkspaceIndex::Old(at) => self.workspace_gone(at),
                WorkspaceIndex::New(at) => match self.pairs.workspaces.get(&at).copied() {
                    Some((before, evidence)) => self.workspace_kept(before, at, evidence)?,
                    None => self.workspace_new(at)?,
                },
            }
        }
        Ok(())
    }

    fn workspace_gone(&mut self, at: usize) {
        let (old, new) = (self.old, self.new);
        let workspace = &old.workspaces[at];
        let mut moved = Vec::new();
        let mut gone = Vec::new();
        for (p, plugin) in workspace.plugins.iter().enumerate() {
            match self.pairs.old_plugins.get(&(at, p)) {
                Some(&(w, q)) => moved.push(new.workspaces[w].place(&new.workspaces[w].plugins[q])),
                None => gone.push(plugin),
            }
        }
        let what = ChangeKind::WorkspaceRemoved { source: workspace.source(), plugins: workspace.plugins.len(), moved };
        self.add(Mark::Removed, Some(&workspace.name), None, what);
        for plugin in gone {
            self.plugin_gone(&workspace.name, plugin);
        }
    }

    fn workspace_new(&mut self, at: usize) -> Result<()> {
        let workspace = &self.new.workspaces[at];
        let moved = (0..workspace.plugins.len()).filter(|p| self.pairs.plugins.contains_key(&(at, *p))).count();
        let what = ChangeKind::WorkspaceAdded { source: workspace.source(), plugins: workspace.plugins.len(), moved };
        self.add(Mark::Added, Some(&workspace.name), None, what);
        self.problems(&[], workspace);
        self.unlisted(&[], workspace);
        self.plugins(at, None)
    }

    /// Plugins that cannot be exported, and those of which that is no longer true.
    fn problems(&mut self, old: &[PluginProblem], new: &ReleaseWorkspace) {
        let is_in = |list: &[PluginProblem], one: &PluginProblem| {
            list.iter().any(|other| (&other.plugin, &other.what) == (&one.plugin, &one.what))
        };
        let appeared = new.problems.iter().filter(|one| !is_in(old, one)).map(|one| (one, false));
        let solved = old.iter().filter(|one| !is_in(&new.problems, one)).map(|one| (one, true));
        for (problem, solved) in appeared.chain(solved) {
            let mark = if solved { Mark::Removed } else { Mark::Review };
            let what = ChangeKind::Problem { what: problem.what.clone(), solved };
            self.add(mark, Some(&new.name), Some(&problem.plugin), what);
        }
    }

    /// Plugins that came with the source, and are not listed.
    fn unlisted(&mut self, old: &[String], new: &ReleaseWorkspace) {
        let plugins: Vec<String> = new.unlisted.iter().filter(|path| !old.contains(path)).cloned().collect();
        if !plugins.is_empty() {
            self.add(Mark::Review, Some(&new.name), None, ChangeKind::Unlisted { plugins });
        }
    }

    fn workspace_kept(&mut self, before: usize, now: usize, evidence: Evidence) -> Result<()> {
        let (old, new) = (&self.old.workspaces[before], &self.new.workspaces[now]);
        let name = Some(new.name.as_str());
        let is_same = is_same_repository(old, new);
        if !is_same || (&old.name, &old.path) != (&new.name, &new.path) {
            let place = |workspace: &ReleaseWorkspace| WorkspacePlace {
                name: workspace.name.clone(),
                // The same one is not shown with two paths, for it did not move.
                repo: if is_same { new.repo.clone() } else { workspace.repo.clone() },
                path: workspace.path.clone(),
            };
            // Code from another repository is somebody else's until it is looked at.
            let mark = if is_same { Mark::Same } else { Mark::Review };
            self.add(mark, name, None, ChangeKind::WorkspaceMoved { from: place(old), to: place(new), evidence });
        }
        self.commit(old, new);
        self.backstage(name, old.backstage.as_ref(), new.backstage.as_ref());
        self.own_tools(old, new);
        if old.commit == new.commit
            && let (Some(from), Some(to)) = (old.yarn_lock, new.yarn_lock)
            && from != to
        {
            self.add(Mark::Changed, name, None, ChangeKind::YarnLock { from, to });
        }
        if old.effective_yarn_lock != new.effective_yarn_lock {
            let (from, to) = (old.effective_yarn_lock, new.effective_yarn_lock);
            self.add(Mark::Changed, name, None, ChangeKind::EffectiveYarnLock { from, to });
        }
        self.inputs(old, new);
        self.problems(&old.problems, new);
        self.unlisted(&old.unlisted, new);
        self.plugins(now, Some(before))
    }

    fn commit(&mut self, old: &ReleaseWorkspace, new: &ReleaseWorkspace) {
        if (&old.requested, &old.commit) == (&new.requested, &new.commit) {
            return;
        }
        let reference =
            |workspace: &ReleaseWorkspace| workspace.commit.clone().unwrap_or_else(|| workspace.requested.clone());
        let (from, to) = (reference(old), reference(new));
        let is_same_repo = is_same_repository(old, new);
        let link = if is_same_repo && from != to { link::compare(&new.repo, &from, &to) } else { None };
        let command = if is_same_repo && from != to {
            // A lock that was saved elsewhere does not lie where its relative paths start.
            let folders = [&new.folder, &old.folder].map(Option::as_deref);
            let there = folders.into_iter().find(|folder| link::local(&new.repo, *folder).is_some_and(is_repository));
            there.and_then(|folder| link::log(&new.repo, folder, &from, &to))
        } else {
            None
        };
        let back = is_same_repo && old.epoch.zip(new.epoch).is_some_and(|(old, new)| new < old);
        // A commit of which nothing is shipped.
        let images = |plugins: &[ReleasePlugin]| -> Option<Vec<Sha256>> {
            plugins.iter().map(|plugin| Some(plugin.sealed.as_ref()?.image)).collect()
        };
        let is_same = images(&old.plugins).is_some_and(|had| !had.is_empty() && images(&new.plugins) == Some(had));
        let mark = match (back, is_same) {
            (true, _) => Mark::Review,
            (false, true) => Mark::Same,
            (false, false) => Mark::Changed,
        };
        let what = ChangeKind::Commit { from: old.source(), to: new.source(), link, command, back };
        self.add(mark, Some(&new.name), None, what);
    }

    /// Tools that moved otherwise than those of the release did.
    fn own_tools(&mut self, old: &ReleaseWorkspace, new: &ReleaseWorkspace) {
        let moves = |release: &Release, workspace: &ReleaseWorkspace, tool: &str| {
            let find = |tools: &[(&str, Pin)]| {
                tools.iter().find(|(name, _)| *name == tool).map(|(_, pin)| pin.version.clone())
            };
            (find(&workspace.tools), find(&release.tools))
        };
        let tools: BTreeSet<&str> = old.tools.iter().chain(&new.tools).map(|(tool, _)| *tool).collect();
        let own: Vec<&str> = tools
            .into_iter()
            .filter(|tool| {
                let (was, release_was) = moves(self.old, old, tool);
                let (is, release_is) = moves(self.new, new, tool);
                was != is && (was, is) != (release_was, release_is)
            })
            .collect();
        let only = |tools: &[(&'static str, Pin)]| -> Vec<(&'static str, Pin)> {
            tools.iter().filter(|(tool, _)| own.contains(tool)).cloned().collect()
        };
        self.tools(Some(&new.name), &only(&old.tools), &only(&new.tools));
    }

    fn inputs(&mut self, old: &ReleaseWorkspace, new: &ReleaseWorkspace) {
        let known = |inputs: &[Input]| -> BTreeMap<String, Input> {
            inputs.iter().map(|input| (input.path.clone(), input.clone())).collect()
        };
        let (olds, news) = (known(&old.inputs), known(&new.inputs));
        let paths: BTreeSet<&String> = olds.keys().chain(news.keys()).collect();
        for path in paths {
            let (mark, change) = match (olds.get(path), news.get(path)) {
                (None, _) => (Mark::Added, FileChange::Added),
                (_, None) => (Mark::Removed, FileChange::Removed),
                (Some(old), Some(new)) if old.sha256 != new.sha256 => (Mark::Changed, FileChange::Changed),
                (Some(old), Some(new)) if old.executable != new.executable => (Mark::Changed, FileChange::Mode),
                _ => continue,
            };
            let what = ChangeKind::Input { path: path.clone(), input: input_kind(path), change };
            self.add(mark, Some(&new.name), None, what);
        }
    }

    /// The plugins of a workspace of the new release, and those its old form had and that are gone.
    fn plugins(&mut self, now: usize, before: Option<usize>) -> Result<()> {
        let (old, new) = (self.old, self.new);
        let workspace = &new.workspaces[now];
        for (p, plugin) in workspace.plugins.iter().enumerate() {
            match self.pairs.plugins.get(&(now, p)).copied() {
                None => self.plugin_new(&workspace.name, plugin),
                Some((at, evidence)) => self.plugin_kept(at, (now, p), evidence)?,
            }
        }
        let Some(before) = before else { return Ok(()) };
        let gone: Vec<_> = pairing::places(old)
            .skip_while(|((w, _), _)| *w < before)
            .take_while(|((w, _), _)| *w == before)
            .filter(|(at, _)| !self.pairs.old_plugins.contains_key(at))
            .map(|(_, (_, plugin))| plugin)
            .collect();
        for plugin in gone {
            self.plugin_gone(&workspace.name, plugin);
        }
        Ok(())
    }
}

/// The same repository, also where its relative path starts in another folder.
fn is_same_repository(old: &ReleaseWorkspace, new: &ReleaseWorkspace) -> bool {
    old.repo_from_root() == new.repo_from_root()
}

/// True for the folder of a git repository, with a work tree or without, as far as can be seen from here.
#[allow(clippy::needless_pass_by_value, reason = "as it is made")]
fn is_repository(path: String) -> bool {
    let path = Path::new(&path);
    path.join(".git").exists() || path.join("HEAD").is_file()
}
