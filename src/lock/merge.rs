//! Three locks of a merge → one, by workspace and plugin. No network: what only a resolve can tell is left undecided.

use std::collections::BTreeSet;

use super::{Input, Lock, Plugin, Sha256, Tool, Workspace, input_digest};

/// A merge of two locks.
#[derive(Clone, Debug)]
pub struct MergedLock {
    /// The merge, with ours where nothing decides.
    pub ours: Lock,
    /// The merge, with theirs where nothing decides.
    pub theirs: Lock,
    /// What is undecided, by name: workspaces, sorted.
    pub workspaces: Vec<String>,
    /// Tables for all workspaces that are undecided: `tools`, `rhdh`.
    pub tables: Vec<&'static str>,
}

/// Where a part is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TakenFrom {
    Ours,
    Theirs,
}

/// The side that changed a part; ours if none did, or both alike.
fn changed<T: PartialEq>(base: Option<&T>, ours: &T, theirs: &T) -> Option<TakenFrom> {
    if ours == theirs || base == Some(theirs) {
        Some(TakenFrom::Ours)
    } else if base == Some(ours) {
        Some(TakenFrom::Theirs)
    } else {
        None
    }
}

/// The newer of two versions that were asked for alike.
fn newer(ours: (&str, &str), theirs: (&str, &str)) -> Option<TakenFrom> {
    let version = |text: &str| semver::Version::parse(text).ok();
    if ours.0 != theirs.0 {
        return None;
    }
    let (ours, theirs) = version(ours.1).zip(version(theirs.1))?;
    // Equal ones may differ in what belongs to them: git keeps ours of the files beside the lock.
    Some(if theirs > ours { TakenFrom::Theirs } else { TakenFrom::Ours })
}

/// Merges two locks. Without `base`, what both have and is not the same is undecided.
pub fn merge(base: Option<&Lock>, ours: &Lock, theirs: &Lock) -> MergedLock {
    let mut merged = MergedLock { ours: ours.clone(), theirs: theirs.clone(), workspaces: vec![], tables: vec![] };
    merge_tools(base, ours, theirs, &mut merged);
    merge_host(base, ours, theirs, &mut merged);
    merged.ours.workspace.clear();
    merged.theirs.workspace.clear();
    let names: BTreeSet<&str> = [ours, theirs].iter().flat_map(|lock| names_of(lock)).collect();
    let mut undecided = Vec::new();
    for name in names {
        let of = |lock: &Lock| lock.workspace.iter().find(|one| one.name == name).cloned();
        let (base, our, their) = (base.and_then(of), of(ours), of(theirs));
        match merge_workspace(base.as_ref(), our.as_ref(), their.as_ref()) {
            Ok(None) => {}
            Ok(Some(one))
                if is_for_host(&one, (ours, our.as_ref()), &merged.ours)
                    || is_for_host(&one, (theirs, their.as_ref()), &merged.ours) =>
            {
                merged.ours.workspace.push(one.clone());
                merged.theirs.workspace.push(one);
            }
            _ => {
                undecided.push(name.to_owned());
                merged.ours.workspace.extend(our);
                merged.theirs.workspace.extend(their);
            }
        }
    }
    for lock in [&mut merged.ours, &mut merged.theirs] {
        drop_seals(lock, [ours, theirs]);
        let is_locked = |name: &str| lock.workspace.iter().any(|one| one.name == name);
        let all = ours.unresolved.iter().chain(&theirs.unresolved);
        let mut known = BTreeSet::new();
        lock.unresolved = all.filter(|one| !is_locked(&one.name) && known.insert(&one.name)).cloned().collect();
    }
    merged.workspaces = undecided;
    merged
}

fn names_of(lock: &Lock) -> impl Iterator<Item = &str> {
    lock.workspace.iter().map(|workspace| workspace.name.as_str())
}

fn merge_tools(base: Option<&Lock>, ours: &Lock, theirs: &Lock, merged: &mut MergedLock) {
    let base = base.map(|lock| &lock.tools);
    let (our, their) = (&ours.tools, &theirs.tools);
    let asked = |tool: &Tool| (tool.requested.clone(), tool.version.clone());
    let decide =
        |side: Option<TakenFrom>, ours: (&str, &str), theirs: (&str, &str)| side.or_else(|| newer(ours, theirs));
    let node = decide(
        changed(base.map(|tools| &tools.node), &our.node, &their.node),
        (&our.node.requested, &our.node.version),
        (&their.node.requested, &their.node.version),
    );
    let (a, b) = (asked(&our.npm), asked(&their.npm));
    let npm = decide(changed(base.map(|tools| &tools.npm), &our.npm, &their.npm), (&a.0, &a.1), (&b.0, &b.1));
    let cli = decide(
        changed(base.map(|tools| &tools.rhdh_cli), &our.rhdh_cli, &their.rhdh_cli),
        (&our.rhdh_cli.requested, &our.rhdh_cli.version),
        (&their.rhdh_cli.requested, &their.rhdh_cli.version),
    );
    for (lock, otherwise) in [(&mut merged.ours, TakenFrom::Ours), (&mut merged.theirs, TakenFrom::Theirs)] {
        let from = |side: Option<TakenFrom>| if side.unwrap_or(otherwise) == TakenFrom::Ours { our } else { their };
        lock.tools.node.clone_from(&from(node).node);
        lock.tools.npm.clone_from(&from(npm).npm);
        lock.tools.rhdh_cli.clone_from(&from(cli).rhdh_cli);
    }
    if [node, npm, cli].contains(&None) {
        merged.tables.push("tools");
    }
}

