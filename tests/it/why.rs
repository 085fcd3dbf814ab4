//! `factory why`: where a package is, from the lock and the files beside it.

use std::collections::BTreeSet;
use std::fs;

use factory::lock::{Rhdh, Role, Sha256, Workspace};
use factory::npm::range::satisfies;
use factory::resolve::facts::HostFacts;
use harness::releases::{self, Release, factory, plugin, workspace};
use harness::repository::Repository;
use serde_json::Value;

use harness::schema::fits;

/// A package of a lockfile, with what it asks for.
type Package<'t> = (&'t str, &'t str, &'t [&'t str]);

/// A Berry lockfile: the packages of its own tree, the first with peers, then others, each with the ranges it is locked to
/// as `name@range`s among what is asked for.
fn lockfile(own: &[(&str, &[&str])], peers: &[&str], packages: &[Package<'_>]) -> String {
    let split = |one: &str| one.rsplit_once('@').map(|(name, range)| (name.to_owned(), range.to_owned())).unwrap();
    let mut text = "__metadata:\n  version: 8\n".to_owned();
    let mut entry = |key: &str, version: &str, resolution: &str, asked: &[&str], peers: &[&str]| {
        text.push_str(&format!("\n\"{key}\":\n  version: {version}\n  resolution: \"{resolution}\"\n"));
        let wants = |one: &&str| split(one);
        let line = |(name, range): (String, String)| format!("    \"{name}\": \"npm:{range}\"\n");
        let lines: Vec<String> = asked.iter().map(wants).map(line).collect();
        let peers: Vec<String> = peers.iter().map(|peer| format!("    \"{peer}\": ^1.0.0\n")).collect();
        for (section, lines) in [("dependencies", lines), ("peerDependencies", peers)] {
            if !lines.is_empty() {
                text.push_str(&format!("  {section}:\n{}", lines.concat()));
            }
        }
    };
    for (at, (place, asked)) in own.iter().enumerate() {
        entry(place, "0.0.0-use.local", place, asked, if at == 0 { peers } else { &[] });
    }
    let asked = own.iter().map(|(_, asked)| *asked).chain(packages.iter().map(|(_, _, asked)| *asked)).flatten();
    let asked: BTreeSet<(String, String)> = asked.map(|one| split(one)).collect();
    for (name, version, own) in packages {
        if version.ends_with("+embedded") {
            let at = format!("{name}@file:./embedded/x");
            entry(&format!("{at}::locator=p"), version, &format!("{at}#./x::hash=1"), own, &[]);
            continue;
        }
        let locked = asked.iter().filter(|(asked, range)| asked == name && satisfies(version, range));
        let keys: Vec<String> = locked.map(|(name, range)| format!("{name}@npm:{range}")).collect();
        entry(&keys.join(", "), version, &format!("{name}@npm:{version}"), own, &[]);
    }
    text
}

pub struct Fixture {
    pub root: tempfile::TempDir,
    source: Repository,
    release: Release,
}

const TODO_LOCK: &[Package<'_>] = &[
    ("body-parser", "2.2.0", &["lodash@^4.17.0"]),
    ("express", "5.1.0", &["body-parser@^2.0.0"]),
    ("jest", "29.7.0", &["lodash@^3.0.0"]),
    ("lodash", "3.10.1", &[]),
    ("lodash", "4.17.20", &[]),
];

const RBAC_LOCK: &[Package<'_>] =
    &[("jest", "29.7.0", &["lodash@^3.0.0"]), ("lodash", "3.10.1", &[]), ("lodash", "4.17.21", &[])];

const UI_LOCK: &[Package<'_>] = &[
    ("jest", "29.7.0", &["lodash@^3.0.0"]),
    ("lodash", "3.10.1", &[]),
    ("lodash", "4.17.21", &[]),
    ("react", "18.3.1", &[]),
];

impl Fixture {
    /// Workspaces of one repository: `new` with a backend that is not built, `rbac` with a backend, `todo` with a backend
    /// and a frontend of whose bundles nothing is known.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let source = Repository::init(&root.path().join("source"));
        let host = HostFacts::named("1.10").unwrap().unwrap();
        let mut fixture = Self { root, source, release: releases::release(true) };
        fixture.release.lock.rhdh = Some(Rhdh {
            requested: "1.10".into(),
            commit: Some(host.commit.clone()),
            version: host.version.clone(),
            lockfile: host.lockfile,
        });
        let embedded = ("@x/plugin-todo-common", "0.1.0+embedded", &["lodash@^4.0.0"][..]);
        let shipped = [&[embedded], &TODO_LOCK[..2], &[("lodash", "4.17.20", &[][..])]].concat();
        let closure = lockfile(
            &[("@x/plugin-todo-backend-dynamic@workspace:.", &["express@^5.0.0", "@x/plugin-todo-common@0.1.0"])],
            &["@backstage/backend-plugin-api"],
            &shipped,
        );
        let mut todo = fixture.workspace("todo", &["express@^5.0.0", "jest@^29.0.0", "lodash@^4.0.0"], TODO_LOCK);
        todo.plugin.push(plugin("plugins/todo", "@x/plugin-todo", "0.10.0", Role::FrontendPlugin));
        todo.plugin[0].sealed = Some(releases::sealed("todo", None));
        fixture.backend(&mut todo, "todo-backend", Some(closure));
        let mut rbac = fixture.workspace("rbac", &["jest@^29.0.0", "lodash@^4.17.21"], RBAC_LOCK);
        let own: (&str, &[&str]) = ("@x/plugin-rbac-backend-dynamic@workspace:.", &["lodash@^4.17.21"]);
        fixture.backend(&mut rbac, "rbac-backend", Some(lockfile(&[own], &["express"], &RBAC_LOCK[2..])));
        let mut new = fixture.workspace("new", &[], &[]);
        fixture.backend(&mut new, "new-backend", None);
        fixture.release.lock.workspace = vec![new, rbac, todo];
        let commit = fixture.source.commit("locks");
        for workspace in &mut fixture.release.lock.workspace {
            workspace.source.commit = Some(commit.clone());
        }
        fixture.write();
        fixture
    }

    fn workspace(&self, name: &str, asked: &[&str], packages: &[Package<'_>]) -> Workspace {
        let path = format!("workspaces/{name}");
        let text = lockfile(&[("root@workspace:.", asked), ("@x/tools@workspace:tools", &[])], &[], packages);
        self.source.write(&format!("{path}/yarn.lock"), &text);
        let mut workspace = workspace(name, "../../source", &path, "1", 1_770_000_000);
        workspace.source.yarn_lock = Sha256::of(&text);
        fs::create_dir_all(self.root.path().join("config").join(name)).unwrap();
        workspace
    }

    fn backend(&mut self, workspace: &mut Workspace, name: &str, closure: Option<String>) {
        let path = format!("plugins/{name}");
        let mut backend = plugin(&path, &format!("@x/plugin-{name}"), "1.0.0", Role::BackendPlugin);
        backend.sealed = closure.as_deref().map(|closure| releases::sealed(name, Some(closure)));
        workspace.plugin.push(backend);
        if let Some(closure) = closure {
            self.release.files.push((format!("{}/{path}/yarn.lock", workspace.name), closure));
        }
    }

    /// A workspace of a frontend with this bundle, of which nothing else is asked.
    pub fn frontend(&mut self, bundle: &str) {
        let mut workspace = self.workspace("ui", &["lodash@^4.17.21", "react@^18.0.0", "jest@^29.0.0"], UI_LOCK);
        workspace.plugin.push(plugin("plugins/ui", "@x/plugin-ui", "2.0.0", Role::FrontendPlugin));
        let mut sealed = releases::sealed("ui", None);
        sealed.bundle = Some(Sha256::of(bundle));
        workspace.plugin[0].sealed = Some(sealed);
        workspace.source.commit = Some(self.source.commit("ui"));
        self.release.files.push(("ui/plugins/ui/bundle".into(), bundle.to_owned()));
        self.release.lock.workspace.push(workspace);
        self.write();
    }

    /// A workspace of a backend that depends on something that compiles, with the list of its files.
    fn compiling(&mut self, files: &str) {
        let packages: &[Package<'_>] = &[
            ("nan", "2.19.0", &["node-gyp@^10.0.0"]),
            ("node-gyp", "10.0.1", &["which@^4.0.0"]),
            ("which", "4.0.0", &[]),
        ];
        let mut workspace = self.workspace("native", &["nan@^2.0.0"], packages);
        let own: (&str, &[&str]) = ("@x/plugin-native-dynamic@workspace:.", &["nan@^2.0.0"]);
        // As yarn adds it.
        let closure = lockfile(&[own], &[], packages)
            .replace("node-gyp@npm:^10.0.0", "node-gyp@npm:latest")
            .replace("\"node-gyp\": \"npm:^10.0.0\"", "node-gyp: \"npm:latest\"");
        self.backend(&mut workspace, "native", Some(closure));
        workspace.source.commit = Some(self.source.commit("native"));
        self.release.files.push(("native/plugins/native/files".into(), files.to_owned()));
        self.release.lock.workspace.push(workspace);
        self.write();
    }

    fn write(&self) {
        self.release.write(&self.root.path().join("config"));
    }

    fn why(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        factory(self.root.path()).arg("why").args(args).args(["--cache-dir", "cache"]).assert()
    }

    fn text(&self, args: &[&str]) -> String {
        String::from_utf8(self.why(args).success().get_output().stdout.clone()).unwrap()
    }

    fn said(&self, args: &[&str], code: i32) -> String {
        String::from_utf8(self.why(args).code(code).get_output().stderr.clone()).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--format", "json"]].concat();
        let value = serde_json::from_slice(&self.why(&args).success().get_output().stdout).unwrap();
        fits("schema/factory.why.schema.json", &value);
        value
    }

    fn vex(&self, args: &[&str]) -> Value {
        let args = [args, &["--format", "openvex", "--vulnerability", "CVE-2021-23337"]].concat();
        serde_json::from_slice(&self.why(&args).success().get_output().stdout).unwrap()
    }
}

/// What RHDH 1.10 has of a package.
pub fn of_host(name: &str) -> String {
    HostFacts::named("1.10").unwrap().unwrap().versions[name].join(", ")
}

#[harness::test]
fn the_ways_to_a_package_are_shown_by_version() {
    let fixture = Fixture::new();
    let expected = format!(
        "lodash

4.17.20: shipped by 1 plugin
└─ todo plugins/todo-backend
   ├─ @x/plugin-todo-common@0.1.0+embedded > lodash@4.17.20
   └─ and 1 more path: see `--all-paths`

4.17.21: shipped by 1 plugin
└─ rbac plugins/rbac-backend
   └─ lodash@4.17.21

{}: in RHDH 1.10.4, from which no plugin takes it

3.10.1: scaffold only: in yarn.lock, and in no plugin of the workspace
└─ rbac

3.10.1: in yarn.lock; it is not known whether plugins ship it
└─ todo

not known
├─ new plugins/new-backend: it has not been built
└─ todo plugins/todo: what is in its bundles was not recorded when it was built
",
        of_host("lodash")
    );
    assert_eq!(fixture.text(&["lodash"]), expected);
    let text = fixture.text(&["lodash", "--all-paths", "todo"]);
    assert!(text.contains("   └─ express@5.1.0 > body-parser@2.2.0 > lodash@4.17.20\n"), "{text}");
    assert!(!text.contains("rbac"), "{text}");
}

#[harness::test]
fn a_range_says_which_versions_are_meant() {
    let fixture = Fixture::new();
    let text = fixture.text(&["lodash@<4.17.21 >=4"]);
    let expected = "lodash@<4.17.21 >=4\n\n4.17.20 (matches): shipped by 1 plugin\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\n4.17.21 (does not match): shipped by 1 plugin\n"), "{text}");
    assert!(text.contains("\n3.10.1 (does not match): scaffold only"), "{text}");
    for (range, code) in [("lodash@<4.17.20", 0), ("lodash@^4.17.21", 1), ("lodash@3", 0), ("lodash", 1)] {
        fixture.why(&[range]).success();
        let said = fixture.said(&[range, "--exit-code"], code);
        let is_said = said.ends_with(&format!("ships `{range}`\n")) || said.ends_with(&format!("ship `{range}`\n"));
        assert_eq!(is_said, code == 1, "{said}");
    }
}

#[harness::test]
fn what_rhdh_provides_is_not_shipped() {
    let fixture = Fixture::new();
    let api = "@backstage/backend-plugin-api";
    let expected = format!(
        "{api}\n\n{}: provided by RHDH 1.10.4 to 1 plugin\n└─ todo plugins/todo-backend\n\nnot known\n",
        of_host(api)
    );
    let text = fixture.text(&[api]);
    assert!(text.starts_with(&expected), "{text}");
    fixture.why(&[api, "--exit-code"]).success();
    let json = fixture.json(&[api, "todo"]);
    assert_eq!(json["plugins"][1]["answer"], "host");
    assert_eq!(json["plugins"][0]["answer"], "unknown");
    let text = fixture.text(&["express", "rbac"]);
    let expected = format!(
        "express\n\nno plugin ships it (1 plugin looked at)\n\n{}: provided by RHDH 1.10.4 to 1 plugin\n└─ rbac plugins/rbac-backend\n",
        of_host("express")
    );
    assert_eq!(text, expected);
}

#[harness::test]
fn what_is_built_from_the_workspace_is_told_apart() {
    let fixture = Fixture::new();
    let text = fixture.text(&["@x/plugin-todo-common", "todo"]);
    let expected = "@x/plugin-todo-common\n\n0.1.0+embedded: shipped by 1 plugin\n└─ todo plugins/todo-backend: embedded\n   \
                    └─ @x/plugin-todo-common@0.1.0+embedded\n\nnot known\n";
    assert!(text.starts_with(expected), "{text}");
    let text = fixture.text(&["@x/plugin-rbac-backend", "rbac"]);
    let expected =
        "@x/plugin-rbac-backend\n\n1.0.0: shipped by 1 plugin\n└─ rbac plugins/rbac-backend: the plugin itself\n";
    assert_eq!(text, expected);
    let text = fixture.text(&["@x/tools", "rbac"]);
    let own = "\n0.0.0-use.local: scaffold only: in yarn.lock, and in no plugin of the workspace\n└─ rbac\n";
    assert!(text.ends_with(own), "{text}");
}

pub const BUNDLE: &str = "# factory bundle 1
exposes dist PluginRoot
package dist @x/common 0.3.0 workspace exposes:PluginRoot
package dist css-loader 6.11.0 tools entry
package dist lodash 4.17.20 installed chunk
package dist lodash 4.17.20 installed exposes:PluginRoot
package dist react 18.3.1 installed shares:react
shares dist @backstage/core-plugin-api -
shares dist react 18.3.1
";

#[harness::test]
fn the_bundles_of_a_frontend_are_read() {
    let mut fixture = Fixture::new();
    fixture.frontend(BUNDLE);
    let of = |name: &str, kind: &str, rest: &str| {
        let text = fixture.text(&[name, "ui"]);
        let line = format!("shipped by 1 plugin\n└─ ui plugins/ui: {kind}\n{rest}");
        assert!(text.contains(&line), "{text}");
        text
    };
    let modules =
        "   ├─ in a file of which the bundle does not say who loads it\n   └─ loaded with the module `PluginRoot`\n";
    let text = of("lodash@<4.17.21", "bundled", modules);
    assert!(
        text.contains("\n3.10.1 (matches): scaffold only: in yarn.lock, and in no plugin of the workspace\n"),
        "{text}"
    );
    let text = of("react", "bundled, for an RHDH without it", "   └─ loaded for the shared package `react`\n");
    assert!(text.contains("provided by RHDH 1.10.4 to 1 plugin\n└─ ui plugins/ui\n"), "{text}");
    of("@x/common", "embedded", "   └─ loaded with the module `PluginRoot`\n");
    of("css-loader", "bundled by rhdh-cli", "   └─ in the file that RHDH loads first\n");
    let json = fixture.json(&["@backstage/core-plugin-api", "ui"]);
    let expected = serde_json::json!({ "workspace": "ui", "plugin": "plugins/ui", "answer": "host", "shares": true });
    assert_eq!(json["plugins"], serde_json::json!([expected]));
    let vex = |package: &str| {
        let document = fixture.vex(&[package, "ui"]);
        let statements = document["statements"].as_array().unwrap();
        assert_eq!(statements.len(), 1);
        format!("{} {}", statements[0]["status"], statements[0]["justification"]).replace('"', "")
    };
    assert_eq!(vex("lodash@<4.17.21"), "affected null");
    assert_eq!(vex("lodash@<4.17.20"), "not_affected vulnerable_code_not_present");
    assert_eq!(vex("jest@*"), "not_affected component_not_present");
    assert_eq!(vex("@backstage/core-plugin-api@*"), "not_affected component_not_present");
}

#[harness::test]
fn a_bundle_that_does_not_say_all_proves_nothing() {
    let mut fixture = Fixture::new();
    fixture.frontend(&format!("{BUNDLE}unknown dist/static/7.js no-map\nunknown dist/static/8.js broken-map\n"));
    let text = fixture.text(&["jest", "ui"]);
    let expected = "
29.7.0: in yarn.lock; it is not known whether plugins ship it
└─ ui

not known
└─ ui plugins/ui: not all of its bundles say what is in them: dist/static/7.js: no-map, and 1 more part
";
    assert!(text.ends_with(expected), "{text}");
    let status = |package: &str| fixture.vex(&[package, "ui"])["statements"][0]["status"].clone();
    assert_eq!(status("jest@*"), "under_investigation");
    assert_eq!(status("lodash@<4.17.20"), "under_investigation");
    assert_eq!(status("lodash@<4.17.21"), "affected");
    fixture.frontend("# factory bundle 2\n");
    fixture.release.lock.workspace.remove(3);
    fixture.write();
    let said = fixture.said(&["jest", "ui"], 3);
    assert!(said.contains("ui/plugins/ui/bundle: is of another format than this factory reads"), "{said}");
}

#[harness::test]
fn a_build_tool_is_not_shipped() {
    let text = Fixture::new().text(&["webpack", "rbac"]);
    assert!(text.ends_with("\n6.0.0: in rhdh-cli 1.10.8, a build tool, which is not shipped\n"), "{text}");
}

#[harness::test]
fn what_yarn_alone_asks_for_is_in_no_archive() {
    let mut fixture = Fixture::new();
    fixture.compiling("0123456789abcdef node_modules/nan\n");
    for (name, version) in [("node-gyp", "10.0.1"), ("which", "4.0.0")] {
        let text = fixture.text(&[name, "native"]);
        let expected =
            format!("\n{version}: scaffold only: in yarn.lock, and in no plugin of the workspace\n└─ native\n");
        assert!(text.contains(&expected) && !text.contains("shipped by"), "{text}");
    }
    assert!(fixture.text(&["nan", "native"]).contains("shipped by 1 plugin"));
    assert_eq!(fixture.vex(&["which@*", "native"])["statements"][0]["justification"], "component_not_present");
    // A package.json that asks for it brings it along.
    let mut fixture = Fixture::new();
    fixture.compiling("0123456789abcdef node_modules/node-gyp\n");
    let text = fixture.text(&["which", "native"]);
    assert!(text.contains("nan@2.19.0 > node-gyp@10.0.1 > which@4.0.0"), "{text}");
}

#[harness::test]
fn what_is_embedded_from_a_registry_is_not_scaffold() {
    let mut fixture = Fixture::new();
    let mut workspace = fixture.workspace("embedding", &["@x/lib@^0.1.0"], &[("@x/lib", "0.1.0", &[])]);
    let own: (&str, &[&str]) = ("@x/plugin-embedding-dynamic@workspace:.", &["@x/lib@0.1.0"]);
    let closure = lockfile(&[own], &[], &[("@x/lib", "0.1.0+embedded", &[])]);
    fixture.backend(&mut workspace, "embedding", Some(closure));
    workspace.source.commit = Some(fixture.source.commit("embedding"));
    fixture.release.lock.workspace.push(workspace);
    fixture.write();
    let text = fixture.text(&["@x/lib", "embedding"]);
    assert!(text.contains("0.1.0+embedded: shipped by 1 plugin"), "{text}");
    assert!(!text.contains("scaffold"), "{text}");
    let versions = &fixture.json(&["@x/lib@<1", "embedding"])["workspaces"][0]["versions"];
    assert_eq!(*versions, serde_json::json!([{ "version": "0.1.0", "matches": true, "state": "shipped" }]));
}

#[harness::test]
fn scaffold_only_is_never_guessed() {
    let mut fixture = Fixture::new();
    fixture.release.lock.workspace[1].source.yarn_lock = Sha256::of("another");
    fixture.release.lock.workspace[2].source.repo = "https://localhost:9/x".into();
    fixture.write();
    let text = fixture.text(&["jest", "rbac", "todo", "--offline"]);
    let commit = fixture.source.git(&["rev-parse", "HEAD"]);
    let expected = format!(
        "
not known
├─ todo plugins/todo: what is in its bundles was not recorded when it was built
├─ yarn.lock of todo: the cache does not have commit {} of `https://localhost:9/x`
└─ yarn.lock of rbac: the commit's is not the one that the lock pins
",
        &commit[..10]
    );
    assert!(text.ends_with(&expected) && !text.contains("scaffold"), "{text}");
    let json = fixture.json(&["jest", "rbac"]);
    assert_eq!(json["workspaces"][0]["versions"], serde_json::json!([]));
    assert_eq!(json["workspaces"][0]["unknown"], "the commit's is not the one that the lock pins");
}

#[harness::test]
fn patches_of_the_configuration_count() {
    let mut fixture = Fixture::new();
    let before = lockfile(
        &[("root@workspace:.", &["jest@^29.0.0", "lodash@^4.17.21"]), ("@x/tools@workspace:tools", &[])],
        &[],
        RBAC_LOCK,
    );
    let after = before.replace("3.10.1", "3.10.2");
    let rbac = &mut fixture.release.lock.workspace[1];
    assert_eq!(rbac.source.yarn_lock, Sha256::of(&before));
    rbac.effective = Some(factory::lock::Effective { yarn_lock: Sha256::of(&after) });
    fixture.write();
    let why = "patches change it, and the configuration that has them cannot be read";
    assert_eq!(fixture.json(&["lodash", "rbac"])["workspaces"][0]["unknown"], why);
    let changed: Vec<(usize, &str)> = before
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("3.10.1"))
        .map(|(at, line)| (at + 1, line))
        .collect();
    let hunks: Vec<String> = changed
        .iter()
        .map(|(at, line)| format!("@@ -{at},1 +{at},1 @@\n-{line}\n+{}\n", line.replace("3.10.1", "3.10.2")))
        .collect();
    let patch = format!("--- a/yarn.lock\n+++ b/yarn.lock\n{}", hunks.concat());
    let config = fixture.root.path().join("config/rbac");
    fs::create_dir_all(config.join("patches")).unwrap();
    fs::write(config.join("patches/1.patch"), patch).unwrap();
    fs::write(config.join("source.json"), r#"{"repo": "../../source", "workspace-path": "workspaces/rbac"}"#).unwrap();
    let json = fixture.json(&["lodash", "rbac"]);
    let versions = &json["workspaces"][0]["versions"];
    assert_eq!(versions[0], serde_json::json!({ "version": "3.10.2", "state": "scaffold-only" }));
    assert_eq!(versions[1], serde_json::json!({ "version": "4.17.21", "state": "shipped" }));
    fs::remove_file(config.join("patches/1.patch")).unwrap();
    let why = "with the patches of the configuration it is not the one that the lock pins";
    assert_eq!(fixture.json(&["lodash", "rbac"])["workspaces"][0]["unknown"], why);
}

#[harness::test]
fn a_vex_document_says_not_affected_only_where_that_is_proven() {
    let fixture = Fixture::new();
    let statements = |args: &[&str]| {
        let document = fixture.vex(args);
        let statements = document["statements"].as_array().unwrap().clone();
        let of = |statement: &Value| {
            assert_eq!(statement["vulnerability"], serde_json::json!({ "name": "CVE-2021-23337" }));
            let products = statement["products"].as_array().unwrap();
            let ids: Vec<String> = products.iter().map(|one| one["@id"].as_str().unwrap().to_owned()).collect();
            let status = statement["status"].as_str().unwrap();
            let why = statement["justification"].as_str().unwrap_or_default();
            assert_eq!(statement["action_statement"].is_string(), status == "affected");
            format!("{status} {why}: {}", ids.join(" "))
        };
        statements.iter().map(of).collect::<Vec<_>>()
    };
    let purl = |name: &str, version: &str| {
        let digest = Sha256::of(format!("image {name}")).hex();
        format!("pkg:oci/x-plugin-{name}@sha256%3A{digest}?tag={version}")
    };
    let (todo, backend, rbac) = (purl("todo", "0.10.0"), purl("todo-backend", "1.0.0"), purl("rbac-backend", "1.0.0"));
    let expected = [
        format!("affected : {backend}"),
        format!("under_investigation : {todo}"),
        format!("not_affected vulnerable_code_not_present: {rbac}"),
    ];
    assert_eq!(statements(&["lodash@<4.17.21"]), expected);
    assert_eq!(statements(&["lodash"]), [format!("under_investigation : {rbac} {todo} {backend}")]);
    let expected = [
        format!("under_investigation : {todo}"),
        format!("not_affected component_not_present: {backend}"),
        format!("not_affected component_not_present: {rbac}"),
    ];
    assert_eq!(statements(&["@backstage/backend-plugin-api@*"]), expected);
    let document = fixture.vex(&["lodash@<4.17.21", "--author", "Release engineering"]);
    assert_eq!(document["@context"], "https://openvex.dev/ns/v0.2.0");
    assert_eq!(document["timestamp"], "2026-02-02T02:40:00Z");
    assert_eq!((&document["author"], &document["version"]), (&"Release engineering".into(), &1.into()));
    assert_eq!(document, fixture.vex(&["lodash@<4.17.21", "--author", "Release engineering"]));
    let product = &document["statements"][0]["products"][0];
    assert_eq!(product["identifiers"]["purl"], backend);
    assert_eq!(product["subcomponents"], serde_json::json!([{ "@id": "pkg:npm/lodash@4.17.20" }]));
    let said = fixture.said(&["lodash", "--format", "openvex", "--vulnerability", "CVE-1"], 0);
    assert!(said.contains("nothing is stated about `new plugins/new-backend`, since there is no image"), "{said}");
    let said = fixture.said(&["lodash", "--format", "openvex"], 2);
    assert!(said.contains("--vulnerability <ID>"), "{said}");
}

#[harness::test]
fn what_is_nowhere_has_names_like_it() {
    let fixture = Fixture::new();
    let output = fixture.why(&["lodahs", "rbac", "--exit-code"]).success();
    let stdout = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert_eq!(stdout, "lodahs\n\nno plugin ships it (1 plugin looked at)\n");
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.starts_with("`lodahs` is nowhere; names like it: `lodash`"), "{said}");
    let said = fixture.said(&["lodash@latest"], 2);
    assert!(said.contains("`latest` is not a range of versions"), "{said}");
    assert!(fixture.said(&["lodash", "nothing"], 2).contains("workspace `nothing` is not in the lock"));
    let closure = fixture.root.path().join("config/factory.lock.d/rbac/plugins/rbac-backend/yarn.lock");
    fs::write(closure, "other").unwrap();
    assert!(fixture.said(&["lodash"], 3).contains("does not match the digest in the lock"));
    fs::remove_file(fixture.root.path().join("config/factory.lock")).unwrap();
    assert!(fixture.said(&["lodash"], 3).contains("there is no lock"));
}

#[harness::test]
fn a_release_is_asked_about_as_its_commit_has_it() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.root.path().join("config"));
    repository.commit("release");
    repository.git(&["tag", "v1"]);
    let now = fixture.text(&["lodash", "rbac"]);
    fs::remove_file(fixture.root.path().join("config/factory.lock")).unwrap();
    let asked = || factory(&fixture.root.path().join("config"));
    let output = asked().args(["why", "lodash", "rbac", "--lock-file", "v1:factory.lock"]).assert().success();
    assert_eq!(String::from_utf8(output.get_output().stdout.clone()).unwrap(), now);
}
