//! A registry's tarball as yarn 2 and later keep it: the zip that they make of it, to the byte.
//!
//! Only zips of yarn 4, of the cache keys in [`ZipCompression`]. The entries are in the order of the tarball, folders
//! where they are first met, and all have the same time. What yarn would make of anything unusual is not known here: it
//! is refused. Whoever takes a zip holds it to the checksum of a lockfile.

use std::collections::HashMap;
use std::io::{self, Read};
use std::num::TryFromIntError;

use flate2::Crc;
use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};
use zlib_rs::{DeflateConfig, ReturnCode, compress_bound, compress_slice};

use crate::npm::package_entries::PackageEntries;

/// How yarn 4 compresses the zips of its cache (its setting `compressionLevel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZipCompression {
    /// Not, which is the default.
    Stored,
    /// `mixed`: zlib's level 9, unless that makes nothing smaller.
    Mixed,
}

impl ZipCompression {
    /// That of zips with this cache key, as lockfiles and names of zips have it.
    pub fn of_key(key: &str) -> Option<Self> {
        [Self::Stored, Self::Mixed].into_iter().find(|compression| compression.key() == key)
    }

    /// The cache key: the version of yarn's zips, and the level where there is one.
    pub fn key(self) -> &'static str {
        match self {
            Self::Stored => "10c0",
            Self::Mixed => "10",
        }
    }
}

/// The most bytes that a tarball unpacks to; larger ones are yarn's.
const MOST_UNPACKED: u64 = 256 << 20;
/// The most entries: more of them make another format (zip64).
const MOST_ENTRIES: usize = 65_000;
/// The longest name of an entry.
const LONGEST_NAME: usize = 8 << 10;
/// The bytes of an entry beside its content and its names.
const HEADS: usize = 30 + 46;

/// 1984-06-22 21:50:00, the time of all that yarn packs.
const TIME: u16 = (21 << 11) + (50 << 5);
const DATE: u16 = (4 << 9) + (6 << 5) + 22;
/// Version 6.3 of the format, on Unix.
const MADE_BY: u16 = (3 << 8) + 63;
const UTF8_NAME: u16 = 1 << 11;
const LEVEL_9: u16 = 1 << 1;

/// What libzip compresses with.
const DEFLATE: DeflateConfig = DeflateConfig {
    level: 9,
    method: zlib_rs::Method::Deflated,
    window_bits: -15,
    mem_level: 9,
    strategy: zlib_rs::Strategy::Default,
};
/// What libzip reads at once: a file that ends in it and does not get smaller is stored.
const FIRST_READ: usize = 8192;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;

/// The zip of the package `name`, whose tarball this is.
pub fn of_tarball(tarball: impl Read, name: &str, compression: ZipCompression) -> io::Result<Vec<u8>> {
    let mut archive = Archive::new(MultiGzDecoder::new(tarball).take(MOST_UNPACKED));
    let mut entries = PackageEntries::of(&mut archive, MOST_ENTRIES)?;
    let mut zip = PackageZip::default();
    while let Some((raw, mut entry)) = entries.next_entry()? {
        let Some(inside) = inside(&raw)? else { continue };
        let path = format!("node_modules/{name}/{inside}");
        match entry.header().entry_type() {
            EntryType::Directory => {
                zip.add_folders_of(&path)?;
                zip.add_folder(&path)?;
            }
            EntryType::Regular if !raw.ends_with(b"/") => {
                let is_executable = entry.header().mode()? & 0o111 != 0;
                zip.add_folders_of(&path)?;
                zip.add_file(&path, if is_executable { EXECUTABLE } else { FILE }, &mut entry)?;
            }
            EntryType::Regular | EntryType::Symlink => return Err(unusual(&path)),
            // yarn leaves them out.
            _ => {}
        }
    }
    zip.finish(compression)
}

fn unusual(path: &str) -> io::Error {
    io::Error::other(format!("it has `{}`, which npm does not pack", path.escape_debug()))
}

/// The path below the one top folder in its shortest form; none where yarn leaves the entry out.
fn inside(raw: &[u8]) -> io::Result<Option<String>> {
    let path = std::str::from_utf8(raw).ok().filter(|path| !path.contains(|c: char| c.is_control() || c == '\\'));
    let path = path.ok_or_else(|| unusual(&String::from_utf8_lossy(raw)))?;
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Ok(None);
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(parts.get(1..).filter(|inside| !inside.is_empty()).map(|inside| inside.join("/")))
}

/// A file or folder.
struct ZipEntry {
    /// That of a folder ends with a slash.
    name: String,
    mode: u32,
    content: Vec<u8>,
}

/// A zip as yarn's libzip writes it.
#[derive(Default)]
struct PackageZip {
    entries: Vec<ZipEntry>,
    /// Where they are, by name without a slash at the end.
    known: HashMap<String, usize>,
}

