//! A plan for people, and for the engines that schedule its shards.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::super::display::printable;
use super::{Plan, PlannedWorkspace};
use crate::audit::json;
use crate::error::{Error, Result};
use crate::ui::count;

/// The most bytes of the result of a Tekton task with several results: 4096 are for all of them.
const TEKTON_RESULT: usize = 3072;

impl Plan {
    /// The JSON, with a final newline.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// A matrix for `fromJSON`, on one line: a job per shard, with the arguments of its build.
    pub fn to_github(&self) -> Result<String> {
        let jobs = self.shards.iter().map(|shard| {
            let workspaces = joined(&shard.workspaces)?;
            Ok(json!({"shard": shard.shard, "workspaces": workspaces, "build": shard.build.len()}))
        });
        let jobs: Vec<_> = jobs.collect::<Result<_>>()?;
        Ok(format!("{}\n", json!({ "include": jobs })))
    }

    /// The elements of a parameter of a matrix, on one line: the arguments of each shard's build. Where they would not fit
    /// into the result of a task there are only the numbers of shards, and builds divide the lock by themselves.
    pub fn to_tekton(&self) -> Result<String> {
        let of = |shard: &super::PlannedShard| Ok(format!("{} {}", shard.shard, joined(&shard.workspaces)?));
        let shards: Vec<String> = self.shards.iter().map(of).collect::<Result<_>>()?;
        let text = json!(shards).to_string();
        let numbers: Vec<&str> = self.shards.iter().map(|shard| shard.shard.as_str()).collect();
        let text = if text.len() > TEKTON_RESULT { json!(numbers).to_string() } else { text };
        Ok(format!("{text}\n"))
    }

    /// For a terminal.
    pub fn to_text(&self, lock: &str) -> String {
        let since = self.since.as_ref().map(|since| format!(" since {}", printable(since))).unwrap_or_default();
        let mut text = format!("{}{since}\n", printable(lock));
        let building = self.workspaces.iter().filter(|workspace| workspace.build);
        let seconds: f64 = building.clone().map(|workspace| workspace.seconds).sum();
        let (all, builds) = (self.workspaces.iter().map(|one| one.plugins.len()).sum::<usize>(), self.builds());
        let time = if builds > 0 { format!(", about {}", minutes(seconds)) } else { String::new() };
        let of = building.clone().count();
        let _ = writeln!(text, "  {}: {of} to build{time}", count(self.workspaces.len(), "workspace"));
        let _ = writeln!(text, "  {}: {builds} to build, {} in the cache", count(all, "plugin"), all - builds);
        for workspace in building {
            workspace.write(&mut text);
        }
        if !self.shards.is_empty() {
            text.push('\n');
        }
        for shard in &self.shards {
            let rest = shard.workspaces.len() - shard.build.len();
            let rest = if rest == 0 { String::new() } else { format!(" and {rest} from the cache") };
            let names = if shard.build.is_empty() { "nothing".to_owned() } else { shard.build.join(", ") };
            let _ =
                writeln!(text, "shard {}, about {}: {}{rest}", shard.shard, minutes(shard.seconds), printable(&names));
        }
        text
    }
}

impl PlannedWorkspace {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "\n{}, about {}", printable(&self.name), minutes(self.seconds));
        // What all of its plugins are built for is said once.
        let reasons: Vec<Vec<String>> = self
            .plugins
            .iter()
            .map(|plugin| plugin.reasons.iter().map(|reason| printable(&reason.to_string())).collect())
            .collect();
        let distinct: BTreeSet<&Vec<String>> = reasons.iter().collect();
        if let (1, true, Some(same)) = (distinct.len(), self.plugins.len() > 1, reasons.first()) {
            let _ = writeln!(text, "  all {}: {}", count(self.plugins.len(), "plugin"), same.join(", "));
            return;
        }
        let width = self.plugins.iter().map(|plugin| plugin.path.chars().count()).max().unwrap_or(0).min(48);
        for (plugin, reasons) in self.plugins.iter().zip(reasons) {
            let why = if plugin.cached.is_some() { "in the cache".to_owned() } else { reasons.join(", ") };
            let _ = writeln!(text, "  {:<width$}  {why}", printable(&plugin.path));
        }
    }
}

/// Names as words of one text.
fn joined(names: &[String]) -> Result<String> {
    let is_word = |name: &&String| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-+@".contains(c));
    match names.iter().find(|name| !is_word(name) || name.starts_with('-')) {
        None => Ok(names.join(" ")),
        Some(name) => Err(Error::usage(
            format!("workspace `{}` has a name that is not one word for a shell", name.escape_debug()),
            "keep the plan with `--format json`, and build with `--plan FILE`; or rename the workspace's folder",
        )),
    }
}

/// `40 s`, `12 min`, `3 h 20 min`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rounded, and not negative
fn minutes(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, (seconds % 3600).div_ceil(60)) {
        _ if seconds < 60 => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
