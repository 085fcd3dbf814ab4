//! Documents against the schemas of the project.

use std::fs;

use serde_json::Value;

use crate::project;

/// What is wrong with a document by a schema, which is named from the project's folder.
pub fn errors(schema: &str, document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(project().join(schema)).unwrap()).unwrap();
    jsonschema::draft7::new(&schema).unwrap().iter_errors(document).map(|error| error.to_string()).collect()
}

/// Fails if a document does not fit a schema.
#[track_caller]
pub fn fits(schema: &str, document: &Value) {
    assert_eq!(errors(schema, document), [""; 0]);
}
