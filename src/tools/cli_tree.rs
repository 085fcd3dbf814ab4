//! rhdh-cli with its whole tree, from the package-lock beside the lock: unpacked by factory as `npm ci` does it, many
//! packages at once, or by `npm ci` itself where the tree has something that only npm knows.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use crate::error::{Error, Place, Result};
use crate::lock::companions::CompanionPath;
use crate::lock::{Integrity, RhdhCli, Sha256, Tools};
use crate::npm::package_lock::{InstallPlatform, PackageTree, Unfamiliar};
use crate::npm::package_unpack::{PackageTarball, UnpackFault, WrittenFiles, link_programs, make_folder};
use crate::npm::registry::NpmRegistry;
use crate::parallel::cores;
use crate::sandbox::child::Log;
use crate::store::{CacheEntry, CacheKind, KnownSums, remove_tree};
use crate::tools::provide::{CLI_PACKAGE, Npm, Provider, cli_manifest, missing_offline, platform};
use crate::user_file;

/// Tarballs that are fetched at once.
const DOWNLOADS: usize = 32;
/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 8;
/// Where it can be seen which C library a machine has: npm looks there.
const LDD: &str = "/usr/bin/ldd";
/// As much of it is read, in bytes.
const MAX_LDD: u64 = 1 << 20;

/// The rhdh-cli that a lock pins.
pub struct PinnedCli<'a> {
    tools: &'a Tools,
    platform: &'static str,
    /// Its entry in the cache.
    key: String,
    what: String,
    manifest: String,
    /// The package-lock.
    tree: Vec<u8>,
}

impl<'a> PinnedCli<'a> {
    /// Reads the package-lock beside the lock.
    pub fn read(tools: &'a Tools, lock_dir: &Path) -> Result<Self> {
        let cli = &tools.rhdh_cli;
        let (manifest, tree) = read_tree(cli, lock_dir)?;
        let platform = platform()?;
        let key = format!("rhdh-cli-{}-{}-{platform}", cli.version, &cli.tree.hex()[..16]);
        Ok(Self { tools, platform, key, what: format!("{CLI_PACKAGE}@{}", cli.version), manifest, tree })
    }
}

impl Provider<'_> {
    /// rhdh-cli with its whole tree, if it is installed; without a network it must be.
    pub fn find_cli(&self, cli: &PinnedCli<'_>) -> Result<Option<CacheEntry>> {
        let found = self.sound(&cli.key, &cli.what)?;
        if found.is_none() && self.registry.is_none() { Err(missing_offline(&cli.what)) } else { Ok(found) }
    }

    /// Installs rhdh-cli with its whole tree, unless another process does.
    pub fn install_cli(&self, cli: &PinnedCli<'_>) -> Result<CacheEntry> {
        let registry = self.registry.ok_or_else(|| missing_offline(&cli.what))?;
        let handle = tokio::runtime::Handle::current();
        let install = |to: &Path| -> Result<KnownSums> {
            let step = self.ui.step("tools", format!("install {}", cli.what));
            let log = Log::create(self.store.dir().join("logs/rhdh-cli.log"))?;
            let installing = Installing { provider: self, tools: cli.tools, registry, tree: &cli.tree, log: &log };
            std::fs::write(to.join("package.json"), &cli.manifest).map_err(Error::io("write", to))?;
            std::fs::write(to.join("package-lock.json"), &cli.tree).map_err(Error::io("write", to))?;
            let known = handle.block_on(installing.install(cli.platform, to))?;
            step.done("");
            Ok(known)
        };
        let fill = || self.store.hashed_entry(CacheKind::Tools, &cli.key, self.interrupt.flag(), install);
        tokio::task::block_in_place(fill)
    }
}

/// An install of the CLI.
struct Installing<'a> {
    provider: &'a Provider<'a>,
    tools: &'a Tools,
    registry: &'a NpmRegistry,
    tree: &'a [u8],
    log: &'a Log,
}

