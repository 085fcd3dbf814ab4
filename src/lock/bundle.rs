//! `bundle`, the file beside a lock that says which packages are in the bundles of a frontend plugin.
//!
//! ```text
//! # factory bundle 1
//! exposes dist .
//! package dist react 18.3.1 installed shares:react
//! shares dist react 18.3.1
//! unknown dist/static/7.js no-map
//! ```
//!
//! After the header one fact a line, sorted by its bytes; fields stand one space apart, and blanks and `%` in them are
//! percent-encoded. What no line says is not known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The first line.
const HEADER: &str = "# factory bundle 1";
/// The start of the first line of any format.
const HEADER_OF_ANY: &str = "# factory bundle ";

/// What is in the bundles of a frontend plugin, as far as they say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The modules that RHDH can load.
    pub exposes: BTreeSet<ExposedModule>,
    /// The packages whose code is in the files, without the plugin itself.
    pub packages: BTreeSet<BundledPackage>,
    /// The packages that are shared with the host at run time.
    pub shares: BTreeSet<SharedPackage>,
    /// What could not be told: where there is any, packages may be missing above.
    pub unknown: BTreeSet<UnknownPart>,
}

/// A module that a bundle exposes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposedModule {
    /// The folder of the bundle in the package: `dist`, `dist-scalprum`.
    pub folder: String,
    /// The module: `.`, `./alpha`, `PluginRoot`.
    pub module: String,
}

/// A package of which code is in a bundle, once for each place in which it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundledPackage {
    /// The folder of the bundle in the package.
    pub folder: String,
    /// Its name, as its `package.json` has it.
    pub name: String,
    /// Its version, as its `package.json` has it.
    pub version: String,
    /// What it is a part of.
    pub origin: PackageOrigin,
    /// Where in the bundle it is.
    pub place: BundlePlace,
}

/// Where the files of a bundled package lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageOrigin {
    /// In a `node_modules` of the workspace.
    Installed,
    /// In the source, beside the plugin: a package of the workspace.
    Workspace,
    /// In the tree of rhdh-cli: what its bundler puts into every bundle.
    Tools,
}

/// Where in a bundle a package is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BundlePlace {
    /// In a file that this exposed module loads.
    Exposed(String),
    /// In a file that is loaded for this shared package if the host has none.
    Shared(String),
    /// In the file that RHDH loads first.
    Entry,
    /// In a file of which the bundle does not say who loads it.
    Chunk,
}

/// A package that a bundle shares with the host: the host's is used where it has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedPackage {
    /// The folder of the bundle in the package.
    pub folder: String,
    /// The name it is shared by.
    pub name: String,
    /// The version in the bundle; none where the host must have it.
    pub version: Option<String>,
}

/// A part of the package of which it is not known what is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownPart {
    /// The file in the package, or `.` for the whole.
    pub file: String,
    /// Why.
    pub why: UnknownReason,
}

/// Why it is not known what is in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnknownReason {
    /// It has no source map beside it.
    NoMap,
    /// Its source map cannot be read.
    BrokenMap,
    /// Its source map is larger than what is read.
    LargeMap,
    /// Its source map names this source, and it is not known which package that is of.
    Source(String),
    /// There is no bundle.
    NoBundle,
}

impl fmt::Display for PackageOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::Workspace => "workspace",
            Self::Tools => "tools",
        })
    }
}

impl FromStr for PackageOrigin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Installed, Self::Workspace, Self::Tools];
        all.into_iter().find(|one| one.to_string() == text).ok_or(())
    }
}

impl fmt::Display for BundlePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed(module) => write!(f, "exposes:{module}"),
            Self::Shared(package) => write!(f, "shares:{package}"),
            Self::Entry => f.write_str("entry"),
            Self::Chunk => f.write_str("chunk"),
        }
    }
}

impl FromStr for BundlePlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            Some(("exposes", module)) => Ok(Self::Exposed(module.to_owned())),
            Some(("shares", package)) => Ok(Self::Shared(package.to_owned())),
            None if text == "entry" => Ok(Self::Entry),
            None if text == "chunk" => Ok(Self::Chunk),
            _ => Err(()),
        }
    }
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMap => f.write_str("no-map"),
            Self::BrokenMap => f.write_str("broken-map"),
            Self::LargeMap => f.write_str("large-map"),
            Self::NoBundle => f.write_str("no-bundle"),
            Self::Source(source) => write!(f, "source:{source}"),
        }
    }
}

impl FromStr for UnknownReason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "no-map" => Ok(Self::NoMap),
            "broken-map" => Ok(Self::BrokenMap),
            "large-map" => Ok(Self::LargeMap),
            "no-bundle" => Ok(Self::NoBundle),
            other => other.strip_prefix("source:").map(|source| Self::Source(source.to_owned())).ok_or(()),
        }
    }
}

