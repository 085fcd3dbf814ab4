//! Which known advisories are about what is shipped, and what the smallest change is that helps.
//!
//! Advisories come from OSV records ([`osv`], read by [`osv_files`]) or from the npm registry ([`bulk`]), as [`Advisory`]s
//! with the [`versions`] they are about. [`find`] looks for them in what is shipped and makes an [`AuditReport`]
//! ([`report`]), with what to change ([`remedy`]) and without what a list of ignored ones has ([`ignored`]). [`text`],
//! [`table`], [`sarif`] and [`vex`] show it.

pub mod advisory;
pub mod bulk;
pub mod find;
pub mod ignored;
pub mod osv;
pub mod osv_files;
pub mod remedy;
pub mod report;
pub mod sarif;
pub mod severity;
pub mod table;
pub mod text;
pub mod versions;
pub mod vex;

pub use advisory::Advisory;
pub use find::AuditEvidence;
pub use ignored::IgnoreList;
pub use report::AuditReport;
pub use severity::AdvisorySeverity;
