//! What a workspace installs is kept in the cache and shown to later builds, which cannot write to it. All tools are
//! scripts, so that a build takes no time; the build root is the real one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use harness::program::{Outcome, Test, names};
use harness::repository::Repository;

use crate::reads::configure;

pub const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];
pub const BUILD: [&str; 3] = ["build", "--output-dir", "out"];
pub const REBUILD: [&str; 4] = ["build", "--output-dir", "out", "--rebuild"];

/// Said when nothing is installed.
const KEPT: &str = "its packages are installed already";

/// What the stub of yarn leaves: packages, its state, and files beside them.
pub const INSTALL: &str = r#"[ "$*" = "install --immutable" ] || return 0
for name in write chmod rename link truncate remove touch; do
  mkdir -p node_modules/$name/lib
  echo "{}" > node_modules/$name/package.json
  echo "$name" > node_modules/$name/lib/x.js
done
ln -s ../write node_modules/link/other
mkdir -p .yarn/unplugged/deep plugins/lib/node_modules/own made/empty
echo unplugged > .yarn/unplugged/deep/index.js
echo state > .yarn/install-state.gz
echo own > plugins/lib/node_modules/own/index.js
echo beside > made/beside.txt
chmod 755 tool.sh
find node_modules .yarn plugins/lib/node_modules made -exec touch -h -d @456789000 {} +
"#;

/// Puts into the package what a build sees, and then does to it what it can.
const EXPORT: &str = r#"seen=$PWD/dist-dynamic/dist/entry.js
cd ../..
packages="node_modules plugins/lib/node_modules .yarn/unplugged"
all="$packages .yarn made tool.sh"
find $packages -not -type d -exec stat -c '%n %Y' {} + | sort > $seen
find $all -not -type d -exec stat -c '%n %F %a %s' {} + | sort >> $seen
find $all -type d -exec stat -c '%n %a' {} + | sort >> $seen
find $all -type f | sort | xargs cat >> $seen
readlink node_modules/link/other >> $seen
cd node_modules
echo evil > write/lib/x.js && grep -q evil write/lib/x.js || exit 9
chmod 777 chmod/lib/x.js && [ -x chmod/lib/x.js ] || exit 9
mv rename/lib/x.js rename/lib/y.js && [ ! -e rename/lib/x.js ] || exit 9
ln link/lib/x.js link/lib/y.js && echo evil >> link/lib/y.js && grep -q evil link/lib/x.js || exit 9
: > truncate/lib/x.js && [ ! -s truncate/lib/x.js ] || exit 9
rm remove/lib/x.js && [ ! -e remove/lib/x.js ] || exit 9
touch -d 2001-01-01 touch/lib/x.js || exit 9
chmod 700 . && echo evil > added.js || exit 9
rm -rf ../made && echo evil > ../plugins/lib/node_modules/own/index.js || exit 9
"#;

const ROOT: &str = r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#;

/// The lockfile, with something after it.
fn lockfile(more: &str) -> String {
    let locators = ["one", "two", "lib"].map(|name| format!("@x/{name}@workspace:plugins/{name}"));
    let entry = |locator: &str| format!("\n\"{locator}\":\n  version: 0.0.0-use.local\n  resolution: \"{locator}\"\n");
    let entries: String = locators.iter().map(|locator| entry(locator)).collect();
    format!("__metadata:\n  version: 8\n{entries}{}{more}", entry("root@workspace:."))
}

/// A repository with a workspace in `w`.
pub fn setup(installed: &str, exported: &str) -> (Test, Repository) {
    let mut test = Test::with_path();
    let repo = Repository::init(&test.path("repo"));
    repo.write("w/package.json", ROOT).write("w/yarn.lock", lockfile("")).write("w/installed.sh", installed);
    repo.write("w/tool.sh", "echo tool\n").write("w/docs/read.txt", "1\n");
    for name in ["one", "two", "lib"] {
        let role = if name == "lib" { "common-library" } else { "frontend-plugin" };
        let manifest = format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"{role}"}}}}"#);
        repo.write(&format!("w/plugins/{name}/package.json"), manifest);
        repo.write(&format!("w/plugins/{name}/src.txt"), "1\n");
    }
    repo.write("w/plugins/one/exported.sh", exported);
    repo.commit("first");
    configure(&mut test);
    (test, repo)
}

