//! A workspace that has another name, since its files lie in another folder of the configuration: what is locked of it is
//! its own under the new name.

use super::configured_pins::is_same_repository;
use crate::config::{Config, WorkspaceConfig};
use crate::lock::{Lock, Workspace};

/// A workspace that the lock has under another name than the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedWorkspace {
    /// Its name in the lock.
    pub from: String,
    /// Its name in the configuration.
    pub to: String,
}

/// What became of the workspaces of a lock that the configuration no longer has.
#[derive(Debug, Default)]
pub struct Renames {
    /// Those that have another name.
    pub certain: Vec<RenamedWorkspace>,
    /// Those that several new ones could be, with these.
    pub unclear: Vec<(String, Vec<String>)>,
}

impl Renames {
    /// Compares names, and of those that only one of the two has repository, folder and ref.
    pub fn of(config: &Config, lock: &Lock) -> Self {
        let is_known = |name: &str| config.names().any(|known| known == name);
        let is_locked = |name: &str| lock.workspace.iter().any(|locked| locked.name == name);
        let gone: Vec<&Workspace> = lock.workspace.iter().filter(|locked| !is_known(&locked.name)).collect();
        let new: Vec<&WorkspaceConfig> = config.workspaces.iter().filter(|one| !is_locked(&one.name)).collect();
        let mut renames = Self::default();
        for locked in &gone {
            let of_it: Vec<&&WorkspaceConfig> = new.iter().filter(|one| is_of(one, locked)).collect();
            let is_only = |one: &WorkspaceConfig| gone.iter().filter(|other| is_of(one, other)).count() == 1;
            match of_it[..] {
                [] => {}
                [one] if is_only(one) => {
                    renames.certain.push(RenamedWorkspace { from: locked.name.clone(), to: one.name.clone() });
                }
                _ => {
                    let names = of_it.iter().map(|one| one.name.clone()).collect();
                    renames.unclear.push((locked.name.clone(), names));
                }
            }
        }
        renames
    }

    /// The lock with the new names; nothing else of it changes.
    pub fn apply(&self, lock: &Lock) -> Lock {
        let mut lock = lock.clone();
        for workspace in &mut lock.workspace {
            if let Some(renamed) = self.certain.iter().find(|renamed| renamed.from == workspace.name) {
                workspace.name.clone_from(&renamed.to);
            }
        }
        lock
    }
}

fn is_of(config: &WorkspaceConfig, locked: &Workspace) -> bool {
    let source = &config.source;
    source.local.is_none()
        && !locked.source.local
        && locked.source.path == source.workspace_path
        && locked.source.requested == source.requested
        && is_same_repository(config, locked)
}
