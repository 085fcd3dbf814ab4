//! Full disks: what is full is named, with the option that moves it and what was needed the last time. Each is a small
//! file system in a mount namespace that ends with the test.

use std::process::Command;

use harness::program::{Outcome, Test};

use harness::workspace::scripted as workspace;

/// Runs a script of the shell, in which `$FACTORY` is the program.
fn run(test: &Test, script: &str) -> Outcome {
    harness::needs(&["unshare"]);
    harness::needs_root();
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    command.args(["--mount", "sh", "-c", script]).env("FACTORY", harness::program());
    test.outcome(command.output().unwrap())
}

fn one(exported: &str, installed: &str) -> Test {
    let test = workspace(&[("a".to_owned(), "frontend-plugin", exported.to_owned())], installed);
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

#[harness::test]
fn a_cache_that_is_full_within_a_child_is_named_with_what_was_needed() {
    let test = one("", "head -c 6000000 /dev/zero > big || exit 3\n");
    let said = run(
        &test,
        "mount -t tmpfs -o size=64m tmpfs cache
        $FACTORY build --rebuild || exit 9
        rm -r cache/work/repo
        free=$(df --output=avail -B1 cache | tail -n 1)
        head -c $((free - 3000000)) /dev/zero > cache/filler
        $FACTORY build --rebuild",
    );
    let said = said.exits(1).stderr;
    for part in [
        "warning: workspace `repo` may not fit: its last build took 6.",
        " MB are free in `[DIR]/cache`; free space there, or use another folder with `--cache-dir`\n",
        "  | head: error writing 'standard output': No space left on device\n",
        "\nhint: `[DIR]/cache` is on a disk that is full (0.",
        " MB free): free space there, or use another folder with `--cache-dir`; the last build of `repo` took 6.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(said.matches("may not fit").count(), 1, "{said}");
}

#[harness::test]
fn outputs_that_do_not_fit_are_named_with_what_moves_them() {
    let test = one("head -c 600000 /dev/urandom > dist-dynamic/dist/entry.js\n", "");
    let said = run(
        &test,
        "mkdir out && mount -t tmpfs -o size=256k tmpfs out
        $FACTORY build --output-dir out; code=$?; ls out; exit $code",
    );
    let said = said.exits(1);
    let hint = "\nhint: `[DIR]/out` is on a disk that is full (";
    let moves = " MB free): free space there, or use another folder with `--output-dir`\n";
    assert!(said.stderr.contains(hint) && said.stderr.contains(moves), "{}", said.stderr);
    assert!(said.stderr.contains("No space left on device"), "{}", said.stderr);
    assert!(!said.stdout.contains(".tgz") && !said.stdout.contains(".tmp"), "{}", said.stdout);
}
