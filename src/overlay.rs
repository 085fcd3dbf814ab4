//! Patches and overlays, laid over the source of a workspace: `build` lays them over the checkout, `resolve` over the few
//! files that it reads, so that both speak of the same tree.

pub mod patch;
pub mod source_parts;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lock::{Input, Sha256, input_digest};
use crate::sandbox::child::{ChildFailure, Log, Run, run};
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::{Isolation, Root};
use crate::store::UntrustedTree;
use crate::user_file;
use patch::PatchText;

/// Folders under a plugin's configuration whose content is copied over the plugin before it is installed; it has at most
/// one of them.
pub const OVERLAY_FOLDERS: [&str; 2] = ["overlay", "overlays"];

/// The file that says which Backstage version a workspace is for, in the workspace and, in its place, in the
/// configuration: exported packages say that they support it.
pub const BACKSTAGE: &str = "backstage.json";

/// Where GNU patch finds a patch, below the tree.
const PATCH: &str = ".factory.patch";
const PATCH_INPUT: &str = "--input=.factory.patch";

/// Patches and overlays of a workspace, and the tree they are laid over.
pub struct Overlays<'a> {
    /// The workspace's name.
    pub workspace: &'a str,
    /// The source's time.
    pub epoch: u64,
    /// The files of its configuration.
    pub inputs: &'a [Input],
    /// The folders of the plugins whose overlays count.
    pub plugins: &'a [&'a str],
    /// The folder of its configuration.
    pub config: &'a Path,
    /// Its folder in the tree.
    pub tree: &'a Path,
    /// Where what is done is written.
    pub log: &'a Log,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// What was laid over a tree.
pub struct AppliedOverlays {
    /// How many patches.
    pub patches: usize,
    /// How many files of overlays.
    pub overlays: usize,
    /// Hunks that were applied though they do not fit.
    pub warnings: Vec<String>,
}

impl Overlays<'_> {
    /// Applies all patches in the order of their names, then the overlays.
    pub async fn apply(&self) -> Result<AppliedOverlays> {
        let (mut patches, mut warnings) = (0, Vec::new());
        for input in self.inputs.iter().filter(|input| is_patch(&input.path)) {
            warnings.extend(self.patch(input).await?);
            patches += 1;
        }
        let mut overlays = 0;
        for input in self.inputs {
            if let Some(target) = overlay_target(self.plugins, &input.path) {
                self.copy(input, &target)?;
                overlays += 1;
            }
        }
        if let Some(backstage) = self.inputs.iter().find(|input| input.path == BACKSTAGE) {
            // The CLI takes `backstage.supported-versions` from the workspace's own file.
            self.copy(backstage, Path::new(BACKSTAGE))?;
        }
        for plugin in self.plugins {
            let wanted = join(plugin, input_digest::SCALPRUM);
            let Some(scalprum) = self.inputs.iter().find(|input| Path::new(&input.path) == wanted) else { continue };
            self.copy(scalprum, &join(plugin, SCALPRUM))?;
        }
        Ok(AppliedOverlays { patches, overlays, warnings })
    }

    /// GNU patch, the reference of the original: `-p1` for headers with `a/` and `b/`, else `-p0`; blanks in the context
    /// may differ.
    async fn patch(&self, input: &Input) -> Result<Vec<String>> {
        let bytes = read_input(self.config, input)?;
        let text = PatchText::parse(&bytes);
        let (tree, file) = (self.checkout()?, Path::new(PATCH));
        tree.write(file, &bytes, 0o644)?;
        let args: Vec<String> = [
            if text.strip_in(self.tree) == 0 { "-p0" } else { "-p1" },
            "--forward",
            "--batch",
            "--ignore-whitespace",
            "--no-backup-if-mismatch",
            "--reject-file=-",
            PATCH_INPUT,
        ]
        .map(str::to_owned)
        .into();
        let root = Root::new(Isolation::None, PathBuf::new());
        let env = ChildEnv::base(self.epoch).with("PATH", "/usr/bin:/bin:/usr/local/bin");
        let done = run(Run {
            program: Path::new("patch"),
            args: &args,
            cwd: self.tree,
            env: &env,
            root: &root,
            network: false,
            log: self.log,
            timeout: Duration::from_secs(120),
            interrupt: self.interrupt,
        })
        .await;
        let _ = tree.remove(file);
        done.map_err(|failure| {
            let what = format!("`{}` does not apply to workspace `{}`", input.path, self.workspace);
            match failure {
                ChildFailure::Code(_, tail) => {
                    let why = text.why(self.tree, &self.last_output(tail.clone()));
                    Error::Build { what: format!("{what}: {}", why.what), tail, hint: why.hint }
                }
                other => other.into_error(&what, self.log, "install GNU patch"),
            }
        })?;
        let fuzzy = PatchText::fuzzy(&self.last_output(vec![]));
        Ok(fuzzy.into_iter().map(|hunk| format!("{}: `{}`: {hunk}", self.workspace, input.path)).collect())
    }

    /// All that the last command said; `tail` when the log cannot be read.
    fn last_output(&self, tail: Vec<String>) -> Vec<String> {
        let Ok(bytes) = fs::read(self.log.path()) else { return tail };
        let all = String::from_utf8_lossy(&bytes);
        let last = all.rsplit("$ patch -p").next().unwrap_or_default();
        last.lines().map(str::to_owned).collect()
    }

    fn checkout(&self) -> Result<UntrustedTree> {
        UntrustedTree::open(self.tree, format!("workspace `{}`", self.workspace))
    }

    fn copy(&self, input: &Input, target: &Path) -> Result<()> {
        let bytes = read_input(self.config, input)?;
        let to = self.tree.join(target);
        if let Some(parent) = to.parent() {
            refuse_links(self.tree, parent)?;
        }
        // A symlink in the checkout is replaced, never written through.
        self.checkout()?.write(target, &bytes, if input.executable { 0o755 } else { 0o644 })?;
        self.log.line(&format!("copied {} to {}", input.path, target.display()));
        Ok(())
    }
}

