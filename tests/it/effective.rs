//! The lock speaks of the tree that is built: the source after its patches and overlays. Real git and GNU patch.

use std::fs;

use harness::two_workspaces::{Setup, said};

const MANIFEST: &str = "workspaces/alpha/plugins/one/package.json";

/// A source of `alpha` alone, with the manifest of its only listed plugin.
fn setup(manifest: &str) -> Setup {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.write("alpha/plugins-list.yaml", "plugins/one:\n");
    setup.source.write(MANIFEST, manifest);
    setup.source.commit("one");
    setup
}

fn manifest(version: &str) -> String {
    format!(
        "{{\n  \"name\": \"@acme/one\",\n  \"version\": \"{version}\",\n  \
         \"backstage\": {{ \"role\": \"frontend-plugin\" }}\n}}\n"
    )
}

/// A patch that replaces one line.
fn patch(path: &str, line: usize, from: &str, to: &str) -> String {
    format!("--- a/{path}\n+++ b/{path}\n@@ -{line},1 +{line},1 @@\n-{from}\n+{to}\n")
}

const SET_VERSION: (&str, &str) = ("  \"version\": \"NPM_PACKAGE_VERSION\",", "  \"version\": \"0.9.6\",");

#[harness::test]
fn a_version_that_a_patch_sets_is_in_the_lock() {
    let setup = setup(&manifest("NPM_PACKAGE_VERSION"));
    let output = setup.run(&["resolve"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output)
            .lines()
            .filter(|line| line.starts_with("error: alpha") || line.starts_with("hint"))
            .collect::<Vec<_>>(),
        [
            "error: alpha: workspaces/alpha/plugins/one/package.json: `version` of `plugins/one` is \
             `NPM_PACKAGE_VERSION`, which is not a version like `1.2.3`",
            "hint: set it with a patch (`patches/*.patch` in the configuration), or with an overlay",
        ]
    );
    setup.write("alpha/patches/1.patch", &patch("plugins/one/package.json", 3, SET_VERSION.0, SET_VERSION.1));
    setup.ok(&["resolve"]);
    let lock = setup.lock();
    assert!(lock.contains("\nversion = \"0.9.6\"\n"), "{lock}");
    assert!(!lock.contains("[workspace.effective]"), "{lock}");
    setup.ok(&["resolve", "--check"]);
    setup.ok(&["status"]);
}

#[harness::test]
fn an_overlay_counts_for_a_plugin_that_it_adds_and_for_a_local_tree() {
    let setup = setup("{ \"name\": \"@acme/one\" }");
    setup.write("alpha/plugins-list.yaml", "plugins/one:\nplugins/new:\n");
    setup.write("alpha/plugins/one/overlay/package.json", &manifest("1.5.0"));
    setup.write("alpha/plugins/new/overlay/package.json", &manifest("2.5.0").replace("/one", "/new"));
    setup.ok(&["resolve"]);
    let lock = setup.lock();
    assert!(lock.contains("name = \"@acme/new\"\nversion = \"2.5.0\""), "{lock}");
    assert!(lock.contains("name = \"@acme/one\"\nversion = \"1.5.0\""), "{lock}");

    let local = setup.source.dir.clone();
    fs::rename(setup.config().join("alpha"), setup.dir.path().join("alpha")).unwrap();
    for entry in fs::read_dir(setup.dir.path().join("alpha")).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), setup.config().join(entry.file_name())).unwrap();
    }
    fs::remove_file(setup.config().join("factory.lock")).unwrap();
    setup.ok(&["resolve", "--use-local", "--repo-path", local.to_str().unwrap()]);
    let lock = setup.lock();
    assert!(lock.contains("local = true"), "{lock}");
    assert!(lock.contains("name = \"@acme/new\"\nversion = \"2.5.0\""), "{lock}");
}

