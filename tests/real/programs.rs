//! skopeo and buildah in the place of our own builder and client.
//!
//! Needs docker-registry, skopeo, umoci, openssl and buildah.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use factory::image::{Compression, Facts, ImageNames, Layout, OciRegistry, PackageFiles, PushOptions, Pusher, buildah};
use harness::docker_registry::{PAIR, PASSWORD, Server, USER, block_on, variables};
use harness::package::{EPOCH, make, run, tree, write_package};
use harness::proxy::{Fault, Proxy};
use serde_json::Value;

const REPOSITORY: &str = "team/x-plugin-todo";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn with_login(address: &str) -> OciRegistry {
    let login = [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)];
    OciRegistry::from_variables(&variables(address, &login)).unwrap()
}

fn by(pusher: Pusher) -> PushOptions {
    PushOptions { pusher, ..PushOptions::default() }
}

#[harness::test]
fn skopeo_pushes_the_very_bytes() {
    harness::needs(&["skopeo", "docker-registry"]);
    let (server, dir) = (Server::with_password(), tempfile::tempdir().unwrap());
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    let registry = with_login(&server.address);
    block_on(registry.check_access(std::slice::from_ref(&made.image.name), &by(Pusher::Skopeo))).unwrap();
    let pushed = block_on(registry.push(&made.image, &by(Pusher::Skopeo))).unwrap();
    assert_eq!((pushed.digest, pushed.already_there), (made.image.digest, false));
    assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), made.image.digest.to_string());
    // Each sees what the other has done.
    assert!(block_on(registry.push(&made.image, &by(Pusher::Skopeo))).unwrap().already_there);
    assert!(block_on(registry.push(&made.image, &by(Pusher::Builtin))).unwrap().already_there);

    let mut other = made.image.clone();
    other.manifest = String::from_utf8(other.manifest).unwrap().replace("1.2.3", "1.2.4").into_bytes();
    other.digest = factory::lock::Sha256::of(&other.manifest);
    let error = block_on(registry.push(&other, &by(Pusher::Skopeo))).unwrap_err();
    assert!(error.to_string().contains("already names another image: "), "{error}");
    assert_eq!(error.exit_code(), 1);
    let moved = block_on(registry.push(&other, &PushOptions { overwrite: true, ..by(Pusher::Skopeo) })).unwrap();
    assert_eq!(moved.digest, other.digest);
}

#[harness::test]
fn buildah_pushes_the_same_contents() {
    harness::needs(&["buildah", "skopeo", "docker-registry"]);
    let (server, dir) = (Server::with_password(), tempfile::tempdir().unwrap());
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    let registry = with_login(&server.address);
    let pushed = block_on(registry.push(&made.image, &by(Pusher::Buildah))).unwrap();
    assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), pushed.digest.to_string());
    assert_eq!(pushed.pinned, format!("{}/{REPOSITORY}@{}", server.address, pushed.digest));

    let copy = dir.path().join("copy");
    // In a file, not in the arguments: another test looks at those.
    let login = dir.path().join("auth.json");
    fs::write(&login, format!(r#"{{"auths":{{"{}":{{"auth":"{PAIR}"}}}}}}"#, server.address)).unwrap();
    let from = format!("docker://{}", pushed.pinned);
    let to = format!("dir:{}", text(&copy));
    run("skopeo", &["copy", "--src-tls-verify=false", "--src-authfile", text(&login), &from, &to]);
    let manifest: Value = serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap();
    let ours: Value = serde_json::from_slice(&made.image.manifest).unwrap();
    assert_eq!(manifest["config"], ours["config"], "the config holds the digest of the uncompressed layer");
    assert_eq!(manifest["annotations"], ours["annotations"]);
    assert_eq!(manifest["layers"][0]["mediaType"], ours["layers"][0]["mediaType"]);

    let again = block_on(registry.push(&made.image, &by(Pusher::Buildah))).unwrap();
    assert_eq!((again.digest, again.already_there), (pushed.digest, true));
}

#[harness::test]
fn programs_that_fail_are_quoted_without_secrets() {
    harness::needs(&["buildah", "skopeo", "docker-registry"]);
    let (server, dir) = (Server::with_password(), tempfile::tempdir().unwrap());
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    for (pusher, name) in [(Pusher::Skopeo, "skopeo"), (Pusher::Buildah, "buildah")] {
        let wrong =
            [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", "planted-wrong")];
        let registry = OciRegistry::from_variables(&variables(&server.address, &wrong)).unwrap();
        let error = block_on(registry.push(&made.image, &by(pusher))).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("{name} cannot push `{}/{REPOSITORY}:1.2.3`: ", server.address)),
            "{message}"
        );
        assert_eq!(error.exit_code(), 5);
        assert!(!format!("{error:?}").contains("planted-wrong"), "{error:?}");

        let nowhere = OciRegistry::from_variables(&variables(&server.address, &[("PATH", "/nonexistent")])).unwrap();
        let error = block_on(nowhere.check_access(std::slice::from_ref(&made.image.name), &by(pusher))).unwrap_err();
        assert_eq!((error.to_string(), error.exit_code()), (format!("`{name}` is not installed"), 2));
    }
}

