//! One plugin: `rhdh-cli plugin export`, then the selection of its files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::drift::Drift;
use super::masked::unmask;
use super::tree::{SCALPRUM, join};
use crate::error::{Error, Place, Result};
use crate::image::{Content, PackageFile, PackageFiles, mf_types};
use crate::interrupt::Interrupt;
use crate::lock::arguments::words;
use crate::lock::companions::CompanionPath;
use crate::lock::{Plugin, Sha256, Workspace};
use crate::sandbox::child::{Log, Run, run};
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::Root;
use crate::tools::provide::CLI_PACKAGE;

/// The folder that the CLI fills, below the plugin.
pub const EXPORTED: &str = "dist-dynamic";

/// Lines of yarn's output that are shown with an error.
const MOST_LINES: usize = 15;

/// The pinned programs as the build's children see them.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `node`
    pub node: PathBuf,
    /// npm's entry, run with node.
    pub npm: PathBuf,
    /// yarn's entry, run with node.
    pub yarn: PathBuf,
    /// rhdh-cli's entry, run with node.
    pub cli: PathBuf,
}

impl Programs {
    /// The CLI's entry in its installed tree.
    pub fn cli_entry(tree: &Path) -> PathBuf {
        tree.join("node_modules").join(CLI_PACKAGE).join("bin/rhdh-cli")
    }
}

/// The export of one plugin.
pub struct Export<'a> {
    /// Its workspace.
    pub workspace: &'a Workspace,
    /// The plugin.
    pub plugin: &'a Plugin,
    /// The workspace's folder in the checkout.
    pub tree: &'a Path,
    /// The programs.
    pub programs: &'a Programs,
    /// The view of the children, with a temporary folder of this plugin's own.
    pub root: &'a Root,
    /// Their environment.
    pub env: &'a ChildEnv,
    /// Where the lock and its companion folder lie.
    pub lock_dir: &'a Path,
    /// Whether the export may use the network.
    pub network: bool,
    /// Where the output goes.
    pub log: &'a Log,
    /// How long a step may take.
    pub timeout: Duration,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// What an export made.
pub struct Exported {
    /// The files of the package, `package.json` among them.
    pub entries: PackageFiles,
    /// The exported `package.json`.
    pub package_json: Vec<u8>,
    /// Its name, `<source name>-dynamic`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The `yarn.lock` of a backend's private dependencies.
    pub closure: Option<Vec<u8>>,
}

