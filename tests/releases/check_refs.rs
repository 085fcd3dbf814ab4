//! The references of plugin lists, with a fault of each kind, against a registry on loopback.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use factory::lock::{Integrity, Sha256};
use harness::oci_registry::{FakeRegistry, Habits, Login};
use harness::package::make_small;
use harness::program::{Outcome, Test};
use serde_json::{Value, json};

use crate::partial::{push, two};
use harness::schema::fits;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Puts an image with these plugins, or without the annotation, under a tag; its digest.
fn image(registry: &FakeRegistry, tag: &str, plugins: Option<&[&str]>) -> Sha256 {
    let blob = json!({ "mediaType": "x", "digest": Sha256::of(tag).to_string(), "size": 1 });
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": blob, "layers": [blob] });
    if let Some(plugins) = plugins {
        let list: Vec<Value> = plugins.iter().map(|path| json!({ *path: { "name": path } })).collect();
        let value = BASE64.encode(Value::from(list).to_string());
        manifest["annotations"] = json!({ "io.backstage.dynamic-packages": value });
    }
    put(registry, tag, &manifest)
}

fn put(registry: &FakeRegistry, tag: &str, manifest: &Value) -> Sha256 {
    let bytes = manifest.to_string().into_bytes();
    let digest = Sha256::of(&bytes);
    for name in [tag.to_owned(), digest.to_string()] {
        registry.contents().manifests.insert(name, (MANIFEST.to_owned(), bytes.clone()));
    }
    digest
}

/// What is said of the files, with the registry's address as `HOST`.
fn check(test: &Test, registry: &FakeRegistry, args: &[&str]) -> Outcome {
    let variables = [("REGISTRY_URL", registry.address.as_str()), ("REGISTRY_INSECURE", "true")];
    let outcome = test.run_with(&[&["check-refs", "--no-progress"], args].concat(), &variables);
    let shown = |text: String| text.replace(&registry.address, "HOST");
    Outcome { stdout: shown(outcome.stdout), stderr: shown(outcome.stderr), ..outcome }
}

/// A list of plugins, one a line.
fn list(registry: &FakeRegistry, entries: &[&str]) -> String {
    let lines = entries.iter().map(|entry| format!("- {}\n", entry.replace("HOST", &registry.address)));
    format!("plugins:\n{}", lines.collect::<String>())
}

#[harness::test]
fn a_fault_of_each_kind_is_found_in_its_line() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    let good = image(&registry, "good", Some(&["x-good"]));
    image(&registry, "two", Some(&["x-a", "x-b"]));
    image(&registry, "bare", None);
    image(&registry, "same", Some(&["x-good"]));
    put(&registry, "index", &json!({ "schemaVersion": 2, "manifests": [] }));
    let other = Sha256::of("other");
    registry.contents().manifests.insert(other.to_string(), (MANIFEST.to_owned(), b"{}".to_vec()));
    let entries = [
        "package: oci://HOST/team/good:good!x-good",
        "package: oci://HOST/team/gone:gone",
        "disabled: true",
        "package: oci://HOST/team/x:1@sha256:0",
        "package: oci://HOST/team/many:two",
        "package: oci://HOST/team/many:two!x-c",
        "package: oci://HOST/team/bare:bare",
        "package: oci://HOST/team/index:index",
        &format!("package: oci://HOST/team/good@{good}"),
        "package: oci://HOST/mirror/other:same",
        "package: oci://HOST/team/base:{{inherit}}",
        "package: 'x y@1.0.0'",
    ];
    test.write("list.yaml", list(&registry, &entries));
    let said = check(&test, &registry, &["list.yaml"]).exits(1);
    assert_eq!(
        said.stdout,
        "list.yaml:3: `oci://HOST/team/gone:gone` is not in the registry\n\
         list.yaml:4: an entry without `package`\n\
         list.yaml:5: `oci://HOST/team/x:1@sha256:0` has a tag and a digest, of which RHDH's installers take only one\n\
         list.yaml:6: `oci://HOST/team/many:two` has several plugins, `x-a`, `x-b`: `!<plugin>` is needed behind it\n\
         list.yaml:7: `oci://HOST/team/many:two!x-c` has no plugin `x-c` by its annotation, which names `x-a`, `x-b`\n\
         list.yaml:8: `oci://HOST/team/bare:bare` does not say which plugins it has: `!<plugin>` is needed behind it\n\
         list.yaml:9: `oci://HOST/team/index:index` is an index of several images, which RHDH's installers do not take\n\
         list.yaml:10: `oci://HOST/team/good@GOOD` is in this list twice: `oci://HOST/team/good:good!x-good` in line 2\n\
         list.yaml:11: `oci://HOST/mirror/other:same` is installed into `x-good`, over \
         `oci://HOST/team/good@GOOD` of list.yaml:10\n\
         list.yaml:12: `oci://HOST/team/base:{{inherit}}` inherits its version, and no other of the files has this \
         image: name the list that is included\n\
         list.yaml:13: `x y@1.0.0` is no image, archive or package that RHDH's installers know\n\n\
         11 references in 1 file: 1 image by digest, 7 images by tag, 1 image by `{{inherit}}`, 2 unreadable\n11 faults\n"
            .replace("GOOD", &good.to_string())
    );
    assert_eq!(said.stderr, "error: 11 faults in 11 references\n");
    // Each image once, though `two` is referred to twice.
    let asked = registry.of("GET manifest");
    assert_eq!(asked.len(), 7, "{:?}", asked.iter().map(|request| &request.target).collect::<Vec<_>>());
}

