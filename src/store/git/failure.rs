//! What went wrong with a remote, in words a user can act on, and whether trying again may help.

use std::path::Path;
use std::time::Duration;

use super::url::SourceUrl;
use crate::tls::Distrust;
use crate::{Error, Result};

const OWN_CA: &str = "the server's certificate is one of a CA (basicConstraints `CA:TRUE`): give the server one with \
                      `CA:FALSE`, or use `--git-program` and name the certificate in `GIT_SSL_CAINFO`";

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
    /// Anything else.
    Other(String),
}

impl GitFailure {
    /// Reads gix's error graph. The useful message sits at the bottom of it.
    pub(super) fn from_gix(error: &gix::Error, url: &SourceUrl) -> Self {
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
        let torn = error.iter_errors().filter_map(|error| error.downcast_ref::<reqwest::Error>());
        let torn = torn.filter(|error| !error.is_redirect() && !error.is_builder()).count() > 0;
        if torn || error.can_retry_lenient() { Self::Unreachable(bottom) } else { Self::Other(bottom) }
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
        let line = |part: &str| {
            text.lines()
                .rev()
                .find(|line| line.contains(part))
                .unwrap_or_default()
                .trim_start_matches("fatal: ")
                .to_owned()
        };
        let status = |code: &str| has(&format!("HTTP status {code}")) || has(&format!("returned error: {code}"));
        // The last: a server of the first protocol answers `ERR upload-pack: not our ref …`, and gix stumbles over the `E`.
        let refusals = ["not our ref", "unadvertised object", "non-side channel line or input was malformed: 69"];
        if refusals.into_iter().any(has) {
            return Some(Self::NoCommit);
        }
        for part in ["peer certificate", "SSL certificate", "CAfile", "UnknownIssuer"] {
            if has(part) {
                return Some(Self::Certificate(line(part)));
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
        if status("429") {
            return Some(Self::Unreachable("the server asks to slow down (HTTP status 429)".to_owned()));
        }
        for code in 500..=599 {
            if status(&code.to_string()) {
                return Some(Self::Unreachable(format!("the server answered with HTTP status {code}")));
            }
        }
        for part in
            ["Permission denied (", "Authentication failed", "could not read Username", "could not read Password"]
        {
            if has(part) {
                return Some(Self::Credentials(line(part)));
            }
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
                return Some(Self::Unreachable(line(part)));
            }
        }
        None
    }

    /// The error for the user. `doing` is what was being done, as `list the refs of`; `dir` is the bare repository.
    pub(super) fn into_error(self, doing: &str, url: &SourceUrl, dir: &Path) -> Error {
        let because = |why: &str| {
            let why = url.redact(why.trim());
            if why.is_empty() { String::new() } else { format!(": {why}") }
        };
        match self {
            Self::Interrupted => Error::Interrupted,
            Self::Timeout(limit) => Error::network(
                format!("cannot {doing} `{url}`: not finished after {limit:?}"),
                "check the connection and try again",
            ),
            Self::Credentials(why) => {
                tracing::debug!("credentials for `{url}`{}", because(&why));
                Error::network(
                    format!(
                        "cannot {doing} `{url}`: it is private or does not exist, and no credentials were accepted"
                    ),
                    if url.without_userinfo().starts_with("http") {
                        "configure a git credential helper, set `GIT_ASKPASS`, or set `http.extraHeader`; a lock never holds credentials"
                    } else {
                        "add the key to the ssh agent (`ssh-add`) and check `ssh -T` to that host; nothing is asked on the terminal"
                    },
                )
            }
            Self::ClearText => Error::network(
                format!("cannot {doing} `{url}`: credentials are not sent over plain http"),
                "use an https URL",
            ),
            Self::Forbidden => Error::network(
                format!("cannot {doing} `{url}`: the server forbids it (HTTP status 403)"),
                "check that the account or token may read this repository",
            ),
            Self::NotFound => Error::network(
                format!("cannot {doing} `{url}`: there is no such repository"),
                "check the URL; servers say the same of private repositories",
            ),
            Self::NoCommit => Error::network(
                format!("cannot {doing} `{url}`: the server has no such commit, or does not serve it"),
                "check the commit; it may have been removed by a forced push",
            ),
            Self::Certificate(why) => Error::network(
                format!("cannot {doing} `{url}`: its certificate is not trusted{}", because(&why)),
                match Distrust::of(&why) {
                    Distrust::OwnCa => OWN_CA,
                    _ => "set `SSL_CERT_FILE` to a file with the certificate of the authority that signed it",
                },
            ),
            Self::HostKey => Error::network(
                format!("cannot {doing} `{url}`: ssh does not know the host's key"),
                "connect to the host once with `ssh`, or add its key to `known_hosts`",
            ),
            Self::SshEnded => Error::network(
                format!("cannot {doing} `{url}`: the ssh program ended without an answer"),
                "see what it said above: an unknown repository or an unknown host key, for instance",
            ),
            Self::Unreachable(why) => Error::network(
                format!("cannot {doing} `{url}`{}", because(&why)),
                "check the connection and the proxy settings (`https_proxy`), then try again",
            ),
            Self::Disk(kind) => Error::io("write", dir)(std::io::Error::from(kind)),
            Self::Other(why) => Error::network(format!("cannot {doing} `{url}`{}", because(&why)), ""),
        }
    }
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

/// Runs `attempt` up to `attempts` times while the failure may go away, pausing `pause`, then twice that, and so on.
pub(super) fn with_retries<T>(
    attempts: u32,
    pause: Duration,
    interrupt: &std::sync::atomic::AtomicBool,
    what: &str,
    mut attempt: impl FnMut() -> Result<T, GitFailure>,
) -> Result<T, GitFailure> {
    let mut pause = pause;
    let mut left = attempts.max(1);
    loop {
        left -= 1;
        match attempt() {
            Err(GitFailure::Unreachable(why)) if left > 0 => {
                tracing::warn!("{what}: {why}; trying again in {} ms", pause.as_millis());
            }
            other => return other,
        }
        let until = std::time::Instant::now() + pause;
        while let Some(rest) = until.checked_duration_since(std::time::Instant::now()) {
            if interrupt.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(GitFailure::Interrupted);
            }
            std::thread::sleep(rest.min(Duration::from_millis(50)));
        }
        pause *= 2;
    }
}
