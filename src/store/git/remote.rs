//! Talking to a remote with gix: which refs it has, and one commit of it.

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};
use gix::credentials::helper::Action;
use gix::credentials::protocol::Outcome;
use gix::progress::Discard;
use gix::protocol::handshake::Ref as GixRef;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::transport::client::TransportWithoutIO as _;
use gix::protocol::transport::client::blocking_io::{Transport, connect, http, ssh};
use gix::protocol::{LsRefsCommand, SendFlushOnDrop};
use gix::remote::fetch::{Shallow, Status, Tags};
use gix::remote::{Connection, Direction, ref_map};
use gix::url::Scheme;

use super::failure::GitFailure;
use super::limits::GitLimits;
use super::metered::{Meter, MeteredHttp};
use super::metered_lines::MeteredTransport;
use super::repository::Repository;
use super::url::{Account, SourceLocation};
use crate::tls;

/// One ref of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The full name: `HEAD`, `refs/heads/main`, `refs/tags/v1`.
    pub name: String,
    /// What it points to: 40 hexadecimal digits.
    pub target: String,
    /// For an annotated tag, the object behind the tag object.
    pub peeled: Option<String>,
    /// For a symbolic ref, the name of the ref it stands for.
    pub symbolic: Option<String>,
}

/// Which refs are asked for. Servers of big projects hold a ref per pull request: tens of thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefScope {
    /// `HEAD`, branches and tags.
    Usual,
    /// All of them.
    All,
}

/// The beginnings of the names of the usual ones.
const USUAL: [&str; 3] = ["HEAD", "refs/heads/", "refs/tags/"];

/// `ssh` without questions on the terminal, and not forever.
pub(super) const SSH_COMMAND: &str =
    "ssh -oBatchMode=yes -oConnectTimeout=5 -oServerAliveInterval=15 -oServerAliveCountMax=4";

/// Each thread that reads a pack has up to three of the largest objects in memory, and more are hardly faster.
const THREADS: &str = "pack.threads=1";

type AnyTransport = Box<dyn Transport + Send>;

/// The refs of the remote, in its order. An empty repository has none.
pub(super) fn list(repository: &Repository, scope: RefScope, limits: GitLimits) -> Result<Vec<Advertised>, GitFailure> {
    let (trust, meter) = (trusting(repository)?, Meter::new(limits));
    // Without gix's table of which ref goes where, which takes more memory than the refs do.
    let list = || -> gix::Result<_> {
        let repo = open(repository, limits.object)?;
        let Spoken { transport, options, credentials } =
            speak(&remote(&repo, repository)?, &repo, repository, &meter, trust)?;
        let mut transport = SendFlushOnDrop::new(transport, false);
        if let Some(options) = options {
            transport.inner.configure(&*options)?;
        }
        let service = Service::UploadPack;
        let handshake = gix::protocol::handshake(&mut transport.inner, service, credentials, vec![], &mut Discard)?;
        let refs = if let Some(refs) = handshake.refs {
            refs
        } else {
            let usual = || {
                let mut prefixes = RefPrefixes::new();
                prefixes.extend(USUAL.map(BString::from));
                prefixes
            };
            let agent = ("agent", Some(gix::protocol::agent(gix::env::agent())));
            let prefixes = (scope == RefScope::Usual).then(usual);
            let command = LsRefsCommand::new(prefixes, &handshake.capabilities, agent);
            command.invoke_blocking(&mut transport.inner, &mut Discard, false)?
        };
        Ok(refs.into_iter().filter_map(advertised).collect())
    };
    list().map_err(|error| why(&error, repository, &meter))
}

static TRUST: OnceLock<rustls::ClientConfig> = OnceLock::new();

