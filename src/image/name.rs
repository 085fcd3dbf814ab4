//! The names of a plugin's folder in RHDH, of its image and its tag.

use std::fmt;

use serde::Serialize;

use crate::{Error, Result};

/// Names in RHDH's plugin folder that are not plugins: the installer's own files and what Node and mkfs put there.
const RESERVED: [&str; 5] =
    ["app-config.dynamic-plugins.yaml", "index.json", "install-dynamic-plugins.lock", "lost+found", "node_modules"];

/// The folder a plugin is installed into, and the first segment of every entry of its layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ImagePath(String);

impl ImagePath {
    /// From the *exported* package's name: without `@`, `/` → `-`, without the trailing `-dynamic`.
    pub fn of_package(exported_name: &str) -> Result<Self> {
        let flat = flatten(exported_name);
        let path = flat.strip_suffix("-dynamic").unwrap_or(&flat);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        let what = if path.is_empty() {
            "leaves no name for the plugin's folder".to_owned()
        } else if path.starts_with('.') || !path.bytes().all(plain) || path.len() > 214 {
            "is not a valid npm package name".to_owned()
        } else if RESERVED.contains(&path) {
            format!("would install over `{path}` in RHDH's plugin folder")
        } else {
            return Ok(Self(path.to_owned()));
        };
        Err(bad_name(exported_name, &what, "rename the package: its name becomes a folder of RHDH"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last segment of an image's repository: `<registry>/<namespace>/<this>:<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ImageName(String);

impl ImageName {
    /// From the *source* package's name: without `@`, `/` → `-`.
    pub fn of_package(source_name: &str) -> Result<Self> {
        let name = flatten(source_name);
        if is_repository_segment(&name) && name.len() <= 214 {
            return Ok(Self(name));
        }
        Err(bad_name(
            source_name,
            "is not a valid image name",
            "an image name has lower-case letters and digits with single `.`, `_`, `__` or dashes between them: rename the package",
        ))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tag of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// `prefix` + version, `+` → `_`, held to the tag grammar of the OCI distribution spec.
    pub fn of_version(prefix: &str, version: &str) -> Result<Self> {
        let tag = format!("{prefix}{version}").replace('+', "_");
        let mut bytes = tag.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if first && tag.len() <= 128 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return Ok(Self(tag));
        }
        Err(Error::usage(
            format!("`{}` is not a valid image tag", tag.escape_debug()),
            "a tag has up to 128 letters, digits, `_`, `.` and `-`, and starts with a letter, a digit or `_`: change the version or the tag prefix",
        ))
    }

    /// The sentence for the report when the tag is not simply the version, because of a `+` in it.
    pub fn change(&self, prefix: &str, version: &str) -> Option<String> {
        version.contains('+').then(|| {
            format!(
                "version `{version}` is tagged `{self}`{}: a tag cannot hold `+`",
                match prefix {
                    "" => String::new(),
                    prefix => format!(" (with the prefix `{prefix}`)"),
                }
            )
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a plugin's image is called, and the folder RHDH installs it into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageNames {
    /// The folder.
    pub path: ImagePath,
    /// The image's name.
    pub name: ImageName,
    /// The image's tag.
    pub tag: Tag,
}

macro_rules! shown {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

shown!(ImagePath, ImageName, Tag);

/// What an image is called in an OCI layout: `<name>:<tag>`, and `--` where two or more of `.`, `_` and `-` meet.
///
/// skopeo takes a name only in the grammar of the image spec's annotations, which knows single separators and `--`
/// (tags like `bs_1.45.3__1.2.3` are common, and `a__b` is a good name in a registry).
pub fn layout_reference(name: &ImageName, tag: &Tag) -> String {
    let separator = |c: char| matches!(c, '.' | '_' | '-');
    let plain = |text: &str| {
        let mut out = String::new();
        let mut rest = text.trim_matches(separator);
        while let Some(at) = rest.find(separator) {
            let after = rest[at..].trim_start_matches(separator);
            let met = &rest[at..rest.len() - after.len()];
            out.push_str(&rest[..at]);
            out.push_str(if met.len() == 1 { met } else { "--" });
            rest = after;
        }
        out + rest
    };
    format!("{}:{}", plain(name.as_str()), plain(tag.as_str()))
}

fn flatten(package: &str) -> String {
    package.chars().filter(|c| *c != '@').map(|c| if c == '/' { '-' } else { c }).collect()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI distribution spec, "Pulling manifests").
pub(super) fn is_repository_segment(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separators = text.split(|c: char| c.is_ascii() && alphanumeric(c as u8)).filter(|part| !part.is_empty());
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| alphanumeric(*byte));
    ends(text.as_bytes().first())
        && ends(text.as_bytes().last())
        && separators.all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-'))
}

fn bad_name(name: &str, what: &str, hint: &str) -> Error {
    Error::usage(format!("package name `{}` {what}", name.escape_debug()), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_exported_name_without_scope_sign_and_dynamic() {
        for (package, path) in [
            ("@backstage-community/plugin-todo-dynamic", "backstage-community-plugin-todo"),
            ("@backstage-community/plugin-todo", "backstage-community-plugin-todo"),
            ("plugin-dynamic-things-dynamic", "plugin-dynamic-things"),
            ("a-dynamic-dynamic", "a-dynamic"),
        ] {
            assert_eq!(ImagePath::of_package(package).unwrap().as_str(), path);
        }
    }

    #[test]
    fn folders_that_would_leave_or_break_the_plugin_folder_are_refused() {
        for (package, what) in [
            ("", "leaves no name for the plugin's folder"),
            ("-dynamic", "leaves no name for the plugin's folder"),
            ("..", "is not a valid npm package name"),
            (".-dynamic", "is not a valid npm package name"),
            ("a b-dynamic", "is not a valid npm package name"),
            ("a\u{2028}", "is not a valid npm package name"),
            ("a!b", "is not a valid npm package name"),
            ("index.json", "would install over `index.json` in RHDH's plugin folder"),
            ("node_modules-dynamic", "would install over `node_modules` in RHDH's plugin folder"),
        ] {
            let error = ImagePath::of_package(package).unwrap_err();
            assert_eq!(error.to_string(), format!("package name `{}` {what}", package.escape_debug()));
            assert_eq!(error.exit_code(), 2);
        }
        assert!(ImagePath::of_package(&"a".repeat(215)).is_err());
    }

    #[test]
    fn the_image_is_called_after_the_source_package() {
        assert_eq!(
            ImageName::of_package("@backstage-community/plugin-todo").unwrap().as_str(),
            "backstage-community-plugin-todo"
        );
        for good in ["a", "a.b", "a_b", "a__b", "a---b", "0a9"] {
            assert!(ImageName::of_package(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "_a", "a_", "a..b", "a___b", "a.-b", "a~b", "é", "-a", "a b"] {
            let error = ImageName::of_package(bad).unwrap_err();
            assert_eq!(error.to_string(), format!("package name `{bad}` is not a valid image name"));
        }
    }

    #[test]
    fn a_plus_in_a_version_becomes_an_underscore_and_is_reported() {
        let tag = Tag::of_version("", "1.2.3+build.4").unwrap();
        assert_eq!(tag.as_str(), "1.2.3_build.4");
        assert_eq!(
            tag.change("", "1.2.3+build.4").unwrap(),
            "version `1.2.3+build.4` is tagged `1.2.3_build.4`: a tag cannot hold `+`"
        );
        let tag = Tag::of_version("bs_1.45.3__", "1.2.3").unwrap();
        assert_eq!((tag.as_str(), tag.change("bs_1.45.3__", "1.2.3")), ("bs_1.45.3__1.2.3", None));
    }

    #[test]
    fn tags_outside_the_grammar_are_refused() {
        assert_eq!(Tag::of_version("", &"1".repeat(128)).unwrap().as_str().len(), 128);
        for (prefix, version) in
            [("", ""), ("-", "1.0.0"), (".", "1"), ("a/", "1"), ("é", "1"), ("", "1:2"), ("", "1 2")]
        {
            let error = Tag::of_version(prefix, version).unwrap_err();
            assert_eq!(error.to_string(), format!("`{prefix}{version}` is not a valid image tag"));
            assert_eq!(error.exit_code(), 2);
        }
        assert!(Tag::of_version("", &"1".repeat(129)).is_err());
    }

    #[test]
    fn references_are_what_skopeo_takes() {
        for (name, prefix, expected) in [
            ("@x/plugin-todo", "", "x-plugin-todo:1.2.3"),
            ("a__b", "bs_1.45.3__", "a--b:bs_1.45.3--1.2.3"),
            ("a---b.c", "x._-", "a--b.c:x--1.2.3"),
            ("a_b", "_", "a_b:1.2.3"),
        ] {
            let tag = Tag::of_version(prefix, "1.2.3").unwrap();
            assert_eq!(layout_reference(&ImageName::of_package(name).unwrap(), &tag), expected);
        }
    }

    #[test]
    fn a_folder_has_at_most_the_letters_of_a_package_name() {
        let longest = "a".repeat(214);
        assert_eq!(ImagePath::of_package(&longest).unwrap().as_str(), longest);
        let error = ImagePath::of_package(&format!("{longest}a")).unwrap_err().to_string();
        assert!(error.contains("is not a valid npm package name"), "{error}");
    }
}
