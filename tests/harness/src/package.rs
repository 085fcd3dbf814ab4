//! A plugin's package made at run time, and its image.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use factory::image::{
    Compression, Content, Facts, Image, ImageName, ImageNames, ImagePath, PackageFile, PackageFiles, Packed, Packing,
    Tag, pack,
};
use factory::lock::Sha256;

pub const EPOCH: u64 = 1_763_000_000;

/// Files of every kind a real plugin has: deep and long names, one that is not ASCII, an executable, an empty file,
/// a link inside the package and a large file that does not compress.
pub fn write_package(root: &Path, name: &str, version: &str) -> Vec<(String, bool)> {
    let long = format!("node_modules/{}{}.js", "deep/".repeat(20), "n".repeat(90));
    let noise: Vec<u8> =
        (0..40_000_u32).flat_map(|n| Sha256::of(n.to_le_bytes()).hex().into_bytes()[..30].to_vec()).collect();
    let package = format!(
        r#"{{"name":"{name}-dynamic","version":"{version}","description":"A “test”","license":"Apache-2.0","main":"dist/index.cjs.js","backstage":{{"role":"backend-plugin"}}}}"#
    );
    let files: Vec<(String, Vec<u8>)> = vec![
        ("package.json".to_owned(), package.into_bytes()),
        ("dist/index.cjs.js".to_owned(), b"module.exports = {};\n".to_vec()),
        ("dist/empty.js".to_owned(), Vec::new()),
        ("dist/bin/run.sh".to_owned(), b"#!/bin/sh\n".to_vec()),
        (format!("dist/{}.js", "é".repeat(40)), b"unicode".to_vec()),
        (long.clone(), b"long".to_vec()),
        (format!("dist/{}.js", "m".repeat(150)), b"longer".to_vec()),
        ("dist/noise.bin".to_owned(), noise),
    ];
    for (path, content) in &files {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), content).unwrap();
    }
    fs::set_permissions(root.join("dist/bin/run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("index.cjs.js", root.join("dist/link.js")).unwrap();
    let paths = files.into_iter().map(|(path, _)| path).chain(["dist/link.js".to_owned()]);
    paths.map(|path| (path.clone(), path == "dist/bin/run.sh")).collect()
}

pub struct Made {
    pub image: Image,
    pub packed: Packed,
    pub path: ImagePath,
    pub tgz: PathBuf,
}

/// Packs `<dir>/<name>` and assembles its image.
pub fn make(dir: &Path, name: &str, version: &str, compression: Compression) -> Made {
    let root = dir.join("package");
    let _ = fs::remove_dir_all(&root);
    let files = write_package(&root, name, version);
    pack_files(dir, &PackageFiles::select(&root, files).unwrap(), (name, version), compression)
}

/// The same of two small files, for tests that make many.
pub fn make_small(dir: &Path, name: &str, version: &str) -> Made {
    let file = |path: &str, text: String| PackageFile {
        path: path.to_owned(),
        executable: false,
        content: Content::Bytes(text.into_bytes()),
    };
    let package =
        format!(r#"{{"name":"{name}-dynamic","version":"{version}","backstage":{{"role":"backend-plugin"}}}}"#);
    let files = vec![file("package.json", package), file("dist/index.cjs.js", "module.exports = {};\n".to_owned())];
    pack_files(dir, &PackageFiles::new(files).unwrap(), (name, version), Compression::Gzip)
}

fn pack_files(dir: &Path, entries: &PackageFiles, (name, version): (&str, &str), compression: Compression) -> Made {
    let path = ImagePath::of_package(&format!("{name}-dynamic")).unwrap();
    let (tgz, layer) = (dir.join(format!("{path}.tgz")), dir.join(format!("{path}.layer")));
    let packed = pack(entries, &Packing { path: &path, epoch: EPOCH, compression }, &tgz, &layer).unwrap();
    let facts = Facts {
        source: Some("https://example.com/todo"),
        revision: Some("3fadf6b0595d1d1804f5c7f2690f4db7b81275f1"),
        version,
        epoch: EPOCH,
        inputs: Some(Sha256::of("inputs")),
    };
    let names = ImageNames {
        path: path.clone(),
        name: ImageName::of_package(name).unwrap(),
        tag: Tag::of_version("", version).unwrap(),
    };
    let package_json = entries.read("package.json").unwrap().unwrap();
    let image = Image::assemble(names, &package_json, &packed, layer, &facts).unwrap();
    Made { image, packed, path, tgz }
}

/// Runs a program and fails the test with what it said.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = output(program, args);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn output(program: &str, args: &[&str]) -> Output {
    crate::needs(&[program]);
    Command::new(program).args(args).output().unwrap_or_else(|error| panic!("`{program}` cannot be run: {error}"))
}

/// Path → (executable, content) of the regular files below a folder; anything else fails the test.
pub fn tree(root: &Path) -> Vec<(String, bool, Vec<u8>)> {
    let mut out = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path);
                continue;
            }
            assert!(meta.is_file(), "{}", path.display());
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            out.push((name, meta.permissions().mode() & 0o100 != 0, fs::read(&path).unwrap()));
        }
    }
    out.sort();
    out
}
