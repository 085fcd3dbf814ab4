//! Arguments that a user listed: which computed diagnostics hold for them too, and what is odd about their values.

use super::listed::listed_plugin;
use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn warnings(computed: &ComputedArgs, line: &str) -> Vec<String> {
    check_listed(&words(line), computed).iter().map(ToString::to_string).collect()
}

/// Whether a diagnostic of the computed arguments, one with `text`, holds for the list as well.
fn stands(repository: &Repository, line: &str, text: &str) -> bool {
    let computed = repository.compute();
    assert!(lines(&computed.diagnostics).iter().any(|one| one.contains(text)), "{:?}", lines(&computed.diagnostics));
    warnings(&computed, line).iter().any(|one| one.contains(text))
}

#[test]
fn what_is_wrong_with_an_embedded_package_holds_where_the_list_embeds_it() {
    let config = ("@backstage/config 1.0.0", "");
    let lib = ("lib 1.0.0", CONFIG);
    let native = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n    nan: \"npm:^1\"\n";
    let peers = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n  peerDependencies:\n    \"@backstage/errors\": ^1.2.0\n    react: ^18\n";
    let other_errors = "  dependencies:\n    \"@backstage/errors\": \"npm:^2.0.0\"\n";

    let outside = repository(plugin(&json!({ "lib": "^2" })), &[lib, config]);
    assert!(stands(&outside, "--embed-package lib", "outside the range"));
    assert!(!stands(&outside, "", "outside the range"));

    let itself = repository(plugin(&json!({ "a": "^1" })), &[("a 1.0.0", native), ("nan 1.0.0", ""), config]);
    assert!(stands(&itself, "--embed-package a", "itself is native"));
    assert!(!stands(&itself, "--embed-package a --allow-native-package a", "itself is native"));
    assert!(!stands(&itself, "", "itself is native"));

    let conflict = repository(
        plugin(&json!({ "a": "^1", "b": "^1" })),
        &[("a 1.0.0", peers), ("b 1.0.0", other_errors), ("@backstage/errors 2.0.0", ""), config],
    );
    assert!(stands(&conflict, "--embed-package a b", "exclude each other"));
    assert!(!stands(&conflict, "--embed-package a b --ignore-version-check @backstage/errors", "exclude each other"));
    assert!(!stands(&conflict, "--embed-package a", "exclude each other"));
    assert!(stands(&conflict, "--embed-package a", "`a` requires `react@^18`"));
    assert!(!stands(&conflict, "--embed-package b", "`a` requires `react@^18`"));
}

#[test]
fn a_workspace_comes_from_the_registry_unless_it_is_listed() {
    let util = json!({ "name": "@s/util", "version": "0.3.0" });
    let repository = repository(plugin(&json!({ "@s/util": "workspace:^" })), &[]).workspace("packages/util", util);
    assert!(stands(&repository, "", "comes from the registry"));
    assert!(!stands(&repository, "--embed-package @s/util", "comes from the registry"));
}

#[test]
fn what_is_wrong_with_a_dependent_holds_where_the_list_embeds_that() {
    let patched = repository(plugin(&json!({ "p": "patch:p@npm%3A^1#~/p.patch" })), &[("p 1.0.0", "")]);
    // The plugin itself is always part of the export.
    assert!(stands(&patched, "", "whose install will fail"));
    let needs_d = "  dependencies:\n    sqlite: \"npm:^1\"\n";
    let shared = repository(
        plugin(&json!({ "a": "^1", "d": "^1" })),
        &[("a 1.0.0", needs_d), ("d 1.0.0", OPTIONAL_SQLITE), ("sqlite 1.0.0", NATIVE), ("bindings 1.0.0", "")],
    );
    assert!(stands(&shared, "--embed-package a d --shared-package sqlite", "optional dependency of `d`"));
    assert!(!stands(&shared, "--embed-package a --shared-package sqlite", "optional dependency of `d`"));
}

