//! Files of the configuration once the plugins are known: which are used, which are named since they are not, and what a
//! workflow is told of the build.

use std::fs;

use harness::npm_registry::Registry;
use harness::program::Test;

use crate::bad_plugin::workspace;

const SCALPRUM: &str = r#"{"name":"x.todo","exposedModules":{"PluginRoot":"./src/index.ts"}}"#;
const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];

/// The tools do nothing: a build goes as far as the export, which makes nothing.
fn idle(test: &mut Test) {
    test.env("NPM_CONFIG_REGISTRY", Registry::of_idle_tools().url);
}

/// The command lines of the CLI in the logs of a build that was run, without the program.
fn exports(test: &Test, workspace: &str) -> Vec<String> {
    let folder = test.path(&format!("out/{workspace}/logs"));
    let folder = if folder.is_dir() { folder } else { test.path("out/logs") };
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let log = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let commands = log.lines().filter_map(|line| Some(line.split_once(" plugin export")?.1.trim().to_owned()));
        // Which flags it has is asked first.
        lines.extend(commands.filter(|arguments| arguments != "--help"));
    }
    lines.sort();
    lines
}

#[harness::test]
fn a_scalprum_configuration_in_an_overlay_is_used_where_none_lies_beside_it() {
    let plugins = [("plugins/a", "frontend-plugin", ""), ("plugins/b", "backend-plugin", "")];
    let mut test = workspace(&plugins, Some("plugins/a:\nplugins/b:\n"));
    idle(&mut test);
    test.config("plugins/a/overlay/scalprum-config.json", SCALPRUM);
    test.config("plugins/b/overlay/scalprum-config.json", SCALPRUM);
    let said = test.run(&["resolve"]).success().stderr;
    assert!(!said.contains("warning"), "{said}");
    let lock = test.read("config/factory.lock");
    assert!(lock.contains("version = 1\nrevision = 5\n"), "{lock}");
    assert_eq!(lock.matches("scalprum = \"plugins/a/overlay/scalprum-config.json\"\n").count(), 1, "{lock}");
    assert_eq!(lock.matches("\nscalprum = ").count(), 1, "a backend has none: {lock}");

    test.run(&["build", "--output-dir", "out"]).exits(1);
    assert_eq!(exports(&test, "repo"), ["", "--scalprum-config scalprum-config.json"]);

    // A lock of an earlier factory says nothing of it, is not stale, and is built as it always was.
    let earlier = lock
        .replace("scalprum = \"plugins/a/overlay/scalprum-config.json\"\n", "")
        .replace("revision = 5", "revision = 0");
    test.config("factory.lock", &earlier);
    test.run(&["build", "--output-dir", "out"]).exits(1);
    assert_eq!(exports(&test, "repo"), ["", ""]);

    // Beside the overlay it wins.
    test.config("plugins/a/scalprum-config.json", SCALPRUM);
    test.run(&["resolve"]).success();
    assert!(!test.read("config/factory.lock").contains("\nscalprum = "));
    test.run(&["build", "--output-dir", "out"]).exits(1);
    assert_eq!(exports(&test, "repo"), ["", "--scalprum-config .factory-scalprum-config.json"]);
}

#[harness::test]
fn a_scalprum_configuration_that_is_no_object_is_refused_with_its_place() {
    let test = workspace(&[("plugins/a", "frontend-plugin", "")], Some("plugins/a:\n"));
    test.config("plugins/a/overlay/scalprum-config.json", "[]");
    test.run(&["resolve"]).fails(
        2,
        "· sources resolve 1 workspace\nerror: config/plugins/a/overlay/scalprum-config.json:1:1: invalid type: sequence, \
         expected a map\n\nhint: write a JSON object with `name` and `exposedModules`",
    );
}

#[harness::test]
fn what_is_for_no_plugin_is_named_once_the_plugins_are_known() {
    let plugins = [("plugins/a", "frontend-plugin", ""), ("plugins/b", "backend-plugin", "")];
    let test = workspace(&plugins, None);
    test.config("plugins/c/overlay/x.ts", "x").config("app-config.dynamic.yaml", "a: 1\n");
    test.config("plugins/b/scalprum-config.json", SCALPRUM).config("plugins/a/overlays/x.ts", "x");
    test.config(".draft/source.json", "{}");
    let said = test.run(&RESOLVE).success().stderr;
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: config/.draft: has a source.json, and is no workspace since its name begins with a dot: rename it",
            "warning: repo: config/.: `.` is no plugin of the workspace, so its files are not used",
            "warning: repo: config/plugins/b/scalprum-config.json: is not used: `plugins/b` is a backend plugin",
            "warning: repo: config/plugins/c: `plugins/c` is no plugin of the workspace, so its files are not used",
        ]
    );
    // `overlays` means the same as `overlay`.
    assert!(test.read("config/factory.lock").contains("path = \"plugins/a/overlays/x.ts\"\n"));
}

