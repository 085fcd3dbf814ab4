//! A release of three workspaces, and what several machines build of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{Outcome, Test};
use crate::workspace::scripted as workspace;

/// Their names.
pub const NAMES: [&str; 3] = ["one", "three", "two"];

/// Three workspaces, resolved: one frontend, one backend, and one frontend with a configuration.
pub fn three() -> Test {
    let roles = [("a", "frontend-plugin"), ("b", "backend-plugin"), ("c", "frontend-plugin")];
    let closure = "printf '__metadata:\\n  version: 8\\n  cacheKey: 10c0\\n' > dist-dynamic/yarn.lock\n";
    let bundle = "echo 'a()' > dist-dynamic/dist/entry.js\n";
    let script = |role: &str| if role == "backend-plugin" { closure } else { bundle }.to_owned();
    let plugins = roles.map(|(name, role)| (name.to_owned(), role, script(role)));
    let test = workspace(&plugins, "");
    for file in ["source.json", "plugins-list.yaml"] {
        fs::remove_file(test.path(&format!("config/{file}"))).unwrap();
    }
    for (name, plugin) in NAMES.into_iter().zip(["a", "b", "c"]) {
        let source = r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "."}"#;
        test.config(&format!("{name}/source.json"), source)
            .config(&format!("{name}/plugins-list.yaml"), format!("plugins/{plugin}:\n"));
    }
    test.config("two/plugins/c/app-config.dynamic.yaml", "of: two\non: 'on'\n1: {b: ~, a: [1.50, x]}\n");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

/// Every file below a folder with its bytes.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A report without what clocks measured.
pub fn without_seconds(report: &[u8]) -> String {
    let mut report: Value = serde_json::from_slice(report).unwrap();
    for workspace in report["workspaces"].as_array_mut().unwrap() {
        for plugin in workspace["plugins"].as_array_mut().unwrap() {
            plugin["seconds"] = Value::Null;
        }
        workspace["seconds"] = Value::Null;
    }
    serde_json::to_string_pretty(&report).unwrap()
}

/// The files of an output directory that are to be equal: the report without its seconds, and no log, which has times too.
pub fn outputs(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(folder);
    files.retain(|name, _| !name.contains("logs/"));
    if let Some(report) = files.get_mut("build-report.json") {
        *report = without_seconds(report).into_bytes();
    }
    files
}

/// Builds shards of so many, each with a cache of its own, into `shard<n>`.
pub fn build_shards(test: &Test, count: usize) -> Vec<Outcome> {
    let one = |number: usize| {
        let (shard, out) = (format!("{number}/{count}"), format!("shard{number}"));
        let cache = test.path(&format!("cache{number}")).display().to_string();
        test.run(&["build", "--shard", &shard, "--output-dir", &out, "--cache-dir", &cache])
    };
    (1..=count).map(one).collect()
}

pub fn join(test: &Test, shards: &[&str]) -> Outcome {
    test.run(&[&["join", "--output-dir", "joined"][..], shards].concat())
}

/// The lock and what lies beside it.
pub fn locks(test: &Test) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(&test.path("config"));
    files.retain(|name, _| name.starts_with("factory.lock"));
    files
}
