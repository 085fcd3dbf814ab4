//! The tests with real programs: npm's registry, yarn, rhdh-cli, docker-registry, skopeo, buildah.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::print_stderr,
    reason = "tests"
)]

mod attach;
mod bundle;
mod cache;
mod cache_repo;
mod checks;
mod content;
mod effective;
mod example;
mod greeting;
mod image;
mod npm_ci;
mod npmrc;
mod original;
mod programs;
mod push;
mod registry_login;
mod reproducible;
mod sbom;

fn main() -> std::process::ExitCode {
    harness::run(harness::Built {
        program: env!("CARGO_BIN_EXE_factory"),
        tmp: env!("CARGO_TARGET_TMPDIR"),
        waiting: 6,
    })
}
