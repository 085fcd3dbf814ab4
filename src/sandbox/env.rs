//! The environment of children: an allow-list. Build scripts are third-party code and never see a credential.
//!
//! The original hands its whole environment, registry password included, to every script of 2,000 packages.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::proxy_login;

/// Variables that are passed on from factory's own environment: the network's settings, without which no download
/// behind a company's proxy or CA works. Everything else is dropped.
const PASSED: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Which of them may carry a login, which no child sees.
const PROXIES: &[&str] = &["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];

/// Which of the passed variables name a file or folder that must be visible inside the build root.
pub const CA_PATHS: &[&str] = &["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The variables of a child, complete: nothing else is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildEnv(BTreeMap<String, OsString>);

impl ChildEnv {
    /// What every child has, whatever machine, user, locale or time zone factory runs in.
    ///
    /// `epoch` is the locked commit's committer time in seconds: `SOURCE_DATE_EPOCH` (reproducible-builds.org).
    pub fn base(epoch: u64) -> Self {
        let mut env = Self::default();
        for name in PASSED {
            if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
                match (PROXIES.contains(name), value.to_str()) {
                    (true, Some(proxy)) => env.set(name, proxy_login::without_login(proxy)),
                    (true, None) => &mut env,
                    (false, _) => env.set(name, value),
                };
            }
        }
        for (name, value) in [
            ("TZ", "UTC"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("CI", "true"),
            ("NO_COLOR", "1"),
            ("FORCE_COLOR", "0"),
        ] {
            env.set(name, value);
        }
        env.set("SOURCE_DATE_EPOCH", epoch.to_string());
        env
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A copy with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.set(name, value);
        self
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.0.remove(name);
        self
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }

    /// The variables that say what is built, and not how the network is reached from here.
    pub fn of_build(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.iter().filter(|(name, _)| !PASSED.contains(&name.as_str()))
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_settings_come_from_outside() {
        let env = ChildEnv::base(7);
        let own = ["CI", "FORCE_COLOR", "LANG", "LC_ALL", "NO_COLOR", "SOURCE_DATE_EPOCH", "TZ"];
        for (name, _) in env.iter() {
            assert!(own.contains(&name.as_str()) || PASSED.contains(&name.as_str()), "`{name}` leaks into builds");
        }
        assert_eq!(env.get("SOURCE_DATE_EPOCH").unwrap(), "7");
    }
}
