//! What reads bytes of others, each as a function that panics if it does: the fuzz targets of `fuzz/`, whose corpora are
//! a test here.
//!
//! A reader may refuse what it is given. What it takes has to be what it promises: a lock that is written again is the
//! same lock, an archive leaves its folder alone, the text of a repository has no login.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use url::Url;

use crate::audit::closure;
use crate::audit::metadata::MetadataFiles;
use crate::build::bundle;
use crate::build::checks;
use crate::build::packages::unpinned::Unpinned;
use crate::config::env::dotenv;
use crate::config::source_json::SourceJson;
use crate::config::{PluginsList, Repo, Versions, text};
use crate::error::redact;
use crate::image::mf_types;
use crate::image::push::fuzzing as push;
use crate::lock::bundle::Bundle;
use crate::lock::{Lock, is_relative};
use crate::npm::package_facts::{PackageFacts, VersionFacts};
use crate::npm::packument::Packument;
use crate::npm::range::NpmRange;
use crate::npm::settings::NpmSettings;
use crate::npm::tarball;
use crate::overlay::patch::PatchText;
use crate::resolve::discover::discover;
use crate::yarn::graph::{Manifests, PackageJson};
use crate::yarn::lockfile::YarnLock;
use crate::yarn::package_zip::{self, ZipCompression};

/// A reader of bytes.
pub type ForeignReader = fn(&[u8]);

/// Every reader, by the name of its fuzz target.
pub const READERS: [(&str, ForeignReader); 21] = [
    ("app-config", app_config),
    ("auth-file", push::auth_file),
    ("dotenv", dotenv),
    ("library", checks::read_library),
    ("lock", lock),
    ("manifest", push::manifest),
    ("mf-types", mf_types),
    ("npmrc", npmrc),
    ("package-json", package_json),
    ("package-lock", package_lock),
    ("package-metadata", package_metadata),
    ("packument", packument),
    ("patch", patch),
    ("plugins-list", plugins_list),
    ("repository", repository),
    ("source-json", source_json),
    ("source-map", bundle::read_map),
    ("tarball", tarball),
    ("token", push::token),
    ("versions-json", versions_json),
    ("yarn-lock", yarn_lock),
];

/// Calls the reader of that name.
///
/// # Panics
/// If there is none, or if it has a fault.
pub fn read(name: &str, bytes: &[u8]) {
    let (_, reader) = READERS.iter().find(|(known, _)| *known == name).expect("no reader of that name");
    reader(bytes);
}

/// Bytes as text, as files of the configuration are read.
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The configuration of a plugin.
fn app_config(bytes: &[u8]) {
    let _ = text::yaml_map(Path::new("app-config.yaml"), as_text(bytes));
}

/// A `.env` file.
fn dotenv(bytes: &[u8]) {
    let text = as_text(bytes);
    let (bindings, broken) = dotenv::parse(text);
    let lines = text.split(['\r', '\n']).count();
    assert!(bindings.iter().map(|binding| binding.line).chain(broken).all(|line| (1..=lines).contains(&line)));
    for value in bindings.iter().filter_map(|binding| binding.value.as_deref()) {
        dotenv::expand(value, |name| (name != "x").then(|| name.to_owned()));
    }
}

/// A `factory.lock`.
fn lock(bytes: &[u8]) {
    let path = Path::new("factory.lock");
    if let Ok(lock) = Lock::from_text(as_text(bytes), path) {
        let text = lock.to_text();
        let again = Lock::from_text(&text, path).expect("what is written can be read");
        assert_eq!(again.to_text(), text);
    }
}

/// The archive of type declarations that module federation makes.
fn mf_types(bytes: &[u8]) {
    let once = mf_types::normalise(bytes.to_vec());
    assert_eq!(once.len(), bytes.len());
    assert_eq!(mf_types::normalise(once.clone()), once);
}

/// An `.npmrc`.
fn npmrc(bytes: &[u8]) {
    let settings = NpmSettings::of_text(as_text(bytes));
    let _ = (settings.scopes(), settings.login_of_no_registry(), settings.checks_certificates());
    let registry = settings.registry().and_then(|text| Url::parse(text).ok());
    for url in registry.into_iter().chain(Url::parse("https://npm.example.com/a/b/")) {
        let _ = (settings.login(&url), settings.has_login_at(&url));
    }
}

/// A `package.json` of a source.
fn package_json(bytes: &[u8]) {
    let files = [(".".to_owned(), bytes.to_vec()), ("plugins/a".to_owned(), bytes.to_vec())].into();
    discover(&files);
    let lock = YarnLock::parse(b"# yarn lockfile v1\n", Path::new("yarn.lock")).expect("a lockfile of nothing");
    let _ = Manifests::parse(&lock, &files);
    if let Ok(manifest) = PackageJson::parse(bytes, Path::new("package.json")) {
        for (_, range, _) in manifest.production() {
            let _ = NpmRange::parse(range).and_then(|range| range.min_version());
        }
    }
}

