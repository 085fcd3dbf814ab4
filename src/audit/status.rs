//! What is pinned, what is stale and why, what is sealed and built.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::display::{day, printable, short_ref};
use super::json;
use crate::build::report::{PluginReport, Report};
use crate::lock::input_digest;
use crate::lock::stale::StaleReason;
use crate::lock::{self, Lock, PluginProblem, Sha256, is_relative};
use crate::ui::count;

/// The format of the JSON.
pub const VERSION: u32 = 1;

/// The state of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Format version.
    pub version: u32,
    /// The lock's path, as it was given.
    pub lock: String,
    /// The identity of the release: the digest of its pins.
    pub identity: Sha256,
    /// Whether the configuration could be read, so that staleness is known.
    pub compared: bool,
    /// How many workspaces of the configuration cannot be read; the notes say why.
    #[serde(skip)]
    pub unreadable: usize,
    /// The workspaces of the lock, and those of the configuration that are not in it.
    pub workspaces: Vec<WorkspaceStatus>,
    /// What could not be told.
    pub notes: Vec<String>,
}

/// The state of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WorkspaceStatus {
    /// Its name.
    pub name: String,
    /// How firmly it stands.
    pub pin: PinState,
    /// Its repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The branch, tag or commit asked for; empty for the default branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its day in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The digest of the `yarn.lock` that is built, where patches or overlays change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_yarn_lock: Option<Sha256>,
    /// Why it could not be resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unresolved: Option<String>,
    /// Plugins that cannot be exported, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<PluginProblem>,
    /// Plugins of its source that its list neither has nor names in a comment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<String>,
    /// Why it is stale; empty when it is not.
    pub stale: Vec<String>,
    /// Its plugins.
    pub plugins: Vec<PluginStatus>,
}

/// How firmly a workspace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinState {
    /// At a commit.
    Pinned,
    /// A local tree: no pin.
    Local,
    /// In the configuration, not in the lock.
    Unlocked,
}

/// The state of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PluginStatus {
    /// Its folder in the workspace.
    pub path: String,
    /// Its package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Whether later builds are held to a first one.
    pub sealed: bool,
    /// What the output directory has of it.
    pub built: BuiltState,
    /// Its archive in the output directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tgz: Option<String>,
    /// Where its image was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
}

/// What the output directory has of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuiltState {
    /// Nothing.
    No,
    /// What these pins make.
    Yes,
    /// What other pins made.
    Outdated,
    /// The report of a build whose archive is gone.
    Gone,
    /// The report of a build that failed.
    Failed,
}

/// What is known of a lock. `reasons` are those of [`lock::stale::reasons`]; none when the configuration cannot be read.
/// `report` is that of the output directory, if there is one.
pub fn of(
    lock: &Lock,
    name: &str,
    reasons: Option<&[StaleReason]>,
    report: Option<&Report>,
    output_dir: &Path,
) -> Status {
    let mut workspaces: Vec<WorkspaceStatus> =
        lock.workspace.iter().map(|one| workspace(lock, one, report, output_dir)).collect();
    workspaces.extend(
        lock.unresolved.iter().map(|one| WorkspaceStatus { unresolved: Some(one.what.clone()), ..unlocked(&one.name) }),
    );
    let known: BTreeSet<&str> = lock.workspace.iter().map(|workspace| workspace.name.as_str()).collect();
    for reason in reasons.unwrap_or_default() {
        // The reason's own text begins with the workspace; here it stands below it.
        let text = reason.to_string();
        let text = text.strip_prefix(&format!("workspace `{}`: ", reason.workspace())).unwrap_or(&text).to_owned();
        match workspaces.iter_mut().find(|workspace| workspace.name == reason.workspace()) {
            Some(workspace) => workspace.stale.push(text),
            None if !known.contains(reason.workspace()) => {
                workspaces.push(WorkspaceStatus { stale: vec![text], ..unlocked(reason.workspace()) });
            }
            None => {}
        }
    }
    workspaces.sort_by(|a, b| a.name.cmp(&b.name));
    Status {
        version: VERSION,
        lock: name.to_owned(),
        identity: lock.identity(),
        compared: reasons.is_some(),
        unreadable: 0,
        workspaces,
        notes: Vec::new(),
    }
}

/// A workspace of which the lock has no pin.
fn unlocked(name: &str) -> WorkspaceStatus {
    WorkspaceStatus {
        name: name.to_owned(),
        pin: PinState::Unlocked,
        repo: None,
        requested: None,
        commit: None,
        date: None,
        effective_yarn_lock: None,
        unresolved: None,
        problems: Vec::new(),
        unlisted: Vec::new(),
        stale: Vec::new(),
        plugins: Vec::new(),
    }
}

