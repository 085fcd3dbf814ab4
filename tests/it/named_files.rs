//! What a user names on the command line is what is read: folders with a lock, pipes of a shell, refs and paths.

use std::fs;
use std::process::{Command, Stdio};

use harness::npm_registry::Registry;
use harness::program::{Outcome, Test};
use harness::repository::Repository;
use serde_json::Value;

use crate::bad_plugin;

const NO_FILE: &str = "is no regular file but a pipe or a device";

/// A configuration with one frontend, resolved.
fn resolved() -> Test {
    let mut test = bad_plugin::workspace(&[("plugins/a", "frontend-plugin", "")], Some("plugins/a:\n"));
    test.env("NPM_CONFIG_REGISTRY", Registry::of_idle_tools().url).env("PATH", "/usr/bin:/bin");
    test.run(&["resolve"]).success();
    test
}

/// Runs a script of bash, in which `$FACTORY` is the program.
fn bash(test: &Test, script: &str) -> Outcome {
    harness::needs(&["bash"]);
    let mut command = Command::new("bash");
    test.prepare(&mut command);
    test.outcome(command.args(["-c", script]).env("FACTORY", harness::program()).output().unwrap())
}

#[harness::test]
fn a_folder_with_a_lock_is_compared_by_its_lock() {
    let test = resolved();
    fs::create_dir(test.path("saved")).unwrap();
    fs::copy(test.path("config/factory.lock"), test.path("saved/factory.lock")).unwrap();
    for sides in [["config", "saved/factory.lock"], ["saved/factory.lock", "config/"], ["config", "saved"]] {
        let said = test.run(&["diff", sides[0], sides[1]]).success();
        assert!(said.stdout.contains("no changes") && said.stdout.contains("config/factory.lock"), "{said:?}");
        assert_eq!(said.stderr, "");
    }
    // Beside a configuration that has none, configurations are compared.
    fs::create_dir(test.path("other")).unwrap();
    fs::copy(test.path("config/source.json"), test.path("other/source.json")).unwrap();
    let said = test.run(&["diff", "config", "other"]).success();
    assert_eq!(said.stderr, "config/factory.lock is not compared: `other` has no lock, so the configurations are\n");
    assert!(said.stdout.contains("two configurations: "), "{}", said.stdout);
}

#[harness::test]
fn a_git_command_is_printed_for_a_repository_that_is_there() {
    let test = resolved();
    fs::create_dir_all(test.path("some/where")).unwrap();
    fs::copy(test.path("config/factory.lock"), test.path("some/where/factory.lock")).unwrap();
    let repo = Repository { dir: test.path("repo") };
    let before = repo.git(&["rev-parse", "--short=8", "HEAD"]);
    repo.write("plugins/a/index.ts", "x").commit("second");
    let after = repo.git(&["rev-parse", "--short=8", "HEAD"]);
    test.run(&["resolve"]).success();
    let command = format!("git -C repo log {before}..{after}\n");
    // Of the two locks one lies where its relative paths start.
    for sides in [["some/where/factory.lock", "config"], ["config", "some/where/factory.lock"]] {
        let said = test.run(&["diff", sides[0], sides[1]]).success().stdout;
        let command =
            if sides[0] == "config" { format!("git -C repo log {after}..{before}\n") } else { command.clone() };
        assert!(said.contains(&command), "{said}");
    }
    fs::create_dir_all(test.path("else/where")).unwrap();
    fs::rename(test.path("config/factory.lock"), test.path("else/where/factory.lock")).unwrap();
    let said = test.run(&["diff", "some/where", "else/where"]).success().stdout;
    assert!(said.contains("~ commit ") && !said.contains("git -C"), "{said}");
}

#[harness::test]
fn pipes_of_a_shell_are_read_and_what_has_no_end_is_not() {
    let test = resolved();
    let lock = "config/factory.lock";
    for script in [
        format!("$FACTORY diff <(cat {lock}) {lock}"),
        format!("cat {lock} | $FACTORY diff - {lock}"),
        format!("$FACTORY diff /dev/stdin {lock} < {lock}"),
    ] {
        let said = bash(&test, &script).success();
        assert!(said.stdout.contains("no changes"), "{script}: {said:?}");
    }
    let said = bash(&test, &format!("$FACTORY diff - {lock} < /dev/zero"));
    said.fails(2, "error: stdin has more than 67108864 bytes\n\nhint: write a factory.lock to it");
    let said = bash(&test, &format!("$FACTORY diff /dev/fd/3 {lock} 3< /dev/zero")).exits(1).stderr;
    assert_eq!(said, format!("error: cannot read `/dev/fd/3`: it {NO_FILE}\n\nhint: put a file in its place\n"));
    let said = bash(&test, &format!("$FACTORY diff <(cat /dev/zero) {lock}")).exits(1).stderr;
    assert!(said.contains("it is larger than 67108864 bytes"), "{said}");
}

