//! The advisories that somebody has looked at: a TOML or YAML file with a reason for each, and a day until which it holds.

use std::path::Path;

use serde::Deserialize;

use super::report::AuditFinding;
use crate::audit::placed::{self, PlacedValue, PlacedYaml};
use crate::error::{Error, Place, Result};
use crate::user_file;

const HINT: &str =
    "write an `ignore` list of `id` and `reason`, and of `package` and `expires` (`2026-12-31`) where they help";

/// What is said of a file that is something else.
const NO_LIST: &str = "it is not a list of ignored advisories";

/// A list of ignored advisories.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreList {
    /// The entries.
    #[serde(default)]
    pub ignore: Vec<IgnoreEntry>,
}

/// An advisory that is ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreEntry {
    /// Its identifier, or another of the same advisory.
    pub id: String,
    /// Only for this package.
    #[serde(default)]
    pub package: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    #[serde(default)]
    pub expires: Option<ExpiryDay>,
}

/// A day, `2026-12-31`: as text it is in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "DayText")]
pub struct ExpiryDay(String);

/// A day in quotes, or a date of TOML.
#[derive(Deserialize)]
#[serde(untagged)]
enum DayText {
    Text(String),
    Date(toml::value::Datetime),
}

impl TryFrom<DayText> for ExpiryDay {
    type Error = String;

    fn try_from(text: DayText) -> Result<Self, String> {
        let text = match text {
            DayText::Text(text) => text,
            DayText::Date(date) => date.to_string(),
        };
        let form = time::macros::format_description!("[year]-[month]-[day]");
        match time::Date::parse(&text, form) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!("`{}` is not a day such as `2026-12-31`", text.escape_debug())),
        }
    }
}

/// What a list says of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoreVerdict {
    /// Nothing.
    Counts,
    /// It is ignored, for this reason.
    Ignored(String),
    /// It was, until this day.
    Expired(String),
}

impl IgnoreList {
    /// Reads a list: YAML for a file named `*.yaml` or `*.yml`, TOML for any other.
    pub fn read(path: &Path) -> Result<Self> {
        let text = user_file::read_text(path, user_file::SETTINGS).map_err(Error::io("read", path))?;
        if user_file::is_yaml(path) { Self::of_yaml(path, &text) } else { Self::of_toml(path, &text) }
    }

    fn of_yaml(path: &Path, text: &str) -> Result<Self> {
        // It is read with a bound first, and with the places of what has another form.
        let broken = |place, what: &str| Error::config(place, what, HINT);
        let documents =
            placed::read(text).map_err(|fault| broken(Place::at(path, fault.line, fault.column), &fault.what))?;
        if let Some(line) = documents.iter().find_map(|document| other_form(document)) {
            return Err(broken(Place::line(path, line), NO_LIST));
        }
        let read = yaml_serde::from_str::<Option<Self>>(text);
        let list = read.map_err(|error| {
            let place =
                error.location().map_or_else(|| Place::file(path), |at| Place::at(path, at.line(), at.column()));
            Error::config(place, crate::config::text::yaml_message(&error), HINT)
        })?;
        Ok(list.unwrap_or_default())
    }

    fn of_toml(path: &Path, text: &str) -> Result<Self> {
        let is_entries = |value: &toml::Value| {
            let entries = value.as_array();
            entries.is_some_and(|entries| entries.iter().all(toml::Value::is_table))
        };
        let table = toml::from_str::<toml::Table>(text).ok();
        if table.and_then(|table| table.get("ignore").map(|value| !is_entries(value))).unwrap_or_default() {
            return Err(Error::config(Place::file(path), NO_LIST, HINT));
        }
        toml::from_str(text).map_err(|error| {
            let line =
                error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
            let place = line.map_or_else(|| Place::file(path), |line| Place::line(path, line));
            Error::config(place, error.message().replace('\n', ", "), HINT)
        })
    }

