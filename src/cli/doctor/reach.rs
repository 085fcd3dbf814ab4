//! What lies behind the network: the npm registry, repositories, the registry of images. Credentials are named by where
//! they come from; their values are not read.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Check;
use crate::cli::paths;
use crate::cli::session::Session;
use crate::cli::source_options::SourceArgs;
use crate::config::{Config, Env};
use crate::npm::registry::NpmRegistry;
use crate::resolve::refs::list_refs;
use crate::resolve::rhdh::{self, HostRequest};
use crate::store::git::{Network, RefScope, SourceUrl};
use crate::tools::provide::CLI_PACKAGE;
use crate::user_file;

const PATIENCE: Duration = Duration::from_secs(20);

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

/// Whether the RHDH host that arguments are computed against can be had.
pub(super) fn host(session: &Session<'_>, env: &Env, source: &SourceArgs, offline: bool) -> Check {
    let given = |name: &str| env.given(name).map(str::to_owned);
    let asked = HostRequest { file: None, version: given("RHDH_VERSION"), repository: given("RHDH_REPO") };
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
    if offline {
        return Check::doubtful(what, fix);
    }
    let network = Network { attempts: 1, timeout: PATIENCE, ..source.network(&session.ui) };
    let answers = || {
        let url = SourceUrl::parse(repository, Path::new("."))?;
        list_refs(&session.store()?, &url, RefScope::Usual, &network, session.interrupt.flag()).map(drop)
    };
    match tokio::task::block_in_place(answers) {
        Ok(()) => Check::good(format!("{what}, which answers")),
        Err(error) => Check::bad(format!("{what}: {error}"), fix),
    }
}

/// Whether each repository of the configuration answers.
pub(super) fn repositories(session: &Session<'_>, config: &Config, source: &SourceArgs) -> Vec<Check> {
    let store = match session.store() {
        Ok(store) => store,
        Err(error) => return vec![Check::of_error(&error)],
    };
    let mut urls: BTreeMap<String, SourceUrl> = BTreeMap::new();
    let mut checks = Vec::new();
    for workspace in config.workspaces.iter().filter(|workspace| workspace.source.local.is_none()) {
        let Some(repo) = &workspace.source.repo else { continue };
        match SourceUrl::parse(repo.with_credentials(), &workspace.config_dir) {
            Ok(url) => drop(urls.insert(repo.public(), url)),
            Err(error) => checks.push(Check::of_error(&error)),
        }
    }
    let urls: Vec<_> = urls.into_iter().collect();
    let network = Network { attempts: 1, timeout: PATIENCE, ..source.network(&session.ui) };
    let found = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..urls.len().min(8) {
                scope.spawn(|| {
                    while let Some((name, url)) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let check = match list_refs(&store, url, RefScope::Usual, &network, session.interrupt.flag()) {
                            Ok(_) => Check::good(format!("repository: {name} answers")),
                            Err(error) => Check::of_error(&error),
                        };
                        found.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), check));
                    }
                });
            }
        });
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    checks.extend(found.into_iter().map(|(_, check)| check));
    checks
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
