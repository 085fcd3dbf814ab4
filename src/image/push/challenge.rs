//! How a registry wants to be authenticated to (`WWW-Authenticate`), and the token server it may refer to
//! (distribution's "Token Authentication Specification" and its `OAuth2` variant).

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::credential::CredentialKind;
use super::error::PushError;
use super::secret::Secret;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token of this server.
    Bearer(TokenServer),
    /// User and password.
    Basic,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenServer {
    realm: String,
    service: Option<String>,
}

/// The challenge to answer: a token is preferred to a password.
pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut best = None;
    for value in values {
        let (scheme, rest) = value.trim_start().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = parameter(rest, "realm")
        {
            return Some(Challenge::Bearer(TokenServer { realm, service: parameter(rest, "service") }));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            best = Some(Challenge::Basic);
        }
    }
    best
}

/// A parameter of a challenge: `name="value"` or `name=value`, with backslash escapes in quotes (RFC 9110, 11.2).
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = after.trim_start().strip_prefix('"') {
            unquote(quoted)?
        } else {
            let end = after.find(',').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        if name.trim_matches([' ', ',', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

impl TokenServer {
    /// The request for a token: a GET with the password, or a POST with the refresh token. `base` is the registry's
    /// address: where that is https, the login is not sent over plain http.
    pub(super) fn request(
        &self,
        http: &Client,
        base: &str,
        scope: &str,
        login: &CredentialKind,
    ) -> Result<RequestBuilder, PushError> {
        let url = Url::parse(&self.realm).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(mut url) = url else {
            return Err(PushError::permanent("the URL of its token server is not valid"));
        };
        if *login != CredentialKind::None && base.starts_with("https:") && url.scheme() == "http" {
            let what = format!("its token server `{}` asks for the login over plain http", self.realm);
            return Err(PushError::permanent(what));
        }
        let service = self.service.as_deref();
        if let CredentialKind::Identity(token) = login {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("client_id", "factory");
            form.append_pair("service", service.unwrap_or_default()).append_pair("scope", scope);
            form.append_pair("refresh_token", token.reveal());
            let post = http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            return Ok(post.body(form.finish()));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let get = http.get(url);
        Ok(match login {
            CredentialKind::Password { username, password } => get.basic_auth(username, Some(password.reveal())),
            _ => get,
        })
    }
}

/// The longest that a token is used, whatever its server says.
const LONGEST_LIFE: u64 = 24 * 60 * 60;

/// The token of a token server's answer, and its lifetime where that states one.
pub(super) fn token(answer: &[u8]) -> Result<(Secret, Option<Duration>), PushError> {
    #[derive(Deserialize)]
    struct TokenAnswer {
        token: Option<String>,
        access_token: Option<String>,
        #[serde(default)]
        expires_in: Value,
    }
    let answer = serde_json::from_slice::<TokenAnswer>(answer).ok();
    // What is negative, or no number, states nothing.
    let life = answer.as_ref().and_then(|answer| answer.expires_in.as_u64());
    let token =
        answer.and_then(|answer| [answer.token, answer.access_token].into_iter().flatten().find(|t| !t.is_empty()));
    match token {
        // It becomes a header's value.
        Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok((Secret::new(token), life.map(|seconds| Duration::from_secs(seconds.min(LONGEST_LIFE)))))
        }
        _ => Err(PushError::permanent("its token server answered without a token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        of(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer(TokenServer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_are_read_in_every_form() {
        let quay = r#"Bearer realm="https://quay.io/v2/auth",service="quay.io""#;
        assert_eq!(challenge(&[quay]), Some(bearer("https://quay.io/v2/auth", Some("quay.io"))));
        let spaced = r#"bearer scope="repository:a,b:pull" , service=s, realm="https://a/\"b\"""#;
        assert_eq!(challenge(&[spaced]), Some(bearer("https://a/\"b\"", Some("s"))));
        assert_eq!(challenge(&[r#"Basic realm="x""#, quay]), Some(bearer("https://quay.io/v2/auth", Some("quay.io"))));
        assert_eq!(challenge(&["Basic"]), Some(Challenge::Basic));
        assert_eq!(challenge(&["Bearer"]), None);
        assert_eq!(challenge(&[r#"Bearer realm="open"#]), None);
        assert_eq!(challenge(&["Negotiate"]), None);
        assert_eq!(challenge(&[]), None);
    }

    fn request(base: &str, realm: &str, login: &CredentialKind) -> Result<reqwest::Request, PushError> {
        let server = TokenServer { realm: realm.to_owned(), service: Some("a b".to_owned()) };
        let built = server.request(&Client::new(), base, "repository:x/y:pull,push", login);
        built.map(|request| request.build().unwrap())
    }

    #[test]
    fn a_password_goes_with_a_get_and_a_refresh_token_with_a_post() {
        let password = CredentialKind::Password { username: "u".to_owned(), password: Secret::new("p") };
        let get = request("https://r", "https://t/auth?x=1", &password).unwrap();
        assert_eq!(get.url().as_str(), "https://t/auth?x=1&service=a+b&scope=repository%3Ax%2Fy%3Apull%2Cpush");
        assert_eq!(get.headers()["authorization"], "Basic dTpw");
        let post = request("https://r", "https://t/auth", &CredentialKind::Identity(Secret::new("r&t"))).unwrap();
        assert_eq!((post.method().as_str(), post.url().as_str()), ("POST", "https://t/auth"));
        assert_eq!(
            post.body().unwrap().as_bytes().unwrap(),
            b"grant_type=refresh_token&client_id=factory&service=a+b&scope=repository%3Ax%2Fy%3Apull%2Cpush&refresh_token=r%26t"
        );
        let anonymous = request("https://r", "http://t/auth", &CredentialKind::None).unwrap();
        assert!(!anonymous.headers().contains_key("authorization"));
    }

    #[test]
    fn a_login_is_not_sent_in_the_clear_or_to_nowhere() {
        let password = CredentialKind::Password { username: "u".to_owned(), password: Secret::new("p") };
        let error = request("https://r", "http://t/auth", &password).unwrap_err();
        assert_eq!(error.what, "its token server `http://t/auth` asks for the login over plain http");
        assert!(request("http://r", "http://t/auth", &password).is_ok());
        for realm in ["file:///etc/passwd", "nowhere", ""] {
            assert_eq!(
                request("https://r", realm, &password).unwrap_err().what,
                "the URL of its token server is not valid"
            );
        }
    }

    #[test]
    fn a_token_is_read_from_every_kind_of_answer() {
        let read = |answer: &str| {
            token(answer.as_bytes()).map(|(token, life)| (token.reveal().to_owned(), life.map(|life| life.as_secs())))
        };
        for (answer, life) in [
            (r#"{"token":"t"}"#, None),
            (r#"{"access_token":"t"}"#, None),
            (r#"{"token":"","access_token":"t"}"#, None),
            (r#"{"token":null,"access_token":"t","expires_in":null,"issued_at":null}"#, None),
            (r#"{"token":"t","access_token":"u","expires_in":300}"#, Some(300)),
            (r#"{"token":"t","access_token":null,"expires_in":0}"#, Some(0)),
            (r#"{"token":"t","expires_in":-1}"#, None),
            (r#"{"token":"t","expires_in":"soon"}"#, None),
            (r#"{"token":"t","expires_in":18446744073709551615}"#, Some(86_400)),
            (r#"{"token":"t","expires_in":1e300}"#, None),
        ] {
            assert_eq!(read(answer).unwrap(), ("t".to_owned(), life), "{answer}");
        }
        for answer in
            ["", "{}", r#"{"token":null}"#, r#"{"token":""}"#, r#"{"token":"a\nb"}"#, r#"{"token":"é"}"#, "[]"]
        {
            assert_eq!(read(answer).unwrap_err().what, "its token server answered without a token", "{answer}");
        }
    }
}
