//! rhdh-cli's tree as factory unpacks it from a package-lock: which packages, the files as npm would write them, and what
//! is left to npm. `tests/real` compares with npm itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use factory::interrupt::Interrupt;
use factory::lock::{Integrity, Sha256};
use factory::npm::package_lock::{InstallPlatform, PackageTree};
use factory::npm::package_unpack::{PackageTarball, UnpackFault, WrittenFiles};
use factory::npm::registry::NpmRegistry;
use factory::npm::resolve_documents;
use factory::npm::settings::{NpmSettings, NpmSurroundings};
use harness::npm_registry::{CLI, LINK, Registry, npm_package};
use harness::program::{Test, names};
use serde_json::{Value, json};

use crate::bad_plugin::workspace;

const X64: InstallPlatform<'static> =
    InstallPlatform { cpu: "x64", libc: Some("glibc"), node: "22.9.0", npm: "11.5.0" };

/// A package-lock with these packages, each of version 1.0.0 unless it says another.
fn package_lock(packages: &Value) -> Vec<u8> {
    let mut all = serde_json::Map::new();
    for (path, package) in packages.as_object().unwrap() {
        let mut entry = json!({ "version": "1.0.0", "integrity": Integrity::of(path).to_string() });
        if path.is_empty() {
            entry = json!({});
        }
        let entry = entry.as_object_mut().unwrap();
        entry.extend(package.as_object().unwrap().clone());
        entry.retain(|_, value| !value.is_null());
        all.insert(path.clone(), Value::Object(entry.clone()));
    }
    json!({ "lockfileVersion": 3, "packages": all }).to_string().into_bytes()
}

/// The paths that are installed.
fn paths(packages: &Value, platform: InstallPlatform<'_>) -> Vec<String> {
    let tree = PackageTree::read(&package_lock(packages), platform).unwrap();
    tree.packages.into_iter().map(|package| package.path).collect()
}

#[harness::test]
fn optional_packages_are_chosen_by_platform_with_all_that_only_they_need() {
    let packages = json!({
        "": { "dependencies": { "a": "1" } },
        "node_modules/a": { "optionalDependencies": { "arm": "1", "x64": "1", "musl": "1", "wasm": "1", "old": "1" } },
        "node_modules/arm": { "optional": true, "os": ["linux"], "cpu": ["arm64"] },
        "node_modules/x64": { "optional": true, "os": ["!win32"], "cpu": "x64", "libc": ["glibc"] },
        "node_modules/musl": { "optional": true, "os": ["linux"], "libc": ["musl"] },
        "node_modules/wasm": { "optional": true, "cpu": ["wasm32"], "dependencies": { "runtime": "1", "shared": "1" } },
        "node_modules/runtime": { "optional": true, "dependencies": { "deep": "1" } },
        "node_modules/deep": { "optional": true },
        "node_modules/shared": { "optional": true },
        "node_modules/x64/node_modules/needs-shared": { "optional": true, "peerDependencies": { "shared": "1" } },
        "node_modules/old": { "optional": true, "engines": { "node": ">=24" } },
        "node_modules/peer-of-nobody": { "extraneous": true, "os": ["win32"] },
        "node_modules/plain": { "engines": { "node": ">=24" }, "os": ["any"] },
    });
    let all = |platform| paths(&packages, platform).join(" ").replace("node_modules/", "");
    assert_eq!(all(X64), "a x64 shared x64/needs-shared plain");
    let arm = InstallPlatform { cpu: "arm64", libc: Some("musl"), node: "24.1.0", npm: "11.5.0" };
    assert_eq!(all(arm), "a arm musl shared x64/needs-shared old plain");
    assert_eq!(all(InstallPlatform { libc: None, ..X64 }), "a shared x64/needs-shared plain");
}

