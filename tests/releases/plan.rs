//! What has to be built, and why, without building; and the matrices that engines make of it.

use std::collections::BTreeSet;
use std::fs;

use factory::lock::Role;
use harness::oci_registry::FakeRegistry;
use harness::program::Test;
use harness::releases::{self, release, sealed};
use harness::repository::git;
use harness::shards::three;
use serde_json::{Value, json};

use harness::schema::fits;

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];

fn plan(test: &Test, more: &[&str]) -> Value {
    let said = test.run(&[&["plan", "--output-dir", "out", "--format", "json"][..], more].concat()).success().stdout;
    let plan = serde_json::from_str(&said).unwrap();
    fits("schema/factory.plan.schema.json", &plan);
    plan
}

/// The reasons of each plugin.
fn reasons(plan: &Value) -> Vec<(&str, Value)> {
    let plugins = plan["workspaces"].as_array().unwrap().iter().flat_map(|one| one["plugins"].as_array().unwrap());
    plugins.map(|plugin| (plugin["path"].as_str().unwrap(), plugin["reasons"].clone())).collect()
}

fn human(test: &Test, more: &[&str]) -> String {
    test.run(&[&["plan", "--output-dir", "out"][..], more].concat()).success().stdout
}

#[harness::test]
fn what_is_built_and_sealed_is_in_the_cache_and_the_rest_has_a_reason() {
    let test = three();
    let before = human(&test, &[]);
    assert_eq!(
        before,
        "config/factory.lock\n  3 workspaces: 3 to build, about 5 min\n  3 plugins: 3 to build, 0 in the cache\n\n\
         one, about 2 min\n  plugins/a  not built before\n\nthree, about 2 min\n  plugins/b  not built before\n\n\
         two, about 2 min\n  plugins/c  not built before\n"
    );
    // Of the backend only a build finds out its private dependencies.
    let first = plan(&test, &[]);
    let has_inputs = |at: usize| first["workspaces"][at]["plugins"][0].get("inputs").is_some();
    assert_eq!([has_inputs(0), has_inputs(1), has_inputs(2)], [true, false, true]);

    let said = test.run(&["build", "--output-dir", "out", "--tag-prefix", "pr_7__"]).success().stderr;
    assert!(said.contains(" x-a:pr_7__1.0.0 sha256:"), "the tag that a push would use: {said}");
    // All workspaces want it at once.
    for tool in ["download @yarnpkg/cli-dist@", "install @red-hat-developer-hub/cli@"] {
        assert_eq!(said.matches(&format!("· tools {tool}")).count(), 1, "{tool}: {said}");
    }
    let built = plan(&test, &[]);
    for workspace in built["workspaces"].as_array().unwrap() {
        let plugin = &workspace["plugins"][0];
        assert_eq!((&workspace["build"], &plugin["cached"]), (&json!(false), &json!("local")), "{plugin}");
        assert!(plugin["seconds"].as_f64().is_some(), "{plugin}");
    }
    let report: Value = serde_json::from_str(&test.read("out/build-report.json")).unwrap();
    let inputs = |at: usize| &built["workspaces"][at]["plugins"][0]["inputs"];
    for at in 0..3 {
        assert_eq!(*inputs(at), report["workspaces"][at]["plugins"][0]["output"]["inputs"]);
    }
    assert_eq!(
        human(&test, &["--shards", "3"]),
        "config/factory.lock\n  3 workspaces: 0 to build\n  3 plugins: 0 to build, 3 in the cache\n\n\
         shard 1/1, about 3 s: nothing and 3 from the cache\n"
    );
    fs::remove_dir_all(test.path("cache/builds")).unwrap();
    let gone = plan(&test, &[]);
    assert!(reasons(&gone).iter().all(|(_, why)| *why == json!([{"reason": "not-cached"}])), "{gone}");
}

