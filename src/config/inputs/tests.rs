use super::*;

use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A configuration directory made of files.
fn config(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn list(text: &str) -> PluginsList {
    PluginsList::parse(text, Path::new("plugins-list.yaml")).unwrap()
}

fn paths(inputs: &ConfigInputs) -> Vec<&str> {
    inputs.files.iter().map(|input| input.path.as_str()).collect()
}

/// The error of reading a configuration without a list, the directory shown as `[dir]`.
fn refused(dir: &tempfile::TempDir) -> String {
    read_all(dir).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "[dir]")
}

fn read_all(dir: &tempfile::TempDir) -> Result<ConfigInputs> {
    read(dir.path(), dir.path(), None)
}

#[test]
fn every_file_that_a_build_uses_is_an_input() {
    let dir = config(&[
        ("patches/10-b.patch", "b"),
        ("patches/1-a.patch", "a"),
        ("patches/README.md", ""),
        ("patches/more/x.patch", ""),
        ("patches/no-ending", "--- a/x\n+++ b/x\n"),
        ("patches/2-c.patch.bak", ""),
        ("patches/.gitkeep", ""),
        ("patches/series.txt", "1-a.patch\n"),
        ("patches/old.diff", ""),
        ("plugins/todo/scalprum-config.json", "{}"),
        ("plugins/todo/app-config.dynamic.yaml", "a: 1\n"),
        ("plugins/todo/overlay/.npmrc", "x"),
        ("plugins/todo/overlay/src/deep/index.ts", "y"),
        ("plugins/todo/README.md", ""),
        ("plugins/old/overlays/index.ts", "z"),
        ("plugins/typo/overlay/index.ts", "z"),
        ("overlay/root.ts", "r"),
        ("backstage.json", "{\"version\":\"1.49.4\"}"),
        ("metadata/x.yaml", ""),
        ("source.json", "{}"),
    ]);
    fs::set_permissions(dir.path().join("plugins/old/overlays/index.ts"), fs::Permissions::from_mode(0o755)).unwrap();
    let inputs = read(dir.path(), dir.path(), Some(&list("plugins/todo:\nplugins/old:\n.:\n"))).unwrap();
    assert_eq!(
        paths(&inputs),
        [
            "backstage.json",
            "overlay/root.ts",
            "patches/1-a.patch",
            "patches/10-b.patch",
            "plugins/old/overlays/index.ts",
            "plugins/todo/app-config.dynamic.yaml",
            "plugins/todo/overlay/.npmrc",
            "plugins/todo/overlay/src/deep/index.ts",
            "plugins/todo/scalprum-config.json",
        ]
    );
    assert_eq!(inputs.files[2].sha256, Sha256::of("a"));
    let executable: Vec<_> = inputs.files.iter().filter(|input| input.executable).map(|input| &input.path).collect();
    assert_eq!(executable, ["plugins/old/overlays/index.ts"]);
    assert_eq!(inputs.supported_versions.as_deref(), Some("1.49.4"));
    assert_eq!(
        warnings(&dir, &inputs),
        [
            "[dir]/patches/2-c.patch.bak: is not applied: only `*.patch` is",
            "[dir]/patches/more: its patches are not applied: only those in `patches` itself are",
            "[dir]/patches/no-ending: is not applied: only `*.patch` is",
            "[dir]/patches/old.diff: is not applied: only `*.patch` is",
            "[dir]/plugins/typo: `plugins/typo` is not in plugins-list.yaml, so its files are not used",
        ]
    );
}

fn warnings(dir: &tempfile::TempDir, inputs: &ConfigInputs) -> Vec<String> {
    let shown = |warning: &Warning| warning.to_string().replace(dir.path().to_str().unwrap(), "[dir]");
    inputs.warnings.iter().map(shown).collect()
}

#[test]
fn what_is_not_used_is_named_with_what_would_be() {
    let dir = config(&[
        ("plugins-list.yml", ""),
        ("fix.patch", ""),
        ("patch", "--- x\n+++ x\n"),
        ("overlays/x", ""),
        ("app-config.dynamic.yaml", "a: 1\n"),
        ("plugins/a/app-config.dynamic.yml", ""),
        ("plugins/a/overlay/scalprum-config.json", "{}"),
        ("plugins/a/scalprum-config.yaml", ""),
    ]);
    let list = list("plugins/a:\n");
    let inputs = read(dir.path(), dir.path(), Some(&list)).unwrap();
    assert_eq!(paths(&inputs), ["plugins/a/overlay/scalprum-config.json"]);
    assert_eq!(
        warnings(&dir, &inputs),
        [
            "[dir]/app-config.dynamic.yaml: is not used: it is for the plugin `.`, which is not in plugins-list.yaml",
            "[dir]/fix.patch: is not applied: only `patches/*.patch` is",
            "[dir]/overlays: is not used: it is for the plugin `.`, which is not in plugins-list.yaml",
            "[dir]/patch: is not applied: only `patches/*.patch` is",
            "[dir]/plugins-list.yml: is not read: the list is `plugins-list.yaml`",
            "[dir]/plugins/a/app-config.dynamic.yml: is not read: the file is `app-config.dynamic.yaml`",
            "[dir]/plugins/a/scalprum-config.yaml: is not read: the file is `scalprum-config.json`",
        ]
    );
}

#[test]
fn what_is_normal_beside_a_configuration_is_not_named() {
    let dir = config(&[
        ("README.md", "apply `x.patch`"),
        ("cve-backports.yaml", ""),
        ("metadata/backstage-plugin-a.yaml", ""),
        ("smoke-tests/app-config.yaml", ""),
        ("plugins-list.yaml", ""),
        ("source.json", "{}"),
        ("patches/README.md", "--- a\n\n+++ b"),
        ("patches/series", "1.patch"),
        ("plugins/a/README.md", ""),
        ("patch/notes.txt", ""),
        ("tests/overlay/x", ""),
    ]);
    assert_eq!(warnings(&dir, &read(dir.path(), dir.path(), Some(&list("plugins/a:\n"))).unwrap()), [""; 0]);
}

