//! The files of a workspace's configuration that a build uses: patches, overlays, scalprum and app configuration.
//!
//! The original's `override-sources.sh` and `export-workspace.sh` say which they are: `patches/*.patch`,
//! `<plugin>/overlay/`, `<plugin>/scalprum-config.json`, `<plugin>/app-config.dynamic.yaml` and `backstage.json`. Its
//! README also writes `overlays/`, which is taken as well. Files of an overlay whose names start with a dot are part
//! of it (the original's `cp overlay/*` leaves them out).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::plugins_list::PluginsList;
use super::warning::Warning;
use super::{path, text};
use crate::error::Place;
pub use crate::lock::input_digest::SCALPRUM;
use crate::lock::{Input, Sha256, at};
pub use crate::overlay::{BACKSTAGE, OVERLAY_FOLDERS as OVERLAYS};
use crate::user_file;
use crate::{Error, Result};

mod unused;

/// The folder of patches, each applied with GNU patch in the order of their names' bytes.
pub const PATCHES: &str = "patches";
/// A plugin's default app configuration.
pub const APP_CONFIG: &str = "app-config.dynamic.yaml";

/// The most files a workspace's configuration may have. Links can make many of few.
const FILES: usize = 100_000;

/// How deep a plugin's folder lies at most; what is deeper is somebody's source tree.
const DEPTH: usize = 8;

/// Folders of a configuration that hold no plugin's files.
const NO_PLUGINS: &[&str] = &["node_modules", "metadata", "tests", "e2e-tests", "smoke-tests", PATCHES];

/// What a workspace's configuration folder holds for its build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigInputs {
    /// The files, sorted by path, each with its digest.
    pub files: Vec<Input>,
    /// `version` of the folder's own `backstage.json`, for `backstage.supported-versions`.
    pub supported_versions: Option<String>,
    /// Files that look as if they were meant to be used, and are not.
    pub warnings: Vec<Warning>,
}

/// Reads the inputs of the workspace whose configuration lies in `dir`.
///
/// `root` is the configuration directory, which symbolic links must not leave. The plugins are those of `list`;
/// without one, every folder that holds a plugin's file is a plugin's.
pub fn read(root: &Path, dir: &Path, list: Option<&PluginsList>) -> Result<ConfigInputs> {
    if !dir.exists() {
        return Ok(ConfigInputs::default());
    }
    let root = root.canonicalize().map_err(Error::io("read", root))?;
    let mut reader = InputsReader { root, dir, inputs: ConfigInputs::default() };
    reader.patches()?;
    reader.backstage()?;
    reader.unused_at_root(list)?;
    let found = reader.plugin_folders(list)?;
    match list {
        None => {
            for plugin in &found {
                reader.plugin(plugin)?;
            }
        }
        Some(list) => {
            for entry in &list.entries {
                reader.plugin(&entry.path)?;
            }
            for stray in found.iter().filter(|folder| list.get(folder).is_none()) {
                reader.inputs.warnings.push(Warning::new(
                    Place::file(dir.join(stray)),
                    format!("`{stray}` is not in plugins-list.yaml, so its files are not used"),
                ));
            }
        }
    }
    let mut inputs = reader.inputs;
    inputs.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(inputs)
}

struct InputsReader<'a> {
    root: PathBuf,
    dir: &'a Path,
    inputs: ConfigInputs,
}

/// What a path leads to.
enum PathKind {
    Absent,
    File,
    Folder,
}