impl Export<'_> {
    /// Runs the CLI, then selects what belongs to the package.
    pub async fn run(&self) -> Result<Exported> {
        let folder = self.tree.join(join(&self.plugin.path, ""));
        let out = folder.join(EXPORTED);
        if self.plugin.role.is_backend() {
            self.lay_closure(&out)?;
        }
        self.export(&folder).await?;
        let package_path = out.join("package.json");
        let package_json = std::fs::read(&package_path).map_err(Error::io("read", &package_path))?;
        let ExportedManifest { name, version } = serde_json::from_slice(&package_json).map_err(|e| {
            Error::config(Place::line(&package_path, e.line()), format!("the exported package is broken: {e}"), "")
        })?;
        let files = self.select(&out).await?;
        let closure_path = out.join("yarn.lock");
        let closure = if self.plugin.role.is_backend() {
            Some(std::fs::read(&closure_path).map_err(Error::io("read", &closure_path))?)
        } else {
            None
        };
        Ok(Exported { entries: normalised(&out, files)?, package_json, name, version, closure })
    }

    /// Puts the sealed closure where the CLI finds it: then it installs exactly that (`--immutable`).
    fn lay_closure(&self, out: &Path) -> Result<()> {
        let Some(bytes) = sealed_closure(self.lock_dir, &self.workspace.name, self.plugin)? else { return Ok(()) };
        std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let target = out.join("yarn.lock");
        std::fs::write(&target, bytes).map_err(Error::io("write", &target))
    }

    async fn export(&self, folder: &Path) -> Result<()> {
        let mut args = vec![self.programs.cli.to_string_lossy().into_owned(), "plugin".into(), "export".into()];
        args.extend(words(&self.plugin.args));
        if !self.plugin.role.is_backend() && folder.join(SCALPRUM).is_file() {
            args.extend(["--scalprum-config".into(), SCALPRUM.into()]);
        }
        self.node(
            &args,
            folder,
            &format!("exporting plugin `{}` of workspace `{}` failed", self.plugin.path, self.workspace.name),
            "if its arguments are at fault, correct them in plugins-list.yaml and run `factory resolve`",
        )
        .await
        .map(drop)
        .map_err(|error| self.with_install_log(error, &folder.join(EXPORTED)))
    }

    /// The CLI sends what its `yarn install` says to a file: without it, nobody knows why that failed. When it is the
    /// sealed closure that no longer fits, the plugin is not reproducible, and yarn says what of it.
    fn with_install_log(&self, error: Error, out: &Path) -> Error {
        let Error::Build { what, mut tail, hint } = error else { return error };
        let said = read_small(&out.join("yarn-install.log")).unwrap_or_default();
        for line in said.lines() {
            self.log.line(line);
        }
        let is_sealed = self.plugin.sealed.as_ref().is_some_and(|sealed| sealed.closure.is_some());
        if let Some(drift) = Drift::of_yarn(&said).filter(|_| is_sealed) {
            return self.drifted(&drift);
        }
        let errors = said.lines().filter(|line| !line.contains("YN0000") && !line.trim().is_empty());
        tail.extend(errors.take(MOST_LINES).map(str::to_owned));
        Error::Build { what, tail, hint }
    }

    fn drifted(&self, drift: &Drift) -> Error {
        let (plugin, workspace) = (&self.plugin.path, &self.workspace.name);
        let embedded = "look in what it embeds for times, paths and random names";
        let look = if drift.embedded.is_empty() { "compare the closures" } else { embedded };
        Error::NotReproducible {
            what: format!("plugin `{plugin}` of workspace `{workspace}` is not what the lock has sealed: {drift}"),
            hint: format!(
                "{look}; if the change is meant, run `factory resolve {workspace}` and build again to seal anew; see the \
                 whole output in `{}`",
                self.log.path().display()
            ),
        }
    }

    /// The files that `npm pack` takes, with their executable bit.
    async fn select(&self, out: &Path) -> Result<Vec<(String, bool)>> {
        let args = [&self.programs.npm.to_string_lossy(), "pack", "--dry-run", "--json", "--ignore-scripts"]
            .map(str::to_owned);
        let what = format!("`npm pack` of plugin `{}` of workspace `{}` failed", self.plugin.path, self.workspace.name);
        let said = self.node(&args, out, &what, "").await?;
        let start = said.find('[').unwrap_or(0);
        let packs: Vec<Pack> = serde_json::from_str(&said[start..]).map_err(|e| Error::Build {
            what: format!("{what}: its answer is not understood: {e}"),
            tail: vec![],
            hint: format!("see `{}`", self.log.path().display()),
        })?;
        let files = packs.into_iter().next().map(|pack| pack.files).unwrap_or_default();
        let files = files.into_iter().map(|file| (file.path, file.mode & 0o100 != 0)).collect();
        unmask(out, files).map_err(|why| Error::Build {
            what: format!("{what}: {why}"),
            tail: vec![],
            hint: "leave files with such names out of the package (`files` in its package.json)".into(),
        })
    }

    async fn node(&self, args: &[String], cwd: &Path, what: &str, hint: &str) -> Result<String> {
        run(Run {
            program: &self.programs.node,
            args,
            cwd,
            env: self.env,
            root: self.root,
            network: self.network,
            log: self.log,
            timeout: self.timeout,
            interrupt: self.interrupt,
        })
        .await
        .map_err(|failure| failure.into_error(what, self.log, hint))
    }
}

/// The text of a regular file of up to 1 MiB.
fn read_small(path: &Path) -> Option<String> {
    let meta = path.symlink_metadata().ok()?;
    let is_small = meta.is_file() && meta.len() <= 1 << 20;
    is_small.then(|| std::fs::read(path).ok()).flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The sealed closure of a plugin, held to the lock; none before it is sealed.
pub fn sealed_closure(lock_dir: &Path, workspace: &str, plugin: &Plugin) -> Result<Option<Vec<u8>>> {
    let Some(digest) = plugin.sealed.as_ref().and_then(|sealed| sealed.closure) else { return Ok(None) };
    let path = CompanionPath::closure(workspace, &plugin.path).below(lock_dir);
    let broken = |what: String| Error::Lock {
        place: Place::file(&path),
        what,
        hint: format!(
            "restore it from version control, or run `factory resolve {workspace}` and build again to seal anew"
        ),
    };
    let bytes = std::fs::read(&path).map_err(|e| broken(format!("cannot be read ({e}); the lock needs it")))?;
    let found = Sha256::of(&bytes);
    if found != digest {
        return Err(broken(format!("has the checksum {found}, but the lock says {digest}")));
    }
    Ok(Some(bytes))
}

/// The selected files, with what carries time or order made constant (reproducible.md).
fn normalised(out: &Path, files: Vec<(String, bool)>) -> Result<PackageFiles> {
    let selected = PackageFiles::select(out, files)?;
    let mut entries = selected.entries().to_vec();
    for entry in &mut entries {
        if mf_types::is_named(&entry.path)
            && let Some(bytes) = selected.read(&entry.path)?
        {
            entry.content = Content::Bytes(mf_types::normalise(bytes.into_owned()));
        }
    }
    PackageFiles::new(entries.into_iter().map(|entry| PackageFile { ..entry }).collect())
}

#[derive(Deserialize)]
struct ExportedManifest {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Pack {
    files: Vec<PackFile>,
}

#[derive(Deserialize)]
struct PackFile {
    path: String,
    #[serde(default)]
    mode: u32,
}
