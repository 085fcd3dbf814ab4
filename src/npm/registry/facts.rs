//! What the registry says of many packages: licences, install scripts, and when they were published.

use std::collections::{BTreeMap, BTreeSet};

use backon::Retryable as _;
use tokio::task::JoinSet;

use super::NpmRegistry;
use super::failure::{RequestFailure, backoff};
use crate::answer::BoundedAnswer;
use crate::error::{Error, Result};
use crate::npm::package_facts::PackageFacts;

/// Packages that are asked for at once.
const AT_ONCE: usize = 24;

/// By package: what the registry says of it, or why that is not known.
pub type AnsweredFacts = BTreeMap<String, Result<PackageFacts, String>>;

impl NpmRegistry {
    /// Asks once for each package. One that the registry does not have, or that it does not give, is an answer as well;
    /// it is an error if there is no other answer.
    pub async fn package_facts(&self, wanted: &BTreeMap<String, BTreeSet<String>>) -> Result<AnsweredFacts> {
        let (mut answers, mut running, mut failed) = (AnsweredFacts::new(), JoinSet::new(), BTreeMap::new());
        let mut todo = wanted.iter();
        let mut is_answered = false;
        loop {
            while running.len() < AT_ONCE
                && let Some((name, versions)) = todo.next()
            {
                let (registry, name, versions) = (self.clone(), name.clone(), versions.clone());
                running.spawn(async move {
                    let answer = registry.facts_of(&name, &versions).await;
                    (name, answer)
                });
            }
            let Some(joined) = running.join_next().await else { break };
            let Ok((name, answer)) = joined else { continue };
            let said = match answer {
                Ok(Some(facts)) => Ok(facts),
                Ok(None) => Err("the npm registry does not have it".to_owned()),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    answers.insert(name.clone(), Err(error.to_string()));
                    failed.insert(name, error);
                    continue;
                }
            };
            is_answered = true;
            answers.insert(name, said);
        }
        // Always the same one, whichever came first.
        match failed.pop_first() {
            Some((_, error)) if !is_answered => Err(error),
            _ => Ok(answers),
        }
    }

    async fn facts_of(&self, name: &str, versions: &BTreeSet<String>) -> Result<Option<PackageFacts>> {
        let (url, what) = (self.package_url(name)?, format!("npm package `{name}`"));
        let attempt = || async {
            let response = self.get(url.clone(), name, &what, "application/json").await?;
            let server = response.url().clone();
            let read = self.documents.read(BoundedAnswer::new(response, self.limits.document)).await;
            let document = read.map_err(|failure| RequestFailure::of_answer(&what, &server, &failure))?;
            PackageFacts::of_document(&document.bytes, versions).map_err(|error| {
                let said = format!("{what}: cannot parse the npm registry's response: {error}");
                let hint = "check which registry npm is configured to use (`npm config get registry`)";
                RequestFailure::last(Error::network(said, hint))
            })
        };
        let attempts = attempt.retry(backoff()).when(|failure: &RequestFailure| failure.again);
        match self.interrupt.unless(async { Ok(attempts.await) }).await? {
            Err(failure) if failure.missing => Ok(None),
            answer => answer.map(Some).map_err(|failure| self.given_up(failure).error),
        }
    }
}
