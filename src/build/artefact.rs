//! The files of one plugin: `.tgz`, `.tgz.integrity`, its configuration, its image in the OCI layout.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use yaml_serde::Value;

use super::export::Exported;
use super::report::Output;
use super::seal::FileList;
use super::tree::read_input;
use super::{Shared, finished, plugins_yaml};
use crate::error::{Error, Result};
use crate::image::{self, Facts, Image, ImageName, ImageNames, ImagePath, Layout, Packed, Packing, Tag};
use crate::lock::inputs;
use crate::lock::{Plugin, Sealed, Sha256, Workspace};
use crate::store::{atomic_copy, atomic_file};

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
    /// The package it was made from.
    pub record: PackageRecord,
    /// Its files.
    pub files: FileList,
    /// Whether it was taken from the cache.
    pub kept: bool,
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
    /// Its files, as [`FileList::to_text`] writes them.
    pub files: String,
    /// The first bundle that carries the time of its build.
    pub timed: Option<String>,
    /// The plugin's own configuration in RHDH, as YAML.
    pub config: Option<String>,
}

/// Where the outputs of a workspace go: the output directory, or its sub-folder when there are several workspaces.
pub fn folder(output: &Path, workspace: &Workspace) -> PathBuf {
    if workspace.dir == "." { output.to_path_buf() } else { output.join(&workspace.name) }
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
    fn new(shared: &Shared, workspace: &Workspace, plugin: &Plugin, name: &str, version: &str) -> Result<Self> {
        let options = &shared.options;
        let file_name = format!("{}-{version}.tgz", name.trim_start_matches('@').replace('/', "-"));
        if file_name.contains(['/', '\0']) {
            return Err(Error::usage(format!("plugin `{}` has the version `{version}`", plugin.name), ""));
        }
        let prefix = options.tag_prefixes.get(&workspace.name).map_or("", String::as_str);
        let tag = Tag::of_version(prefix, &plugin.version)?;
        if let Some(change) = tag.change(prefix, &plugin.version) {
            shared.ui.warn(format!("{} {}: {change}", workspace.name, plugin.path));
        }
        Ok(Self {
            folder: folder(&options.output_dir, workspace),
            file_name,
            image_path: ImagePath::of_package(name)?,
            name: ImageName::of_package(&plugin.name)?,
            tag,
        })
    }

    fn tgz(&self) -> PathBuf {
        self.folder.join(&self.file_name)
    }

    fn names(&self) -> ImageNames {
        ImageNames { path: self.image_path.clone(), name: self.name.clone(), tag: self.tag.clone() }
    }

    fn image(&self, record: &PackageRecord, layer_file: PathBuf, facts: &Facts<'_>) -> Result<Image> {
        Image::assemble(self.names(), record.package_json.as_bytes(), &record.packed, layer_file, facts)
    }
}

/// What the image says of where it comes from.
fn facts<'a>(workspace: &'a Workspace, plugin: &'a Plugin, inputs: Sha256) -> Facts<'a> {
    let source = &workspace.source;
    let public = source.repo.contains("://") && !source.repo.starts_with("file:");
    Facts {
        source: Some(source.repo.as_str()).filter(|_| public),
        revision: source.commit.as_deref(),
        version: &plugin.version,
        epoch: source.epoch,
        inputs: Some(inputs),
    }
}

/// Writes everything that is made of an exported plugin.
pub fn write(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    tree: &Path,
    exported: &Exported,
) -> Result<Artefact> {
    let options = &shared.options;
    let target = OutputPaths::new(shared, workspace, plugin, &exported.name, &exported.version)?;
    let scratch = shared.store.scratch()?;
    let layer_file = scratch.path().join("layer");
    let packing = Packing { path: &target.image_path, epoch: workspace.source.epoch, compression: options.compression };
    let packed = image::pack(&exported.entries, &packing, &target.tgz(), &layer_file)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let own = plugins_yaml::own_config(&tree.join(super::tree::join(&plugin.path, "")));
    let record = PackageRecord {
        name: exported.name.clone(),
        version: exported.version.clone(),
        package_json: text(&exported.package_json),
        packed,
        closure: exported.closure.as_deref().map(text),
        files: FileList::of(&exported.entries)?.to_text(),
        timed: super::verdict::timed(&exported.entries)?,
        config: own.and_then(|value| yaml_serde::to_string(&value).ok()),
    };
    let inputs = inputs::digest(&shared.lock, workspace, plugin, record.closure.as_ref().map(Sha256::of));
    let facts = facts(workspace, plugin, inputs);
    let image = if options.buildah {
        let layer = scratch.path().join("buildah-layer");
        let build = image::buildah::build(target.names(), &exported.entries, layer, &facts);
        tokio::runtime::Handle::current().block_on(build)?
    } else {
        target.image(&record, layer_file, &facts)?
    };
    let root = (options.isolation == crate::sandbox::root::Isolation::None).then(|| tree.display().to_string());
    let mut artefact = finish(shared, workspace, plugin, &target, record, image)?;
    artefact.sealed.root = root;
    Ok(artefact)
}

