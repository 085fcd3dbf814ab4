//! What several machines build in shards, and `factory join` makes one release of.

use std::collections::BTreeMap;
use std::fs;

use harness::program::Outcome;
use harness::repository::git;
use harness::shards::{build_shards, files, join, locks, outputs, three};
use serde_json::Value;

use harness::schema::fits;

#[harness::test]
fn shards_of_two_machines_join_to_what_one_machine_makes() {
    let test = three();
    let unsealed = locks(&test);
    let one = test.run(&["build", "--output-dir", "out"]).success();
    let sealed = locks(&test);
    assert!(sealed.keys().any(|name| name.ends_with("/yarn.lock")), "{:?}", sealed.keys());
    let bundle = "# factory bundle 1\nexposes dist .\nunknown dist/entry.js no-map\n";
    assert_eq!(String::from_utf8_lossy(&sealed["factory.lock.d/one/plugins/a/bundle"]), bundle);
    let forget = || {
        let _ = fs::remove_dir_all(test.path("config/factory.lock.d"));
        for (name, bytes) in &unsealed {
            test.config(name, bytes);
        }
    };
    forget();
    for said in build_shards(&test, 2) {
        said.success();
    }
    assert_eq!(locks(&test), unsealed, "the lock and what lies beside it are left as they are");
    for number in [1, 2] {
        let record = test.read(&format!("shard{number}/shard-{number}.json"));
        fits("schema/factory.shard.schema.json", &serde_json::from_str(&record).unwrap());
    }
    forget();
    let joined = join(&test, &["shard1", "shard2"]).success();
    assert_eq!(locks(&test), sealed);
    assert_eq!(outputs(&test.path("joined")), outputs(&test.path("out")));
    assert!(test.path("joined/three/logs/workspace.log").is_file());
    let summary = |said: &Outcome, folder: &str| {
        let from = said.stderr.find("3 workspaces: ").unwrap_or_else(|| panic!("{}", said.stderr));
        said.stderr[from..].replace(folder, "OUT")
    };
    assert_eq!(summary(&joined, "[DIR]/joined"), summary(&one, "[DIR]/out"));
    assert!(joined.stderr.contains("config/factory.lock: 3 plugins sealed\n"), "{}", joined.stderr);

    // Again, into the folder of a shard, with files in another order: nothing changes.
    join(&test, &["shard2/shard-2.json", "shard1/shard-1.json"]).success();
    assert_eq!(outputs(&test.path("joined")), outputs(&test.path("out")));
    test.run(&["join", "shard1", "shard2", "--output-dir", "shard1"]).success();
    let of_shard = outputs(&test.path("shard1"));
    assert!(outputs(&test.path("out")).iter().all(|(name, bytes)| of_shard[name] == *bytes));
    assert_eq!(locks(&test), sealed);
    // What is joined is what a later build expects, and leaves.
    test.run(&["build", "--frozen", "--output-dir", "joined"]).success();
}

#[harness::test]
fn a_user_without_rights_builds_the_same_shard() {
    harness::needs_root();
    let test = three();
    test.run(&["build", "--output-dir", "out"]).success();
    let sealed = locks(&test);
    fs::create_dir(test.path("nobody")).unwrap();
    let build = ["build", "--shard", "2/2", "--output-dir", "nobody/out", "--cache-dir", "nobody/cache"];
    test.run(&["build", "--shard", "1/2", "--output-dir", "shard1", "--cache-dir", "cache1", "--rebuild"]).success();
    test.run_as_nobody(&build).success();
    join(&test, &["shard1", "nobody/out"]).success();
    assert_eq!(locks(&test), sealed);
    let (joined, one) = (files(&test.path("joined")), files(&test.path("out")));
    assert_eq!(joined["dynamic-plugins.yaml"], one["dynamic-plugins.yaml"]);
    let images = |files: &BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
        files.clone().into_iter().filter(|(name, _)| name.contains("/oci/") || name.contains(".tgz")).collect()
    };
    assert_eq!(images(&joined), images(&one));
}

#[harness::test]
fn names_make_a_shard_and_too_many_shards_are_refused() {
    let test = three();
    test.run(&["build", "--shard", "4/4", "--output-dir", "out"])
        .fails(2, "error: shard 4/4 has no workspace: the lock has 3 workspaces\n\nhint: build fewer shards\n");
    let said = test.run(&["build", "--shard", "0/3"]).exits(2).stderr;
    assert!(said.contains("write a shard and their number, such as `1/3`, at most 256"), "{said}");
    test.run(&["build", "--shard", "1/2", "-p", "plugins/a"]).exits(2);
    test.run(&["build", "--shard", "1/2", "two", "one", "--output-dir", "shard1"]).success();
    test.run(&["build", "--shard", "2/2", "three", "--output-dir", "shard2"]).success();
    join(&test, &["shard1", "shard2"]).success();
    assert_eq!(test.read("joined/dynamic-plugins.yaml").matches("- package: ").count(), 3);
}

