//! `REV:path`: a release is looked at and built again from its commit, with its configuration and the files beside its
//! lock as they were.

use std::fs;

use harness::program::{Test, names};
use harness::repository::Repository;

use harness::workspace::scripted as workspace;

/// A repository with a source and a configuration, which is at `v1` what was built first. Its work tree is another release
/// by now.
fn released() -> Test {
    let test = workspace(&[("a".to_owned(), "frontend-plugin", String::new())], "");
    let repo = Repository { dir: test.path("") };
    for folder in ["", "repo"] {
        let _ = fs::remove_dir_all(test.path(folder).join(".git"));
    }
    repo.git(&["init", "--quiet", "--initial-branch=main"]);
    fs::remove_file(test.path("config/host.lock")).unwrap();
    test.write(".gitignore", "cache\nhome\nout*\n")
        .config("source.json", r#"{"repo": "..", "repo-ref": "main", "workspace-path": "repo"}"#)
        .config("patches/1.patch", "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+one\n");
    repo.commit("source");
    test.run(&["resolve"]).success();
    test.run(&["build", "--output-dir", "out"]).success();
    repo.commit("release");
    repo.git(&["tag", "v1"]);
    test.config("patches/1.patch", "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+two\n")
        .write("repo/plugins/a/exported.sh", "echo two > dist-dynamic/dist/entry.js\n");
    repo.commit("source of another");
    test.run(&["resolve"]).success();
    test.run(&["build", "--output-dir", "out2"]).success();
    repo.commit("another release");
    test
}

/// The files of an output folder without logs and the report.
fn made(test: &Test, folder: &str) -> Vec<(String, Vec<u8>)> {
    let files =
        names(&test.path(folder)).into_iter().filter(|name| name.contains(".tgz") || name.starts_with("dynamic"));
    files.map(|name| (name.clone(), fs::read(test.path(folder).join(name)).unwrap())).collect()
}

#[harness::test]
fn an_old_release_is_built_again_by_one_command() {
    let test = released();
    for (at, value) in
        [("--config-dir", "v1:config"), ("--lock-file", "v1:config/factory.lock"), ("--config-dir", "v1:./config")]
    {
        let _ = fs::remove_dir_all(test.path("out3"));
        let said = test.run(&["build", "--frozen", at, value, "--output-dir", "out3"]).success().stderr;
        assert!(said.ends_with("1 plugin built into [DIR]/out3, equal to the seals in the lock\n"), "{said}");
        assert_eq!(made(&test, "out3"), made(&test, "out"), "{value}");
        assert_ne!(made(&test, "out3")[0], made(&test, "out2")[0]);
    }
    // Nothing of the work tree was written to.
    assert_eq!(Repository { dir: test.path("") }.git(&["status", "--porcelain"]), "");
    let said = test.run(&["verify", "--config-dir", "v1:config"]).success();
    assert_eq!(said.stdout, "repo plugins/a: reproduced to the byte\n");
}

#[harness::test]
fn what_reads_a_lock_reads_one_of_a_commit() {
    let test = released();
    let v1 = ["--lock-file", "v1:config/factory.lock"];
    let said = test.run(&[&["status", "--output-dir", "out"], &v1[..]].concat()).success().stdout;
    assert!(said.starts_with("v1:config/factory.lock\n  identity sha256:"), "{said}");
    assert!(said.contains("  1 workspace: not stale\n  1 plugin: 1 sealed, 1 built\n"), "{said}");
    let sbom = |args: &[&str]| test.run(&[&["sbom"], args].concat()).success().stdout;
    assert_ne!(sbom(&v1), sbom(&[]));
    let said = test.run(&[&["diff", "v1:config"], &v1[..]].concat()).success().stdout;
    assert!(
        said.contains("v1:config/factory.lock → v1:config/factory.lock\n") && said.contains("no changes"),
        "{said}"
    );
    assert!(test.run(&["diff", "v1:config"]).success().stdout.contains("~ patch patches/1.patch changed\n"));

    // What is beside the lock is that of the commit, and what is wrong is named as it was asked for.
    let repo = Repository { dir: test.path("") };
    repo.git(&["rm", "--quiet", "-r", "--cached", "config/factory.lock.d"]);
    let torn = test.read("config/factory.lock").replace("version = 1", "version = 9");
    test.write("config/factory.lock", torn);
    repo.git(&["commit", "--quiet", "--all", "-m", "torn"]);
    let said = test.run(&["status", "--lock-file", "HEAD:config/factory.lock"]).exits(3).stderr;
    assert!(said.starts_with("error: HEAD:config/factory.lock:2:11: lock format 9 is newer than "), "{said}");
    test.write("factory.lock", test.read("config/factory.lock"));
    repo.commit("a lock in the root");
    let said = test.run(&["status", "--lock-file", "HEAD:factory.lock"]).exits(3).stderr;
    assert!(said.starts_with("error: HEAD:factory.lock:2:11: lock format 9 is newer than "), "{said}");
}

#[harness::test]
fn what_cannot_be_had_of_a_commit_is_said() {
    let test = released();
    let needs = |command: &str, hint: &str| {
        format!(
            "error: `v1:config` is of a commit, and `factory {command}` needs a folder that it can write to\n\nhint: {hint}"
        )
    };
    let checkout = "check the commit out, or name a folder";
    let at = ["--config-dir", "v1:config"];
    test.run(&[&["build"], &at[..]].concat()).fails(2, &needs("build", "add `--frozen`: then nothing is written"));
    test.run(&[&["resolve"], &at[..]].concat()).fails(2, &needs("resolve", checkout));
    test.run(&[&["doctor"], &at[..]].concat()).fails(2, &needs("doctor", checkout));
    test.run(&[&["run"], &at[..]].concat())
        .fails(2, &needs("run", "build a release again with `factory build --frozen`"));
    let hint = "paths in a commit start at the repository's root, or with `./` in this folder";
    test.run(&["status", "--lock-file", "v1:factory.lock"])
        .fails(2, &format!("error: there is no file `factory.lock` in `v1`\n\nhint: {hint}"));
    let said = test.run(&["status", "--lock-file", "v9:config/factory.lock"]).exits(2).stderr;
    assert!(said.starts_with("error: `v9` is not a commit in this repository\n"), "{said}");
}

/// A commit alone names no configuration: where that is in it is said.
#[harness::test]
fn a_commit_without_a_path_is_told_its_configuration() {
    let test = released();
    for command in [&["build"][..], &["build", "--frozen"], &["status"], &["verify"], &["sbom"], &["fetch"], &["plan"]]
    {
        test.run(&[command, &["--config-dir", "v1"]].concat()).fails(
            2,
            "error: the configuration directory `v1` does not exist\n\nhint: it is a commit: give the configuration directory \
             in it as `v1:config`\n",
        );
    }
    test.run(&["status", "--lock-file", "v1"]).fails(
        2,
        "error: the lock file `v1` does not exist\n\nhint: it is a commit: give the lock file in it as \
         `v1:config/factory.lock`\n",
    );
    // Neither a commit nor a folder; and a command that writes there.
    test.run(&["status", "--config-dir", "v9"]).exits(3);
    let said = test.run(&["resolve", "--config-dir", "v1"]).exits(2).stderr;
    assert!(said.starts_with("error: v1: the configuration directory does not exist\n"), "{said}");
}

/// A path behind `REV:` is found from a folder below, and one that is not there or leads out is a fault of the command line.
#[harness::test]
fn a_path_that_leads_out_of_the_repository_or_nowhere_is_refused() {
    let test = released();
    fs::create_dir_all(test.path("config/below")).unwrap();
    let diff = |side: &str| {
        let mut command = test.command(&["diff", "--config-dir", "config", side, "../factory.lock"]);
        test.outcome(command.current_dir(test.path("config/below")).output().unwrap())
    };
    for side in ["v1:..", "v1:../", "v1:../factory.lock", "v1:../gone/../factory.lock", "v1:../../config"] {
        assert_eq!(diff(side).success().stderr, "", "{side}");
    }
    let missing = "paths in a commit start at the repository's root; commit the lock, or name another one";
    let outside = "use a path in the repository's work tree";
    for (side, what, hint) in [
        ("v1:../gone/x", "`v1:../gone/x` not found", missing),
        ("v1:../../../x", "`../../../x` is outside the repository", outside),
        ("v1:../../..", "`../../..` is outside the repository", outside),
        ("v1:../../gone/../../x", "`../../gone/../../x` is outside the repository", outside),
    ] {
        diff(side).fails(2, &format!("error: {what}\n\nhint: {hint}\n"));
    }
}
