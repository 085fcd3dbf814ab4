//! `shard-<n>.json`: what one machine of several built, for `factory join`. What it has of seals lies beside it, in
//! `shard-<n>/factory.lock.d`; the lock stays as it was.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::artefact::Artefact;
use super::context::Shared;
use super::new_seals::is_sealed_here;
use super::plugins_yaml::ConfigSource;
use super::read_sources::ReadSources;
use super::report::WorkspaceReport;
use super::results;
use super::workspace::BuiltWorkspace;
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::lock::{Sealed, Sha256, Shard, Stamp, Workspace};
use crate::store::{file_beneath, stays_beneath};

/// The format of the file.
pub const VERSION: u32 = 1;

/// What one machine of several built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShardRecord {
    /// Format version.
    pub version: u32,
    /// The factory that built.
    pub factory: String,
    /// Digest of the pins of the lock that it was built from: the identity of the release.
    pub lock: Sha256,
    /// The number of the shard, from 1.
    pub shard: usize,
    /// How many shards there are.
    pub shards: usize,
    /// What kept the build apart from the machine: `namespaces`, `user-namespaces` or `none`.
    pub isolation: String,
    /// Whether `dynamic-plugins.yaml` names the plugin's folder behind each image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paths_in_references: bool,
    /// Where `dynamic-plugins.yaml` takes the configuration of plugins from that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_from: Option<ConfigSource>,
    /// The exit code of the build.
    pub exit_code: u8,
    /// The workspaces of this shard, in the order of the lock.
    pub workspaces: Vec<ShardWorkspace>,
    /// Warnings of the run.
    pub warnings: Vec<String>,
}

/// A workspace that was built as a part of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShardWorkspace {
    /// What `build-report.json` has of it.
    pub report: WorkspaceReport,
    /// Digest of the `packages.sha512` beside this file: the packages without a checksum that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Sha256>,
    /// What the lock and `dynamic-plugins.yaml` get of the plugins that were built, in the order of the lock.
    pub plugins: Vec<ShardPlugin>,
}

/// A plugin that was built as a part of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShardPlugin {
    /// Its folder from the workspace.
    pub path: String,
    /// The plugin's own configuration in RHDH, as YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The tag of its image.
    pub tag: String,
    /// What the lock gets; none of what is never sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<ShardSeal>,
}

/// What a lock gets of a plugin that is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShardSeal {
    /// Its seal.
    pub sealed: Sealed,
    /// What its image says of where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// What its export read besides its sources, and its sources with that; none where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadSources>,
    /// Digest of the list of its files beside this file.
    pub files: Sha256,
}

/// The name of the file of a shard.
pub fn file_name(number: usize) -> String {
    format!("shard-{number}.json")
}

/// The folder beside it in which what lies beside a lock is.
pub(super) fn folder_name(number: usize) -> String {
    format!("shard-{number}")
}

/// Writes the file of a shard, and what lies beside it. `exit_code` is that of the build.
pub fn write(shared: &Shared, part: Shard, built: &[BuiltWorkspace], exit_code: u8) -> Result<()> {
    let output_dir = &shared.options.output_dir;
    let folder = output_dir.join(folder_name(part.number));
    stays_beneath(output_dir, &folder)?;
    let locked = shared.lock.workspace.iter();
    let of_workspace = |locked: &Workspace| {
        let built = built.iter().find(|built| built.name == locked.name)?;
        Some(workspace(shared, &folder, locked, built))
    };
    let record = ShardRecord {
        version: VERSION,
        factory: env!("CARGO_PKG_VERSION").into(),
        lock: shared.lock.identity(),
        shard: part.number,
        shards: part.count,
        isolation: shared.options.isolation.as_str().into(),
        paths_in_references: shared.options.paths_in_references,
        config_from: shared.options.config_from,
        exit_code,
        workspaces: locked.filter_map(of_workspace).collect::<Result<_>>()?,
        warnings: results::warnings(shared.ui.warnings()),
    };
    file_beneath(output_dir, &path(output_dir, part.number), record.to_json().as_bytes())
}

fn path(folder: &Path, number: usize) -> PathBuf {
    folder.join(file_name(number))
}

fn workspace(shared: &Shared, folder: &Path, locked: &Workspace, built: &BuiltWorkspace) -> Result<ShardWorkspace> {
    let is_sealed = is_sealed_here(shared, locked);
    let output_dir = &shared.options.output_dir;
    let mut made: Vec<(usize, &Artefact)> = built.made().collect();
    made.sort_by_key(|(place, _)| *place);
    let plugins = made.into_iter().map(|(place, artefact)| {
        let path = &locked.plugin[place].path;
        let seal = is_sealed.then(|| {
            let files = artefact.files.to_text();
            let found = artefact.found(&files);
            for (path, text) in found.companions.placed(&locked.name, path) {
                file_beneath(folder, &path.below(folder), text.as_bytes())?;
            }
            let (sealed, stamp, read) = (found.sealed.clone(), found.stamp.cloned(), found.read.cloned());
            Ok(ShardSeal { sealed, stamp, read, files: Sha256::of(&files) })
        });
        let config = artefact.record.config.clone();
        let tag = artefact.image.tag.to_string();
        Ok(ShardPlugin { path: path.clone(), config, tag, seal: seal.transpose()? })
    });
    let plugins = plugins.collect::<Result<_>>()?;
    let used = built.unpinned.to_text();
    let packages = is_sealed && !used.is_empty();
    if packages {
        let path = CompanionPath::packages(&locked.name).below(folder);
        file_beneath(output_dir, &path, used.as_bytes())?;
    }
    let packages = packages.then(|| Sha256::of(&used));
    Ok(ShardWorkspace { report: built.report.clone(), packages, plugins })
}

impl ShardRecord {
    /// The text of the file.
    ///
    /// # Panics
    /// Never: all fields have a JSON form.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a shard is plain data");
        text.push('\n');
        text
    }
}
