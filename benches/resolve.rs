//! `factory resolve` of 1, 65 and 650 workspaces in 10 local repositories, each with a lock of 1.4 MB whose arguments
//! are computed: `cargo bench --bench resolve`. Prints seconds, the share of a single workspace, and peak memory.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a bench talks to its developer")]

use harness::lockfile;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::measured::measured;
use harness::npm_registry::Registry;
use harness::repository::Repository;

const REPOSITORIES: usize = 10;

fn main() {
    let registry = Registry::start();
    for count in [1, 65, 650] {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), count);
        // The second run finds everything in the cache's memory, as a release engineer's second run does.
        for run in ["first", "second"] {
            let (time, peak) = resolve(dir.path(), &registry);
            let each = time.as_secs_f64() * 1000.0 / f64::from(u32::try_from(count).unwrap());
            eprintln!(
                "{count:>4} workspaces, {run} run: {:6.2} s, {each:6.1} ms each, peak {peak} MB",
                time.as_secs_f64()
            );
        }
    }
}

fn make(dir: &Path, count: usize) {
    let (lock, files) = (lockfile::lock(), lockfile::files());
    let config = dir.join("config");
    for index in 0..count {
        let source = Repository { dir: dir.join(format!("source-{}", index % REPOSITORIES)) };
        if index < REPOSITORIES {
            Repository::init(&source.dir);
        }
        let at = |path: &str| format!("workspaces/w{index}/{path}");
        source.write(
            &at("package.json"),
            r#"{"name": "root", "packageManager": "yarn@4.9.2", "workspaces": ["plugins/*"]}"#,
        );
        // No two workspaces have the same lock.
        source.write(&at("yarn.lock"), format!("# {index}\n{lock}"));
        source.write(&at(".yarnrc.yml"), "nodeLinker: node-modules\n");
        for (path, bytes) in &files {
            source.write(&at(&format!("{path}/package.json")), bytes);
        }
        let own = config.join(format!("w{index}"));
        fs::create_dir_all(&own).unwrap();
        let repo = format!("../../source-{}", index % REPOSITORIES);
        let source = format!(r#"{{"repo": "{repo}", "repo-ref": "main", "workspace-path": "workspaces/w{index}"}}"#);
        fs::write(own.join("source.json"), source).unwrap();
    }
    for index in 0..count.min(REPOSITORIES) {
        Repository { dir: dir.join(format!("source-{index}")) }.commit("all");
    }
    Registry::lay_tree(&config);
    fs::write(dir.join("host.lock"), lockfile::host_text()).unwrap();
}

/// Wall time, and the peak of resident memory in MB.
fn resolve(dir: &Path, registry: &Registry) -> (Duration, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
    command
        .args(["resolve", "--no-write-plugins-list", "--config-dir"])
        .arg(dir.join("config"))
        .arg("--host-lockfile")
        .arg(dir.join("host.lock"))
        .env("NPM_CONFIG_REGISTRY", &registry.url)
        .env("FACTORY_CACHE_DIR", dir.join("cache"));
    let (time, peak) = measured(&mut command);
    (time, peak / 1024)
}
