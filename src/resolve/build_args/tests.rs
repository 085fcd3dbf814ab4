mod bounds;
mod cli_needs;
mod listed;
mod merged;
mod standing;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::yarn::graph::{Manifests, PackageJson};
use crate::yarn::lockfile::{LockKind, YarnLock};
use crate::yarn::platform::Platform;

/// A made-up repository: the workspaces' manifests, and the registry packages as `name version` with the rest of
/// their entry. The lock follows from both.
struct Repository {
    workspaces: Vec<(&'static str, Value)>,
    packages: Vec<(&'static str, &'static str)>,
    host: Vec<&'static str>,
    answers: Vec<(&'static str, Value)>,
}

/// A plugin `@s/x-backend` in `plugins/x` with these dependencies.
fn plugin(dependencies: &Value) -> Value {
    json!({
        "name": "@s/x-backend",
        "version": "1.0.0",
        "backstage": { "role": "backend-plugin" },
        "dependencies": dependencies,
    })
}

fn repository(plugin: Value, packages: &[(&'static str, &'static str)]) -> Repository {
    Repository {
        workspaces: vec![("plugins/x", plugin)],
        packages: packages.to_vec(),
        host: vec!["@backstage/config", "@backstage/errors", "sqlite"],
        answers: Vec::new(),
    }
}

impl Repository {
    fn workspace(mut self, path: &'static str, manifest: Value) -> Self {
        self.workspaces.push((path, manifest));
        self
    }

    fn answer(mut self, package: &'static str, manifest: Value) -> Self {
        self.answers.push((package, manifest));
        self
    }

    fn lock(&self) -> String {
        let mut text = String::from("__metadata:\n  version: 8\n");
        for (path, manifest) in &self.workspaces {
            let name = manifest["name"].as_str().unwrap();
            write!(text, "\n\"{name}@workspace:^, {name}@workspace:{path}\":\n  version: 0.0.0-use.local\n").unwrap();
            writeln!(text, "  resolution: \"{name}@workspace:{path}\"").unwrap();
        }
        for (package, rest) in &self.packages {
            let (name, version) = package.rsplit_once(' ').unwrap();
            let major = version.split('.').next().unwrap();
            write!(text, "\n\"{name}@npm:^{major}, {name}@npm:^{version}\":\n  version: {version}\n").unwrap();
            write!(text, "  resolution: \"{name}@npm:{version}\"\n{rest}").unwrap();
        }
        text
    }

    fn try_compute(&self, path: &str) -> Result<ComputedArgs> {
        let text = self.lock();
        let lock = YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap();
        let files = self
            .workspaces
            .iter()
            .map(|(path, manifest)| ((*path).to_owned(), manifest.to_string().into_bytes()))
            .collect();
        let manifests = Manifests::parse(&lock, &files).unwrap();
        let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
        let host = HostLock {
            label: "the host lockfile".to_owned(),
            versions: self.host.iter().map(|name| ((*name).to_owned(), vec!["1.0.0".to_owned()])).collect(),
            has_backstage: false,
        };
        let mut answers = RegistryManifests::new();
        for (package, answer) in &self.answers {
            let (name, version) = package.rsplit_once(' ').unwrap();
            let manifest = || PackageJson::parse(answer.to_string().as_bytes(), Path::new("package.json")).unwrap();
            match answer.as_bool() {
                Some(is_published) => answers.insert_published(name, version, is_published),
                None => answers.insert(name, version, manifest()),
            }
        }
        compute(&graph, path, &host, &answers)
    }

    fn compute(&self) -> ComputedArgs {
        self.try_compute("plugins/x").unwrap()
    }
}

fn args(computed: &ComputedArgs) -> Vec<String> {
    computed.args.iter().map(ToString::to_string).collect()
}

fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|one| format!("{}: {one}", if one.severity == Severity::Error { "error" } else { "warning" }))
        .collect()
}

/// `dependencies:` of a lock's entry.
const CONFIG: &str = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n";
const NATIVE: &str = "  dependencies:\n    bindings: \"npm:^1\"\n";
const SQLITE: &str = "  dependencies:\n    sqlite: \"npm:^1\"\n";
const OPTIONAL_SQLITE: &str =
    "  dependencies:\n    sqlite: \"npm:^1\"\n  dependenciesMeta:\n    sqlite:\n      optional: true\n";

