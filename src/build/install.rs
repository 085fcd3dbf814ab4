//! The packages of a workspace installed, and its types made: the steps before its plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::Shared;
use super::export::sealed_closure;
use super::packages::classic::of_classic_lock;
use super::packages::unpinned::Unpinned;
use super::packages::{self, CopiedIn, LockedPackage, PackageCache};
use super::report::InstallScripts;
use super::workspace::Prepared;
use crate::error::{Error, Result};
use crate::lock::{Plugin, Workspace};
use crate::sandbox::child::{Log, Run, run};
use crate::ui::some;

/// True for yarn 2 and later.
pub fn is_berry(workspace: &Workspace) -> bool {
    !workspace.source.yarn.version.starts_with("1.") && !workspace.source.yarn.version.starts_with("0.")
}

/// The packages of a plugin's sealed closure; none before it is sealed.
pub fn closure(shared: &Shared, workspace: &Workspace, plugin: &Plugin) -> Result<Option<Vec<LockedPackage>>> {
    let bytes = sealed_closure(&shared.options.lock_dir, &workspace.name, plugin)?;
    Ok(bytes.map(|bytes| packages::of_lock(&String::from_utf8_lossy(&bytes))))
}

/// What a lockfile names.
pub(super) enum LockfilePackages {
    /// Zips of yarn 2 and later.
    Berry(Vec<LockedPackage>),
    /// Tarballs of classic yarn, by their SHA-512.
    Classic(BTreeSet<String>),
}

impl LockfilePackages {
    /// Reads a lockfile of the workspace's yarn.
    pub(super) fn of(workspace: &Workspace, lockfile: &[u8]) -> Self {
        let text = String::from_utf8_lossy(lockfile);
        if is_berry(workspace) { Self::Berry(packages::of_lock(&text)) } else { Self::Classic(of_classic_lock(&text)) }
    }

    /// What of it is in the build's cache without a checksum in the lockfile.
    pub(super) fn unpinned(&self, packages: &PackageCache<'_>) -> Result<Unpinned> {
        match self {
            Self::Berry(wanted) => packages.unpinned(wanted),
            // Of the mirror only tarballs with a checksum are shared.
            Self::Classic(_) => Ok(Unpinned::default()),
        }
    }

    /// Takes what yarn fetched of it back into the shared cache.
    pub(super) fn take_back(&self, packages: &PackageCache<'_>) -> Result<usize> {
        match self {
            Self::Berry(wanted) => packages.take_back(wanted),
            Self::Classic(wanted) => packages.take_back_classic(wanted),
        }
    }
}

/// Fills the build's own cache from the shared one: what the workspace's lockfile and the sealed closures name.
/// Returns what the lockfile names. Without a network, all of it must be there, as far as we can tell.
pub(super) fn gather(
    shared: &Shared,
    workspace: &Workspace,
    tree: &std::path::Path,
    packages: &PackageCache<'_>,
) -> Result<LockfilePackages> {
    let lockfile = tree.join("yarn.lock");
    let own = LockfilePackages::of(workspace, &fs::read(&lockfile).map_err(Error::io("read", &lockfile))?);
    let mut closures = Vec::new();
    for plugin in &workspace.plugin {
        let bytes = sealed_closure(&shared.options.lock_dir, &workspace.name, plugin)?;
        closures.extend(bytes.map(|bytes| LockfilePackages::of(workspace, &bytes)));
    }
    let copied = match &own {
        LockfilePackages::Berry(wanted) => {
            let mut all = wanted.clone();
            for closure in closures {
                if let LockfilePackages::Berry(closure) = closure {
                    all.extend(closure);
                }
            }
            packages.copy_in(&all)?
        }
        LockfilePackages::Classic(wanted) => {
            let mut all = wanted.clone();
            for closure in closures {
                if let LockfilePackages::Classic(closure) = closure {
                    all.extend(closure);
                }
            }
            CopiedIn { damaged: packages.copy_in_classic(&all)?, ..CopiedIn::default() }
        }
    };
    if !shared.options.offline {
        for damage in &copied.damaged {
            shared.ui.warn(format!("{}: {damage} in the cache was damaged and is fetched again", workspace.name));
        }
        return Ok(own);
    }
    let name = &workspace.name;
    let what = match (copied.damaged.as_slice(), copied.missing.as_slice()) {
        ([], []) => return Ok(own),
        ([], missing) => format!("packages of workspace `{name}` are not in the cache: {}", some(missing.iter())),
        (damaged, _) => {
            format!(
                "packages of workspace `{name}` in the cache were damaged and are removed: {}",
                some(damaged.iter())
            )
        }
    };
    Err(Error::network(
        format!("{what}; `--offline` allows no network"),
        format!("run `factory fetch {name}` with a network first"),
    ))
}

/// `yarn install`. `build` is false when nothing will be built: then no install script needs to run.
pub(super) async fn install(
    shared: &Shared,
    workspace: &Workspace,
    prepared: &Prepared,
    log: &Log,
    build: bool,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<InstallScripts> {
    let mut args = vec!["install"];
    match is_berry(workspace) {
        true if build => args.push("--immutable"),
        true => args.extend(["--immutable", "--mode=skip-build"]),
        false => {
            args.extend(["--frozen-lockfile", "--non-interactive"]);
            if shared.options.offline {
                args.push("--offline");
            }
            if !build || !shared.options.install_scripts {
                args.push("--ignore-scripts");
            }
        }
    }
    let hint = "the workspace's `yarn.lock` must fit its `package.json` files after patches and overlays";
    let network = !shared.options.offline;
    let said = step(shared, workspace, prepared, log, ("yarn install", &args), network, hint, seconds).await?;
    Ok(InstallScripts::of_yarn(&said))
}

/// `yarn tsc`: compiling needs no network, so it has none.
pub(super) async fn types(
    shared: &Shared,
    workspace: &Workspace,
    prepared: &Prepared,
    log: &Log,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<()> {
    let hint = "mend the types with a patch or overlay";
    step(shared, workspace, prepared, log, ("yarn tsc", &["tsc"]), false, hint, seconds).await.map(drop)
}

#[allow(clippy::too_many_arguments)]
async fn step(
    shared: &Shared,
    workspace: &Workspace,
    prepared: &Prepared,
    log: &Log,
    (what, args): (&str, &[&str]),
    network: bool,
    hint: &str,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<String> {
    let _slot = shared.slots.acquire().await.map_err(|_| Error::Interrupted)?;
    let step = shared.ui.step(&workspace.name, what);
    let mut all = vec![prepared.programs.yarn.to_string_lossy().into_owned()];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    let said = run(Run {
        program: &prepared.programs.node,
        args: &all,
        cwd: &prepared.tree,
        env: &prepared.env,
        root: &prepared.root,
        network,
        log,
        timeout: shared.options.timeout,
        interrupt: &shared.interrupt,
    })
    .await
    .map_err(|failure| {
        let error = failure.into_error(&format!("`{what}` failed for workspace `{}`", workspace.name), log, hint);
        let Error::Build { what, mut tail, hint } = error else { return error };
        tail.extend(super::native_log::collect(&prepared.work.join("tmp"), log));
        Error::Build { what, tail, hint }
    })?;
    seconds.insert(what.to_owned(), step.done("").as_secs_f64());
    Ok(said)
}
