//! `--label`: what is pushed has labels, and what is sealed and on disk has none.

use factory::lock::Sha256;
use harness::oci_registry::FakeRegistry;
use harness::program::Test;
use serde_json::{Value, json};

use crate::partial::{listed, push, report, two};

const LABELS: [&str; 4] = ["--label", "quay.expires-after=2w", "--label", "com.example.of=a=b, c"];

/// The manifest under the tag of the plugin `a`, with its digest, and its config.
fn pushed(registry: &FakeRegistry) -> (Vec<u8>, Vec<u8>) {
    let contents = registry.contents();
    let manifest = contents.manifests["1.0.0"].1.clone();
    let config = document(&manifest)["config"]["digest"].as_str().unwrap().to_owned();
    (manifest, contents.blobs[&config].clone())
}

fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn of_one<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["one"], more].concat()
}

/// What is not to change: the lock, and the index of the images on disk.
fn kept(test: &Test) -> [String; 2] {
    [test.read("config/factory.lock"), test.read("out/one/oci/index.json")]
}

#[harness::test]
fn only_what_is_pushed_has_labels() {
    let (test, plain, labelled) = (two(), FakeRegistry::start(), FakeRegistry::start());
    push(&test, &plain, &of_one(&[])).success();
    let (before, (manifest, config)) = (kept(&test), pushed(&plain));
    assert_eq!(document(&config)["config"], json!({}));

    push(&test, &labelled, &of_one(&LABELS)).success();
    assert_eq!(kept(&test), before);
    let (other, labelled_config) = pushed(&labelled);
    let labels = json!({ "com.example.of": "a=b, c", "quay.expires-after": "2w" });
    assert_eq!(document(&labelled_config)["config"], json!({ "Labels": labels }));
    // Nothing else differs, neither in what it says nor in its bytes.
    let unlabelled = String::from_utf8(config).unwrap();
    assert!(unlabelled.contains("\"config\":{}"), "{unlabelled}");
    let wanted = unlabelled.replace("\"config\":{}", &format!("\"config\":{{\"Labels\":{labels}}}"));
    assert_eq!(String::from_utf8(labelled_config.clone()).unwrap(), wanted);
    let mut expected = document(&manifest);
    expected["config"]["digest"] = Sha256::of(&labelled_config).to_string().into();
    expected["config"]["size"] = labelled_config.len().into();
    for (key, value) in labels.as_object().unwrap() {
        expected["annotations"][key] = value.clone();
    }
    assert_eq!(document(&other), expected);

    let pinned = format!("{}/team/x-a@{}", labelled.address, Sha256::of(&other));
    assert_eq!(listed(&test), [format!("oci://{pinned}")]);
    let output = &report(&test)["workspaces"][0]["plugins"][0]["output"];
    assert_eq!(output["pushed"], pinned);
    assert_eq!(output["digest"], Sha256::of(&manifest).to_string(), "the sealed one");

    // The variable says the same, and without labels all is as it was.
    let sent = labelled.requests().len();
    let labels = ("FACTORY_LABEL", "com.example.of=a=b, c\nquay.expires-after=2w\n");
    let variables = [&[labels][..], &labelled.variables()].concat();
    test.run_with(&["build", "one", "--output-dir", "out", "--push-images"], &variables).success();
    assert!(
        labelled.requests()[sent..]
            .iter()
            .all(|request| !request.target.ends_with("/manifests/1.0.0") || request.method == "GET")
    );
    push(&test, &plain, &of_one(&[])).success();
    assert_eq!(pushed(&plain).0, manifest);
    assert_eq!(kept(&test), before);
}

#[harness::test]
fn an_image_that_expires_does_not_stand_for_one_that_does_not() {
    let (test, registry) = (two(), FakeRegistry::start());
    push(&test, &registry, &of_one(&LABELS[..2])).success();
    let first = pushed(&registry).0;
    for labels in [&[][..], &["--label", "quay.expires-after=3w"]] {
        let said = push(&test, &registry, &of_one(labels)).exits(1).stderr;
        let taken = format!("error: `{}/team/x-a:1.0.0` already names another image: ", registry.address);
        assert!(said.contains(&taken), "{said}");
        assert_eq!(pushed(&registry).0, first);
    }
    push(&test, &registry, &of_one(&["--overwrite-tags"])).success();
    assert_ne!(pushed(&registry).0, first);
}

#[harness::test]
fn documents_are_attached_to_the_image_that_was_pushed() {
    let (test, registry) = (two(), FakeRegistry::start());
    push(&test, &registry, &of_one(&[&LABELS[..], &["--attach", "provenance"]].concat())).success();
    let image = Sha256::of(&pushed(&registry).0).to_string();
    let contents = registry.contents();
    let all = contents.manifests.values().map(|(_, bytes)| document(bytes));
    let subjects: Vec<Value> =
        all.filter_map(|manifest| manifest["subject"]["digest"].as_str().map(Value::from)).collect();
    assert!(!subjects.is_empty() && subjects.iter().all(|subject| *subject == image), "{subjects:?} {image}");
}

#[harness::test]
fn what_is_no_label_is_refused_before_anything_is_done() {
    let test = two();
    let hint = "hint: give a key and a value, such as `--label quay.expires-after=2w`";
    for (label, why) in [
        ("quay.expires-after", "`--label quay.expires-after` has no `=`"),
        ("", "`--label ` has no `=`"),
        ("=2w", "`--label =2w` has no key"),
        ("a=\u{1b}[31m", "`--label a=\\u{1b}[31m` has a character that a label may not have"),
        ("io.factory.inputs=x", "`--label io.factory.inputs=x` is an annotation that the image has anyway"),
    ] {
        test.run(&["build", "--push-images", "--label", label]).fails(2, &format!("error: {why}\n\n{hint}"));
    }
    for command in ["build", "run"] {
        test.run(&[command, "--label", "a=b"]).fails(
            2,
            "error: `--label` labels the images that are pushed, and no images are pushed\n\n\
             hint: add `--push-images`, or leave out `--label`",
        );
    }
}
