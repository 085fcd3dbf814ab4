//! How to log in to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

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

impl CredentialKind {
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
