//! `factory status`: pinned, stale, sealed, built.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use factory::build::report::{Output, PluginReport, Report, WorkspaceReport};
use factory::lock::input_digest;
use factory::lock::{Integrity, Lock, SealedPackages, Sha256};
use harness::releases::{commit, factory, input, plugin, sealed, tools, workspace};

struct Fixture {
    root: tempfile::TempDir,
    lock: Lock,
}

const TODO: &str = "https://github.com/backstage/community-plugins";

impl Fixture {
    /// A lock of two workspaces, and the configuration it was resolved from.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut todo = workspace("todo", TODO, "workspaces/todo", "1", 1_763_000_000);
        todo.input = vec![input("patches/1-fix.patch", "fix")];
        let role = factory::lock::Role::BackendPlugin;
        todo.plugin = vec![
            plugin("plugins/todo", "@x/plugin-todo", "0.10.0", factory::lock::Role::FrontendPlugin),
            plugin("plugins/todo-backend", "@x/plugin-todo-backend", "0.14.2", role),
        ];
        todo.plugin[0].sealed = Some(sealed("todo", None));
        let mut pinned = workspace("pinned", TODO, "workspaces/pinned", "2", 1_763_000_000);
        pinned.source.requested = commit("2");
        pinned.plugin = vec![plugin("plugins/a", "@x/plugin-a", "1.0.0", role)];
        let lock = Lock {
            version: 1,
            revision: 0,
            rhdh: None,
            tools: tools("22.20.0", "1.9.1", "tree"),
            workspace: vec![pinned, todo],
            unresolved: vec![],
        };
        let fixture = Self { root, lock };
        fixture.write("config/factory.lock", &fixture.lock.to_text());
        for (name, reference) in [("todo", "main".to_owned()), ("pinned", commit("2"))] {
            let source = format!(r#"{{"repo":"{TODO}","repo-ref":"{reference}","repo-flat":false}}"#);
            fixture.write(&format!("config/{name}/source.json"), &source);
        }
        fixture.write("config/todo/patches/1-fix.patch", "fix");
        fixture
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self) -> assert_cmd::Command {
        let mut command = factory(self.root.path());
        command.arg("status");
        command
    }

    fn text(&self) -> String {
        String::from_utf8(self.command().assert().success().get_output().stdout.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.command().arg("--json").assert().success().get_output().stdout).unwrap()
    }

    /// The report of a build of `todo`: its frontend was built, its backend failed.
    fn report(&self) -> Report {
        let todo = &self.lock.workspace[1];
        let output = Output {
            tgz: "todo/x-plugin-todo-dynamic-0.10.0.tgz".into(),
            integrity: Integrity::of("tgz todo"),
            tgz_bytes: 3,
            image: "x-plugin-todo:0.10.0".into(),
            image_path: "x-plugin-todo".into(),
            digest: Sha256::of("image todo"),
            layer: Sha256::of("layer todo"),
            layer_blob: Sha256::of("x"),
            files: 1,
            closure: None,
            inputs: input_digest::digest(&self.lock, todo, &todo.plugin[0], None),
            pushed: Some("registry.example/ns/x-plugin-todo@sha256:0".into()),
            attached: Vec::new(),
        };
        let plugin = |index: usize, output: Option<Output>, error: Option<&str>| PluginReport {
            path: todo.plugin[index].path.clone(),
            name: todo.plugin[index].name.clone(),
            version: todo.plugin[index].version.clone(),
            role: todo.plugin[index].role,
            earlier: false,
            output,
            error: error.map(str::to_owned),
            left_out: vec![],
            warnings: Vec::new(),
            kept: false,
            log: None,
            seconds: BTreeMap::new(),
        };
        Report {
            version: factory::build::report::VERSION,
            factory: "0.1.0".into(),
            lock: self.lock.identity(),
            isolation: "none".into(),
            left_behind: vec![],
            workspaces: vec![WorkspaceReport {
                name: "todo".into(),
                earlier: false,
                error: None,
                log: None,
                install_scripts: factory::build::report::InstallScripts::default(),
                seconds: BTreeMap::new(),
                plugins: vec![plugin(0, Some(output), None), plugin(1, None, Some("tsc failed"))],
            }],
            warnings: Vec::new(),
        }
    }
}

fn built(status: &Value) -> Vec<String> {
    let workspaces = status["workspaces"].as_array().unwrap();
    let plugins = workspaces.iter().flat_map(|workspace| workspace["plugins"].as_array().unwrap());
    plugins.map(|plugin| plugin["built"].as_str().unwrap().to_owned()).collect()
}

