//! `--timings`: what ran when, as a page and as a trace.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use harness::program::Test;
use harness::repository::git;
use harness::workspace::{CLOSURE, scripted};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A workspace of two frontends and two backends, resolved; `a` does this after its export.
fn workspace(a: &str) -> Test {
    let plugin = |name: &str, role, script: &str| (name.to_owned(), role, script.to_owned());
    let plugins = [
        plugin("a", "frontend-plugin", a),
        plugin("b", "frontend-plugin", ""),
        plugin("c", "backend-plugin", CLOSURE),
        plugin("d", "backend-plugin", CLOSURE),
    ];
    let test = scripted(&plugins, "");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

const BUILD: [&str; 6] = ["build", "--output-dir", "out", "--jobs", "1", "--timings=html,json"];

/// The events of a trace, held to what readers of it need: each thread's events are one in another.
fn events(test: &Test, file: &str) -> Vec<Value> {
    let trace: Value = serde_json::from_str(&test.read(file)).unwrap();
    assert_eq!(trace.as_object().unwrap().keys().collect::<Vec<_>>(), ["traceEvents"]);
    let events = trace["traceEvents"].as_array().unwrap().clone();
    let mut open: BTreeMap<(u64, u64), Vec<u64>> = BTreeMap::new();
    for event in &events {
        let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key} of {event}"));
        if event["ph"] == "M" {
            assert!(event["args"]["name"].is_string() && event.get("dur").is_none(), "{event}");
            continue;
        }
        assert_eq!(event["ph"], "X", "{event}");
        let (start, end) = (number("ts"), number("ts") + number("dur"));
        let around = open.entry((number("pid"), number("tid"))).or_default();
        while around.last().is_some_and(|end| *end <= start) {
            around.pop();
        }
        assert!(around.last().is_none_or(|around| end <= *around), "{event} is not inside of what is around it");
        around.push(end);
    }
    events
}

/// The events of one thread besides its name, without times.
fn thread<'e>(events: &'e [Value], name: &str) -> Vec<(&'e str, &'e str, &'e Value)> {
    let meta = |event: &&Value| event["name"] == "thread_name" && event["args"]["name"] == name;
    let found = events.iter().find(meta).unwrap_or_else(|| panic!("no thread `{name}`"));
    let is_of = |event: &&Value| event["ph"] == "X" && event["pid"] == found["pid"] && event["tid"] == found["tid"];
    let text = |event: &'e Value, key: &str| event[key].as_str().unwrap();
    events.iter().filter(is_of).map(|event| (text(event, "cat"), text(event, "name"), &event["args"])).collect()
}

/// A plugin that is built after it has waited for that.
#[track_caller]
fn waits(events: &[Value], plugin: &str, (why, wait, after): (&str, &str, &str)) {
    let (why, on, after) = (json!({ "not-cached": why }), json!({"critical": true}), json!({ "after": after }));
    let steps = ["export", "checks", "pack"].map(|step| ("step", step, &on));
    let expected = [&[("plugin", plugin, &why), ("wait", wait, &after)][..], &steps].concat();
    assert_eq!(thread(events, plugin), expected);
}

