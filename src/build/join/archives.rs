//! The lists of files of plugins that the lock has not sealed, held to the archives themselves: a list is what later builds
//! are compared with, file by file.

use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::super::packed_archive::PackedArchive;
use super::super::report::Output;
use super::super::shard::ShardSeal;
use super::files::LARGEST;
use super::parts::{Part, contradiction};
use super::{built, damaged};
use crate::error::{Error, Result};
use crate::lock::{Plugin, Sha256};
use crate::parallel::Workers;

/// Reads the archives of which the lock gets a seal.
pub(super) fn check_lists(parts: &[Part<'_>], interrupt: &AtomicBool) -> Result<()> {
    let of_part = |part| {
        built(part).filter_map(move |(plugin, output, shard)| {
            Some((part, plugin, output, shard.seal.as_ref().filter(|_| plugin.sealed.is_none())?))
        })
    };
    Workers::of_disk(interrupt).try_map(parts.iter().flat_map(of_part), check).map(drop)
}

fn check((part, plugin, output, seal): (&Part<'_>, &Plugin, &Output, &ShardSeal)) -> Result<()> {
    let file = part.from.tree.open_file(Path::new(&output.tgz))?;
    let len = file.metadata().map_err(Error::io("read", Path::new(&output.tgz)))?.len();
    let other = || damaged(&output.tgz, "is not the archive that its shard names");
    if len != output.tgz_bytes || len > LARGEST {
        return Err(other());
    }
    let unreadable = |error: std::io::Error| damaged(&output.tgz, &format!("cannot be read as an archive: {error}"));
    let found = PackedArchive::read(file.take(len)).map_err(unreadable)?;
    if found.integrity != output.integrity {
        return Err(other());
    }
    if Sha256::of(found.list.to_text()) != seal.files {
        let what = format!("`{}` of `{}` has another list of files than its archive", plugin.path, part.locked.name);
        return Err(contradiction(part.from, &what));
    }
    Ok(())
}
