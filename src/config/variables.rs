//! Every environment variable that `factory` reads, and the rule that says whose values are secrets.
//!
//! One table in three parts: [`WORKSPACE`], [`OPTIONS`] and [`AMBIENT`]. What a `.env` file sets is checked against it,
//! and tests compare it with the options of the command line, with the code that reads variables, and with the
//! reference of the documentation.

use crate::error::nearest::misspelt;

/// A variable that `factory` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// In upper case; npm's are read in lower case too.
    pub name: &'static str,
    /// The value it has when nobody sets it; empty for none.
    pub default: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The option or the part of factory that reads it.
    pub used_by: &'static str,
    /// True when a `.env` file can set it.
    pub env_file: bool,
}

impl Variable {
    /// True when its value is never shown.
    pub fn is_secret(&self) -> bool {
        is_secret(self.name, "")
    }
}

const fn workspace(name: &'static str, default: &'static str, used_by: &'static str, about: &'static str) -> Variable {
    Variable { name, default, about, used_by, env_file: true }
}

const fn option(name: &'static str, default: &'static str, flag: &'static str, about: &'static str) -> Variable {
    Variable { name, default, about, used_by: flag, env_file: false }
}

const fn ambient(name: &'static str, used_by: &'static str, about: &'static str) -> Variable {
    Variable { name, default: "", about, used_by, env_file: false }
}

/// Of a push alone: its variables are those of the workspace.
const fn of_push(name: &'static str, about: &'static str) -> Variable {
    Variable { name, default: "", about, used_by: "network, push", env_file: true }
}

/// The original's variables, set in the environment or in a `.env` file, each workspace for itself.
pub const WORKSPACE: &[Variable] = &[
    workspace(
        "RHDH_CLI_VERSION",
        "latest",
        "resolve",
        "version of `@red-hat-developer-hub/cli` that exports the plugins",
    ),
    workspace("REGISTRY_URL", "", "push", "registry to push to; required by `--push-images`"),
    workspace("REGISTRY_NAMESPACE", "", "push", "organisation in the registry; required by `--push-images`"),
    workspace("REGISTRY_USERNAME", "", "push", "user name for the registry"),
    workspace("REGISTRY_PASSWORD", "", "push", "password or token for the registry"),
    workspace("REGISTRY_AUTH_FILE", "", "push", "credentials file, read only; wins over user name and password"),
    workspace("REGISTRY_INSECURE", "false", "push", "`true`: plain HTTP and unchecked certificates"),
    workspace("NODE_VERSION", "", "resolve", "Node.js that builds; by default the one RHDH runs"),
    workspace(
        "NPM_VERSION",
        "",
        "resolve",
        "npm that installs rhdh-cli and selects the files of packages; by default 11",
    ),
    workspace("RHDH_VERSION", "", "resolve", "RHDH release the plugins are for: `1.9`, `1.9.8` or a commit"),
    workspace("RHDH_REPO", "", "resolve, diff", "RHDH's repository, or a mirror of it"),
];

