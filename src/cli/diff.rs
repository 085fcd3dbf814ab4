//! `factory diff`

mod arrivals;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::session::Session;
use super::{host_lock, lock_file};
use crate::audit::diff_side::{self, DiffSide};
use crate::audit::metadata::MetadataFiles;
use crate::audit::{self, Diff, Hosts, Release, human, json};
use crate::error::{Error, Result, exit_code};
use crate::lock::{Rhdh, Sha256};
use crate::resolve::host::HostLock;
use crate::ui;
use crate::user_file;
use arrivals::ArrivalArgs;

/// Options of `factory diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// Old release: a lock, a configuration directory, `REV:path`, or `-` for stdin [default: the lock in HEAD]
    #[arg(value_name = "OLD")]
    pub old: Option<String>,
    /// New release [default: the lock file]
    #[arg(value_name = "NEW")]
    pub new: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT", env = "FACTORY_DIFF_FORMAT")]
    pub format: DiffFormat,
    /// With `--format markdown`: the body of a pull request, with a table of what moved and the details folded up
    #[arg(long)]
    pub pr: bool,
    /// Only this workspace, with all its packages; can be given several times
    #[arg(short, long = "workspace", value_name = "NAME")]
    pub workspaces: Vec<String>,
    /// Show every package that changed, not only the first ones of each plugin
    #[arg(long)]
    pub all: bool,
    /// Exit with 1 when anything changed
    #[arg(long)]
    pub exit_code: bool,
    /// Fail on these changes: exit with 1 on major ones, with 4 on outputs that are not reproducible
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT", env = "FACTORY_DIFF_FAIL_ON")]
    pub fail_on: Vec<FailOn>,
    /// yarn.lock of the old RHDH release, to compare the packages that plugins share with it [default: from the cache]
    #[arg(long, value_name = "FILE", requires = "new_host")]
    pub old_host: Option<PathBuf>,
    /// yarn.lock of the new RHDH release
    #[arg(long, value_name = "FILE", requires = "old_host")]
    pub new_host: Option<PathBuf>,
    /// Directory with the package metadata of the new release (`metadata/*.yaml` of the export repository), for the
    /// support levels of plugins [default: what lies beside the lock or the configuration]
    #[arg(long, value_name = "DIR")]
    pub metadata: Option<PathBuf>,
    /// The same of the old release [default: as for the new one, else that of `--metadata`]
    #[arg(long, value_name = "DIR")]
    pub old_metadata: Option<PathBuf>,
    #[command(flatten)]
    pub arrivals: ArrivalArgs,
}

/// How changes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For a terminal
    Human,
    /// For a pull request: at most 65,536 characters
    Markdown,
    /// For programs: schema/factory.diff.schema.json
    Json,
    /// One page that needs no network
    Html,
    /// Release notes: tables of plugins by support level
    Asciidoc,
}

/// Changes that fail a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A tool, a shared package of the host, a plugin or a dependency moved by a major
    Major,
    /// Equal inputs gave another output
    Unreproducible,
}

pub(super) async fn run(session: &Session<'_>, args: &DiffArgs) -> Result<()> {
    if args.pr && args.format != DiffFormat::Markdown {
        return Err(Error::usage("`--pr` is the body of a pull request, which is markdown", "add `--format markdown`"));
    }
    let here = std::env::current_dir().map_err(Error::io("open", Path::new(".")))?;
    let (mut old, mut new) = sides(session, args, &here)?;
    metadata(args, &mut old, &mut new)?;
    let hosts = hosts(session, args, &old, &new)?;
    let mut diff = audit::compare(&old, &new, hosts.as_ref())?;
    arrivals::add(session, (&args.arrivals, &args.workspaces), &mut diff, &old, &new).await?;
    if !args.workspaces.is_empty() {
        keep_only(&mut diff, &args.workspaces, &old, &new)?;
    }
    if matches!(args.format, DiffFormat::Json | DiffFormat::Html) {
        diff.identify(&old, &new);
    }
    let text = match args.format {
        DiffFormat::Human => {
            let all = args.all || !args.workspaces.is_empty();
            let width = ui::columns().unwrap_or(human::HumanOptions::default().width);
            human::render(&diff, human::HumanOptions { all, colour: true, width })
        }
        DiffFormat::Json => json::render(&diff),
        DiffFormat::Markdown if args.pr => audit::markdown::pull_request::render(&diff),
        DiffFormat::Markdown => audit::markdown::render(&diff),
        DiffFormat::Asciidoc => audit::asciidoc::render(&diff),
        DiffFormat::Html => audit::html::render(&diff),
    };
    // Other formats are not for a terminal: what looks like a colour in them is data.
    let written = if args.format == DiffFormat::Human { ui::data(text) } else { ui::data_as_it_is(&text) };
    written.map_err(Error::io("write", Path::new("stdout")))?;
    verdict(&diff, args)
}

fn sides(session: &Session<'_>, args: &DiffArgs, here: &Path) -> Result<(Release, Release)> {
    if args.old.as_deref() == Some("-") && args.new.as_deref() == Some("-") {
        return Err(Error::usage("both sides cannot come from stdin", "name one of them by its path"));
    }
    let lock_file = lock_file::place(session, None);
    let (old, new) = named(session, args, here)?;
    let laid_out = &session.global.laid_out;
    let read_old = || match old {
        Some(old) => old.read(),
        None => diff_side::at_rev("HEAD", &laid_out.in_work_tree(&lock_file), here),
    };
    let read_new = || match new {
        Some(new) => new.read(),
        None if lock_file.is_file() => diff_side::at_path(&laid_out.shown(&lock_file), &here.join(&lock_file)),
        None => Err(lock_file::missing(&lock_file, "name OLD and NEW, or the lock with `--lock-file`")),
    };
    diff_side::both(read_old, read_new)
}

