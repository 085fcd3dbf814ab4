//! What the types of the lock cannot say: unique names, and paths that stay where they belong. The lock is untrusted.

use std::collections::BTreeSet;

use super::args_origin::ArgsOrigin;
use super::grammar::{is_commit, is_package_name, is_relative, is_segment};
use super::model::{Lock, Plugin, Tools, Workspace};
use super::problem::LONGEST;
use super::recipe::{FIRST, RECIPE};
use crate::error::redact;

/// The last second of the year 9999, which is the last that RFC 3339 can say.
const LATEST: u64 = 253_402_300_799;
/// More is read by no export: a folder stands for many files.
const MOST_READS: usize = 1000;

fn too_late(epoch: u64) -> (String, String) {
    (format!("epoch = {epoch}"), format!("`epoch` {epoch} is after the year 9999"))
}

/// Err is the text to look for in the file, and what is wrong.
pub(super) fn check(lock: &Lock) -> Result<(), (String, String)> {
    check_tools(&lock.tools)?;
    let mut names = BTreeSet::new();
    let unresolved = lock.unresolved.iter().map(|one| &one.name);
    for name in lock.workspace.iter().map(|workspace| &workspace.name).chain(unresolved) {
        if !is_segment(name) {
            return Err(wrong(name, "is not a workspace name (one path segment without control characters)"));
        }
        if !names.insert(name) {
            return Err(wrong(name, "stands twice among the workspaces"));
        }
    }
    let problems = lock.workspace.iter().flat_map(|workspace| &workspace.problem).map(|one| (&one.what, &one.hint));
    for (what, hint) in problems.chain(lock.unresolved.iter().map(|one| (&one.what, &one.hint))) {
        if let Some(long) = [what, hint].into_iter().find(|text| text.chars().count() > LONGEST) {
            let start: String = long.chars().take(40).collect();
            return Err((start.clone(), format!("`{}…` is longer than {LONGEST} characters", start.escape_debug())));
        }
    }
    lock.workspace.iter().try_for_each(check_workspace)
}

fn check_workspace(workspace: &Workspace) -> Result<(), (String, String)> {
    if let Some(tools) = &workspace.tools {
        check_tools(tools)?;
    }
    if !(FIRST..=RECIPE).contains(&workspace.recipe) {
        let what = format!("`recipe` {} is not one that factory {} knows", workspace.recipe, env!("CARGO_PKG_VERSION"));
        return Err((format!("recipe = {}", workspace.recipe), what));
    }
    let source = &workspace.source;
    if redact::repository(&source.repo) != source.repo {
        let what =
            format!("the repository of `{}` has a user name, a password or a query, which no lock has", workspace.name);
        return Err((workspace.name.clone(), what));
    }
    if source.epoch > LATEST {
        return Err(too_late(source.epoch));
    }
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
    for path in &workspace.unlisted {
        relative("unlisted", path)?;
    }
    for problem in &workspace.problem {
        relative("plugin", &problem.plugin)?;
    }
    let mut paths = BTreeSet::new();
    for plugin in &workspace.plugin {
        relative("path", &plugin.path)?;
        if !paths.insert(&plugin.path) {
            return Err(wrong(&plugin.path, "stands twice among the plugins"));
        }
        check_plugin(workspace, plugin)?;
    }
    Ok(())
}

