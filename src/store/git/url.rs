//! Where a source lives, as users write it: a URL or a path.

use std::fmt;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::url::Scheme;

use crate::error::redact;
use crate::{Error, Result};

/// The location of a git repository. Neither its `Display` nor its `Debug` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceUrl {
    shown: String,
    location: SourceLocation,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum SourceLocation {
    /// A repository on this machine: the folder to open (a work tree or a bare repository).
    Local(PathBuf),
    /// A repository elsewhere: the URL without secrets, and the secrets.
    Remote { url: gix::Url, account: Option<Account> },
}

/// What stood before the `@` of an http URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: String,
    pub(super) password: Option<String>,
}

impl SourceUrl {
    /// Reads `repo` as source.json and `--source-repo` give it: `https://`, `http://`, `ssh://` and `file://` URLs,
    /// `user@host:path`, or a path, relative to `base` (the folder of source.json).
    ///
    /// A path has to be a repository: a work tree, a linked work tree, a bare repository. A folder inside one is an
    /// error that says which folder is the repository.
    pub fn parse(repo: &str, base: &Path) -> Result<Self> {
        let repo = repo.trim();
        if repo.is_empty() {
            return Err(Error::usage("the repository's URL is empty", HINT));
        }
        if repo.starts_with('-') || repo.chars().any(char::is_control) {
            return Err(Error::usage(format!("`{}` is not a repository URL", redact::repository(repo)), HINT));
        }
        if !is_remote(repo) {
            return Self::local(repo, &base.join(repo));
        }
        let shown = redact::repository(repo);
        let unusable = |why: &str| Error::usage(format!("cannot use the repository `{shown}`: {why}"), HINT);
        if let Some(oddity) = redact::oddity(repo) {
            return Err(unusable(&format!("it {oddity}")));
        }
        let url = gix::url::parse(repo).map_err(|error| {
            // The cause repeats parts of the text.
            let cause = error.probable_cause().to_string();
            unusable(if shown == repo { &cause } else { "it is not a URL" })
        })?;
        match &url.scheme {
            Scheme::File => {
                if url.host().is_some_and(|host| !host.is_empty() && host != "localhost") {
                    return Err(unusable("a `file://` URL names no host, as in `file:///srv/git/repo.git`"));
                }
                let path = url.path.to_path().map_err(|_| unusable("the path is not UTF-8"))?.to_path_buf();
                Self::local(repo, &path)
            }
            Scheme::Http | Scheme::Https | Scheme::Ssh => Self::remote(url, &unusable),
            Scheme::Git => Err(unusable("`git://` neither encrypts nor authenticates")),
            _ => Err(unusable("its scheme is none of `https`, `http`, `ssh` and `file`")),
        }
    }

    /// True when [`SourceUrl::parse`] takes the text for a path.
    pub fn is_path(repo: &str) -> bool {
        !is_remote(repo)
    }

    fn remote(mut url: gix::Url, unusable: &dyn Fn(&str) -> Error) -> Result<Self> {
        let dash = |part: Option<&str>| part.is_some_and(|part| part.starts_with('-'));
        // These would reach the ssh program as options.
        if dash(url.host()) || dash(url.user()) || url.path.starts_with(b"-") {
            return Err(unusable("a part of it begins with `-`"));
        }
        if url.host().is_none_or(str::is_empty) {
            return Err(unusable("it names no host"));
        }
        let password = url.set_password(None);
        let account = if url.scheme == Scheme::Ssh {
            // The user of an ssh URL (`git@`) is an address, not a secret; a password in one is of no use to ssh.
            None
        } else {
            url.set_user(None).map(|user| Account { user, password })
        };
        let shown = redact::repository(&url.to_bstring().to_str_lossy());
        Ok(Self { shown, location: SourceLocation::Remote { url, account } })
    }

    fn local(written: &str, path: &Path) -> Result<Self> {
        let written = &redact::repository(written);
        let path = path.canonicalize().map_err(|error| {
            let hint = address_of(written).map(|address| {
                format!("there is no folder of this name; for a repository of a forge write its address: `{address}`")
            });
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            let hint = hint.filter(|_| is_missing).unwrap_or_else(|| HINT.to_owned());
            // Where a relative path starts is not where everybody thinks.
            let place = path.parent().and_then(|folder| Some(folder.canonicalize().ok()?.join(path.file_name()?)));
            let place = place.filter(|_| is_missing);
            let why = place.map_or_else(|| error.to_string(), |place| format!("there is no `{}`", place.display()));
            Error::usage(format!("cannot use the repository `{written}`: {why}"), hint)
        })?;
        if looks_like_repository(&path) {
            return Ok(Self { shown: written.to_owned(), location: SourceLocation::Local(path) });
        }
        let inside = path.ancestors().skip(1).find(|folder| looks_like_repository(folder));
        Err(match inside {
            Some(repository) => Error::usage(
                format!("`{written}` is a folder inside the repository `{}`", repository.display()),
                format!(
                    "name the repository itself and set the workspace path to `{}`",
                    path.strip_prefix(repository).unwrap_or(&path).display()
                ),
            ),
            None => Error::usage(
                format!("`{written}` is not a git repository (looked in `{}`)", path.display()),
                "name a folder with a `.git`, or a bare repository; `--use-local` builds a plain folder",
            ),
        })
    }

