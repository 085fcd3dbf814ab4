//! The promise, on examples/greeting: the same lock gives the same bytes, or factory says what differs.
//!
//! Needs the npm registry, git and some minutes.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use flate2::read::GzDecoder;
use harness::cache::{cache, keep_tree, reuse_tree};

/// A repository with the example in it, as a user has it.
struct Place {
    repository: PathBuf,
    cache: PathBuf,
}

/// Builds share the cache and the machine: one test at a time, whether in threads or processes.
fn alone() -> fs::File {
    let file = fs::File::create(harness::tmp().join("real_reproducible.lock")).unwrap();
    file.lock().unwrap();
    file
}

fn sh(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Copies the example and commits it, always as the same commit. `change` edits it first.
fn repository(at: &Path, change: impl FnOnce(&Path)) -> PathBuf {
    fs::create_dir_all(at.join("examples")).unwrap();
    let project = harness::project();
    sh(&project, "cp", &["-a", "examples/greeting", at.join("examples").to_str().unwrap()]);
    let example = at.join("examples/greeting");
    let _ = fs::remove_file(example.join("factory.lock"));
    let _ = fs::remove_dir_all(example.join("factory.lock.d"));
    change(&example);
    sh(at, "git", &["init", "-q", "-b", "main"]);
    sh(at, "git", &["add", "-A"]);
    let commit = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "example"])
        .env("GIT_AUTHOR_DATE", "1760000000 +0000")
        .env("GIT_COMMITTER_DATE", "1760000000 +0000")
        .current_dir(at)
        .status()
        .unwrap();
    assert!(commit.success());
    at.to_path_buf()
}

impl Place {
    fn new(dir: &Path, change: impl FnOnce(&Path)) -> Self {
        let place = Self { repository: repository(&dir.join("a"), change), cache: cache("real_reproducible") };
        // After the commit, which does not have it.
        reuse_tree(&place.example());
        place
    }

    fn example(&self) -> PathBuf {
        self.repository.join("examples/greeting")
    }

    fn factory(&self, command: &str, args: &[&str]) -> Command {
        let mut factory = Command::new(harness::program());
        factory.arg(command).args(args).arg("--config-dir").arg(self.example()).arg("--cache-dir").arg(&self.cache);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FACTORY_")) {
            factory.env_remove(name);
        }
        factory
    }

    fn build(&self, command: &str, args: &[&str], output: &Path) -> Output {
        self.factory(command, args).arg("--output-dir").arg(output).output().unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "signal {:?}\n{}", output.status.signal(), stderr(output));
}

