//! `factory cache size|prune|keygen`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::cache_repo;
use super::session::Session;
use crate::build::cache_repo::tagged::StoredEntries;
use crate::build::cache_repo::{keys, tagged};
use crate::error::{Error, Result};
use crate::image::{MOST_PAGES, MOST_TAGS, OciRepository, RepositoryAccess};
use crate::store::{PruneScope, Pruned};
use crate::ui::{self, count, megabytes};

/// Options of `factory cache`.
#[derive(Clone, Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum CacheCommand {
    /// Print the size of the cache by kind of entry
    Size {
        /// Of this cache repository instead: the number of its finished builds, and their size
        #[arg(long, value_name = "REPOSITORY")]
        cache_repo: Option<String>,
    },
    /// Remove entries that no running factory uses; all of them can be downloaded or built again
    Prune {
        /// Keep entries used within this many days
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,
        /// Remove what was not used for the longest time until the cache has at most this size, such as `20GB`
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Remove finished builds of this cache repository instead, which needs one of the two limits; they count from the day
        /// they were stored
        #[arg(long, value_name = "REPOSITORY")]
        cache_repo: Option<String>,
    },
    /// Write a pair of ed25519 keys: builds in a cache repository are signed with it
    Keygen {
        /// File of the private key; the public key gets the same name and `.pub`
        #[arg(value_name = "FILE", default_value = "factory-cache.key")]
        file: PathBuf,
    },
}

pub(super) async fn run(session: &Session<'_>, args: &CacheArgs) -> Result<()> {
    match &args.command {
        CacheCommand::Size { cache_repo: Some(repository) } => {
            let repository = cache_repo::open(session, repository, RepositoryAccess::Read)?;
            let StoredEntries { entries, is_cut } = unless(session, tagged::list(&repository)).await?;
            let (builds, bytes) = (tagged::builds(&entries), tagged::size(&entries));
            if is_cut {
                session.ui.warn(format!("{}, and the others are not counted", more_tags(&repository)));
            }
            let text = format!("{:<7} {builds:>5} {:>10}  {}\n", "builds", megabytes(bytes), repository.address());
            ui::text(&text).map_err(Error::io("write", "stdout"))
        }
        CacheCommand::Prune { older_than: None, max_size: None, cache_repo: Some(_) } => Err(Error::usage(
            "a cache repository is everybody's, and is pruned with `--older-than` or `--max-size` alone",
            "`--older-than 30` keeps what was stored within 30 days; `--older-than 0` removes all builds",
        )),
        CacheCommand::Prune { older_than, max_size, cache_repo: Some(repository) } => {
            let repository = cache_repo::open(session, repository, RepositoryAccess::Delete)?;
            let prune = async {
                let StoredEntries { entries, is_cut } = tagged::list(&repository).await?;
                let entries = tagged::to_remove(entries, older_than.map(days), *max_size);
                Ok((tagged::remove(&repository, &entries).await?, tagged::size(&entries), is_cut))
            };
            let (removed, bytes, is_cut) = unless(session, prune).await?;
            session.ui.note(format!("removed {}, {}", count(removed, "entry"), megabytes(bytes)));
            if is_cut {
                let next = if removed > 0 {
                    ": run this again for the others"
                } else {
                    ", and the others are not looked at: only the registry's own rules of retention can remove them"
                };
                session.ui.warn(format!("{}{next}", more_tags(&repository)));
            }
            Ok(())
        }
        CacheCommand::Keygen { file } => {
            let mut public = file.clone().into_os_string();
            public.push(".pub");
            let public = PathBuf::from(public);
            keys::generate(file, &public)?;
            let (private, public) = (file.display(), public.display());
            session.ui.note(format!("{private} written: keep it secret, and give it to those who store builds"));
            session.ui.note(format!("{public} written: give it to those who take builds (`--cache-trust`)"));
            Ok(())
        }
        CacheCommand::Size { cache_repo: None } => size_here(session),
        CacheCommand::Prune { older_than, max_size, .. } => prune_here(session, *older_than, *max_size),
    }
}

/// Beyond which a repository is not read.
fn more_tags(repository: &OciRepository) -> String {
    let address = repository.address();
    format!(
        "the cache repository `{address}` has more tags than are read ({MOST_TAGS} of builds, on {MOST_PAGES} pages)"
    )
}

async fn unless<T>(session: &Session<'_>, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = session.interrupt.wait() => Err(Error::Interrupted),
    }
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

fn size_here(session: &Session<'_>) -> Result<()> {
    let store = session.store()?;
    let mut text = String::new();
    let (mut entries, mut bytes) = (0, 0);
    for size in store.size()? {
        let _ = writeln!(text, "{:<7} {:>5} {:>10}", size.kind.as_str(), size.entries, megabytes(size.bytes));
        entries += size.entries;
        bytes += size.bytes;
    }
    let _ = writeln!(text, "{:<7} {entries:>5} {:>10}  {}", "total", megabytes(bytes), store.dir().display());
    ui::text(&text).map_err(Error::io("write", "stdout"))
}

fn prune_here(session: &Session<'_>, older_than: Option<u32>, max_size: Option<u64>) -> Result<()> {
    let store = session.store()?;
    let age = older_than.map(days).map(PruneScope::OlderThan);
    let mut pruned = match (age, max_size) {
        (None, Some(_)) => Pruned::default(),
        (age, _) => store.prune(age.unwrap_or(PruneScope::All))?,
    };
    if let Some(most) = max_size {
        let more = store.prune_to(most)?;
        pruned.entries += more.entries;
        pruned.bytes += more.bytes;
        pruned.busy = pruned.busy.max(more.busy);
    }
    let busy = if pruned.busy == 0 { String::new() } else { format!(", {} in use kept", pruned.busy) };
    session.ui.note(format!("removed {}, {}{busy}", count(pruned.entries, "entry"), megabytes(pruned.bytes)));
    Ok(())
}

/// Reads `500MB`, `20 GB`, `1TiB`.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("write a number and its unit: `500MB`, `20GB`, `1TB`, or `20GiB`".to_owned()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(|| "is too large".to_owned())
}