#[harness::test]
fn without_a_list_the_tree_after_patches_and_overlays_is_searched() {
    let setup = setup(&manifest("1.0.0"));
    fs::remove_file(setup.config().join("alpha/plugins-list.yaml")).unwrap();
    setup.write("alpha/plugins/new/overlay/package.json", &manifest("2.5.0").replace("/one", "/new"));
    // This one makes no plugin, and is not copied by a build.
    setup.write("alpha/plugins/lib/overlay/package.json", "{ \"name\": \"@acme/lib\" }");
    setup.write("alpha/patches/1.patch", "--- a/plugins/two/package.json\n+++ /dev/null\n@@ -1 +0,0 @@\n-GONE\n");
    setup.source.write("workspaces/alpha/plugins/two/package.json", "GONE\n");
    setup.source.commit("two");
    let host = setup.dir.path().join("host.lock");
    fs::write(&host, "__metadata:\n  version: 8\n").unwrap();
    setup.source.write("workspaces/alpha/yarn.lock", "# yarn lockfile v1\n");
    setup.source.commit("lock");
    setup.ok(&["resolve", "--host-lockfile", host.to_str().unwrap()]);
    let lock = setup.lock();
    let paths: Vec<_> = lock.lines().filter(|line| line.starts_with("path = \"plugins/")).collect();
    assert_eq!(
        paths,
        [
            "path = \"plugins/lib/overlay/package.json\"",
            "path = \"plugins/new/overlay/package.json\"",
            "path = \"plugins/new\"",
            "path = \"plugins/one\"",
        ],
        "{lock}"
    );
}

#[harness::test]
fn the_yarn_lock_and_the_yarn_that_are_built_are_pinned() {
    let setup = setup(&manifest("1.0.0"));
    let root = "workspaces/alpha/package.json";
    setup.source.write(root, "{\n  \"name\": \"root\",\n  \"packageManager\": \"pnpm@9.0.0\"\n}\n");
    setup.source.commit("pnpm");
    let set = patch("package.json", 3, "  \"packageManager\": \"pnpm@9.0.0\"", "  \"packageManager\": \"yarn@3.8.7\"");
    let lock = patch("yarn.lock", 2, "  version: 8", "  version: 6");
    setup.write("alpha/patches/1.patch", &format!("{set}{lock}"));
    setup.ok(&["resolve"]);
    let lock = setup.lock();
    assert!(lock.contains("yarn = { from = \"packageManager\", version = \"3.8.7\""), "{lock}");
    assert!(lock.contains("\nrevision = 7\n"), "{lock}");
    let digest = |text: &str| factory::lock::Sha256::of(text).to_string();
    let (before, after) =
        ("__metadata:\n  version: 8\n  cacheKey: 10c0\n", "__metadata:\n  version: 6\n  cacheKey: 10c0\n");
    assert!(lock.contains(&format!("yarn-lock = \"{}\"\n\n[workspace.effective]\n", digest(before))), "{lock}");
    assert!(lock.contains(&format!("[workspace.effective]\nyarn-lock = \"{}\"\n", digest(after))), "{lock}");
}

