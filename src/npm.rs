//! npm's world: [`registry`] asks and downloads, [`range`] reads its version ranges.

pub mod range;
pub mod registry;
