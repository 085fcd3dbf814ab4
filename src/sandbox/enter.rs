//! Inside the build root: what `factory __enter` and `factory __init` do.
//!
//! `__enter` leaves the machine's namespaces and mounts the new root; `__init` is process 1 of the new PID namespace:
//! it runs the program and ends when the program ends, and with it everything the program left behind. Both are this
//! program itself, started anew, since only a process with one thread may enter a user namespace.

use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::{fs, io};

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{chdir, close, sethostname, setsid};

use super::confine::confine;
use super::held_overlay;
use super::mounts::{SELF, close_root, make_root};
use super::root::Spec;
use super::user_namespace::unshare_user;

/// The exit code when the root cannot be made; not one that programs use.
pub const CANNOT_ENTER: u8 = 213;

/// What is said where process 1 gets no `/proc` of its own.
pub const PROC_STAYS: &str = "this machine refuses a new /proc: build scripts see the machine's processes";

/// Runs `program` in the root that `spec` (JSON of [`Spec`]) describes. Returns the exit code.
pub fn enter(spec: &str, program: &[String]) -> Result<u8, String> {
    let spec: Spec = serde_json::from_str(spec).map_err(|e| format!("bad spec: {e}"))?;
    let this = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
    close_inherited().map_err(|e| format!("close inherited files: {e}"))?;
    leave_namespaces(&spec).map_err(|e| format!("unshare: {e}"))?;
    make_root(&spec, &this)?;
    // stdin goes on to process 1: see `end_with_factory`.
    let status = Command::new(SELF)
        .arg("__init")
        .arg(&spec.cwd)
        .args(program)
        .status()
        .map_err(|e| format!("start process 1: {e}"))?;
    Ok(code_of(status.code(), status.signal()))
}

/// Closes what whoever started factory had left open, as shells and cargo do: an open folder of the machine would lead out
/// of the root. Nothing of this process's own is open yet but its input and output.
fn close_inherited() -> io::Result<()> {
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > libc::STDERR_FILENO)
        .collect();
    for descriptor in open {
        // The folder that was just read is among them, and closed already.
        let _ = close(descriptor);
    }
    Ok(())
}

/// Ends process 1, and with it all that runs in the root, when factory is gone: then the pipe that is our stdin closes.
/// The kernel's own signal for that (`PR_SET_PDEATHSIG`) comes when the *thread* that started a process ends, and the
/// threads of factory's pool end when they are idle.
fn end_with_factory() {
    let mut stdin = io::stdin();
    let mut nothing = [0; 64];
    while matches!(io::Read::read(&mut stdin, &mut nothing), Ok(1..)) {}
    std::process::exit(i32::from(CANNOT_ENTER));
}

/// Process 1 of the namespace: runs `program` in `cwd`, reaps what is orphaned, ends with the program's code.
pub fn init(cwd: &str, program: &[String]) -> Result<u8, String> {
    set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl: {e}"))?;
    // Without the user's terminal nothing can be typed into it.
    setsid().map_err(|e| format!("setsid: {e}"))?;
    if !close_root()? {
        crate::ui::complain(PROC_STAYS);
    }
    umask(Mode::from_bits_truncate(0o022));
    chdir(cwd).map_err(|e| format!("enter `{cwd}`: {e}"))?;
    // Of this process too: nothing in the root has more than the program.
    confine()?;
    set_dumpable(false).map_err(|e| format!("keep process 1 to itself: {e}"))?;
    let (name, args) = program.split_first().ok_or("no program given")?;
    std::thread::spawn(end_with_factory);
    let child =
        Command::new(name).args(args).stdin(Stdio::null()).spawn().map_err(|e| format!("start `{name}`: {e}"))?;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).map_err(|e| e.to_string())?);
    loop {
        match wait() {
            Ok(WaitStatus::Exited(ended, code)) if ended == pid => return Ok(code_of(Some(code), None)),
            Ok(WaitStatus::Signaled(ended, signal, _)) if ended == pid => {
                return Ok(code_of(None, Some(signal as i32)));
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(format!("wait: {e}")),
        }
    }
}

/// A shell's convention: 128 + n for signal n.
fn code_of(code: Option<i32>, signal: Option<i32>) -> u8 {
    let code = code.unwrap_or_else(|| 128 + signal.unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}

fn leave_namespaces(spec: &Spec) -> io::Result<()> {
    if let Some(held) = &spec.held {
        held_overlay::join(held.pid, spec.user)?;
    }
    let mut flags =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if !spec.network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    if spec.user && spec.held.is_none() {
        unshare_user(flags)?;
    } else {
        unshare(flags)?;
    }
    sethostname("factory")?;
    Ok(())
}
