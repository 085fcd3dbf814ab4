//! Where a package is: in which plugins of a lock, by which ways; in RHDH; or only among the tools of a workspace.
//!
//! [`query`] reads what is asked for, [`find`] looks for it in what is shipped ([`super::shipped`]) and makes an
//! [`answer`]; [`text`] and [`openvex`] show it.

pub mod answer;
pub mod find;
pub mod openvex;
pub mod query;
pub mod text;

pub use answer::Why;
pub use find::{WhyEvidence, WorkspaceLock};
pub use query::PackageQuery;