    /// What it says of a finding on a day, and by which entry.
    pub fn verdict(&self, finding: &AuditFinding, today: &str) -> (IgnoreVerdict, Vec<usize>) {
        let is_of = |entry: &IgnoreEntry| {
            (entry.id == finding.id || finding.aliases.contains(&entry.id))
                && entry.package.as_ref().is_none_or(|package| *package == finding.package)
        };
        let entries: Vec<usize> = (0..self.ignore.len()).filter(|at| is_of(&self.ignore[*at])).collect();
        let mut verdict = IgnoreVerdict::Counts;
        for entry in entries.iter().map(|at| &self.ignore[*at]) {
            match &entry.expires {
                Some(day) if day.0.as_str() < today => {
                    if verdict == IgnoreVerdict::Counts {
                        verdict = IgnoreVerdict::Expired(day.0.clone());
                    }
                }
                _ => verdict = IgnoreVerdict::Ignored(entry.reason.clone()),
            }
        }
        (verdict, entries)
    }
}

/// The line at which a document is something else than a list of ignored advisories, whatever its fields are.
fn other_form(document: &PlacedYaml) -> Option<usize> {
    let entries = match &document.value {
        PlacedValue::Map(_) => document.get("ignore"),
        PlacedValue::Scalar { .. } if document.text().is_none() => None,
        _ => return Some(document.line),
    };
    let entries = entries?;
    match &entries.value {
        PlacedValue::List(all) => all.iter().find(|one| !matches!(one.value, PlacedValue::Map(_))).map(|one| one.line),
        PlacedValue::Scalar { .. } if entries.text().is_none() => None,
        _ => Some(entries.line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_entry_has_a_line() {
        let path = Path::new("ignore.toml");
        let toml = |text: &str| IgnoreList::of_toml(path, text).unwrap_err().to_string();
        let good = "[[ignore]]\nid = \"CVE-1\"\nreason = \"r\"\n";
        assert_eq!(IgnoreList::of_toml(path, &format!("{good}expires = 2026-12-31\n")).unwrap().ignore.len(), 1);
        assert_eq!(IgnoreList::of_toml(path, &format!("{good}expires = \"2026-12-31\"\n")).unwrap().ignore.len(), 1);
        let said = toml(&format!("{good}until = \"x\"\n"));
        assert!(said.starts_with("ignore.toml:4: unknown field `until`"), "{said}");
        assert!(toml(&format!("{good}expires = \"soon\"\n")).contains("`soon` is not a day such as `2026-12-31`"));
        assert!(toml("[[ignore]]\nid = \"CVE-1\"\n").contains("missing field `reason`"));
        let path = Path::new("ignore.yaml");
        let yaml = |text: &str| IgnoreList::of_yaml(path, text);
        assert_eq!(yaml("ignore:\n- id: CVE-1\n  reason: r\n  expires: 2026-12-31\n").unwrap().ignore.len(), 1);
        assert_eq!(yaml("# nothing\n").unwrap().ignore.len(), 0);
        for text in ["token: s3cret\nignore: s3cret\n", "s3cret\n", "- s3cret\n", "ignore: [s3cret]\n"] {
            let said = yaml(text).unwrap_err().to_string();
            assert!(said.contains("it is not a list of ignored advisories") && !said.contains("s3cret"), "{said}");
        }
        let said = yaml(&"- ".repeat(20_000)).unwrap_err().to_string();
        assert!(said.contains("more than 128 values within each other"), "{said}");
        for text in ["ignore = \"s3cret\"\n", "ignore = [\"s3cret\"]\n"] {
            let said = toml(text);
            assert!(said.contains("it is not a list of ignored advisories") && !said.contains("s3cret"), "{said}");
        }
        let said = yaml("ignore:\n- id: CVE-1\n  reason: r\n  until: x\n").unwrap_err().to_string();
        assert!(said.starts_with("ignore.yaml:4:3: ") && said.contains("unknown field `until`"), "{said}");
    }
}
