//! Locks of two branches: `factory lock merge` as git's merge driver, installed as the documentation says, and what
//! `factory resolve --keep` makes of what is left.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use factory::lock::Lock;
use harness::program::{Outcome, Test};
use harness::repository::{Repository, git};

use harness::workspace::scripted as workspace;

/// Two workspaces of one repository, resolved, built and committed with their lock.
struct Branches {
    test: Test,
    source: Repository,
    config: Repository,
}

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "host.lock"];
const MERGING: &str = "run `factory resolve --keep`: it keeps what one side alone changed, and resolves what both changed; \
                       or take one side with `git checkout --ours` or `--theirs`";

impl Branches {
    fn new(driver: bool) -> Self {
        let plugins = ["a", "b"].map(|name| (name.to_owned(), "frontend-plugin", String::new()));
        let test = workspace(&plugins, "");
        for file in ["source.json", "plugins-list.yaml"] {
            fs::remove_file(test.path(&format!("config/{file}"))).unwrap();
        }
        fs::rename(test.path("config/host.lock"), test.path("host.lock")).unwrap();
        for (name, plugin) in [("one", "a"), ("two", "b")] {
            let source = r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "."}"#;
            test.config(&format!("{name}/source.json"), source)
                .config(&format!("{name}/plugins-list.yaml"), format!("plugins/{plugin}:\n"));
        }
        let source = Repository { dir: test.path("repo") };
        let config = Repository::init(&test.path("config"));
        let branches = Self { test, source, config };
        if driver {
            branches.install();
        }
        branches.test.run(&RESOLVE).success();
        branches.build("");
        branches.config.commit("base");
        branches
    }

    /// Runs the lines of docs/lock.md.
    fn install(&self) {
        fs::create_dir(self.test.path("bin")).unwrap();
        symlink(harness::program(), self.test.path("bin/factory")).unwrap();
        let page = fs::read_to_string(harness::project().join("docs/lock.md")).unwrap();
        let section = page.split("\n## Merge\n").nth(1).unwrap();
        let lines = section.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
        assert!(lines.contains("git config merge."), "{lines}");
        assert!(Command::new("sh").args(["-ec", lines]).current_dir(&self.config.dir).status().unwrap().success());
    }

    /// Moves a plugin of the source, and what is named of the lock with it, on a branch of its own.
    fn branch(&self, name: &str, from: &str, plugin: &str, workspace: &str) -> String {
        self.config.git(&["checkout", "--quiet", "-B", name, from]);
        self.source.write(&format!("plugins/{plugin}/exported.sh"), format!("# {name}\n"));
        let commit = self.source.commit(name);
        self.test.run(&[&RESOLVE[..], &[workspace]].concat()).success();
        self.build(workspace);
        self.config.commit(name);
        commit
    }

    fn build(&self, workspace: &str) {
        let names: Vec<&str> = Some(workspace).filter(|name| !name.is_empty()).into_iter().collect();
        self.test.run(&[&["build"], &names[..]].concat()).success();
    }

    fn merge(&self, branch: &str) -> Outcome {
        self.merge_with(branch, &format!("{}:/usr/bin:/bin", self.test.path("bin").display()))
    }

    /// The same where git does not find the driver.
    fn merge_without_driver(&self, branch: &str) -> Outcome {
        self.merge_with(branch, "/usr/bin:/bin")
    }

    fn merge_with(&self, branch: &str, path: &str) -> Outcome {
        let mut command = git(&self.config.dir);
        command.args(["merge", "--no-edit", branch]).env("PATH", path);
        self.test.outcome(command.output().unwrap())
    }

    fn text(&self) -> String {
        self.test.read("config/factory.lock")
    }

    fn lock(&self) -> Lock {
        Lock::from_text(&self.text(), "factory.lock".as_ref()).unwrap()
    }

    fn commits(&self) -> Vec<String> {
        self.lock().workspace.iter().map(|workspace| workspace.source.commit.clone().unwrap()).collect()
    }
}

