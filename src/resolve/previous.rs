//! What stays of the lock there was: workspaces that were not resolved, reasons of arguments, and seals; and what is
//! said of workspaces that no lock has yet.

use std::collections::BTreeSet;

use super::Resolved;
use super::build_args::LISTED;
use super::configured_pins;
use super::run_request::ResolveRequest;
use crate::error::Error;
use crate::lock::recipe::FIRST;
use crate::lock::{ArgsFrom, ArgsOrigin, Lock, Plugin, UnresolvedWorkspace, Workspace, input_digest};
use crate::store::git::SourceUrl;
use crate::tools::provide::Provider;

/// Workspaces that were not resolved now stay as they are locked, unless the configuration has them no more.
pub(super) fn keep_others(lock: &mut Lock, request: &ResolveRequest<'_>) {
    let Some(old) = request.old else { return };
    let known: BTreeSet<&str> = request.config.names().collect();
    let is_empty = lock.workspace.is_empty() && !request.chosen().is_empty();
    for workspace in &old.workspace {
        // Where nothing could be resolved, a name may be mistyped, and what is sealed is still wanted.
        let wanted = known.contains(workspace.name.as_str()) || is_empty;
        if wanted && lock.workspace.iter().all(|new| new.name != workspace.name) {
            let mut kept = workspace.clone();
            let tools = old.tools_of(workspace);
            kept.tools = (*tools != lock.tools).then(|| tools.clone());
            lock.workspace.push(kept);
        }
    }
    request.config.forget_listed(lock);
    if lock.rhdh.is_none() {
        lock.rhdh.clone_from(&old.rhdh);
    }
}

/// The lock there is, where none of the workspaces could be resolved.
pub(super) fn unchanged(old: &Lock, request: &ResolveRequest<'_>, mut failed: Vec<(String, Error)>) -> Resolved {
    // A mistyped repository may have another name, and those that are locked are still wanted.
    let lock = old.clone();
    let said: BTreeSet<String> = failed.iter().map(|(name, _)| name.clone()).collect();
    failed.extend(lock.problems(request.names).into_iter().filter(|(name, _)| !said.contains(name)));
    Resolved { lock, companions: vec![], lists: vec![], failed, renamed: vec![] }
}

/// Workspaces that are not in the lock because they could not be resolved, now or earlier. They are named, so that the
/// others can be built.
pub(super) fn unresolved(
    lock: &Lock,
    request: &ResolveRequest<'_>,
    failed: &[(String, Error)],
) -> Vec<UnresolvedWorkspace> {
    let is_locked = |name: &str| lock.workspace.iter().any(|locked| locked.name == name);
    let missing = request.config.workspaces.iter().filter(|workspace| !is_locked(&workspace.name));
    missing
        .filter_map(|workspace| match failed.iter().find(|(name, _)| *name == workspace.name) {
            Some((name, error)) if request.keep_going => {
                let requested = configured_pins::one(request.config, workspace).digest();
                Some(UnresolvedWorkspace::new(name, requested, error))
            }
            _ => request.old?.unresolved.iter().find(|before| before.name == workspace.name).cloned(),
        })
        .collect()
}

/// Computed arguments end up in a plugins-list.yaml; listed there unchanged, each keeps the reason it was given.
pub(super) fn keep_reasons(lock: &mut Lock, old: Option<&Lock>) {
    // The reasons name the host.
    let host = |lock: &Lock| lock.rhdh.as_ref().map(|host| host.lockfile);
    let Some(old) = old.filter(|old| host(old) == host(lock)) else { return };
    for workspace in &mut lock.workspace {
        let Some(before) = old.workspace.iter().find(|before| before.name == workspace.name) else { continue };
        for plugin in workspace.plugin.iter_mut().filter(|plugin| !plugin.args_from.is_computed()) {
            if let Some(known) = before.plugin.iter().find(|known| known.path == plugin.path) {
                keep_reasons_of(plugin, known);
            }
        }
    }
}