#[harness::test]
fn a_registry_that_answers_with_another_image_is_found() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    let (real, wanted) = (image(&registry, "real", Some(&["x-a"])), Sha256::of("wanted"));
    let bytes = registry.contents().manifests["real"].clone();
    registry.contents().manifests.insert(wanted.to_string(), bytes);
    test.write("list.yaml", list(&registry, &[&format!("package: oci://HOST/a@{wanted}")]));
    let said = check(&test, &registry, &["list.yaml"]).exits(1).stdout;
    let fault =
        format!("list.yaml:2: `oci://HOST/a@{wanted}` is answered with another image, {real} in place of {wanted}\n");
    assert!(said.starts_with(&fault), "{said}");
    // A path of one segment is one as well.
    assert_eq!(registry.of("GET manifest")[0].target, format!("/v2/a/manifests/{wanted}"));
}

#[harness::test]
fn what_is_good_has_no_fault_and_a_tag_is_one_only_if_it_is_asked_for() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    let digest = image(&registry, "1.0.0", Some(&["x-a"]));
    image(&registry, "two", Some(&["x-b", "x-c"]));
    let default = list(
        &registry,
        &[
            "package: oci://HOST/team/x-a:1.0.0!x-a\n  disabled: true",
            "package: oci://HOST/team/many:two!x-b",
            "package: oci://HOST/team/many:two!x-c",
            "package: ./dynamic-plugins/dist/x\n  enabled: false",
        ],
    );
    test.write("dynamic-plugins.default.yaml", default);
    let own = [
        "package: oci://HOST/team/x-a:{{inherit}}\n  disabled: false",
        // The default has the same plugin, and the list turns it off.
        "package: oci://HOST/team/many:{{inherit}}!x-b\n  disabled: true",
        &format!("package: 'oci://HOST/mirror/b@{}'", image(&registry, "b", Some(&["x-b"]))),
    ];
    test.write("own.yaml", format!("includes: [dynamic-plugins.default.yaml]\n{}", list(&registry, &own)));
    let files = ["own.yaml", "dynamic-plugins.default.yaml"];
    let said = check(&test, &registry, &files).success();
    assert_eq!(
        said.stdout,
        "7 references in 2 files: 1 image by digest, 3 images by tag, 2 images by `{{inherit}}`, 1 folder of RHDH's image\n\
         not checked: 1 in RHDH's own image\nno faults\n"
    );
    let said = check(&test, &registry, &[&files[..], &["--require-digest"]].concat()).exits(1).stdout;
    assert!(
        said.starts_with(
            "dynamic-plugins.default.yaml:2: `oci://HOST/team/x-a:1.0.0!x-a` is pinned by the tag `1.0.0`, which can be \
             moved, and not by a digest\n"
        ),
        "{said}"
    );
    // Packages of the export repository, another kind of entity, and the index of a catalog.
    let package = |artifact: &str| {
        let artifact = artifact.replace("HOST", &registry.address);
        format!("apiVersion: extensions.backstage.io/v1alpha1\nkind: Package\nspec:\n  dynamicArtifact: {artifact}\n")
    };
    test.write("metadata/a.yaml", package(&format!("oci://HOST/team/x-a@{digest}")))
        .write("metadata/b.yaml", package("oci://HOST/team/gone:gone!x"))
        .write("metadata/c.yaml", "kind: Plugin\nspec: {}\n")
        .write(
            "index.json",
            json!({ "x-a": { "registryReference": format!("{}/team/x-a:1.0.0", registry.address) } }).to_string(),
        );
    let said = check(&test, &registry, &["metadata", "index.json", "--format", "json"]).exits(1).stdout;
    let report: Value = serde_json::from_str(&said).unwrap();
    fits("schema/factory.check-refs.schema.json", &report);
    let faults = json!([{
        "file": "metadata/b.yaml", "line": 4, "reference": "oci://HOST/team/gone:gone!x", "fault": "missing",
        "message": "is not in the registry",
    }]);
    assert_eq!(report["faults"], faults);
    let index = json!({
        "file": "index.json", "line": 1, "reference": "HOST/team/x-a:1.0.0", "kind": "image", "disabled": false,
        "pinned": "tag", "digest": digest.to_string(), "path": "x-a",
    });
    assert_eq!(report["references"][2], index);
}