fn workspace(lock: &Lock, locked: &lock::Workspace, report: Option<&Report>, output_dir: &Path) -> WorkspaceStatus {
    let source = &locked.source;
    let report = report.and_then(|report| report.workspaces.iter().find(|built| built.name == locked.name));
    let plugins = locked.plugin.iter().map(|plugin| {
        let report = report.and_then(|report| report.plugins.iter().find(|built| built.path == plugin.path));
        let built = built(lock, locked, plugin, report, output_dir);
        let output = report.and_then(|report| report.output.as_ref()).filter(|_| built == BuiltState::Yes);
        PluginStatus {
            path: plugin.path.clone(),
            package: plugin.name.clone(),
            version: plugin.version.clone(),
            sealed: plugin.sealed.is_some(),
            built,
            tgz: output.map(|output| output.tgz.clone()),
            pushed: output.and_then(|output| output.pushed.clone()),
        }
    });
    WorkspaceStatus {
        name: locked.name.clone(),
        pin: if source.local { PinState::Local } else { PinState::Pinned },
        repo: Some(source.repo.clone()),
        requested: Some(source.requested.clone()),
        commit: source.commit.clone(),
        date: if source.local { None } else { day(source.epoch) },
        effective_yarn_lock: locked.effective.as_ref().map(|effective| effective.yarn_lock),
        unresolved: None,
        problems: locked.problem.clone(),
        unlisted: locked.unlisted.clone(),
        stale: Vec::new(),
        plugins: plugins.collect(),
    }
}

fn built(
    lock: &Lock,
    workspace: &lock::Workspace,
    plugin: &lock::Plugin,
    report: Option<&PluginReport>,
    output_dir: &Path,
) -> BuiltState {
    let Some(report) = report else { return BuiltState::No };
    let Some(output) = &report.output else {
        return if report.error.is_some() { BuiltState::Failed } else { BuiltState::No };
    };
    // A report is a file like any other: it must not send us to look elsewhere.
    if !is_relative(&output.tgz) || !output_dir.join(&output.tgz).is_file() {
        return BuiltState::Gone;
    }
    let sealed = plugin.sealed.as_ref();
    let is_other = sealed.is_some_and(|sealed| sealed.tgz != output.integrity || sealed.closure != output.closure);
    if is_other || input_digest::digest(lock, workspace, plugin, output.closure) != output.inputs {
        BuiltState::Outdated
    } else {
        BuiltState::Yes
    }
}

impl Status {
    /// The JSON, with a final newline.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// For a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n  identity {}\n", printable(&self.lock), self.identity);
        let plugins = || self.workspaces.iter().flat_map(|workspace| &workspace.plugins);
        let stale = self.workspaces.iter().filter(|workspace| !workspace.stale.is_empty()).count();
        let sealed = plugins().filter(|plugin| plugin.sealed).count();
        let built = plugins().filter(|plugin| plugin.built == BuiltState::Yes).count();
        let stale = match (self.compared, stale) {
            (false, _) => "not compared with the configuration".to_owned(),
            (true, 0) => "not stale".to_owned(),
            (true, n) => format!("{n} stale"),
        };
        let unreadable = match self.unreadable {
            0 => String::new(),
            n => format!(", {n} not compared, since its configuration cannot be read"),
        };
        let unresolved = self.workspaces.iter().filter(|workspace| workspace.unresolved.is_some()).count();
        let unresolved = if unresolved == 0 { String::new() } else { format!(", {unresolved} not resolved") };
        let _ = writeln!(text, "  {}: {stale}{unreadable}{unresolved}", count(self.workspaces.len(), "workspace"));
        let _ = writeln!(text, "  {}: {sealed} sealed, {built} built", count(plugins().count(), "plugin"));
        for workspace in &self.workspaces {
            workspace.write(&mut text);
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {}", printable(note));
        }
        text
    }
}

impl WorkspaceStatus {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "\n{}", printable(&self.name));
        let repo = self.repo.as_deref().unwrap_or_default();
        let requested = short_ref(self.requested.as_deref().unwrap_or_default());
        let said = match (self.pin, &self.commit) {
            (PinState::Pinned, Some(commit)) => {
                let date = self.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
                let asked = if self.requested.as_ref() == Some(commit) { "" } else { requested };
                let asked = if asked.is_empty() { String::new() } else { format!("{asked} at ") };
                format!("{asked}{}{date}\n  {repo}", short_ref(commit))
            }
            (PinState::Unlocked, _) => "not in the lock".into(),
            _ => format!("local tree, not pinned\n  {repo}"),
        };
        for line in said.split('\n') {
            let _ = writeln!(text, "  {}", printable(line.trim()));
        }
        if let Some(yarn_lock) = &self.effective_yarn_lock {
            let _ = writeln!(text, "  yarn.lock after patches and overlays: {yarn_lock}");
        }
        if let Some(what) = &self.unresolved {
            let _ = writeln!(text, "  ! not resolved: {}", printable(what));
        }
        for problem in &self.problems {
            let _ = writeln!(text, "  ! not exported: {}", printable(&problem.what));
        }
        for path in &self.unlisted {
            let _ = writeln!(text, "  ! not listed: {}", printable(path));
        }
        for reason in &self.stale {
            let _ = writeln!(text, "  ! stale: {}", printable(reason));
        }
        let width = self.plugins.iter().map(|plugin| plugin.path.chars().count()).max().unwrap_or(0).min(48);
        for plugin in &self.plugins {
            let sealed = if plugin.sealed { "sealed" } else { "not sealed" };
            let built = match plugin.built {
                BuiltState::No => "not built",
                BuiltState::Yes => "built",
                BuiltState::Outdated => "built from other inputs",
                BuiltState::Gone => "built, but its archive is missing",
                BuiltState::Failed => "build failed",
            };
            let path = printable(&plugin.path);
            let _ = writeln!(text, "  {path:<width$}  {}  {sealed}, {built}", printable(&plugin.version));
        }
    }
}
