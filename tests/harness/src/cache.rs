//! The caches of the tests of real builds, one for each file of tests: their tools weigh hundreds of megabytes and take
//! minutes to install. They are kept between runs, in the folder that `FACTORY_TEST_CACHE` names, else below `target/`.

use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    let below_target = || crate::tmp();
    std::env::var_os("FACTORY_TEST_CACHE").map_or_else(below_target, PathBuf::from)
}

/// The cache of a file of tests.
pub fn cache(tests: &str) -> PathBuf {
    folder().join(format!("cache-{tests}"))
}

/// The trees of rhdh-cli that were resolved, for all of them.
fn trees() -> PathBuf {
    folder().join("rhdh-cli")
}

/// Lays the tree of rhdh-cli that an earlier test resolved beside the lock of the configuration, if there is one:
/// asking for its 2,000 packages takes a minute.
pub fn reuse_tree(config: &Path) {
    copy_trees(&trees(), &config.join("factory.lock.d/rhdh-cli"));
}

/// Keeps it for the tests that follow.
pub fn keep_tree(config: &Path) {
    copy_trees(&config.join("factory.lock.d/rhdh-cli"), &trees());
}

/// Copies `<version>/package-lock.json`.
fn copy_trees(from: &Path, to: &Path) {
    for version in fs::read_dir(from).into_iter().flatten() {
        let version = version.unwrap().file_name();
        let to = to.join(&version);
        fs::create_dir_all(&to).unwrap();
        fs::copy(from.join(version).join("package-lock.json"), to.join("package-lock.json")).unwrap();
    }
}
