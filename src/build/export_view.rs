//! What an export sees of its workspace: the source as the steps before the exports have left it, and what it writes
//! itself. Exports at the same time do not see each other, and what is opened through one view is not opened in another.
//!
//! Where the machine has no overlays, it is the source itself, and exports follow one another.

use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use crate::error::{Error, Result};
use crate::sandbox::held_overlay::HeldOverlay;
use crate::sandbox::root::Root;
use crate::store::UntrustedTree;

/// A source as one export sees it.
pub(super) struct ExportView {
    overlay: Option<HeldOverlay>,
    /// The path by which the build root of the export knows it.
    source: PathBuf,
}

impl ExportView {
    /// Shows the children in `root` a view of their own; what they write goes below `folder`. `of` is the plugin.
    pub(super) fn show(workdir: &Workdir, root: &mut Root, folder: &Path, of: &str) -> Result<Self> {
        let source = &workdir.folders.source;
        if !workdir.is_apart {
            return Ok(Self { overlay: None, source: source.clone() });
        }
        let layer = workdir.layer.as_ref().map_or(&[][..], |layer| layer.lowers());
        let lowers: Vec<&Path> = std::iter::once(source).chain(layer).map(PathBuf::as_path).collect();
        let overlay = HeldOverlay::mount(root.isolation(), &lowers, folder).map_err(|why| {
            let what = format!("cannot show the source to the export of {of}: {why}");
            Error::build(what, "run `factory doctor`, which says what this machine allows")
        })?;
        let source = overlay.show_for(root, source);
        Ok(Self { overlay: Some(overlay), source })
    }

    /// A path of the source, as the build root knows it.
    pub(super) fn outside(&self, path: &Path) -> PathBuf {
        self.source.join(path)
    }

    /// Where this process sees the source; its paths lead nowhere once this value is dropped.
    pub(super) fn seen(&self) -> PathBuf {
        self.overlay.as_ref().map_or_else(|| self.source.clone(), HeldOverlay::seen)
    }

    /// Where what the export makes stays, for people.
    pub(super) fn kept(&self) -> &Path {
        self.overlay.as_ref().map_or(&self.source, |overlay| overlay.written())
    }

    /// All that is in it.
    pub(super) fn tree(&self, of: impl Into<String>) -> Result<UntrustedTree> {
        Ok(UntrustedTree::open(&self.seen(), of)?.named(self.kept()))
    }
}
