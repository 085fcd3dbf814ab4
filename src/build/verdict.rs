//! What was made, compared with what the lock has sealed.

use std::fmt;
use std::path::Path;

use super::artefact::Artefact;
use super::context::BuildOptions;
use super::file_list::{self, Difference, DifferenceClass, FileList};
use crate::error::{Error, Place, Result};
use crate::lock::companions::CompanionPath;
use crate::lock::text::FILE_NAME;
use crate::lock::{Plugin, Sealed, Workspace};
use crate::user_file;

/// The verdicts, in the order in which they are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Archive, image and closure are equal to the byte.
    Reproduced,
    /// The uncompressed layer is equal: only the compressor made something else.
    Compression,
    /// Archive and layer are equal: only the image's name, tag or annotations differ.
    Description,
    /// All is equal, and only the packages that were read from its bundles differ.
    BundledPackages,
    /// The files differ, or (class `Packing`) only how they are packed.
    Differs(Difference),
    /// They differ, and the list of files that would say where is gone.
    Unlisted,
}

impl Verdict {
    /// One word for reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Compression => "compression",
            Self::Description => "description",
            Self::BundledPackages => "bundled-packages",
            Self::Differs(difference) => match difference.class {
                DifferenceClass::Packing => "packing",
                DifferenceClass::PackageJson => "package.json",
                DifferenceClass::BundleName => "bundle-name",
                DifferenceClass::Bundle => "bundle",
                DifferenceClass::Dependency => "dependency",
                DifferenceClass::Embedded => "embedded",
                DifferenceClass::Other => "plugin",
            },
            Self::Unlisted => "unlisted",
        }
    }

    /// The first file that differs.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Differs(difference) => difference.file.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reproduced => f.write_str("reproduced to the byte"),
            Self::Compression => f.write_str("its files are equal, only their compression differs"),
            Self::Description => f.write_str("its files are equal, but the image's description differs"),
            Self::BundledPackages => f.write_str("its files are equal, but other packages are in its bundles"),
            Self::Differs(Difference { file: Some(file), class, count }) => {
                write!(f, "`{file}` differs first, of {} ({class})", crate::ui::count(*count, "file"))
            }
            // The same recipe packed the same files: whose fault else would it be?
            Self::Differs(Difference { class: DifferenceClass::Packing, .. }) => {
                write!(f, "no file differs ({}, which is a defect of factory)", DifferenceClass::Packing)
            }
            Self::Differs(Difference { class, .. }) => write!(f, "no file differs ({class})"),
            Self::Unlisted => f.write_str("its files differ, and the sealed list of them is gone"),
        }
    }
}

/// Compares a plugin with its seal.
pub fn compare(
    options: &BuildOptions,
    workspace: &Workspace,
    plugin: &Plugin,
    sealed: &Sealed,
    made: &Artefact,
) -> Result<Verdict> {
    let path = CompanionPath::files(&workspace.name, &plugin.path).below(&options.lock_dir);
    let list = match user_file::read_text(&path, user_file::DOCUMENT) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let (tgz, layer) = (sealed.tgz == made.sealed.tgz, sealed.layer == made.sealed.layer);
    let closure = sealed.closure == made.sealed.closure;
    // The seal is of our own gzip image; one that was asked for otherwise has other digests by design.
    let other = !options.makes_sealed_images();
    if tgz && (other || sealed.image == made.sealed.image) && closure {
        if !other && !layer {
            return Err(Error::Lock {
                place: Place::file(options.lock_dir.join(FILE_NAME)),
                what: format!(
                    "plugin `{}` of workspace `{}`: `layer` is {}, which is not the layer of the sealed image ({})",
                    plugin.path, workspace.name, sealed.layer, made.sealed.layer
                ),
                hint: "restore the lock from version control".into(),
            });
        }
        // Seals of earlier versions, and what they left in the cache, do not say it.
        if sealed.bundle.is_some() && made.sealed.bundle.is_some() && sealed.bundle != made.sealed.bundle {
            return Ok(Verdict::BundledPackages);
        }
        let listed = made.files.to_text();
        // It decides nothing now, but the next comparison would name the wrong file.
        return if list.as_ref() == Some(&listed) {
            Ok(Verdict::Reproduced)
        } else {
            Err(broken_list(&path, list.is_some()))
        };
    }
    if layer && closure {
        return Ok(if tgz { Verdict::Description } else { Verdict::Compression });
    }
    let own = made.record.closure.as_deref().map(file_list::embedded).unwrap_or_default();
    Ok(list
        .map_or(Verdict::Unlisted, |text| Verdict::Differs(FileList::from_text(&text).difference(&made.files, &own))))
}

fn broken_list(path: &Path, is_there: bool) -> Error {
    Error::Lock {
        place: Place::file(path),
        what: if is_there {
            "is not the list of the files that the lock has sealed"
        } else {
            "is missing; the lock needs it"
        }
        .into(),
        hint: "restore it from version control".into(),
    }
}

/// Fails when what was made is not what the lock has sealed.
pub fn check_sealed(options: &BuildOptions, workspace: &Workspace, plugin: &Plugin, made: &Artefact) -> Result<()> {
    let Some(sealed) = &plugin.sealed else { return Ok(()) };
    let verdict = compare(options, workspace, plugin, sealed, made)?;
    if verdict == Verdict::Reproduced {
        return Ok(());
    }
    let closure = CompanionPath::closure(&workspace.name, &plugin.path).below(&options.lock_dir);
    let hint = hint(&closure, sealed, made, &verdict);
    Err(Error::NotReproducible {
        what: format!(
            "plugin `{}` of workspace `{}` is not what the lock has sealed: {verdict}",
            plugin.path, workspace.name
        ),
        hint,
    })
}

/// `closure` is the file in which the sealed closure is.
fn hint(closure: &Path, sealed: &Sealed, made: &Artefact, verdict: &Verdict) -> String {
    let mut hint = match verdict {
        Verdict::Description => {
            return "image names, tags and annotations come from the lock, `--tag-prefix` and factory's version".into();
        }
        Verdict::BundledPackages => {
            return "another version of factory may read them otherwise: compare the versions; `factory resolve --restamp` \
                    and a build seal anew"
                .into();
        }
        Verdict::Compression => {
            return "another version of factory may compress differently: compare the versions".into();
        }
        Verdict::Differs(Difference { class: DifferenceClass::Embedded, .. }) => {
            "an embedded workspace package is not reproducible: check its build for timestamps and absolute paths"
                .to_owned()
        }
        Verdict::Differs(Difference { class: DifferenceClass::Dependency, .. })
            if sealed.closure != made.sealed.closure =>
        {
            format!("compare the closure with `{}`", closure.display())
        }
        _ => format!("compare `{}` with the sealed archive ({})", made.output.tgz, sealed.tgz),
    };
    if sealed.root != made.sealed.root {
        hint = format!(
            "it was sealed under {}, and built under {}: paths end up in bundles; {hint}",
            sealed.root.as_deref().unwrap_or("the build root"),
            made.sealed.root.as_deref().unwrap_or("the build root")
        );
    }
    if let Some(file) = &made.record.timed {
        hint = format!(
            "`{file}` carries the time of its build: code in it uses `process.env.BUILD_INFO`, which the bundler fills; \
             remove that code with a patch or overlay; {hint}"
        );
    }
    hint
}
