//! Documents attached to pushed images: by Debian's docker-registry, which keeps no list of referrers, and by one that
//! says it does.
//!
//! Needs docker-registry, skopeo and openssl.

use harness::proxy;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use factory::Result;
use factory::image::{Attached, Attachment, Compression, OciRegistry};
use factory::lock::Sha256;
use harness::docker_registry::{PAIR, PASSWORD, Server, USER, block_on, network, options, variables};
use harness::package::{EPOCH, Made, make, run};
use harness::proxy::{Fault, Proxy, Request, status};
use serde_json::{Value, json};
use tempfile::TempDir;

const REPOSITORY: &str = "team/x-plugin-todo";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn insecure(address: &str) -> OciRegistry {
    OciRegistry::from_variables(&variables(address, &[("REGISTRY_INSECURE", "true")])).unwrap()
}

fn documents() -> Vec<Attachment> {
    [
        ("application/vnd.cyclonedx+json", "cdx", "{\"bomFormat\":\"CycloneDX\"}\n"),
        ("application/spdx+json", "spdx", "{\"spdxVersion\":\"SPDX-2.3\"}\n"),
        ("application/vnd.in-toto+json", "intoto", "{\"_type\":\"é\"}\n"),
    ]
    .map(|(media_type, extension, text)| Attachment {
        media_type,
        title: format!("x-plugin-todo-1.2.3.{extension}.json"),
        epoch: EPOCH,
        bytes: text.into(),
    })
    .into()
}

/// An image that is pushed, and what it is attached to.
struct Fixture {
    server: Server,
    dir: TempDir,
    made: Made,
}

impl Fixture {
    fn new() -> Self {
        Self::on(Server::open())
    }

    fn on(server: Server) -> Self {
        harness::needs(&["skopeo"]);
        let dir = tempfile::tempdir().unwrap();
        let made = make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip);
        Self { server, dir, made }
    }

    fn pushed() -> Self {
        let fixture = Self::new();
        block_on(insecure(&fixture.server.address).push(&fixture.made.image, &options())).unwrap();
        fixture
    }

    fn attach(&self, address: &str) -> Result<Vec<Attached>> {
        block_on(insecure(address).attach(&self.made.image, &documents(), &options()))
    }

    /// The tag that lists the referrers.
    fn tag(&self) -> String {
        format!("sha256-{}", self.made.image.digest.hex())
    }

    /// What another program sees under a tag or digest.
    fn raw(&self, reference: &str) -> Value {
        let image = format!("docker://{}/{REPOSITORY}{reference}", self.server.address);
        serde_json::from_str(&run("skopeo", &["inspect", "--raw", "--tls-verify=false", &image])).unwrap()
    }

    /// The digests in the list.
    fn listed(&self) -> Vec<String> {
        let index = self.raw(&format!(":{}", self.tag()));
        let entries = index["manifests"].as_array().unwrap();
        entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    }

    /// Stores a manifest as somebody else would.
    fn put(&self, reference: &str, media_type: &str, body: &str) {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        let head = format!(
            "PUT /v2/{REPOSITORY}/manifests/{reference} HTTP/1.1\r\nHost: r\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
}

fn digests(attached: &[Attached]) -> Vec<String> {
    attached.iter().map(|attached| attached.digest.to_string()).collect()
}

fn writes(proxy: &Proxy) -> usize {
    ["PUT blob", "PUT manifest", "POST upload"].iter().map(|kind| proxy.count(kind)).sum()
}

#[harness::test]
fn documents_come_back_byte_for_byte_and_are_listed() {
    let fixture = Fixture::pushed();
    let attached = fixture.attach(&fixture.server.address).unwrap();
    let kinds: Vec<_> = attached.iter().map(|attached| (attached.artifact_type, attached.already_there)).collect();
    let expected: Vec<_> = documents().iter().map(|document| (document.media_type, false)).collect();
    assert_eq!(kinds, expected);
    assert_eq!(fixture.server.tag(REPOSITORY, "1.2.3").unwrap(), fixture.made.image.digest.to_string());

    let mut entries = Vec::new();
    for (attached, document) in attached.iter().zip(documents()) {
        let manifest = fixture.raw(&format!("@{}", attached.digest));
        let digest = Sha256::of(&document.bytes);
        let created = json!({ "org.opencontainers.image.created": "2025-11-13T02:13:20Z" });
        assert_eq!(
            manifest,
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": document.media_type,
                "config": {
                    "mediaType": "application/vnd.oci.empty.v1+json",
                    "digest": Sha256::of("{}"),
                    "size": 2,
                },
                "layers": [{
                    "mediaType": document.media_type,
                    "digest": digest,
                    "size": document.bytes.len(),
                    "annotations": { "org.opencontainers.image.title": document.title },
                }],
                "subject": {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": fixture.made.image.digest,
                    "size": fixture.made.image.manifest.len(),
                },
                "annotations": created,
            })
        );
        let copy = fixture.dir.path().join(digest.hex());
        let from = format!("docker://{}/{REPOSITORY}@{}", fixture.server.address, attached.digest);
        run("skopeo", &["copy", "--src-tls-verify=false", &from, &format!("dir:{}", copy.display())]);
        assert_eq!(fs::read(copy.join(digest.hex())).unwrap(), document.bytes);
        entries.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": attached.digest,
            "size": manifest.to_string().len(),
            "artifactType": document.media_type,
            "annotations": created,
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    assert_eq!(fixture.raw(&format!(":{}", fixture.tag())), index);
}