#[test]
fn siblings_are_embedded_without_being_told() {
    let node = json!({
        "name": "@s/x-node", "version": "1.0.0", "backstage": { "role": "node-library" },
        "dependencies": { "@s/x-common": "workspace:^", "lib": "^1" },
    });
    let common = json!({ "name": "@s/x-common", "version": "1.0.0", "dependencies": { "@backstage/config": "^1" } });
    let repository = repository(
        plugin(&json!({ "@s/x-node": "workspace:^" })),
        &[("@backstage/config 1.0.0", ""), ("lib 1.0.0", CONFIG)],
    )
    .workspace("plugins/n", node)
    .workspace("plugins/c", common);
    let computed = repository.compute();
    assert_eq!(args(&computed), ["--embed-package lib"]);
    assert_eq!(computed.packages["@s/x-node"], Fate::Sibling);
    assert_eq!(computed.packages["@s/x-common"], Fate::Sibling);
    assert_eq!(computed.packages["@backstage/config"], Fate::Shared);
    assert_eq!(lines(&computed.diagnostics), [""; 0]);
}

/// Its role is not in the lock: if the name says "sibling" and the role would not, rhdh-cli must be told.
#[test]
fn a_sibling_of_a_registry_package_is_named() {
    let needs_node = "  dependencies:\n    \"@backstage/plugin-y-node\": \"npm:^1\"\n";
    let computed = repository(
        plugin(&json!({ "@backstage/plugin-y-backend": "^1" })),
        &[
            ("@backstage/plugin-y-backend 1.0.0", needs_node),
            ("@backstage/plugin-y-node 1.0.0", CONFIG),
            ("@backstage/config 1.0.0", ""),
        ],
    )
    .compute();
    assert_eq!(
        args(&computed),
        [
            "--embed-package @backstage/plugin-y-backend",
            "--embed-package @backstage/plugin-y-node",
            "--shared-package !@backstage/plugin-y-backend",
            "--shared-package !@backstage/plugin-y-node",
        ]
    );
}

#[test]
fn only_the_manifest_tells_some_natives() {
    let needs = "  dependencies:\n    maybe: \"npm:^1\"\n  dependenciesMeta:\n    maybe:\n      optional: true\n";
    let sign = "  dependencies:\n    node-addon-api: \"npm:^1\"\n";
    let packages = [("lib 1.0.0", needs), ("maybe 1.2.0", sign), ("node-addon-api 1.0.0", "")];
    let ask = || repository(plugin(&json!({ "lib": "^1" })), &packages);

    let unasked = ask().compute();
    assert_eq!(args(&unasked), [""; 0]);
    let wanted: Vec<_> =
        unasked.manifest_requests.iter().map(|one| (one.name.as_str(), one.version.as_str(), one.purpose)).collect();
    assert_eq!(wanted, [("maybe", "1.2.0", ManifestPurpose::Native)]);
    assert_eq!(
        lines(&unasked.diagnostics),
        ["warning: `maybe` 1.2.0 may be native: only its manifest in the registry says so"]
    );

    let native = ask().answer("maybe 1.2.0", json!({ "name": "maybe", "binary": { "napi_versions": [3] } })).compute();
    assert_eq!(args(&native), ["--suppress-native-package maybe"]);
    assert_eq!(native.args[0].reason.to_string(), "maybe has the field `binary`, reached by lib → maybe, optional");
    assert_eq!((native.manifest_requests.len(), native.diagnostics.len()), (0, 0));

    let harmless = ask().answer("maybe 1.2.0", json!({ "name": "maybe", "gypfile": false })).compute();
    assert_eq!((harmless.args.len(), harmless.manifest_requests.len(), harmless.diagnostics.len()), (0, 0, 0));
}

#[test]
fn every_parent_of_a_native_of_the_host_is_embedded() {
    let needs = |name: &str| format!("  dependencies:\n    {name}: \"npm:^1\"\n").leak() as &'static str;
    let computed = repository(
        plugin(&json!({ "a": "^1", "d": "^1" })),
        &[
            ("a 1.0.0", needs("b")),
            ("b 1.0.0", SQLITE),
            ("d 1.0.0", OPTIONAL_SQLITE),
            ("sqlite 1.0.0", NATIVE),
            ("bindings 1.0.0", ""),
        ],
    )
    .compute();
    assert_eq!(
        args(&computed),
        ["--embed-package a", "--embed-package b", "--embed-package d", "--shared-package sqlite",]
    );
    assert_eq!(
        computed.args[3].reason.to_string(),
        "sqlite has the marker `bindings`, reached by a → b → sqlite, and is in the host lockfile"
    );
    // rhdh-cli leaves a dependency to the host only where it is a required one.
    assert_eq!(
        lines(&computed.diagnostics),
        [
            "error: `sqlite` is an optional dependency of `d`: rhdh-cli leaves only required ones to the host, and fails on it"
        ]
    );
}

