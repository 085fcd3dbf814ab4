//! How children are told of npm's registries: npm by variables, yarn by variables of its own, scopes by files that name
//! variables.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::npm::forwarder::RegistryForwarder;
use crate::npm::registry::RegistryAddresses;
use crate::sandbox::env::ChildEnv;

/// Hosts that yarn 2 and later may ask without TLS.
const PLAIN_HTTP: &str = "YARN_UNSAFE_HTTP_WHITELIST";

/// npm's settings, and nothing of the user's but the registries.
pub fn npm_settings(env: &mut ChildEnv, cache: &Path, registries: &RegistryAddresses) {
    set_registries(env, registries);
    env.set("npm_config_cache", cache)
        .set("npm_config_update_notifier", "false")
        .set("npm_config_audit", "false")
        .set("npm_config_fund", "false")
        .set("npm_config_progress", "false")
        // A lock made here must not name the registry it was made with.
        .set("npm_config_omit_lockfile_registry_resolved", "true");
}

/// Tells npm, and yarn where it is told already, the addresses of the registries.
fn set_registries(env: &mut ChildEnv, registries: &RegistryAddresses) {
    if !registries.base.is_empty() {
        env.set("npm_config_registry", &registries.base);
    }
    for ((_, address), number) in registries.scopes.iter().zip(1..) {
        env.set(&variable(number), address);
    }
}

/// Tells yarn of the registries too. `allowed` are the hosts that the workspace allows without TLS: yarn knows only the
/// ones of its variable where it has one.
pub fn yarn_settings(env: &mut ChildEnv, registries: &RegistryAddresses, allowed: &[String]) {
    if !registries.base.is_empty() {
        env.set("YARN_NPM_REGISTRY_SERVER", &registries.base).set("YARN_REGISTRY", &registries.base);
    }
    let hosts: BTreeSet<String> = registries.iter().filter_map(plain_http_host).collect();
    if !hosts.is_empty() {
        let all: BTreeSet<&str> = allowed.iter().chain(&hosts).map(String::as_str).collect();
        env.set(PLAIN_HTTP, all.into_iter().collect::<Vec<_>>().join(","));
    }
}

/// The host of an address without TLS, as yarn's patterns are written.
fn plain_http_host(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok().filter(|url| url.scheme() == "http")?;
    Some(url.host_str()?.replace('[', "\\[").replace(']', "\\]"))
}

/// The same environment, with the registries asked through a forwarder.
pub fn forwarded(env: &ChildEnv, forwarder: &RegistryForwarder, allowed: &[String]) -> ChildEnv {
    let mut env = env.clone();
    let addresses = forwarder.addresses();
    set_registries(&mut env, &addresses);
    let known = env.get(PLAIN_HTTP).and_then(|hosts| hosts.to_str()).unwrap_or_default().to_owned();
    let allowed: Vec<String> =
        allowed.iter().cloned().chain(known.split(',').filter(|host| !host.is_empty()).map(str::to_owned)).collect();
    yarn_settings(&mut env, &addresses, &allowed);
    // Not through the proxy: that is the forwarder's to ask.
    for name in ["NO_PROXY", "no_proxy"] {
        let known = env.get(name).and_then(|hosts| hosts.to_str()).filter(|hosts| !hosts.is_empty());
        let all = known.map_or_else(|| "127.0.0.1".to_owned(), |hosts| format!("{hosts},127.0.0.1"));
        env.set(name, all);
    }
    env
}

/// The variable that has the address of a scope's registry.
fn variable(number: usize) -> String {
    format!("NPM_REGISTRY_{number}")
}

/// The lines of an `.npmrc` that say the registries of scopes: npm and yarn 1 read it.
pub fn npmrc(registries: &RegistryAddresses) -> String {
    let mut text = String::new();
    for ((scope, _), number) in registries.scopes.iter().zip(1..) {
        let _ = writeln!(text, "{scope}:registry=${{{}}}", variable(number));
    }
    text
}

/// The same of a `.yarnrc.yml`, for yarn 2 and later.
pub fn yarnrc(registries: &RegistryAddresses) -> String {
    let mut text = String::new();
    for ((scope, _), number) in registries.scopes.iter().zip(1..) {
        if text.is_empty() {
            text.push_str("npmScopes:\n");
        }
        let name = serde_json::Value::from(scope.trim_start_matches('@'));
        let _ = write!(text, "  {name}:\n    npmRegistryServer: \"${{{}}}\"\n", variable(number));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registries(base: &str) -> RegistryAddresses {
        RegistryAddresses { base: base.to_owned(), scopes: vec![("@s".to_owned(), "http://[::1]:8/s".to_owned())] }
    }

    #[test]
    fn scopes_are_named_by_variables() {
        let registries = registries("https://r.example");
        assert_eq!(npmrc(&registries), "@s:registry=${NPM_REGISTRY_1}\n");
        assert_eq!(yarnrc(&registries), "npmScopes:\n  \"s\":\n    npmRegistryServer: \"${NPM_REGISTRY_1}\"\n");
        assert_eq!(npmrc(&RegistryAddresses::default()) + &yarnrc(&RegistryAddresses::default()), "");
        let mut env = ChildEnv::default();
        npm_settings(&mut env, Path::new("/npm"), &registries);
        assert_eq!(env.get("NPM_REGISTRY_1").unwrap(), "http://[::1]:8/s");
    }

    #[test]
    fn yarn_may_ask_the_hosts_of_registries_without_tls() {
        let allowed = |base: &str, of_sources: &[&str]| {
            let mut env = ChildEnv::default();
            let of_sources: Vec<String> = of_sources.iter().map(|&host| host.to_owned()).collect();
            let registries = RegistryAddresses { base: base.to_owned(), scopes: vec![] };
            yarn_settings(&mut env, &registries, &of_sources);
            env.get(PLAIN_HTTP).map(|hosts| hosts.to_str().unwrap().to_owned())
        };
        assert_eq!(allowed("https://r.example", &["x"]), None);
        assert_eq!(allowed("", &[]), None);
        assert_eq!(allowed("http://r.example:4873/npm", &[]).unwrap(), "r.example");
        assert_eq!(allowed("http://r.example", &["*.lan", "r.example"]).unwrap(), "*.lan,r.example");
        assert_eq!(allowed("http://[::1]:4873", &[]).unwrap(), "\\[::1\\]");
    }
}
