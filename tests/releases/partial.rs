//! A build of one workspace keeps what earlier builds left of the others; what cannot be pushed or does not fit does not
//! hide what was built.

use std::fs;
use std::process::Command;

use harness::oci_registry::FakeRegistry;
use harness::program::{Outcome, Test, names};
use harness::repository::Repository;
use serde_json::Value;

use harness::workspace::scripted as workspace;

const BUILD: [&str; 3] = ["build", "--output-dir", "out"];
const HEAD: &str = "# Written by `factory build`. Paste the entries into RHDH's dynamic plugins configuration.\n";

/// Two workspaces with a plugin each, resolved.
pub fn two() -> Test {
    let plugins = ["a", "b"].map(|name| (name.to_owned(), "frontend-plugin", String::new()));
    let test = workspace(&plugins, "");
    for file in ["source.json", "plugins-list.yaml"] {
        fs::remove_file(test.path(&format!("config/{file}"))).unwrap();
    }
    for (name, plugin) in [("one", "a"), ("two", "b")] {
        let source = r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "."}"#;
        test.config(&format!("{name}/source.json"), source)
            .config(&format!("{name}/plugins-list.yaml"), format!("plugins/{plugin}:\n"))
            .config(&format!("{name}/plugins/{plugin}/app-config.dynamic.yaml"), format!("of: {name}\n"));
    }
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

pub fn report(test: &Test) -> Value {
    serde_json::from_str(&test.read("out/build-report.json")).unwrap()
}

/// The workspaces of the report, and whether they are of an earlier build.
fn reported(test: &Test) -> Vec<(String, bool)> {
    let report = report(test);
    let workspaces = report["workspaces"].as_array().unwrap().iter();
    workspaces.map(|one| (one["name"].as_str().unwrap().to_owned(), one["earlier"] == true)).collect()
}

/// The packages in `dynamic-plugins.yaml`.
pub fn listed(test: &Test) -> Vec<String> {
    let said = test.read("out/dynamic-plugins.yaml");
    said.lines().filter_map(|line| line.strip_prefix("- package: ")).map(str::to_owned).collect()
}

const A: &str = "./one/x-a-dynamic-1.0.0.tgz";
const B: &str = "./two/x-b-dynamic-1.0.0.tgz";

#[harness::test]
fn a_build_of_one_workspace_keeps_what_is_there_of_the_others() {
    let test = two();
    test.run(&BUILD).success();
    let (list, all) = (test.read("out/dynamic-plugins.yaml"), report(&test));
    assert_eq!(listed(&test), [A, B]);
    assert!(list.contains("of: one\n") && list.contains("of: two\n"), "{list}");
    for one in ["two", "one"] {
        test.run(&[&BUILD[..], &[one]].concat()).success();
        assert_eq!(test.read("out/dynamic-plugins.yaml"), list);
        let kept = [("one".to_owned(), one == "two"), ("two".to_owned(), one == "one")];
        assert_eq!(reported(&test), kept);
        let outputs = |report: &Value| -> Vec<Value> {
            let workspaces = report["workspaces"].as_array().unwrap().iter();
            workspaces.map(|one| one["plugins"][0]["output"].clone()).collect()
        };
        assert_eq!(outputs(&report(&test)), outputs(&all));
    }
    // `status` reads it as any other.
    assert!(test.run(&["status", "--output-dir", "out"]).success().stdout.contains("2 plugins: 2 sealed, 2 built\n"));
}

