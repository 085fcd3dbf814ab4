//! `PACKAGE[@RANGE]`, as it is asked for.

use crate::error::{Error, Result};
use crate::lock::is_package_name;
use crate::npm::range::{NpmRange, npm_version};
use crate::yarn::locator::split_name;

/// What is asked for: a package, and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageQuery {
    /// The name.
    pub name: String,
    /// The range, as it was given.
    pub range: Option<String>,
    versions: Option<NpmRange>,
}

impl PackageQuery {
    /// Reads `name`, `name@range` or `@scope/name@range`; yarn's `npm:` before the range may stand there.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, range) = match split_name(text.trim()) {
            Some((name, range)) => (name, Some(range.trim())),
            None => (text.trim(), None),
        };
        if !is_package_name(name) {
            return Err(Error::usage(
                format!("`{}` is not the name of an npm package", text.escape_debug()),
                "name it as package.json does, with or without a range: `lodash`, `@scope/name@^1.2`",
            ));
        }
        let range = range.map(|range| range.strip_prefix("npm:").unwrap_or(range)).filter(|range| !range.is_empty());
        let versions = range.map(|range| {
            NpmRange::parse(range).ok_or_else(|| {
                Error::usage(
                    format!("`{}` is not a range of versions", range.escape_debug()),
                    format!("write it as package.json does: `{name}@<4.17.21`, `{name}@^3 || ^4`"),
                )
            })
        });
        let versions = versions.transpose()?;
        Ok(Self { name: name.to_owned(), range: range.map(str::to_owned), versions })
    }

    /// Whether a version is in the range, prereleases too; none without a range, and for what is no version.
    pub fn matches(&self, version: &str) -> Option<bool> {
        let range = self.versions.as_ref()?;
        Some(range.allows_also_prereleases(&npm_version(version)?))
    }

    /// As it was asked for.
    pub fn text(&self) -> String {
        self.range.as_ref().map_or_else(|| self.name.clone(), |range| format!("{}@{range}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_asked_for_with_or_without_a_range() {
        let parsed = |text: &str| {
            let query = PackageQuery::parse(text).unwrap();
            (query.name, query.range)
        };
        assert_eq!(parsed("lodash"), ("lodash".into(), None));
        assert_eq!(parsed("lodash@"), ("lodash".into(), None));
        assert_eq!(parsed("@scope/name"), ("@scope/name".into(), None));
        assert_eq!(parsed("@scope/name@^1"), ("@scope/name".into(), Some("^1".into())));
        assert_eq!(parsed("lodash@npm:^4.17.0"), ("lodash".into(), Some("^4.17.0".into())));
        assert_eq!(parsed("lodash@>=3 <4 || ^5"), ("lodash".into(), Some(">=3 <4 || ^5".into())));
        for (text, what) in [
            ("lod ash", "`lod ash` is not the name of an npm package"),
            ("", "`` is not the name of an npm package"),
            ("@scope", "`@scope` is not the name of an npm package"),
            ("lodash@latest", "`latest` is not a range of versions"),
        ] {
            assert_eq!(PackageQuery::parse(text).unwrap_err().to_string(), what);
        }
    }

    #[test]
    fn prereleases_are_in_a_range() {
        let query = PackageQuery::parse("a@<2").unwrap();
        let found =
            ["1.9.0", "1.0.0-rc.1", "2.0.0", "0.1.0+embedded", "workspace"].map(|version| query.matches(version));
        assert_eq!(found, [Some(true), Some(true), Some(false), Some(true), None]);
        assert_eq!(PackageQuery::parse("a").unwrap().matches("1.0.0"), None);
    }
}
