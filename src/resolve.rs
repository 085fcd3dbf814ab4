//! resolve
pub mod discover;
