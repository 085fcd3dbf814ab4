//! The names that bundlers give to sources.
//!
//! webpack and rspack write `webpack://<plugin>/<path>`, with a path from the plugin's folder. What has gone through
//! webpack's minifier has lost some of it: the name was `webpack://<path>` then, and as of any URL the first part was taken
//! for a host, and all `..` behind it were dropped. So `../node_modules/a` can be in any folder above the plugin, and
//! `javascript/node_modules/a` was `javascript/esm|../../node_modules/a`.

/// What the name of a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceName {
    /// A part of the bundler's own, which is of no package.
    Generated,
    /// A file.
    File(SourcePath),
    /// Something else.
    Unclear,
}

/// The path of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourcePath {
    pub(super) from: PathStart,
    /// Below that, without `.` and `..`.
    pub(super) rest: String,
}

/// Where the path of a source starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathStart {
    /// At the root of the file system.
    Root,
    /// As many folders above the plugin's.
    Above(usize),
    /// As many folders above the plugin's, or more.
    AtLeastAbove(usize),
    /// As many folders above that of the map.
    AboveMap(usize),
}

/// What names of the bundler's own parts begin with.
const GENERATED: [&str; 15] = [
    "webpack/",
    "rspack/",
    "(webpack)/",
    "module_federation/",
    "container entry",
    "container-entry",
    "consume shared module",
    "consume-shared-module",
    "provide shared module",
    "provide module",
    "external ",
    "ignored|",
    "data:",
    // The start of federation in rspack, which has an import of a text as its name.
    "==void 0",
    "remote ",
];

impl SourceName {
    pub(super) fn parse(source: &str) -> Self {
        let Some(name) = source.strip_prefix("webpack://") else {
            let path = source.strip_prefix("file://").unwrap_or(source);
            return if path.contains("://") { Self::Unclear } else { path_of(path, PathStart::AboveMap) };
        };
        let name = name.split_once('/').map_or("", |(_, name)| name);
        if GENERATED.iter().any(|start| name.starts_with(start)) {
            return Self::Generated;
        }
        // Loaders stand before what they load.
        let name = name.rsplit('!').next().unwrap_or(name);
        if let Some(of_type) = name.strip_prefix("javascript/") {
            return match of_type.split_once('|') {
                Some((_, path)) => path_of(path, in_webpack),
                None => path_of(of_type, |_| PathStart::AtLeastAbove(2)),
            };
        }
        // The name of a plugin may have a `/`; its path begins with dots.
        let dots = ["/./", "/../"].iter().filter_map(|dots| name.find(dots)).min();
        match dots.filter(|_| !name.starts_with('.') && !name.starts_with('/')) {
            Some(at) => path_of(&name[at + 1..], in_webpack),
            None if name.starts_with("./") => path_of(name, |_| PathStart::Above(0)),
            None => path_of(name, in_webpack),
        }
    }
}

/// Two `..` are what the minifier leaves of none.
fn in_webpack(above: usize) -> PathStart {
    if above > 1 { PathStart::Above(above) } else { PathStart::AtLeastAbove(above) }
}

fn path_of(path: &str, from: impl Fn(usize) -> PathStart) -> SourceName {
    let path = path.split('?').next().unwrap_or(path);
    let mut parts: Vec<&str> = Vec::new();
    let mut above = 0;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => above += usize::from(parts.pop().is_none()),
            part => parts.push(part),
        }
    }
    let from = if path.starts_with('/') { PathStart::Root } else { from(above) };
    if parts.is_empty() || path.contains('\0') || path.ends_with('/') {
        return SourceName::Unclear;
    }
    SourceName::File(SourcePath { from, rest: without_virtual(&parts) })
}

/// The path that a virtual one of yarn stands for: `a/__virtual__/<hash>/<n>/b` is `b` beside `a`, `n` folders higher.
fn without_virtual(parts: &[&str]) -> String {
    let is_virtual = |part: &&str| matches!(*part, "__virtual__" | "$$virtual");
    let real = parts.iter().position(is_virtual).and_then(|at| {
        let up: usize = parts.get(at + 2)?.parse().ok()?;
        let base = parts.get(..at.checked_sub(up)?)?;
        let rest = parts.get(at + 3..).filter(|rest| !rest.is_empty())?;
        Some([base, rest].concat())
    });
    real.as_deref().unwrap_or(parts).join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(from: PathStart, rest: &str) -> SourceName {
        SourceName::File(SourcePath { from, rest: rest.to_owned() })
    }

    #[test]
    fn names_of_files() {
        use PathStart::*;
        for (source, from, rest) in [
            ("webpack://x/./src/index.ts", Above(0), "src/index.ts"),
            ("webpack://x/../greeting-common/src/name.ts", AtLeastAbove(1), "greeting-common/src/name.ts"),
            ("webpack://x/../../node_modules/a/i.js", Above(2), "node_modules/a/i.js"),
            (
                "webpack:///../../node_modules/@s/a/node_modules/b/i.js?1f2e",
                Above(2),
                "node_modules/@s/a/node_modules/b/i.js",
            ),
            (
                "webpack://x/javascript/node_modules/@babel/runtime/h.js",
                AtLeastAbove(2),
                "node_modules/@babel/runtime/h.js",
            ),
            ("webpack://x/javascript/esm|../../node_modules/a/i.js", Above(2), "node_modules/a/i.js"),
            ("webpack://@s/plugin/../../node_modules/a/i.js", Above(2), "node_modules/a/i.js"),
            ("webpack://x/../node_modules/l/index.js!../../node_modules/a/s.css", Above(2), "node_modules/a/s.css"),
            ("webpack://x//build/source/node_modules/a/i.js", Root, "build/source/node_modules/a/i.js"),
            ("webpack://x/node_modules/a/i.js", AtLeastAbove(0), "node_modules/a/i.js"),
            ("../../src/index.ts", AboveMap(2), "src/index.ts"),
            ("file:///build/source/a.ts", Root, "build/source/a.ts"),
            (
                "webpack://x/../../.yarn/__virtual__/a-virtual-1f/0/cache/a-npm-1.zip/node_modules/a/i.js",
                Above(2),
                ".yarn/cache/a-npm-1.zip/node_modules/a/i.js",
            ),
            ("webpack://x/../../.yarn/__virtual__/b-virtual-1f/1/packages/b/i.js", Above(2), "packages/b/i.js"),
        ] {
            assert_eq!(SourceName::parse(source), file(from, rest), "{source}");
        }
    }

    #[test]
    fn names_of_no_file() {
        for source in
            ["webpack://x/webpack/runtime/load script", "webpack:///webpack/bootstrap", "webpack://x/==void 0"]
        {
            assert_eq!(SourceName::parse(source), SourceName::Generated, "{source}");
        }
        for source in
            ["", "webpack://", "webpack://x", "webpack://x/", "https://x/y.js", "a/\0", "..", "webpack://x/a/../"]
        {
            assert_eq!(SourceName::parse(source), SourceName::Unclear, "{source}");
        }
    }
}