/// Every archive, integrity file and image blob below a folder.
fn made(output: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![output.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(output).unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "logs" {
                folders.push(path);
            } else if path.is_file() && name != "build-report.json" {
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Processes that use up the machine while this lives.
struct Load(Vec<Child>);

impl Load {
    fn new() -> Self {
        let child = |_| Command::new("sha256sum").arg("/dev/zero").stdout(Stdio::null()).spawn().unwrap();
        Self((0..2).map(child).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Another clock for all that runs below, whatever its environment: libfaketime through the loader's own list, in a
/// mount namespace. Then another user, umask, and one core.
const ELSEWHERE: &str = r#"set -e
fake=$1 library=$2
shift 2
mkfifo -m 0666 "$fake/go"
# Started before the clock changes: what libfaketime shares among processes must not be root's.
setpriv --reuid=65534 --regid=65534 --clear-groups \
    sh -c 'read go < "$0"; umask 077; exec taskset -c 0 "$@"' "$fake/go" "$@" &
cp -a /etc/. "$fake/etc"
echo "$library" > "$fake/etc/ld.so.preload"
echo +730d > "$fake/etc/faketimerc"
mount --bind "$fake/etc" /etc
env -i date +%Y > "$fake/year"
echo > "$fake/go"
wait $!
"#;

#[harness::test]
fn everything_changed_and_still_equal() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let _alone = alone();
    harness::needs_root();
    harness::needs(&["faketime", "unshare"]);
    let faketime = ["x86_64", "aarch64"]
        .map(|arch| PathBuf::from(format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1")))
        .into_iter()
        .find(|path| path.exists())
        .expect("Debian's package has the library");
    let dir = tempfile::tempdir().unwrap();
    let one = Place::new(dir.path(), |_| {});
    let first = dir.path().join("out");
    assert_code(&one.build("run", &[], &first), 0);
    keep_tree(&one.example());

    // Another path of another depth, another cache, all owned by another user.
    let elsewhere = tempfile::tempdir().unwrap();
    let deep = elsewhere.path().join("some/where/quite/deep");
    let other = Place { repository: repository(&deep, |_| {}), cache: elsewhere.path().join("another cache") };
    for name in ["factory.lock", "factory.lock.d"] {
        sh(&one.example(), "cp", &["-a", name, other.example().to_str().unwrap()]);
    }
    sh(dir.path(), "cp", &["-a", one.cache.to_str().unwrap(), other.cache.to_str().unwrap()]);
    let second = elsewhere.path().join("out");
    let fake = elsewhere.path().join("fake");
    fs::create_dir_all(fake.join("etc")).unwrap();
    fs::create_dir(&second).unwrap();
    let program = elsewhere.path().join("factory");
    fs::copy(harness::program(), &program).unwrap();
    sh(elsewhere.path(), "chown", &["-R", "65534:65534", "."]);

    let load = Load::new();
    let output = Command::new("unshare")
        .args(["--mount", "--net", "sh", "-c", ELSEWHERE, "sh"])
        .args([&fake, &faketime, &program])
        .args(["build", "--offline", "--frozen", "--isolation", "required"])
        .arg("--config-dir")
        .arg(other.example())
        .arg("--cache-dir")
        .arg(&other.cache)
        .arg("--output-dir")
        .arg(&second)
        .env("TZ", "Asia/Tokyo")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("HOME", elsewhere.path())
        .output()
        .unwrap();
    drop(load);
    assert_code(&output, 0);
    let year = fs::read_to_string(fake.join("year")).unwrap().trim().parse::<i32>().unwrap();
    let now = time::OffsetDateTime::now_utc().year();
    assert!(year > now, "the clock was not changed: {year}");
    let report = fs::read_to_string(second.join("build-report.json")).unwrap();
    assert!(report.contains("\"isolation\": \"user-namespaces\""), "{report}");

    let (left, right) = (made(&first), made(&second));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    assert!(left.len() > 8, "{:?}", names(&left));
    for ((name, left), (_, right)) in left.iter().zip(&right) {
        assert!(left == right, "`{name}` differs");
    }
}

/// The build script of a package of the backend with more in it, and no frontend.
fn plant(example: &Path, package: &str, script: &str) {
    let plugin = example.join("workspaces/greeting/plugins").join(package);
    fs::write(plugin.join("plant.cjs"), script).unwrap();
    let manifest = fs::read_to_string(plugin.join("package.json")).unwrap();
    let planted =
        manifest.replace("tsc --build tsconfig.build.json", "tsc --build tsconfig.build.json && node plant.cjs");
    assert_ne!(manifest, planted);
    fs::write(plugin.join("package.json"), planted).unwrap();
    let list = fs::read_to_string(example.join("plugins-list.yaml")).unwrap();
    fs::write(example.join("plugins-list.yaml"), list.replace("plugins/greeting:\n", "")).unwrap();
}

/// The content of a file in the only archive of a folder.
fn unpacked(output: &Path, name: &str) -> String {
    let archive =
        fs::read_dir(output).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "tgz"));
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(archive.unwrap()).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new("package").join(name) {
            return std::io::read_to_string(&mut entry).unwrap();
        }
    }
    panic!("no `{name}` in the archive");
}

#[harness::test]
fn a_planted_time_is_named_and_no_secret_is_seen() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    // A grandchild that leaves its session and process group, and would outlive all that is not a namespace.
    let script = r"const fs = require('fs');
fs.writeFileSync('dist/a-stamp.txt', String(process.hrtime.bigint()));
fs.writeFileSync('dist/environment.json', JSON.stringify({ env: process.env, mask: process.umask(), home: fs.readdirSync(process.env.HOME) }));
require('child_process').spawn('sleep', ['86399.125'], { detached: true, stdio: 'ignore' }).unref();
";
    let place = Place::new(dir.path(), |example| plant(example, "greeting-backend", script));
    let output = dir.path().join("out");
    let first = place
        .factory("run", &["--output-dir", output.to_str().unwrap()])
        .env("REGISTRY_USERNAME", "planted-user")
        .env("REGISTRY_PASSWORD", "planted-secret")
        .env("GITHUB_TOKEN", "planted-secret")
        .env("NPM_TOKEN", "planted-secret")
        .env("FACTORY_JOBS", "1")
        .output()
        .unwrap();
    assert_code(&first, 0);

    let said = unpacked(&output, "dist/environment.json");
    for secret in ["planted", "\"REGISTRY_", "_TOKEN", "FACTORY_", &format!("{}", dir.path().display())] {
        assert!(!said.contains(secret), "`{secret}` is seen by a build script: {said}");
    }
    if let Ok(home) = std::env::var("HOME") {
        assert!(!said.contains(&format!("\"{home}")), "the home folder is seen: {said}");
    }
    assert!(said.contains("\"TZ\":\"UTC\"") && said.contains("\"mask\":18"), "{said}");
    let survivors: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| line.windows(9).any(|part| part == b"86399.125"))
        .collect();
    assert!(survivors.is_empty(), "a process outlived its build");

    let again = place.build("build", &["--offline", "--rebuild"], &dir.path().join("again"));
    assert_code(&again, 4);
    let offline = unpacked(&dir.path().join("again"), "dist/environment.json");
    assert_eq!(without_random(&offline), without_random(&said), "offline, scripts see something else");
    let said = stderr(&again);
    assert!(
        said.contains("plugin `plugins/greeting-backend` of workspace `greeting` is not what the lock has sealed: `dist/a-stamp.txt` differs first, of "),
        "{said}"
    );

    // From scratch, with a cache of its own.
    let report = dir.path().join("verdicts.json");
    let verified = place.factory("verify", &["--report", report.to_str().unwrap()]).output().unwrap();
    assert_code(&verified, 4);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(said.starts_with("greeting plugins/greeting-backend: `dist/a-stamp.txt` differs first, of "), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let verdict = &report["plugins"][0];
    assert_eq!(
        (&verdict["path"], &verdict["verdict"], &verdict["file"]),
        (&"plugins/greeting-backend".into(), &"plugin".into(), &"dist/a-stamp.txt".into())
    );
}

#[harness::test]
fn an_embedded_package_that_builds_otherwise_is_named() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let script = "require('fs').writeFileSync('dist/stamp.txt', String(process.hrtime.bigint()));\n";
    let place = Place::new(dir.path(), |example| plant(example, "greeting-common", script));
    assert_code(&place.build("run", &[], &dir.path().join("out")), 0);

    let again = place.build("build", &["--offline", "--rebuild"], &dir.path().join("again"));
    let said = stderr(&again);
    let error = "error: plugin `plugins/greeting-backend` of workspace `greeting` is not what the lock has sealed: its \
                 closure no longer fits, since `@factory-examples/plugin-greeting-common`, which it embeds, was not rebuilt \
                 identically\n\nhint: look in what it embeds for times, paths and random names; if the change is meant, \
                 run `factory resolve greeting` and build again to seal anew; see the whole output in `";
    assert!(said.contains(error), "{said}");
    assert_code(&again, 4);
}

/// The text without the random names of yarn's own temporary folders, `xfs-<8 hex digits>`.
fn without_random(text: &str) -> String {
    let mut parts = text.split("xfs-");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + "xfs-…" + &part[8..])
}

/// Flips the lowest bit of the byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The first path below `folder` that ends like this.
fn find(folder: &Path, end: &str) -> PathBuf {
    let output = Command::new("find").arg(folder).args(["-type", "f", "-path", &format!("*{end}")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    PathBuf::from(text.lines().min().unwrap_or_else(|| panic!("no `{end}` in `{}`", folder.display())))
}

#[harness::test]
fn a_flipped_bit_is_named_and_never_built_from() {
    harness::needs(&["git"]);
    harness::needs_npm_registry();
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), |example| plant(example, "greeting-backend", ""));
    assert_code(&place.build("run", &[], &dir.path().join("out")), 0);
    let own = Place { repository: place.repository.clone(), cache: dir.path().join("own cache") };
    sh(dir.path(), "cp", &["-a", place.cache.to_str().unwrap(), own.cache.to_str().unwrap()]);

    // What no build is needed for is in `tests/flipped.rs`; here are real tools and packages.
    let tools = own.cache.join("tools");
    let node = find(&tools, "/bin/node");
    let package = find(&own.cache.join("yarn"), "/express-npm-*.zip");
    // The order in which a build looks: each is kept, flipped, named, gone, and put back.
    for (file, what) in [(node, "node-linux-"), (package, "express@npm:")] {
        let kept = fs::read(&file).unwrap();
        let entry = file.strip_prefix(&tools).ok().map(|rest| tools.join(rest.components().next().unwrap()));
        let entry = entry.unwrap_or_else(|| file.clone());
        let backup = dir.path().join("backup");
        sh(dir.path(), "cp", &["-a", entry.to_str().unwrap(), backup.to_str().unwrap()]);
        flip(&file);
        let output = own.build("build", &["--offline", "--frozen"], &dir.path().join("flipped"));
        assert_code(&output, 5);
        let said = stderr(&output);
        assert!(
            said.contains(what) && said.contains(&file.display().to_string()) && said.contains("damaged"),
            "{said}"
        );
        assert!(!entry.exists(), "damaged, and kept: {}", entry.display());

        let output = own.build("build", &["--offline", "--frozen"], &dir.path().join("flipped"));
        assert_code(&output, 5);
        let said = stderr(&output);
        assert!(said.contains(what) && said.contains("not in the cache"), "{said}");
        assert!(said.contains("run `factory fetch"), "{said}");
        sh(dir.path(), "mv", &[backup.to_str().unwrap(), entry.to_str().unwrap()]);
        assert_eq!(fs::read(&file).unwrap(), kept);
    }

    let file = find(&own.example().join("factory.lock.d"), "files");
    let kept = fs::read(&file).unwrap();
    flip(&file);
    let output = own.build("build", &["--offline", "--frozen"], &dir.path().join("flipped"));
    assert_code(&output, 3);
    assert!(stderr(&output).contains(&file.display().to_string()), "{}", stderr(&output));
    fs::write(&file, kept).unwrap();
}
