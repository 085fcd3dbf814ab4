//! Questions about releases: what changed between two of them and why, what is pinned and built, and what is in them.
//!
//! OLD and NEW of a comparison are read by [`diff_side`] into a [`Release`], from a lock ([`release`]) or a configuration
//! ([`configurations`]), on disk or in a commit ([`git_revision`]) with the files beside it ([`companions`], [`metadata`]).
//! [`compare`](mod@compare) finds what moved ([`pairing`]) and makes one [`Diff`], a list of [`Change`]s: how far versions
//! moved ([`version_step`]), in private dependencies ([`closure`]) and in the host ([`host`]), with [`link`]s, and which
//! plugins of each level of [`support`] did. [`placed`] is YAML with its lines.
//! [`arrivals`] says what of packages that are new is to be looked at.
//! [`phrase`] puts a change into words, `alike` finds those of several plugins; [`human`], [`markdown`], [`asciidoc`], [`html`] and [`json`] render the list.
//!
//! [`git_index`] has the sides of a lock that a merge left unmerged. [`status`] says what is pinned, stale and built,
//! [`outdated`] what there is by now, [`plan`] what is to build; [`sbom`] says what is in a release. [`why`] says where a
//! package is: in what is [`shipped`], by which ways of a [`package_graph`], or only in a workspace; [`advisories`] says
//! what is known to be wrong with it. [`refs`] holds the references of plugin lists against registries and the lock,
//! [`patch_audit`] a patch against the lockfile.

pub mod advisories;
mod alike;
pub mod arrivals;
pub mod asciidoc;
mod branches;
mod build_only;
pub mod change;
pub mod closure;
pub mod companions;
pub mod compare;
pub mod configurations;
pub mod diff;
pub mod diff_side;
mod display;
pub mod git_index;
pub mod git_revision;
pub mod host;
pub mod html;
pub mod human;
pub mod json;
pub mod link;
pub mod markdown;
pub mod metadata;
pub mod outdated;
pub mod package_graph;
pub mod pairing;
pub mod patch_audit;
mod percent_encoding;
pub mod phrase;
pub mod placed;
pub mod plan;
pub mod refs;
pub mod release;
pub mod sbom;
pub mod shipped;
pub mod status;
pub mod support;
pub mod version_step;
pub mod why;

pub use change::Change;
pub use compare::compare;
pub use diff::Diff;
pub use host::Hosts;
pub use release::Release;
