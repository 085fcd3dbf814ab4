//! `CycloneDX` 1.6 with vulnerabilities: what is shipped is to be looked at, what is only in workspaces does not affect.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::report::{AuditFinding, AuditReport, ScaffoldFinding};
use super::severity::AdvisorySeverity;
use crate::audit::sbom::stamp::time;
use crate::audit::sbom::{cyclonedx, purl};
use crate::lock::Lock;

/// The document, with a final newline.
pub fn document(report: &AuditReport, lock: &Lock) -> String {
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    let mut vulnerabilities = Vec::new();
    for finding in &report.findings {
        vulnerabilities.push(shipped(finding, None, &mut components));
    }
    for ignored in &report.ignored {
        vulnerabilities.push(shipped(&ignored.finding, Some(&ignored.reason), &mut components));
    }
    for finding in report.scaffold.iter().filter(|finding| finding.proven) {
        vulnerabilities.push(scaffold(finding, &mut components));
    }
    let epoch = lock.workspace.iter().map(|workspace| workspace.source.epoch).max().unwrap_or(0);
    let document = cyclonedx::wrapped(
        &time(epoch),
        &cyclonedx::release_root(lock.identity()).into(),
        json!({
            "components": components.into_values().collect::<Vec<_>>(),
            "vulnerabilities": vulnerabilities,
        }),
    );
    format!("{document:#}\n")
}

fn shipped(finding: &AuditFinding, reason: Option<&str>, components: &mut BTreeMap<String, Value>) -> Value {
    let versions = finding.versions.iter().map(|version| version.version.as_str());
    let mut vulnerability = vulnerability(&finding.id, &finding.package, versions, components);
    if let Some(url) = &finding.url {
        vulnerability.insert("source".into(), json!({ "url": url }));
    }
    let references: Vec<Value> =
        finding.aliases.iter().map(|alias| json!({ "id": alias, "source": { "name": source_of(alias) } })).collect();
    if !references.is_empty() {
        vulnerability.insert("references".into(), references.into());
    }
    vulnerability.insert("ratings".into(), json!([rating(finding)]));
    if !finding.summary.is_empty() {
        vulnerability.insert("description".into(), finding.summary.clone().into());
    }
    let changes: Vec<String> = finding
        .versions
        .iter()
        .flat_map(|version| &version.changes)
        .map(|change| format!("{}: {}", change.workspace, change.what))
        .collect();
    vulnerability.insert("recommendation".into(), changes.join("\n").into());
    let mut analysis = Map::new();
    analysis.insert("state".into(), "in_triage".into());
    let plugins: Vec<String> = finding
        .versions
        .iter()
        .flat_map(|version| version.plugins.iter().map(move |plugin| (version, plugin)))
        .map(|(version, plugin)| {
            format!("{} {} ships {}@{}", plugin.workspace, plugin.plugin, finding.package, version.version)
        })
        .collect();
    let ignored = reason.map(|reason| format!("ignored: {reason}\n")).unwrap_or_default();
    analysis.insert("detail".into(), format!("{ignored}{}", plugins.join("\n")).into());
    vulnerability.insert("analysis".into(), analysis.into());
    Value::Object(vulnerability)
}

fn scaffold(finding: &ScaffoldFinding, components: &mut BTreeMap<String, Value>) -> Value {
    let versions = finding.versions.iter().map(String::as_str);
    let mut vulnerability = vulnerability(&finding.id, &finding.package, versions, components);
    vulnerability.insert(
        "analysis".into(),
        json!({
            "state": "not_affected",
            "justification": "code_not_present",
            "detail": "it is in the yarn.lock of workspaces, and in no plugin",
        }),
    );
    Value::Object(vulnerability)
}

/// A vulnerability of some versions of a package, which become components.
fn vulnerability<'v>(
    id: &str,
    package: &str,
    versions: impl Iterator<Item = &'v str>,
    components: &mut BTreeMap<String, Value>,
) -> Map<String, Value> {
    let mut affects = Vec::new();
    for version in versions {
        let purl = purl::npm(package, version);
        let component =
            json!({ "type": "library", "bom-ref": purl, "name": package, "version": version, "purl": purl });
        components.entry(purl.clone()).or_insert(component);
        affects.push(json!({ "ref": purl }));
    }
    let mut vulnerability = Map::new();
    vulnerability.insert("bom-ref".into(), format!("{id} {package}").into());
    vulnerability.insert("id".into(), id.into());
    vulnerability.insert("affects".into(), affects.into());
    vulnerability
}

fn rating(finding: &AuditFinding) -> Value {
    let severity = match finding.severity {
        AdvisorySeverity::Moderate => "medium",
        other => other.as_str(),
    };
    let mut rating = Map::new();
    if let Some(score) = finding.score {
        rating.insert("score".into(), score.into());
    }
    rating.insert("severity".into(), severity.into());
    if let Some(vector) = &finding.vector {
        let methods = [("CVSS:4.0", "CVSSv4"), ("CVSS:3.1", "CVSSv31"), ("CVSS:3.0", "CVSSv3")];
        let method = methods.iter().find(|(start, _)| vector.starts_with(start)).map_or("other", |(_, method)| method);
        rating.insert("method".into(), method.into());
        rating.insert("vector".into(), vector.clone().into());
    }
    Value::Object(rating)
}

fn source_of(id: &str) -> &'static str {
    if id.starts_with("CVE-") {
        "CVE"
    } else if id.starts_with("GHSA-") {
        "GitHub"
    } else {
        "OSV"
    }
}
