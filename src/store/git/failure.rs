//! What went wrong with a remote, in words a user can act on, and whether trying again may help.

use std::path::Path;
use std::time::Duration;

use super::limits::LARGEST_OBJECT;
use super::url::SourceUrl;
use crate::Error;
use crate::answer::size;
use crate::tls::{CONNECT_WITHIN, Distrust};

/// One failed attempt.
#[derive(Debug)]
pub(super) enum GitFailure {
    /// Ctrl-C.
    Interrupted,
    /// It took longer than allowed.
    Timeout(Duration),
    /// No credentials, or wrong ones (401, ssh's "Permission denied").
    Credentials(String),
    /// There are credentials, but the connection is not encrypted.
    ClearText,
    /// 403.
    Forbidden,
    /// 404, or no git repository behind the URL.
    NotFound,
    /// The server has no such commit, or does not serve it.
    NoCommit,
    /// The certificate is not trusted.
    Certificate(String),
    /// The ssh program does not know the host.
    HostKey,
    /// The ssh program ended without an answer. Its message went to stderr, not to us.
    SshEnded,
    /// Name lookup, connection, torn connection, 429, 5xx: may go away by itself.
    Unreachable(String),
    /// The file system of the cache.
    Disk(std::io::ErrorKind),
    /// The server redirects, and what would be sent along is not for others.
    Redirected,
    /// The server speaks another dialect of the protocol or of TLS.
    Protocol(String),
    /// A server of the first protocol does not give out a commit that no ref points to.
    Unadvertised,
    /// Nothing answered in time: a wrong address, or a firewall.
    NoAnswer,
    /// The `git` program is not installed.
    NoProgram,
    /// It sends more than is taken of a repository, or too slowly.
    Refused(String),
    /// A setting of this machine, such as `SSL_CERT_FILE`, is wrong.
    Setting(Box<Error>),
    /// Anything else.
    Other(String),
}

