//! The files of one plugin: `.tgz`, `.tgz.integrity`, its configuration, its image in the OCI layout.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use yaml_serde::Value;

use super::build_info;
use super::checks;
use super::context::PluginTarget;
use super::export::Exported;
use super::file_list::FileList;
use super::plugins_yaml;
use super::read_sources::ReadSources;
use super::report::Output;
use super::workdir::own_root;
use crate::error::{Error, Result};
use crate::image::{self, Facts, Image, ImageName, ImageNames, ImagePath, Layout, PackageFiles, Packed, Packing, Tag};
use crate::lock::bundle::Bundle;
use crate::lock::input_digest;
use crate::lock::recipe::FIRST;
use crate::lock::{Plugin, Sealed, Sha256, Stamp, Workspace};
use crate::overlay;
use crate::store::{UntrustedTree, atomic_copy, file_beneath};

/// The folder of the OCI layout in the output directory of a workspace.
pub const LAYOUT: &str = "oci";

/// What was made of a plugin.
pub struct Artefact {
    /// For the report.
    pub output: Output,
    /// Its image, as it lies in the layout.
    pub image: Image,
    /// Its configuration in RHDH.
    pub config: Option<Value>,
    /// What a lock that is not sealed yet is sealed with.
    pub sealed: Sealed,
    /// What the image says of where it comes from; none by the first recipe and of a local tree.
    pub stamp: Option<Stamp>,
    /// The package it was made from.
    pub record: PackageRecord,
    /// Its files.
    pub files: FileList,
    /// What its export read besides what the lock has of its sources, where that was looked at and found.
    pub read: Option<ReadSources>,
    /// What its checks warned of.
    pub warnings: Vec<String>,
    /// Whether it was taken from the cache.
    pub reused: bool,
}

/// What is known of a packed plugin besides its two archives.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PackageRecord {
    /// The exported package's name, `<source name>-dynamic`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The exported `package.json`.
    pub package_json: String,
    /// Digests and sizes of the archives.
    pub packed: Packed,
    /// The `yarn.lock` of a backend's private dependencies.
    pub closure: Option<String>,
    /// The packages in a frontend's bundles, as [`crate::lock::bundle::Bundle::to_text`] writes them; earlier versions did
    /// not read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Its files, as [`FileList::to_text`] writes them.
    pub files: String,
    /// The first bundle that carries the time of its build.
    pub timed: Option<String>,
    /// The plugin's own configuration in RHDH, as YAML.
    pub config: Option<String>,
}

impl Artefact {
    /// The image's name and tag with the start of its digest, for people: `todo:1.0.0 sha256:0123456789ab`.
    pub(super) fn label(&self) -> String {
        let digest = self.output.digest.to_string();
        let Image { name, tag, .. } = &self.image;
        format!("{name}:{tag} {}", &digest[..digest.len().min("sha256:".len() + 12)])
    }
}

/// Where the files of a plugin go, and what its image is called.
struct OutputPaths {
    folder: PathBuf,
    /// The `.tgz`'s name in it.
    file_name: String,
    image_path: ImagePath,
    name: ImageName,
    tag: Tag,
}

impl OutputPaths {
    /// Says where the tag is not the version.
    fn new(target: PluginTarget<'_>, name: &str, version: &str) -> Result<Self> {
        let PluginTarget { shared, workspace, plugin } = target;
        let paths = Self::unsaid(target, name, version)?;
        let prefix = shared.options.tag_prefixes.get(&workspace.name).map_or("", String::as_str);
        if let Some(change) = paths.tag.change(prefix, &plugin.version) {
            shared.ui.warn(format!("{}: {change}", target.label()));
        }
        Ok(paths)
    }

    fn unsaid(target: PluginTarget<'_>, name: &str, version: &str) -> Result<Self> {
        let PluginTarget { shared, workspace, plugin } = target;
        let options = &shared.options;
        let file_name = archive_name(name, version);
        if file_name.contains(['/', '\0']) {
            return Err(Error::usage(format!("plugin `{}` has the version `{version}`", plugin.name), ""));
        }
        let prefix = options.tag_prefixes.get(&workspace.name).map_or("", String::as_str);
        Ok(Self {
            folder: options.output_folder(workspace),
            file_name,
            image_path: ImagePath::of_package(name)?,
            name: ImageName::of_package(&plugin.name)?,
            tag: Tag::of_version(prefix, &plugin.version)?,
        })
    }

    fn tgz(&self) -> PathBuf {
        self.folder.join(&self.file_name)
    }

    /// The file beside the `.tgz` that is named as it is, and this.
    fn beside(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.file_name))
    }

    fn names(&self) -> ImageNames {
        ImageNames { path: self.image_path.clone(), name: self.name.clone(), tag: self.tag.clone() }
    }

    fn image(&self, record: &PackageRecord, layer_file: PathBuf, facts: &Facts<'_>) -> Result<Image> {
        Image::assemble(self.names(), record.package_json.as_bytes(), &record.packed, layer_file, facts)
    }
}

