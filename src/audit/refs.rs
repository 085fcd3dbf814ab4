//! `factory check-refs`: what lists of plugins refer to, held against registries, files and the lock.
//!
//! In the order of the data: [`listed`] takes the references out of a file, [`entry`]
//! says of what kind each is, [`asked`] asks registries for the images, `integrity` reads checksums of archives,
//! [`check`](mod@check) finds the faults, `sealed` those against a lock, and [`report`] says them.

pub mod asked;
pub mod check;
pub mod entry;
mod integrity;
pub mod listed;
pub mod report;
mod sealed;

pub use asked::{AskedImages, ImageKey};
pub use check::{RefRules, check};
pub use entry::images;
pub use listed::RefFile;
pub use report::RefsReport;
