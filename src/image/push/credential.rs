//! How to log in to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::RequestBuilder;

use super::secret::{Redaction, Secret};

/// How to log in to a registry, and where that was found.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) kind: CredentialKind,
    /// For messages: a file, a helper, two variables.
    pub(super) source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CredentialKind {
    /// Nothing was found.
    None,
    Password {
        username: String,
        password: Secret,
    },
    /// A refresh token: exchanged for an access token at the token server.
    Identity(Secret),
    /// Sent as it is.
    Bearer(Secret),
}

/// What stands in the `Authorization` of a request.
#[derive(Clone)]
pub(super) enum Authorization {
    None,
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

impl Authorization {
    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
            Self::Bearer(token) => request.bearer_auth(token.reveal()),
        }
    }
}

impl CredentialKind {
    /// The password, for a registry that has no tokens.
    pub(super) fn basic(&self) -> Authorization {
        match self {
            Self::Password { username, password } => {
                Authorization::Basic { username: username.clone(), password: password.clone() }
            }
            _ => Authorization::None,
        }
    }

    /// What must not be shown of it.
    pub(super) fn redaction(&self) -> Redaction {
        let mut redaction = Redaction::default();
        match self {
            Self::None => {}
            Self::Password { username, password } => {
                redaction.add(password.reveal());
                redaction.add(&basic_auth(username, password));
            }
            Self::Identity(token) | Self::Bearer(token) => redaction.add(token.reveal()),
        }
        redaction
    }
}

/// `user:password` in base64, as it is sent and stored.
pub(super) fn basic_auth(username: &str, password: &Secret) -> String {
    BASE64.encode(format!("{username}:{}", password.reveal()))
}
