//! The files of a configuration move into another folder, as where one of one workspace becomes one of several: commit,
//! seals and stamps stay, whatever the folder is called.

use std::fs;
use std::os::unix::fs::symlink;

use harness::program::{Test, names};
use harness::repository::Repository;
use harness::workspace::{CLOSURE, scripted};

/// A workspace `repo` of one backend, sealed, in a configuration of one workspace; its source has moved since.
fn sealed() -> Test {
    let test = scripted(&[("a".to_owned(), "backend-plugin", CLOSURE.to_owned())], "");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test.run(&["build", "--output-dir", "out"]).success();
    fs::copy(test.path("config/factory.lock"), test.path("before.lock")).unwrap();
    let repo = Repository { dir: test.path("repo") };
    repo.write("plugins/a/index.js", "more").commit("second");
    test
}

/// Moves the workspace's files into a folder, and says where the repository is from there.
fn into_folder(test: &Test, folder: &str) {
    for file in ["source.json", "plugins-list.yaml"] {
        test.config(&format!("{folder}/{file}"), test.read(&format!("config/{file}")).replace("../repo", "../../repo"));
        fs::remove_file(test.path(&format!("config/{file}"))).unwrap();
    }
}

/// The lock of before with another folder, and another name, of the workspace.
fn moved_lock(test: &Test, folder: &str) -> String {
    let before = test.read("before.lock");
    let after = before
        .replace("\nname = \"repo\"\n", &format!("\nname = \"{folder}\"\n"))
        .replace("\ndir = \".\"\n", &format!("\ndir = \"{folder}\"\n"))
        .replace("\nrepo = \"../repo\"\n", "\nrepo = \"../../repo\"\n");
    assert_ne!(before, after);
    after
}

#[harness::test]
fn a_relative_repository_is_the_same_from_another_folder() {
    let test = sealed();
    into_folder(&test, "repo");
    let status = test.run(&["status"]).success().stdout;
    assert!(status.contains("its folder is now `repo`, the lock was made for `.`"), "{status}");
    assert!(!status.contains("its repository"), "{status}");
    test.run(&["resolve", "--keep"]).success();
    assert_eq!(test.read("config/factory.lock"), moved_lock(&test, "repo"));
    test.run(&["build", "--frozen", "--output-dir", "out"]).success();
    let diff = test.run(&["diff", "before.lock", "config/factory.lock"]).success().stdout;
    assert!(!diff.contains("workspace moved"), "{diff}");

    // And back, from a folder that is gone.
    for file in ["source.json", "plugins-list.yaml"] {
        test.config(file, test.read(&format!("config/repo/{file}")).replace("../../repo", "../repo"));
    }
    fs::remove_dir_all(test.path("config/repo")).unwrap();
    test.run(&["resolve", "--keep"]).success();
    assert_eq!(test.read("config/factory.lock"), test.read("before.lock"));
}

#[harness::test]
fn a_workspace_that_is_called_by_its_new_folder_keeps_what_is_locked() {
    let test = sealed();
    let files = names(&test.path("config/factory.lock.d/repo"));
    assert_ne!(files, [""; 0]);
    into_folder(&test, "todo");
    let stale = "is now called `todo`, and what is locked of it is under its old name\n";
    let status = test.run(&["status"]).success().stdout;
    assert!(status.contains("  1 workspace: 1 stale\n"), "{status}");
    assert!(status.contains(&format!("  ! stale: {stale}")) && !status.contains("no longer in"), "{status}");
    let said = test.run(&["build"]).exits(3).stderr;
    let error = format!(
        "error: lockfile is stale for workspace `repo`: {stale}\nhint: run `factory resolve --keep`, which moves nothing else\n"
    );
    assert!(said.ends_with(&error), "{said}");
    let said = test.run(&["resolve", "--keep"]).success().stderr;
    assert!(said.contains("workspace `repo` is now called `todo`: what is locked of it stays\n"), "{said}");
    assert_eq!(test.read("config/factory.lock"), moved_lock(&test, "todo"));
    assert_eq!(names(&test.path("config/factory.lock.d/todo")), files);
    assert!(!test.path("config/factory.lock.d/repo").exists());
    test.run(&["build", "--frozen", "--output-dir", "out"]).success();
    let diff = test.run(&["diff", "before.lock", "config/factory.lock"]).success().stdout;
    let changes = "todo\n  = workspace renamed from repo (same repository and folder)\n  \
                   = plugins/a: moved here from workspace repo (same repository and folder)\n";
    assert!(diff.ends_with(changes), "{diff}");
}

#[harness::test]
fn two_workspaces_that_could_be_the_one_before_are_new() {
    let test = sealed();
    into_folder(&test, "one");
    test.config("two/source.json", test.read("config/one/source.json"));
    test.config("two/plugins-list.yaml", test.read("config/one/plugins-list.yaml"));
    let status = test.run(&["status"]).success().stdout;
    assert!(status.contains("! stale: is no longer in the configuration, and `one`, `two` could be it\n"), "{status}");
    let said = test.run(&["resolve", "--keep", "--host-lockfile", "config/host.lock"]).success().stderr;
    assert!(!said.contains("is now called"), "{said}");
    let warning = "warning: workspace `repo` is no longer in the configuration, and `one`, `two` could be it: what is locked \
                   of it is dropped; to keep it, restore the lock, and run `factory resolve --keep` with one of them before \
                   the others are there\n";
    assert!(said.contains(warning), "{said}");
}

#[harness::test]
fn nothing_is_removed_through_a_link_beside_the_lock() {
    let test = sealed();
    fs::remove_dir_all(test.path("config/factory.lock.d/repo")).unwrap();
    fs::rename(test.path("config/factory.lock.d"), test.path("elsewhere")).unwrap();
    fs::create_dir(test.path("elsewhere/repo")).unwrap();
    symlink("../elsewhere", test.path("config/factory.lock.d")).unwrap();
    let before = test.read("config/factory.lock");
    into_folder(&test, "todo");
    let said = test.run(&["resolve", "--keep"]).exits(1).stderr;
    let error = "error: `config/factory.lock.d` is a symbolic link that leads out of `config`\n";
    assert!(said.contains(error), "{said}");
    assert!(test.path("elsewhere/repo").is_dir());
    assert_eq!(test.read("config/factory.lock"), before);
}
