//! `CycloneDX` 1.6, JSON (ECMA-424).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::bill::{Bill, PluginBill, exported_name};
use super::graph::{BillPackage, Bundling};
use super::purl;
use super::stamp::uuid;
use crate::lock::{Integrity, Sha256};

/// The bill of a release: its plugins, and the packages in any of them.
pub fn release(bill: &Bill<'_>) -> Value {
    let mut inventory = CycloneDxInventory::default();
    for plugin in &bill.plugins {
        inventory.plugin(plugin);
    }
    let plugins: Vec<Value> = bill.plugins.iter().map(plugin_component).collect();
    let mut root = release_root(bill.identity);
    root.insert("properties".into(), json!([property("factory:identity", &bill.identity.to_string())]));
    let depends: Vec<String> = bill.plugins.iter().map(plugin_ref).collect();
    inventory.depends.insert(format!("release:{}", bill.identity), depends.into_iter().collect());
    document(bill, &root.into(), plugins, inventory)
}

/// The bill of one plugin: the packages in it.
pub fn plugin(bill: &Bill<'_>) -> Value {
    let mut inventory = CycloneDxInventory::default();
    let root = match bill.plugins.first() {
        Some(plugin) => {
            inventory.plugin(plugin);
            plugin_component(plugin)
        }
        None => Value::Null,
    };
    document(bill, &root, Vec::new(), inventory)
}

