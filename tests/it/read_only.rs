//! A configuration that can only be read, as a `ConfigMap` or a mount with `:ro`, and answers and logins as people give
//! them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use harness::npm_registry::Registry;
use harness::program::{Outcome, Test, names};

use crate::bad_plugin::workspace;

const MOUNT: &str = r#"mount --bind config config && mount -o remount,bind,ro config && exec "$@""#;
const SAID: &str = "`config` is read-only: the lock is out/factory.lock\n";

/// A workspace whose build goes as far as the export.
fn idle(list: Option<&str>) -> Test {
    harness::needs(&["unshare"]);
    let mut test = workspace(&[("plugins/a", "frontend-plugin", "")], list);
    test.env("NPM_CONFIG_REGISTRY", Registry::of_idle_tools().url);
    test.env("PATH", "/usr/bin:/bin");
    test.env("FACTORY_OUTPUT_DIR", "out");
    test
}

/// Runs `factory` where `config` is mounted read-only.
fn read_only(test: &Test, args: &[&str]) -> Outcome {
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    command.args(["--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", harness::program()]).args(args);
    let said = test.outcome(command.output().unwrap());
    if said.stderr.starts_with("unshare: ") || said.stderr.starts_with("mount: ") {
        harness::skip(format!("no namespace to mount in: {}", said.stderr.trim()));
    }
    said
}

#[harness::test]
fn the_lock_of_a_read_only_configuration_is_beside_the_outputs() {
    let test = idle(Some("plugins/a:\n"));
    fs::remove_dir_all(test.path("config/factory.lock.d")).unwrap();
    Registry::lay_tree(&test.path("out"));
    let before = names(&test.path("config"));

    let said = read_only(&test, &["resolve"]).success().stderr;
    assert_eq!(said.matches(SAID).count(), 1, "{said}");
    assert!(said.ends_with("out/factory.lock written: 1 workspace, 1 plugin\n"), "{said}");
    assert_eq!(names(&test.path("config")), before);

    // Found there by what comes later.
    let said = read_only(&test, &["status"]).success();
    assert_eq!(said.stderr, SAID);
    assert!(said.stdout.contains("1 workspace: not stale"), "{}", said.stdout);
    let said = read_only(&test, &["build"]).exits(1).stderr;
    assert_eq!(said.matches("read-only").count(), 1, "{said}");
    assert!(said.contains("nothing built, failed: `repo`"), "{said}");
    let said = read_only(&test, &["run"]).exits(1).stderr;
    assert_eq!(said.matches("read-only").count(), 1, "{said}");
    let said = read_only(&test, &["doctor", "--offline"]);
    assert!(said.stdout.contains("ok    lock: out/factory.lock matches the configuration"), "{}", said.stdout);
    // `--lock-file` is where it says.
    let said = read_only(&test, &["status", "--lock-file", "out/factory.lock"]).success();
    assert_eq!(said.stderr, "");
    assert_eq!(names(&test.path("config")), before);
}

#[harness::test]
fn a_missing_list_is_not_written_into_a_read_only_configuration() {
    let test = idle(None);
    fs::remove_dir_all(test.path("config/factory.lock.d")).unwrap();
    Registry::lay_tree(&test.path("out"));
    let said = read_only(&test, &["resolve", "--host-lockfile", "config/host.lock"]).success().stderr;
    let warning = "warning: config/plugins-list.yaml is not written, since its folder is read-only: its plugins and their \
                   arguments are in the lock alone\n";
    assert!(said.contains(warning), "{said}");
    assert!(test.read("out/factory.lock").contains("path = \"plugins/a\"\n"));
}

