//! Which registry, which namespace, which login.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::secret::Secret;
use crate::image::name::{ImageName, Tag, is_repository_segment};
use crate::lock::Sha256;
use crate::{Error, Result};

/// The variables a registry is described by, as in the original.
const URL: &str = "REGISTRY_URL";
const NAMESPACE: &str = "REGISTRY_NAMESPACE";
const USERNAME: &str = "REGISTRY_USERNAME";
const PASSWORD: &str = "REGISTRY_PASSWORD";
const AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
const INSECURE: &str = "REGISTRY_INSECURE";

/// Where a workspace's images are pushed to.
#[derive(Clone, Debug)]
pub struct OciRegistry {
    host: String,
    /// The repository above the image's name: the path of the URL, if it has one, and the namespace.
    namespace: String,
    insecure: bool,
    login: Login,
    /// The host that `REGISTRY_USERNAME` and `REGISTRY_PASSWORD` are for, where it is another one.
    login_of: Option<String>,
    /// All variables of the workspace: where helpers, certificates and programs are looked up.
    variables: Variables,
}

/// Which credentials are used: the original's three strategies, the first that applies.
#[derive(Clone, Debug)]
pub enum Login {
    /// `REGISTRY_AUTH_FILE`: an `auth.json` or a docker `config.json`. Only read.
    AuthFile(PathBuf),
    /// `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// What `podman login`, `buildah login` or `docker login` have left on this machine.
    Machine,
}

/// Environment variables. Their values are never shown.
#[derive(Clone)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

