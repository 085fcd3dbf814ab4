//! Reading a lock of about 1.4 MB, resolving it, and computing the arguments of one plugin: `cargo bench`.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a bench talks to its developer")]

use harness::lockfile;
use std::path::Path;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use factory::resolve::build_args::{RegistryManifests, compute};
use factory::resolve::host::HostLock;
use factory::yarn::graph::{DependencyGraph, Manifests};
use factory::yarn::lockfile::YarnLock;
use factory::yarn::platform::Platform;

use harness::lockfile::{files, lock};

fn main() {
    eprintln!("the lock has {} bytes", lock().len());
    divan::main();
}

fn host() -> HostLock {
    HostLock::parse(lockfile::host_text().as_bytes(), Path::new("host.lock"), "the host lockfile").unwrap()
}

#[divan::bench]
fn parse(bencher: Bencher) {
    let text = lock();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| YarnLock::parse(black_box(text.as_bytes()), Path::new("yarn.lock")).unwrap());
}

#[divan::bench]
fn host_lock(bencher: Bencher) {
    let text = lock();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| HostLock::parse(black_box(text.as_bytes()), Path::new("yarn.lock"), "the host").unwrap());
}

#[divan::bench]
fn parse_graph_and_arguments(bencher: Bencher) {
    let (text, files, host) = (lock(), files(), host());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        let lock = YarnLock::parse(black_box(text.as_bytes()), Path::new("yarn.lock")).unwrap();
        let manifests = Manifests::parse(&lock, &files).unwrap();
        let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
        compute(&graph, "plugins/x", &host, &RegistryManifests::new()).unwrap()
    });
}

#[divan::bench]
fn arguments_of_one_more_plugin(bencher: Bencher) {
    let (text, files, host) = (lock(), files(), host());
    let lock = YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap();
    let manifests = Manifests::parse(&lock, &files).unwrap();
    let graph = DependencyGraph::new(&lock, &manifests, &Platform::default());
    bencher.bench_local(|| compute(black_box(&graph), "plugins/x", &host, &RegistryManifests::new()).unwrap());
}
