//! What of a repository one plugin is built from, by content: git's ids instead of the commit.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Sha256;
use super::grammar::{at, is_commit, is_package_name, is_relative};

/// One folder or file, written `040000:<git id> plugins/todo`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePart {
    /// From the repository's root.
    pub path: String,
    /// What lies there.
    pub content: PartContent,
}

/// What lies at the path of a [`SourcePart`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartContent {
    /// A tree or blob: its mode and id as `git ls-tree` prints them.
    Git {
        /// `040000`, `100644`, `100755`, `120000` or `160000`.
        mode: u32,
        /// 40 or 64 hexadecimal digits.
        id: String,
    },
    /// What a `yarn.lock` says of the packages that the plugin reaches, and not the rest of it.
    Reached(Sha256),
    /// Nothing: a patch removed it.
    Gone,
}

impl SourcePart {
    /// True for the part of a `yarn.lock` that a plugin reaches.
    pub fn is_reached(&self) -> bool {
        matches!(self.content, PartContent::Reached(_))
    }
}

/// How `workspace.plugin.reads` names a package that is installed in the workspace at `root`; all there are have an
/// empty name.
pub fn installed_at(root: &str, name: &str) -> String {
    let folder = at(root, "node_modules");
    if name.is_empty() { folder } else { format!("{folder}/{name}") }
}

/// The package that a path of `workspace.plugin.reads` names, as [`installed_at`] takes it; none for what lies elsewhere.
pub fn installed_name<'r>(root: &str, read: &'r str) -> Option<&'r str> {
    let read = if root == "." { read } else { read.strip_prefix(root)?.strip_prefix('/')? };
    let name = read.strip_prefix("node_modules")?;
    if name.is_empty() { Some(name) } else { name.strip_prefix('/').filter(|name| is_package_name(name)) }
}

/// The modes that git writes.
const MODES: [u32; 5] = [0o040_000, 0o100_644, 0o100_755, 0o120_000, 0o160_000];

impl fmt::Display for SourcePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            PartContent::Git { mode, id } => write!(f, "{mode:06o}:{id}")?,
            PartContent::Reached(digest) => write!(f, "{digest}")?,
            PartContent::Gone => f.write_str("gone")?,
        }
        write!(f, " {}", self.path)
    }
}

impl FromStr for SourcePart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a source (`040000:<git id> <path>`)", text.escape_debug());
        let (content, path) = text.split_once(' ').ok_or_else(wrong)?;
        if !is_relative(path) {
            return Err(format!("`{}` is not a relative path without `..`", path.escape_debug()));
        }
        let content = if content == "gone" {
            PartContent::Gone
        } else if content.starts_with("sha256:") {
            PartContent::Reached(content.parse().map_err(|_| wrong())?)
        } else {
            let (mode, id) = content.split_once(':').ok_or_else(wrong)?;
            let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| MODES.contains(mode)).ok_or_else(wrong)?;
            if !is_commit(id) {
                return Err(wrong());
            }
            PartContent::Git { mode, id: id.to_owned() }
        };
        let part = Self { path: path.to_owned(), content };
        // `0100644` reads as the same mode, and is not what is written.
        if part.to_string() == text { Ok(part) } else { Err(wrong()) }
    }
}

impl Serialize for SourcePart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SourcePart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for SourcePart {
    fn schema_name() -> Cow<'static, str> {
        "SourcePart".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A folder or file a plugin is built from: `<mode>:<git id> <path from the repository's root>`, \
                            `sha256:<digest> <path>` for the part of a yarn.lock that it reaches, `gone <path>` for what a \
                            patch removed.",
            "type": "string",
            "pattern": "^(([0-7]{6}:([0-9a-f]{40}|[0-9a-f]{64}))|sha256:[0-9a-f]{64}|gone) .+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_package_is_named_by_where_it_may_lie() {
        for root in [".", "w/a"] {
            for name in ["", "left", "@types/left"] {
                assert_eq!(installed_name(root, &installed_at(root, name)), Some(name), "{root} {name}");
            }
        }
        for other in
            ["w/a", "w/a/node_modules2", "node_modules/left", "w/a/node_modules/left/index.js", "w/a/plugins/b"]
        {
            assert_eq!(installed_name("w/a", other), None, "{other}");
        }
    }

    #[test]
    fn a_part_is_written_as_git_lists_it() {
        let id = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let digest = Sha256::of("x");
        for text in [
            format!("040000:{id} plugins/todo"),
            format!("100755:{id} a b"),
            format!("{digest} w/yarn.lock"),
            "gone plugins/todo/src/x.ts".to_owned(),
        ] {
            assert_eq!(text.parse::<SourcePart>().unwrap().to_string(), text);
        }
        let wrong = |text: &str| text.parse::<SourcePart>().unwrap_err();
        assert_eq!(wrong("x"), "`x` is not a source (`040000:<git id> <path>`)");
        assert_eq!(wrong(&format!("040000:{id} ../x")), "`../x` is not a relative path without `..`");
        for text in [format!("40000:{id} a"), format!("040000:{} a", &id[1..]), "sha256:12 a".to_owned()] {
            assert_eq!(wrong(&text), format!("`{text}` is not a source (`040000:<git id> <path>`)"));
        }
    }
}
