//! What `rhdh-cli plugin export` is given: the arguments of the lock, and what follows from the plugin and its host, as
//! far as the pinned rhdh-cli has the flags.

use std::path::Path;

use super::cli_flags::CliFlags;
use super::context::PluginTarget;
use crate::error::{Error, Place, Result};
use crate::lock::Argument;
use crate::lock::arguments::words;
use crate::lock::cli_behaviour::added_argument;
use crate::overlay::SCALPRUM;
use crate::user_file;

/// Where plugins and their arguments are listed, in the configuration of a workspace.
const LIST: &str = "plugins-list.yaml";

/// The arguments of an export.
pub(super) struct ExportArgs {
    pub(super) words: Vec<String>,
    /// What rhdh-cli is not given, and why.
    pub(super) left_out: Vec<String>,
}

impl PluginTarget<'_> {
    /// The arguments of the plugin's export; `has_scalprum` says whether the configuration's Scalprum file lies in its
    /// folder. Those of the lock must all be flags of the CLI.
    pub(super) fn export_args(self, flags: &CliFlags, has_scalprum: bool) -> Result<ExportArgs> {
        let plugin = self.plugin;
        if let Some(unknown) = plugin.args.iter().find(|argument| flags.lack(&argument.flag)) {
            return Err(self.unknown_flag(&unknown.flag, flags));
        }
        let mut more: Vec<Argument> =
            added_argument(self.shared.lock.tools_of(self.workspace), plugin).into_iter().collect();
        if !plugin.role.is_backend() && has_scalprum {
            more.push(Argument::new("--scalprum-config", SCALPRUM));
        } else if plugin.scalprum.is_some() {
            // The overlay has put it there.
            more.push(Argument::new("--scalprum-config", "scalprum-config.json"));
        }
        let (lacking, given): (Vec<_>, Vec<_>) = more.into_iter().partition(|argument| flags.lack(&argument.flag));
        let version = self.cli_version();
        let left_out = |argument: &Argument| format!("`{}`: rhdh-cli {version} has no such flag", argument.flag);
        Ok(ExportArgs {
            words: [words(&plugin.args), words(&given)].concat(),
            left_out: lacking.iter().map(left_out).collect(),
        })
    }

    fn cli_version(&self) -> &str {
        &self.shared.lock.tools_of(self.workspace).rhdh_cli.version
    }

    /// The error for an argument that the CLI does not have, at its line of the list if it is there.
    fn unknown_flag(self, flag: &str, flags: &CliFlags) -> Error {
        let nearest = flags.nearest(flag).map(|near| format!("; the nearest that it has is `{near}`"));
        let what = format!(
            "{self}: rhdh-cli {} has no flag `{}`{}",
            self.cli_version(),
            flag.escape_debug(),
            nearest.unwrap_or_default()
        );
        let hint = "change or remove the argument, or set `RHDH_CLI_VERSION` to a version that has it; then run \
                    `factory resolve`";
        let folder = match self.workspace.dir.as_str() {
            "." => self.shared.options.config_dir.clone(),
            dir => self.shared.options.config_dir.join(dir),
        };
        let list = folder.join(LIST);
        match read_small(&list).and_then(|text| line_of(&text, &self.plugin.path)) {
            Some(line) => Error::config(Place::line(&list, line), what, hint),
            None => Error::build(what, hint),
        }
    }
}

/// The text of a regular file of up to 1 MiB.
fn read_small(path: &Path) -> Option<String> {
    let bytes = user_file::read(path, 1 << 20).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The line on which a list has a plugin as a key, plain or in quotes.
fn line_of(list: &str, plugin: &str) -> Option<usize> {
    let key = |line: &str| {
        let quoted = |quote| line.strip_prefix(quote).and_then(|rest| rest.split_once(quote)).map(|(key, _)| key);
        let plain = || line.split_once(':').map_or(line, |(key, _)| key).trim_end();
        quoted('"').or_else(|| quoted('\'')).unwrap_or_else(plain) == plugin
    };
    list.lines().position(|line| key(line.trim())).map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_found_in_its_list() {
        let list = "# plugins/a:\nplugins/a-b: --x\n\"plugins/a\": >-\n  --y\n'plugins/c' : --z\nplugins/d\n";
        for (plugin, line) in [
            ("plugins/a", Some(3)),
            ("plugins/a-b", Some(2)),
            ("plugins/c", Some(5)),
            ("plugins/d", Some(6)),
            ("plugins", None),
        ] {
            assert_eq!(line_of(list, plugin), line, "{plugin}");
        }
    }
}
