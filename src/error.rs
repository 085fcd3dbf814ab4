//! Everything that can go wrong and that a user can act on: one enum, all wording in one place.
//!
//! Messages are lower case, without a full stop, with names in back-ticks; [`Error::hint`] is the next step and is
//! printed after a blank line.

pub mod full_disk;
pub mod nearest;
pub mod redact;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::user_file;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit codes, part of the documented interface (README, "Exit codes").
pub mod exit_code {
    /// All went well.
    pub const OK: u8 = 0;
    /// A build or push of at least one plugin failed; the others finished.
    pub const FAILED: u8 = 1;
    /// Usage or configuration error.
    pub const USAGE: u8 = 2;
    /// The lock is missing, stale, broken or too new.
    pub const LOCK: u8 = 3;
    /// The output differs from what the lock has sealed.
    pub const NOT_REPRODUCIBLE: u8 = 4;
    /// Network, registry or authentication.
    pub const NETWORK: u8 = 5;
    /// Interrupted by a signal.
    pub const INTERRUPTED: u8 = 130;

    /// The code that all failures share, else that of a failure.
    pub fn shared(codes: impl IntoIterator<Item = u8>) -> u8 {
        let mut codes = codes.into_iter();
        let first = codes.next().filter(|code| *code != OK);
        first.filter(|first| codes.all(|code| code == *first)).unwrap_or(FAILED)
    }
}

/// A place in a file a user wrote: printed as `path`, `path:line` or `path:line:column` (both 1-based).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// 1-based line, when known.
    pub line: Option<usize>,
    /// 1-based column in characters, when known.
    pub column: Option<usize>,
}

impl Place {
    /// A place that is a whole file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), line: None, column: None }
    }

    /// A line of a file.
    pub fn line(path: impl Into<PathBuf>, line: usize) -> Self {
        Self { path: path.into(), line: Some(line), column: None }
    }

    /// A line and column of a file.
    pub fn at(path: impl Into<PathBuf>, line: usize, column: usize) -> Self {
        Self { path: path.into(), line: Some(line), column: Some(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}

/// What a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the environment does not make sense (exit 2).
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },

    /// A file of the configuration is missing or broken (exit 2).
    #[error("{place}: {what}")]
    Config {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },

    /// The lock is missing, broken or too new (exit 3).
    #[error("{place}: {what}")]
    Lock {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },

    /// The lock no longer says what the configuration says (exit 3).
    #[error("lockfile is stale for {}", bullets(reasons))]
    Stale {
        /// One line per reason, each naming a workspace and a file or field.
        reasons: Vec<String>,
        /// The next step.
        hint: String,
    },

    /// A step of the build of a workspace or plugin failed (exit 1).
    #[error("{what}")]
    Build {
        /// What failed, naming workspace and plugin.
        what: String,
        /// The last lines of the child's output, already without secrets.
        tail: Vec<String>,
        /// The next step, with the log's path.
        hint: String,
    },

    /// Some workspaces or plugins failed, each already reported (exit 1, or the one code they share).
    #[error("{what}")]
    Failed {
        /// The summary line.
        what: String,
        /// The exit code.
        code: u8,
    },

    /// The output differs from what the lock has sealed (exit 4).
    #[error("{what}")]
    NotReproducible {
        /// Which plugin, which file, which verdict.
        what: String,
        /// The next step.
        hint: String,
    },

    /// A repository or registry cannot be reached, or refuses us (exit 5).
    #[error("{what}")]
    Network {
        /// What was asked of whom; never with credentials.
        what: String,
        /// The next step.
        hint: String,
    },

    /// Bytes do not match the checksum the lock holds for them (exit 5 from the network, 1 from disk).
    #[error("{what} does not match its checksum: expected {expected}, found {found}")]
    Integrity {
        /// The tool, package or file.
        what: String,
        /// The checksum that is pinned.
        expected: String,
        /// The checksum of the bytes.
        found: String,
        /// The next step.
        hint: String,
    },

    /// What the cache keeps of a repository is not what was fetched (exit 5).
    #[error("the cache's copy of the repository `{url}` is damaged: {cause}")]
    Damaged {
        /// The repository, without credentials.
        url: String,
        /// Which object, and what is wrong with it.
        cause: String,
    },

    /// The file system refused (exit 1).
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// A verb: `read`, `write`, `create`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// Ctrl-C or a termination signal (exit 130).
    #[error("interrupted")]
    Interrupted,
}

