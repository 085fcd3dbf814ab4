//! One plugin: `rhdh-cli plugin export`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::closure_drift::Drift;
use super::context::PluginTarget;
use super::sealed_files::sealed_closure;
use super::small_file::read_small;
use super::workdir::Workdir;
use crate::error::{Error, Place, Result};
use crate::npm::forwarder::RegistryForwarder;
use crate::overlay::join;
use crate::sandbox::child::{Log, Run, run};
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::Root;

/// The folder that the CLI fills, below the plugin.
const EXPORTED: &str = "dist-dynamic";

/// Lines of yarn's output that are shown with an error.
const MOST_LINES: usize = 15;

/// The export of one plugin.
pub(super) struct Export<'a> {
    pub(super) target: PluginTarget<'a>,
    pub(super) workdir: &'a Workdir,
    /// The view of the children, with a temporary folder of this plugin's own.
    pub(super) root: Root,
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
    /// The package, with more files than belong to it.
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
        let source = self.workdir.tree.join(join(&plugin.path, ""));
        let folder = source.join(EXPORTED);
        if plugin.role.is_backend() {
            self.write_closure(&folder)?;
        }
        self.export(&source).await?;
        let package_path = folder.join("package.json");
        let package_json = std::fs::read(&package_path).map_err(Error::io("read", &package_path))?;
        let ExportedManifest { name, version } = serde_json::from_slice(&package_json).map_err(|e| {
            Error::config(Place::line(&package_path, e.line()), format!("the exported package is invalid: {e}"), "")
        })?;
        let closure_path = folder.join("yarn.lock");
        let closure = if plugin.role.is_backend() { Some(self.closure(&closure_path)?) } else { None };
        Ok(Exported { folder, package_json, name, version, closure })
    }

    /// The lockfile that the CLI's yarn left. yarn 1 writes down where its tarballs were, which is the registry's place.
    fn closure(&self, path: &Path) -> Result<Vec<u8>> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let Some(forwarder) = &self.forwarder else { return Ok(bytes) };
        let restored = str::from_utf8(&bytes).ok().map(|text| forwarder.restorer()(text).into_bytes());
        let Some(restored) = restored.filter(|restored| *restored != bytes) else { return Ok(bytes) };
        std::fs::remove_file(path).map_err(Error::io("write", path))?;
        std::fs::write(path, &restored).map_err(Error::io("write", path))?;
        Ok(restored)
    }

    /// Puts the sealed closure where the CLI finds it: then it installs exactly that (`--immutable`).
    fn write_closure(&self, out: &Path) -> Result<()> {
        let PluginTarget { shared, workspace, plugin } = self.target;
        let Some(bytes) = sealed_closure(&shared.options.lock_dir, &workspace.name, plugin)? else { return Ok(()) };
        std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let target = out.join("yarn.lock");
        std::fs::write(&target, bytes).map_err(Error::io("write", &target))
    }

    async fn export(&self, folder: &Path) -> Result<()> {
        let mut args = vec![self.workdir.programs.cli.to_string_lossy().into_owned(), "plugin".into(), "export".into()];
        args.extend(self.args.iter().cloned());
        self.node(
            &args,
            folder,
            &format!("exporting {} failed", self.target),
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
        let said = self.forwarder.as_ref().map_or_else(|| said.clone(), |forwarder| forwarder.restorer()(&said));
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
                "{look}; if the change is meant, run `factory resolve {workspace}` and build again to seal anew; see the \
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

#[derive(Deserialize)]
struct ExportedManifest {
    name: String,
    version: String,
}
