//! What kills, interrupts, full disks and others that join at the same time do to `factory join`: the outputs of one machine,
//! or none that could be taken for them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::program::Test;
use harness::shards::{build_shards, locks, outputs, three};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const JOIN: [&str; 5] = ["join", "--output-dir", "joined", "shard1", "shard2"];

/// Files by their paths.
type Files = BTreeMap<String, Vec<u8>>;

/// Two shards, with the lock that they were built from.
struct Shards {
    test: Test,
    unsealed: Files,
}

impl Shards {
    fn new() -> Self {
        let test = three();
        for said in build_shards(&test, 2) {
            said.success();
        }
        let unsealed = locks(&test);
        Self { test, unsealed }
    }

    /// As before any join.
    fn again(&self) {
        let _ = fs::remove_dir_all(self.test.path("joined"));
        fs::remove_dir_all(self.test.path("config/factory.lock.d")).unwrap();
        for (name, bytes) in &self.unsealed {
            self.test.config(name, bytes);
        }
    }

    /// The lock and the outputs.
    fn made(&self) -> (Files, Files) {
        (locks(&self.test), outputs(&self.test.path("joined")))
    }
}

/// Every file that has its own name is whole: archives are those of their integrity, blobs those of their digest.
fn are_whole(made: &Files) {
    for (name, bytes) in made {
        if let Some(digest) = name.split("/blobs/sha256/").nth(1).filter(|name| !name.starts_with('.')) {
            assert_eq!(factory::lock::Sha256::of(bytes).hex(), digest, "{name}");
        }
        if let Some(integrity) = made.get(&format!("{name}.integrity")) {
            assert_eq!(format!("{}\n", factory::lock::Integrity::of(bytes)).as_bytes(), integrity, "{name}");
        }
    }
}

#[harness::test]
fn joins_at_once_into_one_folder_make_what_one_makes() {
    let shards = Shards::new();
    shards.test.run(&JOIN).success();
    let expected = shards.made();
    assert!(expected.1.len() > 12, "{:?}", expected.1.keys());
    for _ in 0..3 {
        shards.again();
        let start = |_| shards.test.command(&JOIN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let running: Vec<_> = (0..4).map(start).collect();
        for child in running {
            let said = child.wait_with_output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        }
        assert!(shards.made() == expected, "{:?}", shards.made().1.keys());
    }
}

#[harness::test]
fn the_join_after_a_kill_or_an_interrupt_makes_the_same() {
    let shards = Shards::new();
    let started = Instant::now();
    shards.test.run(&JOIN).success();
    let whole = started.elapsed();
    let expected = shards.made();
    let count = if std::env::var_os("FACTORY_SOAK").is_some() { 100 } else { 8 };
    for number in 0..count {
        shards.again();
        let signal = if number % 2 == 0 { Signal::SIGKILL } else { Signal::SIGINT };
        let mut command = shards.test.command(&JOIN);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        std::thread::sleep(after(whole, number, count));
        let _ = kill(Pid::from_raw(child.id().try_into().unwrap()), signal);
        let status = child.wait().unwrap();
        if signal == Signal::SIGINT {
            // Before it listens, it ends as any program does.
            let has_ended = matches!(status.code(), Some(0 | 130)) || status.signal() == Some(signal as i32);
            assert!(has_ended, "{status}");
        }
        if let Ok(entries) = fs::read_dir(shards.test.path("joined")) {
            drop(entries);
            are_whole(&outputs(&shards.test.path("joined")));
        }
        shards.test.run(&JOIN).success();
        // What was begun is gone, too.
        let made = shards.made();
        assert_eq!(made.0.keys().collect::<Vec<_>>(), expected.0.keys().collect::<Vec<_>>(), "{signal} {number}");
        assert_eq!(made.1.keys().collect::<Vec<_>>(), expected.1.keys().collect::<Vec<_>>(), "{signal} {number}");
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        for (made, expected) in [(&made.0, &expected.0), (&made.1, &expected.1)] {
            for (name, bytes) in made {
                assert_eq!(text(bytes), text(&expected[name]), "{signal} {number}: {name}");
            }
        }
    }
}

fn after(whole: Duration, number: u32, count: u32) -> Duration {
    whole * (2 * number + 1) / (2 * count)
}

#[harness::test]
fn a_join_that_does_not_fit_is_named_and_leaves_the_lock_as_it_is() {
    harness::needs(&["unshare"]);
    harness::needs_root();
    let shards = Shards::new();
    let mut command = Command::new("unshare");
    shards.test.prepare(&mut command);
    // Each with a little more room than the one before, until all of it fits.
    let script = "mkdir joined
        for pages in $(seq 4 4 200); do
          mount -t tmpfs -o size=$((pages * 4096)) tmpfs joined
          $FACTORY join --output-dir joined shard1 shard2 > said 2>&1; code=$?
          [ $code != 0 ] || { cp -r joined whole; umount joined; break; }
          [ $code = 1 ] || { cat said; exit 9; }
          grep -q 'is on a disk that is full' said || { cat said; exit 8; }
          grep -q -- '--output-dir' said || { cat said; exit 7; }
          cmp -s config/factory.lock before.lock || exit 6
          echo $pages; find joined -name '*.tmp' -o -name build-report.json
          umount joined
        done";
    shards.test.write("before.lock", &shards.unsealed["factory.lock"]);
    command.args(["--mount", "sh", "-c", script]).env("FACTORY", harness::program());
    let said = shards.test.outcome(command.output().unwrap()).success().stdout;
    assert!(said.lines().count() > 2 && said.lines().all(|line| line.parse::<u32>().is_ok()), "{said}");
    let (sealed, whole) = (locks(&shards.test), outputs(&shards.test.path("whole")));
    shards.again();
    shards.test.run(&JOIN).success();
    assert!((sealed, whole) == shards.made());
}
