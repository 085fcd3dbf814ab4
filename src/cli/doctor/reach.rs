//! What lies behind the network: the npm registry, repositories, the registry of images. Credentials are named by where
//! they come from; their values are not read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Check, DoctorArgs};
use crate::cli::paths;
use crate::cli::resolve_step::host_lockfile;
use crate::cli::session::Session;
use crate::config::{Config, Env};
use crate::error::Error;
use crate::npm::registry::NpmRegistry;
use crate::resolve::host::HostLock;
use crate::resolve::refs::list_refs;
use crate::resolve::rhdh::{self, HostRequest};
use crate::store::git::{Network, RefScope, SourceUrl};
use crate::tools::provide::CLI_PACKAGE;
use crate::ui::count;
use crate::user_file;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the npm registry has rhdh-cli.
pub(super) async fn npm(session: &Session<'_>) -> Check {
    let registry = match NpmRegistry::of_machine(&paths::config_dir(session.global), &session.interrupt) {
        Ok(registry) => registry,
        Err(error) => return Check::of_error(&error),
    };
    match tokio::time::timeout(PATIENCE, registry.packument(CLI_PACKAGE)).await {
        Ok(Ok(found)) => {
            let latest = found.dist_tags.get("latest").map_or("", String::as_str);
            Check::good(format!("npm registry: has {CLI_PACKAGE} {latest}"))
        }
        Ok(Err(error)) => Check::of_error(&error),
        Err(_) => Check::bad(
            format!("npm registry: no answer in {} seconds", PATIENCE.as_secs()),
            "check the network, the proxy variables and `NPM_CONFIG_REGISTRY`",
        ),
    }
}

/// Whether the RHDH host that arguments are computed against can be had, as far as a resolve would ask for it.
pub(super) fn host(session: &Session<'_>, env: &Env, config: Option<&Config>, args: &DoctorArgs) -> Check {
    let given = |name: &str| env.given(name).map(str::to_owned);
    let (version, repository) = (given("RHDH_VERSION"), given("RHDH_REPO"));
    let given = args.host_lockfile.as_deref();
    let file = config.map_or_else(|| given.map(Path::to_path_buf), |config| host_lockfile(given, config));
    let asked = HostRequest { file, version, repository };
    if let Some(file) = &asked.file {
        let read = user_file::read(file, user_file::DOCUMENT).map_err(Error::io("read", file));
        return match read.and_then(|bytes| HostLock::parse(&bytes, file, "the host lockfile")) {
            Ok(lock) => {
                let packages = count(lock.versions.len(), "package");
                Check::good(format!("RHDH host: {} is its yarn.lock, with {packages}", file.display()))
            }
            Err(error) => Check::of_error(&error),
        };
    }
    let requested = asked.version.as_deref().unwrap_or(rhdh::LATEST);
    let facts = match asked.built_in() {
        Ok(facts) => facts,
        Err(error) => return Check::of_error(&error),
    };
    if let Some(facts) = facts {
        let version = facts.version.as_deref().unwrap_or(requested);
        let commit = &facts.commit[..facts.commit.len().min(12)];
        return Check::good(format!("RHDH host: {version} is built in (commit {commit})"));
    }
    let repository = asked.repository.as_deref().unwrap_or(rhdh::REPOSITORY);
    let what = format!("RHDH host: {requested} is not built in, and is looked up in {repository}");
    let fix = rhdh::alternatives();
    let is_needed = config.is_none_or(|config| config.workspaces.iter().any(|workspace| workspace.list.is_none()));
    if args.offline || !is_needed {
        let when = if is_needed { "" } else { ", when arguments are computed: all plugins are listed now" };
        return Check::doubtful(format!("{what}{when}"), fix);
    }
    let network = Network { attempts: 1, timeout: PATIENCE, ..args.source.network(&session.ui) };
    let find = || {
        let url = SourceUrl::parse(repository, Path::new("."))?;
        let refs = list_refs(&session.store()?, &url, RefScope::Usual, &network, session.interrupt.flag())?;
        rhdh::commit_of(&refs, &url, requested)
    };
    match tokio::task::block_in_place(find) {
        Ok(found) => Check::good(format!("{what}, which has it at {}", &found[..found.len().min(12)])),
        Err(error) => Check::bad(format!("{what}: {error}"), fix),
    }
}

