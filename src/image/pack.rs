//! The `.tgz` and the layer, from one reading of the package's files.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::GzBuilder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Sha256Hasher, Sha512};

use super::limits::LargeFile;
use super::name::ImagePath;
use super::package_files::{Content, PackageFile, PackageFiles, folders};
use super::tarball::{Archive, END};
use crate::lock::{Integrity, Sha256};
use crate::parallel::join;
use crate::store::{AtomicFile, open_unlinked};
use crate::{Error, Result};

/// zlib's default. Another level, or another version of zlib-rs, gives other bytes for the same content.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// Bytes read at once; also the most that is sent at once to the two writers.
const CHUNK: usize = 256 * 1024;
/// How far the slower writer may lag behind, in pieces of up to [`CHUNK`].
const LAG: usize = 32;

/// How the layer is compressed; a `.tgz` is always gzip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// What every RHDH reads.
    #[default]
    Gzip,
    /// Smaller and faster, and unreadable for RHDH up to 1.10: [`Compression::warning`].
    Zstd,
}

impl Compression {
    /// The media type of a layer (OCI image spec, "Layer media types").
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// The sentence to warn with.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Gzip => None,
            Self::Zstd => Some(
                "layers are compressed with zstd: RHDH up to 1.10 cannot install them, newer ones only on Node.js 24",
            ),
        }
    }
}

/// How to pack.
#[derive(Clone, Debug)]
pub struct Packing<'a> {
    /// The first segment of the layer's entries; those of the `.tgz` start with `package`.
    pub path: &'a ImagePath,
    /// The time of every entry, in seconds since 1970.
    pub epoch: u64,
    /// How the layer is compressed.
    pub compression: Compression,
}

/// What [`pack`] wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Packed {
    /// Of the `.tgz`.
    pub tgz: Integrity,
    /// Bytes of the `.tgz`.
    pub tgz_len: u64,
    /// The digest of the compressed layer: the blob's name.
    pub layer: Sha256,
    /// Bytes of the compressed layer.
    pub layer_len: u64,
    /// The digest of the uncompressed layer.
    pub diff_id: Sha256,
    /// How the layer is compressed.
    pub compression: Compression,
    /// Regular files in each of the two.
    pub files: usize,
    /// Files that RHDH 1.9 and older refuse: worth a warning each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub large: Vec<LargeFile>,
}

/// Writes `package/…` into `tgz` and `<path>/…` into `layer`, reading each file once; both get their names only
/// when both are whole. Fails on packages no RHDH can install ([`PackageFiles::check_limits`]), on a file that changed since it
/// was selected, and on what the file system refuses.
pub fn pack(entries: &PackageFiles, packing: &Packing<'_>, tgz: &Path, layer: &Path) -> Result<Packed> {
    let large = entries.check_limits()?;
    let tgz_archive = Archive::new("package", packing.epoch)?;
    let layer_archive = Archive::new(packing.path.as_str(), packing.epoch)?;
    let (tgz_out, layer_out) = (AtomicFile::new(tgz)?, AtomicFile::new(layer)?);

    let (to_tgz, tgz_pieces) = sync_channel(LAG);
    let (to_layer, layer_pieces) = sync_channel(LAG);
    let files = entries.entries();
    let write_both = move || {
        join(
            move || write_tgz(files, &tgz_archive, &tgz_pieces, tgz_out),
            move || write_layer(files, &layer_archive, &layer_pieces, layer_out, packing.compression),
        )
    };
    let ((tgz_out, layer_out), read) = join(write_both, move || feed(files, &to_tgz, &to_layer));
    // A reader that stopped because a writer did has no error of its own: the writer's comes first.
    let (tgz_out, layer_out) =
        (tgz_out.map_err(Error::io("write", tgz))?, layer_out.map_err(Error::io("write", layer))?);
    read?;

    let packed = Packed {
        tgz: Integrity::from_bytes(tgz_out.digest),
        tgz_len: tgz_out.len,
        layer: Sha256::from_bytes(layer_out.output.digest),
        layer_len: layer_out.output.len,
        diff_id: layer_out.diff_id,
        compression: packing.compression,
        files: entries.entries().len(),
        large,
    };
    tgz_out.file.sync()?;
    layer_out.output.file.sync()?;
    tgz_out.file.commit()?;
    layer_out.output.file.commit()?;
    Ok(packed)
}

/// What the reader tells both writers.
#[derive(Clone)]
enum Piece {
    /// The entry of this index begins.
    Begin(usize),
    /// More of its bytes.
    Data(Arc<[u8]>),
    /// There is no more: without this an archive is not finished.
    End,
}

/// Reads every entry once and sends it to both writers; stops early when one of them is gone.
fn feed(entries: &[PackageFile], tgz: &SyncSender<Piece>, layer: &SyncSender<Piece>) -> Result<()> {
    let send = |piece: Piece| tgz.send(piece.clone()).is_ok() && layer.send(piece).is_ok();
    for (index, entry) in entries.iter().enumerate() {
        let is_read = send(Piece::Begin(index))
            && match &entry.content {
                Content::Bytes(bytes) => bytes.chunks(CHUNK).all(|chunk| send(Piece::Data(chunk.into()))),
                Content::File(path, len) => feed_file(entry, path, *len, &send)?,
            };
        if !is_read {
            return Ok(());
        }
    }
    send(Piece::End);
    Ok(())
}

