//! The quick tests: no network and no Node.js.

#![allow(clippy::unwrap_used, clippy::format_push_string, clippy::print_stderr, reason = "tests")]

mod architecture;
mod build_args;
mod diff;
mod docs;
mod errors;
mod flipped;
mod git_local;
mod git_remote;
mod original;
mod resolve;
mod sbom;
mod schema;
mod status;
