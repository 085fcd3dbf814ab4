//! What is shared while two releases are compared: both sides, the changes so far, and the files beside the locks.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::build_only;
use super::super::change::{Change, ChangeKind, Mark};
use super::super::closure::PluginClosure;
use super::super::companions::{Unusable, read_bundle};
use super::super::diff::{Diff, Outputs, Side, VERSION};
use super::super::host::{HostChanges, Hosts};
use super::super::pairing::Pairs;
use super::super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use crate::error::Result;
use crate::lock::Sha256;
use crate::lock::companions::CompanionPath;
use crate::ui::some_names;

/// A comparison under way: what was found so far.
pub(super) struct Comparison<'a> {
    pub(super) old: &'a Release,
    pub(super) new: &'a Release,
    pub(super) hosts: Option<&'a Hosts>,
    pub(super) pairs: Pairs,
    pub(super) changes: Vec<Change>,
    pub(super) outputs: Outputs,
    pub(super) host: Option<HostChanges>,
    pub(super) notes: Vec<String>,
    /// Companions that could not be used: per side and reason, which.
    pub(super) unusable: BTreeMap<(bool, Unusable), Vec<String>>,
    /// Frontends of which a side does not say all that is in them, each by its side and whether it says something.
    pub(super) opaque: BTreeMap<(bool, bool), BTreeSet<String>>,
    /// Names of workspaces that cannot be read on one of the sides.
    pub(super) broken: HashSet<&'a str>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: &'a Release, new: &'a Release, hosts: Option<&'a Hosts>) -> Self {
        let broken = old.broken.iter().chain(&new.broken).map(|(name, _)| name.as_str()).collect();
        Self {
            old,
            new,
            hosts,
            pairs: Pairs::of(old, new),
            changes: Vec::new(),
            outputs: Outputs::default(),
            host: None,
            notes: Vec::new(),
            unusable: BTreeMap::new(),
            opaque: BTreeMap::new(),
            broken,
        }
    }

    pub(super) fn add(&mut self, mark: Mark, workspace: Option<&str>, plugin: Option<&str>, what: ChangeKind) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.changes.push(Change { mark, workspace: owned(workspace), plugin: owned(plugin), what });
    }

    /// A file beside the lock; what cannot be used is noted.
    pub(super) fn companion(&mut self, is_new: bool, path: &CompanionPath, digest: Sha256) -> Result<Option<Vec<u8>>> {
        let release = if is_new { self.new } else { self.old };
        match release.companions.verified(path, digest)? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) => {
                let known = self.unusable.entry((is_new, why)).or_default();
                if !known.iter().any(|known| known == path.as_str()) {
                    known.push(path.as_str().to_owned());
                }
                Ok(None)
            }
        }
    }

    /// The private dependencies of a sealed plugin, or the packages in its bundles, when their file is at hand.
    pub(super) fn closure(
        &mut self,
        is_new: bool,
        workspace: &ReleaseWorkspace,
        plugin: &ReleasePlugin,
    ) -> Result<Option<PluginClosure>> {
        let Some(sealed) = &plugin.sealed else { return Ok(None) };
        if let Some(digest) = sealed.bundle {
            let path = CompanionPath::bundle(&workspace.name, &plugin.path);
            let bundle = self.companion(is_new, &path, digest)?.map(|bytes| read_bundle(&bytes, &path)).transpose()?;
            if bundle.as_ref().is_some_and(|bundle| !bundle.is_whole()) {
                self.opaque.entry((is_new, true)).or_default().insert(label(workspace, plugin));
            }
            return Ok(bundle.as_ref().map(PluginClosure::from));
        }
        let Some(digest) = sealed.closure else { return Ok(None) };
        let path = CompanionPath::closure(&workspace.name, &plugin.path);
        let Some(bytes) = self.companion(is_new, &path, digest)? else { return Ok(None) };
        let release = if is_new { self.new } else { self.old };
        let closure = build_only::closure(&bytes, &release.companions, (&workspace.name, &plugin.path))?;
        Ok(Some(PluginClosure::of(&closure)))
    }

    /// Notes that a side does not say what is in the bundles of a frontend.
    pub(super) fn is_opaque(&mut self, is_new: bool, workspace: &ReleaseWorkspace, plugin: &ReleasePlugin) {
        self.opaque.entry((is_new, false)).or_default().insert(label(workspace, plugin));
    }

    /// The list of changes, with counts and notes.
    pub(super) fn finish(mut self) -> Diff {
        let summary = self.summary();
        let support = self.support();
        for ((is_new, why), paths) in &self.unusable {
            let side = if *is_new { &self.new.name } else { &self.old.name };
            let (first, more) = (&paths[0], paths.len() - 1);
            let (files, is, do_not, their) = match more {
                0 => (format!("`{first}`"), "is", "does not", "its"),
                _ => (format!("`{first}` and {more} more"), "are", "do not", "their"),
            };
            let what = match why {
                Unusable::Missing => format!("{is} missing"),
                Unusable::Mismatch => format!("{do_not} match the digest in the lock"),
            };
            self.notes.push(format!("{files} beside `{side}` {what}, so {their} packages are not compared"));
        }
        for ((is_new, says_some), plugins) in &self.opaque {
            let side = if *is_new { &self.new.name } else { &self.old.name };
            let plugins = some_names(plugins.iter());
            self.notes.push(if *says_some {
                format!(
                    "the bundles of {plugins} of `{side}` do not say all that is in them, so packages may be missing"
                )
            } else {
                format!("`{side}` does not say what is in the bundles of {plugins}, so their packages are not compared")
            });
        }
        for (release, (name, why)) in [self.old, self.new]
            .into_iter()
            .flat_map(|release| release.broken.iter().map(move |broken| (release, broken)))
        {
            self.notes.push(format!("`{name}` of `{}` cannot be read and is not compared: {why}", release.name));
        }
        let side = |release: &Release| Side { name: release.name.clone(), form: release.form, identity: None };
        Diff {
            version: VERSION,
            old: side(self.old),
            new: side(self.new),
            summary,
            support,
            changes: self.changes,
            notes: self.notes,
        }
    }
}

/// A plugin, as notes name it.
fn label(workspace: &ReleaseWorkspace, plugin: &ReleasePlugin) -> String {
    format!("{} {}", workspace.name, plugin.path)
}