#[harness::test]
fn each_change_of_the_inputs_is_named() {
    let test = three();
    test.run(&["build", "--output-dir", "out"]).success();
    fs::copy(test.path("config/factory.lock"), test.path("released.lock")).unwrap();

    // A commit that changes one plugin.
    fs::write(test.path("repo/plugins/a/new.txt"), "new").unwrap();
    for args in [&["add", "--all"][..], &["commit", "--quiet", "-m", "new"]] {
        assert!(git(&test.path("repo")).args(args).status().unwrap().success());
    }
    test.run(&RESOLVE).success();
    let since = ["--since", "released.lock"];
    let moved = plan(&test, &since);
    let of = |plan: &Value| reasons(plan).into_iter().map(|(path, why)| (path.to_owned(), why)).collect::<Vec<_>>();
    let why = of(&moved);
    assert_eq!((why[0].0.as_str(), &why[0].1[0]["reason"]), ("plugins/a", &json!("commit-moved")), "{moved}");
    assert!(why[1].1.is_null() && why[2].1.is_null(), "{moved}");
    assert!(human(&test, &since).contains("\n  3 plugins: 1 to build, 2 in the cache\n"));

    // Another tool, in the release that it is compared with.
    let other = test.read("config/factory.lock").replace("version = \"1.9.1\"", "version = \"1.9.0\"");
    test.write("older.lock", other);
    fs::remove_dir_all(test.path("cache/builds")).unwrap();
    let said = human(&test, &["--since", "older.lock"]);
    assert!(said.contains("\n  plugins/b  rhdh-cli 1.9.0 → 1.9.1\n"), "{said}");

    // A patch, and a new workspace.
    fs::copy(test.path("config/factory.lock"), test.path("released.lock")).unwrap();
    let patch = "--- a/plugins/b/exported.sh\n+++ b/plugins/b/exported.sh\n@@ -1 +1,2 @@\n+# patched\n \
                 printf '__metadata:\\n  version: 8\\n  cacheKey: 10c0\\n' > dist-dynamic/yarn.lock\n";
    test.config("three/patches/1-x.patch", patch);
    test.config("four/source.json", test.read("config/one/source.json"));
    test.config("four/plugins-list.yaml", "plugins/a:\n");
    test.run(&RESOLVE).success();
    let said = human(&test, &since);
    assert!(said.contains(", patches/1-x.patch added\n"), "{said}");
    assert!(said.contains("\nfour, about 2 min\n  plugins/a  new\n"), "{said}");
    assert!(said.contains("\n  plugins/c  not in the cache\n"), "{said}");
    test.run(&["plan", "--since", "config/one"]).fails(
        2,
        "error: `config/one` is a configuration without a lock\n\nhint: name a factory.lock, or `REV:path` of one\n",
    );
    test.run(&["plan", "--since", "-"]).fails(
        2,
        "error: nothing came from stdin\n\nhint: pipe a factory.lock into the command, such as that of `git show \
         v1:config/factory.lock`\n",
    );
    let said = test.run(&["plan", "--since", "nothing"]).exits(2).stderr;
    assert!(said.starts_with("error: `nothing` not found\n"), "{said}");
}

#[harness::test]
fn without_a_lock_to_compare_with_it_is_that_of_head() {
    let test = three();
    test.run(&["build", "--output-dir", "out"]).success();
    let config = test.path("config");
    for args in
        [&["init", "--quiet", "--initial-branch=main"][..], &["add", "--all"], &["commit", "--quiet", "-m", "x"]]
    {
        assert!(git(&config).args(args).status().unwrap().success());
    }
    fs::write(test.path("repo/plugins/a/new.txt"), "new").unwrap();
    for args in [&["add", "--all"][..], &["commit", "--quiet", "-m", "new"]] {
        assert!(git(&test.path("repo")).args(args).status().unwrap().success());
    }
    test.run(&RESOLVE).success();
    let head = plan(&test, &[]);
    assert_eq!(head["since"], "HEAD:factory.lock");
    assert_eq!(reasons(&head)[0].1[0]["reason"], "commit-moved");
    // A commit is the lock in it that lies where this one does.
    let main = plan(&test, &["--since", "main"]);
    assert_eq!((main["since"].as_str(), &main["workspaces"]), (Some("main:factory.lock"), &head["workspaces"]));
    test.run(&["plan", "--since", "main^{tree}", "--lock-file", "config/one/other.lock"]).exits(3);
    fs::copy(test.path("config/factory.lock"), test.path("config/other.lock")).unwrap();
    test.run(&["plan", "--since", "main", "--lock-file", "config/other.lock"]).fails(
        2,
        "error: `main:other.lock` not found\n\nhint: paths in a commit start at the repository's root; commit the lock, \
         or name another one\n",
    );
}

