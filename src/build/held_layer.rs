//! Installed packages from the cache, as the children of a build see them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::held_overlay::HeldOverlay;
use crate::sandbox::root::{Isolation, Root};
use crate::store::CacheEntry;

/// How a build gets at the folders of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerUse {
    /// They are shown below what the build writes (overlayfs).
    Shown,
    /// They are copied, and share their bytes until the build writes to them.
    Cloned,
}

/// A layer that is shown to the steps before the exports, and then lies below what each export sees.
pub(super) struct HeldLayer {
    /// None once these steps are over.
    overlay: Option<HeldOverlay>,
    /// What they have written, and the layer.
    lowers: [PathBuf; 2],
    /// Not pruned meanwhile.
    entry: CacheEntry,
}

impl HeldLayer {
    /// Lays what is written below `work` over `tree`, the packages of the entry.
    pub(super) fn mount(isolation: Isolation, tree: PathBuf, work: &Path, entry: CacheEntry) -> Result<Self, String> {
        let overlay = HeldOverlay::mount(isolation, &[&tree], work)?;
        let lowers = [overlay.written().to_path_buf(), tree];
        Ok(Self { overlay: Some(overlay), lowers, entry })
    }

    /// Shows folders of it in the source, which is at `source`, to all children in `root`.
    pub(super) fn show(&self, root: &mut Root, source: &Path, folders: &[String]) {
        let inside = root.inside(source);
        if let Some(overlay) = &self.overlay {
            overlay.show(root, &inside, folders);
        }
    }

    /// The entry's name, which follows from what is in it.
    pub(super) fn name(&self) -> Option<&str> {
        self.entry.path().file_name()?.to_str()
    }

    /// Whether the steps before the exports have written nothing to it.
    pub(super) fn is_untouched(&self) -> bool {
        let [written, _] = &self.lowers;
        fs::read_dir(written).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// The steps before the exports are over: nobody writes to it any more.
    pub(super) fn close(&mut self) {
        self.overlay = None;
    }

    /// What lies below what an export sees, the uppermost first.
    pub(super) fn lowers(&self) -> &[PathBuf] {
        &self.lowers
    }
}
