//! SARIF 2.1.0, for code scanning: a result for each plugin that ships a version with an advisory.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::report::{AffectedPlugin, AffectedVersion, AuditFinding, AuditReport};
use super::severity::AdvisorySeverity;
use crate::audit::percent_encoding::percent_encoded;
use crate::lock::Sha256;

/// The document, with a final newline. `lock` is the text of the lock: results are at the lines of its plugins.
pub fn document(report: &AuditReport, lock: &str) -> String {
    let lines = lines(lock);
    let uri = percent_encoded(&report.lock, b"-._~/");
    let ignored = report.ignored.iter().map(|one| (&one.finding, Some(one.reason.as_str())));
    let all: Vec<(&AuditFinding, Option<&str>)> =
        report.findings.iter().map(|finding| (finding, None)).chain(ignored).collect();
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for (finding, _) in &all {
        rules.entry(&finding.id).or_insert_with(|| rule(finding));
    }
    let places: BTreeMap<&str, usize> = rules.keys().copied().zip(0..).collect();
    let mut results = Vec::new();
    for (finding, reason) in all {
        for version in &finding.versions {
            for plugin in &version.plugins {
                let line = lines.get(&(plugin.workspace.as_str(), plugin.plugin.as_str())).copied().unwrap_or(1);
                let mut result = result(finding, version, plugin);
                result.insert("ruleIndex".into(), places[finding.id.as_str()].into());
                result.insert(
                    "locations".into(),
                    json!([{ "physicalLocation": {
                        "artifactLocation": { "uri": uri },
                        "region": { "startLine": line },
                    } }]),
                );
                if let Some(reason) = reason {
                    result.insert("suppressions".into(), json!([{ "kind": "external", "justification": reason }]));
                }
                results.push(Value::Object(result));
            }
        }
    }
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "factory",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn rule(finding: &AuditFinding) -> Value {
    let summary = if finding.summary.is_empty() { finding.name() } else { finding.summary.clone() };
    let mut rule = Map::new();
    rule.insert("id".into(), finding.id.clone().into());
    rule.insert("shortDescription".into(), json!({ "text": summary }));
    if let Some(url) = &finding.url {
        rule.insert("helpUri".into(), url.clone().into());
    }
    let mut properties = Map::new();
    properties.insert("tags".into(), json!(["security"]));
    // By this number code scanning tells how severe it is.
    let score = finding.score.or(match finding.severity {
        AdvisorySeverity::Critical => Some(9.0),
        AdvisorySeverity::High => Some(7.0),
        AdvisorySeverity::Moderate => Some(4.0),
        AdvisorySeverity::Low => Some(1.0),
        AdvisorySeverity::Unknown => None,
    });
    properties.extend(score.map(|score| ("security-severity".to_owned(), format!("{score:.1}").into())));
    rule.insert("properties".into(), properties.into());
    Value::Object(rule)
}

fn result(finding: &AuditFinding, version: &AffectedVersion, plugin: &AffectedPlugin) -> Map<String, Value> {
    let level = match finding.severity {
        AdvisorySeverity::Critical | AdvisorySeverity::High => "error",
        AdvisorySeverity::Moderate | AdvisorySeverity::Unknown => "warning",
        AdvisorySeverity::Low => "note",
    };
    let place = format!("{} {}", plugin.workspace, plugin.plugin);
    let path = if plugin.path.is_empty() { String::new() } else { format!(" ({})", plugin.path.join(" > ")) };
    let changes = version.changes.iter().filter(|change| change.workspace == plugin.workspace);
    let changes: String = changes.map(|change| format!("; {}", change.what)).collect::<Vec<_>>().concat();
    let fixed = version.fixed.as_ref().map(|fixed| format!("; fixed in {fixed}")).unwrap_or_default();
    let text = format!("{place} ships {}@{}{path}{fixed}{changes}", finding.package, version.version);
    let print = format!("{} {place} {}@{}", finding.id, finding.package, version.version);
    let mut result = Map::new();
    result.insert("ruleId".into(), finding.id.clone().into());
    result.insert("level".into(), level.into());
    result.insert("message".into(), json!({ "text": text }));
    result.insert("partialFingerprints".into(), json!({ "shipped/v1": Sha256::of(print).hex() }));
    result
}

/// The line of each plugin in a lock, by workspace and path: 1-based.
fn lines(lock: &str) -> BTreeMap<(&str, &str), usize> {
    let mut lines = BTreeMap::new();
    let (mut block, mut workspace) = ("", "");
    for (at, line) in lock.lines().enumerate() {
        if line.starts_with('[') {
            block = line;
        }
        let value = |key: &str| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"');
        match block {
            "[[workspace]]" => workspace = value("name").unwrap_or(workspace),
            "[[workspace.plugin]]" => {
                if let Some(path) = value("path") {
                    lines.insert((workspace, path), at + 1);
                }
            }
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_have_lines() {
        let lock =
            "version = 1\n\n[[workspace]]\nname = \"a\"\n\n[[workspace.plugin]]\npath = \"plugins/x\"\nname = \"n\"\n";
        assert_eq!(lines(lock), [(("a", "plugins/x"), 7)].into());
    }
}
