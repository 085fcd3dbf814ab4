//! The main job on real input: the example, resolved and built with the real registry, node, yarn, rhdh-cli, and read
//! by the programs that will read the result.
//!
//! Needs the network to npm, and git, skopeo, tar and patch.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use factory::lock::{Integrity, Lock, Sha256};
use harness::docker_registry::{PASSWORD, Server, USER};
use harness::program::{names, text};
use serde_json::Value;

use crate::cache::{self, cache};
use crate::greeting::{self, FirstBuild, Greeting, alone, published, same};

const FRONTEND: &str = "factory-examples-plugin-greeting";
const BACKEND: &str = "factory-examples-plugin-greeting-backend";

/// Runs a program; fails the test with what it said.
#[track_caller]
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[harness::test(long)]
fn example_from_a_clone_to_plugins_that_load() {
    harness::needs(&["skopeo"]);
    greeting::needs();
    let FirstBuild { greeting: example, output: first, said } = greeting::first();
    let _alone = alone();
    assert!(said.contains("2 plugins built into "), "{said}");
    assert!(!said.contains(['\u{1b}', '\r']), "a pipe gets plain lines: {said}");
    let lock = example.lock();

    archives_match_their_integrity(first);
    images_are_what_the_installer_reads(example, first);
    results_are_described(first, &lock);
    no_secret_is_anywhere(first);

    // Everything is pinned: resolving again changes nothing, building again makes the same bytes.
    let before = fs::read(example.config().join("factory.lock")).unwrap();
    example.ok(&["resolve"]);
    assert_eq!(fs::read(example.config().join("factory.lock")).unwrap(), before);
    let second = example.path("second");
    example.ok(&["build", "--rebuild", "--output-dir", text(&second)]);
    assert!(second.join("logs/workspace.log").exists(), "it was built, not taken from the cache");
    same(first, &second);
    backend_loads(example, &second);
    // What is sealed and was built is not built again.
    let third = example.path("third");
    let said = example.ok(&["build", "--offline", "--output-dir", text(&third)]);
    assert!(said.contains("2 plugins built into ") && said.contains(", 2 of them from the cache"), "{said}");
    assert!(!third.join("logs").exists(), "nothing was run");
    same(first, &third);
    assert_eq!(fs::read(example.config().join("factory.lock")).unwrap(), before, "a sealed lock stays as it is");
}

fn archives_match_their_integrity(output: &Path) {
    for name in [FRONTEND, BACKEND] {
        let tgz = fs::read(output.join(format!("{name}-dynamic-0.1.0.tgz"))).unwrap();
        let said = fs::read_to_string(output.join(format!("{name}-dynamic-0.1.0.tgz.integrity"))).unwrap();
        assert_eq!(said, format!("{}\n", Integrity::of(&tgz)));
    }
}

fn images_are_what_the_installer_reads(example: &Greeting, output: &Path) {
    for name in [FRONTEND, BACKEND] {
        let image = format!("oci:{}:{name}:0.1.0", text(&output.join("oci")));
        let inspected: Value = serde_json::from_slice(&run(Command::new("skopeo").args(["inspect", &image]))).unwrap();
        assert_eq!(inspected["Layers"].as_array().unwrap().len(), 1);
        let raw: Value =
            serde_json::from_slice(&run(Command::new("skopeo").args(["inspect", "--raw", &image]))).unwrap();
        assert_eq!(raw["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");

        let copy = example.path("copy");
        run(Command::new("skopeo").args(["copy", &image, &format!("dir:{}", text(&copy))]));
        let layer = copy.join(raw["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:"));
        let package = package_of(&layer, name);

        // What RHDH's catalog reads of an image without installing it.
        let annotation = raw["annotations"]["io.backstage.dynamic-packages"].as_str().unwrap();
        let decoded = base64::engine::general_purpose::STANDARD.decode(annotation).unwrap();
        let decoded: Value = serde_json::from_slice(&decoded).unwrap();
        let said = &decoded[0][name];
        for field in ["name", "version", "backstage", "license"] {
            assert_eq!(said[field], package[field], "`{field}` of {name}: {decoded}");
        }
        assert_eq!(package["name"], format!("{}-dynamic", name.replacen("factory-examples-", "@factory-examples/", 1)));
        fs::remove_dir_all(copy).unwrap();
    }
}

/// Reads a layer's entries: all below `<name>/`, at the time of all packages. Returns its package.json.
fn package_of(layer: &Path, name: &str) -> Value {
    let mut package = Value::Null;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(layer).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        assert!(path.starts_with(&format!("{name}/")), "{path}");
        assert_eq!(entry.header().mtime().unwrap(), factory::lock::recipe::TIME, "{path}");
        if path == format!("{name}/package.json") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            package = serde_json::from_str(&text).unwrap();
        }
    }
    package
}

