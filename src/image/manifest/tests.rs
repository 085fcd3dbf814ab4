use oci_spec::image::{Arch, ImageConfiguration, ImageManifest, MediaType, Os};
use serde_json::json;

use super::*;
use crate::image::Compression;
use crate::lock::Integrity;

const PACKAGE: &str = r#"{
  "keywords": ["backstage", "plugin"],
  "version": "1.2.3",
  "name": "@x/todo-dynamic",
  "main": "dist/index.cjs.js",
  "license": "Apache-2.0",
  "description": "Lists <todo> & “more”",
  "backstage": { "role": "backend-plugin", "supported-versions": "1.45.3" },
  "dependencies": { "express": "^4.17.1" },
  "author": null,
  "repository": { "url": "https://example.com/x", "type": "git" }
}"#;

fn packed() -> Packed {
    Packed {
        tgz: Integrity::of("tgz"),
        tgz_len: 3,
        layer: Sha256::of("layer"),
        layer_len: 5,
        diff_id: Sha256::of("diff"),
        compression: Compression::Gzip,
        files: 1,
        large: Vec::new(),
    }
}

fn facts() -> Facts<'static> {
    Facts {
        source: Some("https://github.com/x/todo"),
        revision: Some("3fadf6b0595d1d1804f5c7f2690f4db7b81275f1"),
        version: "1.2.3",
        epoch: 1_763_000_000,
        inputs: Some(Sha256::of("inputs")),
    }
}

fn assemble(package: &str, packed: &Packed, facts: &Facts<'_>) -> Result<Image> {
    let names = ImageNames {
        path: ImagePath::of_package("@x/todo-dynamic").unwrap(),
        name: ImageName::of_package("@x/todo").unwrap(),
        tag: Tag::of_version("", "1.2.3").unwrap(),
    };
    Image::assemble(names, package.as_bytes(), packed, PathBuf::from("layer"), facts)
}

fn image() -> Image {
    assemble(PACKAGE, &packed(), &facts()).unwrap()
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

#[test]
fn the_config_has_exactly_these_bytes() {
    let image = image();
    let expected = format!(
        concat!(
            r#"{{"created":"2025-11-13T02:13:20Z","architecture":"amd64","os":"linux","config":{{}},"#,
            r#""rootfs":{{"type":"layers","diff_ids":["{}"]}},"#,
            r#""history":[{{"created":"2025-11-13T02:13:20Z","created_by":"factory"}}]}}"#
        ),
        Sha256::of("diff")
    );
    assert_eq!(String::from_utf8(image.config.clone()).unwrap(), expected);
    assert_eq!(image.config_digest, Sha256::of(expected));
}

#[test]
fn the_manifest_is_the_golden_one() {
    let image = image();
    assert_eq!(image.digest, Sha256::of(&image.manifest));
    assert_eq!(image.reference(), "x-todo:1.2.3");
    insta::assert_snapshot!(String::from_utf8(image.manifest).unwrap(), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:46a64d9c88a41f6f1fae74f35aab713d2872e6315749c85cb17b8f5071fd19d4","size":266},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","size":5}],"annotations":{"io.backstage.dynamic-packages":"W3sieC10b2RvIjp7Im5hbWUiOiJAeC90b2RvLWR5bmFtaWMiLCJ2ZXJzaW9uIjoiMS4yLjMiLCJkZXNjcmlwdGlvbiI6Ikxpc3RzIDx0b2RvPiAmIOKAnG1vcmXigJ0iLCJiYWNrc3RhZ2UiOnsicm9sZSI6ImJhY2tlbmQtcGx1Z2luIiwic3VwcG9ydGVkLXZlcnNpb25zIjoiMS40NS4zIn0sInJlcG9zaXRvcnkiOnsidXJsIjoiaHR0cHM6Ly9leGFtcGxlLmNvbS94IiwidHlwZSI6ImdpdCJ9LCJsaWNlbnNlIjoiQXBhY2hlLTIuMCIsImF1dGhvciI6bnVsbCwia2V5d29yZHMiOlsiYmFja3N0YWdlIiwicGx1Z2luIl19fV0=","io.factory.inputs":"sha256:32381523e63197c929b67f793a8098bed0ae3a6fa902634fdbcc6fa4567f3346","org.opencontainers.image.created":"2025-11-13T02:13:20Z","org.opencontainers.image.description":"Lists <todo> & “more”","org.opencontainers.image.licenses":"Apache-2.0","org.opencontainers.image.revision":"3fadf6b0595d1d1804f5c7f2690f4db7b81275f1","org.opencontainers.image.source":"https://github.com/x/todo","org.opencontainers.image.title":"@x/todo-dynamic","org.opencontainers.image.version":"1.2.3"}}"#);
    insta::assert_snapshot!(image.digest.to_string(), @"sha256:4da269343149144a0cb25c460782732a03f3d847aa6f6f1816f3b660f584b198");
}

