//! The registries as children know them: by their addresses alone, or through a forwarder that asks them.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use super::failure::refused_answer;
use super::{Address, NpmRegistry, cause_of, connected};
use crate::answer::{AnswerFailure, BoundedAnswer, duration};
use crate::error::{Error, Result};
use crate::npm::http_client::authorities_of_node;
use crate::npm::registry_login::{RegistryLogin, with_login};

/// The addresses of registries without slashes at their ends, as yarn wants them, and without logins: build scripts see
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAddresses {
    /// Of all packages whose scope has none of its own. Empty where none is known.
    pub base: String,
    /// By `@scope`.
    pub scopes: Vec<(String, String)>,
}

impl RegistryAddresses {
    /// All of them, that of all packages first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.base.as_str()).chain(self.scopes.iter().map(|(_, address)| address.as_str()))
    }
}

/// In one line.
impl fmt::Display for RegistryAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        self.scopes.iter().try_for_each(|(scope, address)| write!(f, " {scope} {address}"))
    }
}

/// How often a path may be percent-encoded.
const MOST_DECODED: usize = 4;

impl NpmRegistry {
    /// The addresses of the registries.
    pub fn addresses(&self) -> RegistryAddresses {
        let text = |address: &Address| address.url.as_str().trim_end_matches('/').to_owned();
        let scopes = self.scopes.iter().map(|(scope, address)| (scope.clone(), text(address)));
        RegistryAddresses { base: text(&self.base), scopes: scopes.collect() }
    }

    /// True where children cannot ask the registries themselves: a login is needed, or certificates that they do not know.
    /// A forwarder's address is another each time, which scripts of a backend's first export can see.
    pub fn needs_forwarder(&self) -> bool {
        let is_known = |pem: String| authorities_of_node().is_some_and(|known| known.contains(pem.trim()));
        self.numbered().any(|address| self.has_login(address))
            || !self.settings.checks_certificates()
            || self.settings.authorities().is_some_and(|pem| !is_known(pem))
    }

    fn numbered(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.base).chain(self.scopes.values())
    }

    /// The addresses of all registries, in the order of [`RegistryAddresses::iter`].
    pub(in crate::npm) fn upstreams(&self) -> Vec<&Url> {
        self.numbered().map(|address| &address.url).collect()
    }

    pub(in crate::npm) fn has_login(&self, registry: &Address) -> bool {
        registry.login.is_some() || self.settings.has_login_at(&registry.url)
    }

    /// What a child asks for: `path` below the address of a registry, or with `is_root` below its host, with the registry.
    pub(in crate::npm) fn below(&self, number: usize, is_root: bool, path: &str) -> Option<(Url, &Address)> {
        let registry = self.numbered().nth(number)?;
        let mut base = registry.url.clone();
        if is_root {
            base.set_path("/");
        }
        // Servers decode once more than they should, and some cut parameters (`;`) off each part.
        let mut decoded = path.to_owned();
        for _ in 0..MOST_DECODED {
            if decoded.contains(';') || decoded.split(['/', '\\']).any(|part| matches!(part, "." | "..")) {
                return None;
            }
            decoded = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        }
        if decoded.contains('%') {
            return None;
        }
        let url = Url::parse(&format!("{base}{path}")).ok()?;
        (url.origin() == base.origin() && url.path().starts_with(base.path())).then_some((url, registry))
    }

    /// Fetches what is at the host of a registry to `to`, whole or not at all; other addresses, and what the registry
    /// does not have, are left to the child that wants it.
    pub async fn tarball_at(&self, url: &Url, to: &Path) -> Result<()> {
        self.interrupt.unless(self.fetched_at(url, to)).await
    }

    async fn fetched_at(&self, url: &Url, to: &Path) -> Result<()> {
        let Some(registry) = self.numbered().find(|registry| registry.url.origin() == url.origin()) else {
            return Ok(());
        };
        let Ok(response) = self.pass_on(url.clone(), registry, "*/*", false).await else { return Ok(()) };
        let status = response.status();
        let mut shown = url.clone();
        RegistryLogin::taken_from(&mut shown);
        if matches!(status.as_u16(), 401 | 403) {
            let hint = self.login_hint(self.login(url, registry).is_some());
            return Err(Error::network(format!("`{shown}`: the npm registry answered {status}"), hint));
        }
        if !status.is_success() {
            return Ok(());
        }
        let server = response.url().clone();
        let mut answer = BoundedAnswer::new(response, self.limits.tarball);
        let part = to.with_extension("part");
        let mut file = std::fs::File::create(&part).map_err(Error::io("write", &part))?;
        let end = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => file.write_all(&chunk).map_err(Error::io("write", &part))?,
                Ok(None) => break None,
                Err(failure) => break Some(failure),
            }
        };
        let placed = if end.is_none() { std::fs::rename(&part, to) } else { std::fs::remove_file(&part) };
        placed.map_err(Error::io("write", to))?;
        match end {
            None | Some(AnswerFailure::Torn(_)) => Ok(()),
            Some(failure) => Err(refused_answer(&format!("`{shown}`"), &server, &failure)),
        }
    }

    /// One request of a child; the error is its cause alone.
    pub(in crate::npm) async fn pass_on(
        &self,
        url: Url,
        registry: &Address,
        accept: &str,
        is_head: bool,
    ) -> Result<reqwest::Response, String> {
        let login = self.login(&url, registry);
        let attempt = || {
            let request = if is_head { self.client.head(url.clone()) } else { self.client.get(url.clone()) };
            let request = request.header("accept", if accept.is_empty() { "*/*" } else { accept });
            with_login(request, login.as_ref()).send()
        };
        let within = self.limits.answer_within;
        let answered = tokio::time::timeout(within, connected(self.limits.connect_within, attempt)).await;
        answered.map_err(|_| format!("no answer within {}", duration(within)))?.map_err(|e| cause_of(&e))
    }
}
