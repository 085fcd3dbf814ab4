//! yarn's formats: [`lockfile`] reads a `yarn.lock` of any yarn, [`locator`] the packages it resolves to, [`platform`]
//! the conditions under which they are installed; [`graph`] is who depends on what, by lockfile and `package.json` files.
//! [`package_zip`] makes what yarn keeps of a package.

pub mod graph;

pub mod lockfile;

pub mod locator;

pub mod platform;

pub mod package_zip;

/// What yarn keeps in the folder `.yarn` for itself: packages, which its lockfile has checksums of, and its notes.
pub const KEPT_BY_YARN: [&str; 4] = ["build-state.yml", "cache", "install-state.gz", "unplugged"];