#[harness::test]
fn what_the_lock_no_longer_has_is_named_where_an_earlier_join_left_it() {
    let test = three();
    let shards = ["shard1", "shard2"];
    for said in build_shards(&test, 2) {
        said.success();
    }
    join(&test, &shards).success();
    fs::remove_dir_all(test.path("config/two")).unwrap();
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    for said in build_shards(&test, 2) {
        said.success();
    }
    join(&test, &shards).success();
    let report: Value = serde_json::from_str(&test.read("joined/build-report.json")).unwrap();
    assert_eq!(report["left-behind"], serde_json::json!(["two/x-c-dynamic-1.0.0.tgz"]));
    assert_eq!(test.read("joined/dynamic-plugins.yaml").matches("- package: ").count(), 2);
}

#[harness::test]
fn what_failed_in_a_shard_failed_in_the_release() {
    let test = three();
    let unsealed = test.read("config/factory.lock");
    fs::write(test.path("repo/plugins/b/exported.sh"), "exit 3\n").unwrap();
    assert!(
        git(&test.path("repo")).args(["commit", "--quiet", "--all", "--message", "broken"]).status().unwrap().success()
    );
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    assert_ne!(test.read("config/factory.lock"), unsealed);
    let before = locks(&test);
    let one = test.run(&["build", "--output-dir", "out"]).exits(1);
    let sealed = locks(&test);
    for (name, bytes) in &before {
        test.config(name, bytes);
    }
    let codes: Vec<i32> = build_shards(&test, 3).into_iter().map(|said| said.code).collect();
    assert_eq!(codes.iter().sum::<i32>(), 1, "{codes:?}");
    let joined = join(&test, &["shard1", "shard2", "shard3"]).exits(1);
    assert_eq!(locks(&test)["factory.lock"], sealed["factory.lock"]);
    assert_eq!(test.read("joined/dynamic-plugins.yaml"), test.read("out/dynamic-plugins.yaml"));
    let last = |said: &Outcome| said.stderr.lines().last().unwrap().replace("/joined/", "/out/");
    assert_eq!(last(&joined), last(&one));
}

#[harness::test]
fn shards_that_do_not_belong_together_are_refused() {
    let test = three();
    for said in build_shards(&test, 3) {
        said.success();
    }
    join(&test, &["shard1", "shard3"]).fails(
        2,
        "error: shard `2/3` missing: 2 of 3 given\n\nhint: build it with `factory build --shard`, and name all shards\n",
    );
    join(&test, &["shard1", "shard2", "shard3", "shard1/shard-1.json"]).fails(
        2,
        "error: shard 1/3 is given twice: `shard1/shard-1.json` and `shard1/shard-1.json`\n\nhint: name each shard once\n",
    );
    join(&test, &["config"]).fails(
        2,
        "error: there is no `shard-<n>.json` in `config`\n\nhint: name the output directories of `factory build --shard`, or \
         the `shard-<n>.json` in them\n",
    );
    test.run(&["build", "--shard", "1/2", "--output-dir", "half"]).success();
    join(&test, &["shard1", "half"]).fails(
        2,
        "error: `half/shard-1.json` is shard 1/2, and `shard1/shard-1.json` is shard 1/3\n\nhint: join the shards of one \
         build\n",
    );
    // A workspace in two shards, and others in none.
    test.run(&["build", "--shard", "2/2", "three", "--output-dir", "other"]).success();
    join(&test, &["half", "other"]).fails(
        2,
        "error: workspace `three` is in `half/shard-1.json` and `other/shard-2.json`, and workspaces `one`, `two` are in none \
         of the 2 shards\n\nhint: build all shards without names, or each with names of its own, which are together all \
         workspaces of the lock\n",
    );
    test.write("report.json", r#"{"version": 2}"#);
    join(&test, &["report.json"]).fails(
        2,
        "error: `./report.json` is not the file of a shard\n\nhint: name the output directories of `factory build --shard`, or \
         the `shard-<n>.json` in them\n",
    );
    // Another lock.
    test.config("two/plugins/c/app-config.dynamic.yaml", "of: other\n");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    let said = join(&test, &["shard1", "shard2", "shard3"]).exits(2).stderr;
    assert!(said.starts_with("error: `shard1/shard-1.json` is of another lock: its pins are sha256:"), "{said}");
    assert!(!test.path("joined/dynamic-plugins.yaml").exists());
}
