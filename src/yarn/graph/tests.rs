use std::fmt::Write as _;
use std::path::Path;

use super::*;

/// A Berry lock of `(key, resolution, fields)`.
fn berry(version: u32, entries: &[(&str, &str, &str)]) -> String {
    let mut text = format!("__metadata:\n  version: {version}\n");
    for (key, resolution, fields) in entries {
        write!(text, "\n\"{key}\":\n  version: 1.0.0\n  resolution: \"{resolution}\"\n{fields}").unwrap();
    }
    text
}

/// What the dependencies of the workspace in `plugins/x` resolve to: `name → resolution`.
fn resolve(lock: &str, files: &[(&str, &str)]) -> Vec<(String, String)> {
    let lock = YarnLock::parse(lock.as_bytes(), Path::new("yarn.lock")).unwrap();
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let manifests = Manifests::parse(&lock, &files).unwrap();
    let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
    let node = &graph.nodes[graph.workspace("plugins/x").unwrap()];
    node.edges
        .iter()
        .map(|edge| {
            let target = match edge.target {
                EdgeTarget::Package(target) => {
                    let node = &graph.nodes[target];
                    node.entry.map_or_else(
                        || format!("workspace {}", node.name),
                        |entry| {
                            if entry.resolution.is_empty() {
                                format!("{} {}", node.name, entry.version)
                            } else {
                                entry.resolution.to_string()
                            }
                        },
                    )
                }
                EdgeTarget::Elsewhere => "elsewhere".to_owned(),
                EdgeTarget::Missing => "missing".to_owned(),
            };
            (edge.name.to_owned(), target)
        })
        .collect()
}

fn x(dependencies: &str) -> String {
    format!("{{ \"name\": \"x\", \"version\": \"1.0.0\", \"dependencies\": {{ {dependencies} }} }}")
}

