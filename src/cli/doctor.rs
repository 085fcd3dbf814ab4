//! `factory doctor`: what a build will need and whether it is here, each with its fix.

mod machine;
mod reach;

use std::fmt::Write as _;

use clap::Args;

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
    #[command(flatten)]
    pub source: SourceArgs,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckStatus {
    Good,
    /// Some builds will miss it.
    Doubtful,
    Bad,
}

/// One line of the answer, with what to do about it.
#[derive(Clone, Debug)]
struct Check {
    verdict: CheckStatus,
    what: String,
    fix: String,
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
    checks.extend(machine::checks(session, config.as_ref()).await);
    let env = config.as_ref().map_or_else(crate::config::Env::of_process, |config| config.env.clone());
    checks.push(reach::host(session, &env, &args.source, args.offline));
    if !args.offline {
        checks.push(reach::npm(session).await);
        if let Some(config) = &config {
            checks.extend(reach::repositories(session, config, &args.source));
        }
    }
    checks.extend(session.interrupt.unless(async { Ok(reach::images(&env, args.offline).await) }).await?);

    let mut text = String::new();
    for check in &checks {
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
    ui::data(text).map_err(Error::io("write", "stdout"))?;
    let bad = checks.iter().filter(|check| check.verdict == CheckStatus::Bad).count();
    if bad == 0 {
        return Ok(());
    }
    Err(Error::Failed { what: format!("{} found", count(bad, "problem")), code: exit_code::FAILED })
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
    let file = lock_file::place(session, None);
    checks.push(match lock_file::read(&file) {
        Err(error) => Check::of_error(&error),
        Ok(None) => Check::doubtful(format!("lock: {} does not exist", file.display()), "run `factory resolve`"),
        Ok(Some(lock)) => match lock_file::stale_reasons(&config, &lock, &[]).as_slice() {
            [] => Check::good(format!("lock: {} matches the configuration", file.display())),
            [first, ..] => Check::doubtful(format!("lock: stale, {first}"), "run `factory resolve`"),
        },
    });
    (Some(config), checks)
}
