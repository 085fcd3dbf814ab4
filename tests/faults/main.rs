//! What kills, full disks, wrong bits, scripts and lying repositories do to a build: minutes, but no network and no Node.js.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::print_stderr,
    reason = "tests"
)]

use std::process::ExitCode;

mod apart;
mod cache_keys;
mod cache_repo;
mod claims;
mod flipped;
mod full_disk;
mod git_local;
mod git_memory;
mod joins;
mod layers;
mod left_behind;
mod reads;
mod soak;
mod types;
mod user_files;

fn main() -> ExitCode {
    harness::run(harness::Built {
        program: env!("CARGO_BIN_EXE_factory"),
        tmp: env!("CARGO_TARGET_TMPDIR"),
        waiting: 6,
    })
}
