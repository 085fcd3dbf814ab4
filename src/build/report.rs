//! `build-report.json`: what a build made, how long it took, and what failed. Facts only: no host name, no path of
//! the user's, no secret.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Place, Result};
use crate::lock::{Integrity, Role, Sha256};
use crate::user_file;

/// The report's format. In the first one `layer` was what is `layer-blob` now, and `diff-id` what is `layer`.
pub const VERSION: u32 = 2;
/// Its name in the output directory.
pub const FILE_NAME: &str = "build-report.json";

/// What a build made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Report {
    /// Format version.
    pub version: u32,
    /// The factory that built.
    pub factory: String,
    /// Digest of the lock's pins: the identity of the release.
    pub lock: Sha256,
    /// What kept the build apart from the machine: `namespaces`, `user-namespaces` or `none`.
    pub isolation: String,
    /// One per workspace, in the order of the lock.
    pub workspaces: Vec<WorkspaceReport>,
    /// Archives that earlier builds left and no plugin of this report has, relative to the output directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<String>,
    /// Warnings of the run.
    pub warnings: Vec<String>,
}

/// One workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkspaceReport {
    /// Its name.
    pub name: String,
    /// Whether it was not built in this run, and its files are those of an earlier one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
    /// Why the workspace failed as a whole, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its log, relative to the output directory; none when nothing was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Which packages' install scripts ran.
    #[serde(default, skip_serializing_if = "InstallScripts::is_empty")]
    pub install_scripts: InstallScripts,
    /// Seconds per phase.
    pub seconds: BTreeMap<String, f64>,
    /// Its plugins.
    pub plugins: Vec<PluginReport>,
}

impl WorkspaceReport {
    /// What was made of the plugin in that folder.
    pub(super) fn output_of(&self, path: &str) -> Option<&Output> {
        self.plugins.iter().find(|plugin| plugin.path == path)?.output.as_ref()
    }
}

/// Packages with install scripts, as far as yarn tells: its classic line says nothing of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InstallScripts {
    /// They ran: third-party code on the building machine, inside the build root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<String>,
    /// They did not, since scripts are turned off by `--no-install-scripts` or by the workspace itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turned_off: Vec<String>,
}

impl InstallScripts {
    /// Reads what `yarn install` said: YN0007 "must be built because …", YN0004 "lists build scripts, but all build
    /// scripts have been disabled", YN0005 "lists build scripts, but its build has been explicitly disabled".
    pub fn of_yarn(said: &str) -> Self {
        let mut scripts = Self::default();
        for line in said.lines() {
            let Some((code, rest)) = line.split_once("YN").and_then(|(_, rest)| rest.split_once(": ")) else {
                continue;
            };
            let list = match code {
                "0007" => &mut scripts.ran,
                "0004" | "0005" => &mut scripts.turned_off,
                _ => continue,
            };
            let rest = rest.trim_start_matches(['│', '├', '└', '┌', '─', ' ']);
            let package = rest.split(' ').next().unwrap_or_default();
            if package.contains('@') {
                list.push(package.to_owned());
            }
        }
        for list in [&mut scripts.ran, &mut scripts.turned_off] {
            list.sort_unstable();
            list.dedup();
        }
        scripts
    }

