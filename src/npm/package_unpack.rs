//! Packages unpacked to their places in a tree as npm unpacks them, hashed while they are written, and the links to
//! their programs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::Digest as _;
use tar::{Archive, EntryType};

use super::package_entries::PackageEntries;
use super::package_lock::{ProgramLink, Unfamiliar};
use crate::error::{Error, Result};
use crate::lock::Sha256;

/// A package may unpack to this many bytes and entries; the largest of rhdh-cli's tree has 60 MB.
const MAX_UNPACKED: u64 = 1 << 30;
const MOST_ENTRIES: usize = 200_000;
/// npm looks for a script's first line in this much of a file.
const FIRST_BYTES: usize = 2048;

/// A file or link that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// `-`, `x` or `l`: plain, executable or a link.
    pub kind: char,
    /// Of the content; of a link, of what it says.
    pub sha256: Sha256,
}

/// By path below the root.
pub type WrittenFiles = BTreeMap<String, WrittenFile>;

/// Why something was not unpacked.
#[derive(Debug)]
pub enum UnpackFault {
    /// npm may know what to do.
    Unfamiliar(Unfamiliar),
    /// Nobody does.
    Failed(Error),
}

impl From<Error> for UnpackFault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn unfamiliar<T>(what: String) -> Result<T, UnpackFault> {
    Err(UnpackFault::Unfamiliar(Unfamiliar(what)))
}

/// A folder with the mode that npm's have, whatever the umask is; it may be there already.
pub fn make_folder(path: &Path) -> Result<(), UnpackFault> {
    match fs::create_dir(path) {
        Ok(()) => Ok(fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::io("create", path))?),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => in_the_way(path, e),
    }
}

/// Two packages want the same path.
fn in_the_way<T>(path: &Path, error: io::Error) -> Result<T, UnpackFault> {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    if matches!(error.kind(), AlreadyExists | IsADirectory | NotADirectory) {
        return unfamiliar(format!("`{}` is there twice", path.display()));
    }
    Err(Error::io("create", path)(error).into())
}

/// The tarball of a package, to be unpacked.
pub struct PackageTarball<'a> {
    /// The file, held to its integrity already.
    pub file: &'a Path,
    /// How it is named when something is wrong with it: `acorn@8.0.0`.
    pub name: &'a str,
    /// The files that become executable, as paths in the package.
    pub programs: &'a BTreeSet<String>,
}

impl PackageTarball<'_> {
    /// Unpacks it to each of `places`, which are folders below `root`. Only plain files and folders are taken, and
    /// nothing leaves the places.
    pub fn unpack(&self, root: &Path, places: &[&str]) -> Result<WrittenFiles, UnpackFault> {
        let file = File::open(self.file).map_err(Error::io("read", self.file))?;
        let mut archive =
            Archive::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, file)).take(MAX_UNPACKED));
        let broken = |e: io::Error| UnpackFault::Unfamiliar(Unfamiliar(format!("`{}`: {e}", self.name)));
        let mut unpacking = PackagePlaces { root, places, folders: HashSet::new(), written: WrittenFiles::new() };
        let (mut own, mut total) = (HashSet::new(), 0);
        let mut entries = PackageEntries::of(&mut archive, MOST_ENTRIES).map_err(broken)?;
        while let Some((path, mut entry)) = entries.next_entry().map_err(broken)? {
            let kind = entry.header().entry_type();
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                continue;
            }
            let Some((written, path)) = self.inside(&path, kind)? else { continue };
            if kind == EntryType::Directory {
                unpacking.make_folders(&path)?;
                continue;
            }
            // Like npm, which packs neither: the one file is the other, unless both are there.
            let Some(name) = as_npmignore(&path, &own) else { continue };
            let mode = entry.header().mode().map_err(broken)?
                | 0o666
                | if self.programs.contains(&written) { 0o111 } else { 0 };
            total += entry.size();
            own.insert(name.clone());
            if total > MAX_UNPACKED {
                return unfamiliar(format!("`{}` is larger than a package may be", self.name));
            }
            unpacking.write(&name, mode & 0o755, &mut entry).map_err(|fault| match fault {
                WriteFault::Read(e) => broken(e),
                WriteFault::Write(fault) => fault,
            })?;
        }
        Ok(unpacking.written)
    }

    /// The path below the one top folder, as it is written and in its shortest form.
    fn inside(&self, bytes: &[u8], kind: EntryType) -> Result<Option<(String, String)>, UnpackFault> {
        let known = matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::Directory);
        let is_folder = kind == EntryType::Directory;
        let is_safe =
            |path: &&str| known && !path.split('/').any(|part| part == "..") && (is_folder || !path.ends_with('/'));
        let path = std::str::from_utf8(bytes).ok().filter(|path| !path.contains(['\\', '\0', '\n'])).filter(is_safe);
        let Some(path) = path else {
            return unfamiliar(format!("`{}` contains `{}`", self.name, String::from_utf8_lossy(bytes).escape_debug()));
        };
        let Some((_, inside)) = path.split_once('/') else { return Ok(None) };
        let parts: Vec<&str> = inside.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        Ok((!parts.is_empty()).then(|| (inside.to_owned(), parts.join("/"))))
    }
}

