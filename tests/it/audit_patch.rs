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
         `ms@npm:^2.1.0` has an entry in yarn.lock, and nothing depends on it\n\n\
         it is not known whether something that is shipped changes\n"
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
    let fails = audit(&test, &["other.patch"]).exits(2).stderr;
    let what =
        "error: `patches/other.patch` does not apply to workspace `repo`: hunk 1 does not fit `yarn.lock` at line 1\n";
    assert!(fails.starts_with(what), "{fails}");
    for more in [&["none.patch"][..], &["none.patch", "--workspace", "repo"]] {
        audit(&test, more).fails(
            2,
            "error: cannot read `none.patch`: No such file or directory (os error 2)\n\nhint: name the file of a patch\n",
        );
    }
    audit(&test, &["note.txt"])
        .fails(2, "error: `note.txt` is not called `….patch`\n\nhint: builds apply `patches/*.patch` alone\n");
    let fails = audit(&test, &["other.patch", "--workspace", "none"]).exits(2).stderr;
    assert!(fails.contains("`none`"), "{fails}");
}

/// A checksum of one digit, over and over.
fn checksum(digit: &str) -> String {
    format!("  checksum: 10c0/{}", digit.repeat(128))
}

/// The same workspace, with checksums in its lockfile; what they are patched from.
fn with_checksums() -> (Test, String) {
    let test = setup();
    let line = |version: &str, digit: &str| format!("{version}\"\n{}", checksum(digit));
    let lock = LOCK.replace("npm:2.1.2\"", &line("npm:2.1.2", "a")).replace("npm:1.0.0\"", &line("npm:1.0.0", "b"));
    fs::write(test.path("repo/yarn.lock"), &lock).unwrap();
    assert!(git(&test.path("repo")).args(["commit", "--quiet", "-am", "checksums"]).status().unwrap().success());
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test.run(&["build", "--output-dir", "out"]).success();
    (test, lock)
}

#[harness::test]
fn where_a_package_comes_from_is_part_of_it() {
    harness::needs(&["patch"]);
    let (test, lock) = with_checksums();
    let from = |name: &str, version: &str| {
        let line = format!("  resolution: \"{name}@npm:{version}\"");
        let other = format!("  resolution: \"{name}@https://example.com/{name}.tgz\"");
        patch("yarn.lock", &lock, &[(&line, &other)])
    };
    test.write("shipped.patch", from("ms", "2.1.2")).write("tool.patch", from("tool", "1.0.0"));
    assert_eq!(
        said(&audit(&test, &["shipped.patch"]).success(), "shipped.patch"),
        "! from another source\n  ms 2.1.2: `ms@npm:2.1.2` → `ms@https://example.com/ms.tgz`\n\n\
         shipped\n  ms in `plugins/b`, sealed with 2.1.2\n\nsomething that is shipped changes\n"
    );
    assert_eq!(
        said(&audit(&test, &["tool.patch"]).success(), "tool.patch"),
        "! from another source\n  tool 1.0.0: `tool@npm:1.0.0` → `tool@https://example.com/tool.tgz`\n\n\
         nothing that is shipped changes\n"
    );
    let json = audit(&test, &["tool.patch", "--format", "json"]).success().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    fits("schema/factory.audit-patch.schema.json", &json);
    let moved = json!([{ "package": "tool", "version": "1.0.0", "from": ["tool@npm:1.0.0"],
        "to": "tool@https://example.com/tool.tgz" }]);
    assert_eq!(json["sources"], moved);
}

