//! Replays a lock: checkout, patches, install, export, pack. Takes `&Lock`; asks nobody what is newest.
//!
//! In the order of the data; `workspace` calls `prepare` once, then `plugin` for each plugin, as `schedule` orders them, on
//! what `context` holds:
//!
//! ```text
//! sealed_files   what lies beside the lock is what the lock names, before anything runs
//! finished       what is sealed and still in the cache is not built again
//! cache_repo     nor what another machine has built: a registry's repository gives and takes finished builds
//! prepare        source (checkout) -> patches and overlays -> cli_flags -> layers (held_layer), or install (packages,
//!                native_log), in a workdir
//! plugin         export (export_view, export_args, closure_drift; read_sources by opened_files, watch_turns, dependencies,
//!                installed) -> select (npm_masked) -> checks -> artefact (file_list, build_info) -> verdict against the seal
//! new_seals      what was built for the first time, into the lock and beside it; verdict compares later builds with it
//! packed_archive what an archive is of, whoever made it: for cache_repo and join
//! results        report (build-report.json), plugins_yaml (dynamic-plugins.yaml); earlier is what they keep of other builds
//! shard          what one machine of several built; join makes of all shards what one machine would have left
//! room           what a workspace takes, and full disks
//! context        what all share; the seconds of phases, which the timeline of the run (`crate::timeline`) has measured
//! ```

pub mod artefact;
mod build_info;
pub mod bundle;
pub mod cache_repo;
pub mod checkout;
pub mod checks;
mod cli_flags;
mod closure_drift;
mod context;
mod dependencies;
mod earlier;
mod export;
mod export_args;
mod export_view;
pub mod file_list;
mod finished;
mod held_layer;
mod install;
mod installed;
pub mod join;
mod layers;
mod native_log;
pub mod new_seals;
mod npm_masked;
mod opened_files;
pub mod packages;
mod packed_archive;
mod plugin;
pub mod plugins_yaml;
mod prepare;
mod read_sources;
pub mod report;
pub mod results;
pub mod room;
mod schedule;
pub mod sealed_files;
mod select;
pub mod shard;
mod source;
pub mod verdict;
mod watch_turns;
mod workdir;
mod workspace;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::error::nearest::misspelt;
use crate::error::{Error, Result};
use crate::lock::{Lock, Plugin, Workspace};
pub use cli_flags::AskedClis;
pub use context::{BuildOptions, Shared};
pub use finished::finished_archive;
pub use watch_turns::WatchTurns;
pub use workspace::BuiltWorkspace;

/// Builds the workspaces named (all when none is) with the plugins that are chosen, several at once. A failing one does
/// not stop the others; Ctrl-C does.
pub async fn build(shared: Arc<Shared>, names: &[String]) -> Result<Vec<BuiltWorkspace>> {
    let mut chosen = choose(&shared.lock, names)?;
    chosen.retain(|workspace| workspace.plugin.iter().any(|plugin| shared.options.chooses(plugin)));
    std::fs::create_dir_all(&shared.options.output_dir).map_err(Error::io("create", &shared.options.output_dir))?;
    let mut running = JoinSet::new();
    for (index, workspace) in chosen.iter().cloned().enumerate() {
        let shared = shared.clone();
        running.spawn(async move { (index, workspace::build(&shared, &workspace).await) });
    }
    let mut done: Vec<Option<BuiltWorkspace>> = chosen.iter().map(|_| None).collect();
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok((index, built)) => done[index] = Some(built),
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => return Err(Error::Interrupted),
        }
    }
    shared.interrupt.check()?;
    Ok(done.into_iter().flatten().collect())
}

/// Err if a plugin that is named, by path or name, is in none of the workspaces of the lock that are named.
pub fn check_plugins(lock: &Lock, names: &[String], plugins: &[String]) -> Result<()> {
    let chosen = choose(lock, names)?;
    let all = || chosen.iter().flat_map(|workspace| &workspace.plugin);
    for name in plugins {
        let one = std::slice::from_ref(name);
        let is_known_to_fail = chosen.iter().flat_map(|workspace| &workspace.problem).any(|one| one.plugin == *name);
        if is_known_to_fail || all().any(|plugin| is_named(one, plugin)) {
            continue;
        }
        let meant = misspelt(name, all().flat_map(|plugin| [plugin.path.as_str(), plugin.name.as_str()]));
        let hint = meant.map_or_else(
            || {
                "plugins are named by their path in the workspace or by their package; `factory status` lists them"
                    .into()
            },
            |meant| format!("did you mean `{meant}`?"),
        );
        return Err(Error::usage(format!("plugin `{}` is not in the lock", name.escape_debug()), hint));
    }
    Ok(())
}

/// Whether a plugin is one of those that are named, by path or name; all are when none is.
pub fn is_named(names: &[String], plugin: &Plugin) -> bool {
    names.is_empty() || names.iter().any(|name| *name == plugin.path || *name == plugin.name)
}

/// The workspaces of the lock that are named, in the lock's order. Of those that could not be resolved there are none.
pub fn choose(lock: &Lock, names: &[String]) -> Result<Vec<Workspace>> {
    for name in names {
        let is_unresolved = lock.unresolved.iter().any(|one| one.name == *name);
        if !is_unresolved && !lock.workspace.iter().any(|workspace| workspace.name == *name) {
            let known: Vec<_> = lock.workspace.iter().map(|w| format!("`{}`", w.name)).collect();
            return Err(Error::usage(
                format!("workspace `{name}` is not in the lock"),
                format!("the lock has {}; run `factory resolve {name}` if it is new", known.join(", ")),
            ));
        }
    }
    Ok(lock.workspace.iter().filter(|w| names.is_empty() || names.contains(&w.name)).cloned().collect())
}