/// Lays down what the cache has of a sealed plugin in the folder `entry`; none when it is not what is sealed.
pub fn take(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    entry: &Path,
    record: &PackageRecord,
) -> Result<Option<Artefact>> {
    let Some(sealed) = &plugin.sealed else { return Ok(None) };
    let target = OutputPaths::new(shared, workspace, plugin, &record.name, &record.version)?;
    let inputs = inputs::digest(&shared.lock, workspace, plugin, sealed.closure);
    let image = target.image(record, entry.join(finished::LAYER), &facts(workspace, plugin, inputs))?;
    let is_sealed = record.packed.tgz == sealed.tgz
        && image.digest == sealed.image
        && image.diff_id == sealed.layer
        && record.closure.as_ref().map(Sha256::of) == sealed.closure;
    if !is_sealed {
        return Ok(None);
    }
    atomic_copy(&entry.join(finished::ARCHIVE), &target.tgz())?;
    let mut artefact = finish(shared, workspace, plugin, &target, record.clone(), image)?;
    artefact.sealed = sealed.clone();
    artefact.kept = true;
    Ok(Some(artefact))
}

/// Writes what lies beside the `.tgz`, and puts the image into the layout.
fn finish(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    target: &OutputPaths,
    record: PackageRecord,
    mut image: Image,
) -> Result<Artefact> {
    let OutputPaths { folder, file_name, .. } = target;
    let packed = &record.packed;
    for large in &packed.large {
        shared.ui.warn(format!("{} {}: {}", workspace.name, plugin.path, large.warning()));
    }
    atomic_file(&folder.join(format!("{file_name}.integrity")), format!("{}\n", packed.tgz).as_bytes())?;
    let layout = Layout::open(&folder.join(LAYOUT))?;
    layout.add(&image)?;
    image.layer_file = layout.blob(image.layer);
    let closure = record.closure.as_ref().map(Sha256::of);
    Ok(Artefact {
        output: Output {
            tgz: relative(&shared.options.output_dir, &target.tgz()),
            integrity: packed.tgz,
            tgz_bytes: packed.tgz_len,
            image: image.reference(),
            image_path: target.image_path.to_string(),
            digest: image.digest,
            layer: image.layer,
            diff_id: image.diff_id,
            files: packed.files,
            closure,
            inputs: inputs::digest(&shared.lock, workspace, plugin, closure),
            pushed: None,
            attached: Vec::new(),
        },
        sealed: Sealed { closure, tgz: packed.tgz, image: image.digest, layer: image.diff_id, root: None },
        image,
        config: plugin_config(shared, workspace, plugin, &record, folder, file_name)?,
        files: FileList::from_text(&record.files),
        record,
        kept: false,
    })
}

/// The plugin's configuration: `app-config.dynamic.yaml` of the user, which is also copied beside the `.tgz`, else the
/// plugin's own.
fn plugin_config(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    record: &PackageRecord,
    folder: &Path,
    file_name: &str,
) -> Result<Option<Value>> {
    let wanted = super::tree::join(&plugin.path, "app-config.dynamic.yaml");
    let Some(input) = workspace.input.iter().find(|input| Path::new(&input.path) == wanted) else {
        return Ok(record.config.as_deref().and_then(|text| yaml_serde::from_str(text).ok()));
    };
    let bytes = read_input(&shared.options.config_dir.join(&workspace.dir), input)?;
    atomic_file(&folder.join(format!("{file_name}.app-config.dynamic.yaml")), &bytes)?;
    let value = yaml_serde::from_slice::<Value>(&bytes).ok().filter(Value::is_mapping);
    // The file may hold only the plugin's part, or wrap it as RHDH's own examples do.
    let inner = value.as_ref().and_then(|value| value.get("plugins")?.get(0)?.get("pluginConfig")).cloned();
    Ok(inner.or(value))
}

/// `path` from the output directory, with `/`.
pub fn relative(output: &Path, path: &Path) -> String {
    path.strip_prefix(output).unwrap_or(path).to_string_lossy().into_owned()
}
