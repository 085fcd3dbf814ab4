//! `factory diff`: what a reader is told, and what a script gets.

use harness::{package_metadata, releases};
use std::fs;
use std::path::Path;

use factory::audit::companions::Companions;
use factory::audit::{self, Release};
use factory::error::redact;
use factory::lock::{Argument, Effective, Lock, PluginProblem, Sha256};
use serde_json::Value;

use harness::releases::{factory, golden, new_host, old_host, release};
use harness::repository::Repository;

/// Two folders, `old` and `new`, each with a release; and the two hosts' lockfiles.
struct Fixture {
    root: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        release(false).write(&root.path().join("old"));
        release(true).write(&root.path().join("new"));
        for (dir, is_new) in [("old", false), ("new", true)] {
            package_metadata::write(&root.path().join(dir), is_new);
        }
        fs::write(root.path().join("old-host.lock"), old_host()).unwrap();
        fs::write(root.path().join("new-host.lock"), new_host()).unwrap();
        Self { root }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn diff(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        factory(self.path()).arg("diff").args(["old/factory.lock", "new/factory.lock"]).args(args).assert()
    }

    /// stdout of a diff that succeeds.
    #[track_caller]
    fn stdout(&self, args: &[&str]) -> String {
        String::from_utf8(self.diff(args).success().get_output().stdout.clone()).unwrap()
    }
}

const HOSTS: [&str; 4] = ["--old-host", "old-host.lock", "--new-host", "new-host.lock"];

#[harness::test]
fn every_format_is_its_golden_file() {
    let fixture = Fixture::new();
    for (format, file) in [
        (&["human"][..], "human.txt"),
        (&["markdown"], "markdown.md"),
        (&["markdown", "--pr"], "pull-request.md"),
        (&["asciidoc"], "release-notes.adoc"),
        (&["json"], "diff.json"),
        (&["html"], "page.html"),
    ] {
        let args: Vec<&str> = [&["--format"], format, &HOSTS].concat();
        golden(&format!("tests/data/diff/{file}"), &fixture.stdout(&args));
    }
}

#[harness::test]
fn workspaces_that_only_moved_share_one_line() {
    let fixture = Fixture::new();
    for (dir, digit) in [("old", "1"), ("new", "2")] {
        let mut lock = release(false).lock;
        lock.workspace.truncate(1);
        for name in ["a", "b", "c", "d"] {
            lock.workspace.push(releases::workspace(name, "https://github.com/a/b", name, digit, 1_763_000_000));
        }
        fs::write(fixture.path().join(dir).join("factory.lock"), lock.to_text()).unwrap();
    }
    let human = fixture.stdout(&[]);
    let (_, shown) = human.split_once("! needs review\n").unwrap();
    assert_eq!(
        shown,
        "\n4 WORKSPACES WITH ONLY A NEW COMMIT\n  a, b, c, d\n  see the commits and links with `--all`, or with `-w NAME` for \
         one workspace\n"
    );
    for args in [&["--all"][..], &["-w", "b"]] {
        let human = fixture.stdout(args);
        assert!(human.contains("\nWORKSPACES\n") && !human.contains("ONLY A NEW"), "{human}");
        assert!(
            human.contains("\nb\n  ~ commit 2222222222 of") || human.contains("\nb\n  ~ commit 1111111111 of"),
            "{human}"
        );
    }
}

#[harness::test]
fn the_human_form_fits_80_columns() {
    let fixture = Fixture::new();
    for line in fixture.stdout(&HOSTS).lines() {
        let is_address = line.trim_start().starts_with("https://");
        assert!(is_address || line.chars().count() <= 80, "{line}");
    }
}

