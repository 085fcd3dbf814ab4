//! `dynamic-plugins.yaml`: what a user pastes into RHDH's configuration.

mod block;
mod examples;

use std::path::Path;

use yaml_serde::{Mapping, Value};

use crate::error::Result;
use crate::lock::{Input, Integrity, Plugin, Workspace};
use crate::overlay;
use crate::store::UntrustedTree;

pub(super) use examples::ConfigFiller;
pub use examples::{ConfigSource, ExampleMessages};

/// Its name in the output directory.
pub const FILE_NAME: &str = "dynamic-plugins.yaml";

/// One entry of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicPlugin {
    /// `oci://…@sha256:…` for a pushed image, `./<file>.tgz` for one that was not pushed.
    pub package: String,
    /// Of the `.tgz`; an image carries its own digest.
    pub integrity: Option<Integrity>,
    /// The plugin's configuration, when it brings one.
    pub plugin_config: Option<Value>,
}

/// Files of a plugin's source that carry its configuration, in the order in which the CLI's packager looks for them.
pub const CONFIG_FILES: [&str; 3] =
    ["app-config.janus-idp.yaml", "app-config.backstage-community.yaml", "app-config.yaml"];

/// The `package` of a pushed image, with the plugin's folder behind it if that is given.
pub fn image_package(pinned: &str, path: Option<&str>) -> String {
    path.map_or_else(|| format!("oci://{pinned}"), |path| format!("oci://{pinned}!{path}"))
}

/// The largest configuration of a plugin that is read, in bytes.
const LARGEST_CONFIG: u64 = 1 << 20;

/// The plugin's own configuration in its source folder, when it has one that is a map.
pub fn own_config(tree: &UntrustedTree, folder: &Path) -> Result<Option<Value>> {
    for name in CONFIG_FILES {
        let bytes = tree.find_linked(&folder.join(name), LARGEST_CONFIG)?;
        if let Some(map) = bytes.and_then(|bytes| config_map(&bytes)) {
            return Ok(Some(map));
        }
    }
    Ok(None)
}

/// A configuration, if it is a map.
pub(super) fn config_map(bytes: &[u8]) -> Option<Value> {
    yaml_serde::from_slice(bytes).ok().filter(Value::is_mapping)
}

/// The user's configuration of a plugin, in the folder of its overlay.
pub(super) const USERS_FILE: &str = "app-config.dynamic.yaml";

/// That file, where the user has one.
pub(super) fn users_file<'w>(workspace: &'w Workspace, plugin: &Plugin) -> Option<&'w Input> {
    let wanted = overlay::join(&plugin.path, USERS_FILE);
    workspace.input.iter().find(|input| Path::new(&input.path) == wanted)
}

/// What it says. It may hold only the plugin's part, or wrap it as RHDH's own examples do.
pub(super) fn users_config(bytes: &[u8]) -> Option<Value> {
    let value = config_map(bytes);
    let inner = value.as_ref().and_then(|value| value.get("plugins")?.get(0)?.get("pluginConfig")).cloned();
    inner.or(value)
}

const HEAD: &str = "\
# Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.
";

const ARCHIVES: &str = "\
# Entries that begin with `./` are archives beside this file. RHDH's installer looks for them under the same names in
# its working directory (`/opt/app-root/src` in RHDH's image): put them there, or push images (`--push-images`).
";

/// The text of the file. It names the plugins that are not in it, since they could not be built, and those that could not
/// be pushed.
pub fn render(entries: &[DynamicPlugin], failed: &[String], unpushed: &[String]) -> String {
    let mut text = HEAD.to_owned();
    if entries.iter().any(|entry| entry.package.starts_with("./")) {
        text.push_str(ARCHIVES);
    }
    for plugin in failed {
        text = text + "# Not in this list, since it failed: " + plugin + "\n";
    }
    for plugin in unpushed {
        text = text + "# Its archive is in this list, since its image could not be pushed: " + plugin + "\n";
    }
    let plugins = entries.iter().map(|entry| Value::Mapping(entry.to_map())).collect();
    text + &block::render(&Mapping::from_iter([("plugins".into(), Value::Sequence(plugins))]))
}

