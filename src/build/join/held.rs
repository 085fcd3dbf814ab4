//! What shards say, held to the lock, to each other and to themselves, before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::artefact::stamp;
use super::super::report::{PluginReport, WorkspaceReport};
use super::super::shard::ShardPlugin;
use super::parts::{Part, contradiction};
use super::{built, files, of_plugin};
use crate::error::{Error, Result, exit_code};
use crate::lock::{Lock, Plugin, Sealed, Sha256, input_digest};

/// All of it.
pub(super) fn all(lock: &Lock, parts: &[Part<'_>]) -> Result<()> {
    for part in parts {
        check(part)?;
    }
    images(parts)?;
    registries(parts)?;
    seals(lock, parts)
}

/// What a shard says of a workspace fits the lock, and itself.
fn check(part: &Part<'_>) -> Result<()> {
    let Part { locked, built, from, .. } = part;
    let report: &WorkspaceReport = &built.report;
    let wrong = |what: String| Err(contradiction(from, &format!("workspace `{}`: {what}", locked.name)));
    if report.earlier || report.plugins.iter().any(|plugin| plugin.earlier) {
        return wrong("it has what an earlier build left".into());
    }
    let failed =
        |report: &WorkspaceReport| report.error.is_some() || report.plugins.iter().any(|one| one.error.is_some());
    if failed(report) && from.record.exit_code == exit_code::OK {
        return wrong("it has what failed, and the exit code of a success".into());
    }
    if from.record.exit_code != exit_code::OK && !from.record.workspaces.iter().any(|one| failed(&one.report)) {
        return Err(contradiction(from, "it has the exit code of a failure, and nothing that failed"));
    }
    let mut archives = BTreeSet::new();
    let mut rows = report.plugins.iter();
    for plugin in &locked.plugin {
        let Some(row) = rows.as_slice().first().filter(|row| row.path == plugin.path) else {
            if report.error.is_some() {
                continue;
            }
            return wrong(format!("`{}` was not built", plugin.path));
        };
        rows.next();
        check_row(row, plugin, of_plugin(built, &plugin.path)).or_else(|what| wrong(what.to_owned()))?;
        if let Some(output) = &row.output {
            files::check_names(locked, plugin, output).or_else(wrong)?;
            if !archives.insert(&output.tgz) {
                return wrong(format!("two plugins have the archive `{}`", output.tgz.escape_debug()));
            }
        }
    }
    match rows.next() {
        Some(row) => wrong(format!("`{}` is not in the lock, or stands twice", row.path.escape_debug())),
        None => Ok(()),
    }
}

/// What it says of a plugin; an error is what is wrong.
fn check_row(row: &PluginReport, plugin: &Plugin, shard: Option<&ShardPlugin>) -> Result<(), &'static str> {
    if (&row.name, &row.version, row.role) != (&plugin.name, &plugin.version, plugin.role) {
        return Err("a plugin has another name, version or role than in the lock");
    }
    let (Some(output), Some(shard)) = (&row.output, shard) else {
        let is_one = row.output.is_none() && shard.is_none() && row.error.is_some();
        return if is_one { Ok(()) } else { Err("a plugin neither failed nor has outputs and a seal") };
    };
    let seal = shard.seal.as_ref().map(|seal| &seal.sealed);
    let digests = |sealed: &Sealed| (sealed.tgz, sealed.image, sealed.layer, sealed.closure);
    if seal.is_some_and(|sealed| digests(sealed) != (output.integrity, output.digest, output.layer, output.closure)) {
        return Err("a plugin is sealed with other digests than its outputs have");
    }
    let config = shard.config.as_ref().map(Sha256::of);
    let Some(known) = &plugin.sealed else {
        let is_own = seal.is_none_or(|sealed| sealed.config == config);
        return if is_own { Ok(()) } else { Err("a plugin is sealed with another configuration than it has") };
    };
    // Images of another compression or builder are other ones, and have no seal.
    let is_same = match seal {
        Some(sealed) => digests(known) == digests(sealed),
        None => (known.tgz, known.closure) == (output.integrity, output.closure),
    };
    if !is_same {
        return Err("a plugin has other digests than the lock has sealed");
    }
    // Seals of earlier versions do not say these.
    let bundle = seal.and_then(|sealed| sealed.bundle);
    if known.bundle.is_some() && bundle.is_some() && known.bundle != bundle {
        return Err("a plugin has other packages in its bundles than the lock has sealed");
    }
    if known.config.is_some() && known.config != config {
        return Err("a plugin has another configuration than the lock has sealed");
    }
    Ok(())
}

/// No two plugins of different workspaces have images of the same name and tag, which one machine refuses as well.
fn images(parts: &[Part<'_>]) -> Result<()> {
    let mut names = BTreeMap::new();
    for part in parts {
        for (_, output, _) in built(part) {
            if let Some(other) = names.insert(&output.image, part).filter(|other| other.index != part.index) {
                let what = format!(
                    "workspaces `{}` and `{}` both make the image `{}`",
                    other.locked.name,
                    part.locked.name,
                    output.image.escape_debug()
                );
                return Err(contradiction(part.from, &what));
            }
        }
    }
    Ok(())
}

/// All images were pushed to the same place, or none was.
fn registries(parts: &[Part<'_>]) -> Result<()> {
    let mut first = None;
    for part in parts {
        for row in &part.built.report.plugins {
            let Some(output) = &row.output else { continue };
            let place = output.pushed.as_deref().and_then(files::registry_of);
            if place.is_none() && row.error.is_some() {
                continue;
            }
            let first = *first.get_or_insert(place);
            if first != place {
                let [first, place] = [first, place].map(|place| place.unwrap_or("nowhere"));
                let what = format!(
                    "the image of `{}` of workspace `{}` was pushed to `{}`, and others to `{}`",
                    row.path,
                    part.locked.name,
                    place.escape_debug(),
                    first.escape_debug()
                );
                return Err(contradiction(part.from, &what));
            }
        }
    }
    Ok(())
}

/// What the lock gets is what belongs to its pins, and a lock that can be read again.
fn seals(lock: &Lock, parts: &[Part<'_>]) -> Result<()> {
    let mut sealed = lock.clone();
    for part in parts {
        let wrong = |what: String| Err(contradiction(part.from, &what));
        for (place, plugin) in part.locked.plugin.iter().enumerate() {
            let Some(output) = part.built.report.output_of(&plugin.path) else { continue };
            let seal = of_plugin(part.built, &plugin.path).and_then(|shard| shard.seal.as_ref());
            let now = &mut sealed.workspace[part.index].plugin[place];
            if let Some(seal) = seal.filter(|_| plugin.sealed.is_none()) {
                if seal.stamp != stamp(part.locked, plugin, output.layer, output.inputs) {
                    return wrong(format!("{} of {} has a stamp of something else", plugin.path, part.locked.name));
                }
                now.sealed = Some(seal.sealed.clone());
                now.stamp.clone_from(&seal.stamp);
                if let Some(read) = &seal.read {
                    now.reads.clone_from(&read.reads);
                    now.sources.clone_from(&read.sources);
                }
            }
            if input_digest::digest(lock, part.locked, now, output.closure) != output.inputs {
                return wrong(format!("{} of {} was built from other inputs", plugin.path, part.locked.name));
            }
        }
    }
    let read = Lock::from_text(&sealed.to_text(), Path::new("the lock with the seals of the shards"));
    read.map(drop).map_err(|error| Error::build(error.to_string(), "build all shards again from one commit"))
}
