//! Pushing one layer of 500 MB to a docker-registry on this machine, by us and by skopeo: `cargo bench --bench push`.
//!
//! Fails when our memory reaches 64 MB. Needs docker-registry and skopeo.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use factory::image::{
    Compression, Facts, Image, ImageName, ImageNames, ImagePath, Layout, OciRegistry, Packed, PushOptions, Tag,
};
use factory::lock::{Integrity, Sha256};
use harness::docker_registry::{Server, variables};

const LAYER: u64 = 500_000_000;
const ROUNDS: usize = 3;
const MOST_MEMORY: u64 = 64_000_000;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let layout = Layout::open(&dir.path().join("oci")).unwrap();
    layout.add(&image).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let server = Server::open();
        let registry =
            OciRegistry::from_variables(&variables(&server.address, &[("REGISTRY_INSECURE", "true")])).unwrap();
        let start = Instant::now();
        runtime.block_on(registry.push(&image, &PushOptions::default())).unwrap();
        ours = ours.min(start.elapsed());

        let server = Server::open();
        let source = format!("oci:{}:{}", layout.folder().display(), image.reference());
        let target = format!("docker://{}/team/{}", server.address, image.reference());
        let start = Instant::now();
        let copy = ["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", &source, &target];
        assert!(Command::new("skopeo").args(copy).status().unwrap().success());
        theirs = theirs.min(start.elapsed());
    }
    let memory = most_memory();
    println!("factory {ours:.2?} with {} kB, skopeo {theirs:.2?}", memory / 1000);
    assert!(memory < MOST_MEMORY, "{memory} bytes of memory");
}

/// The image of a layer that does not compress, and that nothing unpacks.
fn image(dir: &Path) -> Image {
    let layer_file = dir.join("layer");
    let mut out = BufWriter::new(File::create(&layer_file).unwrap());
    let mut state = 42_u64;
    for _ in 0..LAYER / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes()).unwrap();
    }
    drop(out);
    let layer = Sha256::of_reader(&mut File::open(&layer_file).unwrap()).unwrap();
    let packed = Packed {
        tgz: Integrity::of(""),
        tgz_len: 0,
        layer,
        layer_len: LAYER,
        diff_id: layer,
        compression: Compression::Gzip,
        files: 1,
        large: Vec::new(),
    };
    let facts = Facts { source: None, revision: None, version: "1.0.0", epoch: 1, inputs: None };
    let (name, tag) = (ImageName::of_package("bench").unwrap(), Tag::of_version("", "1.0.0").unwrap());
    let path = ImagePath::of_package("bench-dynamic").unwrap();
    Image::assemble(ImageNames { path, name, tag }, b"{}", &packed, layer_file, &facts).unwrap()
}

/// The most memory this process has had, in bytes.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
