//! Git repositories made at run time with the real `git`, cut off from the machine's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A work tree with a repository.
pub struct Repository {
    pub dir: PathBuf,
}

/// `git` as if nobody had configured it, at a fixed time.
pub fn git(dir: &Path) -> Command {
    crate::needs(&["git"]);
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            git.env_remove(name);
        }
    }
    git.current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent")
        .env("GIT_AUTHOR_NAME", "a")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("GIT_COMMITTER_NAME", "c")
        .env("GIT_COMMITTER_EMAIL", "c@example.com")
        .env("GIT_COMMITTER_DATE", "1763000000 +0000");
    git
}

impl Repository {
    /// An empty repository with the branch `main` at `dir`.
    pub fn init(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let repository = Self { dir: dir.to_path_buf() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Runs git here; returns what it prints, trimmed.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        let output = git(&self.dir).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file, making its folders.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Commits everything; returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Puts an object into the repository that `git add` would refuse to make; returns its id.
    pub fn hash_object(&self, kind: &str, bytes: &[u8]) -> String {
        use std::io::Write;
        use std::process::Stdio;
        let mut child = git(&self.dir)
            .args(["hash-object", "-w", "--literally", "--stdin", "-t", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit of a tree made of `(mode, name, id)`, without any of git's checks.
    pub fn commit_raw_tree(&self, entries: &[(&str, &str, &str)]) -> String {
        let mut tree = Vec::new();
        for (mode, name, id) in entries {
            tree.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            tree.extend_from_slice(&hex::decode(id).unwrap());
        }
        let tree = self.hash_object("tree", &tree);
        self.git(&["commit-tree", &tree, "-m", "raw"])
    }
}
