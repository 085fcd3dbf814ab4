//! Writing a `source.json`: another ref in an existing text, or a whole new one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::value::RawValue;

use super::{Repo, SourceJson};
use crate::error::Place;
use crate::{Error, Result};

const REF: &str = "repo-ref";

impl SourceJson {
    /// The text of a `source.json` with another `repo-ref`. All the rest stays byte for byte.
    pub fn with_ref(text: &str, path: &Path, reference: &str) -> Result<String> {
        let before = Self::parse(text, path)?;
        let cannot = || {
            let hint = format!("write `\"{REF}\": {}` in it", quoted(reference));
            Error::config(Place::file(path), format!("`{REF}` cannot be changed in this file"), hint)
        };
        let changed = changed(text, reference).ok_or_else(cannot)?;
        let expected = Self { requested: reference.to_owned(), ..before };
        if Self::parse(&changed, path).is_ok_and(|after| after == expected) { Ok(changed) } else { Err(cannot()) }
    }
}

/// What a new `source.json` is to say.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// The repository.
    pub repo: Repo,
    /// Branch, tag or commit; empty for the default branch.
    pub reference: String,
    /// The workspace's folder in the repository, `.` for the repository itself.
    pub workspace_path: String,
    /// The Backstage version of the code, where RHDH's layout says it.
    pub backstage_version: Option<String>,
}

impl NewSource {
    /// The text. In the layout of RHDH's export repository, a folder named `overlays` says where the workspace is.
    pub fn to_text(&self, overlays: Option<&str>) -> String {
        let mut fields = serde_json::Map::new();
        fields.insert("repo".into(), self.repo.public().into());
        if !self.reference.is_empty() {
            fields.insert(REF.into(), self.reference.clone().into());
        }
        let is_flat = self.workspace_path == ".";
        match overlays {
            Some(name) if is_flat || self.workspace_path == format!("workspaces/{name}") => {
                fields.insert("repo-flat".into(), is_flat.into());
            }
            _ => drop(fields.insert("workspace-path".into(), self.workspace_path.clone().into())),
        }
        if let Some(version) = &self.backstage_version {
            fields.insert("repo-backstage-version".into(), version.clone().into());
        }
        format!("{:#}\n", serde_json::Value::Object(fields))
    }
}

fn changed(text: &str, reference: &str) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let span = |name: &str| fields.get(name).and_then(|value| span(text, value.get()));
    if let Some(old) = span(REF) {
        return Some(format!("{}{}{}", &text[..old.start], quoted(reference), &text[old.end..]));
    }
    // Behind the repository, as it stands there itself.
    let repo = span("repo")?;
    let key = text[..repo.start].trim_end().strip_suffix(':')?.trim_end().strip_suffix("\"repo\"")?;
    let gap = &key[key.trim_end().len()..];
    let gap = if gap.is_empty() { " " } else { gap };
    let (before, after) = text.split_at(repo.end);
    Some(format!("{before},{gap}\"{REF}\": {}{after}", quoted(reference)))
}

/// Where a part of a text is in it.
fn span(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let span = start..start + part.len();
    (text.get(span.clone()) == Some(part)).then_some(span)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ref(text: &str) -> String {
        SourceJson::with_ref(text, Path::new("source.json"), "v2").unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn only_the_ref_changes() {
        for (before, after) in [
            (r#"{"repo":"x","repo-ref":"main"}"#, r#"{"repo":"x","repo-ref":"v2"}"#),
            (r#"{ "repo-ref" : null , "repo":"x" }"#, r#"{ "repo-ref" : "v2" , "repo":"x" }"#),
            (
                "{\n  \"repo\": \"x\",\n  \"other\": [1]\n}\n",
                "{\n  \"repo\": \"x\",\n  \"repo-ref\": \"v2\",\n  \"other\": [1]\n}\n",
            ),
            (r#"{"workspace-path":"w","repo":"x"}"#, r#"{"workspace-path":"w","repo":"x", "repo-ref": "v2"}"#),
        ] {
            assert_eq!(with_ref(before), after);
        }
    }

    #[test]
    fn what_is_written_in_an_odd_way_is_left_to_the_user() {
        assert_eq!(with_ref(r#"{"re\u0070o":"x"}"#), "source.json: `repo-ref` cannot be changed in this file");
    }
}
