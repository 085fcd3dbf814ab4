//! What a patch does to the lockfile of its workspace. Real git and GNU patch.

use std::fs;

use harness::program::{Outcome, Test};
use harness::repository::git;
use harness::workspace::scripted;
use serde_json::{Value, json};

use harness::schema::fits;

const LOCK: &str = r#"__metadata:
  version: 8
  cacheKey: 10c0

"@x/b@workspace:plugins/b":
  version: 0.0.0-use.local
  resolution: "@x/b@workspace:plugins/b"
  dependencies:
    ms: "npm:^2.1.0"
    tool: "npm:^1.0.0"
  languageName: unknown
  linkType: soft

"ms@npm:^2.1.0":
  version: 2.1.2
  resolution: "ms@npm:2.1.2"
  languageName: node
  linkType: hard

"tool@npm:^1.0.0":
  version: 1.0.0
  resolution: "tool@npm:1.0.0"
  languageName: node
  linkType: hard
"#;

/// The private dependencies of the backend.
const CLOSURE: &str = "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"ms@npm:^2.1.0\":\n  version: 2.1.2\n  \
                       resolution: \"ms@npm:2.1.2\"\n";

/// A workspace with a backend that ships `ms` and is made with `tool`.
fn setup() -> Test {
    let script = format!("rm -rf dist-dynamic/yarn.lock\nprintf '%s' '{CLOSURE}' > dist-dynamic/yarn.lock\n");
    let test = scripted(&[("b".to_owned(), "backend-plugin", script)], "");
    let manifest = r#"{"name":"@x/b","version":"1.0.0","backstage":{"role":"backend-plugin"},
"dependencies":{"ms":"^2.1.0"},
"devDependencies":{"tool":"^1.0.0"}}
"#;
    fs::write(test.path("repo/yarn.lock"), LOCK).unwrap();
    fs::write(test.path("repo/plugins/b/package.json"), manifest).unwrap();
    for args in [&["add", "--all"][..], &["commit", "--quiet", "-m", "dependencies"]] {
        assert!(git(&test.path("repo")).args(args).status().unwrap().success());
    }
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

/// A patch that replaces lines of a file, each at its place.
fn patch(file: &str, text: &str, lines: &[(&str, &str)]) -> String {
    let mut patch = format!("--- a/{file}\n+++ b/{file}\n");
    for (from, to) in lines {
        let at = text.lines().position(|line| line == *from).unwrap() + 1;
        patch.push_str(&format!("@@ -{at},1 +{at},1 @@\n-{from}\n+{to}\n"));
    }
    patch
}

/// The lines that lock `ms` and `tool` to other versions.
fn locked(name: &str, from: &str, to: &str) -> String {
    let line = |version: &str| format!("  resolution: \"{name}@npm:{version}\"");
    let versions = [format!("  version: {from}"), format!("  version: {to}")];
    patch("yarn.lock", LOCK, &[(&versions[0], &versions[1]), (&line(from), &line(to))])
}

fn audit(test: &Test, more: &[&str]) -> Outcome {
    test.run(&[&["audit-patch", "--no-progress"], more].concat())
}

/// What is said without the first lines, which name the patch.
fn said(outcome: &Outcome, patch: &str) -> String {
    let (head, rest) = outcome.stdout.split_once("\n\n").unwrap();
    assert!(head.starts_with(&format!("{patch} of workspace `repo` at commit ")), "{head}");
    rest.to_owned()
}

#[harness::test]
fn what_moves_is_shipped_or_it_is_not() {
    harness::needs(&["patch"]);
    let test = setup();
    test.config("patches/1-ms.patch", locked("ms", "2.1.2", "2.1.3"))
        .config("patches/2-tool.patch", locked("tool", "1.0.0", "1.1.0"));
    let file = "config/patches/1-ms.patch";
    let unsealed = audit(&test, &[file]).success();
    assert_eq!(
        said(&unsealed, file),
        "1 package of the lockfile\n  ~ ms 2.1.2 → 2.1.3\n\nnot known what is shipped\n  `plugins/b`: it has not been built\n\n\
         it is not known whether something that is shipped changes\n"
    );
    for patch in ["1-ms", "2-tool"] {
        fs::rename(test.path(&format!("config/patches/{patch}.patch")), test.path(&format!("{patch}.patch"))).unwrap();
    }
    test.run(&["build", "--output-dir", "out"]).success();
    // One that is not in the configuration yet is applied after those that are.
    assert_eq!(
        said(&audit(&test, &["1-ms.patch"]).success(), "1-ms.patch"),
        "1 package of the lockfile\n  ~ ms 2.1.2 → 2.1.3\n\nshipped\n  ms in `plugins/b`, sealed with 2.1.2\n\n\
         something that is shipped changes\n"
    );
    let tool = "1 package of the lockfile\n  ~ tool 1.0.0 → 1.1.0\n\nnothing that is shipped changes\n";
    assert_eq!(said(&audit(&test, &["2-tool.patch", "--offline"]).success(), "2-tool.patch"), tool);
    fs::create_dir_all(test.path("config/patches")).unwrap();
    fs::copy(test.path("1-ms.patch"), test.path("config/patches/1-ms.patch")).unwrap();
    assert_eq!(said(&audit(&test, &["2-tool.patch"]).success(), "2-tool.patch"), tool);

    let json = audit(&test, &["1-ms.patch", "--format", "json"]).success().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    fits("schema/factory.audit-patch.schema.json", &json);
    assert_eq!(json["shipped"], json!([{ "package": "ms", "plugin": "plugins/b", "sealed": ["2.1.2"] }]));
    assert_eq!((&json["changes-shipped"], &json["files"]), (&json!(true), &json!(["yarn.lock"])));
}

