//! What a closure names and no archive has. yarn adds `node-gyp` to whatever compiles something, whether its package.json
//! asks for that or not; an archive has what the package.json files ask for.

use std::collections::BTreeSet;

use super::companions::Companions;
use super::sbom::DependencyEdges;
use crate::error::Result;
use crate::lock::companions::CompanionPath;
use crate::yarn::lockfile::{LockedDependency, YarnEntry, YarnLock};

const NODE_GYP: &str = "node-gyp";

/// Reads the sealed closure of a plugin, with what its archive has of it: the list of the archive's files, which lies
/// beside the lock, has to say that `node-gyp` is not among them, since a package can ask for it as well.
pub fn closure<'t>(
    bytes: &'t [u8],
    companions: &Companions,
    (workspace, plugin): (&str, &str),
) -> Result<YarnLock<'t>> {
    let files = companions.read(&CompanionPath::files(workspace, plugin))?;
    in_archive(bytes, &CompanionPath::closure(workspace, plugin), files.as_deref())
}

fn in_archive<'t>(bytes: &'t [u8], path: &CompanionPath, files: Option<&[u8]>) -> Result<YarnLock<'t>> {
    let mut lock = YarnLock::parse(bytes, path.as_str().as_ref())?;
    if files.is_some_and(|files| !has_package(files, NODE_GYP)) {
        let lines = build_only(&lock);
        lock.entries.retain(|entry| !lines.contains(&entry.line));
    }
    Ok(lock)
}

/// Whether a package is among those whose files are listed.
fn has_package(files: &[u8], name: &str) -> bool {
    let mut paths = files.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()?.split_once(' '));
    paths.any(|(_, path)| path.strip_prefix("node_modules/") == Some(name))
}

/// The lines of the entries that nothing but yarn's own dependencies on `node-gyp` leads to.
fn build_only(lock: &YarnLock<'_>) -> BTreeSet<usize> {
    let is_gyp = |entry: &&YarnEntry<'_>| entry.name() == NODE_GYP;
    let entries: Vec<&YarnEntry<'_>> = lock.entries.iter().filter(|e| e.workspace_path().is_none()).collect();
    let mut gyps = entries.iter().copied().filter(is_gyp);
    // Two of them need not lie where the list of files shows them.
    let (Some(gyp), None) = (gyps.next(), gyps.next()) else { return BTreeSet::new() };
    let is_of_yarn =
        |one: &LockedDependency<'_>| one.name == NODE_GYP && (one.range == "npm:latest" || one.range == "latest");
    let edges = DependencyEdges::of(&entries);
    let below = reached(&edges, vec![gyp], |_| true);
    let others = lock.entries.iter().filter(|entry| !below.contains(&entry.line)).collect();
    let kept = reached(&edges, others, |dependency| !is_of_yarn(dependency));
    // Where a dependency leads is not always known: what has its name stays.
    let unclear: BTreeSet<&str> = lock
        .entries
        .iter()
        .filter(|entry| kept.contains(&entry.line))
        .flat_map(|entry| &entry.dependencies)
        .filter(|dependency| edges.target(dependency).is_none())
        .map(|dependency| &*dependency.name)
        .collect();
    let named = entries.iter().copied().filter(|entry| unclear.contains(entry.name())).collect();
    let unclear = reached(&edges, named, |_| true);
    below.into_iter().filter(|line| !kept.contains(line) && !unclear.contains(line)).collect()
}

/// The lines of some entries and of all that they lead to.
fn reached<'e, 't>(
    edges: &DependencyEdges<'e, 't>,
    mut next: Vec<&'e YarnEntry<'t>>,
    follow: impl Fn(&LockedDependency<'t>) -> bool,
) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    while let Some(entry) = next.pop() {
        if lines.insert(entry.line) {
            let dependencies = entry.dependencies.iter().filter(|dependency| follow(dependency));
            next.extend(dependencies.filter_map(|dependency| edges.target(dependency)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSURE: &str = r#"__metadata:
  version: 8

"@x/plugin-dynamic@workspace:.":
  version: 0.0.0-use.local
  resolution: "@x/plugin-dynamic@workspace:."
  dependencies:
    nan: "npm:^2.0.0"
    retry: "npm:^0.13.0"

"glob@npm:^10.0.0":
  version: 10.3.10
  resolution: "glob@npm:10.3.10"
  dependencies:
    node-gyp: "npm:latest"

"nan@npm:^2.0.0":
  version: 2.19.0
  resolution: "nan@npm:2.19.0"
  dependencies:
    node-gyp: "npm:latest"

"node-gyp@npm:latest":
  version: 10.0.1
  resolution: "node-gyp@npm:10.0.1"
  dependencies:
    glob: "npm:^10.0.0"
    retry: "npm:^0.12.0"
    which: "npm:^4.0.0"

"retry@npm:^0.12.0":
  version: 0.12.0
  resolution: "retry@npm:0.12.0"

"retry@npm:^0.13.0":
  version: 0.13.1
  resolution: "retry@npm:0.13.1"

"which@npm:^4.0.0":
  version: 4.0.0
  resolution: "which@npm:4.0.0"
"#;

    const FILES: &str = "0123456789abcdef node_modules/nan\n0123456789abcdef node_modules/retry\n";

    fn left(text: &str, files: Option<&str>) -> Vec<String> {
        let path = CompanionPath::closure("w", "plugins/x");
        let lock = in_archive(text.as_bytes(), &path, files.map(str::as_bytes)).unwrap();
        lock.entries[1..].iter().map(|entry| format!("{}@{}", entry.name(), entry.version)).collect()
    }

    #[test]
    fn what_only_node_gyp_leads_to_is_in_no_archive() {
        assert_eq!(left(CLOSURE, Some(FILES)), ["nan@2.19.0", "retry@0.13.1"]);
        let asked = CLOSURE.replace("retry: \"npm:^0.13.0\"\n", "retry: \"npm:^0.13.0\"\n    which: \"npm:^4.0.0\"\n");
        assert_eq!(left(&asked, Some(FILES)), ["nan@2.19.0", "retry@0.13.1", "which@4.0.0"]);
    }

    #[test]
    fn what_may_be_in_the_archive_stays() {
        let all = ["glob@10.3.10", "nan@2.19.0", "node-gyp@10.0.1", "retry@0.12.0", "retry@0.13.1", "which@4.0.0"];
        assert_eq!(left(CLOSURE, None), all);
        assert_eq!(left(CLOSURE, Some("0123456789abcdef node_modules/node-gyp\n")), all);
        // A package that asks for it says which.
        let asked = CLOSURE.replacen("node-gyp: \"npm:latest\"", "node-gyp: \"npm:^10.0.0\"", 2);
        assert_eq!(left(&asked.replace("node-gyp@npm:latest", "node-gyp@npm:^10.0.0"), Some(FILES)), all);
        // Where `resolutions` led is not in the lockfile.
        let led = CLOSURE.replace("retry: \"npm:^0.13.0\"", "retry: \"npm:^1.0.0\"");
        assert_eq!(left(&led, Some(FILES)), ["nan@2.19.0", "retry@0.12.0", "retry@0.13.1"]);
    }
}
