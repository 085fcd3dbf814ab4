//! What the original's scripts tell the later steps of a GitHub workflow, through the file that `GITHUB_OUTPUT` names:
//! `FAILED_EXPORTS`, `PUBLISHED_EXPORTS`, `WORKSPACE_SKIPPED_UNCHANGED_SINCE`, `PATCHES_APPLIED` and
//! `SOURCE_OVERLAY_APPLIED`.
//!
//! The file is read line by line, so a value must not be able to end itself and set another output: control characters
//! are replaced, and the line that ends a value is none of its lines.

use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::session::Session;
use crate::build::report::WorkspaceReport;
use crate::config::inputs::{OVERLAYS, PATCHES};
use crate::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::user_file;

/// The outputs of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepOutputs {
    /// The folders of the plugins that were not exported or pushed, below their workspace's name where there are several.
    pub failed: Vec<String>,
    /// The pushed images, with their tags.
    pub published: Vec<String>,
    /// How many patches the built workspaces have.
    pub patches: usize,
    /// Whether one of them has an overlay.
    pub overlays: bool,
}

impl StepOutputs {
    /// What a build made. `unresolved` are the workspaces that were not built since they could not be resolved.
    pub fn of(
        mode: Mode,
        lock: &Lock,
        reports: &[&WorkspaceReport],
        published: Vec<String>,
        unresolved: &[(String, Error)],
    ) -> Self {
        let path = |workspace: &str, plugin: &str| match mode {
            Mode::Single => plugin.to_owned(),
            Mode::Multi => format!("{workspace}/{plugin}"),
        };
        let mut failed = Vec::new();
        for workspace in reports {
            let all = workspace.error.is_some();
            let bad = workspace.plugins.iter().filter(|plugin| all || plugin.error.is_some());
            failed.extend(bad.map(|plugin| path(&workspace.name, &plugin.path)));
        }
        for (name, _) in unresolved {
            let locked = lock.workspace.iter().find(|locked| locked.name == *name);
            match locked.filter(|locked| !locked.problem.is_empty()) {
                Some(locked) => failed.extend(locked.problem.iter().map(|problem| path(name, &problem.plugin))),
                None => failed.push(name.clone()),
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        failed.retain(|path| seen.insert(path.clone()));
        let is_built = |name: &String| reports.iter().any(|built| built.name == *name);
        let locked: Vec<_> = lock.workspace.iter().filter(|workspace| is_built(&workspace.name)).collect();
        let inputs = || locked.iter().flat_map(|workspace| &workspace.input).map(|input| Path::new(&input.path));
        let folder = |path: &Path, names: &[&str]| {
            path.components().any(|part| names.iter().any(|name| part.as_os_str() == *name))
        };
        Self {
            failed,
            published,
            patches: inputs().filter(|path| path.starts_with(PATCHES)).count(),
            overlays: inputs().any(|path| !path.starts_with(PATCHES) && folder(path, &OVERLAYS)),
        }
    }

    /// What is said of a run of which nothing can be resolved.
    pub fn unresolved(config: &Config, names: &[String]) -> Self {
        let wanted = config.names().filter(|name| names.is_empty() || names.iter().any(|one| one == name));
        Self { failed: wanted.map(str::to_owned).collect(), ..Self::default() }
    }

    /// Appends them to the file that `GITHUB_OUTPUT` names, if it names one. A file that cannot be written is a warning:
    /// what was built stays built.
    pub fn write(&self, session: &Session<'_>) {
        let Some(file) = std::env::var_os("GITHUB_OUTPUT").filter(|file| !file.is_empty()) else { return };
        if let Err(error) = self.append(Path::new(&file)) {
            session.ui.warn(format!("the outputs of this step are not in the file of `GITHUB_OUTPUT`: {error}"));
        }
    }

    fn append(&self, path: &Path) -> Result<()> {
        let mut file = user_file::append(path).map_err(Error::io("open", path))?;
        let end = file.seek(SeekFrom::End(0)).map_err(Error::io("read", path))?;
        let mut last = [b'\n'];
        if end > 0 {
            file.seek(SeekFrom::Start(end - 1))
                .and_then(|_| file.read_exact(&mut last))
                .map_err(Error::io("read", path))?;
        }
        let gap = if last == *b"\n" { "" } else { "\n" };
        file.write_all(format!("{gap}{}", self.text()).as_bytes()).map_err(Error::io("write", path))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, lines) in [("FAILED_EXPORTS", &self.failed), ("PUBLISHED_EXPORTS", &self.published)] {
            let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
            let end = delimiter(&lines);
            let _ = writeln!(text, "{name}<<{end}");
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
            let _ = writeln!(text, "{end}");
        }
        let _ = writeln!(text, "WORKSPACE_SKIPPED_UNCHANGED_SINCE=false");
        let _ = writeln!(text, "PATCHES_APPLIED={}", self.patches);
        let _ = writeln!(text, "SOURCE_OVERLAY_APPLIED={}", self.overlays);
        text
    }
}

/// `EOF`, as in the original, or the first of `EOF_1`, `EOF_2`, … that is none of the lines.
fn delimiter(lines: &[String]) -> String {
    let is_free = |end: &String| !lines.contains(end);
    let others = (1..=lines.len()).map(|n| format!("EOF_{n}"));
    std::iter::once("EOF".to_owned()).chain(others).find(is_free).unwrap_or_default()
}

/// Without what a reader may take for the end of a line.
fn printable(line: &str) -> String {
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    line.chars().map(|c| if ends(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(failed: &[&str], published: &[&str]) -> StepOutputs {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        StepOutputs { failed: owned(failed), published: owned(published), patches: 2, overlays: true }
    }

    /// The outputs that a runner of GitHub reads: `NAME=value`, and `NAME<<END` up to a line `END`.
    fn read(text: &str) -> Vec<(String, String)> {
        let (mut lines, mut out) = (text.lines(), Vec::new());
        while let Some(line) = lines.next() {
            if let Some((name, end)) = line.split_once("<<") {
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
                out.push((name.to_owned(), value.join("\n")));
            } else {
                let (name, value) = line.split_once('=').unwrap();
                out.push((name.to_owned(), value.to_owned()));
            }
        }
        out
    }

    #[test]
    fn the_text_is_that_of_the_original() {
        let text = outputs(&["plugins/a", "plugins/b"], &["quay.io/me/x-c:1.0.0"]).text();
        assert_eq!(
            text,
            "FAILED_EXPORTS<<EOF\nplugins/a\nplugins/b\nEOF\nPUBLISHED_EXPORTS<<EOF\nquay.io/me/x-c:1.0.0\nEOF\n\
             WORKSPACE_SKIPPED_UNCHANGED_SINCE=false\nPATCHES_APPLIED=2\nSOURCE_OVERLAY_APPLIED=true\n"
        );
        assert!(outputs(&[], &[]).text().starts_with("FAILED_EXPORTS<<EOF\nEOF\nPUBLISHED_EXPORTS<<EOF\nEOF\n"));
    }

    #[test]
    fn no_value_ends_itself_or_sets_another_output() {
        let bad = ["EOF", "EOF_1", "a\nEOF\nPATH=/evil", "b\r\nEOF", "c\u{85}EOF\u{2028}EOF", "D<<EOF"];
        let read = read(&outputs(&bad, &["EOF"]).text());
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "FAILED_EXPORTS",
                "PUBLISHED_EXPORTS",
                "WORKSPACE_SKIPPED_UNCHANGED_SINCE",
                "PATCHES_APPLIED",
                "SOURCE_OVERLAY_APPLIED"
            ]
        );
        let shown = "EOF\nEOF_1\na\u{fffd}EOF\u{fffd}PATH=/evil\nb\u{fffd}\u{fffd}EOF\nc\u{fffd}EOF\u{fffd}EOF\nD<<EOF";
        assert_eq!((read[0].1.as_str(), read[1].1.as_str()), (shown, "EOF"));
    }

    #[test]
    fn what_is_in_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        std::fs::write(&path, "earlier=1").unwrap();
        for _ in 0..2 {
            outputs(&[], &[]).append(&path).unwrap();
        }
        let text = outputs(&[], &[]).text();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("earlier=1\n{text}{text}"));
    }
}
