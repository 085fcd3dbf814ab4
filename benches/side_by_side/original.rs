//! What the Python factory does, program by program: clone, patch, `yarn install`, `yarn tsc`, and for each plugin rhdh-cli
//! through npx, `npm pack`, and rhdh-cli again for the image, which it has buildah make.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use factory::lock::{Lock, Plugin, Workspace};

use crate::source::{self, Source};

pub struct Original<'a> {
    dir: PathBuf,
    source: &'a Source,
    workspace: &'a Workspace,
    /// `@red-hat-developer-hub/cli@1.9.1`
    cli: String,
    /// The machine's `PATH`, and before it the folder of yarn, which is installed before anything is timed: rhdh-cli runs it.
    path: OsString,
    registry: String,
}

impl<'a> Original<'a> {
    /// The versions and arguments are those of the lock, so that both build the same.
    pub fn new(dir: &Path, source: &'a Source, lock: &Lock, workspace: &'a Workspace) -> Self {
        let dir = dir.join("original");
        fs::create_dir_all(&dir).unwrap();
        let cli = format!("@red-hat-developer-hub/cli@{}", lock.tools_of(workspace).rhdh_cli.version);
        let registry = Command::new("npm").args(["config", "get", "registry"]).output().unwrap().stdout;
        let registry = String::from_utf8(registry).unwrap().trim().to_owned();
        let yarn = format!("@yarnpkg/cli-dist@{}", workspace.source.yarn.version);
        let folder = dir.join("yarn");
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(&yarn);
        assert!(install.status().unwrap().success(), "{yarn} cannot be installed");
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let folders = [folder.join("node_modules/.bin")].into_iter().chain(std::env::split_paths(&folders));
        let path = std::env::join_paths(folders).unwrap();
        Self { dir, source, workspace, cli, path, registry }
    }

    /// The time of one run. Its caches are those of the runs before it; its sources are always new.
    pub fn timed(&mut self, row: &str) -> Duration {
        let checkout = self.dir.join("source");
        if checkout.exists() {
            fs::remove_dir_all(&checkout).unwrap();
        }
        let log = self.dir.join(format!("{}.log", row.replace([' ', ','], "-")));
        let run = Run { original: self, log: File::create(log).unwrap() };
        let start = Instant::now();
        self.source.checkout(&checkout);
        let root = checkout.join(&self.workspace.source.path);
        self.override_sources(&run, &root);
        run.step(&root, "yarn", &["install", "--immutable"]);
        run.step(&root, "yarn", &["tsc"]);
        for plugin in &self.workspace.plugin {
            self.export(&run, &root, plugin);
        }
        start.elapsed()
    }

    /// Lays patches and overlays over the sources.
    fn override_sources(&self, run: &Run, root: &Path) {
        let patches = self.source.config.join("patches");
        let mut files: Vec<PathBuf> =
            fs::read_dir(&patches).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for patch in files {
            run.step(root, "patch", &["--strip=1", "--forward", "--input", patch.to_str().unwrap()]);
        }
        for plugin in &self.workspace.plugin {
            let overlay = self.source.config.join(&plugin.path).join("overlay");
            if overlay.is_dir() {
                source::copy(&overlay, &root.join(&plugin.path));
            }
        }
    }

    fn export(&self, run: &Run, root: &Path, plugin: &Plugin) {
        let folder = root.join(&plugin.path);
        let words: Vec<String> = plugin
            .listed_args()
            .iter()
            .flat_map(|argument| argument.words().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let mut export = vec!["--yes", self.cli.as_str(), "plugin", "export"];
        export.extend(words.iter().map(String::as_str));
        let scalprum = self.source.config.join(&plugin.path).join("scalprum-config.json");
        if scalprum.is_file() {
            export.extend(["--scalprum-config", scalprum.to_str().unwrap()]);
        }
        run.step(&folder, "npx", &export);
        let outputs = self.dir.join("outputs");
        fs::create_dir_all(&outputs).unwrap();
        run.step(
            &folder,
            "npm",
            &["pack", "./dist-dynamic", "--json", "--pack-destination", outputs.to_str().unwrap()],
        );
        let tag = format!("localhost/side-by-side/{}:{}", plugin.path.replace('/', "-"), plugin.version);
        let package = ["--yes", &self.cli, "plugin", "package", "--container-tool", "buildah", "--tag", &tag];
        run.step(&folder, "npx", &package);
    }
}

/// One run and its log.
struct Run<'a> {
    original: &'a Original<'a>,
    log: File,
}

impl Run<'_> {
    /// Runs a program with caches of the run's own and without install scripts, as `factory` runs it.
    fn step(&self, dir: &Path, program: &str, arguments: &[&str]) {
        let home = self.original.dir.join("home");
        fs::create_dir_all(&home).unwrap();
        let status = Command::new(program)
            .args(arguments)
            .current_dir(dir)
            .env("PATH", &self.original.path)
            .env("HOME", &home)
            .env("npm_config_cache", home.join("npm"))
            .env("npm_config_registry", &self.original.registry)
            .env("YARN_GLOBAL_FOLDER", home.join("yarn"))
            .env("YARN_NPM_REGISTRY_SERVER", &self.original.registry)
            .env("YARN_ENABLE_SCRIPTS", "false")
            .env("npm_config_ignore_scripts", "true")
            .stdout(self.log.try_clone().unwrap())
            .stderr(self.log.try_clone().unwrap())
            .status()
            .unwrap();
        assert!(
            status.success(),
            "{program} {} failed: see the log in `{}`",
            arguments.join(" "),
            self.original.dir.display()
        );
    }
}
