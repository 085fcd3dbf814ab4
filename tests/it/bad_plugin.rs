//! A plugin that cannot be exported: nothing is written for its workspace. With `--keep-going` it does not hold up the
//! others: they are locked, the run ends with 1 and names it, and so does whatever comes after.

use harness::npm_registry::Registry;
use harness::program::Test;
use harness::repository::Repository;

/// A repository of these plugins, each with its role and more fields of its package.json, and a configuration.
pub fn workspace(plugins: &[(&str, &str, &str)], list: Option<&str>) -> Test {
    let mut test = Test::new();
    let repo = Repository::init(&test.path("repo"));
    repo.write("package.json", r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#);
    repo.write(".yarnrc.yml", "nodeLinker: node-modules\n");
    let mut lock = String::from("__metadata:\n  version: 8\n  cacheKey: 10c0\n");
    for (folder, role, more) in plugins {
        let name = folder.rsplit('/').next().unwrap();
        let manifest = format!(r#"{{"name":"@x/{name}","version":"1.0.0",{more}"backstage":{{"role":"{role}"}}}}"#);
        repo.write(&format!("{folder}/package.json"), manifest);
        if folder.starts_with("plugins/") {
            lock.push_str(&format!(
                "\n\"@x/{name}@workspace:{folder}\":\n  version: 0.0.0-use.local\n  \
                 resolution: \"@x/{name}@workspace:{folder}\"\n  languageName: unknown\n  linkType: soft\n"
            ));
        }
    }
    repo.write("yarn.lock", lock);
    repo.commit("first");
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#);
    if let Some(list) = list {
        test.config("plugins-list.yaml", list);
    }
    test.config("host.lock", "__metadata:\n  version: 8\n");
    Registry::lay_tree(&test.path("config"));
    test.env("NPM_CONFIG_REGISTRY", Registry::start().url);
    test
}

fn read(test: &Test, file: &str) -> String {
    std::fs::read_to_string(test.path(file)).unwrap()
}

/// The lines of an answer that are no progress.
fn errors(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("error: ")).collect()
}

const RESOLVE: [&str; 4] = ["resolve", "--host-lockfile", "config/host.lock", "--keep-going"];

#[harness::test]
fn a_listed_folder_that_is_missing_or_has_no_role() {
    let plugins = [("plugins/a", "frontend-plugin", ""), ("plugins/common", "common-library", "")];
    let test = workspace(&plugins, Some("plugins/a:\nplugins/b:\nplugins/common:\n"));
    let refused = test.run(&["resolve"]).exits(1).stderr;
    assert!(!test.path("config/factory.lock").exists());
    let said = test.run(&["resolve", "--keep-going"]).exits(1).stderr;
    assert_eq!(errors(&said), errors(&refused));
    let commit = Repository { dir: test.path("repo") }.git(&["rev-parse", "--short=12", "HEAD"]);
    assert_eq!(
        errors(&said),
        [
            &*format!(
                "error: config/plugins-list.yaml:2: plugin `plugins/b` is not in the workspace at commit {commit}"
            ),
            "error: config/plugins-list.yaml:3: `plugins/common` cannot be exported: its package.json needs `name`, \
             `version` and a `backstage.role` of frontend-plugin, backend-plugin, frontend-plugin-module or \
             backend-plugin-module",
            "error: 1 workspace failed: `repo`",
        ]
    );
    let lock = read(&test, "config/factory.lock");
    assert!(lock.contains("[[workspace.plugin]]\npath = \"plugins/a\"\n"), "{lock}");
    assert!(!lock.contains("path = \"plugins/b\""), "{lock}");
    assert!(lock.contains("[[workspace.problem]]\nplugin = \"plugins/b\"\n"), "{lock}");

    // It is said every time, by what changes nothing too, and the lock is not stale for it.
    let said = test.run(&["resolve", "--keep"]).exits(1).stderr;
    let kept = format!("error: repo: plugin `plugins/b` is not in the workspace at commit {commit}");
    assert_eq!(errors(&said)[0], kept);
    assert_eq!(read(&test, "config/factory.lock"), lock);
    let answer = test.run(&["status"]).exits(1);
    assert_eq!(errors(&answer.stderr)[0], kept);
    let said = answer.stdout;
    assert!(said.contains("1 workspace: not stale"), "{said}");
    let line = format!("\n  ! not exported: plugin `plugins/b` is not in the workspace at commit {commit}\n");
    assert!(said.contains(&line), "{said}");
    let status: serde_json::Value = serde_json::from_str(&test.run(&["status", "--json"]).exits(1).stdout).unwrap();
    assert_eq!(status["workspaces"][0]["problems"][0]["plugin"], "plugins/b");

    // What resolves it again keeps the lock, and fails again.
    for args in [&["resolve"][..], &["resolve", "--check"]] {
        assert_eq!(errors(&test.run(args).exits(1).stderr), errors(&refused));
        assert_eq!(read(&test, "config/factory.lock"), lock);
    }

    // Taken out of the list, it is forgotten.
    test.config("plugins-list.yaml", "plugins/a:\n");
    test.run(&["resolve", "--keep"]).success();
    assert!(!read(&test, "config/factory.lock").contains("workspace.problem"));
}

#[harness::test]
fn a_folder_that_is_no_workspace_of_the_lockfile() {
    let plugins = [("plugins/a", "frontend-plugin", ""), ("wrappers/w", "backend-plugin", "")];
    let test = workspace(&plugins, None);
    let fault = "plugin `wrappers/w` cannot be exported: its folder is not a workspace of this yarn.lock";
    test.run(&RESOLVE[..3]).exits(1);
    assert!(!test.path("config/factory.lock").exists() && !test.path("config/plugins-list.yaml").exists());
    let said = test.run(&RESOLVE).exits(1).stderr;
    assert_eq!(errors(&said), [&*format!("error: repo: yarn.lock: {fault}"), "error: 1 workspace failed: `repo`"]);
    assert!(said.contains("build it as a workspace with `workspace-path` `wrappers/w`"), "{said}");
    let lock = read(&test, "config/factory.lock");
    assert!(lock.contains("path = \"plugins/a\"\n") && !lock.contains("path = \"wrappers/w\""), "{lock}");
    assert_eq!(read(&test, "config/plugins-list.yaml"), "plugins/a:\nwrappers/w:\n");
    // Listed now, and no better for it.
    let said = test.run(&["resolve", "--keep-going"]).exits(1).stderr;
    assert_eq!(errors(&said)[0], format!("error: repo: yarn.lock: {fault}"));
    assert_eq!(read(&test, "config/factory.lock"), lock);
}

#[harness::test]
fn several_findings_are_one_workspace() {
    let bundled = "\"bundled\":true,";
    let plugins = [
        ("plugins/a", "backend-plugin", bundled),
        ("plugins/b", "backend-plugin", bundled),
        ("plugins/c", "backend-plugin", ""),
    ];
    let test = workspace(&plugins, None);
    let said = test.run(&RESOLVE).exits(1).stderr;
    assert_eq!(
        errors(&said),
        [
            "error: repo: yarn.lock: plugin `plugins/a` cannot be exported: `@x/a` has `bundled: true`, which rhdh-cli refuses",
            "error: repo: yarn.lock: plugin `plugins/b` cannot be exported: `@x/b` has `bundled: true`, which rhdh-cli refuses",
            "error: 1 workspace failed: `repo`",
        ]
    );
    assert!(read(&test, "config/factory.lock").contains("path = \"plugins/c\""));
    // What keeps the lock says it too, with the same code, and so does what reads the list that was written.
    let lock = read(&test, "config/factory.lock");
    assert_eq!(errors(&test.run(&["resolve", "--keep"]).exits(1).stderr).len(), 3);
    assert_eq!(errors(&test.run(&["resolve", "--keep-going"]).exits(1).stderr), errors(&said));
    assert_eq!(errors(&test.run(&RESOLVE).exits(1).stderr), errors(&said));
    assert_eq!(read(&test, "config/factory.lock"), lock);
}

#[harness::test]
fn a_native_package_that_is_needed_and_not_in_the_host_becomes_a_stub() {
    let test = workspace(&[("plugins/a", "backend-plugin", "\"dependencies\":{\"natty\":\"^1\"},")], None);
    let repo = Repository { dir: test.path("repo") };
    let lock = read(&test, "repo/yarn.lock")
        .replace("  languageName: unknown", "  dependencies:\n    natty: \"npm:^1\"\n  languageName: unknown")
        + "\n\"natty@npm:^1\":\n  version: 1.0.0\n  resolution: \"natty@npm:1.0.0\"\n  dependencies:\n    bindings: \"npm:^1\"\n  \
         languageName: node\n  linkType: hard\n\n\"bindings@npm:^1\":\n  version: 1.0.0\n  \
         resolution: \"bindings@npm:1.0.0\"\n  languageName: node\n  linkType: hard\n";
    repo.write("yarn.lock", lock);
    repo.commit("native");
    let warning = "warning: repo plugins/a: `natty` is native (marker `bindings`), cannot be left out (natty), and the host \
                   does not have it: a stub that throws takes its place. To choose, list the plugin's arguments with one of \
                   `--allow-native-package natty`";
    let said = test.run(&RESOLVE).success().stderr;
    assert!(said.contains(warning), "{said}");
    let lock = read(&test, "config/factory.lock");
    let entry = "args-from = \"computed\"\nargs = [\n    \"--suppress-native-package natty\",\n]\nwhy = [\n    \
                 \"natty has the marker `bindings`, reached by natty, and is not in the host lockfile host.lock\",\n]\n";
    assert!(lock.contains(entry), "{lock}");
    assert_eq!(read(&test, "config/plugins-list.yaml"), "plugins/a: --suppress-native-package natty\n");
    // Listed now: the reason stays, and where the host is at hand it is warned about again.
    test.run(&["resolve"]).success();
    assert_eq!(read(&test, "config/factory.lock"), lock);
    let said = test.run(&RESOLVE).success().stderr;
    assert!(said.contains(warning), "{said}");
    assert_eq!(read(&test, "config/factory.lock"), lock);
}
