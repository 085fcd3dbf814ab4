//! Which packages of a workspace are plugins.
//!
//! Pure: it looks at paths and at the bytes of `package.json` files, wherever they come from. The rules are those of
//! the original's `PluginListConfig.create_default`.

use serde_json::{Map, Value};

use crate::lock::Role;
use crate::yarn::graph::manifests::is_searched;

/// A plugin of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredPlugin {
    /// Its folder from the workspace, `.` for the workspace itself.
    pub path: String,
    /// `name` of its package.
    pub name: String,
    /// `version` of its package.
    pub version: String,
    /// `backstage.role`.
    pub role: Role,
}

/// The plugins of a workspace, and what a person should look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Sorted by path.
    pub plugins: Vec<DiscoveredPlugin>,
    /// One line each, naming a `package.json` that cannot be used; sorted.
    pub warnings: Vec<String>,
}

/// Finds the plugins among packages, each a folder and the bytes of its `package.json`.
pub fn discover<P: AsRef<str>, B: AsRef<[u8]>>(packages: impl IntoIterator<Item = (P, B)>) -> Discovery {
    let mut discovery = Discovery::default();
    for (path, manifest) in packages {
        let path = path.as_ref();
        if !is_searched(path) {
            continue;
        }
        match plugin(path, manifest.as_ref()) {
            Ok(found) => discovery.plugins.extend(found),
            Err(what) => {
                let file = if path == "." { "package.json".to_owned() } else { format!("{path}/package.json") };
                discovery.warnings.push(format!("`{file}` {what}"));
            }
        }
    }
    discovery.plugins.sort_by(|a, b| a.path.cmp(&b.path));
    discovery.warnings.sort();
    discovery
}

/// The plugin that a `package.json` describes, if it describes one.
fn plugin(path: &str, manifest: &[u8]) -> Result<Option<DiscoveredPlugin>, String> {
    let bytes = manifest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(manifest);
    let manifest: Map<String, Value> = serde_json::from_slice(bytes).map_err(|e| format!("cannot be read: {e}"))?;
    let role = manifest.get("backstage").and_then(|backstage| backstage.get("role")).and_then(Value::as_str);
    let Some(role) = role.and_then(|role| role.parse().ok()) else { return Ok(None) };
    let text = |field: &str| {
        let text = manifest.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| format!("is a {role} without a `{field}`; it is skipped"))
    };
    let (name, version) = (text("name")?, text("version")?);
    Ok(Some(DiscoveredPlugin { path: path.to_owned(), name, version, role }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, role: &str) -> String {
        format!(r#"{{"name":"{name}","version":"1.0.0","backstage":{{"role":"{role}"}}}}"#)
    }

    #[test]
    fn packages_with_the_role_of_a_plugin_are_found_sorted() {
        let found = discover([
            ("plugins/b", manifest("b", "backend-plugin")),
            ("plugins/a", manifest("a", "frontend-plugin")),
            (".", manifest("root", "frontend-plugin-module")),
            ("plugins/a-node", manifest("n", "node-library")),
            ("packages/app", manifest("app", "frontend")),
            ("deep/er/c", manifest("c", "backend-plugin-module")),
        ]);
        assert_eq!(found.warnings, [""; 0]);
        let plugins: Vec<_> =
            found.plugins.iter().map(|p| (p.path.as_str(), p.name.as_str(), p.role.as_str())).collect();
        assert_eq!(
            plugins,
            [
                (".", "root", "frontend-plugin-module"),
                ("deep/er/c", "c", "backend-plugin-module"),
                ("plugins/a", "a", "frontend-plugin"),
                ("plugins/b", "b", "backend-plugin"),
            ]
        );
    }

    #[test]
    fn installed_made_and_hidden_packages_are_skipped() {
        for folder in [
            "node_modules/x",
            "plugins/a/node_modules/@s/x",
            "plugins/a/dist",
            "plugins/a/dist-dynamic",
            ".git/x",
            "plugins/.hidden/x",
            "plugins/a/__fixtures__/x",
        ] {
            assert_eq!(discover([(folder, manifest("x", "backend-plugin"))]), Discovery::default(), "{folder}");
            assert!(!is_searched(folder));
        }
        assert!(is_searched(".") && is_searched("plugins/distant/fixtures"));
    }

    #[test]
    fn what_cannot_be_read_is_a_warning_and_no_more() {
        let found = discover([
            ("a", "{"),
            (".", "[]"),
            ("b", r#"{"backstage":"backend-plugin"}"#),
            ("c", r#"{"backstage":{"role":5}}"#),
            ("d", r#"{"name":"d","backstage":{"role":"backend-plugin"}}"#),
            ("e", r#"{"name":5,"version":"1","backstage":{"role":"frontend-plugin"}}"#),
            ("f", "\u{feff}{}"),
        ]);
        assert_eq!(found.plugins, []);
        assert_eq!(
            found.warnings,
            [
                "`a/package.json` cannot be read: EOF while parsing an object at line 1 column 1",
                "`d/package.json` is a backend-plugin without a `version`; it is skipped",
                "`e/package.json` is a frontend-plugin without a `name`; it is skipped",
                "`package.json` cannot be read: invalid type: sequence, expected a map at line 1 column 0",
            ]
        );
    }
}
