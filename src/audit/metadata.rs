//! What RHDH's export repository says of its packages: `kind: Package` in `metadata/*.yaml`, beside a configuration or
//! elsewhere, on disk or in a commit.
//!
//! It is text from outside: files that cannot be read are named and left out, and long texts are cut.

use std::fs;
use std::path::{Path, PathBuf};

use super::git_revision::{Revision, TreePathKind, WORKSPACES, below};
use super::placed::{self, PlacedYaml};
use crate::error::{Error, Result};
use crate::ui::cut;
use crate::user_file;

/// The folder of a workspace that has them.
const FOLDER: &str = "metadata";
/// The most bytes of one file; real ones have a few thousand.
const MOST_BYTES: u64 = 1 << 20;
/// The most files, and the most folders that are looked into.
const MOST_FILES: usize = 10_000;
/// The most characters of one text.
const MOST_CHARACTERS: usize = 300;

/// A package of the export repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageMetadata {
    /// The workspace in whose folder the file is, where it is in one.
    pub workspace: Option<String>,
    /// `spec.packageName`.
    pub package: String,
    /// `metadata.title`.
    pub title: Option<String>,
    /// `spec.version`.
    pub version: Option<String>,
    /// `spec.support`.
    pub support: Option<String>,
    /// `spec.lifecycle`.
    pub lifecycle: Option<String>,
    /// `spec.backstage.supportedVersions`.
    pub backstage: Option<String>,
    /// `spec.dynamicArtifact`.
    pub artifact: Option<String>,
}

/// The packages that were found, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataFiles {
    /// In the order of their files.
    pub packages: Vec<PackageMetadata>,
    /// Files that are no packages, with the reason.
    pub broken: Vec<(String, String)>,
}

/// Where files are looked for.
enum MetadataPlace<'a> {
    Disk(PathBuf),
    /// A folder of a commit, from the repository's root.
    Commit(&'a Revision, String),
}

impl MetadataFiles {
    /// Those beside a lock or a configuration: in its folder, in those of its workspaces, or of a checkout's root.
    pub fn beside(folder: &Path) -> Result<Self> {
        Self::find(&MetadataPlace::Disk(folder.to_path_buf()))
    }

    /// The same in a commit.
    pub fn in_commit(revision: &Revision, folder: &str) -> Result<Self> {
        Self::find(&MetadataPlace::Commit(revision, folder.trim_matches('/').to_owned()))
    }

    /// Those of a folder that the user names: a checkout of the export repository, its `workspaces`, or `metadata`.
    pub fn named(folder: &Path) -> Result<Self> {
        let place = MetadataPlace::Disk(folder.to_path_buf());
        fs::read_dir(folder).map_err(Error::io("read", folder))?;
        let mut found = Self::find(&place)?;
        if found.is_empty() {
            found.take_folder(&place, "", None)?;
        }
        if found.is_empty() {
            return Err(Error::usage(
                format!("`{}` has no package metadata", folder.display()),
                "name a checkout of the export repository, its `workspaces`, or a `metadata` directory",
            ));
        }
        Ok(found)
    }

    /// What one file has, for messages at `path`.
    pub fn of_file(path: &str, bytes: &[u8]) -> Self {
        let mut found = Self::default();
        found.take_file(path, Ok(bytes.to_vec()), None);
        found
    }

    /// True if there is none, not even a broken one.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.broken.is_empty()
    }

    /// The metadata of a package: that of its own workspace, where several have one of its name.
    pub fn of(&self, package: &str, workspace: &str) -> Option<&PackageMetadata> {
        let mut all = self.packages.iter().filter(|one| one.package == package);
        let own = all.clone().find(|one| one.workspace.as_deref() == Some(workspace));
        own.or_else(|| all.next())
    }

    fn find(place: &MetadataPlace<'_>) -> Result<Self> {
        let mut found = Self::default();
        found.take_folder(place, FOLDER, None)?;
        found.take_workspaces(place, "")?;
        if found.is_empty() {
            found.take_workspaces(place, WORKSPACES)?;
        }
        Ok(found)
    }

    /// `*/metadata` below a folder.
    fn take_workspaces(&mut self, place: &MetadataPlace<'_>, folder: &str) -> Result<()> {
        for (name, kind) in place.entries(folder)? {
            if kind == TreePathKind::Folder {
                self.take_folder(place, &below(&below(folder, &name), FOLDER), Some(&name))?;
            }
        }
        Ok(())
    }

    fn take_folder(&mut self, place: &MetadataPlace<'_>, folder: &str, workspace: Option<&str>) -> Result<()> {
        for (name, kind) in place.entries(folder)? {
            if kind != TreePathKind::File || !user_file::is_yaml(Path::new(&name)) {
                continue;
            }
            let file = below(folder, &name);
            if self.packages.len() + self.broken.len() == MOST_FILES {
                self.broken.push((file, format!("there are more than {MOST_FILES} files")));
            } else if self.packages.len() + self.broken.len() < MOST_FILES {
                self.take_file(&file, place.read(&file), workspace);
            }
        }
        Ok(())
    }

    fn take_file(&mut self, file: &str, read: Result<Vec<u8>, String>, workspace: Option<&str>) {
        let documents = read.and_then(|bytes| {
            let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
            placed::read(&text).map_err(|fault| format!("line {}: {}", fault.line, fault.what))
        });
        let documents = match documents {
            Ok(documents) => documents,
            Err(why) => return self.broken.push((file.to_owned(), why)),
        };
        let is_package = |document: &&std::rc::Rc<PlacedYaml>| {
            document.get("kind").and_then(|kind| kind.text()).is_some_and(|kind| kind == "Package")
        };
        for document in documents.iter().filter(is_package) {
            match PackageMetadata::of(document, workspace) {
                Some(package) => self.packages.push(package),
                None => self.broken.push((file.to_owned(), "it has no `spec.packageName`".to_owned())),
            }
        }
    }
}

