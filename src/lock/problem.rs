//! Plugins that are known not to be exported: found by `factory resolve`, and kept, so that every later run says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Why a plugin cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PluginProblem {
    /// Its folder from the workspace. The lock has no plugin of this path if nothing is known of it.
    pub plugin: String,
    /// What is wrong.
    pub what: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl PluginProblem {
    /// As it is reported; the other plugins of the workspace are none the worse.
    pub fn error(&self, workspace: &str) -> Error {
        Error::build(format!("{workspace}: {}", self.what), &self.hint)
    }
}
