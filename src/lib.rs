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
//! the bytes that RHDH installs; [`audit`] compares locks. [`store`] is the cache they share, [`ui`] and
//! [`error`] how they talk, [`cli`] the command line.
//!
//! `build` and `image` never import `config` or `resolve`: what they need is in the lock.

pub mod cli;
pub mod error;
pub mod ui;

pub mod config;
pub mod resolve;

pub mod lock;

pub mod build;
pub mod image;

pub mod audit;

pub mod store;

pub use error::{Error, Result};
