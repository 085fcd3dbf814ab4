//! Where an answer leads: `Location` is a URI reference, resolved against the address that answered (RFC 9110, 10.2.2).

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::error::PushError;

/// The hint for addresses that would send an upload in the clear.
const FORWARDED: &str = "the registry does not know that it is reached over https: have the proxy before it send \
                         `X-Forwarded-Proto: https` (and `Host`), or set the registry's own external URL";

/// Where the bytes of an upload go that was begun.
pub(super) fn of_upload(response: &Response) -> Result<Url, PushError> {
    match resolve(response.url(), response.headers())? {
        Some(url) => not_in_the_clear(response.url(), url),
        None => Err(PushError::permanent("the registry began an upload and gave no `Location` for it")),
    }
}

/// The next address of a request that is answered by a redirect; none for other answers, and for redirects that would
/// make another request of it.
pub(super) fn of_redirect(response: &Response, method: &Method) -> Result<Option<Url>, PushError> {
    if !repeats(response.status(), method) {
        return Ok(None);
    }
    let Some(next) = resolve(response.url(), response.headers())? else { return Ok(None) };
    if method.is_safe() { Ok(Some(next)) } else { not_in_the_clear(response.url(), next).map(Some) }
}

/// 301, 302 and 303 make a GET of anything else.
fn repeats(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        307 | 308 => true,
        301..=303 => method.is_safe(),
        _ => false,
    }
}

fn resolve(from: &Url, headers: &HeaderMap) -> Result<Option<Url>, PushError> {
    let Some(location) = headers.get(LOCATION).filter(|location| !location.is_empty()) else { return Ok(None) };
    let next = location.to_str().ok().and_then(|location| from.join(location).ok());
    // What stands in it may be a secret: a signature, for instance.
    let next = next.filter(|next| matches!(next.scheme(), "http" | "https") && next.has_host());
    let next = next.ok_or_else(|| PushError::permanent("the registry answered with a `Location` that is not a URL"))?;
    Ok(Some(next))
}

fn not_in_the_clear(from: &Url, to: Url) -> Result<Url, PushError> {
    if from.scheme() != "https" || to.scheme() == "https" {
        return Ok(to);
    }
    let origin = to.origin().ascii_serialization();
    Err(PushError::permanent(format!("the registry wants the upload sent to `{origin}`, without TLS")).hint(FORWARDED))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn resolved(location: &str) -> Result<Option<String>, String> {
        let from = Url::parse("https://r.example:5000/v2/a/b/blobs/uploads/?x=1").unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap())]);
        resolve(&from, &headers).map(|url| url.map(String::from)).map_err(|error| error.what)
    }

    #[test]
    fn a_location_is_resolved_against_the_address_that_answered() {
        for (location, url) in [
            ("/v2/a/b/blobs/uploads/u?_state=a%2Bb", "https://r.example:5000/v2/a/b/blobs/uploads/u?_state=a%2Bb"),
            ("https://other.example/u", "https://other.example/u"),
            ("http://r.example:5000/u", "http://r.example:5000/u"),
            ("//other.example/u", "https://other.example/u"),
            ("u?_state=a", "https://r.example:5000/v2/a/b/blobs/uploads/u?_state=a"),
            ("./u", "https://r.example:5000/v2/a/b/blobs/uploads/u"),
            ("../u", "https://r.example:5000/v2/a/b/blobs/u"),
            ("?y=2", "https://r.example:5000/v2/a/b/blobs/uploads/?y=2"),
        ] {
            assert_eq!(resolved(location), Ok(Some(url.to_owned())), "{location}");
        }
        assert_eq!(resolved(""), Ok(None));
        assert_eq!(resolve(&Url::parse("https://r/").unwrap(), &HeaderMap::new()).unwrap(), None);
        for location in ["file:///etc/passwd", "https://", "data:x", "http://[", "é"] {
            let error = Err("the registry answered with a `Location` that is not a URL".to_owned());
            assert_eq!(resolved(location), error, "{location}");
        }
    }

    #[test]
    fn an_upload_never_goes_from_tls_into_the_clear() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (from, to) in [("https://r/", "https://s/"), ("http://r/", "http://s/"), ("http://r/", "https://s/")] {
            assert_eq!(not_in_the_clear(&url(from), url(to)).unwrap(), url(to));
        }
        let error = not_in_the_clear(&url("https://r/"), url("http://r/u?signature=hunter2")).unwrap_err();
        assert_eq!(error.what, "the registry wants the upload sent to `http://r`, without TLS");
        assert_eq!(error.hint.as_deref(), Some(FORWARDED));
    }

    #[test]
    fn only_what_stays_the_same_request_is_sent_again() {
        let statuses = |method: Method| -> Vec<u16> {
            (200..600).filter(|code| repeats(StatusCode::from_u16(*code).unwrap(), &method)).collect()
        };
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(statuses(method), [301, 302, 303, 307, 308]);
        }
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(statuses(method), [307, 308]);
        }
    }
}
