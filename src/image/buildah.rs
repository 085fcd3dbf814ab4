//! buildah as the builder of an image, for those who want one they know: the same files and facts, packed by it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::external_program::{self, ProgramOutput};
use super::manifest::{self, Facts, Image};
use super::name::ImageNames;
use super::package_files::PackageFiles;
use crate::lock::Sha256;
use crate::{Error, Result};

const INSTEAD: &str = "leave out `--image-builder buildah`";

/// Builds the image of one plugin with `buildah from scratch`, `copy`, `config` and `commit`, in a store of its own
/// and with one time for everything. The layer is written to `layer_file`. Its bytes are buildah's: the digests differ
/// from [`pack`](super::pack())'s, the files in it are the same.
pub async fn build(names: ImageNames, entries: &PackageFiles, layer_file: PathBuf, facts: &Facts<'_>) -> Result<Image> {
    build_with("buildah", names, entries, layer_file, facts).await
}

async fn build_with(
    program: &str,
    names: ImageNames,
    entries: &PackageFiles,
    layer_file: PathBuf,
    facts: &Facts<'_>,
) -> Result<Image> {
    entries.check_limits()?;
    let folder = layer_file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(Error::io("read", folder))?;
    let work =
        tempfile::Builder::new().prefix(".factory-").tempdir_in(&folder).map_err(Error::io("create", &folder))?;
    let tree = work.path().join("tree");
    let (copied, root) = (entries.clone(), tree.join(names.path.as_str()));
    let copied = tokio::task::spawn_blocking(move || copy(&copied, &root)).await;
    copied.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;

    let package = entries.read("package.json")?.unwrap_or_default();
    let annotations = manifest::annotations(&names.path, &package, facts)?;
    let buildah = Buildah { program, work: &work };
    let container = buildah.run(&["from", "scratch"]).await?.line();
    buildah.run(&["copy", "--quiet", &container, "tree", "/"]).await?;
    let mut config: Vec<String> =
        ["config", "--os=linux", "--arch=amd64", "--created-by=factory"].map(str::to_owned).into();
    config.extend(annotations.iter().map(|(key, value)| format!("--annotation={key}={value}")));
    config.push(container.clone());
    buildah.run(&config.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let layout = work.path().join("layout");
    let epoch = format!("--timestamp={}", facts.epoch);
    let commit = [
        "commit",
        "--quiet",
        "--format=oci",
        "--disable-compression=false",
        "--identity-label=false",
        &epoch,
        &container,
        "oci:layout:image",
    ];
    buildah.run(&commit).await?;
    read(&layout, names, layer_file)
}

/// The package as files below `root`, with the modes they have in our own archives.
fn copy(entries: &PackageFiles, root: &Path) -> Result<()> {
    for entry in entries.entries() {
        let file = root.join(&entry.path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        fs::write(&file, entry.read()?).map_err(Error::io("write", &file))?;
        let mode = fs::Permissions::from_mode(if entry.executable { 0o755 } else { 0o644 });
        fs::set_permissions(&file, mode).map_err(Error::io("write", &file))?;
    }
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(Error::io("write", &folder))?;
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let path = entry.map_err(Error::io("read", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

struct Buildah<'a> {
    program: &'a str,
    work: &'a TempDir,
}

impl Buildah<'_> {
    async fn run(&self, arguments: &[&str]) -> Result<ProgramOutput> {
        let [store, run, temporary] =
            ["store", "run", ""].map(|name| self.work.path().join(name).display().to_string());
        let variables: Vec<(String, String)> = std::env::vars().collect();
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = external_program::environment(variables, &temporary);
        let all = [&["--storage-driver=vfs", "--root", &store, "--runroot", &run], arguments].concat();
        let said = external_program::run(self.program, all, self.work.path(), &environment, INSTEAD).await?;
        if said.success {
            return Ok(said);
        }
        Err(Error::Build {
            what: format!("buildah {} failed: {}", arguments[0], said.complaint()),
            tail: said.tail(),
            hint: format!("buildah may need root or a user namespace here; otherwise {INSTEAD}"),
        })
    }
}

#[derive(Deserialize)]
struct BuildahIndex {
    manifests: Vec<BuildahBlob>,
}

#[derive(Deserialize)]
struct BuildahManifest {
    config: BuildahBlob,
    layers: Vec<BuildahBlob>,
}

#[derive(Deserialize)]
struct BuildahConfig {
    rootfs: BuildahRootFs,
}

#[derive(Deserialize)]
struct BuildahRootFs {
    diff_ids: Vec<Sha256>,
}

#[derive(Deserialize)]
struct BuildahBlob {
    digest: Sha256,
    #[serde(default)]
    size: u64,
}

/// The one image of buildah's layout; its layer is moved to `layer_file`.
fn read(layout: &Path, names: ImageNames, layer_file: PathBuf) -> Result<Image> {
    let blob = |digest: Sha256| layout.join("blobs/sha256").join(digest.hex());
    let index: BuildahIndex = parse(&bytes(&layout.join("index.json"))?)?;
    let [BuildahBlob { digest, .. }] = index.manifests[..] else { return Err(odd()) };
    let manifest = bytes(&blob(digest))?;
    let written: BuildahManifest = parse(&manifest)?;
    let config = bytes(&blob(written.config.digest))?;
    let BuildahConfig { rootfs } = parse(&config)?;
    let ([layer], [diff_id]) = (&written.layers[..], &rootfs.diff_ids[..]) else { return Err(odd()) };
    let compressed = blob(layer.digest);
    let moved =
        File::open(&compressed).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&compressed, &layer_file));
    moved.map_err(Error::io("write", &layer_file))?;
    Ok(Image {
        name: names.name,
        tag: names.tag,
        digest: Sha256::of(&manifest),
        manifest,
        config_digest: written.config.digest,
        config,
        layer_file,
        layer: layer.digest,
        layer_len: layer.size,
        diff_id: *diff_id,
    })
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(Error::io("read", file))
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|_| odd())
}

fn odd() -> Error {
    Error::build("buildah wrote an image of an unknown kind", INSTEAD)
}

#[cfg(test)]
mod tests;
