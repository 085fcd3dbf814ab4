//! Berry: YAML of one fixed shape, two spaces a level.
//!
//! ```text
//! __metadata:
//!   version: 8
//!
//! "name@npm:^1.0.0, name@npm:^1.2.0":
//!   version: 1.2.3
//!   resolution: "name@npm:1.2.3"
//!   dependencies:
//!     other: "npm:^2.0.0"
//!   dependenciesMeta:
//!     other:
//!       optional: true
//! ```

use std::borrow::Cow;

use super::scan::{LockLine, LockLines, SyntaxError};
use super::{LockedDependency, YarnDescriptor, YarnEntry, descriptor};
use crate::yarn::platform;

/// Locks of Yarn 2.0 have version 4; what came before was never released.
const OLDEST: u32 = 4;

/// The fields of `__metadata`.
pub(super) struct Metadata<'t> {
    pub version: u32,
    pub cache_key: Option<Cow<'t, str>>,
}

/// Reads the whole lock.
pub(super) fn parse(text: &str) -> Result<(Metadata<'_>, Vec<YarnEntry<'_>>), SyntaxError> {
    if text.starts_with('{') {
        return Err(SyntaxError::line(1, "this is JSON, as yarn 6 writes it; lockfiles of yarn 1 to 4 can be read"));
    }
    let mut lines = LockLines::new(text);
    let mut found = None;
    let mut entries = Vec::with_capacity(text.len() / 400);
    while let Some(line) = lines.next()? {
        if line.indent != 0 {
            return Err(line.error(line.text, "an entry should start here, without indentation"));
        }
        let key = key(&mut lines, line)?;
        if key == "__metadata" {
            if found.is_some() {
                return Err(line.error(line.text, "`__metadata` is duplicated"));
            }
            found = Some(metadata(&mut lines, line)?);
        } else {
            entries.push(entry(&mut lines, line, key)?);
        }
    }
    match found {
        Some(metadata) => Ok((metadata, entries)),
        None => Err(SyntaxError::line(1, "not a yarn.lock: no `__metadata`, and no `# yarn lockfile v1`")),
    }
}

/// `"key":`, or for keys above 1,024 characters `? "key"` and a line `:`.
fn key<'t>(lines: &mut LockLines<'t>, line: LockLine<'t>) -> Result<Cow<'t, str>, SyntaxError> {
    if let Some(rest) = line.text.strip_prefix("? ") {
        let (key, after) = line.word(rest.trim_start(), str::len)?;
        if !after.is_empty() {
            return Err(line.error(after, "expected the end of the line"));
        }
        return match lines.next()? {
            Some(colon) if colon.indent == 0 && colon.text == ":" => Ok(key),
            other => {
                let line = other.unwrap_or(line);
                Err(line.error(line.text, "expected a line `:` after a long key"))
            }
        };
    }
    let (key, value) = field(line)?;
    match value {
        Some(value) => Err(line.error(value, "expected an entry, found a value")),
        None => Ok(key),
    }
}

/// Splits `name:` or `name: value`; the value is still quoted.
fn field(line: LockLine<'_>) -> Result<(Cow<'_, str>, Option<&str>), SyntaxError> {
    let (name, rest) = line.word(line.text, bare_key)?;
    let Some(value) = rest.strip_prefix(':') else {
        return Err(line.error(rest, "expected `:`"));
    };
    if value.is_empty() {
        return Ok((name, None));
    }
    let Some(value) = value.strip_prefix(' ') else {
        return Err(line.error(value, "expected a space after `:`"));
    };
    Ok((name, Some(value.trim_start())))
}

fn bare_key(text: &str) -> usize {
    text.find(": ").unwrap_or_else(|| if text.ends_with(':') { text.len() - 1 } else { text.len() })
}

/// A value that is a word to the end of the line.
fn scalar<'t>(line: LockLine<'t>, value: Option<&'t str>) -> Result<Cow<'t, str>, SyntaxError> {
    let Some(value) = value else {
        return Err(line.error("", "a value is missing"));
    };
    let (word, after) = line.word(value, str::len)?;
    if after.is_empty() { Ok(word) } else { Err(line.error(after, "expected the end of the line")) }
}

fn metadata<'t>(lines: &mut LockLines<'t>, at: LockLine<'t>) -> Result<Metadata<'t>, SyntaxError> {
    let mut version = None;
    let mut cache_key = None;
    while let Some(line) = lines.next_below(0)? {
        let (name, value) = field(line)?;
        if line.indent == 2 && name == "version" {
            let text = scalar(line, value)?;
            let number = text.parse::<u32>().ok().filter(|number| *number >= OLDEST);
            version = Some(number.ok_or_else(|| {
                line.error(value.unwrap_or_default(), format!("lock format {text} is not supported (4 and later are)"))
            })?);
        } else if line.indent == 2 && name == "cacheKey" {
            cache_key = Some(scalar(line, value)?);
        }
    }
    let version = version.ok_or_else(|| at.error(at.text, "`__metadata` has no version"))?;
    Ok(Metadata { version, cache_key })
}