#[harness::test]
fn each_step_is_timed_with_what_it_waited_for() {
    let test = workspace("");
    // Without a root of their own, exports have no sources of their own.
    let build = [&BUILD[..], &["--isolation", "off"]].concat();
    let said = test.run(&build).success().stderr;
    for format in ["html", "json"] {
        let note = format!("\ntimings written to [DIR]/out/build-timings.{format}\n");
        assert!(said.contains(&note), "{said}");
    }
    let events = events(&test, "out/build-timings.json");
    // As Chrome's format has it, in this order.
    let trace = test.read("out/build-timings.json");
    let (_, event) = trace.split_once("\"name\": \"export\",").unwrap();
    let keys = event.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once('"')).map(|(key, _)| key);
    assert_eq!(keys.take(7).collect::<Vec<_>>(), ["cat", "ph", "ts", "dur", "pid", "tid", "args"]);

    // What their sources are is not known yet, so they are exported one by one.
    let (none, on) = (json!({}), json!({"critical": true}));
    waits(&events, "plugins/b", ("not built before", "wait for the exports before it", "repo plugins/a: pack"));
    waits(&events, "plugins/d", ("not built before", "wait for the exports before it", "repo plugins/c: pack"));
    assert_eq!(thread(&events, "plugins/a")[1], ("step", "export", &on));
    let workspace = thread(&events, "workspace");
    assert_eq!(workspace[0], ("workspace", "repo", &none));
    let steps: Vec<&str> = workspace.iter().map(|(_, name, _)| *name).collect();
    let in_order = ["look in the cache", "tools", "check out", "packages", "yarn install", "yarn tsc", "ask rhdh-cli"];
    let mut rest = steps.iter();
    for step in in_order {
        assert!(rest.any(|found| *found == step), "`{step}` in its order in {steps:?}");
    }
    let install = workspace.iter().find(|(_, name, _)| *name == "yarn install").unwrap();
    assert!(install.2["not-cached"].is_string(), "{install:?}");

    // All of a plugin is inside of its workspace, and of its own event.
    let of = |name: &str| events.iter().find(|event| event["name"] == name && event["ph"] == "X").unwrap();
    let times =
        |event: &Value| (event["ts"].as_u64().unwrap(), event["ts"].as_u64().unwrap() + event["dur"].as_u64().unwrap());
    let whole = times(of("repo"));
    for name in ["plugins/a", "plugins/b", "plugins/c", "plugins/d"] {
        let (start, end) = times(of(name));
        assert!(whole.0 <= start && start < end && end <= whole.1, "{name}: {start} to {end} in {whole:?}");
    }
    // The seconds of the report are these.
    let report: Value = serde_json::from_str(&test.read("out/build-report.json")).unwrap();
    let exported = report["workspaces"][0]["plugins"][0]["seconds"]["export"].as_f64().unwrap();
    let (start, end) = times(of("export"));
    let (start, end) = (u32::try_from(start).unwrap(), u32::try_from(end).unwrap());
    assert!((f64::from(end - start) / 1e6 - exported).abs() < 1e-5, "{exported} s and {} µs", end - start);

    // Now that they are known, only slots are waited for.
    test.run(&[&build[..], &["--rebuild"]].concat()).success();
    let events = self::events(&test, "out/build-timings.json");
    waits(&events, "plugins/b", ("everything is built again", "wait for a slot", "repo plugins/a: export"));
}

#[harness::test]
fn the_page_needs_nothing_and_nothing_from_outside_is_markup() {
    let mut test = scripted(&[("a".to_owned(), "frontend-plugin", String::new())], "");
    let hostile = "plugins/<img src=x>&'";
    fs::rename(test.path("repo/plugins/a"), test.path("repo").join(hostile)).unwrap();
    test.write("repo/yarn.lock", test.read("repo/yarn.lock").replace("plugins/a", hostile));
    for args in [&["add", "--all"][..], &["commit", "--quiet", "-m", "moved"]] {
        assert!(git(&test.path("repo")).args(args).status().unwrap().success());
    }
    test.config("plugins-list.yaml", format!("{hostile}:\n"));
    test.env("FACTORY_TIMINGS", "html");
    test.run(&["run", "--host-lockfile", "config/host.lock", "--output-dir", "out"]).success();
    assert!(!test.path("out/build-timings.json").exists(), "it was not asked for");
    let page = test.read("out/build-timings.html");
    for foreign in ["<script", "<img", "<link", "src=", "http://", "https://", "@import", "url(", " style=\"", "onload"]
    {
        let page = page.replace("&lt;img src=x&gt;", "");
        assert!(!page.contains(foreign), "`{foreign}` in {page}");
    }
    assert!(page.contains("<code>plugins/&lt;img src=x&gt;&amp;&#39;</code>"), "{page}");
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"), "{page}");
    assert!(page.contains("<title>Timings of factory run</title>") && page.contains("<h1>factory run: "), "{page}");
    // What is done once for all workspaces, and why it was built.
    assert!(page.contains("resolve 1 workspace") && page.contains(">no: not built before<"), "{page}");

    // In the words of `factory plan`, since the lock before.
    let patch = "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+x\n";
    test.config("patches/1-x.patch", patch);
    test.run(&["run", "--host-lockfile", "config/host.lock", "--output-dir", "out"]).success();
    let page = test.read("out/build-timings.html");
    assert!(page.contains(">no: patches/1-x.patch added<"), "{page}");
}