/// Builds; whether yarn installed anything, which its log says as well.
#[track_caller]
fn installs(test: &Test, args: &[&str]) -> bool {
    let said = test.run(args).success().stderr;
    let is_kept = said.contains(KEPT);
    assert_eq!(test.read("out/logs/workspace.log").contains("yarn.js install"), !is_kept, "{said}");
    !is_kept
}

/// The packages in the layers: content, mode and time by path.
fn layers(test: &Test) -> BTreeMap<String, (String, u32, i64)> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, (String, u32, i64)>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let meta = entry.symlink_metadata().unwrap();
            let content = if meta.is_file() { fs::read_to_string(&entry).unwrap() } else { String::new() };
            let path = entry.display().to_string();
            if path.contains("/tree/") {
                found.insert(path, (content, meta.mode(), if meta.is_dir() { 0 } else { meta.mtime() }));
            }
            if meta.is_dir() {
                walk(&entry, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&test.path("cache/layers"), &mut found);
    found
}

/// How many layers have packages, and are not types alone.
fn package_layers(test: &Test) -> usize {
    let layers = test.path("cache/layers");
    names(&layers).iter().filter(|name| layers.join(name).join("tree").is_dir()).count()
}

fn nothing_is_written_through(run: impl Fn(&Test, &[&str]) -> Outcome) {
    let (test, _) = setup(INSTALL, EXPORT);
    run(&test, &RESOLVE).success();
    assert!(!run(&test, &BUILD).success().stderr.contains(KEPT));
    let before = layers(&test);
    let kept = before.keys().filter(|path| path.ends_with("/lib/x.js")).count();
    assert_eq!(kept, 7, "{:?}", before.keys());
    // The seal of the first build holds what it saw.
    for _ in 0..2 {
        let said = run(&test, &REBUILD).success().stderr;
        assert!(said.contains(KEPT), "{said}");
        assert!(layers(&test) == before);
    }
    // The tree of the build has none of it: what is removed next time is what was written.
    assert_eq!(names(&test.path("cache/work/w/source/w/node_modules")), [""; 0]);
}

#[harness::test]
fn a_script_of_root_writes_to_no_layer() {
    harness::needs_root();
    nothing_is_written_through(Test::run);
}

#[harness::test]
fn a_script_of_an_ordinary_user_writes_to_no_layer() {
    harness::needs(&["setpriv"]);
    harness::needs_root();
    nothing_is_written_through(Test::run_as_nobody);
}