impl GitFailure {
    /// Reads gix's error graph. The useful message sits at the bottom of it.
    pub(super) fn from_gix(error: &gix::Error, url: &SourceUrl) -> Self {
        let of_http = || error.iter_errors().filter_map(|error| error.downcast_ref::<reqwest::Error>());
        // Two clocks run while a connection is made, and only one of them says "timed out": the type says it of both.
        if of_http().any(|error| error.is_connect() && error.is_timeout()) {
            return Self::NoAnswer;
        }
        let texts: Vec<String> = error.iter_errors().map(ToString::to_string).collect();
        let all = texts.join("\n");
        if let Some(known) = Self::from_text(&all) {
            return known;
        }
        if error.is_cancelled() {
            return Self::Interrupted;
        }
        let bottom = texts.last().cloned().unwrap_or_default();
        if error.is_unauthenticated() {
            return Self::Credentials(bottom);
        }
        if let Some(io) = error.downcast_any_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::ReadOnlyFilesystem => return Self::Disk(io.kind()),
                std::io::ErrorKind::PermissionDenied => return Self::Credentials(bottom),
                std::io::ErrorKind::UnexpectedEof if url.is_ssh() => return Self::SshEnded,
                std::io::ErrorKind::UnexpectedEof
                | std::io::ErrorKind::TimedOut
                | std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::BrokenPipe => return Self::Unreachable(bottom),
                _ => {}
            }
        }
        let is_torn = of_http().any(|error| !error.is_redirect() && !error.is_builder());
        if is_torn || error.can_retry_lenient() {
            Self::Unreachable(bottom)
        } else if error.is_unsupported() {
            Self::Protocol(bottom)
        } else {
            Self::Other(bottom)
        }
    }

    /// `what` has more bytes than `limit`.
    pub(super) fn too_large(what: &str, limit: u64) -> Self {
        Self::Refused(format!("{what} has more than {}, the limit", size(limit)))
    }

    /// Reads what the `git` program printed.
    pub(super) fn from_git(stderr: &str) -> Self {
        Self::from_text(stderr).unwrap_or_else(|| {
            // What failed comes first, what that means for git follows.
            let said = stderr.lines().map(str::trim).find(|line| {
                let line = line.to_ascii_lowercase();
                !line.is_empty() && !line.starts_with("hint:") && !line.starts_with("warning:")
            });
            Self::Other(said.unwrap_or("`git` printed nothing").trim_start_matches("fatal: ").to_owned())
        })
    }

    fn from_text(text: &str) -> Option<Self> {
        let has = |part: &str| text.contains(part);
        let status = |code: &str| has_status(text, code);
        // The last: a server of the first protocol answers `ERR upload-pack: not our ref …`, and gix stumbles over the `E`.
        if ["unadvertised object", "non-side channel line or input was malformed: 69"].into_iter().any(has) {
            return Some(Self::Unadvertised);
        }
        // The `git` program, of `GIT_ALLOC_LIMIT`.
        if has("attempting to allocate") && has("over limit") {
            return Some(Self::too_large("a file of the commit", LARGEST_OBJECT));
        }
        if has("not our ref") {
            return Some(Self::NoCommit);
        }
        if has("refusing to follow redirect") || ["301", "302", "303", "307", "308"].into_iter().any(status) {
            return Some(Self::Redirected);
        }
        for part in ["peer certificate", "SSL certificate", "CAfile", "UnknownIssuer"] {
            if has(part) {
                return Some(Self::Certificate(line_with(text, part)));
            }
        }
        for part in ["received fatal alert", "peer is incompatible", "dumb' protocol", "does not support shallow"] {
            if has(part) {
                return Some(Self::Protocol(line_with(text, part)));
            }
        }
        if has("credentials in clear text") {
            return Some(Self::ClearText);
        }
        if status("403") {
            return Some(Self::Forbidden);
        }
        if has("Host key verification failed") {
            return Some(Self::HostKey);
        }
        if status("404")
            || has("Repository not found")
            || has("repository '") && has("' not found")
            || has("does not appear to be a git repository")
        {
            return Some(Self::NotFound);
        }
        Self::of_connection(text)
    }

    /// The part of it that is not about the repository.
    fn of_connection(text: &str) -> Option<Self> {
        let has = |part: &str| text.contains(part);
        if has_status(text, "429") {
            return Some(Self::Unreachable("the server asks to slow down (HTTP status 429)".to_owned()));
        }
        for code in 500..=599 {
            if has_status(text, &code.to_string()) {
                return Some(Self::Unreachable(format!("the server answered with HTTP status {code}")));
            }
        }
        for part in
            ["Permission denied (", "Authentication failed", "could not read Username", "could not read Password"]
        {
            if has(part) {
                return Some(Self::Credentials(line_with(text, part)));
            }
        }
        if is_silence(text) {
            return Some(Self::NoAnswer);
        }
        for part in [
            "Could not resolve host",
            "Failed to connect",
            "Connection refused",
            "Connection reset",
            "early EOF",
            "timed out",
        ] {
            if has(part) {
                return Some(Self::Unreachable(line_with(text, part)));
            }
        }
        None
    }

    /// Why the `git` program may succeed where gix did not; none when it cannot.
    pub(super) fn reason_for_program(&self, url: &SourceUrl) -> Option<&'static str> {
        let why = match self {
            Self::Protocol(_) | Self::Other(_) => "the server does not speak as usual",
            // Over http such a server gives out what a ref leads to.
            Self::NoCommit | Self::Unadvertised if url.is_ssh() => "the server gives this commit only with its history",
            // gix does not always wait for what the ssh program says at its end.
            Self::SshEnded => "what the ssh program said is not known",
            _ if url.is_ssh() => return None,
            Self::Credentials(_) => "the server wants a login",
            Self::ClearText => "a login over plain http",
            Self::Forbidden => "the server forbids it without the right login (HTTP status 403)",
            Self::NotFound => "the server has no such repository without a login",
            Self::Certificate(_) => "the server's certificate is not trusted without git's settings",
            _ => return None,
        };
        Some(why)
    }

    /// The error for the user. `doing` is what was being done, as `list the refs of`; `dir` is the bare repository.
    pub(super) fn into_error(self, doing: &str, url: &SourceUrl, dir: &Path) -> Error {
        match self {
            Self::Interrupted => Error::Interrupted,
            Self::Disk(kind) => Error::io("write", dir)(std::io::Error::from(kind)),
            Self::Setting(error) => *error,
            failure => {
                if let Self::Credentials(why) = &failure {
                    tracing::debug!("credentials for `{url}`{}", because(url, why));
                }
                let why = failure.why(url);
                Error::network(format!("cannot {doing} `{url}{why}"), failure.advice(url))
            }
        }
    }

    /// What follows on ``cannot fetch it from `https://…``.
    fn why(&self, url: &SourceUrl) -> String {
        let why = match self {
            Self::Timeout(limit) => return format!("`: not finished after {limit:?}"),
            Self::Certificate(why) => return format!("`: its certificate is not trusted{}", because(url, why)),
            Self::Unreachable(why) | Self::Protocol(why) | Self::Other(why) | Self::Refused(why) => {
                return format!("`{}", because(url, why));
            }
            Self::Credentials(_) => "`: it is private or does not exist, and no credentials were accepted",
            Self::ClearText => "`: credentials are not sent over plain http",
            Self::Forbidden => "`: the server forbids it (HTTP status 403)",
            Self::NotFound => "`: there is no such repository",
            Self::NoCommit | Self::Unadvertised => "`: the server has no such commit, or does not serve it",
            Self::HostKey => "`: ssh does not know the host's key",
            Self::SshEnded => "`: the ssh program ended without an answer",
            Self::Redirected => "`: the server redirects, and a login does not follow",
            Self::NoAnswer => "`: nothing answers at that address",
            Self::NoProgram => "`: the `git` program is not installed",
            Self::Interrupted | Self::Disk(_) | Self::Setting(_) => return String::new(),
        };
        why.to_owned()
    }

    /// What to do; nothing where nobody knows.
    fn advice(&self, url: &SourceUrl) -> String {
        let advice = match self {
            Self::Certificate(why) => match Distrust::of(why) {
                Distrust::Issuer | Distrust::Other => {
                    "set `SSL_CERT_FILE` to a file with the certificate of the authority that signed it"
                }
                known => return known.hint("the server"),
            },
            Self::Timeout(_) => "check the connection and try again",
            Self::Credentials(_) if url.without_userinfo().starts_with("http") => {
                "configure a git credential helper, set `GIT_ASKPASS`, or set `http.extraHeader`; a lock never holds credentials"
            }
            Self::Credentials(_) => {
                "add the key to the ssh agent (`ssh-add`) and check `ssh -T` to that host; nothing is asked on the terminal"
            }
            Self::ClearText => "use an https URL",
            Self::Forbidden => "check that the account or token may read this repository",
            Self::NotFound => "check the URL; servers say the same of private repositories",
            Self::NoCommit | Self::Unadvertised => "check the commit; it may have been removed by a forced push",
            Self::HostKey => "connect to the host once with `ssh`, or add its key to `known_hosts`",
            Self::SshEnded => "see what it said above: an unknown repository or an unknown host key, for instance",
            Self::Unreachable(_) => "check the connection and the proxy settings (`https_proxy`), then try again",
            Self::Redirected => "write the address that it redirects to",
            Self::NoAnswer => "check the address and the proxy settings (`https_proxy`)",
            Self::NoProgram => "install `git`, or leave out `--git-program`",
            Self::Refused(_) => {
                "check the URL; where it is right, clone the repository and name the clone, which has no limits"
            }
            Self::Interrupted | Self::Disk(_) | Self::Setting(_) | Self::Protocol(_) | Self::Other(_) => "",
        };
        advice.to_owned()
    }
}

