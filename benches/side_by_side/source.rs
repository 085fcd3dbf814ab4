//! The repository and the configuration that both build from: copies, so that a commit can be made in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The branch that both build.
const BRANCH: &str = "side-by-side";

pub struct Source {
    /// The clone that both clone.
    pub repository: PathBuf,
    /// The configuration, which names it.
    pub config: PathBuf,
}

impl Source {
    /// Copies a configuration to `dir/config` and clones what it names to `dir/repository`, before anything is timed:
    /// how fast a server sends a repository is not compared.
    pub fn clone_of(config_dir: &Path, dir: &Path) -> Self {
        let source = Self { repository: dir.join("repository"), config: dir.join("config") };
        copy(config_dir, &source.config);
        let path = source.config.join("source.json");
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let named = json["repo"].as_str().expect("`repo` in source.json").to_owned();
        let local = config_dir.join(&named);
        let from = if local.is_dir() { local.canonicalize().unwrap().display().to_string() } else { named };
        git(dir, &["clone", "--quiet", "--", &from, "repository"]);
        let commit = json["repo-ref"].as_str().unwrap_or("HEAD").to_owned();
        git(&source.repository, &["checkout", "--quiet", "-B", BRANCH, &commit]);
        json["repo"] = source.repository.display().to_string().into();
        json["repo-ref"] = BRANCH.into();
        fs::write(&path, json.to_string()).unwrap();
        source
    }

    /// A checkout of the branch at `to`.
    pub fn checkout(&self, to: &Path) {
        let (from, to) = (self.repository.to_str().unwrap(), to.to_str().unwrap());
        git(&self.config, &["clone", "--quiet", "--branch", BRANCH, "--", from, to]);
    }

    /// Commits a change of one plugin: one line at the end of its entry point.
    pub fn change(&self, workspace: &Path, plugin: &str) {
        let folder = self.repository.join(workspace).join(plugin);
        let entry = ["src/index.ts", "src/index.tsx"].iter().map(|name| folder.join(name)).find(|file| file.is_file());
        let entry = entry.expect("an entry point, `src/index.ts`");
        let mut text = fs::read_to_string(&entry).unwrap();
        text.push_str("\nexport const sideBySide = true;\n");
        fs::write(&entry, text).unwrap();
        git(&self.repository, &["commit", "--quiet", "--all", "--message", "side by side"]);
    }
}

fn git(dir: &Path, arguments: &[&str]) {
    fs::create_dir_all(dir).unwrap();
    let mut command = Command::new("git");
    command.current_dir(dir).args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]).args(arguments);
    assert!(command.status().unwrap().success(), "git {} failed", arguments.join(" "));
}

/// Copies a folder, without what `factory` wrote there before.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if name != "factory.lock.d" {
                copy(&entry.path(), &to.join(name));
            }
        } else if name != "factory.lock" {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
