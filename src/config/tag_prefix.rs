//! What stands before the version in image tags.
//!
//! RHDH's export repository tags the images of a workspace `bs_<Backstage version of the release>__<version>` when the
//! workspace is compatible with the release, and `next__<version>` when it is not. The rule is that of its
//! `export-workspaces-as-dynamic.yaml`: the workspace's Backstage version is that of its own `backstage.json`, else
//! `repo-backstage-version`; compatible is a release of the same major and minor version, whichever patch is newer.

use std::convert::Infallible;
use std::str::FromStr;

/// The prefix that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TagPrefix {
    /// By RHDH's rule where `versions.json` names the release's Backstage version; none elsewhere.
    #[default]
    Auto,
    /// This text.
    Fixed(String),
}

/// The prefix of workspaces that are not compatible with the release.
pub const NEXT: &str = "next__";

impl TagPrefix {
    /// The prefix of a workspace. `release` is the release's Backstage version, `workspace` the workspace's own.
    pub fn of(&self, release: Option<&str>, workspace: Option<&str>) -> String {
        match (self, release) {
            (Self::Fixed(prefix), _) => prefix.clone(),
            (Self::Auto, None) => String::new(),
            (Self::Auto, Some(release)) if workspace.is_some_and(|own| compatible(own, release)) => {
                format!("bs_{release}__")
            }
            (Self::Auto, Some(_)) => NEXT.to_owned(),
        }
    }
}

impl FromStr for TagPrefix {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "auto" { Self::Auto } else { Self::Fixed(text.to_owned()) })
    }
}

/// Whether both have the same major and minor version.
pub fn compatible(workspace: &str, release: &str) -> bool {
    minor_line(workspace).is_some_and(|line| minor_line(release) == Some(line))
}

/// The major and the minor version.
fn minor_line(version: &str) -> Option<(u64, u64)> {
    let (major, rest) = version.trim().trim_start_matches('v').split_once('.')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_of_the_same_minor_version_is_compatible() {
        for (workspace, release, expected) in [
            ("1.49.4", "1.49.4", true),
            ("1.49.0", "1.49.4", true),
            ("1.49", "1.49.4", true),
            ("v1.49.0", "1.49.4", true),
            ("1.49.5", "1.49.4", true),
            ("1.52.1", "1.52.0", true),
            ("1.49.0", "1.49.4-next.1", true),
            ("1.5.0", "1.50.0", false),
            ("2.49.4", "1.49.4", false),
            ("1.48.9", "1.49.4", false),
            ("1.50.0", "1.49.4", false),
            ("", "1.49.4", false),
            ("null", "1.49.4", false),
            ("1.x", "1.x", false),
            ("", "", false),
            ("1.49.0", "", false),
        ] {
            assert_eq!(compatible(workspace, release), expected, "{workspace} {release}");
        }
    }

    #[test]
    fn auto_follows_the_release_and_a_text_is_taken_as_it_is() {
        let auto = TagPrefix::from_str("auto").unwrap();
        assert_eq!(auto, TagPrefix::default());
        assert_eq!(auto.of(Some("1.49.4"), Some("1.49.0")), "bs_1.49.4__");
        assert_eq!(auto.of(Some("1.49.4"), Some("1.45.3")), "next__");
        assert_eq!(auto.of(Some("1.49.4"), None), "next__");
        assert_eq!(auto.of(None, Some("1.49.0")), "");
        assert_eq!(TagPrefix::from_str("pr_7__").unwrap().of(Some("1.49.4"), Some("1.49.0")), "pr_7__");
        assert_eq!(TagPrefix::from_str("").unwrap().of(Some("1.49.4"), Some("1.49.0")), "");
    }
}
