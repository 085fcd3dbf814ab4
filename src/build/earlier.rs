//! What earlier builds left in the output directory of workspaces and plugins that this one did not build: it stays in
//! the report and in `dynamic-plugins.yaml` as long as its files are there and are what the lock has sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use yaml_serde::Value;

use super::artefact::LAYOUT;
use super::context::Shared;
use super::plugins_yaml::{self, DynamicPlugin};
use super::report::{self, Output, PluginReport, Report, WorkspaceReport};
use crate::image::Layout;
use crate::lock::{Integrity, Lock, Sealed, Workspace, is_relative};
use crate::store::open_unlinked;
use crate::user_file;

/// The workspaces that an earlier build left, by name.
pub(super) struct Earlier {
    workspaces: BTreeMap<String, WorkspaceReport>,
    /// The archives that its report names.
    archives: BTreeSet<String>,
    /// Those that it says are left behind.
    known_left: BTreeSet<String>,
    /// The entries of `dynamic-plugins.yaml`, by their `package` without a plugin's folder behind it.
    entries: BTreeMap<String, DynamicPlugin>,
}

impl Earlier {
    /// Looks for them. `lock` is sealed, `built` says which plugins, by workspace and path, are of this build.
    pub(super) fn find(shared: &Shared, lock: &Lock, built: impl Fn(&str, &str) -> bool) -> Self {
        let output_dir = &shared.options.output_dir;
        let report = report_before(output_dir);
        let list = user_file::read(&output_dir.join(plugins_yaml::FILE_NAME), user_file::DOCUMENT).ok();
        let list = list.and_then(|bytes| yaml_serde::from_slice::<Value>(&bytes).ok());
        let entries = list.as_ref().and_then(|list| list.get("plugins")?.as_sequence());
        let entries = entries.into_iter().flatten().filter_map(DynamicPlugin::read);
        let archives = report.iter().flat_map(archives).collect();
        let known_left = report.iter().flat_map(|report| report.left_behind.iter().cloned()).collect();
        let reports = report.into_iter().flat_map(|report| report.workspaces);
        let workspaces = reports.filter_map(|mut report| {
            let locked = lock.workspace.iter().find(|locked| locked.name == report.name)?;
            report.plugins.retain(|plugin| !built(&report.name, &plugin.path) && is_whole(shared, locked, plugin));
            report.earlier = true;
            // Said of the workspace, it is not said of each plugin again.
            report.plugins.iter_mut().for_each(|plugin| plugin.earlier = false);
            report.error = None;
            (!report.plugins.is_empty()).then(|| (report.name.clone(), report))
        });
        Self {
            workspaces: workspaces.collect(),
            archives,
            known_left,
            entries: entries.map(|entry| (without_folder(&entry.package).to_owned(), entry)).collect(),
        }
    }

    /// What the report says of a workspace.
    pub(super) fn take(&mut self, workspace: &str) -> Option<WorkspaceReport> {
        self.workspaces.remove(workspace)
    }

    /// The archives that are still there and that this report does not have, sorted.
    pub(super) fn left_behind(&self, output_dir: &Path, now: &[WorkspaceReport]) -> Vec<String> {
        still_there(&self.archives, output_dir, now)
    }

    /// True for an archive that was left behind before this build, and was named then.
    pub(super) fn is_known_left(&self, archive: &str) -> bool {
        self.known_left.contains(archive)
    }

    /// The entry of a plugin in `dynamic-plugins.yaml`.
    pub(super) fn entry(&mut self, output: &Output) -> Option<DynamicPlugin> {
        let archive = format!("./{}", output.tgz);
        let pushed = output.pushed.as_ref().map(|pinned| plugins_yaml::image_package(pinned, None));
        let name = pushed.unwrap_or_else(|| archive.clone());
        let entry = self.entries.remove(&name).or_else(|| self.entries.remove(&archive))?;
        let is_same = entry.integrity.is_none_or(|integrity| integrity == output.integrity);
        is_same.then_some(entry)
    }
}

/// The archives that the report of an earlier build in this folder names, and those of them that it says are left behind:
/// they were named then.
pub(super) fn archives_before(output_dir: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let report = report_before(output_dir);
    let named = report.iter().flat_map(archives).collect();
    (named, report.into_iter().flat_map(|report| report.left_behind).collect())
}

/// The report of an earlier build, where it can be read.
fn report_before(output_dir: &Path) -> Option<Report> {
    Report::read(&output_dir.join(report::FILE_NAME), "").ok()
}

/// How many seconds the exports of a workspace took in the build before this one, by the paths of its plugins.
pub(super) fn export_seconds(output_dir: &Path, workspace: &str) -> BTreeMap<String, f64> {
    let workspaces = report_before(output_dir).into_iter().flat_map(|report| report.workspaces);
    let plugins = workspaces.filter(|one| one.name == workspace).flat_map(|one| one.plugins);
    plugins.filter_map(|plugin| Some((plugin.path, *plugin.seconds.get("export")?))).collect()
}

/// Those of them that are still there and that this report does not have, sorted.
pub(super) fn still_there(archives: &BTreeSet<String>, output_dir: &Path, now: &[WorkspaceReport]) -> Vec<String> {
    let outputs = || now.iter().flat_map(|one| &one.plugins).filter_map(|plugin| plugin.output.as_ref());
    let is_left = |archive: &String| {
        // A report is a file like any other: it must not send us to look elsewhere.
        let is_there =
            is_relative(archive) && output_dir.join(archive).symlink_metadata().is_ok_and(|found| found.is_file());
        is_there && outputs().all(|output| output.tgz != *archive)
    };
    archives.iter().filter(|archive| is_left(archive)).cloned().collect()
}

/// The archives of a report, those that it says are left behind too.
fn archives(report: &Report) -> impl Iterator<Item = String> {
    let outputs = report.workspaces.iter().flat_map(|one| &one.plugins).filter_map(|plugin| plugin.output.as_ref());
    outputs.map(|output| &output.tgz).chain(&report.left_behind).cloned()
}

/// An image's reference without the plugin's folder.
fn without_folder(package: &str) -> &str {
    package.split_once('!').map_or(package, |(image, _)| image)
}

/// Whether the files of a plugin are there, and are those that the lock has sealed.
fn is_whole(shared: &Shared, workspace: &Workspace, report: &PluginReport) -> bool {
    let locked = workspace.plugin.iter().find(|locked| locked.path == report.path);
    let (Some(output), Some(sealed)) = (&report.output, locked.and_then(|locked| locked.sealed.as_ref())) else {
        return false;
    };
    let is_sealed =
        |sealed: &Sealed| (sealed.tgz, sealed.image, sealed.layer) == (output.integrity, output.digest, output.layer);
    let layout = shared.options.output_folder(workspace).join(LAYOUT);
    // A report is a file like any other: it must not send us to look elsewhere.
    is_sealed(sealed)
        && is_relative(&output.tgz)
        && holds(&shared.options.output_dir.join(&output.tgz), output.integrity)
        && Layout::holds(&layout, &output.image, output.digest)
}

fn holds(file: &Path, integrity: Integrity) -> bool {
    let bytes = open_unlinked(file).ok();
    bytes.is_some_and(|mut file| Integrity::of_reader(&mut file).is_ok_and(|found| found == integrity))
}