#[test]
fn a_native_that_is_optional_everywhere_is_suppressed_though_the_host_has_it() {
    let computed = repository(
        plugin(&json!({ "d": "^1" })),
        &[("d 1.0.0", OPTIONAL_SQLITE), ("sqlite 1.0.0", NATIVE), ("bindings 1.0.0", "")],
    )
    .compute();
    assert_eq!(args(&computed), ["--suppress-native-package sqlite"]);
}

#[test]
fn says_what_rhdh_cli_would_fail_on() {
    let aliased = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n    short: \"npm:lib@^1\"\n";
    let optional = "  dependencies:\n    lib: \"npm:^1\"\n  dependenciesMeta:\n    lib:\n      optional: true\n";
    let peers = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n  peerDependencies:\n    \"@backstage/errors\": ^1.2.0\n    \"@types/react\": \"*\"\n    react: ^18\n    vue: ^3\n  peerDependenciesMeta:\n    vue:\n      optional: true\n";
    let other_errors = "  dependencies:\n    \"@backstage/errors\": \"npm:^2.0.0\"\n";
    let config = ("@backstage/config 1.0.0", "");
    let lib = ("lib 1.0.0", CONFIG);
    let cases: Vec<(Repository, &[&str])> = vec![
        (
            repository(plugin(&json!({ "a": "^1" })), &[("a 1.0.0", aliased), ("short 1.0.0", CONFIG), lib, config]),
            &[
                "error: `short` must be embedded, but `a` depends on it as `npm:lib@^1`: rhdh-cli does not support npm aliases",
            ],
        ),
        (
            repository(plugin(&json!({ "lib": "^2" })), &[lib, config]),
            &["error: `lib` must be embedded in version 1.0.0, which is outside the range `^2` of `@s/x-backend`"],
        ),
        (
            repository(plugin(&json!({ "lib": "latest" })), &[lib, config]),
            &["error: `lib` must be embedded in version 1.0.0, which is outside the range `latest` of `@s/x-backend`"],
        ),
        (
            repository(plugin(&json!({ "lib": "^1" })), &[lib, config])
                .answer("lib 1.0.0", json!({ "exports": { ".": "./index.js" }, "bundled": true })),
            &[
                "error: `lib` has `bundled: true`, which rhdh-cli refuses",
                "error: `lib` 1.0.0 must be embedded, but its `exports` do not contain `./package.json`, which rhdh-cli reads",
            ],
        ),
        (
            repository(plugin(&json!({ "a": "^1" })), &[("a 1.0.0", optional), lib, config]),
            &["error: `lib` must be embedded, but is an optional dependency of `a`, which rhdh-cli does not embed"],
        ),
        (
            repository(
                plugin(&json!({ "a": "^1", "b": "^1" })),
                &[("a 1.0.0", peers), ("b 1.0.0", other_errors), ("@backstage/errors 2.0.0", ""), config],
            ),
            &[
                "warning: `a` requires `react@^18` from the host, which does not provide it",
                "error: the embedded packages require `@backstage/errors` in versions that exclude each other: `^1.2.0`, and `^2.0.0` for `b`",
            ],
        ),
    ];
    for (repository, expected) in cases {
        assert_eq!(lines(&repository.compute().diagnostics), expected);
    }
}

#[test]
fn says_what_else_is_odd_about_an_export() {
    let native = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n    nan: \"npm:^1\"\n";
    let config = ("@backstage/config 1.0.0", "");
    let lib = ("lib 1.0.0", CONFIG);
    let cases: Vec<(Repository, &[&str])> = vec![
        (
            repository(plugin(&json!({ "a": "^1" })), &[("a 1.0.0", native), ("nan 1.0.0", ""), config]),
            &["error: `a` itself is native (marker `nan`), and is part of the plugin"],
        ),
        (
            repository(
                plugin(&json!({ "lib": "^1", "b": "^1" })),
                &[lib, ("lib 2.0.0", CONFIG), ("b 1.0.0", "  dependencies:\n    lib: \"npm:^2\"\n"), config],
            ),
            &["warning: `lib` is embedded in versions 1.0.0 and 2.0.0, of which the plugin gets only one"],
        ),
        (
            repository(
                plugin(&json!({ "a": "^1", "b": "^1" })),
                &[("a 1.0.0", "  conditions: os=linux & cpu=x64\n"), ("b 1.0.0", "  conditions: os=darwin\n")],
            ),
            &["warning: the export is for one platform only: it contains `a`"],
        ),
        (
            repository(plugin(&json!({ "@s/util": "workspace:^" })), &[])
                .workspace("packages/util", json!({ "name": "@s/util", "version": "0.3.0" })),
            &["warning: `@s/util` (packages/util) comes from the registry in version 0.3.0, not from the checkout"],
        ),
        (
            repository(plugin(&json!({ "p": "patch:p@npm%3A^1#~/p.patch" })), &[("p 1.0.0", "")]),
            &[
                "warning: `@s/x-backend` depends on `p` as `patch:p@npm%3A^1#~/p.patch`: the patch is not in the exported folder, whose install will fail",
            ],
        ),
        (
            repository(
                json!({ "name": "@s/x-backend", "backstage": { "role": "backend-plugin" }, "bundled": true }),
                &[],
            ),
            &["error: `@s/x-backend` has `bundled: true`, which rhdh-cli refuses"],
        ),
    ];
    for (repository, expected) in cases {
        assert_eq!(lines(&repository.compute().diagnostics), expected);
    }
}

