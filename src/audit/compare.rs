//! Two releases → one list of changes.

mod comparison;
mod host;
mod output;
mod plugin;
mod release;
mod summary;
mod support;
mod workspace;

use super::diff::Diff;
use super::host::Hosts;
use super::release::Release;
use crate::error::{Error, Result};
use comparison::Comparison;

/// Compares two releases. `hosts` are the lockfiles of the two RHDH releases, when they are at hand.
pub fn compare(old: &Release, new: &Release, hosts: Option<&Hosts>) -> Result<Diff> {
    if old.form != new.form {
        return Err(Error::usage(
            format!("cannot compare `{}` with `{}`: one is a lock, the other a configuration", old.name, new.name),
            "pass two locks, or two configuration folders",
        ));
    }
    let mut comparison = Comparison::new(old, new, hosts);
    comparison.release()?;
    comparison.host()?;
    comparison.workspaces()?;
    Ok(comparison.finish())
}

impl Diff {
    /// Adds the identities of the two locks, which take as long to find as all else: not every reader asks for them.
    pub fn identify(&mut self, old: &Release, new: &Release) {
        self.old.identity = old.identity();
        self.new.identity = new.identity();
    }
}
