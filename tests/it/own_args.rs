//! Arguments that a user wrote beside those that are computed.

use harness::program::Test;
use harness::repository::Repository;

use crate::bad_plugin::workspace;

const GENERATE: [&str; 4] = ["resolve", "--host-lockfile", "config/host.lock", "--generate-build-args"];
const CHECK: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];

fn read(test: &Test, file: &str) -> String {
    std::fs::read_to_string(test.path(file)).unwrap()
}

/// The warnings of an answer.
fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("warning: ")).collect()
}

/// A backend with these dependencies, by name and range, and packages of the registry.
fn backend(dependencies: &[(&str, &str)], list: Option<&str>) -> Test {
    let test = workspace(&[("plugins/a", "backend-plugin", ""), ("plugins/util", "common-library", "")], list);
    depends_on(&test, dependencies, true);
    test
}

fn depends_on(test: &Test, dependencies: &[(&str, &str)], is_private: bool) {
    let repo = Repository { dir: test.path("repo") };
    let names: serde_json::Map<String, serde_json::Value> =
        dependencies.iter().map(|(name, range)| ((*name).to_owned(), (*range).into())).collect();
    let manifest = serde_json::json!({
        "name": "@x/a", "version": "1.0.0", "backstage": { "role": "backend-plugin" }, "dependencies": names,
    });
    repo.write("plugins/a/package.json", manifest.to_string());
    let manifest = serde_json::json!({ "name": "@x/util", "version": "1.0.0", "private": is_private });
    repo.write("plugins/util/package.json", manifest.to_string());
    let mut lock = String::from("__metadata:\n  version: 8\n  cacheKey: 10c0\n");
    let own = |name: &str, folder: &str| {
        format!(
            "\n\"@x/{name}@workspace:^, @x/{name}@workspace:{folder}\":\n  version: 0.0.0-use.local\n  \
             resolution: \"@x/{name}@workspace:{folder}\"\n"
        )
    };
    lock.push_str(&own("a", "plugins/a"));
    lock.push_str("  dependencies:\n");
    for (name, range) in dependencies {
        let range = if range.starts_with("workspace:") { (*range).to_owned() } else { format!("npm:{range}") };
        lock.push_str(&format!("    \"{name}\": \"{range}\"\n"));
    }
    lock.push_str("  languageName: unknown\n  linkType: soft\n");
    lock.push_str(&own("util", "plugins/util"));
    lock.push_str("  languageName: unknown\n  linkType: soft\n");
    for (name, range) in dependencies.iter().filter(|(_, range)| !range.starts_with("workspace:")) {
        lock.push_str(&format!(
            "\n\"{name}@npm:{range}\":\n  version: 1.0.0\n  resolution: \"{name}@npm:1.0.0\"\n  languageName: node\n  \
             linkType: hard\n"
        ));
    }
    repo.write("yarn.lock", lock).commit("dependencies");
}

#[harness::test]
fn what_a_user_listed_is_kept_with_its_origin() {
    let list = "# mine\nplugins/a: --minify --embed-package plain --ignore-version-check @backstage/new\n";
    let test = backend(&[("@backstage/new", "^1"), ("plain", "^1")], Some(list));
    let said = test.run(&GENERATE).success().stderr;
    let needless = "warning: repo plugins/a: `--ignore-version-check @backstage/new` does nothing: rhdh-cli refuses no range of \
                    this package; remove it from plugins-list.yaml";
    assert_eq!(warnings(&said), [needless]);
    let own = "--minify --embed-package plain --ignore-version-check @backstage/new";
    let list = format!("# mine\nplugins/a: --embed-package @backstage/new --shared-package !@backstage/new {own}\n");
    assert_eq!(read(&test, "config/plugins-list.yaml"), list);
    let lock = read(&test, "config/factory.lock");
    let entry = "args-from = [\n    \"computed\",\n    \"computed\",\n    \"plugins-list\",\n    \"plugins-list\",\n    \
                 \"plugins-list\",\n]\nargs = [\n    \"--embed-package @backstage/new\",\n    \
                 \"--shared-package !@backstage/new\",\n    \"--minify\",\n    \"--embed-package plain\",\n    \
                 \"--ignore-version-check @backstage/new\",\n]\nwhy = [\n    \
                 \"@backstage/new is not in the host lockfile host.lock\",\n    \
                 \"@backstage/new is not in the host lockfile host.lock\",\n    \"listed in plugins-list.yaml\",\n    \
                 \"listed in plugins-list.yaml\",\n    \"listed in plugins-list.yaml\",\n]\n";
    assert!(lock.contains(entry), "{lock}");
    assert!(lock.contains("version = 1\nrevision = 6\n"), "{lock}");

    // Listed now: nothing moves, and what is needless is said where the host is at hand.
    test.run(&["resolve"]).success();
    assert_eq!(read(&test, "config/factory.lock"), lock);
    test.run(&["status"]).success();
    for args in [&CHECK[..], &GENERATE] {
        assert_eq!(warnings(&test.run(args).success().stderr), [needless]);
        assert_eq!(read(&test, "config/factory.lock"), lock);
        assert_eq!(read(&test, "config/plugins-list.yaml"), list);
    }

    // What was computed goes with its reason, what was written stays.
    depends_on(&test, &[("plain", "^1")], true);
    test.run(&GENERATE).success();
    assert_eq!(read(&test, "config/plugins-list.yaml"), format!("# mine\nplugins/a: {own}\n"));
    let lock = read(&test, "config/factory.lock");
    assert!(lock.contains("args-from = \"plugins-list\"\nargs = [\n    \"--minify\",\n"), "{lock}");
}

