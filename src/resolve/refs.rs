//! A branch, a tag or a commit, as asked for → the commit it is right now.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use crate::error::nearest::nearest;
use crate::parallel::Workers;
use crate::store::Store;
use crate::store::git::{Advertised, Network, RefScope, Repository, SourceUrl, split_steps};
use crate::{Error, Result};

/// The fewest digits that are taken for a commit, as git abbreviates them.
const SHORTEST: usize = 7;

/// The refs a repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refs {
    url: SourceUrl,
    refs: Vec<Advertised>,
}

/// What a request stands for right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// The full name of the ref it was found by; none for a commit given as such.
    pub name: Option<String>,
    /// Something the user should know, such as a name that a branch and a tag share.
    pub warning: Option<String>,
}

/// Asks the repository for its refs: `HEAD`, branches and tags, or all of them.
pub fn list_refs(
    store: &Store,
    url: &SourceUrl,
    scope: RefScope,
    network: &Network,
    interrupt: &AtomicBool,
) -> Result<Refs> {
    let refs = store.repository(url, interrupt)?.list(scope, network, interrupt)?;
    Ok(Refs { url: url.clone(), refs })
}

/// Resolves one request. See [`resolve_many`] for many: it asks each repository once.
pub fn resolve(
    store: &Store,
    url: &SourceUrl,
    requested: &str,
    network: &Network,
    interrupt: &AtomicBool,
) -> Result<Resolution> {
    let requests = [(url.clone(), requested.to_owned())];
    let answers = resolve_in_repository(store, &requests, &[0], network, interrupt);
    answers.into_iter().next().unwrap_or(Err(Error::Interrupted))
}

/// Resolves many requests: each repository is listed once, `jobs` at a time. The answers come in the order of the
/// requests; a repository that cannot be reached fails its own requests only.
pub fn resolve_many(
    store: &Store,
    requests: &[(SourceUrl, String)],
    jobs: usize,
    network: &Network,
    interrupt: &AtomicBool,
) -> Vec<Result<Resolution>> {
    let mut by_repository: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, (url, _)) in requests.iter().enumerate() {
        by_repository.entry(url.canonical()).or_default().push(index);
    }
    let groups: Vec<Vec<usize>> = by_repository.into_values().collect();
    let answered = Workers::new(jobs, interrupt)
        .map(&groups, |group| Ok(resolve_in_repository(store, requests, group, network, interrupt)));
    let mut answers: Vec<Result<Resolution>> = requests.iter().map(|_| Err(Error::Interrupted)).collect();
    for (group, resolutions) in groups.iter().zip(answered) {
        for (index, resolution) in group.iter().zip(resolutions.unwrap_or_default()) {
            answers[*index] = resolution;
        }
    }
    answers
}

/// The requests at the indices `group`, all of one repository.
fn resolve_in_repository(
    store: &Store,
    requests: &[(SourceUrl, String)],
    group: &[usize],
    network: &Network,
    interrupt: &AtomicBool,
) -> Vec<Result<Resolution>> {
    let wanted: Vec<_> = group
        .iter()
        .map(|index| {
            let (name, steps) = split_steps(requests[*index].1.trim());
            (RequestedRef::parse(name), steps, name)
        })
        .collect();
    // The widest of what they need; none when all are full commits.
    let named = wanted.iter().map(|(request, ..)| request).filter(|one| !matches!(one, RequestedRef::Commit(_)));
    let scope = named.map(RequestedRef::scope).max();
    let Some(url) = group.first().map(|index| &requests[*index].0) else { return Vec::new() };
    let listed = store.repository(url, interrupt).and_then(|repository| {
        let refs = scope.map(|scope| repository.list(scope, network, interrupt)).transpose()?;
        Ok((repository, Refs { url: url.clone(), refs: refs.unwrap_or_default() }))
    });
    let resolve = |request: &RequestedRef| match (&listed, request) {
        (Err(error), _) => Err(error.again()),
        (Ok((repository, _)), RequestedRef::Commit(commit)) => full_commit(repository, commit),
        (Ok((repository, refs)), _) => refs.find(request, Some(&RefLookup { repository, network, interrupt })),
    };
    let follow = |(request, steps, name): &(RequestedRef, &str, &str)| match (&listed, resolve(request)?) {
        (Ok((repository, _)), found) if !steps.is_empty() => {
            let commit = repository.follow_steps(&found.commit, steps, &format!("{name}{steps}"))?;
            Ok(Resolution { commit, name: None, ..found })
        }
        (_, found) => Ok(found),
    };
    wanted.iter().map(follow).collect()
}

