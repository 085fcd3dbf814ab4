//! Ranges as node-semver reads them.

use super::*;

#[test]
fn satisfies_as_node_semver_does() {
    for (version, range) in [
        ("1.4.0", "^1.4.0"),
        ("1.9.9", "^1.4"),
        ("0.1.9", "^0.1.2"),
        ("0.0.3", "^0.0.3"),
        ("1.2.9", "~1.2.3"),
        ("1.9.0", "~1"),
        ("2.0.0", "1.2 || ^2"),
        ("3.9.9", "1 - 3"),
        ("1.2.3", "v1.2.3"),
        ("1.2.3", ">= 1.2 <2"),
        ("1.2.3", ""),
        ("1.2.3", "*"),
        ("1.2.3", "1.x"),
        ("1.2.3-next.1", "^1.2.3-next.0"),
        ("1.2.3+embedded", "1.2.3"),
        ("2.0.0", ">1"),
    ] {
        assert!(satisfies(version, range), "{version} should satisfy {range:?}");
    }
    for (version, range) in [
        ("2.0.0", "^1.4.0"),
        ("0.2.0", "^0.1.2"),
        ("0.0.4", "^0.0.3"),
        ("1.3.0", "~1.2.3"),
        ("1.2.4-next.1", "^1.2.3-next.0"),
        ("2.0.0-next.1", "^1.2.3"),
        ("1.2.3-next.1", "*"),
        ("1.2.3", "latest"),
        ("1.2.3", "npm:^1.2.3"),
        ("1.2.3", "file:./x"),
        ("1.2", "^1"),
        ("1.9.9", ">1"),
        ("1.2.3", ">*"),
        ("99999999999999999999.0.0", "*"),
    ] {
        assert!(!satisfies(version, range), "{version} should not satisfy {range:?}");
    }
}

#[test]
fn ranges_exclude_each_other_only_if_no_version_is_in_both() {
    for (one, other, both) in [
        ("^1.2.0", ">=1.3", true),
        ("^1.2.0", "^1.5.0", true),
        ("^1.2.0", "^2", false),
        ("~1.2.0", ">=1.3", false),
        ("^1 || ^3", "^2 || ^3.1", true),
        ("<2", ">=2", false),
        ("<=2.0.0", ">=2", true),
        (">1.2.3", "<1.2.4", false),
        ("*", "^9", true),
        ("^1.3.0-beta.1", "^1.2.0", true),
        ("1.3.0-beta.1", "^1.2.0", false),
        (">1.2.3-alpha <1.2.3", ">=1.2.3-beta <1.2.3", true),
        (">*", "*", false),
    ] {
        let (one, other) = (NpmRange::parse(one).unwrap(), NpmRange::parse(other).unwrap());
        assert_eq!(one.intersects(&other), both, "{one:?} {other:?}");
        assert_eq!(other.intersects(&one), both, "{other:?} {one:?}");
    }
}

#[test]
fn finds_the_least_version() {
    for (range, least) in [
        ("^1.4.0", Some("1.4.0")),
        ("*", Some("0.0.0")),
        (">1.2.3", Some("1.2.4")),
        ("^2 || ^1.1", Some("1.1.0")),
        (">1.0.0-beta", Some("1.0.0-beta.0")),
        (">2 <1", None),
    ] {
        let found = NpmRange::parse(range).and_then(|range| range.min_version());
        assert_eq!(found.map(|version| version.to_string()).as_deref(), least, "{range}");
    }
}
