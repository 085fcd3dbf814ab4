//! yarn's formats: [`lockfile`] reads a `yarn.lock` of any yarn, [`locator`] the packages it resolves to, [`platform`]
//! the conditions under which they are installed.

pub mod lockfile;

pub mod locator;

pub mod platform;
