//! `--attach`: bills of materials and provenance beside the pushed images, as OCI referrers.

use std::path::Path;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::session::Session;
use crate::audit::companions::Companions;
use crate::audit::sbom::{self, DocumentFormat};
use crate::build::BuiltWorkspace;
use crate::build::report::AttachedDocument;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::image::push::{Attached, Attachment, OciRegistry, PushOptions};
use crate::lock::{self, Lock};
use crate::timeline::Lane;
use crate::ui::count;

/// Images whose documents are attached at once.
const AT_ONCE: usize = 4;

/// What is attached to pushed images.
#[derive(Clone, Debug, Args)]
pub struct AttachArgs {
    /// Attach these documents to the pushed images, as OCI referrers
    #[arg(long, env = "FACTORY_ATTACH", value_enum, value_delimiter = ',', value_name = "FORMAT,…")]
    pub attach: Vec<DocumentFormat>,
    /// URI of the builder: `builder.id` of attached provenance
    #[arg(long, value_name = "URI", default_value = sbom::provenance::LOCAL_BUILDER, env = "FACTORY_BUILDER_ID")]
    pub builder_id: String,
}

impl AttachArgs {
    /// No documents.
    pub fn none() -> Self {
        Self { attach: Vec::new(), builder_id: sbom::provenance::LOCAL_BUILDER.to_owned() }
    }

    /// Each format once.
    fn formats(&self) -> Vec<DocumentFormat> {
        let mut formats = Vec::new();
        for format in &self.attach {
            if !formats.contains(format) {
                formats.push(*format);
            }
        }
        formats
    }
}

/// Refuses workspaces that are never sealed.
pub fn check_workspace(args: &AttachArgs, workspace: &lock::Workspace) -> Result<()> {
    if args.attach.is_empty() || !workspace.source.local {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "`--attach` describes what the lock has sealed, and `{}` is a local tree, which it never seals",
            workspace.name
        ),
        "build a commit, or leave out `--attach`",
    ))
}

/// Documents for the images of a sealed lock.
pub struct Attaching<'a> {
    /// What is asked for.
    pub args: &'a AttachArgs,
    /// The lock, as it is after the build.
    pub lock: &'a Lock,
    /// Its folder.
    pub lock_dir: &'a Path,
}

impl Attaching<'_> {
    /// Attaches to the images of a workspace that were pushed, by their places among its plugins. A plugin whose
    /// documents cannot be attached has failed.
    pub async fn attach(
        &self,
        session: &Session<'_>,
        registry: &OciRegistry,
        options: &PushOptions,
        workspace: &mut BuiltWorkspace,
        pushed: Vec<(usize, Image)>,
    ) -> Result<()> {
        let formats = self.args.formats();
        let locked = self.lock.workspace.iter().find(|locked| locked.name == workspace.name);
        let (Some(locked), false) = (locked, formats.is_empty() || pushed.is_empty()) else { return Ok(()) };
        let companions = Companions::Folder(self.lock_dir.to_path_buf());
        let what = format!("attach {} to each of {}", count(formats.len(), "document"), count(pushed.len(), "image"));
        let step = session.ui.step(Lane::workspace(&workspace.name), what);
        let attaching = pushed.iter().map(|(place, image)| {
            let documents = self.documents(&formats, &companions, locked, *place, image);
            async { registry.attach(image, &documents?, options).await }
        });
        let results: Vec<Result<Vec<Attached>>> = tokio::select! {
            results = stream::iter(attaching).buffered(AT_ONCE).collect() => results,
            () = session.interrupt.wait() => return Err(Error::Interrupted),
        };
        let new = results.iter().flatten().flatten().filter(|attached| !attached.already_there).count();
        step.done(format!("{new} new"));
        for ((place, image), result) in pushed.into_iter().zip(results) {
            match result {
                Ok(attached) => {
                    for document in &attached {
                        let pinned = registry.pinned(&image.name, document.digest);
                        session.ui.note(format!("  {pinned} ({})", document.artifact_type));
                    }
                    let document = |attached: Attached| AttachedDocument {
                        artifact_type: attached.artifact_type.to_owned(),
                        digest: attached.digest,
                    };
                    workspace.amend(place, |output| output.attached = attached.into_iter().map(document).collect());
                }
                Err(error) => {
                    session.ui.error(&error);
                    workspace.fail(place, error);
                }
            }
        }
        Ok(())
    }

    /// The documents that `factory sbom --output` writes for a plugin.
    fn documents(
        &self,
        formats: &[DocumentFormat],
        companions: &Companions,
        workspace: &lock::Workspace,
        place: usize,
        image: &Image,
    ) -> Result<Vec<Attachment>> {
        let bill = sbom::bill_of(self.lock, companions, workspace, place)?;
        let epoch = bill.plugins.first().map_or(workspace.source.epoch, |plugin| plugin.origin.epoch);
        let attachment = |format: &DocumentFormat| {
            Ok(Attachment {
                media_type: format.media_type(),
                title: format!("{}-{}.{}", image.name, image.tag, format.extension()),
                epoch,
                bytes: bill.document(*format, Some(0), &self.args.builder_id)?.bytes,
            })
        };
        formats.iter().map(attachment).collect()
    }
}