#[harness::test]
fn attaching_again_changes_nothing() {
    let fixture = Fixture::pushed();
    let proxy = Proxy::before(&fixture.server.address);
    let first = fixture.attach(&proxy.address).unwrap();
    let (before, list) = (writes(&proxy), fixture.server.tag(REPOSITORY, &fixture.tag()));
    // The empty config and three documents, and the same with their manifests and the list.
    assert_eq!((proxy.count("PUT blob"), proxy.count("PUT manifest")), (4, 4));
    let again = fixture.attach(&proxy.address).unwrap();
    assert_eq!(digests(&again), digests(&first));
    assert!(again.iter().all(|attached| attached.already_there));
    assert_eq!(writes(&proxy), before);
    assert_eq!(fixture.server.tag(REPOSITORY, &fixture.tag()), list);
}

#[harness::test]
fn what_others_attached_stays() {
    let fixture = Fixture::pushed();
    let foreign = Attachment { media_type: "application/x-signature", ..documents().remove(0) };
    let registry = insecure(&fixture.server.address);
    let others = block_on(registry.attach(&fixture.made.image, &[foreign], &options())).unwrap();
    let mut list = fixture.raw(&format!(":{}", fixture.tag()));
    list["manifests"][0]["annotations"] = json!({ "com.example.by": "others" });
    list["annotations"] = json!({ "com.example.list": "theirs" });
    fixture.put(&fixture.tag(), INDEX, &list.to_string());

    let ours = fixture.attach(&fixture.server.address).unwrap();
    let now = fixture.raw(&format!(":{}", fixture.tag()));
    assert_eq!(fixture.listed(), [digests(&others), digests(&ours)].concat());
    assert_eq!(now["manifests"][0], list["manifests"][0]);
    assert_eq!(now["annotations"], list["annotations"]);
}

#[harness::test]
fn a_list_that_was_written_over_is_written_again() {
    let fixture = Fixture::pushed();
    let (tag, lost) = (fixture.tag(), AtomicBool::new(false));
    let proxy = Proxy::guarded(
        &fixture.server.address,
        Box::new(move |request: &Request| {
            let is_list = request.method == "PUT" && request.path.ends_with(&tag);
            (is_list && !lost.swap(true, Ordering::SeqCst)).then(|| status(201))
        }),
    );
    let attached = fixture.attach(&proxy.address).unwrap();
    assert_eq!(fixture.listed(), digests(&attached));
}

#[harness::test]
fn documents_that_were_pushed_and_never_listed_are_listed() {
    let fixture = Fixture::pushed();
    let tag = fixture.tag();
    let torn = Proxy::guarded(
        &fixture.server.address,
        Box::new(move |request: &Request| request.path.ends_with(&tag).then(|| status(400))),
    );
    let error = fixture.attach(&torn.address).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot attach to `{}/{REPOSITORY}@{}`: the registry answered 400 Bad Request",
            torn.address, fixture.made.image.digest
        )
    );
    assert_eq!((error.exit_code(), fixture.server.tag(REPOSITORY, &fixture.tag())), (5, None));
    let proxy = Proxy::before(&fixture.server.address);
    let attached = fixture.attach(&proxy.address).unwrap();
    assert!(attached.iter().all(|attached| attached.already_there));
    assert_eq!(fixture.listed(), digests(&attached));
    assert_eq!((proxy.count("PUT blob"), proxy.count("PUT manifest")), (0, 1));
}

/// docker-registry behind a front that does what distribution spec 1.1 asks.
fn listing(fixture: &Fixture, listed: &Arc<Mutex<Vec<String>>>) -> Proxy {
    let listed = Arc::clone(listed);
    let proxy = Proxy::guarded(
        &fixture.server.address,
        Box::new(move |request: &Request| {
            request.path.contains("/referrers/").then(|| {
                let entry = |digest: &String| json!({ "mediaType": "m", "digest": digest, "size": 1 });
                let entries: Vec<Value> = listed.lock().unwrap().iter().map(entry).collect();
                let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
                Fault::Answer(200, vec![], index.to_string())
            })
        }),
    );
    let header = "\r\nDocker-Content-Digest:";
    let subject = format!("\r\nOCI-Subject: {}{header}", fixture.made.image.digest);
    proxy.fail("PUT manifest", 100, Fault::Replace(header.into(), subject));
    proxy
}

