//! What every command shares: messages, the cache, Ctrl-C, and the runtime they run in.

use std::sync::Arc;
use std::time::Duration;

use super::{GlobalArgs, paths};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::sandbox::probe::probe;
use crate::sandbox::root::{Isolation, IsolationChoice};
use crate::store::Store;
use crate::ui::Ui;

/// One run of the program.
pub struct Session<'a> {
    pub global: &'a GlobalArgs,
    pub ui: Arc<Ui>,
    pub interrupt: Interrupt,
}

impl Session<'_> {
    /// The cache.
    pub fn store(&self) -> Result<Store> {
        Store::open(paths::cache_dir(self.global)?)
    }

    /// How the machine lets builds be isolated; where it does not, that is warned about.
    pub async fn isolation(&self, store: &Store, choice: IsolationChoice) -> Result<Isolation> {
        let (isolation, why) = probe(store, choice).await?;
        if let Some(why) = why.as_ref().filter(|_| isolation != Isolation::None) {
            self.ui.warn(why);
        } else if let Some(why) = why {
            self.ui.warn(format!(
                "namespaces are not available on this machine ({why}): builds run at the cache's own paths and see the \
                 machine's files; their digests hold under these paths only"
            ));
        }
        Ok(isolation)
    }
}

/// Runs a command. The first Ctrl-C (or SIGTERM) ends children in order, the second ends the program at once.
pub fn enter(global: &GlobalArgs, ui: &Arc<Ui>, command: impl AsyncFnOnce(&Session<'_>) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::usage(format!("cannot start: {e}"), ""))?;
    let (pressed, interrupt) = Interrupt::new();
    let talk = ui.clone();
    runtime.spawn(async move {
        signal().await;
        pressed.press();
        talk.note("stopping; press Ctrl-C again to stop at once");
        signal().await;
        std::process::exit(i32::from(crate::error::exit_code::INTERRUPTED));
    });
    let session = Session { global, ui: ui.clone(), interrupt: interrupt.clone() };
    let outcome = runtime.block_on(command(&session));
    runtime.shutdown_timeout(Duration::from_secs(2));
    // Whatever failed because of the signal, the signal is the reason.
    match outcome {
        Err(_) if interrupt.is_set() => Err(Error::Interrupted),
        other => other,
    }
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// How many installs and exports run at once: a frontend's export takes about 2 GB, so memory bounds them too.
pub fn jobs() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = available_memory().map_or(cores, |bytes| usize::try_from(bytes / (2 << 30)).unwrap_or(1));
    cores.min(memory).max(1)
}

/// `MemAvailable` of /proc/meminfo in bytes.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}
