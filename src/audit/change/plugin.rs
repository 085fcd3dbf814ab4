//! Arguments and their reasons, and the verdict over what was built.

use schemars::JsonSchema;
use serde::Serialize;

use super::workspace::FileChange;
use crate::lock::{ArgsFrom, Argument};

/// An argument, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExplainedArgument {
    /// `--flag value`
    pub argument: Argument,
    /// Why it was there, or is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What caused the change, as far as the two releases show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Where arguments came from, before and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ArgumentsOrigin {
    /// Before.
    pub from: ArgsFrom,
    /// Now.
    pub to: ArgsFrom,
}

/// The verdict over a sealed output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputVerdict {
    /// Other inputs, other output: as it should be.
    Changed,
    /// Equal inputs, other output: the build is not reproducible.
    Unreproducible,
    /// Other inputs, equal output: the change has no effect.
    WithoutEffect,
    /// The packages are equal, and the image says anew where it comes from.
    Restamped,
    /// Other inputs, and not built in one or both releases.
    Unbuilt,
}

/// A folder or file of the repository that a plugin is built from, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SourceChange {
    /// From the repository's root.
    pub path: String,
    /// What became of it.
    pub change: FileChange,
}

/// A kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputClass {
    /// Node.js, npm or rhdh-cli.
    Tools,
    /// What of the repository it is built from; by the first recipe the repository, commit or folder.
    Source,
    /// The workspace's yarn.
    Yarn,
    /// Patches, overlays and other files.
    Files,
    /// The plugin's folder.
    Path,
    /// The arguments.
    Arguments,
    /// The private dependencies.
    Dependencies,
    /// How bytes are made of all of it: by another version of factory.
    Recipe,
    /// Something else that the digest of inputs holds.
    Other,
}

impl InputClass {
    /// A noun.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Source => "source",
            Self::Yarn => "yarn",
            Self::Files => "files",
            Self::Path => "path",
            Self::Arguments => "arguments",
            Self::Dependencies => "dependencies",
            Self::Recipe => "recipe",
            Self::Other => "other inputs",
        }
    }
}

/// A kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputClass {
    /// The `.tgz`.
    Tgz,
    /// The image's layer.
    Layer,
    /// The image's manifest.
    Image,
}

impl OutputClass {
    /// A noun.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tgz => "tgz",
            Self::Layer => "layer",
            Self::Image => "image",
        }
    }
}

/// Where two packages differ first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FirstDifference {
    /// The file, or the package in `node_modules`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What kind of file it is.
    pub class: String,
    /// How many differ.
    pub count: usize,
}
