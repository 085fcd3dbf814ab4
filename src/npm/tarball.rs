//! A package's tarball, unpacked.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry};

use super::package_entries::PackageEntries;
use crate::answer::size;
use crate::error::{Error, Result};

/// The most bytes that a tool's tarball may unpack to, all of the archive; Node.js has about 120 MB.
const MOST_UNPACKED: u64 = 1 << 30;
/// The most entries; npm has 2,500, Node.js 5,000.
const MOST_ENTRIES: usize = 100_000;

/// Unpacks an npm tarball: what lies in its one top folder comes to `to`. Only plain files and folders are taken, and
/// nothing leaves `to`. `what` is the package, for errors.
pub fn unpack(tarball: &Path, what: &str, to: &Path) -> Result<()> {
    let file = File::open(tarball).map_err(Error::io("read", tarball))?;
    Unpacking { what, to, most: MOST_UNPACKED }.all(MultiGzDecoder::new(BufReader::new(file)))
}

/// Stops an archive that is larger than it may be.
struct Unpacked<R> {
    archive: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.archive.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("it unpacks to more than {}, the limit", size(self.most))))?;
        Ok(read)
    }
}

struct Unpacking<'a> {
    what: &'a str,
    to: &'a Path,
    most: u64,
}

impl Unpacking<'_> {
    fn all(&self, archive: impl Read) -> Result<()> {
        let mut archive = Archive::new(Unpacked { archive, left: self.most, most: self.most });
        let mut entries = PackageEntries::of(&mut archive, MOST_ENTRIES).map_err(|e| self.invalid(&e))?;
        while let Some((path, mut entry)) = entries.next_entry().map_err(|e| self.invalid(&e))? {
            if entry.header().entry_type().is_file() {
                self.file(&mut entry, &path)?;
            }
        }
        Ok(())
    }

    fn file(&self, entry: &mut Entry<'_, impl Read>, path: &[u8]) -> Result<()> {
        let path = Path::new(std::ffi::OsStr::new(std::str::from_utf8(path).map_err(|e| self.invalid(&e))?));
        let inside: PathBuf = path.components().skip_while(|c| *c == Component::CurDir).skip(1).collect();
        if inside.as_os_str().is_empty() {
            return Ok(());
        }
        if !inside.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(self.invalid(&format!("it contains `{}`", path.display().to_string().escape_debug())));
        }
        let target = self.to.join(&inside);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
        let mut out = File::create(&target).map_err(Error::io("create", &target))?;
        self.copy(entry, &mut out, &target)?;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).map_err(Error::io("write", &target))
    }

    /// Reading fails for another reason than writing.
    fn copy(&self, entry: &mut impl Read, out: &mut File, target: &Path) -> Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = entry.read(&mut buffer).map_err(|e| self.invalid(&e))?;
            if read == 0 {
                return Ok(());
            }
            io::Write::write_all(out, &buffer[..read]).map_err(Error::io("write", target))?;
        }
    }

    fn invalid(&self, why: &(impl ToString + ?Sized)) -> Error {
        Error::network(
            format!("the tarball of `{}` is not a valid package: {}", self.what, why.to_string()),
            "check which registry npm is configured to use (`npm config get registry`)",
        )
    }
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;

    type Entries<'a> = &'a [(EntryType, &'a str, &'a [u8])];

    /// An archive of these entries, gzipped; the size of one may be a lie.
    fn unpacked(entries: Entries<'_>, lie: Option<u64>) -> (tempfile::TempDir, Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("package.tgz");
        let gzip = flate2::write::GzEncoder::new(File::create(&file).unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (kind, path, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(lie.unwrap_or(bytes.len() as u64));
            header.set_mode(0o755);
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        let to = dir.path().join("to");
        fs::create_dir(&to).unwrap();
        let result = unpack(&file, "a@1.0.0", &to);
        (dir, result)
    }

    fn refused(entries: Entries<'_>, lie: Option<u64>) -> String {
        let error = unpacked(entries, lie).1.unwrap_err();
        assert_eq!(error.exit_code(), 5);
        error.to_string()
    }

    #[test]
    fn long_paths_are_read_in_both_forms() {
        let long = format!("package/{}/a.js", "x".repeat(200));
        let record = format!("{} path={long}\n", long.len() + " path=\n".len() + 3);
        for (kind, bytes) in [(EntryType::GNULongName, format!("{long}\0")), (EntryType::XHeader, record)] {
            let file = (EntryType::Regular, "package/short", &b"a"[..]);
            let global = (EntryType::XGlobalHeader, "pax_global_header", &b"12 a=comment"[..]);
            let next = (EntryType::Regular, "package/b.js", &b"b"[..]);
            let (dir, result) = unpacked(&[global, (kind, "long", bytes.as_bytes()), file, next], None);
            result.unwrap();
            let read = |path: &str| fs::read(dir.path().join("to").join(path)).unwrap();
            assert_eq!(read(long.strip_prefix("package/").unwrap()), b"a");
            assert_eq!(read("b.js"), b"b");
            assert!(!dir.path().join("to/short").exists());
        }
    }

    #[test]
    fn what_the_headers_claim_is_not_read_into_memory() {
        let large = 2_500_000_000;
        for (kind, of, limit) in
            [(EntryType::GNULongName, "a path", 4097), (EntryType::XHeader, "records of an entry", 65_536)]
        {
            assert_eq!(
                refused(&[(kind, "long", b"x")], Some(large)),
                format!(
                    "the tarball of `a@1.0.0` is not a valid package: it has {of} of {large} bytes, and {limit} is the limit"
                )
            );
        }
    }

    #[test]
    fn an_archive_that_unpacks_to_too_much_is_refused() {
        // The size of a header counts for what is skipped, too: of it the reader comes to the end of the limit.
        let dir = tempfile::tempdir().unwrap();
        for kind in [EntryType::Regular, EntryType::Directory, EntryType::XGlobalHeader] {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_path("package/a").unwrap();
            header.set_size(5 << 30);
            header.set_cksum();
            let archive = (&header.as_bytes()[..]).chain(io::repeat(0));
            let error = Unpacking { what: "a@1.0.0", to: dir.path(), most: 1 << 20 }.all(archive).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the tarball of `a@1.0.0` is not a valid package: it unpacks to more than 1 MiB, the limit"
            );
        }
    }

    /// The same bytes again and again.
    struct Endless([u8; 512], usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = (&self.0[self.1..]).read(buffer)?;
            self.1 = (self.1 + read) % 512;
            Ok(read)
        }
    }

    #[test]
    fn endless_entries_and_paths_that_leave_are_refused() {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::Directory);
        header.set_path("package/").unwrap();
        header.set_size(0);
        header.set_cksum();
        let unpacking = Unpacking { what: "a@1.0.0", to: Path::new("/nowhere"), most: 1 << 30 };
        let error = unpacking.all(Endless(*header.as_bytes(), 0)).unwrap_err();
        assert!(error.to_string().ends_with("it has more than 100000 entries, the limit"), "{error}");
        let leaves = refused(&[(EntryType::Regular, "package/../../x", b"x")], None);
        assert!(leaves.ends_with("it contains `package/../../x`"), "{leaves}");
        let with_record = |record| [(EntryType::XHeader, "x", record), (EntryType::Regular, "package/a", &b"a"[..])];
        let size = refused(&with_record(b"13 size=1000\n"), None);
        assert!(size.ends_with("it has a file whose size is a record"), "{size}");
        let size = refused(&with_record(b"10 size=a\n"), None);
        assert!(size.ends_with("it has a size that is no number"), "{size}");
        let (dir, result) = unpacked(&with_record(b"10 size=1\n"), None);
        result.unwrap();
        assert_eq!(fs::read(dir.path().join("to/a")).unwrap(), b"a");
    }
}
