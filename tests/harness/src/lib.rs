//! What the tests and benches of factory share: the runner of tests, and what they are given to work on.
//!
//! `#[harness::test]` stands where `#[test]` would. A test that runs a program says so by [`needs`], or uses a part of
//! this crate that does: on a machine without that program it is skipped, and named at the end of the run together
//! with the Debian package that has it. `FACTORY_TEST_STRICT=1` makes a skipped test a failed one.

pub mod certificate;
pub mod docker_registry;
pub mod git_server;
pub mod http;
pub mod lockfile;
pub mod measured;
pub mod npm_configuration;
pub mod npm_registry;
pub mod oci_registry;
pub mod package;
pub mod package_metadata;
pub mod program;
pub mod proxy;
pub mod releases;
pub mod repository;
mod run;
pub mod schema;
pub mod shards;
mod skip;
pub mod two_workspaces;
pub mod workspace;

pub use factory_harness_macros::test;
// For what `test` expands to.
pub use inventory;
pub use run::{Built, Case, Kind, program, project, run, run_folder, tmp};
pub use skip::{needs, needs_folder, needs_npm_registry, needs_root, skip, skip_without};