#[harness::test]
fn archives_have_the_integrity_that_is_said() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    let of = Integrity::of("abc");
    test.write("lists/good.tgz", "abc").write("lists/other.tgz", "abd");
    let entries = [
        &format!("package: ./good.tgz\n  integrity: {of}"),
        &format!("package: ./other.tgz\n  integrity: {of}"),
        "package: ./bare.tgz",
        "package: '@x/plugin@1.0.0'",
        "package: https://example.com/x/plugin-1.0.0.tgz\n  disabled: true\n  integrity: sha512-AAAA",
        "package: https://example.com/y.tgz\n  integrity: sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    ];
    test.write("lists/list.yaml", list(&registry, &entries.map(|entry| entry as &str)));
    let said = check(&test, &registry, &["lists/list.yaml"]).exits(1).stdout;
    assert_eq!(
        said,
        format!(
            "lists/list.yaml:5: `./other.tgz` has the integrity `{of}`, and the file has `{}`\n\
             lists/list.yaml:6: `./bare.tgz` has no `integrity`\n\
             lists/list.yaml:7: `@x/plugin@1.0.0` has no `integrity`\n\
             lists/list.yaml:10: `https://example.com/x/plugin-1.0.0.tgz` has the integrity `sha512-AAAA`, which is not \
             `sha256-`, `sha384-` or `sha512-` and base64 of that length\n\n\
             6 references in 1 file: 5 archives, 1 npm package\n\
             not checked: 1 not beside the list: `./bare.tgz`\nnot checked: 3 on servers, which are not asked for archives\n4 faults\n",
            Integrity::of("abd")
        )
    );
    assert_eq!(registry.requests().len(), 0);
}