#[harness::test]
fn what_was_in_the_cache_is_said_and_an_older_file_is_replaced() {
    let test = workspace("");
    let build = ["build", "--output-dir", "out", "--timings", "--timings=json"];
    test.write("out/build-timings.json", "of an earlier run").write("out/build-timings.html", "of an earlier run");
    test.run(&build).success();
    let first = test.read("out/build-timings.html");
    assert!(first.contains("<dd>4 to build, 0 from the cache</dd>"), "{first}");
    test.run(&build).success();
    let events = events(&test, "out/build-timings.json");
    let cached = json!({"cached": "this machine's cache"});
    for name in ["plugins/a", "plugins/b", "plugins/c", "plugins/d"] {
        assert_eq!(thread(&events, name), [("plugin", name, &cached)]);
    }
    let steps: Vec<&str> = thread(&events, "workspace").into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(steps, ["repo", "look in the cache"]);
    let page = test.read("out/build-timings.html");
    assert!(page.contains("<dd>0 to build, 4 from the cache</dd>"), "{page}");
    assert!(page.contains("<summary>4 plugins of 1 workspace from the cache</summary>"), "{page}");
    let said = test.run(&["build", "--output-dir", "out", "--rebuild", "--timings=json"]).success().stderr;
    assert!(!said.contains("build-timings.html"), "{said}");
    assert!(test.read("out/build-timings.json").contains("\"not-cached\": \"everything is built again\""));
    // Nobody asked for any.
    assert!(!test.run(&["build", "--output-dir", "other"]).success().stderr.contains("timings"));
    assert!(!test.path("other/build-timings.html").exists());
}

#[harness::test]
fn a_build_that_fails_is_timed_too() {
    let test = workspace("exit 1\n");
    test.run(&BUILD).exits(1);
    let events = events(&test, "out/build-timings.json");
    let failed = thread(&events, "plugins/a");
    let (last, args) = (failed.last().unwrap().1, failed.last().unwrap().2);
    assert_eq!((last, &args["unfinished"]), ("export", &json!(true)));
    assert_eq!(thread(&events, "plugins/d").last().unwrap().1, "pack");
    let page = test.read("out/build-timings.html");
    assert!(page.contains("<td>export <span class=\"bad\">not finished</span></td>"), "{page}");
    // What is not begun has no times, and no files.
    test.run(&["build", "nothing", "--output-dir", "none", "--timings"]).exits(2);
    assert!(!test.path("none").exists());
}

#[harness::test]
fn ctrl_c_leaves_what_ran() {
    let test = workspace("echo started; sleep 600\n");
    let mut command: Command = test.command(&BUILD);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = test.path("out/logs/plugins-a.log");
    while !fs::read_to_string(&log).is_ok_and(|log| log.contains("started")) {
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    let events = events(&test, "out/build-timings.json");
    let stopped = thread(&events, "plugins/a");
    let step = stopped.iter().find(|(_, name, _)| *name == "export").unwrap();
    assert_eq!(step.2["unfinished"], true);
    assert!(thread(&events, "plugins/d").iter().all(|(cat, ..)| *cat != "step"), "it has not begun");
    assert!(test.read("out/build-timings.html").contains("<td>export <span class=\"bad\">not finished</span></td>"));
}

#[harness::test]
fn timings_that_cannot_be_written_are_a_warning() {
    let test = workspace("");
    fs::create_dir_all(test.path("out/build-timings.html")).unwrap();
    let said = test.run(&BUILD).success().stderr;
    let warning = "warning: the timings are not written: cannot write `[DIR]/out/build-timings.html`: Is a directory";
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    assert!(said.contains("\ntimings written to [DIR]/out/build-timings.json\n"), "{said}");
    let left: Vec<String> =
        harness::program::names(&test.path("out")).into_iter().filter(|name| name.contains(".tmp")).collect();
    assert_eq!(left, [""; 0]);
}

#[harness::test]
fn a_shard_has_timings_and_what_is_joined_has_none() {
    let test = workspace("");
    test.run(&["build", "--shard", "1/1", "--output-dir", "shard", "--timings=json"]).success();
    assert_eq!(thread(&events(&test, "shard/build-timings.json"), "plugins/d").last().unwrap().1, "pack");
    test.run(&["join", "shard", "--output-dir", "joined"]).success();
    assert!(test.path("joined/build-report.json").exists() && !test.path("joined/build-timings.json").exists());

    // The lock is sealed now. What `factory verify` does is apart from what builds did.
    test.run_with(&["verify", "--timings=json"], &[("FACTORY_OUTPUT_DIR", "shard")]).success();
    let plugin = thread(&events(&test, "shard/verify-timings.json"), "plugins/a")[0].2["not-cached"].clone();
    assert_eq!(plugin, "everything is built again");
    assert!(!test.path("shard/verify-timings.html").exists());
}
