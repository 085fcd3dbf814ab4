//! `factory plan`

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::cache_repo::{CacheModeChoice, CacheRepoArgs};
use super::session::Session;
use super::source_options::SourceArgs;
use super::{lock_file, paths};
use crate::audit::diff_side::{self, DiffSide};
use crate::audit::git_revision::Revision;
use crate::audit::plan::{self, CachePlace, Plan, PlanBasis};
use crate::build::cache_repo::sealed_inputs;
use crate::build::report::{self, Report};
use crate::config::{Config, TagPrefix};
use crate::error::{Error, Result};
use crate::lock::{Lock, Plugin, Sha256, Workspace};
use crate::ui;

/// Options of `factory plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// Say what changed since this release: a lock, a folder with a lock, a commit (the lock at the same path), `REV:path`, or
    /// `-` for stdin [default: HEAD]
    #[arg(long, value_name = "LOCK")]
    pub since: Option<String>,
    /// Divide the workspaces into at most so many shards, which take about the same time [default: 256 for github and tekton]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: Option<u16>,
    /// Output format
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT")]
    pub format: PlanFormat,
    /// Report of an earlier build, for its seconds; can be given several times, the latest first [default: build-report.json
    /// in the output directory]
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Output directory of builds [default: /outputs where it exists, else ./outputs]
    #[arg(long, env = "FACTORY_OUTPUT_DIR", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) cache: CacheRepoArgs,
}

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For a terminal
    Human,
    /// For programs: schema/factory.plan.schema.json
    Json,
    /// A matrix of GitHub Actions, for `fromJSON`: at most 256 jobs
    Github,
    /// The elements of a matrix parameter of Tekton
    Tekton,
    /// The workspaces to build, as the workflow of RHDH's export repository has them
    Export,
}

pub(super) async fn run(session: &Session<'_>, args: &PlanArgs) -> Result<()> {
    let lock_file = lock_file::place(session, args.output_dir.as_deref());
    let lock = lock_file::read(&lock_file)?.ok_or_else(|| {
        lock_file::missing(&lock_file, "run `factory resolve` to pin what the configuration asks for")
    })?;
    let since = since(session, args, &lock_file)?;
    let reports = read_reports(args)?;
    let local = session.finished_builds()?;
    let remote = remote_builds(session, args, &lock, &local).await?;
    let cached = |inputs: Sha256| {
        let in_repository = || remote.contains(&inputs).then_some(CachePlace::Remote);
        local.contains(&inputs.hex()).then_some(CachePlace::Local).or_else(in_repository)
    };
    let since = since.as_ref().map(|(name, lock)| (name.as_str(), lock));
    let mut plan = plan::of(&lock, &PlanBasis { since, cached: &cached, reports: &reports });
    let is_matrix = matches!(args.format, PlanFormat::Github | PlanFormat::Tekton);
    if let Some(most) = args.shards.or(is_matrix.then_some(256)) {
        plan.divide(&lock, usize::from(most));
    }
    let text = match args.format {
        PlanFormat::Human => plan.to_text(&session.global.laid_out.shown(&lock_file)),
        PlanFormat::Json => plan.to_json(),
        PlanFormat::Github => plan.to_github()?,
        PlanFormat::Tekton => plan.to_tekton()?,
        PlanFormat::Export => exported(session, args, &lock, &plan)?,
    };
    let written = if args.format == PlanFormat::Human { ui::text(&text) } else { ui::data_as_it_is(&text) };
    written.map_err(Error::io("write", Path::new("stdout")))
}

/// The lock that is named, else that of HEAD where there is one.
fn since(session: &Session<'_>, args: &PlanArgs, lock_file: &Path) -> Result<Option<(String, Lock)>> {
    let here = std::env::current_dir().map_err(Error::io("open", Path::new(".")))?;
    let Some(text) = &args.since else {
        let there = diff_side::at_rev("HEAD", &session.global.laid_out.in_work_tree(lock_file), &here);
        return Ok(there.ok().and_then(|release| Some((release.name, release.lock?))));
    };
    let side = DiffSide::find(text, &here)?.or_its_lock();
    let own = session.global.laid_out.in_work_tree(lock_file);
    if side.is_nowhere() && Revision::open(&paths::folder_of(&here.join(&own)), text).is_ok() {
        let release = diff_side::at_rev(text, &own, &here)?;
        return Ok(release.lock.map(|lock| (release.name, lock)));
    }
    let no_lock = || {
        let what = format!("`{}` is a configuration without a lock", text.escape_debug());
        Error::usage(what, "name a factory.lock, or `REV:path` of one")
    };
    if side.is_configuration() {
        return Err(no_lock());
    }
    let release = side.read()?;
    let lock = release.lock.ok_or_else(no_lock)?;
    Ok(Some((release.name, lock)))
}

