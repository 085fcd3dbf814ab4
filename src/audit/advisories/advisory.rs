//! A known advisory, wherever it is from.

use std::collections::{BTreeMap, BTreeSet};

use super::severity::AdvisorySeverity;
use super::versions::AffectedVersions;

/// A known advisory.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisory {
    /// Its identifier: `GHSA-35jf-…`, `CVE-2021-23337`.
    pub id: String,
    /// Other identifiers of the same.
    pub aliases: BTreeSet<String>,
    /// One line for people.
    pub summary: String,
    /// How severe it is.
    pub severity: AdvisorySeverity,
    /// Its CVSS score, if it has one, and the vector of it.
    pub score: Option<(f64, String)>,
    /// Where to read it.
    pub url: Option<String>,
    /// The packages it is about.
    pub affected: BTreeMap<String, AffectedVersions>,
}

impl Advisory {
    /// Its identifier and its others.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Takes in another record of the same: what it says of more packages, and how severe it is if this one does not.
    fn join(&mut self, other: Self) {
        let ids: Vec<String> = other.ids().map(str::to_owned).collect();
        self.aliases.extend(ids);
        self.aliases.remove(&self.id);
        if self.severity == AdvisorySeverity::Unknown {
            self.severity = other.severity;
            self.score = other.score;
        }
        if self.summary.is_empty() {
            self.summary = other.summary;
        }
        for (name, versions) in other.affected {
            let known = self.affected.entry(name).or_default();
            known.ranges.extend(versions.ranges);
            known.listed.extend(versions.listed);
            known.npm.extend(versions.npm);
            known.unreadable.extend(versions.unreadable);
        }
    }
}

/// One advisory for all records that name each other, by the least of their identifiers that is not a CVE's.
pub fn joined(mut records: Vec<Advisory>) -> Vec<Advisory> {
    records.sort_by(|a, b| (a.id.starts_with("CVE-"), &a.id).cmp(&(b.id.starts_with("CVE-"), &b.id)));
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: Vec<Option<Advisory>> = Vec::new();
    for record in records {
        let mut same: Vec<usize> = record.ids().filter_map(|id| places.get(id).copied()).collect();
        same.sort_unstable();
        same.dedup();
        let at = same.first().copied().unwrap_or(found.len());
        let mut others: Vec<Advisory> = same.iter().skip(1).filter_map(|other| found[*other].take()).collect();
        if at == found.len() {
            found.push(Some(record));
        } else {
            others.push(record);
        }
        if let Some(first) = found[at].as_mut() {
            for other in others {
                first.join(other);
            }
            for id in first.ids() {
                places.insert(id.to_owned(), at);
            }
        }
    }
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_name_each_other_are_one() {
        let advisory = |id: &str, aliases: &[&str], package: &str| Advisory {
            id: id.into(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            summary: String::new(),
            severity: AdvisorySeverity::Unknown,
            score: None,
            url: None,
            affected: [(package.to_owned(), AffectedVersions::default())].into(),
        };
        let all = joined(vec![
            advisory("CVE-2021-1", &[], "a"),
            advisory("GHSA-b", &["CVE-2021-2"], "b"),
            advisory("GHSA-a", &["CVE-2021-1"], "a"),
            advisory("SNYK-1", &["GHSA-b", "CVE-2021-1"], "c"),
        ]);
        let ids: Vec<String> = all.iter().map(|one| one.ids().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(ids, ["GHSA-a CVE-2021-1 CVE-2021-2 GHSA-b SNYK-1"]);
        assert_eq!(all[0].affected.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
