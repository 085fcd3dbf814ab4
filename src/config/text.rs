//! Files a user wrote, as text: bounded, UTF-8, without a byte order mark; and the errors of their formats as places.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::Place;
use crate::lock::conflict;
use crate::{Error, Result, user_file};

/// The most bytes a configuration file may have. The largest real one has a few kilobytes.
pub const LIMIT: u64 = 1024 * 1024;

/// Opens a file a user wrote; `None` when there is none. A pipe or a device in its place is an error at once, and not
/// waited for.
pub fn open(path: &Path) -> Result<Option<File>> {
    match user_file::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) if user_file::is_no_file(&e) => {
            Err(Error::config(Place::file(path), user_file::NO_FILE, "put a file in its place"))
        }
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// The text of a configuration file, or `None` when there is none.
///
/// A file that is too large, is not UTF-8 or is not merged is an error with its place.
pub fn read(path: &Path) -> Result<Option<String>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::config(
            Place::file(path),
            format!("is larger than {LIMIT} bytes"),
            "a configuration file has a few kilobytes; check that this is the right file",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..before].split(|&b| b == b'\n').skip(1).count();
        Error::config(Place::line(path, line), "is not UTF-8", "save the file as UTF-8")
    })?;
    if let Some(line) = conflict::first_line(&text) {
        let hint =
            "end the merge of this file first: keep what is right of both sides, without the markers, and `git add` it";
        return Err(Error::config(Place::line(path, line), "has the conflict markers of a merge", hint));
    }
    Ok(Some(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }))
}

/// Reads JSON of a type; an error has the line and the column.
pub fn json<T: DeserializeOwned>(path: &Path, text: &str, hint: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let what = message.strip_suffix(&format!(" at line {} column {}", e.line(), e.column())).unwrap_or(&message);
        Error::config(place(path, text, e.line(), e.column()), what, hint)
    })
}

/// Checks that a text is YAML with a map at the top, or nothing but comments (as a file of RHDH's is).
pub fn yaml_map(path: &Path, text: &str) -> Result<()> {
    let hint = "write a map of configuration keys, as in an app-config.yaml";
    if let Some(line) = nested_too_deep(text) {
        return Err(Error::config(Place::line(path, line), "brackets nested too deep", hint));
    }
    let (place, what) = match yaml_serde::from_str::<yaml_serde::Value>(text) {
        Ok(yaml_serde::Value::Mapping(_) | yaml_serde::Value::Null) => return Ok(()),
        Ok(_) => (Place::file(path), "is not a YAML map".to_owned()),
        Err(e) => {
            let place = e.location().map_or_else(|| Place::file(path), |at| Place::at(path, at.line(), at.column()));
            (place, yaml_message(&e))
        }
    };
    Err(Error::config(place, what, hint))
}

/// The line in which too many brackets are open. The YAML parser takes a time that grows with their square, and
/// refuses 128 of them only after that.
fn nested_too_deep(text: &str) -> Option<usize> {
    let (mut open, mut line) = (0_usize, 1);
    for byte in text.bytes() {
        match byte {
            b'\n' => line += 1,
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > 256 {
            return Some(line);
        }
    }
    None
}

/// The message of a YAML error without the positions in it, which are given as a [`Place`].
pub fn yaml_message(error: &yaml_serde::Error) -> String {
    let message = error.to_string();
    let mut out = String::new();
    let mut rest = message.as_str();
    while let Some((before, after)) = rest.split_once(" at line ") {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = rest.strip_prefix(" column ").unwrap_or(rest).trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

/// A place from a 1-based line and a column in bytes, as the JSON reader counts it.
fn place(path: &Path, text: &str, line: usize, column: usize) -> Place {
    if line == 0 {
        return Place::file(path);
    }
    let bytes = text.split('\n').nth(line - 1).unwrap_or_default().as_bytes();
    let characters = String::from_utf8_lossy(&bytes[..column.min(bytes.len())]).chars().count();
    Place::at(path, line, characters.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("source.json");
        assert_eq!(read(&path).unwrap(), None);
        std::fs::write(&path, b"{\n\xff}").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}:2: is not UTF-8", path.display()));
        std::fs::write(&path, vec![b' '; usize::try_from(LIMIT).unwrap() + 1]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: is larger than 1048576 bytes", path.display()));
        std::fs::write(&path, "\u{feff}{}").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), "{}");
    }

    #[test]
    fn columns_count_characters() {
        let error = json::<serde_json::Value>(Path::new("x.json"), "{\n \"é\": ]", "").unwrap_err();
        assert_eq!(error.to_string(), "x.json:2:7: expected value");
    }

    #[test]
    fn yaml_says_where_it_breaks() {
        let check = |text| yaml_map(Path::new("a.yaml"), text).map_err(|e| e.to_string());
        assert_eq!(check("a:\n  b: 1\n"), Ok(()));
        assert_eq!(check("# a:\n"), Ok(()));
        assert_eq!(check("- a"), Err("a.yaml: is not a YAML map".to_owned()));
        assert_eq!(
            check("a: 1\nb: c: d\n"),
            Err("a.yaml:2:5: mapping values are not allowed in this context".to_owned())
        );
        assert_eq!(
            check("a: \"x\n"),
            Err("a.yaml:2:1: found unexpected end of stream, while scanning a quoted scalar".to_owned())
        );
        assert_eq!(
            check("a:\n  - é: [1, 2\n"),
            Err("a.yaml:3:1: did not find expected ',' or ']', while parsing a flow sequence".to_owned())
        );
        assert_eq!(check("é: *x\n"), Err("a.yaml:1:4: unknown anchor".to_owned()));
        assert_eq!(
            check("a: @x\n"),
            Err("a.yaml:1:4: found character that cannot start any token, while scanning for the next token".to_owned())
        );
        assert_eq!(check("a: 1\na: 2\n"), Err("a.yaml:1:1: duplicate entry with key \"a\"".to_owned()));
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
        let deep = format!("a:\n{}", "[".repeat(500_000));
        assert_eq!(check(&deep), Err("a.yaml:2: brackets nested too deep".to_owned()));
        assert_eq!(check(bomb), Err("a.yaml: repetition limit exceeded".to_owned()));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_text_is_read_or_refused_at_a_place_in_it(text in "([a-c{}\\[\\]:,\"\\\\ \n\r\t&*!#-]|repo|é|\u{2028}|\0)*") {
            let path = Path::new("x");
            for error in [
                json::<crate::config::source_json::SourceJson>(path, &text, "").err(),
                json::<crate::config::Versions>(path, &text, "").err(),
                yaml_map(path, &text).err(),
            ] {
                let Some(Error::Config { place, .. }) = error else { continue };
                // Line breaks of YAML 1.1 count as lines there.
                let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 1;
                proptest::prop_assert!(place.line.is_none_or(|line| (1..=lines).contains(&line)));
                proptest::prop_assert!(place.column.is_none_or(|column| (1..=text.chars().count() + 1).contains(&column)));
            }
        }
    }
}
