//! `--push-images`: what is checked before a build, and pushed after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::attach::{self, AttachArgs, Attaching};
use super::failures::of_workspace;
use super::label_option::LabelArgs;
use super::registry_option::RegistryOption;
use super::session::Session;
use crate::audit::sbom::provenance;
use crate::build::{BuiltWorkspace, Shared, choose};
use crate::config::{Config, WorkspaceConfig};
use crate::error::{Error, Result};
use crate::image::limits::{PlannedImage, check_distinct};
use crate::image::push::{OciRegistry, PushOptions, Pushed, Pusher, image_refs};
use crate::image::{Compression, Image, ImageLabels, ImageName};
use crate::lock::Lock;
use crate::store::atomic_file;
use crate::timeline::Lane;
use crate::ui::count;

/// Images that are pushed at once.
const AT_ONCE: usize = 4;

/// How images are built and pushed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Image options")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct PublishArgs {
    /// Push the images to `REGISTRY_URL`/`REGISTRY_NAMESPACE`
    #[arg(long, env = "FACTORY_PUSH_IMAGES", overrides_with = "no_push_images")]
    pub push_images: bool,
    /// Registry and namespace of the images, whatever `REGISTRY_URL` and `REGISTRY_NAMESPACE` say
    #[arg(long, value_name = "HOST/NAMESPACE")]
    pub registry: Option<String>,
    /// Do not push the images [default]
    #[arg(long, overrides_with = "push_images", action = ArgAction::SetTrue)]
    pub no_push_images: bool,
    /// Overwrite tags that point to another image; without this such a push fails
    #[arg(long, env = "FACTORY_OVERWRITE_TAGS")]
    pub overwrite_tags: bool,
    /// Program that pushes the images
    #[arg(long, env = "FACTORY_IMAGE_PUSHER", value_enum, default_value = "builtin", value_name = "PROGRAM")]
    pub image_pusher: PusherChoice,
    /// Program that builds the images; those of buildah have the same files but other digests, which are not sealed
    #[arg(long, env = "FACTORY_IMAGE_BUILDER", value_enum, default_value = "builtin", value_name = "PROGRAM")]
    pub image_builder: BuilderChoice,
    /// Compression of image layers; only the newest RHDH installers read zstd
    #[arg(long, env = "FACTORY_COMPRESSION", value_enum, default_value = "gzip", value_name = "KIND")]
    pub compression: CompressionChoice,
    /// Write the references of the pushed images, by digest, to this file, one per line
    #[arg(long, env = "FACTORY_IMAGE_REFS", value_name = "FILE")]
    pub image_refs: Option<PathBuf>,
    /// Oldest RHDH that reads `dynamic-plugins.yaml`; only 1.8 needs the plugin's directory behind each image
    #[arg(long, env = "FACTORY_INSTALLER", value_enum, default_value = "1.9", value_name = "RHDH")]
    pub installer: Installer,
    #[command(flatten)]
    pub(super) label: LabelArgs,
    #[command(flatten)]
    pub(super) attach: AttachArgs,
}

/// Program that pushes the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PusherChoice {
    /// This program
    Builtin,
    /// `skopeo copy`
    Skopeo,
    /// `buildah push`
    Buildah,
}

/// Program that builds the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuilderChoice {
    /// This program
    Builtin,
    /// buildah
    Buildah,
}

/// The oldest RHDH whose installer reads `dynamic-plugins.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Installer {
    /// `oci://…@sha256:…!<directory>`
    #[value(name = "1.8")]
    V1_8,
    /// `oci://…@sha256:…`
    #[value(name = "1.9", alias = "1.10")]
    V1_9,
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressionChoice {
    /// What every RHDH installs
    Gzip,
    /// Smaller and faster
    Zstd,
}

impl PublishArgs {
    /// Images as RHDH needs them, that go nowhere.
    pub fn unpublished() -> Self {
        Self {
            push_images: false,
            registry: None,
            no_push_images: true,
            overwrite_tags: false,
            image_pusher: PusherChoice::Builtin,
            image_builder: BuilderChoice::Builtin,
            compression: CompressionChoice::Gzip,
            image_refs: None,
            installer: Installer::V1_9,
            label: LabelArgs::default(),
            attach: AttachArgs::none(),
        }
    }

