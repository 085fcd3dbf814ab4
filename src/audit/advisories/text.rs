//! The report for people: what is shipped by severity, then what is not this release's.

use std::fmt::Write as _;

use super::report::{AffectedVersion, AuditFinding, AuditReport};
use super::severity::AdvisorySeverity;
use crate::audit::branches::Branch;
use crate::audit::display::printable;
use crate::ui::count;

/// The severities in the order in which they are shown.
pub(super) const ORDER: [AdvisorySeverity; 5] = [
    AdvisorySeverity::Critical,
    AdvisorySeverity::High,
    AdvisorySeverity::Moderate,
    AdvisorySeverity::Low,
    AdvisorySeverity::Unknown,
];

/// The most plugins that a version shows.
const PLUGINS: usize = 5;

impl AuditReport {
    /// A tree for each severity, then counts.
    pub fn to_text(&self, all: bool) -> String {
        let mut text = String::new();
        for severity in ORDER {
            let findings = self.findings.iter().filter(|finding| finding.severity == severity);
            let children: Vec<Branch> = findings.map(|finding| of_finding(finding, all)).collect();
            if !children.is_empty() {
                Branch::new(severity.as_str(), children).write(&mut text);
                text.push('\n');
            }
        }
        for section in [self.of_host(), self.of_ignored(), self.of_unknown()].into_iter().flatten() {
            section.write(&mut text);
            text.push('\n');
        }
        text + &self.summary()
    }

    /// What was found, in numbers.
    pub fn summary(&self) -> String {
        let counts: Vec<String> = ORDER
            .into_iter()
            .filter_map(|severity| {
                let found = self.findings.iter().filter(|finding| finding.severity == severity).count();
                (found > 0).then(|| format!("{found} {}", severity.as_str()))
            })
            .collect();
        let by = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
        let about = count(self.packages, "shipped package");
        let mut text = format!("{} about {about}{by}\n", advisories(self.findings.len()));
        let (proven, open) = self.scaffold_counts();
        if proven > 0 {
            let _ = writeln!(
                text,
                "{} about packages that are only in workspaces: no plugin ships them",
                advisories(proven)
            );
        }
        if open > 0 {
            let _ =
                writeln!(text, "{} about packages of workspaces of which not all plugins are known", advisories(open));
        }
        text
    }

    fn of_host(&self) -> Option<Branch> {
        let of = |finding: &super::report::HostFinding| {
            let versions = finding.versions.join(", ");
            Branch::leaf(printable(&format!(
                "{} {} {} {versions}",
                finding.severity.as_str(),
                finding.id,
                finding.package
            )))
        };
        let children: Vec<Branch> = self.host.iter().map(of).collect();
        (!children.is_empty()).then(|| Branch::new("RHDH's own, not this release's", children))
    }

    fn of_ignored(&self) -> Option<Branch> {
        let of = |one: &super::report::IgnoredFinding| {
            Branch::leaf(printable(&format!("{} {}: {}", one.finding.name(), one.finding.package, one.reason)))
        };
        let children: Vec<Branch> = self.ignored.iter().map(of).collect();
        (!children.is_empty()).then(|| Branch::new("ignored", children))
    }

    fn of_unknown(&self) -> Option<Branch> {
        let of = |one: &super::report::UnknownContent| Branch::leaf(printable(&format!("{}: {}", one.what, one.why)));
        let children: Vec<Branch> = self.unknown.iter().map(of).collect();
        (!children.is_empty()).then(|| Branch::new("not known", children))
    }
}

/// `1 advisory`, `2 advisories`.
pub fn advisories(number: usize) -> String {
    if number == 1 { "1 advisory".to_owned() } else { format!("{number} advisories") }
}

fn of_finding(finding: &AuditFinding, all: bool) -> Branch {
    let summary = if finding.summary.is_empty() { String::new() } else { format!(": {}", finding.summary) };
    let expired = finding.expired.as_ref().map(|day| format!(" (ignored until {day})")).unwrap_or_default();
    let unreadable = finding.unreadable.first().map(|range| format!(" (its range `{range}` cannot be read)"));
    let unreadable = unreadable.unwrap_or_default();
    let label = printable(&format!("{} {}{summary}{unreadable}{expired}", finding.name(), finding.package));
    Branch::new(label, finding.versions.iter().map(|version| of_version(version, all)).collect())
}

fn of_version(version: &AffectedVersion, all: bool) -> Branch {
    let fixed = version.fixed.as_ref().map(|fixed| format!(", fixed in {fixed}")).unwrap_or_default();
    let shown = if all { version.plugins.len() } else { PLUGINS };
    let of = |plugin: &super::report::AffectedPlugin| {
        let path = if plugin.path.is_empty() { String::new() } else { format!(": {}", plugin.path.join(" > ")) };
        Branch::leaf(printable(&format!("{} {}{path}", plugin.workspace, plugin.plugin)))
    };
    let mut children: Vec<Branch> = version.plugins.iter().take(shown).map(of).collect();
    let more = version.plugins.len().saturating_sub(shown);
    if more > 0 {
        children.push(Branch::leaf(format!("and {}: see `--all`", count(more, "more plugin"))));
    }
    let changes = version.changes.iter();
    children
        .extend(changes.map(|change| Branch::leaf(printable(&format!("in {}: {}", change.workspace, change.what)))));
    Branch::new(format!("{}{fixed}", printable(&version.version)), children)
}