/// A full commit is taken as it is; a local repository can tell at once whether it has it.
fn full_commit(repository: &Repository, commit: &str) -> Result<Resolution> {
    if repository.url().local_path().is_some() && repository.tree(commit)?.is_none() {
        return Err(Error::usage(
            format!("the repository `{}` has no commit `{commit}`", repository.url()),
            "fetch it there (`git fetch`), or name another commit",
        ));
    }
    Ok(Resolution { commit: commit.to_owned(), name: None, warning: None })
}

/// Where more than the refs can be asked for.
struct RefLookup<'a> {
    repository: &'a Repository,
    network: &'a Network,
    interrupt: &'a AtomicBool,
}

/// What a `repo-ref` can be, told by its looks alone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RequestedRef {
    Default,
    /// 40 hexadecimal digits, in lower case: always a commit, as for git.
    Commit(String),
    /// `refs/…`
    Full(String),
    /// A branch or tag, or the beginning of a commit.
    Name(String),
}

impl RequestedRef {
    fn parse(requested: &str) -> Self {
        let requested = requested.trim();
        let is_hex = !requested.is_empty() && requested.bytes().all(|byte| byte.is_ascii_hexdigit());
        match requested {
            "" | "HEAD" => Self::Default,
            commit if is_hex && commit.len() == 40 => Self::Commit(commit.to_ascii_lowercase()),
            full if full.starts_with("refs/") => Self::Full(full.to_owned()),
            name => Self::Name(name.to_owned()),
        }
    }

    fn prefix(&self) -> Option<String> {
        match self {
            Self::Name(name)
                if (SHORTEST..40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                Some(name.to_ascii_lowercase())
            }
            _ => None,
        }
    }

    fn scope(&self) -> RefScope {
        match self {
            Self::Full(name) if !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") => RefScope::All,
            _ if self.prefix().is_some() => RefScope::All,
            _ => RefScope::Usual,
        }
    }
}

/// The name of a branch or a tag without what git puts before it; none for another ref.
pub fn bare_name(name: &str) -> Option<&str> {
    ["refs/heads/", "refs/tags/"].into_iter().find_map(|kind| name.strip_prefix(kind))
}

impl Refs {
    /// The default branch's full name (none when `HEAD` is detached) and commit; `None` for an empty repository.
    pub fn head(&self) -> Option<(Option<&str>, &str)> {
        let head = self.refs.iter().find(|found| found.name == "HEAD")?;
        Some((head.symbolic.as_deref(), commit_of(head)))
    }

    /// All refs, in the order the repository gave them.
    pub fn all(&self) -> &[Advertised] {
        &self.refs
    }

    /// The commit that `requested` stands for: nothing or `HEAD` (the default branch), a branch, a tag, `refs/…`, a full
    /// commit, or at least 7 digits of one that some ref points to.
    ///
    /// A name that is both branch and tag is the branch, as for `git clone --branch` and `git checkout`, and the
    /// resolution says so.
    pub fn resolve(&self, requested: &str) -> Result<Resolution> {
        self.find(&RequestedRef::parse(requested), None)
    }

