//! The text of a patch: the files it names, and why it does not apply. GNU patch applies it.

use std::path::Path;

use crate::lock::is_relative;
use crate::ui::controls_escaped;

/// A patch, as far as its headers tell.
pub struct PatchText {
    /// How many leading segments of its paths are not part of the tree.
    pub strip: usize,
    /// Each path of a header as it is written, with the line.
    paths: Vec<String>,
    is_binary: bool,
}

/// Why a patch does not apply, and the next step.
pub struct PatchFault {
    /// Where it does not apply, or what is wrong with it.
    pub what: String,
    /// The next step.
    pub hint: String,
}

impl PatchText {
    /// Reads the headers. Lines of a hunk may look like one: such a path is one too many, and does no harm.
    pub fn parse(patch: &[u8]) -> Self {
        let text = String::from_utf8_lossy(patch);
        let mut paths = Vec::new();
        let (mut has_prefixes, mut is_binary, mut is_new) = (false, false, false);
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("diff --git ") {
                // `rename from` has no prefix: when the paths start with it, they have none.
                let renamed = |from: &str| rest.strip_prefix(from).is_some_and(|to| to.starts_with(' '));
                has_prefixes |= is_prefixed(rest)
                    && !text.lines().filter_map(|line| line.strip_prefix("rename from ")).any(renamed);
            }
            // A patch without git's header may make a file: `--- /dev/null`, `+++ b/x`.
            has_prefixes |= line.starts_with("--- a/") || (is_new && line.starts_with("+++ b/"));
            is_new = line.starts_with("--- /dev/null");
            is_binary |= line == "GIT binary patch" || (line.starts_with("Binary files ") && line.ends_with(" differ"));
            let header = ["--- ", "+++ ", "Index: "].iter().find_map(|start| line.strip_prefix(start));
            let moved = ["rename from ", "rename to ", "copy from ", "copy to "];
            if let Some(rest) = header {
                paths.extend(names(rest));
            } else if let Some(rest) = moved.iter().find_map(|start| line.strip_prefix(start)) {
                // These have no prefix; one is put before, so that all paths are alike.
                let prefix = if has_prefixes { "a/" } else { "" };
                paths.extend(names(rest).into_iter().map(|name| format!("{prefix}{name}")));
            } else if let Some(rest) = line.strip_prefix("diff --git ") {
                // Of a file that only changes its mode, or is empty, there is no other header.
                paths.extend(rest.split(' ').flat_map(names));
            }
        }
        paths.retain(|path| path != "/dev/null");
        paths.sort();
        paths.dedup();
        Self { strip: usize::from(has_prefixes), paths, is_binary }
    }

    /// The files of the tree that it may change, make or remove. Paths from elsewhere than the workspace's folder are
    /// among them with what follows each of their segments: [`PatchText::why`] asks which of them is a file.
    pub fn touched(&self) -> impl Iterator<Item = String> {
        self.paths.iter().flat_map(|path| suffixes(path)).filter(|path| is_relative(path)).map(str::to_owned)
    }

    /// The files that it names and that no tree is asked for, since their names are not UTF-8 or have control characters;
    /// these are escaped.
    pub fn unreadable(&self) -> impl Iterator<Item = String> {
        let is_odd = |path: &&str| path.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        let stripped = self.paths.iter().filter_map(|path| suffixes(path).nth(self.strip));
        stripped.filter(is_odd).map(controls_escaped)
    }

    /// The segments to strip for `tree`: one more than the headers tell where all files are there only then, as with `diff
    /// -u old/x new/x`.
    pub fn strip_in(&self, tree: &Path) -> usize {
        let is_file = |strip: usize| {
            let there = self.paths.iter().filter_map(|path| suffixes(path).nth(strip));
            there.filter(|path| is_relative(path)).any(|path| tree.join(path).is_file())
        };
        if self.strip == 0 && !is_file(0) && is_file(1) { 1 } else { self.strip }
    }

    /// Why it does not apply to `tree`, of which GNU patch says `output`.
    pub fn why(&self, tree: &Path, output: &[impl AsRef<str>]) -> PatchFault {
        let fault = |what: &str, hint: &str| PatchFault { what: what.to_owned(), hint: hint.to_owned() };
        if self.is_binary {
            return fault(
                "it changes a binary file, which GNU patch cannot do",
                "put the file into an `overlay` folder beside the plugin's configuration instead",
            );
        }
        if let Some(fault) = self.misplaced(tree) {
            return fault;
        }
        let output = || output.iter().map(AsRef::as_ref);
        if output().any(|line| line.starts_with("Reversed (or previously applied) patch detected")) {
            return fault(
                "the commit has its changes already",
                "remove the patch, or what the commit has of it, and run `factory resolve`",
            );
        }
        let mut file = "";
        for line in output() {
            if let Some(rest) = line.strip_prefix("patching file ") {
                file = rest.split(" (").next().unwrap_or(rest).trim_matches('\'');
            }
            let failed = line.strip_prefix("Hunk #").and_then(|rest| rest.split_once(" FAILED at "));
            if let Some((hunk, at)) = failed {
                let at = at.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
                return fault(
                    &format!("hunk {hunk} does not fit `{file}` at line {at}"),
                    "update the patch for the pinned commit",
                );
            }
        }
        fault("GNU patch refuses it", "check that it is a unified diff, and update it for the pinned commit")
    }

    /// The hunks that GNU patch says in `output` to have applied though their context differs.
    pub fn fuzzy(output: &[impl AsRef<str>]) -> Vec<String> {
        let (mut file, mut found) = (String::new(), Vec::new());
        for line in output.iter().map(AsRef::as_ref) {
            if let Some(rest) = line.strip_prefix("patching file ") {
                rest.split(" (").next().unwrap_or(rest).trim_matches('\'').clone_into(&mut file);
            }
            let hunk = line.strip_prefix("Hunk #").and_then(|rest| rest.split_once(" succeeded at "));
            if let Some((hunk, at)) = hunk.filter(|(_, at)| at.contains("with fuzz")) {
                found.push(format!(
                    "hunk {hunk} of `{file}` does not fit, and was applied at line {}",
                    at.trim_end_matches('.')
                ));
            }
        }
        found
    }

    /// When no file it names is in the tree: because its paths start somewhere else, or because there is none.
    fn misplaced(&self, tree: &Path) -> Option<PatchFault> {
        let is_file = |path: &str| is_relative(path) && tree.join(path).is_file();
        let stripped = |path: &'_ str| suffixes(path).nth(self.strip).map(str::to_owned);
        let there: Vec<String> = self.paths.iter().filter_map(|path| stripped(path)).collect();
        if there.is_empty() || there.iter().any(|path| is_file(path)) {
            return None;
        }
        let above = self.paths.iter().find_map(|path| {
            // A file's name alone, such as package.json, is in many folders.
            let found = suffixes(path).skip(self.strip).find(|rest| rest.contains('/') && is_file(rest))?;
            let start = path.strip_suffix(found)?.trim_end_matches('/');
            Some(suffixes(start).nth(self.strip)?.to_owned())
        });
        let first = &there[0];
        Some(match above {
            Some(above) => PatchFault {
                what: format!("its paths start with `{above}`, which is not in the workspace's folder"),
                hint: "write its paths relative to the workspace's folder, as `git diff --relative` does there".to_owned(),
            },
            None => PatchFault {
                what: format!("`{first}` is not in the workspace"),
                hint: "its paths must be relative to the workspace's folder, all with the prefixes `a/` and `b/` or none; \
                       update the patch for the pinned commit"
                    .to_owned(),
            },
        })
    }
}

