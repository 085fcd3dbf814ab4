//! A page of at most 65,536 characters: what does not fit is counted.

use std::fmt::Write as _;

use crate::ui::count;

/// GitHub's limit on the text of a pull request or comment. It is in characters; bytes are never fewer.
pub(super) const LIMIT: usize = 65_536;
/// Room for the sentence that says what is missing.
const TAIL: usize = 200;

/// Changes that belong under one heading.
pub(super) struct Block {
    pub(super) open: String,
    pub(super) items: Vec<Item>,
    pub(super) close: String,
}

impl Block {
    /// The same, folded up also where something in it is to be looked at.
    pub(super) fn folded(self) -> Self {
        Self { open: self.open.replacen("<details open>", "<details>", 1), ..self }
    }
}

/// The text of one or more changes.
pub(super) struct Item {
    pub(super) text: String,
    pub(super) changes: usize,
}

/// A page with its limit.
pub(super) struct MarkdownPage {
    text: String,
    left_out: usize,
    full: bool,
}

impl MarkdownPage {
    pub(super) fn new(text: String) -> Self {
        Self { text, left_out: 0, full: false }
    }

    /// Adds what fits; once something does not, nothing is added any more.
    pub(super) fn add(&mut self, block: &Block) {
        let changes = |items: &[Item]| items.iter().map(|item| item.changes).sum::<usize>();
        let room = (LIMIT - TAIL).saturating_sub(self.text.len() + block.open.len() + block.close.len());
        let mut used = 0;
        let fits = block.items.iter().take_while(|item| {
            used += item.text.len();
            used <= room
        });
        let fits = if self.full { 0 } else { fits.count() };
        if fits < block.items.len() {
            // What comes later is left out too: a report with holes would mislead.
            self.full = true;
            self.left_out += changes(&block.items[fits..]);
        }
        if fits > 0 {
            self.text.push_str(&block.open);
            for item in &block.items[..fits] {
                self.text.push_str(&item.text);
            }
            self.text.push_str(&block.close);
        }
    }

    /// The text, with a line that says what is missing.
    pub(super) fn finish(mut self) -> String {
        if self.full {
            let left = match self.left_out {
                0 => "some notes do".to_owned(),
                1 => "1 more change does".to_owned(),
                n => format!("{} do", count(n, "more change")),
            };
            let _ = writeln!(self.text, "\n**{left} not fit here**; see all with `factory diff --format html`.");
        }
        self.text
    }
}
