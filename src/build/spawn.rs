//! One thread that starts all children, and lives as long as the program.
//!
//! Children in a build root ask to be ended when their parent is (`PR_SET_PDEATHSIG`), and for Linux the parent is the
//! *thread* that started them (prctl(2)). The runtime's threads come and go: a child started by one of them would be
//! killed in the middle of its work.

use std::io;
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

static STARTER: LazyLock<Option<Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    let serve = move || {
        for Order { mut command, runtime, answer } in inbox {
            let _entered = runtime.enter();
            // Who ordered it may have gone: then the child is dropped, and ends with it.
            let _ = answer.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("children".into()).spawn(serve).ok().map(|_| orders)
});

/// Starts a child of the runtime this is called in.
pub async fn spawn(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts programs is gone");
    let (answer, started) = oneshot::channel();
    let order = Order { command, runtime: Handle::current(), answer };
    STARTER.as_ref().and_then(|orders| orders.send(order).ok()).ok_or_else(gone)?;
    started.await.map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let start = move || {
            let mut command = Command::new("setpriv");
            // It asks to be killed with the thread that started it, as children in a build root do.
            command.args(["--pdeathsig", "KILL", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            handle.block_on(async {
                let mut child = spawn(command).await.unwrap();
                // Once it has answered, it has asked.
                child.stdin.as_mut().unwrap().write_all(b"x").await.unwrap();
                assert_eq!(child.stdout.as_mut().unwrap().read_u8().await.unwrap(), b'x');
                child
            })
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        let status = runtime.block_on(async {
            drop(child.stdin.take());
            child.wait().await.unwrap()
        });
        assert!(status.success(), "{status}");
    }
}