#[test]
fn a_shared_package_may_be_refused_without_a_warning() {
    let computed = listed_plugin(false);
    let line = |extra: &str| format!("{} {extra}", args(&computed).join(" "));
    assert_eq!(warnings(&computed, &line("--shared-package !@backstage/config")), [""; 0]);
    assert_eq!(
        warnings(&computed, &line("--shared-package @backstage/config")),
        ["`--shared-package @backstage/config` does nothing: `@backstage` packages are shared anyway"]
    );
    // Three letters are like too many names.
    assert_eq!(
        warnings(&computed, &line("--embed-package lip")),
        ["`--embed-package lip` is not a package of the export"]
    );
}

#[test]
fn a_suppressed_package_is_named_with_the_path_to_it() {
    let needs = |name: &str| format!("  dependencies:\n    {name}: \"npm:^1\"\n").leak() as &'static str;
    let packages = [
        ("must 1.0.0", NATIVE),
        ("needed 1.0.0", NATIVE),
        ("a 1.0.0", SQLITE),
        ("b 1.0.0", needs("zlib")),
        ("sqlite 1.0.0", NATIVE),
        ("zlib 1.0.0", NATIVE),
        ("bindings 1.0.0", ""),
    ];
    let mut repository = repository(plugin(&json!({ "must": "^1", "needed": "^1", "a": "^1", "b": "^1" })), &packages);
    repository.host.push("zlib");
    let computed = repository.compute();
    let path_of = |name: &str| {
        let said = warnings(&computed, &format!("--suppress-native-package {name}"));
        let start = format!("`--suppress-native-package {name}` removes a package that the plugin requires: ");
        said.iter().find_map(|one| one.strip_prefix(&start).map(str::to_owned)).unwrap_or_else(|| panic!("{said:?}"))
    };
    assert_eq!(path_of("must"), "must");
    assert_eq!(path_of("needed"), "needed");
    assert_eq!(path_of("sqlite"), "a → sqlite");
    assert_eq!(path_of("zlib"), "b → zlib");
}

#[test]
fn a_package_that_may_be_native_may_be_suppressed() {
    let needs = "  dependencies:\n    maybe: \"npm:^1\"\n  dependenciesMeta:\n    maybe:\n      optional: true\n";
    let sign = "  dependencies:\n    node-addon-api: \"npm:^1\"\n";
    let packages = [("lib 1.0.0", needs), ("maybe 1.2.0", sign), ("node-addon-api 1.0.0", "")];
    let computed = repository(plugin(&json!({ "lib": "^1" })), &packages).compute();
    assert_eq!(warnings(&computed, "--suppress-native-package maybe"), [""; 0]);
}

#[test]
fn slips_are_found_without_a_host() {
    let found = |line: &str| lines(&check_words(&words(line)));
    assert_eq!(found("--embed-package a b --no-build"), [""; 0]);
    assert_eq!(found("--embed-package a a"), ["warning: `--embed-package a` is listed twice"]);
    assert_eq!(found("--embed-package --no-build"), ["warning: `--embed-package` has no value"]);
    assert_eq!(
        found("--embed-packages a"),
        ["warning: `--embed-packages` is not a flag of rhdh-cli; did you mean `--embed-package`?"]
    );
}

#[test]
fn a_module_has_the_siblings_of_its_plugin() {
    let module = json!({
        "name": "@s/x-backend-module-y",
        "version": "1.0.0",
        "backstage": { "role": "backend-plugin-module" },
        "dependencies": { "@s/x-common": "workspace:^" },
    });
    let common = json!({ "name": "@s/x-common", "version": "1.0.0", "dependencies": { "@backstage/config": "^1" } });
    let computed = repository(module, &[("@backstage/config 1.0.0", "")]).workspace("plugins/c", common).compute();
    assert_eq!(computed.packages["@s/x-common"], Fate::Sibling);
    assert_eq!(args(&computed), [""; 0]);
}