/// The reports that are named, which must be there, else that of the output directory.
fn read_reports(args: &PlanArgs) -> Result<Vec<Report>> {
    let read = |path: &Path| Report::read(path, "name another report");
    if !args.report.is_empty() {
        return args.report.iter().map(|path| read(path)).collect();
    }
    match read(&paths::output_dir(args.output_dir.as_deref()).join(report::FILE_NAME)) {
        Err(error) if error.is_missing_file() => Ok(Vec::new()),
        report => Ok(vec![report?]),
    }
}

/// The finished builds that the cache repository has of sealed plugins, as far as it answers: one request for each that is
/// not in this machine's cache.
async fn remote_builds(
    session: &Session<'_>,
    args: &PlanArgs,
    lock: &Lock,
    local: &HashSet<String>,
) -> Result<BTreeSet<Sha256>> {
    let Some(repo) = args.cache.open(session)?.filter(|_| args.cache.cache_mode != CacheModeChoice::Write) else {
        return Ok(BTreeSet::new());
    };
    let of = |workspace| plugins(workspace).filter_map(move |plugin| sealed_inputs(lock, workspace, plugin));
    let wanted: BTreeSet<_> =
        lock.workspace.iter().flat_map(of).filter(|(key, _)| !local.contains(&key.hex())).collect();
    let (found, failure) = tokio::select! {
        answers = repo.having(wanted) => answers,
        () = session.interrupt.wait() => return Err(Error::Interrupted),
    };
    if let Some(failure) = failure {
        // As a build does it: it is given up.
        let what = "is not asked any more, and what it may have counts as not there";
        session.ui.warn(format!("the cache repository `{}` {what}: {failure}", repo.address()));
    }
    Ok(found)
}

fn plugins(workspace: &Workspace) -> impl Iterator<Item = &Plugin> {
    workspace.plugin.iter().filter(|_| !workspace.source.local)
}

/// The workspaces to build as RHDH's export repository gathers them: the keys of `source.json` with `plugins-` before each,
/// at the commit of the lock, and our reasons.
fn exported(session: &Session<'_>, args: &PlanArgs, lock: &Lock, plan: &Plan) -> Result<String> {
    let config = args.source.config(session, &[])?;
    let prefixes = prefixes(&config, lock);
    let root = paths::config_dir(session.global);
    let building = plan.workspaces.iter().zip(&lock.workspace).filter(|(planned, _)| planned.build);
    let rows = building.map(|(planned, locked)| {
        let overlay = if locked.dir == "." { root.clone() } else { root.join(&locked.dir) };
        let overlay = overlay.display().to_string();
        let repo = &locked.source.repo;
        let is_flat = locked.source.path == ".";
        let mut row = Map::new();
        row.insert("plugins-repo".into(), repo.strip_prefix("https://github.com/").unwrap_or(repo).into());
        row.insert("plugins-repo-ref".into(), locked.source.commit.clone().unwrap_or_default().into());
        row.insert("plugins-repo-flat".into(), is_flat.into());
        if let Some(version) = &locked.source.backstage {
            row.insert("plugins-repo-backstage-version".into(), version.clone().into());
        }
        row.insert("overlay-root".into(), overlay.into());
        row.insert("plugins-root".into(), locked.source.path.clone().into());
        row.insert(
            "computed-image-tag-prefix".into(),
            prefixes.get(locked.name.as_str()).cloned().unwrap_or_default().into(),
        );
        let plugins = planned.plugins.iter().filter(|plugin| plugin.cached.is_none());
        let reasons = plugins.map(|plugin| {
            let reasons: Vec<String> = plugin.reasons.iter().map(ToString::to_string).collect();
            (plugin.path.clone(), json!(reasons))
        });
        row.insert("reasons".into(), Value::Object(reasons.collect()));
        row.insert("seconds".into(), json!(planned.seconds));
        Value::Object(row)
    });
    Ok(format!("{}\n", Value::Array(rows.collect())))
}

/// The prefixes of image tags by the rule of that repository.
fn prefixes<'c>(config: &'c Config, lock: &Lock) -> BTreeMap<&'c str, String> {
    let release = config.versions.as_ref().and_then(|versions| versions.backstage.as_deref());
    let own = |name: &str| lock.workspace.iter().find(|locked| locked.name == name)?.source.backstage.as_deref();
    let of = |workspace: &'c crate::config::WorkspaceConfig| {
        let configured = workspace.supported_versions.as_deref().or(workspace.source.backstage_version.as_deref());
        let prefix = TagPrefix::Auto.of(release, configured.or(own(&workspace.name)));
        (workspace.name.as_str(), prefix)
    };
    config.workspaces.iter().map(of).collect()
}
