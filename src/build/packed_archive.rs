//! What is in the archive of a plugin, from its bytes alone: nothing that somebody else says of it is believed.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use sha2::Digest as _;

use super::build_info;
use super::file_list::{FileList, HashedFiles};
use super::plugins_yaml::CONFIG_FILES;
use crate::image::limits::{LARGE_FILE, LargeFile, MAX_FILE};
use crate::lock::Integrity;

/// The most bytes that are unpacked of an archive. What RHDH installs has a hundredth of it.
const MOST_BYTES: u64 = 16 << 30;
/// The most entries of an archive.
const MOST_FILES: usize = 1_000_000;

/// What one pass over an archive finds.
pub(super) struct PackedArchive {
    /// Of all of its bytes.
    pub(super) integrity: Integrity,
    pub(super) package_json: Option<Vec<u8>>,
    pub(super) list: FileList,
    pub(super) files: usize,
    pub(super) large: Vec<LargeFile>,
    /// The first bundle that carries the time of its build.
    pub(super) timed: Option<String>,
    /// By [`CONFIG_FILES`].
    pub(super) configs: [Option<Vec<u8>>; CONFIG_FILES.len()],
}

impl PackedArchive {
    /// Reads an archive to its end.
    pub(super) fn read(archive: impl Read) -> io::Result<Self> {
        let mut hashed = HashingReader { inner: archive, hasher: sha2::Sha512::new() };
        let mut found = ArchiveSoFar::default();
        let mut tar = tar::Archive::new(GzDecoder::new(&mut hashed).take(MOST_BYTES));
        for entry in tar.entries()? {
            found.entry(entry?)?;
        }
        drop(tar);
        io::copy(&mut hashed, &mut io::sink())?;
        let ArchiveSoFar { package_json, hashed: files_hashed, files, large, timed, configs, .. } = found;
        let integrity = Integrity::from_bytes(hashed.hasher.finalize().into());
        Ok(Self { integrity, package_json, list: files_hashed.list(), files, large, timed, configs })
    }
}

/// What was found so far.
#[derive(Default)]
struct ArchiveSoFar {
    entries: usize,
    package_json: Option<Vec<u8>>,
    hashed: HashedFiles,
    files: usize,
    large: Vec<LargeFile>,
    timed: Option<String>,
    configs: [Option<Vec<u8>>; CONFIG_FILES.len()],
}

impl ArchiveSoFar {
    fn entry(&mut self, mut entry: tar::Entry<'_, impl Read>) -> io::Result<()> {
        self.entries += 1;
        if self.entries > MOST_FILES {
            return Err(io::Error::other(format!("it has more than {MOST_FILES} files")));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(path) = path.strip_prefix("package/").filter(|_| entry.header().entry_type().is_file()) else {
            return Ok(());
        };
        let is_executable = entry.header().mode()? & 0o111 != 0;
        let mut bytes = Vec::new();
        // None is larger: no RHDH could install it.
        entry.by_ref().take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        self.add(path, is_executable, bytes);
        Ok(())
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

/// A reader that hashes what is read of it.
struct HashingReader<R> {
    inner: R,
    hasher: sha2::Sha512,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..got]);
        Ok(got)
    }
}
