//! A plugin that cannot be exported, as it is reported when it is found, and as the lock keeps it.

use crate::error::{Error, Place};
use crate::lock::PluginProblem;

/// Why a plugin cannot be exported; the other plugins of its workspace are none the worse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFault {
    /// Its folder from the workspace.
    pub plugin: String,
    /// Where it was found; not in the lock, which has no local paths.
    pub place: Place,
    /// What is wrong, naming the plugin.
    pub what: String,
    /// The next step.
    pub hint: String,
}

impl PluginFault {
    /// What a lock says, found in this file.
    pub fn remembered(problem: &PluginProblem, place: Place) -> Self {
        let PluginProblem { plugin, what, hint } = problem.clone();
        Self { plugin, place, what, hint }
    }

    /// As it is reported.
    pub fn error(&self) -> Error {
        Error::build(format!("{}: {}", self.place, self.what), &self.hint)
    }

    /// As the lock keeps it.
    pub fn problem(&self) -> PluginProblem {
        PluginProblem { plugin: self.plugin.clone(), what: self.what.clone(), hint: self.hint.clone() }
    }
}