fn merge_host(base: Option<&Lock>, ours: &Lock, theirs: &Lock, merged: &mut MergedLock) {
    let side = changed(base.map(|lock| &lock.rhdh), &ours.rhdh, &theirs.rhdh).or_else(|| {
        let (our, their) = ours.rhdh.as_ref().zip(theirs.rhdh.as_ref())?;
        newer((&our.requested, our.version.as_deref()?), (&their.requested, their.version.as_deref()?))
    });
    match side {
        Some(TakenFrom::Ours) => merged.theirs.rhdh.clone_from(&ours.rhdh),
        Some(TakenFrom::Theirs) => merged.ours.rhdh.clone_from(&theirs.rhdh),
        None => merged.tables.push("rhdh"),
    }
}

/// Nothing decides.
struct Undecided;

/// The merge of a workspace, none where it is gone.
fn merge_workspace(
    base: Option<&Workspace>,
    ours: Option<&Workspace>,
    theirs: Option<&Workspace>,
) -> Result<Option<Workspace>, Undecided> {
    match changed(Some(&base), &ours, &theirs) {
        Some(TakenFrom::Ours) => return Ok(ours.cloned()),
        Some(TakenFrom::Theirs) => return Ok(theirs.cloned()),
        None => {}
    }
    let (Some(base), Some(ours), Some(theirs)) = (base, ours, theirs) else { return Err(Undecided) };
    merge_parts(base, ours, theirs).map(Some).ok_or(Undecided)
}

/// The merge of a workspace that both sides changed, by its parts.
fn merge_parts(base: &Workspace, ours: &Workspace, theirs: &Workspace) -> Option<Workspace> {
    let pins = |workspace: &Workspace| Workspace {
        plugin: vec![],
        input: vec![],
        problem: vec![],
        unlisted: vec![],
        sealed: None,
        ..workspace.clone()
    };
    let pick = |side: TakenFrom| if side == TakenFrom::Ours { ours } else { theirs };
    let mut merged = pick(changed(Some(&pins(base)), &pins(ours), &pins(theirs))?).clone();
    merged.sealed.clone_from(&pick(changed(Some(&base.sealed), &ours.sealed, &theirs.sealed)?).sealed);
    merged.problem.clone_from(&pick(changed(Some(&base.problem), &ours.problem, &theirs.problem)?).problem);
    let by_path = |input: &Input| input.path.clone();
    merged.input = merge_list([&base.input, &ours.input, &theirs.input], by_path)?;
    let by_path = |plugin: &Plugin| plugin.path.clone();
    merged.plugin = merge_list([&base.plugin, &ours.plugin, &theirs.plugin], by_path)?;
    let unlisted = merge_list([&base.unlisted, &ours.unlisted, &theirs.unlisted], String::clone)?;
    let is_listed = |path: &String| merged.plugin.iter().any(|plugin| plugin.path == *path);
    merged.unlisted = unlisted.into_iter().filter(|path| !is_listed(path)).collect();
    let is_of =
        |side: &Workspace| side.sealed == merged.sealed && side.source == merged.source && side.input == merged.input;
    if !is_of(ours) && !is_of(theirs) {
        merged.sealed = None;
    }
    Some(merged)
}

/// The merge of lists of base, ours and theirs, each of whose parts has a key; none where one is undecided.
fn merge_list<T: Clone + PartialEq>(lists: [&Vec<T>; 3], key: impl Fn(&T) -> String) -> Option<Vec<T>> {
    let keys: BTreeSet<String> = lists.iter().flat_map(|list| list.iter()).map(&key).collect();
    let mut merged = Vec::new();
    for name in keys {
        let [base, ours, theirs] = lists.map(|list| list.iter().find(|one| key(one) == name));
        let side = changed(Some(&base), &ours, &theirs)?;
        merged.extend(if side == TakenFrom::Ours { ours } else { theirs }.cloned());
    }
    Some(merged)
}

/// False for a workspace whose arguments were computed against another host than that of the merge. `side` is the lock it
/// is from, with its workspace there.
fn is_for_host(workspace: &Workspace, (side, there): (&Lock, Option<&Workspace>), merged: &Lock) -> bool {
    let host = |lock: &Lock| lock.rhdh.as_ref().map(|host| host.lockfile);
    let arguments = |workspace: &Workspace| -> Vec<_> {
        workspace.plugin.iter().map(|plugin| (plugin.path.clone(), plugin.args.clone())).collect()
    };
    let is_from = there.is_some_and(|there| arguments(there) == arguments(workspace));
    is_from && (!workspace.is_computed() || host(side) == host(merged))
}

/// Drops the seals of plugins that are built from other inputs than where they were sealed, with the tools of the other
/// side, say.
fn drop_seals(lock: &mut Lock, sides: [&Lock; 2]) {
    let digest = |lock: &Lock, workspace: &Workspace, plugin: &Plugin| -> Option<Sha256> {
        Some(input_digest::digest(lock, workspace, plugin, plugin.sealed.as_ref()?.closure))
    };
    let merged = lock.clone();
    for (workspace, known) in lock.workspace.iter_mut().zip(&merged.workspace) {
        for (plugin, same) in workspace.plugin.iter_mut().zip(&known.plugin) {
            let now = digest(&merged, known, same);
            let was_sealed = sides.iter().any(|side| {
                let there = side.workspace.iter().find(|one| one.name == known.name);
                let sealed = there.and_then(|there| Some((there, there.plugin.iter().find(|one| *one == same)?)));
                sealed.is_some_and(|(there, plugin)| digest(side, there, plugin) == now)
            });
            if !was_sealed {
                plugin.sealed = None;
            }
        }
    }
}