#[harness::test]
fn without_a_network_the_rest_is_checked_and_no_answer_is_no_fault_of_a_reference() {
    let (test, registry) = (Test::new(), FakeRegistry::with(Habits { login: Login::Password, ..Habits::default() }));
    test.write("list.yaml", list(&registry, &["package: oci://HOST/team/a:1", "package: oci://HOST/team/b:1!../x"]));
    let said = check(&test, &registry, &["list.yaml", "--offline"]).exits(1).stdout;
    assert_eq!(
        said,
        "list.yaml:3: `oci://HOST/team/b:1!../x` has the plugin path `../x`, which is not a folder of an image\n\n\
         2 references in 1 file: 1 image by tag, 1 unreadable\n\
         not checked: 1 in registries, which are not asked (`--offline`)\n1 fault\n"
    );
    assert_eq!(registry.requests().len(), 0);
    test.write("one.yaml", list(&registry, &["package: oci://HOST/team/a:1"]));
    check(&test, &registry, &["one.yaml", "--offline"]).success();
    let said = check(&test, &registry, &["one.yaml"]).exits(5);
    assert_eq!(
        said.stdout,
        "one.yaml:2: `oci://HOST/team/a:1` could not be asked for: the registry answered 401 Unauthorized\n\n\
         1 reference in 1 file: 1 image by tag\n1 fault\n"
    );
    assert_eq!(
        said.stderr,
        "error: no registry answered\n\nhint: check the network and the login, or check the rest with `--offline`\n"
    );
}

#[harness::test]
fn files_that_list_nothing_are_refused() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    test.write("a.yaml", "x: y\n").write("b.yaml", "plugins: [\n").write("c.yaml", "plugins: []\n");
    check(&test, &registry, &["a.yaml"]).fails(
        2,
        "error: a.yaml: it is neither a list of plugins, nor a `kind: Package`, nor an index of a catalog\n\n\
         hint: name files with `plugins:`, with `kind:` and `spec.dynamicArtifact`, or with `registryReference`\n",
    );
    let said = check(&test, &registry, &["b.yaml"]).exits(2).stderr;
    assert!(said.starts_with("error: b.yaml:2:1: "), "{said}");
    assert_eq!(check(&test, &registry, &["c.yaml"]).success().stdout, "0 references in 1 file\nno faults\n");
    for (text, line, what) in [
        ("plugins: x\n", 1, "`plugins` is not a list"),
        ("plugins: []\nplugins: []\n", 2, "the key `plugins` is in it twice"),
    ] {
        test.write("d.yaml", text);
        let said = check(&test, &registry, &["d.yaml"]).exits(2).stderr;
        assert!(said.starts_with(&format!("error: d.yaml:{line}: {what}\n")), "{said}");
    }
    let said = check(&test, &registry, &["gone.yaml"]).exits(2).stderr;
    assert!(said.starts_with("error: gone.yaml: it cannot be read: No such file"), "{said}");
    fs::create_dir(test.path("empty")).unwrap();
    check(&test, &registry, &["empty"])
        .fails(2, "error: `empty` has no YAML files\n\nhint: name the files, such as `metadata/*.yaml`\n");
}

#[harness::test]
fn passwords_are_not_shown_and_what_was_not_looked_at_is() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    let entries = [
        "package: oci://user:s3cret@example.com/team/x:1",
        "package: https://user:s3cret@example.com/y.tgz?token=s3cret",
        "package: ./dynamic-plugins/dist/x\n  disabled: maybe",
    ];
    test.write("lists/list.yaml", format!("includes: [gone.yaml]\n{}", list(&registry, &entries)))
        .write("lists/a.tgz", "abc")
        .write("lists/a.tgz.app-config.dynamic.yaml", "x: y\n");
    let said = check(&test, &registry, &["lists"]).exits(1).stdout;
    assert_eq!(
        said,
        "lists/list.yaml:3: `oci://example.com/team/x:1` has a user name in front of its host, which no reference to an \
         image has\n\
         lists/list.yaml:4: `https://example.com/y.tgz` has no `integrity`\n\
         lists/list.yaml:5: `./dynamic-plugins/dist/x` has `disabled: maybe`, which is neither `true` nor `false`\n\n\
         3 references in 1 file: 1 archive, 1 folder of RHDH's image, 1 unreadable\n\
         not checked: 1 in RHDH's own image\nnot checked: 1 on servers, which are not asked for archives\n\
         not checked: 1 included list, not among the files: `gone.yaml`\n3 faults\n"
    );
    let said = check(&test, &registry, &["lists", "--format", "json"]).exits(1).stdout;
    assert!(!said.contains("s3cret"), "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    fits("schema/factory.check-refs.schema.json", &report);
    assert_eq!(report["not-read"], json!(["gone.yaml"]));
    assert_eq!(registry.requests().len(), 0);
}

