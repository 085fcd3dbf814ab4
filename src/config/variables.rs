//! Every environment variable that `factory` reads, and the rule that says whose values are secrets.
//!
//! One table in three parts: [`WORKSPACE`], [`OPTIONS`] and [`AMBIENT`]. What a `.env` file sets is checked against it;
//! tests compare it with the options, with the code that reads variables, and with the reference of the documentation.

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
    /// Where a `.env` file can set it.
    pub env_file: EnvFileScope,
}

/// What a variable in a `.env` file holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvFileScope {
    /// For a workspace, or, in the file of the configuration directory, for all of them.
    Workspace,
    /// In the file of the configuration directory, for the whole run.
    Run,
    /// The same, and in the file of a workspace for its push.
    RunAndPush,
    /// For the push alone.
    Push,
    /// In the file of the configuration directory, as an option that is given with every command.
    Configuration,
    /// For nothing: it is read from the environment alone.
    Nothing,
}

impl Variable {
    /// True when its value is never shown.
    pub fn is_secret(&self) -> bool {
        is_secret(self.name, "")
    }
}

const fn workspace(name: &'static str, default: &'static str, used_by: &'static str, about: &'static str) -> Variable {
    Variable { name, default, about, used_by, env_file: EnvFileScope::Workspace }
}

const fn option(name: &'static str, default: &'static str, flag: &'static str, about: &'static str) -> Variable {
    Variable { name, default, about, used_by: flag, env_file: EnvFileScope::Nothing }
}

const fn ambient(name: &'static str, used_by: &'static str, about: &'static str) -> Variable {
    Variable { name, default: "", about, used_by, env_file: EnvFileScope::Nothing }
}

/// Of a push alone: its variables are those of the workspace.
const fn of_push(name: &'static str, about: &'static str) -> Variable {
    Variable { name, default: "", about, used_by: "network, push", env_file: EnvFileScope::Push }
}

/// Of all that uses the network.
const fn of_run(name: &'static str, env_file: EnvFileScope, used_by: &'static str, about: &'static str) -> Variable {
    Variable { name, default: "", about, used_by, env_file }
}

