//! The packages of a workspace installed, and its types made: the steps before its plugins.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::context::WorkspaceBuild;
use super::native_log;
use super::packages::lockfile::LockfilePackages;
use super::packages::unpinned::Unpinned;
use super::packages::{PackageCache, is_berry};
use super::report::InstallScripts;
use super::sealed_files::sealed_closure;
use super::workdir::Workdir;
use crate::error::{Error, Result};
use crate::lock::Plugin;
use crate::lock::companions::CompanionPath;
use crate::sandbox::child::Log;
use crate::ui::some;

/// A run of yarn in the workspace.
struct YarnStep<'a> {
    what: &'static str,
    args: &'a [&'a str],
    network: bool,
    hint: &'static str,
}

impl WorkspaceBuild<'_> {
    /// Fills the build's own cache from the shared one: what the workspace's lockfile and the sealed closures name.
    /// Returns what the lockfile names. Without a network, all of it must be there, as far as we can tell.
    pub(super) fn fill_cache(&self, tree: &Path, packages: &PackageCache<'_>) -> Result<LockfilePackages> {
        let started = Instant::now();
        let (shared, name) = (self.shared, &self.workspace.name);
        let lockfile = tree.join("yarn.lock");
        let bytes = fs::read(&lockfile).map_err(Error::io("read", &lockfile))?;
        let own = LockfilePackages::of(self.workspace, &bytes, &lockfile)?;
        let mut all = own.clone();
        for plugin in &self.workspace.plugin {
            if let Some(closure) = self.sealed_packages(plugin)? {
                all.extend(closure);
            }
        }
        let copied = tokio::task::block_in_place(|| all.copy_in(packages))?;
        self.timings.record_since("packages", started);
        if !shared.options.offline {
            for damage in &copied.damaged {
                shared.ui.warn(format!("{name}: {damage} in the cache was damaged and is fetched again"));
            }
            return Ok(own);
        }
        let what = match (copied.damaged.as_slice(), copied.missing.as_slice()) {
            ([], []) => return Ok(own),
            ([], missing) => format!("packages of workspace `{name}` are not in the cache: {}", some(missing.iter())),
            (damaged, _) => {
                let damaged = some(damaged.iter());
                format!("packages of workspace `{name}` in the cache were damaged and are removed: {damaged}")
            }
        };
        Err(Error::network(
            format!("{what}; `--offline` allows no network"),
            format!("run `factory fetch {name}` with a network first"),
        ))
    }

    /// The packages of a plugin's sealed closure; none before it is sealed.
    fn sealed_packages(&self, plugin: &Plugin) -> Result<Option<LockfilePackages>> {
        let lock_dir = &self.shared.options.lock_dir;
        let Some(bytes) = sealed_closure(lock_dir, &self.workspace.name, plugin)? else { return Ok(None) };
        let path = CompanionPath::closure(&self.workspace.name, &plugin.path).below(lock_dir);
        LockfilePackages::of(self.workspace, &bytes, &path).map(Some)
    }

    /// A backend's export asks the registry for its dependencies until they are sealed and in the cache. A frontend's
    /// bundle is made of what is installed already.
    pub(super) fn needs_network(&self, plugin: &Plugin, packages: &PackageCache<'_>) -> Result<bool> {
        if !plugin.role.is_backend() {
            return Ok(false);
        }
        match self.sealed_packages(plugin)? {
            Some(LockfilePackages::Berry(closure)) => Ok(packages.missing(&closure)? > 0),
            _ => Ok(true),
        }
    }

    /// Whether a backend must be exported to get its dependencies into the cache.
    pub(super) fn lacks_closures(&self, packages: &PackageCache<'_>) -> Result<bool> {
        for plugin in &self.workspace.plugin {
            if self.needs_network(plugin, packages)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those of `listed` that have no checksum in their lockfile, after a check that they are what the lock has sealed.
    pub(super) fn check_packages(
        &self,
        listed: &LockfilePackages,
        sealed: &Unpinned,
        packages: &PackageCache<'_>,
    ) -> Result<Unpinned> {
        let options = &self.shared.options;
        let used = listed.unpinned(packages)?;
        sealed.check_sealed(&used, &self.workspace.name, &options.lock_dir, options.must_be_sealed())?;
        Ok(used)
    }

    /// `yarn install`. `exports` is false when nothing will be exported: then no install script needs to run.
    pub(super) async fn install(&self, workdir: &Workdir, log: &Log, exports: bool) -> Result<InstallScripts> {
        let options = &self.shared.options;
        let mut args = vec!["install"];
        match is_berry(self.workspace) {
            true if exports => args.push("--immutable"),
            true => args.extend(["--immutable", "--mode=skip-build"]),
            false => {
                args.extend(["--frozen-lockfile", "--non-interactive"]);
                if options.offline {
                    args.push("--offline");
                }
                if !exports || !options.install_scripts {
                    args.push("--ignore-scripts");
                }
            }
        }
        let step = YarnStep {
            what: "yarn install",
            args: &args,
            network: !options.offline,
            hint: "the workspace's `yarn.lock` must fit its `package.json` files after patches and overlays",
        };
        self.yarn(step, workdir, log).await.map(|stdout| InstallScripts::of_yarn(&stdout))
    }

    /// `yarn tsc`: compiling needs no network, so it has none.
    pub(super) async fn compile_types(&self, workdir: &Workdir, log: &Log) -> Result<()> {
        let hint = "fix the types with a patch or overlay";
        let step = YarnStep { what: "yarn tsc", args: &["tsc"], network: false, hint };
        self.yarn(step, workdir, log).await.map(drop)
    }

    async fn yarn(&self, yarn: YarnStep<'_>, workdir: &Workdir, log: &Log) -> Result<String> {
        let YarnStep { what, args, network, hint } = yarn;
        let _slot = self.shared.slot().await?;
        let step = self.step(what);
        let run = workdir.run(&workdir.programs.yarn, args, network, log).await;
        let stdout = run.map_err(|failure| {
            let what = format!("`{what}` failed for workspace `{}`", self.workspace.name);
            let error = failure.into_error(&what, log, hint);
            let Error::Build { what, mut tail, hint } = error else { return error };
            tail.extend(native_log::collect(&workdir.folders.tmp, log));
            Error::Build { what, tail, hint }
        })?;
        self.timings.record(what, step.done(""));
        Ok(stdout)
    }
}