#[harness::test]
fn why_a_patch_fails_is_said_by_resolve() {
    let failure = |patch: &str| {
        let setup = setup(&manifest("1.0.0"));
        setup.write("alpha/patches/1.patch", patch);
        // Nothing is written for it, and it fails as often as it is tried.
        for _ in 0..2 {
            assert_eq!(setup.run(&["resolve"]).status.code(), Some(1));
            assert!(!setup.config().join("factory.lock").exists());
        }
        let unlocked: Vec<String> = ["build", "fetch", "status"].map(|command| said(&setup.run(&[command]))).into();
        let output = setup.run(&["resolve", "--keep-going"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(setup.lock().contains("[[unresolved]]\nname = \"alpha\"\n"), "{}", setup.lock());
        let start = "error: `patches/1.patch` does not apply to workspace `alpha`: ";
        let said = said(&output);
        let line = said.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{said}"));
        let hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
        // A build says it again, also where there is no lock.
        let why = format!(
            "error: alpha: not resolved: `patches/1.patch` does not apply to workspace `alpha`: {line}\n\n\
             hint: {hint}; then run `factory resolve alpha`\n\
             error: {}: there is no lock\n\nhint: run ",
            setup.config().join("factory.lock").display()
        );
        for said in &unlocked {
            assert!(said.starts_with(&why), "{said}");
        }
        for command in ["build", "fetch", "verify", "status"] {
            let again = setup.run(&[command]);
            assert_eq!(again.status.code(), Some(1));
            assert_eq!(
                self::said(&again),
                format!(
                    "error: alpha: not resolved: `patches/1.patch` does not apply to workspace `alpha`: {line}\n\n\
                     hint: {hint}; then run `factory resolve alpha`\n"
                )
            );
        }
        for args in [&["resolve", "--check"][..], &["run"], &["resolve", "--keep"]] {
            let again = setup.run(args);
            assert_eq!(again.status.code(), Some(1), "{args:?}");
            assert!(self::said(&again).contains(start), "{args:?}: {}", self::said(&again));
        }
        format!("{line} ({hint})")
    };
    assert_eq!(
        failure(&patch("plugins/one/package.json", 3, "  \"version\": \"1.0.1\",", "  \"version\": \"1.0.2\",")),
        "hunk 1 does not fit `plugins/one/package.json` at line 3 (update the patch for the pinned commit)"
    );
    assert_eq!(
        failure(&patch(MANIFEST, 3, "  \"version\": \"1.0.0\",", "  \"version\": \"1.0.1\",")),
        "its paths start with `workspaces/alpha`, which is not in the workspace's folder (write its paths relative to \
         the workspace's folder, as `git diff --relative` does there)"
    );
    assert_eq!(
        failure(
            "diff --git a/i.png b/i.png\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZPo000310RR91\n\nliteral 0\n\
             HcmV?d00001\n\n"
        ),
        "it changes a binary file, which GNU patch cannot do (put the file into an `overlay` folder beside the plugin's \
         configuration instead)"
    );
    assert_eq!(
        failure(&patch("plugins/one/package.json", 3, "  \"version\": \"0.9.0\",", "  \"version\": \"1.0.0\",")),
        "the commit has its changes already (remove the patch, or what the commit has of it, and run `factory resolve`)"
    );
}

#[harness::test]
fn a_workspace_that_cannot_be_resolved_does_not_hold_up_the_others() {
    let setup = setup(&manifest("1.0.0"));
    setup.workspace("beta", "main");
    let good = patch("plugins/one/package.json", 3, "  \"version\": \"1.0.0\",", "  \"version\": \"1.0.1\",");
    setup.write("alpha/patches/1.patch", &good.replace("1.0.0", "0.9.0"));
    assert_eq!(setup.run(&["resolve"]).status.code(), Some(1));
    let lock = setup.lock();
    assert!(lock.contains("\n[[workspace]]\nname = \"beta\"\n") && !lock.contains("alpha"), "{lock}");
    assert_eq!(setup.run(&["resolve", "--keep-going"]).status.code(), Some(1));
    let lock = setup.lock();
    assert!(lock.contains("\n[[workspace]]\nname = \"beta\"\n"), "{lock}");
    assert!(lock.contains("\n[[unresolved]]\nname = \"alpha\"\n"), "{lock}");
    let status = setup.run(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("\n  2 workspaces: not stale, 1 not resolved\n"), "{status}");
    let reason =
        "\nalpha\n  not in the lock\n  ! not resolved: `patches/1.patch` does not apply to workspace `alpha`: ";
    assert!(status.contains(reason), "{status}");

    // It stays when another one is resolved.
    setup.ok(&["resolve", "beta"]);
    assert_eq!(setup.lock(), lock);

    // A change makes it stale, and a resolve of it alone mends it.
    setup.write("alpha/patches/1.patch", &good);
    let stale = setup.run(&["build"]);
    assert_eq!(stale.status.code(), Some(3));
    let reason = "error: lockfile is stale for workspace `alpha`: could not be resolved, and was changed since `factory \
                  resolve`\n\nhint: run `factory resolve --keep alpha`, which moves nothing else\n";
    assert_eq!(said(&stale), reason);
    setup.ok(&["resolve", "alpha"]);
    assert!(!setup.lock().contains("[[unresolved]]") && setup.lock().contains("version = \"1.0.1\""));
}

#[harness::test]
fn a_patch_without_prefixes_applies() {
    let setup = setup(&manifest("NPM_PACKAGE_VERSION"));
    let path = "plugins/one/package.json";
    let text = patch(path, 3, SET_VERSION.0, SET_VERSION.1).replace("--- a/", "--- ").replace("+++ b/", "+++ ");
    setup.write("alpha/patches/1.patch", &format!("diff --git {path} {path}\n{text}"));
    setup.ok(&["resolve"]);
    assert!(setup.lock().contains("\nversion = \"0.9.6\"\n"));
}

#[harness::test]
fn the_root_of_a_repository_is_patched_too() {
    let setup = Setup::new();
    setup.write("alpha/source.json", r#"{"repo": "../../source", "repo-ref": "main", "workspace-path": "."}"#);
    setup.write("alpha/plugins-list.yaml", "workspaces/alpha/plugins/one:\n");
    setup.source.write(MANIFEST, manifest("NPM_PACKAGE_VERSION"));
    setup
        .source
        .write("package.json", "{\"packageManager\": \"yarn@4.9.2\"}\n")
        .write("yarn.lock", "__metadata:\n  version: 8\n");
    setup.source.commit("root");
    setup.write("alpha/patches/1.patch", &patch(MANIFEST, 3, SET_VERSION.0, SET_VERSION.1));
    setup.ok(&["resolve"]);
    assert!(setup.lock().contains("\nversion = \"0.9.6\"\n"));
}

#[harness::test]
fn a_range_or_a_lockfile_of_yarn_1_asks_for_yarn_1() {
    for asked in ["", r#""packageManager": "yarn@1", "#, r#""packageManager": "yarn@^1.22.0", "#] {
        let setup = setup(&manifest("1.0.0"));
        let root = format!(r#"{{{asked}"name": "root", "workspaces": ["plugins/*"]}}"#);
        setup.source.write("workspaces/alpha/package.json", root);
        setup.source.write("workspaces/alpha/yarn.lock", "# yarn lockfile v1\n");
        setup.source.commit("yarn 1");
        setup.ok(&["resolve"]);
        assert!(setup.lock().contains("version = \"1.22.22\""), "{}", setup.lock());
    }
}

#[harness::test]
fn byte_order_marks_are_passed_over() {
    let setup = setup(&format!("\u{feff}{}", manifest("1.0.0")));
    setup.source.write("workspaces/alpha/package.json", "\u{feff}{\"name\": \"root\"}");
    setup.source.write("package.json", "\u{feff}{\"packageManager\": \"yarn@3.8.7\"}");
    setup.source.write("workspaces/alpha/backstage.json", "\u{feff}{\"version\": \"1.39.1\"}");
    setup.source.commit("marks");
    setup.ok(&["resolve"]);
    let lock = setup.lock();
    assert!(lock.contains("backstage = \"1.39.1\"") && lock.contains("version = \"3.8.7\""), "{lock}");
}

/// A lockfile of yarn 4 with these workspaces of `plugins/`, and one package of the registry.
fn berry(dependencies: &str, more: &str) -> String {
    format!(
        "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\
         \"@acme/one@workspace:plugins/one\":\n  version: 0.0.0-use.local\n  \
         resolution: \"@acme/one@workspace:plugins/one\"\n{dependencies}  languageName: unknown\n  linkType: soft\n{more}"
    )
}

#[harness::test]
fn a_dependency_that_a_patch_adds_is_computed_with() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    fs::remove_file(setup.config().join("alpha/plugins-list.yaml")).unwrap();
    let manifest = "{\n  \"name\": \"@acme/one\",\n  \"version\": \"1.0.0\",\n  \
                    \"backstage\": { \"role\": \"backend-plugin\" }\n}\n";
    let (before, after) = (
        berry("", ""),
        berry(
            "  dependencies:\n    \"@backstage/new-experimental\": \"npm:^0.1.0\"\n",
            "\n\"@backstage/new-experimental@npm:^0.1.0\":\n  version: 0.1.0\n  \
             resolution: \"@backstage/new-experimental@npm:0.1.0\"\n  languageName: node\n  linkType: hard\n",
        ),
    );
    setup.source.write(MANIFEST, manifest).write("workspaces/alpha/yarn.lock", &before);
    setup.source.write("workspaces/alpha/plugins/two/package.json", r#"{"name": "@acme/two"}"#);
    setup.source.commit("one");
    // The patch as git makes it.
    let dependency = "  \"dependencies\": { \"@backstage/new-experimental\": \"^0.1.0\" },\n  \"backstage\"";
    setup.source.write(MANIFEST, manifest.replace("  \"backstage\"", dependency));
    setup.source.write("workspaces/alpha/yarn.lock", &after);
    let patch = setup.source.git(&["-C", "workspaces/alpha", "diff", "--relative"]);
    setup.source.git(&["checkout", "-q", "."]);
    setup.write("alpha/patches/1-experimental.patch", &format!("{patch}\n"));
    let host = setup.dir.path().join("host.lock");
    let types = "\n\"@backstage/types@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"@backstage/types@npm:1.0.0\"\n";
    fs::write(&host, format!("__metadata:\n  version: 8\n{types}")).unwrap();
    setup.ok(&["resolve", "--host-lockfile", host.to_str().unwrap()]);
    let list = fs::read_to_string(setup.config().join("alpha/plugins-list.yaml")).unwrap();
    let entries: Vec<_> = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(
        entries,
        ["plugins/one: --embed-package @backstage/new-experimental --shared-package !@backstage/new-experimental"],
        "{}",
        setup.lock()
    );
    let lock = setup.lock();
    let effective = format!("[workspace.effective]\nyarn-lock = \"{}\"\n", factory::lock::Sha256::of(&after));
    assert!(lock.contains(&effective), "{lock}");
    assert!(lock.contains("    \"--shared-package !@backstage/new-experimental\",\n"), "{lock}");
}
