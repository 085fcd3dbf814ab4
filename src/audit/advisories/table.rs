//! The report as a table in Markdown.

use std::fmt::Write as _;

use super::report::{AuditFinding, AuditReport};

impl AuditReport {
    /// A table of what is shipped, then counts.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        if !self.findings.is_empty() {
            text.push_str("| severity | advisory | package | shipped | plugins | fixed in | change |\n");
            text.push_str("|---|---|---|---|---|---|---|\n");
        }
        for finding in &self.findings {
            row(&mut text, finding);
        }
        if !self.findings.is_empty() {
            text.push('\n');
        }
        if !self.host.is_empty() {
            text.push_str("RHDH's own, not this release's:\n\n");
            for finding in &self.host {
                let cells = [finding.severity.as_str(), &finding.id, &finding.package, &finding.versions.join(", ")];
                let _ = writeln!(text, "- {}", cells.map(cell).join(" "));
            }
            text.push('\n');
        }
        for line in self.summary().lines() {
            let _ = writeln!(text, "{line}  ");
        }
        text
    }
}

fn row(text: &mut String, finding: &AuditFinding) {
    let name = cell(&finding.name());
    let name = finding.url.as_ref().map_or_else(|| name.clone(), |url| format!("[{name}](<{}>)", address(url)));
    let summary = if finding.summary.is_empty() { String::new() } else { format!("<br>{}", cell(&finding.summary)) };
    for version in &finding.versions {
        let plugins: Vec<String> =
            version.plugins.iter().map(|one| cell(&format!("{} {}", one.workspace, one.plugin))).collect();
        let changes: Vec<String> =
            version.changes.iter().map(|one| format!("{}: {}", cell(&one.workspace), cell(&one.what))).collect();
        let _ = writeln!(
            text,
            "| {} | {name}{summary} | {} | {} | {} | {} | {} |",
            finding.severity.as_str(),
            cell(&finding.package),
            cell(&version.version),
            plugins.join("<br>"),
            cell(version.fixed.as_deref().unwrap_or("-")),
            changes.join("<br>"),
        );
    }
}

/// What text from outside may be in a cell: no markup of its own, apart from code.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::audit::display::printable(text).chars() {
        match c {
            '|' | '\\' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            _ => out.push(c),
        }
    }
    out
}

fn address(url: &str) -> String {
    url.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !"<>|".contains(*c)).collect()
}
