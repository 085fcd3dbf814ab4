//! The bytes of our tar archives: POSIX ustar, and a pax `path` record where ustar has no room for a name.
//!
//! One rule for names: ASCII names of up to 100 bytes stand in `name`; longer ones are cut at the first `/` that
//! leaves up to 155 bytes for `prefix` and up to 100 for `name`; where there is no such `/`, and for names that are
//! not ASCII, a pax record with the whole name goes before the entry. Python's tarfile, node-tar and Go read all three.

use tar::{EntryType, Header};

use crate::{Error, Result};

/// The greatest time an octal ustar field can hold, in seconds since 1970.
const MAX_TIME: u64 = 0o77_777_777_777;

const NAME: usize = 100;
const PREFIX: usize = 155;
const BLOCK: usize = 512;

/// The two zero blocks that end an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What all entries of an archive share: one folder above them, one time.
#[derive(Clone, Debug)]
pub struct Archive {
    root: String,
    epoch: u64,
}

impl Archive {
    /// Entries are called `<root>/…` and carry the time `epoch`, in seconds since 1970.
    pub fn new(root: &str, epoch: u64) -> Result<Self> {
        if epoch > MAX_TIME {
            return Err(Error::usage(
                format!("the time {epoch} does not fit into a tar archive"),
                format!("SOURCE_DATE_EPOCH and commit times are seconds since 1970, up to {MAX_TIME}"),
            ));
        }
        Ok(Self { root: root.to_owned(), epoch })
    }

    /// The header blocks of a regular file of `size` bytes: mode 0644 or 0755, owner 0:0 without names.
    pub fn file(&self, path: &str, executable: bool, size: u64) -> Vec<u8> {
        let mode = if executable { 0o755 } else { 0o644 };
        self.blocks(&format!("{}/{path}", self.root), EntryType::Regular, mode, size)
    }

    /// The header block of a folder, mode 0755; the empty path is the root itself.
    pub fn folder(&self, path: &str) -> Vec<u8> {
        let name = if path.is_empty() { format!("{}/", self.root) } else { format!("{}/{path}/", self.root) };
        self.blocks(&name, EntryType::Directory, 0o755, 0)
    }

    /// The zeros after a file of `size` bytes.
    pub fn padding(size: u64) -> &'static [u8] {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        &END[..(BLOCK - over) % BLOCK]
    }

    fn blocks(&self, name: &str, kind: EntryType, mode: u32, size: u64) -> Vec<u8> {
        if let Some((prefix, short)) = split(name) {
            return self.header(prefix, short, kind, mode, size);
        }
        let record = pax_record("path", name);
        let mut out = self.header("", "PaxHeader", EntryType::XHeader, 0o644, record.len() as u64);
        out.extend_from_slice(&record);
        out.extend_from_slice(Self::padding(record.len() as u64));
        // Readers take the name from the record; those without pax get its last bytes, which say most.
        let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
        let tail = ascii[ascii.len().saturating_sub(NAME)..].trim_start_matches('/');
        out.extend(self.header("", tail, kind, mode, size));
        out
    }

    fn header(&self, prefix: &str, name: &str, kind: EntryType, mode: u32, size: u64) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        header.set_mtime(self.epoch);
        if let Some(ustar) = header.as_ustar_mut() {
            ustar.name[..name.len()].copy_from_slice(name.as_bytes());
            ustar.prefix[..prefix.len()].copy_from_slice(prefix.as_bytes());
            ustar.set_device_major(0);
            ustar.set_device_minor(0);
        }
        header.as_old_mut().cksum = *b"        ";
        let sum: u32 = header.as_bytes().iter().map(|byte| u32::from(*byte)).sum();
        // Six digits, NUL, blank, as POSIX, GNU and npm write it; the crate would write seven digits.
        header.as_old_mut().cksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header.as_bytes().to_vec()
    }
}

/// `prefix` and `name` of an ustar header, where they can hold the name.
fn split(name: &str) -> Option<(&str, &str)> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= NAME {
        return Some(("", name));
    }
    // A folder's own last `/` cannot be the cut: `name` would be empty.
    let cut = name[..name.len() - 1].match_indices('/').map(|(at, _)| at).find(|at| name.len() - at - 1 <= NAME)?;
    (cut > 0 && cut <= PREFIX).then(|| (&name[..cut], &name[cut + 1..]))
}

