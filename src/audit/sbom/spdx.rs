//! SPDX 2.3, JSON (ISO/IEC 5962:2021 and its successor).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::bill::{Bill, PluginBill, exported_name};
use super::graph::BillPackage;
use super::purl;
use super::stamp::uuid;
use crate::build::artefact::archive_of;
use crate::lock::Sha256;

const NOASSERTION: &str = "NOASSERTION";

/// The bill of a release: its plugins, and the packages in any of them.
pub fn release(bill: &Bill<'_>) -> Value {
    let mut inventory = SpdxInventory::default();
    let root = "SPDXRef-Release".to_owned();
    let mut package = blank(&root, "rhdh-dynamic-plugins", &bill.identity.to_string());
    package.insert("primaryPackagePurpose".into(), "APPLICATION".into());
    inventory.packages.insert(root.clone(), Value::Object(package));
    for plugin in &bill.plugins {
        let reference = inventory.plugin(plugin);
        inventory.relate(&root, "CONTAINS", &reference);
    }
    document(bill, "rhdh-dynamic-plugins", &root, inventory)
}

/// The bill of one plugin: the packages in it.
pub fn plugin(bill: &Bill<'_>) -> Value {
    let mut inventory = SpdxInventory::default();
    let Some(plugin) = bill.plugins.first() else { return Value::Null };
    let root = inventory.plugin(plugin);
    document(bill, &exported_name(plugin.plugin), &root, inventory)
}

/// All packages and relationships, each once.
#[derive(Default)]
struct SpdxInventory {
    packages: BTreeMap<String, Value>,
    relationships: BTreeSet<(String, &'static str, String)>,
}

impl SpdxInventory {
    fn relate(&mut self, from: &str, how: &'static str, to: &str) {
        self.relationships.insert((from.to_owned(), how, to.to_owned()));
    }

    fn plugin(&mut self, bill: &PluginBill<'_>) -> String {
        let root = reference("Plugin", &format!("{}/{}", bill.workspace.name, bill.plugin.path));
        self.packages.insert(root.clone(), plugin_package(bill, &root));
        let packages = bill.packages.as_deref().unwrap_or_default();
        let refs: Vec<String> = packages.iter().map(|package| package_ref(&root, package)).collect();
        for (package, reference) in packages.iter().zip(&refs) {
            self.packages.entry(reference.clone()).or_insert_with(|| package_of(package, reference));
            self.relate(&root, "CONTAINS", reference);
            if package.bundled.is_some() {
                self.relate(&root, "STATIC_LINK", reference);
            }
            for other in &package.depends {
                self.relate(reference, "DEPENDS_ON", &refs[*other]);
            }
        }
        for direct in &bill.direct {
            self.relate(&root, "DEPENDS_ON", &refs[*direct]);
        }
        root
    }
}

fn document(bill: &Bill<'_>, name: &str, root: &str, mut inventory: SpdxInventory) -> Value {
    inventory.relate("SPDXRef-DOCUMENT", "DESCRIBES", root);
    let relationships: Vec<Value> = inventory
        .relationships
        .into_iter()
        .map(|(from, how, to)| json!({ "spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to }))
        .collect();
    let comment = if bill.is_release {
        format!("The time is that of the newest commit; the release is {}", bill.identity)
    } else {
        "The time is that of the commit".to_owned()
    };
    let content = json!({
        "creationInfo": {
            "created": bill.time(),
            "creators": [concat!("Tool: factory-", env!("CARGO_PKG_VERSION"))],
            "comment": comment,
        },
        "packages": inventory.packages.into_values().collect::<Vec<_>>(),
        "relationships": relationships,
    });
    let mut document = Map::new();
    document.insert("spdxVersion".into(), "SPDX-2.3".into());
    document.insert("dataLicense".into(), "CC0-1.0".into());
    document.insert("SPDXID".into(), "SPDXRef-DOCUMENT".into());
    document.insert("name".into(), name.into());
    document.insert("documentNamespace".into(), format!("urn:uuid:{}", uuid(&content)).into());
    if let Value::Object(content) = content {
        document.extend(content);
    }
    Value::Object(document)
}

/// An identifier (letters, digits, `.` and `-`), distinct for distinct texts.
fn reference(kind: &str, text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("SPDXRef-{kind}-{}-{}", plain.trim_start_matches('-'), &Sha256::of(text).hex()[..8])
}

fn package_ref(plugin: &str, package: &BillPackage) -> String {
    let text = format!("{}@{}", package.name, package.version);
    if package.embedded { reference("Embedded", &format!("{plugin} {text}")) } else { reference("npm", &text) }
}

fn blank(reference: &str, name: &str, version: &str) -> Map<String, Value> {
    let mut package = Map::new();
    package.insert("SPDXID".into(), reference.into());
    package.insert("name".into(), name.into());
    package.insert("versionInfo".into(), version.into());
    package.insert("downloadLocation".into(), NOASSERTION.into());
    package.insert("filesAnalyzed".into(), false.into());
    for field in ["licenseConcluded", "licenseDeclared", "copyrightText"] {
        package.insert(field.into(), NOASSERTION.into());
    }
    package
}

fn plugin_package(bill: &PluginBill<'_>, reference: &str) -> Value {
    let (workspace, plugin) = (bill.workspace, bill.plugin);
    let mut package = blank(reference, &exported_name(plugin), &plugin.version);
    package.insert("packageFileName".into(), archive_of(plugin).into());
    package.insert("primaryPackagePurpose".into(), "LIBRARY".into());
    if let Some(sealed) = &plugin.sealed {
        package.insert("checksums".into(), json!([{ "algorithm": "SHA512", "checksumValue": sealed.tgz.hex() }]));
    }
    let mut said = format!("workspace {}, folder {}, {}", workspace.name, plugin.path, plugin.role);
    if let Some(commit) = bill.origin.commit {
        let uri = bill.origin.uri().unwrap_or_else(|| commit.to_owned());
        said = format!("built from {uri}, {said}");
    }
    if bill.packages.is_none() {
        said.push_str("; the packages in it are not known");
    } else if !bill.unknown.is_empty() {
        said = format!("{said}; what is in a part of it is not known: {}", bill.unknown.join(", "));
    }
    package.insert("sourceInfo".into(), said.into());
    Value::Object(package)
}

fn package_of(from: &BillPackage, reference: &str) -> Value {
    let mut package = blank(reference, &from.name, &from.version);
    if let Some(digest) = &from.sha512 {
        package.insert("checksums".into(), json!([{ "algorithm": "SHA512", "checksumValue": digest }]));
    }
    if from.embedded {
        package.insert("sourceInfo".into(), "built from the source of the plugin that contains it".into());
    } else {
        package.insert(
            "externalRefs".into(),
            json!([{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl::npm(&from.name, &from.version),
            }]),
        );
    }
    Value::Object(package)
}
