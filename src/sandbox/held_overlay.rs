//! Folders that children see as theirs: an overlay of folders that are not written to and an empty one that takes what is
//! written. A process of its own (`factory __hold`) has it in its mount namespace as long as the build needs it, which
//! every child enters first: children of one overlay at the same time write to the same one.
//!
//! Scripts never see the folders below themselves. The kernel takes no file, link, mode or time of them for writing: what
//! is written to is copied first. Nobody else may write to them while the overlay is there.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{fs, io};

use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::root::{HeldFolders, Isolation, Root};
use super::user_namespace::unshare_user;

/// What the process says when it has the overlay.
const READY: &str = "ready";

/// What `factory __hold` is told.
#[derive(Debug, Serialize, Deserialize)]
struct OverlaySpec {
    /// Through a user namespace.
    user: bool,
    /// What is not written to, the uppermost first.
    lowers: Vec<PathBuf>,
    /// What is written, the kernel's folder beside it, and where both are seen as one.
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
}

/// An overlay, as long as this lives.
#[derive(Debug)]
pub struct HeldOverlay {
    process: Child,
    /// The process ends when it is closed.
    lifeline: Option<ChildStdin>,
    written: PathBuf,
    merged: PathBuf,
}

impl HeldOverlay {
    /// Lays an empty folder over `lowers`, of which each covers those behind it; what children write goes below `folder`.
    /// An error where this machine does not allow it.
    pub fn mount(isolation: Isolation, lowers: &[&Path], folder: &Path) -> Result<Self, String> {
        let user = match isolation {
            Isolation::Namespaces => false,
            Isolation::UserNamespaces => true,
            Isolation::None => return Err("builds are not isolated".to_owned()),
        };
        let make = |name: &str| {
            let path = folder.join(name);
            let made = fs::create_dir_all(&path).and_then(|()| path.canonicalize());
            made.map_err(|e| format!("create `{}`: {e}", path.display()))
        };
        let spec = OverlaySpec {
            user,
            lowers: lowers.iter().map(|lower| lower.to_path_buf()).collect(),
            upper: make("written")?,
            work: make("overlay")?,
            merged: make("merged")?,
        };
        let text = serde_json::to_string(&spec).map_err(|e| e.to_string())?;
        let mut process = Command::new("/proc/self/exe")
            .args(["__hold", &text])
            .env_clear()
            // Ctrl-C is factory's to handle: children may need it a little longer.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut said = String::new();
        if let Some(stdout) = process.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut said);
        }
        let lifeline = process.stdin.take();
        let mut stderr = process.stderr.take();
        let held = Self { process, lifeline, written: spec.upper, merged: spec.merged };
        if said.trim_end() == READY {
            return Ok(held);
        }
        drop(held);
        let mut why = String::new();
        if let Some(stderr) = &mut stderr {
            let _ = stderr.read_to_string(&mut why);
        }
        Err(why.trim().to_owned())
    }

    /// Whether this machine allows it: tried in an empty folder.
    pub fn probe(isolation: Isolation, folder: &Path) -> Result<(), String> {
        let lower = folder.join("lower");
        fs::create_dir_all(&lower).map_err(|e| format!("create `{}`: {e}", lower.display()))?;
        Self::mount(isolation, &[&lower], folder).map(drop)
    }

    /// Shows `folders` of it in a folder that `root` shows, where they lie as well.
    pub fn show(&self, root: &mut Root, inside: &Path, folders: &[String]) {
        root.hold(HeldFolders {
            pid: self.process.id(),
            merged: self.merged.clone(),
            inside: inside.to_path_buf(),
            folders: folders.iter().map(PathBuf::from).collect(),
        });
    }

    /// Shows all of it in place of `outside`, which `root` shows; returns the path by which `root` knows it then.
    pub fn show_for(&self, root: &mut Root, outside: &Path) -> PathBuf {
        self.show(root, &self.merged, &[]);
        root.replace(outside, &self.merged);
        self.merged.clone()
    }

    /// What children have written, and nothing else; it stays there.
    pub fn written(&self) -> &Path {
        &self.written
    }

    /// Where this process sees it. Its paths lead nowhere once this value is dropped.
    pub fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.process.id()));
        root.join(self.merged.strip_prefix("/").unwrap_or(&self.merged))
    }
}

impl Drop for HeldOverlay {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.process.wait();
    }
}

/// What `factory __hold` does: mounts the overlay that `spec` describes in namespaces of its own, and waits until its
/// stdin is closed.
pub fn hold(spec: &str, _: &[String]) -> Result<u8, String> {
    let spec: OverlaySpec = serde_json::from_str(spec).map_err(|e| format!("bad spec: {e}"))?;
    if spec.user {
        unshare_user(CloneFlags::CLONE_NEWNS).map_err(|e| format!("unshare: {e}"))?;
    } else {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|e| format!("unshare: {e}"))?;
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|e| format!("make mounts private: {e}"))?;
    let opened = |path: &Path| -> Result<(OwnedFd, String), String> {
        let folder = open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())
            .map_err(|e| format!("open `{}`: {e}", path.display()))?;
        let name = format!("/proc/self/fd/{}", folder.as_raw_fd());
        Ok((folder, name))
    };
    // Paths of a cache may have colons and commas.
    let lowers = spec.lowers.iter().map(|lower| opened(lower)).collect::<Result<Vec<_>, _>>()?;
    let lower = lowers.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(":");
    let ((_upper, upper), (_work, work)) = (opened(&spec.upper)?, opened(&spec.work)?);
    let of_user = if spec.user { ",userxattr" } else { ",redirect_dir=nofollow,metacopy=off" };
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work},index=off{of_user}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("overlay"), &spec.merged, Some("overlay"), flags, Some(options.as_str()))
        .map_err(|e| format!("mount an overlay: {e}"))?;
    crate::ui::data(format!("{READY}\n")).map_err(|e| e.to_string())?;
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(0)
}

/// Enters the namespaces of the process that holds an overlay.
pub(super) fn join(holder: u32, user: bool) -> io::Result<()> {
    let namespace = |name: &str| fs::File::open(format!("/proc/{holder}/ns/{name}"));
    // Both before entering one: what is seen of `/proc` may change.
    let of_users = user.then(|| namespace("user")).transpose()?;
    let of_mounts = namespace("mnt")?;
    if let Some(of_users) = of_users {
        setns(of_users, CloneFlags::CLONE_NEWUSER)?;
    }
    setns(of_mounts, CloneFlags::CLONE_NEWNS)?;
    Ok(())
}