    /// Whether yarn named none.
    pub fn is_empty(&self) -> bool {
        self.ran.is_empty() && self.turned_off.is_empty()
    }
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PluginReport {
    /// Its folder from the workspace.
    pub path: String,
    /// The source package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its role.
    pub role: Role,
    /// Whether it was not built in this run though others of its workspace were, and its files are those of an earlier
    /// one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
    /// What was made of it, if it did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Arguments that rhdh-cli was not given, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What the checks of its package warned of, each with the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether it was taken from the cache, as the lock has sealed it, and not built in this run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Its log, relative to the output directory; none when nothing was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Seconds per phase.
    pub seconds: BTreeMap<String, f64>,
}

/// What was made of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// The `.tgz`, relative to the output directory.
    pub tgz: String,
    /// Its integrity.
    pub integrity: Integrity,
    /// Bytes of the `.tgz`.
    pub tgz_bytes: u64,
    /// The image's name and tag.
    pub image: String,
    /// The folder in which the image installs.
    pub image_path: String,
    /// The image's manifest.
    pub digest: Sha256,
    /// The image's uncompressed layer, as the lock has it: the content.
    pub layer: Sha256,
    /// The compressed layer, as it lies in the OCI layout and in registries.
    pub layer_blob: Sha256,
    /// Files in the package.
    pub files: usize,
    /// The closure of a backend's private dependencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<Sha256>,
    /// The digest of all inputs.
    pub inputs: Sha256,
    /// Where it was pushed, as a digest reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// What is attached to the pushed image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<AttachedDocument>,
}

/// A document that is attached to a pushed image: an OCI referrer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AttachedDocument {
    /// What it is: `application/vnd.cyclonedx+json`, `application/spdx+json` or `application/vnd.in-toto+json`.
    pub artifact_type: String,
    /// Its manifest, in the image's repository.
    pub digest: Sha256,
}

impl Report {
    /// Reads a file; `hint` is what to do with one that is no report.
    pub fn read(path: &Path, hint: &str) -> Result<Self> {
        let bytes = user_file::read(path, user_file::DOCUMENT).map_err(Error::io("read", path))?;
        Self::from_json(&bytes)
            .map_err(|error| Error::config(Place::at(path, error.line(), error.column()), error.to_string(), hint))
    }

    /// Reads a report of this format or of the first one.
    pub fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut report: serde_json::Value = serde_json::from_slice(bytes)?;
        if report.get("version").and_then(serde_json::Value::as_u64) != Some(1) {
            // From the text, so that an error has its line.
            return serde_json::from_slice(bytes);
        }
        rename_layers(&mut report);
        serde_json::from_value(report)
    }

    /// The text of the file.
    ///
    /// # Panics
    /// Never: all fields have a JSON form.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report is plain data");
        text.push('\n');
        text
    }
}

/// Gives the layers of the first format the names they have now.
fn rename_layers(report: &mut serde_json::Value) {
    let list = |of: &mut serde_json::Value, name: &str| {
        of.get_mut(name).and_then(serde_json::Value::as_array_mut).map(std::mem::take).unwrap_or_default()
    };
    let mut workspaces = list(report, "workspaces");
    for workspace in &mut workspaces {
        let mut plugins = list(workspace, "plugins");
        for plugin in &mut plugins {
            let Some(output) = plugin.get_mut("output").and_then(serde_json::Value::as_object_mut) else { continue };
            if let (Some(blob), Some(layer)) = (output.remove("layer"), output.remove("diff-id")) {
                output.insert("layer".into(), layer);
                output.insert("layer-blob".into(), blob);
            }
        }
        workspace["plugins"] = plugins.into();
    }
    report["workspaces"] = workspaces.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yarn_says_whose_scripts_run() {
        let said = "➤ YN0000: ┌ Link step\n➤ YN0007: │ protobufjs@npm:7.4.0 must be built because it never has been before or the last one failed\n➤ YN0007: │ @swc/core@npm:1.2.3 [0a1b2] must be built because it never has been before\n➤ YN0004: │ esbuild@npm:0.2.1 lists build scripts, but all build scripts have been disabled.\n➤ YN0000: └ Completed\n";
        let scripts = InstallScripts::of_yarn(said);
        assert_eq!(scripts.ran, ["@swc/core@npm:1.2.3", "protobufjs@npm:7.4.0"]);
        assert_eq!(scripts.turned_off, ["esbuild@npm:0.2.1"]);
        assert!(InstallScripts::of_yarn("YN0000: done\nnothing YN\n").is_empty());
    }
}
