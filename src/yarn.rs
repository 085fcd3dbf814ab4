//! yarn's formats: [`lockfile`] reads a `yarn.lock`, [`platform`] its conditions.

pub mod lockfile;
pub mod platform;
