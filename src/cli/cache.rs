//! `factory cache size|prune`

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::session::Session;
use crate::error::{Error, Result};
use crate::store::{PruneScope, Pruned};
use crate::ui::{self, count};

/// Options of `factory cache`.
#[derive(Clone, Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum CacheCommand {
    /// Print the size of the cache by kind of entry
    Size,
    /// Remove entries that no running factory uses; all of them can be downloaded or built again
    Prune {
        /// Keep entries used within this many days
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,
        /// Remove what was not used for the longest time until the cache has at most this size, such as `20GB`
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
    },
}

pub(super) fn run(session: &Session<'_>, args: &CacheArgs) -> Result<()> {
    let store = session.store()?;
    match args.command {
        CacheCommand::Size => {
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
        CacheCommand::Prune { older_than, max_size } => {
            let age = older_than.map(|days| PruneScope::OlderThan(Duration::from_secs(u64::from(days) * 86_400)));
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
    }
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

/// `1234.5 MB`
fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
