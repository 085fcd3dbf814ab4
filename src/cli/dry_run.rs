//! `factory run --dry-run`: what would be built, read from the configuration and the lock alone. No network.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::build_options::BuildFlags;
use super::failures::failures;
use super::lock_file::stale_reasons;
use super::session::Session;
use crate::build::cache_repo::sealed_inputs;
use crate::config::{Config, WorkspaceConfig};
use crate::error::{Error, Result};
use crate::lock::{Argument, Lock, Plugin, ReleaseLine};
use crate::tools::cli_request::DEFAULT_CLI;
use crate::tools::pin::ToolRequests;
use crate::ui::{self, count};

/// Prints each workspace with its source and state, and its plugins with their arguments.
pub fn list(
    session: &Session<'_>,
    config: Config,
    lock: Option<&Lock>,
    names: &[String],
    flags: &BuildFlags,
) -> Result<()> {
    let reasons = lock.map(|lock| stale_reasons(&config, lock, names)).unwrap_or_default();
    let mut text = String::new();
    let finished = if flags.rebuild || flags.frozen { HashSet::new() } else { session.finished_builds()? };
    let (mut plugins, mut cached, mut unknown, mut unlocked) = (0, 0, 0, 0);
    for workspace in &config.workspaces {
        let locked = lock.and_then(|lock| lock.workspace.iter().find(|locked| locked.name == workspace.name));
        let stale = reasons.iter().any(|reason| reason.workspace() == workspace.name);
        let fresh = locked.filter(|_| !stale);
        unlocked += usize::from(fresh.is_none());
        let pinned = match (locked, stale) {
            (Some(_), true) => "locked, but stale".to_owned(),
            (Some(locked), false) => match &locked.source.commit {
                Some(commit) => format!("locked at {}", &commit[..commit.len().min(12)]),
                None => "local, not a pin".to_owned(),
            },
            (None, _) => "not locked yet".to_owned(),
        };
        line(&mut text, &format!("{}: {} ({pinned})", workspace.name, source(workspace)));
        let requests = ToolRequests::from(crate::resolve::configured_pins::tools(&config, workspace));
        let own = locked.and_then(|locked| locked.source.backstage.as_deref());
        let prefix = flags.prefix(&config, workspace, own);
        let tagged = if prefix.is_empty() { String::new() } else { format!(", images tagged {prefix}<version>") };
        let cli = cli(requests.cli.version, &config, workspace);
        line(&mut text, &format!("  with node {}, rhdh-cli {cli}{tagged}", requests.node));
        let is_cached = |plugin: &Plugin| {
            let inputs = lock.zip(fresh).and_then(|(lock, locked)| sealed_inputs(lock, locked, plugin));
            inputs.is_some_and(|(inputs, _)| finished.contains(&inputs.hex()))
        };
        let there = fresh.map_or(0, |locked| locked.plugin.iter().filter(|plugin| is_cached(plugin)).count());
        let listed = list_of(workspace, fresh.map(|locked| locked.plugin.as_slice()), is_cached);
        plugins += listed.as_ref().map_or(0, Vec::len) - there;
        cached += there;
        unknown += usize::from(listed.is_none());
        for plugin in listed.iter().flatten() {
            line(&mut text, plugin);
        }
        if listed.is_none() {
            line(&mut text, "  (no plugins-list.yaml: the plugins are found in the source)");
        }
    }
    ui::data(text).map_err(Error::io("write", "stdout"))?;
    let found = if unknown == 0 { String::new() } else { format!(" and those found in {}", count(unknown, "source")) };
    let resolved = if unlocked == 0 {
        String::new()
    } else {
        format!("; {} would be resolved first", count(unlocked, "workspace"))
    };
    let are = if cached == 1 { "is" } else { "are" };
    let cached = if cached == 0 { String::new() } else { format!(", {cached} {are} in the cache") };
    session.ui.note(format!(
        "{} in {} would be built{cached}{resolved}",
        count(plugins, "plugin") + &found,
        count(config.workspaces.len(), "workspace")
    ));
    let failed = config.broken.into_iter().map(|broken| (broken.name, broken.error)).collect();
    failures(session, failed, config.workspaces.len())
}

/// The rhdh-cli that is asked for, or what it is chosen by: the registry knows which that is.
fn cli(asked: Option<String>, config: &Config, workspace: &WorkspaceConfig) -> String {
    match (asked, config.env.given("RHDH_VERSION").and_then(ReleaseLine::of)) {
        (Some(asked), _) => asked,
        (None, Some(host)) => format!("for RHDH {host}"),
        (None, None) if workspace.list.is_none() => "for the newest RHDH".to_owned(),
        (None, None) => DEFAULT_CLI.to_owned(),
    }
}

fn source(workspace: &WorkspaceConfig) -> String {
    let source = &workspace.source;
    if let Some(local) = &source.local {
        return format!("a copy of {}, {}", local.display(), source.workspace_path);
    }
    let repo = source.repo.as_ref().map(ToString::to_string).unwrap_or_default();
    let requested = if source.requested.is_empty() { "the default branch" } else { &source.requested };
    format!("{repo} at {requested}, {}", source.workspace_path)
}

/// The plugins of a list, or of the lock where there is no list; none when neither says.
fn list_of(
    workspace: &WorkspaceConfig,
    locked: Option<&[Plugin]>,
    is_cached: impl Fn(&Plugin) -> bool,
) -> Option<Vec<String>> {
    let entry = |path: &str, args: &[Argument]| {
        let mut line = format!("  {path}");
        for arg in args {
            let _ = write!(line, " {arg}");
        }
        line
    };
    match (locked, &workspace.list) {
        (Some(locked), _) => {
            let cached = |plugin| if is_cached(plugin) { " (in the cache)" } else { "" };
            Some(locked.iter().map(|plugin| entry(&plugin.path, &plugin.args) + cached(plugin)).collect())
        }
        (None, Some(list)) => Some(list.entries.iter().map(|one| entry(&one.path, &one.args)).collect()),
        (None, None) => None,
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
