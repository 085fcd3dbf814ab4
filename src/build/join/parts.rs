//! Which shard has which workspace: each of the lock is in one, and all are of one build.

use super::super::shard::ShardWorkspace;
use super::given::GivenShard;
use crate::error::{Error, Result};
use crate::lock::{Lock, Shard, Workspace};
use crate::ui::some_names;

/// A workspace, and the shard that built it.
pub(super) struct Part<'a> {
    /// Its place in the lock.
    pub(super) index: usize,
    pub(super) locked: &'a Workspace,
    pub(super) built: &'a ShardWorkspace,
    pub(super) from: &'a GivenShard,
}

/// The workspaces of the lock, in its order. Those without plugins are not built.
pub(super) fn of<'a>(lock: &'a Lock, shards: &'a [GivenShard]) -> Result<Vec<Part<'a>>> {
    check_shards(lock, shards)?;
    let (mut parts, mut none, mut twice) = (Vec::new(), Vec::new(), Vec::new());
    for (index, locked) in lock.workspace.iter().enumerate() {
        let of = |from: &'a GivenShard| {
            let named = from.record.workspaces.iter().filter(|built| built.report.name == locked.name);
            named.map(move |built| Part { index, locked, built, from })
        };
        let mut found = shards.iter().flat_map(of);
        match (found.next(), found.next()) {
            (Some(part), None) => parts.push(part),
            (Some(one), Some(other)) => {
                twice.push(format!("`{}` is in `{}` and `{}`", locked.name, one.from.shown, other.from.shown));
            }
            (None, _) if locked.plugin.is_empty() => {}
            (None, _) => none.push(&locked.name),
        }
    }
    check_once(&none, &twice, shards.len())?;
    for shard in shards {
        let is_known = |name: &str| lock.workspace.iter().any(|locked| locked.name == name);
        if let Some(unknown) = shard.record.workspaces.iter().find(|built| !is_known(&built.report.name)) {
            let what = format!("workspace `{}` is not in the lock", unknown.report.name.escape_debug());
            return Err(contradiction(shard, &what));
        }
    }
    Ok(parts)
}

/// Err for workspaces that are in no shard or in several, as where shards were built with names.
fn check_once(none: &[&String], twice: &[String], shards: usize) -> Result<()> {
    let mut what = Vec::new();
    if let Some(first) = twice.first() {
        let others =
            if twice.len() == 1 { String::new() } else { format!(", and {} more are twice there", twice.len() - 1) };
        what.push(format!("workspace {first}{others}"));
    }
    if !none.is_empty() {
        let (word, verb) = if none.len() == 1 { ("workspace", "is") } else { ("workspaces", "are") };
        what.push(format!("{word} {} {verb} in none of the {shards} shards", some_names(none.iter())));
    }
    if what.is_empty() {
        return Ok(());
    }
    Err(Error::usage(
        what.join(", and "),
        "build all shards without names, or each with names of its own, which are together all workspaces of the lock",
    ))
}

/// Whether these are all shards of one build of this lock.
fn check_shards(lock: &Lock, shards: &[GivenShard]) -> Result<()> {
    let Some(first) = shards.first() else { return Err(Error::usage("no shard is given", "name all of them")) };
    let identity = lock.identity();
    for shard in shards {
        let record = &shard.record;
        if record.lock != identity {
            return Err(Error::usage(
                format!(
                    "`{}` is of another lock: its pins are {}, those of the lock {identity}",
                    shard.shown, record.lock
                ),
                "join with the lock that the shards were built from, or build them again",
            ));
        }
        if record.factory != env!("CARGO_PKG_VERSION") {
            return Err(Error::usage(
                format!("`{}` was built by factory {}", shard.shown, record.factory.escape_debug()),
                format!("build it with factory {}, or join with that one", env!("CARGO_PKG_VERSION")),
            ));
        }
        if record.shards != first.record.shards || !(1..=record.shards).contains(&record.shard) {
            let what = format!("is shard {}, and `{}` is shard {}", shard.shard(), first.shown, first.shard());
            return Err(Error::usage(format!("`{}` {what}", shard.shown), "join the shards of one build"));
        }
        if record.paths_in_references != first.record.paths_in_references {
            return Err(contradiction(shard, "it was built with another `--installer`"));
        }
        if record.config_from != first.record.config_from {
            return Err(contradiction(shard, "it was built with another `--config-from`"));
        }
        if let Some(other) = shards.iter().find(|other| other.shard() == shard.shard())
            && !std::ptr::eq(other, shard)
        {
            return Err(Error::usage(
                format!("shard {} is given twice: `{}` and `{}`", shard.shard(), other.shown, shard.shown),
                "name each shard once",
            ));
        }
    }
    isolation(shards)?;
    check_missing(first.record.shards, shards)
}

fn check_missing(count: usize, shards: &[GivenShard]) -> Result<()> {
    if shards.len() == count {
        return Ok(());
    }
    let is_there = |number: &usize| shards.iter().any(|shard| shard.record.shard == *number);
    // As many as there can be: the number is another's.
    let missing: Vec<Shard> =
        (1..=count).filter(|number| !is_there(number)).take(6).map(|number| Shard { number, count }).collect();
    let word = if count - shards.len() == 1 { "shard" } else { "shards" };
    Err(Error::usage(
        format!("{word} {} missing: {} of {count} given", some_names(missing.iter()), shards.len()),
        "build it with `factory build --shard`, and name all shards",
    ))
}

/// What kept the builds apart from their machines: the weakest of it. Digests without namespaces depend on paths, so they
/// are not mixed with others.
pub(super) fn isolation(shards: &[GivenShard]) -> Result<&str> {
    let of = |shard: &'_ GivenShard| shard.record.isolation.clone();
    if let Some(other) = shards.iter().find(|shard| (of(shard) == "none") != (of(&shards[0]) == "none")) {
        let what = format!(
            "it was built with isolation `{}`, and `{}` with `{}`",
            of(other).escape_debug(),
            shards[0].shown,
            of(&shards[0]).escape_debug()
        );
        return Err(contradiction(other, &what));
    }
    let weakest = ["none", "user-namespaces"].into_iter().find(|kind| shards.iter().any(|shard| of(shard) == *kind));
    Ok(weakest.unwrap_or("namespaces"))
}

/// The error of a shard that does not fit the lock or another shard.
pub(super) fn contradiction(shard: &GivenShard, what: &str) -> Error {
    Error::build(
        format!("`{}` contradicts the lock or another shard: {what}", shard.shown),
        "build all shards again from one commit, with the same options",
    )
}