#[harness::test]
fn what_is_installed_is_installed_once_until_it_depends_on_something_else() {
    let script = format!("[ $1 = tsc ] || cat docs/read.txt > /dev/null\n{INSTALL}");
    let (test, repo) = setup(&script, EXPORT);
    test.config("plugins-list.yaml", "plugins/one:\nplugins/two:\n");
    test.run(&RESOLVE).success();
    assert!(installs(&test, &BUILD));
    let moved = |path: &str, text: &str, is_installed: bool| {
        repo.write(path, text);
        repo.commit(path);
        test.run(&RESOLVE).success();
        assert_eq!(installs(&test, &REBUILD), is_installed, "{path}");
    };
    moved("w/plugins/one/src.txt", "2\n", false);
    // What is there can be seen without being opened.
    moved("elsewhere/text.txt", "1\n", true);
    moved("elsewhere/text.txt", "2\n", false);
    moved("w/docs/other.txt", "1\n", true);
    std::os::unix::fs::symlink("text.txt", repo.dir.join("elsewhere/link")).unwrap();
    moved("elsewhere/text.txt", "3\n", true);
    fs::remove_file(repo.dir.join("elsewhere/link")).unwrap();
    std::os::unix::fs::symlink("other", repo.dir.join("elsewhere/link")).unwrap();
    moved("elsewhere/text.txt", "4\n", true);
    fs::set_permissions(repo.dir.join("elsewhere/text.txt"), fs::Permissions::from_mode(0o755)).unwrap();
    moved("w/plugins/one/src.txt", "4\n", true);
    moved("w/yarn.lock", &lockfile("\n\"left@npm:1\":\n  version: 1.0.0\n  resolution: \"left@npm:1.0.0\"\n"), true);
    moved("w/.yarnrc.yml", "nodeLinker: node-modules\n", true);
    moved(".yarn/plugins/x.cjs", "1\n", true);
    moved("w/package.json", &ROOT.replace('}', r#","description":"x"}"#), true);
    // What the installation opened, though nothing says that it does.
    moved("w/docs/read.txt", "2\n", true);
    moved("w/docs/other.txt", "2\n", false);
    // As it was: that layer is still there.
    moved("w/docs/read.txt", "1\n", false);
    // What the installation read is known of a layer, too.
    fs::remove_file(test.path("config/factory.lock")).unwrap();
    test.run(&RESOLVE).success();
    assert!(!installs(&test, &BUILD));
    assert!(
        test.read("config/factory.lock").contains("\nreads = [\n    \"w/docs\",\n]"),
        "{}",
        test.read("config/factory.lock")
    );
    // What an install script of a package of the workspace opens is found in the same way.
    moved("w/package.json", &ROOT.replace('}', r#","scripts":{"postinstall":"x"}}"#), true);
    moved("w/plugins/one/src.txt", "3\n", false);
    moved("w/docs/read.txt", "3\n", true);
    assert!(installs(&test, &[&REBUILD[..], &["--no-install-scripts"]].concat()));
    assert!(!installs(&test, &[&REBUILD[..], &["--no-install-scripts"]].concat()));
}

#[harness::test]
fn what_is_installed_already_needs_no_package_in_the_cache() {
    let (test, repo) = setup(INSTALL, EXPORT);
    repo.write("w/yarn.lock", lockfile("\n\"left@npm:1\":\n  version: 1.0.0\n  resolution: \"left@npm:1.0.0\"\n"));
    repo.commit("a package");
    test.run(&RESOLVE).success();
    let offline = [&REBUILD[..], &["--offline"]].concat();
    test.run(&BUILD).success();
    assert!(!installs(&test, &offline));
    fs::remove_dir_all(test.path("cache/layers")).unwrap();
    let said = test.run(&offline).exits(5).stderr;
    assert!(said.contains("packages of workspace `w` are not in the cache: left@npm:1.0.0; `--offline`"), "{said}");
}

/// What is said of a file, and what is done to it.
type Damage = (&'static str, fn(&Path));

#[harness::test]
fn a_damaged_layer_is_installed_again() {
    let (test, _) = setup(INSTALL, EXPORT);
    test.run(&RESOLVE).success();
    test.run(&BUILD).success();
    let before = layers(&test);
    let damages: [Damage; 4] = [
        ("was changed", |file| {
            let time = fs::metadata(file).unwrap().modified().unwrap();
            fs::write(file, "truncatf\n").unwrap();
            fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        }),
        ("was changed", |file| fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap()),
        ("is missing", |file| fs::remove_file(file).unwrap()),
        ("was changed", |file| {
            fs::remove_file(file).unwrap();
            nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let file = before.keys().find(|path| path.ends_with("node_modules/truncate/lib/x.js")).unwrap();
        damage(Path::new(file));
        let said = test.run(&[&REBUILD[..], &["--frozen"]].concat()).success().stderr;
        let file = file.replace(test.path("").to_str().unwrap(), "[DIR]/");
        let line = format!(
            "warning: w: its installed packages in the cache were damaged and are installed again: `{file}` {what}\n"
        );
        assert_eq!(said.matches("damaged").count(), 1, "{said}");
        assert!(said.contains(&line), "{said}\n{line}");
        assert!(layers(&test) == before);
    }
}

#[harness::test]
fn what_a_layer_cannot_have_is_installed_each_time() {
    let plants = [
        ("mkfifo node_modules/link/fifo", "`w/node_modules/link/fifo` is no file, folder or link"),
        ("mknod node_modules/link/gone c 0 0", "`w/node_modules/link/gone` is no file, folder or link"),
        (
            "chmod 4755 node_modules/link/lib/x.js",
            "`w/node_modules/link/lib/x.js` has an owner, a mode or attributes that a layer cannot have",
        ),
        (
            "python3 -c 'import os; os.setxattr(\"node_modules/link\", \"user.overlay.opaque\", b\"y\")'",
            "`w/node_modules/link` has an owner, a mode or attributes that a layer cannot have",
        ),
        ("echo 2 >> plugins/one/src.txt", "`w/plugins/one/src.txt` was changed"),
        // As if it had not been.
        (
            "touch -r plugins/one/src.txt time && echo 2 > plugins/one/src.txt && touch -r time plugins/one/src.txt",
            "`w/plugins/one/src.txt` was changed",
        ),
        ("rm plugins/one/src.txt", "files of the source were removed"),
        ("ln -s /nothing plugins/link; mkfifo plugins/fifo", "`w/plugins/fifo` is no plain file"),
    ];
    harness::needs(&["python3"]);
    let (test, repo) = setup("", "");
    for (plant, why) in plants {
        repo.write("w/installed.sh", format!("{INSTALL}{plant} || exit 9\n"));
        repo.commit(plant);
        test.run(&RESOLVE).success();
        let said = test.run(&BUILD).success().stderr;
        assert!(said.contains(&format!("w: its installed packages are not kept: {why}\n")), "{plant}: {said}");
        assert_eq!(names(&test.path("cache/layers")), [""; 0], "{plant}");
    }
}

#[harness::test]
fn a_link_from_the_source_leads_into_no_layer() {
    // One inode under two names, of which one lies where every script may write.
    let installed = format!("{INSTALL}ln node_modules/write/lib/x.js made/linked.js\n");
    let (test, _) = setup(
        &installed,
        "cat ../../node_modules/write/lib/x.js > dist-dynamic/dist/entry.js\necho evil > ../../made/linked.js\n",
    );
    test.run(&RESOLVE).success();
    assert!(installs(&test, &BUILD));
    let before = layers(&test);
    assert!(!installs(&test, &REBUILD));
    assert!(layers(&test) == before);
}

#[harness::test]
fn a_folder_that_a_script_made_a_link_is_not_followed_when_packages_are_shown() {
    let outside = Test::new();
    let folder = outside.path("victim").display().to_string();
    let moved =
        format!("[ $1 != tsc ] || {{ mv plugins/lib plugins/moved && ln -s {folder} plugins/lib; }} || exit 9\n");
    let exported = "ls -A ../moved/node_modules > dist-dynamic/dist/entry.js; mkdir -p ../lib/made\n";
    let (test, _) = setup(&format!("{moved}{INSTALL}"), exported);
    test.run(&RESOLVE).success();
    let said = test.run(&BUILD).exits(1).stderr;
    assert!(said.contains("mkdir: cannot create directory"), "{said}");
    assert!(!outside.path("victim").exists());
}

#[harness::test]
fn workspaces_on_one_lockfile_install_once_and_take_little_room() {
    let large = "head -c 30000000 /dev/zero | split -b 30000 -a 4 - node_modules/write/large";
    let (test, repo) = setup(&format!("{INSTALL}{large}\n"), EXPORT);
    fs::remove_file(test.path("config/source.json")).unwrap();
    fs::remove_file(test.path("config/plugins-list.yaml")).unwrap();
    let all: Vec<String> = (0..10).map(|number| format!("w{number}")).collect();
    for name in &all {
        let manifest = format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"frontend-plugin"}}}}"#);
        repo.write(&format!("w/plugins/{name}/package.json"), manifest);
        let source = r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "w"}"#;
        test.config(&format!("{name}/source.json"), source)
            .config(&format!("{name}/plugins-list.yaml"), format!("plugins/{name}:\n"));
    }
    let locators = all.iter().map(|name| format!("@x/{name}@workspace:plugins/{name}"));
    let entry =
        |locator: String| format!("\n\"{locator}\":\n  version: 0.0.0-use.local\n  resolution: \"{locator}\"\n");
    repo.write("w/yarn.lock", lockfile(&locators.map(entry).collect::<String>()));
    repo.commit("ten");
    test.run(&RESOLVE).success();
    let room = || {
        let size = Command::new("du").args(["-sk", "cache"]).current_dir(test.path("")).output().unwrap();
        String::from_utf8(size.stdout).unwrap().split_once('\t').unwrap().0.parse::<u64>().unwrap()
    };
    let said = test.run(&[&BUILD[..], &["w0"]].concat()).success().stderr;
    assert!(!said.contains(KEPT), "{said}");
    let first = room();
    let said = test.run(&BUILD).success().stderr;
    assert_eq!(said.matches(KEPT).count(), 9, "{said}");
    assert_eq!(package_layers(&test), 1);
    let more = room() - first;
    assert!(first > 30_000 && more * 100 < first * 5 * 9, "{first} KiB of one, {more} KiB more of nine others");
    let entries = all.iter().map(|name| test.read(&format!("out/{name}/logs/workspace.log")));
    assert_eq!(entries.filter(|log| log.contains("yarn.js install")).count(), 1);
}

#[harness::test]
fn workspaces_that_install_the_same_install_it_once() {
    let (test, _) = setup(INSTALL, EXPORT);
    fs::remove_file(test.path("config/source.json")).unwrap();
    fs::remove_file(test.path("config/plugins-list.yaml")).unwrap();
    for (name, plugin) in [("a", "one"), ("b", "two")] {
        test.config(
            &format!("{name}/source.json"),
            r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "w"}"#,
        )
        .config(&format!("{name}/plugins-list.yaml"), format!("plugins/{plugin}:\n"));
    }
    test.run(&RESOLVE).success();
    let said = test.run(&BUILD).success().stderr;
    assert_eq!(said.matches(KEPT).count(), 1, "{said}");
    assert_eq!(package_layers(&test), 1);
    let entries = ["a", "b"].map(|name| test.read(&format!("out/{name}/logs/workspace.log")));
    assert_eq!(entries.iter().filter(|log| log.contains("yarn.js install")).count(), 1);
}

#[harness::test]
fn processes_that_install_the_same_at_the_same_time_install_it_once() {
    let (test, _) = setup(INSTALL, EXPORT);
    for name in ["a", "b"] {
        // Of the same name they would wait for each other before that.
        test.write(
            &format!("{name}/{name}/source.json"),
            r#"{"repo": "../../repo", "repo-ref": "main", "workspace-path": "w"}"#,
        )
        .write(&format!("{name}/{name}/plugins-list.yaml"), "plugins/one:\n");
        test.run(&["resolve", "--config-dir", name, "--host-lockfile", "config/host.lock"]).success();
    }
    let start = |name: &str| {
        let output = format!("out-{name}");
        let mut command = test.command(&["build", "--config-dir", name, "--output-dir", &output]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running = ["a", "b"].map(start);
    let said = running.map(|child| test.outcome(child.wait_with_output().unwrap()).success().stderr);
    assert_eq!(said.iter().filter(|said| said.contains(KEPT)).count(), 1, "{said:?}");
    assert_eq!(package_layers(&test), 1);
}

#[harness::test]
fn digests_are_the_same_where_no_layer_can_be_had() {
    harness::needs(&["unshare"]);
    harness::needs_root();
    let (mut test, _) = setup(INSTALL, EXPORT);
    test.run(&RESOLVE).success();
    assert!(installs(&test, &BUILD));
    // An overlay cannot be written over another one.
    let script = "mkdir lower upper overlay other
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=overlay other && exec \"$@\"";
    let mut command = Command::new("unshare");
    let factory = harness::program();
    test.env("FACTORY_CACHE_DIR", test.path("other").display());
    test.prepare(&mut command);
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(factory).args(REBUILD);
    let said = test.outcome(command.output().unwrap()).success().stderr;
    assert!(!said.contains(KEPT) && !said.contains("not kept"), "{said}");
    assert!(names(&test.path("upper/layers")).is_empty());
    assert!(test.read("upper/work/w/source/w/node_modules/write/lib/x.js").contains("evil"));
}

#[harness::test]
fn where_nothing_can_be_shown_packages_are_cloned() {
    harness::needs(&["mkfs.xfs", "unshare"]);
    harness::needs_root();
    let (test, _) = setup(INSTALL, EXPORT);
    test.run(&RESOLVE).success();
    let script = "truncate -s 400M disk && mkfs.xfs -q -m reflink=1 disk && mount -o loop disk cache || exit 9
        $FACTORY build --output-dir out --isolation off || exit 8
        find cache/layers -path '*/tree/*' -type f -exec sha256sum {} + | sort > before
        grep -c yarn.js out/logs/workspace.log >&2
        $FACTORY build --output-dir out --isolation off --rebuild || exit 7
        grep -c yarn.js out/logs/workspace.log >&2
        find cache/layers -path '*/tree/*' -type f -exec sha256sum {} + | sort > after";
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    command.args(["--mount", "sh", "-c", script]).env("FACTORY", harness::program());
    let output = command.output().unwrap();
    if output.status.code() == Some(9) {
        harness::skip("a file cannot be mounted as a disk here");
    }
    let said = test.outcome(output).success().stderr;
    assert_eq!(said.matches(KEPT).count(), 1, "{said}");
    assert!(said.contains("equal to the seals"), "{said}");
    assert!(test.read("before").lines().count() > 7);
    assert_eq!(test.read("after"), test.read("before"));
}