/// What the archive of a package is called.
fn archive_name(package: &str, version: &str) -> String {
    format!("{}-{version}.tgz", package.trim_start_matches('@').replace('/', "-"))
}

/// The file name of the archive that is made of a plugin.
pub fn archive_of(plugin: &Plugin) -> String {
    archive_name(&format!("{}-dynamic", plugin.name), &plugin.version)
}

impl<'a> PluginTarget<'a> {
    /// The digest of everything that the plugin is built from.
    pub(super) fn inputs(self, closure: Option<Sha256>) -> Sha256 {
        input_digest::digest(&self.shared.lock, self.workspace, self.plugin, closure)
    }

    fn stamp(self, layer: Sha256, inputs: Sha256) -> Option<Stamp> {
        stamp(self.workspace, self.plugin, layer, inputs)
    }

    /// What the image says of where it comes from.
    fn facts<'s>(self, stamp: Option<&'s Stamp>, inputs: Sha256) -> Facts<'s>
    where
        'a: 's,
    {
        let built = &self.workspace.source;
        let (source, revision, epoch, inputs) = match stamp {
            Some(stamp) => (stamp.repo.as_deref(), Some(stamp.commit.as_str()), stamp.epoch, stamp.inputs),
            None => (public_repo(self.workspace), built.commit.as_deref(), built.epoch, inputs),
        };
        Facts { source, revision, version: &self.plugin.version, epoch, inputs: Some(inputs) }
    }
}

/// Where an image with this layer comes from: the build that first made it, which is this one unless the lock knows
/// another.
pub(super) fn stamp(workspace: &Workspace, plugin: &Plugin, layer: Sha256, inputs: Sha256) -> Option<Stamp> {
    let source = &workspace.source;
    let commit = source.commit.clone().filter(|_| workspace.recipe != FIRST)?;
    let known = plugin.stamp.clone().filter(|known| known.layer == layer);
    let new = || Stamp { layer, repo: public_repo(workspace).map(str::to_owned), commit, epoch: source.epoch, inputs };
    Some(known.unwrap_or_else(new))
}

/// The repository, where its address means something elsewhere.
fn public_repo(workspace: &Workspace) -> Option<&str> {
    Some(workspace.source.repo.as_str()).filter(|repo| repo.contains("://") && !repo.starts_with("file:"))
}

impl PackageRecord {
    pub(super) fn closure_digest(&self) -> Option<Sha256> {
        self.closure.as_ref().map(Sha256::of)
    }

    pub(super) fn bundle_digest(&self) -> Option<Sha256> {
        self.bundle.as_ref().map(Sha256::of)
    }

    pub(super) fn config_digest(&self) -> Option<Sha256> {
        self.config.as_ref().map(Sha256::of)
    }

    fn is_sealed(&self, sealed: &Sealed, image: &Image) -> bool {
        self.packed.tgz == sealed.tgz
            && image.digest == sealed.image
            && image.diff_id == sealed.layer
            && self.closure_digest() == sealed.closure
            // Seals of earlier versions do not say these.
            && (sealed.bundle.is_none() || self.bundle_digest() == sealed.bundle)
            && (sealed.config.is_none() || self.config_digest() == sealed.config)
    }
}

/// Whether what is sealed of a plugin is what is made of this package.
pub(super) fn is_of_seal(target: PluginTarget<'_>, record: &PackageRecord) -> Result<bool> {
    let Some(sealed) = &target.plugin.sealed else { return Ok(false) };
    Ok(record.is_sealed(sealed, &image_of(target, record, sealed.closure)?))
}

/// The digest of the image that is made of this package.
pub(super) fn image_digest(
    target: PluginTarget<'_>,
    record: &PackageRecord,
    closure: Option<Sha256>,
) -> Result<Sha256> {
    image_of(target, record, closure).map(|image| image.digest)
}

fn image_of(target: PluginTarget<'_>, record: &PackageRecord, closure: Option<Sha256>) -> Result<Image> {
    let paths = OutputPaths::unsaid(target, &record.name, &record.version)?;
    let inputs = target.inputs(closure);
    let stamp = target.stamp(record.packed.diff_id, inputs);
    paths.image(record, PathBuf::new(), &target.facts(stamp.as_ref(), inputs))
}