#[harness::test]
fn a_checksum_fits_its_version_or_yarn_refuses_it() {
    harness::needs(&["patch"]);
    let (test, lock) = with_checksums();
    let version = |to: &str| (format!("  version: {to}"), format!("  resolution: \"tool@npm:{to}\""));
    let ((version, resolution), (other, moved)) = (version("1.0.0"), version("1.1.0"));
    let kept = patch("yarn.lock", &lock, &[(&version, &other), (&resolution, &moved)]);
    let (tool, ms) = (checksum("b"), checksum("a"));
    test.write("kept.patch", kept)
        .write("malformed.patch", patch("yarn.lock", &lock, &[(&tool, "  checksum: 10c0/0000")]))
        .write("changed.patch", patch("yarn.lock", &lock, &[(&ms, &checksum("c"))]));
    let refused = audit(&test, &["kept.patch"]).exits(1);
    assert_eq!(refused.stderr, "error: yarn refuses the patched lockfile: 1 difference\n");
    assert_eq!(
        said(&refused, "kept.patch"),
        "1 package of the lockfile\n  ~ tool 1.0.0 → 1.1.0\n\nyarn refuses checksums (YN0018)\n  \
         tool 1.1.0 has that of tool 1.0.0\n\nnothing that is shipped changes\n"
    );
    assert_eq!(
        said(&audit(&test, &["malformed.patch"]).exits(1), "malformed.patch"),
        "yarn refuses checksums (YN0018)\n  tool 1.0.0 has one that is not of 128 hexadecimal digits\n\n\
         nothing that is shipped changes\n"
    );
    assert_eq!(
        said(&audit(&test, &["changed.patch"]).success(), "changed.patch"),
        "! other checksums of the same archives, which yarn refuses unless they changed too (YN0018)\n  ms 2.1.2\n\n\
         shipped\n  ms in `plugins/b`, sealed with 2.1.2\n\nsomething that is shipped changes\n"
    );
    let at = lock.lines().position(|line| line == tool).unwrap() + 1;
    test.write("missing.patch", format!("--- a/yarn.lock\n+++ b/yarn.lock\n@@ -{at},1 +{},0 @@\n-{tool}\n", at - 1));
    assert_eq!(
        said(&audit(&test, &["missing.patch"]).success(), "missing.patch"),
        "! no checksums any more\n  tool 1.0.0\n\nnothing that is shipped changes\n"
    );
}

#[harness::test]
fn a_script_that_runs_by_itself_has_a_line() {
    harness::needs(&["patch"]);
    let test = setup();
    test.run(&["build", "--output-dir", "out"]).success();
    let manifest = fs::read_to_string(test.path("repo/plugins/b/package.json")).unwrap();
    let line = "\"dependencies\":{\"ms\":\"^2.1.0\"},";
    let script = format!("\"scripts\":{{\"postinstall\":\"node x\",\"build\":\"y\"}},{line}");
    test.write("script.patch", patch("plugins/b/package.json", &manifest, &[(line, &script)]));
    assert_eq!(
        said(&audit(&test, &["script.patch"]).success(), "script.patch"),
        "! scripts that run by themselves\n  plugins/b/package.json: `postinstall` runs `node x`\n\n\
         it is not known whether something that is shipped changes\n"
    );
}

#[harness::test]
fn a_patch_that_breaks_the_lockfile_is_named() {
    harness::needs(&["patch"]);
    let test = setup();
    let (ms, tool) = ("\"ms@npm:^2.1.0\":", "\"tool@npm:^1.0.0\":");
    test.write("double.patch", patch("yarn.lock", LOCK, &[(tool, ms)]));
    audit(&test, &["double.patch"]).fails(
        1,
        "error: `double.patch` breaks `yarn.lock:20:1`: `ms@npm:^2.1.0` is duplicated\n\nhint: correct the patch\n",
    );
    test.write("syntax.patch", patch("yarn.lock", LOCK, &[(tool, "<<<<<<< x")]));
    let fails = audit(&test, &["syntax.patch"]).exits(1).stderr;
    assert!(fails.starts_with("error: `syntax.patch` breaks `yarn.lock:20"), "{fails}");
    assert!(fails.ends_with("\n\nhint: correct the patch\n"), "{fails}");
}

#[harness::test]
fn files_with_odd_names_are_changes() {
    harness::needs(&["patch"]);
    let test = setup();
    let makes = |name: &str| format!("--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+x\n");
    for (name, shown) in [("\"b/a\\033[31mred\"", "a\\u{1b}[31mred"), ("\"b/caf\\351\"", "caf\u{fffd}")] {
        test.write("odd.patch", format!("diff --git {} {name}\n{}", name.replace("b/", "a/"), makes(name)));
        let outcome = audit(&test, &["odd.patch"]).success();
        assert!(outcome.stdout.contains(&format!("\n  changes {shown}\n")), "{}", outcome.stdout);
        assert!(outcome.stdout.ends_with("\nit is not known whether something that is shipped changes\n"));
    }
}
