//! The plugins of both releases by their level of support: by the plugins of two locks, or by the metadata of two
//! configurations, which do not say what the packages of their plugins are called.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::change::{ChangeKind, PackageMove};
use super::super::diff::Form;
use super::super::metadata::PackageMetadata;
use super::super::release::{Release, ReleasePlugin, ReleaseWorkspace};
use super::super::support::{FromTo, PluginRow, SupportGroup, rank};
use super::super::version_step::VersionStep;
use super::comparison::Comparison;
use crate::ui::some;

/// One side of a plugin.
#[derive(Clone, Copy)]
struct PluginSide<'a> {
    workspace: Option<&'a str>,
    /// In a lock.
    plugin: Option<&'a ReleasePlugin>,
    metadata: Option<&'a PackageMetadata>,
}

impl<'a> PluginSide<'a> {
    fn locked(release: &'a Release, workspace: &'a ReleaseWorkspace, plugin: &'a ReleasePlugin) -> Self {
        let package = plugin.package.as_deref().unwrap_or_default();
        let metadata = release.metadata.of(package, &workspace.name);
        Self { workspace: Some(&workspace.name), plugin: Some(plugin), metadata }
    }

    fn described(metadata: &'a PackageMetadata) -> Self {
        Self { workspace: metadata.workspace.as_deref(), plugin: None, metadata: Some(metadata) }
    }

    fn package(&self) -> Option<&'a str> {
        let locked = self.plugin.and_then(|plugin| plugin.package.as_deref());
        locked.or_else(|| self.metadata.map(|metadata| metadata.package.as_str()))
    }

    fn version(&self) -> Option<String> {
        let locked = self.plugin.and_then(|plugin| plugin.version.clone());
        locked.or_else(|| self.metadata?.version.clone())
    }
}

/// A plugin on both sides, or on one.
type PluginSides<'a> = (Option<PluginSide<'a>>, Option<PluginSide<'a>>);

impl Comparison<'_> {
    /// Plugins by their level of support.
    pub(super) fn support(&mut self) -> Vec<SupportGroup> {
        let sides = match self.new.form {
            Form::Lock => self.locked_plugins(),
            Form::Configuration => described_plugins(self.old, self.new),
        };
        let mut links: BTreeMap<&str, &str> = BTreeMap::new();
        for change in &self.changes {
            if let (Some(workspace), ChangeKind::Commit { link: Some(link), .. }) = (&change.workspace, &change.what) {
                links.insert(workspace, link);
            }
        }
        let mut groups: BTreeMap<(usize, Option<String>), SupportGroup> = BTreeMap::new();
        for row in sides.into_iter().filter_map(|sides| row(sides, &links)) {
            let level = row.support.last().map(str::to_owned);
            let group = groups.entry((rank(level.as_deref()), level.clone())).or_insert_with(|| SupportGroup {
                level,
                unchanged: Some(0),
                plugins: Vec::new(),
            });
            if row.is_changed() {
                group.plugins.push(row);
            } else {
                group.unchanged = group.unchanged.map(|unchanged| unchanged + 1);
            }
        }
        let mut groups: Vec<SupportGroup> = groups.into_values().collect();
        for group in &mut groups {
            group.plugins.sort_by(|a, b| order(a).cmp(&order(b)));
        }
        self.metadata_notes();
        groups
    }

    fn locked_plugins(&self) -> Vec<PluginSides<'_>> {
        let (old, new) = (self.old, self.new);
        let mut sides = Vec::new();
        for (w, workspace) in new.workspaces.iter().enumerate() {
            for (p, plugin) in workspace.plugins.iter().enumerate() {
                let before = self.pairs.plugins.get(&(w, p)).map(|((w, p), _)| {
                    let workspace = &old.workspaces[*w];
                    PluginSide::locked(old, workspace, &workspace.plugins[*p])
                });
                sides.push((before, Some(PluginSide::locked(new, workspace, plugin))));
            }
        }
        for (w, workspace) in old.workspaces.iter().enumerate() {
            for (p, plugin) in workspace.plugins.iter().enumerate() {
                if !self.pairs.old_plugins.contains_key(&(w, p)) {
                    sides.push((Some(PluginSide::locked(old, workspace, plugin)), None));
                }
            }
        }
        sides.retain(|(old, new)| {
            let names = [old, new].into_iter().flatten().filter_map(|side| side.workspace);
            !names.into_iter().any(|name| self.broken.contains(name))
        });
        sides
    }

    /// What is not known of levels of support, and why.
    fn metadata_notes(&mut self) {
        for (release, other) in [(self.old, self.new), (self.new, self.old)] {
            if release.metadata.is_empty() && !other.metadata.is_empty() {
                self.notes.push(format!(
                    "`{}` has no package metadata, so what was supported in it is not known",
                    release.name
                ));
            }
            let files: BTreeSet<String> =
                release.metadata.broken.iter().map(|(file, why)| format!("`{file}` ({why})")).collect();
            if !files.is_empty() {
                let files = some(files.iter());
                self.notes.push(format!("package metadata of `{}` is not read: {files}", release.name));
            }
        }
    }
}

