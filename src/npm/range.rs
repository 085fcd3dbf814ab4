//! Version ranges as npm understands them (node-semver), which are not Cargo's: `1.2 || ^2`, `1 - 3`, `1.x`, and
//! prereleases that match only a comparator of their own `major.minor.patch`.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

/// The greatest integer node-semver accepts in a version (`Number.MAX_SAFE_INTEGER`).
const MAX_NUMBER: u64 = (1 << 53) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    version: Version,
}

impl Comparator {
    fn new(operator: Operator, version: Version) -> Self {
        Self { operator, version }
    }

    fn allows(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.operator {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Greater => order == Ordering::Greater,
        }
    }
}

/// An npm range: alternatives, each a set of comparators that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpmRange {
    alternatives: Vec<Vec<Comparator>>,
}

impl NpmRange {
    /// Reads a range. `None` when it is not one: a tag (`latest`), a protocol (`npm:`, `workspace:`), a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let alternatives = text.split("||").map(|part| comparators(part.trim())).collect::<Option<Vec<_>>>()?;
        Some(Self { alternatives })
    }

    /// node-semver's `satisfies(version, range)`, without `includePrerelease`.
    pub fn allows(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|set| {
            set.iter().all(|comparator| comparator.allows(version))
                && (version.pre.is_empty()
                    || set.iter().any(|comparator| {
                        let at = &comparator.version;
                        !at.pre.is_empty()
                            && (at.major, at.minor, at.patch) == (version.major, version.minor, version.patch)
                    }))
        })
    }

    /// The same where a prerelease is a version as any other: what is wrong with `1.2.3` may be wrong with `1.2.3-rc.1`.
    pub fn allows_also_prereleases(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|set| set.iter().all(|comparator| comparator.allows(version)))
    }

    /// True if some version satisfies both, as node-semver's `intersects` says it.
    pub fn intersects(&self, other: &Self) -> bool {
        let pairs = self.alternatives.iter().flat_map(|one| other.alternatives.iter().map(move |two| (one, two)));
        pairs.map(|(one, two)| least_of(one.iter().chain(two))).any(|least| {
            let release = Version::new(least.major, least.minor, least.patch);
            [least, release].iter().any(|version| self.allows(version) && other.allows(version))
        })
    }

    /// node-semver's `minVersion(range)`: the least version that satisfies it. `None` when nothing can.
    pub fn min_version(&self) -> Option<Version> {
        let zero = Version::new(0, 0, 0);
        if self.allows(&zero) {
            return Some(zero);
        }
        let least = self
            .alternatives
            .iter()
            .filter_map(|set| {
                set.iter()
                    .filter_map(|comparator| match comparator.operator {
                        Operator::Greater => Some(just_above(&comparator.version)),
                        Operator::Equal | Operator::GreaterOrEqual => Some(comparator.version.clone()),
                        Operator::Less | Operator::LessOrEqual => None,
                    })
                    .max_by(Version::cmp_precedence)
            })
            .min_by(Version::cmp_precedence)?;
        self.allows(&least).then_some(least)
    }
}

/// Reads a version as node-semver's `parse` does: exact, with an optional leading `v`.
pub fn npm_version(text: &str) -> Option<Version> {
    let text = text.trim();
    if text.starts_with('=') { None } else { Partial::parse(text)?.exact() }
}

/// node-semver's `satisfies`: false as well when either text is not what it should be.
pub fn satisfies(version: &str, range: &str) -> bool {
    match (npm_version(version), NpmRange::parse(range)) {
        (Some(version), Some(range)) => range.allows(&version),
        _ => false,
    }
}

/// The least version that comparators can allow together, by their lower bounds.
fn least_of<'c>(set: impl Iterator<Item = &'c Comparator>) -> Version {
    let bounds = set.filter_map(|comparator| match comparator.operator {
        Operator::Greater => Some(just_above(&comparator.version)),
        Operator::Equal | Operator::GreaterOrEqual => Some(comparator.version.clone()),
        Operator::Less | Operator::LessOrEqual => None,
    });
    bounds.max_by(Version::cmp_precedence).unwrap_or(Version::new(0, 0, 0))
}

fn just_above(version: &Version) -> Version {
    let mut above = version.clone();
    if above.pre.is_empty() {
        above.patch += 1;
    } else {
        above.pre = Prerelease::new(&format!("{}.0", above.pre)).unwrap_or(Prerelease::EMPTY);
    }
    above
}