impl PackageMetadata {
    fn of(document: &PlacedYaml, workspace: Option<&str>) -> Option<Self> {
        let text = |path: &[&str]| {
            let (first, rest) = path.split_first()?;
            let mut value = document.get(first)?;
            for key in rest {
                value = value.get(key)?;
            }
            let text = value.text()?.trim();
            (!text.is_empty()).then(|| cut(text, MOST_CHARACTERS))
        };
        Some(Self {
            workspace: workspace.map(str::to_owned),
            package: text(&["spec", "packageName"])?,
            title: text(&["metadata", "title"]),
            version: text(&["spec", "version"]),
            support: text(&["spec", "support"]),
            lifecycle: text(&["spec", "lifecycle"]),
            backstage: text(&["spec", "backstage", "supportedVersions"]),
            artifact: text(&["spec", "dynamicArtifact"]),
        })
    }
}

impl MetadataPlace<'_> {
    /// What a folder has, sorted; nothing where there is none. No link is followed.
    fn entries(&self, folder: &str) -> Result<Vec<(String, TreePathKind)>> {
        let mut entries = match self {
            Self::Commit(revision, root) => revision.entries(&joined(root, folder))?,
            Self::Disk(root) => {
                let folder = root.join(folder);
                if !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) && &folder != root {
                    return Ok(Vec::new());
                }
                let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
                let known = entries.flatten().filter_map(|entry| {
                    let kind = entry.file_type().ok()?;
                    let kind = match (kind.is_file(), kind.is_dir()) {
                        (true, _) => TreePathKind::File,
                        (_, true) => TreePathKind::Folder,
                        _ => return None,
                    };
                    Some((entry.file_name().into_string().ok()?, kind))
                });
                known.take(MOST_FILES).collect()
            }
        };
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Disk(root) => user_file::read(&root.join(file), MOST_BYTES).map_err(|error| error.to_string()),
            Self::Commit(revision, root) => {
                let bytes = revision.read(&joined(root, file)).map_err(|error| error.to_string())?.unwrap_or_default();
                let is_small = bytes.len() as u64 <= MOST_BYTES;
                is_small.then_some(bytes).ok_or_else(|| format!("it is larger than {MOST_BYTES} bytes"))
            }
        }
    }
}

fn joined(root: &str, path: &str) -> String {
    if path.is_empty() { root.to_owned() } else { below(root, path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> MetadataFiles {
        let mut files = MetadataFiles::default();
        files.take_file("x.yaml", Ok(text.as_bytes().to_vec()), Some("todo"));
        files
    }

    #[test]
    fn a_package_says_what_the_export_repository_writes() {
        let files = of(
            "kind: Package\nmetadata:\n  title: 'To do'\nspec:\n  packageName: '@x/plugin-todo'\n  version: 1.10\n  \
                        support:  production \n  lifecycle: ~\n  backstage:\n    supportedVersions: 1.49.4\n",
        );
        let package = &files.packages[0];
        let texts = [&package.title, &package.version, &package.support, &package.lifecycle, &package.backstage];
        assert_eq!(
            texts.map(|text| text.as_deref()),
            [Some("To do"), Some("1.10"), Some("production"), None, Some("1.49.4")]
        );
        assert_eq!((package.package.as_str(), package.workspace.as_deref()), ("@x/plugin-todo", Some("todo")));
        assert_eq!(of("kind: Plugin\nspec: {}\n"), MetadataFiles::default());
    }

    #[test]
    fn what_is_no_package_is_named() {
        let why = |text: &str| of(text).broken.pop().map(|(_, why)| why).unwrap_or_default();
        assert_eq!(why("kind: Package\nspec: []\n"), "it has no `spec.packageName`");
        assert!(why("kind: [Package\n").starts_with("line 2: "), "{}", why("kind: [Package\n"));
        assert_eq!(why(&"[".repeat(200)), "line 1: more than 128 values within each other");
    }

    #[test]
    fn aliases_and_long_texts_cost_nothing() {
        let lines = (1..40).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
        let bomb = lines.collect::<Vec<_>>().concat();
        let long = "x".repeat(100_000);
        let files = of(&format!("a0: &a0 [x]\n{bomb}kind: Package\nspec:\n  packageName: a\n  support: {long}\n"));
        assert_eq!(files.packages[0].support.as_ref().unwrap().chars().count(), MOST_CHARACTERS + 1);
    }
}