#[harness::test]
fn a_workflow_is_told_what_failed() {
    let plugins = [("plugins/a", "frontend-plugin", ""), ("plugins/b", "frontend-plugin", "")];
    let mut test = workspace(&plugins, Some("plugins/a:\nplugins/b:\nplugins/gone:\n"));
    idle(&mut test);
    test.config("plugins/a/overlay/x.ts", "x").write("output", "before=1");
    test.env("GITHUB_OUTPUT", "output");
    test.run(&["run", "--output-dir", "out", "--keep-going"]).exits(1);
    let expected = "before=1\nFAILED_EXPORTS<<EOF\nplugins/a\nplugins/b\nplugins/gone\nEOF\nPUBLISHED_EXPORTS<<EOF\nEOF\n\
                    WORKSPACE_SKIPPED_UNCHANGED_SINCE=false\nPATCHES_APPLIED=0\nSOURCE_OVERLAY_APPLIED=true\n";
    assert_eq!(test.read("output"), expected);
    // What a `.env` file says of it is not heard: the configuration must not choose a file to write to.
    let variables = [("GITHUB_OUTPUT", "")];
    test.config(".env", "GITHUB_OUTPUT=other\n");
    let said = test.run_with(&["build", "--output-dir", "out"], &variables).exits(1).stderr;
    assert!(said.contains("`GITHUB_OUTPUT` has no effect in a `.env` file"), "{said}");
    assert!(!test.path("other").exists() && test.read("output") == expected);
    // A file that cannot be written is named, and changes nothing of the build.
    let said = test.run_with(&["build", "--output-dir", "out"], &[("GITHUB_OUTPUT", "no/such/folder")]).exits(1).stderr;
    let warning = "warning: the outputs of this step are not in the file of `GITHUB_OUTPUT`: cannot open \
                   `no/such/folder`: No such file or directory (os error 2)\n";
    assert!(said.contains(warning), "{said}");
}

/// With several workspaces, those that were not resolved stand in the summary and among the failed ones.
#[harness::test]
fn workspaces_that_are_not_resolved_are_in_the_summary() {
    let mut test = workspace(&[("plugins/a", "frontend-plugin", "")], None);
    idle(&mut test);
    for name in ["source.json", "host.lock"] {
        fs::remove_file(test.path(&format!("config/{name}"))).unwrap();
    }
    for (name, reference) in [("good", "main"), ("lost", "no-such-branch"), ("torn", "main")] {
        let json = format!(r#"{{"repo":"../../repo","repo-ref":"{reference}","workspace-path":"."}}"#);
        test.config(&format!("{name}/source.json"), json).config(&format!("{name}/plugins-list.yaml"), "plugins/a:\n");
    }
    test.config("torn/source.json", "{");
    test.env("GITHUB_OUTPUT", test.path("output").display());
    let said = test.run(&["run", "--output-dir", "out"]).exits(1).stderr;
    let summary = "3 workspaces: 0 succeeded, 3 failed\n  good: nothing built\n";
    assert!(said.contains(summary), "{said}");
    assert!(said.contains("\n  lost: not resolved\n    lost: "), "{said}");
    assert!(said.contains("\n  torn: not resolved\n    config/torn/source.json:1:1: "), "{said}");
    assert!(test.read("output").starts_with("FAILED_EXPORTS<<EOF\ngood/plugins/a\nlost\ntorn\nEOF\n"));
    // Each error names its workspace.
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    for name in ["good", "lost", "torn"] {
        assert!(errors.iter().any(|error| error.contains(name)), "{name}: {said}");
    }
    // What a push lacks as well.
    let said = test.run(&["run", "lost", "--push-images"]).exits(2).stderr;
    assert!(
        said.starts_with("error: lost: `REGISTRY_URL` is not set, and images cannot be pushed without it\n"),
        "{said}"
    );
}
