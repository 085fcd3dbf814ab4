//! What repositories have by now of the commits that a lock has: branches that moved, newer tags, newer releases of RHDH.

use std::collections::BTreeSet;

use semver::Version;

use super::facts::HostFacts;
use super::refs::{Refs, bare_name};
use super::rhdh::{self, HostRequest};
use crate::error::Result;
use crate::lock::{ReleaseLine, Rhdh};
use crate::store::git::{SourceUrl, split_steps};

/// A ref or a release that there is by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestRef {
    /// The branch, tag or release; none for the default branch of a repository that does not say which it is.
    pub name: Option<String>,
    /// Its commit; none for a release that is not looked up.
    pub commit: Option<String>,
    /// True if what was asked for is another commit by now; false if it is the same, and there is something newer.
    pub has_moved: bool,
}

/// What there is by now of a commit that was asked for as `requested`; none if it is the newest.
///
/// A branch moves. Of a tag it is the newest with the same text before the version. Of a commit it is that of its tag, if
/// the tags that point to it are of one kind, else the default branch.
pub fn of_commit(refs: &Refs, requested: &str, commit: &str) -> Result<Option<NewestRef>> {
    let (asked, steps) = split_steps(requested.trim());
    let is_commit = asked.len() >= 7 && commit.starts_with(&asked.to_ascii_lowercase());
    if !is_commit || !steps.is_empty() {
        let found = refs.resolve(asked)?;
        if steps.is_empty() && found.commit != commit {
            let name = found.name.as_deref().map(short);
            return Ok(Some(NewestRef { name, commit: Some(found.commit), has_moved: true }));
        }
        let tag = found.name.as_deref().and_then(|name| name.strip_prefix("refs/tags/"));
        return Ok(tag.and_then(|tag| newer_tag(refs, tag)));
    }
    let tags: Vec<&str> = tags(refs).filter(|(_, of)| *of == commit).map(|(tag, _)| tag).collect();
    let kinds: BTreeSet<&str> = tags.iter().filter_map(|tag| Some(version(tag)?.0)).collect();
    if let (1, Some(tag)) = (kinds.len(), tags.iter().max_by_key(|tag| version(tag))) {
        return Ok(newer_tag(refs, tag));
    }
    let Some((name, head)) = refs.head().filter(|(_, head)| *head != commit) else { return Ok(None) };
    Ok(Some(NewestRef { name: name.map(short), commit: Some(head.to_owned()), has_moved: false }))
}

fn short(name: &str) -> String {
    bare_name(name).unwrap_or(name).to_owned()
}

fn tags(refs: &Refs) -> impl Iterator<Item = (&str, &str)> {
    let tags = refs.all().iter().filter_map(|found| Some((found.name.strip_prefix("refs/tags/")?, found)));
    tags.map(|(tag, found)| (tag, found.peeled.as_deref().unwrap_or(&found.target)))
}

/// The newest tag with the same text before the version, if it is a greater version. Pre-releases count for those who
/// have one.
fn newer_tag(refs: &Refs, tag: &str) -> Option<NewestRef> {
    let (kind, own) = version(tag)?;
    let others = tags(refs).filter_map(|(name, commit)| Some((version(name)?, name, commit)));
    let newer = others.filter(|((other, version), ..)| {
        *other == kind && *version > own && (version.pre.is_empty() || !own.pre.is_empty())
    });
    let (_, name, commit) = newer.max_by(|((_, a), ..), ((_, b), ..)| a.cmp(b))?;
    Some(NewestRef { name: Some(name.to_owned()), commit: Some(commit.to_owned()), has_moved: false })
}

/// A tag as the text before its version, and the version: `@x/todo@` and 1.2.3, `v` and 1.2.
fn version(tag: &str) -> Option<(&str, Version)> {
    let starts = tag.char_indices().filter(|(at, c)| {
        let is_within = |before: char| before == '.' || (before.is_ascii_alphanumeric() && before != 'v');
        c.is_ascii_digit() && !tag[..*at].ends_with(is_within)
    });
    starts.into_iter().find_map(|(at, _)| {
        let text = &tag[at..];
        let padded = match text.split('.').count() {
            2 if text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit())) => format!("{text}.0"),
            _ => text.to_owned(),
        };
        Version::parse(&padded).ok().map(|version| (&tag[..at], version))
    })
}

/// What there is by now of a host that was asked for as the lock has it. What is built in is not looked up elsewhere;
/// `mirror` are the refs of the repository that `RHDH_REPO` names.
pub fn of_host(pin: &Rhdh, mirror: Option<(&SourceUrl, &Refs)>) -> Result<Option<NewestRef>> {
    let Some(locked) = &pin.commit else { return Ok(None) };
    let request = HostRequest { version: Some(pin.requested.clone()), ..HostRequest::default() };
    let (commit, newest) = match mirror {
        Some((url, refs)) => (Some(rhdh::commit_of(refs, url, &pin.requested)?), rhdh::newest_line(refs)),
        None => (request.built_in()?.map(|facts| facts.commit), HostFacts::newest_line()),
    };
    if let Some(commit) = commit.filter(|commit| commit != locked) {
        return Ok(Some(NewestRef { name: Some(pin.requested.clone()), commit: Some(commit), has_moved: true }));
    }
    let newer = newest.filter(|newest| ReleaseLine::of(&pin.requested).is_some_and(|own| own < *newest));
    Ok(newer.map(|line| NewestRef { name: Some(line.to_string()), commit: None, has_moved: false }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_what_a_tag_ends_with() {
        for (tag, kind, number) in [
            ("v1.2.3", "v", "1.2.3"),
            ("1.2", "", "1.2.0"),
            ("@x/plugin-3scale@1.2.3", "@x/plugin-3scale@", "1.2.3"),
            ("todo-v0.1.0-rc.1", "todo-v", "0.1.0-rc.1"),
            ("release-2.0.0", "release-", "2.0.0"),
        ] {
            assert_eq!(version(tag), Some((kind, number.parse().unwrap())), "{tag}");
        }
        for tag in ["latest", "v1", "2024-01-02", "x1.2.3"] {
            assert_eq!(version(tag), None, "{tag}");
        }
    }
}
