//! `factory check-refs`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::lock_file;
use super::registry_option::{self, RegistryOption};
use super::session::Session;
use crate::audit::refs::asked::ImageQuestions;
use crate::audit::refs::report::RefFaultKind;
use crate::audit::refs::{AskedImages, RefFile, RefRules, RefsReport, check, images};
use crate::error::{Error, Result, exit_code};
use crate::image::{ImageName, OciRegistry};
use crate::lock::{Lock, Sha256};
use crate::store::{Scratch, Store};
use crate::ui::{self, count};

/// Options of `factory check-refs`.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct CheckRefsArgs {
    /// Lists of plugins (`dynamic-plugins.yaml`), packages of the export repository (`metadata/*.yaml`), or the
    /// `index.json` of a catalog; of a directory, the YAML files in it
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Count images that are pinned by a tag as faults
    #[arg(long)]
    pub require_digest: bool,
    /// Download the layer of each image too, and look for the directories that its annotation names
    #[arg(long, conflicts_with = "offline")]
    pub layers: bool,
    /// Check only what needs no network
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    /// Do not look for the plugins of the lock
    #[arg(long)]
    pub no_lock: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT")]
    pub format: RefsFormat,
}

/// How faults are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RefsFormat {
    /// For a terminal
    Human,
    /// For programs: schema/factory.check-refs.schema.json
    Json,
}

pub(super) async fn run(session: &Session<'_>, args: &CheckRefsArgs) -> Result<()> {
    let files = RefFile::read_all(&args.files)?;
    let lock = lock(session, args)?;
    let asked = if args.offline { None } else { Some(ask(session, args, &files, lock.as_ref()).await?) };
    let rules = RefRules {
        lock: lock.as_ref().map(|(name, lock)| (name.as_str(), lock)),
        require_digest: args.require_digest,
        asked: asked.as_ref(),
    };
    let report = check(&files, &rules);
    let written = match args.format {
        RefsFormat::Human => ui::text(&report.to_text()),
        RefsFormat::Json => ui::data_as_it_is(&report.to_json()),
    };
    written.map_err(Error::io("write", Path::new("stdout")))?;
    verdict(&report, asked.as_ref())
}

/// The lock, where there is one; a lock that is named must be there.
fn lock(session: &Session<'_>, args: &CheckRefsArgs) -> Result<Option<(String, Lock)>> {
    if args.no_lock {
        return Ok(None);
    }
    let file = lock_file::place(session, None);
    let lock = lock_file::read(&file)?;
    if lock.is_none() && session.global.lock_file.is_some() {
        return Err(lock_file::missing(&file, "name another lock, or leave it out with `--no-lock`"));
    }
    Ok(lock.map(|lock| (session.global.laid_out.shown(&file), lock)))
}

/// Asks the registries. Each has the login that a push has.
async fn ask(
    session: &Session<'_>,
    args: &CheckRefsArgs,
    files: &[RefFile],
    lock: Option<&(String, Lock)>,
) -> Result<AskedImages> {
    let variables = registry_option::variables(session.global)?;
    let registry = |host: &str, namespace: &str| {
        let (mut variables, option) = (variables.clone(), RegistryOption::at(host, namespace));
        if option.is_other(&variables) {
            // That certificates are not checked is said of that registry alone.
            variables.remove("REGISTRY_INSECURE");
        }
        let login_of = option.replace(&mut variables);
        Ok(OciRegistry::named(&variables, host, namespace)?.without_login_of(login_of))
    };
    let sealed: BTreeMap<String, Sha256> = lock.iter().flat_map(|(_, lock)| sealed(lock)).collect();
    let store = if args.layers { Some(session.store()?) } else { None };
    let scratch = store.as_ref().map(Store::scratch).transpose()?;
    let questions =
        ImageQuestions { registry: &registry, sealed: &sealed, layers: scratch.as_ref().map(Scratch::path) };
    let images = images(files);
    let step = session.ui.step("check", format!("ask for {}", count(images.len(), "image")));
    let asked = tokio::select! {
        asked = AskedImages::ask(images, &questions) => asked,
        () = session.interrupt.wait() => return Err(Error::Interrupted),
    };
    step.done("");
    Ok(asked)
}

/// What a lock has sealed, by the names of images.
fn sealed(lock: &Lock) -> impl Iterator<Item = (String, Sha256)> {
    let plugins = lock.workspace.iter().flat_map(|workspace| &workspace.plugin);
    plugins.filter_map(|plugin| {
        let name = ImageName::of_package(&plugin.name).ok()?;
        Some((name.as_str().to_owned(), plugin.sealed.as_ref()?.image))
    })
}

fn verdict(report: &RefsReport, asked: Option<&AskedImages>) -> Result<()> {
    if report.faults.is_empty() {
        return Ok(());
    }
    let references = count(report.references.len(), "reference");
    let is_network = report.faults.iter().all(|fault| fault.fault == RefFaultKind::Unanswered);
    if is_network && asked.is_some_and(AskedImages::none_answered) {
        let what = "no registry answered".to_owned();
        return Err(Error::network(what, "check the network and the login, or check the rest with `--offline`"));
    }
    let what = format!("{} in {references}", count(report.faults.len(), "fault"));
    Err(Error::Failed { what, code: exit_code::FAILED })
}
