//! The shape of the code that `src/lib.rs` promises: what may know of what.

use std::fs;
use std::path::{Path, PathBuf};

/// Module → modules it must not know, in its `use` lines or by path.
const FORBIDDEN: [(&str, &[&str]); 3] =
    [("build", &["config", "resolve"]), ("image", &["config", "resolve"]), ("lock", &["config", "resolve"])];

#[harness::test]
fn build_image_and_lock_know_nothing_of_config_and_resolve() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (module, forbidden) in FORBIDDEN {
        for file in files_of(module) {
            seen += 1;
            for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
                let line = line.trim_start();
                if !line.starts_with("//") && forbidden.iter().any(|name| names(line, name)) {
                    wrong.push(format!("{}:{}: {line}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} files were read");
    assert_eq!(wrong, [""; 0]);
}

/// `crate::config`, also as one of several in braces.
fn names(line: &str, module: &str) -> bool {
    let after = |start: &str| {
        line.match_indices(start).any(|(at, _)| {
            let rest = line[at + start.len()..].strip_prefix(module);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    after("crate::") || (line.starts_with("use crate::{") && (after("{") || after(", ")))
}

/// The attribute of libtest means nothing to the runner of these two binaries, and a third binary would have another.
#[harness::test]
fn every_test_is_registered() {
    let tests = harness::project().join("tests");
    let names = harness::program::names(&tests);
    assert_eq!(names, ["data", "harness", "it", "real"], "a new file of tests belongs into one of the two binaries");
    for file in ["it", "real"].into_iter().flat_map(|folder| files_below(&tests.join(folder))) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.lines().any(|line| line.trim() == "#[test]"), "{}: write #[harness::test]", file.display());
    }
}

#[harness::test]
fn forbidden_names_are_found_in_every_form() {
    assert!(names("use crate::config::Config;", "config"));
    assert!(names("use crate::{config, error::Error};", "config"));
    assert!(names("let x = crate::config::read();", "config"));
    assert!(!names("use crate::configuration;", "config"));
}

/// `src/<module>.rs` and all below `src/<module>/`.
fn files_of(module: &str) -> Vec<PathBuf> {
    let src = harness::project().join("src");
    let mut files = files_below(&src.join(module));
    files.push(src.join(format!("{module}.rs")));
    files
}

/// Every `.rs` file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