#[harness::test]
fn a_registry_that_lists_referrers_gets_no_list_from_us() {
    let fixture = Fixture::pushed();
    let listed = Arc::default();
    let proxy = listing(&fixture, &listed);
    let attached = fixture.attach(&proxy.address).unwrap();
    assert_eq!(proxy.count("PUT manifest"), attached.len());
    *listed.lock().unwrap() = digests(&attached);
    let before = writes(&proxy);
    let again = fixture.attach(&proxy.address).unwrap();
    assert_eq!((digests(&again), writes(&proxy)), (digests(&attached), before));
    assert_eq!(fixture.server.tag(REPOSITORY, &fixture.tag()), None);
    assert!(proxy.requests().iter().all(|request| !request.path.ends_with(&fixture.tag())));
}

#[harness::test]
fn bad_days_pass() {
    for (kind, times, fault) in [
        ("GET manifest", 3, Fault::Drop),
        ("POST upload", 2, status(503)),
        ("PUT blob", 1, Fault::DropAt(3)),
        ("PUT manifest", 3, status(502)),
        ("PUT manifest", 1, Fault::Drop),
        ("PUT manifest", 1, proxy::header(429, "Retry-After", "0")),
    ] {
        let fixture = Fixture::pushed();
        let proxy = Proxy::before(&fixture.server.address);
        proxy.fail(kind, times, fault.clone());
        let attached = fixture.attach(&proxy.address).unwrap_or_else(|error| panic!("{kind} {fault:?}: {error:?}"));
        assert_eq!((fixture.listed(), proxy.left()), (digests(&attached), 0), "{kind} {fault:?}");
    }
}

#[harness::test]
fn lies_are_not_reported_as_attached() {
    // Success, and nothing is stored: of a document, of the list.
    let fixture = Fixture::pushed();
    let proxy = Proxy::before(&fixture.server.address);
    proxy.fail("PUT manifest", 100, status(201));
    let message = network(&fixture.attach(&proxy.address).unwrap_err());
    assert!(message.starts_with("the registry reported success for `"), "{message}");
    assert!(message.ends_with("`, but it is not there"), "{message}");

    let fixture = Fixture::pushed();
    let (tag, tries) = (fixture.tag(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&tries);
    let proxy = Proxy::guarded(
        &fixture.server.address,
        Box::new(move |request: &Request| {
            let is_list = request.method == "PUT" && request.path.ends_with(&tag);
            is_list.then(|| {
                counted.fetch_add(1, Ordering::SeqCst);
                status(201)
            })
        }),
    );
    assert_eq!(
        network(&fixture.attach(&proxy.address).unwrap_err()),
        format!(
            "the registry reported success for `{}/{REPOSITORY}:{}`, but it does not list what was attached",
            proxy.address,
            fixture.tag()
        )
    );
    assert_eq!(tries.load(Ordering::SeqCst), 5);
}

#[harness::test]
fn a_tag_that_is_no_list_is_left_alone() {
    let fixture = Fixture::pushed();
    let manifest = String::from_utf8(fixture.made.image.manifest.clone()).unwrap();
    fixture.put(&fixture.tag(), "application/vnd.oci.image.manifest.v1+json", &manifest);
    let error = fixture.attach(&fixture.server.address).unwrap_err();
    assert_eq!(
        network(&error),
        format!(
            "`{}/{REPOSITORY}:{}` should list what is attached, and it is not an image index",
            fixture.server.address,
            fixture.tag()
        )
    );
    assert_eq!(error.hint().unwrap(), "look what stands under that tag, and remove it if nobody needs it");
    let digest = fixture.made.image.digest.to_string();
    assert_eq!(fixture.server.tag(REPOSITORY, &fixture.tag()).unwrap(), digest);
}

#[harness::test]
fn the_login_is_used_and_in_no_message() {
    let fixture = Fixture::on(Server::with_password());
    let proxy = Proxy::before(&fixture.server.address);
    let login = |password: &str| {
        let more = [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", password)];
        OciRegistry::from_variables(&variables(&proxy.address, &more)).unwrap()
    };
    let attach = |password: &str| block_on(login(password).attach(&fixture.made.image, &documents(), &options()));
    block_on(login(PASSWORD).push(&fixture.made.image, &options())).unwrap();
    proxy.fail("PUT manifest", 1, Fault::Answer(400, vec![], format!("you said {PASSWORD} {PAIR}")));
    let message = network(&attach(PASSWORD).unwrap_err());
    assert!(
        message.ends_with("x-plugin-todo-1.2.3.cdx.json: the registry answered 400 Bad Request: you said *** ***"),
        "{message}"
    );
    let error = attach("planted-wrong").unwrap_err();
    assert!(network(&error).contains("the registry answered 401 Unauthorized"), "{error}");
    assert!(!format!("{error:?}").contains("planted-wrong"), "{error:?}");
}
