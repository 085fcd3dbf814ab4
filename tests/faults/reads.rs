//! What an export reads beside what the lock knows of is found and followed. All tools are scripts, so that a build takes no
//! time.

use harness::npm_registry::{OPTIONS, Registry, StubCli};
use harness::program::Test;
use harness::repository::Repository;

const CLI: StubCli<'static> = StubCli { versions: &["1.9.1"], tags: &[], options: &OPTIONS };

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];
const BUILD: [&str; 3] = ["build", "--output-dir", "out"];

/// What the stub of yarn leaves: packages hoisted to the root, and one that is not.
const INSTALLED: &str = "for at in left hoisted below scanned plugins/other/node_modules/hoisted; do
  case $at in plugins/*) ;; *) at=node_modules/$at ;; esac
  mkdir -p $at/lib
  echo '{}' | tee $at/package.json > $at/index.d.ts
  echo 1 > $at/lib/x.js
done
";

fn workspace(name: &str, dependencies: &[(&str, &str)]) -> String {
    let folder = if name == "root" { ".".to_owned() } else { format!("plugins/{name}") };
    entry(&format!("@x/{name}@workspace:{folder}"), "0.0.0-use.local", dependencies)
}

fn npm(name: &str, version: &str, dependencies: &[(&str, &str)]) -> String {
    entry(&format!("{name}@npm:{version}"), version, dependencies)
}

fn entry(locator: &str, version: &str, dependencies: &[(&str, &str)]) -> String {
    let mut text = format!("\n\"{locator}\":\n  version: {version}\n  resolution: \"{locator}\"\n");
    for (number, (name, range)) in dependencies.iter().enumerate() {
        let head = if number == 0 { "  dependencies:\n" } else { "" };
        text.push_str(&format!("{head}    \"{name}\": \"{range}\"\n"));
    }
    text + "  languageName: node\n  linkType: hard\n"
}

/// The lockfile of the workspace, with a version of what `other` alone declares and of what that needs.
fn lockfile(hoisted: &str, below: &str) -> String {
    let exact = |name, version| (name, format!("npm:{version}"));
    let (hoisted_range, below_range) = (exact("hoisted", hoisted), exact("below", below));
    [
        "__metadata:\n  version: 8\n  cacheKey: 10c0\n".to_owned(),
        npm("below", below, &[]),
        npm("hoisted", hoisted, &[("below", &below_range.1)]),
        npm("left", "1.0.0", &[]),
        npm("scanned", "1.0.0", &[]),
        workspace("one", &[("left", "npm:1.0.0")]),
        workspace("other", &[("hoisted", &hoisted_range.1), ("scanned", "npm:1.0.0")]),
        workspace("root", &[]),
    ]
    .concat()
}

/// Configures the plugin `plugins/one` of the workspace `w` of the repository `repo`, built with scripts as tools.
pub fn configure(test: &mut Test) {
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "w"}"#)
        .config("plugins-list.yaml", "plugins/one:\n")
        .config("host.lock", "__metadata:\n  version: 8\n");
    test.env("NPM_CONFIG_REGISTRY", Registry::of_scripts(&CLI).url).env("NODE_VERSION", "22");
}

/// The workspace `w` of a repository, where the export of `plugins/one` ends with a script.
fn setup(exported: &str) -> (Test, Repository) {
    let mut test = Test::with_path();
    let repo = Repository::init(&test.path("repo"));
    let manifest = |name: &str, more: &str| format!(r#"{{"name":"@x/{name}","version":"1.0.0"{more}}}"#);
    let root = manifest("root", r#","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]"#);
    let plugin = manifest("one", r#","backstage":{"role":"frontend-plugin"},"dependencies":{"left":"1.0.0"}"#);
    let other = manifest("other", r#","dependencies":{"hoisted":"1.0.0","scanned":"1.0.0"}"#);
    repo.write("w/package.json", root)
        .write("w/.yarnrc.yml", "nodeLinker: node-modules\n")
        .write("w/installed.sh", INSTALLED)
        .write("w/yarn.lock", lockfile("1.0.0", "1.0.0"))
        .write("w/plugins/one/package.json", plugin)
        .write("w/plugins/one/exported.sh", exported)
        .write("w/plugins/other/package.json", other)
        .write("w/plugins/other/text.txt", "1\n")
        .write("w/plugins/other/node_modules/committed/index.js", "1\n")
        .write("shared/text.txt", "1\n")
        .write("shared/node_modules/committed/index.js", "1\n");
    repo.commit("first");
    configure(&mut test);
    (test, repo)
}

/// Resolves and builds; what the lock says that was read, and whether anything was built.
#[track_caller]
fn built(test: &Test) -> (Vec<String>, bool) {
    test.run(&RESOLVE).success();
    let said = test.run(&BUILD).success().stderr;
    (reads(test), !said.contains("from the cache"))
}

fn reads(test: &Test) -> Vec<String> {
    list(test, "reads")
}

fn sources(test: &Test) -> Vec<String> {
    list(test, "sources")
}

/// A list of the plugin in the lock.
fn list(test: &Test, name: &str) -> Vec<String> {
    let lock = test.read("config/factory.lock");
    let Some((_, rest)) = lock.split_once(&format!("\n{name} = [\n")) else { return vec![] };
    let list = rest.split_once("\n]").unwrap().0;
    list.lines().map(|line| line.trim().trim_matches(['"', ',']).to_owned()).collect()
}

#[harness::test]
fn a_package_that_no_dependency_leads_to_is_found_and_followed() {
    // `left` is declared; tools that look for packages and for types read every package.json and declaration, and list folders.
    let uses =
        "cat ../../node_modules/left/lib/x.js ../../node_modules/*/package.json ../../node_modules/*/index.d.ts > used
ls -R ../../node_modules >> used
cat ../../node_modules/hoisted/lib/x.js ../../node_modules/below/lib/x.js >> used\n";
    let (test, repo) = setup(uses);
    let (reads, _) = built(&test);
    // What it needs itself goes with it.
    assert_eq!(reads, ["w/node_modules/hoisted"]);

    // The build knows what resolving finds: nothing moves.
    let before = sources(&test);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "empty"]);
    assert_eq!(built(&test), (vec!["w/node_modules/hoisted".to_owned()], false));
    assert_eq!(sources(&test), before);

    // Another version of what is used, or of what that needs.
    for (hoisted, below) in [("1.0.1", "1.0.0"), ("1.0.1", "1.0.2")] {
        repo.write("w/yarn.lock", lockfile(hoisted, below));
        repo.commit("moved");
        assert_eq!(built(&test), (vec!["w/node_modules/hoisted".to_owned()], true), "{hoisted} {below}");
    }
    // Of what is not.
    repo.write("w/yarn.lock", lockfile("1.0.1", "1.0.2").replace("scanned@npm:1.0.0", "scanned@npm:1.0.1"));
    repo.commit("other");
    assert!(!built(&test).1);
}

#[harness::test]
fn an_ordinary_user_finds_it_as_well() {
    harness::needs(&["setpriv"]);
    harness::needs_root();
    let (test, _) = setup("cat ../../node_modules/hoisted/lib/x.js > used\n");
    test.run_as_nobody(&RESOLVE).success();
    test.run_as_nobody(&BUILD).success();
    assert_eq!(reads(&test), ["w/node_modules/hoisted"]);
}

#[harness::test]
fn too_many_packages_are_all_there_are() {
    let (test, repo) = setup("cat ../../node_modules/many*/lib/x.js > used\n");
    let many: Vec<String> = (0..41).map(|number| format!("many{number}")).collect();
    let edges: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "npm:1.0.0")).collect();
    let blocks: String = many.iter().map(|name| npm(name, "1.0.0", &[])).collect();
    let lock = lockfile("1.0.0", "1.0.0") + &blocks + &workspace("more", &edges);
    let installed = format!(
        "for at in {}; do mkdir -p node_modules/$at/lib; echo > node_modules/$at/lib/x.js; done\n",
        many.join(" ")
    );
    repo.write("w/yarn.lock", &*lock)
        .write("w/installed.sh", installed)
        .write("w/plugins/more/package.json", r#"{"name":"@x/more","version":"1.0.0"}"#);
    repo.commit("many");
    assert_eq!(built(&test), (vec!["w/node_modules".to_owned()], true));
    repo.write("w/plugins/other/text.txt", "2\n");
    repo.commit("no package");
    assert!(!built(&test).1);
    repo.write("w/yarn.lock", lock.replace("scanned@npm:1.0.0", "scanned@npm:1.0.1"));
    repo.commit("a package");
    assert!(built(&test).1);
}

