//! A source's own settings of yarn 2 and later, as far as they say whom yarn asks for packages, and how.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use yaml_serde::Value;

/// Settings of requests and logins. `npmRegistryServer` is none: a variable that builds get comes before it.
const OF_REQUESTS: [&str; 10] = [
    "enableNetwork",
    "enableStrictSsl",
    "httpProxy",
    "httpsCaFilePath",
    "httpsProxy",
    "networkSettings",
    "npmAlwaysAuth",
    "npmAuthIdent",
    "npmAuthToken",
    "npmRegistries",
];

/// What sources say about the registries of packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct YarnSettings {
    /// Requests to all registries are another matter than those of npm's configuration.
    own_requests: bool,
    /// Scopes that have a registry, or a login, of their own; without `@`.
    scopes: BTreeSet<String>,
}

impl YarnSettings {
    /// Those of some `.yarnrc.yml` files; None for one that cannot be read.
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> Self {
        let mut settings = Self::default();
        for text in texts {
            match text.map(|text| Value::deserialize(yaml_serde::Deserializer::from_str(text))) {
                Some(Ok(Value::Mapping(map))) => {
                    settings.own_requests |= OF_REQUESTS.iter().any(|name| map.contains_key(*name));
                    match map.get("npmScopes") {
                        None | Some(Value::Null) => {}
                        Some(Value::Mapping(scopes)) => {
                            settings.scopes.extend(scopes.keys().filter_map(Value::as_str).map(str::to_owned));
                        }
                        Some(_) => settings.own_requests = true,
                    }
                }
                Some(Ok(Value::Null)) => {}
                _ => settings.own_requests = true,
            }
        }
        settings
    }

    /// Whether the sources leave it to npm's configuration where the package `name` comes from.
    pub fn leaves_registry_of(&self, name: &str) -> bool {
        let scope = name.strip_prefix('@').and_then(|rest| rest.split_once('/')).map(|(scope, _)| scope);
        !self.own_requests && scope.is_none_or(|scope| !self.scopes.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_yarns_where_a_source_says_whom_it_asks() {
        let leaves = |texts: &[Option<&str>]| {
            let settings = YarnSettings::of_texts(texts.iter().copied());
            ["a", "@s/a", "@t/a"].map(|name| settings.leaves_registry_of(name))
        };
        assert_eq!(leaves(&[]), [true; 3]);
        let usual = "# yarn\nnodeLinker: node-modules\nnpmRegistryServer: https://r.example\n";
        assert_eq!(leaves(&[Some(usual), Some("# none\n"), Some("npmScopes:\n")]), [true; 3]);
        let scopes = "npmScopes:\n  s:\n    npmRegistryServer: https://s.example\n";
        assert_eq!(leaves(&[Some(usual), Some(scopes)]), [true, false, true]);
        let registries = "npmRegistries:\n  //r.example:\n    npmAuthToken: ${TOKEN}\n";
        for own in ["httpProxy: http://p.example\n", registries, "npmScopes: [s]\n", "[a\n", "a\n"] {
            assert_eq!(leaves(&[Some(usual), Some(own)]), [false; 3], "{own}");
        }
        assert_eq!(leaves(&[Some(usual), None]), [false; 3]);
    }
}