impl InputsReader<'_> {
    fn patches(&mut self) -> Result<()> {
        if !matches!(self.kind(PATCHES)?, PathKind::Folder) {
            return Ok(());
        }
        for name in self.names(PATCHES)? {
            let path = at(PATCHES, &name);
            let is_file = matches!(self.kind(&path)?, PathKind::File);
            if is_file && Path::new(&name).extension().is_some_and(|extension| extension == "patch") {
                self.file(path)?;
            } else {
                self.unused_patch(&path)?;
            }
        }
        Ok(())
    }

    fn backstage(&mut self) -> Result<()> {
        #[derive(Deserialize)]
        struct BackstageJson {
            version: Option<String>,
        }
        if matches!(self.kind(BACKSTAGE)?, PathKind::File) {
            let file = self.dir.join(BACKSTAGE);
            let text = text::read(&file)?.unwrap_or_default();
            let backstage: BackstageJson = text::json(&file, &text, r#"write `{ "version": "1.49.4" }`"#)?;
            self.inputs.supported_versions = backstage.version.filter(|version| !version.is_empty());
            self.file(BACKSTAGE.to_owned())?;
        }
        Ok(())
    }

    /// The files of one plugin.
    fn plugin(&mut self, plugin: &str) -> Result<()> {
        let scalprum = at(plugin, SCALPRUM);
        if matches!(self.kind(&scalprum)?, PathKind::File) {
            let file = self.dir.join(&scalprum);
            let text = text::read(&file)?.unwrap_or_default();
            text::json::<serde_json::Map<_, _>>(&file, &text, "write a JSON object with `name` and `exposedModules`")?;
            self.file(scalprum)?;
        }
        let app_config = at(plugin, APP_CONFIG);
        if matches!(self.kind(&app_config)?, PathKind::File) {
            let file = self.dir.join(&app_config);
            text::yaml_map(&file, &text::read(&file)?.unwrap_or_default())?;
            self.file(app_config)?;
        }
        self.unused_of_plugin(plugin);
        let mut overlay: Option<String> = None;
        for name in OVERLAYS {
            let folder = at(plugin, name);
            if !matches!(self.kind(&folder)?, PathKind::Folder) {
                continue;
            }
            if let Some(other) = overlay {
                return Err(Error::config(
                    Place::file(self.dir.join(&folder)),
                    format!("`{plugin}` has an `{other}` folder too"),
                    "move the files of both into `overlay`",
                ));
            }
            overlay = Some(name.to_owned());
            self.tree(&folder, &mut Vec::new())?;
        }
        Ok(())
    }

    /// All files below a folder. `above` holds the real paths of the folders it lies in.
    fn tree(&mut self, folder: &str, above: &mut Vec<PathBuf>) -> Result<()> {
        let file = self.dir.join(folder);
        let real = file.canonicalize().map_err(Error::io("read", &file))?;
        if above.contains(&real) {
            let hint = "remove the link, or copy what is meant";
            return Err(Error::config(Place::file(file), "is a symbolic link to a folder it lies in", hint));
        }
        above.push(real);
        for name in self.names(folder)? {
            let path = at(folder, &name);
            match self.kind(&path)? {
                PathKind::Folder => self.tree(&path, above)?,
                PathKind::File => self.file(path)?,
                PathKind::Absent => {}
            }
        }
        above.pop();
        Ok(())
    }

    fn file(&mut self, path: String) -> Result<()> {
        let file = self.dir.join(&path);
        if self.inputs.files.len() == FILES {
            let hint = "keep only patches and overlays in the configuration";
            return Err(Error::config(
                Place::file(self.dir),
                format!("holds more than {FILES} files for a build"),
                hint,
            ));
        }
        let mut open = user_file::open(&file).map_err(Error::io("read", &file))?;
        let metadata = open.metadata().map_err(Error::io("read", &file))?;
        let sha256 = Sha256::of_reader(&mut open).map_err(Error::io("read", &file))?;
        self.inputs.files.push(Input { path, sha256, executable: is_executable(&metadata) });
        Ok(())
    }

    /// Folders with a plugin's files, sorted. Without a list the whole configuration is searched; with one, only
    /// beside the listed plugins, where a misspelt name is likely.
    fn plugin_folders(&self, list: Option<&PluginsList>) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        match list {
            None => self.search(".", 0, &mut found)?,
            Some(list) => {
                let tops: BTreeSet<_> = list.entries.iter().filter_map(|entry| entry.path.split_once('/')).collect();
                let tops: BTreeSet<_> = tops.into_iter().map(|(top, _)| top).chain(["plugins", "packages"]).collect();
                for top in tops {
                    if matches!(self.kind(top)?, PathKind::Folder) {
                        self.search(top, 1, &mut found)?;
                    }
                }
            }
        }
        Ok(found)
    }

    fn search(&self, folder: &str, depth: usize, found: &mut BTreeSet<String>) -> Result<()> {
        if depth > DEPTH {
            return Ok(());
        }
        let names = self.names(folder)?;
        // Another workspace, or a clone.
        if folder != "." && names.iter().any(|name| name == super::source_json::FILE_NAME || name == ".git") {
            return Ok(());
        }
        for name in names {
            let path = at(folder, &name);
            // Links are left alone here: whether they may be followed matters only where they are used.
            let Ok(metadata) = fs::symlink_metadata(self.dir.join(&path)) else { continue };
            let is_plugins = if metadata.is_dir() {
                OVERLAYS.contains(&name.as_str())
            } else {
                name == SCALPRUM || name == APP_CONFIG
            };
            if is_plugins {
                found.insert(folder.to_owned());
            } else if metadata.is_dir() && !name.starts_with('.') && !NO_PLUGINS.contains(&name.as_str()) {
                self.search(&path, depth + 1, found)?;
            }
        }
        Ok(())
    }

    /// The names in a folder, sorted by their bytes.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let dir = self.dir.join(folder);
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(Error::io("read", &dir))? {
            let name = entry.map_err(Error::io("read", &dir))?.file_name();
            let name = name.into_string().ok().filter(|name| path::inside(name).as_ref() == Ok(name));
            names.push(name.ok_or_else(|| {
                let what = "a file whose name is not UTF-8, or has a backslash or a control character in it";
                Error::config(Place::file(&dir), what, "rename or remove it")
            })?);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What a path leads to; a link out of the configuration, a device, a socket and a pipe are refused.
    fn kind(&self, path: &str) -> Result<PathKind> {
        let file = self.dir.join(path);
        let metadata = match fs::metadata(&file) {
            Ok(metadata) => metadata,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                if fs::symlink_metadata(&file).is_ok() {
                    let hint = "point the link at a file of the configuration, or remove it";
                    return Err(Error::config(Place::file(&file), "is a symbolic link to nothing", hint));
                }
                return Ok(PathKind::Absent);
            }
            Err(e) => return Err(Error::io("read", &file)(e)),
        };
        let real = file.canonicalize().map_err(Error::io("read", &file))?;
        if !real.starts_with(&self.root) {
            return Err(Error::config(
                Place::file(&file),
                "is a symbolic link that leads out of the configuration directory",
                "copy what it points at into the configuration",
            ));
        }
        match metadata.file_type() {
            kind if kind.is_file() => Ok(PathKind::File),
            kind if kind.is_dir() => Ok(PathKind::Folder),
            _ => Err(Error::config(Place::file(&file), "is neither a file nor a folder", "remove it")),
        }
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests;
