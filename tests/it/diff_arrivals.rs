//! `factory diff` about packages that are new: licences, install scripts, and what was published lately.

use std::fs;
use std::path::Path;

use factory::lock::{Integrity, Sha256, input_digest};
use harness::npm_registry::{Registry, npm_package};
use harness::releases::{Release, factory, release};
use serde_json::{Value, json};

/// Two releases, of which a backend and a frontend have moved packages.
struct Sides {
    root: tempfile::TempDir,
}

const BUNDLE: [&str; 2] = [
    "exposes dist .\npackage dist dompurify 3.0.0 installed chunk\npackage dist own 1.0.0 workspace chunk\n",
    "exposes dist .\npackage dist dompurify 3.1.0 installed chunk\npackage dist own 1.1.0 workspace chunk\n",
];

impl Sides {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for (dir, is_new) in [("old", false), ("new", true)] {
            let mut release = release(is_new);
            release.seal_bundle("todo", "plugins/todo", BUNDLE[usize::from(is_new)]);
            release.write(&root.path().join(dir));
        }
        Self { root }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn run(&self, args: &[&str], registry: Option<&Registry>) -> assert_cmd::assert::Assert {
        let mut command = factory(self.path());
        command.arg("diff").args(["old/factory.lock", "new/factory.lock", "--cache-dir", "cache"]).args(args);
        if let Some(registry) = registry {
            command.env("NPM_CONFIG_REGISTRY", &registry.url);
        }
        command.assert()
    }

    fn json(&self, args: &[&str], registry: Option<&Registry>) -> Value {
        let output = self.run(&[args, &["--format", "json"]].concat(), registry).success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    }

    fn human(&self, args: &[&str], registry: Option<&Registry>) -> String {
        let output = self.run(args, registry).success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    }
}

fn changes<'d>(diff: &'d Value, kind: &str) -> Vec<&'d Value> {
    diff["changes"].as_array().unwrap().iter().filter(|change| change["kind"] == kind).collect()
}

fn packages(change: &Value) -> Vec<String> {
    let packages = change["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|one| format!("{}@{}", one["package"].as_str().unwrap(), one["version"].as_str().unwrap()))
        .collect()
}

fn day(days_ago: i64) -> String {
    let time = time::OffsetDateTime::now_utc() - time::Duration::days(days_ago);
    format!("{}T00:00:00.000Z", time.date())
}

/// What the registry has: `express` took an install script, `dompurify` another licence, `knex` is new of yesterday, and
/// of `pg` there is nothing.
fn registry() -> Registry {
    let document = |versions: Value, time: Value| json!({ "versions": versions, "time": time });
    let mit = json!({ "license": "MIT" });
    Registry::of_documents(&[
        (
            "express",
            document(
                json!({ "4.22.1": mit, "5.1.0": { "license": "MIT", "hasInstallScript": true } }),
                json!({ "4.22.1": day(900), "5.1.0": day(300) }),
            ),
        ),
        ("knex", document(json!({ "3.1.0": mit, "3.1.1": mit }), json!({ "3.1.0": day(900), "3.1.1": day(1) }))),
        (
            "dompurify",
            document(
                json!({ "3.0.0": mit, "3.1.0": { "license": "BUSL-1.1 <b>" } }),
                json!({ "3.0.0": day(900), "3.1.0": day(30) }),
            ),
        ),
    ])
}

#[harness::test]
fn the_registry_says_which_licences_and_install_scripts_appeared() {
    let (sides, registry) = (Sides::new(), registry());
    let diff = sides.json(&["--package-facts", "registry"], Some(&registry));
    let licences = changes(&diff, "licence");
    assert_eq!(licences.len(), 1, "{licences:#?}");
    assert_eq!((&licences[0]["licence"], &licences[0]["appeared"]), (&json!("BUSL-1.1 <b>"), &json!(true)));
    assert_eq!((&licences[0]["known"], &licences[0]["mark"]), (&json!(3), &json!("!")));
    assert_eq!(
        licences[0]["packages"],
        json!([{
            "package": "dompurify", "version": "3.1.0", "before": ["3.0.0"], "licences-before": ["MIT"],
            "plugins": [{ "workspace": "todo", "plugin": "plugins/todo" }],
        }])
    );
    let scripts = changes(&diff, "install-scripts");
    assert_eq!(packages(scripts[0]), ["express@5.1.0"]);
    assert!(changes(&diff, "published").is_empty());
    let notes = diff["notes"].as_array().unwrap();
    assert!(
        notes.contains(&json!(
            "the licence, and whether install scripts appeared, of 1 new package is not known: `pg@8.11.0`; the npm registry \
             does not have it"
        )),
        "{notes:#?}"
    );
    // Each package is asked for once, and nothing that did not move; nor what is of the workspace.
    let mut asked = registry.asked();
    asked.sort();
    assert_eq!(asked, ["/dompurify", "/express", "/knex", "/pg"]);
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(harness::project().join("schema/factory.diff.schema.json")).unwrap())
            .unwrap();
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&diff).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for format in ["html", "asciidoc"] {
        let text = sides.human(&["--package-facts", "registry", "--format", format], Some(&registry));
        assert!(text.contains("BUSL-1.1") && !text.contains("BUSL-1.1 <b>"), "{text}");
    }
    let markdown = sides.human(&["--package-facts", "registry", "--format", "markdown"], Some(&registry));
    assert!(markdown.contains("- `!` licence `BUSL-1.1 <b>` appeared: none of 3 packages"), "{markdown}");
    let human = sides.human(&["--package-facts", "registry"], Some(&registry));
    assert!(
        human.contains(
            "  ! licence BUSL-1.1 <b> appeared: none of 3 packages known of the old release\n    has it\n    dompurify 3.1.0, \
             before 3.0.0 with licence MIT, in todo/plugins/todo\n"
        ),
        "{human}"
    );
}

