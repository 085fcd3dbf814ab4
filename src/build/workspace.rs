//! One workspace: checkout, patches, overlays, install, type declarations, then its plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::future::join_all;

use super::artefact::{self, Artefact};
use super::export::{Export, Exported, Programs};
use super::packages::PackageCache;
use super::packages::classic::MIRROR;
use super::packages::unpinned::Unpinned;
use super::report::{InstallScripts, PluginReport, WorkspaceReport};
use super::tree::Overlays;
use super::{BuiltWorkspace, Shared, finished, install, seal, verdict};
use crate::error::{Error, Result};
use crate::lock::{Plugin, Workspace};
use crate::sandbox::child::Log;
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::Root;
use crate::store::{CacheEntry, CacheKind, LockGuard, Reading, entry_lock_name};
use crate::tools::provide::{Provider, npm_settings};

/// Yarn's settings in every folder from the workspace up (yarn's "Configuration").
const YARNRC: &str = ".yarnrc.yml";

/// Builds a workspace; errors are in the result.
pub async fn build(shared: &Shared, workspace: &Workspace) -> BuiltWorkspace {
    let mut seconds = BTreeMap::new();
    let logs = artefact::folder(&shared.options.output_dir, workspace).join("logs");
    let log_path = logs.join("workspace.log");
    let mut install_scripts = InstallScripts::default();
    let mut unpinned = Unpinned::default();
    let kept = tokio::task::block_in_place(|| {
        seal::check(&shared.options, workspace)?;
        finished::all(shared, workspace)
    });
    let nothing_to_do = kept.as_ref().is_ok_and(|kept| !shared.options.fetch_only && kept.iter().all(Option::is_some));
    let outcome = match kept {
        Ok(kept) if nothing_to_do => Ok(kept.into_iter().flatten().map(|it| take(shared, workspace, it)).collect()),
        Ok(kept) => match prepare(shared, workspace, &log_path, &mut seconds).await {
            Ok((prepared, scripts)) => {
                install_scripts = scripts;
                let outcome = if shared.options.fetch_only {
                    fetch_closures(shared, workspace, &prepared, &logs, &mut seconds).await.map(|()| Vec::new())
                } else {
                    let built = plugins(shared, workspace, &prepared, &logs, kept).await;
                    used(shared, workspace, &prepared, &built).map(|used| {
                        unpinned = used;
                        built
                    })
                };
                // The shared cache has it all.
                let _ = remove_tree(&prepared.work.join("yarn"));
                outcome
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let (error, plugins) = match outcome {
        Ok(plugins) => (None, plugins),
        Err(error) => {
            if !matches!(error, Error::Interrupted) {
                shared.ui.error(&error);
            }
            (Some(error), Vec::new())
        }
    };
    let relative = |path: &Path| artefact::relative(&shared.options.output_dir, path);
    let report = WorkspaceReport {
        name: workspace.name.clone(),
        error: error.as_ref().map(ToString::to_string),
        log: (!nothing_to_do).then(|| relative(&log_path)),
        install_scripts,
        seconds,
        plugins: workspace
            .plugin
            .iter()
            .zip(&plugins)
            .map(|(plugin, (result, seconds))| PluginReport {
                path: plugin.path.clone(),
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                role: plugin.role,
                output: result.as_ref().ok().map(|artefact| artefact.output.clone()),
                error: result.as_ref().err().map(ToString::to_string),
                kept: is_kept(result),
                log: (!is_kept(result)).then(|| relative(&plugin_log(&logs, plugin))),
                seconds: seconds.clone(),
            })
            .collect(),
    };
    BuiltWorkspace {
        name: workspace.name.clone(),
        report,
        plugins: plugins.into_iter().map(|(result, _)| result).collect(),
        unpinned,
        error,
    }
}

/// The packages without a checksum that the workspace and the closures of its plugins use.
fn used(shared: &Shared, workspace: &Workspace, prepared: &Prepared, built: &[PluginResult]) -> Result<Unpinned> {
    let packages = PackageCache::new(&shared.store, &prepared.work.join("yarn"), &workspace.source.repo)?;
    let mut all = prepared.used.clone();
    // What was taken from the cache was sealed with its packages.
    let built = built.iter().filter_map(|(result, _)| result.as_ref().ok().filter(|artefact| !artefact.kept));
    for closure in built.filter_map(|artefact| artefact.record.closure.as_deref()) {
        all.merge(install::LockfilePackages::of(workspace, closure.as_bytes()).unpinned(&packages)?);
    }
    Ok(all)
}

/// A workspace that is ready for its exports.
pub(super) struct Prepared {
    /// The workspace's folder in the checkout.
    pub(super) tree: PathBuf,
    pub(super) root: Root,
    pub(super) env: ChildEnv,
    pub(super) programs: Programs,
    /// The folder of everything of this build; other processes wait for it.
    pub(super) work: PathBuf,
    /// What the lock has sealed of packages without a checksum.
    sealed: Unpinned,
    /// Those that the workspace itself uses.
    used: Unpinned,
    /// Keeps other processes from this work, and the cache from being pruned of what it uses.
    _held: (LockGuard, Vec<CacheEntry>),
}

async fn prepare(
    shared: &Shared,
    workspace: &Workspace,
    log_path: &Path,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<(Prepared, InstallScripts)> {
    let options = &shared.options;
    let store = &shared.store;
    let (interrupt, ui) = (&shared.interrupt, &*shared.ui);
    let log = Log::create(log_path.to_path_buf())?;
    // Times do not tell of a bit that the disk lost: where every byte counts, every byte is read.
    let reading = if options.frozen { Reading::All } else { Reading::Changed };
    let provider =
        Provider { store, registry: shared.registry.as_ref(), reading, isolation: options.isolation, ui, interrupt };
    let tools = shared.lock.tools_of(workspace);

    let started = Instant::now();
    let (node, npm) = (provider.node(tools).await?, provider.npm(tools).await?);
    let yarn = provider.yarn(&workspace.source.yarn).await?;
    let cli = provider.cli(tools, &options.lock_dir).await?;
    seconds.insert("tools".into(), started.elapsed().as_secs_f64());

    let guard = wait_for(shared, &workspace.name).await?;
    let work = store.kind_dir(CacheKind::Work).join(&workspace.name);
    if work.exists() {
        // Hundreds of thousands of files: on a slow disk this takes minutes.
        let step = ui.step(&workspace.name, "remove the last build's tree");
        tokio::task::block_in_place(|| remove_tree(&work))?;
        step.done("");
    }
    let (source, home, bin) = (work.join("source"), work.join("home"), work.join("bin"));
    for folder in [&source, &home, &bin, &work.join("root"), &work.join("tmp")] {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }

    let started = Instant::now();
    let step = ui.step(&workspace.name, "check out");
    tokio::task::block_in_place(|| super::source::lay(shared, workspace, &source))?;
    let tree = if workspace.source.path == "." { source.clone() } else { source.join(&workspace.source.path) };
    let overlays =
        Overlays { workspace, config: &options.config_dir.join(&workspace.dir), tree: &tree, log: &log, interrupt };
    let applied = overlays.apply().await;
    // Also after a patch that failed: that is when people want to look at it.
    tokio::task::block_in_place(|| super::source::leave(shared, workspace, &source))?;
    let (patches, overlays) = applied?;
    let commit = workspace.source.commit.as_deref().map_or("local tree", |commit| &commit[..commit.len().min(12)]);
    step.done(format!(
        "{commit}, {}, {}",
        crate::ui::count(patches, "patch"),
        crate::ui::count(overlays, "overlay file")
    ));
    seconds.insert("checkout".into(), started.elapsed().as_secs_f64());

    let mut root = Root::new(options.isolation, work.join("root"));
    // Caches of this build alone: what third-party code writes there, nobody else reads.
    let (yarn_cache, npm_cache) = (work.join("yarn"), work.join("npm"));
    fs::create_dir(&npm_cache).map_err(Error::io("create", &npm_cache))?;
    let sealed = Unpinned::sealed(&options.lock_dir, workspace)?;
    let packages = PackageCache::new(store, &yarn_cache, &workspace.source.repo)?.with_sealed(sealed.clone());
    let started = Instant::now();
    let wanted = tokio::task::block_in_place(|| install::gather(shared, workspace, &tree, &packages))?;
    seconds.insert("packages".into(), started.elapsed().as_secs_f64());
    root.show(&source, "source", true)
        .show(&home, "home", true)
        .show(&work.join("tmp"), "tmp", true)
        .show(&yarn_cache, "yarn", true)
        .show(&npm_cache, "npm", true)
        .show(&yarnrc(&work, options.offline)?, YARNRC, false)
        .show(&bin, "tools/bin", false)
        .show(node.path(), "tools/node", false)
        .show(npm.path(), "tools/npm", false)
        .show(cli.path(), "tools/rhdh-cli", false);
    let yarn_entry = match (&yarn, &workspace.source.yarn.path) {
        (Some(folder), _) => {
            root.show(folder.path(), "tools/yarn", false);
            root.inside(&folder.path().join("bin/yarn.js"))
        }
        (None, Some(path)) => {
            let own = bin.join("yarn.cjs");
            fs::copy(source.join(path), &own).map_err(Error::io("copy", &source.join(path)))?;
            fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .map_err(Error::io("write", &own))?;
            root.inside(&own)
        }
        (None, None) => return Err(Error::usage("the lock names no yarn", "run `factory resolve`")),
    };
    let programs = Programs {
        node: root.inside(&node.path().join("bin/node")),
        npm: root.inside(&npm.path().join("bin/npm-cli.js")),
        yarn: yarn_entry,
        cli: root.inside(&Programs::cli_entry(cli.path())),
    };
    let npx = root.inside(&npm.path().join("bin/npx-cli.js"));
    // A frontend's types come from `npx tsc`: without npx the CLI leaves them out and says nothing.
    for (name, target) in [("node", &programs.node), ("npm", &programs.npm), ("npx", &npx), ("yarn", &programs.yarn)] {
        let link = bin.join(name);
        std::os::unix::fs::symlink(target, &link).map_err(Error::io("create", &link))?;
    }

    let mut env = ChildEnv::base(workspace.source.epoch);
    env.set("PATH", format!("{}:/usr/bin:/bin", root.inside(&bin).display()))
        .set("HOME", root.inside(&home))
        .set("TMPDIR", root.inside(&work.join("tmp")))
        .set("YARN_GLOBAL_FOLDER", root.inside(&yarn_cache))
        .set("YARN_CACHE_FOLDER", root.inside(&yarn_cache).join("classic"))
        .set("YARN_YARN_OFFLINE_MIRROR", root.inside(&yarn_cache).join(MIRROR))
        .set("YARN_ENABLE_TELEMETRY", "0")
        .set("YARN_ENABLE_PROGRESS_BARS", "0")
        .set("YARN_ENABLE_GLOBAL_CACHE", "1");
    if install::is_berry(workspace) {
        env.unset("YARN_CACHE_FOLDER").unset("YARN_YARN_OFFLINE_MIRROR");
    }
    if node.path().join("include/node").is_dir() {
        // Else node-gyp downloads the headers from a place that nothing pins.
        env.set("npm_config_nodedir", root.inside(node.path()));
    }
    let registry = &shared.registry_address;
    npm_settings(&mut env, &root.inside(&npm_cache), registry);
    if !registry.is_empty() {
        env.set("YARN_NPM_REGISTRY_SERVER", registry).set("YARN_REGISTRY", registry);
    }
    if !options.install_scripts {
        env.set("YARN_ENABLE_SCRIPTS", "0").set("npm_config_ignore_scripts", "true");
    }

    let held = [node, npm, cli].into_iter().chain(yarn).collect();
    let used = Unpinned::default();
    let mut prepared = Prepared { tree, root, env, programs, work, sealed, used, _held: (guard, held) };
    // Nothing is exported when only the cache is to be filled and it has all that the sealed closures name.
    let exports = !options.fetch_only || to_fetch(shared, workspace, &packages)?;
    let scripts = install::install(shared, workspace, &prepared, &log, exports, seconds).await?;
    tokio::task::block_in_place(|| wanted.take_back(&packages))?;
    prepared.used = tokio::task::block_in_place(|| check_sealed(shared, workspace, &prepared, &packages, &wanted))?;
    if exports {
        install::types(shared, workspace, &prepared, &log, seconds).await?;
    }
    Ok((prepared, scripts))
}

/// Writes yarn's settings that depend on how factory was called, above the sources, where yarn looks for them after
/// the workspace's own. Not in a variable: a script that writes down its environment would make something else offline.
fn yarnrc(work: &Path, offline: bool) -> Result<PathBuf> {
    let path = work.join(YARNRC);
    fs::write(&path, format!("enableNetwork: {}\n", !offline)).map_err(Error::io("write", &path))?;
    Ok(path)
}

/// What of `wanted` has no checksum in its lockfile, held to what the lock has sealed.
fn check_sealed(
    shared: &Shared,
    workspace: &Workspace,
    prepared: &Prepared,
    packages: &PackageCache<'_>,
    wanted: &install::LockfilePackages,
) -> Result<Unpinned> {
    let options = &shared.options;
    let used = wanted.unpinned(packages)?;
    prepared.sealed.check_sealed(&used, &workspace.name, &options.lock_dir, options.must_be_sealed())?;
    Ok(used)
}

/// Whether a backend must be exported to get its dependencies into the cache.
fn to_fetch(shared: &Shared, workspace: &Workspace, packages: &PackageCache<'_>) -> Result<bool> {
    for plugin in &workspace.plugin {
        if needs_network(shared, workspace, plugin, packages)? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn wait_for(shared: &Shared, name: &str) -> Result<LockGuard> {
    // `factory cache prune` leaves alone what is locked so.
    let (store, lock, interrupt) =
        (shared.store.clone(), entry_lock_name(CacheKind::Work, name), shared.interrupt.clone());
    if let Some(free) = store.try_lock(&lock)? {
        return Ok(free);
    }
    let step = shared.ui.step(name, "wait for another factory that builds it");
    let taken = tokio::task::spawn_blocking(move || store.lock(&lock, interrupt.flag()));
    let guard = taken.await.map_err(|_| Error::Interrupted)??;
    step.done("");
    Ok(guard)
}

/// Removes a folder and all in it, if it is there.
fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

type PluginResult = (Result<Artefact>, BTreeMap<String, f64>);

/// Frontends are exported side by side, each with a temporary folder of its own, since the CLI writes fixed names
/// there. Backends follow one by one: the CLI builds the packages they embed in their source folders, and two backends
/// may embed the same.
async fn plugins(
    shared: &Shared,
    workspace: &Workspace,
    prepared: &Prepared,
    logs: &Path,
    kept: Vec<Option<Artefact>>,
) -> Vec<PluginResult> {
    let one = |index: usize, plugin, kept: Option<Artefact>| async move {
        if let Some(artefact) = kept {
            return (index, take(shared, workspace, artefact));
        }
        let mut seconds = BTreeMap::new();
        let result = plugin_build(shared, workspace, plugin, index, prepared, logs, &mut seconds).await;
        if let Err(error) = &result
            && !matches!(error, Error::Interrupted)
        {
            shared.ui.error(error);
        }
        (index, (result, seconds))
    };
    let (backends, frontends): (Vec<_>, Vec<_>) =
        workspace.plugin.iter().zip(kept).enumerate().partition(|(_, (plugin, _))| plugin.role.is_backend());
    // They borrow from the workspace, so they are not tasks of their own.
    let mut built = join_all(frontends.into_iter().map(|(index, (plugin, kept))| one(index, plugin, kept))).await;
    for (index, (plugin, kept)) in backends {
        built.push(one(index, plugin, kept).await);
    }
    built.sort_by_key(|(index, _)| *index);
    built.into_iter().map(|(_, result)| result).collect()
}

/// Says what was taken from the cache.
fn take(shared: &Shared, workspace: &Workspace, artefact: Artefact) -> PluginResult {
    let digest = artefact.output.digest.to_string();
    let what = format!("{}: {} {} from the cache", workspace.name, artefact.output.image, short(&digest));
    shared.ui.note(what);
    (Ok(artefact), BTreeMap::new())
}

fn is_kept(result: &Result<Artefact>) -> bool {
    result.as_ref().is_ok_and(|artefact| artefact.kept)
}

fn plugin_log(logs: &Path, plugin: &Plugin) -> PathBuf {
    let name = if plugin.path == "." { "root".to_owned() } else { plugin.path.replace('/', "-") };
    logs.join(format!("{name}.log"))
}

async fn plugin_build(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    index: usize,
    prepared: &Prepared,
    logs: &Path,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<Artefact> {
    let _slot = shared.slots.acquire().await.map_err(|_| Error::Interrupted)?;
    let exported = export(shared, workspace, plugin, index, prepared, logs, seconds).await?;
    let started = Instant::now();
    let step = shared.ui.step(format!("{} {}", workspace.name, plugin.path), "pack");
    let artefact =
        tokio::task::block_in_place(|| artefact::write(shared, workspace, plugin, &prepared.tree, &exported))?;
    step.done(format!("{} {}", artefact.output.image, short(&artefact.output.digest.to_string())));
    seconds.insert("pack".into(), started.elapsed().as_secs_f64());
    if !shared.options.verify_mode {
        verdict::check_sealed(&shared.options, workspace, plugin, &artefact)?;
        tokio::task::block_in_place(|| finished::keep(shared, workspace, plugin, &artefact));
    }
    Ok(artefact)
}

/// Exports the backends whose dependencies are not in the cache yet, so that they get there.
async fn fetch_closures(
    shared: &Shared,
    workspace: &Workspace,
    prepared: &Prepared,
    logs: &Path,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<()> {
    let packages = PackageCache::new(&shared.store, &prepared.work.join("yarn"), &workspace.source.repo)?;
    for (index, plugin) in workspace.plugin.iter().enumerate() {
        if needs_network(shared, workspace, plugin, &packages)? {
            let _slot = shared.slots.acquire().await.map_err(|_| Error::Interrupted)?;
            export(shared, workspace, plugin, index, prepared, logs, seconds).await?;
        }
    }
    Ok(())
}

async fn export(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    index: usize,
    prepared: &Prepared,
    logs: &Path,
    seconds: &mut BTreeMap<String, f64>,
) -> Result<Exported> {
    shared.interrupt.check()?;
    let log = Log::create(plugin_log(logs, plugin))?;
    let (tmp, mount) = (prepared.work.join(format!("tmp-{index}")), prepared.work.join(format!("root-{index}")));
    for folder in [&tmp, &mount] {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let root = prepared.root.with_tmp(&prepared.work.join("tmp"), &tmp, mount);
    let env = prepared.env.clone().with("TMPDIR", root.inside(&tmp));
    let packages = PackageCache::new(&shared.store, &prepared.work.join("yarn"), &workspace.source.repo)?
        .with_sealed(prepared.sealed.clone());
    let network = !shared.options.offline && needs_network(shared, workspace, plugin, &packages)?;
    let started = Instant::now();
    let step = shared.ui.step(format!("{} {}", workspace.name, plugin.path), "export");
    let export = Export {
        workspace,
        plugin,
        tree: &prepared.tree,
        programs: &prepared.programs,
        root: &root,
        env: &env,
        lock_dir: &shared.options.lock_dir,
        network,
        log: &log,
        timeout: shared.options.timeout,
        interrupt: &shared.interrupt,
    };
    let exported = export.run().await?;
    step.done(crate::ui::count(exported.entries.entries().len(), "file"));
    seconds.insert("export".into(), started.elapsed().as_secs_f64());
    if let Some(closure) = &exported.closure {
        let closure = install::LockfilePackages::of(workspace, closure);
        tokio::task::block_in_place(|| closure.take_back(&packages))?;
        tokio::task::block_in_place(|| check_sealed(shared, workspace, prepared, &packages, &closure))?;
    }
    Ok(exported)
}

/// A backend's export asks the registry for its dependencies until they are sealed and in the cache. A frontend's
/// bundle is made of what is installed already.
fn needs_network(shared: &Shared, workspace: &Workspace, plugin: &Plugin, packages: &PackageCache<'_>) -> Result<bool> {
    if !plugin.role.is_backend() {
        return Ok(false);
    }
    match install::closure(shared, workspace, plugin)? {
        Some(closure) if install::is_berry(workspace) => Ok(packages.missing(&closure)? > 0),
        _ => Ok(true),
    }
}

/// `sha256:0123456789ab`
fn short(digest: &str) -> &str {
    &digest[..digest.len().min("sha256:".len() + 12)]
}
