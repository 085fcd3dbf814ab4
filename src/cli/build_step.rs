//! The build of a fresh lock, as `build`, `fetch`, `run` and `verify` do it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::build_options::BuildFlags;
use super::github_output::StepOutputs;
use super::publish::{self, BuilderChoice, Installer};
use super::repo_path::Sources;
use super::session::{self, Session};
use super::summary::{self, BuildOutcome};
use super::{lock_file, paths, timings};
use crate::build::{self, BuildOptions, BuiltWorkspace, Shared, new_seals, results, room, shard};
use crate::config::Config;
use crate::error::{Error, Result, exit_code};
use crate::lock::{Lock, Shard, companions};
use crate::npm::registry::NpmRegistry;
use crate::store::Store;

/// What is built, and how.
pub struct Replay<'a> {
    pub config: &'a Config,
    /// A lock that matches it.
    pub lock: Lock,
    /// Where the lock is.
    pub lock_file: &'a Path,
    /// Only these workspaces; all when empty.
    pub names: &'a [String],
    /// Workspaces and plugins that are not built, since they could not be read or resolved.
    pub unresolved: &'a [(String, Error)],
    /// Where the sources come from.
    pub sources: Sources,
    /// Which part of several this is, if it is one: the lock is not written then.
    pub shard: Option<Shard>,
    /// The lock before this run, if it was another one.
    pub since: Option<&'a Lock>,
    /// How it is built.
    pub flags: &'a BuildFlags,
}