/// Whom https trusts; none where it is not spoken.
fn trusting(repository: &Repository) -> Result<Option<rustls::ClientConfig>, GitFailure> {
    if repository.url.is_ssh() {
        return Ok(None);
    }
    if let Some(config) = TRUST.get() {
        return Ok(Some(config.clone()));
    }
    let config = tls::named_by_user().map_err(|error| GitFailure::Setting(Box::new(error))).and_then(|named| {
        tls::trusting(named).map_err(|error| GitFailure::Other(format!("cannot set up TLS: {error}")))
    });
    match config {
        Ok(config) => Ok(Some(TRUST.get_or_init(|| config).clone())),
        // Over http it is only of use where `insteadOf` or a redirect leads to https.
        Err(_) if !repository.url.is_https() => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn advertised(found: GixRef) -> Option<Advertised> {
    let (name, target, peeled, symbolic) = match found {
        GixRef::Direct { full_ref_name, object } => (full_ref_name, object, None, None),
        GixRef::Peeled { full_ref_name, tag, object } => (full_ref_name, tag, Some(object), None),
        GixRef::Symbolic { full_ref_name, target, tag, object } => {
            (full_ref_name, tag.unwrap_or(object), tag.map(|_| object), Some(target))
        }
        GixRef::Unborn { .. } => return None,
    };
    let text = |name: BString| String::from_utf8(name.into()).ok();
    let symbolic = match symbolic {
        Some(target) => Some(text(target)?),
        None => None,
    };
    let peeled = peeled.map(|id| id.to_string());
    Some(Advertised { name: text(name)?, target: target.to_string(), peeled, symbolic })
}

/// Fetches exactly `commit`, without its history, into the bare repository. No ref is written.
pub(super) fn fetch(
    repository: &Repository,
    commit: ObjectId,
    limits: GitLimits,
    interrupt: &AtomicBool,
) -> Result<(), GitFailure> {
    let meter = Meter::new(limits);
    fetch_by(repository, commit, (trusting(repository)?, &meter), interrupt)
        .map_err(|error| why(&error, repository, &meter))
}

/// What went wrong: a limit, of which gix knows nothing, or something else.
fn why(error: &gix::Error, repository: &Repository, meter: &Meter) -> GitFailure {
    if error.is_resource_exhausted() {
        return GitFailure::too_large("a file of the commit", meter.limits().object);
    }
    meter.failure().unwrap_or_else(|| GitFailure::from_gix(error, &repository.url))
}

fn fetch_by(
    repository: &Repository,
    commit: ObjectId,
    (trust, meter): (Option<rustls::ClientConfig>, &Arc<Meter>),
    interrupt: &AtomicBool,
) -> gix::Result<()> {
    let repo = open(repository, meter.limits().object)?;
    // A spec that is only an object id makes gix ask for every ref there is; the second one, which matches nothing,
    // narrows that down to nothing.
    let nothing = gix::refspec::parse("refs/factory/none".into(), gix::refspec::parse::Operation::Fetch)?.to_owned();
    let remote = remote(&repo, repository)?.with_refspecs([commit.to_string().as_str()], Direction::Fetch)?;
    let options = ref_map::Options { extra_refspecs: vec![nothing], ..Default::default() };
    let outcome = connect(&remote, &repo, repository, meter, trust)?
        .prepare_fetch(Discard, options)?
        .with_shallow(Shallow::DepthAtRemote(NonZeroU32::MIN))
        .receive(Discard, interrupt)?;
    if let Status::Change { write_pack_bundle, .. } = outcome.status
        && let Some(keep) = write_pack_bundle.keep_path
    {
        // Without a ref to write, gix leaves it to us to let the pack go.
        let _ = std::fs::remove_file(keep);
    }
    Ok(())
}

/// Opens the bare repository with the user's configuration (credential helpers, `insteadOf`, extra headers), but never
/// with the environment of a git hook that may have started us, and never with a prompt on the terminal.
fn open(repository: &Repository, largest: u64) -> gix::Result<gix::Repository> {
    let limits = [&format!("gitoxide.objects.allocLimit={largest}"), THREADS];
    let repo = open_with(repository, &limits)?;
    if says_how_to_ssh(&repo) {
        return Ok(repo);
    }
    open_with(repository, &[limits[0], THREADS, &format!("core.sshCommand={SSH_COMMAND}"), "ssh.variant=ssh"])
}

fn open_with(repository: &Repository, overrides: &[&str]) -> gix::Result<gix::Repository> {
    let mut permissions = gix::open::Permissions::all();
    permissions.env.objects = gix::sec::Permission::Deny;
    let fixed = ["gitoxide.credentials.terminalPrompt=false", "core.useReplaceRefs=false"];
    let options = gix::open::Options::default()
        .permissions(permissions)
        .open_path_as_is(true)
        .config_overrides(fixed.iter().chain(overrides).copied());
    gix::open_opts(&repository.dir, options)
}

fn says_how_to_ssh(repo: &gix::Repository) -> bool {
    let is_set = |key: &str| repo.config_snapshot().string(key).is_some();
    is_set("core.sshCommand") || is_set("gitoxide.ssh.commandWithoutShellFallback")
}

/// True when the user says how ssh is called, in git's configuration or in the environment.
pub(super) fn has_own_ssh(repository: &Repository) -> bool {
    open_with(repository, &[]).is_ok_and(|repo| says_how_to_ssh(&repo))
}

fn remote<'repo>(repo: &'repo gix::Repository, repository: &Repository) -> gix::Result<gix::Remote<'repo>> {
    let url = match repository.url.location() {
        SourceLocation::Remote { url, .. } => url.clone(),
        SourceLocation::Local(path) => gix::url::parse(path.to_string_lossy().as_ref())?,
    };
    Ok(repo.remote_at(url)?.with_fetch_tags(Tags::None))
}

