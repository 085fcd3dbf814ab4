//! What stays of the lock there was: workspaces that were not resolved, reasons of arguments, and seals; and what is
//! said of workspaces that no lock has yet.

use std::collections::BTreeSet;

use super::configured_pins;
use super::run_request::ResolveRequest;
use crate::error::Error;
use crate::lock::{ArgsFrom, Lock, UnresolvedWorkspace, input_digest};

/// Workspaces that were not resolved now stay as they are locked, unless the configuration has them no more.
pub(super) fn keep_others(lock: &mut Lock, request: &ResolveRequest<'_>) {
    let Some(old) = request.old else { return };
    let known: BTreeSet<&str> = request.config.names().collect();
    for workspace in &old.workspace {
        let wanted = known.contains(workspace.name.as_str());
        if wanted && lock.workspace.iter().all(|new| new.name != workspace.name) {
            let mut kept = workspace.clone();
            let tools = old.tools_of(workspace);
            kept.tools = (*tools != lock.tools).then(|| tools.clone());
            lock.workspace.push(kept);
        }
    }
    if lock.rhdh.is_none() {
        lock.rhdh.clone_from(&old.rhdh);
    }
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
            Some((name, error)) => {
                let requested = configured_pins::one(request.config, workspace).digest();
                Some(UnresolvedWorkspace::new(name, requested, error))
            }
            None => request.old?.unresolved.iter().find(|before| before.name == workspace.name).cloned(),
        })
        .collect()
}

/// Computed arguments end up in a plugins-list.yaml; listed there unchanged, they keep the reasons they were given.
pub(super) fn keep_reasons(lock: &mut Lock, old: Option<&Lock>) {
    // The reasons name the host.
    let host = |lock: &Lock| lock.rhdh.as_ref().map(|host| host.lockfile);
    let Some(old) = old.filter(|old| host(old) == host(lock)) else { return };
    for workspace in &mut lock.workspace {
        let Some(before) = old.workspace.iter().find(|before| before.name == workspace.name) else { continue };
        for plugin in workspace.plugin.iter_mut().filter(|plugin| plugin.args_from == ArgsFrom::PluginsList) {
            let known = before.plugin.iter().find(|known| known.path == plugin.path && known.args == plugin.args);
            if let Some(known) = known.filter(|known| known.args_from == ArgsFrom::Computed) {
                plugin.args_from = ArgsFrom::Computed;
                plugin.why.clone_from(&known.why);
            }
        }
    }
}

/// What builds found out still holds for plugins whose inputs did not move.
pub(super) fn keep_seals(lock: &mut Lock, old: Option<&Lock>) {
    let Some(old) = old else { return };
    let mut seals = Vec::new();
    for (w, workspace) in lock.workspace.iter().enumerate() {
        let Some(before) = old.workspace.iter().find(|before| before.name == workspace.name) else { continue };
        for (p, plugin) in workspace.plugin.iter().enumerate() {
            let Some(known) = before.plugin.iter().find(|known| known.path == plugin.path) else { continue };
            let Some(sealed) = &known.sealed else { continue };
            let digest = |lock, workspace, plugin| input_digest::digest(lock, workspace, plugin, sealed.closure);
            if digest(old, before, known) == digest(lock, workspace, plugin) {
                seals.push((w, p, sealed.clone()));
            }
        }
    }
    for workspace in &mut lock.workspace {
        let before = old.workspace.iter().find(|before| before.name == workspace.name);
        // The packages follow from the lockfile: the source's own, and what patches make of it.
        workspace.sealed = before
            .filter(|before| before.source.yarn_lock == workspace.source.yarn_lock)
            .filter(|before| before.source.yarn == workspace.source.yarn && before.input == workspace.input)
            .and_then(|before| before.sealed.clone());
    }
    for (w, p, sealed) in seals {
        lock.workspace[w].plugin[p].sealed = Some(sealed);
    }
}
