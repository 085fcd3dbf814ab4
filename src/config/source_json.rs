//! `source.json`: where a workspace's code comes from.
//!
//! `repo`, `repo-ref` and `workspace-path` are the original's fields; `repo-flat` and `repo-backstage-version` are
//! those of RHDH's own export repository (`rhdh-plugin-export-overlays`), so that its folders work as they are.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{path, text};
use crate::error::{Place, redact};
use crate::store::git::split_steps;
use crate::{Error, Result};

pub mod edit;

pub use edit::NewSource;

/// The name of the file.
pub const FILE_NAME: &str = "source.json";

/// The fields that are read.
pub(super) const FIELDS: [&str; 5] = ["repo", "repo-ref", "workspace-path", "repo-flat", "repo-backstage-version"];

const HINT: &str = r#"write `{ "repo": "https://…", "repo-ref": "main", "workspace-path": "workspaces/…" }`"#;

/// A repository as it was written: an HTTPS or SSH URL, `file://`, or a path.
///
/// It can hold a password. `Debug` and `Display` show [`Repo::public`], never the password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Repo(String);

/// What `source.json` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceJson {
    /// The repository.
    pub repo: Repo,
    /// Branch, tag or commit; empty for the repository's default branch (absent, empty and `null` are the same).
    pub requested: String,
    /// The workspace's folder from the repository's root, in its normal form.
    pub workspace_path: Option<String>,
    /// `repo-flat`: true when the repository is the workspace, false for `workspaces/<name>`.
    pub flat: Option<bool>,
    /// `repo-backstage-version`: the Backstage version of the code at that commit.
    pub backstage_version: Option<String>,
    /// Names of fields that nothing reads.
    pub unknown: Vec<String>,
}

impl SourceJson {
    /// Reads a `source.json`; `None` when the file does not exist.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        text::read(path)?.map(|text| Self::parse(&text, path)).transpose()
    }

    /// Reads the text of a `source.json`; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        text::json(path, text, HINT)
    }

    /// Like [`SourceJson::read`] where the file has to exist.
    pub fn read_required(path: &Path) -> Result<Self> {
        Self::read(path)?.ok_or_else(|| Error::config(Place::file(path), "does not exist", HINT))
    }

    /// The workspace's folder: `workspace-path` if given, else by `repo-flat`; `None` when neither is there.
    ///
    /// `name` is the workspace's name, which RHDH's layout takes from the configuration folder. In that layout
    /// (`overlays`), a `source.json` without `repo-flat` is one that says `false`.
    pub fn effective_path(&self, name: &str, overlays: bool) -> Option<String> {
        let flat = self.flat.or(overlays.then_some(false));
        self.workspace_path
            .clone()
            .or_else(|| flat.map(|flat| if flat { ".".to_owned() } else { format!("workspaces/{name}") }))
    }
}

impl Repo {
    /// Checks a repository's URL or path; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty");
        }
        // Git would take it for an option.
        if text.starts_with('-') {
            return Err("starts with `-`");
        }
        if text.chars().any(char::is_control) {
            return Err("has a control character in it");
        }
        if let Some(oddity) = redact::oddity(text) {
            return Err(oddity);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text to connect with, userinfo included. For git alone: never for a log, a message or the lock.
    pub fn with_credentials(&self) -> &str {
        &self.0
    }

    /// The text without userinfo. An SSH user name stays, because the address is wrong without it; a password goes.
    pub fn public(&self) -> String {
        redact::repository(&self.0)
    }

    /// The repository's own name: the last segment without `.git`.
    pub fn name(&self) -> Option<String> {
        let public = self.public();
        let last = public.trim_end_matches('/').rsplit(['/', ':']).next()?;
        let name = last.strip_suffix(".git").unwrap_or(last);
        (!matches!(name, "" | "." | "..")).then(|| name.to_owned())
    }
}

impl FromStr for Repo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public())
    }
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.public(), f)
    }
}

/// Checks a branch, tag or commit; the error says what is wrong with it.
pub fn check_ref(text: &str) -> Result<(), &'static str> {
    if text.starts_with('-') {
        return Err("starts with `-`");
    }
    // A name, and steps from it to another commit. What `git check-ref-format` forbids in every name.
    let (text, _) = split_steps(text);
    if text.contains("..") || text.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c)) {
        return Err("is not the name of a branch, a tag or a commit");
    }
    Ok(())
}

/// The same of the value of an option.
pub fn check_ref_option(option: &str, text: &str) -> Result<()> {
    check_ref(text).map_err(|what| Error::usage(format!("`{option}` {what}"), "give a branch, a tag or a commit"))
}

