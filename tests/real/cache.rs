//! The cache that all tests of real builds share: its tools weigh a gigabyte and take minutes to install. It is kept
//! between runs, in the folder that `FACTORY_TEST_CACHE` names, else below `target/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::program::{Outcome, Test, copy, names};

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

/// Copies what a build without a network needs into another cache.
pub fn copy_to(other: &Path) {
    fs::create_dir_all(other).unwrap();
    for kind in ["tools", "yarn"] {
        copy(&cache().join(kind), &other.join(kind));
    }
}

/// The name of the entry of this Node.js.
pub fn node(version: &str) -> String {
    let version = format!("-{version}-");
    let is_wanted = |name: &String| name.starts_with("node-linux-") && name.contains(&version);
    names(&cache().join("tools")).into_iter().find(is_wanted).unwrap()
}

/// The same with links instead of the tools, all but the one named.
pub fn link_to(other: &Path, copied: &str) {
    fs::create_dir_all(other.join("tools")).unwrap();
    copy(&cache().join("yarn"), &other.join("yarn"));
    for name in names(&cache().join("tools")) {
        let (here, there) = (cache().join("tools").join(&name), other.join("tools").join(&name));
        if name == copied { copy(&here, &there) } else { symlink(here, there).unwrap() }
    }
}

/// Runs factory in the folder of a test with this cache and nothing of the caller's `FACTORY_…` variables.
pub fn factory(test: &Test, args: &[&str]) -> Outcome {
    factory_with(test, args, &[])
}

/// The same with more variables.
pub fn factory_with(test: &Test, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(harness::program());
    command.current_dir(test.path("")).stdin(Stdio::null());
    unset_factory(&mut command);
    command.env("FACTORY_CACHE_DIR", cache()).envs(variables.iter().copied());
    test.outcome(command.args(args).output().unwrap())
}

/// Takes the caller's `FACTORY_…` variables from a command. It waits longer for connections: with so many builds at
/// once a proxy lets some wait.
pub fn unset_factory(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FACTORY_")) {
        command.env_remove(name);
    }
    command.env("FACTORY_CONNECT_TIMEOUT", "120");
}