impl Installing<'_> {
    async fn install(&self, platform: &str, to: &Path) -> Result<KnownSums> {
        let libc = libc();
        let (node, npm) = (&self.tools.node.version, &self.tools.npm.version);
        let cpu = platform.trim_start_matches("linux-");
        let platform = InstallPlatform { cpu, libc, node, npm };
        let unpacked = match PackageTree::read(self.tree, platform) {
            Ok(tree) => self.unpack(&tree, to).await,
            Err(unfamiliar) => Err(UnpackFault::Unfamiliar(unfamiliar)),
        };
        match unpacked {
            Ok(written) => {
                let mut known = KnownSums::default();
                for (path, file) in written {
                    known.add(path, file.kind, &file.sha256.hex());
                }
                Ok(known)
            }
            Err(UnpackFault::Failed(error)) => Err(error),
            Err(UnpackFault::Unfamiliar(why)) => {
                self.log.line(&format!("left to `npm ci`: {why}"));
                remove_tree(&to.join("node_modules")).map_err(Error::io("remove", to))?;
                self.npm_ci(to).await.map(|()| KnownSums::default())
            }
        }
    }

    async fn npm_ci(&self, to: &Path) -> Result<()> {
        let Self { provider, tools, registry, log, .. } = *self;
        let (node, npm) = (provider.node(tools)?, provider.npm(tools)?);
        let cache = provider.store.tool_cache(CacheKind::Npm, provider.interrupt.flag())?;
        let npm = Npm { node: node.path(), npm: npm.path(), cache: cache.path(), registry, provider: *provider };
        // Install scripts are third-party code that the CLI's bundlers do without.
        let args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"];
        npm.run(&args, to, log, "installing rhdh-cli failed").await.map(drop)
    }

    /// Fetches all packages and unpacks each as soon as it is there.
    async fn unpack(&self, tree: &PackageTree, to: &Path) -> Result<WrittenFiles, UnpackFault> {
        for package in &tree.packages {
            make_folders(to, &package.path)?;
        }
        let jobs = jobs(tree);
        self.log.line(&format!("unpack {} packages to {} places", jobs.len(), tree.packages.len()));
        let scratch = self.provider.store.scratch()?;
        let (threads, stop) = (Semaphore::new(cores(MOST_THREADS)), AtomicBool::new(false));
        let one = |(number, job): (usize, Job)| {
            let (tarball, threads, stop) = (scratch.path().join(number.to_string()), &threads, &stop);
            async move {
                if stop.load(Ordering::Relaxed) {
                    return Ok(WrittenFiles::new());
                }
                self.fetch(&job, &tarball).await?;
                let _thread = threads.acquire().await.map_err(|_| Error::Interrupted)?;
                let root = to.to_owned();
                let unpacked = tokio::task::spawn_blocking(move || job.unpack(&tarball, &root)).await;
                unpacked.map_err(|_| Error::Interrupted)?
            }
        };
        let mut all = futures_util::stream::iter(jobs.into_iter().enumerate()).map(one).buffer_unordered(DOWNLOADS);
        let (mut written, mut fault) = (WrittenFiles::new(), None);
        // To the end also after a fault: nothing is written any more when this returns.
        while let Some(result) = all.next().await {
            match result {
                Ok(files) => written.extend(files),
                Err(failed) => {
                    stop.store(true, Ordering::Relaxed);
                    fault.get_or_insert(failed);
                }
            }
        }
        match fault {
            Some(fault) => Err(fault),
            None => tokio::task::block_in_place(|| link_programs(to, &tree.links, &mut written)).map(|()| written),
        }
    }

    async fn fetch(&self, job: &Job, to: &Path) -> Result<(), UnpackFault> {
        match self.registry.tarball(&job.name, &job.version, &job.integrity, to).await {
            // npm goes on without it.
            Err(error @ Error::Network { .. }) if job.is_optional => {
                Err(UnpackFault::Unfamiliar(Unfamiliar(format!("an optional package is missing: {error}"))))
            }
            other => other.map_err(UnpackFault::Failed),
        }
    }
}

