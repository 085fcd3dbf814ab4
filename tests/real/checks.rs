//! The checks of packages, on a real export of the example.

use std::fs;

use serde_json::Value;

use crate::greeting::{self, Greeting, alone, assert_code, stderr};

/// The first build of the example, and its report.
#[harness::test(long)]
fn the_example_passes_all_checks_without_a_warning() {
    greeting::needs();
    let first = greeting::first();
    // A registry may have the newest Node.js for one platform before it has it for the other.
    let is_of_registry = |warning: &str| warning.starts_with("node ") && warning.contains(" is pinned for linux-");
    let warned: Vec<&str> = first
        .said
        .lines()
        .filter(|line| line.contains("warning"))
        .filter(|line| !is_of_registry(line.trim_start_matches("warning: ")))
        .collect();
    assert!(warned.is_empty(), "{}", first.said);
    let report: Value = serde_json::from_slice(&fs::read(first.output.join("build-report.json")).unwrap()).unwrap();
    let of_run = report["warnings"].as_array().unwrap();
    assert!(of_run.iter().all(|warning| is_of_registry(warning.as_str().unwrap())), "{of_run:?}");
    for plugin in report["workspaces"][0]["plugins"].as_array().unwrap() {
        assert_eq!((plugin.get("warnings"), plugin.get("error")), (None, None), "{plugin}");
    }
}

#[harness::test(long)]
fn a_frontend_that_leaves_out_a_file_of_its_manifest_fails_and_a_backend_warns_of_a_module_each_time() {
    greeting::needs();
    let _alone = alone();
    let place = Greeting::changed(|example| {
        let plugins = example.join("workspaces/greeting/plugins");
        let edit = |file: &str, from: &str, to: &str| {
            let text = fs::read_to_string(plugins.join(file)).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(plugins.join(file), text.replacen(from, to, 1)).unwrap();
        };
        edit("greeting/package.json", "\"!dist/*.tsbuildinfo\"", "\"!dist/*.tsbuildinfo\", \"!dist/remoteEntry.js\"");
        let build = "tsc --build tsconfig.build.json";
        edit("greeting-backend/package.json", build, &format!("{build} && node plant.cjs"));
        let planted =
            "require('fs').appendFileSync('dist/index.js', '\\nconst late = () => import(\"@x/nowhere/alpha\");');\n";
        fs::write(plugins.join("greeting-backend/plant.cjs"), planted).unwrap();
    });
    let failed = "plugin `plugins/greeting` of workspace `greeting`: `dist/mf-manifest.json` names \
                  `dist/remoteEntry.js`, which is not in the package";
    let hint = "let `files` in the plugin's package.json take all of `dist`, with a patch or overlay";
    let warned = "`dist/index.js` requires `@x/nowhere/alpha`, but `@x/nowhere` is neither in the package nor declared in \
                  its package.json: add `@x/nowhere` to the plugin's `dependencies` with a patch or overlay";
    for (command, from_cache) in [("run", false), ("build", true)] {
        let built = place.build(&[command], command);
        assert_code(&built, 1);
        let said = stderr(&built);
        assert!(said.contains(&format!("error: {failed}\n")) && said.contains(&format!("hint: {hint}\n")), "{said}");
        assert!(said.contains(&format!("warning: greeting plugins/greeting-backend: {warned}\n")), "{said}");
        let report = fs::read(place.path(command).join("build-report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let plugins = &report["workspaces"][0]["plugins"];
        assert_eq!((plugins[0]["error"].as_str(), plugins[0].get("output")), (Some(failed), None));
        assert_eq!(plugins[1]["warnings"], Value::Array(vec![warned.into()]));
        assert_eq!(plugins[1].get("kept").is_some(), from_cache, "{plugins}");
        let archives = fs::read_dir(place.path(command)).unwrap().map(|entry| entry.unwrap().file_name());
        let archives: Vec<_> =
            archives.filter_map(|name| name.into_string().ok()?.strip_suffix(".tgz").map(str::to_owned)).collect();
        assert_eq!(archives, ["factory-examples-plugin-greeting-backend-dynamic-0.1.0"]);
    }
    let sealed = place.lock().workspace.remove(0).plugin.into_iter().map(|plugin| plugin.sealed.is_some());
    assert_eq!(sealed.collect::<Vec<_>>(), [false, true]);
}
