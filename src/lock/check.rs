//! What the types of the lock cannot say: unique names, and paths that stay where they belong. The lock is untrusted.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::model::{Lock, Tools, Workspace};

/// Err is the text to look for in the file, and what is wrong.
pub(super) fn check(lock: &Lock) -> Result<(), (String, String)> {
    check_tools(&lock.tools)?;
    let mut names = BTreeSet::new();
    for workspace in &lock.workspace {
        if !is_segment(&workspace.name) {
            return Err(wrong(
                &workspace.name,
                "is not a workspace name (one path segment without control characters)",
            ));
        }
        if !names.insert(&workspace.name) {
            return Err(wrong(&workspace.name, "stands twice among the workspaces"));
        }
        check_workspace(workspace)?;
    }
    Ok(())
}

fn check_workspace(workspace: &Workspace) -> Result<(), (String, String)> {
    if let Some(tools) = &workspace.tools {
        check_tools(tools)?;
    }
    let source = &workspace.source;
    relative("dir", &workspace.dir)?;
    relative("path", &source.path)?;
    if let Some(path) = &source.yarn.path {
        relative("path", path)?;
    }
    match (&source.commit, source.local) {
        (Some(commit), false) if is_commit(commit) => {}
        (Some(commit), false) => return Err(wrong(commit, "is not a full commit")),
        (None, true) => {}
        (None, false) => return Err(wrong(&workspace.name, "has no commit, though its source is not local")),
        (Some(commit), true) => return Err(wrong(commit, "cannot be pinned: the source is local")),
    }
    let mut paths = BTreeSet::new();
    for input in &workspace.input {
        relative("path", &input.path)?;
        if !paths.insert(&input.path) {
            return Err(wrong(&input.path, "stands twice among the inputs"));
        }
    }
    let mut paths = BTreeSet::new();
    for plugin in &workspace.plugin {
        relative("path", &plugin.path)?;
        if !paths.insert(&plugin.path) {
            return Err(wrong(&plugin.path, "stands twice among the plugins"));
        }
        if !is_package_name(&plugin.name) {
            return Err(wrong(&plugin.name, "is not a package name"));
        }
        if semver::Version::parse(&plugin.version).is_err() {
            return Err(wrong(&plugin.version, "is not a version"));
        }
    }
    Ok(())
}

fn check_tools(tools: &Tools) -> Result<(), (String, String)> {
    for version in [&tools.node.version, &tools.npm.version, &tools.rhdh_cli.version] {
        if semver::Version::parse(version).is_err() {
            return Err(wrong(version, "is not a version"));
        }
    }
    Ok(())
}

fn wrong(value: &str, what: &str) -> (String, String) {
    (value.to_owned(), format!("`{}` {what}", value.escape_debug()))
}

fn relative(key: &str, path: &str) -> Result<(), (String, String)> {
    if is_relative(path) { Ok(()) } else { Err(wrong(path, &format!("is not a relative path without `..` (`{key}`)"))) }
}

/// True for `.` and for `a/b/c` of plain segments: a path that cannot leave the folder it is joined to.
pub fn is_relative(path: &str) -> bool {
    path == "."
        || (!path.is_empty()
            && !path.contains('\\')
            && path.split('/').all(|segment| !segment.is_empty() && segment != "." && is_segment(segment))
            && Path::new(path).components().all(|c| matches!(c, Component::Normal(_))))
}

fn is_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/') && !name.chars().any(char::is_control)
}

/// A full lower-case SHA-1, or SHA-256 for repositories that use it.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// npm's grammar, as far as paths and references made from a name need it: `name` or `@scope/name`.
pub fn is_package_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.len() <= 214
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
    };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| plain(scope) && plain(name)),
        None => plain(name),
    }
}
