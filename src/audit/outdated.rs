//! What floats and has moved since it was locked, and what is pinned and has something newer.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::display::{printable, short_ref};
use super::json;
use crate::resolve::newest::NewestRef;
use crate::tools::newest::NewestTool;
use crate::ui::count;

/// The format of the JSON.
const FORMAT: u32 = 1;

/// The pins of a lock, and what there is by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outdated {
    /// Format version.
    pub version: u32,
    /// The lock's path, as it was given.
    pub lock: String,
    /// The pins: commits by workspace, then tools, then the RHDH release.
    pub pins: Vec<OutdatedPin>,
    /// What could not be asked, and why.
    pub unknown: Vec<String>,
}

/// One pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OutdatedPin {
    /// What is pinned.
    pub pin: PinnedThing,
    /// The workspace; absent for what is pinned for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What was asked for; empty for the default branch.
    pub requested: String,
    /// The commit or version in the lock.
    pub locked: String,
    /// Whether there is something else by now.
    pub state: PinAge,
    /// The branch, tag or release that there is by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_ref: Option<String>,
    /// The commit or version that there is by now, if it is another one and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// What is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinnedThing {
    /// The commit of a workspace.
    Commit,
    /// Node.js.
    Node,
    /// npm.
    Npm,
    /// rhdh-cli.
    RhdhCli,
    /// The RHDH release that arguments are computed against.
    Rhdh,
}

/// Whether there is something else by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinAge {
    /// Nothing else.
    Current,
    /// What was asked for is something else by now: `factory resolve` takes it.
    Moved,
    /// There is something newer than what was asked for.
    Newer,
}

impl OutdatedPin {
    /// The pin of a commit, or of a release of RHDH.
    pub fn of_ref(pin: PinnedThing, workspace: Option<&str>, locked: (&str, &str), newest: Option<NewestRef>) -> Self {
        let state = match &newest {
            None => PinAge::Current,
            Some(newest) if newest.has_moved => PinAge::Moved,
            Some(_) => PinAge::Newer,
        };
        let (newest_ref, newest) = newest.map_or((None, None), |newest| (newest.name, newest.commit));
        let (requested, locked) = (locked.0.to_owned(), locked.1.to_owned());
        Self { pin, workspace: workspace.map(str::to_owned), requested, locked, state, newest_ref, newest }
    }

    /// The pin of a tool.
    pub fn of_tool(workspace: Option<&str>, tool: NewestTool) -> Self {
        let pin = match tool.name {
            "node" => PinnedThing::Node,
            "npm" => PinnedThing::Npm,
            _ => PinnedThing::RhdhCli,
        };
        let state = match (tool.newest == tool.locked, tool.floats) {
            (true, _) => PinAge::Current,
            (false, true) => PinAge::Moved,
            (false, false) => PinAge::Newer,
        };
        let newest = Some(tool.newest).filter(|_| state != PinAge::Current);
        let (requested, locked) = (tool.requested, tool.locked);
        Self { pin, workspace: workspace.map(str::to_owned), requested, locked, state, newest_ref: None, newest }
    }

    /// What it is called in a line.
    fn label(&self) -> String {
        let name = match self.pin {
            PinnedThing::Commit => return printable(self.workspace.as_deref().unwrap_or_default()),
            PinnedThing::Node => "node",
            PinnedThing::Npm => "npm",
            PinnedThing::RhdhCli => "rhdh-cli",
            PinnedThing::Rhdh => "RHDH",
        };
        self.workspace.as_ref().map_or(name.to_owned(), |workspace| format!("{} {name}", printable(workspace)))
    }

    /// What is in the lock, and what there is by now.
    fn step(&self) -> String {
        let newest = self.newest.as_deref().map(short_ref);
        let (from, to) = match self.state {
            PinAge::Newer => (short_ref(&self.requested), self.newest_ref.as_deref().or(newest)),
            _ => (short_ref(&self.locked), newest),
        };
        // A branch alone does not say how far.
        let commit = newest.filter(|_| self.state == PinAge::Newer && short_ref(&self.requested) != self.requested);
        let commit = commit.map(|commit| format!(" {commit}")).unwrap_or_default();
        format!("{} → {}{commit}", printable(from), printable(to.unwrap_or_default()))
    }
}

impl Outdated {
    /// The pins of the lock `lock`.
    pub fn new(lock: String, pins: Vec<OutdatedPin>, unknown: Vec<String>) -> Self {
        Self { version: FORMAT, lock, pins, unknown }
    }

    /// The JSON, with a final newline.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// A table, of lines with at most `columns` characters as far as names can be cut.
    pub fn to_text(&self, columns: Option<usize>) -> String {
        let mut text = String::new();
        let moved = "moved since they were locked; `factory resolve` takes them:";
        let newer = "newer than asked for; see `factory resolve --help`:";
        for (state, head) in [(PinAge::Moved, moved), (PinAge::Newer, newer)] {
            let pins: Vec<&OutdatedPin> = self.pins.iter().filter(|pin| pin.state == state).collect();
            if !pins.is_empty() {
                let _ = writeln!(text, "{head}");
                table(&mut text, &pins, columns);
            }
        }
        let current = self.pins.iter().filter(|pin| pin.state == PinAge::Current).count();
        let verb = if current == 1 { "is" } else { "are" };
        let _ = writeln!(text, "{} {verb} current", count(current, "pin"));
        text
    }
}

fn table(text: &mut String, pins: &[&OutdatedPin], columns: Option<usize>) {
    let rows: Vec<[String; 3]> = pins
        .iter()
        .map(|pin| {
            let asked = if pin.requested.is_empty() { "(default)" } else { short_ref(&pin.requested) };
            let asked = if pin.state == PinAge::Newer { String::new() } else { printable(asked) };
            [pin.label(), asked, pin.step()]
        })
        .collect();
    let widest = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (asked, step) = (widest(1), widest(2));
    let gap = if asked == 0 { 0 } else { 2 };
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(4 + asked + gap + step));
    let name = widest(0).min(room.max(8));
    for [label, requested, step] in &rows {
        let label = cut(label, name);
        let _ = writeln!(text, "  {label:<name$}{:gap$}{requested:<asked$}  {step}", "");
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