impl DynamicPlugin {
    /// Reads an entry as it is written; none if it is another's.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let integrity = value.get("integrity").map(|integrity| integrity.as_str()?.parse().ok());
        Some(Self {
            package: value.get("package")?.as_str()?.to_owned(),
            integrity: integrity.map_or(Some(None), |read: Option<Integrity>| read.map(Some))?,
            plugin_config: value.get("pluginConfig").cloned(),
        })
    }

    fn to_map(&self) -> Mapping {
        let integrity = self.integrity.map(|integrity| ("integrity".into(), integrity.to_string().into()));
        let config = self.plugin_config.clone().map(|config| ("pluginConfig".into(), merged(config)));
        [("package".into(), self.package.clone().into())].into_iter().chain(integrity).chain(config).collect()
    }
}

/// With what `<<` takes over from other maps, which not every reader does.
fn merged(mut config: Value) -> Value {
    let as_written = config.clone();
    if config.apply_merge().is_ok() { config } else { as_written }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_named_above_the_list() {
        let entry = DynamicPlugin { package: "oci://h/a@sha256:0".into(), integrity: None, plugin_config: None };
        let head = "# Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.\n";
        let list = "plugins:\n- package: oci://h/a@sha256:0\n";
        assert_eq!(render(std::slice::from_ref(&entry), &[], &[]), format!("{head}{list}"));
        let failed = ["`plugins/b` of workspace `todo`".to_owned()];
        let note = "# Not in this list, since it failed: `plugins/b` of workspace `todo`\n";
        assert_eq!(render(&[entry], &failed, &[]), format!("{head}{note}{list}"));
    }

    #[test]
    fn an_image_is_named_by_its_digest_alone_unless_its_folder_is_asked_for() {
        assert_eq!(image_package("h/a@sha256:0", None), "oci://h/a@sha256:0");
        assert_eq!(image_package("h/a@sha256:0", Some("x-a")), "oci://h/a@sha256:0!x-a");
    }

    #[test]
    fn it_says_where_archives_have_to_lie() {
        let integrity = Some(Integrity::of(b""));
        let text = render(&[DynamicPlugin { package: "./a.tgz".into(), integrity, plugin_config: None }], &[], &[]);
        insta::assert_snapshot!(text, @r"
        # Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.
        # Entries that begin with `./` are archives beside this file. RHDH's installer looks for them under the same names in
        # its working directory (`/opt/app-root/src` in RHDH's image): put them there, or push images (`--push-images`).
        plugins:
        - package: ./a.tgz
          integrity: sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==
        ");
        assert_eq!(render(&[], &[], &[]).split_once('\n').unwrap().1, "plugins: []\n");
    }

    #[test]
    fn a_configuration_keeps_its_order_texts_and_types() {
        let config = "b: true\nt: 'true'\non: 'on'\nn: '5'\nf: 1.50\nnull: ~\ne: ''\ncolon: 'a: b'\nport: ':80'\n\
                      at: '@x'\nm: {}\nl: []\nlines: \"a\\nb\\n\"\nlong: '${VERY} LONG TEXT, LONGER THAN EIGHTY CHARACTERS, \
                      WHICH IS NOT FOLDED INTO SEVERAL LINES'\nbase: &base {x: 1, y: 2}\nmerged: {<<: *base, y: 3}\ntagged: !Ref x\nlist:\n  - [1, [x]]\n  - k: v\n    w: é\n1: one\n";
        let config = yaml_serde::from_str(config).unwrap();
        let entry =
            DynamicPlugin { package: "oci://h/a@sha256:0".into(), integrity: None, plugin_config: Some(config) };
        let text = render(&[entry], &[], &[]);
        insta::assert_snapshot!(text.split_once('\n').unwrap().1, @r"
        plugins:
        - package: oci://h/a@sha256:0
          pluginConfig:
            b: true
            t: 'true'
            'on': 'on'
            'n': '5'
            f: 1.5
            null: null
            e: ''
            colon: 'a: b'
            port: ':80'
            at: '@x'
            m: {}
            l: []
            lines: |
              a
              b
            long: ${VERY} LONG TEXT, LONGER THAN EIGHTY CHARACTERS, WHICH IS NOT FOLDED INTO SEVERAL LINES
            base:
              x: 1
              'y': 2
            merged:
              'y': 3
              x: 1
            tagged: x
            list:
            - - 1
              - - x
            - k: v
              w: é
            1: one
        ");
    }
}
