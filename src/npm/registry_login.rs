//! What npm says to a registry about who asks.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::Url;

/// Reads what Node.js reads: padding or none.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The value of an `Authorization` header. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryLogin(HeaderValue);

impl RegistryLogin {
    fn new(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// `_authToken`
    pub(super) fn bearer(token: &str) -> Option<Self> {
        Self::new(&format!("Bearer {token}"))
    }

    /// `_auth`, sent as it is.
    pub(super) fn basic(auth: &str) -> Option<Self> {
        Self::new(&format!("Basic {auth}"))
    }

    /// `username`, and `_password` in base64.
    pub(super) fn of_password(name: &str, password: &str) -> Option<Self> {
        let digits = password.chars().filter_map(|c| match c {
            '-' => Some('+'),
            '_' => Some('/'),
            _ => (c.is_ascii_alphanumeric() || "+/".contains(c)).then_some(c),
        });
        let mut digits: String = digits.collect();
        // One digit alone is no byte.
        digits.truncate(digits.len() - usize::from(digits.len() % 4 == 1));
        let password = LENIENT.decode(digits).ok()?;
        Self::of_pair(name, &String::from_utf8_lossy(&password))
    }

    fn of_pair(name: &str, password: &str) -> Option<Self> {
        Self::basic(&LENIENT.encode(format!("{name}:{password}")))
    }

    /// Takes the login out of an address.
    pub(super) fn taken_from(url: &mut Url) -> Option<Self> {
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = Self::of_pair(&decoded(url.username()), &decoded(url.password().unwrap_or_default()));
        // An http address can have both.
        let _ = (url.set_username(""), url.set_password(None));
        login
    }

    /// The header's value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The request with a login, where there is one.
pub(super) fn with_login(request: RequestBuilder, login: Option<&RegistryLogin>) -> RequestBuilder {
    match login {
        Some(login) => request.header(AUTHORIZATION, login.header()),
        None => request,
    }
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryLogin")
    }
}
