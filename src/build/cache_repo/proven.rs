//! What is known of a package, from the bytes of its archive alone: nothing that somebody else says of it is believed.

use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value};

use crate::build::artefact::PackageRecord;
use crate::build::packed_archive::PackedArchive;
use crate::build::plugins_yaml::config_map;
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
    let found = PackedArchive::read(File::open(archive).map_err(unreadable)?).map_err(unreadable)?;
    let package_json = found.package_json.ok_or("its archive has no `package.json`")?;
    let manifest: Map<String, Value> =
        serde_json::from_slice(&package_json).map_err(|error| format!("its `package.json` cannot be read: {error}"))?;
    let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let has = || found.configs.iter().find_map(|bytes| config_map(bytes.as_deref()?));
    let has = || has().and_then(|value| yaml_serde::to_string(&value).ok());
    // A seal without one may be of an earlier version, which sealed none: then the archive says more.
    let is_known = match sealed.and_then(|sealed| sealed.config) {
        Some(config) => said.config_digest() == Some(config),
        None => said.config == has(),
    };
    if !is_trusted && !is_known {
        return Err(
            "its configuration for RHDH is not what the lock has sealed, and no trusted key has signed it".into()
        );
    }
    // What the archive's maps name is not compared: names without versions are no proof.
    let is_bundle_known = is_trusted || sealed.is_some_and(|sealed| sealed.bundle == said.bundle_digest());
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
        bundle: said.bundle.clone().filter(|_| is_bundle_known),
        files: found.list.to_text(),
        timed: found.timed,
        config: said.config.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::plugins_yaml::CONFIG_FILES;
    use crate::image::{self, Compression, Content, ImagePath, PackageFile, PackageFiles, Packing};
    use crate::lock::Sha256;

    /// Whether a record with this configuration is believed of an archive that has the other one.
    fn is_believed(said: Option<&str>, archived: Option<&str>, sealed: Option<&str>, is_trusted: bool) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let (archive, layer) = (dir.path().join("archive"), dir.path().join("layer"));
        let package_json = r#"{"name":"@x/a-dynamic","version":"1.0.0"}"#;
        let files = [("package.json", Some(package_json)), (CONFIG_FILES[0], archived)].into_iter();
        let files = files.filter_map(|(path, text)| {
            let content = Content::Bytes(text?.as_bytes().to_vec());
            Some(PackageFile { path: path.to_owned(), executable: false, content })
        });
        let path = ImagePath::of_package("@x/a-dynamic").unwrap();
        let packing = Packing { path: &path, epoch: 0, compression: Compression::Gzip };
        let packed = image::pack(&PackageFiles::new(files.collect()).unwrap(), &packing, &archive, &layer).unwrap();
        let (tgz, layer) = (packed.tgz, packed.diff_id);
        let config = sealed.map(Sha256::of);
        let seal = Sealed { closure: None, bundle: None, tgz, image: Sha256::of("image"), layer, config, root: None };
        let said = PackageRecord {
            name: "@x/a-dynamic".into(),
            version: "1.0.0".into(),
            package_json: package_json.into(),
            packed,
            closure: None,
            bundle: None,
            files: String::new(),
            timed: None,
            config: said.map(str::to_owned),
        };
        record(&said, &archive, Some(&seal), is_trusted).is_ok()
    }

    #[test]
    fn a_configuration_is_that_of_the_seal_else_that_of_the_archive() {
        let (own, other) = (Some("a: 1\n"), Some("b: 2\n"));
        for (said, archived, sealed) in [(own, None, own), (own, other, own), (own, own, None), (None, None, None)] {
            assert!(is_believed(said, archived, sealed, false), "{said:?} {archived:?} {sealed:?}");
        }
        let lies = [(other, None, own), (None, own, own), (None, None, own), (other, own, None), (own, None, None)];
        // A seal of an earlier version: what the archive has cannot be left out.
        for (said, archived, sealed) in lies.into_iter().chain([(None, own, None)]) {
            assert!(!is_believed(said, archived, sealed, false), "{said:?} {archived:?} {sealed:?}");
            assert!(is_believed(said, archived, sealed, true), "{said:?} {archived:?} {sealed:?}");
        }
    }
}
