//! Checks of a package before it is packed: what RHDH would find out when it loads the plugin.
//!
//! In the order of the data: [`contents`] is what one pass over the files keeps of them ([`javascript`] finds the modules
//! that code requires, [`library`] reads native ones, [`platforms`] for whom these are); [`federation`] and [`scalprum`]
//! check a frontend, [`modules`] and [`native`] a backend ([`glibc`]), and put what is wrong into [`findings`].
//!
//! Nothing is run. A plugin from the cache of finished builds is checked again, from the bytes of its archive: so what is
//! said of it depends on this version of factory and on the options of this run alone.

mod contents;
mod federation;
mod findings;
mod glibc;
mod javascript;
mod library;
mod modules;
mod native;
mod platforms;
mod scalprum;

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use super::context::PluginTarget;
use crate::error::{Error, Result};
use crate::image::PackageFiles;
use crate::image::limits::MAX_FILE;
use crate::lock::input_digest;
use crate::yarn::platform::Platform;
use contents::{Contents, PACKAGE_JSON};
use findings::Findings;
pub use glibc::GlibcVersion;

/// Checks the files that will be packed. What is worth a warning is said, and returned; an error fails the plugin.
pub(super) fn of_files(target: PluginTarget<'_>, files: &PackageFiles) -> Result<Vec<String>> {
    let mut contents = Contents::new(target.plugin.role.is_backend());
    for file in files.entries() {
        contents.add(&file.path, file.content.len(), || file.read())?;
    }
    conclude(target, &contents)
}

/// The same for a package that is packed already.
pub(super) fn of_archive(target: PluginTarget<'_>, archive: &Path) -> Result<Vec<String>> {
    let mut contents = Contents::new(target.plugin.role.is_backend());
    let unreadable = || Error::io("read", archive);
    let file = File::open(archive).map_err(unreadable())?;
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    for entry in tar.entries().map_err(unreadable())? {
        let mut entry = entry.map_err(unreadable())?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(path) = path.strip_prefix("package/") else { continue };
        contents.add(path, entry.size(), || {
            let mut bytes = Vec::new();
            entry.by_ref().take(MAX_FILE).read_to_end(&mut bytes).map_err(unreadable())?;
            Ok(Cow::Owned(bytes))
        })?;
    }
    conclude(target, &contents)
}

fn conclude(target: PluginTarget<'_>, contents: &Contents) -> Result<Vec<String>> {
    let PluginTarget { shared, workspace, plugin } = target;
    let is_configured = input_digest::scalprum(workspace, plugin).is_some()
        || plugin.args.iter().any(|argument| argument.flag == "--scalprum-config");
    let findings = check(contents, is_configured, shared.options.target_glibc);
    let warnings = findings.warning_texts();
    for warning in &warnings {
        shared.ui.warn(format!("{}: {warning}", target.label()));
    }
    match findings.error_texts() {
        Some((what, hint)) => Err(Error::build(format!("{target}: {what}"), hint)),
        None => Ok(warnings),
    }
}

fn check(contents: &Contents, is_configured: bool, target_glibc: GlibcVersion) -> Findings {
    let mut findings = Findings::default();
    let manifest = contents.text(PACKAGE_JSON).and_then(|bytes| serde_json::from_slice(bytes).ok());
    let manifest: Map<String, Value> = manifest.unwrap_or_default();
    if contents.is_backend {
        modules::check(contents, &manifest, &mut findings);
        native::check(contents, &Platform::of_machine(), target_glibc, &mut findings);
    } else {
        federation::check(contents, &mut findings);
        scalprum::check(contents, &manifest, is_configured, &mut findings);
    }
    findings
}

/// Reads a native library as the checks do, for fuzz targets.
#[cfg(any(test, fuzzing))]
pub fn read_library(bytes: &[u8]) {
    let _ = library::NativeLibrary::read(bytes);
}

#[cfg(test)]
pub(super) mod tests;
