//! Bills of materials before the validators of those who specify them: needs Python and a package index.

use std::path::Path;
use std::process::Command;

use harness::releases::{factory, release};

/// Their validators, at versions that are known to agree with each other.
const VALIDATORS: [&str; 3] =
    ["cyclonedx-python-lib[json-validation]==11.12.0", "in-toto-attestation==0.9.3", "spdx-tools==0.8.5"];

#[harness::test]
fn validators_find_nothing_wrong() {
    harness::needs(&["python3"]);
    let root = tempfile::tempdir().unwrap();
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success(), "{}: {said}", program.display());
        said
    };
    let venv = root.path().join("venv");
    if !Command::new("python3").args(["-c", "import ensurepip"]).output().unwrap().status.success() {
        harness::skip_without("the module `ensurepip` of Python", "python3-venv");
    }
    run(Path::new("python3"), &["-m", "venv", venv.to_str().unwrap()]);
    let install = [&["install", "--quiet", "--disable-pip-version-check"], &VALIDATORS[..]].concat();
    let installed = Command::new(venv.join("bin/pip")).args(install).output().unwrap();
    if !installed.status.success() {
        let said = String::from_utf8_lossy(&installed.stderr).into_owned();
        harness::skip(format!("no Python package index reachable: {}", said.lines().last().unwrap_or_default()));
    }

    release(true).write(&root.path().join("config"));
    let documents = root.path().join("documents");
    for format in ["cyclonedx", "spdx", "provenance"] {
        let args = ["sbom", "--format", format, "--output", documents.to_str().unwrap()];
        factory(root.path()).args(args).assert().success();
    }
    let script = harness::project().join("tests/real/validate.py");
    let said = run(&venv.join("bin/python"), &[script.to_str().unwrap(), documents.to_str().unwrap()]);
    // The release and its ten plugins in two formats; provenance of the release and of its four sealed plugins.
    assert!(said.contains("27 documents, 0 errors"), "{said}");
}