#[harness::test]
fn outputs_that_take_no_more_are_named() {
    let test = resolved();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = test.command(&["status"]).stdout(Stdio::from(full)).output().unwrap();
    test.outcome(output).fails(
        1,
        "error: cannot write `stdout`: No space left on device (os error 28)\n\n\
         hint: what stdout leads to takes no more: direct it elsewhere",
    );
    // The file of a workflow's outputs is one, or it is said.
    let fifo = test.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let said = test.run_with(&["build"], &[("GITHUB_OUTPUT", fifo.to_str().unwrap())]).exits(1).stderr;
    let warning = format!(
        "warning: the outputs of this step are not in the file of `GITHUB_OUTPUT`: cannot open `[DIR]/fifo`: it {NO_FILE}\n"
    );
    assert!(said.contains(&warning), "{said}");
}

#[harness::test]
fn options_without_an_effect_are_no_options() {
    let test = Test::new();
    for option in ["--target-glibc=2.34", "--tag-prefix=x"] {
        let said = test.run(&["fetch", option]).exits(2).stderr;
        let name = option.split('=').next().unwrap();
        assert!(said.starts_with(&format!("error: unexpected argument '{name}' found\n")), "{said}");
    }
    assert!(test.run(&["verify", "--help"]).success().stdout.contains("--target-glibc <VERSION>"));
}

#[harness::test]
fn doctor_looks_for_what_the_configuration_asks_for() {
    let test = resolved();
    let line = |said: &str, what: &str| said.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
    let said = test.run(&["doctor", "--output-dir", "elsewhere/out"]).stdout;
    assert_eq!(line(&said, "repository: "), "ok    repository: ../repo answers");
    assert!(line(&said, "outputs: ").ends_with(" free in elsewhere/out"), "{said}");
    let source = |reference: &str, path: &str| {
        let json = format!(r#"{{"repo": "../repo", "repo-ref": "{reference}", "workspace-path": "{path}"}}"#);
        test.config("source.json", json);
        test.run(&["doctor"]).exits(1).stdout
    };
    let said = source("nowhere", ".");
    assert!(said.contains("FAIL  repo: the repository `../repo` has no branch, tag or commit `nowhere`\n"), "{said}");
    let commit = Repository { dir: test.path("repo") }.git(&["rev-parse", "--short=12", "HEAD"]);
    let said = source("main", "workspaces/todo");
    let path = format!(
        "FAIL  todo: commit {commit} has no workspace `workspaces/todo`\n      fix: correct `workspace-path` in source.json\n"
    );
    assert!(said.contains(&path), "{said}");

    let said = test.run(&["doctor", "--offline", "--host-lockfile", "config/host.lock"]).stdout;
    assert_eq!(line(&said, "RHDH host: "), "ok    RHDH host: config/host.lock is its yarn.lock, with 0 packages");
    let said = test.run(&["doctor", "--offline", "--host-lockfile", "none"]).exits(1).stdout;
    assert!(said.contains("FAIL  cannot read `none`: No such file or directory (os error 2)\n"), "{said}");
}

#[harness::test]
fn doctor_speaks_to_programs_too() {
    let test = resolved();
    let variables = [("REGISTRY_PASSWORD", "planted-secret")];
    let said = test.run_with(&["doctor", "--offline", "--json"], &variables).success();
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let schema: Value = serde_json::from_str(&test.run(&["schema", "doctor"]).success().stdout).unwrap();
    let errors = jsonschema::draft7::new(&schema).unwrap();
    assert_eq!(errors.iter_errors(&report).map(|error| error.to_string()).collect::<Vec<_>>(), [""; 0]);
    assert_eq!((&report["version"], &report["problems"]), (&1.into(), &0.into()));
    let unused = "image registry: REGISTRY_PASSWORD from environment is never used: REGISTRY_URL is not set";
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["what"] == unused).unwrap();
    assert_eq!((&check["status"], &check["fix"]), (&"warn".into(), &"set REGISTRY_URL, or remove the login".into()));
    assert!(!said.stdout.contains("planted-secret"));
    let said = test.run(&["doctor", "--offline", "--json", "--host-lockfile", "none"]).exits(1);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["problems"], 1);
    assert!(said.stderr.ends_with("error: 1 problem found\n"), "{}", said.stderr);
}
