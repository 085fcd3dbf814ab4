//! The repositories of the configuration: whether they answer, and have the refs and the paths that are asked for.

use std::collections::BTreeMap;

use super::Check;
use super::reach::PATIENCE;
use crate::cli::session::Session;
use crate::cli::source_options::SourceArgs;
use crate::config::{Config, WorkspaceConfig};
use crate::error::{Error, Result};
use crate::parallel::Workers;
use crate::resolve::refs::list_refs;
use crate::store::Store;
use crate::store::git::{Network, RefScope, SourceUrl};

/// Repositories asked at once.
const AT_ONCE: usize = 8;

/// A repository, with the workspaces that are built from it.
type AskedRepository<'a> = (String, SourceUrl, Vec<&'a WorkspaceConfig>);

/// What there is to say of each repository, in the order of their addresses, and of local trees.
pub(super) fn checks(session: &Session<'_>, config: &Config, source: &SourceArgs) -> Vec<Check> {
    let store = match session.store() {
        Ok(store) => store,
        Err(error) => return vec![Check::of_error(&error)],
    };
    let mut checks: Vec<Check> = config.workspaces.iter().filter_map(local).collect();
    let mut asked: BTreeMap<String, AskedRepository<'_>> = BTreeMap::new();
    for workspace in config.workspaces.iter().filter(|workspace| workspace.source.local.is_none()) {
        let Some(repo) = &workspace.source.repo else { continue };
        match SourceUrl::parse(repo.with_credentials(), &workspace.config_dir) {
            Ok(url) => {
                asked.entry(repo.public()).or_insert_with(|| (repo.public(), url, vec![])).2.push(workspace);
            }
            Err(error) => checks.push(Check::of_error(&error)),
        }
    }
    let asked: Vec<_> = asked.into_values().collect();
    let network = Network { attempts: 1, timeout: PATIENCE, ..source.network(&session.ui) };
    let workers = Workers::new(AT_ONCE, session.interrupt.flag());
    let found = tokio::task::block_in_place(|| workers.map(&asked, |one| repository(session, &store, one, &network)));
    checks.extend(found.into_iter().flat_map(|said| said.unwrap_or_else(|e| vec![Check::of_error(&e)])));
    checks
}

/// A local tree that lacks the workspace.
fn local(workspace: &WorkspaceConfig) -> Option<Check> {
    let tree = workspace.source.local.as_ref()?;
    let path = &workspace.source.workspace_path;
    let is_there = tree.join(path).join("package.json").is_file();
    let what = format!("{}: `{}` has no workspace `{path}`", workspace.name, tree.display());
    (!is_there).then(|| Check::bad(what, "correct `workspace-path` in source.json, or `--repo-path`"))
}

/// Whether a repository answers; then which of the refs and paths that are asked for it lacks.
fn repository(
    session: &Session<'_>,
    store: &Store,
    (name, url, workspaces): &AskedRepository<'_>,
    network: &Network,
) -> Result<Vec<Check>> {
    let interrupt = session.interrupt.flag();
    let refs = list_refs(store, url, RefScope::Usual, network, interrupt)?;
    let known = store.repository(url, interrupt)?;
    let mut checks = vec![Check::good(format!("repository: {name} answers"))];
    for workspace in workspaces {
        let source = &workspace.source;
        let lacks = || {
            let commit = refs.resolve(&source.requested)?.commit;
            // What was never fetched is not fetched for this.
            let Some(tree) = known.tree(&commit)? else { return Ok(None) };
            let manifest = crate::lock::at(&source.workspace_path, "package.json");
            let what = format!("commit {} has no workspace `{}`", &commit[..12], source.workspace_path);
            let lacks = tree.kind(&manifest)?.is_none();
            Ok(lacks.then(|| Error::usage(what, "correct `workspace-path` in source.json")))
        };
        if let Some(error) = lacks().unwrap_or_else(Some) {
            checks.push(Check::bad(format!("{}: {error}", workspace.name), error.hint().unwrap_or_default()));
        }
    }
    Ok(checks)
}
