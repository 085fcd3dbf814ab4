//! Which format a lock says it has: one that is newer than this factory is named as such, whatever else is in it. And
//! where in a lock something is wrong.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Place, Result};

/// The format this factory writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// Compatible additions within [`VERSION`]: 1 has `workspace.sealed`, 2 `workspace.effective`, `workspace.problem` and
/// `unresolved`, 3 `workspace.plugin.scalprum`, 4 `tools.rhdh-cli.host`, 5 `workspace.recipe` and with it `sources`, `reads`
/// and `stamp` of plugins, 6 `args-from` of each argument, 7 `workspace.unlisted`, 8 `unresolved.exit-code`, 9
/// `config` of seals, 10 their `bundle`. A lock says the least that it needs.
pub const REVISION: u32 = 10;
pub(super) const REWRITE: &str =
    "restore the file from version control, or remove it and run `factory resolve` to write it anew";

pub(super) fn broken(text: &str, path: &Path, span: Option<std::ops::Range<usize>>, message: &str) -> Error {
    let place = match span {
        Some(span) => {
            let (line, column) = line_and_column(text, span.start);
            Place::at(path, line, column)
        }
        None => Place::file(path),
    };
    // Some of the parser's messages have several lines; the first says what, the rest what was expected.
    let what = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    Error::Lock { place, what, hint: REWRITE.into() }
}

/// 1-based line and column (in characters) of a byte offset.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Refuses a format, or a revision of it, that this factory does not know.
pub(super) fn check_format(table: &DeTable<'_>, text: &str, path: &Path) -> Result<()> {
    let factory = env!("CARGO_PKG_VERSION");
    let Some(value) = table.get("version") else {
        return Err(broken(text, path, None, "missing field `version`"));
    };
    let number = |value: &DeValue<'_>| match value {
        DeValue::Integer(found) => i64::from_str_radix(found.as_str(), found.radix()).ok(),
        _ => None,
    };
    let too_new = |span: std::ops::Range<usize>, what: String| {
        let (line, column) = line_and_column(text, span.start);
        let hint = "update factory to the version that wrote this lock".into();
        Err(Error::Lock { place: Place::at(path, line, column), what, hint })
    };
    let found = number(value.get_ref());
    if let Some(version) = found.filter(|version| *version > i64::from(VERSION)) {
        let what = format!("lock format {version} is newer than the format {VERSION} that factory {factory} reads");
        return too_new(value.span(), what);
    }
    if found.is_none_or(|version| version < 1) {
        return Err(broken(text, path, Some(value.span()), "`version` must be a whole number from 1"));
    }
    // A lock says the least revision that it needs: what is newer cannot be read.
    let Some(value) = table.get("revision") else { return Ok(()) };
    if let Some(revision) = number(value.get_ref()).filter(|revision| *revision > i64::from(REVISION)) {
        let what = format!(
            "revision {revision} of lock format {VERSION} is newer than the revision {REVISION} that factory {factory} reads"
        );
        return too_new(value.span(), what);
    }
    Ok(())
}
