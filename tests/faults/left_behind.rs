//! What a script leaves behind is hostile: links out of the tree, FIFOs, devices and files without an end, wherever
//! factory looks next. All tools are scripts, so that a build takes no time.

use std::fs;
use std::process::Command;

use harness::program::{Outcome, Test};
use harness::repository::Repository;
use harness::workspace::{CLOSURE, scripted as workspace};

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];
const BUILD: [&str; 4] = ["build", "--rebuild", "--output-dir", "out"];

const SECRET: &str = "planted: secret\n";

const READS: &str = "factory reads only regular files that a build left";

/// Each plant, as the script that puts it at `$at`.
fn plants(host: &str) -> [(&'static str, String); 6] {
    let plant = |how: &str| format!("rm -rf \"$at\"\n{how}\n");
    [
        ("out", plant(&format!("ln -s '{host}/secret' \"$at\""))),
        ("zero", plant("ln -s /dev/zero \"$at\"")),
        ("tty", plant("ln -s /dev/tty \"$at\"")),
        ("fifo", plant("mkfifo \"$at\"")),
        ("folder", plant("mkdir \"$at\"")),
        ("sparse", plant("truncate -s 1T \"$at\"")),
    ]
}

fn errors(stderr: &str) -> Vec<String> {
    let mut errors: Vec<String> =
        stderr.lines().filter_map(|line| line.strip_prefix("error: ")).map(str::to_owned).collect();
    errors.sort();
    errors
}

/// What the plugins are, and what must be said of each.
fn everywhere(host: &str) -> Vec<(String, &'static str, String, String)> {
    let mut all = Vec::new();
    let mut add = |name: String, role: &'static str, script: String, what: String| {
        let what = what.replace("PLUGIN", &format!("plugin `plugins/{name}` of workspace `repo`"));
        all.push((name, role, script, what));
    };
    let kind = |plant: &str, limit: &str| match plant {
        "fifo" => format!("is a FIFO, a socket or a device; {READS}"),
        "folder" => format!("is a folder; {READS}"),
        "sparse" => format!("is larger than {limit} bytes, which is the most that factory reads of it"),
        _ => format!("is a symbolic link; {READS}"),
    };
    for (plant, script) in plants(host) {
        let at = |path: &str| format!("at={path}\n{script}");
        let what = |path: &str, limit: &str| format!("PLUGIN: `{path}` {}", kind(plant, limit));
        let manifest = "dist-dynamic/package.json";
        add(format!("manifest-{plant}"), "frontend-plugin", at(manifest), what(manifest, "4194304"));
        let closure = "dist-dynamic/yarn.lock";
        add(format!("closure-{plant}"), "backend-plugin", at(closure), what(closure, "67108864"));
        let name = format!("config-{plant}");
        let config = format!("plugins/{name}/app-config.yaml");
        let what = match plant {
            "out" | "zero" | "tty" => format!("PLUGIN: `{config}` is a symbolic link that leads out of the source"),
            _ => what(&config, "1048576"),
        };
        add(name, "frontend-plugin", at("app-config.yaml"), what);
        let packed = match plant {
            "fifo" | "folder" => "is not a regular file",
            "sparse" => "is 1099511627776 bytes, and RHDH refuses files over 40000000 bytes",
            _ => "is a symbolic link to something outside the package",
        };
        add(
            format!("packed-{plant}"),
            "frontend-plugin",
            at("dist-dynamic/dist/entry.js"),
            format!("`dist/entry.js` {packed}"),
        );
    }
    let parent = format!("rm -rf dist-dynamic\nln -s '{host}' dist-dynamic\n");
    let what = format!("PLUGIN: `dist-dynamic` is a symbolic link; {READS}");
    add("parent".into(), "frontend-plugin", parent, what);
    all
}

/// Runs `factory` as nobody, who then owns what is in the folder of each test.
fn run_as_nobody(test: &Test, outside: &Test, args: &[&str]) -> Outcome {
    let factory = test.path("factory");
    // By another process: one that this one starts meanwhile would hold the copy open for writing.
    if !factory.exists() {
        assert!(Command::new("cp").arg(harness::program()).arg(&factory).status().unwrap().success());
    }
    let folders = [test.path(""), outside.path("")];
    assert!(Command::new("chown").args(["-R", "65534:65534"]).args(folders).status().unwrap().success());
    let mut command = Command::new("setpriv");
    test.prepare(&mut command);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(factory).args(args);
    test.outcome(command.output().unwrap())
}