#[harness::test]
fn what_yarn_alone_asks_for_does_not_arrive() {
    let (sides, registry) = (Sides::new(), registry());
    let mut new = release(true);
    new.seal_bundle("todo", "plugins/todo", BUNDLE[1]);
    let place = new.files.iter().position(|(path, _)| path == "todo/plugins/todo-backend/yarn.lock").unwrap();
    let closure = &mut new.files[place].1;
    *closure = closure.replacen(
        "resolution: \"pg@npm:8.11.0\"\n",
        "resolution: \"pg@npm:8.11.0\"\n  dependencies:\n    node-gyp: \"npm:latest\"\n",
        1,
    );
    closure.push_str("\n\"node-gyp@npm:latest\":\n  version: 10.0.1\n  resolution: \"node-gyp@npm:10.0.1\"\n");
    let digest = Sha256::of(&*closure);
    let todo = new.lock.workspace.iter_mut().find(|workspace| workspace.name == "todo").unwrap();
    todo.plugin[1].sealed.as_mut().unwrap().closure = Some(digest);
    new.write(&sides.path().join("new"));
    sides.json(&["--package-facts", "registry"], Some(&registry));
    let mut asked = registry.asked();
    asked.sort();
    assert_eq!(asked, ["/dompurify", "/express", "/knex", "/pg"]);
}

#[harness::test]
fn what_was_published_lately_is_shown() {
    let (sides, registry) = (Sides::new(), registry());
    let recent = |newer: &str| {
        let diff = sides.json(&["--newer-than", newer], Some(&registry));
        assert!(changes(&diff, "licence").is_empty());
        changes(&diff, "published").into_iter().flat_map(packages).collect::<Vec<_>>()
    };
    assert_eq!(recent("7d"), ["knex@3.1.1"]);
    assert_eq!(recent("60"), ["knex@3.1.1", "dompurify@3.1.0"]);
    assert_eq!(recent(&day(400)[..10]), ["knex@3.1.1", "dompurify@3.1.0", "express@5.1.0"]);
    assert_eq!(recent("0"), [""; 0]);
    let human = sides.human(&["--newer-than", "7"], Some(&registry));
    let said = format!("    knex 3.1.1, before 3.1.0, of {}, in todo/plugins/todo-backend\n", &day(1)[..10]);
    assert!(human.contains(&said), "{human}");
    assert!(human.contains("the time of publication of 1 new package is not known: `pg@8.11.0`"), "{human}");
    let elsewhere = sides.json(&["--newer-than", "7", "-w", "acr"], Some(&registry));
    assert!(changes(&elsewhere, "published").is_empty());
}

#[harness::test]
fn nobody_is_asked_unless_it_is_wanted() {
    let (sides, registry) = (Sides::new(), registry());
    sides.run(&[], Some(&registry)).success();
    sides.run(&["--package-facts", "cache"], Some(&registry)).success();
    assert_eq!(registry.asked(), [""; 0]);
    let said = |args: &[&str], code| {
        let output = sides.run(args, Some(&registry)).code(code);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    assert_eq!(
        said(&["--newer-than", "7d", "--offline"], 2),
        "error: `--newer-than` asks the npm registry, which `--offline` forbids\n\nhint: leave out one of them; \
         `--package-facts cache` needs no network\n"
    );
    assert!(said(&["--newer-than", "soon"], 2).contains("neither a number of days (`7`) nor a day (`2026-11-21`)"));
    assert_eq!(registry.asked(), [""; 0]);
    let none = factory(sides.path())
        .args(["diff", "old/factory.lock", "new/factory.lock", "--newer-than", "7"])
        .env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
        .assert()
        .code(5);
    let said = String::from_utf8(none.get_output().stderr.clone()).unwrap();
    assert!(said.contains("npm package `dompurify`: "), "{said}");
}

/// Puts the archive of the backend into the cache, where a build would have put it, and seals it.
fn keep_archive(release: &mut Release, cache: &Path, manifests: &[(&str, &str)]) {
    let paths: Vec<(String, &str)> =
        manifests.iter().map(|(folder, text)| (format!("node_modules/{folder}"), *text)).collect();
    let entries: Vec<(&str, u32, &str)> = paths.iter().map(|(path, text)| (path.as_str(), 0o644, *text)).collect();
    let archive = npm_package(&entries);
    let at = release.lock.workspace.iter().position(|workspace| workspace.name == "todo").unwrap();
    let sealed = release.lock.workspace[at].plugin[1].sealed.as_mut().unwrap();
    sealed.tgz = Integrity::of(&archive);
    let closure = sealed.closure;
    let workspace = &release.lock.workspace[at];
    let key = input_digest::digest(&release.lock, workspace, &workspace.plugin[1], closure).hex();
    let folder = cache.join("builds").join(key);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("package.tgz"), archive).unwrap();
}

