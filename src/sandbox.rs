//! How third-party code runs: [`probe`](mod@probe) finds out what the machine allows, [`root`] describes the file system
//! that code sees, [`enter`] enters it (`mounts` makes it, `confine` takes every privilege away), [`env`](mod@env) is its
//! environment ([`proxy_login`] keeps the login of a proxy out of it), and [`child`] runs it, into a
//! [`log`].

pub mod child;
mod confine;
pub mod enter;
pub mod env;
pub mod held_overlay;
pub mod log;
mod mounts;
pub mod probe;
pub mod proxy_login;
pub mod root;
mod user_namespace;