fn connect<'a, 'repo>(
    remote: &'a gix::Remote<'repo>,
    repo: &gix::Repository,
    repository: &Repository,
    meter: &Arc<Meter>,
    trust: Option<rustls::ClientConfig>,
) -> gix::Result<Connection<'a, 'static, 'repo, AnyTransport>> {
    let Spoken { transport, options, credentials } = speak(remote, repo, repository, meter, trust)?;
    let mut connection = remote.to_connection_with_transport(transport);
    if let Some(options) = options {
        connection.set_transport_options(options);
    }
    connection.set_credentials(credentials);
    Ok(connection)
}

/// How a remote is spoken to.
struct Spoken<C> {
    transport: AnyTransport,
    /// What it has to be configured with.
    options: Option<Box<dyn Any>>,
    credentials: C,
}

fn speak(
    remote: &gix::Remote<'_>,
    repo: &gix::Repository,
    repository: &Repository,
    meter: &Arc<Meter>,
    trust: Option<rustls::ClientConfig>,
) -> gix::Result<Spoken<impl FnMut(Action) -> gix::Result<Option<Outcome>> + use<>>> {
    let (url, version) = remote.sanitized_url_and_version(Direction::Fetch)?;
    let transport: AnyTransport = if matches!(url.scheme, Scheme::Http | Scheme::Https) {
        Box::new(http::Transport::new_http(MeteredHttp::new(meter), url.clone(), version, false))
    } else {
        let ssh =
            if url.scheme == Scheme::Ssh { repo.ssh_connect_options()? } else { ssh::connect::Options::default() };
        let options = connect::Options { version, ssh, trace: false };
        Box::new(MeteredTransport::new(connect::connect(url.clone(), options)?, meter))
    };
    let account = match repository.url.location() {
        // Not for a host that the user's `insteadOf` leads to.
        SourceLocation::Remote { url: own, account: Some(account) } if own.host() == url.host() => {
            Some(account.clone())
        }
        _ => None,
    };
    let mut options = repo.transport_options(url.to_bstring().as_bstr(), None)?;
    if let Some(http) = options.as_mut().and_then(|options| options.downcast_mut::<http::Options>()) {
        if let Some(header) = account.as_ref().and_then(basic_header)
            && url.scheme == Scheme::Http
        {
            // gix gives no credentials to plain http. The user wrote them into the URL, and git would send them.
            http.extra_headers.push(header);
        }
        if let Some(trust) = trust {
            let configure = move |client: reqwest::blocking::ClientBuilder| {
                Ok(client.tls_backend_preconfigured(trust.clone()).connect_timeout(tls::connect_timeout()))
            };
            let client = http::reqwest::Options { configure_client: Some(Box::new(configure)), ..Default::default() };
            http.backend = Some(Arc::new(Mutex::new(client)));
        }
    }
    let credentials = credentials(repo.clone(), url.host().unwrap_or_default().to_owned(), account);
    Ok(Spoken { transport, options, credentials })
}

