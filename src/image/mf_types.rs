//! `dist/@mf-types.zip`, the one file of a frontend plugin that carries the time of the build.

use std::io::Cursor;
use std::ops::Range;

use zip::ZipArchive;

/// 1980-01-01 00:00:00, the earliest time of a zip, as DOS time and date.
const DOS_EPOCH: [u8; 4] = [0x00, 0x00, 0x21, 0x00];
/// The same in seconds since 1970.
const UNIX_EPOCH: u32 = 315_532_800;
/// The same in 100 ns since 1601.
const NTFS_EPOCH: u64 = (UNIX_EPOCH as u64 + 11_644_473_600) * 10_000_000;

/// Offsets in a local header and in a central one (APPNOTE 4.3.7 and 4.3.12).
const LOCAL: Header = Header { signature: *b"PK\x03\x04", time: 10, name_length: 26, fixed: 30 };
const CENTRAL: Header = Header { signature: *b"PK\x01\x02", time: 12, name_length: 28, fixed: 46 };

struct Header {
    signature: [u8; 4],
    time: usize,
    name_length: usize,
    fixed: usize,
}

/// True for the archive of type declarations that module federation makes.
pub fn is_named(path: &str) -> bool {
    path.rsplit('/').next() == Some("@mf-types.zip")
}

/// The same archive with every time set to 1980-01-01, the order and the bytes of its entries kept.
/// What is no zip, or a broken one, comes back untouched.
pub fn normalise(bytes: Vec<u8>) -> Vec<u8> {
    patched(&bytes).unwrap_or(bytes)
}

fn patched(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut out = bytes.to_vec();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).ok()?;
        let (local, central) = (entry.header_start(), entry.central_header_start());
        LOCAL.patch(&mut out, local)?;
        CENTRAL.patch(&mut out, central)?;
    }
    Some(out)
}

impl Header {
    fn patch(&self, out: &mut [u8], start: u64) -> Option<()> {
        let header = out.get_mut(usize::try_from(start).ok()?..)?;
        if !header.starts_with(&self.signature) {
            return None;
        }
        header.get_mut(self.time..self.time + 4)?.copy_from_slice(&DOS_EPOCH);
        let name = u16_at(header, self.name_length)?;
        let extra = u16_at(header, self.name_length + 2)?;
        let from = self.fixed + name;
        patch_extra(header.get_mut(from..from + extra)?)
    }
}

/// Sets the times in the extra fields that carry some; all others stay.
fn patch_extra(extra: &mut [u8]) -> Option<()> {
    let mut at = 0;
    while at + 4 <= extra.len() {
        let id = u16_at(extra, at)?;
        let body = at + 4..at + 4 + u16_at(extra, at + 2)?;
        at = body.end;
        let body = extra.get_mut(body)?;
        match id {
            // Extended timestamp: a byte of flags, then seconds; Info-ZIP's older Unix field: two times, then ids.
            0x5455 => fill(body, 1..body.len(), &UNIX_EPOCH.to_le_bytes()),
            0x5855 => fill(body, 0..8, &UNIX_EPOCH.to_le_bytes()),
            // NTFS: four reserved bytes, then attributes; number 1 holds three times.
            0x000a if body.get(4..8) == Some(&[1, 0, 24, 0]) => fill(body, 8..32, &NTFS_EPOCH.to_le_bytes()),
            _ => {}
        }
    }
    Some(())
}