/// Whether a disk is full, or a quota used up.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn bullets(lines: &[String]) -> String {
    match lines {
        [one] => one.clone(),
        many => {
            let mut out = format!("{} reasons:", many.len());
            for line in many {
                out.push_str("\n  ");
                out.push_str(line);
            }
            out
        }
    }
}

impl Error {
    /// A usage error.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }

    /// A configuration error at a place.
    pub fn config(place: Place, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config { place, what: what.into(), hint: hint.into() }
    }

    /// A failed step of a build that printed nothing worth showing.
    pub fn build(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Build { what: what.into(), tail: Vec::new(), hint: hint.into() }
    }

    /// A network error.
    pub fn network(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Network { what: what.into(), hint: hint.into() }
    }

    /// Wraps an I/O error: `.map_err(Error::io("read", &path))`.
    pub fn io<P: AsRef<Path> + ?Sized>(action: &'static str, path: &P) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// The same error once more, for each workspace that it fails.
    #[must_use]
    pub fn again(&self) -> Self {
        let hint = self.hint().unwrap_or_default();
        match self {
            Self::Interrupted => Self::Interrupted,
            Self::Usage { what, .. } => Self::usage(what, hint),
            Self::Config { place, what, .. } => Self::config(place.clone(), what, hint),
            other => Self::network(other.to_string(), hint),
        }
    }

    /// The same error with the name of the workspace that it is about, unless its text has the name already.
    #[must_use]
    pub fn in_workspace(self, name: &str) -> Self {
        let text = self.to_string();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.split(|c| !is_part(c)).any(|word| word.trim_end_matches('.') == name) {
            return self;
        }
        let with_name = |what: String| format!("{name}: {what}");
        match self {
            Self::Usage { what, hint } => Self::Usage { what: with_name(what), hint },
            Self::Build { what, tail, hint } => Self::Build { what: with_name(what), tail, hint },
            Self::NotReproducible { what, hint } => Self::NotReproducible { what: with_name(what), hint },
            Self::Network { what, hint } => Self::Network { what: with_name(what), hint },
            Self::Integrity { what, expected, found, hint } => {
                Self::Integrity { what: with_name(what), expected, found, hint }
            }
            other => other,
        }
    }

    /// The next step for the user, if there is one worth saying.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. }
            | Self::Config { hint, .. }
            | Self::Lock { hint, .. }
            | Self::Stale { hint, .. }
            | Self::Build { hint, .. }
            | Self::NotReproducible { hint, .. }
            | Self::Network { hint, .. }
            | Self::Integrity { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Self::Io { source, path, .. } if path == Path::new("stdout") => {
                is_full(source).then(|| "what stdout leads to takes no more: direct it elsewhere".to_owned())
            }
            Self::Io { source, path, .. } => match source.kind() {
                _ if is_full(source) => {
                    Some(format!("free space on the file system of `{}`; nothing was half-written", path.display()))
                }
                io::ErrorKind::ReadOnlyFilesystem => Some(format!(
                    "`{}` is mounted read-only: mount it writable, or keep the lock elsewhere with `--lock-file` and give \
                     `--no-write-plugins-list`",
                    path.display()
                )),
                _ if user_file::is_no_file(source) => Some("put a file in its place".into()),
                io::ErrorKind::PermissionDenied => Some(format!("check the permissions of `{}`", path.display())),
                _ => None,
            },
            Self::Damaged { .. } => {
                Some("remove it with `factory cache prune`, and run the same command again with a network".into())
            }
            Self::Failed { .. } | Self::Interrupted => None,
        }
    }

    /// True where a file was to be read that is not there.
    pub fn is_missing_file(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// The process's exit code for this error; see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Config { .. } => exit_code::USAGE,
            Self::Lock { .. } | Self::Stale { .. } => exit_code::LOCK,
            Self::Build { .. } | Self::Io { .. } => exit_code::FAILED,
            Self::Failed { code, .. } => *code,
            Self::NotReproducible { .. } => exit_code::NOT_REPRODUCIBLE,
            Self::Network { .. } | Self::Integrity { .. } | Self::Damaged { .. } => exit_code::NETWORK,
            Self::Interrupted => exit_code::INTERRUPTED,
        }
    }
}
