//! The packages of a workspace installed, and its types made: the steps before its plugins.

use super::context::WorkspaceBuild;
use super::layers::WantedPackages;
use super::native_log;
use super::packages::classic;
use super::packages::lockfile::LockfilePackages;
use super::packages::unpinned::Unpinned;
use super::packages::zips::FetchedZips;
use super::packages::{PackageCache, is_berry};
use super::report::InstallScripts;
use super::sealed_files::sealed_closure;
use super::source;
use super::workdir::{Folders, NetworkAccess, Workdir};
use crate::error::{Error, Result};
use crate::lock::Plugin;
use crate::lock::companions::CompanionPath;
use crate::sandbox::child::{ChildFailure, Log};
use crate::ui::{count, some};
use crate::yarn::lockfile::YarnLock;

/// What yarn says when a registry wants a login: yarn 2 and later, then yarn 1.
const REFUSED: [&str; 4] = ["YN0041", "401 Unauthorized", "Request failed \"401", "Request failed \"403"];

/// The step that fetches packages ahead of yarn.
const FETCH: &str = "fetch packages";

/// A run of yarn in the workspace.
struct YarnStep<'a> {
    what: &'static str,
    args: &'a [&'a str],
    access: NetworkAccess<'a>,
    hint: &'static str,
}

