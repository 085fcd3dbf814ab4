//! What is said of workspaces that the lock has under another name, and what of them lies beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::lock_file;
use super::session::Session;
use crate::error::{Error, Result};
use crate::lock::companions::{CLI_TREES, FOLDER_NAME};
use crate::resolve::renamed::{RenamedWorkspace, Renames};
use crate::store::stays_beneath;
use crate::ui::some_names;

/// Says what became of the workspaces that the configuration has no more, before anything of them is dropped.
pub fn say(session: &Session<'_>, renames: &Renames) {
    for RenamedWorkspace { from, to } in &renames.certain {
        session.ui.note(format!("workspace `{from}` is now called `{to}`: what is locked of it stays"));
    }
    for (gone, new) in &renames.unclear {
        let new = some_names(new.iter());
        session.ui.warn(format!(
            "workspace `{gone}` is no longer in the configuration, and {new} could be it: what is locked of it is dropped; \
             to keep it, restore the lock, and run `factory resolve --keep` with one of them before the others are there"
        ));
    }
}

/// Copies the folders of renamed workspaces in `factory.lock.d`, before a lock names them.
pub fn copy_companions(lock_dir: &Path, renamed: &[RenamedWorkspace]) -> Result<()> {
    for one in renamed {
        let from = folder(lock_dir, &one.from);
        // What a link leads to elsewhere is not factory's: it is neither copied nor removed.
        stays_beneath(lock_dir, &from)?;
        lock_file::copy(&from, lock_dir, &folder(lock_dir, &one.to))?;
    }
    Ok(())
}

/// Removes the folders that no lock names any more.
pub fn remove_companions(lock_dir: &Path, renamed: &[RenamedWorkspace]) -> Result<()> {
    let is_own = |one: &&RenamedWorkspace| one.from != CLI_TREES && renamed.iter().all(|other| other.to != one.from);
    for one in renamed.iter().filter(is_own) {
        let folder = folder(lock_dir, &one.from);
        stays_beneath(lock_dir, &folder)?;
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &folder)(e)),
            _ => {}
        }
    }
    Ok(())
}

fn folder(lock_dir: &Path, workspace: &str) -> PathBuf {
    lock_dir.join(FOLDER_NAME).join(workspace)
}
