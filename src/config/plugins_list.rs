//! `plugins-list.yaml`: the plugins to build, each with the arguments of its export.
//!
//! The file is a flat YAML map from a plugin's folder to nothing or to a line of arguments. The original reads it
//! twice, once as YAML and once line by line in a shell script; what both understand is the format, and the rest of
//! YAML (anchors, aliases, tags, flow maps, several documents) is refused with its line.
//!
//! `scan` finds the entries and where their values lie in the text; each is then read by the YAML parser on its
//! own, so that no entry can reach into another. `comments` finds what is left out on purpose. `edit` writes.

use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{path, text};
use crate::error::Place;
use crate::lock::Argument;
use crate::lock::arguments::ArgumentError;
use crate::{Error, Result};

mod comments;
mod edit;
mod scan;

pub use edit::generate;

/// The name of the file.
pub const FILE_NAME: &str = "plugins-list.yaml";

/// The most bytes of one entry. It bounds what the YAML parser is given at once: some texts take it a time that grows
/// with the square of their length.
const ENTRY_LIMIT: usize = 16 * 1024;

const HINT: &str = "write one `path/to/plugin: --flag value` a line";

/// A `plugins-list.yaml`, with the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginsList {
    /// The entries in the order of the file.
    pub entries: Vec<ListedPlugin>,
    text: String,
    spans: Vec<scan::EntrySpan>,
}

/// A plugin of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPlugin {
    /// The plugin's folder from the workspace in its normal form; `.` for the workspace itself.
    pub path: String,
    /// The arguments, split as a shell would: the value of `--shared-package '!x'` is `!x`.
    pub args: Vec<Argument>,
    /// The arguments as written, without the quotes of YAML; `None` when there are none.
    pub raw: Option<String>,
    /// 1-based line of the path.
    pub line: usize,
}

impl PluginsList {
    /// Reads a list; `None` when the file does not exist.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        text::read(path)?.map(|text| Self::parse(&text, path)).transpose()
    }

    /// Reads the text of a list; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let spans = scan::spans(text)
            .map_err(|wrong| Error::config(Place::at(path, wrong.line, wrong.column), wrong.what, wrong.hint))?;
        let mut entries: Vec<ListedPlugin> = Vec::with_capacity(spans.len());
        let mut lines = std::collections::HashMap::with_capacity(spans.len());
        for span in &spans {
            let entry = entry(text, span, path)?;
            if let Some(first) = lines.insert(entry.path.clone(), entry.line) {
                return Err(Error::config(
                    Place::line(path, entry.line),
                    format!("`{}` is listed a second time; the first is in line {first}", entry.path),
                    "keep one of the two lines",
                ));
            }
            entries.push(entry);
        }
        Ok(Self { entries, text: text.to_owned(), spans })
    }

    /// The entry of a plugin's folder.
    pub fn get(&self, path: &str) -> Option<&ListedPlugin> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// True if the list has a plugin's folder: as an entry, or in a comment that leaves it out.
    pub fn names(&self, path: &str) -> bool {
        self.get(path).is_some() || comments::leave_out(&self.text, path)
    }

    /// The text the list was read from.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn entry(text: &str, span: &scan::EntrySpan, file: &Path) -> Result<ListedPlugin> {
    let place = || Place::line(file, span.line);
    if span.entry.len() > ENTRY_LIMIT {
        let what = format!("an entry of more than {ENTRY_LIMIT} bytes");
        return Err(Error::config(place(), what, HINT));
    }
    let (key, value) = match yaml_serde::from_str::<OneEntry>(&text[span.entry.clone()]) {
        Ok(OneEntry(key, value)) => (key, value),
        Err(e) => {
            let at = match e.location() {
                Some(at) => Place::at(file, span.line + at.line() - 1, at.column()),
                None => place(),
            };
            return Err(Error::config(at, text::yaml_message(&e), HINT));
        }
    };
    let path = path::inside(&key)
        .map_err(|what| Error::config(place(), format!("the path `{}` {what}", key.escape_debug()), PATH_HINT))?;
    let raw = value.map(|raw| raw.trim().to_owned()).filter(|raw| !raw.is_empty());
    let args = match &raw {
        None => Vec::new(),
        Some(raw) => Argument::from_line(raw).map_err(|e| match e {
            ArgumentError::OpenQuote => Error::config(
                place(),
                format!("the arguments of `{path}` have a quote that is not closed, or end in a backslash"),
                "arguments are split as a shell does: close the quote, or put a backslash before it",
            ),
            ArgumentError::Nul | ArgumentError::Empty => {
                Error::config(place(), format!("the arguments of `{path}` have a NUL in them"), HINT)
            }
        })?,
    };
    Ok(ListedPlugin { path, args, raw, line: span.line })
}

const PATH_HINT: &str = "a plugin's path is relative to the workspace and lies in it, such as `plugins/todo`";

/// A YAML map of exactly one entry.
struct OneEntry(String, Option<String>);

impl<'de> Deserialize<'de> for OneEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = OneEntry;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path, a colon and the arguments")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneEntry, A::Error> {
                let missing = || A::Error::custom("expected a path, a colon and the arguments");
                let (key, value) = map.next_entry::<Scalar, Scalar>()?.ok_or_else(missing)?;
                // Only a line break that is one for YAML alone (U+2028, say) leads here.
                if map.next_key::<Scalar>()?.is_some() {
                    return Err(A::Error::custom("more than one entry in a line"));
                }
                let key = key.0.ok_or_else(|| A::Error::custom("the path is empty"))?;
                Ok(OneEntry(key, value.0))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A text or nothing.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNothing;
        impl Visitor<'_> for TextOrNothing {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or nothing")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(TextOrNothing)
    }
}

#[cfg(test)]
mod tests;