#[harness::test]
fn what_is_moved_linked_or_in_committed_node_modules_is_read() {
    let both = vec!["shared", "w/plugins/other"];
    let ways = [
        ("mv ../other/text.txt .\nln ../../../shared/text.txt linked.txt", both.clone()),
        ("ln ../other/text.txt linked.txt\nmv ../../../shared moved", both.clone()),
        ("cat ../other/node_modules/committed/index.js ../../../shared/node_modules/committed/index.js > used", both),
        // That there is something is not what is in it.
        ("ln -s ../other/text.txt link\nls .. > used", vec![]),
    ];
    for (way, expected) in ways {
        let (test, _) = setup(way);
        assert_eq!(built(&test), (expected.into_iter().map(str::to_owned).collect(), true), "{way}");
    }
}

#[harness::test]
fn what_only_the_installation_and_tsc_read_is_read() {
    // Of a workspace: what lies in none of its packages and is not said to steer; and yarn's folders elsewhere.
    let read = ["plugins/tsconfig.base.json", "docs/x.txt", "LICENSES.json", "../.yarn/plugins/p.cjs"];
    let (test, repo) = setup("cp ../../made.txt used\n");
    for file in read {
        repo.write(&format!("w/{file}"), "1\n");
    }
    repo.write("w/docs/unread.txt", "1\n").write("w/installed.sh", format!("cat {} > made.txt\n", read.join(" ")));
    repo.commit("read by tsc");
    let found = [".yarn", "w/LICENSES.json", "w/docs", "w/plugins/tsconfig.base.json"].map(str::to_owned);
    assert_eq!(built(&test), (found.to_vec(), true));
    for file in read {
        repo.write(&format!("w/{file}"), "2\n");
        repo.commit("moved");
        assert_eq!(built(&test), (found.to_vec(), true), "{file}");
    }
    assert!(!built(&test).1);
}

