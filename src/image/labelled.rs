//! Labels that a pushed image has, and the sealed one has not.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::manifest::{INPUTS, Image, PACKAGES, json};
use crate::lock::Sha256;
use crate::{Error, Result};

/// The annotations that images have anyway, which say other things than labels.
const OWN: [&str; 9] = [
    PACKAGES,
    INPUTS,
    "org.opencontainers.image.created",
    "org.opencontainers.image.description",
    "org.opencontainers.image.licenses",
    "org.opencontainers.image.revision",
    "org.opencontainers.image.source",
    "org.opencontainers.image.title",
    "org.opencontainers.image.version",
];

/// Labels of pushed images, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageLabels(BTreeMap<String, String>);

impl ImageLabels {
    /// Adds a label; what is wrong with it is the end of a sentence.
    pub fn add(&mut self, text: &str) -> Result<(), &'static str> {
        let (key, value) = text.split_once('=').ok_or("has no `=`")?;
        if key.is_empty() {
            return Err("has no key");
        }
        if text.chars().any(char::is_control) || key.contains(char::is_whitespace) {
            return Err("has a character that a label may not have");
        }
        if OWN.contains(&key) {
            return Err("is an annotation that the image has anyway");
        }
        match self.0.insert(key.to_owned(), value.to_owned()) {
            Some(before) if before != value => Err("is there with another value, too"),
            _ => Ok(()),
        }
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Image {
    /// The same content under another digest: with labels in its config, where registries read them, and in the
    /// annotations of its manifest, by which images with other labels are told apart.
    pub fn with_labels(&self, labels: &ImageLabels) -> Result<Self> {
        if labels.is_empty() {
            return Ok(self.clone());
        }
        let mut config = parsed(&self.config)?;
        let labelled = object(config.entry("config").or_insert(Value::Null));
        add(object(labelled.entry("Labels").or_insert(Value::Null)), labels);
        let config = json(&config);
        let config_digest = Sha256::of(&config);
        let mut manifest = parsed(&self.manifest)?;
        let descriptor = object(manifest.entry("config").or_insert(Value::Null));
        descriptor.insert("digest".to_owned(), config_digest.to_string().into());
        descriptor.insert("size".to_owned(), config.len().into());
        let annotations = object(manifest.entry("annotations").or_insert(Value::Null));
        add(annotations, labels);
        annotations.sort_keys();
        let manifest = json(&manifest);
        Ok(Self { digest: Sha256::of(&manifest), manifest, config, config_digest, ..self.clone() })
    }
}

fn add(to: &mut Map<String, Value>, labels: &ImageLabels) {
    to.extend(labels.0.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))));
}

fn parsed(bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::build(format!("labels cannot be added to the image: {error}"), "push it without `--label`")
    })
}

/// The object of a field; one that is there and is none becomes an empty one.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it is one now")
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{Facts, annotations};
    use super::super::name::ImagePath;
    use super::*;

    #[test]
    fn the_annotations_of_images_are_no_labels() {
        let facts = Facts {
            source: Some("https://example.com/x"),
            revision: Some("1"),
            version: "1.0.0",
            epoch: 0,
            inputs: Some(Sha256::of("x")),
        };
        let package = br#"{"name":"a","description":"b","license":"c"}"#;
        let all = annotations(&ImagePath::of_package("a-dynamic").unwrap(), package, &facts).unwrap();
        assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), OWN);
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let added = |texts: &[&str]| {
            let mut labels = ImageLabels::default();
            texts.iter().try_for_each(|text| labels.add(text)).map(|()| labels.0.into_iter().collect::<Vec<_>>())
        };
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(added(&["b=x=y, z", "a=", "a="]).unwrap(), [label("a", ""), label("b", "x=y, z")]);
        for (texts, why) in [
            (&["a"][..], "has no `=`"),
            (&[""], "has no `=`"),
            (&["=x"], "has no key"),
            (&["a\tb=x"], "has a character that a label may not have"),
            (&[" a=x"], "has a character that a label may not have"),
            (&["a=x\u{7}"], "has a character that a label may not have"),
            (&["io.factory.inputs=x"], "is an annotation that the image has anyway"),
            (&["a=1", "a=2"], "is there with another value, too"),
        ] {
            assert_eq!(added(texts).unwrap_err(), why, "{texts:?}");
        }
    }
}
