//! Where the packages of a workspace are installed.

use std::fs;
use std::path::Path;

/// Packages in `node_modules` folders, by name and folder from a source.
pub(super) struct InstalledPackages<'a> {
    pub(super) source: &'a Path,
    /// Whether a package is wanted, by its name. What lies in one that is wanted is a part of it.
    pub(super) is_wanted: &'a dyn Fn(&str) -> bool,
    pub(super) found: Vec<(String, String)>,
}

impl InstalledPackages<'_> {
    /// Finds those in the `node_modules` of a folder, and in the packages there.
    pub(super) fn find(&mut self, folder: &str) {
        let modules = format!("{folder}/node_modules");
        for name in self.folders(&modules) {
            if name.starts_with('@') {
                let scope = format!("{modules}/{name}");
                for inner in self.folders(&scope) {
                    self.package(format!("{name}/{inner}"), &format!("{scope}/{inner}"));
                }
            } else if !name.starts_with('.') {
                let path = format!("{modules}/{name}");
                self.package(name, &path);
            }
        }
    }

    fn package(&mut self, name: String, folder: &str) {
        if (self.is_wanted)(&name) {
            self.found.push((name, folder.to_owned()));
        } else {
            self.find(folder);
        }
    }

    /// The names of the folders in a folder. Links are workspaces, or lead to what is found elsewhere.
    fn folders(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.source.join(folder)).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}
