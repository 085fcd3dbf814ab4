//! The program itself, run in a folder of its own with an environment of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with `config/`, and what is run in it. Nothing of the machine's environment is passed on, not even a `PATH`
/// unless it is asked for.
pub struct Test {
    dir: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

impl Test {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        Self { dir, vars: Vec::new() }
    }

    /// One that finds the machine's programs.
    pub fn with_path() -> Self {
        let mut test = Self::new();
        if let Ok(path) = std::env::var("PATH") {
            test.env("PATH", path);
        }
        test
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, making its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes a file of the configuration.
    pub fn config(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        self.write(&format!("config/{path}"), bytes)
    }

    #[allow(clippy::needless_pass_by_value, reason = "paths, numbers and texts alike")]
    pub fn env(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.vars.push((name.to_owned(), value.to_string()));
        self
    }

    /// `factory` with these arguments, its folder, cache and environment set.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(crate::program());
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// Another program in the same folder and environment.
    pub fn prepare(&self, command: &mut Command) {
        command.current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.path("home")).env("FACTORY_CACHE_DIR", self.path("cache"));
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, &[])
    }

    /// With variables for this run alone.
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
        self.outcome(self.command(args).envs(variables.iter().copied()).output().unwrap())
    }

    /// Runs it as nobody, who then owns what is in this test's folder.
    pub fn run_as_nobody(&self, args: &[&str]) -> Outcome {
        let factory = self.path("factory");
        // By another process: one that this one starts meanwhile would hold the copy open for writing.
        if !factory.exists() {
            assert!(Command::new("cp").arg(crate::program()).arg(&factory).status().unwrap().success());
        }
        assert!(Command::new("chown").args(["-hR", "65534:65534"]).arg(self.path("")).status().unwrap().success());
        let mut command = Command::new("setpriv");
        self.prepare(&mut command);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(factory).args(args);
        self.outcome(command.output().unwrap())
    }

    /// What came out of a program, with this test's folder shown as `[DIR]` and the times of steps as `[TIME]`.
    pub fn outcome(&self, output: Output) -> Outcome {
        let folder = self.dir.path().to_str().unwrap();
        let text = |bytes: Vec<u8>| without_times(&String::from_utf8(bytes).unwrap().replace(folder, "[DIR]"));
        Outcome { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The last word of a finished step's line is the time it took.
fn without_times(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((step, _)) if line.starts_with('✓') => {
            format!("{step} [TIME]{}", if line.ends_with('\n') { "\n" } else { "" })
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Text and exit code of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// -1 for a signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.stderr);
        self
    }

    /// Exit code and everything on stderr; nothing on stdout.
    #[track_caller]
    pub fn fails(self, code: i32, stderr: &str) -> Self {
        assert_eq!(self.stderr.trim_end(), stderr.trim_end());
        assert_eq!(self.stdout, "");
        self.exits(code)
    }
}

/// `cp -a`
#[track_caller]
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success(), "{} to {}", from.display(), to.display());
}

/// The names in a folder, sorted; none when it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files below a folder with their bytes, but for reports and logs, which have times.
pub fn outputs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() && name != "logs" {
            all.extend(outputs(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if path.is_file() && name != "build-report.json" {
            all.push((name, fs::read(&path).unwrap()));
        }
    }
    all
}

/// A path or argument as text.
pub fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> &str {
    path.as_ref().to_str().unwrap()
}
