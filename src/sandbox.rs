//! How third-party code runs: [`probe`](mod@probe) finds out what the machine allows, [`root`] describes the file system
//! that code sees, [`enter`] enters it, [`env`](mod@env) is its environment (`proxy_login`
//! keeps the login of a proxy out of it), and [`child`] runs it.

pub mod child;
pub mod enter;
pub mod env;
pub mod probe;
mod proxy_login;
pub mod root;