fn keep_reasons_of(plugin: &mut Plugin, known: &Plugin) {
    if known.args == plugin.args && known.args_from.is_computed() {
        plugin.args_from.clone_from(&known.args_from);
        plugin.why.clone_from(&known.why);
        return;
    }
    let has_reasons = plugin.why.len() == plugin.args.len();
    let (mut each, mut why) = (Vec::new(), Vec::new());
    for (index, argument) in plugin.args.iter().enumerate() {
        let reason = known.args.iter().position(|other| other == argument).and_then(|at| {
            let is_computed = known.args_from.at(at) == ArgsFrom::Computed;
            is_computed.then(|| known.why.get(at).cloned()).flatten()
        });
        let from = plugin.args_from.at(index);
        each.push(if reason.is_some() && from == ArgsFrom::PluginsList { ArgsFrom::Computed } else { from });
        let own = plugin.why.get(index).filter(|_| has_reasons).cloned();
        why.push(reason.or(own).unwrap_or_else(|| LISTED.to_owned()));
    }
    if each.contains(&ArgsFrom::Computed) {
        plugin.args_from = ArgsOrigin::of(each, ArgsFrom::PluginsList);
        plugin.why = why;
    }
}

/// What builds found out still holds for plugins whose inputs did not move; what an image says of where it comes from, as
/// long as its content stays, which only a build can know.
///
/// Returns the names of workspaces that stay at their commit, since nothing that they are built from moved with the ref.
pub(super) fn keep_seals(lock: &mut Lock, provider: &Provider<'_>, request: &ResolveRequest<'_>) -> Vec<String> {
    let mut unmoved = Vec::new();
    for at in 0..lock.workspace.len() {
        let name = &lock.workspace[at].name;
        let Some((old, before)) = sealed_side(lock, at, request) else { continue };
        if request.demands.restamp && request.is_named(name) {
            continue;
        }
        keep_recipe(lock, at, (old, before));
        let mut kept = Vec::new();
        let workspace = &lock.workspace[at];
        for (p, plugin) in workspace.plugin.iter().enumerate() {
            let Some(known) = before.plugin.iter().find(|known| known.path == plugin.path) else { continue };
            let sealed = known.sealed.clone().filter(|_| holds((old, before, known), (lock, workspace, plugin)));
            kept.push((p, known.stamp.clone(), sealed));
        }
        // The packages follow from the lockfile: the source's own, and what patches make of it.
        let packages = before
            .sealed
            .clone()
            .filter(|_| before.source.yarn_lock == workspace.source.yarn_lock)
            .filter(|_| before.source.yarn == workspace.source.yarn && before.input == workspace.input);
        let workspace = &mut lock.workspace[at];
        workspace.sealed = packages;
        for (p, stamp, sealed) in kept {
            workspace.plugin[p].stamp = stamp;
            workspace.plugin[p].sealed = sealed;
        }
        let repo = workspace.source.repo.clone();
        let is_shared = lock.workspace.iter().filter(|other| other.source.repo == repo).count() > 1;
        if is_shared && keep_commit(&mut lock.workspace[at], before, provider, request) {
            unmoved.push(lock.workspace[at].name.clone());
        }
    }
    unmoved
}

/// What was known of a workspace: that of the lock there was, or, where both sides of a merge changed it, that of the other
/// branch, if more of its seals hold.
fn sealed_side<'r>(lock: &Lock, at: usize, request: &ResolveRequest<'r>) -> Option<(&'r Lock, &'r Workspace)> {
    let workspace = &lock.workspace[at];
    let of = |side: &'r Lock| Some((side, side.workspace.iter().find(|one| one.name == workspace.name)?));
    let seals = |(side, before): (&Lock, &Workspace)| {
        let is_held = |plugin: &&Plugin| {
            let known = before.plugin.iter().find(|known| known.path == plugin.path);
            known.is_some_and(|known| holds((side, before, known), (lock, workspace, plugin)))
        };
        workspace.plugin.iter().filter(is_held).count()
    };
    let ours = request.old.and_then(of);
    let theirs = request.unmerged.theirs.filter(|_| request.unmerged.names.contains(&workspace.name)).and_then(of);
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if seals(theirs) > seals(ours) => Some(theirs),
        (ours, theirs) => ours.or(theirs),
    }
}

