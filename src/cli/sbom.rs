//! `factory sbom`

use std::path::{Path, PathBuf};

use clap::Args;

use super::session::Session;
use super::{lock_file, paths};
use crate::audit::companions::Companions;
use crate::audit::sbom::{self, Bill, DocumentFormat};
use crate::error::{Error, Result};
use crate::store::atomic_file;
use crate::ui::{self, count};

/// Options of `factory sbom`.
#[derive(Clone, Debug, Args)]
pub struct SbomArgs {
    /// Only these workspaces
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
    /// Format of the document
    #[arg(long, value_enum, default_value = "cyclonedx", value_name = "FORMAT", env = "FACTORY_SBOM_FORMAT")]
    pub format: DocumentFormat,
    /// Write the document of the release and one per plugin to this directory, instead of the first to stdout
    #[arg(long, value_name = "DIR", env = "FACTORY_SBOM_OUTPUT")]
    pub output: Option<PathBuf>,
    /// URI of the builder: `builder.id` of the provenance
    #[arg(long, value_name = "URI", default_value = sbom::provenance::LOCAL_BUILDER, env = "FACTORY_BUILDER_ID")]
    pub builder_id: String,
}

pub(super) fn run(session: &Session<'_>, args: &SbomArgs) -> Result<()> {
    let lock_file = lock_file::place(session, None);
    let lock = lock_file::read(&lock_file)?
        .ok_or_else(|| lock_file::missing(&lock_file, "run `factory resolve` and `factory build` first"))?;
    let companions = Companions::Folder(paths::folder_of(&lock_file));
    let bill = sbom::bill(&lock, &companions, &args.workspaces)?;
    for warning in &bill.warnings {
        session.ui.warn(warning);
    }
    let release = bill.document(args.format, None, &args.builder_id)?;
    let Some(dir) = &args.output else {
        let text = String::from_utf8_lossy(&release.bytes);
        return ui::data_as_it_is(&text).map_err(Error::io("write", Path::new("stdout")));
    };
    let extension = args.format.extension();
    write(&dir.join(format!("release.{extension}")), &release.bytes)?;
    let mut written = 1;
    for (index, plugin) in bill.plugins.iter().enumerate() {
        // There is nothing to state the provenance of before the first build.
        if args.format == DocumentFormat::Provenance && plugin.plugin.sealed.is_none() {
            continue;
        }
        let document = bill.document(args.format, Some(index), &args.builder_id)?;
        write(&dir.join(file_name(&bill, index, extension)), &document.bytes)?;
        written += 1;
    }
    session.ui.note(format!("{} written to {}", count(written, "document"), dir.display()));
    Ok(())
}

/// `<workspace>/<plugin path>.cdx.json`: both are known to be relative, and their pairs are unique in a lock.
fn file_name(bill: &Bill<'_>, index: usize, extension: &str) -> PathBuf {
    let plugin = &bill.plugins[index];
    let path = if plugin.plugin.path == "." { "plugin" } else { &plugin.plugin.path };
    Path::new(&plugin.workspace.name).join(format!("{path}.{extension}"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    atomic_file(path, bytes)
}