#[harness::test]
fn the_json_is_as_its_schema_says() {
    let schema = serde_json::to_string_pretty(&factory::audit::json::schema()).unwrap() + "\n";
    golden("schema/factory.diff.schema.json", &schema);
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let text = Fixture::new().stdout(&["--format", "json", HOSTS[0], HOSTS[1], HOSTS[2], HOSTS[3]]);
    let diff: Value = serde_json::from_str(&text).unwrap();
    let errors: Vec<String> = validator.iter_errors(&diff).map(|e| format!("{} at {}", e, e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!validator.is_valid(&serde_json::json!({ "version": 1 })), "the schema says something");
}

#[harness::test]
fn equal_locks_have_no_changes() {
    let fixture = Fixture::new();
    let output = factory(fixture.path()).args(["diff", "old/factory.lock", "old/factory.lock", "--exit-code"]).assert();
    let text = String::from_utf8(output.success().get_output().stdout.clone()).unwrap();
    assert!(text.contains("no changes"), "{text}");
}

#[harness::test]
fn exit_codes_follow_what_was_asked() {
    let fixture = Fixture::new();
    fixture.diff(&[]).code(0);
    fixture.diff(&["--exit-code"]).code(1);
    fixture.diff(&["--fail-on", "major"]).code(1);
    fixture.diff(&["--fail-on", "major,unreproducible"]).code(4);
    // In `quay` nothing changed; what concerns all workspaces still counts.
    fixture.diff(&["--fail-on", "unreproducible", "-w", "quay"]).code(0);
    fixture.diff(&["--fail-on", "unreproducible", "-w", "acr"]).code(4);
    fixture.diff(&["--fail-on", "minor"]).code(2);
    factory(fixture.path()).args(["diff", "old/factory.lock"]).assert().code(3);
}

#[harness::test]
fn one_workspace_is_shown_whole() {
    let fixture = Fixture::new();
    let text = fixture.stdout(&["-w", "github"]);
    assert!(text.contains("\ngithub\n") && !text.contains("\ntodo\n"), "{text}");
    // By the name it had.
    let text = fixture.stdout(&["-w", "aws-codebuild"]);
    assert!(text.contains("\nbackstage-plugins-for-aws\n"), "{text}");
    let stderr = fixture.diff(&["-w", "nothing"]).code(2).get_output().stderr.clone();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.contains("there is no workspace `nothing` in either release"), "{stderr}");
}

#[harness::test]
fn a_wrong_host_lockfile_is_refused() {
    let fixture = Fixture::new();
    let args = ["--old-host", "new-host.lock", "--new-host", "old-host.lock"];
    let stderr = String::from_utf8(fixture.diff(&args).code(2).get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("`new-host.lock` is not the host lockfile"), "{stderr}");
    fixture.diff(&HOSTS[..2]).code(2);
}

#[harness::test]
fn host_lockfiles_come_from_the_cache_when_they_are_there() {
    let fixture = Fixture::new();
    let rhdh = Repository::init(&fixture.path().join("rhdh"));
    for (folder, is_new, text) in [("old", false, old_host()), ("new", true, new_host())] {
        rhdh.write("yarn.lock", text);
        let mut release = release(is_new);
        release.lock.rhdh.as_mut().unwrap().commit = Some(rhdh.commit(folder));
        release.write(&fixture.path().join(folder));
    }
    let run = |repository: &str| {
        let args = ["diff", "old/factory.lock", "new/factory.lock", "--format", "json", "--cache-dir", "cache"];
        let output = factory(fixture.path()).args(args).env("RHDH_REPO", repository).assert().success();
        serde_json::from_slice::<Value>(&output.get_output().stdout).unwrap()
    };
    let cached = run("rhdh");
    let given: Value = serde_json::from_str(&fixture.stdout(&[&["--format", "json"], &HOSTS[..]].concat())).unwrap();
    assert_eq!(cached["summary"]["host"], given["summary"]["host"]);
    assert_eq!(kinds(&cached), kinds(&given));
    let without = run("https://unreachable.invalid/rhdh");
    assert!(
        without["notes"].to_string().contains("the cache does not have the yarn.lock of both RHDH releases"),
        "{without:#}"
    );
}

#[harness::test]
fn the_default_is_the_lock_against_head() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path().join("repo"));
    let config = repository.dir.join("config");
    release(false).write(&config);
    repository.commit("1.9");
    fs::remove_dir_all(&config).unwrap();
    release(true).write(&config);
    let default = factory(&repository.dir).args(["diff", "--format", "json"]).assert().success();
    let default: Value = serde_json::from_slice(&default.get_output().stdout).unwrap();
    assert_eq!(default["old"]["name"], "HEAD:config/factory.lock");
    assert_eq!(default["new"]["name"], "config/factory.lock");
    // The closures of a revision come from that revision, not from the work tree.
    let files: Value = serde_json::from_str(&fixture.stdout(&["--format", "json"])).unwrap();
    assert_eq!(default["changes"], files["changes"]);
    assert_eq!(default["notes"], files["notes"]);

    let elsewhere = factory(&config).args(["diff", "HEAD:./factory.lock", "factory.lock", "--format", "json"]).assert();
    let elsewhere: Value = serde_json::from_slice(&elsewhere.success().get_output().stdout).unwrap();
    assert_eq!(elsewhere["changes"], default["changes"]);
}

