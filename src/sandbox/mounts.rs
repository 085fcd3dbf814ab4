//! The file system of a build root, mounted in a namespace of its own: see [`super::root`] for what is in it.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{chdir, pivot_root};

use super::root::{HeldFolders, Spec};
use crate::store::open_folder_beneath;

/// Folders of the machine that hold its programs; shown read-only.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix"];
/// What programs need of `/etc`: certificates, the dynamic linker, names of hosts. Nothing else of it is shown.
const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "gai.conf",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nsswitch.conf",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
    "static",
];
/// The only users there are.
const PASSWD: &str =
    "root:x:0:0:root:/build/home:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// Devices a build may use.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
/// This program inside the root.
pub(super) const SELF: &str = "/.factory";
/// The machine's own `/proc`, until there is one of the new namespace.
const MACHINE_PROC: &str = "/.proc";
/// What of `/proc` is settings of the machine, and read-only.
const PROC_SETTINGS: &[&str] = &["/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/sysrq-trigger"];
/// What of `/proc` tells of the machine, and is empty.
const PROC_SECRETS: &[&str] = &[
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kallsyms",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/acpi",
    "/proc/scsi",
];

/// Mounts the root that `spec` describes and enters it, with nothing of the machine left below it but its `/proc`.
pub(super) fn make_root(spec: &Spec, this: &Path) -> Result<(), String> {
    let root = &spec.scratch;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|e| format!("make mounts private: {e}"))?;
    mount(Some("tmpfs"), root, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=0755"))
        .map_err(|e| format!("mount a root at `{}`: {e}", root.display()))?;
    for name in SYSTEM {
        show_system(&Path::new("/").join(name), &root.join(name))?;
    }
    make_etc(&root.join("etc"))?;
    make_dev(&root.join("dev"))?;
    make_dir(&root.join("proc"))?;
    bind(Path::new("/proc"), &below(root, MACHINE_PROC), Access::Device)?;
    bind(this, &below(root, SELF), Access::Read)?;
    for each in &spec.binds {
        if !each.inside.is_absolute() {
            return Err(format!("`{}` is not absolute", each.inside.display()));
        }
        bind(&each.outside, &below(root, &each.inside), if each.writable { Access::Write } else { Access::Read })?;
    }
    if let Some(held) = &spec.held {
        show_held(held, &below(root, &held.inside))?;
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

/// In process 1: a `/proc` of its own namespace, after which the machine's is gone and the root is read-only. False where
/// a new one is refused, as in some containers: then the machine's own stays visible.
pub(super) fn close_root() -> Result<bool, String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let is_own = mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).is_ok();
    if is_own {
        umount2(MACHINE_PROC, MntFlags::MNT_DETACH).map_err(|e| format!("leave the machine's /proc: {e}"))?;
        fs::remove_dir(MACHINE_PROC).map_err(|e| format!("remove `{MACHINE_PROC}`: {e}"))?;
    } else {
        mount(Some(MACHINE_PROC), "/proc", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .map_err(|e| format!("show /proc: {e}"))?;
    }
    for path in PROC_SETTINGS.iter().map(Path::new).filter(|path| path.exists()) {
        bind(path, path, Access::Read)?;
    }
    for path in PROC_SECRETS.iter().map(Path::new).filter(|path| path.exists()) {
        if path.is_dir() {
            mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY | flags, None::<&str>)
                .map_err(|e| format!("hide `{}`: {e}", path.display()))?;
        } else {
            bind(Path::new("/dev/null"), path, Access::Device)?;
        }
    }
    remount(Path::new("/"), MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    Ok(is_own)
}

/// Where an absolute path lies in the root that is being made.
fn below(root: &Path, inside: impl AsRef<Path>) -> PathBuf {
    let inside = inside.as_ref();
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

/// Shows folders of an overlay in a folder to which scripts have written: no link is followed there.
fn show_held(held: &HeldFolders, inside: &Path) -> Result<(), String> {
    for folder in &held.folders {
        let place = || {
            let opened =
                open_folder_beneath(inside, folder).map_err(|e| format!("find `{}`: {e}", folder.display()))?;
            Ok::<_, String>((PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())), opened))
        };
        let (to, _opened) = place()?;
        mount(Some(&held.merged.join(folder)), &to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(|e| format!("show `{}`: {e}", folder.display()))?;
        // What was opened is what lies below it.
        let (to, _opened) = place()?;
        remount(&to, MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    }
    Ok(())
}

/// Shows a folder of the machine; a link (merged /usr) is made again as a link.
fn show_system(from: &Path, to: &Path) -> Result<(), String> {
    match fs::symlink_metadata(from) {
        Ok(meta) if meta.is_symlink() => {
            let target = fs::read_link(from).map_err(|e| format!("read `{}`: {e}", from.display()))?;
            link(&target, to)
        }
        Ok(meta) if meta.is_dir() => bind(from, to, Access::Read),
        _ => Ok(()),
    }
}

fn make_etc(etc: &Path) -> Result<(), String> {
    make_dir(etc)?;
    for (name, text) in [("passwd", PASSWD), ("group", GROUP)] {
        fs::write(etc.join(name), text).map_err(|e| format!("write `{name}`: {e}"))?;
    }
    for name in ETC {
        // Often a link to a place outside of `/etc`, as `resolv.conf`.
        if let Ok(real) = fs::canonicalize(Path::new("/etc").join(name)) {
            bind(&real, &etc.join(name), Access::Read)?;
        }
    }
    Ok(())
}

fn make_dev(dev: &Path) -> Result<(), String> {
    make_dir(dev)?;
    for name in DEVICES {
        let device = Path::new("/dev").join(name);
        if device.exists() {
            bind(&device, &dev.join(name), Access::Device)?;
        }
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        link(format!("/proc/self/fd{target}"), &dev.join(name))?;
    }
    let shm = dev.join("shm");
    make_dir(&shm)?;
    mount(Some("tmpfs"), &shm, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=1777"))
        .map_err(|e| format!("mount `{}`: {e}", shm.display()))
}

fn link(target: impl AsRef<Path>, at: &Path) -> Result<(), String> {
    std::os::unix::fs::symlink(target, at).map_err(|e| format!("link `{}`: {e}", at.display()))
}

fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("create `{}`: {e}", path.display()))
}

/// How something is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    /// As the machine has it.
    Device,
}

