//! Listed arguments beside the computed ones.

use super::*;

/// The plugin of the listed arguments: `lib` to be embedded, `@backstage/new` not in the host, `cpu` to be
/// suppressed, `sqlite` mandatory and in the host, `must` mandatory and not.
pub(super) fn listed_plugin(with_must: bool) -> ComputedArgs {
    let mut dependencies = json!({ "lib": "^1", "@backstage/new": "^1", "@backstage/config": "^1", "ssh": "^1", "db": "^1", "plain": "^1", "@s/x-common": "workspace:^" });
    if with_must {
        dependencies["must"] = "^1".into();
    }
    let cpu =
        "  dependencies:\n    cpu-features: \"npm:^1\"\n  dependenciesMeta:\n    cpu-features:\n      optional: true\n";
    repository(
        plugin(&dependencies),
        &[
            ("lib 1.0.0", CONFIG),
            ("@backstage/new 1.0.0", ""),
            ("@backstage/config 1.0.0", ""),
            ("ssh 1.0.0", cpu),
            ("cpu-features 1.0.0", NATIVE),
            ("db 1.0.0", SQLITE),
            ("sqlite 1.0.0", NATIVE),
            ("must 1.0.0", NATIVE),
            ("bindings 1.0.0", ""),
            ("plain 1.0.0", ""),
        ],
    )
    .workspace("plugins/c", json!({ "name": "@s/x-common", "version": "1.0.0" }))
    .compute()
}

/// What is said of a list.
fn warnings(listed: &str, computed: &ComputedArgs) -> Vec<String> {
    let words: Vec<_> = listed.split_whitespace().map(str::to_owned).collect();
    let found = check_listed(&words, computed);
    assert!(found.iter().all(|one| one.severity == Severity::Warning));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn listed_arguments_are_held_against_the_computed_ones() {
    const RIGHT: &str =
        "--embed-package @backstage/new db lib --shared-package sqlite --suppress-native-package cpu-features";
    let computed = listed_plugin(false);
    assert_eq!(lines(&computed.diagnostics), [""; 0]);
    let cases: &[(&str, &[&str])] = &[
        (RIGHT, &[]),
        (&args(&computed).join(" "), &[]),
        (
            "",
            &[
                "`--embed-package @backstage/new` is missing: @backstage/new is not in the host lockfile",
                "`--embed-package db` is missing: db depends on the native package sqlite, which is in the host lockfile",
                "`--embed-package lib` is missing: lib depends on @backstage/config",
                "`--shared-package sqlite` is missing: sqlite has the marker `bindings`, reached by db → sqlite, and is in the host lockfile",
                "`--suppress-native-package cpu-features` is missing: cpu-features has the marker `bindings`, reached by ssh → cpu-features, optional",
            ],
        ),
        (
            "-embed-package @backstage/new db lib lib --shared-package sqlite --supress-native-package cpu-features",
            &[
                "`-embed-package` is not a flag of rhdh-cli; did you mean `--embed-package`?",
                "`--supress-native-package` is not a flag of rhdh-cli; did you mean `--suppress-native-package`?",
            ],
        ),
        (
            &format!("{RIGHT} --embed-package lib lib"),
            &["`--embed-package lib` is listed twice", "`--embed-package lib` is listed twice"],
        ),
        (
            &format!("stray {RIGHT} --embed-package"),
            &["`stray` does not belong to a flag", "`--embed-package` has no value"],
        ),
        (
            &format!("{RIGHT} --embed-package @backstage/config @s/x-common plain libb"),
            &[
                "`--embed-package @backstage/config` does nothing: the host provides the package",
                "`--embed-package @s/x-common` does nothing: rhdh-cli embeds the `-common` and `-node` of a plugin by itself",
                "`--embed-package libb` is not a package of the export; did you mean `lib`?",
            ],
        ),
        (
            &format!(
                "{RIGHT} --suppress-native-package plain cpu-feature --shared-package @backstage/config /regex/ !/other/"
            ),
            &[
                "`--shared-package @backstage/config` does nothing: `@backstage` packages are shared anyway",
                "`--suppress-native-package cpu-feature` is not a package of the export; did you mean `cpu-features`?",
                "`--suppress-native-package plain` does nothing: the package is not native",
            ],
        ),
        // Other ways of dealing with a native.
        ("--embed-package @backstage/new lib --allow-native-package sqlite cpu-features", &[]),
        (
            "--embed-package @backstage/new lib --suppress-native-package sqlite cpu-features",
            &["`--suppress-native-package sqlite` removes a package that the plugin requires: db → sqlite"],
        ),
        (&format!("{RIGHT} --some-new-flag value --minify --ignore-version-check @backstage/config"), &[]),
        (
            &format!(
                "{} --scalprum-config x.json",
                RIGHT.replace("--shared-package sqlite", "--shared-package=sqlite")
            ),
            &[],
        ),
    ];
    for (listed, expected) in cases {
        assert_eq!(warnings(listed, &computed), *expected, "{listed}");
    }
}

#[test]
fn a_listed_choice_settles_a_mandatory_native() {
    const REST: &str =
        "--embed-package @backstage/new db lib --shared-package sqlite --suppress-native-package cpu-features";
    let computed = listed_plugin(true);
    let error = "`must` is native (marker `bindings`), cannot be left out (must), and the host does not have it";
    assert_eq!(lines(&computed.diagnostics), [format!("warning: {error}")]);
    assert!(args(&computed).contains(&"--suppress-native-package must".to_owned()), "{:?}", args(&computed));
    let check = |listed: &str| warnings(listed, &computed);
    assert_eq!(check(REST), [error]);
    assert_eq!(check(&format!("{REST} --allow-native-package must")), [""; 0]);
    assert_eq!(
        check(&format!("{REST} --suppress-native-package must")),
        ["`--suppress-native-package must` removes a package that the plugin requires: must"]
    );
}

/// One slip, one warning: what stands behind it is not judged as well.
#[test]
fn the_values_of_a_misspelt_flag_are_not_judged() {
    let computed = listed_plugin(false);
    let listed = format!("{} --embed-packge plain none @backstage/config", args(&computed).join(" "));
    assert_eq!(
        warnings(&listed, &computed),
        ["`--embed-packge` is not a flag of rhdh-cli; did you mean `--embed-package`?"]
    );
}
