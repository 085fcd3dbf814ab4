//! `factory outdated`

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use super::failures::code_of;
use super::session::Session;
use super::source_options::SourceArgs;
use super::{lock_file, paths};
use crate::audit::outdated::{Outdated, OutdatedPin, PinnedThing};
use crate::build;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lock::{Lock, Workspace};
use crate::npm::registry::NpmRegistry;
use crate::parallel::Workers;
use crate::resolve::configured_pins;
use crate::resolve::newest::{NewestRef, of_commit, of_host};
use crate::resolve::refs::{Refs, list_refs};
use crate::store::git::{RefScope, SourceUrl};
use crate::tools::newest::ToolDocuments;
use crate::ui::{self, count};

/// Repositories asked at once.
const AT_ONCE: usize = 8;

/// Options of `factory outdated`.
#[derive(Clone, Debug, Default, Args)]
pub struct OutdatedArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

pub(super) async fn run(session: &Session<'_>, args: &OutdatedArgs) -> Result<()> {
    let file = lock_file::place(session, None);
    let hint = "run `factory resolve` to pin what the configuration asks for";
    let lock = lock_file::read(&file)?.ok_or_else(|| lock_file::missing(&file, hint))?;
    let names = &args.workspaces;
    build::choose(&lock, names)?;
    // A lock alone, in a release's archive say, can be asked about as well.
    let config = args.source.config(session, names).ok();
    let question = Question { session, lock: &lock, names, config: config.as_ref(), source: &args.source };
    let step = session.ui.step("pins", format!("ask what is newest of {}", file.display()));
    let (commits, tools) =
        tokio::join!(async { tokio::task::block_in_place(|| question.repositories()) }, question.tools());
    let (mut pins, mut failed) = (Vec::new(), Vec::new());
    for answer in commits.into_iter().chain([tools]) {
        match answer {
            Ok(answer) => pins.extend(answer),
            // Workspaces of one repository say it once.
            Err(error) if failed.iter().any(|known: &Error| known.to_string() == error.to_string()) => {}
            Err(error) => failed.push(error),
        }
    }
    session.interrupt.check()?;
    step.done("");
    pins.sort_by_key(|pin| pin.pin as u8);
    let unknown = failed.iter().map(ToString::to_string).collect();
    let outdated = Outdated::new(file.display().to_string(), pins, unknown);
    let text = if args.json { outdated.to_json() } else { outdated.to_text(ui::columns()) };
    ui::data_as_it_is(&text).map_err(Error::io("write", Path::new("stdout")))?;
    if failed.is_empty() {
        return Ok(());
    }
    for error in &failed {
        session.ui.error(error);
    }
    let what = format!("not all pins could be compared: {}", count(failed.len(), "error"));
    Err(Error::Failed { what, code: code_of(failed.iter()) })
}

/// What is asked.
struct Question<'a> {
    session: &'a Session<'a>,
    lock: &'a Lock,
    names: &'a [String],
    config: Option<&'a Config>,
    source: &'a SourceArgs,
}

/// Who takes refs from a repository.
enum Asker<'a> {
    Commit(&'a Workspace),
    Host,
}

impl<'a> Question<'a> {
    fn workspaces(&self) -> impl Iterator<Item = &'a Workspace> {
        let names = self.names;
        self.lock.workspace.iter().filter(move |locked| names.is_empty() || names.contains(&locked.name))
    }

    /// The pins of each repository, which is asked once.
    fn repositories(&self) -> Vec<Result<Vec<OutdatedPin>>> {
        let mut answers = Vec::new();
        let mut askers: BTreeMap<String, (SourceUrl, Vec<Asker<'a>>)> = BTreeMap::new();
        let mut add = |url: SourceUrl, asker| {
            askers.entry(url.canonical()).or_insert_with(|| (url, Vec::new())).1.push(asker);
        };
        for locked in self.workspaces().filter(|locked| !locked.source.local) {
            match self.url(locked) {
                Ok(url) => add(url, Asker::Commit(locked)),
                Err(error) => answers.push(Err(error)),
            }
        }
        let mirror = self.config.and_then(|config| config.env.given("RHDH_REPO"));
        if let Some(pin) = self.lock.rhdh.as_ref().filter(|pin| pin.commit.is_some()) {
            match mirror.map(|mirror| SourceUrl::parse(mirror, Path::new("."))) {
                None => answers.push(self.host(of_host(pin, None))),
                Some(Ok(url)) => add(url, Asker::Host),
                Some(Err(error)) => answers.push(Err(error)),
            }
        }
        let interrupt = self.session.interrupt.flag();
        let network = self.source.network(&self.session.ui);
        let ask = |(url, askers): &(SourceUrl, Vec<Asker<'a>>)| {
            let store = self.session.store()?;
            let refs = list_refs(&store, url, RefScope::Usual, &network, interrupt)?;
            Ok(askers.iter().map(|asker| self.of_refs(asker, url, &refs)).collect::<Vec<_>>())
        };
        let askers: Vec<_> = askers.into_values().collect();
        for answer in Workers::new(AT_ONCE, interrupt).map(&askers, ask) {
            match answer {
                Ok(of_one) => answers.extend(of_one),
                Err(error) => answers.push(Err(error)),
            }
        }
        answers
    }

    fn of_refs(&self, asker: &Asker<'_>, url: &SourceUrl, refs: &Refs) -> Result<Vec<OutdatedPin>> {
        match (asker, &self.lock.rhdh) {
            (Asker::Commit(locked), _) => {
                let source = &locked.source;
                let commit = source.commit.as_deref().unwrap_or_default();
                let newest = of_commit(refs, &source.requested, commit)?;
                let pinned = (source.requested.as_str(), commit);
                Ok(vec![OutdatedPin::of_ref(PinnedThing::Commit, Some(&locked.name), pinned, newest)])
            }
            (Asker::Host, Some(pin)) => self.host(of_host(pin, Some((url, refs)))),
            (Asker::Host, None) => Ok(vec![]),
        }
    }

    fn host(&self, newest: Result<Option<NewestRef>>) -> Result<Vec<OutdatedPin>> {
        let Some(pin) = &self.lock.rhdh else { return Ok(vec![]) };
        let commit = pin.commit.as_deref().unwrap_or_default();
        Ok(vec![OutdatedPin::of_ref(PinnedThing::Rhdh, None, (&pin.requested, commit), newest?)])
    }

    /// The repository of a workspace, with the login that only the configuration has.
    fn url(&self, locked: &Workspace) -> Result<SourceUrl> {
        let configured = self.config.and_then(|config| config.workspaces.iter().find(|one| one.name == locked.name));
        configured_pins::url(locked, configured, &paths::config_dir(self.session.global))
    }

    async fn tools(&self) -> Result<Vec<OutdatedPin>> {
        let registry = NpmRegistry::of_machine(&paths::config_dir(self.session.global), &self.session.interrupt)?;
        let documents = ToolDocuments::ask(&registry).await?;
        let own = self.workspaces().filter_map(|locked| Some((Some(locked.name.as_str()), locked.tools.as_ref()?)));
        let mut pins = Vec::new();
        for (workspace, tools) in std::iter::once((None, &self.lock.tools)).chain(own) {
            pins.extend(documents.newest(tools)?.map(|tool| OutdatedPin::of_tool(workspace, tool)));
        }
        Ok(pins)
    }
}
