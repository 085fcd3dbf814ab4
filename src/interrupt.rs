//! Ctrl-C and what is like it (SIGTERM, SIGHUP), as tasks and threads learn of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::error::{Error, Result};

/// Says to everything that runs that the user pressed Ctrl-C: to tasks by waiting, to threads by a flag.
#[derive(Clone)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    pressed: watch::Receiver<bool>,
}

/// The other end of an [`Interrupt`].
pub struct Interrupter {
    flag: Arc<AtomicBool>,
    pressed: watch::Sender<bool>,
}

impl Interrupter {
    /// Ctrl-C was pressed.
    pub fn press(&self) {
        self.flag.store(true, Ordering::SeqCst);
        let _ = self.pressed.send(true);
    }
}

impl Default for Interrupt {
    /// One that nobody presses.
    fn default() -> Self {
        Self::new().1
    }
}

impl Interrupt {
    /// Both ends.
    pub fn new() -> (Interrupter, Self) {
        let flag = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = watch::channel(false);
        (Interrupter { flag: flag.clone(), pressed: sender }, Self { flag, pressed: receiver })
    }

    /// Whether it was pressed.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// For threads, which look at it now and then.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Err once it was pressed.
    pub fn check(&self) -> Result<()> {
        if self.is_set() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// The result of `work`, which is dropped once it was pressed.
    pub fn unless<'a, T>(
        &'a self,
        work: impl Future<Output = Result<T>> + Send + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a
    where
        T: Send + 'a,
    {
        // A request is a large future, and many wait for one.
        let work = Box::pin(work);
        async move {
            tokio::select! {
                biased;
                () = self.wait() => Err(Error::Interrupted),
                result = work => result,
            }
        }
    }

    /// Waits until it is pressed; for ever if nobody can press it any more.
    pub async fn wait(&self) {
        let mut receiver = self.pressed.clone();
        if receiver.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
