//! `factory verify`: builds everything again with an empty cache, and compares.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::build_options::{BuildFlags, CompareFlags, StepFlags};
use super::build_step::Replay;
use super::failures::{broken, code_of, failures};
use super::repo_path::Sources;
use super::session::Session;
use super::source_options::SourceArgs;
use super::timings::TimingsArgs;
use super::{lock_file, paths};
use crate::build::verdict::{self, Verdict};
use crate::build::{self, BuiltWorkspace, Shared};
use crate::error::{Error, Place, Result};
use crate::lock::{Lock, Sha256};
use crate::store::{Store, atomic_file};
use crate::ui::{self, count};

/// Options of `factory verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Only this plugin, by its path in the workspace or its package; can be given several times
    #[arg(short, long = "plugin", value_name = "PLUGIN")]
    pub plugins: Vec<String>,
    /// Write the verdicts to this file as JSON
    #[arg(long, env = "FACTORY_VERIFY_REPORT", value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub steps: StepFlags,
    #[command(flatten)]
    pub compared: CompareFlags,
    #[command(flatten)]
    pub(super) timings: TimingsArgs,
}

/// What `factory verify --report` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VerifyReport {
    /// Format version.
    pub version: u32,
    /// The factory that verified.
    pub factory: String,
    /// Digest of the lock's pins: the identity of the release.
    pub lock: Sha256,
    /// In the order of the lock.
    pub plugins: Vec<PluginVerdict>,
}

/// The verdict on one plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PluginVerdict {
    /// Its workspace.
    pub workspace: String,
    /// Its folder from the workspace.
    pub path: String,
    /// The source package's name.
    pub name: String,
    /// `reproduced`; `compression`, `description` or `packing` (equal files); `dependency`, `embedded`, `plugin`,
    /// `package.json`, `bundle` or `bundle-name` (the class of the first file that differs); `unlisted`; or `failed`.
    pub verdict: String,
    /// The same in words.
    pub message: String,
    /// The first file that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The image's manifest as it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sha256>,
    /// The image's manifest as it was made now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Sha256>,
}

pub(super) async fn run(session: &Session<'_>, args: &VerifyArgs) -> Result<()> {
    let done = run_timed(session, args).await;
    args.timings.write(session, "verify", paths::output_dir_of_environment().as_deref());
    done
}

async fn run_timed(session: &Session<'_>, args: &VerifyArgs) -> Result<()> {
    let names = &args.workspaces;
    let lock_file = lock_file::place(session, None);
    let (lock, mut config) = lock_file::read_fresh(session, &lock_file, &args.source, names)?;
    build::check_plugins(&lock, names, &args.plugins)?;
    must_be_sealed(&lock, &lock_file, args)?;
    let mut failed = lock.problems(names);
    if build::choose(&lock, names)?.is_empty() && !failed.is_empty() {
        return failures(session, failed, 0);
    }
    // A cache of its own, below the usual one for its room: everything is downloaded and built again.
    let around = session.store()?.scratch()?;
    let store = Store::open(around.path().join("cache"))?;
    let flags = args.compared.of(BuildFlags { plugins: args.plugins.clone(), ..args.steps.build_flags() });
    let output_dir = around.path().join("outputs");
    let sources = Sources::without_copy(&config, &args.source, &session.ui);
    let replay = Replay {
        config: &config,
        lock,
        lock_file: &lock_file,
        names,
        unresolved: &[],
        sources,
        shard: None,
        since: None,
        flags: &flags,
    };
    let shared = replay.share(session, store, &output_dir, true).await?;
    let built = build::build(shared.clone(), names).await?;
    let verdicts = compare(&shared, names, &built)?;
    for verdict in &verdicts {
        let line = format!("{} {}: {}", verdict.workspace, verdict.path, verdict.message);
        ui::text(&format!("{line}\n")).map_err(Error::io("write", "stdout"))?;
    }
    if let Some(path) = &args.report {
        let report = VerifyReport {
            version: 1,
            factory: env!("CARGO_PKG_VERSION").into(),
            lock: shared.lock.identity(),
            plugins: verdicts.clone(),
        };
        let text = serde_json::to_string_pretty(&report).expect("a report is plain data");
        atomic_file(path, format!("{text}\n").as_bytes())?;
    }
    failed.extend(broken(&mut config, names));
    failures(session, failed, 1).and(conclude(&verdicts, &built))
}

