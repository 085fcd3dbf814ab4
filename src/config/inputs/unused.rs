//! Files that look as if they were meant to be used, and are not: each is named with what would be.
//!
//! What is normal beside a configuration of RHDH's export repository is none of them: `metadata/`, READMEs,
//! `cve-backports.yaml`.

use std::io::Read as _;
use std::path::Path;

use super::{APP_CONFIG, InputsReader, OVERLAYS, PATCHES, PathKind, SCALPRUM};
use crate::Result;
use crate::config::plugins_list::{self, PluginsList};
use crate::config::warning::Warning;
use crate::error::Place;
use crate::lock::at;
use crate::user_file;

/// Names that are taken for that of the list.
const LISTS: &[&str] =
    &["plugins-list.yml", "plugin-list.yaml", "plugin-list.yml", "plugins_list.yaml", "plugins-list.json"];

/// As much of a file as shows whether it is a patch, in bytes.
const HEAD: u64 = 64 * 1024;

impl InputsReader<'_> {
    /// Names what lies beside the list and is not read.
    pub(super) fn unused_at_root(&mut self, list: Option<&PluginsList>) -> Result<()> {
        for name in self.names(".")? {
            let looks_like_patch = || ends_like_patch(&name) || (name == "patch" && self.is_patch(&name));
            if LISTS.contains(&name.as_str()) {
                self.unused(&name, format!("is not read: the list is `{}`", plugins_list::FILE_NAME));
            } else if name == "patch" && self.is_folder(&name) {
                for file in self.names(&name)?.into_iter().filter(|file| ends_like_patch(file)) {
                    self.unused(&at(&name, &file), format!("is not applied: only `{PATCHES}/*.patch` is"));
                }
            } else if !self.is_folder(&name) && looks_like_patch() {
                self.unused(&name, format!("is not applied: only `{PATCHES}/*.patch` is"));
            } else if (OVERLAYS.contains(&name.as_str()) || name == SCALPRUM || name == APP_CONFIG)
                && list.is_some_and(|list| list.get(".").is_none())
            {
                self.unused(&name, "is not used: it is for the plugin `.`, which is not in plugins-list.yaml");
            }
        }
        Ok(())
    }

    /// Names an entry of `patches` that looks like a patch, and is not applied.
    pub(super) fn unused_patch(&mut self, file: &str) -> Result<()> {
        let name = file.rsplit('/').next().unwrap_or(file);
        if name.starts_with('.') {
            return Ok(());
        }
        match self.kind(file)? {
            PathKind::File if ends_like_patch(name) || self.is_patch(file) => {
                self.unused(file, "is not applied: only `*.patch` is");
            }
            PathKind::Folder if self.names(file)?.iter().any(|name| ends_like_patch(name)) => {
                self.unused(file, format!("its patches are not applied: only those in `{PATCHES}` itself are"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Names what lies in the folder of a plugin under a name that is not read.
    pub(super) fn unused_of_plugin(&mut self, plugin: &str) {
        for (name, right) in [("app-config.dynamic.yml", APP_CONFIG), ("scalprum-config.yaml", SCALPRUM)] {
            let file = at(plugin, name);
            if self.dir.join(&file).is_file() {
                self.unused(&file, format!("is not read: the file is `{right}`"));
            }
        }
    }

    fn unused(&mut self, file: &str, what: impl Into<String>) {
        self.inputs.warnings.push(Warning::new(Place::file(self.dir.join(file)), what));
    }

    fn is_folder(&self, name: &str) -> bool {
        self.dir.join(name).is_dir()
    }

    /// True for a file with the two lines that every patch begins a file with.
    fn is_patch(&self, file: &str) -> bool {
        let mut head = Vec::new();
        let Ok(open) = user_file::open(&self.dir.join(file)) else { return false };
        if !open.metadata().is_ok_and(|meta| meta.is_file()) || open.take(HEAD).read_to_end(&mut head).is_err() {
            return false;
        }
        let text = String::from_utf8_lossy(&head);
        let lines: Vec<&str> = text.lines().collect();
        lines.windows(2).any(|two| two[0].starts_with("--- ") && two[1].starts_with("+++ "))
    }
}

/// `x.patch`, `x.diff`, and what editors, shells and people make of them: `x.patch.bak`, `x.PATCH`, `x.patch.txt`.
fn ends_like_patch(name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_text = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "md");
    !is_text(&lower)
        && [".patch", ".diff"].iter().any(|ending| lower.ends_with(ending) || lower.contains(&format!("{ending}.")))
}