#[harness::test]
fn what_only_npm_knows_is_left_to_it() {
    for (path, package, why) in [
        ("node_modules/a", json!({ "link": true, "resolved": "../a" }), "`node_modules/a` is a link"),
        ("node_modules/a", json!({ "inBundle": true }), "`node_modules/a` is bundled with another package"),
        ("node_modules/a", json!({ "bundleDependencies": ["b"] }), "`node_modules/a` bundles packages"),
        ("node_modules/a", json!({ "hasShrinkwrap": true }), "`node_modules/a` has a shrinkwrap of its own"),
        ("node_modules/a", json!({ "resolved": "http://x/a.tgz" }), "`node_modules/a` has an address of its own"),
        ("node_modules/a", json!({ "integrity": null }), "`node_modules/a` has no SHA-512"),
        ("node_modules/a", json!({ "integrity": "sha1-x" }), "`node_modules/a` has no SHA-512"),
        ("node_modules/a", json!({ "version": "file:../a" }), "`node_modules/a` has no version"),
        ("node_modules/a", json!({ "name": "../a" }), "`node_modules/a` has no package's name"),
        ("node_modules/a", json!({ "bin": ["a"] }), "`a` has programs in a form of its own"),
        ("node_modules/a", json!({ "cpu": ["arm64"] }), "`node_modules/a` is not for this platform"),
        (
            "node_modules/a",
            json!({ "dependencies": { "b": "1" } }),
            "`node_modules/a` needs `b`, which is not in the package-lock",
        ),
        (
            "node_modules/a",
            json!({ "optional": true, "engines": { "node": "newest" } }),
            "`newest` is no range of versions of node",
        ),
        ("node_modules/../../a", json!({}), "`node_modules/../../a` is not a path in `node_modules`"),
        ("node_modules/a/lib", json!({}), "`node_modules/a/lib` is not a path in `node_modules`"),
        ("packages/a", json!({}), "`packages/a` is not a path in `node_modules`"),
        ("", json!({ "workspaces": ["packages/*"] }), "the package-lock has workspaces"),
    ] {
        let read = PackageTree::read(&package_lock(&json!({ path: package })), X64);
        assert_eq!(read.unwrap_err().to_string(), why);
    }
    let old = br#"{"lockfileVersion": 1, "packages": {}}"#;
    assert_eq!(PackageTree::read(old, X64).unwrap_err().to_string(), "the package-lock has version 1");
}

#[harness::test]
fn links_to_programs_are_named_as_npm_names_them() {
    let packages = json!({
        "node_modules/jest": { "bin": { "jest": "bin/jest.js" } },
        "node_modules/Jest2": { "bin": { "jest": "bin/jest.js" } },
        "node_modules/@x/jest": { "bin": { "jest": "./bin//jest.js", "../../up": "/../../../etc/x", "..": "y" } },
        "node_modules/jest/node_modules/@x/tool": { "bin": "tool.js" },
        "node_modules/alias": { "name": "@y/named", "bin": "named.js" },
    });
    let tree = PackageTree::read(&package_lock(&packages), X64).unwrap();
    let links: Vec<_> = tree.links.iter().map(|link| format!("{} -> {}", link.at, link.target)).collect();
    assert_eq!(
        links,
        [
            "node_modules/.bin/jest -> ../@x/jest/bin/jest.js",
            "node_modules/.bin/up -> ../@x/jest/etc/x",
            "node_modules/.bin/named -> ../alias/named.js",
            "node_modules/jest/node_modules/.bin/tool -> ../@x/tool/tool.js",
        ]
    );
    assert_eq!(tree.packages.last().unwrap().name, "@y/named");
}

/// Unpacks a package to `node_modules/a`.
fn unpack(root: &Path, entries: &[(&str, u32, &str)]) -> Result<WrittenFiles, String> {
    let tarball = root.join("a.tgz");
    fs::write(&tarball, npm_package(entries)).unwrap();
    fs::create_dir_all(root.join("node_modules/a")).unwrap();
    let programs = ["bin/a".to_owned()].into();
    let package = PackageTarball { file: &tarball, name: "a@1.0.0", programs: &programs };
    package.unpack(root, &["node_modules/a"]).map_err(|fault| match fault {
        UnpackFault::Unfamiliar(why) => why.to_string(),
        UnpackFault::Failed(error) => panic!("{error}"),
    })
}