#[harness::test]
fn what_is_added_to_a_computed_list_leaves_the_rest_computed() {
    let test = backend(&[("@backstage/new", "^1"), ("plain", "^1")], None);
    test.run(&CHECK).success();
    let list = "plugins/a: --embed-package @backstage/new --shared-package !@backstage/new\n";
    assert_eq!(read(&test, "config/plugins-list.yaml"), list);
    test.config("plugins-list.yaml", list.replace('\n', " --minify\n"));
    test.run(&["resolve"]).success();
    let lock = read(&test, "config/factory.lock");
    let origins = "args-from = [\n    \"computed\",\n    \"computed\",\n    \"plugins-list\",\n]\n";
    assert!(lock.contains(origins), "{lock}");
    depends_on(&test, &[("plain", "^1")], true);
    test.run(&GENERATE).success();
    assert_eq!(read(&test, "config/plugins-list.yaml"), "plugins/a: --minify\n");
}

#[harness::test]
fn a_library_of_the_workspace_that_no_registry_has_is_embedded() {
    let dependencies = [("@x/util", "workspace:^")];
    let test = backend(&dependencies, None);
    let said = test.run(&CHECK).success().stderr;
    assert_eq!(warnings(&said), [""; 0]);
    assert_eq!(read(&test, "config/plugins-list.yaml"), "plugins/a: --embed-package @x/util\n");
    let private = "@x/util (plugins/util) is a private package of the workspace, which no registry has";
    let lock = read(&test, "config/factory.lock");
    assert!(lock.contains(&format!("why = [\n    \"{private}\",\n]\n")), "{lock}");

    // The registry of the test has no package of that name.
    let test = backend(&dependencies, Some("plugins/a: --minify\n"));
    depends_on(&test, &dependencies, false);
    let said = test.run(&["resolve"]).success().stderr;
    let missing = "@x/util (plugins/util) is a package of the workspace, and the npm registry has no version 1.0.0";
    let added = format!("warning: repo plugins/a: `--embed-package @x/util` is added: {missing}");
    assert_eq!(warnings(&said), [&*added]);
    assert_eq!(read(&test, "config/plugins-list.yaml"), "plugins/a: --minify\n");
    let lock = read(&test, "config/factory.lock");
    let entry = format!(
        "args-from = [\n    \"plugins-list\",\n    \"added\",\n]\nargs = [\n    \"--minify\",\n    \
         \"--embed-package @x/util\",\n]\nwhy = [\n    \"listed in plugins-list.yaml\",\n    \"{missing}\",\n]\n"
    );
    assert!(lock.contains(&entry), "{lock}");
    // The lock is not stale for it, and says it again.
    assert!(test.run(&["status"]).success().stdout.contains("1 workspace: not stale"));
    assert_eq!(warnings(&test.run(&CHECK).success().stderr), [&*added]);
    let entry = &entry[entry.find("why").unwrap()..];
    assert!(read(&test, "config/factory.lock").contains(entry), "{}", read(&test, "config/factory.lock"));
    // Listed or shared by the user, nothing is added.
    test.config("plugins-list.yaml", "plugins/a: --embed-package @x/util\n");
    assert_eq!(warnings(&test.run(&["resolve"]).success().stderr), [""; 0]);
}
