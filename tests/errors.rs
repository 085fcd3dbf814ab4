//! What a user sees when something is wrong: the whole message, the exit code, and what is on disk afterwards.

#[path = "it/factory.rs"]
mod factory_program;
#[path = "it/registry.rs"]
mod registry;
#[path = "it/repository.rs"]
mod repository;

use std::fs;
use std::process::Command;

use factory_program::{Test, names, text};
use registry::Registry;
use repository::Repository;

const LIST: &str = "plugins/todo:\nplugins/todo-backend: --embed-package @x/todo-common\n";

/// A configuration of one workspace with a patch, its repository beside it as `repo`, and the branches `main` and
/// `release-1.9`.
fn workspace() -> Test {
    let test = Test::new();
    let repo = Repository::init(&test.path("repo"));
    repo.write("package.json", r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#);
    repo.write("yarn.lock", "__metadata:\n  version: 8\n  cacheKey: 10c0\n");
    for (folder, role) in [("todo", "frontend-plugin"), ("todo-backend", "backend-plugin")] {
        let manifest = format!(r#"{{"name":"@x/{folder}","version":"1.0.0","backstage":{{"role":"{role}"}}}}"#);
        repo.write(&format!("plugins/{folder}/package.json"), manifest);
    }
    repo.commit("first");
    repo.git(&["branch", "release-1.9"]);
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#);
    test.config("plugins-list.yaml", LIST);
    test.config("patches/1-fix.patch", "--- a/x\n+++ b/x\n");
    test
}

/// The same, with a registry that has all tools.
fn resolvable() -> Test {
    let mut test = workspace();
    Registry::lay_tree(&test.path("config"));
    test.env("NPM_CONFIG_REGISTRY", Registry::start().url);
    test
}

#[test]
fn a_missing_configuration() {
    Test::new().run(&["resolve"]).fails(2, "");
    let test = Test::new();
    fs::remove_dir(test.path("config")).unwrap();
    test.run(&["resolve"]).fails(2, "");
}

#[test]
fn a_broken_source_json_is_named_by_line_and_column() {
    let test = Test::new();
    test.config("source.json", "{\n  \"repo\": \"https://example.com/x\",\n  \"repo-ref\": 1.9\n}\n");
    test.run(&["resolve"]).fails(2, "");
    test.config("source.json", "{\n  \"repo-ref\": \"main\"\n}\n");
    test.run(&["resolve"]).fails(2, "");
    test.config("source.json", "{ repo: main");
    test.run(&["resolve"]).fails(2, "");
    assert!(!test.path("config/factory.lock").exists());
}

#[test]
fn an_unknown_ref_names_the_nearest() {
    let test = resolvable();
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "relase-1.9", "workspace-path": "."}"#);
    test.run(&["resolve"]).fails(2, "");
    assert!(!test.path("config/factory.lock").exists());
}

#[test]
fn a_plugin_that_is_not_in_the_workspace() {
    let test = resolvable();
    test.config("plugins-list.yaml", "plugins/todo:\nplugins/todo-backand:\n");
    test.run(&["resolve"]).fails(2, "");
    assert!(!test.path("config/factory.lock").exists());
}

#[test]
fn building_needs_a_lock_that_is_not_stale() {
    let test = resolvable();
    test.run(&["build"]).fails(3, "");
    test.run(&["resolve"]).success();
    let lock = fs::read(test.path("config/factory.lock")).unwrap();
    test.config("patches/1-fix.patch", "--- a/y\n+++ b/y\n");
    test.run(&["build"]).fails(3, "");
    test.config("patches/2-more.patch", "--- a/y\n+++ b/y\n");
    test.config("plugins-list.yaml", "plugins/todo-backend: --suppress-native-package x\n");
    test.run(&["build"]).fails(3, "");
    test.run(&["resolve", "--check"]).exits(3);
    assert_eq!(fs::read(test.path("config/factory.lock")).unwrap(), lock);
    assert!(!test.path("outputs").exists());
}

#[test]
fn a_lock_that_is_too_new_or_broken() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    let lock = fs::read_to_string(test.path("config/factory.lock")).unwrap();
    test.config("factory.lock", lock.replace("version = 1\n", "version = 2\n"));
    test.run(&["build"]).fails(3, "");
    test.config("factory.lock", lock.replace("epoch = ", "epoch = -"));
    test.run(&["build"]).fails(3, "");
    test.config("factory.lock", b"\xff\xfe".as_slice());
    test.run(&["build"]).fails(3, "");
}

#[test]
fn a_machine_without_npm_or_registry() {
    let mut test = workspace();
    test.env("PATH", "/nonexistent");
    test.run(&["resolve"]).fails(2, "");
    test.env("NPM_CONFIG_REGISTRY", "http://user:s3cret@127.0.0.1:1/");
    test.run(&["resolve"]).fails(5, "");
    assert!(!test.path("config/factory.lock").exists());
}

#[test]
fn a_tool_whose_bytes_are_not_the_locked_ones() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    test.run(&["build"]).fails(5, "");
    assert_eq!(names(&test.path("cache/tools")), [""; 0]);
    assert_eq!(names(&test.path("outputs")), ["build-report.json"]);
}

#[test]
fn nothing_is_half_written_on_a_full_disk() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    // A file system of one page for the lock, in a mount namespace that ends with the test.
    let script = "mount -t tmpfs -o size=4k tmpfs full && cp config/factory.lock full && head -c 1000 /dev/zero >>full/fill; \"$@\"; code=$?; ls -A full; cat full/factory.lock; exit $code";
    fs::create_dir(test.path("full")).unwrap();
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    command.args(["--mount", "--user", "--map-root-user", "sh", "-c", script, "sh"]).env("PATH", "/usr/bin:/bin");
    command.args([env!("CARGO_BIN_EXE_factory"), "resolve", "--lock-file", "full/factory.lock"]);
    let outcome = test.outcome(command.output().unwrap());
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_bare_command_line_is_run_and_options_stand_behind_their_command() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    let run = test.run(&["run", "--offline"]);
    assert_eq!(test.run(&["--offline"]), run);
    run.fails(5, "");
    test.run(&["--offline", "build"]).fails(2, "");
}

#[test]
fn a_pipe_gets_plain_lines_and_a_terminal_colour_unless_refused() {
    let mut test = resolvable();
    let piped = test.run(&["resolve"]).success();
    assert!(!piped.stderr.contains(['\u{1b}', '\r']), "{:?}", piped.stderr);
    test.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
    let terminal = |test: &Test| {
        let mut command = Command::new("/usr/bin/script");
        test.prepare(&mut command);
        let inner = format!("{} build --lock-file none", env!("CARGO_BIN_EXE_factory"));
        test.outcome(command.args(["--quiet", "--return", "--command", &inner, "/dev/null"]).output().unwrap())
            .exits(3)
            .stdout
    };
    assert_eq!(terminal(&test), "");
    test.env("NO_COLOR", "1");
    assert_eq!(terminal(&test), "");
    let _ = text("");
}
