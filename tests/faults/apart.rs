//! Plugins of a workspace are exported at the same time, and none sees what another does. All tools are scripts, so that a
//! build takes no time; the build root is the real one.

use std::fs;

use harness::program::{Outcome, Test};
use harness::repository::Repository;
use harness::workspace::{CLOSURE, scripted};

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];
/// Exports that waited for another that is never begun would end with this, and fail.
const BUILD: [&str; 7] = ["build", "--output-dir", "out", "--jobs", "2", "--timeout", "60"];

/// Pipes in the home of the build, at which two exports meet, and the package that both embed.
const INSTALL: &str = "[ -p $HOME/one ] || mkfifo $HOME/one $HOME/two
mkdir -p node_modules/left plugins/lib/dist shared
for file in node_modules/left/index.js plugins/lib/dist/index.js plugins/lib/gone.txt shared/one.txt shared/two.txt; do
  echo installed > $file
done
";

/// What the first and the second do until both have come so far.
const MEET: [&str; 2] = ["echo > $HOME/one; cat $HOME/two\n", "cat $HOME/one; echo > $HOME/two\n"];

/// Two plugins of a role that do this between their meetings.
fn two(role: &'static str, between: &[String; 2]) -> Test {
    let closure = if role == "backend-plugin" { CLOSURE } else { "" };
    let plugin = |number: usize, name: &str| {
        let (meet, between) = (MEET[number], &between[number]);
        (name.to_owned(), role, format!("{closure}{meet}{between}"))
    };
    scripted(&[plugin(0, "one"), plugin(1, "two")], INSTALL)
}

