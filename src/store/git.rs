//! Git: where a source lives, the bare repository the cache keeps of it, and reading a commit's tree.
//!
//! A remote source gets one bare repository per URL, into which single commits are fetched at depth 1; history is
//! never fetched. A local source is read where it lies: no copy, no `git` program, and no question of who owns it.

mod failure;
mod fetch;
mod program;
mod remote;
mod repository;
mod status;
mod tree;
mod url;

pub use fetch::Network;
pub use remote::{Advertised, RefScope};
pub use repository::Repository;
pub use tree::{EntryKind, Tree, TreeEntry};
pub use url::SourceUrl;

pub(crate) use tree::TreeNode;
