//! `factory` pins, builds, publishes and audits the dynamic plugins of Red Hat Developer Hub (RHDH).
//!
//! The data flow:
//!
//! ```text
//! Config --resolve--> Lock --build--> Artefacts --image--> Digests        audit: questions about locks
//! ```
//!
//! [`config`] reads what the user wrote; [`resolve`] is the only stage that asks "what is newest?" and turns it
//! into pins; [`lock`] is the text those pins are kept in; [`build`] replays a lock; [`image`] makes and pushes
//! the bytes that RHDH installs; [`audit`] answers questions about locks.
//!
//! Below them: [`tools`] pins and provides node, npm, yarn and rhdh-cli, [`overlay`] lays patches and overlays over a
//! source, [`sandbox`] runs third-party code, [`store`] is the cache, [`npm`] and [`yarn`] read the formats of others,
//! [`parallel`], [`interrupt`], [`tls`], [`answer`], [`ui`], [`timeline`], [`html`], [`error`] and [`user_file`] are for
//! all; [`cli`] is the command line, and `fuzzing`, above it, is for fuzz targets. Each module uses only modules that stand
//! below it in the list that `tests/it/architecture.rs` checks.

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub mod cli;

pub mod audit;

pub mod resolve;

pub mod build;

pub mod config;

pub mod tools;

pub mod overlay;

pub mod sandbox;

pub mod image;

pub mod store;

pub mod npm;
pub mod yarn;

pub mod lock;

pub mod answer;
pub mod error;
pub mod html;
pub mod interrupt;
pub mod parallel;
pub mod proxy;
pub mod timeline;
pub mod tls;
pub mod ui;
pub mod user_file;

pub use error::{Error, Result};
