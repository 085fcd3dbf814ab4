//! Where the walk through the dependencies ends, and what it leaves out.

use super::*;

const OPTIONAL_GONE: &str =
    "  dependencies:\n    gone: \"npm:^1\"\n  dependenciesMeta:\n    gone:\n      optional: true\n";

fn path_of(computed: &ComputedArgs, name: &str) -> Vec<String> {
    let arg = computed.args.iter().find(|arg| arg.flag == Flag::Embed && arg.value == name).unwrap();
    match &arg.reason {
        ArgReason::ReachesBackstage { path } => path.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_path_ends_at_the_first_backstage_package() {
    let needs_lib = "  dependencies:\n    lib: \"npm:^1\"\n";
    let needs_errors = "  dependencies:\n    \"@backstage/errors\": \"npm:^1\"\n";
    let computed = repository(
        plugin(&json!({ "a": "^1" })),
        &[
            ("a 1.0.0", needs_lib),
            ("lib 1.0.0", CONFIG),
            ("@backstage/config 1.0.0", needs_errors),
            ("@backstage/errors 1.0.0", ""),
        ],
    )
    .compute();
    assert_eq!(path_of(&computed, "a"), ["a", "lib", "@backstage/config"]);
}

#[test]
fn the_middle_of_a_long_path_is_left_out() {
    let names: Vec<String> = (0..17).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(walk::shortened(&names[..16]), names[..16]);
    let short = walk::shortened(&names);
    assert_eq!(short, [&names[..8], &["…"], &names[9..]].concat());
}

#[test]
fn an_optional_dependency_may_be_missing_and_another_may_not() {
    let optional = repository(plugin(&json!({ "a": "^1" })), &[("a 1.0.0", OPTIONAL_GONE)]).compute();
    assert_eq!((args(&optional), lines(&optional.diagnostics)), (vec![], vec![]));
    let mut own = plugin(&json!({}));
    own["optionalDependencies"] = json!({ "gone": "^1" });
    let own = repository(own, &[]).compute();
    assert_eq!((args(&own), own.packages.contains_key("gone")), (vec![], false));
    let error = repository(plugin(&json!({ "gone": "^1" })), &[]).try_compute("plugins/x").unwrap_err().to_string();
    assert!(error.contains("lock out of date: `gone@"), "{error}");
}

#[test]
fn a_package_of_the_host_need_not_be_in_the_lock() {
    let computed = repository(plugin(&json!({ "@backstage/errors": "^1" })), &[]).compute();
    assert_eq!(computed.packages["@backstage/errors"], Fate::Shared);
    assert_eq!(args(&computed), [""; 0]);
}

#[test]
fn ranges_that_have_a_version_in_common_do_not_conflict() {
    let errors = |range: &str| {
        format!("  dependencies:\n    \"@backstage/errors\": \"npm:{range}\"\n    \"@backstage/config\": \"npm:^1\"\n")
            .leak() as &'static str
    };
    for (one, other) in [("^1.2.0", "^1.0.0"), ("^1.0.0", "^1.2.0")] {
        let computed = repository(
            plugin(&json!({ "a": "^1", "b": "^1" })),
            &[
                ("a 1.0.0", errors(one)),
                ("b 1.0.0", errors(other)),
                ("@backstage/errors 1.2.0", ""),
                ("@backstage/config 1.0.0", ""),
            ],
        )
        .compute();
        assert_eq!(args(&computed), ["--embed-package a", "--embed-package b"]);
        assert_eq!(lines(&computed.diagnostics), [""; 0], "{one} and {other}");
    }
}

#[test]
fn manifests_are_asked_for_once_and_of_the_registry_alone() {
    let config = ("@backstage/config 1.0.0", "");
    let lib = || repository(plugin(&json!({ "lib": "^1" })), &[("lib 1.0.0", CONFIG), config]);
    let asked: Vec<_> = lib().compute().manifest_requests.into_iter().map(|one| one.name).collect();
    assert_eq!(asked, ["lib"]);
    let answered = lib().answer("lib 1.0.0", json!({ "name": "lib" })).compute();
    assert_eq!(answered.manifest_requests.len(), 0);
    let util = json!({ "name": "@s/util", "version": "1.0.0", "dependencies": { "@backstage/config": "^1" } });
    let local = repository(plugin(&json!({ "@s/util": "workspace:^" })), &[config]).workspace("packages/util", util);
    let local = local.compute();
    assert_eq!((args(&local), local.manifest_requests.len()), (vec!["--embed-package @s/util".to_owned()], 0));
}

#[test]
fn a_gypfile_makes_a_package_native() {
    let needs = "  dependencies:\n    maybe: \"npm:^1\"\n  dependenciesMeta:\n    maybe:\n      optional: true\n";
    let sign = "  dependencies:\n    node-addon-api: \"npm:^1\"\n";
    let packages = [("lib 1.0.0", needs), ("maybe 1.2.0", sign), ("node-addon-api 1.0.0", "")];
    let repository = repository(plugin(&json!({ "lib": "^1" })), &packages);
    let native = repository.answer("maybe 1.2.0", json!({ "name": "maybe", "gypfile": true })).compute();
    assert_eq!(native.args[0].reason.to_string(), "maybe has the field `gypfile`, reached by lib → maybe, optional");
}
