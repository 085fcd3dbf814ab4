//! `factory doctor`: what a build will need and whether it is here, each with its fix.

mod machine;
mod reach;
mod repositories;

use std::fmt::Write as _;

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::session::Session;
use super::source_options::SourceArgs;
use super::{lock_file, paths};
use crate::config::Config;
use crate::error::{Error, Result, exit_code};
use crate::ui::{self, count};

/// Options of `factory doctor`.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorArgs {
    /// Do not contact repositories and registries
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Output directory of builds [default: /outputs where it exists, else ./outputs]
    #[arg(long, env = "FACTORY_OUTPUT_DIR", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// RHDH's yarn.lock as a file, as for `factory resolve`
    #[arg(long, env = "FACTORY_HOST_LOCKFILE", value_name = "FILE")]
    pub host_lockfile: Option<PathBuf>,
    #[command(flatten)]
    pub source: SourceArgs,
}

/// What `factory doctor --json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DoctorReport {
    /// Format version.
    pub version: u32,
    /// The factory that checked.
    pub factory: String,
    /// How many checks failed.
    pub problems: usize,
    /// In the order in which they are printed.
    pub checks: Vec<Check>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum CheckStatus {
    /// All is well.
    #[serde(rename = "ok")]
    Good,
    /// Some builds will miss it.
    #[serde(rename = "warn")]
    Doubtful,
    /// It is a problem.
    #[serde(rename = "fail")]
    Bad,
}

/// One line of the answer, with what to do about it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// How it came out.
    #[serde(rename = "status")]
    pub verdict: CheckStatus,
    /// What was looked at, and what was found.
    pub what: String,
    /// What to do about it; empty if there is nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

impl Check {
    fn good(what: impl Into<String>) -> Self {
        Self { verdict: CheckStatus::Good, what: what.into(), fix: String::new() }
    }

    fn doubtful(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: CheckStatus::Doubtful, what: what.into(), fix: fix.into() }
    }

    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: CheckStatus::Bad, what: what.into(), fix: fix.into() }
    }

    fn of_error(error: &Error) -> Self {
        Self::bad(error.to_string(), error.hint().unwrap_or_default())
    }
}

pub(super) async fn run(session: &Session<'_>, args: &DoctorArgs) -> Result<()> {
    let (config, mut checks) = configuration(session, args);
    checks.extend(machine::checks(session, config.as_ref(), args.output_dir.as_deref()).await);
    let env = config.as_ref().map_or_else(crate::config::Env::of_process, |config| config.env.clone());
    checks.push(reach::host(session, &env, config.as_ref(), args));
    if !args.offline {
        checks.push(reach::npm(session).await);
        if let Some(config) = &config {
            checks.extend(repositories::checks(session, config, &args.source));
        }
    }
    checks.extend(session.interrupt.unless(async { Ok(reach::images(&env, args.offline).await) }).await?);
    checks.extend(reach::unused_logins(&env));

    let bad = checks.iter().filter(|check| check.verdict == CheckStatus::Bad).count();
    let written = if args.json { ui::data_as_it_is(&json(checks, bad)) } else { ui::text(&text(&checks)) };
    written.map_err(Error::io("write", "stdout"))?;
    if bad == 0 {
        return Ok(());
    }
    Err(Error::Failed { what: format!("{} found", count(bad, "problem")), code: exit_code::FAILED })
}

fn json(checks: Vec<Check>, problems: usize) -> String {
    let report = DoctorReport { version: 1, factory: env!("CARGO_PKG_VERSION").into(), problems, checks };
    serde_json::to_string_pretty(&report).expect("checks are plain data") + "\n"
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let mark = match check.verdict {
            CheckStatus::Good => "ok  ",
            CheckStatus::Doubtful => "warn",
            CheckStatus::Bad => "FAIL",
        };
        let _ = writeln!(text, "{mark}  {}", check.what);
        if !check.fix.is_empty() {
            let _ = writeln!(text, "      fix: {}", check.fix);
        }
    }
    text
}

/// The configuration and the lock.
fn configuration(session: &Session<'_>, args: &DoctorArgs) -> (Option<Config>, Vec<Check>) {
    let dir = paths::config_dir(session.global);
    let config = match args.source.config(session, &[]) {
        Ok(config) => config,
        Err(error) => return (None, vec![Check::of_error(&error)]),
    };
    let mut checks = vec![Check::good(format!(
        "configuration: {} in {}",
        count(config.workspaces.len(), "workspace"),
        dir.display()
    ))];
    checks.extend(config.broken.iter().map(|broken| {
        let hint = broken.error.hint().unwrap_or_default();
        Check::bad(broken.to_string(), hint)
    }));
    let file = lock_file::place(session, args.output_dir.as_deref());
    checks.push(match lock_file::read(&file) {
        Err(error) => Check::of_error(&error),
        Ok(None) => Check::doubtful(format!("lock: {} does not exist", file.display()), "run `factory resolve`"),
        Ok(Some(lock)) => match lock_file::stale_reasons(&config, &lock, &[]).as_slice() {
            [] => Check::good(format!("lock: {} matches the configuration", file.display())),
            reasons @ [first, ..] => Check::doubtful(format!("lock: stale, {first}"), lock_file::renewal(reasons)),
        },
    });
    (Some(config), checks)
}
