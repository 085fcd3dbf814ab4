//! Every module that a backend's own JavaScript requires is there when RHDH loads it: in the package, declared (then it is
//! installed with the package, or RHDH has it), or a part of Node.js.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::contents::Contents;
use super::findings::Findings;

/// The modules of Node.js that need no `node:` in front (`module.builtinModules` of Node.js 18 to 24, without those that
/// begin with `_`).
const BUILTINS: [&str; 54] = [
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "inspector",
    "inspector/promises",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "path/win32",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "readline/promises",
    "repl",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Fields of package.json whose packages are there: installed with the plugin, or RHDH's own.
const DECLARED: [&str; 3] = ["dependencies", "peerDependencies", "optionalDependencies"];

pub(super) fn check(contents: &Contents, manifest: &Map<String, Value>, findings: &mut Findings) {
    let declared: BTreeSet<&str> = DECLARED
        .iter()
        .filter_map(|field| manifest.get(*field)?.as_object())
        .flat_map(|packages| packages.keys().map(String::as_str))
        .collect();
    let own = manifest.get("exports").and(manifest.get("name")).and_then(Value::as_str);
    for (module, requirement) in &contents.required {
        let Some(package) = package_of(module).filter(|_| !is_builtin(module)) else { continue };
        let is_there = declared.contains(package)
            || own == Some(package)
            || contents.has_below(&format!("node_modules/{package}/"));
        if !is_there {
            let others = match requirement.more_files {
                0 => String::new(),
                1 => " and 1 more file".into(),
                more => format!(" and {more} more files"),
            };
            let verb = if others.is_empty() { "requires" } else { "require" };
            findings.warning(
                format!(
                    "`{}`{others} {verb} `{module}`, but `{package}` is neither in the package nor declared in its \
                     package.json",
                    requirement.file
                ),
                format!("add `{package}` to the plugin's `dependencies` with a patch or overlay"),
            );
        }
    }
}

fn is_builtin(module: &str) -> bool {
    module.starts_with("node:") || BUILTINS.binary_search(&module).is_ok()
}

/// The package that a module is of; none when the name is not that of a module of a package.
fn package_of(module: &str) -> Option<&str> {
    let segments = if module.starts_with('@') { 2 } else { 1 };
    let end = module.match_indices('/').nth(segments - 1).map_or(module.len(), |(at, _)| at);
    let package = &module[..end];
    let parts: Vec<&str> = package.trim_start_matches('@').split('/').collect();
    let is_plain = |part: &&str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
    };
    (parts.len() == segments && package.len() <= 214 && parts.iter().all(is_plain)).then_some(package)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{checked, warnings};
    use super::*;

    #[test]
    fn what_is_bundled_declared_or_built_in_is_there() {
        let package_json = r#"{"name":"@x/a-dynamic","exports":{},"dependencies":{"express":"1"},
            "peerDependencies":{"@backstage/backend-plugin-api":"1"},"optionalDependencies":{"fsevents":"1"}}"#;
        let source = "require('express/lib/x'); require('@backstage/backend-plugin-api/alpha'); require('fsevents');
            require('fs'); require('fs/promises'); require('node:sqlite'); import('@y/embedded/z'); require('deep');
            require('@x/a-dynamic/b'); require('#internal'); require('https://x.y/z'); require('./b')";
        let findings = checked(&[
            ("package.json", package_json),
            ("dist/index.cjs.js", source),
            ("node_modules/@y/embedded/package.json", "{}"),
            ("node_modules/deep/package.json", "{}"),
        ]);
        assert_eq!(findings, Findings::default());
    }

    #[test]
    fn what_is_nowhere_is_a_warning_with_its_file() {
        let findings = checked(&[
            ("package.json", r#"{"name":"a-dynamic","devDependencies":{"@backstage/plugin-catalog-node":"1"}}"#),
            ("dist/a.cjs.js", "require('@backstage/plugin-catalog-node/alpha'); require('util/')"),
            ("dist/b.mjs", "import x from '@backstage/plugin-catalog-node/alpha'"),
            ("dist/c.cjs", "import('process/browser'); require('@backstage/plugin-catalog-node/alpha')"),
            ("dist/types.d.ts", "import x from 'nowhere'"),
            ("node_modules/b/dist/index.js", "require('nowhere')"),
        ]);
        assert_eq!(
            warnings(&findings),
            [
                "`dist/a.cjs.js` and 2 more files require `@backstage/plugin-catalog-node/alpha`, but \
                 `@backstage/plugin-catalog-node` is neither in the package nor declared in its package.json: add \
                 `@backstage/plugin-catalog-node` to the plugin's `dependencies` with a patch or overlay",
                "`dist/c.cjs` requires `process/browser`, but `process` is neither in the package nor declared in its \
                 package.json: add `process` to the plugin's `dependencies` with a patch or overlay",
                "`dist/a.cjs.js` requires `util/`, but `util` is neither in the package nor declared in its package.json: \
                 add `util` to the plugin's `dependencies` with a patch or overlay",
            ]
        );
    }

    #[test]
    fn a_name_that_is_of_no_package_is_passed_over() {
        for (module, package) in [
            ("a", Some("a")),
            ("a/b/c", Some("a")),
            ("@a/b", Some("@a/b")),
            ("@a/b/c", Some("@a/b")),
            ("", None),
            ("@a", None),
            ("@/b", None),
            ("@a/", None),
            ("a b", None),
            ("!a", None),
            ("#a", None),
            ("data:text/javascript,0", None),
            ("é", None),
            (".a", None),
        ] {
            assert_eq!(package_of(module), package, "{module}");
        }
        assert!(BUILTINS.is_sorted());
    }
}