#[harness::test]
fn two_branches_that_moved_two_workspaces_merge_and_build_as_they_were_sealed() {
    let branches = Branches::new(true);
    let one = branches.branch("one", "main", "a", "one");
    let two = branches.branch("two", "main", "b", "two");
    let said = branches.merge("one").success();
    assert!(said.stderr.contains("factory.lock: merged by workspace and plugin\n"), "{said:?}");
    assert_eq!(branches.commits(), [one, two]);
    assert_eq!(branches.lock().to_text(), branches.text());
    assert_eq!(branches.config.git(&["status", "--porcelain"]), "");
    let said = branches.test.run(&["build", "--frozen"]).success().stderr;
    assert!(said.ends_with("2 plugins built into [DIR]/outputs, equal to the seals in the lock\n"), "{said}");
}

#[harness::test]
fn two_branches_that_moved_the_same_workspace_are_ended_by_a_resolve() {
    let branches = Branches::new(true);
    branches.branch("left", "main", "a", "one");
    branches.branch("right", "main", "a", "one");
    let two = branches.branch("right", "right", "b", "two");
    let said = branches.merge("left").exits(1);
    let error = "error: factory.lock: both sides changed `one`\n\nhint: run `factory resolve --keep`, which resolves what \
                 both changed and keeps the rest; then `git add` the lock and factory.lock.d\n";
    assert!(said.stderr.contains(error), "{said:?}");
    assert!(said.stdout.contains("CONFLICT (content): Merge conflict in factory.lock\n"), "{said:?}");

    // It is named as what it is, with its line.
    let line = branches.text().lines().position(|line| line.starts_with("<<<<<<< ours")).unwrap() + 1;
    let conflict =
        format!("error: config/factory.lock:{line}: has the conflict markers of a merge\n\nhint: {MERGING}\n");
    for command in ["status", "build", "sbom", "verify", "resolve"] {
        branches.test.run(&[command]).fails(3, &conflict);
    }

    // Neither of the two commits is right for sure: it is resolved anew, and nothing else is.
    branches.source.write("plugins/a/exported.sh", "# newest\n");
    let newest = branches.source.commit("newest");
    let said = branches.test.run(&["resolve", "--keep"]).success().stderr;
    let note = "config/factory.lock: both sides of the merge changed `one`: resolved anew\n";
    assert!(said.contains(note), "{said}");
    let end = "config/factory.lock written: 2 workspaces, 2 plugins\n\
               the merge of the lock is done: `git add` it and factory.lock.d\n";
    assert!(said.ends_with(end), "{said}");
    assert_eq!(branches.commits(), [newest, two]);
    branches.build("");
    branches.config.commit("merged");
    branches.test.run(&["build", "--frozen"]).success();
}

#[harness::test]
fn what_git_alone_could_not_merge_is_ended_by_a_resolve_too() {
    let branches = Branches::new(false);
    branches.branch("left", "main", "a", "one");
    let newest = branches.branch("right", "main", "a", "one");
    branches.merge("left").exits(1);
    assert!(branches.text().contains("\n<<<<<<< HEAD\n"), "{}", branches.text());
    let said = branches.test.run(&["resolve", "--keep", "--check"]).exits(3).stderr;
    assert!(said.contains("config/factory.lock: is not up to date"), "{said}");
    branches.test.run(&["resolve", "--keep"]).success();
    assert_eq!(branches.commits()[0], newest);

    // What is no conflict of two locks is not guessed at, where git does not know the sides.
    branches.config.git(&["add", "."]);
    let torn = branches.text().replace("name = \"one\"", "<<<<<<< a\nname = \n=======\nname = \"one\"\n>>>>>>> b");
    branches.test.write("config/factory.lock", torn);
    let said = branches.test.run(&["resolve", "--keep"]).exits(3).stderr;
    let what =
        "error: config/factory.lock: cannot be merged, since our side of its conflict is no lock: config/factory.lock:";
    assert!(said.contains(what), "{said}");
    let unmatched = branches.text().replace("=======\n", "");
    branches.test.write("config/factory.lock", unmatched);
    assert!(branches.test.run(&["resolve", "--keep"]).exits(3).stderr.contains("has the conflict markers of a merge"));
}

const UNMERGED: &str = "warning: config/factory.lock is unmerged in git, and has nothing of the branch that is merged: run \
                        `factory resolve --keep`, which merges it, or `git add` it if it is as it should be\n";

