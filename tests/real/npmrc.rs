//! npm's configuration as npm itself reads it: its own code is asked for what factory is asked for in `tests/it/npmrc.rs`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use factory::npm::settings::{NpmSettings, NpmSurroundings};
use harness::npm_configuration::{CONFIGURATIONS, server};
use harness::program::names;
use serde_json::{Value, json};

use crate::{cache, greeting};

/// The folder of the npm that locks pin, in the cache.
fn npm() -> PathBuf {
    let tools = cache::cache().join("tools");
    let is_npm =
        |name: &String| name.strip_prefix("npm-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let found = names(&tools).into_iter().filter(is_npm).max();
    tools.join(found.expect("a build put it there"))
}

#[harness::test]
fn npm_sends_what_factory_sends() {
    harness::needs(&["node", "git"]);
    harness::needs_npm_registry();
    greeting::first();
    let (host, seen) = server();
    let dir = tempfile::tempdir().unwrap();
    let mut asks = Vec::new();
    let mut registries = Vec::new();
    for (number, configuration) in CONFIGURATIONS.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        let variables = configuration.lay(&folder, &host);
        let folder = folder.join("project/inner");
        asks.push(json!({ "folder": folder, "env": variables, "name": configuration.package }));
        let settings = NpmSettings::read(&NpmSurroundings { variables, folder, config_dir: None });
        registries.push(settings.registry().unwrap().trim_end_matches('/').to_owned());
    }
    let mut node = Command::new("node")
        .arg(harness::project().join("tests/data/npm/asks.cjs"))
        .arg(npm())
        .env_remove("NODE_OPTIONS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(json!(asks).to_string().as_bytes()).unwrap();
    let said = String::from_utf8(node.wait_with_output().unwrap().stdout).unwrap();
    let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_npm: Vec<_> = said.iter().map(|one| one["registry"].as_str().unwrap().trim_end_matches('/')).collect();
    assert_eq!(of_npm, registries);
    let expected: Vec<_> = CONFIGURATIONS.iter().map(|configuration| configuration.asked).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}
