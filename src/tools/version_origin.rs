//! Who asked for a version, as the error of one that does not exist names it.

use crate::error::Error;

/// Who asked for a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionOrigin {
    /// The user, by this option.
    Option(&'static str),
    /// The user, by this variable.
    Variable(&'static str),
    /// Nobody of the configuration; this says another one.
    Default(&'static str),
}

/// Who asked for each tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionOrigins {
    /// Node.js.
    pub node: VersionOrigin,
    /// npm.
    pub npm: VersionOrigin,
    /// rhdh-cli.
    pub cli: VersionOrigin,
}

impl VersionOrigin {
    /// The error of a version that no registry has; `newest` are some that there are.
    pub(super) fn no_version(self, name: &str, requested: &str, newest: &str) -> Error {
        let what = format!("the npm registry has no version of `{name}` that matches `{}`", requested.escape_debug());
        let set = |name: &str| format!("set `{name}` to an existing version; the newest are {newest}");
        match self {
            Self::Option(option) => {
                Error::usage(what, format!("give `{option}` an existing version; the newest are {newest}"))
            }
            Self::Variable(variable) => Error::usage(what, set(variable)),
            Self::Default(setting) => Error::network(what, set(setting)),
        }
    }
}
