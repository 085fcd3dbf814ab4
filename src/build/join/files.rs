//! The files of a shard → the output directory, each held to the digest that the shard, or the lock, has of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::Digest as _;
use yaml_serde::Value;

use super::super::artefact::LAYOUT;
use super::super::context::output_folder;
use super::super::plugins_yaml::{self, USERS_FILE};
use super::super::report::Output;
use super::super::shard::{self, ShardPlugin};
use super::parts::Part;
use super::{damaged, label};
use crate::error::{Error, Result};
use crate::image::{AdoptedImage, ImageName, Layout, Tag};
use crate::lock::companions::CompanionPath;
use crate::lock::{Integrity, Plugin, Sha256, Workspace, is_relative};
use crate::store::{AtomicFile, file_beneath, open_unlinked, room_beneath};
use crate::user_file;

/// The largest archive or layer that is copied, in bytes.
pub(super) const LARGEST: u64 = 8 << 30;
/// The largest log: a build keeps the beginning and the end of a longer one.
const LARGEST_LOG: u64 = 65 << 20;

/// Whether outputs are called what a build of the plugin calls them; an error is what is wrong.
pub(super) fn check_names(workspace: &Workspace, plugin: &Plugin, output: &Output) -> Result<(), String> {
    let wrong = |what: &str| format!("`{}` has {what}", plugin.path);
    let (folder, file) = output.tgz.rsplit_once('/').unwrap_or(("", &output.tgz));
    let is_archive = file.strip_suffix(".tgz").is_some_and(|stem| !stem.is_empty());
    let own = if workspace.dir == "." { "" } else { workspace.name.as_str() };
    if !is_relative(&output.tgz) || folder != own || !is_archive || file.chars().any(char::is_control) {
        return Err(wrong(&format!("an archive `{}`, which is not a name of one", output.tgz.escape_debug())));
    }
    let name = ImageName::of_package(&plugin.name).map_err(|error| error.to_string())?;
    let is_named = output.image.split_once(':').is_some_and(|(found, tag)| {
        let plain = |text: &str| text.replace(['-', '.', '_'], "");
        plain(found) == plain(name.as_str()) && Tag::of_version("", tag).is_ok_and(|is| is.to_string() == tag)
    });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_path = !output.image_path.starts_with('.') && output.image_path.bytes().all(is_plain);
    let is_pushed = output.pushed.as_deref().is_none_or(|pushed| {
        let (name, place) = (output.image.split(':').next(), registry_of(pushed));
        place.zip(name).is_some_and(|(place, name)| pushed.starts_with(&format!("{place}/{name}@")))
    });
    if is_named && is_path && is_pushed { Ok(()) } else { Err(wrong("an image with another name than the plugin")) }
}

/// Host and namespace of an image that was pushed; none of what is no digest reference.
pub(super) fn registry_of(pushed: &str) -> Option<&str> {
    let (image, digest) = pushed.rsplit_once('@')?;
    let (place, _) = image.rsplit_once('/')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/[]".contains(&byte);
    (digest.parse::<Sha256>().is_ok() && place.bytes().all(is_plain)).then_some(place)
}

/// A file beside the shard's lock, which has this digest.
pub(super) fn companion(part: &Part<'_>, path: &CompanionPath, digest: Sha256) -> Result<String> {
    let below = path.below(Path::new(&shard::folder_name(part.from.record.shard)));
    let bytes = part.from.tree.read(&below, user_file::DOCUMENT)?;
    let text = String::from_utf8(bytes).ok().filter(|text| Sha256::of(text) == digest);
    let what = || damaged(&below.display().to_string(), "is not the file that its shard names");
    text.ok_or_else(what).map_err(|error| error.in_workspace(&part.locked.name))
}

/// The archive of a plugin, and how many bytes it has.
pub(super) fn open_archive(part: &Part<'_>, output: &Output) -> Result<(File, u64)> {
    let missing = |error: Error| if error.is_missing_file() { damaged(&output.tgz, "is not there") } else { error };
    let file = part.from.tree.open_file(Path::new(&output.tgz)).map_err(missing)?;
    let len = file.metadata().map_err(Error::io("read", Path::new(&output.tgz)))?.len();
    if len == output.tgz_bytes && len <= LARGEST { Ok((file, len)) } else { Err(other_archive(output)) }
}

pub(super) fn other_archive(output: &Output) -> Error {
    damaged(&output.tgz, "is not the archive that its shard names")
}

/// The outputs of a workspace.
pub(super) struct PartFiles<'a> {
    pub(super) part: &'a Part<'a>,
    pub(super) output_dir: &'a Path,
}

