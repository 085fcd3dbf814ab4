//! Questions about releases: what changed between two of them and why, what is pinned and built, and what is in them.
//!
//! [`side`] reads OLD and NEW into a [`release`], [`compare`](mod@compare) makes one list of [`change`]s of them, and
//! [`human`], [`markdown`], [`html`] and JSON are views of that list.

pub mod change;
pub mod closure;
pub mod companions;
pub mod compare;
pub mod configurations;
pub mod host;
pub mod html;
pub mod human;
pub mod json;
pub mod link;
pub mod markdown;
pub mod moves;
pub mod phrase;
pub mod release;
pub mod revision;
pub mod sbom;
pub mod side;
pub mod status;
pub mod step;

pub use change::{Change, Diff};
pub use compare::compare;
pub use host::Hosts;
pub use release::Release;
