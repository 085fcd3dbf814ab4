//! `factory diff` by levels of support, which the metadata of the export repository says.

use std::fs;
use std::path::Path;

use harness::package_metadata::{self, PackageMetadata};
use harness::releases::{factory, release};
use harness::repository::Repository;
use serde_json::{Value, json};

fn stdout(dir: &Path, args: &[&str]) -> String {
    let output = factory(dir).arg("diff").args(args).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn json_of(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&stdout(dir, &[args, &["--format", "json"]].concat())).unwrap()
}

/// Two locks, `old` and `new`, without metadata.
fn locks() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    release(false).write(&root.path().join("old"));
    release(true).write(&root.path().join("new"));
    root
}

const SIDES: [&str; 2] = ["old/factory.lock", "new/factory.lock"];

/// A level, and what became of which package.
type Level<'a> = (Option<&'a str>, Vec<(&'a str, &'a str)>);

fn levels(diff: &Value) -> Vec<Level<'_>> {
    let groups = diff["support"].as_array().unwrap();
    groups
        .iter()
        .map(|group| {
            let rows = group["plugins"].as_array().unwrap();
            let rows = rows.iter().map(|row| (row["change"].as_str().unwrap(), row["package"].as_str().unwrap()));
            (group["level"].as_str(), rows.collect())
        })
        .collect()
}

#[harness::test]
fn plugins_are_grouped_by_the_support_that_metadata_beside_the_lock_says() {
    let root = locks();
    for (dir, is_new) in [("old", false), ("new", true)] {
        package_metadata::write(&root.path().join(dir), is_new);
    }
    let diff = json_of(root.path(), &SIDES);
    let found = levels(&diff);
    assert_eq!(found[0], (Some("generally-available"), vec![("changed", "@x/plugin-todo")]));
    assert_eq!(found[1], (Some("tech-preview"), vec![("changed", "@x/plugin-todo-backend")]));
    assert_eq!(found[2], (Some("dev-preview"), vec![("added", "@aws/ecs-backend")]));
    assert_eq!(found[3], (Some("community"), vec![("removed", "@x/plugin-ocm")]));
    assert_eq!(found[4].0, None);
    assert!(found[4].1.contains(&("removed", "@x/plugin-ocm-backend")), "{found:?}");
    assert_eq!(diff["support"][3]["unchanged"], 2);
    let todo = &diff["support"][0]["plugins"][0];
    assert_eq!(todo["support"], json!({ "from": "production", "to": "generally-available" }));
    assert_eq!(todo["supported-versions"], json!({ "from": "1.45.3", "to": "1.49.4" }));
    let backend = &diff["support"][1]["plugins"][0];
    assert_eq!(backend["version"], json!({ "from": "0.14.2", "to": "1.0.0" }));
    assert_eq!((&backend["step"], &backend["metadata-version"]), (&json!("major"), &json!("0.14.2")));
    assert!(backend["link"].as_str().unwrap().starts_with("https://github.com/backstage/community-plugins/compare/"));
    let human = stdout(root.path(), &SIDES);
    let (_, shown) = human.split_once("\nPLUGINS BY SUPPORT LEVEL\n").unwrap();
    assert!(
        shown.starts_with(
            "  generally available: 1 changed\n    ~ @x/plugin-todo 0.10.0 in todo\n        support production → \
             generally-available\n"
        ),
        "{shown}"
    );
    assert!(
        shown.contains(
            "\n    ! @x/plugin-todo-backend 0.14.2 → 1.0.0 (major) in todo\n        its metadata says version 0.14.2\n"
        ),
        "{shown}"
    );
}

#[harness::test]
fn metadata_that_says_another_version_is_shown_of_a_plugin_that_stays() {
    let root = locks();
    for dir in ["old", "new"] {
        let acr = PackageMetadata {
            package: "@x/plugin-acr",
            title: "acr",
            version: "0.9.0",
            support: "community",
            lifecycle: "active",
            backstage: "1.45.3",
            artifact: "oci://r.example/x",
        };
        acr.write(&root.path().join(dir), "acr");
    }
    let diff = json_of(root.path(), &SIDES);
    assert_eq!(levels(&diff)[0], (Some("community"), vec![("changed", "@x/plugin-acr")]));
    let row = &diff["support"][0]["plugins"][0];
    assert_eq!((&row["version"]["to"], &row["metadata-version"]), (&json!("1.0.0"), &json!("0.9.0")));
    let human = stdout(root.path(), &SIDES);
    assert!(human.contains("    ! @x/plugin-acr 1.0.0 in acr\n        its metadata says version 0.9.0\n"), "{human}");
}

