//! SLSA v1 provenance: an in-toto statement (v1) whose resolved dependencies are the pins of the lock.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::bill::{Bill, PluginBill};
use super::purl;
use crate::build::artefact::archive_of;
use crate::error::{Error, Result};
use crate::image::{ImageName, Tag};
use crate::lock::companions::CompanionPath;
use crate::lock::input_digest::{self, SCALPRUM};
use crate::lock::{self, PartContent, SourcePart, Tool, Tools};

/// What is built, and how the parameters are to be read.
const BUILD_TYPE: &str = "urn:factory:build:1";

/// How git writes that something is a folder, and that it is another repository's commit.
const TREE: u32 = 0o040_000;
const SUBMODULE: u32 = 0o160_000;

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
        subjects.push(json!({ "name": archive_of(plugin.plugin), "digest": { "sha512": sealed.tgz.hex() } }));
        let image = ImageName::of_package(&plugin.plugin.name)?;
        let tag = Tag::of_version("", &plugin.plugin.version)?;
        subjects.push(json!({ "name": format!("{image}:{tag}"), "digest": { "sha256": sealed.image.hex() } }));
        let mut built = json!({
            "workspace": plugin.workspace.name,
            "plugin": plugin.plugin.path,
            "arguments": plugin.arguments().collect::<Vec<_>>(),
        });
        match (&plugin.plugin.stamp, bill.is_release) {
            // The commit of the lock is among the dependencies; this one the image names.
            (Some(stamp), true) => built["stamp"] = json!({ "repo": stamp.repo, "commit": stamp.commit }),
            (None, true) => {}
            (_, false) => built["inputs"] = plugin.inputs(bill.lock).to_string().into(),
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
    let parameters = if bill.is_release {
        json!({ "release": bill.identity.to_string(), "plugins": plugins })
    } else {
        json!({ "plugins": plugins })
    };
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
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
        // What the host makes of a plugin are its arguments.
        if let Some(rhdh) = bill.lock.rhdh.as_ref().filter(|_| bill.is_release) {
            self.add(&format!("RHDH {} yarn.lock", rhdh.requested), None, "sha256", &rhdh.lockfile.hex());
        }
        self.tools(bill.lock.tools_of(workspace));
        self.source(plugin);
        self.yarn(&workspace.source.yarn);
        if bill.is_release || plugin.plugin.sources.is_empty() {
            self.workspace(plugin);
        } else {
            self.parts(plugin);
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

    fn source(&mut self, plugin: &PluginBill<'_>) {
        let origin = &plugin.origin;
        if let Some(commit) = origin.commit {
            self.add(origin.repo.unwrap_or(&plugin.workspace.name), origin.uri(), "gitCommit", commit);
        }
    }

    fn yarn(&mut self, yarn: &lock::Yarn) {
        if let Some(integrity) = yarn.integrity {
            let package = crate::tools::provide::yarn_package(&yarn.version);
            self.add(package, Some(purl::npm(package, &yarn.version)), "sha512", &integrity.hex());
        }
    }

    /// All that a workspace is built from.
    fn workspace(&mut self, plugin: &PluginBill<'_>) {
        let lock::Workspace { name, source, input, .. } = plugin.workspace;
        if source.commit.is_some() {
            let path = if source.path == "." { String::new() } else { format!("{}/", source.path) };
            let uri = plugin.origin.uri().map(|uri| format!("{uri}#{path}yarn.lock"));
            self.add(&format!("{name}/yarn.lock"), uri, "sha256", &source.yarn_lock.hex());
        }
        for input in input {
            self.add(&format!("{name}/{}", input.path), None, "sha256", &input.sha256.hex());
        }
    }

    /// What of its workspace the plugin is built from: with patches and overlays in it, so that a commit has other contents
    /// under these paths.
    fn parts(&mut self, bill: &PluginBill<'_>) {
        let name = &bill.workspace.name;
        for SourcePart { path, content } in &bill.plugin.sources {
            let part = format!("sources of {name}: {path}");
            match content {
                PartContent::Git { mode: TREE, id } => self.add(&part, None, "gitTree", id),
                PartContent::Git { mode: SUBMODULE, id } => self.add(&part, None, "gitCommit", id),
                PartContent::Git { id, .. } => self.add(&part, None, "gitBlob", id),
                PartContent::Reached(digest) => self.add(&format!("reached in {part}"), None, "sha256", &digest.hex()),
                PartContent::Gone => {}
            }
        }
        if let Some(digest) = input_digest::scalprum(bill.workspace, bill.plugin) {
            self.add(&format!("{name}/{}/{SCALPRUM}", bill.plugin.path), None, "sha256", &digest.hex());
        }
    }
}
