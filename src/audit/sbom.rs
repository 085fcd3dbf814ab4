//! What is in a release: bills of materials (`CycloneDX` 1.6, SPDX 2.3) and provenance (SLSA v1), from the lock and the
//! closures beside it.
//!
//! [`bill()`] reads what is in each plugin, its packages as a graph; each format is a view of that.
//! Documents are reproducible: their times are those of commits, their identifiers are made of their content.

mod bill;
pub(super) mod cyclonedx;
mod graph;
pub mod provenance;
pub(super) mod purl;
mod spdx;
pub(super) mod stamp;

use serde_json::Value;

use crate::error::Result;
pub use bill::{Bill, PluginBill, bill, bill_of};
pub use graph::BillPackage;
pub(super) use graph::DependencyEdges;

/// A kind of document.
#[allow(clippy::doc_markdown, reason = "the comments are shown as help")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DocumentFormat {
    /// CycloneDX 1.6, JSON
    #[value(alias = "cdx")]
    Cyclonedx,
    /// SPDX 2.3, JSON
    Spdx,
    /// SLSA v1 provenance in an in-toto statement
    Provenance,
}

impl DocumentFormat {
    /// The media type of its documents: the `artifactType` of an OCI referrer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Cyclonedx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
            Self::Provenance => "application/vnd.in-toto+json",
        }
    }

    /// The end of its files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Cyclonedx => "cdx.json",
            Self::Spdx => "spdx.json",
            Self::Provenance => "intoto.json",
        }
    }
}

/// A document, for a file or to be attached to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub format: DocumentFormat,
    /// Its bytes: JSON with a final newline.
    pub bytes: Vec<u8>,
}

impl Bill<'_> {
    /// The document of one kind: of the release, or of the plugin when `plugin` is one. `builder` is the URI of whoever
    /// builds, for provenance.
    pub fn document(&self, format: DocumentFormat, plugin: Option<usize>, builder: &str) -> Result<Document> {
        let value = match (format, plugin) {
            (DocumentFormat::Cyclonedx, None) => cyclonedx::release(self),
            (DocumentFormat::Cyclonedx, Some(index)) => cyclonedx::plugin(&self.of_plugin(index)),
            (DocumentFormat::Spdx, None) => spdx::release(self),
            (DocumentFormat::Spdx, Some(index)) => spdx::plugin(&self.of_plugin(index)),
            (DocumentFormat::Provenance, None) => provenance::statement(self, builder)?,
            (DocumentFormat::Provenance, Some(index)) => provenance::statement(&self.of_plugin(index), builder)?,
        };
        Ok(Document { format, bytes: bytes(&value) })
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}
