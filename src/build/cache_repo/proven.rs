//! What is known of a package, from the bytes of its archive alone: nothing that somebody else says of it is believed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use crate::build::artefact::PackageRecord;
use crate::build::build_info;
use crate::build::file_list::HashedFiles;
use crate::build::plugins_yaml::{CONFIG_FILES, config_map};
use crate::image::limits::{LARGE_FILE, LargeFile, MAX_FILE};
use crate::lock::{Integrity, Sealed};

/// The record of an archive that is the one of `said`, with all that the archive says itself; or why it is not.
///
/// The plugin's own configuration is no part of a package: it is what is sealed of it, or what the archive has, unless the
/// record is trusted.
pub(super) fn record(
    said: &PackageRecord,
    archive: &Path,
    sealed: Option<&Sealed>,
    is_trusted: bool,
) -> Result<PackageRecord, String> {
    let unreadable = |error: std::io::Error| format!("its archive cannot be read: {error}");
    let mut file = File::open(archive).map_err(unreadable)?;
    if Integrity::of_reader(&mut file).map_err(unreadable)? != said.packed.tgz {
        return Err("its archive is another one".to_owned());
    }
    // What is read now has the digest that is sealed, or was signed.
    let found = Found::read(archive).map_err(unreadable)?;
    let package_json = found.package_json.ok_or("its archive has no `package.json`")?;
    let manifest: Map<String, Value> =
        serde_json::from_slice(&package_json).map_err(|error| format!("its `package.json` cannot be read: {error}"))?;
    let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let has = || found.configs.iter().find_map(|bytes| config_map(bytes.as_deref()?));
    let has = || has().and_then(|value| yaml_serde::to_string(&value).ok());
    let is_sealed = said.config_digest() == sealed.and_then(|sealed| sealed.config);
    if !is_trusted && !is_sealed && said.config != has() {
        return Err(
            "its configuration for RHDH is not what the lock has sealed, and no trusted key has signed it".into()
        );
    }
    let mut packed = said.packed.clone();
    packed.tgz_len = std::fs::metadata(archive).map_err(unreadable)?.len();
    packed.files = found.files;
    packed.large = found.large;
    Ok(PackageRecord {
        name: text("name"),
        version: text("version"),
        package_json: String::from_utf8_lossy(&package_json).into_owned(),
        packed,
        closure: said.closure.clone(),
        files: found.hashed.list().to_text(),
        timed: found.timed,
        config: said.config.clone(),
    })
}

/// What one pass over an archive finds.
#[derive(Default)]
struct Found {
    package_json: Option<Vec<u8>>,
    hashed: HashedFiles,
    files: usize,
    large: Vec<LargeFile>,
    timed: Option<String>,
    /// By [`CONFIG_FILES`].
    configs: [Option<Vec<u8>>; CONFIG_FILES.len()],
}

impl Found {
    fn read(archive: &Path) -> std::io::Result<Self> {
        let mut found = Self::default();
        let mut tar = tar::Archive::new(GzDecoder::new(File::open(archive)?));
        for entry in tar.entries()? {
            let mut entry = entry?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(path) = path.strip_prefix("package/").filter(|_| entry.header().entry_type().is_file()) else {
                continue;
            };
            let is_executable = entry.header().mode()? & 0o111 != 0;
            let mut bytes = Vec::new();
            // None is larger: no RHDH could install it.
            entry.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            found.add(path, is_executable, bytes);
        }
        Ok(found)
    }

    fn add(&mut self, path: &str, is_executable: bool, bytes: Vec<u8>) {
        self.files += 1;
        self.hashed.add(path, is_executable, &bytes);
        if self.timed.is_none() && build_info::is_bundle(path) && build_info::has_build_info(&bytes) {
            self.timed = Some(path.to_owned());
        }
        let size = bytes.len() as u64;
        if size > LARGE_FILE {
            self.large.push(LargeFile { path: path.to_owned(), size });
        }
        if path == "package.json" {
            self.package_json = Some(bytes);
        } else if let Some(place) = CONFIG_FILES.iter().position(|name| *name == path) {
            self.configs[place] = Some(bytes);
        }
    }
}
