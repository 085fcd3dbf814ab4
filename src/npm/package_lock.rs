//! npm's `package-lock.json` of version 3: the packages that `npm ci` installs on a platform, and their programs.
//!
//! Only what is certain to come out as npm's is read: where the file has anything else (links, bundled packages,
//! packages from elsewhere than a registry), [`Unfamiliar`] says what, and npm is to install it.

mod programs;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::range::{NpmRange, npm_version};
use crate::lock::{Integrity, is_package_name};
pub use programs::ProgramLink;

/// Packages of a file; rhdh-cli has 2,000.
const MOST_PACKAGES: usize = 100_000;

/// What only npm knows how to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfamiliar(pub String);

impl fmt::Display for Unfamiliar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a tree is installed.
#[derive(Clone, Copy, Debug)]
pub struct InstallPlatform<'a> {
    /// `x64` or `arm64`, of Linux.
    pub cpu: &'a str,
    /// `glibc` or `musl`, where it is known.
    pub libc: Option<&'a str>,
    /// The version of Node.js.
    pub node: &'a str,
    /// The version of npm.
    pub npm: &'a str,
}

/// What is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageTree {
    /// Each at a path of its own, in the order of the file.
    pub packages: Vec<TreePackage>,
    /// The links in `.bin` folders.
    pub links: Vec<ProgramLink>,
}

/// A package of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePackage {
    /// Its folder: `node_modules/a/node_modules/@b/c`.
    pub path: String,
    /// Its name in the registry, which an alias is not.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its tarball is held to.
    pub integrity: Integrity,
    /// The files that are programs, as paths in the package.
    pub programs: BTreeSet<String>,
    /// Whether npm goes on without it.
    pub is_optional: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LockFile {
    lockfile_version: u32,
    packages: IndexMap<String, Entry>,
}

/// A package of the file; one key more than these is harmless, npm itself knows no other that matters here.
#[allow(clippy::struct_excessive_bools, reason = "as the file has them")]
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    resolved: Option<String>,
    bin: Option<Value>,
    link: bool,
    in_bundle: bool,
    bundle_dependencies: Option<Value>,
    has_shrinkwrap: bool,
    extraneous: bool,
    optional: bool,
    os: Option<PlatformList>,
    cpu: Option<PlatformList>,
    libc: Option<PlatformList>,
    engines: Option<Value>,
    workspaces: Option<Value>,
    dependencies: IndexMap<String, String>,
    optional_dependencies: IndexMap<String, String>,
    peer_dependencies: IndexMap<String, String>,
    peer_dependencies_meta: IndexMap<String, PeerMeta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PeerMeta {
    optional: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PlatformList {
    One(String),
    Many(Vec<String>),
}

impl PlatformList {
    /// `checkList` of npm-install-checks.
    fn allows(&self, value: &str) -> bool {
        let list = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        };
        if list == ["any"] {
            return true;
        }
        let negated: Vec<_> = list.iter().filter_map(|entry| entry.strip_prefix('!')).collect();
        !negated.contains(&value) && (list.iter().any(|entry| entry == value) || negated.len() == list.len())
    }
}

impl PackageTree {
    /// The packages that `npm ci` installs from `bytes`.
    pub fn read(bytes: &[u8], platform: InstallPlatform<'_>) -> Result<Self, Unfamiliar> {
        let file: LockFile =
            serde_json::from_slice(bytes).map_err(|e| Unfamiliar(format!("the package-lock cannot be read: {e}")))?;
        if file.lockfile_version != 3 {
            return Err(Unfamiliar(format!("the package-lock has version {}", file.lockfile_version)));
        }
        if file.packages.len() > MOST_PACKAGES {
            return Err(Unfamiliar(format!("the package-lock has more than {MOST_PACKAGES} packages")));
        }
        // npm removes these before it installs anything.
        let entries: IndexMap<_, _> = file.packages.into_iter().filter(|(_, entry)| !entry.extraneous).collect();
        let graph = Graph::new(&entries)?;
        let left_out = graph.left_out(platform)?;
        let installed = || entries.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, entry)| entry);
        let packages = installed().filter(|(path, _)| !path.is_empty()).map(|(path, entry)| entry.package(path));
        let links = programs::links(installed().filter(|(path, _)| !path.is_empty()))?;
        Ok(Self { packages: packages.collect::<Result<_, _>>()?, links })
    }
}

