//! Installed packages from the cache, as the children of a build see them.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::lock::lies_in;
use crate::sandbox::held_overlay::HeldOverlay;
use crate::sandbox::root::Root;
use crate::store::{CacheEntry, UntrustedTree};

/// How a build gets at the folders of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerUse {
    /// They are shown below what the build writes (overlayfs).
    Shown,
    /// They are copied, and share their bytes until the build writes to them.
    Cloned,
}

/// Folders of a layer that are shown while this lives.
pub(super) struct HeldLayer {
    pub(super) overlay: HeldOverlay,
    /// From the source.
    pub(super) folders: Vec<String>,
    /// Not pruned meanwhile.
    pub(super) _entry: CacheEntry,
}

impl HeldLayer {
    /// Shows them in the source, which is at `source`, to all children in `root`.
    pub(super) fn show(&self, root: &mut Root, source: &Path) {
        let inside = root.inside(source);
        self.overlay.show(root, &inside, &self.folders);
    }

    /// All that is in the layer, of which the folders are shown. Links in it are not to be followed: this process has it
    /// nowhere.
    pub(super) fn tree(&self, of: &str) -> Result<UntrustedTree> {
        UntrustedTree::open(&self.overlay.seen(), of)
    }

    /// Where a path of the source lies, if it is in one of them.
    pub(super) fn seen(&self, path: &str) -> Option<PathBuf> {
        let is_shown = self.folders.iter().any(|folder| lies_in(path, folder));
        is_shown.then(|| self.overlay.seen().join(path))
    }
}