    fn find(&self, request: &RequestedRef, lookup: Option<&RefLookup<'_>>) -> Result<Resolution> {
        if self.refs.is_empty() && !matches!(request, RequestedRef::Commit(_)) {
            return Err(Error::usage(format!("the repository `{}` is empty", self.url), "push a commit to it first"));
        }
        let found = |name: &str| self.refs.iter().find(|found| found.name == name);
        let resolved = |found: &Advertised, warning: Option<String>| Resolution {
            commit: commit_of(found).to_owned(),
            name: Some(found.symbolic.clone().unwrap_or_else(|| found.name.clone())),
            warning,
        };
        match request {
            RequestedRef::Commit(commit) => Ok(Resolution { commit: commit.clone(), name: None, warning: None }),
            RequestedRef::Default => found("HEAD").map(|head| resolved(head, None)).ok_or_else(|| {
                Error::usage(format!("the repository `{}` has no default branch", self.url), self.suggestion("main"))
            }),
            RequestedRef::Full(name) => {
                found(name).map(|found| resolved(found, None)).ok_or_else(|| self.unknown(name))
            }
            RequestedRef::Name(name) => {
                let branch = found(&format!("refs/heads/{name}"));
                let tag = found(&format!("refs/tags/{name}"));
                match (branch, tag) {
                    (Some(branch), Some(tag)) if commit_of(branch) != commit_of(tag) => Ok(resolved(
                        branch,
                        Some(format!(
                            "`{name}` is a branch and a tag of `{}`; the branch is used: write `refs/tags/{name}` for the tag",
                            self.url
                        )),
                    )),
                    (Some(found), _) | (None, Some(found)) => Ok(resolved(found, None)),
                    // `heads/main` and `tags/v1`, and `origin/main` of a clone, as git reads them.
                    (None, None) => {
                        let others = [format!("refs/{name}"), format!("refs/remotes/{name}")];
                        match others.iter().find_map(|name| found(name)) {
                            Some(found) => Ok(resolved(found, None)),
                            None => self.find_short(request, name, lookup),
                        }
                    }
                }
            }
        }
    }

    fn find_short(&self, request: &RequestedRef, name: &str, lookup: Option<&RefLookup<'_>>) -> Result<Resolution> {
        let Some(prefix) = request.prefix() else { return Err(self.unknown(name)) };
        let is_remote = self.url.local_path().is_none();
        let advertised = || self.refs.iter().map(commit_of).filter(|commit| commit.starts_with(&prefix));
        let mut commits: Vec<String> = advertised().map(str::to_owned).collect();
        let mut knows_all = false;
        if let Some(RefLookup { repository, network, interrupt }) = lookup
            && (commits.is_empty() || !is_remote)
            && let Some(found) = repository.commits_with_prefix(&prefix, network, interrupt)?
        {
            knows_all = true;
            commits.extend(found);
        }
        commits.sort_unstable();
        commits.dedup();
        match &commits[..] {
            [commit] => Ok(Resolution { commit: commit.clone(), name: None, warning: None }),
            [] if is_remote && !knows_all => Err(Error::usage(
                format!("no branch, tag or advertised commit of `{}` is or begins with `{name}`", self.url),
                "give all 40 digits of the commit: finding it by fewer would take the whole history",
            )),
            [] => Err(self.unknown(name)),
            many => Err(Error::usage(
                format!("`{name}` matches {} commits of `{}`: {}", many.len(), self.url, list(many)),
                "give more digits of the commit",
            )),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        Error::usage(
            format!("the repository `{}` has no branch, tag or commit `{name}`", self.url),
            self.suggestion(name),
        )
    }

    fn suggestion(&self, name: &str) -> String {
        let in_clones = ["origin/", "upstream/"].into_iter().find_map(|remote| name.strip_prefix(remote));
        if let Some(branch) = in_clones.filter(|branch| self.refs.iter().any(|found| bare(&found.name) == Some(branch)))
        {
            return format!("write `{branch}`: `{name}` is what a clone calls it");
        }
        let nearest = self.nearest(name);
        if nearest.is_empty() {
            return "give a branch, a tag or a full commit".to_owned();
        }
        format!("the nearest it has: {}", list(&nearest))
    }

    /// Up to three branches and tags whose names are closest to `name`, the closest first.
    fn nearest(&self, name: &str) -> Vec<String> {
        nearest(bare(name).unwrap_or(name), self.refs.iter().filter_map(|found| bare(&found.name)))
    }
}

/// A branch's or tag's name without the folder of its kind.
fn bare(full: &str) -> Option<&str> {
    full.strip_prefix("refs/heads/").or_else(|| full.strip_prefix("refs/tags/"))
}

fn commit_of(found: &Advertised) -> &str {
    found.peeled.as_deref().unwrap_or(&found.target)
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
