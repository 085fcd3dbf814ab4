//! Configurations for plugins that have none: the examples in the metadata of RHDH's export repository, which lies beside
//! the configuration of each workspace. They go into `dynamic-plugins.yaml` alone: nothing is sealed of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize as _, Serialize};
use yaml_serde::{Deserializer, Value};

use super::users_file;
use crate::lock::{Plugin, Workspace};
use crate::ui::{Ui, some_names};
use crate::user_file;

/// The folder of the metadata in that of a workspace's configuration.
const FOLDER: &str = "metadata";
/// The most files of it that are read.
const MOST_FILES: usize = 1000;

/// Where the configuration of a plugin comes from that has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigSource {
    /// The first of `spec.appConfigExamples` in `metadata/*.yaml` of the workspace's configuration
    Metadata,
}

/// Fills in configurations, and remembers what it found none for.
pub(in super::super) struct ConfigFiller<'a> {
    source: Option<ConfigSource>,
    config_dir: &'a Path,
    /// The examples of each workspace, by package.
    examples: BTreeMap<String, BTreeMap<String, Value>>,
    missing: Vec<String>,
    faults: Vec<String>,
}

/// What there is to say of examples.
#[derive(Debug, Default)]
pub struct ExampleMessages {
    /// What is wrong with files of metadata.
    pub warnings: Vec<String>,
    /// For which plugins there is neither a configuration nor an example.
    pub note: Option<String>,
}

impl<'a> ConfigFiller<'a> {
    /// Fills from the metadata in `config_dir`; without a source it fills nothing.
    pub(in super::super) fn new(source: Option<ConfigSource>, config_dir: &'a Path) -> Self {
        Self { source, config_dir, examples: BTreeMap::new(), missing: Vec::new(), faults: Vec::new() }
    }

    /// The configuration of a plugin: its own, else the example.
    pub(in super::super) fn fill(
        &mut self,
        workspace: &Workspace,
        plugin: &Plugin,
        own: Option<Value>,
    ) -> Option<Value> {
        // A file of the user counts whatever it says.
        if self.source.is_none() || own.is_some() || users_file(workspace, plugin).is_some() {
            return own;
        }
        let examples = match self.examples.entry(workspace.name.clone()) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(new) => {
                let folder = self.config_dir.join(&workspace.dir).join(FOLDER);
                new.insert(read(self.config_dir, &folder, &mut self.faults))
            }
        };
        let example = examples.get(&plugin.name).cloned();
        if example.is_none() {
            self.missing.push(format!("{} {}", workspace.name, plugin.path));
        }
        example
    }

    /// What there is to say.
    pub(in super::super) fn messages(self) -> ExampleMessages {
        let names = some_names(self.missing.iter());
        let note = format!("neither a configuration nor an example of one in `{FOLDER}`: {names}");
        ExampleMessages { warnings: self.faults, note: (!self.missing.is_empty()).then_some(note) }
    }
}

impl ExampleMessages {
    /// Says it.
    pub fn say(self, ui: &Ui) {
        for warning in self.warnings {
            ui.warn(warning);
        }
        if let Some(note) = self.note {
            ui.note(note);
        }
    }
}

/// The examples in a folder of metadata, by package.
fn read(config_dir: &Path, folder: &Path, faults: &mut Vec<String>) -> BTreeMap<String, Value> {
    let mut examples = BTreeMap::new();
    // As every machine calls it.
    let shown = |path: &Path| path.strip_prefix(config_dir).unwrap_or(path).display().to_string();
    let files = match yaml_files(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return examples,
        Err(error) => {
            faults.push(format!("`{}` cannot be read: {error}", shown(folder)));
            return examples;
        }
    };
    if files.len() > MOST_FILES {
        faults.push(format!("`{}` has more than {MOST_FILES} files: the others are not read", shown(folder)));
    }
    for path in files.into_iter().take(MOST_FILES) {
        let read = user_file::read(&path, user_file::SETTINGS).map_err(|error| error.to_string());
        if let Err(what) = read.and_then(|bytes| add(&bytes, &mut examples)) {
            faults.push(format!("no example of a configuration is taken from `{}`: {what}", shown(&path)));
        }
    }
    examples
}

fn yaml_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|path| user_file::is_yaml(path));
    files.sort();
    Ok(files)
}

/// Adds the examples of a file. The first of a package counts.
fn add(bytes: &[u8], examples: &mut BTreeMap<String, Value>) -> Result<(), String> {
    for document in Deserializer::from_slice(bytes) {
        let document = Value::deserialize(document).map_err(|error| error.to_string())?;
        if document.get("kind").and_then(Value::as_str) != Some("Package") {
            continue;
        }
        let Some(spec) = document.get("spec") else { continue };
        let name = spec.get("packageName").and_then(Value::as_str);
        let content = spec.get("appConfigExamples").and_then(|all| all.get(0)?.get("content"));
        if let (Some(name), Some(content)) = (name, content.filter(|content| content.is_mapping())) {
            examples.entry(name.to_owned()).or_insert_with(|| content.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, examples: &str) -> String {
        format!("kind: Package\nspec:\n  packageName: \"{name}\"\n  appConfigExamples: {examples}\n")
    }

    fn added(text: &str) -> Result<BTreeMap<String, Value>, String> {
        let mut examples = BTreeMap::new();
        add(text.as_bytes(), &mut examples).map(|()| examples)
    }

    #[test]
    fn the_first_example_of_each_package_is_taken() {
        let text = [
            package("@x/a", "[{title: one, content: {z: 1, a: 2}}, {title: two, content: {b: 3}}]"),
            package("@x/a", "[{content: {later: 1}}]"),
            package("@x/none", "[]"),
            package("@x/text", "[{content: text}]"),
            "kind: Plugin\nspec: {packageName: '@x/other', appConfigExamples: [{content: {a: 1}}]}\n".into(),
            "- no package\n".into(),
        ];
        let examples = added(&text.join("---\n")).unwrap();
        assert_eq!(examples.keys().collect::<Vec<_>>(), ["@x/a"]);
        assert_eq!(yaml_serde::to_string(&examples["@x/a"]).unwrap(), "z: 1\na: 2\n");
    }

    #[test]
    fn what_others_wrote_is_bounded() {
        let laugh = |level: usize| match level {
            0 => "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned(),
            _ => format!("x{level}: &x{level} [{}]\n", vec![format!("*x{}", level - 1); 10].join(", ")),
        };
        let bomb: String = (0..12).map(laugh).collect();
        assert!(added(&bomb).unwrap_err().contains("repetition limit"), "{:?}", added(&bomb).map(|all| all.len()));
        let deep = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
        assert!(added(&deep).unwrap_err().contains("recursion limit"), "{:?}", added(&deep).map(|all| all.len()));
        assert!(added("a: [").is_err());
    }
}