/// OLD and NEW, with the lock in place of a folder that has one: only beside a folder that has none its configuration is
/// read, and that is said.
fn named(session: &Session<'_>, args: &DiffArgs, here: &Path) -> Result<(Option<DiffSide>, Option<DiffSide>)> {
    let find = |text: &Option<String>| text.as_deref().map(|text| DiffSide::find(text, here)).transpose();
    let (old, new) = (find(&args.old)?, find(&args.new)?);
    let without = [&old, &new].into_iter().flatten().find(|side| side.is_configuration());
    let Some(without) = without.map(|side| side.name().to_owned()) else {
        return Ok((old.map(DiffSide::or_its_lock), new.map(DiffSide::or_its_lock)));
    };
    for lock in [&old, &new].into_iter().flatten().filter_map(DiffSide::lock_name) {
        session.ui.note(format!("{lock} is not compared: `{without}` has no lock, so the configurations are"));
    }
    Ok((old, new))
}

/// The metadata that is named comes before what lies beside a release.
fn metadata(args: &DiffArgs, old: &mut Release, new: &mut Release) -> Result<()> {
    if let Some(folder) = &args.metadata {
        new.metadata = MetadataFiles::named(folder)?;
        if old.metadata.is_empty() {
            old.metadata = new.metadata.clone();
        }
    }
    if let Some(folder) = &args.old_metadata {
        old.metadata = MetadataFiles::named(folder)?;
    }
    Ok(())
}

/// The lockfiles of the two RHDH releases: those that are given, else what `factory resolve` left in the cache.
fn hosts(session: &Session<'_>, args: &DiffArgs, old: &Release, new: &Release) -> Result<Option<Hosts>> {
    if let (Some(old_file), Some(new_file)) = (&args.old_host, &args.new_host) {
        return Ok(Some(Hosts { old: given(old_file, old, "old")?, new: given(new_file, new, "new")? }));
    }
    let (Some(old), Some(new)) = (&old.rhdh, &new.rhdh) else { return Ok(None) };
    if old.lockfile == new.lockfile {
        return Ok(None);
    }
    // A cache that is not there or not whole is no reason to fail: the report says what it lacks.
    let cached = |pin: &Rhdh| host_lock::cached(session, pin).ok().flatten();
    Ok(cached(old).zip(cached(new)).map(|(old, new)| Hosts { old, new }))
}

fn given(path: &Path, release: &Release, which: &str) -> Result<HostLock> {
    let bytes = user_file::read(path, user_file::DOCUMENT).map_err(Error::io("read", path))?;
    if let Some(rhdh) = &release.rhdh
        && rhdh.lockfile != Sha256::of(&bytes)
    {
        return Err(Error::usage(
            format!("`{}` is not the host lockfile that `{}` was computed against", path.display(), release.name),
            format!("give the yarn.lock of RHDH {}", host_lock::shown(rhdh)),
        ));
    }
    let label = match &release.rhdh {
        Some(rhdh) => host_lock::label(rhdh),
        None => format!("the {which} host lockfile"),
    };
    HostLock::parse(&bytes, path, &label)
}

/// Keeps the changes of the named workspaces, and what concerns all.
fn keep_only(diff: &mut Diff, names: &[String], old: &Release, new: &Release) -> Result<()> {
    let known = || old.workspaces.iter().chain(&new.workspaces).map(|workspace| workspace.name.as_str());
    if let Some(unknown) = names.iter().find(|name| !known().any(|known| known == *name)) {
        return Err(Error::usage(
            format!("there is no workspace `{}` in either release", unknown.escape_debug()),
            "see the names with `factory diff`",
        ));
    }
    diff.changes.retain(|change| {
        change.workspace.as_ref().is_none_or(|name| {
            names.contains(name) || change.came_from().is_some_and(|was| names.iter().any(|name| name == was))
        })
    });
    // By the names that they have now.
    let kept: BTreeSet<&str> = diff.changes.iter().filter_map(|change| change.workspace.as_deref()).collect();
    for group in &mut diff.support {
        group.unchanged = None;
        group.plugins.retain(|row| row.workspace.as_deref().is_some_and(|workspace| kept.contains(workspace)));
    }
    diff.support.retain(|group| !group.plugins.is_empty());
    Ok(())
}

fn verdict(diff: &Diff, args: &DiffArgs) -> Result<()> {
    let count = |test: fn(&audit::Change) -> bool| diff.changes.iter().filter(|change| test(change)).count();
    let unreproducible = count(audit::Change::is_unreproducible);
    if args.fail_on.contains(&FailOn::Unreproducible) && unreproducible > 0 {
        return Err(Error::NotReproducible {
            what: format!("{} other than before, from the same inputs", ui::count(unreproducible, "output")),
            hint: "the lines that say `not reproducible` name them".into(),
        });
    }
    let major = count(audit::Change::is_major);
    if args.fail_on.contains(&FailOn::Major) && major > 0 {
        let what = format!("{} by a major", ui::count(major, "change"));
        return Err(Error::Failed { what, code: exit_code::FAILED });
    }
    if args.exit_code && !diff.changes.is_empty() {
        let what =
            format!("`{}` and `{}` differ: {}", diff.old.name, diff.new.name, ui::count(diff.changes.len(), "change"));
        return Err(Error::Failed { what, code: exit_code::FAILED });
    }
    Ok(())
}
