//! The cache that all tests of real builds share: its tools weigh a gigabyte and take minutes to install. It is kept
//! between runs, in the folder that `FACTORY_TEST_CACHE` names, else below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its folder.
pub fn cache() -> PathBuf {
    let folder = std::env::var_os("FACTORY_TEST_CACHE").map_or_else(harness::tmp, PathBuf::from);
    folder.join("cache")
}

/// A lock of those who use it, also where each test is a process of its own.
#[must_use]
pub fn lock() -> fs::File {
    fs::create_dir_all(cache()).unwrap();
    let file = fs::File::create(cache().join("test.lock")).unwrap();
    file.lock().unwrap();
    file
}

/// How the files of a cache get into another.
#[derive(Clone, Copy)]
pub enum Means {
    /// They are the other's files, too.
    Link,
    Copy,
}

/// Gives another cache what a build without a network needs.
pub fn stock(other: &Path, means: Means) {
    fs::create_dir_all(other).unwrap();
    let option = match means {
        Means::Link => "-al",
        Means::Copy => "-a",
    };
    let copied = Command::new("cp").arg(option).args([cache().join("tools"), cache().join("yarn")]).arg(other).status();
    assert!(copied.unwrap().success());
}