fn check(found: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<_> = found.iter().map(|(name, target)| (name.as_str(), target.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_names_are_the_manifests_and_the_ranges_the_locks() {
    let block = "  dependencies:\n    a: \"npm:^1\"\n    both: \"npm:^2\"\n    dev: \"npm:^1\"\n";
    let lock = berry(
        8,
        &[
            ("x@workspace:plugins/x", "x@workspace:plugins/x", block),
            ("a@npm:^1", "a@npm:1.0.0", ""),
            ("a@npm:^2", "a@npm:2.0.0", ""),
            ("both@npm:^1", "both@npm:1.0.0", ""),
            ("both@npm:^2", "both@npm:2.0.0", ""),
            ("dev@npm:^1", "dev@npm:1.0.0", ""),
        ],
    );
    let found = resolve(&lock, &[("plugins/x", &x("\"both\": \"^1\", \"a\": \"^1\""))]);
    check(&found, &[("both", "both@npm:2.0.0"), ("a", "a@npm:1.0.0")]);
}

#[test]
fn resolves_every_form_of_range() {
    let block = "  dependencies:\n    app: \"workspace:packages/app\"\n    lib: \"workspace:^\"\n    f: \"file:../f\"\n    \
                 l: \"link:./l\"\n    \"@backstage/c\": \"backstage:^\"\n    p: \"patch:p@npm%3A^1#~/.yarn/p.patch\"\n    \
                 q: \"npm:^1\"\n    only: \"npm:^9\"\n    two: \"npm:^9\"\n    mac: \"npm:1\"\n";
    let own = "locator=x%40workspace%3Aplugins%2Fx";
    let other = "locator=root%40workspace%3A.";
    let l = format!("l@link:./l::{own}");
    let lock = berry(
        8,
        &[
            ("x@workspace:plugins/x", "x@workspace:plugins/x", block),
            ("app@workspace:packages/app", "app@workspace:packages/app", ""),
            ("lib@workspace:*, lib@workspace:packages/lib", "lib@workspace:packages/lib", ""),
            (&format!("f@file:../f::{other}"), "f@file:../f#other", ""),
            (&format!("f@file:../f::{own}"), "f@file:../f#own", ""),
            (&l, "l@link:./l", ""),
            ("@backstage/c@backstage:^::backstage=1.50.0&npm=1.3.7", "@backstage/c@npm:1.3.7", ""),
            ("p@patch:p@npm%3A^1#~/.yarn/p.patch::version=1.0.0&hash=0", "p@patch:p@npm%3A1.0.0#~/.yarn/p.patch", ""),
            ("q@patch:q@npm%3A^1#~/.yarn/q.patch", "q@patch:q@npm%3A1.0.0#~/.yarn/q.patch", ""),
            ("q@npm:1.0.0", "q@npm:1.0.0", ""),
            ("only@npm:^8", "only@npm:8.0.0", ""),
            ("two@npm:^7", "two@npm:7.0.0", ""),
            ("two@npm:^8", "two@npm:8.0.0", ""),
            ("mac@npm:1", "mac@npm:1.0.0", "  conditions: os=darwin\n"),
        ],
    );
    let names = ["app", "lib", "f", "l", "@backstage/c", "p", "q", "only", "two", "mac"];
    let dependencies = names.map(|name| format!("\"{name}\": \"*\"")).join(", ");
    let files = [
        ("plugins/x", x(&dependencies)),
        ("packages/app", "{ \"name\": \"app\" }".to_owned()),
        ("packages/lib", "{ \"name\": \"lib\" }".to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    check(
        &resolve(&lock, &files),
        &[
            ("app", "app@workspace:packages/app"),
            ("lib", "lib@workspace:packages/lib"),
            ("f", "f@file:../f#own"),
            ("l", "l@link:./l"),
            ("@backstage/c", "@backstage/c@npm:1.3.7"),
            ("p", "p@patch:p@npm%3A1.0.0#~/.yarn/p.patch"),
            ("q", "q@patch:q@npm%3A1.0.0#~/.yarn/q.patch"),
            ("only", "only@npm:8.0.0"),
            ("two", "missing"),
            ("mac", "elsewhere"),
        ],
    );
}

#[test]
fn the_roots_resolutions_come_first() {
    let block = "  dependencies:\n    a: \"npm:^1\"\n    b: \"npm:^1\"\n    c: \"npm:^1\"\n    d: \"npm:^1\"\n";
    let lock = berry(
        8,
        &[
            ("root@workspace:.", "root@workspace:.", ""),
            ("x@workspace:plugins/x", "x@workspace:plugins/x", block),
            ("a@npm:^1", "a@npm:1.0.0", ""),
            ("a@npm:2.0.0", "a@npm:2.0.0", ""),
            ("b@npm:^1", "b@npm:1.0.0", ""),
            ("b@patch:b@npm%3A^1#~/b.patch", "b@patch:b", ""),
            ("c@npm:^1", "c@npm:1.0.0", ""),
            ("c@npm:^3", "c@npm:3.0.0", ""),
            ("d@npm:^1", "d@npm:1.0.0", ""),
            ("d@npm:^3", "d@npm:3.0.0", ""),
        ],
    );
    let root = r#"{ "name": "root", "resolutions": { "a": "2.0.0", "b@npm:^1": "patch:b@npm%3A^1#~/b.patch", "x/c": "^3", "y/d": "^3" } }"#;
    let dependencies = ["a", "b", "c", "d"].map(|name| format!("\"{name}\": \"^1\"")).join(", ");
    let found = resolve(&lock, &[(".", root), ("plugins/x", &x(&dependencies))]);
    check(&found, &[("a", "a@npm:2.0.0"), ("b", "b@patch:b"), ("c", "c@npm:3.0.0"), ("d", "d@npm:1.0.0")]);
}

#[test]
fn locks_before_version_8_leave_npm_out_of_ranges() {
    let block = "  dependencies:\n    a: ^1\n    b: \"npm:other@^1\"\n    y: ^1.0.0\n";
    let lock = berry(
        6,
        &[
            ("x@workspace:plugins/x", "x@workspace:plugins/x", block),
            ("y@^1.0.0, y@workspace:plugins/y", "y@workspace:plugins/y", ""),
            ("a@npm:^1", "a@npm:1.0.0", ""),
            ("a@npm:^2", "a@npm:2.0.0", ""),
            ("b@npm:other@^1", "other@npm:1.0.0", ""),
        ],
    );
    let files =
        [("plugins/x", x("\"a\": \"^1\", \"b\": \"npm:other@^1\", \"y\": \"^1.0.0\"")), ("plugins/y", "{}".to_owned())];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    check(&resolve(&lock, &files), &[("a", "a@npm:1.0.0"), ("b", "other@npm:1.0.0"), ("y", "y@workspace:plugins/y")]);
}

#[test]
fn a_v1_dependency_is_a_workspace_if_its_version_fits() {
    let lock = "# yarn lockfile v1\n\na@^1:\n  version \"1.0.0\"\n\ny@^2:\n  version \"2.0.0\"\n";
    let y = r#"{ "name": "y", "version": "1.4.0" }"#;
    let files = |range: &str| x(&format!("\"a\": \"^1\", \"y\": \"{range}\""));
    let root = r#"{ "workspaces": ["plugins/*"] }"#;
    let broken = ("templates/x", "{ \"name\": {{name}} }");
    let inside = resolve(lock, &[(".", root), ("plugins/x", &files("^1.2")), ("plugins/y", y), broken]);
    check(&inside, &[("a", "a 1.0.0"), ("y", "workspace y")]);
    let outside = resolve(lock, &[(".", root), ("plugins/x", &files("^2")), ("plugins/y", y), broken]);
    check(&outside, &[("a", "a 1.0.0"), ("y", "y 2.0.0")]);
}

#[test]
fn a_workspace_without_a_manifest_is_an_error() {
    let lock = berry(8, &[("x@workspace:plugins/x", "x@workspace:plugins/x", "")]);
    let lock = YarnLock::parse(lock.as_bytes(), Path::new("w/yarn.lock")).unwrap();
    let error = Manifests::parse(&lock, &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "w/yarn.lock: the workspace `plugins/x` is in the lock, but `w/plugins/x/package.json` is not there"
    );
}
