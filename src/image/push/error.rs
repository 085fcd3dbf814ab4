//! Errors of requests to a registry, and which of them are worth another attempt.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::tls;

/// A request that failed.
#[derive(Clone, Debug)]
pub(super) struct PushError {
    /// The end of a sentence: `the registry answered 503`. Not yet redacted.
    pub(super) what: String,
    /// A hint in place of the usual one.
    pub(super) hint: Option<String>,
    /// The HTTP status.
    pub(super) status: Option<u16>,
    /// Another attempt may succeed.
    pub(super) retryable: bool,
    /// There was no connection.
    pub(super) is_unreachable: bool,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
}

pub(super) const OTHER_PUSHER: &str = "push with another program: `--image-pusher skopeo`";
/// What a status or a registry's own words say of the cause.
const TOO_LARGE: &str = "the registry, or a proxy before it, limits the size of uploads: raise that limit (nginx: \
                         `client_max_body_size`)";
const QUOTA: &str = "the registry says that a quota is used up: free space there, or have it raised";
const UNREACHABLE: &str = "check `REGISTRY_URL`, the network and the proxy variables; a registry without TLS needs \
                           `REGISTRY_INSECURE=true`";
const PLAIN: &str = "check `REGISTRY_URL`; a registry without TLS needs `REGISTRY_INSECURE=true`";

const GARBLED: [&str; 7] = [
    "DIGEST_INVALID",
    "SIZE_INVALID",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "BLOB_UNKNOWN",
    "MANIFEST_BLOB_UNKNOWN",
    "TOOMANYREQUESTS",
];

impl PushError {
    /// An error that another attempt does not change.
    pub(super) fn permanent(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, status: None, retryable: false, is_unreachable: false, retry_after: None }
    }

    /// An error that may be gone at the next attempt.
    pub(super) fn transient(what: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::permanent(what) }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A response with an error status; `message` is its body.
    pub(super) fn status(code: u16, message: &str) -> Self {
        let reason = StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let said = said(message);
        let colon = if said.is_empty() { "" } else { ": " };
        // A body that was cut short on its way is answered by 400, an upload that got lost by 404, and blobs that only
        // another server of the registry has yet by either.
        let garbled = matches!(code, 400 | 404 | 416) && GARBLED.iter().any(|known| message.contains(known));
        let what = format!("the registry answered {}{colon}{said}", format!("{code} {reason}").trim());
        let retryable = garbled || matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504);
        let hint = match code {
            413 => Some(TOO_LARGE),
            400.. if code != 429 && message.to_ascii_lowercase().contains("quota") => Some(QUOTA),
            _ => None,
        };
        Self { status: Some(code), hint: hint.map(str::to_owned), retryable, ..Self::permanent(what) }
    }

    /// Something else than a registry answered: `/v2/` is an address that each registry has.
    pub(super) fn no_registry(base: &Url) -> Self {
        Self {
            status: Some(404),
            ..Self::permanent(format!("there is no registry: `{base}v2/` answered 404 Not Found"))
        }
        .hint("check `REGISTRY_URL`: it has to be the host of the registry itself, with its port")
    }

    /// What was just stored is not there, as some registries say until all their servers know.
    pub(super) fn not_yet() -> Self {
        Self::status(404, "").or_not_yet()
    }

    /// The same, for an answer about what was just stored.
    pub(super) fn or_not_yet(self) -> Self {
        Self { retryable: self.retryable || self.status == Some(404), ..self }
    }

    /// With the `Retry-After` of the headers (RFC 9110: seconds or a date).
    pub(super) fn wait(self, headers: &HeaderMap) -> Self {
        Self { retry_after: retry_after(headers).or(self.retry_after), ..self }
    }

    /// The same where no push says what would help: with the variable that it may need.
    pub(super) fn said_alone(&self) -> String {
        match self.hint.as_deref() {
            Some(PLAIN) => format!("{}, and `REGISTRY_INSECURE=true` is not set for it", self.what),
            _ => self.what.clone(),
        }
    }

    /// True where the status may mean "not found" as well as "denied": registries hide what a login may not see.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }
}