#[harness::test]
fn shards_are_a_matrix_and_build_what_the_plan_says() {
    let test = three();
    let matrix = |format: &str, shards: &str| -> Value {
        let said = test.run(&["plan", "--format", format, "--shards", shards]).success().stdout;
        assert_eq!(said.matches('\n').count(), 1, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    let jobs = [("1/2", "three", 1), ("2/2", "one two", 2)];
    let jobs = jobs.map(|(shard, names, build)| json!({"shard": shard, "workspaces": names, "build": build}));
    assert_eq!(matrix("github", "2"), json!({ "include": jobs }));
    assert_eq!(matrix("tekton", "2"), json!(["1/2 three", "2/2 one two"]));
    assert_eq!(matrix("github", "200")["include"].as_array().unwrap().len(), 3);

    // Divided by what the last build took.
    test.run(&["build", "--output-dir", "out"]).success();
    let mut report: Value = serde_json::from_str(&test.read("out/build-report.json")).unwrap();
    for (at, seconds) in [(0, 600.0), (1, 30.0), (2, 20.0)] {
        report["workspaces"][at]["plugins"][0]["seconds"] = json!({ "export": seconds });
        report["workspaces"][at]["seconds"] = json!({ "install": 1.0 });
    }
    test.write("report.json", report.to_string());
    fs::remove_dir_all(test.path("cache/builds")).unwrap();
    let planned = plan(&test, &["--shards", "2", "--report", "report.json"]);
    let shards: Vec<_> = planned["shards"].as_array().unwrap().iter().map(|one| &one["workspaces"]).collect();
    assert_eq!(shards, [&json!(["one"]), &json!(["three", "two"])]);
    assert_eq!(planned["shards"][0]["seconds"], 601.0);
    assert_eq!(planned["shards"][1]["seconds"], 52.0);
    // A later build in which all but one came from the cache.
    for at in 0..3 {
        report["workspaces"][at]["plugins"][0]["seconds"] = json!({});
        report["workspaces"][at]["seconds"] = json!({});
    }
    report["workspaces"][2]["plugins"][0]["seconds"] = json!({ "export": 40.0 });
    test.write("later.json", report.to_string());
    let later = plan(&test, &["--shards", "2", "--report", "later.json", "--report", "report.json"]);
    assert_eq!((&later["shards"][0]["seconds"], &later["shards"][1]["seconds"]), (&json!(601.0), &json!(72.0)));

    // A runner takes its part from the file.
    test.write("plan.json", planned.to_string());
    for (shard, out) in [("1/2", "shard1"), ("2/2", "shard2")] {
        test.run(&["build", "--shard", shard, "--plan", "plan.json", "--output-dir", out]).success();
    }
    let record: Value = serde_json::from_str(&test.read("shard2/shard-2.json")).unwrap();
    let names: Vec<_> = record["workspaces"].as_array().unwrap().iter().map(|one| &one["report"]["name"]).collect();
    assert_eq!(names, ["three", "two"]);
    test.run(&["join", "shard1", "shard2", "--output-dir", "joined"]).success();
    test.run(&["build", "--shard", "3/3", "--plan", "plan.json"]).fails(
        2,
        "error: `plan.json` has no shard 3/3: it has 2 shards\n\nhint: give one of its shards with `--shard`\n",
    );
    test.config("one/plugins/a/app-config.dynamic.yaml", "a: 1\n");
    test.run(&RESOLVE).success();
    let said = test.run(&["build", "--shard", "1/2", "--plan", "plan.json"]).exits(2).stderr;
    assert!(said.starts_with("error: `plan.json` is the plan of another lock: its pins are sha256:"), "{said}");
}

#[harness::test]
fn the_export_repository_gets_the_workspaces_that_have_to_be_built() {
    let test = three();
    test.write(
        "versions.json",
        r#"{"backstage": "1.45.3", "node": "22.20.0", "cli": "1.9.1", "cliPackage": "@red-hat-developer-hub/cli"}"#,
    );
    fs::rename(test.path("config"), test.path("workspaces")).unwrap();
    test.write("workspaces/two/backstage.json", r#"{"version": "1.45.1"}"#);
    test.run(&["resolve", "--config-dir", "workspaces", "--host-lockfile", "workspaces/host.lock"]).success();
    test.run(&["build", "--config-dir", "workspaces", "one", "--output-dir", "out"]).success();
    let said = test.run(&["plan", "--config-dir", "workspaces", "--format", "export"]).success().stdout;
    assert_eq!(said.matches('\n').count(), 1, "{said}");
    let rows: Value = serde_json::from_str(&said).unwrap();
    let head = git(&test.path("repo")).args(["rev-parse", "HEAD"]).output().unwrap().stdout;
    let row = json!({
        "plugins-repo": "../../repo",
        "plugins-repo-ref": String::from_utf8(head).unwrap().trim(),
        "plugins-repo-flat": true,
        "plugins-repo-backstage-version": "1.45.1",
        "overlay-root": "workspaces/two",
        "plugins-root": ".",
        "computed-image-tag-prefix": "bs_1.45.3__",
        "reasons": {"plugins/c": ["not built before"]},
        "seconds": 90.0,
    });
    assert_eq!(rows[1], row);
    let roots: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["overlay-root"]).collect();
    assert_eq!(roots, ["workspaces/three", "workspaces/two"]);
    assert_eq!(rows[0]["computed-image-tag-prefix"], "next__");
}

#[harness::test]
fn a_cache_repository_is_asked_once_for_what_the_machine_does_not_have() {
    let mut test = three();
    let registry = FakeRegistry::start();
    test.env("FACTORY_CACHE_REPO", format!("oci://{}/team/cache", registry.address)).env("REGISTRY_INSECURE", "true");
    test.run(&["build", "--output-dir", "out", "--cache-mode", "read-write"]).success();
    let asked = registry.requests().len();
    assert!(reasons(&plan(&test, &[])).iter().all(|(_, why)| why.is_null()));
    assert_eq!(registry.requests().len(), asked, "all is in the machine's cache");
    fs::remove_dir_all(test.path("cache/builds")).unwrap();
    let planned = plan(&test, &[]);
    let places = planned["workspaces"].as_array().unwrap().iter().map(|one| &one["plugins"][0]["cached"]);
    assert_eq!(places.collect::<Vec<_>>(), ["remote", "remote", "remote"]);
    assert_eq!(registry.kinds()[asked..].iter().filter(|kind| kind.contains("manifest")).count(), 3);

    // Down: that is said once, and all is built.
    registry.say("HEAD manifest", 99, 503);
    registry.say("GET manifest", 99, 503);
    let said = test.run(&["plan", "--output-dir", "out", "--cache-timeout", "1"]).success();
    assert_eq!(said.stderr.matches("warning: the cache repository `").count(), 1, "{}", said.stderr);
    assert!(said.stdout.contains("\n  3 plugins: 3 to build, 0 in the cache\n"), "{}", said.stdout);
}

/// A lock of so many workspaces with one plugin each, which are sealed.
fn sealed_lock(workspaces: usize) -> String {
    let mut lock = release(true).lock;
    let of = |number| {
        let name = format!("w{number:03}");
        let mut workspace = releases::workspace(&name, "https://github.com/x/y", ".", "1", 1);
        let path = format!("plugins/{name}");
        let mut plugin = releases::plugin(&path, &format!("@x/{name}"), "1.0.0", Role::FrontendPlugin);
        plugin.sealed = Some(sealed(&name, None));
        workspace.plugin.push(plugin);
        workspace
    };
    lock.workspace = (0..workspaces).map(of).collect();
    lock.to_text()
}

#[harness::test]
fn a_release_of_any_size_asks_once_for_each_plugin() {
    for workspaces in [1, 65, 650] {
        let mut test = Test::new();
        test.config("factory.lock", sealed_lock(workspaces));
        let registry = FakeRegistry::start();
        let repository = format!("oci://{}/team/cache", registry.address);
        test.env("FACTORY_CACHE_REPO", repository).env("REGISTRY_INSECURE", "true");
        let planned = plan(&test, &[]);
        assert_eq!(reasons(&planned).len(), workspaces);
        let asked: Vec<String> = registry.requests().into_iter().map(|request| request.target).collect();
        let of_plugins: BTreeSet<_> = asked.iter().filter(|target| target.contains("/manifests/")).collect();
        assert_eq!((of_plugins.len(), asked.len() - of_plugins.len()), (workspaces, 1), "one more is the greeting");
    }
}

#[harness::test]
fn a_registry_without_tls_says_what_it_may_need() {
    let (mut test, registry) = (Test::new(), FakeRegistry::start());
    test.config("factory.lock", sealed_lock(1));
    test.env("FACTORY_CACHE_REPO", format!("oci://{}/team/cache", registry.address));
    let needs = "it does not speak TLS, and `REGISTRY_INSECURE=true` is not set for it";
    let said = test.run(&["plan", "--output-dir", "out"]).success().stderr;
    assert!(said.contains("warning: the cache repository `") && said.contains(needs), "{said}");
    test.write("list.yaml", format!("plugins:\n- package: oci://{}/team/x-a:1!x-a\n", registry.address));
    let said = test.run(&["check-refs", "list.yaml"]);
    assert!(said.stdout.contains(needs), "{} {}", said.stdout, said.stderr);
    let repository = format!("oci://{}/team/cache", registry.address);
    let said = test.run(&["cache", "size", "--cache-repo", &repository]).exits(5).stderr;
    assert!(said.contains(needs), "{said}");
}
