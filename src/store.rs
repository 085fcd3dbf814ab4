//! The cache: git repositories, tools, packages. Entries are whole or absent.

pub mod npm;