/// `factory`'s own variables, each of an option. They are read from the process's environment alone.
pub const OPTIONS: &[Variable] = &[
    option("FACTORY_CONFIG_DIR", "", "--config-dir", "configuration directory"),
    option("FACTORY_LOCK_FILE", "", "--lock-file", "the lock"),
    option("FACTORY_CACHE_DIR", "", "--cache-dir", "cache of sources, tools and builds"),
    option("FACTORY_LOG_LEVEL", "INFO", "--log-level", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    option("FACTORY_VERBOSE", "", "--verbose", "name file and line of the source in messages"),
    option("FACTORY_WORKSPACE_PATH", "", "--workspace-path", "the workspace's folder in the repository"),
    option("FACTORY_SOURCE_REPO", "", "--source-repo", "repository to build, instead of source.json"),
    option("FACTORY_SOURCE_REF", "", "--source-ref", "branch, tag or commit of `--source-repo`"),
    option("FACTORY_REPO_PATH", "", "--repo-path", "where the plugins' source code lies"),
    option("FACTORY_USE_LOCAL", "", "--use-local", "build a copy of the code in `--repo-path`"),
    option("FACTORY_GIT_PROGRAM", "", "--git-program", "reach repositories with the `git` program"),
    option("FACTORY_HOST_LOCKFILE", "", "--host-lockfile", "RHDH's yarn.lock as a file"),
    option("FACTORY_GENERATE_BUILD_ARGS", "", "--generate-build-args", "compute the listed plugins' arguments"),
    option("FACTORY_NO_WRITE_PLUGINS_LIST", "", "--no-write-plugins-list", "write no plugins-list.yaml"),
    option("FACTORY_RENEW_TOOLS", "", "--renew-tools", "resolve rhdh-cli's dependencies anew"),
    option("FACTORY_OUTPUT_DIR", "", "--output-dir", "where results go"),
    option("FACTORY_JOBS", "", "--jobs", "installs and exports that run at once"),
    option("FACTORY_ISOLATION", "auto", "--isolation", "keep builds apart from the machine: auto, required or off"),
    option("FACTORY_OFFLINE", "", "--offline", "use no network"),
    option("FACTORY_FETCH_ONLY", "", "--fetch-only", "only fill the cache"),
    option("FACTORY_TIMEOUT", "3600", "--timeout", "seconds that one install or export may take"),
    option("FACTORY_NO_INSTALL_SCRIPTS", "", "--no-install-scripts", "do not run the install scripts of packages"),
    option("FACTORY_FROZEN", "", "--frozen", "the lock must be sealed, and is not changed"),
    option("FACTORY_REBUILD", "", "--rebuild", "build also what is sealed and in the cache"),
    option("FACTORY_TAG_PREFIX", "auto", "--tag-prefix", "what stands before the version in image tags"),
    option("FACTORY_CLEAN", "", "--clean", "empty `--repo-path` without asking"),
    option("FACTORY_PUSH_IMAGES", "", "--push-images", "push the images to the registry"),
    option("FACTORY_OVERWRITE_TAGS", "", "--overwrite-tags", "move tags that name another image"),
    option("FACTORY_IMAGE_PUSHER", "builtin", "--image-pusher", "program that pushes images"),
    option("FACTORY_IMAGE_BUILDER", "builtin", "--image-builder", "program that makes images"),
    option("FACTORY_COMPRESSION", "gzip", "--compression", "compression of the images' layers"),
    option("FACTORY_INSTALLER", "1.9", "--installer", "oldest RHDH that reads dynamic-plugins.yaml"),
    option("FACTORY_IMAGE_REFS", "", "--image-refs", "file for the digest references of pushed images"),
    option("FACTORY_ATTACH", "", "--attach", "documents to attach to pushed images"),
    option("FACTORY_BUILDER_ID", "urn:factory:local", "--builder-id", "who builds, as a URI"),
    option("FACTORY_VERIFY_REPORT", "", "--report", "file for the verdicts of `factory verify`"),
    option("FACTORY_DIFF_FORMAT", "human", "--format", "how `factory diff` writes the changes"),
    option("FACTORY_DIFF_FAIL_ON", "", "--fail-on", "changes that `factory diff` fails on"),
    option("FACTORY_SBOM_FORMAT", "cyclonedx", "--format", "kind of document of `factory sbom`"),
    option("FACTORY_SBOM_OUTPUT", "", "--output", "folder for the documents of `factory sbom`"),
];

/// Variables of other programs that `factory` honours, or hands to the builds.
pub const AMBIENT: &[Variable] = &[
    ambient("NO_COLOR", "messages", "no colours"),
    ambient("TERM", "messages", "`dumb`: no live lines"),
    ambient("CI", "messages", "no live lines"),
    of_push("SSL_CERT_FILE", "certificate authorities to trust"),
    ambient("SSL_CERT_DIR", "network", "certificate authorities to trust, as a folder"),
    ambient("NODE_EXTRA_CA_CERTS", "builds", "certificate authorities that Node.js trusts besides its own"),
    of_push("HTTP_PROXY", "proxy for http"),
    of_push("HTTPS_PROXY", "proxy for https"),
    of_push("NO_PROXY", "hosts that need no proxy"),
    ambient("NPM_CONFIG_REGISTRY", "tools, packages", "npm registry that tools and packages come from"),
    ambient("NPM_CONFIG_USERCONFIG", "tools, packages", "the user's `.npmrc`; by default in the home folder"),
    ambient("GIT_ASKPASS", "sources", "program that gives git a password"),
    ambient("GIT_SSH", "sources", "program that `git` connects with"),
    ambient("GIT_SSH_COMMAND", "sources", "command that `git` connects with"),
    ambient("GIT_CONFIG_COUNT", "sources", "settings of git from the environment, kept with `--git-program`"),
    of_push("DOCKER_CONFIG", "folder of docker's credentials"),
    of_push("XDG_RUNTIME_DIR", "folder of podman's credentials"),
    of_push("XDG_CONFIG_HOME", "folder of more of podman's credentials"),
    ambient("XDG_CACHE_HOME", "cache", "where the user's cache folder lies"),
    of_push("HOME", "the user's cache, `.npmrc` and credentials, where no other variable says it"),
    of_push("PATH", "where programs are found"),
];

/// All of them, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Variable> {
    [WORKSPACE, OPTIONS, AMBIENT].into_iter().flatten()
}

/// What a person should know of a variable that a `.env` file sets, when it does not do what it looks like.
///
/// Other names than those of the table are free: values refer to them, and credential helpers read them.
pub(super) fn wrong_in_env_file(name: &str) -> Option<String> {
    match all().find(|variable| variable.name == name) {
        Some(variable) if variable.env_file => None,
        None if !name.starts_with("FACTORY_") => {
            let names = || WORKSPACE.iter().map(|variable| variable.name);
            let beginning = |known: &&str| known.starts_with(name) && name.len() > known.len() / 2;
            let meant = names().find(beginning).or_else(|| misspelt(name, names()))?;
            Some(format!("factory does not read `{name}`; did you mean `{meant}`?"))
        }
        _ => Some(format!("`{name}` has no effect in a `.env` file: it is read from the environment alone")),
    }
}

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
        let mut names: Vec<_> = all().map(|variable| variable.name).collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
        let secret: Vec<_> = all().filter(|variable| variable.is_secret()).map(|variable| variable.name).collect();
        assert_eq!(secret, ["REGISTRY_PASSWORD"]);
    }

    /// Names in upper case behind a call that reads a variable.
    fn read_in(text: &str) -> Vec<&str> {
        let calls =
            ["env::var(\"", "env::var_os(\"", "given(\"", "is_true(\"", "variables.get(\"", "absolute(\"", "folder(\""];
        let after = calls.iter().flat_map(|call| text.match_indices(call).map(move |(at, _)| &text[at + call.len()..]));
        let names = after.filter_map(|rest| rest.split('"').next());
        names.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')).collect()
    }

    #[test]
    fn every_variable_that_the_code_reads_is_listed() {
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = std::collections::BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]").next().unwrap();
                    found.extend(read_in(code).into_iter().map(str::to_owned));
                }
            }
        }
        assert!(found.len() > 15, "{found:?}");
        let unlisted: Vec<_> = found.iter().filter(|name| !all().any(|variable| variable.name == *name)).collect();
        assert_eq!(unlisted, [""; 0]);
    }
}
