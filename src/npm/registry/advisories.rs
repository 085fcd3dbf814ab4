//! Advisories about many packages at once, as `npm audit` asks for them.

use std::collections::{BTreeMap, BTreeSet};

use backon::Retryable as _;

use super::failure::{RequestFailure, backoff, cannot_be_reached, cause_of, connected, no_answer};
use super::{Address, NpmRegistry};
use crate::answer::BoundedAnswer;
use crate::error::{Error, Result};
use crate::npm::registry_login::with_login;

/// The path of the question, from the registry's address.
const PATH: &str = "-/npm/v1/security/advisories/bulk";
/// The packages of one question.
const AT_ONCE: usize = 1000;
const WHAT: &str = "the question for advisories";
const OTHERWISE: &str = "name a file, a folder or a zip of OSV records with `--osv PATH`";

/// Versions by package.
type AskedPackages<'a> = BTreeMap<&'a str, &'a BTreeSet<String>>;

impl NpmRegistry {
    /// The registries' answers to the question which advisories are about these versions of packages.
    pub async fn advisories(&self, packages: &BTreeMap<String, BTreeSet<String>>) -> Result<Vec<Vec<u8>>> {
        let mut by_registry: BTreeMap<&str, (&Address, AskedPackages<'_>)> = BTreeMap::new();
        for (name, versions) in packages {
            let registry = self.of(name);
            let asked = by_registry.entry(registry.url.as_str()).or_insert_with(|| (registry, AskedPackages::new()));
            asked.1.insert(name, versions);
        }
        let mut answers = Vec::new();
        for (registry, asked) in by_registry.into_values() {
            let asked: Vec<(&str, &BTreeSet<String>)> = asked.into_iter().collect();
            for part in asked.chunks(AT_ONCE) {
                let part: AskedPackages<'_> = part.iter().copied().collect();
                let attempt = || self.ask(registry, &part);
                let attempts = attempt.retry(backoff()).when(|failure: &RequestFailure| failure.again);
                let answer = async { attempts.await.map_err(|failure| failure.error) };
                answers.push(self.interrupt.unless(answer).await?);
            }
        }
        Ok(answers)
    }

    async fn ask(&self, registry: &Address, asked: &AskedPackages<'_>) -> Result<Vec<u8>, RequestFailure> {
        let url = registry.url.join(PATH).map_err(|e| RequestFailure::last(Error::usage(e.to_string(), "")))?;
        let login = self.login(&url, registry);
        let attempt = || {
            let request = self.client.post(url.clone()).header("accept", "application/json").json(asked);
            with_login(request, login.as_ref()).send()
        };
        let within = self.limits.answer_within;
        let answered = tokio::time::timeout(within, connected(self.limits.connect_within, attempt)).await;
        let response = answered
            .map_err(|_| no_answer(WHAT, within))?
            .map_err(|e| RequestFailure::last(cannot_be_reached(WHAT, &cause_of(&e))))?;
        let status = response.status();
        if !status.is_success() {
            let again = matches!(status.as_u16(), 429 | 502 | 503 | 504);
            let error = Error::network(format!("{WHAT}: the npm registry answered {status}"), OTHERWISE);
            return Err(RequestFailure { again, ..RequestFailure::last(error) });
        }
        let server = response.url().clone();
        let read = BoundedAnswer::new(response, self.limits.document).whole().await;
        read.map_err(|failure| RequestFailure::of_answer(WHAT, &server, &failure))
    }

    /// What is said of an answer that is none.
    pub fn no_advisories(what: &str) -> Error {
        Error::network(format!("{WHAT}: cannot parse the npm registry's response: {what}"), OTHERWISE)
    }
}