impl Entry {
    /// Its name in the registry.
    fn name<'a>(&'a self, path: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or_else(|| folder_name(path))
    }

    fn package(&self, path: &str) -> Result<TreePackage, Unfamiliar> {
        let unfamiliar = |what: &str| Unfamiliar(format!("`{}` {what}", path.escape_debug()));
        for (has, what) in [
            (self.link, "is a link"),
            (self.in_bundle, "is bundled with another package"),
            (!is_empty(self.bundle_dependencies.as_ref()), "bundles packages"),
            (self.has_shrinkwrap, "has a shrinkwrap of its own"),
            (self.resolved.is_some(), "has an address of its own"),
        ] {
            if has {
                return Err(unfamiliar(what));
            }
        }
        let name = self.name(path);
        if !is_package_name(name) {
            return Err(unfamiliar("has no package's name"));
        }
        let version = self.version.as_deref().filter(|version| npm_version(version).is_some());
        let integrity = self.integrity.as_deref().and_then(|integrity| integrity.parse().ok());
        Ok(TreePackage {
            path: path.to_owned(),
            name: name.to_owned(),
            version: version.ok_or_else(|| unfamiliar("has no version"))?.to_owned(),
            integrity: integrity.ok_or_else(|| unfamiliar("has no SHA-512"))?,
            programs: programs::of(name, self.bin.as_ref())?.into_iter().map(|(_, file)| file).collect(),
            is_optional: self.optional,
        })
    }

    /// Whether the engines and the platform that it asks for are there.
    fn runs_on(&self, platform: InstallPlatform<'_>) -> Result<bool, Unfamiliar> {
        Ok(self.is_for(platform) && self.has_engines(platform)?)
    }

    fn is_for(&self, platform: InstallPlatform<'_>) -> bool {
        let allows = |list: &Option<PlatformList>, value: &str| list.as_ref().is_none_or(|list| list.allows(value));
        let libc = self.libc.as_ref().is_none_or(|list| platform.libc.is_some_and(|libc| list.allows(libc)));
        allows(&self.os, "linux") && allows(&self.cpu, platform.cpu) && libc
    }

    fn has_engines(&self, platform: InstallPlatform<'_>) -> Result<bool, Unfamiliar> {
        for (engine, version) in [("node", platform.node), ("npm", platform.npm)] {
            let Some(range) = self.engines.as_ref().and_then(|engines| engines.get(engine)?.as_str()) else { continue };
            let (Some(range), Some(version)) = (NpmRange::parse(range), npm_version(version)) else {
                return Err(Unfamiliar(format!("`{}` is no range of versions of {engine}", range.escape_debug())));
            };
            if !range.allows(&version) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// The package's part of `…/node_modules/<package>`.
fn folder_name(path: &str) -> &str {
    path.rsplit_once("node_modules/").map_or(path, |(_, name)| name)
}

/// Whether a path is `node_modules/<package>`, once or nested.
fn is_tree_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("node_modules/") else { return false };
    rest.split("/node_modules/").all(is_package_name)
}

/// Which package finds which, by their places in the file.
struct Graph<'a> {
    entries: &'a IndexMap<String, Entry>,
    /// The packages that each one finds, and whether it can do without.
    needs: Vec<Vec<(usize, bool)>>,
    /// The other way round.
    needed_by: Vec<Vec<(usize, bool)>>,
}