#[harness::test]
fn metadata_can_be_elsewhere() {
    let root = locks();
    let checkout = root.path().join("checkout");
    package_metadata::write(&checkout.join("workspaces"), true);
    let diff = json_of(root.path(), &SIDES);
    assert_eq!(levels(&diff).len(), 1);
    assert_eq!(diff["support"][0]["level"], Value::Null);
    for folder in ["checkout", "checkout/workspaces"] {
        let diff = json_of(root.path(), &[&SIDES[..], &["--metadata", folder]].concat());
        assert_eq!(levels(&diff)[1].0, Some("tech-preview"), "{folder}");
    }
    let of_todo = json_of(root.path(), &[&SIDES[..], &["--metadata", "checkout/workspaces/todo/metadata"]].concat());
    assert_eq!(levels(&of_todo).len(), 3);
    package_metadata::write(&root.path().join("before"), false);
    let both = ["--metadata", "checkout", "--old-metadata", "before", "-w", "todo"];
    let diff = json_of(root.path(), &[&SIDES[..], &both].concat());
    assert_eq!(diff["support"][0]["plugins"][0]["support"]["from"], "production");
    assert_eq!((levels(&diff).len(), &diff["support"][0]["unchanged"]), (2, &Value::Null));
    let by_old_name = ["--metadata", "checkout", "-w", "aws-codebuild"];
    let diff = json_of(root.path(), &[&SIDES[..], &by_old_name].concat());
    assert_eq!(levels(&diff), [(Some("dev-preview"), vec![("added", "@aws/ecs-backend")])]);
    let wrong = factory(root.path()).arg("diff").args(SIDES).args(["--metadata", "old"]).assert().code(2);
    let said = String::from_utf8(wrong.get_output().stderr.clone()).unwrap();
    assert!(said.starts_with("error: `old` has no package metadata\n"), "{said}");
}

#[harness::test]
fn revisions_of_an_export_repository_are_compared_by_their_names_alone() {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::init(&root.path().join("repo"));
    let workspaces = repository.dir.join("workspaces");
    let todo =
        PackageMetadata { package: "@x/plugin-todo", version: "1.0.0", support: "tech-preview", ..Default::default() };
    for (branch, version, support) in
        [("release-1.9", "1.0.0", "tech-preview"), ("release-1.10", "1.1.0", "generally-available")]
    {
        let source = json!({ "repo": "https://github.com/a/b", "repo-ref": version, "repo-flat": false });
        repository.write("workspaces/todo/source.json", source.to_string());
        repository.write("workspaces/todo/plugins-list.yaml", "plugins/todo:\n");
        PackageMetadata { version, support, ..todo }.write(&workspaces, "todo");
        if version == "1.1.0" {
            PackageMetadata { package: "@x/new", support: "community", ..todo }.write(&workspaces, "todo");
        }
        repository.commit(version);
        repository.git(&["branch", branch]);
    }
    let diff = json_of(&repository.dir, &["release-1.9", "release-1.10"]);
    assert_eq!(
        (&diff["old"]["name"], &diff["new"]["form"]),
        (&json!("release-1.9:workspaces"), &json!("configuration"))
    );
    assert_eq!(
        levels(&diff),
        [
            (Some("generally-available"), vec![("changed", "@x/plugin-todo")]),
            (Some("community"), vec![("added", "@x/new")])
        ]
    );
    let row = &diff["support"][0]["plugins"][0];
    assert_eq!((&row["version"]["from"], &row["version"]["to"]), (&json!("1.0.0"), &json!("1.1.0")));
    // With a lock in the commit, it is compared, and its metadata comes from that commit.
    release(true).write(&workspaces);
    repository.commit("lock");
    repository.write("workspaces/factory.lock", release(false).lock.to_text()).commit("another");
    fs::remove_dir_all(workspaces.join("todo/metadata")).unwrap();
    let diff = json_of(&repository.dir, &["HEAD", "HEAD~1"]);
    assert_eq!((&diff["old"]["name"], &diff["new"]["form"]), (&json!("HEAD:workspaces/factory.lock"), &json!("lock")));
    assert_eq!(
        (&levels(&diff)[0], &diff["support"][0]["plugins"][0]["metadata-version"]),
        (&(Some("generally-available"), vec![("changed", "@x/plugin-todo")]), &json!("1.1.0"))
    );
}

#[harness::test]
fn metadata_that_cannot_be_read_is_named() {
    let root = locks();
    let folder = root.path().join("new/todo/metadata");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.yaml"), "kind: Package\nspec: {}\n").unwrap();
    fs::write(folder.join("b.yaml"), "[".repeat(200)).unwrap();
    fs::write(folder.join("c.yaml"), vec![b'#'; 2 << 20]).unwrap();
    fs::write(folder.join("d.yaml"), "kind: Plugin\n").unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.join("e.yaml")).unwrap();
    let diff = json_of(root.path(), &SIDES);
    let notes = diff["notes"].as_array().unwrap();
    let said = |text: &str| notes.iter().any(|note| note == text);
    assert!(
        said(
            "package metadata of `new/factory.lock` is not read: `todo/metadata/a.yaml` (it has no \
             `spec.packageName`), `todo/metadata/b.yaml` (line 1: more than 128 values within each other), \
             `todo/metadata/c.yaml` (it is larger than 1048576 bytes)"
        ),
        "{notes:#?}"
    );
    assert!(said("`old/factory.lock` has no package metadata, so what was supported in it is not known"), "{notes:#?}");
}