/// What was installed at this place of the repository: it is kept as a layer, or where the workspace was built.
pub fn installed(place: &str) -> PathBuf {
    let layers = cache().join("layers");
    let kept = fs::read_dir(&layers).into_iter().flatten().map(|layer| layer.unwrap().path().join("tree").join(place));
    let here = cache().join("work/greeting/source").join(place);
    kept.chain([here]).find(|folder| folder.is_dir()).unwrap()
}

/// Node.js loads the exported backend with its peers at hand, and it answers a request.
fn backend_loads(example: &Greeting, output: &Path) {
    let node = cache::node(&example.lock().tools.node.version);
    let peers = installed("examples/greeting/workspaces/greeting/node_modules");
    let unpacked = example.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tgz = output.join(format!("{BACKEND}-dynamic-0.1.0.tgz"));
    run(Command::new("tar").args(["-xzf", text(&tgz), "-C", text(&unpacked)]));
    let script = harness::project().join("tests/real/load_backend.cjs");
    let said = run(Command::new(cache().join("tools").join(node).join("bin/node"))
        .arg(script)
        .args([unpacked.join("package"), peers])
        .arg("/greeting?name=Ada"));
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["type"], "@backstage/BackendFeature");
    assert_eq!(said["pluginId"], "greeting");
    assert_eq!(said["answer"]["status"], 200, "{said}");
    assert!(said["answer"]["body"].to_string().contains("Ada"), "{said}");
}

/// `dynamic-plugins.yaml` and `build-report.json` say what lies beside them.
fn results_are_described(output: &Path, lock: &Lock) {
    let yaml = fs::read_to_string(output.join("dynamic-plugins.yaml")).unwrap();
    let yaml: Value = yaml_serde::from_str(&yaml).unwrap();
    let plugins = yaml["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 2);
    for plugin in plugins {
        let tgz = fs::read(output.join(plugin["package"].as_str().unwrap())).unwrap();
        assert_eq!(plugin["integrity"], Integrity::of(&tgz).to_string());
        assert_eq!(plugin.get("disabled"), None);
        assert!(plugin["pluginConfig"].is_object(), "{plugin}");
    }

    let report: Value = serde_json::from_slice(&fs::read(output.join("build-report.json")).unwrap()).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../schema/build-report.schema.json")).unwrap();
    let errors: Vec<_> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&report).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    for (said, locked) in report["workspaces"][0]["plugins"].as_array().unwrap().iter().zip(&lock.workspace[0].plugin) {
        let sealed = locked.sealed.as_ref().expect("a first build seals the lock");
        assert_eq!(said["path"], locked.path);
        assert_eq!(said["output"]["digest"], sealed.image.to_string());
        assert_eq!(said["output"]["integrity"], sealed.tgz.to_string());
        assert_eq!(said["output"]["layer"], sealed.layer.to_string());
        let blob = said["output"]["layer-blob"].as_str().unwrap();
        let layer = fs::read(output.join("oci/blobs/sha256").join(blob.trim_start_matches("sha256:")));
        assert_eq!(blob, Sha256::of(layer.unwrap()).to_string());
    }
}

