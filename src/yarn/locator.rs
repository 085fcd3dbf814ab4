//! `name@reference`: the one package that a descriptor of a Berry lockfile resolves to.

use sha2::{Digest as _, Sha512};

/// Protocols of packages that are made from a folder of the same tree, such as those embedded in an exported plugin.
const FOLDERS: [&str; 3] = ["file:", "portal:", "link:"];

/// A package and where it comes from: `@scope/name@npm:1.2.3`, `name@workspace:plugins/x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locator<'t> {
    /// The package's own name, with its scope.
    pub name: &'t str,
    /// `npm:1.2.3`, `workspace:plugins/x`, `patch:…`.
    pub reference: &'t str,
}

impl<'t> Locator<'t> {
    /// Splits `name@reference`.
    pub fn parse(text: &'t str) -> Option<Self> {
        let (name, reference) = split_name(text)?;
        Some(Self { name, reference })
    }

    /// The folder of a workspace, from the root's.
    pub fn workspace_path(self) -> Option<&'t str> {
        self.reference.strip_prefix("workspace:")
    }

    /// True for a package of an npm registry, patched or not.
    pub fn is_from_registry(self) -> bool {
        self.reference.starts_with("npm:")
            || (self.reference.starts_with("patch:") && self.reference.contains("@npm%3A"))
    }

    /// True for a package that is made from a folder of the same tree: yarn keeps no zip of it.
    pub fn is_from_folder(self) -> bool {
        is_folder(self.reference)
    }

    /// The ten digits of the locator's hash that stand in the name of its zip in yarn's cache (yarn's
    /// `structUtils.makeLocator(…).locatorHash`, as far as `slugifyLocator` shows it).
    pub fn cache_hash(self) -> String {
        let hash = |a: &str, b: &str| hex::encode(Sha512::new().chain_update(a).chain_update(b).finalize());
        let (scope, name) =
            self.name.strip_prefix('@').and_then(|rest| rest.split_once('/')).unwrap_or(("", self.name));
        hash(&hash(scope, name), self.reference)[..10].to_owned()
    }
}

/// True for a range or reference that names a folder.
pub(super) fn is_folder(reference: &str) -> bool {
    FOLDERS.iter().any(|protocol| reference.starts_with(protocol))
}

/// Splits `name@rest` or `@scope/name@rest` at the `@` after the name.
pub fn split_name(text: &str) -> Option<(&str, &str)> {
    let skip = usize::from(text.starts_with('@'));
    let at = text.get(skip..)?.find('@')? + skip;
    let (name, rest) = text.split_at(at);
    (name.len() > skip).then_some((name, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(text: &str) -> Locator<'_> {
        Locator::parse(text).unwrap()
    }

    #[test]
    fn zips_are_named_as_yarn_names_them() {
        // The names of files in a real cache of yarn 4.
        assert_eq!(locator("@babel/runtime@npm:7.29.14").cache_hash(), "d931f5c57a");
        assert_eq!(locator("parseurl@npm:1.3.3").cache_hash(), "1542397e00");
    }

    #[test]
    fn a_reference_says_where_a_package_comes_from() {
        assert_eq!(locator("@s/x@workspace:plugins/x").workspace_path(), Some("plugins/x"));
        for (text, registry, folder) in [
            ("a@npm:1.0.0", true, false),
            ("a@patch:a@npm%3A1.0.0#~/.yarn/patches/a.patch", true, false),
            ("a@patch:a@file%3A./a#~/a.patch", false, false),
            ("a@https://example.com/a.tgz", false, false),
            ("@s/a@file:./embedded/a#./embedded/a::hash=1", false, true),
            ("a@link:../a::locator=x", false, true),
            ("a@portal:../a::locator=x", false, true),
            ("a@workspace:.", false, false),
        ] {
            assert_eq!(
                (locator(text).is_from_registry(), locator(text).is_from_folder()),
                (registry, folder),
                "{text}"
            );
        }
        for broken in ["", "a", "@s/a", "@@1"] {
            assert_eq!(Locator::parse(broken), None, "{broken}");
        }
    }
}
