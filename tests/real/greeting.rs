//! `examples/greeting` as a user has it, in a repository of its own, and what real tools make of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use factory::lock::Lock;
use harness::program::{copy, names, text};
use harness::repository::Repository;

use crate::cache::{self, cache};

/// A repository that has the example at its place, always as the same commit: what is built is committed, whatever is
/// not committed here.
pub struct Greeting {
    folder: PathBuf,
    /// Removes the folder.
    _owned: Option<tempfile::TempDir>,
    pub repository: Repository,
    pub cache: PathBuf,
}

/// What the example needs of a machine.
pub fn needs() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
}

impl Greeting {
    pub fn new() -> Self {
        Self::changed(|_| {})
    }

    /// With another commit: `change` edits the example's folder.
    pub fn changed(change: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let greeting = Self::at(dir.path(), cache(), change);
        Self { _owned: Some(dir), ..greeting }
    }

    /// In a folder that stays.
    pub fn at(folder: &Path, cache: PathBuf, change: impl FnOnce(&Path)) -> Self {
        let repository = Repository::init(&folder.join("clone"));
        let project = harness::project();
        let listed =
            Command::new("git").args(["ls-files", "-z", "examples/greeting"]).current_dir(&project).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains("source.json"), "the example is not committed");
        for file in listed.split_terminator('\0').filter(|file| project.join(file).is_file()) {
            repository.write(file, fs::read(project.join(file)).unwrap());
        }
        change(&repository.dir.join("examples/greeting"));
        repository.commit("the example");
        Self { folder: folder.to_path_buf(), _owned: None, repository, cache }
    }

    /// With the lock of the first build, and so its seals.
    pub fn sealed(self) -> Self {
        let first = first().greeting.config();
        for name in ["factory.lock", "factory.lock.d"] {
            copy(&first.join(name), &self.config().join(name));
        }
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.repository.dir.join("examples/greeting")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(harness::program());
        command.args(args).arg("--config-dir").arg(self.config()).arg("--cache-dir").arg(&self.cache);
        cache::unset_factory(&mut command);
        // A password in the environment: build scripts must not see it.
        command.current_dir(&self.folder).env("REGISTRY_PASSWORD", "s3cret-of-the-test").stdin(Stdio::null());
        command
    }

    /// Runs it to a good end, with nothing on stdout; returns what it says.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert_code(&output, 0);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "stdout is for data");
        stderr(&output)
    }

    /// A command that builds into a folder here.
    pub fn build(&self, args: &[&str], output: &str) -> Output {
        self.command(args).arg("--output-dir").arg(self.path(output)).output().unwrap()
    }

    pub fn lock(&self) -> Lock {
        let path = self.config().join("factory.lock");
        Lock::from_text(&fs::read_to_string(&path).unwrap(), &path).unwrap()
    }
}

/// The first build of the example, from an empty lock; once for all tests.
pub struct FirstBuild {
    pub greeting: Greeting,
    pub output: PathBuf,
    /// What was said of it.
    pub said: String,
}

/// Makes it, or waits for it.
pub fn first() -> &'static FirstBuild {
    static FIRST: LazyLock<FirstBuild> = LazyLock::new(|| {
        let _lock = cache::lock();
        let greeting = Greeting::at(&harness::run_folder().join("first"), cache(), |_| {});
        let output = greeting.path("first");
        let said = greeting.ok(&["run", "--output-dir", text(&output)]);
        FirstBuild { greeting, output, said }
    });
    &FIRST
}

/// Nobody else builds the example in the shared cache while this lives: its builds have one folder there, and tests look
/// into it.
#[must_use]
pub fn alone() -> fs::File {
    first();
    cache::lock()
}

/// Leaves the frontend out, which takes half of the time of a build.
pub fn without_frontend(example: &Path) {
    let list = fs::read_to_string(example.join("plugins-list.yaml")).unwrap();
    let shorter = list.replace("plugins/greeting:\n", "");
    assert_ne!(list, shorter);
    fs::write(example.join("plugins-list.yaml"), shorter).unwrap();
}

/// The bytes of everything that a build made but its logs and its report, which say when and where it was.
pub fn published(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![output.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(&name);
            if path.is_dir() && name != "logs" {
                folders.push(path);
            } else if path.is_file() && name != "build-report.json" {
                files.insert(text(path.strip_prefix(output).unwrap()).to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// What is published is the same, to the byte.
#[track_caller]
pub fn same(first: &Path, second: &Path) {
    let (first, second) = (published(first), published(second));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    let differ: Vec<_> = first.iter().filter(|(path, bytes)| second[*path] != **bytes).map(|(path, _)| path).collect();
    assert_eq!(differ, [""; 0]);
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "signal {:?}\n{}", output.status.signal(), stderr(output));
}
