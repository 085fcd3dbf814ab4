//! The lock: every pin of a run, as text a person can read and git can merge. No network here.
//!
//! ```text
//! model         the typed lock, of digest (checksums), arguments (of an export; args_origin is where they come from)
//!               and sources (of a plugin); problem is what cannot be built
//! text          its canonical writer and strict reader; format is which lock is too new for it, validate what types cannot
//!               say, by the grammar of paths and names
//! companions    the files beside it, in factory.lock.d; bundle is the one that says what is in a frontend
//! role          `backstage.role`; release_line is `1.10`, cli_behaviour is what rhdh-cli does since which version
//! identity      the digest of a release's pins
//! input_digest  the digest of what one plugin is built from, by a recipe
//! merge         the locks of two branches -> one; conflict is what git's markers say where they differ
//! shards        its workspaces in parts, for several machines
//! stale         why a lock no longer says what the configuration says
//! ```

pub mod args_origin;
pub mod arguments;
pub mod bundle;
pub mod cli_behaviour;
pub mod companions;
pub mod conflict;
pub mod digest;
mod format;
mod grammar;
pub mod identity;
pub mod input_digest;
pub mod merge;
pub mod model;
pub mod problem;
pub mod recipe;
pub mod release_line;
pub mod role;
pub mod shards;
pub mod sources;
pub mod stale;
pub mod text;
mod validate;

pub use args_origin::{ArgsFrom, ArgsOrigin};
pub use arguments::Argument;
pub use cli_behaviour::CliBehaviour;
pub use digest::{Integrity, Sha256};
pub use grammar::{at, is_commit, is_package_name, is_relative, lies_in};
pub use model::{
    Effective, Input, Lock, Node, Plugin, Rhdh, RhdhCli, Sealed, SealedPackages, Source, Stamp, Tool, Tools, Workspace,
    Yarn, YarnFrom,
};
pub use problem::{PluginProblem, UnresolvedWorkspace};
pub use release_line::ReleaseLine;
pub use role::Role;
pub use shards::Shard;
pub use sources::{PartContent, SourcePart, installed_at, installed_name};
