//! Lines as wide as a terminal, broken between words only.

use textwrap::{Options, WordSeparator, WordSplitter, core};

/// Narrower terminals break lines themselves.
const NARROWEST: usize = 20;

/// A text whose lines have at most `columns`, as far as their words do; what is broken hangs two columns deeper. Without
/// columns, the text as it is.
pub(super) fn wrapped(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| *columns >= NARROWEST) else { return text.to_owned() };
    let one = |line: &str| {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if core::display_width(line) <= columns {
            return format!("{line}{end}");
        }
        let words = line.trim_start_matches(' ');
        let indent = " ".repeat((line.len() - words.len()).min(columns / 2));
        let hanging = format!("{indent}  ");
        let options = Options::new(columns)
            .initial_indent(&indent)
            .subsequent_indent(&hanging)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        textwrap::fill(words, options) + end
    };
    text.split_inclusive('\n').map(one).collect()
}

/// The first words of a text that fit into `room` columns, and `…` for the others.
pub(super) fn shortened(text: &str, room: Option<usize>) -> String {
    let Some(room) = room.filter(|room| core::display_width(text) > *room) else { return text.to_owned() };
    let mut short = String::new();
    for word in text.split(' ') {
        if core::display_width(&short) + core::display_width(word) + 2 > room {
            break;
        }
        short = short + word + " ";
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_hang() {
        let text =
            "error: `plugins/a` of workspace `todo` cannot be exported\n  warn  a/very/long/path/that/has/no/space\n";
        let said = wrapped(text, Some(30));
        let expected = "error: `plugins/a` of\n  workspace `todo` cannot be\n  exported\n  warn\n    a/very/long/path/that/has/no/space\n";
        assert_eq!(said, expected);
        assert_eq!(wrapped(text, None), text);
        assert_eq!(wrapped(text, Some(5)), text);
        // Colours take no columns.
        let coloured = "\u{1b}[1mtodo\u{1b}[0m check access to quay.io";
        assert_eq!(wrapped(coloured, Some(28)), coloured);
    }

    #[test]
    fn what_does_not_fit_into_a_live_line_ends_at_a_word() {
        assert_eq!(shortened("push 2 images to registry.example.com", Some(20)), "push 2 images to …");
        assert_eq!(shortened("push 2 images", Some(13)), "push 2 images");
        assert_eq!(shortened("registry.example.com", Some(5)), "…");
    }
}