/// Sends a file of `len` bytes; false when `send` fails.
fn feed_file(entry: &PackageFile, path: &Path, len: u64, send: &impl Fn(Piece) -> bool) -> Result<bool> {
    let mut file = open_unlinked(path).map_err(Error::io("read", path))?;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(len + 1).unwrap_or(CHUNK))];
    let mut left = len;
    loop {
        // One byte more than is left: a file that grew is noticed.
        let want = usize::try_from(left + 1).map_or(CHUNK, |left| left.min(CHUNK));
        let got = read_some(&mut file, &mut buffer[..want]).map_err(Error::io("read", path))?;
        if got == 0 && left == 0 {
            return Ok(true);
        }
        if got == 0 || got as u64 > left {
            return Err(Error::build(
                format!("`{}` changed while it was packed", entry.path),
                "something still writes to the package: let it finish, then build again",
            ));
        }
        left -= got as u64;
        if !send(Piece::Data(buffer[..got].into())) {
            return Ok(false);
        }
    }
}

/// Some bytes, 0 at the end; a signal that comes meanwhile is no error.
pub(super) fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A finished archive that has yet to get its name.
struct ArchiveOutput<const N: usize> {
    file: AtomicFile,
    digest: [u8; N],
    len: u64,
}

struct LayerOutput {
    output: ArchiveOutput<32>,
    diff_id: Sha256,
}

fn write_tgz(
    entries: &[PackageFile],
    archive: &Archive,
    pieces: &Receiver<Piece>,
    file: AtomicFile,
) -> io::Result<ArchiveOutput<64>> {
    let mut out = gzip(Hashing::<Sha512, _>::new(BufWriter::with_capacity(CHUNK, file)));
    write_tar(entries, archive, pieces, &mut out, false)?;
    out.finish()?.finish()
}

fn write_layer(
    entries: &[PackageFile],
    archive: &Archive,
    pieces: &Receiver<Piece>,
    file: AtomicFile,
    compression: Compression,
) -> io::Result<LayerOutput> {
    let blob = Hashing::<Sha256Hasher, _>::new(BufWriter::with_capacity(CHUNK, file));
    let (blob, diff_id) = match compression {
        Compression::Gzip => {
            let mut tar = Hashing::<Sha256Hasher, _>::new(gzip(blob));
            write_tar(entries, archive, pieces, &mut tar, true)?;
            (tar.inner.finish()?, tar.hasher.finalize())
        }
        Compression::Zstd => {
            // In this thread: the encoder gives other bytes with workers than without.
            let mut tar = Hashing::<Sha256Hasher, _>::new(zstd::Encoder::new(blob, ZSTD_LEVEL)?);
            write_tar(entries, archive, pieces, &mut tar, true)?;
            (tar.inner.finish()?, tar.hasher.finalize())
        }
    };
    Ok(LayerOutput { output: blob.finish()?, diff_id: Sha256::from_bytes(diff_id.into()) })
}

/// A fixed header: no name, no time, no operating system.
fn gzip<W: Write>(inner: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).operating_system(255).write(inner, flate2::Compression::new(GZIP_LEVEL))
}

fn write_tar(
    entries: &[PackageFile],
    archive: &Archive,
    pieces: &Receiver<Piece>,
    out: &mut impl Write,
    with_folders: bool,
) -> io::Result<()> {
    let mut above: Vec<&str> = Vec::new();
    let mut padding: &[u8] = &[];
    if with_folders {
        out.write_all(&archive.folder(""))?;
    }
    while let Ok(piece) = pieces.recv() {
        match piece {
            Piece::Begin(index) => {
                let entry = &entries[index];
                out.write_all(padding)?;
                if with_folders {
                    above.retain(|folder| entry.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
                    for folder in folders(&entry.path).skip(above.len()) {
                        out.write_all(&archive.folder(folder))?;
                        above.push(folder);
                    }
                }
                out.write_all(&archive.file(&entry.path, entry.executable, entry.content.len()))?;
                padding = Archive::padding(entry.content.len());
            }
            Piece::Data(bytes) => out.write_all(&bytes)?,
            Piece::End => {
                out.write_all(padding)?;
                return out.write_all(&END);
            }
        }
    }
    // The reader failed, and its error is the one that is shown.
    Ok(())
}

/// Hashes and counts what passes.
struct Hashing<D, W> {
    inner: W,
    hasher: D,
    len: u64,
}

impl<D: Digest, W> Hashing<D, W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: D::new(), len: 0 }
    }
}

impl<D: Digest, W: Write> Write for Hashing<D, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<D: Digest> Hashing<D, BufWriter<AtomicFile>> {
    fn finish<const N: usize>(self) -> io::Result<ArchiveOutput<N>>
    where
        [u8; N]: From<sha2::digest::Output<D>>,
    {
        let file = self.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(ArchiveOutput { file, digest: self.hasher.finalize().into(), len: self.len })
    }
}

#[cfg(test)]
mod tests;