impl<'de> Deserialize<'de> for SourceJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = SourceJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a `repo`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SourceJson, A::Error> {
        let mut seen = Vec::new();
        let (mut repo, mut requested, mut workspace_path) = (None, None, None);
        let (mut flat, mut backstage_version) = (None, None);
        let mut unknown = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("`{key}` is given twice")));
            }
            let wrong = |what: &str| A::Error::custom(format!("`{key}` {what}"));
            match key.as_str() {
                "repo" => {
                    let text = map.next_value::<TextField>().map_err(|e| in_field(&key, &e))?;
                    repo = text.0.map(|text| Repo::parse(&text)).transpose().map_err(wrong)?;
                }
                "repo-ref" => {
                    requested = map.next_value::<TextField>().map_err(|e| in_field(&key, &e))?.0;
                    check_ref(requested.as_deref().unwrap_or_default()).map_err(wrong)?;
                }
                "workspace-path" => {
                    let text = map.next_value::<TextField>().map_err(|e| in_field(&key, &e))?;
                    workspace_path = text.0.map(|text| path::inside(&text)).transpose().map_err(wrong)?;
                }
                "repo-flat" => flat = map.next_value::<FlatField>().map_err(|e| in_field(&key, &e))?.0,
                "repo-backstage-version" => {
                    backstage_version = map.next_value::<TextField>().map_err(|e| in_field(&key, &e))?.0;
                }
                // For editors.
                "$schema" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    unknown.push(key.clone());
                }
            }
            seen.push(key);
        }
        let repo = repo.ok_or_else(|| A::Error::custom("`repo` is missing"))?;
        let requested = requested.unwrap_or_default();
        Ok(SourceJson { repo, requested, workspace_path, flat, backstage_version, unknown })
    }
}

/// Puts the field's name before a message; `serde_json` keeps the position.
fn in_field<E: serde::de::Error>(key: &str, error: &E) -> E {
    E::custom(format!("`{key}`: {error}"))
}

/// A text; `null` and the empty text are as if the field were absent.
struct TextField(Option<String>);

impl<'de> Deserialize<'de> for TextField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty())))
    }
}

/// A bool, or one of the texts "true" and "false" (which GitHub's workflows write).
struct FlatField(Option<bool>);