impl Bundle {
    /// The canonical text: equal bundles give equal bytes.
    pub fn to_text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.exposes.iter().map(|one| line(&["exposes", &one.folder, &one.module])));
        lines.extend(self.packages.iter().map(|one| {
            let (origin, place) = (one.origin.to_string(), one.place.to_string());
            line(&["package", &one.folder, &one.name, &one.version, &origin, &place])
        }));
        lines.extend(self.shares.iter().map(|one| {
            let version = one.version.as_deref().unwrap_or("-");
            line(&["shares", &one.folder, &one.name, version])
        }));
        lines.extend(self.unknown.iter().map(|one| line(&["unknown", &one.file, &one.why.to_string()])));
        lines.sort();
        lines.iter().fold(format!("{HEADER}\n"), |text, line| text + line + "\n")
    }

    /// Reads a text; an error is what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (header, facts) = text.split_once('\n').unwrap_or((text, ""));
        if header != HEADER {
            let is_newer = header.starts_with(HEADER_OF_ANY);
            return Err(if is_newer {
                "is of another format than this factory reads"
            } else {
                "is no list of packages"
            }
            .to_owned());
        }
        let mut bundle = Self::default();
        for (number, line) in facts.lines().enumerate() {
            let fields: Option<Vec<String>> = line.split(' ').map(decoded).collect();
            fields.and_then(|fields| bundle.add(&fields)).ok_or_else(|| format!("line {}: is no fact", number + 2))?;
        }
        Ok(bundle)
    }

    fn add(&mut self, fields: &[String]) -> Option<()> {
        match fields.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["exposes", folder, module] => {
                self.exposes.insert(ExposedModule { folder: (*folder).into(), module: (*module).into() });
            }
            ["package", folder, name, version, origin, place] => {
                self.packages.insert(BundledPackage {
                    folder: (*folder).into(),
                    name: (*name).into(),
                    version: (*version).into(),
                    origin: origin.parse().ok()?,
                    place: place.parse().ok()?,
                });
            }
            ["shares", folder, name, version] => {
                let version = Some((*version).to_owned()).filter(|version| version != "-");
                self.shares.insert(SharedPackage { folder: (*folder).into(), name: (*name).into(), version });
            }
            ["unknown", file, why] => {
                self.unknown.insert(UnknownPart { file: (*file).into(), why: why.parse().ok()? });
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether every file said what is in it. Data that bundlers take in without naming its source, JSON and images, is
    /// in no source map.
    pub fn is_whole(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Each package by name and version with all facts about it.
    pub fn by_package(&self) -> BTreeMap<(&str, &str), Vec<&BundledPackage>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for package in &self.packages {
            found.entry((package.name.as_str(), package.version.as_str())).or_default().push(package);
        }
        found
    }

    /// Whether the host's package of this name is used in place of the bundled one where it has it.
    pub fn is_shared(&self, name: &str) -> bool {
        self.shares.iter().any(|shared| shared.name == name)
    }
}

fn line(fields: &[&str]) -> String {
    fields.iter().map(|field| encoded(field)).collect::<Vec<_>>().join(" ")
}

fn encoded(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    for c in field.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

fn decoded(field: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(if byte == b'%' { digit(rest.next())? * 16 + digit(rest.next())? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# factory bundle 1\n\
                        exposes dist .\n\
                        package dist @x/common 0.1.0 workspace exposes:.\n\
                        package dist react 18.3.1 installed exposes:.\n\
                        package dist react 18.3.1 installed shares:react\n\
                        package dist-scalprum a%20b 1.0.0 tools entry\n\
                        package dist-scalprum lodash 4.17.21 installed chunk\n\
                        shares dist react 18.3.1\n\
                        shares dist-scalprum react-dom -\n\
                        unknown dist/a.js no-map\n\
                        unknown dist/b.js source:webpack://x/100%25\n";

    #[test]
    fn what_is_written_is_read() {
        let bundle = Bundle::parse(TEXT).unwrap();
        assert_eq!(bundle.to_text(), TEXT);
        assert!(bundle.packages.iter().any(|package| package.name == "a b" && package.place == BundlePlace::Entry));
        assert!(bundle.is_shared("react-dom") && !bundle.is_shared("lodash") && !bundle.is_whole());
        assert_eq!(bundle.by_package()[&("react", "18.3.1")].len(), 2);
        assert_eq!(Bundle::parse("# factory bundle 1\n").unwrap(), Bundle::default());
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for (text, said) in [
            ("", "is no list of packages"),
            ("# factory bundle 2\n", "is of another format than this factory reads"),
            ("# factory bundle 1\npackage dist a 1.0.0 elsewhere entry\n", "line 2: is no fact"),
            ("# factory bundle 1\nexposes dist .\nshares dist\n", "line 3: is no fact"),
            ("# factory bundle 1\nexposes dist %4\n", "line 2: is no fact"),
        ] {
            assert_eq!(Bundle::parse(text).unwrap_err(), said);
        }
    }
}
