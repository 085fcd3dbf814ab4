//! What is known of a layer beside the folders that it shows: `layer.json` in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place;
use crate::build::opened_files::{Opened, OpenedPaths};
use crate::build::packages::unpinned::Unpinned;
use crate::build::report::InstallScripts;
use crate::error::{Error, Result};
use crate::lock::Sha256;
use crate::store::{LeftKind, UntrustedTree};

/// The record, the folders that are shown, and the files that are copied, in a layer.
const RECORD: &str = "layer.json";
pub(super) const TREE: &str = "tree";
pub(super) const FILES: &str = "files";
/// The largest file whose content is compared, in bytes.
const LARGEST: u64 = 512 << 20;

/// What an installation made of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct LayerRecord {
    /// Folders of the layer's tree, from the source.
    pub(super) folders: Vec<String>,
    /// What lies elsewhere; folders before what is in them.
    pub(super) laid: Vec<LaidPath>,
    /// Files of the source that have another mode.
    pub(super) modes: BTreeMap<String, u32>,
    /// What of the source was opened, with a digest of it; each must be the same where the layer is used.
    pub(super) opened: BTreeMap<String, String>,
    /// The packages without a checksum, as `packages.sha512` has them.
    pub(super) unpinned: String,
    pub(super) install_scripts: InstallScripts,
}

/// A path that is made in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct LaidPath {
    pub(super) path: String,
    pub(super) content: LaidContent,
}

/// What is made there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum LaidContent {
    Folder,
    Link {
        target: String,
    },
    File {
        /// Its name below the layer's `files`.
        name: String,
        mode: u32,
    },
}

impl LayerRecord {
    /// Reads that of a layer; none where it cannot be read.
    pub(super) fn read(layer: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(layer.join(RECORD)).ok()?).ok()
    }

    pub(super) fn write(&self, layer: &Path) -> Result<()> {
        let path = layer.join(RECORD);
        let text = serde_json::to_vec(self).map_err(|e| Error::io("write", &path)(e.into()))?;
        fs::write(&path, text).map_err(Error::io("write", &path))
    }

    /// What tells the layers of one key apart.
    pub(super) fn variant(&self) -> String {
        let text: String =
            self.opened.iter().flat_map(|(path, digest)| [path, " ", digest, "\n"].map(str::to_owned)).collect();
        Sha256::of(text + &self.unpinned).hex()[..16].to_owned()
    }

    pub(super) fn unpinned(&self) -> Unpinned {
        Unpinned::parse(&self.unpinned)
    }

    /// What of the source was opened.
    pub(super) fn opened(&self) -> Opened {
        Opened::Some(OpenedPaths { files: self.opened.keys().cloned().collect(), ..OpenedPaths::default() })
    }

    /// Whether the installation would make the same of this source: what it opened is the same, and where it wrote nothing
    /// lies.
    pub(super) fn fits(&self, source: &UntrustedTree) -> bool {
        let is_free = |path: &str| source.kind(Path::new(path)).is_none();
        self.folders.iter().all(|folder| is_free(folder))
            && self.laid.iter().all(|laid| is_free(&laid.path))
            && self.modes.keys().all(|path| source.kind(Path::new(path)) == Some(LeftKind::File))
            && self.opened.iter().all(|(path, digest)| digest_at(source, path) == *digest)
    }

    /// Makes the source what it was after the installation, with empty folders where those of the layer are shown.
    pub(super) fn lay(&self, layer: &Path, source: &UntrustedTree) -> Result<()> {
        for folder in &self.folders {
            source.make_folder(Path::new(folder))?;
        }
        for LaidPath { path, content } in &self.laid {
            let path = Path::new(path);
            match content {
                LaidContent::Folder => source.make_folder(path)?,
                LaidContent::Link { target } => source.link(path, target)?,
                LaidContent::File { name, mode } => {
                    let from = layer.join(FILES).join(name);
                    source.write(path, &fs::read(&from).map_err(Error::io("read", &from))?, *mode)?;
                }
            }
        }
        for (path, mode) in &self.modes {
            let file = source.open_file(Path::new(path))?;
            file.set_permissions(fs::Permissions::from_mode(*mode))
                .map_err(Error::io("write", &PathBuf::from(path)))?;
        }
        Ok(())
    }
}

/// A digest of a file's content, of the names in a folder or of what a link leads to.
pub(super) fn digest_at(source: &UntrustedTree, path: &str) -> String {
    let at = place(path);
    let digest = match source.kind(at) {
        Some(LeftKind::File) => source.read(at, LARGEST).map(|bytes| format!("file {}", Sha256::of(bytes))).ok(),
        Some(LeftKind::Folder) => {
            source.entries(at).ok().map(|entries| digest_of_names(entries.iter().map(|(it, _)| &**it)))
        }
        // What is opened through it stands for itself.
        Some(LeftKind::Link) => Some("link".to_owned()),
        Some(LeftKind::Special) | None => None,
    };
    digest.unwrap_or_else(|| "nothing".to_owned())
}

/// A digest of the sorted names in a folder.
pub(super) fn digest_of_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let text: String = names.flat_map(|name| [name, "\n"]).collect();
    format!("folder {}", Sha256::of(text))
}
