//! The logs of native packages that did not compile: yarn leaves a `build.log` in the temporary folder and says only
//! where it is. The folder is that of this build alone, so the logs are too.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::sandbox::child::Log;
use crate::store::{LeftKind, UntrustedTree};

/// Logs that are shown.
const LOGS: usize = 3;
/// The end of a log that is read, in bytes.
const READ: u64 = 64 * 1024;
/// Lines of each log that go with the error; the workspace's log gets all that were read.
const LINES: usize = 15;
/// Yarn's folders lie directly in the temporary folder; a log deeper than this is not yarn's.
const DEPTH: usize = 3;

/// Appends the logs below `tmp` to `log`, and returns their last lines, each log under a line with its name.
pub fn collect(tmp: &Path, log: &Log) -> Vec<String> {
    let Ok(left) = UntrustedTree::open(tmp, "the temporary folder") else { return Vec::new() };
    let mut found = Vec::new();
    find(&left, Path::new(""), DEPTH, &mut found);
    found.sort();
    let mut shown = Vec::new();
    for path in found.iter().take(LOGS) {
        let Some(text) = end_of(&left, path) else { continue };
        let name = path.display();
        log.line(&format!("--- {name}\n{}", text.trim_end()));
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        shown.push(format!("--- {name}"));
        shown.extend(lines[lines.len().saturating_sub(LINES)..].iter().map(|line| (*line).to_owned()));
    }
    shown
}

fn find(left: &UntrustedTree, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for (name, kind) in left.entries(folder).unwrap_or_default() {
        let path = folder.join(&name);
        if kind == LeftKind::Folder && depth > 1 {
            find(left, &path, depth - 1, found);
        } else if kind == LeftKind::File && name == "build.log" {
            found.push(path);
        }
    }
}

fn end_of(left: &UntrustedTree, path: &Path) -> Option<String> {
    let mut file = left.open_file(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(READ);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(READ).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_ends_of_the_logs_of_this_build_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("tmp");
        for (name, text) in [
            ("xfs-1/build.log", (0..40).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n")),
            ("xfs-2/build.log", "g++: not found\n\n".to_owned()),
            ("xfs-3/build.log", String::new()),
            ("xfs-3/other.log", "no".to_owned()),
        ] {
            let path = tmp.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let log = Log::create(dir.path().join("log")).unwrap();
        let shown = collect(&tmp, &log);
        assert_eq!(shown[0], "--- xfs-1/build.log");
        assert_eq!(shown[1], "line 25");
        assert_eq!(shown[16..], ["--- xfs-2/build.log", "g++: not found"]);
        assert!(fs::read_to_string(log.path()).unwrap().contains("line 0\n"));
    }
}
