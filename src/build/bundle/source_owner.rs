//! The package that a source is of: the folder that it lay in when the bundle was made, with the name and version in its
//! `package.json`. Those folders are third-party: only what is beneath them is read.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::super::context::PluginTarget;
use super::super::export_view::ExportView;
use super::super::prepare::Prepared;
use super::source_name::{PathStart, SourcePath};
use crate::error::Result;
use crate::lock::bundle::PackageOrigin;
use crate::overlay::join;
use crate::store::{LeftKind, UntrustedTree};

/// The largest `package.json` that is read, in bytes.
const LARGEST_MANIFEST: u64 = 4 << 20;
const MODULES: &str = "node_modules";

/// What a source is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceOwner {
    /// The plugin itself.
    Plugin,
    Package {
        name: String,
        version: String,
        origin: PackageOrigin,
    },
}

/// A folder as the bundlers saw it.
struct BuildFolder {
    inside: PathBuf,
    tree: UntrustedTree,
    is_tools: bool,
}

/// The folders that sources lie in.
pub(super) struct BuildFolders {
    /// The plugin's folder, as the bundlers saw it.
    plugin: PathBuf,
    folders: Vec<BuildFolder>,
    /// The package at a folder; none where there is none.
    known: BTreeMap<PathBuf, Option<(String, String)>>,
}

#[derive(Deserialize)]
struct OwnManifest {
    name: Option<String>,
    version: Option<String>,
}

impl BuildFolders {
    /// Those of a build.
    pub(super) fn of(target: PluginTarget<'_>, prepared: &Prepared, view: &ExportView) -> Result<Self> {
        let Prepared { workdir, cli, .. } = prepared;
        let source = &workdir.folders.source;
        let mut folders = Self::at(&workdir.root.inside(&workdir.tree.join(join(&target.plugin.path, ""))));
        folders.add(workdir.root.inside(source), view.tree(target.to_string())?, false);
        let tools = cli.tree.path();
        folders.add(workdir.root.inside(tools), UntrustedTree::open(tools, target.to_string())?, true);
        Ok(folders)
    }

    fn at(plugin: &Path) -> Self {
        Self { plugin: plugin.components().collect(), folders: Vec::new(), known: BTreeMap::new() }
    }

    fn add(&mut self, inside: PathBuf, tree: UntrustedTree, is_tools: bool) {
        self.folders.push(BuildFolder { inside, tree, is_tools });
        // The innermost is found first.
        self.folders.sort_by_key(|folder| std::cmp::Reverse(folder.inside.components().count()));
    }

    /// The owner of a source, which is named by the map of `script`; none where it is not known, or could be several.
    pub(super) fn owner(&mut self, path: &SourcePath, script: &str) -> Option<SourceOwner> {
        let places: Vec<PathBuf> = match path.from {
            PathStart::Root => vec![PathBuf::from("/")],
            PathStart::Above(above) => self.plugin.ancestors().skip(above).take(1).map(Path::to_path_buf).collect(),
            PathStart::AtLeastAbove(above) => self.plugin.ancestors().skip(above).map(Path::to_path_buf).collect(),
            PathStart::AboveMap(above) => {
                let map = self.plugin.join(Path::new(script).parent()?);
                map.ancestors().skip(above).take(1).map(Path::to_path_buf).collect()
            }
        };
        let files: Vec<PathBuf> = places.into_iter().map(|place| place.join(&path.rest)).collect();
        let there: Vec<&PathBuf> = files.iter().filter(|file| self.is_file(file)).collect();
        // A source of what was built before it was installed need not be there, but its package is.
        let is_installed = |file: &&PathBuf| file.components().any(|part| part.as_os_str() == MODULES);
        let files: Vec<&PathBuf> = if there.is_empty() { files.iter().filter(is_installed).collect() } else { there };
        let files: Vec<PathBuf> = files.into_iter().cloned().collect();
        let mut owners: Vec<SourceOwner> = files.iter().filter_map(|file| self.owner_of(file)).collect();
        owners.dedup();
        if owners.len() == 1 { owners.pop() } else { None }
    }

