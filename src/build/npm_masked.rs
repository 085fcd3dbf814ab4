//! What npm hides of its own answer.
//!
//! npm replaces everything in its output that looks like a secret with `***` (`@npmcli/redact`), names of files too:
//! a package with a file called like a UUID cannot be packed from `npm pack --json` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::Result;
use crate::store::{LeftKind, UntrustedTree};

const MASK: &str = "***";

/// The listed files of the package in `left`, each with its executable bit, with the masked names found again on disk.
/// Err when more or fewer files than were listed could be meant.
pub fn unmask(left: &UntrustedTree, listed: Vec<(String, bool)>) -> Result<Vec<(String, bool)>, String> {
    let is_masked = |path: &str| path.contains(MASK) && left.kind(Path::new(path)).is_none();
    let (masked, mut files): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(path, _)| is_masked(path));
    let known: BTreeSet<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (path, _) in masked {
        *times.entry(path).or_default() += 1;
    }
    for (path, times) in times {
        let before = path.split(MASK).next().unwrap_or_default();
        let folder = before.rfind('/').map_or("", |at| &before[..at]);
        let mut there = Vec::new();
        walk(left, folder, &mut there).map_err(|e| e.to_string())?;
        there.retain(|(found, _)| !known.contains(found) && fits(&path, found));
        if there.len() != times {
            return Err(format!("npm lists `{path}`, which stands for one of {} files", there.len()));
        }
        files.extend(there);
    }
    Ok(files)
}

/// Whether `path` is `masked` with something, but no separator, for every mask.
fn fits(masked: &str, path: &str) -> bool {
    match masked.split_once(MASK) {
        None => masked == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            let within = rest.find('/').unwrap_or(rest.len());
            (1..=within).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
        }),
    }
}

fn walk(left: &UntrustedTree, folder: &str, found: &mut Vec<(String, bool)>) -> Result<()> {
    // npm lists no name that is not text.
    for (name, kind) in left.entries(Path::new(folder))? {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if kind == LeftKind::Folder {
            walk(left, &path, found)?;
        } else {
            let is_executable = left.is_executable(Path::new(&path));
            found.push((path, is_executable));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FIRST: &str = "a/.nyc_output/0ad3db5c-bd24-4bb5-b2ae-4cc0a3ae4ee0.json";
    const SECOND: &str = "a/.nyc_output/processinfo/f2c2a6d2-3b3a-4b1c-8c1e-0d6a3c9e1f00.json";

    fn package() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in [FIRST, SECOND, "a/.nyc_output/plain.txt", "b/***.md"] {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), "").unwrap();
        }
        dir
    }

    fn left(dir: &tempfile::TempDir) -> UntrustedTree {
        UntrustedTree::open(dir.path(), "a").unwrap()
    }

    fn listed(paths: &[&str]) -> Vec<(String, bool)> {
        paths.iter().map(|path| ((*path).to_owned(), false)).collect()
    }

    #[test]
    fn names_that_npm_masks_are_found_on_disk() {
        let dir = package();
        let masked =
            ["b/***.md", "a/.nyc_output/***.json", "a/.nyc_output/processinfo/***.json", "a/.nyc_output/plain.txt"];
        let mut found = unmask(&left(&dir), listed(&masked)).unwrap();
        found.sort();
        assert_eq!(found, listed(&[FIRST, "a/.nyc_output/plain.txt", SECOND, "b/***.md"]));
    }

    #[test]
    fn what_could_be_another_file_is_no_guess() {
        let dir = package();
        fs::write(dir.path().join("a/.nyc_output/11111111-bd24-4bb5-b2ae-4cc0a3ae4ee0.json"), "").unwrap();
        let error = unmask(&left(&dir), listed(&["a/.nyc_output/***.json"])).unwrap_err();
        assert_eq!(error, "npm lists `a/.nyc_output/***.json`, which stands for one of 2 files");
        assert!(unmask(&left(&dir), listed(&["a/.nyc_output/***.json", "a/.nyc_output/***.json"])).is_ok());
        assert!(unmask(&left(&dir), listed(&["a/***.css"])).is_err());
    }
}