#[harness::test]
fn files_have_the_modes_and_names_that_npm_gives_them() {
    let dir = tempfile::tempdir().unwrap();
    let entries = [
        ("package.json", 0o600, "{}"),
        ("bin/a", 0o644, "#!/bin/sh\n"),
        ("run.sh", 0o4775, ""),
        ("odd", 0o744, "first"),
        ("odd", 0o644, "second"),
        (".gitignore", 0o644, "git"),
        ("lib/.npmignore", 0o644, "npm"),
        ("lib/.gitignore", 0o644, "git"),
        ("./x//y.js", 0o644, ""),
        ("empty/", 0o700, ""),
        ("link", LINK, ""),
    ];
    let written = unpack(dir.path(), &entries).unwrap();
    let root = dir.path().join("node_modules/a");
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    for (path, expected, kind, content) in [
        ("package.json", 0o644, '-', "{}"),
        ("bin/a", 0o755, 'x', "#!/bin/sh\n"),
        ("run.sh", 0o755, 'x', ""),
        ("odd", 0o644, '-', "second"),
        (".npmignore", 0o644, '-', "git"),
        ("lib/.npmignore", 0o644, '-', "npm"),
        ("x/y.js", 0o644, '-', ""),
    ] {
        assert_eq!(
            (mode(path), fs::read_to_string(root.join(path)).unwrap()),
            (expected, content.to_owned()),
            "{path}"
        );
        let known = &written[&format!("node_modules/a/{path}")];
        assert_eq!((known.kind, known.sha256), (kind, Sha256::of(content)), "{path}");
    }
    assert_eq!(written.len(), 7);
    assert_eq!(names(&root), [".npmignore", "bin", "empty", "lib", "odd", "package.json", "run.sh", "x"]);
    assert!(["bin", "empty", "lib", "x"].iter().all(|folder| mode(folder) == 0o755));
}

