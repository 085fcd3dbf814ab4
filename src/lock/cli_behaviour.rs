//! What rhdh-cli does since which version, where factory depends on it.
//!
//! Which flags `plugin export` has is asked of the pinned one before a build. Seen with `--help`: 1.7.2 has none for the
//! assets of frontends, 1.8.0 to 2.0.1 have `--scalprum-config` and both `--[no-]generate-scalprum-assets` and
//! `--[no-]generate-module-federation-assets`, by default both kinds of assets; 2.1.0 makes none for Scalprum.

use std::fmt;

use semver::Version;

use super::{Argument, Plugin, ReleaseLine, Tools};

/// The last hosts that load frontends by Scalprum alone.
const LAST_BY_SCALPRUM: ReleaseLine = ReleaseLine::new(1, 10);
/// The first hosts that load frontends by Module Federation alone.
const FIRST_BY_MODULE_FEDERATION: ReleaseLine = ReleaseLine::new(2, 1);
/// Flags that say which assets a frontend gets: who lists one has chosen.
const CHOOSE_ASSETS: [&str; 3] =
    ["--generate-scalprum-assets", "--no-generate-scalprum-assets", "--no-generate-module-federation-assets"];

/// Something that rhdh-cli does since a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CliBehaviour {
    /// Frontends get assets for Module Federation, and flags choose the kind.
    ModuleFederation,
    /// `backstage:^` in the dependencies of a plugin is replaced by the release's version.
    BackstageRanges,
    /// The same where a package is embedded.
    EmbeddedBackstageRanges,
    /// `backstage.features` is written into the `package.json` of a frontend.
    BackstageFeatures,
    /// `resolutions` of the root `package.json` count for the dependencies of an exported backend.
    RootResolutions,
    /// Frontends get no assets for Scalprum.
    NoScalprum,
    /// An embedded package without a version fails the export.
    MissingVersionFails,
}

impl CliBehaviour {
    /// All of them with the version that began it, the oldest first.
    pub const TABLE: [(Self, (u64, u64, u64)); 7] = [
        (Self::ModuleFederation, (1, 8, 0)),
        (Self::BackstageRanges, (1, 10, 5)),
        (Self::EmbeddedBackstageRanges, (1, 10, 6)),
        (Self::BackstageFeatures, (1, 11, 3)),
        (Self::RootResolutions, (1, 11, 4)),
        (Self::NoScalprum, (2, 1, 0)),
        (Self::MissingVersionFails, (2, 1, 1)),
    ];

    /// The version that began it.
    ///
    /// # Panics
    /// Never: the table has all of them.
    pub fn since(self) -> Version {
        let row = Self::TABLE.into_iter().find(|(behaviour, _)| *behaviour == self);
        let (_, (major, minor, patch)) = row.expect("the table is complete");
        Version::new(major, minor, patch)
    }

    /// Whether a version does it; its pre-releases do what it does. False for what is no version.
    pub fn is_in(self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|found| {
            let since = self.since();
            (found.major, found.minor, found.patch) >= (since.major, since.minor, since.patch)
        })
    }
}

impl fmt::Display for CliBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModuleFederation => "makes assets of frontends for Module Federation",
            Self::BackstageRanges => "replaces `backstage:^` in the dependencies of a plugin",
            Self::EmbeddedBackstageRanges => "replaces `backstage:^` in those of embedded packages",
            Self::BackstageFeatures => "writes `backstage.features` into the `package.json` of a frontend",
            Self::RootResolutions => "carries `resolutions` of the root `package.json` into a backend",
            Self::NoScalprum => "makes no assets of frontends for Scalprum (`dist-scalprum`)",
            Self::MissingVersionFails => "fails on an embedded package without a version",
        })
    }
}

/// What a frontend is exported with besides its own arguments: `--no-generate-scalprum-assets` for a host that loads
/// nothing by Scalprum, if rhdh-cli would make such assets. It follows from the lock alone, so that every build does the
/// same; locks that do not say for which host their rhdh-cli is build as they did.
pub fn added_argument(tools: &Tools, plugin: &Plugin) -> Option<Argument> {
    let cli = &tools.rhdh_cli;
    let is_for_none = cli.host.is_some_and(|host| host >= FIRST_BY_MODULE_FEDERATION);
    let makes_both =
        CliBehaviour::ModuleFederation.is_in(&cli.version) && !CliBehaviour::NoScalprum.is_in(&cli.version);
    let is_chosen = || plugin.args.iter().any(|argument| CHOOSE_ASSETS.contains(&argument.flag.as_str()));
    let is_added = is_for_none && makes_both && !plugin.role.is_backend() && !is_chosen();
    is_added.then(|| Argument { flag: "--no-generate-scalprum-assets".to_owned(), values: vec![] })
}

/// What is wrong with the version of rhdh-cli for its host, whatever is exported; none in most cases.
pub fn misfit(tools: &Tools) -> Option<String> {
    let (version, host) = (&tools.rhdh_cli.version, tools.rhdh_cli.host?);
    (host <= LAST_BY_SCALPRUM && CliBehaviour::NoScalprum.is_in(version)).then(|| {
        format!(
            "RHDH {host} loads no frontend that rhdh-cli {version} exports: since {} it {}",
            CliBehaviour::NoScalprum.since(),
            CliBehaviour::NoScalprum
        )
    })
}

/// What the frontends of a host that loads them by Module Federation alone lack.
pub fn lacks_features(tools: &Tools) -> Option<String> {
    let (version, host) = (&tools.rhdh_cli.version, tools.rhdh_cli.host?);
    let behaviour = CliBehaviour::BackstageFeatures;
    (host >= FIRST_BY_MODULE_FEDERATION && !behaviour.is_in(version)).then(|| {
        let since = behaviour.since();
        format!(
            "RHDH {host} loads frontends by Module Federation alone, for which rhdh-cli {version} is too old: {since} \
             {behaviour}"
        )
    })
}
