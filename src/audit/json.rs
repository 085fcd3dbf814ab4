//! Answers as JSON, and the schema of the changes.

use serde::Serialize;
use serde_json::Value;

use super::diff::Diff;

/// The JSON of an answer, with a final newline.
///
/// # Panics
/// Never: all that is answered is plain data.
pub fn render(answer: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(answer).expect("it is plain data");
    text.push('\n');
    text
}

/// The schema of that JSON: what `schema/factory.diff.schema.json` holds.
pub fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft07().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Diff>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".into(), "urn:factory:schema:diff".into());
        root.insert("title".into(), "factory diff --format json".into());
    }
    schema
}
