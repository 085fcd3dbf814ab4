//! `factory audit` of 10,000 advisories about 260 plugins in 65 workspaces: from the files to the report.

#![allow(clippy::unwrap_used, reason = "a bench talks to its developer")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use factory::audit::advisories::find::AdvisorySearch;
use factory::audit::advisories::osv_files::OsvRecords;
use factory::audit::advisories::{AuditEvidence, IgnoreList};
use factory::audit::shipped;
use factory::audit::why::WorkspaceLock;
use factory::lock::{Lock, Sha256};
use tempfile::TempDir;

fn main() {
    divan::main();
}

const WORKSPACES: usize = 65;
const PLUGINS: usize = 4;
/// Of a workspace, and of a plugin; out of so many that there are.
const PACKAGES: (usize, usize, usize) = (3000, 500, 6000);
const ADVISORIES: usize = 10_000;
const SEALED: &str =
    "tgz = \"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==\"";

/// A lockfile of `count` packages: each asks for three that come later.
fn lockfile(seed: usize, count: usize) -> String {
    let name = |at: usize| (seed * 7919 + at * 13) % PACKAGES.2;
    let asks = |text: &mut String, from: usize, to: usize| {
        text.push_str("  dependencies:\n");
        for at in from..to {
            let _ = writeln!(text, "    pkg-{}: \"npm:^1.0.0\"", name(at));
        }
    };
    let mut text = "__metadata:\n  version: 8\n\n\"root@workspace:.\":\n  version: 0.0.0-use.local\n  \
                    resolution: \"root@workspace:.\"\n"
        .to_owned();
    asks(&mut text, 0, 20);
    for at in 0..count {
        let (package, minor) = (name(at), name(at) * 31 % 50);
        let _ = write!(
            text,
            "\n\"pkg-{package}@npm:^1.0.0\":\n  version: 1.{minor}.0\n  resolution: \"pkg-{package}@npm:1.{minor}.0\"\n"
        );
        let asked = 20 + at * 3;
        if asked + 3 <= count {
            asks(&mut text, asked, asked + 3);
        }
        let _ = writeln!(text, "  checksum: 10c0/{}", "0".repeat(128));
    }
    text
}

/// The lock with its closures in a folder, the lockfiles of the workspaces, and the advisories in a file.
fn setup() -> (TempDir, Lock, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let known = include_str!("../tests/data/lock/version-1.lock");
    let (head, _) = known.split_once("[[workspace]]").unwrap();
    let (mut text, mut lockfiles) = (head.to_owned(), Vec::new());
    let digest = |seed: usize| format!("sha256:{seed:064x}");
    for n in 0..WORKSPACES {
        let own = lockfile(n, PACKAGES.0);
        let _ = write!(
            text,
            "[[workspace]]\nname = \"w{n:02}\"\ndir = \"w{n:02}\"\n\n[workspace.source]\nrepo = \
             \"https://github.com/backstage/community-plugins\"\nrequested = \"main\"\ncommit = \"{}\"\nepoch = 1763000000\n\
             path = \"workspaces/w{n:02}\"\nbackstage = \"1.45.3\"\nyarn = {{ from = \"yarnPath\", version = \"4.9.2\", \
             path = \".yarn/releases/yarn-4.9.2.cjs\" }}\nyarn-lock = \"{}\"\n\n",
            "a".repeat(40),
            Sha256::of(&own),
        );
        lockfiles.push(own);
        for p in 0..PLUGINS {
            let closure = lockfile(n + p * 3, PACKAGES.1);
            let folder = dir.path().join(format!("factory.lock.d/w{n:02}/plugins/p{p}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("yarn.lock"), &closure).unwrap();
            let seal = digest(n * 10 + p);
            let _ = write!(
                text,
                "[[workspace.plugin]]\npath = \"plugins/p{p}\"\nname = \"@x/plugin-{n}-{p}\"\nversion = \"1.0.0\"\nrole = \
                 \"backend-plugin\"\nargs-from = \"plugins-list\"\n\n[workspace.plugin.sealed]\nclosure = \"{}\"\n{SEALED}\n\
                 image = \"{seal}\"\nlayer = \"{seal}\"\n\n",
                Sha256::of(&closure),
            );
        }
    }
    let record = |at: usize| {
        format!(
            r#"{{"id":"GHSA-{at:05}","aliases":["CVE-2024-{at:05}"],"summary":"s","details":"{}","affected":[{{"package":{{
            "ecosystem":"npm","name":"pkg-{at}"}},"ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":
            "1.{}.0"}}]}}]}}],"database_specific":{{"severity":"HIGH"}}}}"#,
            "d".repeat(2000),
            at % 60
        )
    };
    let records: Vec<String> = (0..ADVISORIES).map(record).collect();
    fs::write(dir.path().join("osv.json"), format!("[{}]", records.join(","))).unwrap();
    (dir, Lock::from_text(&text, Path::new("factory.lock")).unwrap(), lockfiles)
}

/// All of it, but for git, from which the lockfiles of workspaces come.
#[divan::bench(sample_count = 5)]
fn files_to_human(bencher: divan::Bencher<'_, '_>) {
    let (dir, lock, lockfiles) = setup();
    bencher.bench_local(|| {
        let plugins = shipped::read(&lock.workspace, dir.path(), &AtomicBool::new(false)).unwrap();
        let of = |(workspace, text): (&factory::lock::Workspace, &String)| {
            WorkspaceLock::of(&workspace.name, Ok(text.clone().into_bytes()))
        };
        let yarn_locks: Vec<WorkspaceLock> = lock.workspace.iter().zip(&lockfiles).map(of).collect();
        let evidence = AuditEvidence {
            lock: "factory.lock".into(),
            source: "osv.json".into(),
            plugins: &plugins,
            yarn_locks: &yarn_locks,
            host: None,
        };
        let search = AdvisorySearch::new(&evidence);
        let records = OsvRecords::read(&dir.path().join("osv.json"), &search.wanted()).unwrap();
        let (report, _) = search.report(records.advisories, &IgnoreList::default(), "2026-01-01");
        assert!(!report.findings.is_empty());
        black_box(report.to_text(false))
    });
}
