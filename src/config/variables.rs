//! Every environment variable that `factory` reads, for `--help`, `factory doctor` and the documentation; and the rule
//! that says whose values are secrets.

/// A variable that `factory` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The value it has when nobody sets it; empty for none.
    pub default: &'static str,
    /// The command line's flag for the same, which wins; empty for none.
    pub flag: &'static str,
    /// One line for people.
    pub about: &'static str,
}

const fn variable(name: &'static str, default: &'static str, flag: &'static str, about: &'static str) -> Variable {
    Variable { name, default, flag, about }
}

/// The original's variables, set in the environment or in a `.env` file, each workspace for itself.
pub const WORKSPACE: &[Variable] = &[
    variable("RHDH_CLI_VERSION", "latest", "", "version of `@red-hat-developer-hub/cli` that exports the plugins"),
    variable("REGISTRY_URL", "", "", "registry to push to; required by `--push-images`"),
    variable("REGISTRY_NAMESPACE", "", "", "organisation in the registry; required by `--push-images`"),
    variable("REGISTRY_USERNAME", "", "", "user name for the registry"),
    variable("REGISTRY_PASSWORD", "", "", "password or token for the registry"),
    variable("REGISTRY_AUTH_FILE", "", "", "credentials file, read only; wins over user name and password"),
    variable("REGISTRY_INSECURE", "false", "", "`true`: plain HTTP and unchecked certificates"),
    variable("NODE_VERSION", "", "", "Node.js that builds; by default the one RHDH runs"),
    variable("NPM_VERSION", "", "", "npm that installs rhdh-cli and selects the files of packages; by default 11"),
    variable("RHDH_VERSION", "", "", "RHDH release the plugins are for: `1.9`, `1.9.8` or a commit"),
    variable("RHDH_REPO", "", "", "RHDH's repository, or a mirror of it"),
];

/// `factory`'s own variables, one per flag. They are read from the process's environment alone.
pub const FACTORY: &[Variable] = &[
    variable("FACTORY_CONFIG_DIR", "/config", "--config-dir", "configuration directory"),
    variable("FACTORY_REPO_PATH", "/source", "--repo-path", "where the plugins' source code lies"),
    variable("FACTORY_OUTPUT_DIR", "/outputs", "--output-dir", "where the artifacts go"),
    variable("FACTORY_WORKSPACE_PATH", "", "--workspace-path", "the workspace's folder in the repository"),
    variable("FACTORY_SOURCE_REPO", "", "--source-repo", "repository to build, instead of source.json"),
    variable("FACTORY_SOURCE_REF", "", "--source-ref", "branch, tag or commit of `--source-repo`"),
    variable("FACTORY_PUSH_IMAGES", "false", "--push-images", "push the images to the registry"),
    variable("FACTORY_USE_LOCAL", "false", "--use-local", "build a copy of the code in `--repo-path`"),
    variable("FACTORY_CLEAN", "false", "--clean", "empty `--repo-path` without asking"),
    variable("FACTORY_GENERATE_BUILD_ARGS", "false", "--generate-build-args", "compute the listed plugins' arguments"),
    variable("FACTORY_LOG_LEVEL", "INFO", "--log-level", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    variable("FACTORY_VERBOSE", "false", "--verbose", "name file and line in the log"),
    variable(
        "FACTORY_LOCK_FILE",
        "",
        "--lock-file",
        "the lock; by default `factory.lock` in the configuration directory",
    ),
    variable("FACTORY_HOST_LOCKFILE", "", "--host-lockfile", "RHDH's yarn.lock as a file, instead of looking it up"),
    variable("FACTORY_CACHE_DIR", "", "--cache-dir", "cache of sources, tools and builds; by default the user's"),
    variable("FACTORY_JOBS", "", "--jobs", "how many workspaces and plugins are built at once"),
];

/// Variables of other programs that `factory` honours, or hands to the builds.
pub const AMBIENT: &[Variable] = &[
    variable("NO_COLOR", "", "", "no colours"),
    variable("SSL_CERT_FILE", "", "", "certificate authorities to trust"),
    variable("SSL_CERT_DIR", "", "", "certificate authorities to trust, as a folder"),
    variable("NODE_EXTRA_CA_CERTS", "", "", "certificate authorities that Node.js trusts besides its own"),
    variable("HTTP_PROXY", "", "", "proxy for http"),
    variable("HTTPS_PROXY", "", "", "proxy for https"),
    variable("NO_PROXY", "", "", "hosts that need no proxy"),
    variable("NPM_CONFIG_REGISTRY", "", "", "npm registry that tools and packages come from"),
    variable("GIT_ASKPASS", "", "", "program that gives git a password"),
    variable("DOCKER_CONFIG", "", "", "folder of docker's credentials"),
    variable("XDG_RUNTIME_DIR", "", "", "folder of podman's credentials"),
    variable("XDG_CACHE_HOME", "", "", "where the user's cache folder lies"),
];

/// Parts of a name that make its value a secret.
const SECRET: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "SECRET",
    "CREDENTIAL",
    "APIKEY",
    "API_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "AUTHORIZATION",
    "AUTH_IDENT",
    "_AUTH",
    "COOKIE",
];

/// Whole segments of a name (between underscores) that make its value a secret.
const SECRET_SEGMENTS: &[&str] = &["PASS", "PAT", "PWD", "KEY"];

/// True when a variable's value must not be shown: because of its name, or because it is a URL with a password.
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // The working directory, and files that are not secrets themselves.
    if matches!(name.as_str(), "PWD" | "OLDPWD") || name.ends_with("_AUTH_FILE") || name.starts_with("SSH_AUTH_SOCK") {
        return false;
    }
    SECRET.iter().any(|part| name.contains(part))
        || name.split('_').any(|segment| SECRET_SEGMENTS.contains(&segment))
        || has_userinfo(value)
}

fn has_userinfo(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        authority.contains('@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name_or_by_a_url_with_userinfo() {
        for name in [
            "REGISTRY_PASSWORD",
            "GITHUB_TOKEN",
            "npm_config__authToken",
            "NPM_CONFIG__AUTH",
            "YARN_NPM_AUTH_IDENT",
            "AWS_SECRET_ACCESS_KEY",
            "GH_PAT",
            "MYSQL_PWD",
            "DB_PASS",
            "API_KEY",
            "SIGNING_KEY",
        ] {
            assert!(is_secret(name, "x"), "{name}");
        }
        for name in ["REGISTRY_USERNAME", "REGISTRY_AUTH_FILE", "PWD", "OLDPWD", "PATH", "COMPASS", "KEYBOARD", "HOME"]
        {
            assert!(!is_secret(name, "x"), "{name}");
        }
        assert!(is_secret("HTTPS_PROXY", "http://u:p@proxy:3128"));
        assert!(!is_secret("HTTPS_PROXY", "http://proxy:3128/@x"));
    }

    #[test]
    fn every_variable_is_listed_once() {
        let mut names: Vec<_> = [WORKSPACE, FACTORY, AMBIENT].concat().iter().map(|variable| variable.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(FACTORY.iter().all(|variable| {
            variable.name
                == format!("FACTORY_{}", variable.flag.trim_start_matches("--").replace('-', "_").to_uppercase())
        }));
    }
}