#[harness::test]
fn a_fresh_lock_is_pinned_and_not_built() {
    let fixture = Fixture::new();
    let text = fixture.text().replace(&fixture.lock.identity().to_string(), "sha256:<identity>");
    insta::assert_snapshot!(text, @r"
    config/factory.lock
      identity sha256:<identity>
      2 workspaces: not stale
      3 plugins: 1 sealed, 0 built

    pinned
      2222222222 of 2025-11-13
      https://github.com/backstage/community-plugins
      plugins/a  1.0.0  not sealed, not built

    todo
      main at 1111111111 of 2025-11-13
      https://github.com/backstage/community-plugins
      plugins/todo          0.10.0  sealed, not built
      plugins/todo-backend  0.14.2  not sealed, not built
    ");
}

#[harness::test]
fn what_is_stale_is_named_with_its_reason() {
    let fixture = Fixture::new();
    fixture.write("config/todo/patches/1-fix.patch", "another fix");
    fixture.write("config/new/source.json", &format!(r#"{{"repo":"{TODO}","repo-flat":true}}"#));
    fs::remove_dir_all(fixture.root.path().join("config/pinned")).unwrap();
    let text = fixture.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("stale")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    3 workspaces: 3 stale
    ! stale: is new since `factory resolve`
    ! stale: is no longer in the configuration
    ! stale: patches/1-fix.patch changed since `factory resolve`
    ");
    let status = fixture.json();
    assert_eq!(status["compared"], true);
    assert_eq!(status["workspaces"][0]["pin"], "unlocked");
    assert_eq!(status["workspaces"][2]["stale"].as_array().unwrap().len(), 1);
}

#[harness::test]
fn what_is_built_is_told_from_what_was_built_otherwise() {
    let fixture = Fixture::new();
    assert_eq!(built(&fixture.json()), ["no", "no", "no"]);
    fixture.write("outputs/build-report.json", &fixture.report().to_json());
    assert_eq!(built(&fixture.json()), ["no", "gone", "failed"]);
    fixture.write("outputs/todo/x-plugin-todo-dynamic-0.10.0.tgz", "tgz");
    let status = fixture.json();
    assert_eq!(built(&status), ["no", "yes", "failed"]);
    assert_eq!(status["workspaces"][1]["plugins"][0]["pushed"], "registry.example/ns/x-plugin-todo@sha256:0");
    let mut moved = fixture.lock.clone();
    moved.workspace[1].source.commit = Some(commit("9"));
    moved.workspace[1].plugin[0].sealed = None;
    fixture.write("config/factory.lock", &moved.to_text());
    assert_eq!(built(&fixture.json()), ["no", "outdated", "failed"]);
}

#[harness::test]
fn a_report_leads_nowhere_else() {
    let fixture = Fixture::new();
    let mut report = fixture.report();
    report.workspaces[0].plugins[0].output.as_mut().unwrap().tgz = "../config/factory.lock".into();
    fixture.write("outputs/build-report.json", &report.to_json());
    assert_eq!(built(&fixture.json()), ["no", "gone", "failed"]);
}

#[harness::test]
fn what_cannot_be_read_does_not_hide_the_rest() {
    let fixture = Fixture::new();
    fixture.write("outputs/build-report.json", "{");
    fixture.write("config/todo/source.json", "{");
    let status = fixture.json();
    let notes = status["notes"].to_string();
    assert!(notes.contains("todo: config/todo/source.json") && notes.contains("build-report.json:1:1"), "{notes}");
    assert_eq!(status["workspaces"].as_array().unwrap().len(), 2);
    let text = fixture.text();
    assert!(
        text.contains("2 workspaces: not stale, 1 not compared, since its configuration cannot be read\n"),
        "{text}"
    );
    let checked = fixture.command().arg("--check").assert().code(2);
    let said = String::from_utf8_lossy(&checked.get_output().stderr).into_owned();
    assert!(said.starts_with("error: config/todo/source.json:1:1: "), "{said}");

    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("factory.lock"), fixture.lock.to_text()).unwrap();
    let output = factory(alone.path()).args(["status", "--lock-file", "factory.lock", "--json"]).assert().success();
    let status: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(status["compared"], false);
    assert!(status["notes"].to_string().contains("it is not known what is stale"), "{status}");
}

#[harness::test]
fn without_a_lock_the_next_step_is_said() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.root.path().join("config/factory.lock")).unwrap();
    let output = fixture.command().assert().code(3);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("there is no lock") && stderr.contains("run `factory resolve`"), "{stderr}");
}

#[harness::test]
fn the_identity_does_not_change_when_plugins_and_packages_are_sealed() {
    let fixture = Fixture::new();
    let before = fixture.json()["identity"].clone();
    let mut more = fixture.lock.clone();
    more.workspace[1].plugin[1].sealed = Some(sealed("backend", Some("closure")));
    more.workspace[1].sealed = Some(SealedPackages { packages: Sha256::of("packages") });
    fixture.write("config/factory.lock", &more.to_text());
    assert_eq!(fixture.json()["identity"], before);
    assert!(Path::new(&fixture.root.path().join("config/factory.lock")).is_file());
}
