//! Conflict markers, as git writes them into a lock that it or `factory lock merge` could not merge.

use std::path::Path;

use similar::{ChangeTag, TextDiff};

use crate::error::{Error, Place, Result};

const MERGE: &str = "run `factory resolve --keep`: it keeps what one side alone changed, and resolves what both changed; or take \
                     one side with `git checkout --ours` or `--theirs`";

/// What the lines of a side begin with.
const MARKS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// A text with conflict markers, as each side of the merge has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// That of the branch that is checked out.
    pub ours: String,
    /// That of the branch that is merged.
    pub theirs: String,
}

/// The mark that a line is: seven times one sign, and nothing or a space behind it.
fn mark(line: &str) -> Option<&'static str> {
    let line = line.trim_end_matches(['\n', '\r']);
    MARKS.into_iter().find(|mark| line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

/// The first line with a marker, from 1.
pub fn first_line(text: &str) -> Option<usize> {
    text.lines().position(|line| matches!(mark(line), Some("<<<<<<<" | ">>>>>>>"))).map(|line| line + 1)
}

/// The error of a lock with markers.
pub fn refuse(text: &str, path: &Path) -> Result<()> {
    let Some(line) = first_line(text) else { return Ok(()) };
    Err(Error::Lock {
        place: Place::line(path, line),
        what: "has the conflict markers of a merge".into(),
        hint: MERGE.into(),
    })
}

/// The sides of a text with markers; none for one without, or where they do not match.
pub fn sides(text: &str) -> Option<Sides> {
    let mut sides = Sides { ours: String::new(), theirs: String::new() };
    let (mut within, mut found) = ("", false);
    for line in text.split_inclusive('\n') {
        match (mark(line), within) {
            (Some(open @ "<<<<<<<"), "") => (within, found) = (open, true),
            (Some(base @ "|||||||"), "<<<<<<<") => within = base,
            (Some(middle @ "======="), "<<<<<<<" | "|||||||") => within = middle,
            (Some(">>>>>>>"), "=======") => within = "",
            (Some(_), _) => return None,
            (None, _) => {
                if matches!(within, "" | "<<<<<<<") {
                    sides.ours.push_str(line);
                }
                if matches!(within, "" | "=======") {
                    sides.theirs.push_str(line);
                }
            }
        }
    }
    (found && within.is_empty()).then_some(sides)
}

/// A text with markers around what differs.
pub fn marked(sides: &Sides) -> String {
    let diff = TextDiff::from_lines(&sides.ours, &sides.theirs);
    let mut text = String::new();
    for op in diff.ops() {
        let lines = |tag: ChangeTag| -> String {
            diff.iter_changes(op).filter(|change| change.tag() == tag).map(|change| change.value()).collect()
        };
        let (ours, theirs) = (lines(ChangeTag::Delete), lines(ChangeTag::Insert));
        if ours.is_empty() && theirs.is_empty() {
            text.push_str(&lines(ChangeTag::Equal));
        } else {
            text = text + "<<<<<<< ours\n" + &ours + "=======\n" + &theirs + ">>>>>>> theirs\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_read_back() {
        let sides_of = |ours: &str, theirs: &str| Sides { ours: ours.into(), theirs: theirs.into() };
        let both = sides_of("a\nb\nc\n", "a\nx\ny\nc\nd\n");
        let text = marked(&both);
        assert_eq!(
            text,
            "a\n<<<<<<< ours\nb\n=======\nx\ny\n>>>>>>> theirs\nc\n<<<<<<< ours\n=======\nd\n>>>>>>> theirs\n"
        );
        assert_eq!((sides(&text), first_line(&text)), (Some(both), Some(2)));
        // As git writes them with `merge.conflictStyle diff3`, and into a file with other ends of lines.
        let text = "<<<<<<< HEAD\r\na\r\n||||||| 12ab\r\nb\r\n=======\r\nc\r\n>>>>>>> topic\r\n";
        assert_eq!(sides(text), Some(sides_of("a\r\n", "c\r\n")));
    }

    #[test]
    fn markers_that_do_not_match_are_no_sides() {
        for text in ["a\n", "<<<<<<< ours\na\n", "a\n>>>>>>> x\n", "<<<<<<< a\n>>>>>>> b\n", "=======\n", ""] {
            assert_eq!(sides(text), None, "{text}");
        }
        assert_eq!(first_line("<<<<<<<x\n======= y\n"), None);
    }
}