#[test]
fn an_image_manifest_with_one_gzip_layer_and_a_real_config() {
    let image = image();
    let manifest = ImageManifest::from_reader(image.manifest.as_slice()).unwrap();
    assert_eq!(manifest.schema_version(), 2);
    assert_eq!(manifest.media_type(), &Some(MediaType::ImageManifest));
    assert_eq!(manifest.artifact_type(), &None);
    assert_eq!(manifest.subject(), &None);
    assert_eq!(manifest.config().media_type(), &MediaType::ImageConfig);
    assert_eq!(manifest.config().size(), image.config.len() as u64);
    assert_eq!(manifest.config().digest().to_string(), image.config_digest.to_string());
    assert_eq!(manifest.layers().len(), 1);
    assert_eq!(manifest.layers()[0].media_type(), &MediaType::ImageLayerGzip);
    assert_eq!(manifest.layers()[0].digest().to_string(), Sha256::of("layer").to_string());
    assert_eq!(manifest.layers()[0].size(), 5);

    let config = ImageConfiguration::from_reader(image.config.as_slice()).unwrap();
    assert_eq!((config.os(), config.architecture()), (&Os::Linux, &Arch::Amd64));
    assert_eq!(config.rootfs().typ(), "layers");
    assert_eq!(config.rootfs().diff_ids(), &[Sha256::of("diff").to_string()]);
    assert!(config.config().as_ref().is_some_and(|config| config.labels().is_none() && config.env().is_none()));
}

#[test]
fn nothing_is_null_and_every_annotation_is_a_text() {
    let bare = Facts { source: None, revision: None, inputs: None, ..facts() };
    let image = assemble(r#"{"name":"@x/todo-dynamic","license":{"type":"MIT"}}"#, &packed(), &bare).unwrap();
    for bytes in [&image.manifest, &image.config] {
        assert!(!has_null(&serde_json::from_slice(bytes).unwrap()));
    }
    let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    let annotations = manifest["annotations"].as_object().unwrap();
    assert!(annotations.values().all(Value::is_string));
    assert_eq!(
        annotations.keys().collect::<Vec<_>>(),
        [
            "io.backstage.dynamic-packages",
            "org.opencontainers.image.created",
            "org.opencontainers.image.title",
            "org.opencontainers.image.version",
        ]
    );
}

#[test]
fn the_packages_annotation_has_its_keys_in_order_and_leaves_absent_ones_out() {
    let manifest: Value = serde_json::from_slice(&image().manifest).unwrap();
    let encoded = manifest["annotations"]["io.backstage.dynamic-packages"].as_str().unwrap();
    assert_eq!(encoded.len() % 4, 0, "padded");
    let text = String::from_utf8(BASE64.decode(encoded).unwrap()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"[{"x-todo":{"name":"@x/todo-dynamic","version":"1.2.3","description":"Lists <todo> & “more”","#,
            r#""backstage":{"role":"backend-plugin","supported-versions":"1.45.3"},"#,
            r#""repository":{"url":"https://example.com/x","type":"git"},"license":"Apache-2.0","author":null,"#,
            r#""keywords":["backstage","plugin"]}}]"#
        )
    );
}

#[test]
fn every_key_of_the_packages_annotation_is_taken_over() {
    let all: Map<String, Value> =
        PACKAGE_KEYS.iter().rev().map(|key| ((*key).to_owned(), json!({ "of": key }))).collect();
    let path = ImagePath::of_package("a").unwrap();
    let decoded = BASE64.decode(dynamic_packages(&path, &all)).unwrap();
    let list: Value = serde_json::from_slice(&decoded).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["a"], "one plugin per image");
    let keys: Vec<_> = list[0]["a"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "name",
            "version",
            "description",
            "backstage",
            "homepage",
            "repository",
            "license",
            "maintainers",
            "author",
            "bugs",
            "keywords",
        ]
    );
}

#[test]
fn a_zstd_layer_is_called_one() {
    let packed = Packed { compression: Compression::Zstd, ..packed() };
    let image = assemble(PACKAGE, &packed, &facts()).unwrap();
    let manifest = ImageManifest::from_reader(image.manifest.as_slice()).unwrap();
    assert_eq!(manifest.layers()[0].media_type(), &MediaType::ImageLayerZstd);
}

#[test]
fn a_broken_package_json_and_an_impossible_time_are_errors() {
    let error = assemble("[]", &packed(), &facts()).unwrap_err();
    assert!(error.to_string().starts_with("the exported `package.json` cannot be read: "), "{error}");
    let error = assemble(PACKAGE, &packed(), &Facts { epoch: u64::MAX, ..facts() }).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not a valid time", u64::MAX));
    assert!(assemble(&format!("\u{feff}{PACKAGE}"), &packed(), &facts()).is_ok());
}
