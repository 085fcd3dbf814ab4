//! The entries of a package's tarball with their paths. What a header claims is read within limits: the tar crate itself
//! would read long names and records into memory, whatever their size.

use std::io::{self, Read};

use tar::{Archive, Entries, Entry, EntryType, PaxExtensions};

/// The longest path, as the kernel has it.
const LONGEST_PATH: u64 = 4096;
/// The most bytes of the records about one entry (PAX), which npm writes for long paths.
const MOST_RECORDS: u64 = 64 << 10;

/// The entries of an archive that are files, folders or links.
pub struct PackageEntries<'a, R: Read> {
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
    pub fn next_entry(&mut self) -> io::Result<Option<(Vec<u8>, Entry<'a, R>)>> {
        let (mut long_path, mut recorded_size) = (None, None);
        while let Some(entry) = self.entries.next() {
            let mut entry = entry?;
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| io::Error::other(format!("it has more than {} entries, the limit", self.most)))?;
            match entry.header().entry_type() {
                EntryType::GNULongName => long_path = Some(long_name(&mut entry)?),
                EntryType::XHeader => {
                    let records = EntryRecords::read(&mut entry)?;
                    long_path = records.path.or(long_path);
                    recorded_size = records.size.or(recorded_size);
                }
                // What a link leads to is not looked at, and a comment is one.
                EntryType::GNULongLink | EntryType::XGlobalHeader => {}
                // Of more than 8 GiB: what is read here has the size of its header.
                _ if recorded_size.is_some_and(|size| size != entry.size()) => {
                    return Err(io::Error::other("it has a file whose size is a record"));
                }
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

/// What records about an entry (PAX) say of the one that comes next.
#[derive(Default)]
struct EntryRecords {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl EntryRecords {
    fn read(entry: &mut Entry<'_, impl Read>) -> io::Result<Self> {
        let bytes = read(entry, MOST_RECORDS, "records of an entry")?;
        let mut records = Self::default();
        for record in PaxExtensions::new(&bytes) {
            let record = record?;
            match record.key_bytes() {
                b"path" => records.path = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|size| size.parse().ok());
                    records.size = Some(size.ok_or_else(|| io::Error::other("it has a size that is no number"))?);
                }
                _ => {}
            }
        }
        Ok(records)
    }
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