#[harness::test]
fn what_is_pushed_has_no_fault_and_what_the_lock_has_is_looked_for() {
    let (test, registry) = (two(), FakeRegistry::start());
    push(&test, &registry, &["--overwrite-tags"]).success();
    let pushed = "out/dynamic-plugins.yaml";
    let said = check(&test, &registry, &[pushed, "--require-digest", "--layers"]).success();
    assert_eq!(said.stdout, "2 references in 1 file: 2 images by digest\nno faults\n");

    // One is left out, and the other is another image.
    let entries: Vec<String> =
        test.read(pushed).lines().filter(|line| line.contains("oci://")).map(str::to_owned).collect();
    let other = image(&registry, "other", Some(&["x-a"]));
    let sealed = entries[0].rsplit_once('@').unwrap().1.to_owned();
    test.write("list.yaml", format!("plugins:\n{}\n", entries[0].replace(&sealed, &other.to_string())));
    let said = check(&test, &registry, &["list.yaml"]).exits(1).stdout;
    assert_eq!(
        said,
        format!(
            "list.yaml:2: `oci://HOST/team/x-a@{other}` is {other}, and the lock has sealed {sealed} for `plugins/a` of \
             workspace `one`\n\
             config/factory.lock: `plugins/b` of workspace `two` (`@x/b` 1.0.0) is in none of the files\n\n\
             1 reference in 1 file: 1 image by digest\n2 faults\n"
        )
    );
    check(&test, &registry, &["list.yaml", "--no-lock"]).success();

    // The same content with labels.
    push(&test, &registry, &["--overwrite-tags", "--label", "quay.expires-after=2w"]).success();
    check(&test, &registry, &[pushed]).success();

    // Archives, which the lock has sealed too.
    test.run(&["build", "--output-dir", "archives"]).success();
    check(&test, &registry, &["archives/dynamic-plugins.yaml"]).success();
    let archives = test.read("archives/dynamic-plugins.yaml");
    let integrity = archives.lines().find_map(|line| line.trim().strip_prefix("integrity: ")).unwrap().to_owned();
    test.write("moved.yaml", archives.replace(&integrity, &Integrity::of("x").to_string()));
    let said = check(&test, &registry, &["moved.yaml"]).exits(1).stdout;
    let wanted = format!("has the integrity `{}`, and the lock has sealed `{integrity}` for ", Integrity::of("x"));
    assert!(said.contains(&wanted), "{said}");
}

#[harness::test]
fn a_layer_without_the_folder_of_its_annotation_is_found() {
    let (test, registry) = (Test::new(), FakeRegistry::start());
    let made = make_small(&test.path(""), "@x/plugin-todo", "1.2.3");
    let layer = fs::read(&made.image.layer_file).unwrap();
    let mut manifest: Value = serde_json::from_slice(&made.image.manifest).unwrap();
    registry.contents().blobs.insert(made.image.layer.to_string(), layer);
    put(&registry, "good", &manifest);
    let value = BASE64.encode(r#"[{"x-other":{}}]"#);
    manifest["annotations"] = json!({ "io.backstage.dynamic-packages": value });
    put(&registry, "bad", &manifest);
    test.write("list.yaml", list(&registry, &["package: oci://HOST/a:good", "package: oci://HOST/b:bad"]));
    check(&test, &registry, &["list.yaml"]).success();
    let said = check(&test, &registry, &["list.yaml", "--layers"]).exits(1).stdout;
    assert_eq!(
        said,
        "list.yaml:3: `oci://HOST/b:bad` has no folder `x-other` in its layer, which has `x-plugin-todo`\n\n\
         2 references in 1 file: 2 images by tag\n1 fault\n"
    );
}
