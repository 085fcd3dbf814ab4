//! resolve

pub mod build_args;
pub mod graph;
pub mod host;
pub mod npm_range;
pub mod yarn_lock;