    fn owner_of(&mut self, file: &Path) -> Option<SourceOwner> {
        let is_tools = self.folder(file)?.0.is_tools;
        if let Some(root) = installed_root(file) {
            let (name, version) = self.package(&root)?;
            let origin = if is_tools { PackageOrigin::Tools } else { PackageOrigin::Installed };
            return Some(SourceOwner::Package { name, version, origin });
        }
        if is_tools {
            return None;
        }
        for root in file.ancestors().skip(1) {
            if root == self.plugin {
                return Some(SourceOwner::Plugin);
            }
            if let Some((name, version)) = self.package(root) {
                return Some(SourceOwner::Package { name, version, origin: PackageOrigin::Workspace });
            }
        }
        None
    }

    /// Name and version of the package at a folder.
    fn package(&mut self, root: &Path) -> Option<(String, String)> {
        if let Some(known) = self.known.get(root) {
            return known.clone();
        }
        let found = self.read_package(root);
        self.known.insert(root.to_path_buf(), found.clone());
        found
    }

    fn read_package(&self, root: &Path) -> Option<(String, String)> {
        let manifest = root.join("package.json");
        let (folder, path) = self.folder(&manifest)?;
        let bytes = folder.tree.read(&path, LARGEST_MANIFEST).ok()?;
        let OwnManifest { name, version } = serde_json::from_slice(&bytes).ok()?;
        let is_said = |text: &String| !text.is_empty();
        Some((name.filter(is_said)?, version.filter(is_said)?))
    }

    fn is_file(&self, file: &Path) -> bool {
        self.folder(file).is_some_and(|(folder, path)| folder.tree.kind(&path) == Some(LeftKind::File))
    }

    /// The folder that a path is in, and the path in its tree.
    fn folder(&self, path: &Path) -> Option<(&BuildFolder, PathBuf)> {
        self.folders.iter().find_map(|folder| {
            let inner = path.strip_prefix(&folder.inside).ok()?;
            Some((folder, inner.to_path_buf()))
        })
    }
}

