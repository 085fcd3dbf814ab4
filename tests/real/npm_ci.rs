//! A tree as factory unpacks it is the one that `npm ci` makes: every file, mode and link.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use factory::interrupt::Interrupt;
use factory::lock::Sha256;
use factory::npm::package_lock::{InstallPlatform, PackageTree};
use factory::npm::package_unpack::{PackageTarball, WrittenFiles, link_programs, make_folder};
use factory::npm::registry::NpmRegistry;
use factory::npm::resolve_documents;

/// Packages with binaries for many platforms, an alias, programs that want the same name, and a tarball with paths that
/// npm shortens.
const PACKAGES: &str = r#"{"private": true, "dependencies": {"esbuild": "0.25.0", "rollup": "4.34.0",
    "@rollup/plugin-commonjs": "26.0.3", "string-width-cjs": "npm:string-width@4.2.3", "wide": "npm:string-width@4.2.3",
    "ansi-html": "0.0.9", "ansi-html-community": "0.0.8", "semver": "7.6.0", "make-dir": "4.0.0"}}"#;

/// What is below a folder: kind, mode and content.
fn listed(folder: &Path, prefix: &str, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
        let meta = path.symlink_metadata().unwrap();
        let mode = meta.permissions().mode() & 0o7777;
        if meta.is_dir() {
            all.insert(name.clone(), format!("folder {mode:o}"));
            listed(&path, &name, all);
        } else if meta.is_symlink() {
            all.insert(name, format!("link {}", fs::read_link(&path).unwrap().display()));
        } else {
            all.insert(name, format!("{mode:o} {}", Sha256::of(fs::read(&path).unwrap())));
        }
    }
}

fn said(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("npm_config_omit_lockfile_registry_resolved", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[harness::test]
fn a_tree_is_what_npm_ci_makes_of_it() {
    harness::needs(&["node", "npm"]);
    harness::needs_npm_registry();
    let dir = tempfile::tempdir().unwrap();
    let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
    fs::create_dir(&theirs).unwrap();
    fs::create_dir(&ours).unwrap();
    fs::write(theirs.join("package.json"), PACKAGES).unwrap();
    said("npm", &["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"], &theirs);
    said("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], &theirs);

    let node = said("node", &["-p", "process.versions.node"], &theirs);
    let cpu = said("node", &["-p", "process.arch"], &theirs);
    let platform = InstallPlatform { cpu: &cpu, libc: Some("glibc"), node: &node, npm: "10.0.0" };
    let tree = PackageTree::read(&fs::read(theirs.join("package-lock.json")).unwrap(), platform).unwrap();
    let registry = NpmRegistry::of_machine(dir.path(), &Interrupt::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut written = WrittenFiles::new();
    for package in &tree.packages {
        let file = dir.path().join("package.tgz");
        runtime.block_on(registry.tarball(&package.name, &package.version, &package.integrity, &file)).unwrap();
        let mut folder = ours.clone();
        for part in package.path.split('/') {
            folder.push(part);
            make_folder(&folder).unwrap();
        }
        let tarball = PackageTarball { file: &file, name: &package.name, programs: &package.programs };
        written.extend(tarball.unpack(&ours, &[&package.path]).unwrap());
    }
    link_programs(&ours, &tree.links, &mut written).unwrap();

    let (mut of_npm, mut of_ours) = (BTreeMap::new(), BTreeMap::new());
    listed(&theirs.join("node_modules"), "node_modules", &mut of_npm);
    listed(&ours.join("node_modules"), "node_modules", &mut of_ours);
    // npm's own note of what it installed.
    of_npm.remove("node_modules/.package-lock.json").unwrap();
    assert_eq!(of_ours, of_npm);
    let files: Vec<_> = of_ours.keys().filter(|path| !ours.join(path).is_dir()).collect();
    assert_eq!(written.keys().collect::<Vec<_>>(), files);
}

#[harness::test]
fn npm_resolves_the_same_from_documents_that_it_is_handed() {
    harness::needs(&["node", "npm"]);
    harness::needs_npm_registry();
    let dir = tempfile::tempdir().unwrap();
    let resolved = |name: &str, options: &str| {
        let folder = dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("package.json"), r#"{"dependencies": {"@rollup/plugin-commonjs": "26.0.3"}}"#).unwrap();
        let output = Command::new("npm")
            .args(["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http"])
            .current_dir(&folder)
            .env("npm_config_omit_lockfile_registry_resolved", "true")
            .env("npm_config_cache", dir.path().join("npm"))
            .env("NODE_OPTIONS", options)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (fs::read_to_string(folder.join("package-lock.json")).unwrap().replace(name, "x"), said)
    };
    let script = include_str!("../../src/tools/npm_documents.cjs");
    let preload = dir.path().join("preload.cjs");
    fs::write(&preload, script).unwrap();
    let mut file = fs::File::create(dir.path().join("documents")).unwrap();
    let registry = NpmRegistry::of_machine(dir.path(), &Interrupt::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut names = Vec::new();
    let take = |name: &str, document: Vec<u8>| {
        names.push(name.to_owned());
        file.write_all(&[name.as_bytes(), b" ", &document, b"\n"].concat()).unwrap();
        Ok(())
    };
    runtime
        .block_on(resolve_documents::fetch(&registry, ("@rollup/plugin-commonjs", "26.0.3"), "22.9.0", take))
        .unwrap();
    // One that was cut short, as on a full disk, and one that was not handed out: npm asks for it itself.
    file.write_all(b"cut-short {\"name\"\n\n\n").unwrap();
    let (handed, said) = resolved("handed", &format!("--require \"{}\"", preload.display()));
    assert!(names.len() > 15, "{names:?}");
    assert!(!said.contains("http fetch GET"), "{said}");
    fs::write(dir.path().join("documents"), "\n").unwrap();
    let (missing, said) = resolved("missing", &format!("--require \"{}\"", preload.display()));
    assert!(said.contains("http fetch GET"), "{said}");
    let (alone, _) = resolved("alone", "");
    assert_eq!(handed, alone);
    assert_eq!(missing, alone);
}
