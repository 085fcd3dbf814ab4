//! `factory` pins, builds, publishes and audits the dynamic plugins of Red Hat Developer Hub (RHDH).
//!
//! The modules, read in this order, are the data flow:
//!
//! ```text
//! Config --resolve--> Lock --build--> Artifacts --image--> Digests        audit: questions about locks
//! ```
//!
//! [`config`] reads what the user wrote; [`resolve`] is the only stage that asks "what is newest?" and turns it
//! into pins; [`lock`] is the text those pins are kept in; [`build`] replays a lock; [`image`] makes and pushes
//! the bytes that RHDH installs; [`audit`] compares locks.
//!
//! Below them: [`tools`] pins and provides node, npm, yarn and rhdh-cli, [`sandbox`] runs third-party code, [`store`] is
//! the cache, [`npm`] and [`yarn`] read the formats of others, [`parallel`], [`interrupt`], [`ui`] and [`error`] are for
//! all; [`cli`] is the command line. Each uses only what stands below it here, which `tests/it/architecture.rs` holds.

pub mod cli;

pub mod audit;

pub mod resolve;

pub mod build;

pub mod config;

pub mod tools;

pub mod sandbox;

pub mod image;

pub mod store;

pub mod npm;
pub mod yarn;

pub mod lock;

pub mod error;
pub mod interrupt;
pub mod parallel;
pub mod ui;

pub use error::{Error, Result};
