//! How severe an advisory is.

use std::str::FromStr as _;

use cvss::{Cvss, Severity};
use schemars::JsonSchema;
use serde::Serialize;

/// How severe an advisory is, the least first. One that does not say it is the last: it could be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AdvisorySeverity {
    /// CVSS below 4
    Low,
    /// CVSS from 4
    Moderate,
    /// CVSS from 7
    High,
    /// CVSS from 9
    Critical,
    /// The advisory does not say it.
    #[value(skip)]
    Unknown,
}

impl AdvisorySeverity {
    /// The word of a database: GitHub's `MODERATE` is CVSS's medium.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "low" | "none" | "info" => Self::Low,
            "moderate" | "medium" => Self::Moderate,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => return None,
        })
    }

    /// Of a CVSS vector, with its score; none for what is no vector, and for one that lacks what makes a score.
    pub fn of_vector(vector: &str) -> Option<(Self, f64)> {
        let cvss = Cvss::from_str(vector).ok().filter(|cvss| cvss.score() > 0.0)?;
        let severity = match cvss.severity() {
            Severity::None | Severity::Low => Self::Low,
            Severity::Medium => Self::Moderate,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        };
        Some((severity, cvss.score()))
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_a_score() {
        let of = |vector: &str| AdvisorySeverity::of_vector(vector);
        // The scores that the databases give for these.
        let vector = "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H";
        assert_eq!(of(vector), Some((AdvisorySeverity::High, 7.2)));
        assert_eq!(of("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), Some((AdvisorySeverity::Critical, 9.8)));
        assert_eq!(of("CVSS:3.1/AV:N"), None);
        assert!(AdvisorySeverity::Unknown > AdvisorySeverity::Critical);
        assert_eq!(AdvisorySeverity::of_word("MODERATE"), Some(AdvisorySeverity::Moderate));
    }
}
