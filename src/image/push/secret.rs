//! Text that must not be shown.

use std::fmt;

/// A password or token. Neither `Debug` nor `Display` shows anything of it, not even its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What must be taken out of any text before it is shown: the secrets of a push, in every form they are sent in.
#[derive(Clone, Default)]
pub(super) struct Redaction(Vec<Secret>);

impl Redaction {
    /// Hides `secret` from now on. Very short ones are left alone: taking them out would garble any message.
    pub(super) fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() >= 4 {
            self.0.push(Secret::new(secret));
        }
    }

    /// `text` with `***` in place of every secret.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.reveal()) {
                text = text.replace(secret.reveal(), "***");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "*** *** Some(\n    ***,\n)");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn secrets_are_taken_out_of_messages() {
        let mut redaction = Redaction::default();
        redaction.add("hunter2");
        redaction.add("a");
        assert_eq!(redaction.apply("bad password hunter2 for a: hunter2"), "bad password *** for a: ***");
    }
}
