//! The vectors of `tests/data/build-args`: made-up repositories and the arguments their plugin needs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use factory::lock::Sha256;
use factory::resolve::build_args::{ComputedArgs, DiagnosticKind, RegistryManifests, Severity, compute};
use factory::resolve::facts::HostFacts;
use factory::resolve::host::HostLock;
use factory::yarn::graph::{DependencyGraph, Manifests};
use factory::yarn::lockfile::YarnLock;
use factory::yarn::platform::Platform;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Vector {
    title: String,
    packages: BTreeMap<String, Map<String, Value>>,
    #[serde(rename = "yarn.lock")]
    lock: String,
    closed: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../data/build-args/vectors.json")).unwrap()
}

/// The host of the vectors: what their titles do not call missing.
fn host() -> HostLock {
    let mut text = String::from("__metadata:\n  version: 8\n");
    for name in [
        "@backstage/backend-plugin-api",
        "@backstage/backend-defaults",
        "@backstage/catalog-model",
        "@backstage/config",
        "@backstage/plugin-catalog-node",
        "better-sqlite3",
    ] {
        write!(text, "\n\"{name}@npm:^1\":\n  version: 1.0.0\n  resolution: \"{name}@npm:1.0.0\"\n").unwrap();
    }
    HostLock::parse(text.as_bytes(), Path::new("host.lock"), "the RHDH 1.9 host lockfile").unwrap()
}

fn run(lock: &str, packages: &BTreeMap<String, Map<String, Value>>) -> ComputedArgs {
    let files: BTreeMap<String, Vec<u8>> =
        packages.iter().map(|(path, manifest)| (path.clone(), serde_json::to_vec(manifest).unwrap())).collect();
    let lock = YarnLock::parse(lock.as_bytes(), Path::new("yarn.lock")).unwrap();
    let manifests = Manifests::parse(&lock, &files).unwrap();
    let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
    compute(&graph, "plugins/x", &host(), &RegistryManifests::new()).unwrap()
}

fn line(computed: &ComputedArgs) -> String {
    computed.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What is wanted where the vector records what the tool it was taken from printed.
fn wanted(vector: &Vector) -> &str {
    match vector.title.as_str() {
        // The host has the mandatory native: shared, and its parent embedded.
        "mandatory native (better-sqlite3)" => "--embed-package ckpt --shared-package better-sqlite3",
        // No registry has a private package.
        "workspace lib without @backstage deps (unpublished)" => "--embed-package @s/util",
        _ => &vector.closed,
    }
}

#[harness::test]
fn computes_the_arguments_of_every_vector() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 22);
    for vector in &vectors {
        let computed = run(&vector.lock, &vector.packages);
        assert_eq!(line(&computed), wanted(vector), "{}", vector.title);
    }
}

#[harness::test]
fn reports_what_the_vectors_run_into() {
    let mut found = BTreeMap::new();
    for vector in vectors() {
        let computed = run(&vector.lock, &vector.packages);
        let lines: Vec<_> = computed
            .diagnostics
            .iter()
            .map(|diagnostic| {
                let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
                format!("{severity}: {diagnostic}")
            })
            .collect();
        if !lines.is_empty() {
            found.insert(vector.title, lines);
        }
    }
    let expected = [
        (
            "lib has @backstage/* in optionalDependencies",
            "error: `@backstage/catalog-model` is an optional dependency of `lib`: rhdh-cli leaves only required ones to the host, and fails on it",
        ),
        (
            "npm alias",
            "error: `lib-alias` must be embedded, but `@s/x-backend` depends on it as `npm:lib@^1.0.0`: rhdh-cli does not support npm aliases",
        ),
        (
            "patched dependency",
            "error: `lib` must be embedded, but `@s/x-backend` depends on it as `patch:lib@npm%3A^1.0.0#~/.yarn/patches/lib.patch`: rhdh-cli does not support `patch:` ranges",
        ),
        (
            "peerDependency on a missing @backstage package",
            "warning: `@s/x-backend` requires `@backstage/plugin-missing-node@^0.1.0` from the host, which does not provide it",
        ),
        (
            "two versions of a lib: root hoists the other one",
            "warning: `natty` is native (marker `bindings`), cannot be left out (lib → natty), and the host does not have it",
        ),
    ];
    let expected: BTreeMap<String, Vec<String>> =
        expected.into_iter().map(|(title, line)| (title.to_owned(), vec![line.to_owned()])).collect();
    assert_eq!(found, expected);
}