/// A package and its places.
struct Job {
    name: String,
    version: String,
    integrity: Integrity,
    programs: BTreeSet<String>,
    places: Vec<String>,
    is_optional: bool,
}

impl Job {
    fn unpack(&self, tarball: &Path, root: &Path) -> Result<WrittenFiles, UnpackFault> {
        let places: Vec<&str> = self.places.iter().map(String::as_str).collect();
        let name = format!("{}@{}", self.name, self.version);
        let written = PackageTarball { file: tarball, name: &name, programs: &self.programs }.unpack(root, &places);
        let _ = std::fs::remove_file(tarball);
        written
    }
}

/// The packages of a tree, each once.
fn jobs(tree: &PackageTree) -> Vec<Job> {
    let (mut jobs, mut known): (Vec<Job>, HashMap<_, usize>) = (Vec::new(), HashMap::new());
    for package in &tree.packages {
        let key = (&package.name, &package.version, package.integrity, &package.programs);
        let at = *known.entry(key).or_insert(jobs.len());
        if at == jobs.len() {
            jobs.push(Job {
                name: package.name.clone(),
                version: package.version.clone(),
                integrity: package.integrity,
                programs: package.programs.clone(),
                places: Vec::new(),
                is_optional: true,
            });
        }
        jobs[at].places.push(package.path.clone());
        jobs[at].is_optional &= package.is_optional;
    }
    jobs
}

/// Makes `path` and the folders that it lies in.
fn make_folders(root: &Path, path: &str) -> Result<(), UnpackFault> {
    let mut folder = PathBuf::from(root);
    for part in path.split('/') {
        folder.push(part);
        make_folder(&folder)?;
    }
    Ok(())
}

/// The C library of this machine, as npm finds it.
fn libc() -> Option<&'static str> {
    let mut text = Vec::new();
    let Ok(ldd) = std::fs::File::open(LDD) else { return Some("glibc") };
    ldd.take(MAX_LDD).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let families = [("musl", "musl"), ("GNU C Library", "glibc")];
    families.into_iter().find(|(word, _)| text.contains(word)).map(|(_, family)| family)
}

fn read_tree(cli: &RhdhCli, lock_dir: &Path) -> Result<(String, Vec<u8>)> {
    let path = CompanionPath::cli_tree(&cli.version).below(lock_dir);
    let tree = user_file::read(&path, user_file::DOCUMENT).map_err(|e| Error::Lock {
        place: Place::file(&path),
        what: format!("cannot be read ({e}); the lock needs it"),
        hint: "restore it from version control, or run `factory resolve`".into(),
    })?;
    let broken = |what: String| Error::Lock {
        place: Place::file(&path),
        what,
        hint: "restore it and the lock from version control, or run `factory resolve`".into(),
    };
    let found = Sha256::of(&tree);
    if found != cli.tree {
        return Err(broken(format!("has the checksum {found}, but the lock says {}", cli.tree)));
    }
    match integrity_in_tree(&tree) {
        Some(installed) if installed == cli.integrity.to_string() => Ok((cli_manifest(&cli.version), tree)),
        installed => Err(broken(format!(
            "installs {CLI_PACKAGE} with the integrity {}, but the lock says {}",
            installed.as_deref().unwrap_or("(none)"),
            cli.integrity
        ))),
    }
}

/// The integrity that a package-lock (npm's `lockfileVersion` 3) holds the CLI to.
fn integrity_in_tree(tree: &[u8]) -> Option<String> {
    let tree: serde_json::Value = serde_json::from_slice(tree).ok()?;
    let package = tree.get("packages")?.get(format!("node_modules/{CLI_PACKAGE}"))?;
    package.get("integrity")?.as_str().map(str::to_owned)
}
