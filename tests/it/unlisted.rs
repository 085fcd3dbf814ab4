//! Plugins of a workspace that its list does not have: named by `resolve`, `status` and `diff`, unless a comment of the
//! list leaves them out.

use std::fs;

use harness::two_workspaces::{Setup, package, said};

const LIST: &str = "alpha/plugins-list.yaml";

/// `alpha` with a list of its first plugin alone.
fn setup() -> Setup {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.write(LIST, "plugins/one:\n");
    setup
}

fn status(setup: &Setup) -> String {
    String::from_utf8(setup.ok(&["status"]).stdout).unwrap()
}

#[harness::test]
fn resolve_names_what_is_not_listed_and_the_lock_keeps_it() {
    let setup = setup();
    let said = said(&setup.ok(&["resolve"]));
    let list = setup.config().join(LIST);
    let expected = format!(
        "warning: alpha: not listed: plugins/two; add it to {}, or name it in a comment there\n",
        list.display()
    );
    assert!(said.contains(&expected), "{said}");
    let lock = setup.lock();
    assert!(lock.contains("\nversion = 1\nrevision = 7\n"), "{lock}");
    let block = "name = \"alpha\"\ndir = \"alpha\"\nrecipe = 2\nunlisted = [\n    \"plugins/two\",\n]\n";
    assert!(lock.contains(block), "{lock}");
    let text = status(&setup);
    assert!(text.contains("\n  ! not listed: plugins/two\n"), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&setup.ok(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["workspaces"][0]["unlisted"], serde_json::json!(["plugins/two"]));
}

#[harness::test]
fn a_comment_leaves_a_plugin_out() {
    let setup = setup();
    setup.ok(&["resolve"]);
    // It makes no lock stale, and `status` knows it at once.
    for comment in ["# plugins/two: ==> Added as a static plugin in RHDH", "# ignore: plugins"] {
        setup.write(LIST, &format!("plugins/one:\n{comment}\n"));
        let text = status(&setup);
        assert!(text.contains("not stale") && !text.contains("not listed"), "{text}");
    }
    let said = said(&setup.ok(&["resolve", "--keep"]));
    assert!(!said.contains("not listed"), "{said}");
    assert!(!setup.lock().contains("unlisted"), "{}", setup.lock());
}

#[harness::test]
fn what_is_listed_is_not_named() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    let said = said(&setup.ok(&["resolve"]));
    assert!(!said.contains("not listed"), "{said}");
    let lock = setup.lock();
    assert!(!lock.contains("unlisted") && lock.contains("\nrevision = 5\n"), "{lock}");
}

#[harness::test]
fn diff_names_plugins_that_came_with_the_source() {
    let setup = setup();
    setup.write(LIST, "plugins/one:\nplugins/two:\n");
    setup.ok(&["resolve"]);
    let before = setup.dir.path().join("before.lock");
    fs::copy(setup.config().join("factory.lock"), &before).unwrap();
    for name in ["bye", "bye-backend"] {
        let role = if name == "bye" { "frontend-plugin" } else { "backend-plugin" };
        setup.source.write(&format!("workspaces/alpha/plugins/{name}/package.json"), package(name, role));
    }
    setup.source.commit("second");
    let said = said(&setup.ok(&["resolve"]));
    let them = "not listed: plugins/bye, plugins/bye-backend; add them to ";
    assert!(said.contains(them), "{said}");
    let after = setup.config().join("factory.lock");
    let diff = |format: &str| {
        let args = ["diff", before.to_str().unwrap(), after.to_str().unwrap(), "--format", format];
        String::from_utf8(setup.ok(&args).stdout).unwrap()
    };
    let text = diff("human");
    assert!(text.contains("  ! not listed: plugins/bye, plugins/bye-backend\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&diff("json")).unwrap();
    let change = json["changes"].as_array().unwrap().iter().find(|change| change["kind"] == "unlisted").unwrap();
    assert_eq!(change["plugins"], serde_json::json!(["plugins/bye", "plugins/bye-backend"]));
    assert_eq!((change["mark"].as_str(), change["workspace"].as_str()), (Some("!"), Some("alpha")));
}