fn bind(from: &Path, to: &Path, access: Access) -> Result<(), String> {
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
    let flags = match access {
        Access::Device => return Ok(()),
        Access::Read => MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Access::Write => MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
    };
    remount(to, flags)?;
    // Other file systems that are mounted below it come with it.
    mounts_below(to)?.iter().try_for_each(|inner| remount(inner, flags))
}

fn remount(at: &Path, flags: MsFlags) -> Result<(), String> {
    // In a user namespace the mount's own restrictions are locked: they must be named again.
    let kept = statvfs(at).map_or(MsFlags::empty(), |stat| kept_flags(stat.flags()));
    mount(None::<&str>, at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | flags | kept, None::<&str>)
        .map_err(|e| format!("restrict `{}`: {e}", at.display()))
}

/// The mount points below a folder (proc(5), `mountinfo`).
fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let table = fs::read("/proc/self/mountinfo").map_err(|e| format!("read the mounts: {e}"))?;
    let points = table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(std::ffi::OsString::from_vec(unescaped(point))));
    Ok(points.filter(|point| point != folder && point.starts_with(folder)).collect())
}

/// Blanks, tabs, line ends and backslashes are written as `\` and three octal digits.
fn unescaped(point: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(point.len());
    let mut rest = point;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| after.get(..3)).flatten();
        let byte = octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    out
}

fn kept_flags(flags: FsFlags) -> MsFlags {
    [
        (FsFlags::ST_RDONLY, MsFlags::MS_RDONLY),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_may_have_blanks() {
        assert_eq!(unescaped(br"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescaped(br"/plain\9"), br"/plain\9");
    }
}