impl OciRegistry {
    /// Reads `REGISTRY_URL`, `REGISTRY_NAMESPACE` (both needed), `REGISTRY_INSECURE` and the login from the variables
    /// of a workspace: its `.env` over the process's environment. Also looked at: `HOME`, `XDG_RUNTIME_DIR`,
    /// `XDG_CONFIG_HOME`, `DOCKER_CONFIG`, `SSL_CERT_FILE`, proxies, and `PATH` for helpers and fallback programs.
    /// An empty variable counts as unset. No network access.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self> {
        let variables = Variables(variables.clone());
        let get = |name: &str| variables.get(name).map(unquoted).filter(|value| !value.is_empty());
        // A password may well begin and end with a quote; only where all values are quoted are those not its own.
        let quoted = variables.get(URL).is_some_and(|url| url.trim().starts_with(['"', '\'']));
        let raw = |name: &str| variables.get(name).map(|value| if quoted { unquoted(value) } else { value });
        let url = get(URL).ok_or_else(|| missing(URL, "quay.io"))?;
        let namespace = get(NAMESPACE).ok_or_else(|| missing(NAMESPACE, "my-organisation"))?;
        let insecure = match get(INSECURE).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off") => false,
            Some("true" | "1" | "yes" | "on") => true,
            Some(_) => {
                return Err(Error::usage(format!("`{INSECURE}` is neither `true` nor `false`"), "set one of the two"));
            }
        };
        let (host, namespace) = address(url, namespace, insecure)?;
        if let Some(path) =
            url.split("://").last().and_then(|url| url.split_once('/')).map(|(_, path)| path.trim_matches('/'))
            && !path.is_empty()
            && (path == get(NAMESPACE).unwrap_or_default().trim_matches('/'))
        {
            return Err(Error::usage(
                format!("`{URL}` and `{NAMESPACE}` both name `{path}`: images would go to `{host}/{path}/{path}`"),
                format!("give the host alone in `{URL}`"),
            ));
        }
        let login = match (get(AUTH_FILE), get(USERNAME), raw(PASSWORD)) {
            (Some(file), ..) => Login::AuthFile(PathBuf::from(file)),
            (None, Some(username), Some(password)) => {
                Login::Password { username: username.to_owned(), password: Secret::new(password) }
            }
            (None, ..) => Login::Machine,
        };
        Ok(Self { host, namespace, insecure, login, login_of: None, variables })
    }

    /// The registry of an image that something names, with the login and settings of the variables. `namespace` is the
    /// repository above the image's name, empty where there is none.
    pub fn named(variables: &BTreeMap<String, String>, host: &str, namespace: &str) -> Result<Self> {
        let mut variables = variables.clone();
        let known = if namespace.is_empty() { "none" } else { namespace };
        variables.insert(URL.to_owned(), host.to_owned());
        variables.insert(NAMESPACE.to_owned(), known.to_owned());
        Ok(Self { namespace: namespace.to_owned(), ..Self::from_variables(&variables)? })
    }

    /// Says that a login was left out of the variables, since it is for the registry of this host.
    #[must_use]
    pub fn without_login_of(self, host: Option<String>) -> Self {
        Self { login_of: host, ..self }
    }

    /// What gives the login that is missing at `address`, and was looked for in `source`.
    pub(super) fn missing_login(&self, address: &str, source: &str) -> String {
        let host = &self.host;
        match self.other_login() {
            Some(other) => format!(
                "{other}: if they are for `{host}`, set `{URL}` to it, else give a login for `{host}` in `{AUTH_FILE}`"
            ),
            None => format!(
                "there is no login for `{address}` in {source}: set `{USERNAME}` and `{PASSWORD}`, or `{AUTH_FILE}`"
            ),
        }
    }

    /// The login that is there and not used, and for which host it is.
    pub(super) fn other_login(&self) -> Option<String> {
        let host = self.login_of.as_ref().filter(|_| matches!(self.login, Login::Machine))?;
        Some(format!("`{USERNAME}` and `{PASSWORD}` are for `{host}` (`{URL}`)"))
    }

    /// The host, with its port if one was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Which credentials are used.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// True for `REGISTRY_INSECURE`: certificates are not checked, and plain HTTP is allowed.
    pub fn insecure(&self) -> bool {
        self.insecure
    }

    /// The warning when no credentials are configured, or only a part of them, as in the original.
    pub fn warning(&self) -> Option<String> {
        let is_set = |name: &str| self.variables.get(name).is_some();
        let why = match (is_set(USERNAME), is_set(PASSWORD)) {
            (true, false) => format!("`{USERNAME}` is set and `{PASSWORD}` is not, so neither is used"),
            (false, true) => format!("`{PASSWORD}` is set and `{USERNAME}` is not, so neither is used"),
            _ => self.other_login().unwrap_or_else(|| format!("no `{USERNAME}` and `{PASSWORD}`, no `{AUTH_FILE}`")),
        };
        matches!(self.login, Login::Machine)
            .then(|| format!("{why}: pushing to `{}` with this machine's own login, if it has one", self.host))
    }

    /// `<namespace>/<name>`: the repository of an image.
    pub fn repository(&self, name: &ImageName) -> String {
        if self.namespace.is_empty() { name.to_string() } else { format!("{}/{name}", self.namespace) }
    }

    /// `<host>/<namespace>/<name>:<tag>`.
    pub fn reference(&self, name: &ImageName, tag: &Tag) -> String {
        format!("{}/{}:{tag}", self.host, self.repository(name))
    }

    /// `<host>/<namespace>/<name>@sha256:…`.
    pub fn pinned(&self, name: &ImageName, digest: Sha256) -> String {
        format!("{}/{}@{digest}", self.host, self.repository(name))
    }

    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }
}

/// The host and the repository above an image's name.
fn address(url: &str, namespace: &str, insecure: bool) -> Result<(String, String)> {
    let bad = |name: &str, value: &str, hint: &str| {
        // A password may stand where none belongs.
        let value = if value.contains('@') { "…" } else { value };
        Error::usage(format!("`{name}` is `{}`, which is not valid", value.escape_debug()), hint)
    };
    let rest = match url.split_once("://") {
        None => url,
        Some(("https", rest)) => rest,
        Some(("http", rest)) if insecure => rest,
        Some(("http", _)) => {
            return Err(bad(URL, url, &format!("a registry without TLS needs `{INSECURE}=true`")));
        }
        Some(_) => return Err(bad(URL, url, "give the host alone, such as `quay.io` or `localhost:5000`")),
    };
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_host(host) {
        return Err(bad(URL, url, "give the host alone, such as `quay.io` or `localhost:5000`"));
    }
    let segments = path.split('/').filter(|_| !path.is_empty()).chain(namespace.trim_matches('/').split('/'));
    let repository: Vec<&str> = segments.collect();
    if let Some(bad_segment) = repository.iter().find(|segment| !is_repository_segment(segment)) {
        let in_url = !path.is_empty() && path.split('/').any(|segment| segment == *bad_segment);
        let name = if in_url { URL } else { NAMESPACE };
        let value = if name == URL { url } else { namespace };
        return Err(bad(
            name,
            value,
            "a repository is lower-case letters and digits with single `.`, `_`, `__` or dashes between them",
        ));
    }
    Ok((host.to_owned(), repository.join("/")))
}

