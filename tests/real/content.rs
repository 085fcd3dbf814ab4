//! A digest changes if and only if content does. Real git, yarn and rhdh-cli.

use std::fs;

use harness::program::{Test, copy};
use harness::repository::Repository;
use harness::workspace;
use serde_json::Value;

use crate::cache::{self, factory};
use crate::registry_login::with_text;

const PLUGIN: &str = "workspaces/a/plugins/a-backend";
/// Reads a file of another package, which it does not declare, and one of no package.
const READER: &str = "const { cpSync, readFileSync, writeFileSync } = require('fs');
cpSync('src', 'dist', { recursive: true });
writeFileSync('dist/text.js', readFileSync('../other/text.js'));
writeFileSync('dist/shared.js', readFileSync('../../../../shared/v1/text.js'));
";

/// What factory made of the workspace below by each recipe.
const TGZ_1: &str = "sha512-v/53CTGQSFgRJ5sTrn+wqHRyikQ/pEDshelDAuw3lEaQAP0Rq3aUbDMxDitbfeEeFNd35gBrtc0X4KP8hCA5hA==";
const LAYER_1: &str = "sha256:2644bdd9c89dedb6e18ac317ef109554a0247ee409e56731a798bfd206ad2643";
const TGZ_2: &str = "sha512-/dCxTLjLktkkl657OhWUSWkKxch7va6sIVxJ4XxSNSyXT25VWj7hZb+JfI2fOSEDpK7Fja3mwC65YhpbAJvJlw==";
const LAYER_2: &str = "sha256:0318cd8d87d54223414e240d9999bb8fe9920f135c359d0158e759e83196179b";