/// A plugin without a seal has nothing to be compared with.
fn must_be_sealed(lock: &Lock, lock_file: &std::path::Path, args: &VerifyArgs) -> Result<()> {
    for workspace in build::choose(lock, &args.workspaces)? {
        let mut chosen = workspace.plugin.iter().filter(|plugin| build::is_named(&args.plugins, plugin));
        if let Some(plugin) = chosen.find(|plugin| plugin.sealed.is_none()) {
            return Err(Error::Lock {
                place: Place::file(lock_file),
                what: format!("plugin `{}` of workspace `{}` is not sealed", plugin.path, workspace.name),
                hint: "run `factory build` once, and commit the lock: there is nothing yet to compare with".into(),
            });
        }
    }
    Ok(())
}

fn compare(shared: &Arc<Shared>, names: &[String], built: &[BuiltWorkspace]) -> Result<Vec<PluginVerdict>> {
    let mut verdicts = Vec::new();
    for workspace in build::choose(&shared.lock, names)? {
        let built = built.iter().find(|built| built.name == workspace.name);
        for (place, plugin) in workspace.plugin.iter().enumerate() {
            if !shared.options.chooses(plugin) {
                continue;
            }
            let mut one = PluginVerdict {
                workspace: workspace.name.clone(),
                path: plugin.path.clone(),
                name: plugin.name.clone(),
                verdict: "failed".into(),
                message: "was not built".into(),
                file: None,
                sealed: plugin.sealed.as_ref().map(|sealed| sealed.image),
                made: None,
            };
            match (built.and_then(|built| built.plugins.get(&place)), &plugin.sealed) {
                (Some(Ok(made)), Some(sealed)) => {
                    let verdict = verdict::compare(&shared.options, &workspace, plugin, sealed, made)?;
                    one.verdict = verdict.as_str().into();
                    one.message = match &made.record.timed {
                        Some(file) if verdict != Verdict::Reproduced => {
                            format!("{verdict}; `{file}` carries the time of its build (`process.env.BUILD_INFO`)")
                        }
                        _ => verdict.to_string(),
                    };
                    one.file = verdict.file().map(str::to_owned);
                    one.made = Some(made.output.digest);
                }
                (Some(Err(error)), _) => one.message = error.to_string(),
                _ => {
                    if let Some(error) = built.and_then(|built| built.error.as_ref()) {
                        one.message = error.to_string();
                    }
                }
            }
            verdicts.push(one);
        }
    }
    Ok(verdicts)
}

fn conclude(verdicts: &[PluginVerdict], built: &[BuiltWorkspace]) -> Result<()> {
    let bad: Vec<&PluginVerdict> = verdicts.iter().filter(|v| v.verdict != "reproduced").collect();
    let Some(first) = bad.first() else { return Ok(()) };
    let good = count(verdicts.len() - bad.len(), "plugin");
    if bad.iter().all(|verdict| verdict.verdict == "failed") {
        let code = code_of(built.iter().flat_map(BuiltWorkspace::errors));
        return Err(Error::Failed { what: format!("{good} reproduced, {} could not be built", bad.len()), code });
    }
    let first = bad.iter().find(|verdict| verdict.verdict != "failed").unwrap_or(first);
    Err(Error::NotReproducible {
        what: format!(
            "{good} reproduced, {} not: plugin `{}` of workspace `{}`: {}",
            bad.len(),
            first.path,
            first.workspace,
            first.message
        ),
        hint: "compare the archive that was published with a new `factory build --output-dir`; the lock keeps what was sealed"
            .into(),
    })
}
