//! What is wrong with local files is said of all workspaces, and before what is wrong with the network.

use crate::host::workspaces;

/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:1/";

/// The lines of an answer that are errors.
fn errors(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("error: ")).collect()
}

#[harness::test]
fn a_wrong_workspace_path_is_said_without_a_connection() {
    let mut test =
        workspaces(&[("alpha", "frontend-plugin"), ("beta", "frontend-plugin"), ("gamma", "frontend-plugin")]);
    let commit = harness::repository::Repository { dir: test.path("repo") }.git(&["rev-parse", "--short=12", "HEAD"]);
    let source = |path: &str| format!(r#"{{"repo": "../../repo", "repo-ref": "main", "workspace-path": "{path}"}}"#);
    test.env("NPM_CONFIG_REGISTRY", DEAD);
    test.config("alpha/source.json", source("alhpa"));
    // It is not the patch.
    test.config("alpha/patches/1.patch", "--- a/package.json\n+++ b/package.json\n@@ -1 +1 @@\n-x\n+y\n");
    test.config("beta/plugins-list.yaml", "plugins/a: --embed-package '@x/y\n");
    let wrong_path = format!("error: alpha: alhpa/package.json: is not in commit {commit}");
    let broken = "error: config/beta/plugins-list.yaml:1: the arguments of `plugins/a` have a quote that is not closed, or \
                  end in a backslash";
    let said = test.run(&["resolve", "alpha", "beta"]).exits(2).stderr;
    assert_eq!(errors(&said), [&*wrong_path, broken, "error: 2 workspaces failed: `alpha`, `beta`"]);
    let hint = "hint: set `workspace-path` to the folder of the yarn workspace in the repository, which has: `alpha`, `beta`, `gamma`\n";
    assert!(said.contains(hint), "{said}");

    // Where something could be locked, the network is asked after it was said.
    let said = test.run(&["resolve"]).exits(1).stderr;
    let lines = errors(&said);
    assert_eq!(&lines[..2], [&*wrong_path, broken]);
    assert_eq!(lines[2], "error: 2 workspaces failed: `alpha`, `beta`");
    assert!(lines[3].contains("the npm registry cannot be reached"), "{said}");
    assert!(!test.path("config/factory.lock").exists());
}

#[harness::test]
fn two_workspaces_of_one_package_are_named() {
    let test = workspaces(&[("one", "frontend-plugin"), ("two", "frontend-plugin")]);
    assert!(!test.run(&["resolve"]).success().stderr.contains("both install"));
    let source = r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "one"}"#;
    test.config("two/source.json", source);
    let said = test.run(&["resolve"]).success().stderr;
    let warning = "warning: `one plugins/a` and `two plugins/a` both install into `x-one`. RHDH would install one over \
                   the other: build them in separate runs, or rename one package\n";
    assert!(said.contains(warning), "{said}");
}
