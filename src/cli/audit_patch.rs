//! `factory audit-patch`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::session::Session;
use super::source_options::SourceArgs;
use super::{lock_file, paths, workspace_locks};
use crate::audit::patch_audit::{AuditedPatch, PatchAudit, audit};
use crate::audit::shipped;
use crate::config::{Config, Repo, WorkspaceConfig};
use crate::error::{Error, Result, exit_code};
use crate::lock::{Lock, Workspace};
use crate::resolve::configured_pins::{folder, is_same_repository};
use crate::resolve::patched;
use crate::resolve::source_files::Files;
use crate::store::Store;
use crate::store::git::{Network, SourceUrl, Tree};
use crate::timeline::Lane;
use crate::ui::{self, count, some_names};

/// Options of `factory audit-patch`.
#[derive(Clone, Debug, Args)]
pub struct AuditPatchArgs {
    /// The patch: one of `patches/*.patch` of a workspace's configuration, or one that is to become it
    #[arg(value_name = "PATCH")]
    pub patch: PathBuf,
    /// Its workspace [default: the one in whose configuration it is, or the only one]
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// Use no network: the commit has to be in the cache
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "human", value_name = "FORMAT")]
    pub format: PatchAuditFormat,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

/// How the outcome is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PatchAuditFormat {
    /// For a terminal
    Human,
    /// For programs: schema/factory.audit-patch.schema.json
    Json,
}

pub(super) fn run(session: &Session<'_>, args: &AuditPatchArgs) -> Result<()> {
    let lock_file = lock_file::place(session, None);
    let lock = lock_file::read(&lock_file)?;
    let config = args.source.config(session, &[])?;
    let workspace = workspace(&config, args)?;
    let locked = lock.as_ref().and_then(|lock| locked(lock, workspace));
    let store = session.store()?;
    let provider = workspace_locks::patching(session, &store);
    let network = args.source.network(&session.ui);
    let source = SourceOf { session, store: &store, network: &network, workspace, locked, offline: args.offline };
    let commit = source.commit()?;
    let open = || source.open(commit.as_deref());
    let step = session.ui.step(Lane::workspace(&workspace.name), "read the lockfile before and after the patch");
    let sides = tokio::task::block_in_place(|| patched::sides(&provider, workspace, &args.patch, &open))?;
    step.done("");
    let folder = paths::folder_of(&lock_file);
    let shipped = shipped::read(locked.map_or(&[], std::slice::from_ref), &folder, session.interrupt.flag())?;
    let plugins = plugins(workspace, locked);
    let name = args.patch.display().to_string();
    let audited = AuditedPatch {
        patch: &name,
        workspace: &workspace.name,
        commit: commit.as_deref(),
        plugins: &plugins,
        shipped: &shipped,
    };
    let found = audit(&sides, &audited)?;
    let written = match args.format {
        PatchAuditFormat::Human => ui::text(&found.to_text()),
        PatchAuditFormat::Json => ui::data_as_it_is(&found.to_json()),
    };
    written.map_err(Error::io("write", Path::new("stdout")))?;
    verdict(&found)
}

fn verdict(found: &PatchAudit) -> Result<()> {
    let refusals = found.refusals();
    if refusals == 0 {
        return Ok(());
    }
    let what = format!("yarn refuses the patched lockfile: {}", count(refusals, "difference"));
    Err(Error::Failed { what, code: exit_code::FAILED })
}

/// The workspace that is named, else the one that has the patch, else the only one.
fn workspace<'c>(config: &'c Config, args: &AuditPatchArgs) -> Result<&'c WorkspaceConfig> {
    if let Some(name) = &args.workspace {
        config.check_names(std::slice::from_ref(name))?;
        let found = config.workspaces.iter().find(|workspace| workspace.name == *name);
        return found.ok_or_else(|| Error::usage(format!("workspace `{name}` cannot be read"), "correct its files"));
    }
    let patch = args.patch.canonicalize().map_err(patched::unreadable(&args.patch))?;
    let has = |workspace: &&WorkspaceConfig| {
        folder(workspace).canonicalize().is_ok_and(|folder| patch.parent() == Some(&folder.join("patches")))
    };
    match (config.workspaces.iter().find(has), &config.workspaces[..]) {
        (Some(workspace), _) => Ok(workspace),
        (None, [only]) => Ok(only),
        (None, all) => Err(Error::usage(
            format!("`{}` is in the configuration of no workspace", args.patch.display()),
            format!("name one with `--workspace`: {}", some_names(all.iter().map(|workspace| &workspace.name))),
        )),
    }
}

/// What the lock has of a workspace, where it is the one that the configuration asks for.
fn locked<'l>(lock: &'l Lock, workspace: &WorkspaceConfig) -> Option<&'l Workspace> {
    let locked = lock.workspace.iter().find(|locked| locked.name == workspace.name)?;
    let is_same = locked.source.requested == workspace.source.requested && is_same_repository(workspace, locked);
    is_same.then_some(locked)
}

/// The folders of the plugins: those of the lock, else those of the list.
fn plugins<'w>(workspace: &'w WorkspaceConfig, locked: Option<&'w Workspace>) -> Vec<&'w str> {
    if let Some(locked) = locked {
        return locked.plugin.iter().map(|plugin| plugin.path.as_str()).collect();
    }
    workspace.list.iter().flat_map(|list| &list.entries).map(|entry| entry.path.as_str()).collect()
}

/// Where the source is.
struct SourceOf<'a> {
    session: &'a Session<'a>,
    store: &'a Store,
    network: &'a Network,
    workspace: &'a WorkspaceConfig,
    locked: Option<&'a Workspace>,
    offline: bool,
}

impl SourceOf<'_> {
    /// The commit that is pinned, by the lock or by the configuration itself; none for a local tree.
    fn commit(&self) -> Result<Option<String>> {
        if self.workspace.source.local.is_some() {
            return Ok(None);
        }
        let requested = &self.workspace.source.requested;
        let is_commit = requested.len() == 40 && requested.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pinned = self.locked.and_then(|locked| locked.source.commit.clone());
        pinned.or_else(|| is_commit.then(|| requested.to_ascii_lowercase())).map(Some).ok_or_else(|| {
            Error::usage(
                format!("workspace `{}` is not pinned to a commit", self.workspace.name),
                "run `factory resolve` first",
            )
        })
    }

    fn open(&self, commit: Option<&str>) -> Result<Files> {
        let source = &self.workspace.source;
        match (commit, &source.local) {
            (Some(commit), _) => Ok(Files::Commit(Box::new(self.tree(commit)?))),
            (None, Some(folder)) => Ok(Files::Local(folder.clone())),
            (None, None) => Err(Error::usage(format!("workspace `{}` has no source", self.workspace.name), "")),
        }
    }

    fn tree(&self, commit: &str) -> Result<Tree> {
        let repo = self.workspace.source.repo.as_ref().map(Repo::with_credentials).unwrap_or_default();
        let url = SourceUrl::parse(repo, folder(self.workspace))?;
        let interrupt = self.session.interrupt.flag();
        let repository = self.store.repository(&url, interrupt)?;
        if !self.offline {
            return repository.fetch(commit, self.network, interrupt);
        }
        repository.tree(commit)?.ok_or_else(|| {
            Error::network(
                format!("commit {commit} of `{url}` is not in the cache, and `--offline` allows no network"),
                "run the same command with a network first",
            )
        })
    }
}