#[harness::test]
fn every_argument_has_its_reason() {
    let mut reasons = BTreeMap::new();
    for vector in vectors() {
        for arg in run(&vector.lock, &vector.packages).args {
            reasons.entry(arg.to_string()).or_insert(arg.reason.to_string());
        }
    }
    let expected = [
        (
            "--embed-package @backstage/plugin-missing-node",
            "@backstage/plugin-missing-node is not in the RHDH 1.9 host lockfile",
        ),
        (
            "--embed-package ckpt",
            "ckpt depends on the native package better-sqlite3, which is in the RHDH 1.9 host lockfile",
        ),
        ("--embed-package lib", "lib depends on @backstage/catalog-model"),
        (
            "--shared-package !@backstage/plugin-missing-node",
            "@backstage/plugin-missing-node is not in the RHDH 1.9 host lockfile",
        ),
        (
            "--shared-package better-sqlite3",
            "better-sqlite3 has the marker `bindings`, reached by ckpt → better-sqlite3, and is in the RHDH 1.9 host lockfile",
        ),
        (
            "--suppress-native-package cpu-features",
            "cpu-features has the marker `nan`, reached by ssh2 → cpu-features, optional",
        ),
    ];
    for (arg, reason) in expected {
        assert_eq!(reasons.get(arg).map(String::as_str), Some(reason), "{arg}");
    }
}

/// The same repository as yarn 1 locks it: no workspaces, no `npm:`, no conditions, optional dependencies apart.
fn as_v1(lock: &str) -> String {
    let lock = YarnLock::parse(lock.as_bytes(), Path::new("yarn.lock")).unwrap();
    let mut text = String::from("# yarn lockfile v1\n\n");
    let bare = |range: &str| match range.strip_prefix("npm:") {
        Some(rest) if !rest.contains('@') => rest.to_owned(),
        _ => range.to_owned(),
    };
    for entry in lock.entries.iter().filter(|entry| entry.workspace_path().is_none()) {
        let keys: Vec<_> = entry
            .descriptors
            .iter()
            .map(|descriptor| format!("\"{}@{}\"", descriptor.name, bare(&descriptor.range)))
            .collect();
        writeln!(text, "{}:\n  version \"{}\"", keys.join(", "), entry.version).unwrap();
        for (section, optional) in [("dependencies", false), ("optionalDependencies", true)] {
            let mut lines = entry.dependencies.iter().filter(|one| one.optional == optional).peekable();
            if lines.peek().is_some() {
                writeln!(text, "  {section}:").unwrap();
            }
            for one in lines {
                writeln!(text, "    \"{}\" \"{}\"", one.name, bare(&one.range)).unwrap();
            }
        }
        text.push('\n');
    }
    text
}

#[harness::test]
fn computes_the_same_from_a_v1_lock() {
    let mut count = 0;
    for mut vector in vectors() {
        // Yarn 1 has no `patch:`.
        if vector.title == "patched dependency" {
            continue;
        }
        vector.packages.insert(".".to_owned(), Map::from_iter([("workspaces".to_owned(), vec!["plugins/*"].into())]));
        for manifest in vector.packages.values_mut() {
            for range in
                manifest.get_mut("dependencies").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
            {
                if range.as_str().is_some_and(|range| range.starts_with("workspace:")) {
                    *range = "^1.0.0".into();
                }
            }
        }
        let computed = run(&as_v1(&vector.lock), &vector.packages);
        let wanted = match vector.title.as_str() {
            // A v1 lock does not say for which platform a package is.
            "native for another platform only (conditions os=darwin)" => "--suppress-native-package darwin-only",
            _ => wanted(&vector),
        };
        assert_eq!(line(&computed), wanted, "{}", vector.title);
        let alias = computed.diagnostics.iter().any(|one| matches!(one.kind, DiagnosticKind::NpmAlias { .. }));
        assert_eq!(alias, vector.title == "npm alias");
        count += 1;
    }
    assert_eq!(count, 21);
}