#[harness::test]
fn what_is_gone_differs_or_is_sealed_otherwise_goes() {
    let test = two();
    test.run(&BUILD).success();
    let one = || test.run(&[&BUILD[..], &["one"]].concat()).success();
    let again = || test.run(&BUILD).success();
    let archive = test.path("out").join(B);
    let blobs = test.path("out/two/oci/blobs/sha256");
    let blob = || blobs.join(&names(&blobs)[0]);
    let harms: [(&str, &dyn Fn()); 5] = [
        ("no archive", &|| fs::remove_file(&archive).unwrap()),
        ("another archive", &|| fs::write(&archive, "x").unwrap()),
        ("no blob", &|| fs::remove_file(blob()).unwrap()),
        ("a FIFO", &|| {
            fs::remove_file(&archive).unwrap();
            nix::unistd::mkfifo(&archive, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
        ("another name in its report", &|| {
            let said = test.read("out/build-report.json").replace("two/x-b-dynamic", "../two/x-b-dynamic");
            test.write("out/build-report.json", said);
        }),
    ];
    for (what, harm) in harms {
        assert_eq!(listed(&test), [A, B], "{what}");
        harm();
        one();
        assert_eq!((listed(&test), reported(&test)), (vec![A.to_owned()], vec![("one".to_owned(), false)]), "{what}");
        let _ = fs::remove_file(&archive);
        again();
    }
    // Sealed otherwise: the lock is that of another release.
    let lock = test.read("config/factory.lock");
    let (head, tail) = lock.rsplit_once("tgz = \"sha512-").unwrap();
    let other = format!("{head}tgz = \"sha512-AAAA{}", &tail[4..]);
    test.write("config/factory.lock", other);
    one();
    assert_eq!(listed(&test), [A]);
}

#[harness::test]
fn a_report_of_the_first_format_is_read() {
    let test = two();
    test.run(&BUILD).success();
    let said = test.read("out/build-report.json").replace("\"version\": 2", "\"version\": 1");
    let said = said.replace("\"layer\"", "\"diff-id\"").replace("\"layer-blob\"", "\"layer\"");
    test.write("out/build-report.json", said);
    assert!(test.run(&["status", "--output-dir", "out"]).success().stdout.contains("2 plugins: 2 sealed, 2 built\n"));
    test.run(&[&BUILD[..], &["one"]].concat()).success();
    assert_eq!(listed(&test), [A, B]);
    assert_eq!(report(&test)["version"], 2);
    let output = &report(&test)["workspaces"][1]["plugins"][0]["output"];
    let lock = test.read("config/factory.lock");
    assert!(lock.contains(&format!("layer = {}\n", output["layer"])), "{output}");
}

pub fn push(test: &Test, registry: &FakeRegistry, more: &[&str]) -> Outcome {
    test.run_with(&[&BUILD[..], &["--push-images"], more].concat(), &registry.variables())
}

#[harness::test]
fn after_a_refused_push_the_list_is_that_of_this_run_and_what_was_built_is_said() {
    let test = two();
    let registry = FakeRegistry::start();
    test.write("out/dynamic-plugins.yaml", "plugins: [of an earlier build]\n");
    registry.say("PUT manifest", 99, 403);
    let said = push(&test, &registry, &[]).exits(5).stderr;
    let end = "error: 2 plugins built, not published: `one` (plugins/a), `two` (plugins/b); see [DIR]/out/build-report.json\n";
    assert!(said.ends_with(end), "{said}");
    assert!(said.contains("\n  one: 1 plugin built\n    plugins/a: not published: cannot push "), "{said}");
    let unpushed = "# Its archive is in this list, since its image could not be pushed: ";
    let list = test.read("out/dynamic-plugins.yaml");
    let notes = format!(
        "{unpushed}`plugins/a` of workspace `one`\n{unpushed}`plugins/b` of workspace `two`\nplugins:\n- package: {A}\n"
    );
    assert!(list.starts_with(HEAD) && list.contains(&notes), "{list}");
    assert_eq!(listed(&test), [A, B]);

    // Pushed later: the other workspace stays as it is.
    let registry = FakeRegistry::start();
    push(&test, &registry, &["two"]).success();
    let pushed = report(&test)["workspaces"][1]["plugins"][0]["output"]["pushed"].as_str().unwrap().to_owned();
    assert_eq!(listed(&test), [A.to_owned(), format!("oci://{pushed}")]);
    push(&test, &FakeRegistry::start(), &["one", "--installer", "1.8"]).success();
    assert_eq!(listed(&test)[1], format!("oci://{pushed}"));
    assert!(listed(&test)[0].ends_with("!x-a"), "{:?}", listed(&test));
    test.run(&[&BUILD[..], &["two"]].concat()).success();
    assert!(listed(&test)[0].ends_with("!x-a"), "{:?}", listed(&test));
}

#[harness::test]
fn what_was_built_is_said_when_its_report_cannot_be_written() {
    let test = two();
    fs::create_dir_all(test.path("out/build-report.json")).unwrap();
    let said = test.run(&BUILD).exits(1).stderr;
    let end = "\n2 plugins built into [DIR]/out\nerror: cannot write `[DIR]/out/build-report.json`: Is a directory (os error 21)\n";
    assert!(said.ends_with(end), "{said}");
}

#[harness::test]
fn on_a_full_disk_it_is_said_that_nothing_was_built() {
    harness::needs(&["unshare"]);
    harness::needs_root();
    let test = two();
    test.run(&BUILD).success();
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    let script = "cp -a out full && mount -t tmpfs -o size=400k tmpfs out && cp -a full/. out
        head -c 1000000 /dev/zero > out/filler 2> /dev/null
        $FACTORY build --output-dir out; code=$?; ls -A out; exit $code";
    let output = command.args(["--mount", "sh", "-c", script]).env("FACTORY", harness::program()).output().unwrap();
    let said = test.outcome(output).exits(1);
    assert!(said.stderr.contains("No space left on device"), "{}", said.stderr);
    assert!(said.stderr.ends_with("\nerror: nothing built, failed: `one`, `two`\n"), "{}", said.stderr);
    assert!(!said.stdout.contains(".tmp"), "{}", said.stdout);
}

#[harness::test]
fn what_a_killed_run_began_to_write_is_removed_and_what_others_write_stays() {
    let test = two();
    test.run(&BUILD).success();
    let files = [
        "out/.build-report.json.aBc123.tmp",
        "out/one/.x-a-dynamic-1.0.0.tgz.000000.tmp",
        "out/one/oci/.index.json.zzzzzz.tmp",
        "out/one/oci/blobs/sha256/.0123.AAAAAA.tmp",
        "out/one/logs/.workspace.log.AAAAAA.tmp",
    ];
    let others = ["out/one/.mine.tmp", "out/one/notes.aBc123.tmp", "out/one/.a.aBc12.tmp"];
    for file in files.iter().chain(&others) {
        test.write(file, "x");
    }
    let written = fs::File::open(test.path(files[1])).unwrap();
    written.lock().unwrap();
    test.run(&BUILD).success();
    let there = |file: &&&str| test.path(file).exists();
    assert_eq!(files.iter().filter(there).collect::<Vec<_>>(), [&files[1]]);
    assert_eq!(others.iter().filter(there).count(), 3);
}

/// One workspace with two plugins, resolved.
fn one() -> Test {
    let plugins = ["a", "b"].map(|name| (name.to_owned(), "frontend-plugin", String::new()));
    let test = workspace(&plugins, "");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

/// The plugins of the report, and whether they are of an earlier build.
fn reported_plugins(test: &Test) -> Vec<(String, bool)> {
    let report = report(test);
    let plugins = report["workspaces"][0]["plugins"].as_array().unwrap().iter();
    plugins.map(|one| (one["path"].as_str().unwrap().to_owned(), one["earlier"] == true)).collect()
}

#[harness::test]
fn a_build_of_one_plugin_keeps_what_is_there_of_the_others() {
    let test = one();
    let (a, b) = ("./x-a-dynamic-1.0.0.tgz", "./x-b-dynamic-1.0.0.tgz");
    // By its path and by its package.
    let said = test.run(&[&BUILD[..], &["-p", "plugins/b"]].concat()).success();
    assert!(said.stderr.ends_with("\n1 plugin built into [DIR]/out\n"), "{}", said.stderr);
    assert_eq!(listed(&test), [b]);
    assert_eq!(reported_plugins(&test), [("plugins/b".to_owned(), false)]);
    let sealed = test.read("config/factory.lock");
    assert_eq!(sealed.matches("[workspace.plugin.sealed]").count(), 1, "{sealed}");
    test.run(&[&BUILD[..], &["--plugin", "@x/a"]].concat()).success();
    assert_eq!(listed(&test), [a, b]);
    assert_eq!(reported_plugins(&test), [("plugins/a".to_owned(), false), ("plugins/b".to_owned(), true)]);
    let all = (test.read("out/dynamic-plugins.yaml"), test.read("config/factory.lock"));
    // As one build of both would have left it.
    fs::remove_dir_all(test.path("out")).unwrap();
    test.run(&BUILD).success();
    assert_eq!((test.read("out/dynamic-plugins.yaml"), test.read("config/factory.lock")), all);
}

#[harness::test]
fn a_plugin_of_an_earlier_workspace_is_not_earlier_by_itself() {
    let test = two();
    test.config("one/plugins-list.yaml", "plugins/a:\nplugins/b:\n");
    test.run(&["resolve", "--keep", "--host-lockfile", "config/host.lock"]).success();
    test.run(&[&BUILD[..], &["one"]].concat()).success();
    test.run(&[&BUILD[..], &["one", "-p", "plugins/a"]].concat()).success();
    assert_eq!(reported_plugins(&test), [("plugins/a".to_owned(), false), ("plugins/b".to_owned(), true)]);
    test.run(&[&BUILD[..], &["two"]].concat()).success();
    assert_eq!(reported(&test), [("one".to_owned(), true), ("two".to_owned(), false)]);
    assert_eq!(reported_plugins(&test), [("plugins/a".to_owned(), false), ("plugins/b".to_owned(), false)]);
}

/// What is left of plugins and versions that the lock no longer has is named once, and is in the report until somebody
/// removes it.
#[harness::test]
fn what_earlier_builds_left_is_named_and_stays() {
    let test = one();
    test.run(&BUILD).success();
    test.write("out/mine-1.0.0.tgz", "x");
    let (a, b) = ("x-a-dynamic-1.0.0.tgz", "x-b-dynamic-1.0.0.tgz");
    let old = |names: &str| {
        format!(
            "[DIR]/out still has what earlier builds made and the lock no longer has: {names}; to be rid of it and of its \
             images, remove the folder and build again (said once; `left-behind` of build-report.json has the list)\n"
        )
    };
    let build = || test.run(&BUILD).success().stderr;
    let left = || report(&test)["left-behind"].clone();
    let names_none = |said: &str| !said.contains("still has");
    assert!(names_none(&build()));
    // A damaged file of what is locked is no old one.
    test.write(&format!("out/{b}"), "x");
    assert!(names_none(&test.run(&[&BUILD[..], &["-p", "plugins/a"]].concat()).success().stderr));
    assert!(names_none(&build()));

    test.config("plugins-list.yaml", "plugins/a:\n");
    test.run(&["resolve", "--keep"]).success();
    for is_said in [true, false] {
        let said = build();
        assert_eq!(said.contains(&old(&format!("`{b}`"))), is_said, "{said}");
        assert_eq!(names_none(&said), !is_said, "{said}");
        assert!(said.lines().last().unwrap().starts_with("1 plugin built into "), "{said}");
        assert_eq!(left(), serde_json::json!([b]));
    }
    let manifest = test.read("repo/plugins/a/package.json").replace("1.0.0", "1.1.0");
    let repo = Repository { dir: test.path("repo") };
    repo.write("plugins/a/package.json", manifest).commit("1.1.0");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    let said = build();
    assert!(said.contains(&old(&format!("`{a}`"))), "{said}");
    harness::schema::fits("schema/build-report.schema.json", &report(&test));

    // As it says.
    assert!(test.path(&format!("out/{b}")).exists());
    fs::remove_dir_all(test.path("out")).unwrap();
    assert!(names_none(&build()));
    assert_eq!(left(), Value::Null);
}

/// Where the configuration becomes one of several workspaces, its archives have a folder of their own.
#[harness::test]
fn what_is_locked_is_not_called_old_in_another_folder() {
    let test = one();
    test.run(&BUILD).success();
    for file in ["source.json", "plugins-list.yaml"] {
        let moved = test.read(&format!("config/{file}")).replace("../repo", "../../repo");
        test.config(&format!("repo/{file}"), moved);
        fs::remove_file(test.path(&format!("config/{file}"))).unwrap();
    }
    test.run(&["resolve", "--keep"]).success();
    let said = test.run(&BUILD).success().stderr;
    assert!(!said.contains("still has"), "{said}");
    assert_eq!(report(&test)["left-behind"], serde_json::json!(["x-a-dynamic-1.0.0.tgz", "x-b-dynamic-1.0.0.tgz"]));
}

/// A dry run says what a run finds in the cache.
#[harness::test]
fn a_dry_run_knows_what_is_in_the_cache() {
    let test = one();
    let dry_run = || test.run(&["run", "--dry-run", "--output-dir", "out"]).success();
    let said = dry_run();
    assert!(said.stderr.ends_with("2 plugins in 1 workspace would be built\n"), "{said:?}");
    test.run(&BUILD).success();
    let said = dry_run();
    assert!(said.stdout.ends_with("\n  plugins/a (in the cache)\n  plugins/b (in the cache)\n"), "{said:?}");
    assert!(said.stderr.ends_with("0 plugins in 1 workspace would be built, 2 are in the cache\n"), "{said:?}");
    let said = test.run(&["run", "--dry-run", "--rebuild"]).success();
    assert!(said.stderr.ends_with("2 plugins in 1 workspace would be built\n"), "{said:?}");
    let repo = Repository { dir: test.path("repo") };
    repo.write("plugins/a/more.js", "more").commit("more");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    let said = dry_run();
    assert!(said.stdout.ends_with("\n  plugins/a\n  plugins/b (in the cache)\n"), "{said:?}");
    assert!(said.stderr.ends_with("1 plugin in 1 workspace would be built, 1 is in the cache\n"), "{said:?}");
}

/// What an export reads besides the plugin's sources is named with a file of it, and what follows from it.
#[harness::test]
fn what_an_export_reads_is_named_with_a_file_of_it() {
    let script = "cat ../b/words.txt >/dev/null\n";
    let test = workspace(
        &[("a".to_owned(), "frontend-plugin", script.to_owned()), ("b".to_owned(), "frontend-plugin", String::new())],
        "",
    );
    Repository { dir: test.path("repo") }.write("plugins/b/words.txt", "words").commit("words");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    let said = test.run(&BUILD).success().stderr;
    let note = "\nrepo plugins/a: its export read more than the plugin's own sources: `plugins/b`, such as the file \
                `plugins/b/words.txt`; it is built again when that changes, which `reads` in the lock says\n";
    assert!(said.contains(note), "{said}");
    assert!(test.read("config/factory.lock").contains("\nreads = [\n    \"plugins/b\",\n]\n"));
}

#[harness::test]
fn a_plugin_that_is_not_in_the_lock_is_refused() {
    let test = one();
    test.run(&[&BUILD[..], &["-p", "plugin/a"]].concat())
        .fails(2, "error: plugin `plugin/a` is not in the lock\n\nhint: did you mean `plugins/a`?\n");
    test.run(&[&BUILD[..], &["-p", "todo"]].concat()).fails(
        2,
        "error: plugin `todo` is not in the lock\n\nhint: plugins are named by their path in the workspace or by their \
         package; `factory status` lists them\n",
    );
    assert!(!test.path("out").exists());
    // Nothing of the other has to be sealed.
    test.run(&[&BUILD[..], &["-p", "plugins/a"]].concat()).success();
    test.run(&[&BUILD[..], &["--frozen", "-p", "plugins/a"]].concat()).success();
    test.run(&["verify", "-p", "plugins/b"]).exits(3);
}

#[harness::test]
fn a_run_does_not_build_an_earlier_commit_of_what_cannot_be_resolved() {
    let test = two();
    test.run(&["run", "--host-lockfile", "config/host.lock", "--output-dir", "out"]).success();
    let lock = test.read("config/factory.lock");
    fs::remove_dir_all(test.path("out")).unwrap();
    test.config("one/source.json", r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "missing"}"#);
    let outputs = test.path("outputs");
    let file = [("GITHUB_OUTPUT", outputs.to_str().unwrap())];
    let run = ["run", "--host-lockfile", "config/host.lock", "--output-dir", "out"];
    let said = test.run_with(&run, &file);
    assert_ne!(said.code, 0);
    assert_eq!(listed(&test), [B], "{}", said.stderr);
    assert_eq!(test.read("config/factory.lock"), lock);
    assert!(test.read("outputs").starts_with("FAILED_EXPORTS<<EOF\none\nEOF\n"), "{}", test.read("outputs"));
    // Nothing else is asked for.
    fs::remove_file(&outputs).unwrap();
    test.run_with(&[&run[..], &["one"]].concat(), &file);
    assert!(test.read("outputs").starts_with("FAILED_EXPORTS<<EOF\none\nEOF\n"), "{}", test.read("outputs"));
    assert_eq!(listed(&test), [B]);
}

#[harness::test]
fn a_lock_for_a_file_of_a_host_asks_for_it_again() {
    let test = two();
    fs::rename(test.path("config/host.lock"), test.path("host.lock")).unwrap();
    let lock = test.read("config/factory.lock");
    test.config("three/source.json", test.read("config/one/source.json"));
    for keep in [&["resolve", "--keep"][..], &["resolve"]] {
        test.run(keep).fails(
            2,
            "error: the lock is for the host lockfile `host.lock`, which is not given\n\nhint: give it with \
             `--host-lockfile`, or a release with `--rhdh-version`; `FACTORY_HOST_LOCKFILE=<path from there>` in the \
             `.env` file of the configuration directory names it for every run\n",
        );
        assert_eq!(test.read("config/factory.lock"), lock);
    }
    test.write("other.lock", "{ }\n");
    let said = test.run(&["resolve", "--keep", "--host-lockfile", "other.lock"]).exits(2).stderr;
    assert!(said.contains("other.lock:1:1: is no yarn.lock: "), "{said}");
    assert!(said.contains("hint: name the yarn.lock of RHDH's repository with `--host-lockfile`"), "{said}");
    test.run(&["resolve", "--keep", "--host-lockfile", "host.lock"]).success();
    assert!(test.read("config/factory.lock").contains("name = \"three\"\n"));
}