#[harness::test]
fn what_yarn_refuses_is_named_and_what_it_takes_is_said() {
    harness::needs(&["patch"]);
    let test = setup();
    test.run(&["build", "--output-dir", "out"]).success();
    let key = patch("yarn.lock", LOCK, &[("\"tool@npm:^1.0.0\":", "\"tool@npm:^2.0.0\":")]);
    let moved = locked("tool", "1.0.0", "2.0.0");
    let moved = moved.split_once("@@").map(|(_, hunks)| format!("@@{hunks}")).unwrap();
    test.write("refused.patch", format!("{key}{moved}")).write("taken.patch", locked("tool", "1.0.0", "2.0.0"));
    let refused = audit(&test, &["refused.patch"]).exits(1);
    assert_eq!(refused.stderr, "error: yarn refuses the patched lockfile: 2 differences\n");
    assert_eq!(
        said(&refused, "refused.patch"),
        "1 package of the lockfile, 1 by a major version\n  ~ tool 1.0.0 → 2.0.0 (major)\n\n\
         yarn refuses the lockfile (YN0028)\n  \
         `tool@^1.0.0`, a dependency of `plugins/b`, has no entry in yarn.lock\n  \
         `tool@npm:^2.0.0` has an entry in yarn.lock, and nothing depends on it\n\nnothing that is shipped changes\n"
    );
    assert_eq!(
        said(&audit(&test, &["taken.patch"]).success(), "taken.patch"),
        "1 package of the lockfile, 1 by a major version\n  ~ tool 1.0.0 → 2.0.0 (major)\n\n\
         not in the range of their keys, which yarn takes unless it checks resolutions\n  \
         `tool@npm:^1.0.0` is locked to 2.0.0\n\nnothing that is shipped changes\n"
    );
    // A range of package.json that the lockfile does not have, and a file of the source.
    let manifest = fs::read_to_string(test.path("repo/plugins/b/package.json")).unwrap();
    let line = "\"dependencies\":{\"ms\":\"^2.1.0\"},";
    test.write(
        "manifest.patch",
        patch("plugins/b/package.json", &manifest, &[(line, &line.replace("2.1.0", "2.2.0"))]),
    );
    assert_eq!(
        said(&audit(&test, &["manifest.patch"]).exits(1), "manifest.patch"),
        "yarn refuses the lockfile (YN0028)\n  \
         `ms@^2.2.0`, a dependency of `plugins/b`, has no entry in yarn.lock\n  \
         `ms` of the package in `plugins/b` is `^2.2.0` in package.json, and `npm:^2.1.0` in yarn.lock\n  \
         `ms@npm:^2.1.0` has an entry in yarn.lock, and nothing depends on it\n\nnothing that is shipped changes\n"
    );
    test.write("source.patch", "--- /dev/null\n+++ b/plugins/b/index.js\n@@ -0,0 +1 @@\n+x\n");
    let outcome = audit(&test, &["source.patch"]).success();
    assert!(outcome.stdout.contains("\n  changes plugins/b/index.js\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("\nit is not known whether something that is shipped changes\n"));
}

#[harness::test]
fn a_patch_that_does_not_apply_or_has_no_workspace_is_an_error() {
    harness::needs(&["patch"]);
    let test = setup();
    test.write("other.patch", "--- a/yarn.lock\n+++ b/yarn.lock\n@@ -1,1 +1,1 @@\n-x\n+y\n").write("note.txt", "");
    let fails = audit(&test, &["other.patch"]).exits(1).stderr;
    let what =
        "error: `patches/other.patch` does not apply to workspace `repo`: hunk 1 does not fit `yarn.lock` at line 1\n";
    assert!(fails.starts_with(what), "{fails}");
    audit(&test, &["note.txt"])
        .fails(2, "error: `note.txt` is not called `….patch`\n\nhint: builds apply `patches/*.patch` alone\n");
    let fails = audit(&test, &["other.patch", "--workspace", "none"]).exits(2).stderr;
    assert!(fails.contains("`none`"), "{fails}");
}
