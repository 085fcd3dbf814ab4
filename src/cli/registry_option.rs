//! A registry and a namespace, as options name them.

use std::collections::BTreeMap;

use super::{GlobalArgs, paths};
use crate::config::env::{Env, FILE_NAME};
use crate::error::{Error, Result};

/// The value of `--registry`, or a part of another option's.
pub struct RegistryOption<'a> {
    host: &'a str,
    namespace: &'a str,
}

impl<'a> RegistryOption<'a> {
    /// An error if there is no namespace in it.
    pub fn parse(text: &'a str) -> Result<Self> {
        Self::of(text).ok_or_else(|| {
            // A login in it is shown to nobody.
            let shown = if text.contains('@') { "…" } else { text };
            Error::usage(
                format!("`--registry` is `{}`, which has no namespace", shown.escape_debug()),
                "give both, such as `--registry quay.io/my-organisation`",
            )
        })
    }

    /// `host/namespace`, with or without a scheme.
    pub fn of(text: &'a str) -> Option<Self> {
        let start = text.find("://").map_or(0, |scheme| scheme + 3);
        let (host, namespace) = text[start..].split_once('/')?;
        let namespace = namespace.trim_matches('/');
        (!namespace.is_empty()).then_some(Self { host: &text[..start + host.len()], namespace })
    }

    /// Of an image that something names.
    pub fn at(host: &'a str, namespace: &'a str) -> Self {
        Self { host, namespace }
    }

    /// True where the variables are about the registry of another host.
    pub fn is_other(&self, variables: &BTreeMap<String, String>) -> bool {
        let is_other = |url: &String| !url.is_empty() && host(url) != host(self.host);
        variables.get("REGISTRY_URL").is_some_and(is_other)
    }

    /// Puts it in place of what the variables say. Their user and password are for their own host, which is returned where
    /// they are left out for that.
    pub fn replace(&self, variables: &mut BTreeMap<String, String>) -> Option<String> {
        let mut left_out = None;
        if self.is_other(variables) {
            let login =
                ["REGISTRY_USERNAME", "REGISTRY_PASSWORD"].map(|name| variables.remove(name).unwrap_or_default());
            let has_login = login.iter().all(|value| !value.is_empty());
            left_out = variables.get("REGISTRY_URL").filter(|_| has_login).map(|url| host(url).to_owned());
        }
        variables.insert("REGISTRY_URL".to_owned(), self.host.to_owned());
        variables.insert("REGISTRY_NAMESPACE".to_owned(), self.namespace.to_owned());
        left_out
    }
}

/// The variables of the environment, and of the configuration's own `.env`.
pub fn variables(global: &GlobalArgs) -> Result<BTreeMap<String, String>> {
    let (env, _) = Env::of_process().with_file(&paths::config_dir(global).join(FILE_NAME))?;
    Ok(env.iter().map(|(name, value)| (name.to_owned(), value.text.clone())).collect())
}

/// The host of a URL as `REGISTRY_URL` may be written.
fn host(url: &str) -> &str {
    url.trim_matches(['"', '\'']).split("://").last().unwrap_or_default().split('/').next().unwrap_or_default()
}