/// The original's variables, set in the environment or in a `.env` file, each workspace for itself.
pub const WORKSPACE: &[Variable] = &[
    workspace(
        "RHDH_CLI_VERSION",
        "",
        "resolve",
        "version of `@red-hat-developer-hub/cli` that exports the plugins; by default the newest for the RHDH release",
    ),
    workspace("REGISTRY_URL", "", "push", "registry to push to; required by `--push-images`"),
    workspace("REGISTRY_NAMESPACE", "", "push", "organisation in the registry; required by `--push-images`"),
    workspace("REGISTRY_USERNAME", "", "push", "user name for the registry"),
    workspace("REGISTRY_PASSWORD", "", "push", "password or token for the registry"),
    workspace("REGISTRY_AUTH_FILE", "", "push", "credentials file, read only; wins over user name and password"),
    workspace("REGISTRY_INSECURE", "false", "push", "`true`: plain HTTP and unchecked certificates"),
    workspace(
        "INPUTS_IMAGE_TAG_PREFIX",
        "",
        "build",
        "what stands before the version in image tags, where `--tag-prefix` does not say it",
    ),
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

/// The variable of `--host-lockfile`.
pub const HOST_LOCKFILE: &str = "FACTORY_HOST_LOCKFILE";

/// `factory`'s own variables, each of an option. All but one are read from the process's environment alone.
pub const OPTIONS: &[Variable] = &[
    option("FACTORY_CONFIG_DIR", "", "--config-dir", "configuration directory"),
    option("FACTORY_LOCK_FILE", "", "--lock-file", "the lock"),
    option("FACTORY_CACHE_DIR", "", "--cache-dir", "cache of sources, tools and builds"),
    option("FACTORY_LOG_LEVEL", "INFO", "--log-level", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    option("FACTORY_QUIET", "", "--quiet", "print errors only"),
    option("FACTORY_NO_PROGRESS", "", "--no-progress", "print nothing of steps"),
    option("FACTORY_COLOR", "auto", "--color", "auto, always or never"),
    option("FACTORY_CONNECT_TIMEOUT", "5", "--connect-timeout", "seconds until a server is connected to"),
    option("FACTORY_VERBOSE", "", "--verbose", "name file and line of the source in messages"),
    option("FACTORY_WORKSPACE_PATH", "", "--workspace-path", "the workspace's folder in the repository"),
    option("FACTORY_SOURCE_REPO", "", "--source-repo", "repository to build, instead of source.json"),
    option("FACTORY_SOURCE_REF", "", "--source-ref", "branch, tag or commit of `--source-repo`"),
    option("FACTORY_REPO_PATH", "", "--repo-path", "where the plugins' source code lies"),
    option("FACTORY_USE_LOCAL", "", "--use-local", "build a copy of the code in `--repo-path`"),
    option("FACTORY_GIT_PROGRAM", "auto", "--git-program", "when repositories are reached with the `git` program"),
    Variable {
        env_file: EnvFileScope::Configuration,
        ..option(HOST_LOCKFILE, "", "--host-lockfile", "RHDH's yarn.lock as a file")
    },
    option("FACTORY_GENERATE_BUILD_ARGS", "", "--generate-build-args", "compute the listed plugins' arguments"),
    option("FACTORY_NO_WRITE_PLUGINS_LIST", "", "--no-write-plugins-list", "write no plugins-list.yaml"),
    option("FACTORY_KEEP_GOING", "", "--keep-going", "lock the rest of a workspace of which something fails"),
    option("FACTORY_RENEW_TOOLS", "", "--renew-tools", "resolve rhdh-cli's dependencies anew"),
    option("FACTORY_RESTAMP", "", "--restamp", "let images say anew which commit they come from"),
    option("FACTORY_OUTPUT_DIR", "", "--output-dir", "where results go"),
    option("FACTORY_JOBS", "", "--jobs", "installs and exports that run at once"),
    option("FACTORY_ISOLATION", "auto", "--isolation", "keep builds apart from the machine: auto, required or off"),
    option("FACTORY_OFFLINE", "", "--offline", "use no network"),
    option("FACTORY_FETCH_ONLY", "", "--fetch-only", "only fill the cache"),
    option("FACTORY_TIMINGS", "", "--timings", "write what ran when: html, json, or both"),
    option("FACTORY_TIMEOUT", "3600", "--timeout", "seconds that one install or export may take"),
    option("FACTORY_NO_INSTALL_SCRIPTS", "", "--no-install-scripts", "do not run the install scripts of packages"),
    option("FACTORY_TARGET_GLIBC", "2.34", "--target-glibc", "version of glibc where RHDH runs"),
    option("FACTORY_FROZEN", "", "--frozen", "the lock must be sealed, and is not changed"),
    option("FACTORY_REBUILD", "", "--rebuild", "build also what is sealed and in the cache"),
    option("FACTORY_CACHE_REPO", "", "--cache-repo", "repository of a registry that shares finished builds"),
    option("FACTORY_CACHE_MODE", "read", "--cache-mode", "what is done with it: read, write or read-write"),
    option("FACTORY_CACHE_TRUST", "", "--cache-trust", "public keys that sign finished builds for unsealed locks"),
    option("FACTORY_CACHE_SIGN_KEY", "", "--cache-sign-key", "file of the private key that signs finished builds"),
    option("FACTORY_CACHE_TIMEOUT", "30", "--cache-timeout", "seconds that the cache repository may take to answer"),
    option("FACTORY_TAG_PREFIX", "auto", "--tag-prefix", "what stands before the version in image tags"),
    option("FACTORY_CONFIG_FROM", "", "--config-from", "where plugins without a configuration get one from"),
    option("FACTORY_CLEAN", "", "--clean", "empty `--repo-path` without asking"),
    option("FACTORY_PUSH_IMAGES", "", "--push-images", "push the images to the registry"),
    option("FACTORY_OVERWRITE_TAGS", "", "--overwrite-tags", "move tags that name another image"),
    option("FACTORY_IMAGE_PUSHER", "builtin", "--image-pusher", "program that pushes images"),
    option("FACTORY_IMAGE_BUILDER", "builtin", "--image-builder", "program that makes images"),
    option("FACTORY_COMPRESSION", "gzip", "--compression", "compression of the images' layers"),
    option("FACTORY_INSTALLER", "1.9", "--installer", "oldest RHDH that reads dynamic-plugins.yaml"),
    option("FACTORY_IMAGE_REFS", "", "--image-refs", "file for the digest references of pushed images"),
    option("FACTORY_LABEL", "", "--label", "labels of pushed images, one `KEY=VALUE` per line"),
    option("FACTORY_ATTACH", "", "--attach", "documents to attach to pushed images"),
    option("FACTORY_BUILDER_ID", "urn:factory:local", "--builder-id", "who builds, as a URI"),
    option("FACTORY_OSV_PATH", "", "--osv", "advisories of `factory audit`: OSV records"),
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
    of_run("SSL_CERT_FILE", EnvFileScope::RunAndPush, "network, push", "certificate authorities to trust"),
    of_run("SSL_CERT_DIR", EnvFileScope::Run, "network", "certificate authorities to trust, as a folder"),
    of_run(
        "NODE_EXTRA_CA_CERTS",
        EnvFileScope::Run,
        "npm registry, builds",
        "certificate authorities that Node.js trusts besides its own",
    ),
    of_run("HTTP_PROXY", EnvFileScope::RunAndPush, "network, push", "proxy for http"),
    of_run("HTTPS_PROXY", EnvFileScope::RunAndPush, "network, push", "proxy for https"),
    of_run("NO_PROXY", EnvFileScope::RunAndPush, "network, push", "hosts that need no proxy"),
    of_run(
        "NPM_CONFIG_REGISTRY",
        EnvFileScope::Run,
        "tools, packages",
        "npm registry that tools and packages come from",
    ),
    of_run(
        "NPM_CONFIG_USERCONFIG",
        EnvFileScope::Run,
        "tools, packages",
        "the user's `.npmrc`; by default in the home folder",
    ),
    of_run(
        "NPM_CONFIG_GLOBALCONFIG",
        EnvFileScope::Run,
        "tools, packages",
        "npm's global configuration; by default `etc/npmrc` of npm's prefix",
    ),
    ambient("GITHUB_OUTPUT", "build, run", "file for the outputs of a step of GitHub Actions"),
    ambient("GIT_ASKPASS", "sources", "program that gives git a password"),
    ambient("GIT_ALLOW_PROTOCOL", "sources", "what the `git` program may speak, of https, http, ssh and file"),
    ambient("GIT_SSL_CAINFO", "sources", "certificates that the `git` program trusts"),
    ambient("GIT_SSH", "sources", "program that `git` connects with"),
    ambient("GIT_SSH_COMMAND", "sources", "command that `git` connects with"),
    ambient("GIT_CONFIG_COUNT", "sources", "settings of git from the environment, as all of `GIT_CONFIG_…`"),
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

/// Variables of the original and of the programs that it starts which do nothing here, and what does it instead.
const REPLACED: &[(&str, &str)] = &[
    ("INPUTS_APP_CONFIG_FILE_NAME", "the file is always called `app-config.dynamic.yaml`"),
    ("INPUTS_BUNDLE_WORKSPACE", "each plugin has an image of its own"),
    ("INPUTS_CLI_PACKAGE", "plugins are always exported with `@red-hat-developer-hub/cli`"),
    ("INPUTS_CLI_VERSION", "set `RHDH_CLI_VERSION`"),
    ("INPUTS_DESTINATION", "give `--output-dir`"),
    ("INPUTS_IMAGE_REPOSITORY_PREFIX", "set `REGISTRY_URL` and `REGISTRY_NAMESPACE`"),
    ("INPUTS_JANUS_CLI_VERSION", "set `RHDH_CLI_VERSION`"),
    ("INPUTS_LAST_PUBLISH_COMMIT", "what is sealed and in the cache is not built again anyway"),
    ("INPUTS_PLUGINS_FILE", "the list is always `plugins-list.yaml` in the workspace's configuration"),
    ("INPUTS_PUSH_CONTAINER_IMAGE", "give `--push-images`"),
    ("INPUTS_SCALPRUM_CONFIG_FILE_NAME", "the file is always called `scalprum-config.json`"),
    ("INPUTS_SOURCE_OVERLAY_FOLDER_NAME", "the folder is always called `overlay`"),
    ("INPUTS_SOURCE_PATCH_FILE_NAME", "patches are always `patches/*.patch`"),
];

/// The same, of names that other programs may use as well: named in a `.env` file alone.
const REPLACED_IN_FILES: &[(&str, &str)] = &[
    ("CONTAINER_BUILD_TOOL", "give `--image-builder` or `--image-pusher`"),
    ("LOG_LEVEL", "give `--log-level`"),
    ("WORKSPACE_PATH", "write `workspace-path` in source.json, or give `--workspace-path`"),
    ("YARN_HTTPS_PROXY", "set `HTTPS_PROXY`"),
    ("YARN_HTTP_PROXY", "set `HTTP_PROXY`"),
    ("YARN_NPM_AUTH_TOKEN", "write the registry's `_authToken` in `.npmrc`"),
    ("YARN_NPM_REGISTRY_SERVER", "set `NPM_CONFIG_REGISTRY`"),
];

/// What takes the place of a variable of the original's scripts (`INPUTS_…`); none for other variables.
pub fn replacement(name: &str) -> Option<&'static str> {
    REPLACED.iter().find(|(replaced, _)| *replaced == name).map(|(_, instead)| *instead)
}

/// The beginnings of names that credential helpers read.
const OF_HELPERS: &[&str] = &["AWS_", "AZURE_", "CLOUDSDK_", "DOCKER_", "GOOGLE_"];

/// Names that `.npmrc` files refer to by custom.
const OF_NPM: &[&str] = &["NPM_TOKEN", "NODE_AUTH_TOKEN"];

/// What a variable in a `.env` file holds for; none for a name that is not known. The other case of a proxy's name, and
/// any setting of npm's, is known too.
fn scope(name: &str) -> Option<EnvFileScope> {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("NPM_CONFIG_") || OF_NPM.contains(&name) {
        return Some(EnvFileScope::Run);
    }
    let known = |name: &str| all().find(|variable| variable.name == name).map(|variable| variable.env_file);
    let is_proxy = upper.ends_with("_PROXY") && name == name.to_ascii_lowercase();
    known(name).or_else(|| known(&upper).filter(|_| is_proxy))
}

/// True for a variable of the configuration directory's `.env` that holds for the whole run: proxies, certificate
/// authorities and npm's settings.
pub fn is_of_run(name: &str) -> bool {
    matches!(scope(name), Some(EnvFileScope::Run | EnvFileScope::RunAndPush))
}

/// What a person should know of a variable that a `.env` file sets, when it does not do what it looks like. `is_root` is
/// true for the file of the configuration directory.
pub(super) fn wrong_in_env_file(name: &str, is_root: bool) -> Option<String> {
    if let Some((_, instead)) = REPLACED.iter().chain(REPLACED_IN_FILES).find(|(replaced, _)| *replaced == name) {
        return Some(format!("`{name}` has no effect: {instead}"));
    }
    let elsewhere = "set it in that of the configuration directory";
    match scope(name) {
        Some(EnvFileScope::Workspace | EnvFileScope::Push) => None,
        Some(EnvFileScope::Run | EnvFileScope::RunAndPush | EnvFileScope::Configuration) if is_root => None,
        Some(EnvFileScope::Run | EnvFileScope::Configuration) => {
            Some(format!("`{name}` has no effect in the `.env` file of a workspace: {elsewhere}"))
        }
        Some(EnvFileScope::RunAndPush) => Some(format!(
            "`{name}` is for the push alone in the `.env` file of a workspace: for downloads and builds, {elsewhere}"
        )),
        None => unknown(name),
        Some(EnvFileScope::Nothing) => {
            Some(format!("`{name}` has no effect in a `.env` file: it is read from the environment alone"))
        }
    }
}

fn unknown(name: &str) -> Option<String> {
    if OF_HELPERS.iter().any(|beginning| name.starts_with(beginning)) {
        return None;
    }
    let is_own = name.starts_with("FACTORY_");
    let is_read = |known: &&str| is_own || scope(known) != Some(EnvFileScope::Nothing);
    let names = || all().map(|variable| variable.name).filter(is_read);
    let beginning = |known: &&str| known.starts_with(name) && name.len() > known.len() / 2;
    Some(match names().find(beginning).or_else(|| misspelt(name, names())) {
        Some(meant) if scope(meant) == Some(EnvFileScope::Nothing) => {
            format!("factory does not read `{name}`; `{meant}`, if that is meant, is read from the environment alone")
        }
        Some(meant) => format!("factory does not read `{name}`; did you mean `{meant}`?"),
        None => format!("factory does not read `{name}`, and no build sees it"),
    })
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
mod tests;