impl Replay<'_> {
    /// How many workspaces are built: those that are named and resolved.
    pub fn workspaces(&self) -> Result<usize> {
        build::choose(&self.lock, self.names).map(|chosen| chosen.len())
    }

    /// Builds, seals, pushes and writes the results; with `--fetch-only` only fills the cache.
    pub async fn run(self, session: &Session<'_>) -> Result<()> {
        if self.workspaces()? == 0 {
            if !self.flags.fetch_only {
                StepOutputs::of(self.config.mode, &self.lock, &[], vec![], self.unresolved).write(session);
            }
            return Ok(());
        }
        let (config, flags, names, lock_file) = (self.config, self.flags, self.names, self.lock_file);
        let (unresolved, part) = (self.unresolved, self.shard);
        let store = session.store()?;
        let output_dir = if flags.fetch_only {
            store.dir().join("logs/fetch")
        } else {
            paths::writable_output_dir(flags.output_dir.as_deref())?
        };
        session.ui.timeline().barrier();
        let shared = self.share(session, store, &output_dir, false).await?;
        let publication = publish::prepare(session, config, &shared, names, &flags.publish).await?;
        let mut built = build::build(shared.clone(), names).await?;
        session.ui.timeline().barrier();
        if flags.fetch_only {
            return summary::fetched(&session.ui, &built);
        }
        // Sealed before it is pushed: what is attached to the images describes what is sealed.
        let described = publication.as_ref().filter(|_| part.is_some()).map(|_| scratch()).transpose()?;
        let to = if part.is_some() { SealTarget::Apart(described.as_ref()) } else { SealTarget::Lock(lock_file) };
        let sealed = if flags.frozen { Ok(shared.lock.clone()) } else { seal(session, &shared, &built, &to) };
        let lock = sealed.as_ref().unwrap_or(&shared.lock);
        let pushed = match publication.as_ref().filter(|_| sealed.is_ok()) {
            Some(publication) => {
                let lock_dir =
                    described.as_ref().filter(|_| !flags.frozen).map_or(&*shared.options.lock_dir, TempDir::path);
                publication.push(session, lock, lock_dir, &mut built).await?
            }
            None => Vec::new(),
        };
        let written = results::write(&shared, lock, &built).map_err(|error| room::of_outputs(&shared, error));
        let listed = publication.map_or(Ok(()), |publication| publication.write_refs(&pushed));
        let reports: Vec<_> = built.iter().map(|built| &built.report).collect();
        let published = pushed.into_iter().map(|pushed| pushed.reference).collect();
        StepOutputs::of(config.mode, lock, &reports, published, unresolved).write(session);
        // What was built is said whatever cannot be written.
        let output_dir = &shared.options.output_dir;
        let (has_report, code) = (written.is_ok(), summary::code(&built));
        let compared = shared.options.makes_sealed_images().then_some(&shared.lock);
        let outcome = BuildOutcome { reports, unresolved, output_dir, has_report, code, sealed: compared };
        let said = outcome.say(&session.ui);
        let exit_code = said.as_ref().map_or_else(Error::exit_code, |()| exit_code::OK);
        let recorded = part.map_or(Ok(()), |part| shard::write(&shared, part, &built, exit_code));
        // Whoever does not wait for it has everything else.
        let stored = match &shared.cache_repo {
            Some(repo) => repo.finish(&shared).await,
            None => Ok(()),
        };
        let unwritten = [sealed.map(drop), written, listed, recorded].into_iter().filter_map(Result::err);
        let mut errors: Vec<Error> = unwritten.chain(said.err()).chain(stored.err()).collect();
        let last = errors.pop();
        for error in &errors {
            session.ui.error(error);
        }
        last.map_or(Ok(()), Err)
    }

    /// What all workspaces of a build share. With `verify_mode` nothing is taken from earlier builds.
    pub async fn share(
        self,
        session: &Session<'_>,
        store: Store,
        output_dir: &Path,
        verify_mode: bool,
    ) -> Result<Arc<Shared>> {
        let Self { config, lock, lock_file, sources, flags, .. } = self;
        let is_rebuilt = flags.rebuild || flags.frozen;
        timings::explain(session, (&lock, self.since), (self.names, &flags.plugins), is_rebuilt);
        let isolation = session.isolation(&store, flags.isolation).await?;
        let registry = NpmRegistry::of_machine(&paths::config_dir(session.global), &session.interrupt);
        let registries = registry.as_ref().map(NpmRegistry::addresses).unwrap_or_default();
        let registry = if flags.offline { None } else { Some(registry?) };
        let cache_repo = if flags.offline || verify_mode { None } else { flags.cache_repo.open(session)? };
        std::fs::create_dir_all(output_dir).map_err(Error::io("create", output_dir))?;
        let output_dir = output_dir.canonicalize().map_err(Error::io("open", output_dir))?;
        let jobs = flags.jobs.map_or_else(session::jobs, usize::from);
        Ok(Arc::new(Shared {
            options: BuildOptions {
                config_dir: paths::config_dir(session.global),
                sources_dir: paths::sources_dir(session.global),
                lock_dir: paths::folder_of(lock_file),
                output_dir,
                jobs,
                plugins: flags.plugins.clone(),
                isolation,
                offline: flags.offline,
                fetch_only: flags.fetch_only,
                reuse_cache: !(flags.rebuild || flags.frozen || flags.fetch_only || verify_mode),
                frozen: flags.frozen,
                verify_mode,
                timeout: Duration::from_secs(flags.timeout),
                install_scripts: !flags.no_install_scripts,
                target_glibc: flags.target_glibc,
                tag_prefixes: flags.prefixes(config, &lock),
                compression: flags.publish.compression(),
                config_from: flags.config_from,
                paths_in_references: flags.publish.installer == Installer::V1_8,
                buildah: flags.publish.image_builder == BuilderChoice::Buildah,
                network: sources.network,
                local: sources.local,
                source_copy: sources.source_copy,
            },
            lock,
            store,
            registry,
            registries,
            ui: session.ui.clone(),
            interrupt: session.interrupt.clone(),
            layers: std::sync::OnceLock::new(),
            cache_repo,
            clis: build::AskedClis::default(),
            watches: build::WatchTurns::default(),
            slots: tokio::sync::Semaphore::new(jobs),
        }))
    }
}

/// Where seals go.
enum SealTarget<'a> {
    /// Into the lock.
    Lock(&'a Path),
    /// Nowhere, as those of a shard; what lies beside a lock is laid into this folder, if something is to describe it.
    Apart(Option<&'a TempDir>),
}

/// Seals what is not sealed yet, and returns the lock as it is then.
fn seal(session: &Session<'_>, shared: &Shared, built: &[BuiltWorkspace], to: &SealTarget<'_>) -> Result<Lock> {
    // All plugins are sealed then, and what this platform adds is not worth a copy elsewhere.
    if matches!(to, SealTarget::Lock(file) if paths::is_read_only(&paths::folder_of(file))) {
        return Ok(shared.lock.clone());
    }
    let sealed = new_seals::seal(shared, built)?;
    match to {
        SealTarget::Lock(lock_file) => lock_file::write_sealed(session, lock_file, &sealed)?,
        SealTarget::Apart(None) => {}
        SealTarget::Apart(Some(folder)) => {
            let from = shared.options.lock_dir.join(companions::FOLDER_NAME);
            lock_file::copy(&from, folder.path(), &folder.path().join(companions::FOLDER_NAME))?;
            sealed.write_companions(folder.path())?;
        }
    }
    Ok(sealed.lock)
}

fn scratch() -> Result<TempDir> {
    tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))
}
