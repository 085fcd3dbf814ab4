//! What depends on the version of rhdh-cli.

use super::*;

/// The warnings about an export with this rhdh-cli.
fn warnings(computed: &ComputedArgs, version: &str) -> Vec<String> {
    computed.cli_needs.iter().filter_map(|need| need.warning(version)).collect()
}

#[test]
fn resolutions_of_the_root_are_carried_since_1_11_4() {
    let root = json!({
        "name": "root", "version": "1.0.0",
        "resolutions": { "lib": "^2", "below": "^1.1.0", "dev": "^1", "patched": "patch:patched@npm%3A^1#~/p.patch" },
    });
    let computed = repository(
        plugin(&json!({ "lib": "^1", "patched": "^1", "@backstage/config": "^1" })),
        &[
            ("@backstage/config 1.0.0", ""),
            ("lib 2.0.0", "  dependencies:\n    below: \"npm:^1.0.0\"\n"),
            ("below 1.1.0", ""),
            ("patched 1.0.0", ""),
            ("dev 1.0.0", ""),
        ],
    )
    .workspace(".", root)
    .compute();
    assert_eq!(
        warnings(&computed, "1.11.3"),
        [
            "`resolutions` of `below`, `lib`: rhdh-cli 1.11.3 is too old for it, 1.11.4 carries `resolutions` of the root \
          `package.json` into a backend"
        ]
    );
    assert_eq!(warnings(&computed, "1.11.4"), [""; 0]);
}

#[test]
fn backstage_ranges_are_replaced_since_1_10_5_and_below_embedded_packages_since_1_10_6() {
    let common = json!({
        "name": "@s/x-common", "version": "1.0.0", "dependencies": { "@backstage/errors": "backstage:^" },
    });
    let repository = repository(
        plugin(&json!({ "@s/x-common": "workspace:^", "@backstage/config": "backstage:^" })),
        &[("@backstage/config 1.0.0", ""), ("@backstage/errors 1.0.0", "")],
    )
    .workspace("plugins/c", common);
    let computed = repository.compute();
    let plain = "`@backstage/config` with `backstage:` ranges: rhdh-cli 1.9.1 is too old for it, 1.10.5 replaces \
                 `backstage:^` in the dependencies of a plugin";
    let inside = |version: &str| {
        format!(
            "`@backstage/errors` with `backstage:` ranges: rhdh-cli {version} is too old for it, 1.10.6 replaces \
             `backstage:^` in those of embedded packages"
        )
    };
    assert_eq!(warnings(&computed, "1.9.1"), [plain.to_owned(), inside("1.9.1")]);
    assert_eq!(warnings(&computed, "1.10.5"), [inside("1.10.5")]);
    assert_eq!(warnings(&computed, "1.10.6"), [""; 0]);
}

#[test]
fn an_embedded_package_without_a_version_fails_since_2_1_1() {
    let common = json!({ "name": "@s/x-common", "dependencies": { "@backstage/config": "^1" } });
    let computed = repository(plugin(&json!({ "@s/x-common": "workspace:^" })), &[("@backstage/config 1.0.0", "")])
        .workspace("plugins/c", common)
        .compute();
    assert_eq!(warnings(&computed, "2.1.0"), [""; 0]);
    assert_eq!(
        warnings(&computed, "2.1.1"),
        [
            "`@s/x-common` without a version: since 2.1.1, rhdh-cli fails on an embedded package without a version, and the \
          lock has 2.1.1"
        ]
    );
}
