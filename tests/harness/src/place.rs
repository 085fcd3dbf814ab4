//! The `factory` program as a user runs it: with no variable of the machine's but `PATH`, and a cache of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run said and how it ended.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A folder for one test, with a configuration in `config`.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("config")).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, making its folders.
    pub fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// `factory <args>` in this folder, with `./config` as its configuration.
    pub fn factory(&self, args: &[&str]) -> Said {
        self.factory_with(args, &[])
    }

    pub fn factory_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Said {
        let mut command = factory(self.dir.path());
        command.env("FACTORY_CACHE_DIR", self.path("cache"));
        run(command.args(args).envs(variables.iter().copied()))
    }

    /// Replaces what differs from run to run.
    pub fn plain(&self, text: &str) -> String {
        text.replace(&self.dir.path().canonicalize().unwrap().display().to_string(), "[dir]")
            .replace(&self.dir.path().display().to_string(), "[dir]")
    }
}

/// The program with nothing of the machine's environment but `PATH`.
pub fn factory(dir: &Path) -> Command {
    let mut command = Command::new(crate::program());
    command.current_dir(dir).env_clear().env("HOME", dir).stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

pub fn run(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
