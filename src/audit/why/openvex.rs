//! `OpenVEX` v0.2.0: whether the images of a lock are affected by a vulnerability of a package.
//!
//! A statement says `not_affected` only where the sealed files prove it, and is about images, by their digests. The time
//! is that of the newest commit and the identifier is made of the content, so that documents are reproducible.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{ShippedVersion, Why, WhyAnswer, WhyPlugin};
use crate::audit::sbom::purl;
use crate::audit::sbom::stamp::{time, uuid};
use crate::audit::shipped::ShippedPlugin;
use crate::error::Result;
use crate::image::name::{ImageName, Tag};

/// Where a document comes from, and what it is about.
pub struct VexSubject<'a> {
    /// The vulnerability: `CVE-2021-23337`.
    pub vulnerability: &'a str,
    /// Who says it.
    pub author: &'a str,
}

/// What is said of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum VexStatus {
    Affected,
    UnderInvestigation,
    OtherVersion,
    OfHost,
    NotPresent,
}

impl VexStatus {
    fn of(why: &Why, plugin: &WhyPlugin) -> Self {
        let is_in_question = |version: &&ShippedVersion| version.matches != Some(false);
        match plugin.answer {
            WhyAnswer::Unknown => Self::UnderInvestigation,
            WhyAnswer::Shipped if plugin.shipped.iter().any(|version| version.matches == Some(true)) => Self::Affected,
            // Of a plugin of which not all is known, another version proves nothing.
            WhyAnswer::Shipped if plugin.unknown.is_some() => Self::UnderInvestigation,
            WhyAnswer::Shipped if why.range.is_none() || plugin.shipped.iter().find(is_in_question).is_some() => {
                Self::UnderInvestigation
            }
            WhyAnswer::Shipped => Self::OtherVersion,
            WhyAnswer::Host => Self::OfHost,
            WhyAnswer::Absent => Self::NotPresent,
        }
    }

    fn say(self, why: &Why, statement: &mut Map<String, Value>) {
        let package = &why.package;
        let range = why.range.as_deref().unwrap_or("*");
        let (status, rest) = match self {
            Self::Affected => (
                "affected",
                vec![("action_statement", format!("Move `{package}` to a version that is not in the range `{range}`"))],
            ),
            Self::UnderInvestigation => ("under_investigation", vec![]),
            Self::OtherVersion => (
                "not_affected",
                vec![
                    ("justification", "vulnerable_code_not_present".to_owned()),
                    ("impact_statement", format!("No version of `{package}` in the image is in the range `{range}`")),
                ],
            ),
            Self::OfHost => (
                "not_affected",
                vec![
                    ("justification", "component_not_present".to_owned()),
                    ("impact_statement", format!("The image does not have `{package}`: the plugin takes it from RHDH")),
                ],
            ),
            Self::NotPresent => ("not_affected", vec![("justification", "component_not_present".to_owned())]),
        };
        statement.insert("status".into(), status.into());
        statement.extend(rest.into_iter().map(|(key, value)| (key.to_owned(), value.into())));
    }
}

/// The document, with a final newline. `plugins` are those of the answer, in its order. Plugins that are not sealed have no
/// image that could be named: no statement is made about them.
pub fn document(why: &Why, plugins: &[ShippedPlugin<'_>], subject: &VexSubject<'_>) -> Result<String> {
    let mut products: BTreeMap<VexStatus, Vec<Value>> = BTreeMap::new();
    for (answer, plugin) in why.plugins.iter().zip(plugins) {
        if let Some(product) = product(why, answer, plugin)? {
            products.entry(VexStatus::of(why, answer)).or_default().push(product);
        }
    }
    let statements: Vec<Value> = products
        .into_iter()
        .map(|(status, products)| {
            let mut statement = Map::new();
            statement.insert("vulnerability".into(), json!({ "name": subject.vulnerability }));
            statement.insert("products".into(), products.into());
            status.say(why, &mut statement);
            Value::Object(statement)
        })
        .collect();
    let epoch = plugins.iter().map(|plugin| plugin.workspace.source.epoch).max().unwrap_or(0);
    let content = json!({
        "author": subject.author,
        "timestamp": time(epoch),
        "version": 1,
        "tooling": concat!("factory ", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    });
    let mut document = Map::new();
    document.insert("@context".into(), "https://openvex.dev/ns/v0.2.0".into());
    document.insert("@id".into(), format!("urn:uuid:{}", uuid(&content)).into());
    if let Value::Object(content) = content {
        document.extend(content);
    }
    Ok(format!("{:#}\n", Value::Object(document)))
}

fn product(why: &Why, answer: &WhyPlugin, plugin: &ShippedPlugin<'_>) -> Result<Option<Value>> {
    let Some(sealed) = &plugin.plugin.sealed else { return Ok(None) };
    let image = ImageName::of_package(&plugin.plugin.name)?;
    let tag = Tag::of_version("", &plugin.plugin.version)?;
    let purl = purl::oci(image.as_str(), &sealed.image.to_string(), tag.as_str());
    let mut product = Map::new();
    product.insert("@id".into(), purl.clone().into());
    product.insert("identifiers".into(), json!({ "purl": purl }));
    product.insert("hashes".into(), json!({ "sha-256": sealed.image.hex() }));
    let components: Vec<Value> =
        answer.shipped.iter().map(|version| json!({ "@id": purl::npm(&why.package, &version.version) })).collect();
    if !components.is_empty() {
        product.insert("subcomponents".into(), components.into());
    }
    Ok(Some(Value::Object(product)))
}