/// True for the two paths of `diff --git`, unless they are as `git diff --no-prefix` writes them: equal.
fn is_prefixed(paths: &str) -> bool {
    let halves = paths.split_at_checked(paths.len() / 2);
    halves.is_none_or(|(old, new)| new.strip_prefix(' ') != Some(old))
}

/// The path in a header: up to a tab; without one, GNU patch ends it at a blank, which may be part of it.
fn names(rest: &str) -> Vec<String> {
    let rest = rest.trim_end_matches('\r');
    if let Some(quoted) = rest.strip_prefix('"') {
        return unquoted(quoted).into_iter().collect();
    }
    let whole = rest.split('\t').next().unwrap_or(rest).trim_end();
    let first = whole.split(' ').next().unwrap_or(whole);
    let mut names = vec![whole.to_owned()];
    if first != whole {
        names.push(first.to_owned());
    }
    names.retain(|name| !name.is_empty());
    names
}

/// A C string as git writes paths with unusual bytes, without its first quote.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    loop {
        match rest.next()? {
            b'"' => return Some(String::from_utf8_lossy(&bytes).into_owned()),
            b'\\' => match rest.next()? {
                b'n' => bytes.push(b'\n'),
                b't' => bytes.push(b'\t'),
                b'r' => bytes.push(b'\r'),
                b'a' => bytes.push(7),
                b'b' => bytes.push(8),
                b'v' => bytes.push(11),
                b'f' => bytes.push(12),
                digit @ b'0'..=b'7' => {
                    let (second, third) = (rest.next()?, rest.next()?);
                    let octal = [digit, second, third].map(char::from).iter().collect::<String>();
                    bytes.push(u8::from_str_radix(&octal, 8).ok()?);
                }
                other => bytes.push(other),
            },
            other => bytes.push(other),
        }
    }
}

