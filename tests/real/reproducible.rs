//! The promise, on examples/greeting: the same lock gives the same bytes, or factory says what differs.
//!
//! Needs the npm registry, git and some minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flate2::read::GzDecoder;
use harness::program::copy;

use crate::cache;
use crate::greeting::{self, Greeting, alone, assert_code, stderr};

fn sh(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A process that wants the core that the build elsewhere has, while this lives.
struct Load(Child);

impl Load {
    fn new() -> Self {
        let mut load = Command::new("taskset");
        Self(load.args(["-c", "0", "sha256sum", "/dev/zero"]).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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

#[harness::test(long)]
fn everything_changed_and_still_equal() {
    greeting::needs();
    harness::needs_root();
    harness::needs(&["faketime", "unshare"]);
    let faketime = ["x86_64", "aarch64"]
        .map(|arch| PathBuf::from(format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1")))
        .into_iter()
        .find(|path| path.exists())
        .expect("Debian's package has the library");
    let first = greeting::first();

    // Another path of another depth, another cache, all owned by another user.
    let elsewhere = tempfile::tempdir().unwrap();
    let other =
        Greeting::at(&elsewhere.path().join("some/where/quite/deep"), elsewhere.path().join("another cache"), |_| {});
    let other = other.sealed();
    cache::copy_to(&other.cache);
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
        .arg(other.config())
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

    assert!(greeting::published(&second).len() > 8, "{:?}", greeting::published(&second).keys());
    greeting::same(&first.output, &second);
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
    greeting::without_frontend(example);
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

#[harness::test(long)]
fn a_planted_time_is_named_and_no_secret_is_seen() {
    greeting::needs();
    let alone = alone();
    // A grandchild that leaves its session and process group, and would outlive all that is not a namespace.
    let script = r"const fs = require('fs');
fs.writeFileSync('dist/a-stamp.txt', String(process.hrtime.bigint()));
fs.writeFileSync('dist/environment.json', JSON.stringify({ env: process.env, mask: process.umask(), home: fs.readdirSync(process.env.HOME) }));
fs.readFileSync('../greeting/src/wording.ts');
require('child_process').spawn('sleep', ['86399.125'], { detached: true, stdio: 'ignore' }).unref();
";
    let place = Greeting::changed(|example| plant(example, "greeting-backend", script));
    let output = place.path("out");
    let first = place
        .command(&["run", "--output-dir", output.to_str().unwrap()])
        .env("REGISTRY_USERNAME", "planted-user")
        .env("REGISTRY_PASSWORD", "planted-secret")
        .env("GITHUB_TOKEN", "planted-secret")
        .env("NPM_TOKEN", "planted-secret")
        .env("FACTORY_JOBS", "1")
        .output()
        .unwrap();
    assert_code(&first, 0);

    let said = unpacked(&output, "dist/environment.json");
    for secret in ["planted", "\"REGISTRY_", "_TOKEN", "FACTORY_", &format!("{}", place.path("").display())] {
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

    let again = place.build(&["build", "--offline", "--rebuild"], "again");
    drop(alone);
    assert_code(&again, 4);
    let offline = unpacked(&place.path("again"), "dist/environment.json");
    assert_eq!(without_random(&offline), without_random(&said), "offline, scripts see something else");
    let said = stderr(&again);
    assert!(
        said.contains("plugin `plugins/greeting-backend` of workspace `greeting` is not what the lock has sealed: `dist/a-stamp.txt` differs first, of "),
        "{said}"
    );

    // What the export reads of another package is in the lock since the first build; `verify` finds that it is not.
    let mut lock = place.lock();
    let plugin = &mut lock.workspace[0].plugin[0];
    let sibling = plugin.reads.remove(0);
    assert!(sibling.ends_with("workspaces/greeting/plugins/greeting"), "{sibling}");
    plugin.sources.retain(|part| part.path != sibling);
    fs::write(place.config().join("factory.lock"), lock.to_text()).unwrap();

    // From scratch, with a cache of its own.
    let report = place.path("verdicts.json");
    let verified = place.command(&["verify", "--report", report.to_str().unwrap()]).output().unwrap();
    assert_code(&verified, 4);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(said.starts_with("greeting plugins/greeting-backend: `dist/a-stamp.txt` differs first, of "), "{said}");
    let warning = format!(
        "greeting plugins/greeting-backend: its export reads `{sibling}`, which the lock does not have among its sources: a \
         change there is not noticed; seal it anew with `factory resolve --restamp greeting` and `factory build`"
    );
    assert!(stderr(&verified).contains(&warning), "{}", stderr(&verified));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let verdict = &report["plugins"][0];
    assert_eq!(
        (&verdict["path"], &verdict["verdict"], &verdict["file"]),
        (&"plugins/greeting-backend".into(), &"plugin".into(), &"dist/a-stamp.txt".into())
    );
}

#[harness::test(long)]
fn an_embedded_package_that_builds_otherwise_is_named() {
    greeting::needs();
    let _alone = alone();
    let script = "require('fs').writeFileSync('dist/stamp.txt', String(process.hrtime.bigint()));\n";
    let place = Greeting::changed(|example| plant(example, "greeting-common", script));
    assert_code(&place.build(&["run"], "out"), 0);

    let again = place.build(&["build", "--offline", "--rebuild"], "again");
    let said = stderr(&again);
    let error = "error: plugin `plugins/greeting-backend` of workspace `greeting` is not what the lock has sealed: its \
                 closure no longer fits, since `@factory-examples/plugin-greeting-common`, which it embeds, was not rebuilt \
                 identically\n\nhint: look in what it embeds for times, paths and random names; if the change is meant, \
                 run `factory resolve --restamp greeting` and build again to seal anew; see the whole output in `";
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
    greeting::needs();
    greeting::first();
    let mut own = Greeting::new().sealed();
    own.cache = own.path("own cache");
    let node = cache::node(&own.lock().tools.node.version);
    cache::link_to(&own.cache, &node);

    // What no build is needed for is in `tests/faults/flipped.rs`; here are real tools and packages.
    let tools = own.cache.join("tools");
    let node = tools.join(node).join("bin/node");
    let package = find(&own.cache.join("yarn"), "/express-npm-*.zip");
    // The order in which a build looks: each is flipped, named, gone, and put back.
    for (file, what) in [(node, "node-linux-"), (package, "express@npm:")] {
        let kept = fs::read(&file).unwrap();
        let entry = file.strip_prefix(&tools).ok().map(|rest| tools.join(rest.components().next().unwrap()));
        let entry = entry.unwrap_or_else(|| file.clone());
        flip(&file);
        let output = own.build(&["build", "--offline", "--frozen"], "flipped");
        assert_code(&output, 5);
        let said = stderr(&output);
        assert!(
            said.contains(what) && said.contains(&file.display().to_string()) && said.contains("damaged"),
            "{said}"
        );
        assert!(!entry.exists(), "damaged, and kept: {}", entry.display());

        let output = own.build(&["build", "--offline", "--frozen"], "flipped");
        assert_code(&output, 5);
        let said = stderr(&output);
        assert!(said.contains(what) && said.contains("not in the cache"), "{said}");
        assert!(said.contains("run `factory fetch"), "{said}");
        copy(&cache::cache().join(entry.strip_prefix(&own.cache).unwrap()), &entry);
        assert_eq!(fs::read(&file).unwrap(), kept);
    }

    let file = find(&own.config().join("factory.lock.d"), "files");
    let kept = fs::read(&file).unwrap();
    flip(&file);
    let output = own.build(&["build", "--offline", "--frozen"], "flipped");
    assert_code(&output, 3);
    assert!(stderr(&output).contains(&file.display().to_string()), "{}", stderr(&output));
    fs::write(&file, kept).unwrap();
}
