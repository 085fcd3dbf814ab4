//! What `factory join` says besides the files of a release: the outputs of a step, and what earlier builds left.

use std::fs;

use harness::oci_registry::FakeRegistry;
use harness::shards::{build_shards, join, three};
use serde_json::{Value, json};

#[harness::test]
fn the_outputs_of_its_step_are_those_of_a_build() {
    let test = three();
    let registry = FakeRegistry::start();
    for number in 1..=3 {
        registry.forget();
        if number == 2 {
            registry.say("PUT manifest", 99, 403);
        }
        let (shard, out) = (format!("{number}/3"), format!("shard{number}"));
        // Its tags are those of no repository but of all.
        let prefix = format!("pr_{number}__");
        let args = ["build", "--shard", &shard, "--output-dir", &out, "--push-images", "--tag-prefix", &prefix];
        test.run_with(&args, &registry.variables()).exits(if number == 2 { 5 } else { 0 });
    }
    let of = |number: usize| {
        let record: Value = serde_json::from_str(&test.read(&format!("shard{number}/shard-{number}.json"))).unwrap();
        let report = &record["workspaces"][0]["report"];
        let name = report["plugins"][0]["name"].as_str().unwrap().replace("@x/", "x-");
        (report["name"].as_str().unwrap().to_owned(), report["plugins"][0]["path"].as_str().unwrap().to_owned(), name)
    };
    let outputs = test.path("output");
    let args = ["join", "--output-dir", "joined", "shard1", "shard2", "shard3"];
    test.run_with(&args, &[("GITHUB_OUTPUT", outputs.to_str().unwrap())]).exits(5);
    let mut published = [1, 3].map(|number| {
        let (workspace, _, name) = of(number);
        (workspace, format!("{}/team/{name}:pr_{number}__1.0.0", registry.address))
    });
    // In the order of the lock.
    published.sort();
    let (workspace, path, _) = of(2);
    let expected = format!(
        "FAILED_EXPORTS<<EOF\n{workspace}/{path}\nEOF\nPUBLISHED_EXPORTS<<EOF\n{}\n{}\nEOF\n\
         WORKSPACE_SKIPPED_UNCHANGED_SINCE=false\nPATCHES_APPLIED=0\nSOURCE_OVERLAY_APPLIED=false\n",
        published[0].1, published[1].1
    );
    assert_eq!(fs::read_to_string(outputs).unwrap(), expected);
}

#[harness::test]
fn what_earlier_builds_left_is_named() {
    let test = three();
    let release = |names: &str, is_said: bool| {
        for said in build_shards(&test, 2) {
            said.success();
        }
        let said = join(&test, &["shard1", "shard2"]).success().stderr;
        let report: Value = serde_json::from_str(&test.read("joined/build-report.json")).unwrap();
        let left = report["left-behind"].clone();
        let note = format!(
            "[DIR]/joined still has what earlier builds made and the lock no longer has: {names}; to be rid of it and of its \
             images, remove the folder and build again (said once; `left-behind` of build-report.json has the list)\n"
        );
        assert_eq!((said.contains(&note), said.contains("still has")), (is_said, is_said), "{said}");
        left
    };
    assert_eq!(release("", false), Value::Null);
    fs::remove_dir_all(test.path("config/two")).unwrap();
    test.run(&["resolve", "--keep", "--host-lockfile", "config/host.lock"]).success();
    for is_said in [true, false] {
        assert_eq!(release("`two/x-c-dynamic-1.0.0.tgz`", is_said), json!(["two/x-c-dynamic-1.0.0.tgz"]));
    }
}
