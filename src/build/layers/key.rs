//! What an installation depends on, as far as it is known before it runs.
//!
//! What it opens besides is found while it runs and kept with the layer ([`LayerRecord`](super::record::LayerRecord)).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::place;
use crate::build::context::WorkspaceBuild;
use crate::build::packages::is_berry;
use crate::build::source::{self, LARGEST_LOCKFILE};
use crate::build::workdir::Workdir;
use crate::error::Result;
use crate::lock::{Sha256, at};
use crate::overlay::source_parts::reached_paths;
use crate::store::{LeftKind, UntrustedTree};
use crate::tools::provide::platform;
use crate::yarn::KEPT_BY_YARN;
use crate::yarn::graph::reach::{Reach, Reacher};
use crate::yarn::graph::{DependencyGraph, Manifests};
use crate::yarn::lockfile::YarnLock;

/// How layers are made; raised when another way would make another tree.
const RECIPE: u32 = 4;
/// Settings of yarn and npm in every folder from the repository's root to the workspace.
const SETTINGS: [&str; 4] = [".yarnrc.yml", ".yarnrc", ".npmrc", ".yarn"];
/// The largest file that is read, in bytes, and the largest `package.json` and yarn.
const LARGEST: u64 = 512 << 20;
const LARGEST_MANIFEST: u64 = 64 << 20;
/// Compilers and libraries of the machine are what its system has.
const SYSTEM: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The files that an installation depends on.
struct InstallInputs<'a> {
    source: &'a UntrustedTree,
    /// The workspace's folder.
    root: &'a str,
    is_berry: bool,
}

/// The key of a workspace's layer: of its tools, its environment and the files that its installation depends on.
pub(super) fn of(build: &WorkspaceBuild<'_>, workdir: &Workdir, source: &UntrustedTree) -> Result<String> {
    let (shared, workspace) = (build.shared, build.workspace);
    let root = workspace.source.path.as_str();
    let mut text = format!("layer {RECIPE}\n{}\n{}\n{root}\n", platform()?, workspace.source.repo);
    let system = SYSTEM.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let _ = writeln!(text, "{}", Sha256::of(system));
    for name in workdir.tools.names() {
        let _ = writeln!(text, "{name}");
    }
    if let Some(yarn) = &workspace.source.yarn.path {
        let _ = writeln!(text, "{}", Sha256::of(source.read_linked(Path::new(yarn), LARGEST_MANIFEST)?));
    }
    for (name, value) in workdir.env.of_build() {
        let _ = writeln!(text, "{name}={}", value.display());
    }
    let inputs = InstallInputs { source, root, is_berry: is_berry(workspace) };
    let mut digests = BTreeMap::new();
    for path in inputs.paths()? {
        shared.interrupt.check()?;
        inputs.add(&path, &mut digests)?;
    }
    for (path, digest) in digests {
        let _ = writeln!(text, "{digest} {path}");
    }
    // What is opened is found out. What is looked at without that, or looked for, is not.
    inputs.list(Path::new(""), &mut text)?;
    Ok(Sha256::of(text).hex()[..32].to_owned())
}

impl InstallInputs<'_> {
    /// Files, and folders with all that is in them, from the source.
    fn paths(&self) -> Result<BTreeSet<String>> {
        let whole = || BTreeSet::from([".".to_owned()]);
        // yarn 1 does not say which packages a workspace has.
        if !self.is_berry {
            return Ok(whole());
        }
        let path = source::lockfile_below(self.root);
        let bytes = self.source.find_linked(&path, LARGEST_LOCKFILE)?.unwrap_or_default();
        let Ok(lock) = YarnLock::parse(&bytes, &path) else { return Ok(whole()) };
        let folders: Vec<&str> = lock.workspace_paths().unwrap_or_default().into_iter().chain(["."]).collect();
        let mut manifests = BTreeMap::new();
        for from_root in &folders {
            let folder = at(self.root, from_root);
            let manifest = at(&folder, "package.json");
            let Some(text) = self.source.find_linked(Path::new(&manifest), LARGEST_MANIFEST)? else { continue };
            manifests.insert((*from_root).to_owned(), text);
        }
        let Ok(parsed) = Manifests::parse(&lock, &manifests) else { return Ok(whole()) };
        let graph = DependencyGraph::complete(&lock, &parsed);
        let reach = Reach { workspaces: BTreeSet::new(), ..Reacher::new(&graph).of(&folders, &[""]) };
        let mut paths: BTreeSet<String> = reached_paths(&reach, self.root).into_iter().collect();
        paths.extend(folders.iter().map(|folder| at(&at(self.root, folder), "package.json")));
        for folder in std::iter::successors(Some(self.root), |folder| parent(folder)) {
            paths.extend(SETTINGS.iter().map(|name| at(folder, name)));
        }
        let in_root = self.source.entries(place(self.root))?.into_iter();
        // Of yarn's plugins some read files there.
        let is_text = |name: &str| Path::new(name).extension().is_some_and(|it| it.eq_ignore_ascii_case("md"));
        let in_root = in_root.filter(|(name, kind)| *kind != LeftKind::Folder && !is_text(name));
        paths.extend(in_root.map(|(name, _)| at(self.root, &name)));
        Ok(paths)
    }

    /// Lists what there is of the source: names, whether files are executable, and what links say.
    fn list(&self, folder: &Path, text: &mut String) -> Result<()> {
        for (name, kind) in self.source.entries(folder)? {
            let path = folder.join(&name);
            match kind {
                LeftKind::File => {
                    let mode = if self.source.is_executable(&path) { 'x' } else { '-' };
                    let _ = writeln!(text, "{mode} {}", path.display());
                }
                LeftKind::Link => {
                    let target = self.source.target(&path).unwrap_or_default();
                    let _ = writeln!(text, "l {} {}", path.display(), target.display());
                }
                LeftKind::Folder => {
                    let _ = writeln!(text, "d {}", path.display());
                    self.list(&path, text)?;
                }
                LeftKind::Special => {}
            }
        }
        Ok(())
    }

    /// Adds the digest of a file, or those of all files in a folder; what yarn keeps, and what is not there, has none.
    fn add(&self, path: &str, digests: &mut BTreeMap<String, Sha256>) -> Result<()> {
        let place = place(path);
        match self.source.kind(place) {
            Some(LeftKind::File) => {
                digests.insert(path.to_owned(), Sha256::of(self.source.read(place, LARGEST)?));
            }
            Some(LeftKind::Folder) => {
                let is_of_yarn = path == ".yarn" || path.ends_with("/.yarn");
                for (name, _) in self.source.entries(place)? {
                    if !(is_of_yarn && KEPT_BY_YARN.contains(&name.as_str())) {
                        self.add(&at(path, &name), digests)?;
                    }
                }
            }
            // A link may lead to a file of the source.
            Some(LeftKind::Link) => {
                let led_to = self.source.find_linked(place, LARGEST_MANIFEST).ok().flatten();
                digests.insert(path.to_owned(), Sha256::of(led_to.unwrap_or_default()));
            }
            Some(LeftKind::Special) | None => {}
        }
        Ok(())
    }
}

/// The folder above another in the repository.
fn parent(folder: &str) -> Option<&str> {
    if folder == "." {
        return None;
    }
    Some(folder.rsplit_once('/').map_or(".", |(parent, _)| parent))
}
