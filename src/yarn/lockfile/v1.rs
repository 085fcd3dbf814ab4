//! Yarn 1: its own format, where a value follows its name after a blank.
//!
//! ```text
//! # yarn lockfile v1
//!
//! "name@^1.0.0", name@^1.2.0:
//!   version "1.2.3"
//!   resolved "https://…/name-1.2.3.tgz#…"
//!   integrity sha512-…
//!   dependencies:
//!     other "^2.0.0"
//!   optionalDependencies:
//!     fsevents "^2.3.2"
//! ```

use std::borrow::Cow;
use std::collections::HashSet;

use super::scan::{LockLine, LockLines, SyntaxError};
use super::{LockedDependency, YarnDescriptor, YarnEntry, descriptor};

/// Reads the whole lock.
pub(super) fn parse(text: &str) -> Result<Vec<YarnEntry<'_>>, SyntaxError> {
    let mut lines = LockLines::new(text);
    let mut entries = Vec::with_capacity(text.len() / 300);
    while let Some(line) = lines.next()? {
        if line.indent != 0 {
            return Err(line.error(line.text, "an entry should start here, without indentation"));
        }
        let descriptors = key(line)?;
        entries.push(entry(&mut lines, line, descriptors)?);
    }
    Ok(entries)
}

fn bare_pattern(text: &str) -> usize {
    text.find([',', ':']).unwrap_or(text.len())
}

fn bare_word(text: &str) -> usize {
    text.find(' ').unwrap_or(text.len())
}

/// `"name@range", name@range:`
fn key(line: LockLine<'_>) -> Result<Vec<YarnDescriptor<'_>>, SyntaxError> {
    let mut out = Vec::new();
    let mut rest = line.text;
    loop {
        let (word, after) = line.word(rest, bare_pattern)?;
        out.push(descriptor(word).ok_or_else(|| line.error(rest, "expected `name@range`"))?);
        if after == ":" {
            return Ok(out);
        }
        let Some(next) = after.strip_prefix(',') else {
            return Err(line.error(after, "expected `,` or `:`"));
        };
        rest = next.trim_start();
    }
}

/// `name value`, to the end of the line.
fn pair(line: LockLine<'_>) -> Result<(Cow<'_, str>, Cow<'_, str>), SyntaxError> {
    let (name, rest) = line.word(line.text, bare_word)?;
    let Some(value) = rest.strip_prefix(' ') else {
        return Err(line.error(rest, "a value is missing"));
    };
    let (value, after) = line.word(value.trim_start(), bare_word)?;
    if after.is_empty() { Ok((name, value)) } else { Err(line.error(after, "expected the end of the line")) }
}

fn entry<'t>(
    lines: &mut LockLines<'t>,
    at: LockLine<'t>,
    descriptors: Vec<YarnDescriptor<'t>>,
) -> Result<YarnEntry<'t>, SyntaxError> {
    let mut version = None;
    let mut resolution = None;
    let mut integrity = None;
    let mut dependencies = Vec::new();
    let mut optional = Vec::new();
    while let Some(line) = lines.next_below(0)? {
        if line.indent != 2 {
            return Err(line.error(line.text, "a field should be indented by two spaces"));
        }
        match line.text {
            "dependencies:" => table(lines, false, &mut dependencies)?,
            "optionalDependencies:" => table(lines, true, &mut optional)?,
            text if text.ends_with(':') => lines.skip_below(2)?,
            _ => {
                let (name, value) = pair(line)?;
                let doubled = match name.as_ref() {
                    "version" => version.replace(value).is_some(),
                    "resolved" => resolution.replace(value).is_some(),
                    "integrity" => integrity.replace(value).is_some(),
                    _ => false,
                };
                if doubled {
                    return Err(line.error(line.text, format!("`{name}` is duplicated")));
                }
            }
        }
    }
    // A package in both sections is optional, as for npm.
    let names: HashSet<&str> = optional.iter().map(|dependency| dependency.name.as_ref()).collect();
    dependencies.retain(|dependency: &LockedDependency<'_>| !names.contains(dependency.name.as_ref()));
    dependencies.append(&mut optional);
    Ok(YarnEntry {
        line: at.number,
        descriptors,
        version: version.ok_or_else(|| at.error(at.text, "this entry has no `version`"))?,
        resolution: resolution.unwrap_or(Cow::Borrowed("")),
        integrity,
        checksum: None,
        dependencies,
        peers: Vec::new(),
        conditions: None,
    })
}

fn table<'t>(
    lines: &mut LockLines<'t>,
    optional: bool,
    out: &mut Vec<LockedDependency<'t>>,
) -> Result<(), SyntaxError> {
    while let Some(line) = lines.next_below(2)? {
        if line.indent != 4 {
            return Err(line.error(line.text, "a dependency should be indented by four spaces"));
        }
        let (name, range) = pair(line)?;
        out.push(LockedDependency { name, range, optional });
    }
    Ok(())
}