fn fill(body: &mut [u8], range: Range<usize>, time: &[u8]) {
    let end = range.end.min(body.len());
    let Some(body) = body.get_mut(range.start..end) else { return };
    for chunk in body.chunks_exact_mut(time.len()) {
        chunk.copy_from_slice(time);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use proptest::prelude::*;
    use zip::write::{FullFileOptions, SimpleFileOptions};
    use zip::{CompressionMethod, DateTime, ZipWriter};

    use super::*;

    fn archive(year: u16, unix: u32) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let time = DateTime::from_date_and_time(year, 5, 17, 12, 34, 56).unwrap();
        let stamp = [vec![3], unix.to_le_bytes().to_vec(), unix.to_le_bytes().to_vec()].concat();
        for (name, method, text) in [
            ("z/index.d.ts", CompressionMethod::Deflated, "export declare const z: number;\n".repeat(20)),
            ("a.d.ts", CompressionMethod::Stored, "export {};\n".to_owned()),
        ] {
            let mut options = FullFileOptions::default().compression_method(method).last_modified_time(time);
            options.add_extra_field(0x5455, stamp.clone(), false).unwrap();
            zip.start_file(name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.add_directory("empty", SimpleFileOptions::default().last_modified_time(time)).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn archives_of_two_builds_become_equal_and_keep_order_and_contents() {
        let (first, second) = (archive(2024, 1_700_000_000), archive(2025, 1_800_000_000));
        assert_ne!(first, second);
        let normal = normalise(first.clone());
        assert_eq!(normal, normalise(second));
        assert_eq!(normal.len(), first.len());

        let mut zip = ZipArchive::new(Cursor::new(normal)).unwrap();
        let mut seen = Vec::new();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).unwrap();
            assert_eq!(entry.last_modified().unwrap(), DateTime::default(), "1980-01-01");
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            seen.push((entry.name().unwrap().into_owned(), text.len()));
        }
        assert_eq!(seen, [("z/index.d.ts".to_owned(), 640), ("a.d.ts".to_owned(), 11), ("empty/".to_owned(), 0)]);
    }

    #[test]
    fn the_times_in_extra_fields_are_set_and_other_fields_kept() {
        let other = [&[0x75, 0x70, 5, 0][..], b"other"].concat();
        let unix = |a: u8| [&[0x55, 0x54, 9, 0, 3][..], &[a; 8]].concat();
        let old_unix = |a: u8| [&[0x55, 0x58, 12, 0][..], &[a; 8], &[9, 9, 9, 9]].concat();
        let ntfs = |a: u8| [&[0x0a, 0, 32, 0, 0, 0, 0, 0, 1, 0, 24, 0][..], &[a; 24]].concat();
        let fields = |a: u8| [unix(a), other.clone(), old_unix(a), ntfs(a)].concat();
        let (mut one, mut two) = (fields(1), fields(2));
        patch_extra(&mut one).unwrap();
        patch_extra(&mut two).unwrap();
        assert_eq!(one, two);
        assert_eq!(one[5..9], 315_532_800_u32.to_le_bytes());
        assert_eq!(one[13..22], other);
        assert_eq!(one[26..30], 315_532_800_u32.to_le_bytes());
        assert_eq!(one[34..38], [9, 9, 9, 9]);
        // 1980-01-01 as `w32tm` counts it.
        assert_eq!(one[50..58], 119_600_064_000_000_000_u64.to_le_bytes());
        assert!(patch_extra(&mut [0x55, 0x54, 9, 0, 3]).is_none(), "a field longer than the rest");
        // NTFS fields without times.
        for attribute in [[2, 0, 24, 0], [1, 0, 23, 0], [1, 1, 24, 0]] {
            let head = [&[0x0a, 0, 32, 0, 0, 0, 0, 0][..], &attribute, &[7; 24]].concat();
            let mut patched = head.clone();
            patch_extra(&mut patched).unwrap();
            assert_eq!(patched, head);
        }
    }

    #[test]
    fn a_normal_archive_stays_as_it_is() {
        let normal = normalise(archive(2024, 1));
        assert_eq!(normalise(normal.clone()), normal);
    }

    #[test]
    fn what_is_no_zip_is_untouched() {
        for bytes in [b"".to_vec(), b"PK".to_vec(), b"not a zip".to_vec(), archive(2024, 1)[..200].to_vec()] {
            assert_eq!(normalise(bytes.clone()), bytes);
        }
    }

    #[test]
    fn a_field_of_times_may_be_empty() {
        for (id, length) in [(0x5455, 0), (0x5455, 1), (0x5855, 3), (0x000a, 0)] {
            let field = [u16::to_le_bytes(id), u16::to_le_bytes(length)].concat();
            let mut extra = [field, vec![7; length.into()]].concat();
            let before = extra.clone();
            patch_extra(&mut extra).unwrap();
            assert_eq!(extra, before);
        }
    }

    #[test]
    fn only_the_archive_of_types_is_meant() {
        assert!(is_named("dist/@mf-types.zip") && is_named("@mf-types.zip"));
        assert!(!is_named("dist/x@mf-types.zip") && !is_named("@mf-types.zip/a"));
    }

    proptest! {
        #[test]
        fn a_damaged_archive_never_panics_and_keeps_its_length(at in 0usize..600, byte: u8) {
            let mut bytes = archive(2024, 1_700_000_000);
            let at = at % bytes.len();
            bytes[at] = byte;
            let len = bytes.len();
            prop_assert_eq!(normalise(bytes).len(), len);
        }
    }
}