/// Of the plants, those that are named so; of all if none is named.
fn builds_nothing_of_it(isolation: &[&str], only: &[&str], as_root: bool) {
    let outside = Test::with_path();
    outside.write("host/secret", SECRET).write("host/package.json", r#"{"name":"planted","version":"1.0.0"}"#);
    let mut all = everywhere(outside.path("host").to_str().unwrap());
    all.retain(|(name, ..)| only.is_empty() || only.iter().any(|only| name.ends_with(only)));
    let mut plugins = vec![("good".to_owned(), "frontend-plugin", String::new())];
    plugins.extend(all.iter().map(|(name, role, script, _)| (name.clone(), *role, script.clone())));
    let test = workspace(&plugins, "");
    let run = |args: &[&str]| if as_root { test.run(args) } else { run_as_nobody(&test, &outside, args) };
    run(&RESOLVE).success();
    let said = run(&[&BUILD[..], isolation].concat()).exits(1).stderr;
    let got: Vec<String> = errors(&said).into_iter().filter(|line| !line.starts_with("1 plugin built, ")).collect();
    let mut expected: Vec<String> = all.into_iter().map(|(.., what)| what).collect();
    expected.sort();
    assert_eq!(expected.join("\n"), got.join("\n"));
    assert_eq!(outside.read("host/secret"), SECRET);
    let list = test.read("out/dynamic-plugins.yaml");
    assert!(list.contains("package: ./x-good-dynamic-1.0.0.tgz\n") && !list.contains("planted"), "{list}");
    assert!(!said.contains("planted"), "{said}");
    let archives = fs::read_dir(test.path("out")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(archives.filter(|path| path.extension().is_some_and(|extension| extension == "tgz")).count(), 1);
}

#[harness::test]
fn no_plant_is_read_wherever_a_script_leaves_it() {
    builds_nothing_of_it(&[], &[], true);
    builds_nothing_of_it(&["--isolation", "off"], &["manifest-out", "config-out", "closure-fifo", "parent"], true);
}

#[harness::test]
fn no_plant_is_read_by_an_ordinary_user() {
    harness::needs(&["setpriv"]);
    harness::needs_root();
    builds_nothing_of_it(&[], &[], false);
    builds_nothing_of_it(&["--isolation", "off"], &["manifest-out", "config-out", "closure-fifo", "parent"], false);
}

#[harness::test]
fn a_sealed_closure_is_written_over_a_plant_and_never_through_it() {
    let outside = Test::with_path();
    outside.write("host/yarn.lock", "victim\n");
    let host = outside.path("host").display().to_string();
    let link = format!("mkdir -p plugins/a/dist-dynamic\nln -sf '{host}/yarn.lock' plugins/a/dist-dynamic/yarn.lock\n");
    let backend = |name: &str| (name.to_owned(), "backend-plugin", CLOSURE.to_owned());
    let test = workspace(&[backend("a")], &link);
    test.run(&RESOLVE).success();
    // The first build seals what the second one writes.
    for _ in 0..2 {
        test.run(&BUILD).success();
        assert_eq!(test.read("config/factory.lock").matches("\nclosure = ").count(), 1);
        assert_eq!(outside.read("host/yarn.lock"), "victim\n");
    }

    // Without isolation a script sees the machine, and can wait for the seal.
    let parent = format!("ln -sfn '{host}' plugins/b/dist-dynamic\n");
    let installed = format!("if [ -f '{host}/now' ]; then\n{link}{parent}fi\n");
    let test = workspace(&[backend("a"), backend("b")], &installed);
    let build = [&BUILD[..], &["--isolation", "off"]].concat();
    test.run(&RESOLVE).success();
    test.run(&build).success();
    outside.write("host/now", "");
    let said = test.run(&build).exits(1).stderr;
    let refused = "plugin `plugins/b` of workspace `repo`: `dist-dynamic` is a symbolic link; factory writes only where \
                   there is none in the way";
    assert_eq!(errors(&said)[1], refused, "{said}");
    assert_eq!(outside.read("host/yarn.lock"), "victim\n");
    assert_eq!(fs::read_dir(outside.path("host")).unwrap().count(), 2);
}

#[harness::test]
fn the_log_of_a_failed_install_is_shown_only_if_it_is_one() {
    let outside = Test::with_path();
    outside.write("host/secret", SECRET);
    let host = outside.path("host").display().to_string();
    let plugins: Vec<_> = plants(&host)
        .into_iter()
        .map(|(plant, script)| {
            let script = format!("at=dist-dynamic/yarn-install.log\n{script}echo it failed >&2\nexit 3\n");
            (plant.to_owned(), "frontend-plugin", script)
        })
        .collect();
    let test = workspace(&plugins, "");
    test.run(&RESOLVE).success();
    let said = test.run(&BUILD).exits(1).stderr;
    for (plant, ..) in &plugins {
        let error = format!("error: exporting plugin `plugins/{plant}` of workspace `repo` failed");
        assert!(said.contains(&error), "{said}");
    }
    assert!(!said.contains("planted"), "{said}");
}

#[harness::test]
fn a_patch_is_not_written_through_a_link_of_the_source() {
    harness::needs(&["patch"]);
    let test = workspace(&[("a".to_owned(), "frontend-plugin", String::new())], "");
    let repo = Repository { dir: test.path("repo") };
    std::os::unix::fs::symlink("plugins/a/package.json", repo.dir.join(".factory.patch")).unwrap();
    repo.write("README", "one\n");
    repo.commit("link");
    test.config("patches/1.patch", "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-one\n+two\n");
    test.run(&RESOLVE).success();
    // What was written to is the plugin's manifest, without which there is no export.
    test.run(&BUILD).success();
}
