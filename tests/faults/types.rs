//! What `yarn tsc` wrote is kept in the cache, and made again where anything that it can see has changed.

use std::fs;
use std::path::PathBuf;

use harness::program::{Test, names};

use crate::layers::{BUILD, INSTALL, REBUILD, RESOLVE, setup};

/// Said when no types are made.
const KEPT: &str = "w: its types are made already\n";

/// What the stub of `yarn tsc` does: it reads, and writes declarations.
const TSC: &str = r"[ $1 != tsc ] || {
  mkdir -p dist-types/deep/empty && cat docs/read.txt plugins/one/src.txt > dist-types/deep/one.d.ts || exit 9
  chmod 750 dist-types/deep/one.d.ts && ln -s deep/one.d.ts dist-types/link.d.ts && chmod 600 tool.sh || exit 9
}
";

/// Puts into the package what it sees of them, and then writes to them.
const EXPORT: &str = r"cd ../..
{ cat dist-types/link.d.ts; stat -c '%n %a' dist-types/deep/* tool.sh; } > plugins/one/dist-dynamic/dist/entry.js
echo evil > dist-types/deep/one.d.ts && rm -r dist-types/deep || exit 9
";

/// Builds; whether types were made, which the log says as well.
#[track_caller]
fn makes(test: &Test, args: &[&str]) -> bool {
    let said = test.run(args).success().stderr;
    let is_kept = said.contains(KEPT);
    assert_eq!(test.read("out/logs/workspace.log").contains("yarn.js tsc"), !is_kept, "{said}");
    !is_kept
}

/// The folders of kept types.
fn kept(test: &Test) -> Vec<PathBuf> {
    let layers = test.path("cache/layers");
    names(&layers).iter().map(|name| layers.join(name)).filter(|layer| !layer.join("tree").exists()).collect()
}

#[harness::test]
fn types_are_made_once_until_the_source_changes() {
    let (test, repo) = setup(&format!("{TSC}{INSTALL}"), EXPORT);
    test.run(&RESOLVE).success();
    assert!(makes(&test, &BUILD));
    let report = test.read("out/build-report.json");
    assert!(report.contains("\"yarn tsc\""), "{report}");
    // The seal of the first build holds what its export saw.
    for _ in 0..2 {
        assert!(!makes(&test, &REBUILD));
    }
    let report = test.read("out/build-report.json");
    assert!(report.contains("\"types from the cache\"") && !report.contains("\"yarn tsc\""), "{report}");
    for path in ["w/plugins/two/src.txt", "elsewhere/text.txt"] {
        repo.write(path, "2\n");
        repo.commit(path);
        test.run(&RESOLVE).success();
        assert!(makes(&test, &REBUILD), "{path}");
        assert!(!makes(&test, &REBUILD), "{path}");
    }
    test.config("plugins/one/overlay/more.txt", "1\n");
    test.run(&RESOLVE).success();
    assert!(makes(&test, &REBUILD));
    assert!(!makes(&test, &REBUILD));
    // The same as before it.
    fs::remove_dir_all(test.path("config/plugins")).unwrap();
    test.run(&RESOLVE).success();
    assert!(!makes(&test, &REBUILD));
}

#[harness::test]
fn what_kept_types_were_made_of_is_read() {
    let (test, _) = setup(&format!("{TSC}{INSTALL}"), EXPORT);
    test.run(&RESOLVE).success();
    assert!(makes(&test, &BUILD));
    let lock = test.read("config/factory.lock");
    assert!(lock.contains("\nreads = [\n    \"w/docs\",\n]"), "{lock}");
    fs::remove_file(test.path("config/factory.lock")).unwrap();
    test.run(&RESOLVE).success();
    assert!(!makes(&test, &REBUILD));
    assert_eq!(test.read("config/factory.lock"), lock);
}

#[harness::test]
fn types_beside_which_something_was_written_are_made_each_time() {
    let ways = ["echo x > node_modules/write/new.js", "echo x >> docs/read.txt", "mkdir node_modules/.cache"];
    for way in ways {
        let (test, _) = setup(&format!("[ $1 != tsc ] || {{ {way}; }} || exit 9\n{INSTALL}"), "");
        test.run(&RESOLVE).success();
        assert!(makes(&test, &BUILD), "{way}");
        assert!(makes(&test, &REBUILD), "{way}");
        assert!(kept(&test).is_empty(), "{way}");
    }
}

#[harness::test]
fn damaged_types_are_made_again() {
    let (test, _) = setup(&format!("{TSC}{INSTALL}"), EXPORT);
    test.run(&RESOLVE).success();
    assert!(makes(&test, &BUILD));
    let [layer] = &kept(&test)[..] else { panic!("{:?}", names(&test.path("cache/layers"))) };
    let [file] = &names(&layer.join("files"))[..] else { panic!("{:?}", names(&layer.join("files"))) };
    let file = layer.join("files").join(file);
    assert_eq!(fs::read_to_string(&file).unwrap(), "1\n1\n");
    fs::write(&file, "2\n").unwrap();
    let said = test.run(&REBUILD).success().stderr;
    let warning = "warning: w: its types in the cache were damaged and are made again: `";
    assert!(said.contains(warning) && !said.contains(KEPT), "{said}");
    assert!(!makes(&test, &REBUILD));
}

#[harness::test]
fn types_that_fail_are_not_kept() {
    let (test, _) = setup(&format!("[ $1 != tsc ] || {{ mkdir dist-types; exit 9; }}\n{INSTALL}"), "");
    test.run(&RESOLVE).success();
    for _ in 0..2 {
        let said = test.run(&BUILD).exits(1).stderr;
        assert!(said.contains("error: `yarn tsc` failed for workspace `w`"), "{said}");
        assert!(kept(&test).is_empty());
    }
}