    /// Refuses before anything is done what cannot be attached in the end.
    pub fn check(&self) -> Result<()> {
        if let Some(text) = &self.registry {
            RegistryOption::parse(text)?;
        }
        self.label.check(self.push_images)?;
        if self.attach.attach.is_empty() {
            return Ok(());
        }
        if !self.push_images {
            return Err(Error::usage(
                "`--attach` attaches documents to images in a registry, and no images are pushed",
                "add `--push-images`, or write the documents to files: `factory sbom --output DIR`",
            ));
        }
        if self.image_pusher != PusherChoice::Builtin {
            return Err(Error::usage(
                "`--attach` cannot be used with `--image-pusher`: skopeo and buildah cannot attach documents",
                "leave out one of the two",
            ));
        }
        if self.image_builder != BuilderChoice::Builtin || self.compression() != Compression::Gzip {
            return Err(Error::usage(
                "`--attach` describes what the lock has sealed, and neither images of buildah nor zstd layers are sealed",
                "leave out `--image-builder` and `--compression`, or `--attach`",
            ));
        }
        provenance::check_builder(&self.attach.builder_id)
    }

    /// How layers are compressed.
    pub fn compression(&self) -> Compression {
        match self.compression {
            CompressionChoice::Gzip => Compression::Gzip,
            CompressionChoice::Zstd => Compression::Zstd,
        }
    }

    fn options(&self) -> PushOptions {
        let pusher = match self.image_pusher {
            PusherChoice::Builtin => Pusher::Builtin,
            PusherChoice::Skopeo => Pusher::Skopeo,
            PusherChoice::Buildah => Pusher::Buildah,
        };
        PushOptions { overwrite: self.overwrite_tags, pusher, ..PushOptions::default() }
    }
}

/// What is needed to push after a build, found out before it: a push that cannot work fails first.
pub struct Publication {
    registries: BTreeMap<String, OciRegistry>,
    options: PushOptions,
    refs: Option<PathBuf>,
    labels: ImageLabels,
    attach: AttachArgs,
}

/// The registry of each workspace that is named (all when none is), as far as its variables say: what is missing there
/// is reported before anything is fetched. No network.
pub fn registries(config: &Config, names: &[String], args: &PublishArgs) -> Result<BTreeMap<String, OciRegistry>> {
    let pushed = |name: &String| args.push_images && (names.is_empty() || names.contains(name));
    let registry = |workspace: &WorkspaceConfig| {
        let mut variables = workspace.env.iter().map(|(name, value)| (name.to_owned(), value.text.clone())).collect();
        let login_of = match &args.registry {
            Some(text) => RegistryOption::parse(text)?.replace(&mut variables),
            None => None,
        };
        let registry = OciRegistry::from_variables(&variables);
        let registry = registry.map_err(|error| of_workspace(config, &workspace.name, error))?;
        Ok((workspace.name.clone(), registry.without_login_of(login_of)))
    };
    config.workspaces.iter().filter(|workspace| pushed(&workspace.name)).map(registry).collect()
}

/// Checks the images that a build will make, and that they can be pushed; none when they are not to be pushed.
pub async fn prepare(
    session: &Session<'_>,
    config: &Config,
    shared: &Shared,
    names: &[String],
    args: &PublishArgs,
) -> Result<Option<Publication>> {
    if let Some(warning) = args.compression().warning() {
        session.ui.warn(warning);
    }
    let planned = planned_images(shared, names, args)?;
    let all: Vec<PlannedImage> = planned.values().flatten().cloned().collect();
    check_distinct(&all)?;
    if !args.push_images {
        return Ok(None);
    }
    let options = args.options();
    let mut registries = registries(config, names, args)?;
    registries.retain(|name, _| planned.contains_key(name));
    for (name, registry) in &registries {
        if let Some(warning) = registry.warning() {
            session.ui.warn(format!("{name}: {warning}"));
        }
        let step = session.ui.step(Lane::workspace(name), format!("check access to {}", registry.host()));
        let images: Vec<ImageName> = planned[name].iter().map(|image| image.names.name.clone()).collect();
        tokio::select! {
            checked = registry.check_access(&images, &options) => checked?,
            () = session.interrupt.wait() => return Err(Error::Interrupted),
        }
        step.done("");
    }
    let (refs, labels, attach) = (args.image_refs.clone(), args.label.labels()?, args.attach.clone());
    Ok(Some(Publication { registries, options, refs, labels, attach }))
}

