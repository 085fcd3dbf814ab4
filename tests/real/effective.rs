//! What a build makes of a source that patches and overlays change: one version everywhere. Real yarn and rhdh-cli.

use std::fs;

use base64::Engine as _;
use harness::program::{Test, text};
use harness::repository::Repository;
use harness::workspace;
use serde_json::Value;

use crate::cache::factory;

const MANIFEST: &str = "plugins/a-backend/package.json";

/// A repository with the plugin of version 0.1.0, at `repo`, and a configuration of it.
fn setup() -> (Test, Repository) {
    harness::needs(&["git", "patch"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let repository = Repository::init(&test.path("repo"));
    workspace::write(&repository, "a", workspace::QUICK);
    repository.commit("one");
    test.write("config/source.json", r#"{"repo":"../repo","repo-ref":"main","workspace-path":"workspaces/a"}"#);
    test.write("config/plugins-list.yaml", "plugins/a-backend:\n");
    (test, repository)
}

/// The manifest with the other version.
fn changed(test: &Test) -> String {
    let manifest = test.read(&format!("repo/workspaces/a/{MANIFEST}"));
    assert!(manifest.contains(r#""version":"0.1.0""#));
    manifest.replace(r#""version":"0.1.0""#, r#""version":"0.9.6""#)
}

/// A patch that sets it, as git makes it.
fn patch(test: &Test, repository: &Repository) -> String {
    repository.write(&format!("workspaces/a/{MANIFEST}"), changed(test));
    let patch = repository.git(&["-C", "workspaces/a", "diff", "--relative"]);
    repository.git(&["checkout", "-q", "."]);
    format!("{patch}\n")
}

/// Archive, its package.json, tag, annotations, report, lock and bill of materials have the version 0.9.6.
fn has_the_version_everywhere(test: &Test, source: &[&str]) {
    let said = factory(test, &[&["run", "--output-dir", "out"], source].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let json = |path: &str| -> Value { serde_json::from_str(&test.read(path)).unwrap() };
    assert!(test.path("out/demo-plugin-a-backend-dynamic-0.9.6.tgz").is_file());
    let list = test.read("out/dynamic-plugins.yaml");
    assert!(list.contains("demo-plugin-a-backend-dynamic-0.9.6.tgz"), "{list}");

    let index = json("out/oci/index.json");
    let image = &index["manifests"][0];
    let tag = image["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
    assert_eq!(tag, "demo-plugin-a-backend:0.9.6");
    let blob = |digest: &Value| json(&format!("out/oci/blobs/sha256/{}", &digest.as_str().unwrap()["sha256:".len()..]));
    let manifest = blob(&image["digest"]);
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "0.9.6");
    let packages = manifest["annotations"]["io.backstage.dynamic-packages"].as_str().unwrap();
    let packages = base64::engine::general_purpose::STANDARD.decode(packages).unwrap();
    let packages: Value = serde_json::from_slice(&packages).unwrap();
    assert_eq!(packages[0]["demo-plugin-a-backend"]["version"], "0.9.6", "{packages}");

    let report = json("out/build-report.json");
    let plugin = &report["workspaces"][0]["plugins"][0];
    assert_eq!(plugin["version"], "0.9.6", "{report}");
    assert!(test.read("config/factory.lock").contains("\nversion = \"0.9.6\"\n"));

    let lock = test.path("config/factory.lock");
    let sbom = factory(test, &["sbom", "--lock-file", text(&lock)]);
    assert_eq!(sbom.code, 0, "{}", sbom.stderr);
    let bill: Value = serde_json::from_str(&sbom.stdout).unwrap();
    let plugin = &bill["components"][0];
    assert_eq!((&plugin["name"], &plugin["version"]), (&"plugin-a-backend-dynamic".into(), &"0.9.6".into()), "{bill}");
    fs::remove_dir_all(test.path("out")).unwrap();
}

#[harness::test]
fn a_version_that_a_patch_sets_is_that_of_everything() {
    let (test, repository) = setup();
    let patch = patch(&test, &repository);
    test.write("config/patches/1-version.patch", patch);
    has_the_version_everywhere(&test, &[]);

    // Of a local tree with the same patch, too.
    fs::remove_file(test.path("config/source.json")).unwrap();
    let local = ["--repo-path", "repo", "--workspace-path", "workspaces/a", "--use-local"];
    has_the_version_everywhere(&test, &local);
    assert!(test.read("config/factory.lock").contains("local = true"));
    assert!(repository.git(&["status", "--porcelain"]).is_empty(), "the tree itself is only read");
}

#[harness::test]
fn a_version_that_an_overlay_sets_is_that_of_everything() {
    let (test, _) = setup();
    test.write(&format!("config/{}", MANIFEST.replace("package.json", "overlay/package.json")), changed(&test));
    has_the_version_everywhere(&test, &[]);
}
