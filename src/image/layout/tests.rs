use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::image::{Compression, Facts, ImageName, ImageNames, ImagePath, Packed, Tag};
use crate::lock::Integrity;

fn image(dir: &Path, name: &str, content: &str) -> Image {
    let layer_file = dir.join(format!("{name}-{content}"));
    fs::write(&layer_file, content).unwrap();
    let packed = Packed {
        tgz: Integrity::of("tgz"),
        tgz_len: 3,
        layer: Sha256::of(content),
        layer_len: content.len() as u64,
        diff_id: Sha256::of("diff"),
        compression: Compression::Gzip,
        files: 1,
        large: Vec::new(),
    };
    let facts = Facts { source: None, revision: None, version: "1.0.0", epoch: 1, inputs: None };
    let path = ImagePath::of_package(name).unwrap();
    let (name, tag) = (ImageName::of_package(name).unwrap(), Tag::of_version("", "1.0.0").unwrap());
    Image::assemble(ImageNames { path, name, tag }, b"{}", &packed, layer_file, &facts).unwrap()
}

fn fresh() -> (TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::open(&dir.path().join("oci")).unwrap();
    (dir, layout)
}

fn blobs(layout: &Layout) -> Vec<String> {
    let folder = layout.folder().join("blobs/sha256");
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn listed(layout: &Layout) -> Vec<(String, Sha256)> {
    let index: Value = serde_json::from_slice(&fs::read(layout.folder().join("index.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let images = index["manifests"].as_array().unwrap().iter();
    images.map(|image| (text(&image["annotations"][REF_NAME]), text(&image["digest"]).parse().unwrap())).collect()
}

#[test]
fn an_empty_layout_is_a_layout() {
    let (_dir, layout) = fresh();
    assert_eq!(fs::read_to_string(layout.folder().join("oci-layout")).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(
        fs::read_to_string(layout.folder().join("index.json")).unwrap(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
    );
}

#[test]
fn the_index_is_sorted_and_does_not_depend_on_the_order_of_adding() {
    let (dir, layout) = fresh();
    let (a, b) = (image(dir.path(), "a", "one"), image(dir.path(), "b", "two"));
    layout.add(&b).unwrap();
    layout.add(&a).unwrap();
    let descriptor = |image: &Image| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": image.digest.to_string(),
            "size": image.manifest.len(),
            "annotations": { "org.opencontainers.image.ref.name": image.reference() },
        })
    };
    let text = fs::read_to_string(layout.folder().join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(index["manifests"], json!([descriptor(&a), descriptor(&b)]));
    for (digest, bytes) in [(a.digest, &a.manifest), (a.config_digest, &a.config), (a.layer, &b"one".to_vec())] {
        assert_eq!(&fs::read(layout.blob(digest)).unwrap(), bytes);
    }

    let (_other_dir, other) = fresh();
    other.add(&a).unwrap();
    other.add(&b).unwrap();
    assert_eq!(fs::read_to_string(other.folder().join("index.json")).unwrap(), text);
    assert_eq!(blobs(&other), blobs(&layout));
}

#[test]
fn adding_again_changes_nothing_and_another_image_of_the_name_replaces_it() {
    let (dir, layout) = fresh();
    let (old, new) = (image(dir.path(), "a", "old"), image(dir.path(), "a", "new"));
    let kept = image(dir.path(), "b", "kept");
    layout.add(&kept).unwrap();
    layout.add(&old).unwrap();
    let before = (fs::read(layout.folder().join("index.json")).unwrap(), blobs(&layout));
    layout.add(&old).unwrap();
    assert_eq!((fs::read(layout.folder().join("index.json")).unwrap(), blobs(&layout)), before);

    let layout = Layout::open(layout.folder()).unwrap();
    layout.add(&new).unwrap();
    assert_eq!(listed(&layout), [("a:1.0.0".to_owned(), new.digest), ("b:1.0.0".to_owned(), kept.digest)]);
    assert!(!layout.blob(old.layer).exists() && !layout.blob(old.digest).exists());
    for digest in [kept.layer, kept.config_digest, kept.digest, new.layer, new.config_digest, new.digest] {
        assert!(layout.blob(digest).exists());
    }
}

#[test]
fn a_damaged_blob_is_written_anew_and_a_damaged_layer_is_refused() {
    let (dir, layout) = fresh();
    let image = image(dir.path(), "a", "layer");
    fs::write(layout.blob(image.layer), "LAYER").unwrap();
    fs::write(layout.blob(image.digest), "").unwrap();
    layout.add(&image).unwrap();
    assert_eq!(fs::read(layout.blob(image.layer)).unwrap(), b"layer");
    assert_eq!(fs::read(layout.blob(image.digest)).unwrap(), image.manifest);

    let (_dir, layout) = fresh();
    fs::write(&image.layer_file, "other").unwrap();
    let error = layout.add(&image).unwrap_err();
    assert!(error.to_string().contains("does not match its checksum: expected sha256:"), "{error}");
    assert_eq!((blobs(&layout), listed(&layout)), (Vec::new(), Vec::new()));
}

#[test]
fn images_are_added_from_many_threads() {
    let (dir, layout) = fresh();
    let images: Vec<_> = (0..16).map(|n| image(dir.path(), &format!("plugin-{n:02}"), &format!("{n}"))).collect();
    thread::scope(|scope| {
        for image in &images {
            let layout = Layout::open(layout.folder()).unwrap();
            scope.spawn(move || layout.add(image).unwrap());
        }
    });
    assert_eq!(listed(&layout), images.iter().map(|image| (image.reference(), image.digest)).collect::<Vec<_>>());
}

#[test]
fn the_index_of_somebody_else_is_not_overwritten() {
    for index in [
        "not json",
        r#"{"schemaVersion":2,"mediaType":"x","manifests":[{"mediaType":"x","digest":"sha512:00","size":1}]}"#,
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("index.json"), index).unwrap();
        let error = Layout::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("index.json` is not an index that factory wrote: "), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("index.json")).unwrap(), index);
        assert!(!dir.path().join("oci-layout").exists());
    }
}

#[test]
fn an_index_that_cannot_be_read_is_not_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("index.json")).unwrap();
    let error = Layout::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn a_layer_that_is_there_is_not_read_again() {
    let (dir, layout) = fresh();
    let image = image(dir.path(), "plugin-a", "one");
    layout.add(&image).unwrap();
    fs::remove_file(&image.layer_file).unwrap();
    layout.add(&image).unwrap();
    assert_eq!(listed(&layout), [(image.reference(), image.digest)]);
}
