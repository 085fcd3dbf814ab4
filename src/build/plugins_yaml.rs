//! `dynamic-plugins.yaml`: what a user pastes into RHDH's configuration.

use std::path::Path;

use serde::Serialize;
use yaml_serde::Value;

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
        yaml_serde::from_slice(&bytes).ok().filter(Value::is_mapping)
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
    let list = yaml_serde::to_string(&PluginsYaml { plugins: entries }).expect("entries are plain data");
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

    #[test]
    fn a_configuration_keeps_its_order_texts_and_types() {
        let config = "b: true\nt: 'true'\non: 'on'\nn: '5'\nf: 1.50\nnull: ~\ne: ''\ncolon: 'a: b'\nport: ':80'\n\
                      at: '@x'\nm: {}\nl: []\nlines: \"a\\nb\\n\"\nlong: '${VERY} LONG TEXT, LONGER THAN EIGHTY CHARACTERS, \
                      WHICH IS NOT FOLDED INTO SEVERAL LINES'\nlist:\n  - [1, [x]]\n  - k: v\n    w: é\n1: one\n";
        let config = yaml_serde::from_str(config).unwrap();
        let entry = DynamicPlugin {
            package: "oci://h/a@sha256:0!a".into(),
            integrity: None,
            disabled: true,
            plugin_config: Some(config),
        };
        let text = render(&[entry], &[]);
        insta::assert_snapshot!(text.split_once('\n').unwrap().1, @r"
        plugins:
        - package: oci://h/a@sha256:0!a
          disabled: true
          pluginConfig:
            b: true
            t: 'true'
            on: on
            n: '5'
            f: 1.5
            null: null
            e: ''
            colon: 'a: b'
            port: :80
            at: '@x'
            m: {}
            l: []
            lines: |
              a
              b
            long: ${VERY} LONG TEXT, LONGER THAN EIGHTY CHARACTERS, WHICH IS NOT FOLDED INTO SEVERAL LINES
            list:
            - - 1
              - - x
            - k: v
              w: é
            1: one
        ");
    }
}