fn no_secret_is_anywhere(output: &Path) {
    for name in names(&output.join("logs")) {
        let log = fs::read_to_string(output.join("logs").join(&name)).unwrap();
        assert!(!log.contains("s3cret-of-the-test"), "{name}");
    }
}

#[harness::test]
fn interrupt_ends_all_children_and_leaves_no_output() {
    greeting::needs();
    let _alone = alone();
    let example = Greeting::new();
    let output = example.path("out");
    let mut child = example.command(&["run", "--output-dir", text(&output)]).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("plugins/greeting export") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended before its time: {said}");
    }
    while of_cache().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "no child of the build was seen");
    }
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.ends_with("error: interrupted\n"), "{said}");
    assert_eq!(of_cache(), [""; 0], "processes that go on");
    assert_eq!(published(&output).keys().collect::<Vec<_>>(), [""; 0]);
    let lock = example.lock();
    assert!(lock.workspace[0].plugin.iter().all(|plugin| plugin.sealed.is_none()));
}

/// Command lines of processes whose build root shows folders of this cache's workspace.
fn of_cache() -> Vec<String> {
    let work = cache().canonicalize().unwrap().join("work/greeting/");
    let pids = names(Path::new("/proc")).into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let works_here = |pid: &String| {
        fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|mounts| mounts.contains(text(&work)))
    };
    pids.filter(works_here)
        .map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " "))
        .collect()
}

