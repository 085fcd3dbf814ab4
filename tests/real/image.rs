//! Our archives and layouts in the hands of the programs that will read them: skopeo, umoci, Python, node-tar, npm.
//!
//! Needs skopeo, umoci, python3, node and npm.

use std::fs;
use std::path::Path;

use factory::image::{Compression, Layout};
use harness::package::{EPOCH, make, output, run, tree};
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[harness::test]
fn skopeo_reads_every_image_of_a_layout() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::open(&dir.path().join("oci")).unwrap();
    let made = [
        make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip),
        make(dir.path(), "@x/plugin_two", "1.0.0-rc.1+build.5", Compression::Gzip),
        make(dir.path(), "@x/plugin__three", "0.1.0--x", Compression::Gzip),
    ];
    for made in &made {
        layout.add(&made.image).unwrap();
    }
    for made in &made {
        let reference = format!("oci:{}:{}", text(layout.folder()), made.image.reference());
        let raw = output("skopeo", &["inspect", "--raw", &reference]);
        assert!(raw.status.success(), "{}", String::from_utf8_lossy(&raw.stderr));
        assert_eq!(raw.stdout, made.image.manifest);

        let inspected: Value = serde_json::from_str(&run("skopeo", &["inspect", &reference])).unwrap();
        assert_eq!(inspected["Digest"], made.image.digest.to_string());
        assert_eq!((&inspected["Os"], &inspected["Architecture"]), (&"linux".into(), &"amd64".into()));
        assert_eq!(inspected["Layers"], serde_json::json!([made.packed.layer.to_string()]));
        assert_eq!(inspected["Created"], "2025-11-13T02:13:20Z");

        let copy = dir.path().join("copy");
        run("skopeo", &["copy", &reference, &format!("dir:{}", text(&copy))]);
        assert_eq!(fs::read(copy.join("manifest.json")).unwrap(), made.image.manifest);
        assert_eq!(fs::read(copy.join(made.packed.layer.hex())).unwrap(), fs::read(&made.image.layer_file).unwrap());
        assert_eq!(fs::read(copy.join(made.image.config_digest.hex())).unwrap(), made.image.config);
        fs::remove_dir_all(copy).unwrap();
    }
}

#[harness::test]
fn umoci_unpacks_the_tree_of_the_tgz() {
    harness::needs(&["skopeo", "umoci"]);
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::open(&dir.path().join("oci")).unwrap();
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    layout.add(&made.image).unwrap();
    let single = dir.path().join("single");
    let from = format!("oci:{}:{}", text(layout.folder()), made.image.reference());
    run("skopeo", &["copy", &from, &format!("oci:{}:latest", text(&single))]);
    let bundle = dir.path().join("bundle");
    run("umoci", &["unpack", "--rootless", "--image", &format!("{}:latest", text(&single)), text(&bundle)]);

    let tgz = dir.path().join("tgz");
    fs::create_dir(&tgz).unwrap();
    run("tar", &["-xzf", text(&made.tgz), "-C", text(&tgz)]);
    let (installed, packed) = (tree(&bundle.join("rootfs")), tree(&tgz));
    let below = |tree: Vec<(String, bool, Vec<u8>)>, root: &str| -> Vec<_> {
        tree.into_iter().map(|(name, x, bytes)| (name.strip_prefix(root).unwrap().to_owned(), x, bytes)).collect()
    };
    let installed = below(installed, &format!("{}/", made.path));
    assert_eq!(installed.len(), made.packed.files);
    assert!(installed == below(packed, "package/"), "the trees differ");
    let source = dir.path().join("package");
    for (name, executable, bytes) in installed {
        assert_eq!(fs::read(source.join(&name)).unwrap(), bytes, "{name}");
        assert_eq!(executable, name == "dist/bin/run.sh", "{name}");
    }
}

#[harness::test]
fn tar_readers_of_the_installers_agree_on_every_entry() {
    harness::needs(&["node", "npm", "python3"]);
    let dir = tempfile::tempdir().unwrap();
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    let python = "
import sys, tarfile
for m in tarfile.open(sys.argv[1], 'r:gz'):
    print(m.name + ('/' if m.isdir() else ''), m.size, oct(m.mode), m.uid, m.gid, repr(m.uname), repr(m.gname), m.mtime, m.isreg() or m.isdir())
";
    let node = "
const tar = require(process.argv[2] + '/npm/node_modules/tar');
tar.list({ file: process.argv[1], sync: true, onReadEntry: e =>
  console.log(e.path, e.size, '0o' + e.mode.toString(8), e.uid, e.gid, `'${e.uname}'`, `'${e.gname}'`, e.mtime / 1000,
    e.type === 'File' || e.type === 'Directory' ? 'True' : e.type) });
";
    let modules = run("npm", &["root", "-g"]);
    for (file, root) in [(&made.tgz, "package"), (&made.image.layer_file, made.path.as_str())] {
        let by_python = run("python3", &["-c", python, text(file)]);
        let by_node = run("node", &["-e", node, text(file), modules.trim()]);
        assert_eq!(by_python, by_node);
        assert_eq!(
            by_python.matches("0o755").count(),
            by_python.matches("/ 0 ").count() + 1,
            "folders and one program"
        );
        for line in by_python.lines() {
            assert!(line.starts_with(&format!("{root}/")), "{line}");
            assert!(line.ends_with(&format!(" 0 0 '' '' {EPOCH} True")), "{line}");
        }
        let files = by_python.lines().filter(|line| !line.contains("/ 0 0o755")).count();
        assert_eq!(files, made.packed.files);
    }
}

#[harness::test]
fn npm_installs_the_tgz_by_its_integrity() {
    let dir = tempfile::tempdir().unwrap();
    let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
    let report = run("npm", &["pack", "--json", "--dry-run", "--offline", &format!("file:{}", text(&made.tgz))]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report[0]["id"], "@x/plugin-todo-dynamic@1.2.3");
    assert_eq!(report[0]["integrity"], made.packed.tgz.to_string());
}