impl WorkspaceBuild<'_> {
    /// What the workspace's lockfile names.
    pub(super) fn listed_packages(&self, folders: &Folders) -> Result<LockfilePackages> {
        let path = folders.tree(self.workspace).join("yarn.lock");
        LockfilePackages::of(self.workspace, &self.lockfile(folders)?, &path)
    }

    /// Fills the build's own cache from the shared one with what the sealed closures name.
    pub(super) fn fill_closures(&self, packages: &PackageCache<'_>) -> Result<()> {
        let closures = self.workspace.plugin.iter().filter_map(|plugin| self.sealed_packages(plugin).transpose());
        let all = closures.reduce(|all, closure| {
            let mut all = all?;
            all.extend(closure?);
            Ok(all)
        });
        all.map_or(Ok(()), |all| self.fill_cache(&all?, packages))
    }

    /// Fills the build's own cache from the shared one. Without a network, all of it must be there, as far as we can tell.
    pub(super) fn fill_cache(&self, wanted: &LockfilePackages, packages: &PackageCache<'_>) -> Result<()> {
        let phase = self.phase("packages");
        let (shared, name) = (self.shared, &self.workspace.name);
        let copied = tokio::task::block_in_place(|| wanted.copy_in(packages))?;
        self.timings.record("packages", phase.done());
        if !shared.options.offline {
            for damage in &copied.damaged {
                shared.ui.warn(format!("{name}: {damage} in the cache was damaged and is fetched again"));
            }
            return Ok(());
        }
        let what = match (copied.damaged.as_slice(), copied.missing.as_slice()) {
            ([], []) => return Ok(()),
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

    fn lockfile(&self, folders: &Folders) -> Result<Vec<u8>> {
        let tree = source::checked_out(self.workspace, &folders.source)?;
        tree.read_linked(&source::lockfile_path(self.workspace), source::LARGEST_LOCKFILE)
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
    ///
    /// Where the registries are asked through a forwarder, packages are fetched before any install script runs, and
    /// scripts do not get it.
    pub(super) async fn install(
        &self,
        workdir: &Workdir,
        wanted: &WantedPackages<'_>,
        log: &Log,
        exports: bool,
    ) -> Result<InstallScripts> {
        self.fill_cache(wanted.listed, wanted.cache)?;
        let options = &self.shared.options;
        let open = if options.offline { NetworkAccess::None } else { NetworkAccess::Open };
        let mut args = vec!["install"];
        let forwarder = workdir.forwarder(self).await?;
        if is_berry(self.workspace) {
            self.fetch_zips(workdir, wanted).await?;
            args.push("--immutable");
            let fetch = [&args[..], &["--mode=skip-build"]].concat();
            match &forwarder {
                Some(forwarder) => {
                    let stdout = self.yarn_install(&fetch, NetworkAccess::Forwarded(forwarder), workdir, log).await?;
                    if !exports {
                        return Ok(InstallScripts::of_yarn(&stdout));
                    }
                }
                None if !exports => args = fetch,
                None => {}
            }
        } else {
            if forwarder.is_some() {
                self.fetch_classic(workdir).await?;
            }
            args.extend(["--frozen-lockfile", "--non-interactive"]);
            if options.offline {
                args.push("--offline");
            }
            if !exports || !options.install_scripts {
                args.push("--ignore-scripts");
            }
        }
        drop(forwarder);
        self.yarn_install(&args, open, workdir, log).await.map(|stdout| InstallScripts::of_yarn(&stdout))
    }

    async fn yarn_install(
        &self,
        args: &[&str],
        access: NetworkAccess<'_>,
        workdir: &Workdir,
        log: &Log,
    ) -> Result<String> {
        let hint = "the workspace's `yarn.lock` must fit its `package.json` files after patches and overlays";
        self.yarn(YarnStep { what: "yarn install", args, access, hint }, workdir, log).await
    }

    /// Fetches packages of yarn 2 and later ahead of it; what cannot be had so is left to yarn.
    async fn fetch_zips(&self, workdir: &Workdir, wanted: &WantedPackages<'_>) -> Result<()> {
        let (Some(registry), LockfilePackages::Berry(listed)) = (&self.shared.registry, wanted.listed) else {
            return Ok(());
        };
        if wanted.cache.missing(listed)? == 0 {
            return Ok(());
        }
        let _slot = self.shared.slot(self.lane()).await?;
        let step = self.step(FETCH);
        let FetchedZips { fetched, left } = wanted.cache.fetch(registry, listed, &workdir.settings_of_yarn).await?;
        let left = if left == 0 { String::new() } else { format!(", {left} left to yarn") };
        self.timings.record(FETCH, step.done(format!("{}{left}", count(fetched, "package"))));
        Ok(())
    }

    /// Fetches the tarballs of yarn 1 that are at the registries' hosts into the build's mirror. yarn holds them to the
    /// lockfile.
    async fn fetch_classic(&self, workdir: &Workdir) -> Result<()> {
        let Some(registry) = &self.shared.registry else { return Ok(()) };
        let path = workdir.tree.join("yarn.lock");
        let lockfile = self.lockfile(&workdir.folders)?;
        let step = self.step(FETCH);
        let wanted = classic::tarballs(&YarnLock::parse(&lockfile, &path)?);
        classic::fetch(registry, &workdir.folders.yarn.join(classic::MIRROR), wanted).await?;
        step.done("");
        Ok(())
    }

    /// `yarn tsc`: compiling needs no network, so it has none.
    pub(super) async fn compile_types(&self, workdir: &Workdir, log: &Log) -> Result<()> {
        let hint = "fix the types with a patch or overlay";
        let step = YarnStep { what: "yarn tsc", args: &["tsc"], access: NetworkAccess::None, hint };
        self.yarn(step, workdir, log).await.map(drop)
    }

    async fn yarn(&self, yarn: YarnStep<'_>, workdir: &Workdir, log: &Log) -> Result<String> {
        let YarnStep { what, args, access, hint } = yarn;
        let _slot = self.shared.slot(self.lane()).await?;
        let step = self.step(what);
        let run = workdir.run(&workdir.programs.yarn, args, access, log).await;
        let stdout = run.map_err(|failure| {
            let what = format!("`{what}` failed for workspace `{}`", self.workspace.name);
            let login = login_hint(&failure, access);
            let error = failure.into_error(&what, log, login.as_deref().unwrap_or(hint));
            let Error::Build { what, mut tail, hint } = error else { return error };
            tail.extend(native_log::collect(&workdir.folders.tmp, log));
            Error::Build { what, tail, hint }
        })?;
        self.timings.record(what, step.done(""));
        Ok(stdout)
    }
}

/// What to do when a registry has refused a package.
fn login_hint(failure: &ChildFailure, access: NetworkAccess<'_>) -> Option<String> {
    let ChildFailure::Code(_, tail) = failure else { return None };
    let by_forwarder = match access {
        NetworkAccess::Forwarded(forwarder) => forwarder.login_hint(),
        _ => None,
    };
    let is_refused = |line: &String| REFUSED.iter().any(|text| line.contains(text));
    let of_another = || {
        tail.iter().any(is_refused).then(|| {
            "a registry of the workspace wants a login: factory sends those of npm's configuration, to the registries \
             that npm's configuration names (`registry`, `@scope:registry`)"
                .to_owned()
        })
    };
    by_forwarder.or_else(of_another)
}
