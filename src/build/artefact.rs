//! The files of one plugin: `.tgz`, `.tgz.integrity`, its configuration, its image in the OCI layout.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::export::Exported;
use super::report::Output;
use super::seal::FileList;
use super::tree::read_input;
use super::{Shared, inputs, plugins_yaml};
use crate::error::{Error, Result};
use crate::image::{self, Facts, Image, ImageName, ImagePath, Layout, Packing, Tag};
use crate::lock::{Plugin, Sealed, Sha256, Workspace};

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
    /// The closure's bytes; backends only.
    pub closure: Option<Vec<u8>>,
    /// Its files.
    pub files: FileList,
    /// The first bundle that carries the time of its build.
    pub timed: Option<String>,
}

/// Where the outputs of a workspace go: the output directory, or its sub-folder when there are several workspaces.
pub fn folder(output: &Path, workspace: &Workspace) -> PathBuf {
    if workspace.dir == "." { output.to_path_buf() } else { output.join(&workspace.name) }
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
    let folder = folder(&options.output_dir, workspace);
    let source = &workspace.source;
    let image_path = ImagePath::of_package(&exported.name)?;
    let name = ImageName::of_package(&plugin.name)?;
    let prefix = options.tag_prefixes.get(&workspace.name).map_or("", String::as_str);
    let tag = Tag::of_version(prefix, &plugin.version)?;
    if let Some(change) = tag.change(prefix, &plugin.version) {
        shared.ui.warn(format!("{} {}: {change}", workspace.name, plugin.path));
    }

    let file_name = format!("{}-{}.tgz", exported.name.trim_start_matches('@').replace('/', "-"), exported.version);
    if file_name.contains(['/', '\0']) {
        return Err(Error::usage(format!("plugin `{}` has the version `{}`", plugin.name, exported.version), ""));
    }
    let tgz = folder.join(&file_name);
    let scratch = shared.store.scratch()?;
    let layer_file = scratch.path().join("layer");
    let packing = Packing { path: &image_path, epoch: source.epoch, compression: options.compression };
    let packed = image::pack(&exported.entries, &packing, &tgz, &layer_file)?;
    for large in &packed.large {
        shared.ui.warn(format!("{} {}: {}", workspace.name, plugin.path, large.warning()));
    }
    let integrity = folder.join(format!("{file_name}.integrity"));
    crate::store::atomic_file(&integrity, format!("{}\n", packed.tgz).as_bytes())?;

    let closure = exported.closure.as_deref().map(Sha256::of);
    let inputs = inputs::digest(&shared.lock, workspace, plugin, closure);
    let public = source.repo.contains("://") && !source.repo.starts_with("file:");
    let facts = Facts {
        source: Some(source.repo.as_str()).filter(|_| public),
        revision: source.commit.as_deref(),
        version: &plugin.version,
        epoch: source.epoch,
        inputs: Some(inputs),
    };
    let mut image = if options.buildah {
        let layer = scratch.path().join("buildah-layer");
        let build = image::buildah::build(name, tag, &image_path, &exported.entries, layer, &facts);
        tokio::runtime::Handle::current().block_on(build)?
    } else {
        Image::assemble(name, tag, &image_path, &exported.package_json, &packed, layer_file, &facts)?
    };
    let layout = Layout::open(&folder.join(LAYOUT))?;
    layout.add(&image)?;
    image.layer_file = layout.blob(image.layer);

    let config = plugin_config(shared, workspace, plugin, tree, &folder, &file_name)?;
    Ok(Artefact {
        output: Output {
            tgz: relative(&options.output_dir, &tgz),
            integrity: packed.tgz,
            tgz_bytes: packed.tgz_len,
            image: image.reference(),
            image_path: image_path.to_string(),
            digest: image.digest,
            layer: image.layer,
            diff_id: image.diff_id,
            files: packed.files,
            closure,
            inputs,
            pushed: None,
            attached: Vec::new(),
        },
        sealed: Sealed {
            closure,
            tgz: packed.tgz,
            image: image.digest,
            layer: image.diff_id,
            root: (options.isolation == super::root::Isolation::None).then(|| tree.display().to_string()),
        },
        image,
        config,
        closure: exported.closure.clone(),
        files: FileList::of(&exported.entries)?,
        timed: super::verdict::timed(&exported.entries)?,
    })
}

/// The plugin's configuration: `app-config.dynamic.yaml` of the user, which is also copied beside the `.tgz`, else the
/// plugin's own.
fn plugin_config(
    shared: &Shared,
    workspace: &Workspace,
    plugin: &Plugin,
    tree: &Path,
    folder: &Path,
    file_name: &str,
) -> Result<Option<Value>> {
    let wanted = super::tree::join(&plugin.path, "app-config.dynamic.yaml");
    let Some(input) = workspace.input.iter().find(|input| Path::new(&input.path) == wanted) else {
        return Ok(plugins_yaml::own_config(&tree.join(super::tree::join(&plugin.path, ""))));
    };
    let bytes = read_input(&shared.options.config_dir.join(&workspace.dir), input)?;
    crate::store::atomic_file(&folder.join(format!("{file_name}.app-config.dynamic.yaml")), &bytes)?;
    let value = serde_yaml::from_slice::<Value>(&bytes).ok().filter(Value::is_mapping);
    // The file may hold only the plugin's part, or wrap it as RHDH's own examples do.
    let inner = value.as_ref().and_then(|value| value.get("plugins")?.get(0)?.get("pluginConfig")).cloned();
    Ok(inner.or(value))
}

/// `path` from the output directory, with `/`.
pub fn relative(output: &Path, path: &Path) -> String {
    path.strip_prefix(output).unwrap_or(path).to_string_lossy().into_owned()
}
