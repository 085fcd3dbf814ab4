//! npm's formats: `npmrc` says which [`registry`] is configured, which has documents and tarballs
//! ([`tarball`] unpacks them); [`range`] reads its version ranges.

mod npmrc;

pub mod registry;

pub mod tarball;

pub mod range;
