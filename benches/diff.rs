//! `factory diff` and `factory plan` on two locks with 650 workspaces: as large as RHDH's export repository ten times over.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use factory::audit::companions::Companions;
use factory::audit::plan::{self, PlanBasis};
use factory::audit::{Release, compare, diff_side, html, human, json, markdown};
use factory::lock::Lock;

fn main() {
    divan::main();
}

const WORKSPACES: usize = 650;

/// The text of a lock; in the new one every workspace is at another commit and every third plugin has other arguments.
fn text(is_new: bool) -> String {
    let known = include_str!("../tests/data/lock/version-1.lock");
    let (head, _) = known.split_once("[[workspace]]").expect("the lock has workspaces");
    let digit = if is_new { "b" } else { "a" };
    let mut text = head.to_owned();
    let digest = |seed: usize| format!("{seed:064x}");
    for n in 0..WORKSPACES {
        let _ = write!(
            text,
            "[[workspace]]\nname = \"workspace-{n}\"\ndir = \"workspace-{n}\"\n\n[workspace.source]\n\
             repo = \"https://github.com/backstage/community-plugins\"\nrequested = \"main\"\ncommit = \"{}\"\n\
             epoch = 1763000000\npath = \"workspaces/workspace-{n}\"\nbackstage = \"1.45.3\"\n\
             yarn = {{ from = \"yarnPath\", version = \"4.9.2\", path = \".yarn/releases/yarn-4.9.2.cjs\" }}\n\
             yarn-lock = \"sha256:{}\"\n\n[[workspace.input]]\npath = \"patches/1.patch\"\nsha256 = \"sha256:{}\"\n\n",
            digit.repeat(40),
            digest(n),
            digest(n + 1),
        );
        for p in 0..3 {
            let seal = digest(n * 10 + p + if is_new { 100_000 } else { 0 });
            let other = if is_new && p == 0 { "-other" } else { "" };
            let _ = write!(
                text,
                "[[workspace.plugin]]\npath = \"plugins/p{p}\"\nname = \"@x/plugin-{n}-{p}\"\nversion = \"1.0.0\"\n\
                 role = \"backend-plugin\"\nargs-from = \"computed\"\nargs = [\n    \"--embed-package @x/common{other}\",\n]\n\
                 why = [\n    \"@x/common is not in the RHDH 1.9 host lockfile\",\n]\n\n[workspace.plugin.sealed]\n\
                 tgz = \"{TGZ}\"\nimage = \"sha256:{seal}\"\nlayer = \"sha256:{seal}\"\n\n"
            );
        }
    }
    text
}

const TGZ: &str = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

fn read(text: &str) -> Release {
    let lock = Lock::from_text(text, Path::new("factory.lock")).expect("the bench's lock is a lock");
    Release::of_lock("factory.lock", lock, Companions::None)
}

/// From the two texts to the report on the terminal: what a user waits for.
#[divan::bench]
fn texts_to_human(bencher: divan::Bencher<'_, '_>) {
    let (old, new) = (text(false), text(true));
    bencher.bench_local(|| {
        let read = diff_side::both(|| Ok::<_, ()>(read(black_box(&old))), || Ok(read(black_box(&new))));
        let (old, new) = read.expect("both are locks");
        let diff = compare(&old, &new, None).expect("both are locks");
        human::render(&diff, human::HumanOptions::default())
    });
}

/// The same of a plan of the new one since the old one, with all plugins sealed and none in the cache.
#[divan::bench]
fn texts_to_plan(bencher: divan::Bencher<'_, '_>) {
    let (old, new) = (text(false), text(true));
    bencher.bench_local(|| {
        let read = |text: &str| Lock::from_text(black_box(text), Path::new("factory.lock")).expect("it is a lock");
        let (old, new) = (read(&old), read(&new));
        let basis = PlanBasis { since: Some(("old", &old)), cached: &|_| None, reports: &[] };
        let mut plan = plan::of(&new, &basis);
        plan.divide(&new, 256);
        (plan.to_text("factory.lock"), plan.to_json(), plan.to_github().expect("its names are words"))
    });
}

/// Reading one of the two locks.
#[divan::bench]
fn reading(bencher: divan::Bencher<'_, '_>) {
    let text = text(false);
    bencher.bench_local(|| Lock::from_text(black_box(&text), Path::new("factory.lock")).expect("it is a lock"));
}

/// The identity of one of them.
#[divan::bench]
fn identity(bencher: divan::Bencher<'_, '_>) {
    let lock = Lock::from_text(&text(false), Path::new("factory.lock")).expect("it is a lock");
    bencher.bench_local(|| black_box(&lock).identity());
}

/// The comparison alone.
#[divan::bench]
fn comparison(bencher: divan::Bencher<'_, '_>) {
    let (old, new) = (read(&text(false)), read(&text(true)));
    bencher.bench_local(|| compare(black_box(&old), black_box(&new), None).expect("both are locks"));
}

/// The renderers, of the same changes.
#[divan::bench(args = ["human", "json", "markdown", "html"])]
fn rendering(bencher: divan::Bencher<'_, '_>, format: &str) {
    let diff = compare(&read(&text(false)), &read(&text(true)), None).expect("both are locks");
    bencher.bench_local(|| match format {
        "human" => human::render(&diff, human::HumanOptions::default()),
        "json" => json::render(&diff),
        "markdown" => markdown::render(&diff),
        _ => html::render(&diff),
    });
}
