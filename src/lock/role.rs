//! `backstage.role`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `backstage.role` of the packages that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `frontend-plugin`
    FrontendPlugin,
    /// `backend-plugin`
    BackendPlugin,
    /// `frontend-plugin-module`
    FrontendPluginModule,
    /// `backend-plugin-module`
    BackendPluginModule,
}

impl Role {
    /// All roles that can be exported.
    pub const ALL: [Self; 4] =
        [Self::FrontendPlugin, Self::BackendPlugin, Self::FrontendPluginModule, Self::BackendPluginModule];

    /// The text of `backstage.role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FrontendPlugin => "frontend-plugin",
            Self::BackendPlugin => "backend-plugin",
            Self::FrontendPluginModule => "frontend-plugin-module",
            Self::BackendPluginModule => "backend-plugin-module",
        }
    }

    /// True for the roles whose dependencies are bundled as `node_modules`.
    pub fn is_backend(self) -> bool {
        matches!(self, Self::BackendPlugin | Self::BackendPluginModule)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}
