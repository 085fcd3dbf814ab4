//! What the tests and benches of factory share.

pub mod cache;
pub mod docker_registry;
pub mod git_server;
pub mod lockfile;
pub mod npm_registry;
pub mod package;
pub mod place;
pub mod program;
pub mod proxy;
pub mod releases;
pub mod repository;
pub mod workspace;
