//! All files of shards, read once before anything is written: a shard that is not whole leaves nothing behind. The lists of
//! files of plugins that the lock has not sealed are held to the archives themselves: a list is what later builds are
//! compared with, file by file.

use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::super::packed_archive::PackedArchive;
use super::super::report::Output;
use super::super::shard::ShardPlugin;
use super::files::{PartFiles, open_archive, other_archive};
use super::parts::{Part, contradiction};
use super::{built, damaged};
use crate::error::{Error, Result};
use crate::lock::{Integrity, Plugin, Sha256};
use crate::parallel::Workers;

/// Reads the archives, the images and the users' files of all parts.
pub(super) fn all(parts: &[Part<'_>], output_dir: &Path, interrupt: &AtomicBool) -> Result<()> {
    let of_part = |part| built(part).map(move |(plugin, output, shard)| (part, plugin, output, shard));
    let one = |(part, plugin, output, shard): (&Part<'_>, &Plugin, &Output, &ShardPlugin)| {
        check_archive(part, plugin, output, shard)?;
        let files = PartFiles { part, output_dir };
        files.image(output, |image, from| image.check(&part.from.tree, from))?;
        files.users_file(plugin, output).map(drop)
    };
    Workers::of_disk(interrupt).try_map(parts.iter().flat_map(of_part), one)?;
    parts.iter().try_for_each(|part| PartFiles { part, output_dir }.logs().map(drop))
}

fn check_archive(part: &Part<'_>, plugin: &Plugin, output: &Output, shard: &ShardPlugin) -> Result<()> {
    let (file, len) = open_archive(part, output)?;
    let mut file = file.take(len);
    let Some(seal) = shard.seal.as_ref().filter(|_| plugin.sealed.is_none()) else {
        let found = Integrity::of_reader(&mut file).map_err(Error::io("read", Path::new(&output.tgz)))?;
        return if found == output.integrity { Ok(()) } else { Err(other_archive(output)) };
    };
    let unreadable = |error: std::io::Error| damaged(&output.tgz, &format!("cannot be read as an archive: {error}"));
    let found = PackedArchive::read(file).map_err(unreadable)?;
    if found.integrity != output.integrity {
        return Err(other_archive(output));
    }
    if Sha256::of(found.list.to_text()) != seal.files {
        let what = format!("`{}` of `{}` has another list of files than its archive", plugin.path, part.locked.name);
        return Err(contradiction(part.from, &what));
    }
    Ok(())
}
