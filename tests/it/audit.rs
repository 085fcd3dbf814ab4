//! `factory audit`: which known advisories are about what is shipped.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use harness::npm_registry::Registry;
use harness::releases::factory;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::sbom::cyclonedx_schema;
use crate::why::{BUNDLE, Fixture, of_host};
use harness::schema::fits;

/// A record of OSV about a package of npm.
#[allow(clippy::needless_pass_by_value, reason = "what is given is written where it is given")]
fn record(id: &str, package: &str, events: Value, more: Value) -> Value {
    let mut record = json!({
        "id": id,
        "modified": "2024-01-01T00:00:00Z",
        "affected": [{ "package": { "ecosystem": "npm", "name": package }, "ranges": [{ "type": "SEMVER", "events": events }] }],
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn records() -> Vec<Value> {
    let below = |fixed: &str| json!([{ "introduced": "0" }, { "fixed": fixed }]);
    let severity = |word: &str| json!({ "database_specific": { "severity": word } });
    let lodash = json!({
        "summary": "Command | injection", "aliases": ["CVE-2021-1"],
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H" }],
        "references": [{ "type": "ADVISORY", "url": "https://advisories.example/GHSA-aaaa" }],
    });
    let last = json!([{ "introduced": "0" }, { "last_affected": "2.2.0" }]);
    let mut api = record("GHSA-dddd", "@backstage/backend-plugin-api", json!([]), severity("LOW"));
    api["affected"][0]["versions"] = json!([of_host("@backstage/backend-plugin-api")]);
    let mut python = record("PYSEC-1", "express", below("9.0.0"), severity("HIGH"));
    python["affected"][0]["package"]["ecosystem"] = "PyPI".into();
    vec![
        record("GHSA-aaaa", "lodash", below("4.17.21"), lodash),
        record("CVE-2021-1", "lodash", below("4.17.19"), json!({})),
        record("GHSA-bbbb", "body-parser", last, severity("CRITICAL")),
        record("GHSA-cccc", "jest", below("30.0.0"), severity("MODERATE")),
        api,
        record("GHSA-eeee", "express", below("9.0.0"), json!({ "withdrawn": "2024-01-01T00:00:00Z" })),
        python,
        record("GHSA-ffff", "of-nobody", below("9.0.0"), severity("HIGH")),
    ]
}

struct AuditFixture(Fixture);

impl AuditFixture {
    fn new() -> Self {
        let fixture = Self(Fixture::new());
        fixture.write("osv.json", &Value::from(records()).to_string());
        fixture
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.root.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = factory(self.0.root.path());
        command.arg("audit").args(args).args(["--cache-dir", "cache"]);
        command
    }

    fn audit(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        self.command(&[&["--osv", "osv.json", "--offline"], args].concat()).assert()
    }

    fn text(&self, args: &[&str]) -> String {
        String::from_utf8(self.audit(args).success().get_output().stdout.clone()).unwrap()
    }

    fn said(&self, args: &[&str], code: i32) -> String {
        String::from_utf8(self.audit(args).code(code).get_output().stderr.clone()).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let value = serde_json::from_str(&self.text(&[args, &["--format", "json"]].concat())).unwrap();
        fits("schema/factory.audit.schema.json", &value);
        value
    }
}

#[harness::test]
fn what_is_shipped_is_listed_by_severity() {
    let fixture = AuditFixture::new();
    let expected = format!(
        "critical
└─ GHSA-bbbb body-parser
   └─ 2.2.0
      ├─ todo plugins/todo-backend: express@5.1.0 > body-parser@2.2.0
      └─ in todo: no fixed version is named

high
└─ GHSA-aaaa (CVE-2021-1) lodash: Command | injection
   └─ 4.17.20, fixed in 4.17.21
      ├─ todo plugins/todo-backend: @x/plugin-todo-common@0.1.0+embedded > lodash@4.17.20
      └─ in todo: `yarn up -R lodash`

RHDH's own, not this release's
└─ low GHSA-dddd @backstage/backend-plugin-api {}

not known
├─ new plugins/new-backend: it has not been built
└─ todo plugins/todo: what is in its bundles was not recorded when it was built

2 advisories about 9 shipped packages: 1 critical, 1 high
1 advisory about packages of workspaces of which not all plugins are known
",
        of_host("@backstage/backend-plugin-api")
    );
    assert_eq!(fixture.text(&[]), expected);
    let said = fixture.said(&[], 0);
    assert!(said.contains("2 parts not known: what is in them was not looked at"), "{said}");
    let only_scaffold = "0 advisories about 2 shipped packages\n2 advisories about packages that are only in workspaces: no \
                         plugin ships them\n";
    assert_eq!(fixture.text(&["rbac"]), only_scaffold);
}

#[harness::test]
fn what_is_severe_fails() {
    let fixture = AuditFixture::new();
    for (args, code) in [
        (&["--fail-on", "low"][..], 1),
        (&["--fail-on", "critical"], 1),
        (&["--fail-on", "critical", "rbac"], 0),
        // It is not built.
        (&["--fail-on", "low", "new"], 1),
        (&["--fail-on", "low", "new", "--allow-unknown"], 0),
        (&["--allow-unknown"], 2),
    ] {
        fixture.audit(args).code(code);
    }
    let said = fixture.said(&["--fail-on", "high", "--allow-unknown"], 1);
    assert!(said.ends_with("error: 2 advisories at least high\n"), "{said}");
    let said = fixture.said(&["--fail-on", "high", "new"], 1);
    assert!(said.ends_with("error: it is not known what is in 1 plugin (see `--allow-unknown`)\n"), "{said}");
    // It could be anything.
    fixture.write("osv.json", &record("GHSA-1", "lodash", json!([{ "introduced": "0" }]), json!({})).to_string());
    assert_eq!(fixture.json(&[])["findings"][0]["severity"], "unknown");
    fixture.audit(&["--fail-on", "critical", "--allow-unknown"]).code(1);
}

#[harness::test]
fn a_range_that_cannot_be_read_is_about_every_version() {
    let fixture = AuditFixture::new();
    let severe = json!({ "database_specific": { "severity": "LOW" } });
    fixture.write("osv.json", &record("GHSA-1", "lodash", json!([{ "introduced": "garbage" }]), severe).to_string());
    let said = fixture.said(&["--fail-on", "low", "--allow-unknown"], 1);
    let warning =
        "the range `introduced: garbage` of GHSA-1 cannot be read: every version of lodash counts as affected";
    assert!(said.contains(warning) && said.ends_with("error: 1 advisory at least low\n"), "{said}");
    let text = fixture.text(&[]);
    assert!(
        text.starts_with("low\n└─ GHSA-1 lodash (its range `introduced: garbage` cannot be read)\n   ├─ 4.17.20\n"),
        "{text}"
    );
    assert_eq!(fixture.json(&[])["findings"][0]["unreadable"], json!(["introduced: garbage"]));
}

#[harness::test]
fn without_records_a_gate_is_not_passed() {
    let fixture = AuditFixture::new();
    fs::create_dir(fixture.0.root.path().join("empty")).unwrap();
    fixture.write("list.json", "[]");
    fixture.write("answer.json", "{\"vulns\": []}");
    for path in ["empty", "list.json", "answer.json"] {
        let of = |args: &[&str], code: i32| {
            let output = fixture.command(&[&["--osv", path, "--offline", "rbac"], args].concat()).assert().code(code);
            String::from_utf8(output.get_output().stderr.clone()).unwrap()
        };
        let said = of(&[], 0);
        assert!(said.contains(&format!("warning: `{path}` has no OSV records")), "{said}");
        let said = of(&["--fail-on", "critical"], 2);
        assert!(said.contains(&format!("error: `{path}` has no OSV records")), "{said}");
    }
}

#[harness::test]
fn links_in_a_folder_of_records_are_followed_or_named() {
    let fixture = AuditFixture::new();
    let root = fixture.0.root.path();
    for folder in ["folder", "else"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    symlink("../osv.json", root.join("folder/a.json")).unwrap();
    symlink("../else", root.join("folder/b")).unwrap();
    symlink(".", root.join("folder/c")).unwrap();
    let expected = fixture.text(&[]);
    let output = fixture.command(&["--osv", "folder", "--offline"]).assert().success();
    assert_eq!(String::from_utf8(output.get_output().stdout.clone()).unwrap(), expected);
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.contains("`folder/b` is a link to a folder elsewhere, and was not followed"), "{said}");
    assert!(!said.contains("folder/c"), "{said}");
}

#[harness::test]
fn ignored_advisories_have_a_reason_and_an_end() {
    let fixture = AuditFixture::new();
    fixture.write(
        "ignored.toml",
        "[[ignore]]\nid = \"CVE-2021-1\"\nreason = \"not called\"\nexpires = 9999-12-31\n\n\
         [[ignore]]\nid = \"GHSA-bbbb\"\npackage = \"body-parser\"\nreason = \"soon\"\nexpires = \"2020-01-31\"\n\n\
         [[ignore]]\nid = \"GHSA-none\"\nreason = \"gone\"\n",
    );
    let text = fixture.text(&["--ignore", "ignored.toml"]);
    assert!(text.contains("\nignored\n└─ GHSA-aaaa (CVE-2021-1) lodash: not called\n"), "{text}");
    assert!(text.contains("└─ GHSA-bbbb body-parser (ignored until 2020-01-31)\n"), "{text}");
    assert!(text.contains("\n1 advisory about 9 shipped packages: 1 critical\n"), "{text}");
    let said = fixture.said(&["--ignore", "ignored.toml", "--fail-on", "high"], 1);
    assert!(said.contains("GHSA-bbbb was ignored until 2020-01-31, and counts again"), "{said}");
    assert!(said.contains("entry 3 of the ignored advisories, `GHSA-none`, is of nothing that is shipped"), "{said}");
    assert!(said.contains("error: 1 advisory at least high; it is not known what is in 2 plugins"), "{said}");
    fixture.write("ignored.yaml", "ignore:\n- id: GHSA-bbbb\n  reason: r\n- id: GHSA-aaaa\n  reason: r\n  until: x\n");
    let said = fixture.said(&["--ignore", "ignored.yaml"], 2);
    assert!(said.contains("ignored.yaml:6:3: ") && said.contains("unknown field `until`"), "{said}");
    fixture.write("ignored.yaml", "ignore:\n- id: GHSA-bbbb\n  reason: r\n- id: GHSA-aaaa\n  reason: r\n");
    fixture.audit(&["--ignore", "ignored.yaml", "--fail-on", "low", "--allow-unknown"]).success();
}

#[harness::test]
fn records_come_from_a_file_a_folder_or_a_zip() {
    let fixture = AuditFixture::new();
    let expected = fixture.text(&[]);
    let root = fixture.0.root.path();
    fs::create_dir_all(root.join("folder/deep")).unwrap();
    let mut zip = ZipWriter::new(fs::File::create(root.join("all.zip")).unwrap());
    for (at, record) in records().iter().enumerate() {
        let folder = if at % 2 == 0 { "folder" } else { "folder/deep" };
        fixture.write(&format!("{folder}/{at}.json"), &record.to_string());
        zip.start_file(format!("{at}.json"), SimpleFileOptions::default()).unwrap();
        zip.write_all(record.to_string().as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    fixture.write("folder/README.md", "no record");
    fixture.write("answer.json", &json!({ "vulns": records() }).to_string());
    for path in ["folder", "all.zip", "answer.json"] {
        let output = fixture.command(&["--osv", path, "--offline"]).assert().success();
        assert_eq!(String::from_utf8(output.get_output().stdout.clone()).unwrap(), expected, "{path}");
    }
    fixture.write("folder/deep/broken.json", "{\"id\": 1}");
    let output = fixture.command(&["--osv", "folder", "--offline"]).assert().code(2);
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.contains("folder/deep/broken.json: is not an OSV record: invalid type: integer `1`"), "{said}");
    let output = fixture.command(&["--osv", "nothing"]).assert().code(1);
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.contains("cannot read `nothing`"), "{said}");
    let output = fixture.command(&["--offline"]).assert().code(2);
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(said.contains("without a network there are no advisories"), "{said}");
}

#[harness::test]
fn the_smallest_change_of_a_frontend_is_that_of_its_workspace() {
    let mut fixture = AuditFixture::new();
    fixture.0.frontend(&BUNDLE.replace("lodash 4.17.20", "lodash 4.17.21"));
    let events = json!([{ "introduced": "4.0.0" }, { "fixed": "5.0.1" }]);
    fixture.write("osv.json", &record("GHSA-1", "lodash", events, json!({})).to_string());
    let version = &fixture.json(&["ui"])["findings"][0]["versions"][0];
    let expected = json!({
        "version": "4.17.21",
        "fixed": "5.0.1",
        "plugins": [{ "workspace": "ui", "plugin": "plugins/ui", "path": [] }],
        "changes": [{
            "workspace": "ui",
            "kind": "range",
            "what": "ask for `lodash` `^5.0.1` in package.json, in place of `^4.17.21`",
        }],
    });
    assert_eq!(*version, expected);
    // A package of another asks for it.
    let version = &fixture.json(&["todo"])["findings"][0]["versions"][0];
    let what = "add \"lodash@npm:^4.17.0\": \"5.0.1\" to `resolutions`, since `body-parser` asks for less";
    assert_eq!(version["changes"][0], json!({ "workspace": "todo", "kind": "resolution", "what": what }));
}

#[harness::test]
fn markdown_is_a_table_in_which_nothing_is_markup() {
    let text = AuditFixture::new().text(&["--format", "markdown"]);
    let head =
        "| severity | advisory | package | shipped | plugins | fixed in | change |\n|---|---|---|---|---|---|---|\n";
    let rows = "| critical | `GHSA-bbbb` | `body-parser` | `2.2.0` | `todo plugins/todo-backend` | - \
                | `todo`: no fixed version is named |\n\
                | high | [`GHSA-aaaa (CVE-2021-1)`](<https://advisories.example/GHSA-aaaa>)<br>Command `\\|` injection \
                | `lodash` | `4.17.20` | `todo plugins/todo-backend` | `4.17.21` | `todo`: `yarn up -R lodash` |\n\n";
    assert!(text.starts_with(&format!("{head}{rows}")), "{text}");
    // Nobody is called.
    assert!(text.contains("\n- low `GHSA-dddd` `@backstage/backend-plugin-api` `"), "{text}");
    let fixture = AuditFixture::new();
    let more = json!({ "summary": "found by @octocat in a|b <img>" });
    fixture.write("osv.json", &record("GHSA-1", "lodash", json!([{ "introduced": "0" }]), more).to_string());
    let text = fixture.text(&["--format", "markdown"]);
    assert!(text.contains("<br>found by `@octocat` in `a\\|b` `<img>` |"), "{text}");
}

#[harness::test]
fn sarif_has_a_result_for_each_plugin() {
    let fixture = AuditFixture::new();
    fixture.write("ignored.toml", "[[ignore]]\nid = \"GHSA-bbbb\"\nreason = \"not called\"\n");
    let text = fixture.text(&["--format", "sarif", "--ignore", "ignored.toml"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules: Vec<&str> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(rules, ["GHSA-aaaa", "GHSA-bbbb"]);
    assert_eq!(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"], "7.2");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let message = "todo plugins/todo-backend ships lodash@4.17.20 (@x/plugin-todo-common@0.1.0+embedded > lodash@4.17.20); \
                   fixed in 4.17.21; `yarn up -R lodash`";
    assert_eq!(results[0]["message"]["text"], message);
    assert_eq!((&results[0]["ruleIndex"], &results[0]["level"]), (&0.into(), &"error".into()));
    assert_eq!(results[1]["suppressions"], json!([{ "kind": "external", "justification": "not called" }]));
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "config/factory.lock");
    let line = usize::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
    let lock = fs::read_to_string(fixture.0.root.path().join("config/factory.lock")).unwrap();
    assert_eq!(lock.lines().nth(line - 1), Some("path = \"plugins/todo-backend\""));
}

#[harness::test]
fn a_vex_of_cyclonedx_is_valid() {
    let fixture = AuditFixture::new();
    let document: Value = serde_json::from_str(&fixture.text(&["--format", "vex"])).unwrap();
    let of_scaffold: Value = serde_json::from_str(&fixture.text(&["--format", "vex", "rbac"])).unwrap();
    cyclonedx_schema(|schema| {
        for document in [&document, &of_scaffold] {
            let errors: Vec<String> =
                schema.iter_errors(document).map(|e| format!("{e} at {}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    });
    let states = |document: &Value| {
        let all = document["vulnerabilities"].as_array().unwrap();
        let of = |one: &Value| {
            format!("{} {} {}", one["id"], one["affects"][0]["ref"], one["analysis"]["state"]).replace('"', "")
        };
        all.iter().map(of).collect::<Vec<_>>()
    };
    let expected = ["GHSA-bbbb pkg:npm/body-parser@2.2.0 in_triage", "GHSA-aaaa pkg:npm/lodash@4.17.20 in_triage"];
    assert_eq!(states(&document), expected);
    let expected = ["GHSA-cccc pkg:npm/jest@29.7.0 not_affected", "GHSA-aaaa pkg:npm/lodash@3.10.1 not_affected"];
    assert_eq!(states(&of_scaffold), expected);
    assert_eq!(document["vulnerabilities"][1]["ratings"][0]["method"], "CVSSv31");
    assert_eq!(document, serde_json::from_str::<Value>(&fixture.text(&["--format", "vex"])).unwrap());
}

#[harness::test]
fn the_npm_registry_is_asked_where_it_answers() {
    let fixture = AuditFixture::new();
    let answer = json!({ "lodash": [{
        "id": 1, "url": "https://advisories.example/GHSA-aaaa", "title": "Command injection", "severity": "high",
        "vulnerable_versions": "<4.17.21", "cwe": [], "cvss": { "score": 7.2, "vectorString": "CVSS:3.1/AV:N" },
    }] });
    let path = "/-/npm/v1/security/advisories/bulk";
    let registry = Registry::of_answers(&[(path, answer)]);
    let ask = |url: &str| fixture.command(&["todo"]).env("NPM_CONFIG_REGISTRY", url).assert();
    let text = String::from_utf8(ask(&registry.url).success().get_output().stdout.clone()).unwrap();
    assert!(
        text.starts_with("high\n└─ GHSA-aaaa lodash: Command injection\n   └─ 4.17.20, fixed in 4.17.21\n"),
        "{text}"
    );
    assert!(registry.asked().iter().any(|asked| asked == path));
    let answer = json!({ "lodash": [{ "id": 1, "severity": "low", "vulnerable_versions": "garbage x" }] });
    let unreadable = Registry::of_answers(&[(path, answer)]);
    let text = String::from_utf8(ask(&unreadable.url).success().get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("low\n└─ npm-1 lodash (its range `garbage x` cannot be read)\n   └─ 4.17.20\n"), "{text}");
    let silent = Registry::of_answers(&[]);
    let said = String::from_utf8(ask(&silent.url).code(5).get_output().stderr.clone()).unwrap();
    assert!(said.contains("the question for advisories: the npm registry answered 404 Not Found"), "{said}");
    assert!(said.contains("hint: name a file, a folder or a zip of OSV records with `--osv PATH`"), "{said}");
}
