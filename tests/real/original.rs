//! What the original command does, for the rows that need git, node, yarn and rhdh-cli: `real_row_NN_…`. They take the
//! npm registry that this machine is configured to use, and share a cache; the other rows are in `original.rs`.

use harness::workspace;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use sha2::Digest as _;

use harness::docker_registry::Server;
use harness::program::{Outcome, Test};
use harness::repository::Repository;

/// Runs `factory` with this machine's settings of the network, and `variables`.
fn factory(test: &Test, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = std::process::Command::new(harness::program());
    command.current_dir(test.path("")).stdin(std::process::Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["REGISTRY_", "RHDH_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    crate::cache::unset_factory(&mut command);
    command.env("FACTORY_CACHE_DIR", crate::cache::cache());
    test.outcome(command.args(args).envs(variables.iter().copied()).output().unwrap())
}

fn source_json(repository: &str, name: &str) -> String {
    format!(r#"{{"repo":"../../{repository}","repo-ref":"main","workspace-path":"workspaces/{name}"}}"#)
}

/// The text of a file in a `.tgz`.
fn packed(tgz: &Path, name: &str) -> String {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(tgz).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new("package").join(name) {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            return text;
        }
    }
    panic!("{} has no {name}", tgz.display());
}

/// Three workspaces of two repositories; `b`'s lockfile does not fit its package.json. What is built of the others is
/// what it would be without `b`, and each sees its own environment only.
#[harness::test(long)]
fn row_11_a_failing_workspace_of_three_does_not_stop_the_others_and_environments_are_apart() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let one = Repository::init(&test.path("one"));
    workspace::write(&one, "a", workspace::SLOW);
    workspace::write(&one, "c", workspace::SLOW);
    one.commit("one");
    let two = Repository::init(&test.path("two"));
    workspace::write(&two, "b", workspace::SLOW);
    let manifest =
        test.read("two/workspaces/b/package.json").replacen('{', r#"{"dependencies":{"left-pad":"1.3.0"},"#, 1);
    two.write("workspaces/b/package.json", manifest);
    two.commit("two");
    for (name, repository) in [("a", "one"), ("b", "two"), ("c", "one")] {
        test.write(&format!("config/{name}/source.json"), source_json(repository, name));
        test.write(&format!("config/{name}/plugins-list.yaml"), format!("plugins/{name}-backend:"));
        test.write(&format!("config/{name}/.env"), format!("ONLY_{name}=1\n"));
    }
    test.write("config/.env", "REGISTRY_PASSWORD=\"hidden-in-root\"\nROOT_VARIABLE=1\n");
    test.write("config/c/.env", "ONLY_c=1\nNODE_VERSION=20\n");

    let said = factory(&test, &["--output-dir", "out"], &[("SOME_TOKEN", "hidden-in-process"), ("MINE", "1")]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let stderr = said.stderr;
    assert!(stderr.contains("\n3 workspaces: 2 succeeded, 1 failed\n  a: 1 plugin built\n"), "{stderr}");
    let failed = "\n  b: `yarn install` failed for workspace `b` (exit code 1); log: [DIR]/out/b/logs/workspace.log\n";
    assert!(stderr.contains(failed), "{stderr}");
    assert!(stderr.contains("\n  c: 1 plugin built\n"), "{stderr}");
    assert!(test.read("out/b/logs/workspace.log").contains("YN0028"), "the log says why");

    for name in ["a", "c"] {
        let tgz = test.path(&format!("out/{name}/demo-plugin-{name}-backend-dynamic-0.1.0.tgz"));
        let digest = sha2::Sha512::digest(fs::read(&tgz).unwrap());
        let integrity = format!("sha512-{}\n", base64::engine::general_purpose::STANDARD.encode(digest));
        assert_eq!(fs::read_to_string(format!("{}.integrity", tgz.display())).unwrap(), integrity);
    }
    let built = |name: &str| test.path(&format!("out/{name}/demo-plugin-{name}-backend-dynamic-0.1.0.tgz")).exists();
    assert_eq!([built("a"), built("b"), built("c")], [true, false, true]);

    let log = |name: &str| test.read(&format!("out/{name}/logs/workspace.log"));
    assert!(log("a").contains("NODE v22.") && log("c").contains("NODE v20."), "each is built with its own Node.js");
    for name in ["a", "c"] {
        let log = log(name);
        assert!(log.contains("ENV END"), "the environment was printed whole: {log}");
        for leak in ["ENV ONLY_", "ENV ROOT_", "ENV MINE=", "ENV REGISTRY_", "ENV FACTORY_", "hidden-in"] {
            assert!(!log.contains(leak), "{name}: {leak}: {log}");
        }
    }
    let list = test.read("out/dynamic-plugins.yaml");
    assert_eq!(list.matches("package: ").count(), 2, "{list}");
    assert!(list.contains("./a/demo-plugin-a-backend-dynamic-0.1.0.tgz"), "{list}");
}

/// A patch, an overlay with a dot-file, `app-config.dynamic.yaml`, `backstage.json`, a copy of the patched source.
#[harness::test]
fn row_06_07_08_patches_overlays_and_outputs_and_row_12_the_source_to_look_at() {
    harness::needs(&["git", "patch"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let one = Repository::init(&test.path("one"));
    workspace::write(&one, "a", workspace::QUICK);
    one.commit("one");
    test.write("config/source.json", r#"{"repo":"../one","workspace-path":"workspaces/a"}"#);
    test.write("config/plugins-list.yaml", "plugins/a-backend:");
    test.write(
        "config/patches/2-second.patch",
        "--- plugins/a-backend/src/index.cjs.js\n+++ plugins/a-backend/src/index.cjs.js\n@@ -1,2 +1,2 @@\n-// patched once\n+// patched twice\n exports.default = { $$type: '@backstage/BackendFeature', version: 'v1', featureType: 'registrations' };\n",
    );
    test.write(
        "config/patches/1-first.patch",
        "--- a/plugins/a-backend/src/index.cjs.js\n+++ b/plugins/a-backend/src/index.cjs.js\n@@ -1,2 +1,2 @@\n-// first line\n+// patched once\n exports.default =  { $$type: '@backstage/BackendFeature', version: 'v1', featureType: 'registrations' };\n",
    );
    test.write("config/plugins/a-backend/overlay/src/.hidden", "a dot-file");
    test.write("config/plugins/a-backend/app-config.dynamic.yaml", "a:\n  hello: world\n");
    test.write("config/backstage.json", r#"{"version":"1.45.3"}"#);

    test.write("source/old.txt", "left from an earlier run");
    let said = factory(&test, &["--output-dir", "out", "--repo-path", "source", "--clean"], &[]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let tgz = test.path("out/demo-plugin-a-backend-dynamic-0.1.0.tgz");
    assert!(packed(&tgz, "dist/index.cjs.js").starts_with("// patched twice\n"));
    assert_eq!(packed(&tgz, "dist/.hidden"), "a dot-file");
    let package: serde_json::Value = serde_json::from_str(&packed(&tgz, "package.json")).unwrap();
    assert_eq!(package["backstage"]["supported-versions"], "1.45.3");
    let config = test.read("out/demo-plugin-a-backend-dynamic-0.1.0.tgz.app-config.dynamic.yaml");
    assert_eq!(config, "a:\n  hello: world\n");
    let list = test.read("out/dynamic-plugins.yaml");
    assert!(list.contains("pluginConfig:\n    a:\n      hello: world\n"), "{list}");

    assert!(!test.path("source/old.txt").exists(), "`--clean` empties the folder");
    let laid = "source/workspaces/a/plugins/a-backend/src";
    assert!(test.read(&format!("{laid}/index.cjs.js")).starts_with("// patched twice\n"));
    assert_eq!(test.read(&format!("{laid}/.hidden")), "a dot-file");
    assert!(one.git(&["status", "--porcelain"]).is_empty(), "the repository itself is only read");
}

#[harness::test]
fn row_06_12_13_a_local_tree_is_built_as_a_copy_and_never_changed() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let local = Repository::init(&test.path("local"));
    workspace::write(&local, "a", workspace::QUICK);
    local.commit("one");
    // Not committed: a local tree is built as it stands.
    local.write("workspaces/a/plugins/a-backend/src/extra.js", "// not committed");
    let before = local.git(&["status", "--porcelain"]);
    test.write("config/plugins-list.yaml", "plugins/a-backend:");
    test.write("config/plugins/a-backend/overlay/src/over.js", "// laid over");
    for args in [
        &["--repo-path", "local", "--workspace-path", "workspaces/a", "--use-local", "--clean", "--output-dir", "out"]
            [..],
        // Without source.json the folder is used as it is.
        &["--repo-path", "local", "--workspace-path", "workspaces/a", "--output-dir", "out"],
    ] {
        let said = factory(&test, args, &[]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(said.stderr.contains("which is not a pin"), "{}", said.stderr);
        let tgz = test.path("out/demo-plugin-a-backend-dynamic-0.1.0.tgz");
        assert_eq!(packed(&tgz, "dist/extra.js"), "// not committed");
        assert_eq!(packed(&tgz, "dist/over.js"), "// laid over");
        assert_eq!(local.git(&["status", "--porcelain"]), before, "the local tree is not changed");
        let lock = test.read("config/factory.lock");
        assert!(lock.contains("local = true") && !lock.contains("commit = "), "{lock}");
        fs::remove_dir_all(test.path("out")).unwrap();
    }
}

#[harness::test]
fn row_07_the_log_of_a_native_build_that_fails_is_shown() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let one = Repository::init(&test.path("one"));
    workspace::write(&one, "a", workspace::QUICK);
    let manifest = "one/workspaces/a/plugins/a-backend/package.json";
    let failing = r#""scripts":{"install":"node -e \"console.error('g++ says no'); process.exit(1)\"","#;
    let manifest = test.read(manifest).replace(r#""scripts":{"#, failing);
    one.write("workspaces/a/plugins/a-backend/package.json", manifest);
    one.commit("one");
    test.write("config/source.json", r#"{"repo":"../one","workspace-path":"workspaces/a"}"#);
    test.write("config/plugins-list.yaml", "plugins/a-backend:");
    let said = factory(&test, &["--output-dir", "out"], &[]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("`yarn install` failed for workspace `a` (exit code 1)"), "{}", said.stderr);
    assert!(said.stderr.contains("g++ says no"), "{}", said.stderr);
}

#[harness::test]
fn row_04_05_a_missing_list_is_written_with_computed_arguments() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let one = Repository::init(&test.path("one"));
    workspace::write(&one, "a", workspace::QUICK);
    one.write(
        "workspaces/a/plugins/a-backend/dist-dynamic/package.json",
        r#"{"name":"x","backstage":{"role":"backend-plugin"}}"#,
    );
    one.write(
        "workspaces/a/packages/lib/package.json",
        r#"{"name":"lib","version":"1.0.0","backstage":{"role":"node-library"}}"#,
    );
    one.commit("one");
    test.write("config/source.json", r#"{"repo":"../one","workspace-path":"workspaces/a"}"#);
    test.write(
        "host.lock",
        "__metadata:\n  version: 8\n\n\"lib@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"lib@npm:1.0.0\"\n",
    );
    let said = factory(&test, &["resolve", "--host-lockfile", "host.lock"], &[]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let list = test.read("config/plugins-list.yaml");
    let entries: Vec<_> = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(entries, ["plugins/a-backend:"], "{list}");
    assert!(test.read("config/factory.lock").contains("args-from = \"computed\""));
}

/// What a push needs is asked for before anything is built, in the order of the original.
#[harness::test]
fn row_10_a_push_without_a_registry_is_refused_before_the_build() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let test = Test::with_path();
    let one = Repository::init(&test.path("one"));
    workspace::write(&one, "a", workspace::QUICK);
    one.commit("one");
    test.write("config/source.json", r#"{"repo":"../one","workspace-path":"workspaces/a"}"#);
    test.write("config/plugins-list.yaml", "plugins/a-backend:");
    let last = |variables: &[(&str, &str)]| {
        let said = factory(&test, &["--push-images", "--output-dir", "out"], variables);
        assert!(!test.path("out/demo-plugin-a-backend-dynamic-0.1.0.tgz").exists(), "nothing is built");
        let from = said.stderr.find("error: ").unwrap_or_default();
        format!("{}exit {}", &said.stderr[from..], said.code)
    };
    insta::assert_snapshot!(last(&[]), @r"
    error: `REGISTRY_URL` is not set, and images cannot be pushed without it

    hint: set it in the environment or in `.env`, e.g. `REGISTRY_URL=quay.io`, or build without `--push-images`
    exit 2
    ");
    insta::assert_snapshot!(last(&[("REGISTRY_URL", "quay.io")]), @r"
    error: `REGISTRY_NAMESPACE` is not set, and images cannot be pushed without it

    hint: set it in the environment or in `.env`, e.g. `REGISTRY_NAMESPACE=my-organisation`, or build without `--push-images`
    exit 2
    ");
}

/// What `.env` says holds for the real programs, none of its secrets is seen by a script, and the workflow is told what
/// was pushed to the real registry.
#[harness::test]
fn settings_of_the_env_file_reach_builds_without_their_secrets_and_a_workflow_is_told() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let server = Server::open();
    let test = Test::with_path();
    let one = Repository::init(&test.path("one"));
    let print = "for (const [name, value] of Object.entries(process.env)) console.log(`ENV ${name}=${value}`);";
    workspace::write(&one, "a", print);
    one.commit("one");
    test.write("config/source.json", r#"{"repo":"../one","workspace-path":"workspaces/a"}"#);
    test.write("config/plugins-list.yaml", "plugins/a-backend:\n");
    test.write("config/plugins/a-backend/overlay/src/more.js", "// more\n");
    let ca = test.path("ca.pem");
    test.write("ca.pem", "");
    let proxy = "http://me:hidden-in-proxy@127.0.0.1:1";
    let env = format!(
        "REGISTRY_URL={}\nREGISTRY_NAMESPACE=me\nREGISTRY_INSECURE=true\nINPUTS_IMAGE_TAG_PREFIX=pr_7__\n\
         HTTP_PROXY={proxy}\nhttps_proxy={proxy}\nNO_PROXY=*,127.0.0.1\nNPM_TOKEN=hidden-in-npm\nNODE_EXTRA_CA_CERTS={}\n",
        server.address,
        ca.display()
    );
    test.write("config/.env", env);
    let output = test.path("github");
    let variables = [("GITHUB_OUTPUT", output.to_str().unwrap()), ("HTTPS_PROXY", "http://other.example")];
    let said = factory(&test, &["--push-images", "--output-dir", "out"], &variables);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(!said.stderr.contains("hidden-in"), "{}", said.stderr);

    let log = test.read("out/logs/workspace.log").replace(ca.to_str().unwrap(), "[DIR]/ca.pem");
    for (name, value) in [
        ("HTTP_PROXY", "http://factory:"),
        ("https_proxy", "http://factory:"),
        ("NO_PROXY", "*,127.0.0.1\n"),
        ("NODE_EXTRA_CA_CERTS", "[DIR]/ca.pem"),
    ] {
        assert!(log.contains(&format!("ENV {name}={value}")), "{name}: {log}");
    }
    for leak in ["hidden-in", "ENV HTTPS_PROXY=", "ENV NPM_TOKEN=", "ENV REGISTRY_", "ENV INPUTS_", "ENV GITHUB_"] {
        assert!(!log.contains(leak), "{leak}: {log}");
    }
    let expected = format!(
        "FAILED_EXPORTS<<EOF\nEOF\nPUBLISHED_EXPORTS<<EOF\n{}/me/demo-plugin-a-backend:pr_7__0.1.0\nEOF\n\
         WORKSPACE_SKIPPED_UNCHANGED_SINCE=false\nPATCHES_APPLIED=0\nSOURCE_OVERLAY_APPLIED=true\n",
        server.address
    );
    assert_eq!(test.read("github"), expected);
    assert!(server.tag("me/demo-plugin-a-backend", "pr_7__0.1.0").is_some());
    for file in ["config/factory.lock", "out/build-report.json", "out/dynamic-plugins.yaml"] {
        assert!(!test.read(file).contains("hidden-in"), "{file}");
    }
}