impl PackageZip {
    /// Adds the folders that `path` lies in, as far as they are not there.
    fn add_folders_of(&mut self, path: &str) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            match self.known.get(&path[..end]) {
                None => self.add_folder(&path[..end])?,
                Some(known) if self.entries[*known].mode == FOLDER => {}
                Some(_) => return Err(unusual(path)),
            }
        }
        Ok(())
    }

    fn add_folder(&mut self, path: &str) -> io::Result<()> {
        if self.known.contains_key(path) {
            return Err(unusual(path));
        }
        self.add(path, ZipEntry { name: format!("{path}/"), mode: FOLDER, content: Vec::new() })
    }

    /// A tarball that has a file twice means the second, at the place of the first.
    fn add_file(&mut self, path: &str, mode: u32, content: &mut impl Read) -> io::Result<()> {
        let mut entry = ZipEntry { name: path.to_owned(), mode, content: Vec::new() };
        content.read_to_end(&mut entry.content)?;
        match self.known.get(path) {
            None => self.add(path, entry),
            Some(known) if self.entries[*known].mode == FOLDER => Err(unusual(path)),
            Some(known) => {
                self.entries[*known] = entry;
                Ok(())
            }
        }
    }

    fn add(&mut self, path: &str, entry: ZipEntry) -> io::Result<()> {
        if self.entries.len() >= MOST_ENTRIES || entry.name.len() > LONGEST_NAME {
            return Err(unusual(path));
        }
        self.known.insert(path.to_owned(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    fn finish(self, compression: ZipCompression) -> io::Result<Vec<u8>> {
        let too_large = |_| io::Error::other("it makes a zip of another format");
        let length = |entry: &ZipEntry| HEADS + 2 * entry.name.len() + entry.content.len();
        let (mut zip, mut directory) = (Vec::with_capacity(self.entries.iter().map(length).sum()), Vec::new());
        let count = u16::try_from(self.entries.len()).map_err(too_large)?.to_le_bytes();
        for ZipEntry { name, mode, content } in self.entries {
            let at = u32::try_from(zip.len()).map_err(too_large)?.to_le_bytes();
            let deflated = if compression == ZipCompression::Mixed { deflated(&content)? } else { None };
            let about = about_entry(&name, &content, deflated.as_deref()).map_err(too_large)?;
            append(&mut zip, &[b"PK\x03\x04", &about, name.as_bytes(), deflated.as_deref().unwrap_or(&content)]);
            // No comment, on the first disk, of no known kind.
            let rest: [&[u8]; 3] = [&[0; 6], &(mode << 16).to_le_bytes(), &at];
            append(&mut directory, &[b"PK\x01\x02", &MADE_BY.to_le_bytes(), &about]);
            append(&mut directory, &rest);
            directory.extend_from_slice(name.as_bytes());
        }
        let at = u32::try_from(zip.len()).map_err(too_large)?.to_le_bytes();
        let length = u32::try_from(directory.len()).map_err(too_large)?.to_le_bytes();
        append(&mut zip, &[&directory, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &at, &[0, 0]]);
        Ok(zip)
    }
}

fn append(to: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        to.extend_from_slice(part);
    }
}

/// A file as it is compressed; none where it is stored.
fn deflated(content: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; compress_bound(content.len())];
    let length = match compress_slice(&mut buffer, content, DEFLATE) {
        (deflated, ReturnCode::Ok) => deflated.len(),
        (_, code) => return Err(io::Error::other(format!("it cannot be compressed: {code:?}"))),
    };
    buffer.truncate(length);
    Ok((content.len() > FIRST_READ || length < content.len()).then_some(buffer))
}