/// Packs an exported plugin, and writes everything that is made of it. `source` is what its export left, `bundle` what is in
/// its bundles.
pub(super) fn pack(
    target: PluginTarget<'_>,
    source: &UntrustedTree,
    exported: &Exported,
    entries: &PackageFiles,
    bundle: Option<&Bundle>,
) -> Result<Artefact> {
    let PluginTarget { shared, workspace, .. } = target;
    let options = &shared.options;
    let paths = OutputPaths::new(target, &exported.name, &exported.version)?;
    let own = plugins_yaml::own_config(source, &target.source_path(""))?;
    let scratch = shared.store.scratch()?;
    let layer_file = scratch.path().join("layer");
    let packing = Packing { path: &paths.image_path, epoch: workspace.time(), compression: options.compression };
    let packed = image::pack(entries, &packing, &paths.tgz(), &layer_file)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let record = PackageRecord {
        name: exported.name.clone(),
        version: exported.version.clone(),
        package_json: text(&exported.package_json),
        packed,
        closure: exported.closure.as_deref().map(text),
        bundle: bundle.map(Bundle::to_text),
        files: FileList::of(entries)?.to_text(),
        timed: build_info::find(entries)?,
        config: own.and_then(|value| yaml_serde::to_string(&value).ok()),
    };
    let inputs = target.inputs(record.closure_digest());
    let stamp = target.stamp(record.packed.diff_id, inputs);
    let facts = target.facts(stamp.as_ref(), inputs);
    let image = if options.buildah {
        let layer = scratch.path().join("buildah-layer");
        let build = image::buildah::build(paths.names(), entries, layer, &facts);
        tokio::runtime::Handle::current().block_on(build)?
    } else {
        paths.image(&record, layer_file, &facts)?
    };
    let mut artefact = finish(target, &paths, record, image)?;
    artefact.sealed.root = own_root(shared, workspace);
    artefact.stamp = stamp;
    Ok(artefact)
}

/// Writes the files of a sealed plugin from what the cache has of it; none when that is not what is sealed. The inner
/// error is that of the checks of its package: then nothing is written.
pub(super) fn reuse(
    target: PluginTarget<'_>,
    record: &PackageRecord,
    archive: &Path,
    layer: &Path,
) -> Result<Option<Result<Artefact>>> {
    let Some(sealed) = &target.plugin.sealed else { return Ok(None) };
    let paths = OutputPaths::new(target, &record.name, &record.version)?;
    let inputs = target.inputs(sealed.closure);
    let stamp = target.stamp(record.packed.diff_id, inputs);
    let image = paths.image(record, layer.to_path_buf(), &target.facts(stamp.as_ref(), inputs))?;
    if !record.is_sealed(sealed, &image) {
        return Ok(None);
    }
    let warnings = match checks::of_archive(target, archive) {
        Ok(warnings) => warnings,
        Err(refused) => return Ok(Some(Err(refused))),
    };
    atomic_copy(archive, &paths.tgz())?;
    let mut artefact = finish(target, &paths, record.clone(), image)?;
    artefact.sealed = sealed.clone();
    artefact.stamp = stamp;
    artefact.warnings = warnings;
    artefact.reused = true;
    Ok(Some(Ok(artefact)))
}

/// Writes what lies beside the `.tgz`, and puts the image into the layout.
fn finish(target: PluginTarget<'_>, paths: &OutputPaths, record: PackageRecord, mut image: Image) -> Result<Artefact> {
    let shared = target.shared;
    let packed = &record.packed;
    for large in &packed.large {
        shared.ui.warn(format!("{}: {}", target.label(), large.warning()));
    }
    file_beneath(&shared.options.output_dir, &paths.beside("integrity"), format!("{}\n", packed.tgz).as_bytes())?;
    let layout = Layout::open(&paths.folder.join(LAYOUT))?;
    layout.add(&image)?;
    image.layer_file = layout.blob(image.layer);
    let closure = record.closure_digest();
    Ok(Artefact {
        output: Output {
            tgz: shared.options.relative(&paths.tgz()),
            integrity: packed.tgz,
            tgz_bytes: packed.tgz_len,
            image: image.reference(),
            image_path: paths.image_path.to_string(),
            digest: image.digest,
            layer: image.diff_id,
            layer_blob: image.layer,
            files: packed.files,
            closure,
            inputs: target.inputs(closure),
            pushed: None,
            attached: Vec::new(),
        },
        sealed: Sealed {
            closure,
            bundle: record.bundle_digest(),
            tgz: packed.tgz,
            image: image.digest,
            layer: image.diff_id,
            config: record.config_digest(),
            root: None,
        },
        stamp: None,
        image,
        config: plugin_config(target, paths, &record)?,
        files: FileList::from_text(&record.files),
        record,
        read: None,
        warnings: Vec::new(),
        reused: false,
    })
}

/// The plugin's configuration: `app-config.dynamic.yaml` of the user, which is also copied beside the `.tgz`, else the
/// plugin's own.
fn plugin_config(target: PluginTarget<'_>, paths: &OutputPaths, record: &PackageRecord) -> Result<Option<Value>> {
    let PluginTarget { shared, workspace, plugin } = target;
    let Some(input) = plugins_yaml::users_file(workspace, plugin) else {
        return Ok(record.config.as_deref().and_then(|text| yaml_serde::from_str(text).ok()));
    };
    let bytes = overlay::read_input(&shared.options.config_dir.join(&workspace.dir), input)?;
    file_beneath(&shared.options.output_dir, &paths.beside(plugins_yaml::USERS_FILE), &bytes)?;
    Ok(plugins_yaml::users_config(&bytes))
}
