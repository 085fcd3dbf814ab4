//! Finished builds shared through Debian's docker-registry.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};

use harness::docker_registry::{PAIR, PASSWORD, Server, USER};
use harness::program::{Test, copy, names, outputs};
use harness::proxy::Proxy;
use harness::workspace::scripted;

use crate::greeting::{self, Greeting, assert_code, stderr};

#[harness::test]
fn machines_that_race_on_one_repository_make_the_same_and_leave_it_whole() {
    harness::needs(&["docker-registry"]);
    let server = Server::open();
    let counting = Proxy::before(&server.address);
    let plugins = ["a", "b", "c"].map(|name| (name.to_owned(), "frontend-plugin", String::new()));
    let mut test: Test = scripted(&plugins, "");
    test.env("FACTORY_CACHE_REPO", format!("oci://{}/team/cache", counting.address)).env("REGISTRY_INSECURE", "true");
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    let builds = |name: &str, mode: &str| -> Child {
        let (config, cache) = (test.path(&format!("{name}-config")), test.path(&format!("{name}-cache")));
        copy(&test.path("config"), &config);
        let mut command = test.command(&["build", "--output-dir", name, "--cache-mode", mode]);
        command.arg("--config-dir").arg(config).arg("--cache-dir").arg(cache);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let racing = ["one", "two", "three"].map(|name| builds(name, "read-write"));
    for racer in racing {
        let output = racer.wait_with_output().unwrap();
        assert_code(&output, 0);
        assert!(!stderr(&output).contains("warning"), "{}", stderr(&output));
    }
    let made = |name: &str| (outputs(&test.path(name)), outputs(&test.path(&format!("{name}-config"))));
    let first = made("one");
    for name in ["two", "three"] {
        assert_eq!(made(name), first);
    }
    let tags = server.dir.path().join("data/docker/registry/v2/repositories/team/cache/_manifests/tags");
    let is_entry = |tag: &String| tag.starts_with("inputs-");
    assert_eq!(names(&tags).iter().filter(|tag| is_entry(tag)).count(), 3);
    let uploads = || {
        let mut uploads = BTreeMap::<String, usize>::new();
        for request in counting.requests().into_iter().filter(|request| request.kind() == "PUT manifest") {
            *uploads.entry(request.path.rsplit('/').next().unwrap().to_owned()).or_default() += 1;
        }
        uploads.retain(|tag, _| is_entry(tag));
        uploads
    };
    let stored = uploads();
    assert!(stored.len() == 3 && stored.values().all(|times| *times <= 2), "{stored:?}");
    // What one of them has sealed, another takes that has nothing.
    fs::remove_dir_all(test.path("config")).unwrap();
    copy(&test.path("one-config"), &test.path("config"));
    let output = builds("four", "read").wait_with_output().unwrap();
    assert_code(&output, 0);
    assert!(stderr(&output).contains("3 of them from the cache"), "{}", stderr(&output));
    assert_eq!(made("four"), first);
    assert_eq!(uploads(), stored, "it stores nothing");
}

#[harness::test]
fn the_example_is_complete_on_a_machine_that_has_nothing() {
    greeting::needs();
    harness::needs(&["docker-registry"]);
    let server = Server::with_password();
    let mut greeting = Greeting::new().sealed();
    let sealed = fs::read(greeting.config().join("factory.lock")).unwrap();
    let repository = format!("oci://{}/team/cache", server.address);
    let key = greeting.path("cache.key");
    greeting.ok(&["cache", "keygen", key.to_str().unwrap()]);
    let run = |greeting: &Greeting, mode: &str, nothing: bool, output: &str| {
        let mut command = greeting.command(&["build", "--cache-repo", &repository, "--cache-mode", mode]);
        command.arg("--output-dir").arg(greeting.path(output)).env("REGISTRY_INSECURE", "true");
        command.env("REGISTRY_USERNAME", USER).env("REGISTRY_PASSWORD", PASSWORD);
        if nothing {
            command.env("PATH", "/nonexistent").env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1");
        } else {
            command.arg("--rebuild").arg("--cache-sign-key").arg(&key);
        }
        let output = command.output().unwrap();
        assert_code(&output, 0);
        stderr(&output)
    };
    let mut said = run(&greeting, "read-write", false, "here");
    greeting.cache = greeting.path("empty");
    said += &run(&greeting, "read", true, "there");
    assert!(said.contains("2 plugins built into ") && said.contains(", 2 of them from the cache"), "{said}");
    assert_eq!(outputs(&greeting.path("there")), outputs(&greeting.path("here")));
    assert_eq!(fs::read(greeting.config().join("factory.lock")).unwrap(), sealed);
    // No secret is anywhere in what they said, wrote or made known to what they ran.
    let private = fs::read_to_string(&key).unwrap();
    for secret in [PASSWORD, PAIR, private.lines().nth(1).unwrap()] {
        assert!(!said.contains(secret), "{said}");
        for folder in ["here", "there"].map(|name| greeting.path(name)).into_iter().chain([greeting.config()]) {
            let found = std::process::Command::new("grep").args(["-rlF", "-e", secret]).arg(&folder).output().unwrap();
            assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
        }
    }
}