/// Logins that no push looks at.
pub(super) fn unused_logins(env: &Env) -> Vec<Check> {
    let from = |name: &str| env.origin(name).map(|origin| format!(" from {origin}")).unwrap_or_default();
    let given = |name: &&str| env.given(name).is_some();
    let pair: Vec<&str> = ["REGISTRY_USERNAME", "REGISTRY_PASSWORD"].into_iter().filter(given).collect();
    let unused = |name: &str, why: &str, fix: &str| {
        Check::doubtful(format!("image registry: {name}{} is never used: {why}", from(name)), fix)
    };
    let file = "REGISTRY_AUTH_FILE";
    if env.given("REGISTRY_URL").is_none() {
        let all = pair.into_iter().chain([file].into_iter().filter(|name| given(name)));
        let why = "REGISTRY_URL is not set";
        return all.map(|name| unused(name, why, "set REGISTRY_URL, or remove the login")).collect();
    }
    if env.given(file).is_none() {
        return Vec::new();
    }
    let why = format!("REGISTRY_AUTH_FILE{} wins", from(file));
    pair.into_iter().map(|name| unused(name, &why, "remove one of the two")).collect()
}

/// Where images would be pushed to, with which credentials, and whether it answers.
pub(super) async fn images(env: &Env, offline: bool) -> Vec<Check> {
    let (url, namespace) = (env.given("REGISTRY_URL"), env.given("REGISTRY_NAMESPACE"));
    let fix = "set it in the environment or in .env, if images are to be pushed";
    let url = match (url, namespace) {
        (None, None) => {
            return vec![Check::doubtful("image registry: REGISTRY_URL and REGISTRY_NAMESPACE are not set", fix)];
        }
        (None, Some(_)) => return vec![Check::bad("image registry: REGISTRY_URL is not set", fix)],
        (Some(_), None) => return vec![Check::bad("image registry: REGISTRY_NAMESPACE is not set", fix)],
        (Some(url), Some(_)) => url,
    };
    let mut checks = vec![credentials(env)];
    if url.starts_with(['"', '\'']) {
        let fix = "remove the quotes: `podman --env-file` keeps them, a `.env` file in the configuration does not";
        checks.push(Check::bad("image registry: REGISTRY_URL has quotes around it", fix));
    } else if !offline {
        checks.push(answers(url, env.is_true("REGISTRY_INSECURE")).await);
    }
    checks
}

/// The source of the credentials, in the order in which a push looks for them.
fn credentials(env: &Env) -> Check {
    let from = |name: &str| env.origin(name).map(|origin| format!(" from {origin}")).unwrap_or_default();
    if let Some(file) = env.given("REGISTRY_AUTH_FILE") {
        let origin = from("REGISTRY_AUTH_FILE");
        let of = format!("the file of REGISTRY_AUTH_FILE{origin}");
        return match user_file::open(Path::new(file)) {
            Ok(_) => Check::good(format!("image registry: credentials in {of}")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Check::bad(format!("image registry: {of} does not exist"), "mount it, or correct the path")
            }
            Err(error) => Check::bad(format!("image registry: {of} cannot be read: {error}"), "correct the path"),
        };
    }
    match (env.given("REGISTRY_USERNAME"), env.given("REGISTRY_PASSWORD")) {
        (Some(_), Some(_)) => Check::good(format!(
            "image registry: credentials are REGISTRY_USERNAME and REGISTRY_PASSWORD{}",
            from("REGISTRY_PASSWORD")
        )),
        (Some(_), None) => Check::doubtful(
            "image registry: REGISTRY_USERNAME without REGISTRY_PASSWORD, so neither is used",
            "set both, or neither",
        ),
        (None, Some(_)) => Check::doubtful(
            "image registry: REGISTRY_PASSWORD without REGISTRY_USERNAME, so neither is used",
            "set both, or neither",
        ),
        (None, None) => match logins().into_iter().find(|path| path.is_file()) {
            Some(file) => Check::doubtful(
                format!("image registry: the login of this machine in {}", file.display()),
                "set REGISTRY_AUTH_FILE, or REGISTRY_USERNAME and REGISTRY_PASSWORD, where builds must not depend on it",
            ),
            None => Check::doubtful(
                "image registry: no credentials; pushes work only where none are required",
                "set REGISTRY_AUTH_FILE, or REGISTRY_USERNAME and REGISTRY_PASSWORD, or log in with podman or docker",
            ),
        },
    }
}