/// Whether the seal that a plugin had is that of its inputs now.
fn holds(before: (&Lock, &Workspace, &Plugin), now: (&Lock, &Workspace, &Plugin)) -> bool {
    before.2.sealed.as_ref().is_some_and(|sealed| {
        let digest = |(lock, workspace, plugin)| input_digest::digest(lock, workspace, plugin, sealed.closure);
        digest(before) == digest(now)
    })
}

/// Where several workspaces share a repository, one that a commit leaves alone stays at its commit: a review sees those
/// that moved. False where the commit moved, or did not have to be kept.
fn keep_commit(
    workspace: &mut Workspace,
    before: &Workspace,
    provider: &Provider<'_>,
    request: &ResolveRequest<'_>,
) -> bool {
    let is_other = workspace.source.commit != before.source.commit;
    if !is_other || workspace.recipe == FIRST || workspace.source.local {
        return false;
    }
    let mut kept = workspace.clone();
    kept.source.commit.clone_from(&before.source.commit);
    kept.source.epoch = before.source.epoch;
    // What an export reads besides its sources is known once it is sealed.
    let is_sealed = before.plugin.iter().all(|plugin| plugin.sealed.is_some());
    if !is_sealed || kept != *before || !is_there(before, provider, request) {
        return false;
    }
    *workspace = kept;
    true
}

/// False if a local repository has no such commit any more. Whether another still has it is asked when it is built.
fn is_there(workspace: &Workspace, provider: &Provider<'_>, request: &ResolveRequest<'_>) -> bool {
    let Some(config) = request.config.workspaces.iter().find(|config| config.name == workspace.name) else {
        return false;
    };
    let Ok(url) = SourceUrl::parse(&workspace.source.repo, &config.config_dir) else { return false };
    let commit = workspace.source.commit.as_deref().unwrap_or_default();
    url.local_path().is_none()
        || provider
            .store
            .repository(&url, provider.interrupt.flag())
            .and_then(|repository| repository.tree(commit))
            .is_ok_and(|tree| tree.is_some())
}

/// The plugins whose seal does not hold any more: they have to be built again.
pub(super) fn fallen_seals(lock: &Lock, old: Option<&Lock>) -> Vec<String> {
    let mut fallen = Vec::new();
    for before in old.into_iter().flat_map(|old| &old.workspace) {
        let Some(workspace) = lock.workspace.iter().find(|workspace| workspace.name == before.name) else { continue };
        for known in before.plugin.iter().filter(|known| known.sealed.is_some()) {
            let is_fallen = |plugin: &&Plugin| plugin.path == known.path && plugin.sealed.is_none();
            fallen.extend(workspace.plugin.iter().find(is_fallen).map(|one| format!("{} {}", before.name, one.path)));
        }
    }
    fallen
}

/// A workspace of which nothing moved stays what it was sealed as: a newer factory alone changes no digest.
fn keep_recipe(lock: &mut Lock, at: usize, (old, before): (&Lock, &Workspace)) {
    let is_older =
        before.recipe < lock.workspace[at].recipe && before.plugin.iter().any(|known| known.sealed.is_some());
    if !is_older {
        return;
    }
    let mut same = lock.workspace[at].clone();
    same.recipe = before.recipe;
    if before.recipe == FIRST {
        for plugin in &mut same.plugin {
            plugin.sources.clear();
            plugin.reads.clear();
        }
    }
    let is_unmoved = before.plugin.len() == same.plugin.len()
        && before.plugin.iter().zip(&same.plugin).all(|(known, plugin)| {
            let digest = |lock, workspace, plugin| input_digest::digest(lock, workspace, plugin, None);
            known.path == plugin.path && digest(old, before, known) == digest(lock, &same, plugin)
        });
    if is_unmoved {
        lock.workspace[at] = same;
    }
}
