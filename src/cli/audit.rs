//! `factory audit`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::session::Session;
use super::source_options::SourceArgs;
use super::{host_lock, lock_file, paths, workspace_locks};
use crate::audit::advisories::bulk;
use crate::audit::advisories::find::AdvisorySearch;
use crate::audit::advisories::osv_files::OsvRecords;
use crate::audit::advisories::text::advisories;
use crate::audit::advisories::{Advisory, AdvisorySeverity, AuditEvidence, AuditReport, IgnoreList, sarif, vex};
use crate::audit::shipped;
use crate::build;
use crate::error::{Error, Result, exit_code};
use crate::npm::registry::NpmRegistry;
use crate::ui::{self, count};

/// Options of `factory audit`.
#[allow(clippy::doc_markdown, reason = "the comments are shown as help")]
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// OSV records: a JSON file, a folder of them, or a zip as OSV exports it for npm [default: the npm registry is asked]
    #[arg(long, value_name = "PATH", env = "FACTORY_OSV_PATH")]
    pub osv: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT")]
    pub format: AuditFormat,
    /// Exit with 1 if something that is shipped has an advisory at least so severe, or if it is not known what is shipped
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<AdvisorySeverity>,
    /// With `--fail-on`, do not fail on plugins of which it is not known what is in them
    #[arg(long, requires = "fail_on")]
    pub allow_unknown: bool,
    /// List of ignored advisories, in TOML or YAML: `id`, `reason`, `package`, `expires`
    #[arg(long, value_name = "FILE")]
    pub ignore: Option<PathBuf>,
    /// Show every plugin, not only the first ones of each version
    #[arg(long)]
    pub all: bool,
    /// Use no network: advisories come from `--osv`, and a yarn.lock that the cache does not have is not known
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(clippy::doc_markdown, reason = "the comments are shown as help")]
pub enum AuditFormat {
    /// For a terminal
    Human,
    /// For programs: schema/factory.audit.schema.json
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// A table for a pull request
    Markdown,
    /// CycloneDX 1.6 with vulnerabilities
    Vex,
}

pub(super) async fn run(session: &Session<'_>, args: &AuditArgs) -> Result<()> {
    if args.osv.is_none() && args.offline {
        return Err(Error::usage(
            "without a network there are no advisories",
            "name a file, a folder or a zip of OSV records with `--osv PATH`",
        ));
    }
    let ignore = args.ignore.as_deref().map(IgnoreList::read).transpose()?.unwrap_or_default();
    let file = lock_file::place(session, None);
    let lock = lock_file::read(&file)?
        .ok_or_else(|| lock_file::missing(&file, "run `factory resolve` and `factory build` first"))?;
    let chosen = build::choose(&lock, &args.workspaces)?;
    let folder = paths::folder_of(&file);
    let plugins = shipped::read(&chosen, &folder, session.interrupt.flag())?;
    let yarn_locks = workspace_locks::read(session, &file, &chosen, (&args.source, args.offline))?;
    let host = lock.rhdh.as_ref().and_then(|rhdh| host_lock::cached(session, rhdh).ok().flatten());
    let osv = args.osv.as_ref().map(|path| path.display().to_string());
    let evidence = AuditEvidence {
        lock: session.global.laid_out.shown(&file),
        source: osv.unwrap_or_else(|| "the npm registry".into()),
        plugins: &plugins,
        yarn_locks: &yarn_locks,
        host: host.as_ref(),
    };
    let search = AdvisorySearch::new(&evidence);
    let records = match &args.osv {
        Some(path) => of_files(session, args, path, &search.wanted())?,
        None => of_registry(session, &search).await?,
    };
    let (report, used) = search.report(records, &ignore, &today());
    warn(session, &report, &ignore, &used);
    let text = match args.format {
        AuditFormat::Human => report.to_text(args.all),
        AuditFormat::Json => report.to_json(),
        AuditFormat::Markdown => report.to_markdown(),
        AuditFormat::Sarif => sarif::document(&report, &lock_file::text(&file)?.unwrap_or_default()),
        AuditFormat::Vex => vex::document(&report, &lock),
    };
    ui::data_as_it_is(&text).map_err(Error::io("write", Path::new("stdout")))?;
    verdict(args, &report, plugins.iter().filter(|plugin| plugin.contents.unknown().is_some()).count())
}

/// What `--fail-on` says of a report, with so many plugins of which it is not known what is in them.
fn verdict(args: &AuditArgs, report: &AuditReport, unknown: usize) -> Result<()> {
    let Some(least) = args.fail_on else { return Ok(()) };
    let mut faults = Vec::new();
    let found = report.at_least(least);
    if found > 0 {
        faults.push(format!("{} at least {}", advisories(found), least.as_str()));
    }
    if unknown > 0 && !args.allow_unknown {
        faults.push(format!("it is not known what is in {} (see `--allow-unknown`)", count(unknown, "plugin")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Failed { what: faults.join("; "), code: exit_code::FAILED })
}

fn of_files(session: &Session<'_>, args: &AuditArgs, path: &Path, wanted: &BTreeSet<String>) -> Result<Vec<Advisory>> {
    let records = OsvRecords::read(path, wanted)?;
    for link in &records.not_followed {
        session.ui.warn(format!("`{}` is a link to a folder elsewhere, and was not followed", link.display()));
    }
    if records.count == 0 {
        let what = format!("`{}` has no OSV records", path.display());
        if args.fail_on.is_some() {
            return Err(Error::usage(what, "name a file, a folder or a zip of OSV records with `--osv PATH`"));
        }
        session.ui.warn(what);
    }
    Ok(records.advisories)
}

async fn of_registry(session: &Session<'_>, search: &AdvisorySearch<'_>) -> Result<Vec<Advisory>> {
    let asked = search.of_registry();
    let registry = NpmRegistry::of_machine(&paths::config_dir(session.global), &session.interrupt)?;
    let step = session.ui.step("advisories", format!("ask about {}", count(asked.len(), "package")));
    let mut advisories = Vec::new();
    for answer in registry.advisories(&asked).await? {
        advisories.extend(bulk::parse(&answer).map_err(|what| NpmRegistry::no_advisories(&what))?);
    }
    step.done("");
    Ok(advisories)
}

/// Says what a reader of the table alone would not see.
fn warn(session: &Session<'_>, report: &AuditReport, ignore: &IgnoreList, used: &BTreeSet<usize>) {
    for finding in &report.findings {
        for range in &finding.unreadable {
            session.ui.warn(format!(
                "the range `{}` of {} cannot be read: every version of {} counts as affected",
                range.escape_debug(),
                finding.name(),
                finding.package
            ));
        }
        if let Some(day) = &finding.expired {
            session.ui.warn(format!("{} was ignored until {day}, and counts again", finding.name()));
        }
    }
    for (at, entry) in ignore.ignore.iter().enumerate().filter(|(at, _)| !used.contains(at)) {
        let number = at + 1;
        session
            .ui
            .warn(format!("entry {number} of the ignored advisories, `{}`, is of nothing that is shipped", entry.id));
    }
    if !report.unknown.is_empty() {
        session
            .ui
            .warn(format!("{} not known: what is in them was not looked at", count(report.unknown.len(), "part")));
    }
}

/// Today in UTC, `2026-12-31`.
fn today() -> String {
    let date = time::OffsetDateTime::now_utc().date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}