/// The name of a file, as npm unpacks it.
fn as_npmignore(path: &str, seen: &HashSet<String>) -> Option<String> {
    let Some(folder) = path.strip_suffix(".gitignore").filter(|folder| folder.is_empty() || folder.ends_with('/'))
    else {
        return Some(path.to_owned());
    };
    Some(format!("{folder}.npmignore")).filter(|other| !seen.contains(other))
}

struct PackagePlaces<'a> {
    root: &'a Path,
    places: &'a [&'a str],
    /// Those that were made, as paths in the package.
    folders: HashSet<String>,
    written: WrittenFiles,
}

enum WriteFault {
    Read(io::Error),
    Write(UnpackFault),
}

impl PackagePlaces<'_> {
    fn make_folders(&mut self, path: &str) -> Result<(), UnpackFault> {
        if self.folders.contains(path) {
            return Ok(());
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_folders(parent)?;
        }
        for place in self.places {
            make_folder(&self.root.join(place).join(path))?;
        }
        self.folders.insert(path.to_owned());
        Ok(())
    }

    /// Writes the file to each place.
    fn write(&mut self, path: &str, mode: u32, content: &mut impl Read) -> Result<(), WriteFault> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.make_folders(folder).map_err(WriteFault::Write)?;
        }
        let full = |place: &&str| format!("{place}/{path}");
        let mut files = Vec::with_capacity(self.places.len());
        for full in self.places.iter().map(full) {
            let at = self.root.join(&full);
            // A package that has a file twice means the second.
            if self.written.contains_key(&full) {
                fs::remove_file(&at).map_err(|e| WriteFault::Write(Error::io("write", &at)(e).into()))?;
            }
            let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&at);
            files.push(opened.or_else(|e| in_the_way(&at, e)).map_err(WriteFault::Write)?);
        }
        let failed = |e| WriteFault::Write(Error::io("write", &self.root.join(path))(e).into());
        let (mut hasher, mut buffer) = (sha2::Sha256::new(), [0; 16 * 1024]);
        loop {
            let length = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(WriteFault::Read(e)),
            };
            hasher.update(&buffer[..length]);
            for file in &mut files {
                file.write_all(&buffer[..length]).map_err(failed)?;
            }
        }
        for file in &files {
            file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
        }
        let kind = if mode & 0o100 == 0 { '-' } else { 'x' };
        let written = WrittenFile { kind, sha256: Sha256::from_bytes(hasher.finalize().into()) };
        self.written.extend(self.places.iter().map(|place| (full(place), written.clone())));
        Ok(())
    }
}

/// Makes the links to programs that are there, and each program executable, its first line ended as Unix wants it.
pub fn link_programs(root: &Path, links: &[ProgramLink], written: &mut WrittenFiles) -> Result<(), UnpackFault> {
    for ProgramLink { at, target, file } in links {
        let (link, program) = (root.join(at), root.join(file));
        let Ok(found) = program.symlink_metadata() else { continue };
        if found.is_symlink() {
            return unfamiliar(format!("`{file}` is a program and a link"));
        }
        if let Some(folder) = link.parent() {
            make_folder(folder)?;
        }
        symlink(target, &link).or_else(|e| in_the_way(&link, e))?;
        written.insert(at.clone(), WrittenFile { kind: 'l', sha256: Sha256::of(target) });
        if found.is_file() {
            if let Some(text) = with_unix_first_line(&program)? {
                fs::write(&program, &text).map_err(Error::io("write", &program))?;
                written.insert(file.clone(), WrittenFile { kind: 'x', sha256: Sha256::of(&text) });
            }
            if let Some(known) = written.get_mut(file) {
                known.kind = 'x';
            }
        }
        fs::set_permissions(&program, Permissions::from_mode(0o755)).map_err(Error::io("write", &program))?;
    }
    Ok(())
}

/// The text of a script whose `#!` line ends as on Windows, with the end that it must have.
fn with_unix_first_line(program: &Path) -> Result<Option<String>> {
    let failed = |e| Error::io("read", program)(e);
    let mut file = BufReader::new(File::open(program).map_err(failed)?);
    let mut first = Vec::new();
    Read::by_ref(&mut file).take(FIRST_BYTES as u64).read_to_end(&mut first).map_err(failed)?;
    let end = first.iter().position(|byte| *byte == b'\n');
    let Some(end) = end.filter(|end| *end > 3 && first.starts_with(b"#!") && first[end - 1] == b'\r') else {
        return Ok(None);
    };
    file.take(MAX_UNPACKED).read_to_end(&mut first).map_err(failed)?;
    first.remove(end - 1);
    Ok(Some(String::from_utf8_lossy(&first).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_headers_claim_is_not_read_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("package.tgz");
        let gzip = flate2::write::GzEncoder::new(File::create(&file).unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(2_500_000_000);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        archive.into_inner().unwrap().finish().unwrap();
        let tarball = PackageTarball { file: &file, name: "a@1.0.0", programs: &BTreeSet::new() };
        let Err(UnpackFault::Unfamiliar(Unfamiliar(what))) = tarball.unpack(dir.path(), &["a"]) else {
            panic!("it is unpacked")
        };
        assert_eq!(what, "`a@1.0.0`: it has a path of 2500000000 bytes, and 4097 is the limit");
    }
}
