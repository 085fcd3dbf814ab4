//! Why a sealed closure no longer fits a plugin, from what yarn says when it may not change a lockfile (YN0028).

use std::collections::BTreeSet;
use std::fmt;

use crate::ui::some_names;
use crate::yarn::locator::Locator;

/// Yarn's code of "The lockfile would have been modified by this install".
const CODE: &str = "YN0028";

/// What is no longer what a closure says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Names of embedded packages: folders of the export, whose locators have a hash of their content.
    pub embedded: BTreeSet<String>,
    /// Locators of other packages, without embedded ones: these are the cause of what follows from them.
    pub others: BTreeSet<String>,
}

impl Drift {
    /// Reads what `yarn install --immutable` said; none when the lockfile is not what it failed of.
    ///
    /// Yarn shows the lockfile's difference, a line each: `➤ YN0028: │ -  resolution: "…"`.
    pub fn of_yarn(said: &str) -> Option<Self> {
        let mut lines = said.lines().filter(|line| line.contains(CODE)).peekable();
        lines.peek()?;
        let mut drift = Self::default();
        for line in lines {
            let Some((_, shown)) = line.split_once("│ ") else { continue };
            let Some(changed) = shown.strip_prefix(['-', '+']) else { continue };
            let Some(locator) = changed.trim().strip_prefix("resolution: \"") else { continue };
            let locator = locator.trim_end_matches('"');
            match Locator::parse(locator) {
                Some(embedded) if embedded.is_from_folder() => {
                    drift.embedded.insert(embedded.name.to_owned());
                }
                _ => {
                    drift.others.insert(locator.to_owned());
                }
            }
        }
        Some(drift)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its closure no longer fits")?;
        match (self.embedded.len(), self.others.len()) {
            (0, 0) => Ok(()),
            (0, _) => write!(f, ": it differs in {}", some_names(self.others.iter())),
            (1, _) => {
                write!(f, ", since {}, which it embeds, was not rebuilt identically", some_names(self.embedded.iter()))
            }
            (_, _) => {
                write!(f, ", since {}, which it embeds, were not rebuilt identically", some_names(self.embedded.iter()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yarn_says_which_packages_drifted() {
        // Yarn 4.18 on a closure whose embedded package was built otherwise.
        let said = "➤ YN0085: │ + @x/common@file:./embedded/x-common#./embedded/x-common::hash=116d32&locator=%40x
➤ YN0028: │ -  resolution: \"@x/common@file:./embedded/x-common#./embedded/x-common::hash=c5921c&locator=%40x%2Fb\"
➤ YN0028: │ -  checksum: 10c0/a77b8edb9d2572891729738cbad11e50cf0da3bcefe1c82af470da82506ebb79
➤ YN0028: │ +  resolution: \"@x/common@file:./embedded/x-common#./embedded/x-common::hash=116d32&locator=%40x%2Fb\"
➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.
";
        let said_of = |said: &str| Drift::of_yarn(said).unwrap().to_string();
        assert_eq!(
            said_of(said),
            "its closure no longer fits, since `@x/common`, which it embeds, was not rebuilt identically"
        );
        let two = format!("{said}{}", said.replace("@x/common@", "@x/node@"));
        assert_eq!(
            said_of(&two),
            "its closure no longer fits, since `@x/common`, `@x/node`, which it embeds, were not rebuilt identically"
        );
        let other = "➤ YN0028: │ +  resolution: \"ms@npm:2.1.3\"\n➤ YN0028: │ The lockfile would have been modified";
        assert_eq!(said_of(other), "its closure no longer fits: it differs in `ms@npm:2.1.3`");
        assert_eq!(said_of("➤ YN0028: │ The lockfile would have been modified"), "its closure no longer fits");
        assert_eq!(Drift::of_yarn("➤ YN0001: │ Error: ENOENT"), None);
    }
}
