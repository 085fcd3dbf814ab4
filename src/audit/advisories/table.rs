//! The report as a table in Markdown.

use std::fmt::Write as _;

use super::report::{AuditFinding, AuditReport};
use crate::audit::markdown::text::{code, sentence};

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
                let of = [&finding.id, &finding.package, &finding.versions.join(", ")].map(|one| code(one));
                let _ = writeln!(text, "- {} {}", finding.severity.as_str(), of.join(" "));
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
    let id = name(&finding.name());
    let id = finding.url.as_ref().map_or_else(|| id.clone(), |url| format!("[{id}](<{}>)", address(url)));
    let summary = if finding.summary.is_empty() { String::new() } else { format!("<br>{}", words(&finding.summary)) };
    for version in &finding.versions {
        let plugins: Vec<String> =
            version.plugins.iter().map(|one| name(&format!("{} {}", one.workspace, one.plugin))).collect();
        let changes: Vec<String> =
            version.changes.iter().map(|one| format!("{}: {}", name(&one.workspace), words(&one.what))).collect();
        let _ = writeln!(
            text,
            "| {} | {id}{summary} | {} | {} | {} | {} | {} |",
            finding.severity.as_str(),
            name(&finding.package),
            name(&version.version),
            plugins.join("<br>"),
            version.fixed.as_deref().map_or_else(|| "-".to_owned(), name),
            changes.join("<br>"),
        );
    }
}

/// A name from outside in a cell.
fn name(text: &str) -> String {
    in_cell(&code(text))
}

/// Words that quote text from outside, in a cell.
fn words(text: &str) -> String {
    in_cell(&sentence(text))
}

/// Columns end at `|` within code too, unless it is escaped; behind a backslash that would not be read as escaped.
fn in_cell(text: &str) -> String {
    if text.contains("\\|") { text.replace('|', "\u{fffd}") } else { text.replace('|', "\\|") }
}

fn address(url: &str) -> String {
    url.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !"<>|".contains(*c)).collect()
}