/// A name or address, with or without a port.
pub(in crate::image) fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let good_name = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                })
        }
    };
    good_name && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// `podman run --env-file` keeps the quotes of `REGISTRY_URL="quay.io"`.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let inner = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn missing(name: &str, example: &str) -> Error {
    Error::usage(
        format!("`{name}` is not set, and images cannot be pushed without it"),
        format!("set it in the environment or in `.env`, e.g. `{name}={example}`, or build without `--push-images`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(variables: &[(&str, &str)]) -> Result<OciRegistry> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        OciRegistry::from_variables(&owned.collect())
    }

    fn at(url: &str, namespace: &str, insecure: &str) -> Result<String> {
        let registry = registry(&[(URL, url), (NAMESPACE, namespace), (INSECURE, insecure)])?;
        Ok(registry.reference(&ImageName::of_package("@x/todo").unwrap(), &Tag::of_version("", "1.0.0+1").unwrap()))
    }

    #[test]
    fn images_are_called_as_in_the_original() {
        assert_eq!(at("quay.io", "me", "").unwrap(), "quay.io/me/x-todo:1.0.0_1");
        assert_eq!(at("https://quay.io/", "/me/", "false").unwrap(), "quay.io/me/x-todo:1.0.0_1");
        assert_eq!(at("http://localhost:5000", "a/b", "TRUE").unwrap(), "localhost:5000/a/b/x-todo:1.0.0_1");
        assert_eq!(at("registry.example.com/team", "a", "0").unwrap(), "registry.example.com/team/a/x-todo:1.0.0_1");
        assert_eq!(at("[::1]:5000", "a", "").unwrap(), "[::1]:5000/a/x-todo:1.0.0_1");
        assert_eq!(at("[::1]", "a", "").unwrap(), "[::1]/a/x-todo:1.0.0_1");
        assert_eq!(at("my_registry-1", "a", "").unwrap(), "my_registry-1/a/x-todo:1.0.0_1");
        assert_eq!(at("\"quay.io\"", "'me'", "\"false\"").unwrap(), "quay.io/me/x-todo:1.0.0_1");
        let registry = registry(&[(URL, "quay.io"), (NAMESPACE, "me")]).unwrap();
        let name = ImageName::of_package("a").unwrap();
        assert_eq!(registry.pinned(&name, Sha256::of("")), format!("quay.io/me/a@{}", Sha256::of("")));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_a_next_step() {
        for (variables, message) in [
            (vec![(NAMESPACE, "me")], "`REGISTRY_URL` is not set, and images cannot be pushed without it"),
            (
                vec![(URL, "quay.io"), (NAMESPACE, "")],
                "`REGISTRY_NAMESPACE` is not set, and images cannot be pushed without it",
            ),
            (vec![(URL, "http://a"), (NAMESPACE, "me")], "`REGISTRY_URL` is `http://a`, which is not valid"),
            (vec![(URL, "ftp://a"), (NAMESPACE, "me")], "`REGISTRY_URL` is `ftp://a`, which is not valid"),
            (vec![(URL, "u:hunter2@quay.io"), (NAMESPACE, "me")], "`REGISTRY_URL` is `…`, which is not valid"),
            (vec![(URL, "quay.io:0"), (NAMESPACE, "me")], "`REGISTRY_URL` is `quay.io:0`, which is not valid"),
            (vec![(URL, "quay..io"), (NAMESPACE, "me")], "`REGISTRY_URL` is `quay..io`, which is not valid"),
            (vec![(URL, "quay!.io"), (NAMESPACE, "me")], "`REGISTRY_URL` is `quay!.io`, which is not valid"),
            (vec![(URL, ":5000"), (NAMESPACE, "me")], "`REGISTRY_URL` is `:5000`, which is not valid"),
            (vec![(URL, "a:b:1"), (NAMESPACE, "me")], "`REGISTRY_URL` is `a:b:1`, which is not valid"),
            (vec![(URL, "[a]:1"), (NAMESPACE, "me")], "`REGISTRY_URL` is `[a]:1`, which is not valid"),
            (vec![(URL, "quay.io/.."), (NAMESPACE, "me")], "`REGISTRY_URL` is `quay.io/..`, which is not valid"),
            (vec![(URL, "quay.io"), (NAMESPACE, "Me")], "`REGISTRY_NAMESPACE` is `Me`, which is not valid"),
            (vec![(URL, "quay.io"), (NAMESPACE, "a//b")], "`REGISTRY_NAMESPACE` is `a//b`, which is not valid"),
            (
                vec![(URL, "quay.io"), (NAMESPACE, "me"), (INSECURE, "maybe")],
                "`REGISTRY_INSECURE` is neither `true` nor `false`",
            ),
        ] {
            let error = registry(&variables).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.exit_code(), 2);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn the_auth_file_wins_over_the_password_and_the_machine_is_last() {
        let base = [(URL, "quay.io"), (NAMESPACE, "me")];
        let both = [&base[..], &[(USERNAME, "u"), (PASSWORD, "hunter2"), (AUTH_FILE, "/auth.json")]].concat();
        let with_file = registry(&both).unwrap();
        assert!(matches!(with_file.login(), Login::AuthFile(file) if file == &PathBuf::from("/auth.json")));
        assert_eq!(with_file.warning(), None);
        let password = registry(&[&base[..], &[(USERNAME, "u"), (PASSWORD, "hunter2")]].concat()).unwrap();
        assert!(matches!(password.login(), Login::Password { username, .. } if username == "u"));
        assert_eq!(
            registry(&base).unwrap().warning().unwrap(),
            "no `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`, no `REGISTRY_AUTH_FILE`: pushing to `quay.io` with this machine's own login, if it has one"
        );
        for (half, why) in [
            ((USERNAME, "u"), "`REGISTRY_USERNAME` is set and `REGISTRY_PASSWORD` is not, so neither is used"),
            ((PASSWORD, "hunter2"), "`REGISTRY_PASSWORD` is set and `REGISTRY_USERNAME` is not, so neither is used"),
        ] {
            let half = registry(&[&base[..], &[half]].concat()).unwrap();
            assert!(matches!(half.login(), Login::Machine));
            let expected = format!("{why}: pushing to `quay.io` with this machine's own login, if it has one");
            assert_eq!(half.warning().unwrap(), expected);
        }
        let other = registry(&base).unwrap().without_login_of(Some("registry.example.com".into()));
        assert_eq!(
            other.warning().unwrap(),
            "`REGISTRY_USERNAME` and `REGISTRY_PASSWORD` are for `registry.example.com` (`REGISTRY_URL`): pushing to `quay.io` with this machine's own login, if it has one"
        );
        assert_eq!(
            other.missing_login("quay.io/me/a", "this machine's login"),
            "`REGISTRY_USERNAME` and `REGISTRY_PASSWORD` are for `registry.example.com` (`REGISTRY_URL`): if they are for `quay.io`, set `REGISTRY_URL` to it, else give a login for `quay.io` in `REGISTRY_AUTH_FILE`"
        );
        let quoted = [(URL, "'quay.io'"), (NAMESPACE, "me"), (USERNAME, "u"), (PASSWORD, "'hunter2'")];
        assert!(
            matches!(registry(&quoted).unwrap().login(), Login::Password { password, .. } if password.reveal() == "hunter2")
        );
        let own = [&base[..], &[(USERNAME, "u"), (PASSWORD, "'hunter2'")]].concat();
        assert!(
            matches!(registry(&own).unwrap().login(), Login::Password { password, .. } if password.reveal() == "'hunter2'")
        );
        for registry in [with_file, password] {
            assert!(!format!("{registry:?} {registry:#?}").contains("hunter2"));
        }
    }
}
