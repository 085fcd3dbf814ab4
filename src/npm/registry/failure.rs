//! Requests that failed: why, and whether another attempt may help.

use std::time::{Duration, Instant};

use backon::ExponentialBuilder;
use url::Url;

use crate::answer::{AnswerFailure, duration};
use crate::error::Error;
use crate::tls::Distrust;

/// A request that failed.
pub(super) struct RequestFailure {
    pub(super) error: Error,
    pub(super) again: bool,
    pub(super) missing: bool,
    /// The origin of the registry to which there was no connection, and why, if that is what failed.
    pub(super) no_connection: Option<(String, String)>,
}

impl RequestFailure {
    pub(super) fn last(error: Error) -> Self {
        Self { error, again: false, missing: false, no_connection: None }
    }

    /// The body of an answer of `server` was not what may come.
    pub(super) fn of_answer(what: &str, server: &Url, failure: &AnswerFailure) -> Self {
        if let AnswerFailure::Torn(e) = failure {
            return torn(what, e, true);
        }
        Self::last(refused_answer(what, server, failure))
    }
}

/// What `server` answered is larger than it may be, or comes too slowly.
pub(super) fn refused_answer(what: &str, server: &Url, failure: &AnswerFailure) -> Error {
    let hint = match failure {
        AnswerFailure::TooLarge(_) => "check which registry npm is configured to use (`npm config get registry`)",
        _ => "check the network and the proxy (`HTTPS_PROXY`), or use another registry (`NPM_CONFIG_REGISTRY`)",
    };
    Error::network(format!("{what}: the npm registry at `{}` {failure}", server.origin().ascii_serialization()), hint)
}

/// The end of an error's chain: the cause, without the URL (it may carry credentials).
pub(super) fn cause_of(e: &reqwest::Error) -> String {
    if is_silence(e) {
        return "nothing answers at that address".to_owned();
    }
    let mut cause: &dyn std::error::Error = e;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// True where packets are swallowed.
fn is_silence(e: &reqwest::Error) -> bool {
    e.is_connect() && e.is_timeout()
}

/// What `attempt` comes to. An address that swallows its connections is tried again until `within` has passed since the
/// first attempt.
pub(super) async fn connected<T, F>(within: Duration, mut attempt: impl FnMut() -> F) -> Result<T, reqwest::Error>
where
    F: Future<Output = Result<T, reqwest::Error>>,
{
    let start = Instant::now();
    loop {
        match attempt().await {
            Err(e) if is_silence(&e) && start.elapsed() < within => {}
            end => return end,
        }
    }
}

/// An error of the connection. An address that swallows packets and has never answered is wrong or behind a firewall:
/// another attempt would take as long.
pub(super) fn torn(what: &str, e: &reqwest::Error, has_answered: bool) -> RequestFailure {
    let cause = cause_of(e);
    let again = distrust(&cause).is_none() && (has_answered || !is_silence(e));
    RequestFailure { again, ..RequestFailure::last(cannot_be_reached(what, &cause)) }
}

/// The server took the request and answers nothing.
pub(super) fn no_answer(what: &str, within: Duration) -> RequestFailure {
    let cause = format!("no answer within {}", duration(within));
    RequestFailure { again: true, ..RequestFailure::last(cannot_be_reached(what, &cause)) }
}

fn distrust(cause: &str) -> Option<Distrust> {
    cause.contains("certificate").then(|| Distrust::of(cause))
}

pub(super) fn cannot_be_reached(what: &str, cause: &str) -> Error {
    let hint = match distrust(cause) {
        Some(why) => why.hint("the npm registry"),
        None => {
            "check the network, the proxy (`HTTPS_PROXY`) and the CA (`SSL_CERT_FILE`), then run the same command again"
                .to_owned()
        }
    };
    Error::network(format!("{what}: the npm registry cannot be reached: {cause}"), hint)
}

/// The pauses between attempts.
pub(super) fn backoff() -> ExponentialBuilder {
    let first = Duration::from_millis(if cfg!(test) { 1 } else { 500 });
    ExponentialBuilder::default().with_min_delay(first).with_max_times(4).with_jitter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_registry_that_swallows_connections_is_tried_as_long_as_it_may_take() {
        let attempts = async |within| {
            let mut count = 0;
            let end = connected(within, || {
                count += 1;
                let answers = count == 3;
                async move { if answers { Ok(()) } else { Err(crate::tls::unanswered().await.unwrap()) } }
            });
            (end.await.is_ok(), count)
        };
        assert_eq!(attempts(Duration::from_secs(3600)).await, (true, 3));
        assert_eq!(attempts(Duration::ZERO).await, (false, 1));
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_asked_again_only_where_it_has_answered() {
        let silence = crate::tls::unanswered().await.unwrap();
        assert!(torn("it", &silence, true).again);
        let failure = torn("it", &silence, false);
        assert!(!failure.again);
        assert_eq!(
            failure.error.to_string(),
            "it: the npm registry cannot be reached: nothing answers at that address"
        );
    }
}