impl PartFiles<'_> {
    /// Lays down what was made of a plugin: its archive and what lies beside it, and its image.
    pub(super) fn lay_down(&self, output: &Output) -> Result<()> {
        self.archive(output)?;
        let integrity = self.beside(output, "integrity");
        file_beneath(self.output_dir, &integrity, format!("{}\n", output.integrity).as_bytes())?;
        let layout = output_folder(self.output_dir, self.part.locked).join(LAYOUT);
        room_beneath(self.output_dir, &layout.join("blobs/sha256/x"))?;
        self.image(output, |image, from| Layout::open(&layout)?.adopt(&self.part.from.tree, from, image))
    }

    /// The image of a plugin and the shard's layout of it, for `of`.
    pub(super) fn image(&self, output: &Output, of: impl Fn(&AdoptedImage<'_>, &Path) -> Result<()>) -> Result<()> {
        let image = AdoptedImage {
            reference: &output.image,
            manifest: output.digest,
            layer: output.layer_blob,
            most: LARGEST,
            of: &label(self.part.locked),
        };
        of(&image, &output_folder(Path::new(""), self.part.locked).join(LAYOUT))
    }

    /// The plugin's configuration in RHDH: what the user's file says, which is laid down, else the plugin's own.
    pub(super) fn config(&self, plugin: &Plugin, output: &Output, shard: &ShardPlugin) -> Result<Option<Value>> {
        let Some(bytes) = self.users_file(plugin, output)? else {
            return Ok(shard.config.as_deref().and_then(|own| yaml_serde::from_str(own).ok()));
        };
        file_beneath(self.output_dir, &self.beside(output, USERS_FILE), &bytes)?;
        Ok(plugins_yaml::users_config(&bytes))
    }

    /// The user's file with the plugin's configuration, if there is one.
    pub(super) fn users_file(&self, plugin: &Plugin, output: &Output) -> Result<Option<Vec<u8>>> {
        let Some(input) = plugins_yaml::users_file(self.part.locked, plugin) else { return Ok(None) };
        let from = PathBuf::from(format!("{}.{USERS_FILE}", output.tgz));
        let bytes = self.part.from.tree.read(&from, user_file::SETTINGS)?;
        if Sha256::of(&bytes) != input.sha256 {
            return Err(damaged(&from.display().to_string(), "is not the file that the lock names"));
        }
        Ok(Some(bytes))
    }

    /// The file beside the archive that is named as it is, and this.
    fn beside(&self, output: &Output, extension: &str) -> PathBuf {
        self.output_dir.join(format!("{}.{extension}", output.tgz))
    }

    fn archive(&self, output: &Output) -> Result<()> {
        let target = self.output_dir.join(&output.tgz);
        let is_there = |mut file: File| Integrity::of_reader(&mut file).is_ok_and(|found| found == output.integrity);
        if open_unlinked(&target).is_ok_and(is_there) {
            return Ok(());
        }
        let (from, len) = open_archive(self.part, output)?;
        let io = || Error::io("read", &target);
        room_beneath(self.output_dir, &target)?;
        let mut copy = AtomicFile::new(&target)?;
        let (mut from, mut hasher, mut buffer) = (from.take(len), sha2::Sha512::new(), vec![0; 256 * 1024]);
        loop {
            let got = from.read(&mut buffer).map_err(io())?;
            if got == 0 {
                break;
            }
            hasher.update(&buffer[..got]);
            copy.write_all(&buffer[..got]).map_err(Error::io("write", &target))?;
        }
        if Integrity::from_bytes(hasher.finalize().into()) != output.integrity {
            return Err(other_archive(output));
        }
        copy.commit()
    }

    /// The logs that the report names.
    pub(super) fn logs(&self) -> Result<Vec<&Path>> {
        let folder = output_folder(Path::new(""), self.part.locked).join("logs");
        let report = &self.part.built.report;
        let named = report.log.iter().chain(report.plugins.iter().filter_map(|plugin| plugin.log.as_ref()));
        let checked = named.map(|log| {
            let path = Path::new(log);
            let is_one = is_relative(log) && path.parent() == Some(&folder);
            let other = || damaged(&self.part.from.shown, &format!("names the log `{}`", log.escape_debug()));
            is_one.then_some(path).ok_or_else(other)
        });
        checked.collect()
    }

    /// Copies the logs that the report names, where they are.
    pub(super) fn copy_logs(&self) -> Result<()> {
        for path in self.logs()? {
            match self.part.from.tree.read(path, LARGEST_LOG) {
                Ok(bytes) => file_beneath(self.output_dir, &self.output_dir.join(path), &bytes)?,
                Err(error) if error.is_missing_file() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