/// Builds the package that is embedded, removes and moves what is installed, and has what it sees then in the package.
fn embeds(name: &str) -> String {
    let [first, second] = MEET;
    let meet = if name == "one" { first } else { second };
    let theirs = if name == "one" { "rm" } else { "chmod 600" };
    format!(
        "here=$PWD; cd ../..
ls plugins/lib node_modules/left | tee $here/dist-dynamic/dist/entry.js
cat plugins/lib/dist/index.js node_modules/left/index.js >> $here/dist-dynamic/dist/entry.js
echo {name} | tee plugins/lib/dist/index.js > node_modules/left/index.js
{theirs} plugins/lib/gone.txt
mv node_modules/left/index.js node_modules/left/{name}.js
{meet}cat plugins/lib/dist/index.js node_modules/left/{name}.js >> $here/dist-dynamic/dist/entry.js
ls node_modules/left >> $here/dist-dynamic/dist/entry.js
stat -c '%n %a' plugins/lib/* >> $here/dist-dynamic/dist/entry.js
"
    )
}

/// What the archive of a plugin has in `dist/entry.js`.
fn entry(test: &Test, name: &str) -> String {
    let archive = fs::File::open(test.path(&format!("out/x-{name}-dynamic-1.0.0.tgz"))).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let entry = entries.find(|entry| entry.path().unwrap().ends_with("dist/entry.js")).unwrap();
    std::io::read_to_string(entry).unwrap()
}

fn each_sees_its_own(run: impl Fn(&Test, &[&str]) -> Outcome) {
    let test = two("backend-plugin", &[embeds("one"), embeds("two")]);
    run(&test, &RESOLVE).success();
    run(&test, &BUILD).success();
    let before = "node_modules/left:\nindex.js\n\nplugins/lib:\ndist\ngone.txt\ninstalled\ninstalled\n";
    let after = |name: &str, gone: &str| format!("{before}{name}\n{name}\n{name}.js\nplugins/lib/dist 755\n{gone}");
    assert_eq!(entry(&test, "one"), after("one", ""));
    assert_eq!(entry(&test, "two"), after("two", "plugins/lib/gone.txt 600\n"));
    // The source is as the installation left it; what an export wrote lies apart, and the next build begins anew.
    assert_eq!(test.read("cache/work/repo/source/plugins/lib/dist/index.js"), "installed\n");
    assert_eq!(test.read("cache/work/repo/export-1/written/plugins/lib/dist/index.js"), "two\n");
    // The seals hold what each saw.
    let said = run(&test, &[&BUILD[..], &["--rebuild"]].concat()).success().stderr;
    assert!(said.contains("its packages are installed already"), "{said}");
}

#[harness::test]
fn exports_of_root_at_the_same_time_see_their_own_alone() {
    harness::needs_root();
    each_sees_its_own(Test::run);
}

#[harness::test]
fn exports_of_an_ordinary_user_at_the_same_time_see_their_own_alone() {
    harness::needs(&["setpriv"]);
    harness::needs_root();
    each_sees_its_own(Test::run_as_nobody);
}

#[harness::test]
fn what_an_export_reads_is_not_counted_for_another_at_the_same_time() {
    harness::needs_root();
    let read = |name: &str, meet: &str| format!("cat ../{name}-docs/read.txt > used\n{meet}");
    let test = two("frontend-plugin", &[read("one", MEET[0]), read("two", MEET[1])]);
    let repo = Repository { dir: test.path("repo") };
    repo.write("plugins/one-docs/read.txt", "1\n").write("plugins/two-docs/read.txt", "2\n").commit("docs");
    test.run(&RESOLVE).success();
    test.run(&BUILD).success();
    let lock = test.read("config/factory.lock");
    let reads: Vec<&str> = lock.split("\nreads = [").skip(1).map(|list| list.split_once(']').unwrap().0).collect();
    let expected = ["one", "two"].map(|name| format!("\n    \"plugins/{name}-docs\",\n"));
    assert_eq!(reads, expected);
}

#[harness::test]
fn a_file_that_an_export_made_wrong_is_named_where_it_stays() {
    harness::needs_root();
    let broken = "echo '{' > dist-dynamic/package.json\n".to_owned();
    let test = two("frontend-plugin", &[broken, String::new()]);
    test.run(&RESOLVE).success();
    let said = test.run(&BUILD).exits(2).stderr;
    let file = "cache/work/repo/export-0/written/plugins/one/dist-dynamic/package.json";
    assert!(said.contains(&format!("[DIR]/{file}:2: the exported package is invalid: ")), "{said}");
    assert_eq!(test.read(file), "{\n");
}

#[harness::test]
fn exports_wait_for_slots_alone_and_those_that_took_longest_are_begun_first() {
    harness::needs_root();
    let plugin = |name: &str, role, script: &str| (name.to_owned(), role, script.to_owned());
    let test = scripted(
        &[
            plugin("backend", "backend-plugin", CLOSURE),
            plugin("first", "frontend-plugin", ""),
            plugin("second", "frontend-plugin", ""),
        ],
        "",
    );
    test.run(&RESOLVE).success();
    let build = [&BUILD[..3], &["--jobs", "1", "--rebuild", "--timings=json"]].concat();
    let begun = |test: &Test| {
        test.run(&build).success();
        let trace: serde_json::Value = serde_json::from_str(&test.read("out/build-timings.json")).unwrap();
        let mut exports: Vec<(u64, u64, String)> = Vec::new();
        let events = trace["traceEvents"].as_array().unwrap();
        for event in events.iter().filter(|event| event["name"] == "export") {
            exports.push((event["ts"].as_u64().unwrap(), event["tid"].as_u64().unwrap(), String::new()));
        }
        for event in events {
            assert_ne!(event["name"], "wait for the exports before it");
            for export in exports.iter_mut().filter(|(_, thread, _)| event["tid"] == *thread) {
                if event["ph"] == "M" && event["name"] == "thread_name" {
                    event["args"]["name"].as_str().unwrap().clone_into(&mut export.2);
                }
            }
        }
        exports.sort();
        exports.into_iter().map(|(_, _, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(begun(&test), ["plugins/first", "plugins/second", "plugins/backend"]);
    let mut report: serde_json::Value = serde_json::from_str(&test.read("out/build-report.json")).unwrap();
    for (plugin, seconds) in [(0, 20.0), (1, 1.0), (2, 300.0)] {
        report["workspaces"][0]["plugins"][plugin]["seconds"]["export"] = seconds.into();
    }
    test.write("out/build-report.json", report.to_string());
    assert_eq!(begun(&test), ["plugins/second", "plugins/backend", "plugins/first"]);
}
