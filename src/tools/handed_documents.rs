//! The registry's documents that npm gets handed while it resolves, in a folder that it sees: a script that it loads, and
//! a file that grows.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::npm::forwarder::RegistryForwarder;
use crate::npm::registry::NpmRegistry;
use crate::npm::resolve_documents;
use crate::store::Scratch;

const SCRIPT: &str = include_str!("npm_documents.cjs");
/// As many bytes are handed out at most; rhdh-cli takes 50 MB.
const MOST_BYTES: u64 = 2 << 30;

/// A folder with documents for one run of npm.
pub(super) struct HandedDocuments<'a> {
    folder: Scratch,
    forwarder: Option<&'a RegistryForwarder>,
}

impl<'a> HandedDocuments<'a> {
    /// Writes the script, and no documents yet.
    pub fn create(folder: Scratch, forwarder: Option<&'a RegistryForwarder>) -> Result<Self> {
        let handed = Self { folder, forwarder };
        let script = handed.preload();
        fs::write(&script, SCRIPT).map_err(Error::io("write", &script))?;
        File::create(handed.file()).map_err(Error::io("create", &handed.file()))?;
        Ok(handed)
    }

    /// The script that npm loads.
    pub fn preload(&self) -> PathBuf {
        self.folder.path().join("preload.cjs")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("documents")
    }

    /// Fetches what resolving a version of `package` may take. Whatever fails, npm asks for the rest, and says why it
    /// cannot have it.
    pub async fn fill(&self, registry: &NpmRegistry, package: (&str, &str), node: &str) {
        let Ok(mut file) = File::options().append(true).open(self.file()) else { return };
        let mut total = 0;
        let hand = |name: &str, document: Vec<u8>| {
            let document = match self.forwarder {
                Some(forwarder) => forwarder.document(name, &document),
                None => document,
            };
            total += document.len() as u64;
            if total > MOST_BYTES {
                return Err(Error::network("the npm registry's documents are too large", ""));
            }
            let line = [name.as_bytes(), b" ", &document, b"\n"].concat();
            file.write_all(&line).map_err(Error::io("write", &self.file()))
        };
        if let Err(error) = resolve_documents::fetch(registry, package, node, hand).await {
            tracing::debug!("npm asks for the rest of the documents itself: {error}");
        }
        // A line that was cut short by a full disk is no document: npm's end of it is the next line's.
        let _ = file.write_all(b"\n\n");
    }
}