impl<'de> Deserialize<'de> for FlatField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoolOrText;
        impl Visitor<'_> for BoolOrText {
            type Value = FlatField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or one of them as a text")
            }

            fn visit_bool<E>(self, flat: bool) -> Result<FlatField, E> {
                Ok(FlatField(Some(flat)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FlatField, E> {
                match text {
                    "true" => Ok(FlatField(Some(true))),
                    "false" => Ok(FlatField(Some(false))),
                    "" => Ok(FlatField(None)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_unit<E>(self) -> Result<FlatField, E> {
                Ok(FlatField(None))
            }
        }
        deserializer.deserialize_any(BoolOrText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SourceJson, String> {
        SourceJson::parse(text, Path::new("source.json")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_originals_fields() {
        let source =
            parse(r#"{"repo":"https://example.com/a/b","repo-ref":"main","workspace-path":"./workspaces/todo/"}"#);
        assert_eq!(
            source.unwrap(),
            SourceJson {
                repo: Repo("https://example.com/a/b".to_owned()),
                requested: "main".to_owned(),
                workspace_path: Some("workspaces/todo".to_owned()),
                flat: None,
                backstage_version: None,
                unknown: vec![],
            }
        );
    }

    #[test]
    fn no_ref_an_empty_one_and_null_mean_the_default_branch() {
        for reference in ["", r#","repo-ref":"""#, r#","repo-ref":null"#] {
            let source = parse(&format!(r#"{{"repo":"x"{reference}}}"#)).unwrap();
            assert_eq!(source.requested, "");
            assert_eq!(source.effective_path("todo", false), None);
        }
    }

    #[test]
    fn repo_flat_is_a_bool_or_a_text() {
        for (flat, path) in [
            ("true", Some(".")),
            (r#""true""#, Some(".")),
            ("false", Some("workspaces/todo")),
            (r#""false""#, Some("workspaces/todo")),
            ("null", None),
        ] {
            let source = parse(&format!(r#"{{"repo":"x","repo-flat":{flat}}}"#)).unwrap();
            assert_eq!(source.effective_path("todo", false).as_deref(), path, "{flat}");
            assert_eq!(source.effective_path("todo", true).as_deref(), path.or(Some("workspaces/todo")), "{flat}");
        }
        let both = parse(r#"{"repo":"x","repo-flat":true,"workspace-path":"a"}"#).unwrap();
        assert_eq!(both.effective_path("todo", true).as_deref(), Some("a"));
    }

    #[test]
    fn other_fields_are_kept_by_name() {
        assert_eq!(parse(r#"{"$schema":"./s.json","repo":"x"}"#).unwrap().unknown, [""; 0]);
        assert_eq!(parse(r#"{"repo":"x","note":{"a":[1]},"z":1}"#).unwrap().unknown, ["note", "z"]);
    }

    #[test]
    fn errors_have_a_place_and_say_what() {
        let message = |text| parse(text).unwrap_err();
        insta::assert_snapshot!(message("{\n  \"repo\": 5\n}"), @"source.json:2:11: `repo`: invalid type: integer `5`, expected a string");
        insta::assert_snapshot!(message("{}"), @"source.json:1:2: `repo` is missing");
        insta::assert_snapshot!(message(""), @"source.json:1:1: EOF while parsing a value");
        insta::assert_snapshot!(message("[]"), @"source.json:1:1: invalid type: sequence, expected an object with a `repo`");
        insta::assert_snapshot!(message("{\"repo\": \"x\",\n}"), @"source.json:2:1: trailing comma");
        insta::assert_snapshot!(message("{\"repo\": \"x\",\n\"repo\": \"y\"}"), @"source.json:2:6: `repo` is given twice");
        insta::assert_snapshot!(message(r#"{"repo": "--upload-pack=x"}"#), @"source.json:1:27: `repo` starts with `-`");
        insta::assert_snapshot!(message(r#"{"repo": ""}"#), @"source.json:1:12: `repo` is missing");
        for (text, is_right) in
            [("main~1", true), ("v1^{commit}^", true), ("a~b", false), ("a^{tree}", false), ("a..b~1", false)]
        {
            assert_eq!(check_ref(text).is_ok(), is_right, "{text}");
        }
        insta::assert_snapshot!(message(r#"{"repo": "x", "repo-ref": "a b"}"#), @"source.json:1:32: `repo-ref` is not the name of a branch, a tag or a commit");
        insta::assert_snapshot!(message(r#"{"repo": "x", "repo-flat": "yes"}"#), @r#"source.json:1:32: `repo-flat`: invalid value: string "yes", expected true, false, or one of them as a text"#);
        insta::assert_snapshot!(message(r#"{"repo": "x", "repo-flat": 1}"#), @"source.json:1:28: `repo-flat`: invalid type: integer `1`, expected true, false, or one of them as a text");
        insta::assert_snapshot!(message(r#"{"repo": "x", "workspace-path": "../x"}"#), @"source.json:1:39: `workspace-path` leads out of its folder with `..`");
        insta::assert_snapshot!(message(r#"{"repo": "x", "workspace-path": "/x"}"#), @"source.json:1:37: `workspace-path` is absolute, but has to be relative");
    }

    #[test]
    fn a_missing_file_is_named_with_the_next_step() {
        let error = SourceJson::read_required(Path::new("/nowhere/source.json")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/source.json: does not exist");
        assert_eq!(error.hint().as_deref(), Some(HINT));
    }

    #[test]
    fn a_password_is_never_shown() {
        for (repo, public, name) in [
            ("https://user:s3cret@example.com/a/b.git", "https://example.com/a/b.git", "b"),
            ("https://s3cret@example.com/a/b/", "https://example.com/a/b/", "b"),
            ("https://u:s3@cret@example.com/a", "https://example.com/a", "a"),
            ("ssh://git:s3cret@example.com:22/a/b", "ssh://git@example.com:22/a/b", "b"),
            ("git@example.com:a/b.git", "git@example.com:a/b.git", "b"),
            ("git@example.com:b.git", "git@example.com:b.git", "b"),
            ("https://example.com/a@b/c", "https://example.com/a@b/c", "c"),
            ("../repos/x", "../repos/x", "x"),
            ("https://u:s3?cret@example.com/a/b.git?token=s3cret", "https://example.com/a/b.git", "b"),
            ("git:s3cret@example.com:b.git", "git@example.com:b.git", "b"),
        ] {
            let repo = Repo::parse(repo).unwrap();
            assert_eq!(repo.public(), public);
            assert_eq!(repo.name().as_deref(), Some(name));
            assert!(!format!("{repo} {repo:?}").contains("s3"));
        }
        assert_eq!(Repo::parse("..").unwrap().name(), None);
    }
}
