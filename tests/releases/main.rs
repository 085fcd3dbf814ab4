//! What builds keep of one another: of other commits, merges, shards and partial runs. No network and no Node.js, but
//! several builds a test.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::print_stderr,
    reason = "tests"
)]

use std::process::ExitCode;

mod at_revision;
mod attached;
mod check_refs;
mod content;
mod hostile_shards;
mod joined;
mod labels;
mod lock_merge;
mod partial;
mod plan;
mod shards;

fn main() -> ExitCode {
    harness::run(harness::Built {
        program: env!("CARGO_BIN_EXE_factory"),
        tmp: env!("CARGO_TARGET_TMPDIR"),
        waiting: 6,
    })
}