#[harness::test]
fn archives_in_the_cache_say_it_without_a_network() {
    let sides = Sides::new();
    let cache = sides.path().join("cache");
    let (mut old, mut new) = (release(false), release(true));
    let same = ("same/package.json", r#"{"name": "same", "version": "1.0.0", "license": "ISC"}"#);
    keep_archive(
        &mut old,
        &cache,
        &[
            same,
            ("express/package.json", r#"{"name": "express", "version": "4.22.1", "license": "MIT"}"#),
            ("knex/package.json", r#"{"name": "knex", "version": "3.1.0", "license": "MIT"}"#),
        ],
    );
    keep_archive(
        &mut new,
        &cache,
        &[
            same,
            ("express/package.json", r#"{"name": "express", "version": "5.1.0", "license": "ISC"}"#),
            ("knex/package.json", r#"{"name": "knex", "version": "3.1.1"}"#),
            ("pg/binding.gyp", "{}"),
            ("pg/package.json", r#"{"name": "pg", "version": "8.11.0", "license": "MIT"}"#),
        ],
    );
    old.write(&sides.path().join("old"));
    new.write(&sides.path().join("new"));
    let diff = sides.json(&["--package-facts", "cache", "--offline"], None);
    let licences = changes(&diff, "licence");
    let said: Vec<_> = licences.iter().map(|one| (one["licence"].as_str(), &one["appeared"], packages(one))).collect();
    assert_eq!(
        said,
        [
            (None, &json!(true), vec!["knex@3.1.1".to_owned()]),
            (Some("ISC"), &json!(false), vec!["express@5.1.0".to_owned()])
        ]
    );
    assert_eq!(packages(changes(&diff, "install-scripts")[0]), ["pg@8.11.0"]);
    // An archive with other bytes than those that are sealed says nothing.
    for entry in fs::read_dir(cache.join("builds")).unwrap() {
        fs::write(entry.unwrap().path().join("package.tgz"), "x").unwrap();
    }
    let diff = sides.json(&["--package-facts", "cache"], None);
    assert!(changes(&diff, "licence").is_empty());
    let notes = diff["notes"].as_array().unwrap();
    assert!(
        notes.contains(&json!(
            "the licence, and whether install scripts appeared, of 3 new packages is not known: `express@5.1.0`, `knex@3.1.1`, \
             `pg@8.11.0`; the cache has no archive with them: ask the registry with `--package-facts registry`"
        )),
        "{notes:#?}"
    );
}

#[harness::test]
fn where_nothing_is_known_of_what_was_no_licence_appeared() {
    let (sides, registry) = (Sides::new(), registry());
    let mut old = release(false);
    for plugin in old.lock.workspace.iter_mut().flat_map(|workspace| &mut workspace.plugin) {
        plugin.sealed = None;
    }
    old.write(&sides.path().join("old"));
    let diff = sides.json(&["--package-facts", "registry"], Some(&registry));
    for licence in changes(&diff, "licence") {
        assert_eq!(
            (&licence["mark"], &licence["appeared"], &licence["known"]),
            (&json!("+"), &json!(false), &json!(0))
        );
    }
    let notes = diff["notes"].as_array().unwrap();
    let said = "`old/factory.lock` does not say which packages are in 10 of 10 plugins: of these no licence, install script or \
                time is known";
    assert!(notes.contains(&json!(said)), "{notes:#?}");
}

#[harness::test]
fn configurations_do_not_say_what_is_shipped() {
    let root = tempfile::tempdir().unwrap();
    for dir in ["a", "b"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
        let source = json!({ "repo": "https://github.com/a/b", "repo-ref": dir, "repo-flat": false }).to_string();
        fs::write(root.path().join(dir).join("source.json"), source).unwrap();
        fs::write(root.path().join(dir).join("plugins-list.yaml"), "plugins/todo:\n").unwrap();
    }
    let output = factory(root.path()).args(["diff", "a", "b", "--package-facts", "cache"]).assert().code(2);
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.starts_with("error: configurations do not say which packages are shipped\n"), "{said}");
}