/// The `Retry-After` header.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // The zone of an HTTP date is GMT, which RFC 2822 knows.
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(Duration::try_from(date - OffsetDateTime::now_utc()).unwrap_or_default())
}

impl From<reqwest::Error> for PushError {
    fn from(error: reqwest::Error) -> Self {
        if let Some(status) = error.status() {
            return Self::status(status.as_u16(), "");
        }
        let error = error.without_url();
        let causes = causes(&error);
        let innermost = causes.last().cloned().unwrap_or_default();
        if causes.iter().any(|cause| cause.contains("certificate")) {
            let why = tls::Distrust::of(&innermost);
            return Self::permanent(format!("its certificate is not trusted: {innermost}")).hint(certificate(why));
        }
        if error.is_builder() {
            return Self::permanent(innermost);
        }
        // rustls: the first byte was no TLS record's.
        if causes.iter().any(|cause| cause.contains("InvalidContentType")) {
            return Self::permanent("it does not speak TLS".to_owned()).hint(PLAIN);
        }
        if error.is_connect() && error.is_timeout() {
            let silent = Self::permanent("no connection: nothing answers at that address");
            return Self { is_unreachable: true, ..silent }.hint(UNREACHABLE);
        }
        let what = if error.is_connect() { "no connection" } else { "the connection was lost" };
        let broken = Self::transient(format!("{what}: {innermost}"));
        if error.is_connect() { Self { is_unreachable: true, ..broken }.hint(UNREACHABLE) } else { broken }
    }
}

fn certificate(why: tls::Distrust) -> String {
    format!("{}; for a test registry set `REGISTRY_INSECURE=true`", why.hint("the registry"))
}

/// The registry's message, on one line: `DENIED: requested access to the resource is denied`.
/// HTML pages are left out.
pub(super) fn said(body: &str) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        code: String,
        #[serde(default)]
        message: String,
    }
    let text = match serde_json::from_str::<Errors>(body) {
        Ok(Errors { errors }) => {
            let each = errors.into_iter().map(|Named { code, message }| match message.as_str() {
                "" => code,
                message => format!("{code}: {message}"),
            });
            each.collect::<Vec<_>>().join("; ")
        }
        Err(_) if body.trim_start().starts_with('<') => String::new(),
        Err(_) => body.to_owned(),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    line.trim().to_owned()
}

/// The causes of an error, outermost first.
fn causes(error: &dyn StdError) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_the_rest_is_not() {
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(PushError::status(code, "").retryable, "{code}");
        }
        for code in [200, 301, 400, 401, 403, 404, 405, 409, 413, 416, 501, 507] {
            assert!(!PushError::status(code, "").retryable, "{code}");
        }
        assert!(PushError::status(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#).retryable);
        assert!(PushError::status(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#).retryable);
    }

    #[test]
    fn answers_are_told_on_one_line() {
        let denied = r#"{"errors":[{"code":"DENIED","message":"requested access\nis denied"},{"code":"X"}]}"#;
        assert_eq!(
            PushError::status(403, denied).what,
            "the registry answered 403 Forbidden: DENIED: requested access is denied; X"
        );
        assert_eq!(PushError::status(502, "<html>").what, "the registry answered 502 Bad Gateway");
        assert_eq!(PushError::status(599, &"x".repeat(900)).what.len(), "the registry answered 599: ".len() + 300);
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_not_asked_again() {
        let error = PushError::from(crate::tls::unanswered().await.unwrap());
        assert_eq!(
            (error.what.as_str(), error.retryable, error.is_unreachable),
            ("no connection: nothing answers at that address", false, true)
        );
        assert_eq!(error.hint.as_deref(), Some(UNREACHABLE));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let header = |text: &'static str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        assert_eq!(retry_after(&header("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&header("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        assert!(retry_after(&header("Wed, 21 Oct 2116 07:28:00 GMT")).unwrap() > Duration::from_secs(1_000_000));
        assert_eq!(retry_after(&header("soon")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
