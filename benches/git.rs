//! Git sources: one repository of 3,000 files over http, and 65 workspaces in 10 local repositories.

#![allow(clippy::unwrap_used, reason = "a bench")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use divan::Bencher;
use factory::build::checkout::checkout;
use factory::resolve::refs;
use factory::store::Store;
use factory::store::git::{EntryKind, Network, SourceUrl};

use harness::git_server::{Behaviour, Server};
use harness::repository::Repository;

static GO: AtomicBool = AtomicBool::new(false);

fn main() {
    divan::main();
}

/// Text that compresses about as well as source code.
fn text(seed: usize, bytes: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(
            ["const ", "export ", "value", "(item) => ", "{\n  ", "}\n", "return ", "import "][(state >> 61) as usize],
        );
        text.push_str(&((state >> 33) % 1000).to_string());
    }
    text
}

fn three_thousand_files(dir: &Path) -> Repository {
    let repository = Repository::init(dir);
    for file in 0..3000 {
        repository.write(&format!("p{}/src/f{file}.ts", file % 60), text(file, 2_000 + file % 8_000));
    }
    repository.write("yarn.lock", text(0, 1_400_000));
    repository.commit("all");
    repository.git(&["gc", "--quiet"]);
    repository
}

/// Refs listed, one commit fetched at depth 1 into an empty cache, all of it checked out.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn list_fetch_checkout_of_3000_files(bencher: Bencher) {
    let root = tempfile::tempdir().unwrap();
    three_thousand_files(&root.path().join("r"));
    let server = Server::start(root.path(), Behaviour::default());
    let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
    bencher.with_inputs(|| tempfile::tempdir().unwrap()).bench_refs(|dir| {
        let store = Store::open(dir.path().join("cache")).unwrap();
        let commit = refs::resolve(&store, &url, "main", &Network::default(), &GO).unwrap().commit;
        let tree = store.repository(&url, &GO).unwrap().fetch(&commit, &Network::default(), &GO).unwrap();
        checkout(&tree, ".", &dir.path().join("out"), &GO).unwrap().files
    });
}

/// The same commit from a warm cache.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn checkout_of_3000_files(bencher: Bencher) {
    let root = tempfile::tempdir().unwrap();
    three_thousand_files(&root.path().join("r"));
    let store = Store::open(root.path().join("cache")).unwrap();
    let url = SourceUrl::parse("r", root.path()).unwrap();
    let commit = refs::resolve(&store, &url, "main", &Network::default(), &GO).unwrap().commit;
    bencher.with_inputs(|| tempfile::tempdir().unwrap()).bench_refs(|dir| {
        let tree = store.repository(&url, &GO).unwrap().fetch(&commit, &Network::default(), &GO).unwrap();
        checkout(&tree, ".", &dir.path().join("out"), &GO).unwrap().files
    });
}

/// Refs resolved, and the package.json files and the 1.4 MB yarn.lock of each workspace read.
#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 65, 650])]
fn workspaces_in_10_local_repositories(bencher: Bencher, workspaces: usize) {
    let root = tempfile::tempdir().unwrap();
    let lock = text(0, 1_400_000);
    for repository in 0..10 {
        let repository = Repository::init(&root.path().join(format!("r{repository}")));
        for workspace in 0..7 {
            let dir = format!("workspaces/w{workspace}");
            repository.write(&format!("{dir}/yarn.lock"), format!("{workspace}{lock}"));
            for package in 0..6 {
                repository.write(&format!("{dir}/plugins/p{package}/package.json"), text(package, 2_000));
                repository.write(&format!("{dir}/plugins/p{package}/src/index.ts"), text(package, 2_000));
            }
        }
        repository.commit("all");
    }
    let requests: Vec<_> = (0..workspaces)
        .map(|n| (SourceUrl::parse(&format!("r{}", n % 10), root.path()).unwrap(), "main".to_owned()))
        .collect();
    bencher.with_inputs(|| tempfile::tempdir().unwrap()).bench_refs(|dir| {
        let store = Store::open(dir.path()).unwrap();
        let resolved = refs::resolve_many(&store, &requests, 8, &Network::default(), &GO);
        let mut bytes = 0;
        for (n, (resolution, (url, _))) in resolved.into_iter().zip(&requests).enumerate() {
            let repository = store.repository(url, &GO).unwrap();
            let tree = repository.fetch(&resolution.unwrap().commit, &Network::default(), &GO).unwrap();
            let workspace = format!("workspaces/w{}", n / 10 % 7);
            bytes += tree.read(&format!("{workspace}/yarn.lock")).unwrap().unwrap().len();
            for entry in tree.walk(&workspace, |path, _| !path.ends_with("node_modules")).unwrap() {
                if entry.kind == EntryKind::File && entry.path.ends_with("package.json") {
                    bytes += tree.read(&entry.path).unwrap().unwrap().len();
                }
            }
        }
        bytes
    });
}