    /// The text for the lock and for messages: as written, but without the user name and password of an http URL and
    /// without the password of an ssh URL.
    pub fn without_userinfo(&self) -> &str {
        &self.shown
    }

    /// One text for all spellings of one repository (`.git`, trailing slash, case of the host, default port, symlinks):
    /// repositories with equal texts are listed and fetched once.
    pub fn canonical(&self) -> String {
        match &self.location {
            SourceLocation::Local(path) => format!("file://{}", path.display()),
            SourceLocation::Remote { url, .. } => {
                let path = url.path.to_str_lossy();
                // Without a query, which may hold a token: the lock has none either.
                let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
                let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
                let user = url.user().map(|user| format!("{user}@")).unwrap_or_default();
                let host = url.host().unwrap_or_default().to_ascii_lowercase();
                let port = match (&url.scheme, url.port) {
                    (Scheme::Https, Some(443)) | (Scheme::Http, Some(80)) | (Scheme::Ssh, Some(22)) | (_, None) => {
                        String::new()
                    }
                    (_, Some(port)) => format!(":{port}"),
                };
                // An ssh path without a leading slash is relative to the user's home.
                let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/./" };
                format!("{}://{user}{host}{port}{slash}{path}", url.scheme.as_str())
            }
        }
    }

    /// The folder of a local repository: its work tree, or the bare repository.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.location {
            SourceLocation::Local(path) => Some(path),
            SourceLocation::Remote { .. } => None,
        }
    }

    /// The name people know the repository by: the last segment of its path, without `.git`.
    pub fn name(&self) -> String {
        let canonical = self.canonical();
        let name = canonical.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".git").unwrap_or(name).to_owned()
    }

    pub(super) fn is_ssh(&self) -> bool {
        matches!(&self.location, SourceLocation::Remote { url, .. } if url.scheme == Scheme::Ssh)
    }

    pub(super) fn is_https(&self) -> bool {
        matches!(&self.location, SourceLocation::Remote { url, .. } if url.scheme == Scheme::Https)
    }

    pub(super) fn location(&self) -> &SourceLocation {
        &self.location
    }

    /// `text` without this URL's secrets, and without what looks like the secrets of any other.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = without_secrets(text);
        if let SourceLocation::Remote { url, .. } = &self.location {
            let written = url.path.to_str_lossy();
            if let Some((_, query)) = written.split_once(['?', '#']).filter(|(_, query)| !query.is_empty()) {
                text = text.replace(query, "***");
            }
        }
        if let SourceLocation::Remote { account: Some(account), .. } = &self.location {
            for secret in account.password.iter().chain([&account.user]).filter(|secret| secret.len() > 3) {
                text = text.replace(secret.as_str(), "***");
            }
        }
        text
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({})", self.shown)
    }
}

const HINT: &str = "give an https, http, ssh or file URL, `user@host:path`, or the path of a local repository";

/// The address that `owner/name` or `github.com/owner/name` most likely means.
fn address_of(written: &str) -> Option<String> {
    let parts: Vec<&str> = written.trim_end_matches('/').split('/').collect();
    let is_name = |part: &&str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain);
    if !parts.iter().all(is_name) {
        return None;
    }
    match parts[..] {
        [owner, name] => Some(format!("https://github.com/{owner}/{name}")),
        [host, _, _] if host.contains('.') => Some(format!("https://{}", parts.join("/"))),
        _ => None,
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// git's own rule: a `scheme://`, a `helper::`, or a colon before the first slash.
fn is_remote(repo: &str) -> bool {
    repo.find(':').is_some_and(|colon| !repo[..colon].contains('/'))
}

/// A work tree, a linked work tree or a submodule (`.git` is a file there), or a bare repository.
fn looks_like_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}

/// `text` with `***` for everything between `://` and the `@` of the same authority.
pub(super) fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '"' || c == '`').unwrap_or(after.len());
        let authority = &after[..end];
        rest = match authority.rfind('@') {
            Some(at) if &authority[..at] == "git" => after,
            Some(at) => {
                out.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
