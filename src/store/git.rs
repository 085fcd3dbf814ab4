//! Git: the URL of a source, the cache's bare repository of it, and reading a commit's tree.
//!
//! A remote source gets one bare repository per URL, into which single commits are fetched at depth 1; history is
//! never fetched. A local source is read in place: no copy, no `git` program, whoever owns it.
//!
//! `url` parses what a user wrote; `repository` opens it; `fetch` lists refs and gets commits, and `transport` chooses
//! between `remote` (gix, whose http is `metered`) and `program` (the `git` program), with `attempt` for trying again,
//! `limits` for what is taken of a server, `pack_watch` and `memory_watch` for holding a transfer to them (`look` is their
//! pause), and `failure` for what went wrong; `steps` goes from a commit to another; `tree` reads a commit, and `writable`
//! says what of it can be on disk;
//! `status` finds what a local work tree has not committed.

mod attempt;
mod failure;
mod fetch;
mod limits;
mod look;
mod memory_watch;
mod metered;
mod metered_lines;
mod pack_watch;
mod program;
mod remote;
mod repository;
mod status;
mod steps;
mod transport;
mod tree;
mod url;
mod writable;

pub use limits::GitLimits;
pub use remote::{Advertised, RefScope};
pub use repository::Repository;
pub use steps::split_steps;
pub use transport::{GitProgram, Network, Refusals};
pub use tree::{EntryKind, Tree, TreeEntry};
pub use url::SourceUrl;

pub(crate) use tree::TreeNode;
pub(crate) use writable::WritableTree;