/// Git keeps ours in the work tree, without a marker.
#[harness::test]
fn a_merge_whose_driver_did_not_start_is_ended_by_a_resolve_from_the_sides_in_git() {
    let branches = Branches::new(true);
    let one = branches.branch("one", "main", "a", "one");
    let two = branches.branch("two", "main", "b", "two");
    let ours = branches.text();
    branches.merge_without_driver("one").exits(1);
    assert_eq!(branches.text(), ours);

    let test = &branches.test;
    for command in [&["status"][..], &["sbom"], &["diff"], &["build", "--frozen", "two"]] {
        let said = test.run(command).stderr;
        assert!(said.contains(UNMERGED), "{command:?}: {said}");
    }
    // It needs no network, and takes from each side what that one moved.
    let said = test.run_with(&["resolve", "--keep"], &[("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")]).success();
    let end = "config/factory.lock written: 2 workspaces, 2 plugins\n\
               the merge of the lock is done: `git add` it and factory.lock.d\n";
    let merged = "config/factory.lock: merged by workspace and plugin\n";
    assert!(said.stderr.contains(merged) && said.stderr.ends_with(end), "{said:?}");
    assert!(!said.stderr.contains(UNMERGED), "{said:?}");
    assert_eq!(branches.commits(), [one, two]);
    // As it was ended, though git does not know it yet.
    let said = test.run(&["build", "--frozen"]).success().stderr;
    assert!(!said.contains("unmerged") && said.ends_with(", equal to the seals in the lock\n"), "{said}");
    branches.config.commit("merged");
    assert_eq!(branches.config.git(&["status", "--porcelain"]), "");
}

#[harness::test]
fn what_both_sides_in_git_changed_is_resolved_anew() {
    let branches = Branches::new(true);
    branches.branch("left", "main", "a", "one");
    branches.branch("right", "main", "a", "one");
    let two = branches.branch("right", "right", "b", "two");
    branches.merge_without_driver("left").exits(1);
    branches.source.write("plugins/a/exported.sh", "# newest\n");
    let newest = branches.source.commit("newest");
    // Neither side is lost where that fails.
    let ours = branches.text();
    fs::rename(&branches.source.dir, branches.test.path("gone")).unwrap();
    branches.test.run(&["resolve", "--keep"]).exits(2);
    assert_eq!(branches.text(), ours);
    fs::rename(branches.test.path("gone"), &branches.source.dir).unwrap();

    let said = branches.test.run(&["resolve", "--keep"]).success().stderr;
    assert!(said.contains("config/factory.lock: both sides of the merge changed `one`: resolved anew\n"), "{said}");
    assert_eq!(branches.commits(), [newest, two]);
    // One that is merged, or in no repository, is as any other.
    branches.config.git(&["add", "."]);
    assert_eq!(branches.test.run(&["status"]).success().stderr, "");
}

/// Where each branch asked for a ref of its own, ours can be the end of the merge: then it is.
#[harness::test]
fn a_lock_that_is_as_its_merge_is_not_said_to_be_unmerged() {
    let branches = Branches::new(true);
    let (test, config) = (&branches.test, &branches.config);
    for (branch, tag) in [("left", "v1"), ("right", "v2")] {
        config.git(&["checkout", "--quiet", "-B", branch, "main"]);
        branches.source.write("plugins/a/exported.sh", format!("# {tag}\n"));
        branches.source.commit(tag);
        branches.source.git(&["tag", tag]);
        test.run(&["resolve", "one", "--ref", tag]).success();
        config.commit(tag);
    }
    let ours = branches.text();
    branches.merge("left").exits(1);
    let error = "error: config/one/source.json:";
    let said = test.run(&["resolve", "--keep"]).stderr;
    assert!(said.contains(error) && said.contains("has the conflict markers of a merge"), "{said}");
    config.git(&["checkout", "--quiet", "--ours", "one/source.json"]);
    test.run(&["resolve", "--keep"]).success();
    assert_eq!(branches.text(), ours);
    let said = test.run(&["status"]).success();
    assert!(!said.stderr.contains("unmerged") && said.stdout.contains("not stale"), "{said:?}");
}