impl<'a> Graph<'a> {
    fn new(entries: &'a IndexMap<String, Entry>) -> Result<Self, Unfamiliar> {
        let mut graph =
            Self { entries, needs: vec![Vec::new(); entries.len()], needed_by: vec![Vec::new(); entries.len()] };
        for (from, (path, entry)) in entries.iter().enumerate() {
            if !path.is_empty() && !is_tree_path(path) {
                return Err(Unfamiliar(format!("`{}` is not a path in `node_modules`", path.escape_debug())));
            }
            if path.is_empty() && !is_empty(entry.workspaces.as_ref()) {
                return Err(Unfamiliar("the package-lock has workspaces".to_owned()));
            }
            // A name of more than one kind is of the last.
            let peer = |name: &String| entry.peer_dependencies_meta.get(name).is_some_and(|meta| meta.optional);
            let mut names: HashMap<&str, bool> =
                entry.peer_dependencies.keys().map(|name| (name.as_str(), peer(name))).collect();
            names.extend(entry.dependencies.keys().map(|name| (name.as_str(), false)));
            names.extend(entry.optional_dependencies.keys().map(|name| (name.as_str(), true)));
            for (name, is_optional) in names {
                match graph.found_from(path, name) {
                    Some(to) => {
                        graph.needs[from].push((to, is_optional));
                        graph.needed_by[to].push((from, is_optional));
                    }
                    None if is_optional => {}
                    None => {
                        let (path, name) = (path.escape_debug(), name.escape_debug());
                        return Err(Unfamiliar(format!("`{path}` needs `{name}`, which is not in the package-lock")));
                    }
                }
            }
        }
        Ok(graph)
    }

    /// The package `name` as the one at `path` finds it: below it, or further out.
    fn found_from(&self, path: &str, name: &str) -> Option<usize> {
        let mut folder = Some(path);
        while let Some(at) = folder {
            let separator = if at.is_empty() { "" } else { "/" };
            if let Some(found) = self.entries.get_index_of(&format!("{at}{separator}node_modules/{name}")) {
                return Some(found);
            }
            folder = at.rfind("node_modules/").map(|start| at[..start].trim_end_matches('/'));
        }
        None
    }

    /// The packages that are not for this platform, with those that only they need: Arborist's `optionalSet`.
    fn left_out(&self, platform: InstallPlatform<'_>) -> Result<HashSet<usize>, Unfamiliar> {
        let mut left_out = HashSet::new();
        for (at, (path, entry)) in self.entries.iter().enumerate() {
            if path.is_empty() || left_out.contains(&at) {
                continue;
            }
            if !entry.optional {
                if !entry.is_for(platform) {
                    return Err(Unfamiliar(format!("`{}` is not for this platform", path.escape_debug())));
                }
            } else if !entry.runs_on(platform)? {
                let set = self.only_needed_by(&self.up_to_optional(at), &left_out);
                left_out.extend(set);
            }
        }
        Ok(left_out)
    }

    /// The package, and those that cannot do without it, up to an optional dependency.
    fn up_to_optional(&self, at: usize) -> HashSet<usize> {
        let (mut set, mut todo) = (HashSet::from([at]), vec![at]);
        while let Some(at) = todo.pop() {
            for (from, is_optional) in &self.needed_by[at] {
                if !is_optional && set.insert(*from) {
                    todo.push(*from);
                }
            }
        }
        set
    }

    /// `core` with all that nothing else needs.
    fn only_needed_by(&self, core: &HashSet<usize>, left_out: &HashSet<usize>) -> HashSet<usize> {
        let (mut set, mut todo) = (core.clone(), core.iter().copied().collect::<Vec<_>>());
        while let Some(at) = todo.pop().filter(|at| !left_out.contains(at)) {
            todo.extend(self.needs[at].iter().map(|(to, _)| *to).filter(|to| set.insert(*to)));
        }
        loop {
            let is_needed = |at: &&usize| {
                let others = |(from, _): &(usize, bool)| !set.contains(from) && !left_out.contains(from);
                !core.contains(*at) && self.needed_by[**at].iter().any(others)
            };
            let needed: Vec<usize> = set.iter().filter(is_needed).copied().collect();
            if needed.is_empty() {
                return set;
            }
            for at in needed {
                set.remove(&at);
            }
        }
    }
}