/// What stands before an entry as well as in the directory.
fn about_entry(name: &str, content: &[u8], deflated: Option<&[u8]>) -> Result<Vec<u8>, TryFromIntError> {
    let needed: u16 = if name.ends_with('/') || deflated.is_some() { 20 } else { 10 };
    let (method, level): (u16, u16) = if deflated.is_some() { (8, LEVEL_9) } else { (0, 0) };
    let flags = level | if name.is_ascii() { 0 } else { UTF8_NAME };
    let mut crc = Crc::new();
    crc.update(content);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(u32::to_le_bytes);
    let (packed, length) = (length(deflated.unwrap_or(content))?, length(content)?);
    let name = u16::try_from(name.len())?.to_le_bytes();
    let mut about = Vec::new();
    append(&mut about, &[&needed.to_le_bytes(), &flags.to_le_bytes(), &method.to_le_bytes()]);
    append(&mut about, &[&TIME.to_le_bytes(), &DATE.to_le_bytes(), &crc.sum().to_le_bytes(), &packed, &length, &name]);
    // No more fields.
    about.extend_from_slice(&[0, 0]);
    Ok(about)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use sha2::{Digest as _, Sha512};
    use tar::{Builder, Header};

    use super::*;

    /// The entries of a tarball: kind, path, mode and content.
    type Entries<'a> = &'a [(EntryType, &'a str, u32, &'a str)];

    fn tarball(entries: Entries<'_>) -> Vec<u8> {
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (kind, path, mode, content) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            // Also those that the library would not write.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append(&header, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// Another order, modes, paths and kinds than npm's.
    fn odd() -> Vec<u8> {
        let long = format!("package/{}/long.js", "folder/".repeat(20));
        let record = format!("{} path={long}\n10 size=4\n", long.len() + 10);
        tarball(&[
            (EntryType::XGlobalHeader, "global", 0o644, "12 a=comment"),
            (EntryType::Directory, "package/", 0o700, ""),
            (EntryType::Regular, "package/package.json", 0o600, r#"{"name": "@s/odd", "version": "1.0.0"}"#),
            (EntryType::Regular, "package/lib/a/b.js", 0o644, "b\n"),
            (EntryType::Directory, "package/lib/empty/", 0o755, ""),
            (EntryType::Regular, "package/bin/run", 0o744, "#!/bin/sh\n"),
            (EntryType::Regular, "package/nothing", 0o644, ""),
            (EntryType::Regular, "package/lib/für.js", 0o644, "ü\n"),
            (EntryType::XHeader, "records", 0o644, &record),
            (EntryType::Regular, "package/short", 0o644, "long"),
            (EntryType::Link, "package/link", 0o644, ""),
            (EntryType::Regular, "package/../outside", 0o644, "x"),
            (EntryType::Regular, "/package/absolute", 0o644, "x"),
            (EntryType::Regular, "beside", 0o644, "x"),
            (EntryType::Regular, "./package/.//dots.js", 0o644, "dots\n"),
            (EntryType::Regular, "other/top.js", 0o645, "top\n"),
            (EntryType::Regular, "package/lib/a/b.js", 0o755, "the second b\n"),
        ])
    }

    #[test]
    fn a_zip_is_the_one_that_yarn_makes() {
        // The checksum that yarn 4.9.2 writes into its lockfile for this tarball.
        let checksum = "ef362c02c2734d9fe4e363cbeb34ffc8c3c9c4b83f7c3b68859b8ca1155981516509cc44b55c6a92ad1692d9ad781aa5dc26\
                        919317c0a1323d5781719e39a61f";
        let zip = of_tarball(&odd()[..], "@s/odd", ZipCompression::Stored).unwrap();
        assert_eq!(hex::encode(Sha512::digest(zip)), checksum);
    }

    /// Lines of words that are there before, at all distances.
    fn prose(lines: u32) -> String {
        let (mut state, mut text) = (1_u32, String::new());
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % 700
        };
        for line in 0..lines {
            let (number, hex, words) = (next(), next() * 77, "word ".repeat(next() as usize % 5));
            let _ = writeln!(text, "{number} {line} {hex:x} {words}");
        }
        text
    }

    #[test]
    fn a_zip_with_compression_is_the_one_that_yarn_makes() {
        let (long, longest) = (prose(300), prose(4_000));
        let packed = tarball(&[
            (EntryType::Regular, "package/package.json", 0o644, r#"{"name": "mixed", "version": "1.0.0"}"#),
            (EntryType::Regular, "package/longest.txt", 0o644, &longest),
            (EntryType::Regular, "package/a/long.js", 0o755, &long),
            (EntryType::Regular, "package/a/nothing", 0o644, ""),
            (EntryType::Regular, "package/a/für.txt", 0o644, &"ü".repeat(5000)),
            (EntryType::Regular, "package/a/short.txt", 0o644, "qwertzuiop"),
            (EntryType::Regular, "package/a/same.txt", 0o644, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ]);
        // The checksum that yarn 4.18.1 writes into its lockfile for this tarball, with `compressionLevel: mixed`.
        let checksum = "1ca0214f15063e65b128dc032383ae36d9d7a13c1cc506f6d3271eceb6316b5106afdfdf2ae7e86797c09b7c281c0976742e8\
                        5c95bce084c18a29c6b4472da8c";
        if let Ok(path) = std::env::var("DUMP") {
            std::fs::write(path, &packed).unwrap();
        }
        let zip = of_tarball(&packed[..], "mixed", ZipCompression::Mixed).unwrap();
        assert_eq!(hex::encode(Sha512::digest(zip)), checksum);
    }

    #[test]
    fn what_npm_does_not_pack_is_refused() {
        let file = |path| (EntryType::Regular, path, 0o644, "x");
        let said = |entries: Entries<'_>| {
            of_tarball(&tarball(entries)[..], "a", ZipCompression::Stored).unwrap_err().to_string()
        };
        for (entries, path) in [
            (&[(EntryType::Symlink, "package/link", 0o777, "")][..], "node_modules/a/link"),
            (&[file("package/a\\b")], "package/a\\\\b"),
            (&[file("package/a\nb")], "package/a\\nb"),
            (&[file("package/folder/")], "node_modules/a/folder"),
            (&[file("package/a"), file("package/a/b")], "node_modules/a/a/b"),
            (&[file("package/a/b"), file("package/a")], "node_modules/a/a"),
            (&[file("package/a/b"), (EntryType::Directory, "package/a/", 0o755, "")], "node_modules/a/a"),
        ] {
            assert_eq!(said(entries), format!("it has `{path}`, which npm does not pack"));
        }
        assert_eq!(
            of_tarball(&b"no archive"[..], "a", ZipCompression::Mixed).unwrap_err().to_string(),
            "invalid gzip header"
        );
    }
}
