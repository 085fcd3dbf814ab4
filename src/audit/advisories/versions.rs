//! The versions of a package that an advisory is about.

use std::collections::BTreeSet;

use semver::Version;

use crate::npm::range::{NpmRange, npm_version};

/// The versions of a package that an advisory is about: all that one of these names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AffectedVersions {
    /// Events of each OSV range of the type SEMVER.
    pub ranges: Vec<Vec<RangeEvent>>,
    /// Versions that are listed.
    pub listed: BTreeSet<String>,
    /// Ranges as npm writes them.
    pub npm: Vec<String>,
}

/// From where on a range holds, and from where on it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeEvent {
    /// The first version that is affected; none from the beginning.
    Introduced(Option<Version>),
    /// The first one that no longer is.
    Fixed(Version),
    /// The last one that is.
    LastAffected(Version),
}

impl AffectedVersions {
    /// Whether a version is among them. What is no version is, if it is listed.
    pub fn has(&self, version: &str) -> bool {
        if self.listed.contains(version) {
            return true;
        }
        let Some(version) = npm_version(version) else { return false };
        self.ranges.iter().any(|events| is_within(events, &version))
            || self
                .npm
                .iter()
                .any(|range| NpmRange::parse(range).is_some_and(|range| range.allows_also_prereleases(&version)))
    }

    /// The lowest version above this one that is not affected, of those that the advisory names; none if it names none.
    pub fn fixed_after(&self, version: &str) -> Option<Version> {
        let version = npm_version(version)?;
        let events = self.ranges.iter().flatten().filter_map(|event| match event {
            RangeEvent::Fixed(fixed) => Some(fixed.clone()),
            _ => None,
        });
        let bounds = self.npm.iter().flat_map(|range| upper_bounds(range));
        let above = events.chain(bounds).filter(|fixed| fixed.cmp_precedence(&version).is_gt());
        above.filter(|fixed| !self.has(&fixed.to_string())).min_by(Version::cmp_precedence)
    }
}

fn is_within(events: &[RangeEvent], version: &Version) -> bool {
    let mut events: Vec<&RangeEvent> = events.iter().collect();
    let zero = Version::new(0, 0, 0);
    let at = |event: &RangeEvent| match event {
        RangeEvent::Introduced(from) => (from.is_some(), from.clone().unwrap_or_else(|| zero.clone())),
        RangeEvent::Fixed(at) | RangeEvent::LastAffected(at) => (true, at.clone()),
    };
    events.sort_by(|a, b| {
        let ((a_is, a), (b_is, b)) = (at(a), at(b));
        a_is.cmp(&b_is).then_with(|| a.cmp_precedence(&b))
    });
    events.into_iter().fold(false, |affected, event| match event {
        RangeEvent::Introduced(None) => true,
        RangeEvent::Introduced(Some(from)) => affected || from.cmp_precedence(version).is_le(),
        RangeEvent::Fixed(fixed) => affected && fixed.cmp_precedence(version).is_gt(),
        RangeEvent::LastAffected(last) => affected && last.cmp_precedence(version).is_ge(),
    })
}

/// The versions after `<` in an npm range: the first that are not affected any more.
fn upper_bounds(range: &str) -> Vec<Version> {
    let words = range.split([' ', '|']).filter(|word| !word.is_empty());
    words
        .filter_map(|word| word.strip_prefix('<').filter(|rest| !rest.starts_with('=')))
        .filter_map(npm_version)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        npm_version(text).unwrap()
    }

    #[test]
    fn events_are_read_in_the_order_of_their_versions() {
        let events = vec![
            RangeEvent::Fixed(version("1.2.3")),
            RangeEvent::Introduced(None),
            RangeEvent::Introduced(Some(version("2.0.0"))),
            RangeEvent::LastAffected(version("2.4.0")),
            RangeEvent::Introduced(Some(version("3.0.0-rc.1"))),
            RangeEvent::Fixed(version("3.0.1")),
        ];
        let affected = AffectedVersions { ranges: vec![events], ..AffectedVersions::default() };
        for (text, is) in [
            ("0.0.1", true),
            ("1.2.2", true),
            ("1.2.3-rc.1", true),
            ("1.2.3", false),
            ("1.9.0", false),
            ("2.0.0", true),
            ("2.4.0", true),
            ("2.4.1", false),
            ("3.0.0-rc.0", false),
            ("3.0.0-rc.1", true),
            ("3.0.0", true),
            ("3.0.1", false),
            ("workspace", false),
        ] {
            assert_eq!(affected.has(text), is, "{text}");
        }
        assert_eq!(affected.fixed_after("1.0.0"), Some(version("1.2.3")));
        assert_eq!(affected.fixed_after("2.1.0"), Some(version("3.0.1")));
        assert_eq!(affected.fixed_after("3.0.1"), None);
    }

    #[test]
    fn npm_ranges_and_lists_count_as_well() {
        let npm = vec![">=1.0.0 <1.4.2 || >=2.0.0 <2.0.5".to_owned()];
        let affected = AffectedVersions { npm, listed: ["0.1.0".to_owned()].into(), ranges: vec![] };
        let found = ["0.1.0", "0.2.0", "1.4.1", "1.4.2", "2.0.4"].map(|version| affected.has(version));
        assert_eq!(found, [true, false, true, false, true]);
        assert_eq!(affected.fixed_after("1.1.0"), Some(version("1.4.2")));
        assert_eq!(affected.fixed_after("2.0.1"), Some(version("2.0.5")));
    }
}