/// What is asked before a push, what is in the registry after it, and that nothing of
/// the login is anywhere.
#[harness::test(long)]
fn images_are_pushed_after_asking_and_named_by_digest() {
    harness::needs(&["docker-registry", "buildah"]);
    greeting::needs();
    let _alone = alone();
    let example = Greeting::new().sealed();
    let server = Server::with_password();
    let output = example.path("pushed");
    let refs = example.path("refs");
    let push = |password: &str, more: &[&str]| {
        let mut args = vec!["run", "--push-images", "--output-dir", text(&output), "--image-refs", text(&refs)];
        args.extend(["--builder-id", "https://ci.example/rhdh"]);
        args.extend(more);
        let mut command = example.command(&args);
        command.env("REGISTRY_URL", &server.address).env("REGISTRY_NAMESPACE", "acme").env("REGISTRY_INSECURE", "true");
        command.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", password).env("FACTORY_LOG_LEVEL", "DEBUG");
        command.output().unwrap()
    };

    let refused = push("wrong", &[]);
    assert_eq!(refused.status.code(), Some(5), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(!output.join("build-report.json").exists(), "nothing is built for a push that cannot work");

    let done = push(PASSWORD, &["--attach", "cyclonedx,spdx,provenance"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    let report: Value = serde_json::from_slice(&fs::read(output.join("build-report.json")).unwrap()).unwrap();
    let mut listed = String::new();
    for name in [BACKEND, FRONTEND] {
        let digest = server.tag(&format!("acme/{name}"), "0.1.0").unwrap();
        let pinned = format!("{}/acme/{name}@{digest}", server.address);
        assert!(report.to_string().contains(&format!("\"pushed\":\"{pinned}\"")), "{report}");
        let list = fs::read_to_string(output.join("dynamic-plugins.yaml")).unwrap();
        assert!(list.contains(&format!("- package: oci://{pinned}\n")), "{list}");
        listed += &pinned;
        listed.push('\n');
    }
    assert_eq!(fs::read_to_string(&refs).unwrap(), listed);
    documents_are_those_of_the_lock(&example, &server, &report, &said);
    references_are_checked(&example, &server, &output.join("dynamic-plugins.yaml"));

    // The same again, from buildah: other digests, so the tags are taken and stay.
    greeting::without_frontend(&example.config());
    let taken = push(PASSWORD, &["--image-builder", "buildah"]);
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert_eq!(taken.status.code(), Some(1), "{said}");
    assert!(said.contains("--overwrite-tags"), "{said}");
    for file in walk(&output) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{}", file.display());
    }
}

/// What was pushed has no fault by anything that is checked, and each planted one is found.
fn references_are_checked(example: &Greeting, server: &Server, list: &Path) {
    let check = |list: &Path| {
        let mut command = example.command(&["check-refs", text(list), "--require-digest", "--layers"]);
        command.env("REGISTRY_URL", &server.address).env("REGISTRY_INSECURE", "true");
        command.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", PASSWORD);
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let good = "2 references in 1 file: 2 images by digest\nno faults\n";
    assert_eq!(check(list), (Some(0), good.to_owned()));

    let (at, own) = (&server.address, fs::read_to_string(list).unwrap());
    let entries = [
        format!("oci://{at}/acme/{BACKEND}:0.1.0!{BACKEND}"),
        format!("oci://{at}/acme/{BACKEND}:9.9.9"),
        format!("oci://{at}/acme/{FRONTEND}@{}!other", server.tag(&format!("acme/{FRONTEND}"), "0.1.0").unwrap()),
        format!("oci://{at}/acme/{BACKEND}@{}", Sha256::of("another")),
        format!("oci://{at}/acme/{BACKEND}:0.1.0@sha256:0"),
    ];
    let planted = entries.map(|entry| format!("- package: {entry}\n")).concat();
    let file = example.path("planted.yaml");
    fs::write(&file, format!("plugins:\n{planted}")).unwrap();
    let (code, said) = check(&file);
    let faults = [
        "is pinned by the tag `0.1.0`, which can be moved, and not by a digest".to_owned(),
        "is pinned by the tag `9.9.9`, which can be moved, and not by a digest".to_owned(),
        "is not in the registry".to_owned(),
        format!("has no plugin `other` by its annotation, which names `{FRONTEND}`"),
        "is not in the registry".to_owned(),
        "has a tag and a digest, of which RHDH's installers take only one".to_owned(),
    ];
    for fault in &faults {
        assert!(said.contains(fault), "{fault}: {said}");
    }
    assert_eq!(said.matches("is not in the registry\n").count(), 2, "{said}");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(fs::read_to_string(list).unwrap(), own);
}

/// What is attached to each image is what `factory sbom` writes; its manifests are in the report and in what is said.
fn documents_are_those_of_the_lock(example: &Greeting, server: &Server, report: &Value, said: &str) {
    let blob = |digest: &str| {
        let hex = digest.trim_start_matches("sha256:");
        let file = format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        fs::read(server.dir.path().join(file)).unwrap()
    };
    let formats = [("cyclonedx", "cdx"), ("spdx", "spdx"), ("provenance", "intoto")];
    for (format, _) in formats {
        let folder = example.path("sbom");
        example.ok(&["sbom", "--format", format, "--output", text(&folder), "--builder-id", "https://ci.example/rhdh"]);
    }
    let plugins = report["workspaces"][0]["plugins"].as_array().unwrap();
    for plugin in plugins {
        let image: Value = serde_json::from_slice(&blob(plugin["output"]["digest"].as_str().unwrap())).unwrap();
        assert_eq!(image["schemaVersion"], 2);
        let attached = plugin["output"]["attached"].as_array().unwrap();
        assert_eq!(attached.len(), formats.len());
        for (attached, (_, extension)) in attached.iter().zip(formats) {
            let digest = attached["digest"].as_str().unwrap();
            let manifest: Value = serde_json::from_slice(&blob(digest)).unwrap();
            assert_eq!(manifest["artifactType"], attached["artifact-type"]);
            assert_eq!(manifest["subject"]["digest"], plugin["output"]["digest"]);
            let file = format!("sbom/greeting/{}.{extension}.json", plugin["path"].as_str().unwrap());
            let written = fs::read(example.path(&file)).unwrap();
            assert!(blob(manifest["layers"][0]["digest"].as_str().unwrap()) == written, "{file}");
            assert!(said.contains(&format!("@{digest} (")), "{said}");
        }
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