#[harness::test]
fn reads_the_locks_of_rhdh_releases() {
    let data = harness::needs_folder("FACTORY_SHARED_DATA", "shared/data");
    for (file, names, sqlite) in [
        ("rhdh-1.8.7.yarn.lock", 2_883, "12.2.0"),
        ("rhdh-1.9.8.yarn.lock", 2_903, "12.2.0"),
        ("rhdh-1.10.yarn.lock", 2_932, "12.6.2"),
        ("rhdh-f81f3f06.yarn.lock", 2_931, "12.6.2"),
    ] {
        let path = data.join("host").join(file);
        let host = HostLock::parse(&std::fs::read(&path).unwrap(), &path, "the host lockfile").unwrap();
        assert_eq!(host.versions.len(), names, "{file}");
        assert_eq!(host.versions["better-sqlite3"], [sqlite], "{file}");
        assert!(host.has("@backstage/backend-plugin-api") && !host.has("@backstage/backend-common"), "{file}");
    }
}

/// The arguments of every vector against a host.
fn all_lines(host: &HostLock) -> Vec<String> {
    let of = |vector: &Vector| {
        let files: BTreeMap<String, Vec<u8>> = vector
            .packages
            .iter()
            .map(|(path, manifest)| (path.clone(), serde_json::to_vec(manifest).unwrap()))
            .collect();
        let lock = YarnLock::parse(vector.lock.as_bytes(), Path::new("yarn.lock")).unwrap();
        let manifests = Manifests::parse(&lock, &files).unwrap();
        let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
        line(&compute(&graph, "plugins/x", host, &RegistryManifests::new()).unwrap())
    };
    vectors().iter().map(of).collect()
}

#[harness::test]
fn what_is_built_in_computes_the_same_as_the_lockfile_it_was_made_from() {
    let data = harness::needs_folder("FACTORY_SHARED_DATA", "shared/data");
    for (file, name) in
        [("rhdh-1.8.7.yarn.lock", "1.8"), ("rhdh-1.9.8.yarn.lock", "1.9"), ("rhdh-1.10.yarn.lock", "1.10")]
    {
        let bytes = std::fs::read(data.join("host").join(file)).unwrap();
        let facts = HostFacts::named(name).unwrap().unwrap();
        assert_eq!(facts.lockfile, Sha256::of(&bytes), "{file}");
        let parsed = HostLock::parse(&bytes, Path::new(file), "the host").unwrap();
        let built_in = HostLock { label: "the host".to_owned(), versions: facts.versions, has_backstage: false };
        assert_eq!(built_in, parsed, "{file}");
        let lines = all_lines(&built_in);
        assert_eq!((lines.len(), &lines), (22, &all_lines(&parsed)), "{file}");
    }
}

/// The `package.json` files below a checkout, by folder.
fn manifests(root: &Path, folder: &str, out: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == "package.json" {
            out.insert(folder.to_owned(), std::fs::read(entry.path()).unwrap());
        } else if entry.file_type().unwrap().is_dir() && name != "node_modules" && !name.starts_with('.') {
            let below = if folder == "." { name } else { format!("{folder}/{name}") };
            manifests(root, &below, out);
        }
    }
}

/// Needs a checkout of github.com/awslabs/backstage-plugins-for-aws at 3a5efbf.
#[harness::test(ignored)]
fn reproduces_the_known_line_of_a_public_repository() {
    let data = harness::needs_folder("FACTORY_SHARED_DATA", "shared/data");
    let root = harness::needs_folder("FACTORY_AWS_CHECKOUT", "backstage-plugins-for-aws");
    let path = data.join("host/rhdh-f81f3f06.yarn.lock");
    let host = HostLock::parse(&std::fs::read(&path).unwrap(), &path, "the host lockfile").unwrap();
    let text = std::fs::read(root.join("yarn.lock")).unwrap();
    let lock = YarnLock::parse(&text, Path::new("yarn.lock")).unwrap();
    let mut files = BTreeMap::new();
    manifests(&root, ".", &mut files);
    let manifests = Manifests::parse(&lock, &files).unwrap();
    let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
    let computed = compute(&graph, "plugins/ecs/backend", &host, &RegistryManifests::new()).unwrap();
    assert_eq!(
        line(&computed),
        "--embed-package @aws/aws-core-plugin-for-backstage-common --embed-package @aws/aws-core-plugin-for-backstage-node \
         --embed-package @backstage/backend-common --shared-package !@backstage/backend-common --suppress-native-package cpu-features"
    );
    assert_eq!(computed.diagnostics, []);
}
