//! Which rhdh-cli is asked for: the one that the user names, else the newest that belongs to the RHDH host.

use crate::lock::{ReleaseLine, RhdhCli};
use crate::npm::packument::Packument;

/// The CLI when `RHDH_CLI_VERSION` does not say and no host has one of its own, as in the original.
pub const DEFAULT_CLI: &str = "latest";

/// Which rhdh-cli was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CliRequest {
    /// `RHDH_CLI_VERSION`: a version, a range or a dist-tag. By default the host's, else [`DEFAULT_CLI`].
    pub version: Option<String>,
    /// The host that the plugins are for, as far as it is known.
    pub host: Option<ReleaseLine>,
}

impl CliRequest {
    /// What a locked one was the answer to.
    pub fn of_locked(cli: &RhdhCli) -> Self {
        let is_default = cli.requested == DEFAULT_CLI
            || cli.host.is_some_and(|host| cli.requested == host_tag(host) || cli.requested == host.to_string());
        Self { version: (!is_default).then(|| cli.requested.clone()), host: cli.host }
    }

    /// Whether a locked one is an answer to this.
    pub fn is_answered_by(&self, cli: &RhdhCli) -> bool {
        let is_asked = match &self.version {
            Some(version) => *version == cli.requested,
            None => Self::of_locked(cli).version.is_none(),
        };
        is_asked && self.host == cli.host
    }
}

/// The dist-tag of the CLIs for a host.
fn host_tag(host: ReleaseLine) -> String {
    format!("release-{host}")
}

/// What the newest CLI of a host's line is found by: its dist-tag, else its own line, else [`DEFAULT_CLI`].
pub(super) fn cli_of_host(packument: &Packument, host: ReleaseLine) -> String {
    let tag = host_tag(host);
    // A registry that has only a part of npm may have a tag without its version.
    if packument.dist_tags.get(&tag).is_some_and(|version| packument.versions.contains_key(version)) {
        return tag;
    }
    let line = packument.newest(|version| (version.major, version.minor) == (host.major, host.minor));
    if line.is_some() { host.to_string() } else { DEFAULT_CLI.to_owned() }
}

/// Why the CLI of a host is the one it is.
pub fn cli_reason(cli: &RhdhCli, host: ReleaseLine) -> String {
    let RhdhCli { requested, version, .. } = cli;
    let tag = host_tag(host);
    let why = if *requested == tag {
        format!("dist-tag `{tag}`")
    } else if *requested == host.to_string() {
        format!("the newest {host}, the npm registry has none with the dist-tag `{tag}`")
    } else {
        format!("`{requested}`, the npm registry has none of {host}, nor with the dist-tag `{tag}`")
    };
    format!("rhdh-cli {version} for RHDH {host}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{Integrity, Sha256};

    #[test]
    fn a_host_has_its_dist_tag_else_its_line_else_the_latest() {
        let document = r#"{"dist-tags": {"latest": "1.9.1"}, "versions": {"1.8.0": {"dist": {"tarball": "x"}},
            "1.9.0": {"dist": {"tarball": "x"}}, "1.9.1": {"dist": {"tarball": "x"}},
            "1.10.0-rc.1": {"dist": {"tarball": "x"}}}}"#;
        let mut packument: Packument = serde_json::from_str(document).unwrap();
        packument.dist_tags.insert("release-1.8".to_owned(), "1.8.0".to_owned());
        // Its version is not in this registry.
        packument.dist_tags.insert("release-1.9".to_owned(), "1.9.2".to_owned());
        for (host, requested, version, reason) in [
            ("1.8", "release-1.8", "1.8.0", "dist-tag `release-1.8`"),
            ("1.9", "1.9", "1.9.1", "the newest 1.9, the npm registry has none with the dist-tag `release-1.9`"),
            // A pre-release is not the newest of a line.
            (
                "1.10",
                "latest",
                "1.9.1",
                "`latest`, the npm registry has none of 1.10, nor with the dist-tag `release-1.10`",
            ),
        ] {
            let line: ReleaseLine = host.parse().unwrap();
            assert_eq!(cli_of_host(&packument, line), requested);
            let cli = locked(requested, Some(line), version);
            assert_eq!(cli_reason(&cli, line), format!("rhdh-cli {version} for RHDH {host}: {reason}"));
            assert_eq!(CliRequest::of_locked(&cli), CliRequest { version: None, host: Some(line) });
        }
    }

    fn locked(requested: &str, host: Option<ReleaseLine>, version: &str) -> RhdhCli {
        let (integrity, tree) = (Integrity::of("cli"), Sha256::of("tree"));
        RhdhCli { requested: requested.to_owned(), host, version: version.to_owned(), integrity, tree }
    }

    #[test]
    fn a_locked_cli_answers_what_it_was_pinned_for() {
        let host = Some(ReleaseLine::new(1, 10));
        let asks = |version: Option<&str>, host| CliRequest { version: version.map(str::to_owned), host };
        for (request, requested, is_answer) in [
            (asks(None, host), "release-1.10", true),
            (asks(None, host), "1.10", true),
            (asks(None, host), "latest", true),
            (asks(Some("latest"), host), "latest", true),
            (asks(None, host), "1.9.1", false),
            (asks(Some("1.9.1"), host), "1.9.1", true),
            (asks(Some("1.9.1"), host), "1.9", false),
            (asks(None, None), "release-1.10", false),
        ] {
            assert_eq!(request.is_answered_by(&locked(requested, host, "1.9.1")), is_answer, "{request:?} {requested}");
        }
        assert!(asks(None, None).is_answered_by(&locked("latest", None, "1.9.1")));
        assert!(!asks(None, host).is_answered_by(&locked("latest", None, "1.9.1")));
    }
}
