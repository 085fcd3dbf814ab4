//! `dynamic-plugins.yaml`: what a user pastes into RHDH's configuration.

use std::path::Path;

use serde::Serialize;
use serde_yaml::Value;

use crate::lock::Integrity;

/// Its name in the output directory.
pub const FILE_NAME: &str = "dynamic-plugins.yaml";

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DynamicPlugin {
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

/// The text of the file. It names the plugins that are not in it, since they could not be built.
///
/// # Panics
/// Never: entries are plain data.
pub fn render(entries: &[DynamicPlugin], failed: &[String]) -> String {
    #[derive(Serialize)]
    struct PluginsYaml<'a> {
        plugins: &'a [DynamicPlugin],
    }
    let list = serde_yaml::to_string(&PluginsYaml { plugins: entries }).expect("entries are plain data");
    let failed: String = failed
        .iter()
        .fold(String::new(), |text, plugin| text + "# Not in this list, since it failed: " + plugin + "\n");
    format!(
        "# Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.\n{failed}{list}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_named_above_the_list() {
        let entry = DynamicPlugin { package: "./a.tgz".into(), integrity: None, disabled: false, plugin_config: None };
        let head = "# Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.\n";
        let list = "plugins:\n- package: ./a.tgz\n  disabled: false\n";
        assert_eq!(render(std::slice::from_ref(&entry), &[]), format!("{head}{list}"));
        let failed = ["`plugins/b` of workspace `todo`".to_owned()];
        let note = "# Not in this list, since it failed: `plugins/b` of workspace `todo`\n";
        assert_eq!(render(&[entry], &failed), format!("{head}{note}{list}"));
    }
}
