//! What of a commit can be on disk: names that git checks out, and symlinks that stay inside.

use std::collections::{HashMap, HashSet, VecDeque};

use gix::bstr::{BStr, BString, ByteSlice};
use gix::validate::path::component;

use super::tree::{EntryKind, Tree, TreeNode};
use crate::{Error, Result};

/// A symlink in a path may lead to another; the kernel follows 40.
const MOST_LINKS: usize = 40;

/// What is written of a folder of a commit.
#[derive(Debug)]
pub(crate) struct WritableTree {
    /// Everything in it, with paths from it.
    pub(crate) nodes: Vec<TreeNode>,
    /// The targets of its symlinks, by path.
    pub(crate) links: HashMap<BString, BString>,
}

impl Tree {
    /// The folder at `prefix` (`.` for all) as it is written. Symlinks that lead out of it and names that git itself
    /// refuses (`.git` in all its disguises) are errors, as is a folder that is not there.
    pub(crate) fn writable(&self, prefix: &str) -> Result<WritableTree> {
        let nodes = self.nodes(prefix)?;
        check_names(self, &nodes)?;
        let links = read_links(self, &nodes)?;
        let outside: Vec<String> = nodes
            .iter()
            .filter(|node| node.kind == EntryKind::Symlink && leads_out(node.path.as_bstr(), &links))
            .map(|node| format!("`{}` -> `{}`", node.path, links[&node.path]))
            .collect();
        if !outside.is_empty() {
            return Err(refused(self, &format!("has symlinks that lead out of it: {}", outside.join(", "))));
        }
        Ok(WritableTree { nodes, links })
    }
}

/// git's own protections: no `.git` or what some file system takes for it, no name twice.
fn check_names(tree: &Tree, nodes: &[TreeNode]) -> Result<()> {
    let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    let mut seen = HashSet::new();
    for node in nodes {
        let name = node.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let mode = (node.kind == EntryKind::Symlink).then_some(component::Mode::Symlink);
        let bad = component(BStr::new(name), mode, options).is_err();
        if bad || !seen.insert(node.path.as_bstr()) {
            return Err(refused(tree, &format!("has a file that cannot be checked out: `{}`", node.path)));
        }
    }
    Ok(())
}

/// The targets of all symlinks, by path.
fn read_links(tree: &Tree, nodes: &[TreeNode]) -> Result<HashMap<BString, BString>> {
    let objects = tree.objects();
    let reader = objects.reader();
    let mut links = HashMap::new();
    for node in nodes.iter().filter(|node| node.kind == EntryKind::Symlink) {
        let target = BString::from(reader.link_target(node.id)?.unwrap_or_default());
        if target.is_empty() || target.contains(&0) {
            return Err(refused(tree, &format!("has a broken symlink: `{}`", node.path)));
        }
        links.insert(node.path.clone(), target);
    }
    Ok(links)
}

/// Follows the symlink `link` as the kernel would, other symlinks on the way included, and tells whether it gets above
/// the root. Reading the target as text is not enough: in `a/../x`, `a` may be a symlink itself.
fn leads_out(link: &BStr, links: &HashMap<BString, BString>) -> bool {
    let mut ahead: VecDeque<&[u8]> = link.split(|byte| *byte == b'/').collect();
    let mut here: Vec<&[u8]> = Vec::new();
    let mut followed = 0;
    while let Some(part) = ahead.pop_front() {
        match part {
            b"" | b"." => {}
            b".." => {
                if here.pop().is_none() {
                    return true;
                }
            }
            name => {
                here.push(name);
                let Some(target) = links.get(&BString::from(here.join(&b'/'))) else { continue };
                followed += 1;
                if target.starts_with(b"/") {
                    return true;
                }
                if followed > MOST_LINKS {
                    // A circle: it leads nowhere.
                    return false;
                }
                here.pop();
                for part in target.split(|byte| *byte == b'/').rev() {
                    ahead.push_front(part);
                }
            }
        }
    }
    false
}

fn refused(tree: &Tree, what: &str) -> Error {
    Error::Build {
        what: format!("commit `{}` of `{}` {what}", tree.commit(), tree.url()),
        tail: Vec::new(),
        hint: "such a commit is not built: fix it in the repository, or pin another one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symlinks_are_followed_as_the_kernel_does() {
        let links: HashMap<BString, BString> = [
            ("in", "a/file"),
            ("up", "../x"),
            ("a/up", "../b"),
            ("abs", "/etc/passwd"),
            // Harmless each, together not: `d/l` is the root, `d/l/..` is above it.
            ("d/l", ".."),
            ("sly", "d/l/../x"),
            ("dangling", "no/such/../file"),
            ("circle", "circle"),
            ("via", "abs/x"),
        ]
        .into_iter()
        .map(|(link, target)| (link.into(), target.into()))
        .collect();
        let out = |link: &str| leads_out(link.into(), &links);
        for inside in ["in", "a/up", "d/l", "dangling", "circle"] {
            assert!(!out(inside), "{inside}");
        }
        for outside in ["up", "abs", "sly", "via"] {
            assert!(out(outside), "{outside}");
        }
    }
}