#[harness::test]
fn a_revision_or_path_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path().join("repo"));
    repository.write("config/factory.lock", release(true).lock.to_text());
    repository.write("other", "x").commit("all");
    let stderr = |args: &[&str], code| {
        let output = factory(&repository.dir).arg("diff").args(args).assert().code(code);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    let said = stderr(&["v9:config/factory.lock", "config/factory.lock"], 2);
    assert!(said.contains("`v9` is not a commit in this repository") && said.contains("`origin/v9`"), "{said}");
    repository.git(&["mv", "config", "elsewhere"]);
    repository.commit("moved");
    let said = stderr(&["HEAD", "elsewhere/factory.lock"], 2);
    assert!(said.contains("hint: it is a commit: give the lock in it as `HEAD:<folder>/factory.lock`\n"), "{said}");
    repository.git(&["mv", "elsewhere", "config"]);
    repository.commit("moved back");
    let said = stderr(&["HEAD:factory.lock", "config/factory.lock"], 2);
    assert!(said.contains("`HEAD:factory.lock` not found"), "{said}");
    let said = stderr(&["nowhere.lock", "config/factory.lock"], 2);
    assert!(said.contains("`nowhere.lock` not found"), "{said}");
    let said = stderr(&["HEAD:other", "config/factory.lock"], 3);
    assert!(said.contains("HEAD:other:1:"), "{said}");
    let said = stderr(&["-", "-"], 2);
    assert!(said.contains("both sides cannot come from stdin"), "{said}");
    let said = {
        let lonely = fixture.path().join("lonely");
        release(true).write(&lonely.join("config"));
        let output = factory(&lonely).arg("diff").assert().code(2);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    assert!(said.contains("is not in a git repository"), "{said}");
}

#[harness::test]
fn a_lock_from_stdin_has_no_closures() {
    let fixture = Fixture::new();
    let output = factory(fixture.path())
        .args(["diff", "-", "new/factory.lock", "--format", "json"])
        .write_stdin(release(false).lock.to_text())
        .assert()
        .success();
    let diff: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(diff["old"]["name"], "stdin");
    assert!(kinds(&diff).iter().all(|kind| kind != "dependencies"), "{diff:#}");
    let notes = diff["notes"].to_string();
    assert!(notes.contains("beside `stdin` are missing"), "{notes}");
}

/// A version that was released means one package: another one under it has to be looked at.
#[harness::test]
fn other_content_under_the_same_version_needs_review() {
    let fixture = Fixture::new();
    let mut lock = release(false).lock;
    lock.workspace.retain(|workspace| workspace.name == "todo");
    fs::write(fixture.path().join("old/factory.lock"), lock.to_text()).unwrap();
    let plugin = &mut lock.workspace[0].plugin[0];
    plugin.sealed = Some(releases::sealed("other", None));
    plugin.args.push(Argument::new("--embed-package", "lodash"));
    plugin.why.push("@x/plugin-todo depends on `lodash`".into());
    fs::write(fixture.path().join("new/factory.lock"), lock.to_text()).unwrap();
    let human = fixture.stdout(&["--all"]);
    let said = "  ! plugins/todo
    ~ arguments (computed)
      + --embed-package lodash
          because @x/plugin-todo depends on `lodash`
    ! output changed (tgz, layer, image) with its inputs: arguments
      the version is still 0.10.0, which the old release has with other content\n";
    assert!(human.contains(said) && human.ends_with("\n1 change needs review, marked with !\n"), "{human}");
    let markdown = fixture.stdout(&["--format", "markdown"]);
    assert!(markdown.contains("\n- **review**: 1 change needs review, marked with `!`\n"), "{markdown}");
    assert!(markdown.contains("<details open><summary><b>todo</b> · ! 1 · ~ 1</summary>"), "{markdown}");
    assert!(markdown.contains("\n      - because `@x/plugin-todo` depends on `lodash`\n"), "{markdown}");
    let still = "    - the version is still `0.10.0`, which the old release has with other content\n";
    assert!(markdown.contains(still), "{markdown}");
    let html = fixture.stdout(&["--format", "html"]);
    assert!(html.contains("<dt>review</dt><dd>1 change needs review</dd>"), "{html}");
    let json: Value = serde_json::from_str(&fixture.stdout(&["--format", "json"])).unwrap();
    let output = &json["changes"][1];
    assert_eq!((&output["mark"], &output["same-version"]), (&"!".into(), &"0.10.0".into()), "{json:#}");
}

/// The plugin's own dependency moved, and another package has one of the two versions.
#[harness::test]
fn the_version_a_plugin_itself_depends_on_moves() {
    let fixture = Fixture::new();
    let entry = |versions: &[&str]| {
        let all: Vec<(&str, &str)> = versions.iter().map(|version| ("ms", *version)).collect();
        let text = releases::closure("@x/plugin-todo-backend", &[], &all);
        // Only the first is the plugin's own.
        let others = versions[1..].iter().map(|version| format!("    \"ms\": \"npm:{version}\"\n"));
        others.fold(text, |text, other| text.replacen(&other, "", 1))
    };
    for (dir, versions) in [("old", &["2.1.2", "2.1.3"][..]), ("new", &["2.1.3"])] {
        let mut lock = release(false).lock;
        lock.workspace.retain(|workspace| workspace.name == "todo");
        let closure = entry(versions);
        lock.workspace[0].plugin[1].sealed = Some(releases::sealed(dir, Some(&closure)));
        fs::write(fixture.path().join(dir).join("factory.lock"), lock.to_text()).unwrap();
        let path = "factory.lock.d/todo/plugins/todo-backend/yarn.lock";
        fs::write(fixture.path().join(dir).join(path), closure).unwrap();
    }
    let human = fixture.stdout(&[]);
    assert!(human.contains("    ~ dependencies: 1 changed\n        ~ ms 2.1.2 → 2.1.3\n"), "{human}");
    let back = factory(fixture.path()).args(["diff", "new/factory.lock", "old/factory.lock"]).assert().success();
    let back = String::from_utf8_lossy(&back.get_output().stdout).into_owned();
    assert!(back.contains("        ~ ms 2.1.3 → 2.1.2 (older), and in 2.1.3 for other packages\n"), "{back}");
}

fn kinds(diff: &Value) -> Vec<String> {
    diff["changes"].as_array().unwrap().iter().map(|change| change["kind"].as_str().unwrap().to_owned()).collect()
}

#[harness::test]
fn a_closure_that_is_not_the_pinned_one_is_not_believed() {
    let fixture = Fixture::new();
    let closure = fixture.path().join("new/factory.lock.d/todo/plugins/todo-backend/yarn.lock");
    fs::write(&closure, releases::closure("@x/plugin-todo-backend", &[], &[("intruder", "6.6.6")])).unwrap();
    let text = fixture.stdout(&["--format", "json"]);
    assert!(!text.contains("intruder"), "{text}");
    assert!(text.contains("does not match the digest in the lock, so its packages are not compared"), "{text}");
}

/// A line of markdown without its code spans (`CommonMark` 0.31: a run of back-ticks ends at the next one that is as long).
fn outside_of_code(line: &str) -> String {
    let (mut rest, mut outside) = (line, String::new());
    while let Some(at) = rest.find('`') {
        let run = rest[at..].chars().take_while(|c| *c == '`').count();
        outside.push_str(&rest[..at]);
        let inner = &rest[at + run..];
        let mut ticks = inner.match_indices('`').filter(|(end, _)| {
            let length = inner[*end..].chars().take_while(|c| *c == '`').count();
            length == run && !inner[..*end].ends_with('`')
        });
        if let Some((end, _)) = ticks.next() {
            rest = &inner[end + run..];
        } else {
            outside.push_str(&rest[at..at + run]);
            rest = inner;
        }
    }
    outside + rest
}

#[harness::test]
fn packages_of_frontends_are_compared_as_those_of_backends() {
    let fixture = Fixture::new();
    let sides = |old: Option<&str>, new: Option<&str>| {
        for (is_new, facts) in [(false, old), (true, new)] {
            let mut release = release(is_new);
            if let Some(facts) = facts {
                release.seal_bundle("todo", "plugins/todo", facts);
            }
            release.write(&fixture.path().join(if is_new { "new" } else { "old" }));
        }
        let diff: Value = serde_json::from_str(&fixture.stdout(&["--format", "json", "-w", "todo"])).unwrap();
        let changes = diff["changes"].as_array().unwrap();
        let is_of = |change: &&Value| change["plugin"] == "plugins/todo" && change["kind"] == "dependencies";
        let packages = changes.iter().find(is_of).map(|change| {
            let packages = change["packages"].as_array().unwrap();
            packages
                .iter()
                .map(|one| format!("{} {} {} {}", one["change"], one["package"], one["from"], one["to"]))
                .collect()
        });
        let notes = diff["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned());
        let notes: Vec<String> = notes.filter(|note| note.contains("bundles")).collect();
        (packages.unwrap_or_else(Vec::<String>::new), notes)
    };
    let old = "package dist a 1.0.0 installed exposes:.\npackage dist react 17.0.2 installed shares:react\n";
    let new = "package dist b 1.0.0 installed exposes:.\npackage dist react 18.3.1 installed shares:react\n\
               package dist-scalprum react 18.3.1 installed chunk\n";
    let moved =
        [r#""changed" "react" ["17.0.2"] ["18.3.1"]"#, r#""removed" "a" ["1.0.0"] []"#, r#""added" "b" [] ["1.0.0"]"#];
    assert_eq!(sides(Some(old), Some(new)), (moved.map(str::to_owned).to_vec(), vec![]));
    let unknown = format!("{new}unknown dist/a.js no-map\n");
    let note = "the bundles of `todo plugins/todo` of `new/factory.lock` do not say all that is in them, so packages may be \
                missing";
    assert_eq!(sides(Some(old), Some(&unknown)), (moved.map(str::to_owned).to_vec(), vec![note.to_owned()]));
    // One was sealed by an earlier version.
    let note = "`old/factory.lock` does not say what is in the bundles of `todo plugins/todo`, so their packages are not \
                compared";
    assert_eq!(sides(None, Some(new)), (vec![], vec![note.to_owned()]));
    assert_eq!(sides(None, None), (vec![], vec![]));
}

#[harness::test]
fn text_from_outside_is_only_text() {
    let fixture = Fixture::new();
    let mut hostile = release(true);
    let todo = hostile.lock.workspace.iter_mut().find(|workspace| workspace.name == "todo").unwrap();
    let evil = "<img src=x onerror=alert(1)>\u{1b}[2J`@team` [x](https://evil.example) | </code></script>";
    todo.source.requested = evil.into();
    todo.plugin[1].args = vec![Argument::new("--embed-package", evil)];
    todo.plugin[1].why = vec![evil.into()];
    todo.name = "<b>&\"'@team".into();
    todo.dir = "todo".into();
    fs::write(fixture.path().join("new/factory.lock"), hostile.lock.to_text()).unwrap();
    let html = fixture.stdout(&["--format", "html"]);
    assert!(!html.contains("<img") && !html.contains("<b>&\"") && !html.contains('\u{1b}'), "{html}");
    assert_eq!(html.matches("<script>").count(), 1);
    assert_eq!(html.matches("</script>").count(), 1);
    let markdown = fixture.stdout(&["--format", "markdown"]);
    assert!(!markdown.contains('\u{1b}'));
    // Among the names of the summary.
    let (summary, rest) = markdown.split_once("\n- **plugins**").unwrap();
    assert!(summary.contains(" added (`<b>&\"'@team`, `backstage-plugins-for-aws`, `github`), "), "{summary}");
    for line in rest.lines() {
        assert!(!outside_of_code(line).contains("@team"), "outside of code: {line}");
    }
    assert!(markdown.contains("<b>&lt;b&gt;&amp;&#34;'&#64;team</b>"), "{markdown}");
    let human = fixture.stdout(&[]);
    assert!(!human.contains('\u{1b}'), "{human}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[harness::test]
    fn no_text_breaks_a_renderer(text in "\\PC{0,40}|[`<>&\"'\\[\\]()|@#~ \\n\u{1b}\u{202e}]{1,30}|[a-f0-9]{38,42}") {
        let mut locks = [release(false).lock, release(true).lock];
        for (n, lock) in locks.iter_mut().enumerate() {
            let text = format!("{text}{n}");
            lock.rhdh.as_mut().unwrap().requested.clone_from(&text);
            lock.tools.npm.requested.clone_from(&text);
            for workspace in &mut lock.workspace {
                workspace.source.requested.clone_from(&text);
                workspace.source.backstage = Some(text.clone());
                // A lock has no query.
                workspace.source.repo = redact::repository(&format!("https://github.com/a/{text}"));
                for plugin in &mut workspace.plugin {
                    plugin.args = vec![Argument::new("--embed-package", &text)];
                    plugin.why = vec![text.clone()];
                }
            }
        }
        let [old, new] = locks.map(|lock| {
            let lock = Lock::from_text(&lock.to_text(), Path::new("factory.lock")).unwrap();
            Release::of_lock(&text, lock, Companions::None)
        });
        let diff = audit::compare(&old, &new, None).unwrap();
        let human = audit::human::render(&diff, audit::human::HumanOptions { all: true, ..Default::default() });
        assert!(!human.chars().any(|c| c.is_control() && c != '\n'), "{human}");
        let human = audit::human::render(&diff, audit::human::HumanOptions::default());
        assert!(!human.chars().any(|c| c.is_control() && c != '\n'), "{human}");
        assert!(audit::markdown::render(&diff).len() <= 65_536);
        let html = audit::html::render(&diff);
        assert_eq!(html.matches("<script").count(), 1);
        assert_eq!(html.matches("<a ").count(), html.matches("<a href=\"https://").count());
        serde_json::from_str::<Value>(&audit::json::render(&diff)).unwrap();
    }
}

#[harness::test]
fn markdown_stays_within_what_github_takes() {
    let fixture = Fixture::new();
    let mut large = release(true);
    let todo = large.lock.workspace.iter().find(|workspace| workspace.name == "todo").unwrap().clone();
    for n in 0..400 {
        let mut more = todo.clone();
        more.name = format!("workspace-{n}");
        more.dir.clone_from(&more.name);
        more.source.path = format!("workspaces/{}", more.name);
        for plugin in &mut more.plugin {
            plugin.name = format!("{}-{n}", plugin.name);
        }
        large.lock.workspace.push(more);
    }
    fs::write(fixture.path().join("new/factory.lock"), large.lock.to_text()).unwrap();
    let markdown = fixture.stdout(&["--format", "markdown"]);
    assert!(markdown.len() <= 65_536 && markdown.len() > 60_000, "{} bytes", markdown.len());
    assert_eq!(markdown.matches("<details").count(), markdown.matches("</details>").count());
    let json: Value = serde_json::from_str(&fixture.stdout(&["--format", "json"])).unwrap();
    let all = json["changes"].as_array().unwrap().len();
    let last = markdown.lines().last().unwrap();
    let left: usize = last.trim_start_matches("**").split(' ').next().unwrap().parse().unwrap();
    assert!(last.contains("more changes do not fit here"), "{last}");
    // Every change is either there or counted.
    let one_line: usize = markdown.lines().filter(|line| line.starts_with("- `")).count();
    assert!(left < all && left + one_line <= all, "{left} left out, {one_line} items, {all} changes");
}

/// A configuration in the layout of RHDH's export repository.
fn export_overlays(repository: &Repository, node: &str, reference: &str, plugins: &str) {
    repository.write("versions.json", format!(r#"{{"backstage":"1.45.3","node":"{node}","cli":"1.9.2"}}"#));
    let source = format!(r#"{{"repo":"https://github.com/a/b","repo-ref":"{reference}","repo-flat":false}}"#);
    repository.write("workspaces/todo/source.json", source);
    repository.write("workspaces/todo/plugins-list.yaml", plugins);
    repository.write("workspaces/todo/patches/1.patch", node);
}

#[harness::test]
fn branches_of_configurations_are_compared() {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::init(&root.path().join("overlays"));
    export_overlays(&repository, "22.19.0", "v1", "plugins/todo:\nplugins/old:\n");
    repository.commit("1.9");
    repository.git(&["branch", "release-1.9"]);
    export_overlays(&repository, "24.14.0", "v2", "plugins/todo: --embed-package @x/y @x/z\nplugins/new:\n");
    fs::create_dir_all(repository.dir.join("workspaces/broken")).unwrap();
    repository.write("workspaces/broken/source.json", "{");
    let said = |old: &str, new: &str| {
        let output = factory(&repository.dir).args(["diff", old, new]).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let text = said("release-1.9:workspaces", "workspaces");
    insta::assert_snapshot!(text, @r"
    release-1.9:workspaces → workspaces
      two configurations: refs, versions, arguments and lists, without locks
      workspaces  1 kept: 1 at another ref
      plugins     1 removed, 1 added, 1 kept: 1 changed

      + added   - removed   ~ changed   = moved or no effect   ! needs review

    FOR ALL WORKSPACES
      ! node 22.19.0 → 24.14.0 (major)

    WORKSPACES

    todo
      ~ ref v1 → v2
        https://github.com/a/b/compare/v1...v2
      ~ patch patches/1.patch changed
      + plugins/new: added
      ~ plugins/todo
        ~ arguments (from plugins-list.yaml)
          + --embed-package @x/y
          + --embed-package @x/z
      - plugins/old: removed

    NOT COMPARED
      `broken` of `workspaces` cannot be read and is not compared:
        broken/source.json:1:1: EOF while parsing an object

    1 change needs review, marked with !
    ");
    // The root of the repository stands for its workspaces.
    let body = |text: &str| {
        text.lines().skip(1).take_while(|line| *line != "NOT COMPARED").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(body(&said("release-1.9:", ".")), body(&text));
    let output = factory(&repository.dir).args(["diff", "workspaces", "Cargo.lock"]).assert().code(2);
    drop(output);
    release(true).write(&repository.dir);
    let output = factory(&repository.dir).args(["diff", "workspaces", "factory.lock"]).assert().code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("one is a lock, the other a configuration"), "{stderr}");
}

#[harness::test]
fn links_in_a_revision_lead_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::init(&root.path().join("overlays"));
    export_overlays(&repository, "22.19.0", "v1", "plugins/todo:\n");
    fs::write(root.path().join("secret"), "secret").unwrap();
    let patches = repository.dir.join("workspaces/todo/patches");
    std::os::unix::fs::symlink("1.patch", patches.join("2.patch")).unwrap();
    std::os::unix::fs::symlink("../../../../secret", patches.join("3.patch")).unwrap();
    repository.commit("links");
    fs::remove_file(patches.join("2.patch")).unwrap();
    fs::remove_file(patches.join("3.patch")).unwrap();
    let output =
        factory(&repository.dir).args(["diff", "HEAD:workspaces", "workspaces", "--format", "json"]).assert().success();
    let diff: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let inputs: Vec<_> =
        diff["changes"].as_array().unwrap().iter().map(|change| change["path"].as_str().unwrap_or("")).collect();
    assert_eq!(inputs, ["patches/2.patch"]);
}

#[harness::test]
fn the_numbers_of_1_9_against_1_10_are_these() {
    let shared = harness::needs_folder("FACTORY_SHARED_DATA", "shared/data");
    let output = factory(&shared.join("overlays"))
        .args(["diff", "release-1.9", "release-1.10", "--format", "json"])
        .args(["--old-host", "../host/rhdh-1.9.8.yarn.lock", "--new-host", "../host/rhdh-1.10.yarn.lock"])
        .assert()
        .success();
    let diff: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let summary = &diff["summary"];
    assert_eq!(
        summary["workspaces"],
        serde_json::json!({ "removed": 5, "added": 11, "kept": 53, "unchanged": 0, "moved": 1 })
    );
    assert_eq!(summary["other-commit"], 52);
    assert_eq!(
        summary["plugins"],
        serde_json::json!({ "removed": 12, "added": 70, "kept": 186, "unchanged": 184, "moved": 5 })
    );
    let changes = diff["changes"].as_array().unwrap();
    let count = |kind: &str| changes.iter().filter(|change| change["kind"] == kind).count();
    // What moved is neither gone nor new in the list.
    assert_eq!((count("plugin-removed"), count("plugin-added"), count("plugin-moved")), (7, 65, 5));
    assert_eq!((count("workspace-removed"), count("workspace-added"), count("workspace-moved")), (4, 10, 1));
    let tool = |name: &str| {
        let change = changes.iter().find(|change| change["tool"] == name && change["workspace"].is_null()).unwrap();
        (change["from"]["version"].as_str().unwrap(), change["to"]["version"].as_str().unwrap())
    };
    assert_eq!(tool("node"), ("22.19.0", "24.14.0"));
    assert_eq!(tool("rhdh-cli"), ("1.9.2", "1.10.8"));
    let backstage = changes.iter().find(|change| change["kind"] == "backstage").unwrap();
    assert_eq!((&backstage["from"], &backstage["to"]), (&"1.45.3".into(), &"1.49.4".into()));
    let moved: Vec<String> = changes
        .iter()
        .filter(|change| change["kind"] == "host-package" && change["step"] == "major")
        .map(|change| format!("{} {} → {}", change["package"], change["from"], change["to"]).replace('"', ""))
        .collect();
    assert_eq!(
        moved,
        [
            "@backstage/integration [1.20.0] → [2.0.0,2.0.1]",
            "@backstage/plugin-catalog [1.32.0] → [2.0.1]",
            "@backstage/plugin-catalog-node [1.20.0] → [2.1.0]",
            "@backstage/plugin-catalog-react [1.21.3] → [2.1.1,2.1.4]",
            "@backstage/plugin-scaffolder-common [1.7.6] → [2.0.0]",
        ]
    );
    assert_eq!(
        summary["host"]["shared"],
        serde_json::json!({ "dropped": 9, "added": 17, "major": 5, "zero-minor": 25, "less": 68, "same": 16 })
    );
}

#[harness::test]
fn a_repository_on_this_machine_is_looked_into_with_git() {
    let fixture = Fixture::new();
    Repository::init(&fixture.path().join("new/my repo"));
    for (dir, is_new) in [("old", false), ("new", true)] {
        let mut release = release(is_new);
        let todo = release.lock.workspace.iter_mut().find(|workspace| workspace.name == "todo").unwrap();
        todo.source.repo = "../my repo".into();
        fs::write(fixture.path().join(dir).join("factory.lock"), release.lock.to_text()).unwrap();
    }
    let human = fixture.stdout(&[]);
    assert!(human.contains("    main moved\n    git -C 'new/my repo' log 11111111..22222222\n"), "{human}");
    let (from, to) = (releases::commit("1"), releases::commit("2"));
    let whole = format!("git -C 'new/my repo' log {from}..{to}");
    assert!(fixture.stdout(&["--format", "markdown"]).contains(&format!("- `{whole}`\n")));
    let html = fixture.stdout(&["--format", "html"]);
    assert!(html.contains(&format!("<code>{}</code>", whole.replace('\'', "&#39;"))), "{html}");
    let json: Value = serde_json::from_str(&fixture.stdout(&["--format", "json"])).unwrap();
    let commands: Vec<_> = json["changes"].as_array().unwrap().iter().filter_map(|c| c["command"].as_str()).collect();
    assert_eq!(commands, [whole]);
}

#[harness::test]
fn plugins_that_cannot_be_exported_and_the_effective_yarn_lock_are_changes() {
    let fixture = Fixture::new();
    let file = fixture.path().join("new/factory.lock");
    let mut lock = Lock::from_text(&fs::read_to_string(&file).unwrap(), &file).unwrap();
    let what = "plugin `plugins/bad` cannot be exported";
    let problem = PluginProblem { plugin: "plugins/bad".into(), what: what.into(), hint: String::new() };
    lock.workspace[0].problem.push(problem);
    lock.workspace[0].effective = Some(Effective { yarn_lock: Sha256::of("patched") });
    fs::write(fixture.path().join("new/changed.lock"), lock.to_text()).unwrap();
    let name = lock.workspace[0].name.as_str();
    let said = |old: &str, new: &str, format: &str| {
        let output = factory(fixture.path()).args(["diff", old, new, "--format", format]).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let (before, after) = ("new/factory.lock", "new/changed.lock");
    let diff: Value = serde_json::from_str(&said(before, after, "json")).unwrap();
    let expected = serde_json::json!([
        {
            "mark": "~", "workspace": name, "kind": "effective-yarn-lock",
            "to": Sha256::of("patched").to_string(),
        },
        {
            "mark": "!", "workspace": name, "plugin": "plugins/bad", "kind": "problem", "what": what, "solved": false,
        },
    ]);
    assert_eq!(diff["changes"], expected);
    for format in ["human", "markdown", "html"] {
        let text = said(before, after, format);
        assert!(text.contains("yarn.lock") && text.contains("is changed by patches and overlays now"), "{text}");
        assert!(text.contains("not exported: ") && text.contains("plugins/bad"), "{text}");
        let text = said(after, before, format);
        assert!(text.contains("is no longer changed by patches and overlays"), "{text}");
        assert!(text.contains("no longer: ") && text.contains("plugins/bad"), "{text}");
    }
}