fn check_plugin(workspace: &Workspace, plugin: &Plugin) -> Result<(), (String, String)> {
    if let Some(scalprum) =
        plugin.scalprum.as_ref().filter(|path| !workspace.input.iter().any(|one| one.path == **path))
    {
        return Err(wrong(scalprum, "is not one of the inputs (`scalprum`)"));
    }
    if let ArgsOrigin::Each(each) = &plugin.args_from
        && each.len() != plugin.args.len()
    {
        let what = format!("`{}` has {} `args` and {} `args-from`", plugin.path, plugin.args.len(), each.len());
        return Err((format!("path = \"{}\"", plugin.path), what));
    }
    if plugin.reads.len() > MOST_READS {
        let what = format!("`{}` has more than {MOST_READS} `reads`", plugin.path);
        return Err((format!("path = \"{}\"", plugin.path), what));
    }
    for path in &plugin.reads {
        relative("reads", path)?;
    }
    if let Some(stamp) = plugin.stamp.as_ref().filter(|stamp| !is_commit(&stamp.commit)) {
        return Err(wrong(&stamp.commit, "is not a full commit"));
    }
    if let Some(stamp) = plugin.stamp.as_ref().filter(|stamp| stamp.epoch > LATEST) {
        return Err(too_late(stamp.epoch));
    }
    if workspace.recipe != FIRST && !workspace.source.local && plugin.sources.is_empty() {
        return Err((format!("path = \"{}\"", plugin.path), format!("`{}` has no `sources`", plugin.path)));
    }
    let is_odd = |repo: &String| redact::repository(repo) != *repo;
    if plugin.stamp.as_ref().and_then(|stamp| stamp.repo.as_ref()).is_some_and(is_odd) {
        let what = "the repository of a stamp has a user name, a password or a query, which no lock has".to_owned();
        return Err((plugin.path.clone(), what));
    }
    if !is_package_name(&plugin.name) {
        return Err(wrong(&plugin.name, "is not a package name"));
    }
    if semver::Version::parse(&plugin.version).is_err() {
        return Err(wrong(&plugin.version, "is not a version"));
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lock::text::tests::sample;

    /// What reading a lock says after a change of it.
    fn error_after(change: impl FnOnce(&mut Lock)) -> String {
        let mut lock = sample();
        change(&mut lock);
        let error = Lock::from_text(&lock.to_text(), Path::new("factory.lock")).unwrap_err().to_string();
        error.split_once(": ").unwrap().1.to_owned()
    }

    #[test]
    fn what_the_types_cannot_say_is_checked() {
        type Change = fn(&mut Lock);
        let changes: [(Change, &str); 15] = [
            (|l| l.tools.node.version = "22".into(), "`22` is not a version"),
            (|l| l.tools.npm.version = "next".into(), "`next` is not a version"),
            (|l| l.tools.rhdh_cli.version = "latest".into(), "`latest` is not a version"),
            (
                |l| {
                    let mut own = l.tools.clone();
                    own.node.version = "24".into();
                    l.workspace[0].tools = Some(own);
                },
                "`24` is not a version",
            ),
            (
                |l| l.workspace[0].name = "a/b".into(),
                "`a/b` is not a workspace name (one path segment without control characters)",
            ),
            (|l| l.workspace[1].name = "todo".into(), "`todo` stands twice among the workspaces"),
            (|l| l.workspace[0].dir = "/etc".into(), "`/etc` is not a relative path without `..` (`dir`)"),
            (|l| l.workspace[0].source.path = "..".into(), "`..` is not a relative path without `..` (`path`)"),
            (
                |l| l.workspace[0].source.yarn.path = Some("/yarn.js".into()),
                "`/yarn.js` is not a relative path without `..` (`path`)",
            ),
            (|l| l.workspace[0].source.commit = Some("main".into()), "`main` is not a full commit"),
            (|l| l.workspace[0].source.commit = None, "`todo` has no commit, though its source is not local"),
            (
                |l| l.workspace[0].source.local = true,
                "`3fadf6b0595d1d1804f5c7f2690f4db7b81275f1` cannot be pinned: the source is local",
            ),
            (
                |l| {
                    let again = l.workspace[0].input[0].clone();
                    l.workspace[0].input.push(again);
                },
                "`patches/1.patch` stands twice among the inputs",
            ),
            (|l| l.workspace[0].plugin[0].path = "plugins/a".into(), "`plugins/a` stands twice among the plugins"),
            (|l| l.workspace[0].plugin[0].name = "a/b".into(), "`a/b` is not a package name"),
        ];
        for (change, message) in changes {
            assert_eq!(error_after(change), message);
        }
        assert_eq!(error_after(|l| l.workspace[0].plugin[0].version = "1".into()), "`1` is not a version");
        assert_eq!(error_after(|l| l.workspace[0].recipe = 3), "`recipe` 3 is not one that factory 0.1.0 knows");
        assert_eq!(error_after(|l| l.workspace[0].recipe = 2), "`plugins/a` has no `sources`");
        let late = "`epoch` 253402300800 is after the year 9999";
        assert_eq!(error_after(|l| l.workspace[0].source.epoch = LATEST + 1), late);
        let stamped = |commit: &str, epoch, repo: Option<&str>| {
            let (layer, inputs) = (crate::lock::Sha256::of(""), crate::lock::Sha256::of(""));
            let stamp =
                crate::lock::Stamp { layer, repo: repo.map(str::to_owned), commit: commit.into(), epoch, inputs };
            error_after(|l| l.workspace[0].plugin[0].stamp = Some(stamp))
        };
        let commit = "0".repeat(40);
        assert_eq!(stamped(&commit, LATEST + 1, None), late);
        assert_eq!(stamped("main", 1, None), "`main` is not a full commit");
        let said = stamped(&commit, 1, Some("https://u:p@x/y"));
        assert_eq!(said, "the repository of a stamp has a user name, a password or a query, which no lock has");
        let read = error_after(|l| l.workspace[0].plugin[0].reads = vec!["../x".into()]);
        assert_eq!(read, "`../x` is not a relative path without `..` (`reads`)");
        let long = |l: &mut Lock| {
            let error = crate::error::Error::usage("x", "");
            let mut one = crate::lock::UnresolvedWorkspace::new("zoo", crate::lock::Sha256::of(""), &error);
            one.what = "y".repeat(LONGEST + 1);
            l.unresolved.push(one);
        };
        let start = "y".repeat(40);
        assert_eq!(error_after(long), format!("`{start}…` is longer than {LONGEST} characters"));
    }

    #[test]
    fn a_local_source_has_no_commit() {
        let mut lock = sample();
        (lock.workspace[0].source.local, lock.workspace[0].source.commit) = (true, None);
        let read = Lock::from_text(&lock.to_text(), Path::new("factory.lock")).unwrap();
        assert_eq!(read.to_text(), lock.to_text());
    }

    #[test]
    fn what_an_export_reads_is_bounded() {
        let many = vec!["x".to_owned(); MOST_READS + 1];
        assert_eq!(error_after(|l| l.workspace[0].plugin[0].reads = many), "`plugins/b` has more than 1000 `reads`");
    }
}
