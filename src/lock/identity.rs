//! The identity of a release.

use super::{Lock, Sha256};

impl Lock {
    /// The identity of a release: the digest of the lock's canonical text without what builds found out, so that sealing
    /// a lock does not change which release it is.
    pub fn identity(&self) -> Sha256 {
        let mut pins = self.clone();
        for workspace in &mut pins.workspace {
            workspace.sealed = None;
            for plugin in &mut workspace.plugin {
                plugin.sealed = None;
            }
        }
        Sha256::of(pins.to_text())
    }
}
