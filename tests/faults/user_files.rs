//! Files at paths of the user's, where anything may lie: what is none is refused at once, and no link is written through
//! that leads out of a folder which the user named.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use harness::npm_registry::Registry;
use harness::program::Test;

use harness::workspace::{CLOSURE, scripted as workspace};

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];
const BUILD: [&str; 4] = ["build", "--rebuild", "--output-dir", "out"];
/// Nothing is reached: logins are read before.
const PUSH: [(&str, &str); 2] = [("REGISTRY_URL", "127.0.0.1:9"), ("REGISTRY_NAMESPACE", "team")];
const NO_FILE: &str = "is no regular file but a pipe or a device";

/// Puts what is no file where something may be. Nobody writes to the FIFO.
fn plant(at: &Path, what: &str) {
    let _ = fs::remove_file(at);
    match what {
        "fifo" => nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        "socket" => drop(UnixListener::bind(at).unwrap()),
        device => symlink(device, at).unwrap(),
    }
}

/// A workspace with a backend that was built once.
fn built() -> Test {
    let test = workspace(&[("a".to_owned(), "backend-plugin", CLOSURE.to_owned())], "");
    test.run(&RESOLVE).success();
    test.run(&BUILD).success();
    test
}

#[harness::test]
fn what_is_no_file_in_place_of_a_companion_or_an_output_is_refused_at_once() {
    let test = built();
    let files = [
        ("config/factory.lock.d/rhdh-cli/1.9.1/package-lock.json", &BUILD[..], 3),
        ("config/factory.lock.d/repo/plugins/a/yarn.lock", &BUILD, 3),
        ("config/factory.lock.d/repo/plugins/a/files", &BUILD, 1),
        ("out/oci/index.json", &BUILD, 1),
        ("out/build-report.json", &["status", "--output-dir", "out"], 0),
        ("config/host.lock", &RESOLVE, 2),
    ];
    for (file, args, code) in files {
        let bytes = test.read(file);
        for what in ["fifo", "socket", "/dev/zero"] {
            plant(&test.path(file), what);
            let said = test.run(args);
            let is_said = said.stderr.contains(NO_FILE) || said.stdout.contains(NO_FILE);
            assert!(is_said && said.code == code, "{file}, {what}: {said:?}");
        }
        fs::remove_file(test.path(file)).unwrap();
        test.write(file, bytes);
    }
    test.run(&BUILD).success();
}

#[harness::test]
fn what_is_no_file_in_place_of_the_machines_settings_is_refused_at_once() {
    let (mut test, registry) = (Test::with_path(), Registry::start());
    test.env("npm_config_registry", &registry.url);
    fs::create_dir_all(test.path("home")).unwrap();
    let at = |name: &str| test.path(name).display().to_string();
    let (auth, ca, cafile) = (at("auth.json"), at("ca.pem"), at("cafile.pem"));
    for (file, variables) in [
        ("ca.pem", &[("SSL_CERT_FILE", ca.as_str())][..]),
        ("ca.pem", &[("NODE_EXTRA_CA_CERTS", &ca)]),
        ("cafile.pem", &[("npm_config_cafile", &cafile)]),
        ("home/.npmrc", &[]),
        ("config/.npmrc", &[]),
        ("auth.json", &[("REGISTRY_AUTH_FILE", &auth), PUSH[0], PUSH[1]]),
    ] {
        for what in ["fifo", "socket", "/dev/zero"] {
            plant(&test.path(file), what);
            let said = test.run_with(&["doctor"], variables);
            assert!(format!("{}{}", said.stdout, said.stderr).contains(NO_FILE), "{file}, {what}: {said:?}");
            fs::remove_file(test.path(file)).unwrap();
        }
    }
}

#[harness::test]
fn what_is_no_file_in_place_of_a_login_is_refused_before_anything_is_built() {
    let test = built();
    for folder in ["home/.docker", "home/.config/containers"] {
        fs::create_dir_all(test.path(folder)).unwrap();
    }
    let auth = test.path("auth.json").display().to_string();
    let named = [PUSH[0], PUSH[1], ("REGISTRY_AUTH_FILE", auth.as_str())];
    for (file, variables) in
        [("auth.json", &named[..]), ("home/.docker/config.json", &PUSH), ("home/.config/containers/auth.json", &PUSH)]
    {
        for what in ["fifo", "socket", "/dev/zero"] {
            plant(&test.path(file), what);
            let said = test.run_with(&[&BUILD[..], &["--push-images"]].concat(), variables).exits(1).stderr;
            let error = format!("error: cannot read `[DIR]/{file}`: it {NO_FILE}\n\nhint: put a file in its place\n");
            assert!(said.contains(&error), "{what}: {said}");
            fs::remove_file(test.path(file)).unwrap();
        }
    }
}

#[harness::test]
fn a_folder_that_is_a_link_is_written_to_only_where_its_path_is_given() {
    let test = built();
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path();
    let victim = outside.join("victim");
    fs::write(&victim, "victim").unwrap();
    let refused = |folder: &str, args: &[&str], root: &str| {
        let at = test.path(folder);
        let aside = test.path("aside");
        let there = at.exists();
        if there {
            fs::rename(&at, &aside).unwrap();
        }
        symlink(outside, &at).unwrap();
        let said = test.run(args).exits(1).stderr;
        let what = format!(
            "is a symbolic link that leads out of `{root}`\n\nhint: remove it; factory follows such a link only where its path is given, as with `--output-dir` or `--lock-file`\n"
        );
        assert!(said.contains(&what), "{folder}: {said}");
        fs::remove_file(&at).unwrap();
        if there {
            fs::rename(&aside, &at).unwrap();
        }
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1, "{folder}");
    };
    let lock = "config/factory.lock";
    let sealed = test.read(lock);
    for folder in ["out/oci", "out/logs", "out/oci/blobs"] {
        refused(folder, &BUILD, "[DIR]/out");
    }
    refused("config/factory.lock.d/repo", &BUILD, "config");
    refused("outputs", &["build"], ".");
    fs::rename(test.path(lock), test.path("factory.lock")).unwrap();
    refused("config/factory.lock.d", &RESOLVE, "config");
    fs::remove_dir_all(test.path("config/factory.lock.d")).unwrap();

    // What is not sealed yet is written beside the lock.
    test.run(&RESOLVE).success();
    refused("config/factory.lock.d/repo", &BUILD, "config");
    test.run(&BUILD).success();
    assert_eq!(test.read(lock), sealed);

    // A link in the place of a file is replaced.
    for file in ["dynamic-plugins.yaml", "build-report.json", "logs/workspace.log", "x-a-dynamic-1.0.0.tgz.integrity"] {
        let file = test.path("out").join(file);
        fs::remove_file(&file).unwrap();
        symlink(&victim, &file).unwrap();
        test.run(&BUILD).success();
        assert!(!file.is_symlink(), "{}", file.display());
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
    for args in [&BUILD[..], &["build", "--output-dir", "out"]] {
        let archive = test.path("out/x-a-dynamic-1.0.0.tgz");
        fs::remove_file(&archive).unwrap();
        symlink(&victim, &archive).unwrap();
        test.run(args).success();
        assert!(!archive.is_symlink());
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");

    symlink(outside, test.path("named")).unwrap();
    test.run(&["build", "--output-dir", "named"]).success();
    assert!(outside.join("dynamic-plugins.yaml").exists());
}
