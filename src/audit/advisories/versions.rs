//! The versions of a package that an advisory is about.

use std::collections::BTreeSet;

use semver::Version;

use crate::npm::range::{NpmRange, npm_version};

/// The versions of a package that an advisory is about: all that one of these names. Ranges are read once, since each is
/// asked about many versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AffectedVersions {
    /// Each OSV range of the type SEMVER.
    pub ranges: Vec<EventRange>,
    /// Versions that are listed.
    pub listed: BTreeSet<String>,
    /// Ranges as npm writes them.
    pub npm: Vec<BoundedRange>,
    /// Ranges that cannot be read: they could be about any version.
    pub unreadable: BTreeSet<String>,
}

/// The events of a range of OSV, by their versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRange(Vec<RangeEvent>);

/// A range as npm writes it, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundedRange {
    range: NpmRange,
    /// The versions after `<`: the first that are not affected any more.
    below: Vec<Version>,
}

/// A version as it is written, and what it says where it is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownVersion<'v> {
    version: Option<Version>,
    text: &'v str,
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

impl<'v> KnownVersion<'v> {
    /// Reads one.
    pub fn of(text: &'v str) -> Self {
        Self { version: npm_version(text), text }
    }

    /// As it is written.
    pub fn text(&self) -> &'v str {
        self.text
    }
}

impl AffectedVersions {
    /// Whether a version is among them. What is no version is, if it is listed. Where a range cannot be read, all are.
    pub fn has(&self, version: &KnownVersion<'_>) -> bool {
        if self.listed.contains(version.text) || !self.unreadable.is_empty() {
            return true;
        }
        let Some(version) = &version.version else { return false };
        self.ranges.iter().any(|range| range.has(version)) || self.npm.iter().any(|range| range.has(version))
    }

    /// The lowest version above this one that is not affected, of those that the advisory names; none if it names none.
    pub fn fixed_after(&self, version: &KnownVersion<'_>) -> Option<Version> {
        let version = version.version.as_ref()?;
        let events = self.ranges.iter().flat_map(|range| &range.0).filter_map(|event| match event {
            RangeEvent::Fixed(fixed) => Some(fixed),
            _ => None,
        });
        let bounds = self.npm.iter().flat_map(|range| &range.below);
        let above = events.chain(bounds).filter(|fixed| fixed.cmp_precedence(version).is_gt());
        let is_free = |fixed: &&Version| !self.has(&KnownVersion::of(&fixed.to_string()));
        above.filter(is_free).min_by(|one, other| one.cmp_precedence(other)).cloned()
    }
}

impl EventRange {
    /// The range of some events, in whatever order they are.
    pub fn of(mut events: Vec<RangeEvent>) -> Self {
        events.sort_by(|one, other| match (one.at(), other.at()) {
            (Some(one), Some(other)) => one.cmp_precedence(other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        });
        Self(events)
    }

    fn has(&self, version: &Version) -> bool {
        self.0.iter().fold(false, |affected, event| match event {
            RangeEvent::Introduced(None) => true,
            RangeEvent::Introduced(Some(from)) => affected || from.cmp_precedence(version).is_le(),
            RangeEvent::Fixed(fixed) => affected && fixed.cmp_precedence(version).is_gt(),
            RangeEvent::LastAffected(last) => affected && last.cmp_precedence(version).is_ge(),
        })
    }
}

impl RangeEvent {
    /// Its version; none for the beginning.
    fn at(&self) -> Option<&Version> {
        match self {
            Self::Introduced(from) => from.as_ref(),
            Self::Fixed(at) | Self::LastAffected(at) => Some(at),
        }
    }
}

impl BoundedRange {
    /// Reads one; none of what is no range.
    pub fn of(range: &str) -> Option<Self> {
        let words = range.split([' ', '|']).filter(|word| !word.is_empty());
        let below = words.filter_map(|word| word.strip_prefix('<').filter(|rest| !rest.starts_with('=')));
        Some(Self { range: NpmRange::parse(range)?, below: below.filter_map(npm_version).collect() })
    }

    fn has(&self, version: &Version) -> bool {
        self.range.allows_also_prereleases(version)
    }
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
        let affected = AffectedVersions { ranges: vec![EventRange::of(events)], ..AffectedVersions::default() };
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
            assert_eq!(affected.has(&KnownVersion::of(text)), is, "{text}");
        }
        assert_eq!(affected.fixed_after(&KnownVersion::of("1.0.0")), Some(version("1.2.3")));
        assert_eq!(affected.fixed_after(&KnownVersion::of("2.1.0")), Some(version("3.0.1")));
        assert_eq!(affected.fixed_after(&KnownVersion::of("3.0.1")), None);
    }

    #[test]
    fn npm_ranges_and_lists_count_as_well() {
        let npm = vec![BoundedRange::of(">=1.0.0 <1.4.2 || >=2.0.0 <2.0.5").unwrap()];
        let affected = AffectedVersions { npm, listed: ["0.1.0".to_owned()].into(), ..AffectedVersions::default() };
        let found =
            ["0.1.0", "0.2.0", "1.4.1", "1.4.2", "2.0.4"].map(|version| affected.has(&KnownVersion::of(version)));
        assert_eq!(found, [true, false, true, false, true]);
        assert_eq!(affected.fixed_after(&KnownVersion::of("1.1.0")), Some(version("1.4.2")));
        assert_eq!(affected.fixed_after(&KnownVersion::of("2.0.1")), Some(version("2.0.5")));
    }
}