/// The images of each workspace that is named (all when none is).
fn planned_images(
    shared: &Shared,
    names: &[String],
    args: &PublishArgs,
) -> Result<BTreeMap<String, Vec<PlannedImage>>> {
    let mut planned: BTreeMap<String, Vec<PlannedImage>> = BTreeMap::new();
    for workspace in choose(&shared.lock, names)? {
        attach::check_workspace(&args.attach, &workspace)?;
        let prefix = shared.options.tag_prefixes.get(&workspace.name).map_or("", String::as_str);
        for plugin in workspace.plugin.iter().filter(|plugin| shared.options.chooses(plugin)) {
            let image = PlannedImage::of(&workspace, plugin, prefix)?;
            planned.entry(workspace.name.clone()).or_default().push(image);
        }
    }
    Ok(planned)
}

impl Publication {
    /// Pushes what was built, and attaches what was asked for; a plugin whose image cannot be pushed has failed.
    /// `lock` is sealed and lies in `lock_dir`.
    pub async fn push(
        &self,
        session: &Session<'_>,
        lock: &Lock,
        lock_dir: &Path,
        built: &mut [BuiltWorkspace],
    ) -> Result<Vec<Pushed>> {
        let attaching = Attaching { args: &self.attach, lock, lock_dir };
        let mut all: Vec<Pushed> = Vec::new();
        for workspace in built.iter_mut() {
            let Some(registry) = self.registries.get(&workspace.name) else { continue };
            let (places, images): (Vec<usize>, Vec<Image>) = workspace
                .plugins
                .iter()
                .filter_map(|(place, plugin)| Some((*place, plugin.as_ref().ok()?.image.clone())))
                .unzip();
            if images.is_empty() {
                continue;
            }
            let labelled = images.iter().map(|image| image.with_labels(&self.labels));
            let images: Vec<Image> = labelled.collect::<Result<_>>()?;
            let step = session.ui.step(
                Lane::workspace(&workspace.name),
                format!("push {} to {}", count(images.len(), "image"), registry.host()),
            );
            let results = tokio::select! {
                results = registry.push_all(&images, &self.options, AT_ONCE) => results,
                () = session.interrupt.wait() => return Err(Error::Interrupted),
            };
            let new = results.iter().flatten().filter(|pushed| !pushed.already_there).count();
            step.done(format!("{new} new"));
            let mut there = Vec::new();
            for ((place, image), result) in places.into_iter().zip(images).zip(results) {
                match result {
                    Ok(pushed) => {
                        session.ui.note(format!("  {}", pushed.pinned));
                        let image =
                            pushed.same_content.clone().map_or(image.clone(), |there| image.with_manifest(there));
                        workspace.amend(place, |output| output.pushed = Some(pushed.pinned.clone()));
                        all.push(pushed);
                        there.push((place, image));
                    }
                    Err(error) => {
                        session.ui.error(&error);
                        workspace.fail(place, error);
                    }
                }
            }
            attaching.attach(session, registry, &self.options, workspace, there).await?;
        }
        Ok(all)
    }

    /// Writes the file of `--image-refs`, if it is asked for.
    pub fn write_refs(&self, all: &[Pushed]) -> Result<()> {
        let write = |path: &Path| atomic_file(path, image_refs(all).as_bytes());
        self.refs.as_deref().map_or(Ok(()), write)
    }
}
