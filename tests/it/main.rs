//! The quick tests: no network and no Node.js.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::print_stderr,
    reason = "tests"
)]

use std::process::ExitCode;

mod another_folder;
mod architecture;
mod audit;
mod audit_patch;
mod bad_plugin;
mod build_args;
mod cli_tree;
mod config_from;
mod confined;
mod diff;
mod diff_arrivals;
mod diff_page;
mod diff_release_notes;
mod diff_support;
mod docs;
mod editors;
mod effective;
mod env_file;
mod errors;
mod forwarder;
mod git_program;
mod git_remote;
mod host;
mod hostile;
mod init;
mod interrupted;
mod local_first;
mod misled;
mod named_files;
mod npmrc;
mod oci;
mod odd_repository;
mod one_pin;
mod original;
mod own_args;
mod proxy_login;
mod read_only;
mod resolve;
mod rhdh_cli;
mod sbom;
mod schema;
mod stale;
mod status;
mod terminal;
mod timings;
mod tls;
mod truth;
mod unlisted;
mod unused_files;
mod why;
mod yarn_zips;

fn main() -> ExitCode {
    if let Ok(url) = std::env::var("CHILD_URL") {
        git_remote::child(&url);
        return ExitCode::SUCCESS;
    }
    harness::run(harness::Built {
        program: env!("CARGO_BIN_EXE_factory"),
        tmp: env!("CARGO_TARGET_TMPDIR"),
        waiting: 6,
    })
}
