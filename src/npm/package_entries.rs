//! The entries of a package's tarball with their paths. What a header claims is read within limits: the tar crate itself
//! would read long names and records into memory, whatever their size.

use std::io::{self, Read};

use tar::{Archive, Entries, Entry, EntryType, PaxExtensions};

/// The longest path, as the kernel has it.
const LONGEST_PATH: u64 = 4096;
/// The most bytes of the records about one entry (PAX), which npm writes for long paths.
const MOST_RECORDS: u64 = 64 << 10;

/// The entries of an archive that are files, folders or links.
pub(super) struct PackageEntries<'a, R: Read> {
    entries: Entries<'a, R>,
    /// How many more there may be, and how many there may be in all.
    left: usize,
    most: usize,
}

impl<'a, R: Read> PackageEntries<'a, R> {
    /// Those of `archive`, at most `most` of them.
    pub fn of(archive: &'a mut Archive<R>, most: usize) -> io::Result<Self> {
        Ok(Self { entries: archive.entries()?.raw(true), left: most, most })
    }

    /// The next one, and its path as it is written there.
    pub fn next(&mut self) -> io::Result<Option<(Vec<u8>, Entry<'a, R>)>> {
        let mut long_path = None;
        while let Some(entry) = self.entries.next() {
            let mut entry = entry?;
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| io::Error::other(format!("it has more than {} entries, the limit", self.most)))?;
            match entry.header().entry_type() {
                EntryType::GNULongName => long_path = Some(long_name(&mut entry)?),
                EntryType::XHeader => long_path = path_of_records(&mut entry)?.or(long_path),
                // What a link leads to is not looked at, and a comment is one.
                EntryType::GNULongLink | EntryType::XGlobalHeader => {}
                _ => {
                    let path = long_path.unwrap_or_else(|| entry.path_bytes().into_owned());
                    return Ok(Some((path, entry)));
                }
            }
        }
        Ok(None)
    }
}

fn long_name(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    let mut name = read(entry, LONGEST_PATH + 1, "a path")?;
    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
    Ok(name)
}

fn path_of_records(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<Vec<u8>>> {
    let bytes = read(entry, MOST_RECORDS, "records of an entry")?;
    let mut path = None;
    for record in PaxExtensions::new(&bytes) {
        let record = record?;
        match record.key_bytes() {
            b"path" => path = Some(record.value_bytes().to_vec()),
            // Another size than the header's: of more than 8 GiB.
            b"size" => return Err(io::Error::other("it has a file whose size is a record")),
            _ => {}
        }
    }
    Ok(path)
}

fn read(entry: &mut Entry<'_, impl Read>, limit: u64, of: &str) -> io::Result<Vec<u8>> {
    if entry.size() > limit {
        let size = entry.size();
        return Err(io::Error::other(format!("it has {of} of {size} bytes, and {limit} is the limit")));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}