/// Where podman and docker keep logins.
fn logins() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = folder("HOME");
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    [
        folder("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
        in_home(".config/containers/auth.json"),
        folder("DOCKER_CONFIG").map(|dir| dir.join("config.json")),
        in_home(".docker/config.json"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Asks a registry for its version, as clients do first; "log in" is an answer too.
async fn answers(host: &str, insecure: bool) -> Check {
    let host = host.trim_end_matches('/').rsplit("://").next().unwrap_or(host);
    let host = host.rsplit('@').next().unwrap_or(host);
    let scheme = if insecure { "http" } else { "https" };
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let asked = match client {
        Ok(client) => client.get(format!("{scheme}://{host}/v2/")).send().await,
        Err(error) => Err(error),
    };
    let fix = "check REGISTRY_URL, the network and the proxy variables; `REGISTRY_INSECURE=true` is for plain http";
    match asked.map(|answer| answer.status().as_u16()) {
        Ok(200 | 401 | 403) => Check::good(format!("image registry: {host} answers")),
        Ok(status) => {
            Check::bad(format!("image registry: {host} answers {status}, which is not the answer of a registry"), fix)
        }
        Err(error) => {
            let why = if error.is_timeout() { "does not answer" } else { "cannot be reached" };
            Check::bad(format!("image registry: {host} {why}"), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::CheckStatus;

    #[test]
    fn logins_that_no_push_looks_at_are_named() {
        let said = |pairs: &[(&str, &str)]| -> Vec<String> {
            unused_logins(&env(pairs)).into_iter().map(|check| check.what).collect()
        };
        let (user, password) = (("REGISTRY_USERNAME", "me"), ("REGISTRY_PASSWORD", "s3cret"));
        let (url, file) = (("REGISTRY_URL", "quay.io"), ("REGISTRY_AUTH_FILE", "auth.json"));
        assert_eq!(said(&[url, user, password]), [""; 0]);
        assert_eq!(said(&[url, file]), [""; 0]);
        let wins = "from environment is never used: REGISTRY_AUTH_FILE from environment wins";
        let both = ["REGISTRY_USERNAME", "REGISTRY_PASSWORD"].map(|name| format!("image registry: {name} {wins}"));
        assert_eq!(said(&[url, user, password, file]), both);
        let unset = "is never used: REGISTRY_URL is not set";
        assert_eq!(
            said(&[password, file]),
            ["REGISTRY_PASSWORD", "REGISTRY_AUTH_FILE"]
                .map(|name| format!("image registry: {name} from environment {unset}"))
        );
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[tokio::test]
    async fn what_is_missing_for_a_push_is_named_and_no_value_is_shown() {
        let checks = images(&env(&[("REGISTRY_URL", "quay.io")]), true).await;
        assert_eq!(checks[0].what, "image registry: REGISTRY_NAMESPACE is not set");
        let checks = images(&env(&[("REGISTRY_NAMESPACE", "a")]), true).await;
        assert_eq!(checks[0].what, "image registry: REGISTRY_URL is not set");
        let all = [
            ("REGISTRY_URL", "quay.io"),
            ("REGISTRY_NAMESPACE", "a"),
            ("REGISTRY_USERNAME", "someone"),
            ("REGISTRY_PASSWORD", "s3cret"),
        ];
        let checks = images(&env(&all), true).await;
        assert_eq!(checks[0].verdict, CheckStatus::Good);
        assert_eq!(
            checks[0].what,
            "image registry: credentials are REGISTRY_USERNAME and REGISTRY_PASSWORD from environment"
        );
        assert!(!format!("{checks:?}").contains("s3cret"));
        let checks = images(&env(&all[..3]), true).await;
        assert_eq!(checks[0].what, "image registry: REGISTRY_USERNAME without REGISTRY_PASSWORD, so neither is used");
        assert_eq!(checks[0].verdict, CheckStatus::Doubtful);
        let quoted = [("REGISTRY_URL", "\"quay.io\""), ("REGISTRY_NAMESPACE", "a"), all[2], all[3]];
        let checks = images(&env(&quoted), false).await;
        assert_eq!(checks[1].what, "image registry: REGISTRY_URL has quotes around it");
    }
}
