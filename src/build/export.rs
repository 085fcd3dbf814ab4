//! One plugin: `rhdh-cli plugin export`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::closure_drift::Drift;
use super::context::PluginTarget;
use super::export_view::ExportView;
use super::sealed_files::sealed_closure;
use super::source::LARGEST_LOCKFILE;
use super::workdir::{ShownCli, Workdir};
use crate::error::{Error, Place, Result};
use crate::npm::forwarder::RegistryForwarder;
use crate::sandbox::child::{Log, Run, run};
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::Root;
use crate::store::UntrustedTree;

/// The folder that the CLI fills, below the plugin.
const EXPORTED: &str = "dist-dynamic";

/// The largest `package.json` and log of an export that are read, in bytes.
const LARGEST_MANIFEST: u64 = 4 << 20;
const LARGEST_LOG: u64 = 1 << 20;

/// Lines of yarn's output that are shown with an error.
const MOST_LINES: usize = 15;

/// The export of one plugin.
pub(super) struct Export<'a> {
    pub(super) target: PluginTarget<'a>,
    pub(super) workdir: &'a Workdir,
    pub(super) cli: &'a ShownCli,
    /// The view of the children, with a temporary folder of this plugin's own.
    pub(super) root: Root,
    /// The source in it.
    pub(super) view: ExportView,
    pub(super) env: ChildEnv,
    pub(super) network: bool,
    /// What the registries are asked through, by those who have a network and need it.
    pub(super) forwarder: Option<RegistryForwarder>,
    pub(super) log: Log,
    /// The arguments of `plugin export`.
    pub(super) args: Vec<String>,
}

/// What an export made.
pub(super) struct Exported {
    /// The package, with more files than belong to it, as messages name it.
    pub(super) folder: PathBuf,
    /// The exported `package.json`.
    pub(super) package_json: Vec<u8>,
    /// `<source name>-dynamic`
    pub(super) name: String,
    pub(super) version: String,
    /// The `yarn.lock` of a backend's private dependencies.
    pub(super) closure: Option<Vec<u8>>,
}

impl Export<'_> {
    /// Runs the CLI.
    pub(super) async fn run(&self) -> Result<Exported> {
        let plugin = self.target.plugin;
        let folder = self.view.kept().join(self.made_path());
        if plugin.role.is_backend() {
            self.write_closure(&self.left()?)?;
        }
        self.export().await?;
        let left = self.left()?;
        let package_path = folder.join("package.json");
        let package_json = left.read(&exported("package.json"), LARGEST_MANIFEST)?;
        let ExportedManifest { name, version } = serde_json::from_slice(&package_json).map_err(|e| {
            Error::config(Place::line(&package_path, e.line()), format!("the exported package is invalid: {e}"), "")
        })?;
        let closure = if plugin.role.is_backend() { Some(self.closure(&left)?) } else { None };
        Ok(Exported { folder, package_json, name, version, closure })
    }

    /// The lockfile that the CLI's yarn left. yarn 1 writes down where its tarballs were, which is the registry's place.
    fn closure(&self, left: &UntrustedTree) -> Result<Vec<u8>> {
        let path = exported("yarn.lock");
        let bytes = left.read(&path, LARGEST_LOCKFILE)?;
        let Some(forwarder) = &self.forwarder else { return Ok(bytes) };
        let restored = str::from_utf8(&bytes).ok().map(|text| forwarder.restorer()(text).into_bytes());
        let Some(restored) = restored.filter(|restored| *restored != bytes) else { return Ok(bytes) };
        left.write(&path, &restored, 0o644)?;
        Ok(restored)
    }

    /// Puts the sealed closure where the CLI finds it: then it installs exactly that (`--immutable`).
    fn write_closure(&self, left: &UntrustedTree) -> Result<()> {
        let PluginTarget { shared, workspace, plugin } = self.target;
        let Some(bytes) = sealed_closure(&shared.options.lock_dir, &workspace.name, plugin)? else { return Ok(()) };
        left.write(&exported("yarn.lock"), &bytes, 0o644)
    }

    /// The plugin's folder, in which scripts of every plugin of the workspace have run.
    fn left(&self) -> Result<UntrustedTree> {
        self.view.tree(self.target.to_string())?.folder(&self.target.source_path(""))
    }

    /// The folder that the CLI has filled.
    pub(super) fn made(&self) -> Result<UntrustedTree> {
        self.left()?.folder(Path::new(EXPORTED))
    }

    /// That folder, from the source.
    pub(super) fn made_path(&self) -> PathBuf {
        self.target.source_path(EXPORTED)
    }

    async fn export(&self) -> Result<()> {
        let folder = self.view.outside(&self.target.source_path(""));
        let mut args = vec![self.cli.program.to_string_lossy().into_owned(), "plugin".into(), "export".into()];
        args.extend(self.args.iter().cloned());
        self.node(
            &args,
            &folder,
            &format!("exporting {} failed", self.target),
            "if its arguments are at fault, correct them in plugins-list.yaml and run `factory resolve`",
        )
        .await
        .map(drop)
        .map_err(|error| self.with_install_log(error))
    }

    /// The CLI sends what its `yarn install` says to a file: without it, nobody knows why that failed. When it is the
    /// sealed closure that no longer fits, the plugin is not reproducible, and yarn says what of it.
    fn with_install_log(&self, error: Error) -> Error {
        let Error::Build { what, mut tail, hint } = error else { return error };
        let said = self.left().and_then(|left| left.read(&exported("yarn-install.log"), LARGEST_LOG));
        let said = said.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let said = match &self.forwarder {
            Some(forwarder) => forwarder.restorer()(&said),
            None => said,
        };
        for line in said.lines() {
            self.log.line(line);
        }
        let is_sealed = self.target.plugin.sealed.as_ref().is_some_and(|sealed| sealed.closure.is_some());
        if let Some(drift) = Drift::of_yarn(&said).filter(|_| is_sealed) {
            return self.drifted(&drift);
        }
        let hint = self.forwarder.as_ref().and_then(RegistryForwarder::login_hint).unwrap_or(hint);
        let errors = said.lines().filter(|line| !line.contains("YN0000") && !line.trim().is_empty());
        tail.extend(errors.take(MOST_LINES).map(str::to_owned));
        Error::Build { what, tail, hint }
    }

    fn drifted(&self, drift: &Drift) -> Error {
        let workspace = &self.target.workspace.name;
        let embedded = "look in what it embeds for times, paths and random names";
        let look = if drift.embedded.is_empty() { "compare the closures" } else { embedded };
        Error::NotReproducible {
            what: format!("{} is not what the lock has sealed: {drift}", self.target),
            hint: format!(
                "{look}; if the change is meant, run `factory resolve --restamp {workspace}` and build again to seal anew; see the \
                 whole output in `{}`",
                self.log.path().display()
            ),
        }
    }

    /// Runs a program with the pinned node; returns its stdout.
    pub(super) async fn node(&self, args: &[String], cwd: &Path, what: &str, hint: &str) -> Result<String> {
        let shared = self.target.shared;
        run(Run {
            program: &self.workdir.programs.node,
            args,
            cwd,
            env: &self.env,
            root: &self.root,
            network: self.network,
            log: &self.log,
            timeout: shared.options.timeout,
            interrupt: &shared.interrupt,
        })
        .await
        .map_err(|failure| failure.into_error(what, &self.log, hint))
    }
}

/// A file of the export, from the plugin's folder.
fn exported(name: &str) -> PathBuf {
    Path::new(EXPORTED).join(name)
}

#[derive(Deserialize)]
struct ExportedManifest {
    name: String,
    version: String,
}
