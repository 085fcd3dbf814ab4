//! The shards of several machines → what one machine would have left: seals, outputs, `build-report.json` and
//! `dynamic-plugins.yaml`. Whoever can write a shard's folder is believed about nothing but what was built there: what the
//! files name is looked for below them alone, and held to its digests.

mod files;
mod given;
mod parts;

use std::collections::BTreeMap;
use std::path::Path;

use yaml_serde::Value;

pub use given::GivenShard;

use super::new_seals::{FoundCompanions, FoundSeal, SealedLock};
use super::packages::unpinned::Unpinned;
use super::read_sources::ReadSources;
use super::report::{self, Output, PluginReport, Report, WorkspaceReport};
use super::results;
use super::shard::{ShardPlugin, ShardSeal, ShardWorkspace};
use crate::error::{Error, Result, exit_code};
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, Plugin, Sealed, Workspace, input_digest};
use crate::store::discard_unfinished;
use files::{PartFiles, companion};
use parts::{Part, contradiction};

/// What the shards are joined to.
pub struct JoinedBuild {
    /// The lock with the seals of all, for the caller to write.
    pub sealed: SealedLock,
    /// What was built, as `build-report.json` has it.
    pub report: Report,
    /// The exit code of a machine that had built it all.
    pub exit_code: u8,
}

/// Joins the shards of a build of `lock`. What lies beside the lock is written to `lock_dir`, outputs and results to
/// `output_dir`. All that can be checked is, before anything is written.
pub fn join(lock: &Lock, lock_dir: &Path, output_dir: &Path, shards: &[GivenShard]) -> Result<JoinedBuild> {
    let parts = parts::of(lock, shards)?;
    for part in &parts {
        check(part)?;
    }
    check_images(&parts)?;
    let mut sealed = SealedLock::of(lock.clone());
    for part in &parts {
        seal(part, lock_dir, &mut sealed)?;
    }
    discard_unfinished(output_dir);
    let mut entries = Vec::new();
    for part in &parts {
        let outputs = PartFiles { part, output_dir };
        for (plugin, output, shard) in built(part) {
            let now = &sealed.lock.workspace[part.index];
            let now = now.plugin.iter().find(|now| now.path == plugin.path).unwrap_or(plugin);
            if input_digest::digest(lock, part.locked, now, output.closure) != output.inputs {
                let what = format!("{} of {} was built from other inputs", plugin.path, part.locked.name);
                return Err(contradiction(part.from, &what));
            }
            outputs.lay_down(plugin, output)?;
            let config = shard.config.as_deref().and_then(|config| yaml_serde::from_str::<Value>(config).ok());
            entries.push(results::entry(output, part.from.record.paths_in_references, config));
        }
        outputs.copy_logs()?;
    }
    let report = Report {
        version: report::VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: lock.identity(),
        isolation: parts::isolation(shards)?.into(),
        workspaces: parts.iter().map(|part| part.built.report.clone()).collect(),
        left_behind: vec![],
        warnings: results::warnings(shards.iter().flat_map(|shard| shard.record.warnings.clone()).collect()),
    };
    results::lay_down(output_dir, &report, &entries)?;
    let mut codes: Vec<u8> = shards.iter().map(|shard| shard.record.exit_code).filter(|code| *code != 0).collect();
    codes.dedup();
    let exit_code = match codes[..] {
        [] => exit_code::OK,
        [code] => code,
        _ => exit_code::FAILED,
    };
    Ok(JoinedBuild { sealed, report, exit_code })
}

/// The plugins that were built, each with what was made of it and what its shard has of it.
fn built<'a>(part: &'a Part<'_>) -> impl Iterator<Item = (&'a Plugin, &'a Output, &'a ShardPlugin)> {
    let of = |plugin: &'a Plugin| {
        let output = part.built.report.output_of(&plugin.path)?;
        Some((plugin, output, of_plugin(part.built, &plugin.path)?))
    };
    part.locked.plugin.iter().filter_map(of)
}

fn of_plugin<'a>(built: &'a ShardWorkspace, path: &str) -> Option<&'a ShardPlugin> {
    built.plugins.iter().find(|plugin| plugin.path == path)
}

/// What a shard says of a workspace fits the lock, and itself.
fn check(part: &Part<'_>) -> Result<()> {
    let Part { locked, built, from, .. } = part;
    let report: &WorkspaceReport = &built.report;
    let wrong = |what: String| Err(contradiction(from, &format!("workspace `{}`: {what}", locked.name)));
    if report.earlier || report.plugins.iter().any(|plugin| plugin.earlier) {
        return wrong("it has what an earlier build left".into());
    }
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
    let Some(ShardSeal { sealed, .. }) = &shard.seal else { return Ok(()) };
    let digests = |sealed: &Sealed| (sealed.tgz, sealed.image, sealed.layer, sealed.closure);
    if digests(sealed) != (output.integrity, output.digest, output.layer, output.closure) {
        return Err("a plugin is sealed with other digests than its outputs have");
    }
    match &plugin.sealed {
        Some(known) if digests(known) != digests(sealed) => Err("a plugin has other digests than the lock has sealed"),
        _ => Ok(()),
    }
}

/// No two plugins of different workspaces have images of the same name and tag, which one machine refuses as well.
fn check_images(parts: &[Part<'_>]) -> Result<()> {
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

/// Seals what is not sealed yet, with what lies beside the shard.
fn seal(part: &Part<'_>, lock_dir: &Path, into: &mut SealedLock) -> Result<()> {
    let name = &part.locked.name;
    for (place, plugin) in part.locked.plugin.iter().enumerate() {
        let Some(seal) = of_plugin(part.built, &plugin.path).and_then(|shard| shard.seal.as_ref()) else { continue };
        if plugin.sealed.is_some() {
            continue;
        }
        let read = |path: CompanionPath, digest| companion(part, &path, digest);
        let closure = seal.sealed.closure.map(|digest| read(CompanionPath::closure(name, &plugin.path), digest));
        let closure = closure.transpose()?;
        let files = read(CompanionPath::files(name, &plugin.path), seal.files)?;
        let sources = seal.read.clone().map(|read| ReadSources { reads: read.reads, sources: read.sources });
        let found = FoundSeal {
            sealed: &seal.sealed,
            stamp: seal.stamp.as_ref(),
            read: sources.as_ref(),
            companions: FoundCompanions { closure: closure.as_deref(), files: &files },
        };
        into.seal_plugin(lock_dir, (part.index, place), &found)?;
    }
    let Some(digest) = part.built.packages else { return Ok(()) };
    let used = Unpinned::parse(&companion(part, &CompanionPath::packages(name), digest)?);
    Unpinned::sealed(lock_dir, part.locked)?.check_sealed(&used, name, lock_dir, false)?;
    into.seal_packages(lock_dir, part.index, used)
}

/// A workspace as one is built alone: its name in the lock.
pub(super) fn label(workspace: &Workspace) -> String {
    format!("workspace `{}`", workspace.name)
}

/// The error of a shard's file or folder that is not as it says.
pub(super) fn damaged(shown: &str, what: &str) -> Error {
    Error::build(format!("`{shown}` {what}"), "copy the shard's output directory again, or build the shard again")
}
