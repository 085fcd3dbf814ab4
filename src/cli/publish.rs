//! `--push-images`: what is asked before a build, and done after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::attach::{self, AttachArgs, Attaching};
use super::session::Session;
use crate::build::{BuildOptions, BuiltWorkspace, choose};
use crate::config::{Config, WorkspaceConfig};
use crate::error::{Error, Result};
use crate::image::limits::{PlannedImage, check_distinct};
use crate::image::push::{OciRegistry, PushOptions, Pushed, Pusher, image_refs};
use crate::image::{Compression, Image, ImageName, ImageNames, ImagePath, Tag};
use crate::lock::Lock;
use crate::store::atomic_file;
use crate::ui::count;

/// Images that are pushed at once.
const AT_ONCE: usize = 4;

/// How images are made and pushed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Image options")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct PublishArgs {
    /// Push the images to `REGISTRY_URL`/`REGISTRY_NAMESPACE`
    #[arg(long, env = "FACTORY_PUSH_IMAGES", overrides_with = "no_push_images")]
    pub push_images: bool,
    /// Do not push the images, whatever was said before [default]
    #[arg(long, overrides_with = "push_images", action = ArgAction::SetTrue)]
    pub no_push_images: bool,
    /// Move tags that name another image; without it such a push fails, since releases do not change
    #[arg(long, env = "FACTORY_OVERWRITE_TAGS")]
    pub overwrite_tags: bool,
    /// Who pushes
    #[arg(long, env = "FACTORY_IMAGE_PUSHER", value_enum, default_value = "builtin", value_name = "PROGRAM")]
    pub image_pusher: PusherChoice,
    /// Who makes the images; buildah's have the same files under other digests, which no lock seals
    #[arg(long, env = "FACTORY_IMAGE_BUILDER", value_enum, default_value = "builtin", value_name = "PROGRAM")]
    pub image_builder: BuilderChoice,
    /// Compression of the images' layers; only RHDH's newest installer reads zstd
    #[arg(long, env = "FACTORY_COMPRESSION", value_enum, default_value = "gzip", value_name = "KIND")]
    pub compression: CompressionChoice,
    /// Write the digest references of the pushed images to this file, one a line
    #[arg(long, env = "FACTORY_IMAGE_REFS", value_name = "FILE")]
    pub image_refs: Option<PathBuf>,
    #[command(flatten)]
    pub(super) attach: AttachArgs,
}

/// Who pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PusherChoice {
    /// This program
    Builtin,
    /// `skopeo copy`
    Skopeo,
    /// `buildah push`
    Buildah,
}

/// Who makes the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuilderChoice {
    /// This program
    Builtin,
    /// buildah
    Buildah,
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
            no_push_images: true,
            overwrite_tags: false,
            image_pusher: PusherChoice::Builtin,
            image_builder: BuilderChoice::Builtin,
            compression: CompressionChoice::Gzip,
            image_refs: None,
            attach: AttachArgs::none(),
        }
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
    attach: AttachArgs,
}

/// The registry of each workspace that is named (all when none is), as far as its variables say: what is missing there
/// is said before anything is fetched. Nobody is asked.
pub fn registries(config: &Config, names: &[String], args: &PublishArgs) -> Result<BTreeMap<String, OciRegistry>> {
    let pushed = |name: &String| args.push_images && (names.is_empty() || names.contains(name));
    let registry = |workspace: &WorkspaceConfig| {
        let variables = workspace.env.iter().map(|(name, value)| (name.to_owned(), value.text.clone())).collect();
        Ok((workspace.name.clone(), OciRegistry::from_variables(&variables)?))
    };
    config.workspaces.iter().filter(|workspace| pushed(&workspace.name)).map(registry).collect()
}

/// Looks at the images that a build will make, and at the registries they are to be pushed to.
pub async fn prepare(
    session: &Session<'_>,
    config: &Config,
    lock: &Lock,
    names: &[String],
    args: &PublishArgs,
    build: &BuildOptions,
) -> Result<Option<Publication>> {
    if let Some(warning) = args.compression().warning() {
        session.ui.warn(warning);
    }
    let mut planned: BTreeMap<String, Vec<PlannedImage>> = BTreeMap::new();
    for workspace in choose(lock, names)? {
        attach::check_workspace(&args.attach, &workspace)?;
        let prefix = build.tag_prefixes.get(&workspace.name).map_or("", String::as_str);
        for plugin in &workspace.plugin {
            let image = PlannedImage {
                plugin: format!("{} {}", workspace.name, plugin.path),
                names: ImageNames {
                    path: ImagePath::of_package(&format!("{}-dynamic", plugin.name))?,
                    name: ImageName::of_package(&plugin.name)?,
                    tag: Tag::of_version(prefix, &plugin.version)?,
                },
            };
            planned.entry(workspace.name.clone()).or_default().push(image);
        }
    }
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
        let step = session.ui.step(name, format!("ask {} for leave to push", registry.host()));
        let images: Vec<ImageName> = planned[name].iter().map(|image| image.names.name.clone()).collect();
        tokio::select! {
            asked = registry.check_access(&images, &options) => asked?,
            () = session.interrupt.wait() => return Err(Error::Interrupted),
        }
        step.done("");
    }
    Ok(Some(Publication { registries, options, refs: args.image_refs.clone(), attach: args.attach.clone() }))
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
    ) -> Result<()> {
        let attaching = Attaching { args: &self.attach, lock, lock_dir };
        let mut all: Vec<Pushed> = Vec::new();
        for workspace in built.iter_mut() {
            let Some(registry) = self.registries.get(&workspace.name) else { continue };
            let (places, images): (Vec<usize>, Vec<Image>) = workspace
                .plugins
                .iter()
                .enumerate()
                .filter_map(|(place, plugin)| Some((place, plugin.as_ref().ok()?.image.clone())))
                .unzip();
            if images.is_empty() {
                continue;
            }
            let step = session
                .ui
                .step(&workspace.name, format!("push {} to {}", count(images.len(), "image"), registry.host()));
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
        self.write_refs(&all)
    }

    fn write_refs(&self, all: &[Pushed]) -> Result<()> {
        let write = |path: &Path| atomic_file(path, image_refs(all).as_bytes());
        self.refs.as_deref().map_or(Ok(()), write)
    }
}
