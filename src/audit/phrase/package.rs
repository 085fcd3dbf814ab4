//! Packages that moved, in words.

use super::super::change::{Mark, OwnMove, PackageChange, PackageMove};
use super::super::version_step::VersionStep;
use super::span::{PhraseSpan, arrow, is_downgrade, name, step_spans, text};

/// A package and where it moved: `lodash 3.10.1 → 4.17.21 (major)`.
pub fn package_spans(package: &PackageChange) -> Vec<PhraseSpan> {
    let list = |versions: &[String]| versions.join(", ");
    let mut spans = vec![name(package.package.clone()), text(" ")];
    if let Some(OwnMove { from, to }) = &package.own {
        spans.extend(arrow(from, to));
        spans.extend(step_spans(package.step, is_downgrade(Some(from), Some(to))));
        if package.from.is_empty() {
            spans.extend([text(", and in "), name(from.clone()), text(" for other packages")]);
        }
        return spans;
    }
    match (package.change, package.from.is_empty(), package.to.is_empty()) {
        (PackageMove::Removed, ..) => spans.push(name(list(&package.from))),
        (PackageMove::Added, ..) => spans.push(name(list(&package.to))),
        (_, true, _) => spans.extend([text("also in "), name(list(&package.to))]),
        (_, _, true) => spans.extend([text("no longer in "), name(list(&package.from))]),
        _ => spans.extend(arrow(list(&package.from), list(&package.to))),
    }
    let down = is_downgrade(package.from.last().map(String::as_str), package.to.last().map(String::as_str));
    spans.extend(step_spans(package.step, package.change == PackageMove::Changed && down));
    spans
}

/// The sign of a package among those that moved.
pub fn package_mark(package: &PackageChange) -> Mark {
    match (package.change, package.step) {
        (PackageMove::Removed, _) => Mark::Removed,
        (PackageMove::Added, _) => Mark::Added,
        (_, Some(VersionStep::Major)) => Mark::Review,
        _ => Mark::Changed,
    }
}

/// `2 added, 1 removed, 41 changed (3 major)`
pub(super) fn tally(packages: &[PackageChange]) -> String {
    let of = |change: PackageMove| packages.iter().filter(|package| package.change == change).count();
    let major = packages.iter().filter(|package| package.step == Some(VersionStep::Major)).count();
    let mut parts = Vec::new();
    for (change, word) in
        [(PackageMove::Added, "added"), (PackageMove::Removed, "removed"), (PackageMove::Changed, "changed")]
    {
        let n = of(change);
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let majors = if major > 0 { format!(" ({major} major)") } else { String::new() };
    format!("{}{majors}", parts.join(", "))
}