/// Answers a server that wants credentials: those of the URL, else git's credential helpers, else the askpass program.
/// Never the terminal.
fn credentials(
    repo: gix::Repository,
    host: String,
    account: Option<Account>,
) -> impl FnMut(Action) -> gix::Result<Option<Outcome>> {
    let mut helpers = None;
    move |mut action| {
        let Some(context) = action.context_mut() else {
            // Accepted or rejected: only those who gave the credentials want to know.
            return match &mut helpers {
                Some((cascade, options)) => {
                    let cascade: &mut gix::credentials::helper::Cascade = cascade;
                    let options: &gix::prompt::Options = options;
                    cascade.invoke(action, options.clone())
                }
                None => Ok(None),
            };
        };
        let mut url = gix::url::parse(context.url.clone().unwrap_or_default().as_bstr())?;
        let account = account.as_ref().filter(|_| url.host() == Some(host.as_str()));
        if let Some(Account { user, password: Some(password) }) = account {
            if url.scheme == Scheme::Http {
                return Err(gix::error::unauthenticated("the account of the URL was sent and refused").into());
            }
            return Ok(Some(identity(context.clone(), user.clone(), password.clone())));
        }
        if let Some(Account { user, password: None }) = account {
            url.set_user(Some(user.clone()));
            context.url = Some(url.to_bstring());
        }
        let (mut cascade, prepared, options) = repo.config_snapshot().credential_helpers(url.clone())?;
        let options = gix::prompt::Options { mode: gix::prompt::Mode::Disable, ..options };
        let mut known = prepared.context().cloned().unwrap_or_default();
        known.destructure_url_in_place(cascade.use_http_path)?;
        match cascade.invoke(action, options.clone()) {
            Ok(Some(outcome)) => {
                helpers = Some((cascade, options));
                return Ok(Some(outcome));
            }
            Err(error) if error.is_cancelled() => return Err(error),
            Ok(None) | Err(_) if options.askpass.is_some() => {}
            // A token in place of the user, `https://token@host`.
            Ok(None) | Err(_) if account.is_some() => {
                let user = known.username.clone().unwrap_or_default();
                return Ok(Some(identity(known.clone(), user, String::new())));
            }
            other => return other,
        }
        let ask = |what: &str| gix::prompt::ask(&known.to_prompt(what), &options);
        let user = match known.username.clone() {
            Some(user) => user,
            None => ask("Username")?,
        };
        known.username = Some(user.clone());
        let password = gix::prompt::ask(&known.to_prompt("Password"), &options)?;
        let outcome = identity(known.clone(), user, password);
        helpers = Some((cascade, options));
        Ok(Some(outcome))
    }
}

fn identity(mut context: gix::credentials::protocol::Context, username: String, password: String) -> Outcome {
    context.url = None;
    context.username = Some(username.clone());
    context.password = Some(password.clone());
    Outcome {
        identity: gix::sec::identity::Account { username, password, oauth_refresh_token: None },
        next: context.into(),
    }
}

/// The header that carries the account of an http URL.
pub(super) fn basic_header(account: &Account) -> Option<String> {
    let password = account.password.as_ref()?;
    let token = base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", account.user));
    Some(format!("Authorization: Basic {token}"))
}
