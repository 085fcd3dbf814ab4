//! Packages that are made of what lies in the source (`file:`, `portal:`, `link:`, `exec:`), or changed by it (`patch:`).

use super::PackageNode;
use super::index::unescaped;
use crate::yarn::locator::{Locator, split_name};
use crate::yarn::lockfile::YarnEntry;

/// Protocols whose reference begins with a path.
const OF_A_PATH: [&str; 4] = ["file:", "portal:", "link:", "exec:"];
/// Packages of packages of packages: more than this is nobody's.
const DEEPEST: usize = 8;

/// The paths in the source that a package is made of, and those that it says its dependencies are made of; from the root's
/// folder. Where yarn 1 does not say what a path starts from, it is both, the root and the dependent.
pub(super) fn paths(node: &PackageNode<'_>) -> Vec<String> {
    let locator = node.entry.and_then(YarnEntry::locator);
    if let Some(locator) = locator {
        return of_locator(locator, 0);
    }
    let declared = node.edges.iter().filter_map(|edge| {
        let path = OF_A_PATH.iter().find_map(|protocol| edge.range.strip_prefix(protocol));
        path.or_else(|| Some(edge.range).filter(|range| range.starts_with("./") || range.starts_with("../")))
    });
    let folder = node.workspace.map_or(".", |(folder, _)| folder);
    declared.flat_map(|path| [join(".", path), join(folder, path)]).flatten().collect()
}

fn of_locator(locator: Locator<'_>, depth: usize) -> Vec<String> {
    let (what, bindings) = locator.reference.split_once("::").unwrap_or((locator.reference, ""));
    let base = || {
        let of = bindings.split('&').find_map(|binding| binding.strip_prefix("locator="));
        base(&unescaped(of.unwrap_or_default()), depth)
    };
    if let Some(path) = OF_A_PATH.iter().find_map(|protocol| what.strip_prefix(protocol)) {
        // yarn writes the path of a file once more, behind its hash.
        let path = path.split('#').next().unwrap_or_default();
        return base().and_then(|base| join(&base, &unescaped(path))).into_iter().collect();
    }
    let Some((inner, patches)) = what.strip_prefix("patch:").and_then(|patch| patch.split_once('#')) else {
        return vec![];
    };
    let found = patches.split('&').filter_map(|patch| {
        let patch = patch.strip_prefix("optional!").unwrap_or(patch);
        match patch.strip_prefix("~/") {
            Some(of_root) => join(".", &unescaped(of_root)),
            // yarn's own.
            None if patch.contains("builtin<") => None,
            None => join(&base()?, &unescaped(patch)),
        }
    });
    let inner = unescaped(inner);
    let inner = Locator::parse(&inner).filter(|_| depth < DEEPEST);
    found.chain(inner.into_iter().flat_map(|inner| of_locator(inner, depth + 1))).collect()
}

/// The folder that the paths of a package start from, which is named by its locator.
fn base(locator: &str, depth: usize) -> Option<String> {
    let Some((_, reference)) = split_name(locator) else { return Some(".".to_owned()) };
    match reference.strip_prefix("workspace:") {
        Some(folder) => Some(folder.to_owned()),
        None if depth < DEEPEST => of_locator(Locator::parse(locator)?, depth + 1).pop(),
        None => None,
    }
}

/// A relative path from a folder; none of a path that begins at the machine's root.
fn join(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.starts_with('~') {
        return None;
    }
    Some(if folder == "." { path.to_owned() } else { format!("{folder}/{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_says_what_of_the_source_a_package_is_made_of() {
        let root = "locator=root%40workspace%3A.";
        let a = "locator=a%40workspace%3Aplugins%2Fa";
        for (locator, paths) in [
            ("x@npm:1.0.0".to_owned(), vec![]),
            ("x@workspace:plugins/x".to_owned(), vec![]),
            (format!("x@file:./vendor/x#./vendor/x::hash=ab12&{root}"), vec!["./vendor/x"]),
            (format!("x@file:../x-1.0.0.tgz::{a}"), vec!["plugins/a/../x-1.0.0.tgz"]),
            (format!("x@portal:../../x::{a}"), vec!["plugins/a/../../x"]),
            (format!("x@link:/opt/x::{root}"), vec![]),
            // Of a portal's own dependencies.
            (
                "y@link:./y::locator=x%40portal%3A..%2Fx%3A%3Alocator%3Droot%2540workspace%253A.".to_owned(),
                vec!["../x/./y"],
            ),
            (
                "x@patch:x@npm%3A1.0.0#~/.yarn/patches/x.patch::version=1.0.0&hash=1".to_owned(),
                vec![".yarn/patches/x.patch"],
            ),
            (
                format!("x@patch:x@npm%3A1.0.0#./x.patch&./y.patch::version=1.0.0&hash=1&{a}"),
                vec!["plugins/a/./x.patch", "plugins/a/./y.patch"],
            ),
            ("x@patch:x@npm%3A1.0.0#optional!builtin<compat/x>::version=1.0.0&hash=1".to_owned(), vec![]),
        ] {
            assert_eq!(of_locator(Locator::parse(&locator).unwrap(), 0), paths, "{locator}");
        }
    }
}
