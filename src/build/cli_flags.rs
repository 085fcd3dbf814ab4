//! The flags that the pinned rhdh-cli has, as it says itself: `plugin export --help`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::error::nearest::nearest;
use crate::lock::{Sha256, Tools};

/// Lines of the help that are read.
const MOST_LINES: usize = 1_000;

/// The flags of `plugin export`. Empty if the help has none that can be read: then nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CliFlags(BTreeSet<String>);

impl CliFlags {
    /// Reads commander's help: an option a line, its flags first, its description behind two blanks or in further lines.
    pub(super) fn of_help(help: &str) -> Self {
        let flags = help.lines().take(MOST_LINES).filter_map(|line| {
            let option = line.strip_prefix("  ")?;
            let flags = option.split("  ").next()?;
            option.starts_with('-').then_some(flags)
        });
        let words = flags.flat_map(|flags| flags.split([' ', ',', '='])).filter(|word| word.starts_with("--"));
        Self(words.map(str::to_owned).collect())
    }

    /// Whether rhdh-cli is known not to have a flag, written as `--flag` or `--flag=value`.
    pub(super) fn lack(&self, flag: &str) -> bool {
        let name = flag.split('=').next().unwrap_or_default();
        name.starts_with('-') && !matches!(name, "-h" | "--") && !self.0.is_empty() && !self.0.contains(name)
    }

    /// The flag that is nearest to one that is not there.
    pub(super) fn nearest(&self, flag: &str) -> Option<String> {
        let name = flag.split('=').next().unwrap_or_default();
        nearest(name, self.0.iter().map(String::as_str).filter(|known| *known != "--help")).into_iter().next()
    }
}

/// The flags of a CLI, once it was asked.
type Answer = Arc<OnceCell<CliFlags>>;

/// What the CLIs of a build said of their flags, by their tree and Node.js: each is asked once.
#[derive(Default)]
pub struct AskedClis(Mutex<BTreeMap<(Sha256, String), Answer>>);

impl AskedClis {
    /// Where the flags of a CLI are, once it was asked.
    pub(super) fn of(&self, tools: &Tools) -> Answer {
        let key = (tools.rhdh_cli.tree, tools.node.version.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of rhdh-cli 2.0.1, shortened.
    const HELP: &str = "Usage: rhdh-cli plugin export [options]

Build and export a plugin package to be loaded as a dynamic plugin. The
  repackaged dynamic plugin is exported inside a ./dist-dynamic sub-folder.

Options:
  --minify                                 Minify the generated code (backend
                                           plugin only).
  --embed-package [package-name...]        Optional list of packages that should
                                           --be-embedded inside the generated code
  --scalprum-config <file>                 Allows retrieving scalprum configuration
  --no-generate-scalprum-assets
  --track-dynamic-manifest-and-lock-file   Adds the `package.json` and
  -h, --help                               display help for command
";

    #[test]
    fn flags_stand_first_in_their_line() {
        let flags = CliFlags::of_help(HELP);
        let expected = [
            "--embed-package",
            "--help",
            "--minify",
            "--no-generate-scalprum-assets",
            "--scalprum-config",
            "--track-dynamic-manifest-and-lock-file",
        ];
        assert_eq!(flags.0.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        for known in ["--scalprum-config", "--embed-package=a", "stray", "-h"] {
            assert!(!flags.lack(known), "{known}");
        }
        for other in ["--be-embedded", "--scalprum", "-minify", "--no-build=x"] {
            assert!(flags.lack(other), "{other}");
        }
        assert_eq!(flags.nearest("--generate-scalprum-assets").as_deref(), Some("--no-generate-scalprum-assets"));
        assert_eq!(flags.nearest("--scalprum-cfg=x").as_deref(), Some("--scalprum-config"));
    }

    #[test]
    fn of_a_help_without_flags_nothing_follows() {
        let none = CliFlags::of_help("");
        assert!(!none.lack("--scalprum-config"));
        assert_eq!(none.nearest("--scalprum-config"), None);
        let endless = "text\n".repeat(MOST_LINES) + "  --late  too late\n";
        assert_eq!(CliFlags::of_help(&endless), none);
    }
}
