//! A stale lock: the hint of `factory build`, followed, renews it, asks no network for what changed here, and moves nothing
//! that is not stale; what `factory resolve` says where nothing changes, and where something fails.

use std::fs;

use harness::program::Test;
use harness::repository::Repository;

use harness::workspace::scripted as workspace;

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];

/// One workspace with the plugins `a` and `b`, of which the list has the first, resolved; its source has moved since.
fn moved() -> (Test, String) {
    let plugins = ["a", "b"].map(|name| (name.to_owned(), "frontend-plugin", String::new()));
    let test = workspace(&plugins, "");
    test.config("plugins-list.yaml", "plugins/a:\n");
    test.run(&RESOLVE).success();
    let repo = Repository { dir: test.path("repo") };
    let first = repo.git(&["rev-parse", "HEAD"]);
    repo.write("plugins/a/index.js", "more").commit("second");
    (test, first)
}

/// The words of the command that the hint names.
#[track_caller]
fn hinted(stderr: &str) -> Vec<String> {
    let hint = stderr.split("hint: run `factory ").nth(1).and_then(|rest| rest.split('`').next());
    let words = hint.unwrap_or_else(|| panic!("no hint: {stderr}"));
    words.split(' ').map(str::to_owned).collect()
}

#[harness::test]
fn the_hint_of_a_stale_lock_renews_it_and_moves_nothing_else() {
    let (test, first) = moved();
    let changes: [(&str, &[u8]); 4] = [
        ("plugins-list.yaml", b"plugins/a:\nplugins/b:\n"),
        ("plugins-list.yaml", b"plugins/b: --suppress-native-package x\n"),
        ("patches/1-x.patch", b"--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n"),
        (".env", b"NODE_VERSION=20\n"),
    ];
    for (file, text) in changes {
        test.config(file, text);
        let said = test.run(&["build"]).exits(3).stderr;
        assert!(said.ends_with("hint: run `factory resolve --keep repo`, which moves nothing else\n"), "{said}");
        let words = hinted(&said);
        // What changed here asks no registry.
        let nowhere: &[_] = if file == ".env" { &[] } else { &[("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")] };
        test.run_with(&words.iter().map(String::as_str).collect::<Vec<_>>(), nowhere).success();
        let status = test.run(&["status"]).success().stdout;
        assert!(status.contains("not stale"), "{file}: {status}");
        assert!(test.read("config/factory.lock").contains(&format!("commit = \"{first}\"")), "{file}");
    }
}

#[harness::test]
fn a_workspace_that_is_gone_is_not_named_in_the_hint() {
    let (test, _) = moved();
    for file in ["source.json", "plugins-list.yaml"] {
        let content = test.read(&format!("config/{file}")).replace("../repo", "../../repo");
        test.config(&format!("one/{file}"), &content).config(&format!("two/{file}"), &content);
        fs::remove_file(test.path(&format!("config/{file}"))).unwrap();
    }
    test.run(&RESOLVE).success();
    fs::remove_dir_all(test.path("config/two")).unwrap();
    let said = test.run(&["build"]).exits(3).stderr;
    let error = "error: lockfile is stale for workspace `two`: is no longer in the configuration\n\n\
                 hint: run `factory resolve --keep`, which moves nothing else\n";
    assert!(said.ends_with(error), "{said}");
    test.run(&["resolve", "--keep"]).success();
    assert!(test.run(&["status"]).success().stdout.contains("not stale"));
}

#[harness::test]
fn a_dry_run_without_a_change_says_so() {
    let (test, _) = moved();
    let said = test.run(&["resolve", "--keep", "--dry-run"]).success();
    assert_eq!(said.stdout, "");
    assert!(said.stderr.ends_with("config/factory.lock would not change\n"), "{}", said.stderr);
    let said = test.run(&[&RESOLVE[..], &["--dry-run"]].concat()).success();
    assert!(!said.stdout.is_empty() && !said.stderr.contains("would not"), "{}", said.stderr);
}

/// What failed comes first, then what became of the lock, then the end.
#[harness::test]
fn what_became_of_the_lock_is_said_after_what_failed() {
    let (test, _) = moved();
    let source = r#"{"repo": "../repo", "repo-ref": "v9", "workspace-path": "."}"#;
    test.config("source.json", source);
    let said = test.run(&RESOLVE).exits(2).stderr;
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("no `{text}` in {said}"));
    let failed = at("has no branch, tag or commit `v9`");
    let unchanged = at("config/factory.lock is unchanged: 1 workspace, 1 plugin\n");
    let end = at("error: 1 workspace failed: `repo`\n");
    assert!(failed < unchanged && unchanged < end, "{said}");
}

/// However it is written, it is the repository that is locked, and the commit stays.
#[harness::test]
fn a_repository_that_is_written_otherwise_is_the_same() {
    let (test, first) = moved();
    let source = |repo: &str| {
        let json = serde_json::json!({ "repo": repo, "repo-ref": "main", "workspace-path": "." });
        test.config("source.json", json.to_string());
    };
    fs::create_dir(test.path("link")).unwrap();
    std::os::unix::fs::symlink("../repo", test.path("link/repo")).unwrap();
    let absolute = test.path("repo");
    for repo in ["./../repo", "../repo/", "../config/../repo", "../link/repo", absolute.to_str().unwrap()] {
        source(repo);
        let status = test.run(&["status"]).success().stdout;
        assert!(status.contains("not stale"), "{repo}: {status}");
        test.run(&["resolve", "--keep"]).success();
        assert!(test.read("config/factory.lock").contains(&format!("commit = \"{first}\"")), "{repo}");
        // Nor where the workspace is resolved for something else.
        test.config(".env", format!("NODE_VERSION={}\n", if repo.contains('.') { "20" } else { "22" }));
        test.run(&["resolve", "--keep"]).success();
        assert!(test.read("config/factory.lock").contains(&format!("commit = \"{first}\"")), "{repo}");
    }
    // One that is not here has its path alone.
    fs::rename(test.path("repo"), test.path("elsewhere")).unwrap();
    source("../config/.././repo");
    assert!(test.run(&["status"]).success().stdout.contains("not stale"));
    source("../other/repo");
    let stale = test.run(&["status", "--check"]).exits(3);
    assert!(
        stale.stdout.contains("its repository is now `../other/repo`, the lock was made for `"),
        "{}",
        stale.stdout
    );
}