#[harness::test]
fn a_folder_stands_for_too_much_that_is_read_and_what_lies_elsewhere_stays() {
    let (test, repo) = setup("cat ../../../shared/text.txt ../*/text.txt > used\n");
    for number in 0..41 {
        repo.write(&format!("w/plugins/p{number}/package.json"), format!("{{\"name\":\"p{number}\"}}"))
            .write(&format!("w/plugins/p{number}/text.txt"), "1\n");
    }
    repo.commit("many");
    assert_eq!(built(&test), (vec!["shared".to_owned(), "w".to_owned()], true));
    repo.write("shared/text.txt", "2\n");
    repo.commit("moved");
    assert!(built(&test).1);
}

#[harness::test]
fn what_a_script_does_to_a_patched_file_is_not_what_the_lock_has_of_it() {
    let (test, _) = setup("cat ../other/text.txt > used\necho more >> data.txt\n");
    test.config("plugins/one/overlay/data.txt", "o\n");
    assert_eq!(built(&test), (vec!["w/plugins/other".to_owned()], true));
    assert!(!built(&test).1);
    test.config("plugins/one/overlay/data.txt", "o\nmore\n");
    assert!(built(&test).1);
}

#[harness::test]
fn a_declaration_that_tsc_made_of_a_package_is_the_package() {
    // `yarn tsc` makes those of all packages; what an export takes of them is what it is built from.
    let (test, repo) = setup("cat ../../dist-types/plugins/other/src/index.d.ts > used\n");
    let made = "for name in one other; do
  mkdir -p dist-types/plugins/$name/src
  echo 1 > dist-types/plugins/$name/src/index.d.ts
done\n";
    repo.write("w/installed.sh", made);
    repo.commit("types");
    assert_eq!(built(&test), (vec!["w/plugins/other".to_owned()], true));
}

/// The lines of a plugin's sources that a change of a file moved.
fn moved(test: &Test, repo: &Repository, path: &str) -> Vec<String> {
    let before = sources(test);
    repo.write(path, "changed\n");
    repo.commit("changed");
    test.run(&RESOLVE).success();
    let now = sources(test).into_iter().filter(|line| !before.contains(line));
    now.map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[harness::test]
fn a_dependency_on_a_folder_is_a_source() {
    let berry = |name: &str, reference: &str| {
        let locator = format!("{name}@{reference}::locator=%40x%2Fone%40workspace%3Aplugins%2Fone");
        entry(&locator, "0.0.0-use.local", &[])
    };
    let dependencies = [
        ("vendored", "file:../other/vendor"),
        ("linked", "link:../../../libs/linked"),
        ("ported", "portal:../../../libs/ported"),
    ];
    let berry = [
        "__metadata:\n  version: 8\n  cacheKey: 10c0\n".to_owned(),
        dependencies.map(|(name, range)| berry(name, range)).concat(),
        workspace("one", &dependencies),
        workspace("other", &[]),
        workspace("root", &[]),
    ]
    .concat();
    let classic = dependencies.map(|(name, range)| format!("\"{name}@{range}\":\n  version \"1.0.0\"\n\n")).concat();
    let manifest = r#"{"name":"@x/one","version":"1.0.0","backstage":{"role":"frontend-plugin"},"dependencies":{
"vendored":"file:../other/vendor","linked":"link:../../../libs/linked","ported":"portal:../../../libs/ported"}}"#;
    for lock in [berry, format!("# yarn lockfile v1\n\n\n{classic}")] {
        let (test, repo) = setup("");
        let yarn = if lock.starts_with('#') { "1.22.22" } else { "4.9.2" };
        let root =
            format!(r#"{{"name":"root","version":"1.0.0","packageManager":"yarn@{yarn}","workspaces":["plugins/*"]}}"#);
        repo.write("w/yarn.lock", lock)
            .write("w/package.json", root)
            .write("w/plugins/one/package.json", manifest)
            .write("w/plugins/other/package.json", r#"{"name":"@x/other","version":"1.0.0"}"#)
            .write("w/plugins/other/vendor/index.js", "1\n")
            .write("libs/linked/index.js", "1\n")
            .write("libs/ported/index.js", "1\n")
            .write("libs/other/index.js", "1\n");
        repo.commit("folders");
        test.run(&RESOLVE).success();
        for folder in ["w/plugins/other/vendor", "libs/linked", "libs/ported"] {
            assert_eq!(moved(&test, &repo, &format!("{folder}/index.js")), [folder], "yarn {yarn}");
        }
        for path in ["w/plugins/other/text.txt", "libs/other/index.js"] {
            assert_eq!(moved(&test, &repo, path), Vec::<String>::new(), "yarn {yarn}");
        }
    }
}
