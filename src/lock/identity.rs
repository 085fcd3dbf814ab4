//! The identity of a release.

use super::{Lock, Sha256};

impl Lock {
    /// The identity of a release: the digest of the lock's canonical text without what builds found out, so that sealing
    /// a lock does not change which release it is.
    pub fn identity(&self) -> Sha256 {
        let mut pins = self.clone();
        for workspace in &mut pins.workspace {
            workspace.sealed = None;
            // What is not built is no pin.
            workspace.unlisted.clear();
            for plugin in &mut workspace.plugin {
                plugin.sealed = None;
                plugin.stamp = None;
                // They follow from the commit and the files of the configuration, and from what a build saw being read.
                plugin.sources.clear();
                plugin.reads.clear();
            }
        }
        Sha256::of(pins.to_text())
    }
}

#[cfg(test)]
mod tests {
    use crate::lock::text::tests::sample;
    use crate::lock::{Sha256, Stamp};

    #[test]
    fn what_builds_find_out_is_not_in_it() {
        let mut lock = sample();
        lock.workspace[0].recipe = 2;
        let before = lock.identity();
        let plugin = &mut lock.workspace[0].plugin[0];
        plugin.sources = vec!["gone a".parse().unwrap()];
        plugin.reads = vec!["a".to_owned()];
        let (digest, commit) = (Sha256::of(""), "0".repeat(40));
        plugin.stamp = Some(Stamp { layer: digest, repo: None, commit, epoch: 1, inputs: digest });
        lock.workspace[0].unlisted = vec!["plugins/c".to_owned()];
        assert_eq!(lock.identity(), before);
        lock.workspace[0].source.commit = Some("1".repeat(40));
        assert_ne!(lock.identity(), before);
    }
}
