//! The `yarn.lock` of workspaces, for the questions that compare what is shipped with what is only there to build it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::paths;
use super::session::Session;
use super::source_options::SourceArgs;
use crate::audit::closure::{self, PackageVersions};
use crate::audit::companions::Companions;
use crate::audit::why::WorkspaceLock;
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::lock::{Lock, Workspace};
use crate::parallel::Workers;
use crate::resolve::pinned_yarn_lock::PinnedYarnLocks;
use crate::sandbox::root::Isolation;
use crate::store::{Reading, Store};
use crate::tools::provide::Provider;

/// Repositories asked at once.
const AT_ONCE: usize = 8;

/// Where relative repositories of a lock start: at the configuration directory, or where the lock is without one.
fn sources_dir(session: &Session<'_>, lock_file: &Path) -> PathBuf {
    if paths::config_dir(session.global).is_dir() {
        return paths::sources_dir(session.global);
    }
    session.global.laid_out.in_work_tree(&paths::folder_of(lock_file))
}

/// What reads sources with their patches: GNU patch alone runs.
pub fn patching<'a>(session: &'a Session<'_>, store: &'a Store) -> Provider<'a> {
    Provider {
        store,
        registry: None,
        reading: Reading::Changed,
        isolation: Isolation::None,
        ui: &session.ui,
        interrupt: &session.interrupt,
    }
}

/// The packages in the `yarn.lock` of each workspace, from the cache; from the network where it does not have them.
pub fn read(
    session: &Session<'_>,
    lock_file: &Path,
    workspaces: &[Workspace],
    (source, offline): (&SourceArgs, bool),
) -> Result<Vec<WorkspaceLock>> {
    let names: Vec<String> = workspaces.iter().map(|workspace| workspace.name.clone()).collect();
    // A lock alone, in a release's archive say, can be asked about as well.
    let config = source.config(session, &names).ok();
    let store = session.store()?;
    let provider = patching(session, &store);
    let network = source.network(&session.ui);
    let runtime = tokio::runtime::Handle::current();
    let locks = PinnedYarnLocks {
        provider: &provider,
        runtime: &runtime,
        network: (!offline).then_some(&network),
        config: config.as_ref(),
        config_dir: sources_dir(session, lock_file),
    };
    let read = |workspace: &Workspace| Ok(WorkspaceLock::of(&workspace.name, locks.read(workspace)?));
    tokio::task::block_in_place(|| Workers::new(AT_ONCE, session.interrupt.flag()).try_map(workspaces, read))
}

/// The packages of each rhdh-cli of a lock, by its version. What cannot be read is left out, and said.
pub fn tool_trees(session: &Session<'_>, lock: &Lock, companions: &Companions) -> BTreeMap<String, PackageVersions> {
    let own = lock.workspace.iter().filter_map(|workspace| workspace.tools.as_ref());
    let mut trees = BTreeMap::new();
    for cli in std::iter::once(&lock.tools).chain(own).map(|tools| &tools.rhdh_cli) {
        if trees.contains_key(&cli.version) {
            continue;
        }
        let path = CompanionPath::cli_tree(&cli.version);
        let read = companions.required(&path, cli.tree);
        match read.and_then(|bytes| closure::of_package_lock(&bytes, Path::new(path.as_str()))) {
            Ok(packages) => {
                trees.insert(cli.version.clone(), packages);
            }
            Err(error) => session.ui.warn(format!("the packages of rhdh-cli {} are not known: {error}", cli.version)),
        }
    }
    trees
}
