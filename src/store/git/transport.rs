//! Through which of two a remote is reached: gix, or the `git` program where gix is refused and it may not be.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::attempt::{attempt, with_retries};
use super::failure::GitFailure;
use super::limits::GitLimits;
use super::pack_watch::PackWatch;
use super::repository::Repository;
use super::url::SourceUrl;
use crate::ui::Ui;
use crate::{Error, Result};

/// When the `git` program reaches repositories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GitProgram {
    /// Where factory's own client is refused: for want of a login, because of a certificate, or by an odd server.
    #[default]
    WhenRefused,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How hard to try, and with what.
#[derive(Clone, Debug)]
pub struct Network {
    /// Attempts in all, when a failure may go away by itself (name lookup, connection, 429, 5xx).
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
    /// The longest that one attempt may take. A connection without progress ends sooner: after half a minute over http,
    /// after a minute over ssh.
    pub timeout: Duration,
    /// The most that is taken of it, and how slowly it may come.
    pub limits: GitLimits,
    /// When the `git` program is used: it knows `.netrc`, `http.proxy`, `http.<url>.*` and what else its configuration
    /// says.
    pub git_program: GitProgram,
    /// Where it came to that.
    pub refusals: Refusals,
}

/// The repositories that refused gix and not `git`, and who is told of them.
#[derive(Clone)]
pub struct Refusals {
    ui: Arc<Ui>,
    urls: Arc<Mutex<BTreeSet<String>>>,
}

impl Refusals {
    /// None yet; one line for each will be said.
    pub fn told_to(ui: &Arc<Ui>) -> Self {
        Self { ui: Arc::clone(ui), urls: Arc::default() }
    }

    fn contains(&self, url: &SourceUrl) -> bool {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).contains(&url.canonical())
    }

    /// From now on the `git` program is asked first.
    fn insert(&self, url: &SourceUrl, why: &str) {
        if self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(url.canonical()) {
            self.ui.note(format!("using the `git` program for `{url}`: {why}"));
        }
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Default for Network {
    fn default() -> Self {
        let timeout = Duration::from_secs(1800);
        Self {
            attempts: 4,
            pause: Duration::from_millis(500),
            timeout,
            limits: GitLimits::within(timeout),
            git_program: GitProgram::WhenRefused,
            refusals: Refusals::told_to(&Arc::new(Ui::silent())),
        }
    }
}

impl Network {
    /// True when gix is not asked first.
    pub(super) fn is_by_program(&self, url: &SourceUrl) -> bool {
        match self.git_program {
            GitProgram::Always => true,
            GitProgram::Never => false,
            GitProgram::WhenRefused => self.refusals.contains(url),
        }
    }
}

type Work<T> = Arc<dyn Fn(&Repository, &AtomicBool) -> Result<T, GitFailure> + Send + Sync>;

/// Something to ask of a remote.
pub(super) struct Errand<T> {
    /// For messages about attempts: `listing the refs of`.
    pub(super) what: String,
    pub(super) by_gix: Work<T>,
    pub(super) by_program: Work<T>,
}

/// What the `git` program had to say after gix was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecondTry {
    /// It could not help.
    None,
    NotInstalled,
    Forbidden,
    Failed,
}

/// Why a remote did not do as asked.
pub(super) struct RemoteRefusal {
    failure: GitFailure,
    second: SecondTry,
}

impl<T: Send + 'static> Errand<T> {
    /// Does it, and again while a failure may go away by itself.
    pub(super) fn run(
        &self,
        repository: &Repository,
        network: &Network,
        interrupt: &AtomicBool,
    ) -> Result<T, RemoteRefusal> {
        let url = &repository.url;
        let through = |work: &Work<T>| {
            with_retries(network.attempts, network.pause, interrupt, &self.what, || {
                let (repository, work) = (repository.clone(), Arc::clone(work));
                let watch = PackWatch::new(&repository.dir, network.limits.pack);
                attempt(network.timeout, interrupt, watch, move |stop| work(&repository, stop))
            })
        };
        let refused = |failure, second| RemoteRefusal { failure, second };
        if network.is_by_program(url) {
            return through(&self.by_program).map_err(|failure| refused(failure, SecondTry::None));
        }
        let failure = match through(&self.by_gix) {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        let Some(why) = failure.reason_for_program(url) else { return Err(refused(failure, SecondTry::None)) };
        if network.git_program == GitProgram::Never {
            return Err(refused(failure, SecondTry::Forbidden));
        }
        tracing::debug!("`{url}`: {why}; asking the `git` program");
        match through(&self.by_program) {
            Ok(found) => {
                network.refusals.insert(url, why);
                Ok(found)
            }
            Err(GitFailure::NoProgram) => Err(refused(failure, SecondTry::NotInstalled)),
            Err(second) => {
                // Of two that say the same, gix says more; one that cannot connect has not come as far.
                let is_same = std::mem::discriminant(&second) == std::mem::discriminant(&failure);
                let is_behind = matches!(second, GitFailure::Certificate(_) | GitFailure::Unreachable(_))
                    && !matches!(failure, GitFailure::SshEnded);
                Err(refused(if is_same || is_behind { failure } else { second }, SecondTry::Failed))
            }
        }
    }
}

impl RemoteRefusal {
    /// The error for the user. `doing` is what was being done, as `list the refs of`; `dir` is the bare repository.
    pub(super) fn into_error(self, doing: &str, url: &SourceUrl, dir: &Path) -> Error {
        let advice = self.advice(url);
        match (self.failure.into_error(doing, url, dir), advice) {
            (Error::Network { what, .. }, Some(hint)) => Error::Network { what, hint },
            (error, _) => error,
        }
    }

    /// What to do, where it depends on the `git` program.
    fn advice(&self, url: &SourceUrl) -> Option<String> {
        let why_not = match self.second {
            SecondTry::None => return None,
            SecondTry::NotInstalled => "which is not installed",
            SecondTry::Forbidden => "which `--git-program never` forbids",
            SecondTry::Failed => {
                let wants_login = matches!(self.failure, GitFailure::Credentials(_)) && !url.is_ssh();
                return wants_login.then(|| {
                    format!(
                        "make `git ls-remote {url}` work: by a credential helper, `.netrc`, `GIT_ASKPASS` or \
                         `http.extraHeader`; a lock never holds credentials"
                    )
                });
            }
        };
        Some(match &self.failure {
            GitFailure::Credentials(_) => format!(
                "configure a git credential helper, set `GIT_ASKPASS`, or set `http.extraHeader`; `.netrc` and \
                 `http.<url>.extraHeader` need the `git` program, {why_not}; a lock never holds credentials"
            ),
            GitFailure::Forbidden => format!(
                "check that the account or token may read this repository; `.netrc` and `http.<url>.extraHeader` need the \
                 `git` program, {why_not}"
            ),
            GitFailure::NotFound => format!(
                "check the URL; servers say the same of private repositories, and a login in `.netrc` or \
                 `http.<url>.extraHeader` needs the `git` program, {why_not}"
            ),
            GitFailure::Certificate(_) | GitFailure::SshEnded => return None,
            GitFailure::ClearText => format!("use an https URL; over plain http it takes the `git` program, {why_not}"),
            _ => format!("such a server takes the `git` program, {why_not}"),
        })
    }
}