/// The folder of the installed package that a file is in: what the last `node_modules` has it in.
fn installed_root(file: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = file.components().collect();
    let modules = parts.iter().rposition(|part| part.as_os_str() == MODULES)?;
    let name = parts.get(modules + 1)?.as_os_str().to_str()?;
    // `.store/<package>/package` is how yarn lays packages down as pnpm does.
    let depth = match name {
        name if name.starts_with('@') => 2,
        ".store" => 3,
        _ => 1,
    };
    let end = modules + 1 + depth;
    (end < parts.len()).then(|| parts[..end].iter().collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::source_name::SourceName;
    use super::*;

    /// A workspace in `/build/source/w` with the plugin `plugins/a`, and the CLI in `/build/tools/rhdh-cli`.
    fn folders(dir: &Path, files: &[(&str, &str)]) -> BuildFolders {
        for name in ["source", "rhdh-cli"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        for (path, text) in files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = |name: &str| UntrustedTree::open(&dir.join(name), "x").unwrap();
        let mut folders = BuildFolders::at(Path::new("/build/source/w/plugins/a/"));
        folders.add("/build/source".into(), tree("source"), false);
        folders.add("/build/tools/rhdh-cli".into(), tree("rhdh-cli"), true);
        folders
    }

    fn owner(folders: &mut BuildFolders, source: &str) -> String {
        let SourceName::File(path) = SourceName::parse(source) else { panic!("{source}") };
        match folders.owner(&path, "dist/static/1.js") {
            None => "unknown".into(),
            Some(SourceOwner::Plugin) => "plugin".into(),
            Some(SourceOwner::Package { name, version, origin }) => format!("{name} {version} {origin}"),
        }
    }

    #[test]
    fn packages_are_those_of_the_installed_tree() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, version: &str| format!(r#"{{"name":"{name}","version":"{version}"}}"#);
        let files = [
            ("source/w/package.json", r#"{"name":"root"}"#.to_owned()),
            ("source/w/plugins/a/package.json", of("@x/a", "1.0.0")),
            ("source/w/plugins/a/src/index.ts", String::new()),
            ("source/w/plugins/b/package.json", of("@x/b", "2.0.0")),
            ("source/w/plugins/b/src/lib/package.json", r#"{"type":"module"}"#.to_owned()),
            ("source/w/plugins/b/src/lib/i.ts", String::new()),
            ("source/w/node_modules/react/package.json", of("react", "18.3.1")),
            ("source/w/node_modules/react/i.js", String::new()),
            ("source/w/node_modules/@s/c/package.json", of("@s/c", "3.0.0")),
            ("source/w/node_modules/@s/c/node_modules/d/package.json", of("d", "4.0.0")),
            ("source/w/node_modules/@s/c/node_modules/d/esm/i.js", String::new()),
            ("source/w/node_modules/alias/package.json", of("real", "5.0.0")),
            ("source/w/node_modules/alias/i.js", String::new()),
            ("source/w/node_modules/.store/e-npm-6.0.0-1f/package/package.json", of("e", "6.0.0")),
            ("source/w/node_modules/.store/e-npm-6.0.0-1f/package/i.js", String::new()),
            ("source/w/node_modules/twice/package.json", of("twice", "1.0.0")),
            ("source/w/node_modules/twice/i.js", String::new()),
            ("source/node_modules/twice/package.json", of("twice", "2.0.0")),
            ("source/node_modules/twice/i.js", String::new()),
            ("source/w/node_modules/odd/package.json", "{".to_owned()),
            ("source/w/node_modules/odd/i.js", String::new()),
            ("rhdh-cli/node_modules/@mf/runtime/package.json", of("@mf/runtime", "0.9.1")),
            ("rhdh-cli/node_modules/@mf/runtime/i.js", String::new()),
        ];
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let mut folders = folders(dir.path(), &files);
        std::os::unix::fs::symlink("/etc", dir.path().join("source/w/node_modules/out")).unwrap();
        for (source, said) in [
            ("webpack://x/./src/index.ts", "plugin"),
            ("webpack://x/../../node_modules/react/i.js", "react 18.3.1 installed"),
            ("webpack://x/../node_modules/react/i.js", "react 18.3.1 installed"),
            ("webpack://x/javascript/node_modules/react/i.js", "react 18.3.1 installed"),
            ("webpack://x/../../node_modules/react/gone.ts", "react 18.3.1 installed"),
            ("webpack://x/../../node_modules/@s/c/node_modules/d/esm/i.js", "d 4.0.0 installed"),
            ("webpack://x/../../node_modules/alias/i.js", "real 5.0.0 installed"),
            ("webpack://x/../../node_modules/.store/e-npm-6.0.0-1f/package/i.js", "e 6.0.0 installed"),
            ("webpack://x/../b/src/lib/i.ts", "@x/b 2.0.0 workspace"),
            ("webpack://x/../../../../tools/rhdh-cli/node_modules/@mf/runtime/i.js", "@mf/runtime 0.9.1 tools"),
            ("webpack://x/../tools/rhdh-cli/node_modules/@mf/runtime/i.js", "@mf/runtime 0.9.1 tools"),
            ("webpack://x/../../node_modules/twice/i.js", "twice 1.0.0 installed"),
            ("webpack://x/../node_modules/twice/i.js", "unknown"),
            ("../../src/index.ts", "plugin"),
            ("webpack://x/../b/src/gone.ts", "unknown"),
            ("webpack://x/../../package.json", "unknown"),
            ("webpack://x/../../node_modules/none/i.js", "unknown"),
            ("webpack://x/../../node_modules/odd/i.js", "unknown"),
            ("webpack://x/../../node_modules/out/passwd", "unknown"),
            ("webpack://x/../../../../../etc/passwd", "unknown"),
            ("webpack://x/../../../../../../../../../etc/passwd", "unknown"),
        ] {
            assert_eq!(owner(&mut folders, source), said, "{source}");
        }
    }
}
