//! Inside the build root: what `factory __enter` and `factory __init` do.
//!
//! `__enter` leaves the machine's namespaces and mounts the new root; `__init` is process 1 of the new PID namespace:
//! it runs the program and ends when the program ends, and with it everything the program left behind. Both are this
//! program itself, started anew, since only a process with one thread may enter a user namespace.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Gid, Uid, chdir, pivot_root, sethostname};

use crate::sandbox::root::Spec;

/// Folders of the machine that hold its programs and settings; shown read-only.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "nix"];
/// Devices a build may use.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// This program inside the root.
const SELF: &str = "/.factory";
/// The exit code when the root cannot be made; not one that programs use.
pub const CANNOT_ENTER: u8 = 213;

/// Runs `program` in the root that `spec` (JSON of [`Spec`]) describes. Returns the exit code.
pub fn enter(spec: &str, program: &[String]) -> Result<u8, String> {
    let spec: Spec = serde_json::from_str(spec).map_err(|e| format!("bad spec: {e}"))?;
    let this = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
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
    // Refused in some containers: then the machine's own /proc, mounted before, stays visible.
    let _ = mount(Some("proc"), "/proc", Some("proc"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None::<&str>);
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY, None::<&str>)
        .map_err(|e| format!("make the root read-only: {e}"))?;
    umask(Mode::from_bits_truncate(0o022));
    chdir(cwd).map_err(|e| format!("enter `{cwd}`: {e}"))?;
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
    let mut flags =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if !spec.network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    if spec.user {
        let (uid, gid) = (Uid::effective(), Gid::effective());
        unshare(flags | CloneFlags::CLONE_NEWUSER)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    } else {
        unshare(flags)?;
    }
    sethostname("factory")?;
    Ok(())
}

fn make_root(spec: &Spec, this: &Path) -> Result<(), String> {
    let root = &spec.scratch;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|e| format!("make mounts private: {e}"))?;
    mount(Some("tmpfs"), root, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755"))
        .map_err(|e| format!("mount a root at `{}`: {e}", root.display()))?;
    for name in SYSTEM {
        show_system(&Path::new("/").join(name), &root.join(name))?;
    }
    show_resolver(root)?;
    for name in DEVICES {
        let device = Path::new("/dev").join(name);
        if device.exists() {
            bind(&device, &root.join("dev").join(name), true)?;
        }
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1")] {
        link(target, &root.join("dev").join(name))?;
    }
    link("/proc/self/fd/2", &root.join("dev/stderr"))?;
    let shm = root.join("dev/shm");
    make_dir(&shm)?;
    mount(Some("tmpfs"), &shm, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=1777"))
        .map_err(|e| format!("mount `{}`: {e}", shm.display()))?;
    bind(Path::new("/proc"), &root.join("proc"), true)?;
    bind(this, &root.join(SELF.trim_start_matches('/')), false)?;
    for each in &spec.binds {
        let inside =
            each.inside.strip_prefix("/").map_err(|_| format!("`{}` is not absolute", each.inside.display()))?;
        bind(&each.outside, &root.join(inside), each.writable)?;
    }
    if !root.join("tmp").exists() {
        link("build/tmp", &root.join("tmp"))?;
    }
    chdir(root).map_err(|e| format!("enter the root: {e}"))?;
    // pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is taken off.
    pivot_root(".", ".").map_err(|e| format!("pivot_root: {e}"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|e| format!("leave the old root: {e}"))?;
    chdir("/").map_err(|e| format!("enter the root: {e}"))
}

/// Shows a folder of the machine; a link (merged /usr) is made again as a link.
fn show_system(from: &Path, to: &Path) -> Result<(), String> {
    match fs::symlink_metadata(from) {
        Ok(meta) if meta.is_symlink() => {
            let target = fs::read_link(from).map_err(|e| format!("read `{}`: {e}", from.display()))?;
            link(&target, to)
        }
        Ok(meta) if meta.is_dir() => bind(from, to, false),
        _ => Ok(()),
    }
}

/// `/etc/resolv.conf` is often a link to a place outside `/etc`.
fn show_resolver(root: &Path) -> Result<(), String> {
    let Ok(real) = fs::canonicalize("/etc/resolv.conf") else { return Ok(()) };
    if real.starts_with("/etc") || real.starts_with("/usr") {
        return Ok(());
    }
    let inside: PathBuf = real.strip_prefix("/").map(Path::to_path_buf).unwrap_or_default();
    bind(&real, &root.join(inside), false)
}

fn link(target: impl AsRef<Path>, at: &Path) -> Result<(), String> {
    std::os::unix::fs::symlink(target, at).map_err(|e| format!("link `{}`: {e}", at.display()))
}

fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("create `{}`: {e}", path.display()))
}

fn bind(from: &Path, to: &Path, writable: bool) -> Result<(), String> {
    if from.is_dir() {
        make_dir(to)?;
    } else {
        to.parent().map_or(Ok(()), make_dir)?;
        if !to.exists() {
            fs::write(to, "").map_err(|e| format!("create `{}`: {e}", to.display()))?;
        }
    }
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|e| format!("show `{}`: {e}", from.display()))?;
    if !writable {
        // In a user namespace the mount's own restrictions are locked: they must be named again.
        let kept = statvfs(to).map_or(MsFlags::empty(), |stat| kept_flags(stat.flags()));
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | kept;
        mount(None::<&str>, to, None::<&str>, flags, None::<&str>)
            .map_err(|e| format!("make `{}` read-only: {e}", from.display()))?;
    }
    Ok(())
}

fn kept_flags(flags: FsFlags) -> MsFlags {
    [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ]
    .into_iter()
    .filter(|(from, _)| flags.contains(*from))
    .fold(MsFlags::empty(), |all, (_, flag)| all | flag)
}