/// The files of a workspace that patches and overlays may change, make or remove; a few more at most. `plugins` are the
/// folders of the plugins whose overlays count, `config` is the folder of the workspace's configuration.
pub fn touched(inputs: &[Input], plugins: &[&str], config: &Path) -> Result<Vec<String>> {
    let mut touched = Vec::new();
    for input in inputs {
        if is_patch(&input.path) {
            touched.extend(PatchText::parse(&read_input(config, input)?).touched());
        } else if let Some(target) = overlay_target(plugins, &input.path) {
            touched.extend(target.to_str().map(str::to_owned));
        } else if input.path == BACKSTAGE {
            touched.push(BACKSTAGE.to_owned());
        }
    }
    touched.sort();
    touched.dedup();
    Ok(touched)
}

/// Where an overlay's file goes in the workspace: `plugins/a/overlay/src/x.ts` is `plugins/a/src/x.ts`.
fn overlay_target(plugins: &[&str], path: &str) -> Option<PathBuf> {
    plugins.iter().find_map(|plugin| {
        OVERLAY_FOLDERS.iter().find_map(|folder| {
            let rest = Path::new(path).strip_prefix(join(plugin, folder)).ok()?;
            Some(join(plugin, rest))
        })
    })
}

/// Where a plugin's scalprum configuration lies in the build, relative to the plugin.
pub const SCALPRUM: &str = ".factory-scalprum-config.json";

/// Reads a configuration file, which must have the checksum that is in the lock.
pub fn read_input(config: &Path, input: &Input) -> Result<Vec<u8>> {
    let path = config.join(&input.path);
    let stale = |why: String| Error::Stale {
        reasons: vec![format!("`{}`: {why}", path.display())],
        hint: "run `factory resolve --keep`, which moves nothing else".into(),
    };
    let bytes = match user_file::read(&path, u64::MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(stale("was removed since `factory resolve`".into()));
        }
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    if Sha256::of(&bytes) == input.sha256 { Ok(bytes) } else { Err(stale("changed since `factory resolve`".into())) }
}

/// `plugin` may be `.`.
pub fn join(plugin: &str, rest: impl AsRef<Path>) -> PathBuf {
    if plugin == "." { rest.as_ref().to_path_buf() } else { Path::new(plugin).join(rest) }
}

/// True for what is applied as a patch.
pub fn is_patch(path: &str) -> bool {
    path.strip_prefix("patches/").is_some_and(|name| {
        !name.contains('/') && Path::new(name).extension().is_some_and(|extension| extension == "patch")
    })
}

/// A repository may contain a symlink that points elsewhere: nothing is written through it.
fn refuse_links(tree: &Path, folder: &Path) -> Result<()> {
    let mut at = tree.to_path_buf();
    for part in folder.strip_prefix(tree).unwrap_or(Path::new("")).components() {
        at.push(part);
        if at.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            return Err(Error::Build {
                what: format!(
                    "`{}` is a symlink in the checkout; overlays do not write through symlinks",
                    at.display()
                ),
                tail: vec![],
                hint: "use the folder that the symlink points to in the overlay".into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_patches_folder_are_patches() {
        assert!(is_patch("patches/1-a.patch"));
        assert!(!is_patch("patches/old/1-a.patch"));
        assert!(!is_patch("plugins/a/overlay/patches/1.patch"));
        assert!(!is_patch("patches/readme.md"));
    }
}
