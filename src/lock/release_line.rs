//! `1.10`: the line of an RHDH release, by which it has its rhdh-cli.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};

/// Major and minor version of RHDH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseLine {
    /// `1` of `1.10`.
    pub major: u64,
    /// `10` of `1.10`.
    pub minor: u64,
}

/// A text that is not two numbers with a dot between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a release line such as `1.10`")]
pub struct NotAReleaseLine;

impl ReleaseLine {
    /// `1.10` of the numbers.
    pub const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// The line of a release as it is asked for: `1.10`, `1.10.4`, `v1.10.4`, `release-1.10`. None for what names no
    /// line: `latest`, `main`, a commit.
    pub fn of(asked: &str) -> Option<Self> {
        let version = asked.strip_prefix("release-").or_else(|| asked.strip_prefix('v')).unwrap_or(asked);
        let mut parts = version.splitn(3, '.');
        let line = Self::new(number(parts.next()?)?, number(parts.next()?)?);
        let is_patch = |patch: &str| patch.starts_with(|first: char| first.is_ascii_digit());
        parts.next().is_none_or(is_patch).then_some(line)
    }
}

/// A number as versions have it: digits, without leading zeros.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

impl fmt::Display for ReleaseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ReleaseLine {
    type Err = NotAReleaseLine;

    fn from_str(text: &str) -> Result<Self, NotAReleaseLine> {
        let (major, minor) = text.split_once('.').ok_or(NotAReleaseLine)?;
        Ok(Self::new(number(major).ok_or(NotAReleaseLine)?, number(minor).ok_or(NotAReleaseLine)?))
    }
}

impl Serialize for ReleaseLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReleaseLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| D::Error::custom(format!("`{}` {error}", text.escape_debug())))
    }
}

impl JsonSchema for ReleaseLine {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReleaseLine".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_release_has_its_line() {
        for asked in ["1.10", "1.10.4", "v1.10.4", "release-1.10", "1.10.0-rc.1"] {
            assert_eq!(ReleaseLine::of(asked), Some(ReleaseLine::new(1, 10)), "{asked}");
        }
        for other in ["latest", "main", "1", "1.", "1.x", "1.10.x", "01.10", "release-1.9-fix", "", &"0".repeat(40)] {
            assert_eq!(ReleaseLine::of(other), None, "{other}");
        }
    }

    #[test]
    fn lines_are_ordered_by_number_and_read_as_they_are_written() {
        assert!(ReleaseLine::new(1, 9) < ReleaseLine::new(1, 10) && ReleaseLine::new(1, 10) < ReleaseLine::new(2, 0));
        assert_eq!("1.10".parse(), Ok(ReleaseLine::new(1, 10)));
        assert_eq!(ReleaseLine::new(1, 10).to_string(), "1.10");
        for other in ["1", "1.10.4", "v1.10", "1.010", "+1.10", "1.-1", "99999999999999999999.1"] {
            assert_eq!(other.parse::<ReleaseLine>(), Err(NotAReleaseLine), "{other}");
        }
    }
}
