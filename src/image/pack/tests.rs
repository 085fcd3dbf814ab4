use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::*;

const EPOCH: u64 = 1_763_000_000;

fn bytes(path: &str, executable: bool, content: &[u8]) -> PackageFile {
    PackageFile { path: path.to_owned(), executable, content: Content::Bytes(content.to_vec()) }
}

/// A package with what matters: a long name, a name that is not ASCII, an executable, an empty and a large file.
fn package(large: &Path) -> PackageFiles {
    let text: Vec<u8> = (0..900_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    fs::write(large, &text).unwrap();
    PackageFiles::new(vec![
        bytes("package.json", false, br#"{"name":"@x/todo-dynamic","version":"1.0.0"}"#),
        bytes("dist/bin/run.sh", true, b"#!/bin/sh\n"),
        bytes("dist/empty.js", false, b""),
        bytes(&format!("dist-scalprum/static/{}.js", "é".repeat(60)), false, b"long"),
        bytes(&format!("node_modules/{}/index.js", "a".repeat(120)), false, b"longer"),
        PackageFile {
            path: "dist/large.js".to_owned(),
            executable: false,
            content: Content::File(large.to_owned(), text.len() as u64),
        },
    ])
    .unwrap()
}

struct Made {
    dir: TempDir,
    packed: Packed,
}

impl Made {
    fn tgz(&self) -> PathBuf {
        self.dir.path().join("out.tgz")
    }

    fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }
}

fn make(compression: Compression) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let entries = package(&dir.path().join("large"));
    let path = ImagePath::of_package("@x/todo-dynamic").unwrap();
    let packing = Packing { path: &path, epoch: EPOCH, compression };
    let packed = pack(&entries, &packing, &dir.path().join("out.tgz"), &dir.path().join("layer")).unwrap();
    fs::remove_file(dir.path().join("large")).unwrap();
    Made { dir, packed }
}

fn gunzip(file: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(File::open(file).unwrap()).read_to_end(&mut out).unwrap();
    out
}

/// Name → (kind, mode, content), and every header held to the contract.
fn tree(tar: &[u8]) -> Vec<(String, char, u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, EPOCH));
        assert_eq!((header.username().unwrap(), header.groupname().unwrap()), (Some(""), Some("")));
        let pax: Vec<String> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(|record| record.unwrap().key().unwrap().to_owned())
            .collect();
        assert!(pax.is_empty() || pax == ["path"], "{pax:?}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        (name, char::from(header.entry_type().as_byte()), header.mode().unwrap(), content)
    });
    entries.collect()
}

#[test]
fn the_digests_are_those_of_the_files() {
    let made = make(Compression::Gzip);
    let (tgz, layer) = (fs::read(made.tgz()).unwrap(), fs::read(made.layer()).unwrap());
    assert_eq!(made.packed.tgz, Integrity::of(&tgz));
    assert_eq!(made.packed.tgz_len, tgz.len() as u64);
    assert_eq!(made.packed.layer, Sha256::of(&layer));
    assert_eq!(made.packed.layer_len, layer.len() as u64);
    assert_eq!(made.packed.diff_id, Sha256::of(gunzip(&made.layer())));
    assert_eq!((made.packed.files, made.packed.large.len()), (6, 0));
    for file in [made.tgz(), made.layer()] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o700, 0o600);
    }
}

/// If this fails, every digest in every lock changes: a new compressor or a new tar writer is a decision, not an update.
#[test]
fn the_bytes_are_the_golden_ones() {
    let made = make(Compression::Gzip);
    insta::assert_snapshot!(
        format!("{}\n{}\n{}", made.packed.tgz, made.packed.layer, made.packed.diff_id),
        @"
    sha512-97BYybktplpAWzQEzJeON//i+Bjl8/13T79Xj99X6sWhB6iJeA49xn/hHwbXK6HKmcRguZIn2UxPc4k+FwcEYA==
    sha256:b52062337d8c742067b022333c7264f36f046810fa346c34f1ee330dff1b5343
    sha256:ac08dd88582dcba356bb990beaeaa99aea582fa6daefeddb44eb177d91b6946c
    "
    );
    let zstd = make(Compression::Zstd);
    assert_eq!(zstd.packed.diff_id, made.packed.diff_id);
    insta::assert_snapshot!(zstd.packed.layer.to_string(), @"sha256:dbe3374e2cbe14033171f98ec8314b71f16acee81466c2212045940b45fb1a8c");
}

