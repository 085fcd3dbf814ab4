//! `factory build` of 1, 10 and 100 small workspaces whose tools are scripts: `cargo bench --bench build`. Prints seconds,
//! the share of a single workspace, and peak memory. Fails when that reaches 100 MB.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::Command;
use std::time::Duration;

use harness::measured::measured;
use harness::npm_registry::Registry;
use harness::program::Test;
use harness::repository::Repository;
use harness::workspace::SCRIPT;

/// In KiB.
const MOST_MEMORY: u64 = 100_000_000 / 1024;
/// Files of packages in each workspace, of a few bytes.
const FILES: usize = 200;

fn main() {
    harness::needs(&["git"]);
    let registry = Registry::of_scripts(&SCRIPT);
    for count in [1, 10, 100] {
        let mut test = Test::with_path();
        test.env("NPM_CONFIG_REGISTRY", &registry.url).env("NODE_VERSION", "22");
        write(&test, count);
        run(&test, &["resolve", "--host-lockfile", "config/host.lock"]);
        for arguments in [&["build"][..], &["build", "--rebuild"], &["build"]] {
            let (time, peak) = run(&test, arguments);
            let each = time.as_secs_f64() * 1000.0 / f64::from(u32::try_from(count).unwrap());
            let what = arguments.join(" ");
            println!(
                "{count:>4} workspaces, {what:16} {:6.2} s, {each:6.1} ms each, peak {peak} KiB",
                time.as_secs_f64()
            );
            assert!(peak < MOST_MEMORY, "{peak} KiB of memory");
        }
    }
}

/// Workspaces of one plugin each, in one repository.
fn write(test: &Test, count: usize) {
    let repository = Repository::init(&test.path("repo"));
    let install = format!(
        "[ $1 = install ] || return 0\nmkdir -p node_modules/left\nfor number in $(seq {FILES}); do echo $number > \
         node_modules/left/$number.js; done\n"
    );
    for index in 0..count {
        let name = format!("w{index}");
        let locators = [format!("@x/{name}@workspace:plugins/one"), "root@workspace:.".to_owned()];
        let entry =
            |locator: &String| format!("\n\"{locator}\":\n  version: 0.0.0-use.local\n  resolution: \"{locator}\"\n");
        let lockfile: String = locators.iter().map(entry).collect();
        let manifest = format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"frontend-plugin"}}}}"#);
        repository
            .write(
                &format!("{name}/package.json"),
                r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#,
            )
            .write(&format!("{name}/yarn.lock"), format!("__metadata:\n  version: 8\n{lockfile}"))
            .write(&format!("{name}/installed.sh"), &install)
            .write(&format!("{name}/plugins/one/package.json"), manifest);
        let source = format!(r#"{{"repo": "../../repo", "repo-ref": "main", "workspace-path": "{name}"}}"#);
        test.config(&format!("{name}/source.json"), source)
            .config(&format!("{name}/plugins-list.yaml"), "plugins/one:\n");
    }
    repository.commit("first");
    test.config("host.lock", "__metadata:\n  version: 8\n");
}

/// How long a command takes, and its own peak memory in KiB.
fn run(test: &Test, arguments: &[&str]) -> (Duration, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
    test.prepare(&mut command);
    command.args(arguments);
    if arguments[0] == "build" {
        command.args(["--output-dir", "out"]);
    }
    measured(&mut command)
}