/// Whichever side's ref is taken, the workspace is as that side sealed it: its seals and its files beside the lock stay.
#[harness::test]
fn the_seals_of_the_side_that_is_taken_stay() {
    for side in ["ours", "theirs"] {
        let branches = Branches::new(true);
        let (test, config) = (&branches.test, &branches.config);
        let manifest = test.read("repo/plugins/a/package.json").replace("frontend-plugin", "backend-plugin");
        branches.source.write("plugins/a/package.json", manifest);
        let mut locks = Vec::new();
        for (branch, tag) in [("left", "v1"), ("right", "v2")] {
            config.git(&["checkout", "--quiet", "-B", branch, "main"]);
            // Each has other private dependencies.
            let closure = format!("__metadata:\\n  version: 8\\n  cacheKey: 10c0\\n\\n# {tag}\\n");
            let script = format!("rm -rf dist-dynamic/yarn.lock\nprintf '{closure}' > dist-dynamic/yarn.lock\n");
            branches.source.write("plugins/a/exported.sh", script);
            branches.source.commit(tag);
            branches.source.git(&["tag", tag]);
            test.run(&["resolve", "one", "--ref", tag, "--host-lockfile", "host.lock"]).success();
            branches.build("one");
            config.commit(tag);
            locks.push((branches.text(), test.read("config/factory.lock.d/one/plugins/a/yarn.lock")));
        }
        assert_ne!(locks[0].1, locks[1].1);
        branches.merge("left").exits(1);
        config.git(&["checkout", "--quiet", &format!("--{side}"), "one/source.json"]);
        let said = test.run(&["resolve", "--keep", "--host-lockfile", "host.lock"]).success().stderr;
        assert!(!said.contains("to be built again"), "{side}: {said}");
        let taken = &locks[usize::from(side == "ours")];
        assert_eq!(branches.text(), taken.0, "{side}");
        assert_eq!(test.read("config/factory.lock.d/one/plugins/a/yarn.lock"), taken.1, "{side}");
        test.run(&["build", "--frozen"]).success();
    }
}

/// Between markers there is no base: git's index has it.
#[harness::test]
fn markers_of_git_are_merged_with_what_both_sides_began_with() {
    let branches = Branches::new(false);
    branches.branch("left", "main", "a", "one");
    branches.branch("right", "main", "a", "one");
    let two = branches.branch("right", "right", "b", "two");
    branches.merge("left").exits(1);
    assert!(branches.text().contains("\n<<<<<<< HEAD\n"), "{}", branches.text());
    let said = branches.test.run(&["resolve", "--keep"]).success().stderr;
    assert!(said.contains("both sides of the merge changed `one`: resolved anew\n"), "{said}");
    assert_eq!(branches.commits()[1], two);
}

#[harness::test]
fn the_driver_reads_three_locks() {
    let test = Test::new();
    let lock = include_str!("../data/lock/version-1.lock");
    let other = lock.replace("version = \"22.20.0\"", "version = \"22.21.0\"");
    assert_ne!(lock, other);
    test.write("base", "").write("ours", lock).write("theirs", lock);
    let merge = || test.run(&["lock", "merge", "base", "ours", "theirs", "config/factory.lock"]);
    merge().success();
    assert_eq!(test.read("ours"), lock);
    // Tools that were asked for alike: the newer one.
    test.write("theirs", &other);
    assert_eq!(merge().success().stderr, "config/factory.lock: merged by workspace and plugin\n");
    let node = |name: &str| test.read(name).contains("version = \"22.21.0\"");
    assert!(node("ours"));
    test.write("theirs", "x").write("base", lock);
    let said = merge().exits(3).stderr;
    assert!(said.starts_with("error: theirs:1:2: "), "{said}");
    assert!(node("ours"), "nothing is written");
    let said = test.run(&["lock", "merge", "base", "ours", "none"]).exits(3).stderr;
    assert_eq!(said, "error: none: there is no lock\n\nhint: name three locks\n");
    for (at, args) in [("base", ["config", "ours", "ours"]), ("ours", ["ours", "config", "ours"])] {
        let said = test.run(&[&["lock", "merge"], &args[..]].concat());
        assert_eq!(said.stderr, "error: `config` is a folder\n\nhint: name three locks\n", "{at}");
        said.exits(2);
    }
    let said = test.run(&["lock", "merge", "none", "ours", "ours"]).exits(3).stderr;
    assert_eq!(said, "error: none: there is no lock\n\nhint: name three locks\n");
}