#[test]
fn gzip_says_nothing_of_where_and_when() {
    let made = make(Compression::Gzip);
    for file in [made.tgz(), made.layer()] {
        // Magic, deflate, no flags, no time, no extra flags, unknown system (RFC 1952).
        assert_eq!(fs::read(file).unwrap()[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }
}

#[test]
fn the_layer_has_folders_before_their_files_under_the_plugins_path() {
    let made = make(Compression::Gzip);
    let seen = tree(&gunzip(&made.layer()));
    let long = format!("x-todo/node_modules/{}/", "a".repeat(120));
    let unicode = format!("x-todo/dist-scalprum/static/{}.js", "é".repeat(60));
    let expected = [
        ("x-todo/", '5', 0o755),
        ("x-todo/dist-scalprum/", '5', 0o755),
        ("x-todo/dist-scalprum/static/", '5', 0o755),
        (unicode.as_str(), '0', 0o644),
        ("x-todo/dist/", '5', 0o755),
        ("x-todo/dist/bin/", '5', 0o755),
        ("x-todo/dist/bin/run.sh", '0', 0o755),
        ("x-todo/dist/empty.js", '0', 0o644),
        ("x-todo/dist/large.js", '0', 0o644),
        ("x-todo/node_modules/", '5', 0o755),
        (long.as_str(), '5', 0o755),
        (&format!("{long}index.js"), '0', 0o644),
        ("x-todo/package.json", '0', 0o644),
    ];
    let names: Vec<_> = seen.iter().map(|(name, kind, mode, _)| (name.as_str(), *kind, *mode)).collect();
    assert_eq!(names, expected);
}

#[test]
fn the_tgz_holds_the_same_files_under_package_and_nothing_else() {
    let made = make(Compression::Gzip);
    let files = |tar: Vec<u8>, root: &str| -> BTreeMap<String, (u32, Vec<u8>)> {
        let files = tree(&tar).into_iter().filter(|(_, kind, ..)| *kind == '0');
        files.map(|(name, _, mode, content)| (name.strip_prefix(root).unwrap().to_owned(), (mode, content))).collect()
    };
    let tgz = gunzip(&made.tgz());
    assert!(tree(&tgz).iter().all(|(name, kind, ..)| *kind == '0' && name.starts_with("package/")));
    let tgz = files(tgz, "package/");
    assert_eq!(tgz.len(), 6);
    assert_eq!(tgz["dist/large.js"].1.len(), 3_600_000);
    assert_eq!(tgz, files(gunzip(&made.layer()), "x-todo/"));
}

#[test]
fn zstd_holds_the_same_layer_and_warns() {
    let gzip = make(Compression::Gzip);
    let zstd = make(Compression::Zstd);
    assert_eq!(zstd::decode_all(File::open(zstd.layer()).unwrap()).unwrap(), gunzip(&gzip.layer()));
    assert_eq!(zstd.packed.layer, Sha256::of(fs::read(zstd.layer()).unwrap()));
    assert_eq!(zstd.packed.tgz, gzip.packed.tgz);
    assert!(Compression::Gzip.warning().is_none());
    assert!(Compression::Zstd.warning().unwrap().contains("RHDH up to 1.10 cannot install them"));
}

fn fails(entries: &PackageFiles, tgz: &Path, layer: &Path) -> Error {
    let path = ImagePath::of_package("a").unwrap();
    pack(entries, &Packing { path: &path, epoch: 1, compression: Compression::Gzip }, tgz, layer).unwrap_err()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_changed_since_it_was_selected_fails_and_nothing_lands() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "four").unwrap();
    for len in [3, 5, 4 * CHUNK as u64] {
        let content = Content::File(file.clone(), len);
        let entry = PackageFile { path: "dist/a.js".to_owned(), executable: false, content };
        let entries = PackageFiles::new(vec![bytes("package.json", false, b"{}"), entry]).unwrap();
        let error = fails(&entries, &dir.path().join("tgz"), &dir.path().join("layer"));
        assert_eq!(error.to_string(), "`dist/a.js` changed while it was packed");
        assert_eq!(names(dir.path()), ["file"]);
    }
}

#[test]
fn a_file_that_is_gone_and_a_folder_that_is_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    let entry = PackageFile { path: "a".to_owned(), executable: false, content: Content::File(gone.clone(), 1) };
    let entries = PackageFiles::new(vec![bytes("package.json", false, b"{}"), entry]).unwrap();
    let error = fails(&entries, &dir.path().join("tgz"), &dir.path().join("layer"));
    assert!(error.to_string().starts_with(&format!("cannot read `{}`:", gone.display())), "{error}");
    assert_eq!(names(dir.path()), Vec::<String>::new());

    let nowhere = dir.path().join("no/layer");
    let error = fails(&entries, &dir.path().join("tgz"), &nowhere);
    assert!(error.to_string().starts_with(&format!("cannot create `{}`:", nowhere.display())), "{error}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_an_error_of_the_file_and_keeps_what_was_there() {
    // `/dev/full` cannot be renamed onto, so the writer is tried on its own.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let entries = [bytes("package.json", false, &vec![7; CHUNK])];
    let archive = Archive::new("package", 1).unwrap();
    let (send, pieces) = sync_channel(LAG);
    for piece in [Piece::Begin(0), Piece::Data(vec![7; CHUNK].into()), Piece::End] {
        send.send(piece).unwrap();
    }
    let error = write_tar(&entries, &archive, &pieces, &mut BufWriter::new(full), true).unwrap_err();
    let error = Error::io("write", Path::new("out/a.tgz"))(error);
    assert_eq!(error.exit_code(), 1);
    assert!(error.hint().unwrap().starts_with("free space on the file system of `out/a.tgz`"));
}

#[test]
fn a_reader_that_stopped_does_not_make_a_whole_archive() {
    let entries = [bytes("package.json", false, b"{}")];
    let archive = Archive::new("package", 1).unwrap();
    let (send, pieces) = sync_channel(LAG);
    send.send(Piece::Begin(0)).unwrap();
    drop(send);
    let mut out = Vec::new();
    write_tar(&entries, &archive, &pieces, &mut out, false).unwrap();
    assert_eq!(out.len(), 512);
}

#[test]
fn what_the_installers_refuse_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let content = Content::File(PathBuf::from("unread"), crate::image::limits::MAX_FILE + 1);
    let large = PackageFile { path: "a.wasm".to_owned(), executable: false, content };
    let entries = PackageFiles::new(vec![bytes("package.json", false, b"{}"), large]).unwrap();
    let error = fails(&entries, &dir.path().join("tgz"), &dir.path().join("layer"));
    assert_eq!(error.to_string(), "`a.wasm` is 40000001 bytes, and RHDH refuses files over 40000000 bytes");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

/// Fails in this way, then has three bytes.
struct Failing(Option<io::ErrorKind>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(kind) => Err(kind.into()),
            None => b"abc".as_slice().read(buffer),
        }
    }
}

#[test]
fn a_read_goes_on_after_a_signal_and_no_other_error_is_passed_over() {
    let mut buffer = [0; 8];
    assert_eq!(read_some(&mut Failing(Some(io::ErrorKind::Interrupted)), &mut buffer).unwrap(), 3);
    assert_eq!(buffer[..3], *b"abc");
    let error = read_some(&mut Failing(Some(io::ErrorKind::TimedOut)), &mut buffer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(read_some(&mut Failing(None), &mut []).unwrap(), 0);
}

#[test]
fn what_is_hashed_is_flushed_to_where_it_goes() {
    let mut out = Hashing::<Sha256Hasher, _>::new(BufWriter::new(Vec::new()));
    out.write_all(b"abc").unwrap();
    assert_eq!(out.inner.get_ref(), b"");
    out.flush().unwrap();
    assert_eq!((out.inner.get_ref().as_slice(), out.len), (b"abc".as_slice(), 3));
}