/// The path, and what follows each of its segments.
fn suffixes(path: &str) -> impl Iterator<Item = &str> {
    let after = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
    std::iter::once(path).chain(after).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(patch: &str) -> Vec<String> {
        PatchText::parse(patch.as_bytes()).touched().collect()
    }

    #[test]
    fn the_strip_level_follows_the_headers() {
        let strip = |patch: &str| PatchText::parse(patch.as_bytes()).strip;
        assert_eq!(strip("diff --git a/x b/x\n"), 1);
        assert_eq!(strip("text\n--- a/x\n+++ b/x\n"), 1);
        assert_eq!(strip("--- x.orig\n+++ x\n"), 0);
        assert_eq!(strip("diff --git p/x y p/x y\n--- p/x y\n+++ p/x y\n"), 0);
        assert_eq!(strip("diff --git i/x w/x\n"), 1);
        assert_eq!(strip("diff --git p/x p/y\nrename from p/x\nrename to p/y\n"), 0);
    }

    #[test]
    fn every_file_of_the_headers_is_touched() {
        assert_eq!(
            touched("--- a/p/x\t2025-01-01\n+++ b/p/x\n@@ -1 +1 @@\n"),
            ["a/p/x", "p/x", "x", "b/p/x", "p/x", "x"]
        );
        assert_eq!(touched("--- /dev/null\n+++ ../../x\n"), ["x"]);
        assert_eq!(touched("--- \"a/\\303\\244\"\n"), ["a/ä", "ä"]);
        assert!(touched("diff --git a/s b/t\nrename from s\nrename to t\n").contains(&"t".to_owned()));
    }

    #[test]
    fn why_a_patch_fails_names_the_file_and_the_next_step() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("p")).unwrap();
        std::fs::write(dir.path().join("p/x"), "1\n").unwrap();
        let why = |patch: &str, output: &str| {
            let output: Vec<_> = output.lines().collect();
            PatchText::parse(patch.as_bytes()).why(dir.path(), &output).what
        };
        assert_eq!(
            why("--- a/p/x\n+++ b/p/x\n", "patching file p/x\nHunk #2 FAILED at 14 (different line endings).\n"),
            "hunk 2 does not fit `p/x` at line 14"
        );
        assert_eq!(
            why("--- a/p/x\n+++ b/p/x\n", "Reversed (or previously applied) patch detected!  Skipping patch.\n"),
            "the commit has its changes already"
        );
        assert_eq!(
            why("--- a/w/y/p/x\n+++ b/w/y/p/x\n", ""),
            "its paths start with `w/y`, which is not in the workspace's folder"
        );
        assert_eq!(why("--- a/p/gone\n+++ b/p/gone\n", ""), "`p/gone` is not in the workspace");
        assert_eq!(
            why("diff --git a/p/x b/p/x\nGIT binary patch\n", ""),
            "it changes a binary file, which GNU patch cannot do"
        );
    }
}