/// The packages and edges of all plugins, each once.
#[derive(Default)]
struct CycloneDxInventory {
    components: BTreeMap<String, Value>,
    depends: BTreeMap<String, BTreeSet<String>>,
    /// Of components, by their references.
    properties: BTreeMap<String, BTreeSet<(&'static str, String)>>,
    /// Plugins by what is known of their packages.
    known: BTreeMap<&'static str, Vec<String>>,
}

impl CycloneDxInventory {
    fn plugin(&mut self, plugin: &PluginBill<'_>) {
        let root = plugin_ref(plugin);
        self.known.entry(aggregate(plugin)).or_default().push(root.clone());
        let place = format!("{}/{}", plugin.workspace.name, plugin.plugin.path);
        let packages = plugin.packages.as_deref().unwrap_or_default();
        let refs: Vec<String> = packages.iter().map(|package| package_ref(&root, package)).collect();
        let chosen =
            |positions: &BTreeSet<usize>| positions.iter().map(|at| refs[*at].clone()).collect::<BTreeSet<_>>();
        self.depends.entry(root).or_default().extend(chosen(&plugin.direct));
        for (package, reference) in packages.iter().zip(&refs) {
            self.components.entry(reference.clone()).or_insert_with(|| component(package, reference));
            self.depends.entry(reference.clone()).or_default().extend(chosen(&package.depends));
            let is_shared = package.bundled == Some(Bundling::Shared);
            let of_place = [("factory:bundled", package.bundled.is_some()), ("factory:shared", is_shared)];
            let embedded = package.embedded.then(|| ("factory:embedded", "true".to_owned()));
            let found = of_place.into_iter().filter(|(_, is)| *is).map(|(name, _)| (name, place.clone()));
            self.properties.entry(reference.clone()).or_default().extend(found.chain(embedded));
        }
    }
}

fn document(bill: &Bill<'_>, root: &Value, plugins: Vec<Value>, inventory: CycloneDxInventory) -> Value {
    let CycloneDxInventory { mut components, depends, properties, known } = inventory;
    for (reference, properties) in properties.into_iter().filter(|(_, properties)| !properties.is_empty()) {
        let all: Vec<Value> = properties.iter().map(|(name, value)| property(name, value)).collect();
        if let Some(Value::Object(component)) = components.get_mut(&reference) {
            component.insert("properties".to_owned(), all.into());
        }
    }
    let dependencies: Vec<Value> =
        depends.into_iter().map(|(reference, on)| json!({ "ref": reference, "dependsOn": on })).collect();
    let composition = |(aggregate, plugins)| json!({ "aggregate": aggregate, "dependencies": plugins });
    let compositions: Vec<Value> = known.into_iter().map(composition).collect();
    wrapped(
        &bill.time(),
        root,
        json!({
            "components": plugins.into_iter().chain(components.into_values()).collect::<Vec<_>>(),
            "dependencies": dependencies,
            "compositions": compositions,
        }),
    )
}

/// What a release is in a document.
pub fn release_root(identity: Sha256) -> Map<String, Value> {
    let mut root = Map::new();
    root.insert("type".into(), "application".into());
    root.insert("bom-ref".into(), format!("release:{identity}").into());
    root.insert("name".into(), "rhdh-dynamic-plugins".into());
    root.insert("version".into(), identity.to_string().into());
    root
}

/// A document of this time and about `root`, with these fields; its identifier is made of all of them.
pub fn wrapped(time: &str, root: &Value, fields: Value) -> Value {
    let mut content = json!({
        "metadata": {
            "timestamp": time,
            "tools": { "components": [
                { "type": "application", "name": "factory", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": root,
        },
    });
    if let (Value::Object(content), Value::Object(fields)) = (&mut content, fields) {
        content.extend(fields);
    }
    let mut document = Map::new();
    document.insert("$schema".into(), "http://cyclonedx.org/schema/bom-1.6.schema.json".into());
    document.insert("bomFormat".into(), "CycloneDX".into());
    document.insert("specVersion".into(), "1.6".into());
    document.insert("serialNumber".into(), format!("urn:uuid:{}", uuid(&content)).into());
    document.insert("version".into(), 1.into());
    if let Value::Object(content) = content {
        document.extend(content);
    }
    Value::Object(document)
}

/// Whether all packages of a plugin are known. Source maps name all code of a bundle, and no data: whether that is all, they
/// do not say.
fn aggregate(plugin: &PluginBill<'_>) -> &'static str {
    match &plugin.packages {
        None => "unknown",
        Some(_) if !plugin.unknown.is_empty() => "unknown",
        Some(_) if plugin.plugin.role.is_backend() => "complete",
        Some(_) => "not_specified",
    }
}

fn plugin_ref(plugin: &PluginBill<'_>) -> String {
    format!("plugin:{}/{}", plugin.workspace.name, plugin.plugin.path)
}

/// A package is the same in all plugins by its purl; what is embedded belongs to its plugin.
fn package_ref(plugin: &str, package: &BillPackage) -> String {
    let purl = purl::npm(&package.name, &package.version);
    if package.embedded { format!("{plugin}#{purl}") } else { purl }
}

fn plugin_component(bill: &PluginBill<'_>) -> Value {
    let (workspace, plugin) = (bill.workspace, bill.plugin);
    let mut component = Map::new();
    let mut put = |key: &str, value: Value| component.insert(key.to_owned(), value);
    put("type", "library".into());
    put("bom-ref", plugin_ref(bill).into());
    name(&mut put, &exported_name(plugin));
    put("version", plugin.version.clone().into());
    if let Some(sealed) = &plugin.sealed {
        put("hashes", hashes(sealed.tgz));
    }
    let mut properties = vec![
        property("factory:workspace", &workspace.name),
        property("factory:plugin", &plugin.path),
        property("factory:role", plugin.role.as_str()),
    ];
    if let Some(commit) = bill.origin.commit {
        properties.push(property("factory:commit", commit));
    }
    properties.extend(bill.arguments().map(|argument| property("factory:argument", &argument.to_string())));
    if let Some(sealed) = &plugin.sealed {
        properties.push(property("factory:image", &sealed.image.to_string()));
        properties.push(property("factory:layer", &sealed.layer.to_string()));
    }
    properties.extend(bill.unknown.iter().map(|part| property("factory:unknown", part)));
    if let Some(uri) = bill.origin.uri() {
        put("externalReferences", json!([{ "type": "vcs", "url": uri }]));
    }
    put("properties", Value::Array(properties));
    Value::Object(component)
}

fn component(package: &BillPackage, reference: &str) -> Value {
    let mut component = Map::new();
    let mut put = |key: &str, value: Value| component.insert(key.to_owned(), value);
    put("type", "library".into());
    put("bom-ref", reference.into());
    name(&mut put, &package.name);
    put("version", package.version.clone().into());
    put("scope", if package.optional { "optional" } else { "required" }.into());
    if let Some(digest) = &package.sha512 {
        put("hashes", json!([{ "alg": "SHA-512", "content": digest }]));
    }
    if !package.embedded {
        put("purl", purl::npm(&package.name, &package.version).into());
    }
    Value::Object(component)
}

/// npm's scope is the group of `CycloneDX`.
fn name(put: &mut impl FnMut(&str, Value) -> Option<Value>, name: &str) {
    match name.split_once('/') {
        Some((scope, name)) => {
            put("group", scope.into());
            put("name", name.into());
        }
        None => {
            put("name", name.into());
        }
    }
}

fn hashes(integrity: Integrity) -> Value {
    json!([{ "alg": "SHA-512", "content": integrity.hex() }])
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}