#[harness::test]
fn a_tarball_that_leaves_its_folder_is_not_unpacked() {
    for (path, mode, why) in [
        ("../../../out", 0o644, "`a@1.0.0` contains `package/../../../out`"),
        ("a/../../out", 0o644, "`a@1.0.0` contains `package/a/../../out`"),
        ("..\\out", 0o644, "`a@1.0.0` contains `package/..\\\\out`"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        fs::create_dir(&root).unwrap();
        assert_eq!(unpack(&root, &[(path, mode, "x")]).unwrap_err(), why);
        assert_eq!(names(dir.path()), ["tree"]);
        assert_eq!(names(&root), ["a.tgz", "node_modules"]);
        assert_eq!(names(&root.join("node_modules/a")), [""; 0]);
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(unpack(dir.path(), &[("a", 0o644, ""), ("a/b", 0o644, "")]).unwrap_err().ends_with("a/a` is there twice"));
}

/// A workspace whose CLI has this tree beside its own entry, and the registry that has the packages.
fn with_tree(packages: &[(&str, &str, Vec<u8>)], entries: &Value) -> (Test, Registry) {
    let mut test = workspace(&[("plugins/a", "frontend-plugin", "")], Some("plugins/a:\n"));
    let registry = Registry::of_packages(packages);
    let tree = json!({ "name": "rhdh-cli-tree", "lockfileVersion": 3, "packages": entries });
    test.config(&format!("factory.lock.d/rhdh-cli/{CLI}/package-lock.json"), format!("{tree:#}\n"));
    test.env("NPM_CONFIG_REGISTRY", &registry.url);
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    (test, registry)
}

const CLI_NAME: &str = "@red-hat-developer-hub/cli";

fn cli_package() -> Vec<u8> {
    npm_package(&[("package.json", 0o644, "{}"), ("bin/rhdh-cli", 0o644, "#!/usr/bin/env node\r\nsecond\r\n")])
}

/// The entry of the CLI in the cache.
fn installed(test: &Test) -> std::path::PathBuf {
    let tools = test.path("cache/tools");
    let name = names(&tools).into_iter().find(|name| name.starts_with("rhdh-cli-")).unwrap();
    tools.join(name)
}

#[harness::test]
fn a_tree_is_unpacked_without_npm_and_listed() {
    let (cli, shared) = (cli_package(), npm_package(&[("index.js", 0o644, "shared")]));
    let of = |tarball: &Vec<u8>| Integrity::of(tarball).to_string();
    let shared_entry = json!({ "version": "2.0.0", "integrity": of(&shared) });
    let entries = json!({
        "": { "dependencies": { CLI_NAME: CLI } },
        format!("node_modules/{CLI_NAME}"): {
            "version": CLI, "integrity": of(&cli), "bin": { "rhdh-cli": "bin/rhdh-cli", "missing": "nothing" },
            "dependencies": { "shared": "2" },
        },
        format!("node_modules/{CLI_NAME}/node_modules/shared"): shared_entry,
        "node_modules/again": { "name": "shared", "version": "2.0.0", "integrity": of(&shared) },
    });
    let (test, registry) = with_tree(&[(CLI_NAME, CLI, cli), ("shared", "2.0.0", shared)], &entries);
    // The tools do nothing, so that nothing is exported.
    test.run(&["fetch"]);
    let log = test.read("cache/logs/rhdh-cli.log");
    assert_eq!(log, "unpack 2 packages to 3 places\n");
    let asked = registry.asked();
    let tarballs = |name: &str| asked.iter().filter(|path| path.ends_with(&format!("{name}.tgz"))).count();
    assert_eq!((tarballs("/cli-1.9.1"), tarballs("/shared-2.0.0")), (1, 1));
    let entry = installed(&test);
    let modules = entry.join("node_modules");
    assert_eq!(fs::read_to_string(modules.join("again/index.js")).unwrap(), "shared");
    assert_eq!(fs::read_to_string(modules.join(CLI_NAME).join("node_modules/shared/index.js")).unwrap(), "shared");
    // Its first line ends as the kernel wants it; the others stay.
    let program = modules.join(".bin/rhdh-cli");
    assert_eq!(fs::read_link(&program).unwrap(), Path::new("../@red-hat-developer-hub/cli/bin/rhdh-cli"));
    assert_eq!(fs::read_to_string(&program).unwrap(), "#!/usr/bin/env node\nsecond\r\n");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(names(&modules.join(".bin")), ["rhdh-cli"]);
    // What was written is what the list says: the next run reads all of it, and fetches nothing.
    let before = registry.asked().len();
    let stderr = test.run(&["build", "--frozen"]).stderr;
    assert!(!stderr.contains("damaged"), "{stderr}");
    assert_eq!(registry.asked().iter().skip(before).filter(|path| path.contains(".tgz")).count(), 0);
    fs::write(modules.join("again/index.js"), "broken").unwrap();
    let stderr = test.run(&["build"]).stderr;
    assert!(stderr.contains("node_modules/again/index.js` was changed"), "{stderr}");
}

#[harness::test]
fn a_tree_with_something_else_is_installed_by_npm() {
    let cli = cli_package();
    let entries = json!({
        "": { "dependencies": { CLI_NAME: CLI } },
        format!("node_modules/{CLI_NAME}"): { "version": CLI, "integrity": Integrity::of(&cli).to_string() },
        "node_modules/a": { "version": "1.0.0", "integrity": Integrity::of("a").to_string(), "inBundle": true },
    });
    let (test, registry) = with_tree(&[(CLI_NAME, CLI, cli)], &entries);
    test.run(&["fetch"]);
    let log = test.read("cache/logs/rhdh-cli.log");
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some("left to `npm ci`: `node_modules/a` is bundled with another package"));
    assert!(lines.next().is_some_and(|line| line.contains("npm-cli.js ci --ignore-scripts")), "{log}");
    assert!(!registry.asked().iter().any(|path| path.ends_with("/cli-1.9.1.tgz")));
    assert_eq!(names(&installed(&test)), [".factory-files", ".factory-seen", "package-lock.json", "package.json"]);
}

#[harness::test]
fn other_bytes_than_the_lock_says_are_refused() {
    let cli = cli_package();
    let entries = json!({
        "": { "dependencies": { CLI_NAME: CLI } },
        format!("node_modules/{CLI_NAME}"): {
            "version": CLI, "integrity": Integrity::of(&cli).to_string(), "dependencies": { "a": "1" },
        },
        "node_modules/a": { "version": "1.0.0", "integrity": Integrity::of("what a was").to_string() },
    });
    let other = npm_package(&[("index.js", 0o644, "other")]);
    let (test, _registry) = with_tree(&[(CLI_NAME, CLI, cli), ("a", "1.0.0", other)], &entries);
    let stderr = test.run(&["fetch"]).exits(5).stderr;
    assert!(stderr.contains("error: npm package `a@1.0.0`"), "{stderr}");
    let left = names(&test.path("cache/tools"));
    assert!(!left.iter().any(|name| name.starts_with("rhdh-cli-")), "{left:?}");
}

/// The documents that are fetched for `root@^1`, by name.
fn fetched(registry: &Registry) -> BTreeMap<String, Value> {
    let variables = [("npm_config_registry".to_owned(), registry.url.clone())].into();
    let surroundings = NpmSurroundings { variables, folder: "/".into(), config_dir: None };
    let asked = NpmRegistry::new(NpmSettings::read(&surroundings), &Interrupt::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut all = BTreeMap::new();
    let take = |name: &str, document: Vec<u8>| {
        assert!(!document.contains(&b'\n'), "{name}");
        all.insert(name.to_owned(), serde_json::from_slice(&document).unwrap());
        Ok(())
    };
    runtime.block_on(resolve_documents::fetch(&asked, ("root", "^1"), "22.9.0", take)).unwrap();
    all
}

#[harness::test]
fn the_documents_of_a_resolve_are_those_of_the_versions_that_npm_chooses() {
    let version = |number: &str, more: Value| {
        let dist = json!({ "tarball": "http://x/", "integrity": "sha512-x", "signatures": [1] });
        let mut version = json!({ "name": "a", "version": number, "dist": dist, "readme": "long\ntext" });
        version.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (number.to_owned(), version)
    };
    let document = |name: &str, latest: &str, versions: Vec<(String, Value)>| {
        let versions: serde_json::Map<_, _> = versions.into_iter().collect();
        json!({ "name": name, "dist-tags": { "latest": latest }, "versions": versions, "readme": "long", "time": {} })
    };
    let leaf = |name: &str| document(name, "1.0.0", vec![version("1.0.0", json!({}))]);
    let of_root = vec![
        version("1.0.0", json!({ "dependencies": { "old": "1" } })),
        version(
            "1.1.0",
            json!({
                "dependencies": { "a": "1", "alias": "npm:@s/b@^1.0.0", "git": "github:x/y", "gone": "1", "../up": "1" },
                "optionalDependencies": { "optional": "*" },
                "peerDependencies": { "peer": ">=1" },
            }),
        ),
        version("1.2.0", json!({ "deprecated": "no", "dependencies": { "of-deprecated": "1" } })),
        version("1.3.0", json!({ "engines": { "node": ">=24" }, "dependencies": { "of-newer-node": "1" } })),
        version("2.0.0", json!({ "dependencies": { "of-two": "1" } })),
    ];
    let registry = Registry::of_documents(&[
        ("root", document("root", "2.0.0", of_root)),
        ("a", document("a", "1.0.0", vec![version("1.0.0", json!({ "dependencies": { "root": "1", "deep": "" } }))])),
        ("@s/b", leaf("@s/b")),
        ("optional", leaf("optional")),
        ("peer", leaf("peer")),
        ("deep", leaf("deep")),
        ("old", leaf("old")),
    ]);
    let all = fetched(&registry);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["@s/b", "a", "deep", "optional", "peer", "root"]);
    // Every version is there, with what npm writes into a package-lock.
    let root = &all["root"];
    assert_eq!(root["versions"].as_object().unwrap().len(), 5);
    assert_eq!(root["dist-tags"], json!({ "latest": "2.0.0" }));
    let deprecated = json!({
        "name": "a", "version": "1.2.0", "dist": { "tarball": "http://x/", "integrity": "sha512-x" },
        "deprecated": "no", "dependencies": { "of-deprecated": "1" },
    });
    assert_eq!(root["versions"]["1.2.0"], deprecated);
    let mut asked = registry.asked();
    asked.sort();
    assert_eq!(asked, ["/@s%2fb", "/a", "/deep", "/gone", "/optional", "/peer", "/root"]);
}
