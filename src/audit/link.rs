//! Where to see what lies between two commits: pages of a repository's host, or a command for a local repository.

use std::path::{Component, Path, PathBuf};

use url::Url;

use super::percent_encoding::percent_encoded;

/// The page that shows what lies between two refs of a repository; none for a host whose pages are not known, for a
/// local repository, and where a ref is the default branch without a name.
///
/// GitHub and Gitea: `/compare/A...B`; GitLab: `/-/compare/A...B`.
pub fn compare(repo: &str, from: &str, to: &str) -> Option<String> {
    if from.is_empty() || to.is_empty() {
        return None;
    }
    let (base, forge) = page(repo)?;
    let path = match forge {
        Forge::GitHub => "compare",
        Forge::GitLab => "-/compare",
    };
    Some(format!("{base}/{path}/{}...{}", escaped(from), escaped(to)))
}

/// The path of a repository on this machine; none for another one. A relative path starts at `folder`, as in a
/// `source.json` there.
pub fn local(repo: &str, folder: Option<&Path>) -> Option<String> {
    let path = match repo.split_once("://") {
        Some(("file", _)) => Url::parse(repo).ok()?.to_file_path().ok()?.to_str()?.to_owned(),
        Some(_) => return None,
        // `host:path` is an address of SSH.
        None if repo.split('/').next().is_some_and(|first| first.contains(':')) => return None,
        None if Path::new(repo).is_absolute() => repo.to_owned(),
        None => plain(&folder?.join(repo)),
    };
    Some(path).filter(|path| !repo.is_empty() && !path.starts_with('-'))
}

/// The command that lists what lies between two refs of a repository on this machine; none for another one, and where a
/// ref could be taken for an option.
pub fn log(repo: &str, folder: Option<&Path>, from: &str, to: &str) -> Option<String> {
    let path = local(repo, folder)?;
    let is_ref = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains("..");
    if !is_ref(from) || !is_ref(to) {
        return None;
    }
    let range = format!("{from}..{to}");
    Some(format!("git -C {} log {}", shlex::try_quote(&path).ok()?, shlex::try_quote(&range).ok()?))
}

/// A path without `.` and, as far as it goes, without `..`; `.` for the folder where one stands.
fn plain(path: &Path) -> String {
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let plain = parts.iter().collect::<PathBuf>().to_string_lossy().into_owned();
    if plain.is_empty() { ".".to_owned() } else { plain }
}

/// The page of one ref of a repository.
pub fn commit(repo: &str, reference: &str) -> Option<String> {
    let (base, forge) = page(repo)?;
    let path = match forge {
        Forge::GitHub => "commit",
        Forge::GitLab => "-/commit",
    };
    (!reference.is_empty()).then(|| format!("{base}/{path}/{}", escaped(reference)))
}

enum Forge {
    GitHub,
    GitLab,
}

/// The repository's page and the kind of its host, from `https://host/a/b.git`, `ssh://git@host/a/b` or `git@host:a/b`.
fn page(repo: &str) -> Option<(String, Forge)> {
    let url = match repo.split_once("://") {
        Some(("http" | "https" | "ssh" | "git+ssh", _)) => Url::parse(repo).ok()?,
        Some(_) => return None,
        None => {
            let (host, path) = repo.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            Url::parse(&format!("ssh://{host}/{path}")).ok()?
        }
    };
    let host = url.host_str()?;
    let forge = if host == "github.com" || host.starts_with("github.") || matches!(host, "codeberg.org" | "gitea.com") {
        Forge::GitHub
    } else if host == "gitlab.com" || host.starts_with("gitlab.") {
        Forge::GitLab
    } else {
        return None;
    };
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    // A port of SSH says nothing of the pages.
    let port =
        url.port().filter(|_| url.scheme().starts_with("http")).map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = if url.scheme() == "http" { "http" } else { "https" };
    (path.trim_matches('/').contains('/')).then(|| (format!("{scheme}://{host}{port}{path}"), forge))
}

/// A ref in an address: slashes stay, as both hosts have them.
fn escaped(reference: &str) -> String {
    percent_encoded(reference, b"-_.~/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hosts_have_pages() {
        for (repo, link) in [
            ("https://github.com/a/b", Some("https://github.com/a/b/compare/v1...main")),
            ("https://github.com/a/b.git/", Some("https://github.com/a/b/compare/v1...main")),
            ("git@github.com:a/b.git", Some("https://github.com/a/b/compare/v1...main")),
            ("ssh://git@gitlab.com:22/a/g/b.git", Some("https://gitlab.com/a/g/b/-/compare/v1...main")),
            ("https://gitlab.example.com:8443/a/b", Some("https://gitlab.example.com:8443/a/b/-/compare/v1...main")),
            ("https://example.com/a/b", None),
            ("file:///a/b", None),
            ("../a/b", None),
            ("javascript://github.com/a/b", None),
        ] {
            assert_eq!(compare(repo, "v1", "main").as_deref(), link, "{repo}");
        }
    }

    #[test]
    fn a_repository_on_this_machine_has_a_command() {
        for (repo, command) in [
            ("/srv/todo.git", Some("git -C /srv/todo.git log v1..main")),
            ("file:///srv/my%20plugins", Some("git -C '/srv/my plugins' log v1..main")),
            ("../repo", Some("git -C conf/repo log v1..main")),
            ("./../../../../x", Some("git -C ../../x log v1..main")),
            ("../..", Some("git -C . log v1..main")),
            ("../a;b", Some("git -C 'conf/a;b' log v1..main")),
            ("https://example.com/a/b", None),
            ("ssh://git@example.com/a/b", None),
            ("git@example.com:a/b", None),
            ("file://host/a", None),
            ("", None),
        ] {
            assert_eq!(log(repo, Some(Path::new("conf/todo")), "v1", "main").as_deref(), command, "{repo}");
        }
        assert_eq!(log("../repo", None, "v1", "main"), None);
        assert_eq!(log("--upload-pack=x", Some(Path::new("")), "v1", "main"), None);
        assert_eq!(log("/a", None, "", "main"), None);
        assert_eq!(log("/a", None, "v1", "--output=x"), None);
        assert_eq!(log("/a", None, "$(x)", "y z").as_deref(), Some("git -C /a log '$(x)..y z'"));
    }

    #[test]
    fn a_ref_cannot_leave_its_place_in_the_address() {
        assert_eq!(
            compare("https://github.com/a/b", "x y\"><", "feature/1#?").as_deref(),
            Some("https://github.com/a/b/compare/x%20y%22%3E%3C...feature/1%23%3F")
        );
        assert_eq!(compare("https://github.com/a/b", "", "main"), None);
        assert_eq!(commit("https://gitlab.com/a/b", "v1").as_deref(), Some("https://gitlab.com/a/b/-/commit/v1"));
    }
}
