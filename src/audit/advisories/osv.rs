//! Records of OSV (its schema 1.x), as far as they are about packages of npm.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::advisory::Advisory;
use super::severity::AdvisorySeverity;
use super::versions::{AffectedVersions, EventRange, RangeEvent};
use crate::npm::range::npm_version;

#[derive(Deserialize)]
struct OsvRecord {
    id: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    affected: Vec<OsvAffected>,
    #[serde(default)]
    severity: Vec<OsvSeverity>,
    #[serde(default)]
    database_specific: Option<Value>,
    #[serde(default)]
    references: Vec<OsvReference>,
}

#[derive(Deserialize)]
struct OsvAffected {
    #[serde(default)]
    package: Option<OsvPackage>,
    #[serde(default)]
    ranges: Vec<OsvRange>,
    #[serde(default)]
    versions: BTreeSet<String>,
    #[serde(default)]
    severity: Vec<OsvSeverity>,
}

#[derive(Deserialize)]
struct OsvPackage {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct OsvRange {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct OsvSeverity {
    #[serde(default)]
    score: String,
}

#[derive(Deserialize)]
struct OsvReference {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    url: String,
}

/// What a file of records holds: one, a list of them, or an answer of OSV's API.
#[derive(Deserialize)]
#[serde(untagged)]
enum OsvDocument {
    Many(Vec<OsvRecord>),
    Answer { vulns: Vec<OsvRecord> },
    One(Box<OsvRecord>),
}

/// The advisories of a document that are about one of the packages `wanted`, and how many records it has. Withdrawn ones are
/// left out. An error is what is wrong with the document.
pub fn parse(bytes: &[u8], wanted: &BTreeSet<String>) -> Result<(Vec<Advisory>, usize), String> {
    // Of nearly all records of an export the first reading is the only one.
    let records = match serde_json::from_slice::<OsvRecord>(bytes) {
        Ok(record) => vec![record],
        Err(error) => match serde_json::from_slice::<OsvDocument>(bytes) {
            Ok(OsvDocument::Many(records) | OsvDocument::Answer { vulns: records }) => records,
            Ok(OsvDocument::One(record)) => vec![*record],
            Err(_) => return Err(format!("is not an OSV record: {error}")),
        },
    };
    let count = records.len();
    Ok((records.into_iter().filter_map(|record| record.advisory(wanted)).collect(), count))
}

impl OsvRecord {
    fn advisory(self, wanted: &BTreeSet<String>) -> Option<Advisory> {
        if self.withdrawn.is_some() {
            return None;
        }
        let mut affected: BTreeMap<String, AffectedVersions> = BTreeMap::new();
        let mut vectors: Vec<OsvSeverity> = self.severity;
        for one in self.affected {
            let name = one.package.filter(|package| package.ecosystem == "npm").map(|package| package.name);
            let Some(name) = name.filter(|name| wanted.contains(name)) else { continue };
            let versions = affected.entry(name).or_default();
            for range in one.ranges.into_iter().filter_map(OsvRange::events) {
                match range {
                    Ok(range) => versions.ranges.push(range),
                    Err(unreadable) => _ = versions.unreadable.insert(unreadable),
                }
            }
            versions.listed.extend(one.versions);
            vectors.extend(one.severity);
        }
        if affected.is_empty() {
            return None;
        }
        let scored = vectors.iter().filter_map(|one| {
            let (severity, score) = AdvisorySeverity::of_vector(&one.score)?;
            Some((severity, (score, one.score.clone())))
        });
        let scored = scored.max_by(|(_, (one, _)), (_, (two, _))| one.total_cmp(two));
        let word = self.database_specific.as_ref().and_then(|of| of.get("severity")?.as_str());
        let severity = word.and_then(AdvisorySeverity::of_word).or(scored.as_ref().map(|(severity, _)| *severity));
        let url = ["ADVISORY", "WEB"].iter().find_map(|kind| {
            let is_it = |one: &&OsvReference| one.kind == *kind && one.url.starts_with("https://");
            self.references.iter().find(is_it).map(|one| one.url.clone())
        });
        let aliases = self.aliases.into_iter().filter(|alias| *alias != self.id).collect();
        Some(Advisory {
            id: self.id,
            aliases,
            summary: self.summary,
            severity: severity.unwrap_or(AdvisorySeverity::Unknown),
            score: scored.map(|(_, score)| score),
            url,
            affected,
        })
    }
}

impl OsvRange {
    /// The events, or one that cannot be read; none of a range of commits.
    fn events(self) -> Option<Result<EventRange, String>> {
        if self.kind != "SEMVER" && self.kind != "ECOSYSTEM" {
            return None;
        }
        let event = |(name, at): (String, String)| {
            let version = || npm_version(&at).ok_or_else(|| format!("{name}: {at}"));
            match (name.as_str(), at.as_str()) {
                ("introduced", "0") => Some(Ok(RangeEvent::Introduced(None))),
                ("introduced", _) => Some(version().map(|at| RangeEvent::Introduced(Some(at)))),
                ("fixed", _) => Some(version().map(RangeEvent::Fixed)),
                ("last_affected", _) => Some(version().map(RangeEvent::LastAffected)),
                _ => None,
            }
        };
        let events: Result<Vec<RangeEvent>, String> = self.events.into_iter().flatten().filter_map(event).collect();
        Some(events.map(EventRange::of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::advisories::versions::KnownVersion;

    fn parsed(text: &str) -> Vec<Advisory> {
        parse(text.as_bytes(), &["lodash".to_owned()].into()).unwrap().0
    }

    const RECORD: &str = r#"{"id": "GHSA-1", "aliases": ["CVE-1"], "summary": "s", "affected": [
        {"package": {"ecosystem": "npm", "name": "lodash"}, "ranges": [
            {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.21"}]}, {"type": "GIT", "events": []}]},
        {"package": {"ecosystem": "RubyGems", "name": "lodash"}, "versions": ["9.9.9"]}],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}],
        "references": [{"type": "WEB", "url": "https://a"}, {"type": "ADVISORY", "url": "https://b"}]}"#;

    #[test]
    fn a_record_of_npm_is_read() {
        let all = parsed(RECORD);
        let [one] = &all[..] else { panic!("{all:?}") };
        let has = |version| one.affected["lodash"].has(&KnownVersion::of(version));
        assert!(has("4.17.20") && !has("9.9.9"));
        assert_eq!((one.severity, one.score.as_ref().map(|(score, _)| *score)), (AdvisorySeverity::High, Some(7.2)));
        assert_eq!(one.url.as_deref(), Some("https://b"));
        let word = RECORD.replacen("\"id\"", r#""database_specific": {"severity": "CRITICAL"}, "id""#, 1);
        assert_eq!(parsed(&word)[0].severity, AdvisorySeverity::Critical);
    }

    #[test]
    fn lists_are_read_and_what_is_withdrawn_or_of_others_is_left_out() {
        assert_eq!(parsed(&format!("[{RECORD}, {RECORD}]")).len(), 2);
        assert_eq!(parsed(&format!("{{\"vulns\": [{RECORD}]}}")).len(), 1);
        let withdrawn = RECORD.replacen("\"id\"", r#""withdrawn": "2024-01-01T00:00:00Z", "id""#, 1);
        assert!(parsed(&withdrawn).is_empty());
        assert!(parsed(&RECORD.replace("lodash", "other")).is_empty());
        assert_eq!(
            parse(b"{\"id\": 1}", &BTreeSet::new()).unwrap_err(),
            "is not an OSV record: invalid type: integer `1`, expected a string at line 1 column 8"
        );
    }
}