/// `1`, `1.2`, `1.2.3-beta.1`, `1.x`, `*`: the parts that are given.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(['v', '=', ' ']);
        let (text, _build) = text.split_once('+').unwrap_or((text, ""));
        let (numbers, pre) = match text.split_once('-') {
            // Only after a third number: `1-3` is no range.
            Some((numbers, pre)) if !pre.is_empty() && numbers.matches('.').count() == 2 => {
                (numbers, Prerelease::new(pre).ok()?)
            }
            Some(_) => return None,
            None => (text, Prerelease::EMPTY),
        };
        let mut parts = [None; 3];
        if !numbers.is_empty() {
            for (index, part) in numbers.split('.').enumerate() {
                *parts.get_mut(index)? = match part {
                    "x" | "X" | "*" => None,
                    _ => Some(number(part)?),
                };
            }
        }
        let [major, minor, patch] = parts;
        // Whatever follows an `x` is an `x`, and has no prerelease.
        let minor = major.and(minor);
        let patch = minor.and(patch);
        let pre = if patch.is_some() { pre } else { Prerelease::EMPTY };
        Some(Self { major, minor, patch, pre })
    }

    fn exact(&self) -> Option<Version> {
        Some(Version {
            major: self.major?,
            minor: self.minor?,
            patch: self.patch?,
            pre: self.pre.clone(),
            build: BuildMetadata::EMPTY,
        })
    }

    /// The least version of this partial.
    fn floor(&self) -> Version {
        Version {
            major: self.major.unwrap_or(0),
            minor: self.minor.unwrap_or(0),
            patch: self.patch.unwrap_or(0),
            pre: self.pre.clone(),
            build: BuildMetadata::EMPTY,
        }
    }

    /// The first version after all those this partial covers, or `None` for `*`.
    fn ceiling(&self) -> Option<Version> {
        match (self.major, self.minor, self.patch) {
            (None, ..) => None,
            (Some(major), None, _) => Some(before(major + 1, 0, 0)),
            (Some(major), Some(minor), None) => Some(before(major, minor + 1, 0)),
            (Some(major), Some(minor), Some(patch)) => Some(before(major, minor, patch + 1)),
        }
    }

    fn is_exact(&self) -> bool {
        self.patch.is_some()
    }
}

/// `x.y.z-0`: the least version of that number, so that `<` excludes its prereleases too.
fn before(major: u64, minor: u64, patch: u64) -> Version {
    let mut version = Version::new(major, minor, patch);
    version.pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
    version
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.len() > 1 && text.starts_with('0') {
        return None;
    }
    text.parse().ok().filter(|number| *number <= MAX_NUMBER)
}

fn comparators(text: &str) -> Option<Vec<Comparator>> {
    if let Some((from, to)) = text.split_once(" - ") {
        return hyphen(from.trim(), to.trim());
    }
    let mut out = Vec::new();
    let mut words = text.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let (operator, rest) = operator(word);
        // `>= 1.2`: the operator may stand alone.
        let rest = if rest.is_empty() && !operator.is_empty() { words.next()? } else { rest };
        comparator(operator, rest, &mut out)?;
    }
    Some(out)
}

fn operator(word: &str) -> (&str, &str) {
    for operator in ["<=", ">=", "~>", "<", ">", "=", "^", "~"] {
        if let Some(rest) = word.strip_prefix(operator) {
            return (operator, rest);
        }
    }
    ("", word)
}

fn hyphen(from: &str, to: &str) -> Option<Vec<Comparator>> {
    let (from, to) = (Partial::parse(from)?, Partial::parse(to)?);
    let mut out = Vec::new();
    if from.major.is_some() {
        out.push(Comparator::new(Operator::GreaterOrEqual, from.floor()));
    }
    if to.is_exact() {
        out.push(Comparator::new(Operator::LessOrEqual, to.floor()));
    } else if let Some(ceiling) = to.ceiling() {
        out.push(Comparator::new(Operator::Less, ceiling));
    }
    Some(out)
}

fn comparator(operator: &str, text: &str, out: &mut Vec<Comparator>) -> Option<()> {
    let partial = Partial::parse(text)?;
    let from = |out: &mut Vec<Comparator>, ceiling: Option<Version>| {
        if let Some(ceiling) = ceiling {
            out.push(Comparator::new(Operator::GreaterOrEqual, partial.floor()));
            out.push(Comparator::new(Operator::Less, ceiling));
        }
    };
    match operator {
        "^" => from(
            out,
            match (partial.major, partial.minor, partial.patch) {
                (Some(0), Some(0), Some(patch)) => Some(before(0, 0, patch + 1)),
                (Some(0), Some(minor), _) => Some(before(0, minor + 1, 0)),
                (Some(major), ..) => Some(before(major + 1, 0, 0)),
                (None, ..) => None,
            },
        ),
        "~" | "~>" => from(
            out,
            match (partial.major, partial.minor) {
                (Some(major), Some(minor)) => Some(before(major, minor + 1, 0)),
                (Some(major), None) => Some(before(major + 1, 0, 0)),
                (None, _) => None,
            },
        ),
        "" | "=" if partial.is_exact() => out.push(Comparator::new(Operator::Equal, partial.floor())),
        "" | "=" => from(out, partial.ceiling()),
        ">" => match (partial.is_exact(), partial.ceiling()) {
            (true, _) => out.push(Comparator::new(Operator::Greater, partial.floor())),
            (false, Some(ceiling)) => {
                let mut floor = ceiling;
                floor.pre = Prerelease::EMPTY;
                out.push(Comparator::new(Operator::GreaterOrEqual, floor));
            }
            // `>*` is nothing.
            (false, None) => out.push(Comparator::new(Operator::Less, before(0, 0, 0))),
        },
        ">=" => {
            if partial.major.is_some() {
                out.push(Comparator::new(Operator::GreaterOrEqual, partial.floor()));
            }
        }
        "<" => {
            let mut floor = partial.floor();
            if !partial.is_exact() {
                floor = before(floor.major, floor.minor, floor.patch);
            }
            out.push(Comparator::new(Operator::Less, floor));
        }
        _ => match (partial.is_exact(), partial.ceiling()) {
            (true, _) => out.push(Comparator::new(Operator::LessOrEqual, partial.floor())),
            (false, Some(ceiling)) => out.push(Comparator::new(Operator::Less, ceiling)),
            (false, None) => {}
        },
    }
    Some(())
}

#[cfg(test)]
mod tests;
