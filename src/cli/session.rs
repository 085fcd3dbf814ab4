//! What every command shares: messages, the cache, Ctrl-C, and the runtime they run in.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{GlobalArgs, paths};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::sandbox::probe::probe;
use crate::sandbox::root::{Isolation, IsolationChoice};
use crate::store::{CacheKind, Store};
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

    /// The names of the finished builds in the cache; none where there is no cache yet.
    pub fn finished_builds(&self) -> Result<HashSet<String>> {
        let folder = paths::cache_dir(self.global)?.join(CacheKind::Builds.as_str());
        match std::fs::read_dir(&folder) {
            Ok(entries) => Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
            Err(e) => Err(Error::io("read", &folder)(e)),
        }
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

/// The longest that a command may take to end after a signal: children have five seconds, and half a minute is for a
/// disk that writes what was there before.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Runs a command. The first signal ends children in order, the second ends the program at once.
pub fn enter(global: &GlobalArgs, ui: &Arc<Ui>, command: impl AsyncFnOnce(&Session<'_>) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::usage(format!("cannot start: {e}"), ""))?;
    let (pressed, interrupt) = Interrupt::new();
    let talk = ui.clone();
    let signals = {
        let _entered = runtime.enter();
        Signals::new().map_err(|e| Error::usage(format!("cannot start: {e}"), ""))?
    };
    runtime.spawn(async move {
        let mut signals = signals;
        signals.first().await;
        pressed.press();
        talk.note("stopping; press Ctrl-C again to stop at once");
        // What blocks in the kernel, as a file on a server that is gone, does not notice.
        let _ = tokio::time::timeout(STOP_WITHIN, signals.another()).await;
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

/// The signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where it is ignored, as `nohup` wants it.
    hangup: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let hangup = (!is_ignored(HANGUP)).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    async fn first(&mut self) {
        let Self { interrupt, terminate, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
    }

    /// A terminal that is closed says so twice, by the kernel and by the shell: the second SIGHUP says nothing new.
    async fn another(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

const HANGUP: u32 = nix::libc::SIGHUP.unsigned_abs();

/// True if the program was started with this signal ignored.
fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
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