#[test]
fn without_a_list_every_folder_with_a_plugins_file_is_one() {
    let dir = config(&[
        ("scalprum-config.json", "{}"),
        ("plugins/a/overlay/x", ""),
        ("plugins/a/overlay/overlay/y", ""),
        ("packages/deep/er/b/app-config.dynamic.yaml", "a: b\n"),
        ("node_modules/c/overlay/x", ""),
        ("e2e-tests/overlay/x", ""),
        (".cache/overlay/x", ""),
        ("other/source.json", "{}"),
        ("other/plugins/d/overlay/x", ""),
        ("clone/.git/HEAD", ""),
        ("clone/plugins/e/overlay/x", ""),
    ]);
    let inputs = read_all(&dir).unwrap();
    assert_eq!(
        paths(&inputs),
        [
            "packages/deep/er/b/app-config.dynamic.yaml",
            "plugins/a/overlay/overlay/y",
            "plugins/a/overlay/x",
            "scalprum-config.json"
        ]
    );
    assert_eq!(inputs.warnings, []);
    assert_eq!(read_all(&config(&[])).unwrap(), ConfigInputs::default());
}

#[test]
fn broken_configuration_files_have_a_place() {
    let message = |path: &str, text: &str| refused(&config(&[(path, text)]));
    insta::assert_snapshot!(message("plugins/a/scalprum-config.json", "{\n  \"name\": ,\n}"), @"[dir]/plugins/a/scalprum-config.json:2:11: expected value");
    insta::assert_snapshot!(message("plugins/a/scalprum-config.json", "[]"), @"[dir]/plugins/a/scalprum-config.json:1:1: invalid type: sequence, expected a map");
    insta::assert_snapshot!(message("plugins/a/app-config.dynamic.yaml", "a:\n  - b\n c: d\n"), @"[dir]/plugins/a/app-config.dynamic.yaml:3:2: did not find expected key, while parsing a block mapping");
    insta::assert_snapshot!(message("plugins/a/app-config.dynamic.yaml", "text"), @"[dir]/plugins/a/app-config.dynamic.yaml: is not a YAML map");
    insta::assert_snapshot!(message("backstage.json", "{\"version\": 1}"), @"[dir]/backstage.json:1:13: invalid type: integer `1`, expected a string");
}

#[test]
fn two_overlays_of_one_plugin_are_refused() {
    let dir = config(&[("plugins/a/overlay/x", ""), ("plugins/a/overlays/y", "")]);
    assert_eq!(refused(&dir), "[dir]/plugins/a/overlays: `plugins/a` has an `overlay` folder too");
}

#[test]
fn links_are_followed_inside_the_configuration_only() {
    let dir = config(&[("shared/index.ts", "shared"), ("plugins/a/overlay/x", "x"), ("todo/plugins/b/overlay/x", "x")]);
    let overlay = dir.path().join("plugins/a/overlay");
    symlink("../../../shared/index.ts", overlay.join("link.ts")).unwrap();
    symlink("../../../shared", overlay.join("folder")).unwrap();
    // A workspace may share files with its neighbours.
    symlink("../../../../shared/index.ts", dir.path().join("todo/plugins/b/overlay/link.ts")).unwrap();
    let inputs = read_all(&dir).unwrap();
    let shared: Vec<_> =
        inputs.files.iter().filter(|i| i.sha256 == Sha256::of("shared")).map(|i| i.path.as_str()).collect();
    assert_eq!(
        shared,
        ["plugins/a/overlay/folder/index.ts", "plugins/a/overlay/link.ts", "todo/plugins/b/overlay/link.ts"]
    );
    let todo = read(dir.path(), &dir.path().join("todo"), None).unwrap();
    assert_eq!(paths(&todo), ["plugins/b/overlay/link.ts", "plugins/b/overlay/x"]);

    let outside = config(&[("secret", "")]);
    let link = overlay.join("out");
    symlink(outside.path().join("secret"), &link).unwrap();
    assert_eq!(
        refused(&dir),
        "[dir]/plugins/a/overlay/out: is a symbolic link that leads out of the configuration directory"
    );
    fs::remove_file(&link).unwrap();
    symlink("nowhere", &link).unwrap();
    assert_eq!(refused(&dir), "[dir]/plugins/a/overlay/out: is a symbolic link to nothing");
    fs::remove_file(&link).unwrap();
    symlink(".", &link).unwrap();
    assert_eq!(refused(&dir), "[dir]/plugins/a/overlay/out: is a symbolic link to a folder it lies in");
}

#[test]
fn a_linked_folder_of_patches_cannot_come_from_outside() {
    let outside = config(&[("1.patch", "")]);
    let dir = config(&[]);
    symlink(outside.path(), dir.path().join("patches")).unwrap();
    assert_eq!(refused(&dir), "[dir]/patches: is a symbolic link that leads out of the configuration directory");
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let dir = config(&[("plugins/a/overlay/x", "")]);
    let pipe = dir.path().join("plugins/a/overlay/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(refused(&dir), "[dir]/plugins/a/overlay/pipe: is neither a file nor a folder");
    fs::remove_file(&pipe).unwrap();
    fs::write(dir.path().join("plugins/a/overlay/a\nb"), "").unwrap();
    assert_eq!(
        refused(&dir),
        "[dir]/plugins/a/overlay: a file whose name is not UTF-8, or has a backslash or a control character in it"
    );
}
