//! The lock speaks of content: a commit that leaves alone what a plugin is built from moves no line of it. (All commits
//! here are of one time.)

use std::fs;

use harness::two_workspaces::{Setup, package, said};

/// A repository of `count` workspaces with one plugin each, and a library that it depends on; locked and sealed.
fn monorepo(count: usize) -> Setup {
    let setup = not_sealed(count);
    seal(&setup);
    setup
}

/// Seals all plugins of the lock, as a build does.
fn seal(setup: &Setup) {
    let digest = "0".repeat(64);
    let tgz = "A".repeat(86);
    let seal = format!(
        "\n[workspace.plugin.sealed]\ntgz = \"sha512-{tgz}==\"\nimage = \"sha256:{digest}\"\nlayer = \"sha256:{digest}\"\n"
    );
    let end = "/yarn.lock\",\n]\n";
    setup.write("factory.lock", &setup.lock().replace(&seal, "").replace(end, &format!("{end}{seal}")));
}

/// The same, locked only.
fn not_sealed(count: usize) -> Setup {
    let setup = Setup::new();
    for number in 0..count {
        let name = format!("w{number:02}");
        let at = |path: &str| format!("workspaces/{name}/{path}");
        let manifest = package(&format!("{name}-one"), "frontend-plugin")
            .replace("}}", "}, \"dependencies\": {\"@acme/lib\": \"workspace:^\"}}");
        let lock = format!(
            "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\
             \"@acme/{name}-one@workspace:plugins/one\":\n  version: 0.0.0-use.local\n  \
             resolution: \"@acme/{name}-one@workspace:plugins/one\"\n  dependencies:\n    \"@acme/lib\": \"workspace:^\"\n\n\
             \"@acme/lib@workspace:^, @acme/lib@workspace:plugins/lib\":\n  version: 0.0.0-use.local\n  \
             resolution: \"@acme/lib@workspace:plugins/lib\"\n\n\
             \"@acme/other@workspace:plugins/other\":\n  version: 0.0.0-use.local\n  \
             resolution: \"@acme/other@workspace:plugins/other\"\n\n\
             \"root@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"root@workspace:.\"\n"
        );
        setup
            .source
            .write(
                &at("package.json"),
                r#"{"name": "root", "packageManager": "yarn@4.9.2", "workspaces": ["plugins/*"]}"#,
            )
            .write(&at("yarn.lock"), lock)
            .write(&at("plugins/one/package.json"), manifest)
            .write(&at("plugins/one/src/index.ts"), "export const one = 1;\n")
            .write(&at("plugins/lib/package.json"), r#"{"name": "@acme/lib", "version": "1.0.0"}"#)
            .write(&at("plugins/lib/src/index.ts"), "export const lib = 1;\n")
            .write(&at("plugins/other/package.json"), r#"{"name": "@acme/other", "version": "1.0.0"}"#);
        setup.workspace(&name, "main");
        setup.write(&format!("{name}/plugins-list.yaml"), "plugins/one:\n");
    }
    setup.source.commit("workspaces");
    setup.ok(&["resolve"]);
    setup
}

/// The lines of the lock that another commit changed, without their values.
fn moved(setup: &Setup, path: &str, text: &str) -> Vec<String> {
    let before = setup.lock();
    setup.source.write(path, text);
    setup.source.commit("moved");
    setup.ok(&["resolve"]);
    let after = setup.lock();
    seal(setup);
    let diff = similar::TextDiff::from_lines(&before, &after);
    let added = diff.iter_all_changes().filter(|change| change.tag() == similar::ChangeTag::Insert);
    let name = |line: &str| {
        let line = line.trim();
        line.split_once(" = ").map_or_else(|| line.rsplit(' ').next().unwrap().to_owned(), |(key, _)| key.to_owned())
    };
    added.map(|change| name(change.value())).collect()
}

#[harness::test]
fn only_the_lines_of_what_a_commit_changes_move() {
    let setup = monorepo(20);
    let changes = [
        // Nothing is built from these.
        ("README.md", vec![]),
        ("workspaces/w07/README.md", vec![]),
        ("workspaces/w07/plugins/other/README.md", vec![]),
        ("workspaces/w07/plugins/other/src/index.ts", vec![]),
        // A plugin, and what it depends on.
        ("workspaces/w07/plugins/one/src/index.ts", vec!["commit", "workspaces/w07/plugins/one\","]),
        ("workspaces/w08/plugins/lib/src/index.ts", vec!["commit", "workspaces/w08/plugins/lib\","]),
        // What steers builds.
        ("workspaces/w09/tsconfig.json", vec!["commit", "workspaces/w09/tsconfig.json\","]),
        ("workspaces/w11/tsc.cjs", vec!["commit", "workspaces/w11/tsc.cjs\","]),
        ("workspaces/w12/scripts/gen.cjs", vec!["commit", "workspaces/w12/scripts\","]),
        ("workspaces/w13/.yarn/versions/x", vec!["commit", "workspaces/w13/.yarn/versions\","]),
        ("workspaces/w10/.yarnrc.yml", vec!["commit", "workspaces/w10/.yarnrc.yml\","]),
    ];
    for (path, lines) in changes {
        assert_eq!(moved(&setup, path, "{}\n"), lines, "{path}");
    }
    // The only one of a repository is where its ref is.
    let alone = monorepo(1);
    assert_eq!(moved(&alone, "README.md", "new\n"), ["commit"]);
    // Above the workspaces it is for all.
    assert_eq!(moved(&setup, ".yarnrc.yml", "{}\n").len(), 2 * 20);
}

#[harness::test]
fn the_part_of_a_lockfile_that_is_not_reached_moves_no_plugin() {
    let setup = monorepo(1);
    let lock = fs::read_to_string(setup.source.dir.join("workspaces/w00/yarn.lock")).unwrap();
    let more = "\n\"left@npm:^1\":\n  version: 1.0.0\n  resolution: \"left@npm:1.0.0\"\n  checksum: 10c0/aa\n";
    // The lock holds the digest of the whole file as well, which is the commit's.
    let lines = moved(&setup, "workspaces/w00/yarn.lock", &format!("{lock}{more}"));
    assert_eq!(lines, ["commit", "yarn-lock"]);
    let reached = lock.replace(
        "resolution: \"@acme/lib@workspace:plugins/lib\"\n",
        "resolution: \"@acme/lib@workspace:plugins/lib\"\n  dependencies:\n    left: \"npm:^1\"\n",
    );
    let lines = moved(&setup, "workspaces/w00/yarn.lock", &format!("{reached}{more}"));
    assert_eq!(lines, ["commit", "yarn-lock", "workspaces/w00/yarn.lock\","]);
}

#[harness::test]
fn a_workspace_that_stays_at_its_commit_is_named_and_can_be_moved() {
    let setup = monorepo(2);
    let before = setup.lock();
    setup.source.write("README.md", "new\n");
    setup.source.commit("new");
    let output = setup.ok(&["resolve"]);
    assert!(
        said(&output).contains("\nat their commits, since nothing they are built from moved: `w00`, `w01`\n"),
        "{}",
        said(&output)
    );
    assert_eq!(setup.lock(), before);
    setup.ok(&["resolve", "--check"]);
    let output = setup.ok(&["resolve", "--restamp"]);
    assert!(!said(&output).contains("at their commits"), "{}", said(&output));
    let head = setup.source.git(&["rev-parse", "HEAD"]);
    assert!(setup.lock().contains(&format!("commit = \"{}\"", head.trim())), "{}", setup.lock());

    // A commit that the repository has no more is not held on to.
    setup.source.git(&["checkout", "-q", "--orphan", "again"]);
    setup.source.commit("again");
    setup.source.git(&["branch", "-D", "main"]);
    setup.source.git(&["branch", "-m", "main"]);
    setup.source.git(&["reflog", "expire", "--expire=now", "--all"]);
    setup.source.git(&["gc", "-q", "--prune=now"]);
    setup.ok(&["resolve"]);
    let head = setup.source.git(&["rev-parse", "HEAD"]);
    assert!(setup.lock().contains(&format!("commit = \"{}\"", head.trim())), "{}", setup.lock());
}

#[harness::test]
fn a_workspace_that_is_not_sealed_moves_with_the_ref() {
    // What its exports read besides the sources is not known yet: a commit may mend what they fail at.
    let setup = not_sealed(2);
    setup.source.write("shared/base.json", "{}\n");
    setup.source.commit("shared");
    let output = setup.ok(&["resolve"]);
    assert!(!said(&output).contains("at their commits"), "{}", said(&output));
    let head = setup.source.git(&["rev-parse", "HEAD"]);
    assert_eq!(setup.lock().matches(&format!("commit = \"{}\"", head.trim())).count(), 2, "{}", setup.lock());
}

#[harness::test]
fn patches_and_overlays_are_sources_of_what_they_change() {
    let setup = monorepo(1);
    let sources = || {
        let lock = setup.lock();
        let list = lock.split_once("\nsources = [\n").unwrap().1.split_once("\n]").unwrap().0.to_owned();
        list.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let before = sources();
    let patch = |path: &str| {
        format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-export const lib = 1;\n+export const lib = 2;\n")
    };
    // Of a package that the plugin does not reach.
    setup.source.write("workspaces/w00/plugins/other/index.ts", "export const lib = 1;\n");
    setup.source.commit("other");
    setup.write("w00/patches/1.patch", &patch("plugins/other/index.ts"));
    setup.ok(&["resolve"]);
    assert_eq!(sources(), before);
    setup.write("w00/patches/1.patch", &patch("plugins/lib/src/index.ts"));
    setup.write("w00/plugins/one/overlay/src/new.ts", "export {};\n");
    setup.ok(&["resolve"]);
    let new: Vec<String> = sources().into_iter().filter(|line| !before.contains(line)).collect();
    let blob = |text: &str| {
        let file = setup.dir.path().join("blob");
        fs::write(&file, text).unwrap();
        setup.source.git(&["hash-object", file.to_str().unwrap()]).trim().to_owned()
    };
    assert_eq!(
        new,
        [
            format!("\"100644:{} workspaces/w00/plugins/lib/src/index.ts\",", blob("export const lib = 2;\n")),
            format!("\"100644:{} workspaces/w00/plugins/one/src/new.ts\",", blob("export {};\n")),
        ]
    );
}

#[harness::test]
fn a_backstage_json_of_the_configuration_is_a_source() {
    let setup = monorepo(1);
    let before = setup.lock();
    setup.write("w00/backstage.json", r#"{"version": "1.42.0"}"#);
    setup.ok(&["resolve"]);
    let after = setup.lock();
    let line =
        |lock: &str| lock.lines().find(|line| line.ends_with("workspaces/w00/backstage.json\",")).map(str::to_owned);
    assert_eq!(line(&before), None);
    let first = line(&after).unwrap();
    setup.write("w00/backstage.json", r#"{"version": "1.43.0"}"#);
    setup.ok(&["resolve"]);
    assert_ne!(line(&setup.lock()).unwrap(), first);
}

#[harness::test]
fn a_lock_whose_sources_are_not_those_of_its_commit_is_not_built() {
    let setup = monorepo(1);
    let lock = setup.lock();
    let line = lock.lines().find(|line| line.ends_with(" workspaces/w00/plugins/lib\",")).unwrap();
    let wrong = format!("    \"040000:{} workspaces/w00/plugins/lib\",", "0".repeat(40));
    setup.write("factory.lock", &lock.replace(line, &wrong));
    let output = setup.run(&["build", "--output-dir", setup.dir.path().join("out").to_str().unwrap()]);
    let head = setup.source.git(&["rev-parse", "HEAD"]);
    let message = format!(
        "factory.lock: plugin `plugins/one` of workspace `w00`: the source `workspaces/w00/plugins/lib` is not what commit {} \
         has\n\nhint: restore the lock from version control, or run `factory resolve w00`\n",
        head.trim()
    );
    assert!(said(&output).contains(&message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
}
