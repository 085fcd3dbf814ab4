//! Kills and full disks at any moment: the next run makes the same. A few of each, or with `FACTORY_SOAK=1` very many.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::oci_registry::FakeRegistry;
use harness::program::Test;

use harness::workspace::{CLOSURE, scripted as workspace};

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];
const BUILD: [&str; 4] = ["build", "--rebuild", "--output-dir", "out"];
const PUSH: [&str; 4] = ["build", "--push-images", "--output-dir", "out"];

fn how_many(few: u32, many: u32) -> u32 {
    if std::env::var_os("FACTORY_SOAK").is_some() { many } else { few }
}

/// A plugin with a closure of its own, and with what takes a moment to write.
fn plugin() -> Test {
    let exported = format!("head -c 300000 /dev/zero > dist-dynamic/dist/entry.js\n{CLOSURE}");
    workspace(&[("a".to_owned(), "backend-plugin", exported)], "")
}

/// The bytes of the lock, of what lies beside it and of the outputs, by path. Reports and logs have times.
fn made(test: &Test) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            // A process that is killed leaves temporary files, whose names begin with a dot.
            if name.ends_with("logs") || name.ends_with("build-report.json") || name.contains("/.") {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    for folder in ["config", "out"] {
        walk(&test.path(""), &test.path(folder), &mut found);
    }
    found
}

/// Starts `factory` and kills it, and nothing else, after this time.
fn killed(test: &Test, args: &[&str], variables: &[(&str, &str)], after: Duration) {
    let mut command = test.command(args);
    command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[harness::test]
fn the_run_after_a_kill_makes_the_same() {
    let mut test = plugin();
    test.env("REGISTRY_NAMESPACE", "team").env("REGISTRY_INSECURE", "true");
    let lasts = |args: &[&str], variables: &[(&str, &str)]| {
        let started = Instant::now();
        test.run_with(args, variables).success();
        started.elapsed()
    };
    let first = FakeRegistry::start();
    let at = |registry: &FakeRegistry| registry.address.clone();
    let address = at(&first);
    let times = [lasts(&RESOLVE, &[]), lasts(&BUILD, &[]), lasts(&PUSH, &[("REGISTRY_URL", &address)])];
    // Without images in it, which are of the registry.
    test.run(&["build", "--output-dir", "out"]).success();
    let (expected, pushed) = (made(&test), first.contents().manifests.clone());
    assert!(expected.len() > 8 && !pushed.is_empty(), "{:?}", expected.keys());

    let count = how_many(3, 67);
    for number in 0..count {
        let after = |whole: Duration| whole * (2 * number + 1) / (2 * count);
        fs::remove_file(test.path("config/factory.lock")).unwrap();
        fs::remove_dir_all(test.path("config/factory.lock.d")).unwrap();
        killed(&test, &RESOLVE, &[], after(times[0]));
        test.run(&RESOLVE).success();
        killed(&test, &BUILD, &[], after(times[1]));
        test.run(&BUILD).success();
        assert!(made(&test) == expected, "after {:?} and {:?}", after(times[0]), after(times[1]));
        let registry = FakeRegistry::start();
        let address = at(&registry);
        killed(&test, &PUSH, &[("REGISTRY_URL", &address)], after(times[2]));
        test.run_with(&PUSH, &[("REGISTRY_URL", &address)]).success();
        assert!(registry.contents().manifests == pushed, "after {:?}", after(times[2]));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(test.path("").to_str().unwrap()), "{mounts}");
}

#[harness::test]
fn the_run_after_a_full_disk_makes_the_same() {
    harness::needs(&["unshare"]);
    harness::needs_root();
    let test = plugin();
    test.run(&RESOLVE).success();
    test.run(&BUILD).success();
    let expected = made(&test);
    let count = how_many(3, 50);
    // What the cache of this workspace takes is less than the largest.
    let sizes: Vec<String> = (0..count).map(|number| format!("{}k", 100 + 1400 * number / count)).collect();
    let script = format!(
        "mkdir small; for size in {}; do
            rm -rf out; mount -t tmpfs -o size=$size tmpfs small
            FACTORY_CACHE_DIR=$PWD/small $FACTORY build --rebuild --output-dir out 2>said; code=$?
            if [ $code != 0 ]; then
                [ $code = 1 ] && grep -q 'is on a disk that is full' said || {{ cat said; exit 9; }}
                echo full
            fi
            mount -o remount,size=64m small
            FACTORY_CACHE_DIR=$PWD/small $FACTORY build --output-dir out || exit 8
            umount small
        done",
        sizes.join(" ")
    );
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    command.args(["--mount", "sh", "-c", &script]).env("FACTORY", harness::program());
    let said = test.outcome(command.output().unwrap());
    assert!(said.code == 0 && said.stdout.contains("full\n"), "{said:?}");
    assert!(made(&test) == expected, "{said:?}");
}