/// While a push hangs, its processes' arguments and environments are read, as `ps e` does.
#[harness::test]
fn no_secret_is_in_arguments_or_environments() {
    harness::needs(&["buildah", "skopeo", "docker-registry"]);
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    for (pusher, name) in [(Pusher::Skopeo, "skopeo"), (Pusher::Buildah, "buildah")] {
        let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
        let looked = std::sync::Arc::new(AtomicBool::new(false));
        let (to_seen, to_looked) = (std::sync::Arc::clone(&seen), std::sync::Arc::clone(&looked));
        let proxy = Proxy::guarded(
            &server.address,
            Box::new(move |request| {
                if request.kind() == "GET v2" && !to_looked.swap(true, Ordering::SeqCst) {
                    to_seen.lock().unwrap().extend(children(name));
                }
                None::<Fault>
            }),
        );
        block_on(with_login(&proxy.address).push(&made.image, &by(pusher))).unwrap();
        let seen = seen.lock().unwrap().join("\n");
        assert!(seen.contains(name) && seen.contains("LANG=C.UTF-8"), "{seen}");
        for secret in [PASSWORD, PAIR, USER] {
            assert!(!seen.contains(secret), "{seen}");
        }
    }
}

/// The command lines and environments of the running programs of a name.
fn children(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let part = |file: &str| {
            let bytes = fs::read(process.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        if part("comm").trim() == name {
            out.push(part("cmdline") + &part("environ"));
        }
    }
    out
}

#[harness::test]
fn buildah_builds_the_same_files() {
    harness::needs(&["buildah", "skopeo", "umoci"]);
    let dir = tempfile::tempdir().unwrap();
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    let root = dir.path().join("package-2");
    let files = write_package(&root, "@x/plugin-todo", "1.2.3");
    let entries = PackageFiles::select(&root, files).unwrap();
    let facts = Facts {
        source: Some("https://example.com/todo"),
        revision: Some("3fadf6b0595d1d1804f5c7f2690f4db7b81275f1"),
        version: "1.2.3",
        epoch: EPOCH,
        inputs: Some(factory::lock::Sha256::of("inputs")),
    };
    let build = |layer: &str| {
        let names = ImageNames { path: made.path.clone(), name: made.image.name.clone(), tag: made.image.tag.clone() };
        block_on(buildah::build(names, &entries, dir.path().join(layer), &facts)).unwrap()
    };
    let (image, again) = (build("layer-1"), build("layer-2"));
    assert_eq!((image.digest, image.diff_id), (again.digest, again.diff_id), "one time for everything");

    let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    let ours: Value = serde_json::from_slice(&made.image.manifest).unwrap();
    assert_eq!(manifest["mediaType"], ours["mediaType"]);
    assert_eq!(manifest["config"]["mediaType"], ours["config"]["mediaType"]);
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], ours["layers"][0]["mediaType"]);
    for (key, value) in ours["annotations"].as_object().unwrap() {
        assert_eq!(&manifest["annotations"][key], value, "{key}");
    }
    let config: Value = serde_json::from_slice(&image.config).unwrap();
    assert_eq!((&config["created"], &config["os"]), (&"2025-11-13T02:13:20Z".into(), &"linux".into()));
    assert_eq!((&config["architecture"], &config["config"]), (&"amd64".into(), &serde_json::json!({})));

    let layout = Layout::open(&dir.path().join("oci")).unwrap();
    layout.add(&image).unwrap();
    let theirs = unpacked(dir.path(), &layout, &image.reference(), "theirs");
    layout.add(&made.image).unwrap();
    let ours = unpacked(dir.path(), &layout, &made.image.reference(), "ours");
    assert_eq!(ours.len(), made.packed.files);
    assert!(ours == theirs, "the trees differ");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with('.')), "{left:?}");
}

fn unpacked(dir: &Path, layout: &Layout, reference: &str, name: &str) -> Vec<(String, bool, Vec<u8>)> {
    let single = dir.join(format!("{name}-oci"));
    let from = format!("oci:{}:{reference}", text(layout.folder()));
    run("skopeo", &["copy", &from, &format!("oci:{}:latest", text(&single))]);
    let bundle = dir.join(name);
    run("umoci", &["unpack", "--rootless", "--image", &format!("{}:latest", text(&single)), text(&bundle)]);
    tree(&bundle.join("rootfs"))
}