/// The packages of two sets of metadata, paired by their names; in the same workspace first.
fn described_plugins<'a>(old: &'a Release, new: &'a Release) -> Vec<PluginSides<'a>> {
    let mut sides = Vec::new();
    let mut taken = HashSet::new();
    for is in &new.metadata.packages {
        let all = || old.metadata.packages.iter().enumerate().filter(|(_, was)| was.package == is.package);
        let own = all().find(|(at, was)| was.workspace == is.workspace && !taken.contains(at));
        let has_own = |was: &PackageMetadata| {
            new.metadata
                .packages
                .iter()
                .any(|other| (&other.package, &other.workspace) == (&was.package, &was.workspace))
        };
        let before = own.or_else(|| all().find(|(at, was)| !taken.contains(at) && !has_own(was)));
        taken.extend(before.map(|(at, _)| at));
        sides.push((before.map(|(_, was)| PluginSide::described(was)), Some(PluginSide::described(is))));
    }
    let gone = old.metadata.packages.iter().enumerate().filter(|(at, _)| !taken.contains(at));
    sides.extend(gone.map(|(_, was)| (Some(PluginSide::described(was)), None)));
    sides
}

fn row((old, new): PluginSides<'_>, links: &BTreeMap<&str, &str>) -> Option<PluginRow> {
    let last = new.or(old)?;
    let between =
        |of: &dyn Fn(PluginSide<'_>) -> Option<String>| FromTo { from: old.and_then(of), to: new.and_then(of) };
    let said =
        |of: fn(&PackageMetadata) -> &Option<String>| between(&|side| side.metadata.and_then(|said| of(said).clone()));
    let version = between(&|side| side.version());
    let step = version.from.as_deref().zip(version.to.as_deref()).filter(|(from, to)| from != to);
    let step = step.map(|(from, to)| VersionStep::between(from, to));
    let metadata_version = new.filter(|side| side.plugin.is_some()).and_then(|side| side.metadata?.version.clone());
    let link = last.workspace.and_then(|workspace| links.get(workspace)).filter(|_| old.is_some() && new.is_some());
    Some(PluginRow {
        change: match (old.is_some(), new.is_some()) {
            (false, _) => PackageMove::Added,
            (_, false) => PackageMove::Removed,
            _ => PackageMove::Changed,
        },
        workspace: last.workspace.map(str::to_owned),
        plugin: last.plugin.map(|plugin| plugin.path.clone()),
        package: last.package()?.to_owned(),
        title: last.metadata.and_then(|said| said.title.clone()),
        step,
        metadata_version: metadata_version.filter(|said| Some(said) != version.to.as_ref()),
        version,
        support: said(|said| &said.support),
        lifecycle: said(|said| &said.lifecycle),
        supported_versions: said(|said| &said.backstage),
        dynamic_artifact: said(|said| &said.artifact),
        link: link.map(|link| (*link).to_owned()),
    })
}

/// New ones, those that are gone, then the others, majors first.
fn order(row: &PluginRow) -> (u8, bool, &str, Option<&str>) {
    let change = match row.change {
        PackageMove::Added => 0,
        PackageMove::Removed => 1,
        PackageMove::Changed => 2,
    };
    (change, row.step != Some(VersionStep::Major), &row.package, row.workspace.as_deref())
}