/// `<length> <key>=<value>\n`, where the length counts itself (POSIX pax, "Extended Header").
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut len = rest.len();
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    format!("{len}{rest}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<(String, String, u32, u64, char, String)> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let ustar = header.as_ustar().expect("every header is ustar");
            assert_eq!((ustar.uname[0], ustar.gname[0], ustar.linkname[0]), (0, 0, 0));
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (
                String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
                text,
                header.mode().unwrap(),
                header.mtime().unwrap(),
                char::from(header.entry_type().as_byte()),
                String::from_utf8(header.path_bytes().into_owned()).unwrap(),
            )
        });
        entries.collect()
    }

    fn one(path: &str) -> (Vec<u8>, String, String) {
        let mut bytes = Archive::new("p", 1_763_000_000).unwrap().file(path, false, 3);
        let head = bytes.clone();
        bytes.extend_from_slice(b"abc");
        bytes.extend_from_slice(Archive::padding(3));
        bytes.extend_from_slice(&END);
        let mut entries = read(&bytes);
        assert_eq!(entries.len(), 1);
        let (name, text, mode, mtime, kind, raw) = entries.remove(0);
        assert_eq!((text.as_str(), mode, mtime, kind), ("abc", 0o644, 1_763_000_000, '0'));
        (head, name, raw)
    }

    #[test]
    fn a_header_has_exactly_these_bytes() {
        let header = Archive::new("p", 1_763_000_000).unwrap().file("a", true, 7);
        let mut expected = vec![0; 512];
        expected[..3].copy_from_slice(b"p/a");
        expected[100..156].copy_from_slice(b"0000755\x000000000\x000000000\x0000000000007\x0015105237300\x00        ");
        expected[156] = b'0';
        expected[257..265].copy_from_slice(b"ustar\x0000");
        expected[329..345].copy_from_slice(b"0000000\x000000000\x00");
        let sum: u32 = expected.iter().map(|byte| u32::from(*byte)).sum();
        expected[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(header, expected);
    }

    #[test]
    fn names_of_every_length_are_read_back() {
        for len in [1, 97, 98, 99, 100, 150, 252, 253, 254, 255, 300, 600] {
            for path in ["x".repeat(len), format!("{}/y", "x".repeat(len)), "abcdefghi/".repeat(len.div_ceil(10)) + "z"]
            {
                assert_eq!(one(&path).1, format!("p/{path}"));
            }
        }
    }

    #[test]
    fn a_pax_record_is_there_only_when_ustar_has_no_room() {
        let fits = format!("{}/{}", "d".repeat(153), "f".repeat(100));
        assert_eq!(one(&fits).0.len(), 512);
        assert_eq!(one(&"f".repeat(100)).0.len(), 512);
        let (head, name, raw) = one(&"f".repeat(101));
        assert_eq!(head.len(), 3 * 512);
        assert_eq!(head[156], b'x');
        assert!(head[512..].starts_with(format!("113 path=p/{}\n", "f".repeat(101)).as_bytes()));
        assert_eq!((name.len(), raw), (103, "f".repeat(100)));
        let (head, name, raw) = one("dist/é.js");
        assert!(head[512..].starts_with("21 path=p/dist/é.js\n".as_bytes()));
        assert_eq!((name.as_str(), raw.as_str()), ("p/dist/é.js", "p/dist/_.js"));
    }

    #[test]
    fn folders_end_in_a_slash_and_may_be_entered_by_anyone() {
        let archive = Archive::new("p", 1).unwrap();
        let long = "d".repeat(99);
        let bytes = [archive.folder(""), archive.folder("a/b"), archive.folder(&long), END.to_vec()].concat();
        let names: Vec<_> = read(&bytes)
            .into_iter()
            .map(|(name, _, mode, mtime, kind, _)| {
                assert_eq!((mode, mtime, kind), (0o755, 1, '5'));
                name
            })
            .collect();
        assert_eq!(names, ["p/".to_owned(), "p/a/b/".to_owned(), format!("p/{long}/")]);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for len in [1, 2, 3, 85, 86, 87, 88, 89, 90, 91, 92, 980, 985, 986, 987, 988, 989, 990] {
            let record = pax_record("path", &"x".repeat(len));
            let said: usize = std::str::from_utf8(&record).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, record.len());
        }
    }

    #[test]
    fn a_time_that_tar_cannot_hold_is_refused() {
        assert!(Archive::new("p", MAX_TIME).is_ok());
        let error = Archive::new("p", MAX_TIME + 1).unwrap_err();
        assert_eq!(error.to_string(), "the time 8589934592 does not fit into a tar archive");
    }

    #[test]
    fn a_name_is_cut_at_a_slash_that_leaves_both_parts() {
        let long = "a".repeat(NAME);
        assert_eq!(split(&long), Some(("", long.as_str())));
        assert_eq!(split(&format!("b/{long}")), Some(("b", long.as_str())));
        // Nothing before the slash is no prefix.
        assert_eq!(split(&format!("/{long}")), None);
        let prefix = "b".repeat(PREFIX);
        assert_eq!(split(&format!("{prefix}/{long}")), Some((prefix.as_str(), long.as_str())));
        assert_eq!(split(&format!("{prefix}b/{long}")), None);
    }
}
