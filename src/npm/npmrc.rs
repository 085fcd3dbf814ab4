//! How npm is configured on this machine: its variables, the user's `.npmrc`, else npm itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use url::Url;

use crate::error::{Error, Result};

/// npm reads its variables in either case.
pub(super) fn environment(name: &str) -> Option<String> {
    [name.to_owned(), name.to_uppercase()].iter().find_map(|n| std::env::var(n).ok()).filter(|v| !v.is_empty())
}

/// The user's `.npmrc`: `key = value` lines; `${VAR}` stands for the environment's value (npm, "npmrc").
pub(super) fn user_npmrc() -> BTreeMap<String, String> {
    let path = environment("npm_config_userconfig")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".npmrc")));
    path.and_then(|path| fs::read_to_string(path).ok()).map(|text| parse_npmrc(&text)).unwrap_or_default()
}

fn parse_npmrc(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), expand(value.trim().trim_matches('"'))))
        .collect()
}

fn expand(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&std::env::var(name).unwrap_or_default());
        rest = tail;
    }
    out + rest
}

/// npm's key of a registry's settings: `//host/path/`.
pub(super) fn nerf(base: &Url) -> String {
    base.as_str().split_once(':').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

pub(super) fn ask_npm() -> Result<String> {
    let unknown = |why: String| {
        Error::usage(
            format!("no npm registry is known: {why}"),
            "install npm, or set `NPM_CONFIG_REGISTRY` to the registry's address",
        )
    };
    let output = std::process::Command::new("npm")
        .args(["config", "get", "registry"])
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|e| {
            unknown(format!("`npm` cannot be run ({e}), and neither the environment nor `.npmrc` sets one"))
        })?;
    let address = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && address.starts_with("http") {
        Ok(address)
    } else {
        Err(unknown("`npm config get registry` prints no address".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npmrc_lines_are_read_as_npm_reads_them() {
        let rc = parse_npmrc("# c\n; c\nregistry = https://r.example/npm/\n//r.example/npm/:_authToken=\"abc\"\n");
        assert_eq!(rc["registry"], "https://r.example/npm/");
        let base = Url::parse("https://r.example/npm/").unwrap();
        assert_eq!(rc[&format!("{}:_authToken", nerf(&base))], "abc");
    }
}