/// A workspace with one plugin and another package, resolved and built.
fn setup() -> (Test, Repository) {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let repository = Repository::init(&test.path("repo"));
    workspace::write(&repository, "a", workspace::QUICK);
    let lock = test.read("repo/workspaces/a/yarn.lock");
    let other = "\"other@workspace:plugins/other\":\n  version: 0.0.0-use.local\n  resolution: \
                 \"other@workspace:plugins/other\"\n  languageName: unknown\n  linkType: soft\n\n\"root-a@";
    repository
        .write("workspaces/a/yarn.lock", lock.replacen("\"root-a@", other, 1))
        .write("workspaces/a/plugins/other/package.json", r#"{"name":"other","version":"1.0.0"}"#)
        .write("workspaces/a/plugins/other/text.js", "// one\n")
        .write("shared/v1/text.js", "// one\n");
    repository.commit("one");
    test.write("config/source.json", r#"{"repo":"../repo","repo-ref":"main","workspace-path":"workspaces/a"}"#);
    test.write("config/plugins-list.yaml", "plugins/a-backend:\n");
    (test, repository)
}

/// Resolves and builds; what the report says of the plugin, and what was said.
#[track_caller]
fn built(test: &Test) -> (Value, String) {
    let resolved = factory(test, &["resolve"]);
    assert_eq!(resolved.code, 0, "{}", resolved.stderr);
    let said = factory(test, &["build", "--output-dir", "out"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let report: Value = serde_json::from_str(&test.read("out/build-report.json")).unwrap();
    (report["workspaces"][0]["plugins"][0].clone(), said.stderr)
}

/// Keeps the lock and what lies beside it, to be compared.
fn keep(test: &Test, name: &str) {
    copy(&test.path("config"), &test.path(name));
}

fn diff(test: &Test, old: &str) -> String {
    let said = factory(test, &["diff", &format!("{old}/factory.lock"), "config/factory.lock"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    said.stdout
}

#[harness::test]
fn commits_that_leave_the_content_alone_keep_the_digest() {
    let (test, repository) = setup();
    let (first, _) = built(&test);
    let stamp = repository.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let first = &first["output"];
    keep(&test, "one");

    // An empty commit, and one to a package that the plugin does not reach: nothing is built.
    repository.git(&["commit", "-q", "--allow-empty", "-m", "empty"]);
    let (again, said) = built(&test);
    assert_eq!(&again["output"], first);
    assert!(again["kept"].as_bool().unwrap() && said.contains("1 of them from the cache"), "{said}");
    let moved = diff(&test, "one");
    assert!(moved.contains("nothing changed: every plugin has the image it had\n"), "{moved}");
    repository.write("workspaces/a/plugins/other/README.md", "new\n");
    repository.commit("readme");
    let (again, _) = built(&test);
    assert_eq!((&again["output"], &again["kept"]), (first, &true.into()));

    // Its sources change, and nothing of them is packed: it is built, and its image says what it said.
    keep(&test, "two");
    repository.write(&format!("{PLUGIN}/notes.txt"), "not packed\n");
    repository.commit("notes");
    let (again, said) = built(&test);
    assert!(!said.contains("from the cache"), "{said}");
    for key in ["integrity", "digest", "layer", "layer-blob"] {
        assert_eq!(again["output"][key], first[key], "{key}");
    }
    assert!(test.read("config/factory.lock").contains(&format!("commit = \"{stamp}\"\nepoch")));
    let moved = diff(&test, "two");
    assert!(moved.contains("same output despite changed inputs: source\n"), "{moved}");
    assert!(moved.contains(&format!("source: {PLUGIN} changed\n")), "{moved}");

    // From the lock alone: the image of the first commit, as it is stamped.
    let said = factory(&test, &["build", "--rebuild", "--frozen", "--output-dir", "frozen"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let index = |path: &str| test.read(&format!("{path}/oci/index.json"));
    assert_eq!(index("frozen"), index("out"));

    // Where it comes from is said anew when that is asked for, and then alone.
    keep(&test, "three");
    let said = factory(&test, &["resolve", "--restamp"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let (stamped, _) = built(&test);
    assert_eq!(stamped["output"]["layer"], first["layer"]);
    assert_ne!(stamped["output"]["digest"], first["digest"]);
    let moved = diff(&test, "three");
    assert!(moved.contains("same packages: only the image says anew where it comes from\n"), "{moved}");

    // What is packed changes.
    keep(&test, "four");
    repository.write(&format!("{PLUGIN}/src/more.js"), "// packed\n");
    repository.commit("more");
    let (other, _) = built(&test);
    assert_ne!(other["output"]["layer"], first["layer"]);
    let moved = diff(&test, "four");
    assert!(moved.contains("output changed (tgz, layer, image) with its inputs: source\n"), "{moved}");
}

#[harness::test]
fn what_an_export_reads_of_a_sibling_is_found_and_followed() {
    let (test, repository) = setup();
    repository.write(&format!("{PLUGIN}/build.cjs"), READER);
    repository.commit("reader");
    let (first, said) = built(&test);
    assert!(
        said.contains(
            "\na plugins/a-backend: its export read more than the plugin's own sources: `shared`, \
             `workspaces/a/plugins/other`, such as the file `shared/v1/text.js`; it is built again when that changes, \
             which `reads` in the lock says\n"
        ),
        "{said}"
    );
    let lock = test.read("config/factory.lock");
    assert!(lock.contains("\nreads = [\n    \"shared\",\n    \"workspaces/a/plugins/other\",\n]\n"), "{lock}");

    // It stays known, and is followed.
    repository.git(&["commit", "-q", "--allow-empty", "-m", "empty"]);
    let (again, said) = built(&test);
    assert_eq!((&again["output"], &again["kept"]), (&first["output"], &true.into()), "{said}");
    repository.write("workspaces/a/plugins/other/text.js", "// two\n");
    repository.commit("two");
    let (second, said) = built(&test);
    assert!(!said.contains("its export read more"), "{said}");
    assert_ne!(second["output"]["layer"], first["output"]["layer"]);
}

#[harness::test]
fn each_recipe_makes_the_bytes_that_it_made() {
    let (test, _) = setup();
    test.write("config/.env", "RHDH_CLI_VERSION=1.9.1\n");
    let resolved = factory(&test, &["resolve"]);
    assert_eq!(resolved.code, 0, "{}", resolved.stderr);
    let newest = test.read("config/factory.lock");
    let (before, rest) = newest.split_once("\nsources = [").unwrap();
    let first = format!("{before}{}", rest.split_once("\n]").unwrap().1).replace("\nrecipe = 2\n", "\n");
    let recipes = [(first, TGZ_1, LAYER_1), (newest.clone(), TGZ_2, LAYER_2)];
    for (lock, tgz, layer) in recipes {
        test.write("config/factory.lock", lock);
        let said = factory(&test, &["build", "--rebuild", "--output-dir", "out"]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        let lock = test.read("config/factory.lock");
        assert!(
            lock.contains(&format!("\ntgz = \"{tgz}\"\n")) && lock.contains(&format!("\nlayer = \"{layer}\"\n")),
            "{lock}"
        );
    }
}

/// Writes down all that a build script can see of npm's configuration.
const NOSY: &str = "const { cpSync, readFileSync, writeFileSync } = require('fs');
cpSync('src', 'dist', { recursive: true });
const read = path => { try { return readFileSync(path, 'utf8'); } catch { return ''; } };
const files = [process.env.HOME + '/.npmrc', process.env.npm_config_userconfig, '/build/.yarnrc.yml', '/proc/self/cmdline'];
writeFileSync('dist/seen.json', JSON.stringify({ env: process.env, files: files.map(read) }));
";

#[harness::test]
fn a_login_in_the_address_of_the_registry_reaches_no_script_and_no_log() {
    let (test, repository) = setup();
    repository.write(&format!("{PLUGIN}/build.cjs"), NOSY);
    repository.commit("nosy");
    let resolved = factory(&test, &["resolve"]);
    assert_eq!(resolved.code, 0, "{}", resolved.stderr);
    let fetched = factory(&test, &["fetch"]);
    assert_eq!(fetched.code, 0, "{}", fetched.stderr);
    // Everything is in the cache, so it is not asked.
    let login = [("NPM_CONFIG_REGISTRY", "http://planted-user:planted-word@127.0.0.1:1/npm/")];
    let said = cache::factory_with(&test, &["build", "--log-level", "debug", "--output-dir", "out"], &login);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(!said.stderr.contains("planted"), "{}", said.stderr);
    let archive = test.path("out/demo-plugin-a-backend-dynamic-0.1.0.tgz");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(archive).unwrap()));
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut seen = entries.find(|entry| entry.path().unwrap().ends_with("dist/seen.json")).unwrap();
    let seen = std::io::read_to_string(&mut seen).unwrap();
    assert!(seen.contains("YARN_NPM_REGISTRY_SERVER") && !seen.contains("planted"), "{seen}");
    for folder in ["out", "config"] {
        assert_eq!(with_text(&test.path(folder), "planted"), "");
    }
}
