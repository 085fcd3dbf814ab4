//! `factory why`

use std::path::Path;

use clap::{Args, ValueEnum};

use super::session::Session;
use super::source_options::SourceArgs;
use super::{host_lock, lock_file, paths, workspace_locks};
use crate::audit::companions::Companions;
use crate::audit::shipped::{self, ShippedPlugin};
use crate::audit::why::openvex::{self, VexSubject};
use crate::audit::why::{PackageQuery, Why, WhyEvidence};
use crate::build;
use crate::error::nearest::nearest;
use crate::error::{Error, Result, exit_code};
use crate::lock::Rhdh;
use crate::resolve::host::HostLock;
use crate::ui::{self, count, some_names};

/// Options of `factory why`.
#[allow(clippy::doc_markdown, reason = "the comments are shown as help")]
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// The package, and which of its versions: `lodash`, `lodash@<4.17.21`, `@scope/name@^1`
    #[arg(value_name = "PACKAGE[@RANGE]")]
    pub package: String,
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT")]
    pub format: WhyFormat,
    /// Show the shortest path through every package that depends on it, not only the shortest of all
    #[arg(long)]
    pub all_paths: bool,
    /// Exit with 1 if a plugin ships the package, in a version in the range where one is given
    #[arg(long)]
    pub exit_code: bool,
    /// The vulnerability that an OpenVEX document is about: `CVE-2021-23337`
    #[arg(long, value_name = "ID", required_if_eq("format", "openvex"))]
    pub vulnerability: Option<String>,
    /// Who states it: the author of an OpenVEX document
    #[arg(long, value_name = "NAME", default_value = "Unknown Author")]
    pub author: String,
    /// Use no network: a yarn.lock that the cache does not have is not known
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(clippy::doc_markdown, reason = "the comments are shown as help")]
pub enum WhyFormat {
    /// For a terminal
    Human,
    /// For programs: schema/factory.why.schema.json
    Json,
    /// OpenVEX v0.2.0, about the images of the lock
    Openvex,
}

pub(super) fn run(session: &Session<'_>, args: &WhyArgs) -> Result<()> {
    let query = PackageQuery::parse(&args.package)?;
    let file = lock_file::place(session, None);
    let lock = lock_file::read(&file)?
        .ok_or_else(|| lock_file::missing(&file, "run `factory resolve` and `factory build` first"))?;
    let folder = paths::folder_of(&file);
    let chosen = build::choose(&lock, &args.workspaces)?;
    let plugins = shipped::read(&chosen, &folder, session.interrupt.flag())?;
    let yarn_locks = workspace_locks::read(session, &file, &chosen, (&args.source, args.offline))?;
    let evidence = WhyEvidence {
        lock: (&lock, session.global.laid_out.shown(&file)),
        plugins: &plugins,
        yarn_locks: &yarn_locks,
        host: lock.rhdh.as_ref().map(|rhdh| host(session, rhdh)),
        tools: workspace_locks::tool_trees(session, &lock, &Companions::Folder(folder)),
    };
    let why = Why::of(&query, &evidence);
    let text = match args.format {
        WhyFormat::Human => why.to_text(args.all_paths),
        WhyFormat::Json => why.to_json(),
        WhyFormat::Openvex => vex(session, args, &why, &plugins)?,
    };
    ui::data_as_it_is(&text).map_err(Error::io("write", Path::new("stdout")))?;
    if why.is_nowhere() {
        let known = evidence.names();
        let near = nearest(&query.name, known.iter().map(String::as_str));
        session.ui.note(format!("`{}` is nowhere; names like it: {}", query.name, some_names(near.iter())));
    }
    match why.shipping() {
        shipping if args.exit_code && shipping > 0 => {
            let what = format!("{} `{}`", ships(shipping), query.text().escape_debug());
            Err(Error::Failed { what, code: exit_code::FAILED })
        }
        _ => Ok(()),
    }
}

fn ships(plugins: usize) -> String {
    format!("{} {}", count(plugins, "plugin"), if plugins == 1 { "ships" } else { "ship" })
}

/// What RHDH has, without a network; else why that is not known.
fn host(session: &Session<'_>, rhdh: &Rhdh) -> Result<HostLock, String> {
    match host_lock::cached(session, rhdh) {
        Ok(Some(host)) => Ok(host),
        Ok(None) => Err("the cache does not have its yarn.lock, and it is not built in".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn vex(session: &Session<'_>, args: &WhyArgs, why: &Why, plugins: &[ShippedPlugin<'_>]) -> Result<String> {
    let unsealed: Vec<String> =
        plugins.iter().filter(|one| one.plugin.sealed.is_none()).map(ShippedPlugin::place).collect();
    if !unsealed.is_empty() {
        session.ui.warn(format!(
            "nothing is stated about {}, since there is no image: run `factory build` first",
            some_names(unsealed.iter())
        ));
    }
    let vulnerability = args.vulnerability.as_deref().unwrap_or_default();
    openvex::document(why, plugins, &VexSubject { vulnerability, author: &args.author })
}
