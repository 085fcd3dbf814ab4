//! What the npm registry answers to the question for advisories about many packages at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::advisory::Advisory;
use super::severity::AdvisorySeverity;
use super::versions::{AffectedVersions, BoundedRange};

#[derive(Deserialize)]
struct BulkAdvisory {
    id: u64,
    #[serde(default)]
    url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    severity: String,
    vulnerable_versions: String,
    #[serde(default)]
    cvss: Option<BulkScore>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BulkScore {
    #[serde(default)]
    score: f64,
    #[serde(default)]
    vector_string: Option<String>,
}

/// The advisories of an answer; an error is what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Vec<Advisory>, String> {
    let answer: BTreeMap<String, Vec<BulkAdvisory>> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let of = |(name, all): (String, Vec<BulkAdvisory>)| {
        all.into_iter().map(move |one| one.advisory(&name)).collect::<Vec<_>>()
    };
    Ok(answer.into_iter().flat_map(of).collect())
}

impl BulkAdvisory {
    fn advisory(self, name: &str) -> Advisory {
        let last = self.url.rsplit('/').next().unwrap_or_default();
        let id = if last.starts_with("GHSA-") { last.to_owned() } else { format!("npm-{}", self.id) };
        let vector = |score: BulkScore| Some((score.score, score.vector_string?));
        let mut versions = AffectedVersions::default();
        match BoundedRange::of(&self.vulnerable_versions) {
            Some(range) => versions.npm.push(range),
            None => _ = versions.unreadable.insert(self.vulnerable_versions),
        }
        Advisory {
            id,
            aliases: BTreeSet::new(),
            summary: self.title,
            severity: AdvisorySeverity::of_word(&self.severity).unwrap_or(AdvisorySeverity::Unknown),
            score: self.cvss.and_then(vector).filter(|(score, _)| *score > 0.0),
            url: Some(self.url).filter(|url| url.starts_with("https://")),
            affected: [(name.to_owned(), versions)].into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::advisories::versions::KnownVersion;

    #[test]
    fn an_answer_is_read() {
        let text = br#"{"lodash": [{"id": 1106913, "url": "https://github.com/advisories/GHSA-35jf-x",
            "title": "Command Injection", "severity": "high", "vulnerable_versions": "<4.17.21",
            "cwe": ["CWE-77"], "cvss": {"score": 7.2, "vectorString": "CVSS:3.1/AV:N"}}], "other": []}"#;
        let all = parse(text).unwrap();
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.id.as_str(), one.severity), ("GHSA-35jf-x", AdvisorySeverity::High));
        let has = |version| one.affected["lodash"].has(&KnownVersion::of(version));
        assert!(has("4.17.20") && !has("4.17.21"));
        assert!(parse(b"[]").is_err());
    }
}
