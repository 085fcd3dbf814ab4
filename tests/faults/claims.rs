//! Machines that build the same at the same time and store it in one repository: one of them does, and the claims by which
//! they agree are in nobody's way.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::{Arc, Barrier};

use harness::oci_registry::{FakeRegistry, Reaction};
use harness::program::{copy, outputs};
use serde_json::Value;

use crate::cache_repo::{BUILD, Shared, said};

const WRITE: [&str; 2] = ["--cache-mode", "write"];

/// How often something was stored under each tag of a kind.
fn stored(registry: &FakeRegistry, kind: &str) -> BTreeMap<String, usize> {
    let mut stored = BTreeMap::<String, usize>::new();
    for request in registry.of("PUT manifest") {
        let tag = request.parts().0.rsplit('/').next().unwrap();
        if tag.starts_with(kind) {
            *stored.entry(tag.to_owned()).or_default() += 1;
        }
    }
    stored
}

#[harness::test]
fn of_three_machines_in_step_one_or_two_store_what_all_have_built() {
    let plugins = [("a", "frontend-plugin", ""), ("b", "frontend-plugin", ""), ("c", "frontend-plugin", "")];
    let shared = Shared::of(&plugins, FakeRegistry::start());
    // All of them see that nothing is there and that nobody is about to store it, and say so at once.
    for kind in ["HEAD manifest", "GET manifest", "PUT manifest"] {
        shared.registry.on(kind, 9, Reaction::Together(Arc::new(Barrier::new(9))));
    }
    let builds = |name: &str| -> Child {
        let config = shared.test.path(&format!("{name}-config"));
        copy(&shared.test.path("config"), &config);
        let cache = shared.test.path(&format!("{name}-cache"));
        let mut command = shared.test.command(&[&["build", "--output-dir", name], &WRITE[..]].concat());
        command.arg("--config-dir").arg(config).arg("--cache-dir").arg(cache);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    for machine in ["one", "two", "three"].map(builds) {
        let output = machine.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !stderr.contains("warning"), "{stderr}");
    }
    let stored = stored(&shared.registry, "inputs-");
    assert!(stored.len() == 3 && stored.values().all(|times| *times <= 2), "{stored:?}");
    assert_eq!(shared.registry.left(), 0, "they were in step");
    // What they have sealed, one has that has no tools.
    fs::remove_dir_all(shared.test.path("config")).unwrap();
    copy(&shared.test.path("two-config"), &shared.test.path("config"));
    shared.elsewhere(&[]).success();
    assert_eq!(outputs(&shared.test.path("out")), outputs(&shared.test.path("one")));
}

/// Changes the claims that are there.
fn change(shared: &Shared, change: impl Fn(&mut Value)) {
    for tag in shared.tags("claim-") {
        let mut contents = shared.registry.contents();
        let manifest = &mut contents.manifests.get_mut(&tag).unwrap().1;
        let mut claim: Value = serde_json::from_slice(manifest).unwrap();
        change(&mut claim["annotations"]);
        *manifest = claim.to_string().into_bytes();
    }
}

#[harness::test]
fn what_another_machine_is_about_to_store_is_left_to_it_for_minutes() {
    let shared = Shared::new();
    shared.run(&WRITE).success();
    let first = outputs(&shared.test.path("out"));
    let again = || {
        shared.registry.contents().manifests.retain(|tag, _| !tag.starts_with("inputs-"));
        let outcome = shared.again(&[&["--rebuild"], &WRITE[..]].concat()).success();
        assert!(said(&outcome, &shared).is_empty(), "{}", outcome.stderr);
        assert_eq!(outputs(&shared.test.path("out")), first);
        shared.tags("inputs-").len()
    };
    assert_eq!(shared.tags("claim-").len(), 2);
    assert_eq!(again(), 0, "that one may still be storing it");
    change(&shared, |claim| claim["org.opencontainers.image.created"] = "2026-01-01T00:00:00Z".into());
    assert_eq!(again(), 2, "that one has ended without");
    change(&shared, |claim| claim["org.opencontainers.image.created"] = "2126-01-01T00:00:00Z".into());
    assert_eq!(again(), 2, "its clock is wrong");
    change(&shared, |claim| claim["io.factory.claim"] = "sha256:0".into());
    assert_eq!(again(), 2, "that one stores something else");
    shared.registry.contents().manifests.values_mut().for_each(|(_, manifest)| *manifest = b"{".to_vec());
    assert_eq!(again(), 2, "whatever that is");
    // Who signs does not leave it to somebody who does not.
    assert_eq!(again(), 0);
    shared.again(&[&["--rebuild", "--cache-sign-key", "own"], &WRITE[..]].concat()).success();
    assert_eq!((shared.tags("inputs-").len(), shared.tags("unsealed-").len()), (2, 2));
}

#[harness::test]
fn a_registry_that_takes_no_claims_takes_builds() {
    let shared = Shared::of(&[("a", "frontend-plugin", "")], FakeRegistry::start());
    for (kind, status) in [("GET manifest", 400), ("PUT manifest", 409)] {
        shared.registry.say(kind, 1, status);
    }
    let outcome = shared.run(&WRITE).success();
    assert!(said(&outcome, &shared).is_empty(), "{}", outcome.stderr);
    assert_eq!((shared.registry.left(), shared.tags("claim-").len(), shared.tags("inputs-").len()), (0, 0, 1));
}

#[harness::test]
fn claims_are_no_builds_and_go_with_them() {
    let shared = Shared::new();
    shared.run(&WRITE).success();
    let somebodys = (String::new(), b"{}".to_vec());
    shared.registry.contents().manifests.insert("claim-fff".to_owned(), somebodys);
    let repository = format!("oci://{}/team/cache", shared.registry.address);
    let cache = |args: &[&str]| shared.test.run(&[&["cache"], args, &["--cache-repo", &repository]].concat()).success();
    assert!(cache(&["size"]).stdout.starts_with("builds      2 "));
    assert_eq!(cache(&["prune", "--older-than", "1"]).stderr, "removed 0 entries, 0.0 MB\n");
    assert_eq!((shared.tags("claim-").len(), shared.tags("inputs-").len()), (3, 2));
    assert_eq!(cache(&["prune", "--older-than", "0"]).stderr, "removed 2 entries, 0.0 MB\n");
    assert_eq!(shared.tags(""), ["claim-fff"]);
    assert!(shared.test.run(&BUILD).success().stderr.contains("2 of them from the cache"));
}
