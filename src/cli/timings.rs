//! `--timings`: what ran when, as a page and as a trace.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::paths;
use super::session::Session;
use crate::audit::plan;
use crate::build;
use crate::error::{Error, Result};
use crate::lock::{Lock, Workspace};
use crate::store::file_beneath;
use crate::timeline::{Lane, Recorded, page, trace};

/// Options of a command whose steps are timed.
#[derive(Clone, Debug, Default, Args)]
pub struct TimingsArgs {
    /// Write what ran when, what waited for what and what was not in a cache into the output directory: as a web page, or as
    /// a trace for Perfetto and `chrome://tracing`, or both (`html,json`)
    #[arg(
        long,
        env = "FACTORY_TIMINGS",
        value_enum,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "html",
        value_delimiter = ','
    )]
    pub timings: Vec<TimingsFormat>,
}

/// How timings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimingsFormat {
    /// A page
    Html,
    /// Trace events
    Json,
}

impl TimingsArgs {
    /// Writes what ran so far; nothing if nothing did. What cannot be written is only a warning: the build is what counts.
    pub fn write(&self, session: &Session<'_>, command: &str, output_dir: Option<&Path>) {
        if self.timings.is_empty() {
            return;
        }
        let recorded = session.ui.timeline().recorded();
        if recorded.spans.is_empty() {
            return;
        }
        // `run` builds.
        let stem = if command == "verify" { "verify" } else { "build" };
        for format in [TimingsFormat::Html, TimingsFormat::Json] {
            if self.timings.contains(&format) {
                let (name, text) = rendered(format, &recorded, (command, stem));
                match write(output_dir, &name, &text) {
                    Ok(path) => session.ui.note(format!("timings written to {path}")),
                    Err(error) => session.ui.warn(format!("the timings are not written: {error}")),
                }
            }
        }
    }
}

fn rendered(format: TimingsFormat, recorded: &Recorded, (command, stem): (&str, &str)) -> (String, String) {
    match format {
        TimingsFormat::Html => (format!("{stem}-timings.html"), page::render(recorded, command)),
        TimingsFormat::Json => (format!("{stem}-timings.json"), trace::render(recorded)),
    }
}

/// Returns the path as it is shown.
fn write(output_dir: Option<&Path>, name: &str, text: &str) -> Result<String> {
    let folder = paths::writable_output_dir(output_dir)?;
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let folder = folder.canonicalize().map_err(Error::io("open", &folder))?;
    let path = folder.join(name);
    file_beneath(&folder, &path, text.as_bytes())?;
    Ok(path.display().to_string())
}

/// Says of each plugin that is chosen why it is built if no cache has it. `since` is the lock before this run.
pub fn explain(
    session: &Session<'_>,
    (lock, since): (&Lock, Option<&Lock>),
    (names, plugins): (&[String], &[String]),
    is_rebuilt: bool,
) {
    let Ok(chosen) = build::choose(lock, names) else { return };
    let why = |workspace: &Workspace, plugin| {
        if is_rebuilt {
            return "everything is built again".to_owned();
        }
        let reasons = plan::reasons(since, lock, workspace, plugin);
        reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    for workspace in &chosen {
        for plugin in workspace.plugin.iter().filter(|plugin| build::is_named(plugins, plugin)) {
            let lane = Lane::plugin(&workspace.name, &plugin.path);
            session.ui.timeline().explain(lane, why(workspace, plugin));
        }
    }
}
