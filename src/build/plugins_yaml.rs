//! `dynamic-plugins.yaml`: what a user pastes into RHDH's configuration.

use std::path::Path;

use serde::Serialize;
use serde_yaml::Value;

use crate::lock::Integrity;

/// Its name in the output directory.
pub const FILE_NAME: &str = "dynamic-plugins.yaml";

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// `oci://…@sha256:…!<path>` for a pushed image, `./<file>.tgz` for one that was not pushed.
    pub package: String,
    /// Of the `.tgz`; an image carries its own digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// Ready to use.
    pub disabled: bool,
    /// The plugin's configuration, when it brings one.
    #[serde(rename = "pluginConfig", skip_serializing_if = "Option::is_none")]
    pub plugin_config: Option<Value>,
}

/// Files of a plugin's source that carry its configuration, in the order in which the CLI's packager looks for them.
pub const CONFIG_FILES: [&str; 3] =
    ["app-config.janus-idp.yaml", "app-config.backstage-community.yaml", "app-config.yaml"];

/// The plugin's own configuration in its source folder, when it has one that is a map.
pub fn own_config(folder: &Path) -> Option<Value> {
    CONFIG_FILES.iter().find_map(|name| {
        let bytes = std::fs::read(folder.join(name)).ok()?;
        serde_yaml::from_slice(&bytes).ok().filter(Value::is_mapping)
    })
}

/// The text of the file.
///
/// # Panics
/// Never: entries are plain data.
pub fn render(entries: &[Entry]) -> String {
    #[derive(Serialize)]
    struct File<'a> {
        plugins: &'a [Entry],
    }
    let list = serde_yaml::to_string(&File { plugins: entries }).expect("entries are plain data");
    format!("# Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.\n{list}")
}
