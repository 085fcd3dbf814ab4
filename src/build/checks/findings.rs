//! What checks find, and what becomes of it.

use std::fmt;

/// Findings of one kind that are told; there may be thousands of a broken package.
const MOST_TOLD: usize = 20;

/// One thing that is wrong with a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What is wrong, naming the file.
    pub(super) what: String,
    /// The next step.
    pub(super) next: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.next)
    }
}

/// What is wrong with a package, by severity, in the order in which it was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The plugin would not load.
    pub(super) errors: Vec<Finding>,
    /// It may not load, or do less than it should.
    pub(super) warnings: Vec<Finding>,
}

impl Findings {
    pub(super) fn error(&mut self, what: impl Into<String>, next: impl Into<String>) {
        self.errors.push(Finding { what: what.into(), next: next.into() });
    }

    pub(super) fn warning(&mut self, what: impl Into<String>, next: impl Into<String>) {
        self.warnings.push(Finding { what: what.into(), next: next.into() });
    }

    /// The warnings as they are said; the last line counts those that are not told.
    pub(super) fn warning_texts(&self) -> Vec<String> {
        let told = self.warnings.iter().take(MOST_TOLD).map(ToString::to_string);
        told.chain(more(self.warnings.len(), "warning")).collect()
    }

    /// What the errors say, a line each, and their next steps, each once; none when there is no error.
    pub(super) fn error_texts(&self) -> Option<(String, String)> {
        let told = &self.errors[..self.errors.len().min(MOST_TOLD)];
        let lines = told.iter().map(|error| error.what.clone()).chain(more(self.errors.len(), "error"));
        let mut steps: Vec<&str> = Vec::new();
        for error in told.iter().filter(|error| !error.next.is_empty()) {
            if !steps.contains(&error.next.as_str()) {
                steps.push(&error.next);
            }
        }
        (!told.is_empty()).then(|| (lines.collect::<Vec<_>>().join("\n  "), steps.join("; ")))
    }
}

/// The line for what is not told.
fn more(found: usize, noun: &str) -> Option<String> {
    let left = found.checked_sub(MOST_TOLD).filter(|left| *left > 0)?;
    Some(format!("{left} more {noun}{} of the package's checks", if left == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_lines_and_next_steps_are_said_once() {
        let mut findings = Findings::default();
        assert_eq!((findings.error_texts(), findings.warning_texts()), (None, vec![]));
        findings.error("`a` is wrong", "mend it");
        findings.error("`b` is wrong", "mend it");
        findings.error("`c` is gone", "bring it back");
        let (what, hint) = findings.error_texts().unwrap();
        assert_eq!(what, "`a` is wrong\n  `b` is wrong\n  `c` is gone");
        assert_eq!(hint, "mend it; bring it back");
    }

    #[test]
    fn the_many_are_counted() {
        let mut findings = Findings::default();
        for n in 0..=MOST_TOLD {
            findings.warning(format!("`{n}` is wrong"), "mend it");
            findings.error(format!("`{n}` is wrong"), "mend it");
        }
        let told = findings.warning_texts();
        assert_eq!(told.len(), MOST_TOLD + 1);
        assert_eq!((&*told[0], &*told[MOST_TOLD]), ("`0` is wrong: mend it", "1 more warning of the package's checks"));
        let (what, hint) = findings.error_texts().unwrap();
        assert_eq!(what.lines().count(), MOST_TOLD + 1);
        assert!(what.ends_with("\n  1 more error of the package's checks"), "{what}");
        assert_eq!(hint, "mend it");
    }
}