#[harness::test]
fn a_lock_in_a_read_only_configuration_is_used_and_goes_along_when_it_changes() {
    let test = idle(Some("plugins/a:\n"));
    test.run(&["resolve"]).success();
    // Only read: nothing is said, and nothing written.
    let said = read_only(&test, &["status"]).success();
    assert_eq!(said.stderr, "");
    assert!(!test.path("out").exists());
    // What is not sealed yet will be.
    let said = read_only(&test, &["build"]).exits(1).stderr;
    assert_eq!(said.matches("`config` is read-only: the lock goes to out/factory.lock\n").count(), 1, "{said}");
    assert_eq!(test.read("out/factory.lock"), test.read("config/factory.lock"));
    let tree = "factory.lock.d/rhdh-cli/1.9.1/package-lock.json";
    assert_eq!(test.read(&format!("out/{tree}")), test.read(&format!("config/{tree}")));
    // The configuration's lock moves on: which one is used is said.
    let changed = test.read("config/factory.lock").replace("requested = \"22\"", "requested = \"22.9.0\"");
    test.config("factory.lock", changed);
    let said = read_only(&test, &["status"]).success().stderr;
    let warning = "warning: config/factory.lock has other pins and is not used; remove out/factory.lock, or name the one to \
                   use with `--lock-file`\n";
    assert_eq!(said, format!("{SAID}{warning}"));
}

/// Runs `factory` with this on its stdin.
fn piped(test: &Test, args: &[&str], answer: &str) -> Outcome {
    let mut command = test.command(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    test.outcome(child.wait_with_output().unwrap())
}

#[harness::test]
fn a_question_is_answered_through_a_pipe() {
    let mut test = workspace(&[("plugins/a", "frontend-plugin", "")], Some("plugins/a:\n"));
    test.env("NPM_CONFIG_REGISTRY", "nowhere");
    let args = ["--repo-path", "copy"];
    let question = "`copy` is not empty. Remove everything in it? [y/N] ";
    for (answer, shown) in [("n\n", "n"), ("\n", ""), ("what\n", "what")] {
        test.write("copy/mine.txt", "work of a week");
        let said = piped(&test, &args, answer);
        let expected = format!(
            "{question}{shown}\nerror: `copy` is left as it is, so nothing is built\n\n\
             hint: give another `--repo-path`, or `--use-local` to build the code that is in it\n"
        );
        assert_eq!((said.code, said.stderr.as_str()), (2, expected.as_str()));
        assert!(test.path("copy/mine.txt").exists());
    }
    // Nobody answers.
    let said = piped(&test, &args, "");
    assert!(said.stderr.starts_with(&format!("{question}\nerror: `copy` is not empty, and ")), "{}", said.stderr);
    assert_eq!(said.code, 2);
    for answer in ["y\n", "y", "yes\r\n", "Y\nn\n"] {
        test.write("copy/mine.txt", "work of a week");
        let said = piped(&test, &args, answer);
        let begin = format!("{question}{}\nremoving what is in copy\n", answer.lines().next().unwrap().trim());
        assert!(said.stderr.starts_with(&begin), "{}", said.stderr);
        assert!(!test.path("copy/mine.txt").exists());
    }
}

#[harness::test]
fn a_user_name_without_a_password_is_a_warning() {
    let mut test = workspace(&[("plugins/a", "frontend-plugin", "")], Some("plugins/a:\n"));
    test.env("NPM_CONFIG_REGISTRY", Registry::of_idle_tools().url);
    test.run(&["resolve"]).success();
    test.env("REGISTRY_URL", "127.0.0.1:1").env("REGISTRY_NAMESPACE", "me");
    for (name, other) in [("REGISTRY_USERNAME", "REGISTRY_PASSWORD"), ("REGISTRY_PASSWORD", "REGISTRY_USERNAME")] {
        // Checked before anything is asked of the registry, which is not there.
        let args = ["build", "--push-images", "--image-pusher", "skopeo"];
        let said = test.run_with(&args, &[(name, "planted-hunter2")]);
        let warning = format!(
            "warning: repo: `{name}` is set and `{other}` is not, so neither is used: pushing to `127.0.0.1:1` with this \
             machine's own login, if it has one\n"
        );
        assert!(said.stderr.contains(&warning), "{}", said.stderr);
        assert!(said.code != 0 && !said.stderr.contains("planted-hunter2"), "{}", said.stderr);
    }
}
