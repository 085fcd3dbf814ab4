//! The shards of several machines → what one machine would have left: seals, outputs, `build-report.json` and
//! `dynamic-plugins.yaml`. Whoever can write a shard's folder is believed about nothing but what was built there: what the
//! files name is looked for below them alone, and held to its digests.

mod checked;
mod files;
mod given;
mod held;
mod parts;

use std::path::Path;

pub use given::GivenShard;

use super::context::output_folder;
use super::earlier;
use super::new_seals::{FoundCompanions, FoundSeal, SealedLock};
use super::packages::unpinned::Unpinned;
use super::plugins_yaml::{ConfigFiller, ExampleMessages};
use super::report::{self, Output, Report};
use super::results;
use super::shard::{ShardPlugin, ShardWorkspace};
use super::workspace::clear_outputs;
use crate::error::{Error, Result, exit_code};
use crate::interrupt::Interrupt;
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, Plugin, Workspace};
use crate::store::discard_unfinished;
use files::{PartFiles, companion};
use parts::Part;

/// What the shards are joined to.
pub struct JoinedBuild {
    /// The lock with the seals of all, for the caller to write.
    pub sealed: SealedLock,
    /// What was built, as `build-report.json` has it.
    pub report: Report,
    /// The images that were pushed, by their tags.
    pub published: Vec<String>,
    /// The archives of earlier builds in the output directory, of what the lock no longer has, that were not named yet.
    pub old: Vec<String>,
    /// What there is to say of examples of configurations.
    pub examples: ExampleMessages,
    /// The exit code of a machine that had built it all.
    pub exit_code: u8,
}

/// Where a join reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct JoinFolders<'a> {
    /// The folder of the lock.
    pub lock: &'a Path,
    /// The configuration directory, for examples of configurations.
    pub config: &'a Path,
    /// The output directory.
    pub output: &'a Path,
}

/// Joins the shards of a build of `lock`. Outputs and results are written to the output directory; the lock and what lies
/// beside it are for the caller to write, last. All is checked before anything is written.
pub fn join(
    lock: &Lock,
    folders: JoinFolders<'_>,
    shards: &[GivenShard],
    interrupt: &Interrupt,
) -> Result<JoinedBuild> {
    let output_dir = folders.output;
    let parts = parts::of(lock, shards)?;
    held::all(lock, &parts)?;
    checked::all(&parts, output_dir, interrupt.flag())?;
    let mut sealed = SealedLock::of(lock.clone());
    for part in &parts {
        seal(part, folders.lock, &mut sealed)?;
    }
    for part in &parts {
        clear_outputs(output_dir, &output_folder(output_dir, part.locked))?;
    }
    discard_unfinished(output_dir);
    let (before, named) = earlier::archives_before(output_dir);
    let (mut entries, mut published) = (Vec::new(), Vec::new());
    let config_from = shards.first().and_then(|shard| shard.record.config_from);
    let mut filler = ConfigFiller::new(config_from, folders.config);
    for part in &parts {
        let outputs = PartFiles { part, output_dir };
        for (plugin, output, shard) in built(part) {
            interrupt.check()?;
            outputs.lay_down(output)?;
            let repository = output.pushed.as_ref().and_then(|pinned| pinned.split_once('@'));
            published.extend(repository.map(|(repository, _)| format!("{repository}:{}", shard.tag)));
            let config = filler.fill(part.locked, plugin, outputs.config(plugin, output, shard)?);
            entries.push(results::entry(output, part.from.record.paths_in_references, config));
        }
        outputs.copy_logs()?;
    }
    let workspaces: Vec<_> = parts.iter().map(|part| part.built.report.clone()).collect();
    let report = Report {
        version: report::VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: lock.identity(),
        isolation: parts::isolation(shards)?.into(),
        left_behind: earlier::still_there(&before, output_dir, &workspaces),
        workspaces,
        warnings: results::warnings(shards.iter().flat_map(|shard| shard.record.warnings.clone()).collect()),
    };
    interrupt.check()?;
    results::lay_down(output_dir, &report, &entries)?;
    let codes = || shards.iter().map(|shard| shard.record.exit_code).filter(|code| *code != exit_code::OK);
    let exit_code = if codes().next().is_none() { exit_code::OK } else { exit_code::shared(codes()) };
    let mut old = results::no_longer_locked(lock, &report.left_behind);
    old.retain(|archive| !named.contains(archive));
    Ok(JoinedBuild { sealed, report, published, old, examples: filler.messages(), exit_code })
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
        let bundle = seal.sealed.bundle.map(|digest| read(CompanionPath::bundle(name, &plugin.path), digest));
        let bundle = bundle.transpose()?;
        let files = read(CompanionPath::files(name, &plugin.path), seal.files)?;
        let found = FoundSeal {
            sealed: &seal.sealed,
            stamp: seal.stamp.as_ref(),
            read: seal.read.as_ref(),
            companions: FoundCompanions { closure: closure.as_deref(), bundle: bundle.as_deref(), files: &files },
        };
        into.seal_plugin((part.index, place), &found);
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