/// What lies beside a lock: the tree of the CLI, the lists of packages.
fn package_lock(bytes: &[u8]) {
    let _ = closure::of_package_lock(bytes, Path::new("package-lock.json"));
    let listed = Unpinned::parse(as_text(bytes));
    assert_eq!(Unpinned::parse(&listed.to_text()), listed);
    if let Ok(bundle) = Bundle::parse(as_text(bytes)) {
        assert_eq!(Bundle::parse(&bundle.to_text()), Ok(bundle));
    }
}

/// What the export repository says of a package: no text of it is long.
fn package_metadata(bytes: &[u8]) {
    let found = MetadataFiles::of_file("a.yaml", bytes);
    let texts = found.packages.iter().flat_map(|package| [Some(&package.package), package.support.as_ref()]);
    assert!(texts.flatten().all(|text| text.chars().count() <= 301));
}

/// The document of a package in an npm registry.
fn packument(bytes: &[u8]) {
    VersionFacts::of_manifest(bytes);
    let _ = PackageFacts::of_document(bytes, &["1.0.0".to_owned()].into());
    let Ok(document) = serde_json::from_slice::<Packument>(bytes) else { return };
    document.newest(|_| true);
    for version in document.versions.keys() {
        document.integrity(version);
    }
    for range in document.dist_tags.values().filter_map(|text| NpmRange::parse(text)) {
        document.newest(|version| range.allows(version));
    }
}

/// A patch: what it touches lies beneath the workspace.
fn patch(bytes: &[u8]) {
    assert!(PatchText::parse(bytes).touched().all(|path| is_relative(&path)));
}

/// A `plugins-list.yaml`.
fn plugins_list(bytes: &[u8]) {
    if let Ok(list) = PluginsList::parse(as_text(bytes), Path::new("plugins-list.yaml")) {
        assert!(list.entries.iter().all(|entry| is_relative(&entry.path)));
    }
}

/// The text of a repository: no login is left of it, however often it is taken out.
fn repository(bytes: &[u8]) {
    // What begins with slashes alone is a path.
    if let Ok(repo) = Repo::parse(as_text(bytes).trim().trim_start_matches('/')) {
        let public = repo.public();
        assert_eq!(redact::repository(&public), public);
        let _ = repo.name();
    }
}

/// A `source.json`.
fn source_json(bytes: &[u8]) {
    if let Ok(source) = SourceJson::parse(as_text(bytes), Path::new("source.json")) {
        let _ = source.effective_path("x", true);
        repository(source.repo.with_credentials().as_bytes());
    }
}

/// The tar of a package, which is packed here: nothing is written beside its folder, nor has yarn's zip anything else.
fn tarball(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let (archive, to) = (dir.path().join("package.tgz"), dir.path().join("to"));
    fs::create_dir(&to).expect("a folder");
    let mut packed = GzEncoder::new(fs::File::create(&archive).expect("a file"), Compression::none());
    packed.write_all(bytes).and_then(|()| packed.finish().map(drop)).expect("a file");
    let _ = tarball::unpack(&archive, "a@1.0.0", &to);
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
    let packed = fs::read(&archive).expect("a file");
    for compression in [ZipCompression::Stored, ZipCompression::Mixed] {
        let Ok(zip) = package_zip::of_tarball(&packed[..], "a", compression) else { continue };
        let mut zip = zip::ZipArchive::new(Cursor::new(zip)).expect("an archive");
        for at in 0..zip.len() {
            let entry = zip.by_index_raw(at).expect("an entry");
            let name = entry.name().expect("a name").into_owned();
            assert!(name == "node_modules/" || name.starts_with("node_modules/a/"), "{name}");
            assert!(is_relative(name.trim_end_matches('/')), "{name}");
        }
    }
}

/// A `versions.json`.
fn versions_json(bytes: &[u8]) {
    let _ = Versions::parse(as_text(bytes), Path::new("versions.json"));
}

/// A `yarn.lock` of any yarn.
fn yarn_lock(bytes: &[u8]) {
    let Ok(lock) = YarnLock::parse(bytes, Path::new("yarn.lock")) else { return };
    let _ = lock.workspace_paths();
    for entry in &lock.entries {
        let _ = (entry.name(), entry.workspace_path(), entry.is_from_registry(), entry.is_from_folder());
        if let Some(locator) = entry.locator() {
            locator.cache_hash();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_corpus_makes_a_reader_panic() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for (name, reader) in READERS {
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "`{name}` is no fuzz target");
            let corpus: Vec<_> = fs::read_dir(fuzz.join("corpus").join(name)).unwrap().collect();
            assert!(!corpus.is_empty(), "`{name}` has no corpus");
            for file in corpus {
                reader(&fs::read(file.unwrap().path()).unwrap());
            }
        }
        assert_eq!(manifest.matches("[[bin]]").count(), READERS.len());
    }
}
