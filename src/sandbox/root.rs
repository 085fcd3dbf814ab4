//! The build root: the same absolute paths for sources and tools on every machine.
//!
//! Bundlers put the absolute path of the checkout and of the CLI into module ids, content hashes and source maps.
//! So children see their sources at `/build/source` and their tools below `/build/tools`, in a mount namespace of
//! their own. Where the machine grants no namespace the build goes on at the cache's own paths, with one warning, and
//! the lock says under which root its digests hold.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sandbox::env::{CA_PATHS, ChildEnv};

/// The folder of all fixed paths inside a build root.
pub const BUILD: &str = "/build";

/// What keeps a build apart from its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Mount, PID, IPC and UTS namespaces, entered as root.
    Namespaces,
    /// The same through a user namespace.
    UserNamespaces,
    /// None: children see the machine as it is, apart from the environment.
    None,
}

impl Isolation {
    /// What a report calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::UserNamespaces => "user-namespaces",
            Self::None => "none",
        }
    }
}

/// Whether to isolate, from `--isolation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum IsolationChoice {
    /// Isolate when the machine allows it, else warn and go on.
    #[default]
    Auto,
    /// Fail when the machine does not allow it.
    Required,
    /// Do not isolate.
    Off,
}

/// One folder or file shown inside the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the machine.
    pub outside: PathBuf,
    /// In the root.
    pub inside: PathBuf,
    /// Whether children may write there.
    pub writable: bool,
}

/// Folders of an overlay that a process holds in its namespaces ([`super::held_overlay`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFolders {
    /// The process.
    pub pid: u32,
    /// Where it has the overlay.
    pub merged: PathBuf,
    /// The folder in the root in which the folders are shown.
    pub inside: PathBuf,
    /// From the overlay, and from that folder. Each lies there already.
    pub folders: Vec<PathBuf>,
}

/// What `factory __enter` is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Mount points for the new root: an empty folder on the machine.
    pub scratch: PathBuf,
    /// Enter through a user namespace.
    pub user: bool,
    /// Keep the machine's network.
    pub network: bool,
    /// What is shown, outer folders first.
    pub binds: Vec<Bind>,
    /// What another process holds and is shown above that.
    #[serde(default)]
    pub held: Option<HeldFolders>,
    /// Working directory inside.
    pub cwd: PathBuf,
}

/// The view that the children of one build have of the file system.
#[derive(Clone, Debug)]
pub struct Root {
    isolation: Isolation,
    scratch: PathBuf,
    binds: Vec<Bind>,
    held: Option<HeldFolders>,
}

impl Root {
    /// A root that shows nothing yet. `scratch` is an empty folder that is never written to.
    pub fn new(isolation: Isolation, scratch: PathBuf) -> Self {
        Self { isolation, scratch, binds: Vec::new(), held: None }
    }

    /// Shows the folder or file `outside` at `/build/<name>`.
    pub fn show(&mut self, outside: &Path, name: &str, writable: bool) -> &mut Self {
        self.binds.push(Bind { outside: outside.into(), inside: Path::new(BUILD).join(name), writable });
        self
    }

    /// The same view with a mount point of its own.
    #[must_use]
    pub fn at(&self, scratch: PathBuf) -> Self {
        Self { scratch, ..self.clone() }
    }

    /// Shows the folder `new` in place of `old`.
    pub fn replace(&mut self, old: &Path, new: &Path) {
        for bind in self.binds.iter_mut().filter(|bind| bind.outside == old) {
            bind.outside = new.to_path_buf();
        }
    }

    /// Shows folders of an overlay as well; only what [`super::held_overlay::HeldOverlay`] has made.
    pub(super) fn hold(&mut self, held: HeldFolders) {
        self.held = Some(held);
    }

    /// Shows none of them any more.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// What keeps the children apart.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The path by which children know `outside`, which must lie in a shown folder.
    pub fn inside(&self, outside: &Path) -> PathBuf {
        if self.isolation == Isolation::None {
            return outside.to_path_buf();
        }
        self.binds
            .iter()
            .filter_map(|bind| outside.strip_prefix(&bind.outside).ok().map(|rest| (bind, rest)))
            .max_by_key(|(bind, _)| bind.outside.components().count())
            .map_or_else(|| outside.to_path_buf(), |(bind, rest)| clean_join(&bind.inside, rest))
    }

    /// The program and arguments that run `program` in this root, in the folder `cwd` (an outside path).
    pub(super) fn command(
        &self,
        program: &Path,
        args: &[String],
        cwd: &Path,
        env: &ChildEnv,
        network: bool,
    ) -> Entered {
        let user = match self.isolation {
            Isolation::None => {
                return Entered { program: program.into(), args: args.to_vec(), cwd: Some(cwd.into()) };
            }
            Isolation::Namespaces => false,
            Isolation::UserNamespaces => true,
        };
        let mut binds = self.binds.clone();
        binds.extend(ca_binds(env));
        let (scratch, held) = (self.scratch.clone(), self.held.clone());
        let spec = Spec { scratch, user, network, binds, held, cwd: self.inside(cwd) };
        let spec = serde_json::to_string(&spec).expect("a spec is made of paths and flags");
        let mut all = vec!["__enter".to_owned(), spec, program.to_string_lossy().into_owned()];
        all.extend(args.iter().cloned());
        Entered { program: PathBuf::from("/proc/self/exe"), args: all, cwd: None }
    }
}

/// How to start a child.
pub(super) struct Entered {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub cwd: Option<PathBuf>,
}

/// `join` that adds no trailing slash for an empty rest.
fn clean_join(base: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { base.into() } else { base.join(rest) }
}

/// The CA files named in the environment are shown where they are, else every download fails.
fn ca_binds(env: &ChildEnv) -> impl Iterator<Item = Bind> + '_ {
    CA_PATHS.iter().filter_map(|name| env.get(name)).filter_map(|value| {
        let path = PathBuf::from(value);
        let already = ["/etc/ca-certificates", "/etc/pki", "/etc/ssl", "/usr"].iter().any(|top| path.starts_with(top));
        (path.is_absolute() && path.exists() && !already).then(|| Bind {
            outside: path.clone(),
            inside: path,
            writable: false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_do_not_depend_on_the_machine() {
        let mut root = Root::new(Isolation::Namespaces, "/x/scratch".into());
        root.show(Path::new("/home/me/.cache/w/source"), "source", true);
        root.show(Path::new("/home/me/.cache/tools/node-1"), "tools/node", false);
        assert_eq!(root.inside(Path::new("/home/me/.cache/w/source")), Path::new("/build/source"));
        assert_eq!(root.inside(Path::new("/home/me/.cache/w/source/a/b")), Path::new("/build/source/a/b"));
        assert_eq!(root.inside(Path::new("/home/me/.cache/tools/node-1/bin")), Path::new("/build/tools/node/bin"));
        let host = Root { isolation: Isolation::None, ..root };
        assert_eq!(host.inside(Path::new("/home/me/.cache/w/source/a")), Path::new("/home/me/.cache/w/source/a"));
    }
}
