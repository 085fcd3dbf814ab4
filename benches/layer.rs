//! Packing 29,059 files (221 MB of tar), what a large backend plugin ships: `cargo bench --bench layer`.
//!
//! `both_archives` is the real thing, `.tgz` and layer from one reading. `one_stream` is the floor for one of the
//! two on one core: the same tar, zlib-rs at the same level, both digests, everything in one thread.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write};
use std::path::PathBuf;
use std::sync::LazyLock;

use divan::Bencher;
use factory::image::tarball::{Archive, END};
use factory::image::{Compression, Content, ImagePath, PackageFiles, Packing, pack};
use flate2::GzBuilder;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const FILES: usize = 29_059;
const CONTENT: usize = 199_000_000;

struct Package {
    dir: TempDir,
    entries: PackageFiles,
}

static PACKAGE: LazyLock<Package> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(42);
    let mut paths = vec!["package.json".to_owned()];
    for file in 1..FILES {
        paths.push(format!("node_modules/package-{}/lib/module-{file}.js", file / 40));
    }
    let weights: Vec<usize> = paths.iter().map(|_| 1 + random.below(40) * random.below(40)).collect();
    let total: usize = weights.iter().sum();
    for (path, weight) in paths.iter().zip(weights) {
        let file = dir.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, random.source(CONTENT * weight / total)).unwrap();
    }
    let entries = PackageFiles::select(dir.path(), paths.into_iter().map(|path| (path, false))).unwrap();
    Package { dir, entries }
});

/// Numbers of no quality, the same in every run (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Text that compresses about as JavaScript does, to a quarter or a fifth: statements of a few hundred names,
    /// some of which come far more often than others, now and then a fresh one.
    fn source(&mut self, len: usize) -> Vec<u8> {
        const STATEMENTS: [&str; 12] = [
            "const # = require('./#');\n",
            "exports.# = #;\n",
            "function #(#, #) {\n",
            "  if (# === undefined) {\n    return #;\n  }\n",
            "  return #.#(#);\n}\n",
            "Object.defineProperty(exports, \"__esModule\", { value: true });\n",
            "  for (let i = 0; i < #.length; i++) {\n",
            "    #.push(#[i]);\n",
            "  }\n",
            "/**\n * @param {#} # - the # of the #\n * @returns {#}\n */\n",
            "  this.# = #;\n",
            "  throw new TypeError('The \"#\" argument must be of type #');\n",
        ];
        let mut out = Vec::with_capacity(len + 128);
        while out.len() < len {
            for byte in STATEMENTS[self.below(STATEMENTS.len())].bytes() {
                if byte == b'#' { self.name(&mut out) } else { out.push(byte) }
            }
        }
        out.truncate(len);
        out
    }

    fn name(&mut self, out: &mut Vec<u8>) {
        let known = self.below(20) > 0;
        let limit = 1 + self.below(400);
        let number = if known { self.below(limit) } else { self.below(1 << 30) };
        let mut name = Random(number as u64);
        for _ in 0..3 + name.below(9) {
            out.push(b'a' + u8::try_from(name.below(26)).unwrap());
        }
    }
}

fn out(name: &str) -> PathBuf {
    PACKAGE.dir.path().join(name)
}

fn main() {
    let path = ImagePath::of_package("bench-dynamic").unwrap();
    let packing = Packing { path: &path, epoch: 1, compression: Compression::Gzip };
    let packed = pack(&PACKAGE.entries, &packing, &out("tgz"), &out("layer")).unwrap();
    let content: u64 = PACKAGE.entries.entries().iter().map(|entry| entry.content.len()).sum();
    eprintln!("{} files, {content} bytes, layer of {} bytes", packed.files, packed.layer_len);
    divan::main();
    // A static is never dropped, and its folder is large.
    fs::remove_dir_all(PACKAGE.dir.path()).unwrap();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn both_archives(bencher: Bencher) {
    let path = ImagePath::of_package("bench-dynamic").unwrap();
    let packing = Packing { path: &path, epoch: 1, compression: Compression::Gzip };
    bencher.bench_local(|| pack(&PACKAGE.entries, &packing, &out("tgz"), &out("layer")).unwrap());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn both_archives_zstd(bencher: Bencher) {
    let path = ImagePath::of_package("bench-dynamic").unwrap();
    let packing = Packing { path: &path, epoch: 1, compression: Compression::Zstd };
    bencher.bench_local(|| pack(&PACKAGE.entries, &packing, &out("tgz"), &out("layer")).unwrap());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn one_stream(bencher: Bencher) {
    bencher.bench_local(|| {
        let archive = Archive::new("bench", 1).unwrap();
        let file = BufWriter::new(File::create(out("floor")).unwrap());
        let gzip = GzBuilder::new().mtime(0).operating_system(255);
        let mut tar = Hashing(gzip.write(Hashing(file, Sha256::new()), flate2::Compression::new(6)), Sha256::new());
        let mut buffer = Vec::new();
        for entry in PACKAGE.entries.entries() {
            tar.write_all(&archive.file(&entry.path, entry.executable, entry.content.len())).unwrap();
            let Content::File(path, len) = &entry.content else { continue };
            buffer.clear();
            File::open(path).unwrap().read_to_end(&mut buffer).unwrap();
            tar.write_all(&buffer).unwrap();
            tar.write_all(Archive::padding(*len)).unwrap();
        }
        tar.write_all(&END).unwrap();
        let Hashing(gzip, diff_id) = tar;
        let Hashing(file, digest) = gzip.finish().unwrap();
        file.into_inner().unwrap().sync_all().unwrap();
        (diff_id.finalize(), digest.finalize())
    });
}

struct Hashing<W>(W, Sha256);

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