/// `: why`, without secrets; nothing for nothing.
fn because(url: &SourceUrl, why: &str) -> String {
    let why = url.redact(why.trim());
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn has_status(text: &str, code: &str) -> bool {
    text.contains(&format!("HTTP status {code}")) || text.contains(&format!("returned error: {code}"))
}

/// The last line that has `part` in it.
fn line_with(text: &str, part: &str) -> String {
    text.lines().rev().find(|line| line.contains(part)).unwrap_or_default().trim_start_matches("fatal: ").to_owned()
}

/// True for a connection that was given up after some time, as curl and ssh say it: another attempt would take as long.
fn is_silence(text: &str) -> bool {
    let after = text.split("Failed to connect").nth(1).and_then(|rest| rest.split_once(" after ")?.1.split_once(" ms"));
    after.and_then(|(time, _)| time.parse().ok()).is_some_and(|time: u128| time >= CONNECT_WITHIN.as_millis())
        || text.contains("connect to host") && text.contains("timed out")
}

/// An object that should be there cannot be read.
pub(super) fn damaged(url: &SourceUrl, error: &gix::Error) -> Error {
    let cause = error.iter_errors().last().map(ToString::to_string).unwrap_or_default();
    let cause = url.redact(&cause);
    if url.local_path().is_none() {
        return Error::Damaged { url: url.to_string(), cause };
    }
    Error::Build {
        what: format!("cannot read from the repository `{url}`: {cause}"),
        tail: Vec::new(),
        hint: "check it with `git fsck`; a partial clone lacks files: fetch them with `git fetch --refetch`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_not_asked_again() {
        let url = SourceUrl::parse("https://example.com/r", Path::new("/")).unwrap();
        let error = gix::Error::from_error(crate::tls::unanswered().await.unwrap());
        let said = |failure: GitFailure| failure.into_error("reach", &url, Path::new("/")).to_string();
        assert_eq!(
            said(GitFailure::from_gix(&error, &url)),
            "cannot reach `https://example.com/r`: nothing answers at that address"
        );
        for (stderr, is_silent) in [
            (
                "fatal: unable to access 'https://a/': Failed to connect to a port 443 after 133713 ms: Couldn't connect",
                true,
            ),
            (
                "fatal: unable to access 'https://a/': Failed to connect to a port 443 after 2 ms: Couldn't connect",
                false,
            ),
            ("ssh: connect to host a port 22: Connection timed out", true),
            ("ssh: connect to host a port 22: Connection refused", false),
        ] {
            let failure = GitFailure::from_git(stderr);
            assert_eq!(matches!(failure, GitFailure::NoAnswer), is_silent, "{stderr}: {failure:?}");
            assert_eq!(matches!(failure, GitFailure::Unreachable(_)), !is_silent, "{stderr}: {failure:?}");
        }
    }
}
