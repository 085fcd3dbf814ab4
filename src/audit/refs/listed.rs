//! The references of a file: a list of plugins, packages of the export repository, or an index of RHDH's catalog.

use std::path::{Path, PathBuf};

use super::super::placed::{self, PlacedValue, PlacedYaml};
use crate::error::{Error, Place, Result, redact};
use crate::image::reference::{SCHEME, has_userinfo};
use crate::user_file;

/// A file and what it refers to.
#[derive(Debug)]
pub struct RefFile {
    /// Its path, as it was given.
    pub path: PathBuf,
    /// What it is.
    pub kind: RefFileKind,
    /// The lists that it includes.
    pub includes: Vec<String>,
    /// In the order of the file.
    pub refs: Vec<ListedRef>,
    /// Lines of entries that refer to nothing.
    pub empty: Vec<usize>,
}

/// What a file is. Plugins of one kind are installed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefFileKind {
    /// `dynamic-plugins.yaml`.
    List,
    /// `kind: Package` of a catalog.
    Package,
    /// `index.json`.
    Index,
}

/// A reference where it stands.
#[derive(Debug)]
pub struct ListedRef {
    /// 1-based.
    pub line: usize,
    /// As it is written.
    pub text: String,
    /// The scheme that it leaves out.
    scheme: String,
    /// Whether it is not installed.
    pub disabled: bool,
    /// What `disabled` says where it is neither true nor false.
    pub no_truth: Option<String>,
    /// The checksum beside it, with its line.
    pub integrity: Option<(usize, String)>,
}

impl RefFile {
    /// Reads the files that are named; of a folder, the YAML files in it.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                for file in yaml_files(path)? {
                    files.push(Self::read(&file)?);
                }
            } else {
                files.push(Self::read(path)?);
            }
        }
        Ok(files)
    }

    fn read(path: &Path) -> Result<Self> {
        let broken = |place, what: String| Error::config(place, what, "name files of YAML or JSON");
        let bytes = user_file::read_piped(path, user_file::DOCUMENT)
            .map_err(|error| broken(Place::file(path), format!("it cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| broken(Place::file(path), "it is not UTF-8".to_owned()))?;
        let documents =
            placed::read(&text).map_err(|fault| broken(Place::at(path, fault.line, fault.column), fault.what))?;
        let mut file = Self {
            path: path.to_path_buf(),
            kind: RefFileKind::List,
            includes: Vec::new(),
            refs: Vec::new(),
            empty: Vec::new(),
        };
        let mut is_known = false;
        for document in &documents {
            if let Some((line, what)) = other_form(document) {
                return Err(broken(Place::line(path, line), what));
            }
            is_known |= file.take(document);
        }
        if is_known {
            return Ok(file);
        }
        Err(Error::config(
            Place::file(path),
            "it is neither a list of plugins, nor a `kind: Package`, nor an index of a catalog",
            "name files with `plugins:`, with `kind:` and `spec.dynamicArtifact`, or with `registryReference`",
        ))
    }

    /// Takes the references of a document; false if it is not known what it is.
    fn take(&mut self, document: &PlacedYaml) -> bool {
        if let Some(kind) = document.get("kind").filter(|_| document.get("plugins").is_none()) {
            self.kind = RefFileKind::Package;
            let artifact = document.get("spec").and_then(|spec| spec.get("dynamicArtifact"));
            if kind.text() == Some("Package") {
                self.refs.extend(artifact.and_then(|artifact| ListedRef::of(artifact, "")));
            }
            return true;
        }
        let (plugins, includes) = (document.get("plugins"), document.get("includes"));
        if plugins.is_some() || includes.is_some() {
            let names = includes.into_iter().flat_map(|list| list.items());
            self.includes.extend(names.filter_map(|name| name.text().map(str::to_owned)));
            for entry in plugins.into_iter().flat_map(|list| list.items()) {
                self.entry(entry);
            }
            return true;
        }
        let listed =
            |value: &PlacedYaml| value.get("registryReference").and_then(|reference| ListedRef::of(reference, SCHEME));
        let before = self.refs.len();
        self.refs.extend(document.entries().iter().filter_map(|(_, value)| listed(value)));
        self.kind = if self.refs.len() > before { RefFileKind::Index } else { self.kind };
        self.refs.len() > before
    }

    fn entry(&mut self, entry: &PlacedYaml) {
        let Some(mut found) = entry.get("package").and_then(|package| ListedRef::of(package, "")) else {
            self.empty.push(entry.line);
            return;
        };
        let truth = |key: &str| entry.get(key).and_then(|value| value.truth());
        let disabled = entry.get("disabled").filter(|value| value.truth().is_none());
        found.no_truth = disabled.map(|value| value.text().unwrap_or("…").to_owned());
        found.disabled = truth("disabled").unwrap_or_else(|| truth("enabled") == Some(false));
        found.integrity = entry.get("integrity").and_then(|value| Some((value.line, value.text()?.to_owned())));
        self.refs.push(found);
    }
}

impl ListedRef {
    fn of(value: &PlacedYaml, scheme: &str) -> Option<Self> {
        let text = value.text()?.to_owned();
        let scheme = if text.starts_with(scheme) { "" } else { scheme }.to_owned();
        Some(Self { line: value.line, text, scheme, disabled: false, no_truth: None, integrity: None })
    }

    /// As it is written, without user names and passwords, and without the query of an address.
    pub fn shown(&self) -> String {
        if has_userinfo(&self.full_text()) {
            let kept = self.text.rsplit_once('@').map_or("", |(_, kept)| kept);
            return if self.scheme.is_empty() { format!("{SCHEME}{kept}") } else { kept.to_owned() };
        }
        let of_url = self.text.split_once("://").filter(|_| !self.text.starts_with(SCHEME));
        let Some((scheme, rest)) = of_url else { return self.text.clone() };
        // `@` at the beginning of a segment is that of a scope.
        if rest.replace("/@", "/").contains('@') {
            return redact::repository(&self.text);
        }
        format!("{scheme}://{}", rest.split(['?', '#']).next().unwrap_or(rest))
    }

    /// With its scheme, which an index leaves out.
    pub fn full_text(&self) -> String {
        format!("{}{}", self.scheme, self.text)
    }
}

/// Why a document is no list of plugins that installers take, and in which line.
fn other_form(document: &PlacedYaml) -> Option<(usize, String)> {
    let plugins = document.entries().iter().filter(|(key, _)| key.text() == Some("plugins"));
    let all: Vec<_> = plugins.collect();
    if let [_, (key, _), ..] = &all[..] {
        return Some((key.line, "the key `plugins` is in it twice".to_owned()));
    }
    let value = all.first().map(|(_, value)| value)?;
    let is_none = matches!(value.value, PlacedValue::Scalar { .. }) && value.text().is_none();
    let is_list = matches!(value.value, PlacedValue::List(_)) || is_none;
    (!is_list).then(|| (value.line, "`plugins` is not a list".to_owned()))
}

/// True for what a build writes beside an archive: `<archive>.tgz.app-config.dynamic.yaml`.
fn is_beside_archive(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.find(".tgz.").is_some_and(|at| path.with_file_name(&name[..at + ".tgz".len()]).is_file())
}

/// The YAML files in a folder, sorted.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if user_file::is_yaml(&path) && path.is_file() && !is_beside_archive(&path) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::usage(
            format!("`{}` has no YAML files", folder.display()),
            "name the files, such as `metadata/*.yaml`",
        ));
    }
    Ok(files)
}
