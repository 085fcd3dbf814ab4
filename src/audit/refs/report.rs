//! What was found of references: lines for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::json;
use crate::lock::Sha256;
use crate::ui::{count, some_names};

/// The format of the JSON.
pub const FORMAT: u32 = 1;

/// What is said of archives that are not there.
pub(super) const NOT_BESIDE: &str = "not beside the list";

/// What was found of the references of some files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RefsReport {
    /// Format version.
    pub version: u32,
    /// The files, as they were given.
    pub files: Vec<String>,
    /// The lock whose plugins were looked for; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// True if no registry was asked.
    pub offline: bool,
    /// The references, in the order of the files.
    pub references: Vec<CheckedRef>,
    /// The lists that are included and are none of the files, which were not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    /// What is wrong, by file and line; what is about the lock is last.
    pub faults: Vec<RefFault>,
}

/// A reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CheckedRef {
    /// The file.
    pub file: String,
    /// Its line.
    pub line: usize,
    /// As it is written, without passwords.
    pub reference: String,
    /// What it refers to.
    pub kind: RefKind,
    /// Whether the list disables it.
    pub disabled: bool,
    /// What picks one image of its repository; absent for what is no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<RefPin>,
    /// The digest of the image, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256>,
    /// The folder that the plugin is installed into, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What of it was not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefKind {
    /// An image of a registry.
    Image,
    /// A `.tgz` at a path.
    Archive,
    /// A `.tgz` at an address.
    Url,
    /// A package of an npm registry.
    Package,
    /// A folder of RHDH's own image.
    Folder,
    /// Nothing that RHDH's installers know.
    Unknown,
}

/// What picks one image of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefPin {
    /// Its digest.
    Digest,
    /// A tag, which can be moved.
    Tag,
    /// `{{inherit}}`: what an included list says.
    Inherited,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RefFault {
    /// The file; the lock's for a plugin that no file has.
    pub file: String,
    /// Its line, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The reference, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What is wrong.
    pub fault: RefFaultKind,
    /// The same in words; a sentence that begins with the reference.
    pub message: String,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefFaultKind {
    /// An entry refers to nothing.
    NoReference,
    /// RHDH's installers cannot read it.
    Malformed,
    /// It is pinned by a tag, and a digest is required.
    NotPinned,
    /// No other list says what is inherited.
    NothingToInherit,
    /// The registry has no such image.
    Missing,
    /// The registry could not be asked.
    Unanswered,
    /// What the registry has is no image that RHDH installs.
    Unreadable,
    /// The registry has another image under the digest.
    OtherDigest,
    /// The image has no plugin at this path.
    NoSuchPlugin,
    /// The image has no plugin, or several, and the reference does not say which.
    PathNeeded,
    /// The image's layer does not have the folders that its annotation names.
    OtherFolders,
    /// The same plugin is in one file twice.
    ListedTwice,
    /// Another image is installed into the same folder.
    SamePath,
    /// It has no integrity.
    NoIntegrity,
    /// Its integrity is none.
    BadIntegrity,
    /// The archive has another integrity.
    OtherIntegrity,
    /// It is not what the lock has sealed.
    NotSealed,
    /// A plugin of the lock that no file refers to.
    NotListed,
}

impl RefsReport {
    /// The JSON.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// A line for each fault, and what was looked at.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for fault in &self.faults {
            let line = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
            let reference = fault.reference.as_ref().map(|text| format!("`{}` ", text.escape_debug()));
            let _ = writeln!(text, "{}{line}: {}{}", fault.file, reference.unwrap_or_default(), fault.message);
        }
        if !self.faults.is_empty() {
            text.push('\n');
        }
        let kinds = self.kinds();
        let colon = if kinds.is_empty() { "" } else { ": " };
        let files = count(self.files.len(), "file");
        let _ = writeln!(text, "{} in {files}{colon}{kinds}", count(self.references.len(), "reference"));
        for (reason, unchecked) in self.unchecked() {
            let names =
                if reason == NOT_BESIDE { format!(": {}", some_names(unchecked.iter())) } else { String::new() };
            let _ = writeln!(text, "not checked: {} {reason}{names}", unchecked.len());
        }
        if !self.not_read.is_empty() {
            let (lists, names) = (count(self.not_read.len(), "included list"), some_names(self.not_read.iter()));
            let _ = writeln!(text, "not checked: {lists}, not among the files: {names}");
        }
        match self.faults.len() {
            0 => text.push_str("no faults\n"),
            n => {
                let _ = writeln!(text, "{}", count(n, "fault"));
            }
        }
        text
    }

    /// How many there are of what.
    fn kinds(&self) -> String {
        let of = |wanted: &dyn Fn(&CheckedRef) -> bool| self.references.iter().filter(|one| wanted(one)).count();
        let pinned = |pin: RefPin| of(&move |one: &CheckedRef| one.pinned == Some(pin));
        let kind = |kind: RefKind| of(&move |one: &CheckedRef| one.kind == kind);
        let parts = [
            (pinned(RefPin::Digest), "image", " by digest"),
            (pinned(RefPin::Tag), "image", " by tag"),
            (pinned(RefPin::Inherited), "image", " by `{{inherit}}`"),
            (kind(RefKind::Archive) + kind(RefKind::Url), "archive", ""),
            (kind(RefKind::Package), "npm package", ""),
            (kind(RefKind::Folder), "folder", " of RHDH's image"),
            (kind(RefKind::Unknown), "unknown", ""),
        ];
        let known = parts.into_iter().filter(|(n, ..)| *n > 0);
        let words = known.map(|(n, noun, rest)| match noun {
            "unknown" => format!("{n} unreadable"),
            noun => format!("{}{rest}", count(n, noun)),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The references of which something was not checked, by what that is.
    fn unchecked(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for one in &self.references {
            if let Some(reason) = &one.unchecked {
                reasons.entry(reason).or_default().push(&one.reference);
            }
        }
        reasons
    }
}
