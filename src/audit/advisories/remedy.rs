//! The smallest change of a workspace after which it has a version without an advisory.

use std::collections::BTreeSet;

use semver::Version;

use super::report::{AdvisedChange, ChangeAdvice};
use crate::audit::package_graph::PackageGraph;
use crate::npm::range::NpmRange;

/// Who asks for a package: its range, and the package that has it; none for one of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageAsker {
    who: Option<String>,
    range: String,
}

/// Who asks for a version of a package in a graph.
pub fn askers(graph: &PackageGraph, at: usize) -> BTreeSet<PackageAsker> {
    let of = |by: &crate::audit::package_graph::AskedBy| PackageAsker {
        // What is embedded is of the workspace.
        who: by.who.map(|who| graph.get(who)).filter(|node| !node.embedded).map(|node| node.name.clone()),
        range: by.range.strip_prefix("npm:").unwrap_or(&by.range).to_owned(),
    };
    graph.get(at).asked_by.iter().map(of).collect()
}

/// The change of a workspace in which `askers` ask for `package`.
pub fn change(
    workspace: &str,
    package: &str,
    fixed: Option<&Version>,
    askers: &BTreeSet<PackageAsker>,
) -> AdvisedChange {
    let advised = |kind, what: String| AdvisedChange { workspace: workspace.to_owned(), kind, what };
    let Some(fixed) = fixed else { return advised(ChangeAdvice::None, "no fixed version is named".into()) };
    if askers.is_empty() {
        return advised(ChangeAdvice::Unknown, format!("move `{package}` to {fixed}; who asks for it is not known"));
    }
    let admits = |asker: &&PackageAsker| NpmRange::parse(&asker.range).is_some_and(|range| range.allows(fixed));
    let (willing, others): (Vec<&PackageAsker>, Vec<&PackageAsker>) = askers.iter().partition(admits);
    if others.is_empty() {
        debug_assert!(!willing.is_empty());
        return advised(ChangeAdvice::Resolve, format!("`yarn up -R {package}`"));
    }
    if others.iter().all(|asker| asker.who.is_none()) {
        let ranges: BTreeSet<&str> = others.iter().map(|asker| asker.range.as_str()).collect();
        let ranges: Vec<String> = ranges.into_iter().map(|range| format!("`{range}`")).collect();
        let what = format!("ask for `{package}` `^{fixed}` in package.json, in place of {}", ranges.join(", "));
        return advised(ChangeAdvice::Range, what);
    }
    let ranges: BTreeSet<&str> =
        others.iter().filter(|asker| asker.who.is_some()).map(|asker| asker.range.as_str()).collect();
    let entries: Vec<String> =
        ranges.into_iter().map(|range| format!("\"{package}@npm:{range}\": \"{fixed}\"")).collect();
    let who: BTreeSet<&str> = others.iter().filter_map(|asker| asker.who.as_deref()).collect();
    let who: Vec<String> = who.into_iter().map(|who| format!("`{who}`")).collect();
    let ask = if who.len() == 1 { "asks" } else { "ask" };
    let what = format!("add {} to `resolutions`, since {} {ask} for less", entries.join(", "), who.join(", "));
    advised(ChangeAdvice::Resolution, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_change_is_named() {
        let asker = |who: Option<&str>, range: &str| PackageAsker { who: who.map(str::to_owned), range: range.into() };
        let fixed = Version::new(4, 17, 21);
        let change =
            |askers: &[PackageAsker]| change("todo", "lodash", Some(&fixed), &askers.iter().cloned().collect()).what;
        assert_eq!(change(&[asker(None, "^4.0.0"), asker(Some("a"), "~4.17.0")]), "`yarn up -R lodash`");
        assert_eq!(
            change(&[asker(None, "4.17.20"), asker(Some("a"), "^4")]),
            "ask for `lodash` `^4.17.21` in package.json, in place of `4.17.20`"
        );
        assert_eq!(
            change(&[asker(Some("a"), "^3.0.0")]),
            "add \"lodash@npm:^3.0.0\": \"4.17.21\" to `resolutions`, since `a` asks for less"
        );
        let two = change(&[asker(Some("a"), "^3.0.0"), asker(Some("b"), "^3.1.0")]);
        assert!(two.ends_with(" to `resolutions`, since `a`, `b` ask for less"), "{two}");
        assert_eq!(super::change("todo", "lodash", None, &BTreeSet::new()).what, "no fixed version is named");
    }
}