fn entry<'t>(lines: &mut LockLines<'t>, at: LockLine<'t>, key: Cow<'t, str>) -> Result<YarnEntry<'t>, SyntaxError> {
    let mut version = None;
    let mut resolution = None;
    let mut conditions = None;
    let mut checksum = None;
    let mut dependencies = None;
    let mut peers = None;
    let mut optional = Vec::new();
    let mut optional_peers = Vec::new();
    while let Some(line) = lines.next_below(0)? {
        if line.indent != 2 {
            return Err(line.error(line.text, "a field should be indented by two spaces"));
        }
        let (name, value) = field(line)?;
        let doubled = match name.as_ref() {
            "version" => version.replace(scalar(line, value)?).is_some(),
            "resolution" => resolution.replace(scalar(line, value)?).is_some(),
            "checksum" => checksum.replace(scalar(line, value)?).is_some(),
            "conditions" => {
                let text = scalar(line, value)?;
                if !platform::is_well_formed(&text) {
                    return Err(line.error(value.unwrap_or_default(), "invalid conditions"));
                }
                conditions.replace(text).is_some()
            }
            "dependencies" => dependencies.replace(table(lines, line, value)?).is_some(),
            "peerDependencies" => peers.replace(table(lines, line, value)?).is_some(),
            "dependenciesMeta" => {
                optional = meta(lines, line, value)?;
                false
            }
            "peerDependenciesMeta" => {
                optional_peers = meta(lines, line, value)?;
                false
            }
            _ => {
                lines.skip_below(2)?;
                false
            }
        };
        if doubled {
            return Err(line.error(line.text, format!("`{name}` is duplicated")));
        }
    }
    let missing = |field: &str| at.error(at.text, format!("this entry has no `{field}`"));
    let mut dependencies = dependencies.unwrap_or_default();
    mark(&mut dependencies, optional);
    let mut peers = peers.unwrap_or_default();
    mark(&mut peers, optional_peers);
    Ok(YarnEntry {
        line: at.number,
        descriptors: descriptors(key).ok_or_else(|| at.error(at.text, "expected `name@range`"))?,
        version: version.ok_or_else(|| missing("version"))?,
        resolution: resolution.ok_or_else(|| missing("resolution"))?,
        integrity: None,
        checksum,
        dependencies,
        peers,
        conditions,
    })
}

fn mark(dependencies: &mut [LockedDependency<'_>], mut optional: Vec<Cow<'_, str>>) {
    optional.sort();
    for dependency in dependencies {
        dependency.optional = optional.binary_search(&dependency.name).is_ok();
    }
}

fn descriptors(key: Cow<'_, str>) -> Option<Vec<YarnDescriptor<'_>>> {
    match key {
        Cow::Borrowed(key) => key.split(", ").map(|one| descriptor(Cow::Borrowed(one))).collect(),
        Cow::Owned(key) => key.split(", ").map(|one| descriptor(Cow::Owned(one.to_owned()))).collect(),
    }
}

/// `name: "range"` lines.
fn table<'t>(
    lines: &mut LockLines<'t>,
    at: LockLine<'t>,
    value: Option<&str>,
) -> Result<Vec<LockedDependency<'t>>, SyntaxError> {
    no_value(at, value)?;
    let mut out: Vec<LockedDependency<'t>> = Vec::new();
    while let Some(line) = lines.next_below(2)? {
        if line.indent != 4 {
            return Err(line.error(line.text, "a dependency should be indented by four spaces"));
        }
        let (name, value) = field(line)?;
        out.push(LockedDependency { name, range: scalar(line, value)?, optional: false });
    }
    Ok(out)
}

/// The names that have `optional: true` below them.
fn meta<'t>(
    lines: &mut LockLines<'t>,
    at: LockLine<'t>,
    value: Option<&str>,
) -> Result<Vec<Cow<'t, str>>, SyntaxError> {
    no_value(at, value)?;
    let mut out = Vec::new();
    while let Some(line) = lines.next_below(2)? {
        if line.indent != 4 {
            return Err(line.error(line.text, "a name should be indented by four spaces"));
        }
        let (name, value) = field(line)?;
        no_value(line, value)?;
        let mut is_optional = false;
        while let Some(line) = lines.next_below(4)? {
            let (flag, value) = field(line)?;
            is_optional |= flag == "optional" && value == Some("true");
        }
        if is_optional {
            out.push(name);
        }
    }
    Ok(out)
}

fn no_value(line: LockLine<'_>, value: Option<&str>) -> Result<(), SyntaxError> {
    match value {
        Some(value) => Err(line.error(value, "expected a list below, found a value")),
        None => Ok(()),
    }
}