#[test]
fn what_is_not_in_the_lock_is_an_error() {
    let two = [("a 1.0.0", "  dependencies:\n    gone: \"npm:^1\"\n")];
    let error = repository(plugin(&json!({ "a": "^1" })), &two).try_compute("plugins/x").unwrap_err();
    assert_eq!(error.to_string(), "yarn.lock: lock out of date: `gone@npm:^1`, a dependency of `a`, is not in it");
    let error = repository(plugin(&json!({})), &[]).try_compute("plugins/y").unwrap_err();
    assert_eq!(error.to_string(), "yarn.lock: the plugin folder `plugins/y` is not a workspace of this lock");
}

#[test]
fn a_frontend_plugin_needs_no_arguments() {
    let manifest = json!({
        "name": "@s/x", "backstage": { "role": "frontend-plugin" }, "dependencies": { "lib": "^1" },
    });
    let computed = repository(manifest, &[("lib 1.0.0", CONFIG)]).try_compute("./plugins/x/").unwrap();
    assert_eq!(computed, ComputedArgs::default());
    let listed = ["--embed-package", "lib", "--no-generate-module-federation-assets"].map(str::to_owned);
    assert_eq!(
        lines(&check_listed(&listed, &computed)),
        ["warning: `--embed-package lib` does nothing: a frontend plugin bundles what it needs"]
    );
}

#[test]
fn only_node_modules_will_do() {
    let yarnrc = |text: &'static str| (Path::new(".yarnrc.yml"), text.as_bytes());
    let found = |files: &[(&Path, &[u8])]| check_linker(LockKind::Berry(8), files).unwrap().is_some();
    assert!(!found(&[yarnrc("nodeLinker: node-modules\n")]));
    assert!(!found(&[yarnrc("enableScripts: false\n"), yarnrc("nodeLinker: node-modules\n")]));
    assert!(found(&[yarnrc("nodeLinker: pnp\n"), yarnrc("nodeLinker: node-modules\n")]));
    assert!(found(&[yarnrc("")]));
    assert!(found(&[]));
    assert!(check_linker(LockKind::V1, &[]).unwrap().is_none());
    let error = check_linker(LockKind::Berry(8), &[yarnrc("a: b\nnodeLinker: [x]\n")]).unwrap_err().to_string();
    assert_eq!(error, ".yarnrc.yml:2:13: nodeLinker: invalid type: sequence, expected a string");
}

#[test]
fn an_optional_backstage_package_that_the_host_lacks_is_not_shared() {
    const NEW: &str = "  dependencies:\n    \"@backstage/config\": \"npm:^1\"\n    \"@backstage/new\": \"npm:^1\"\n  \
                       dependenciesMeta:\n    \"@backstage/new\":\n      optional: true\n";
    let of = |new: &'static str| {
        let packages = [("lib 1.0.0", NEW), ("@backstage/new 1.0.0", new), ("@backstage/config 1.0.0", "")];
        repository(plugin(&json!({ "lib": "^1" })), &packages).compute()
    };
    let computed = of("");
    assert_eq!(args(&computed), ["--embed-package lib", "--shared-package !@backstage/new"]);
    assert_eq!(
        computed.args[1].reason.to_string(),
        "@backstage/new is not in the host lockfile, and is an optional dependency"
    );
    assert_eq!(lines(&computed.diagnostics), [""; 0]);
    let listed = check_listed(&["--embed-package".to_owned(), "lib".to_owned()], &computed);
    assert_eq!(
        lines(&listed),
        [
            "warning: `--shared-package !@backstage/new` is missing: @backstage/new is not in the host lockfile, and is an \
          optional dependency"
        ]
    );
    // What needs a shared package cannot be installed below the plugin.
    assert_eq!(
        lines(&of(CONFIG).diagnostics),
        [
            "error: `@backstage/new` must be embedded, but is an optional dependency of `lib`, which rhdh-cli does not embed"
        ]
    );
}
