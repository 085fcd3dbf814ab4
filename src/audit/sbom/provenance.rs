//! SLSA v1 provenance: an in-toto statement (v1) whose resolved dependencies are the pins of the lock.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::bill::{Bill, PluginBill, source_uri, tgz_name};
use super::purl;
use crate::error::{Error, Result};
use crate::image::{ImageName, Tag};
use crate::lock::companions::CompanionPath;
use crate::lock::{self, Tool, Tools};

/// What is built, and how the parameters are to be read.
const BUILD_TYPE: &str = "urn:factory:build:1";

/// Whoever runs `factory` without saying who that is.
pub const LOCAL_BUILDER: &str = "urn:factory:local";

/// Refuses what is no URI: SLSA's `builder.id` is one.
pub fn check_builder(builder: &str) -> Result<()> {
    if builder.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty()) {
        return Ok(());
    }
    Err(Error::usage(
        format!("`{}` is not a valid builder URI", builder.escape_debug()),
        "use a URI such as `https://example.com/pipelines/rhdh`",
    ))
}

/// The statement about the sealed outputs of the plugins. `builder` is the URI of whoever builds.
pub fn statement(bill: &Bill<'_>, builder: &str) -> Result<Value> {
    check_builder(builder)?;
    let mut subjects = Vec::new();
    let mut plugins = Vec::new();
    let mut dependencies = ResolvedDependencies::default();
    for plugin in &bill.plugins {
        let Some(sealed) = &plugin.plugin.sealed else { continue };
        subjects.push(json!({ "name": tgz_name(plugin.plugin), "digest": { "sha512": sealed.tgz.hex() } }));
        let image = ImageName::of_package(&plugin.plugin.name)?;
        let tag = Tag::of_version("", &plugin.plugin.version)?;
        subjects.push(json!({ "name": format!("{image}:{tag}"), "digest": { "sha256": sealed.image.hex() } }));
        let mut built = json!({
            "workspace": plugin.workspace.name,
            "plugin": plugin.plugin.path,
            "arguments": plugin.arguments().collect::<Vec<_>>(),
        });
        // The commit of the lock is among the dependencies; this one the image names.
        if let (Some(stamp), Some(built)) = (&plugin.plugin.stamp, built.as_object_mut()) {
            built.insert("stamp".to_owned(), json!({ "repo": stamp.repo, "commit": stamp.commit }));
        }
        plugins.push(built);
        dependencies.plugin(bill, plugin);
    }
    if subjects.is_empty() {
        return Err(Error::usage(
            "no plugin is sealed, so there is no output to state the provenance of",
            "run `factory build` first; a local tree is never sealed",
        ));
    }
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "release": bill.identity.to_string(), "plugins": plugins },
                "internalParameters": {},
                "resolvedDependencies": dependencies.0.into_values().collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": builder, "version": { "factory": env!("CARGO_PKG_VERSION") } },
                "metadata": {},
            },
        },
    }))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Pins as resource descriptors, each once, in one order.
#[derive(Default)]
struct ResolvedDependencies(BTreeMap<String, Value>);

impl ResolvedDependencies {
    fn add(&mut self, name: &str, uri: Option<String>, algorithm: &str, digest: &str) {
        let mut descriptor = Map::new();
        descriptor.insert("name".into(), name.into());
        descriptor.extend(uri.clone().map(|uri| ("uri".to_owned(), uri.into())));
        descriptor.insert("digest".into(), json!({ algorithm: digest }));
        self.0.insert(format!("{name} {} {digest}", uri.unwrap_or_default()), Value::Object(descriptor));
    }

    fn plugin(&mut self, bill: &Bill<'_>, plugin: &PluginBill<'_>) {
        let workspace = plugin.workspace;
        if let Some(rhdh) = &bill.lock.rhdh {
            self.add(&format!("RHDH {} yarn.lock", rhdh.requested), None, "sha256", &rhdh.lockfile.hex());
        }
        self.tools(bill.lock.tools_of(workspace));
        self.source(workspace);
        for input in &workspace.input {
            self.add(&format!("{}/{}", workspace.name, input.path), None, "sha256", &input.sha256.hex());
        }
        let Some(sealed) = &plugin.plugin.sealed else { return };
        for (path, digest) in [
            (CompanionPath::closure(&workspace.name, &plugin.plugin.path), sealed.closure),
            (CompanionPath::bundle(&workspace.name, &plugin.plugin.path), sealed.bundle),
        ] {
            if let Some(digest) = digest {
                self.add(&path.to_string(), None, "sha256", &digest.hex());
            }
        }
    }

    fn tools(&mut self, tools: &Tools) {
        for (platform, integrity) in &tools.node.integrity {
            let package = format!("node-{platform}");
            let uri = purl::npm(&package, &tools.node.version);
            self.add(&package, Some(uri), "sha512", &integrity.hex());
        }
        let mut tool = |package: &str, Tool { version, integrity, .. }: &Tool| {
            self.add(package, Some(purl::npm(package, version)), "sha512", &integrity.hex());
        };
        tool("npm", &tools.npm);
        let cli = &tools.rhdh_cli;
        let package = crate::tools::provide::CLI_PACKAGE;
        self.add(package, Some(purl::npm(package, &cli.version)), "sha512", &cli.integrity.hex());
        let tree = CompanionPath::cli_tree(&cli.version);
        self.add(&tree.to_string(), None, "sha256", &cli.tree.hex());
    }

    fn source(&mut self, workspace: &lock::Workspace) {
        let source = &workspace.source;
        let Some(commit) = &source.commit else { return };
        let uri = source_uri(workspace, commit);
        self.add(&source.repo, uri.clone(), "gitCommit", commit);
        let path = if source.path == "." { String::new() } else { format!("{}/", source.path) };
        let lock_uri = uri.map(|uri| format!("{uri}#{path}yarn.lock"));
        self.add(&format!("{}/yarn.lock", workspace.name), lock_uri, "sha256", &source.yarn_lock.hex());
        if let Some(integrity) = source.yarn.integrity {
            let package = crate::tools::provide::yarn_package(&source.yarn.version);
            let uri = purl::npm(package, &source.yarn.version);
            self.add(package, Some(uri), "sha512", &integrity.hex());
        }
    }
}
