//! `factory cache size|prune`

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::session::Session;
use crate::error::{Error, Result};
use crate::store::PruneScope;
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
            ui::data(text).map_err(Error::io("write", "stdout"))
        }
        CacheCommand::Prune { older_than } => {
            let what = older_than
                .map_or(PruneScope::All, |days| PruneScope::OlderThan(Duration::from_secs(u64::from(days) * 86_400)));
            let pruned = store.prune(what)?;
            let busy = if pruned.busy == 0 { String::new() } else { format!(", {} in use kept", pruned.busy) };
            session.ui.note(format!("removed {}, {}{busy}", count(pruned.entries, "entry"), megabytes(pruned.bytes)));
            Ok(())
        }
    }
}

/// `1234.5 MB`
fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
