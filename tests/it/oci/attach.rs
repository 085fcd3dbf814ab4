//! Documents attached to images, in registries that keep a list of referrers and in those that do not.

use factory::Result;
use factory::image::{Attached, Attachment};
use factory::lock::Sha256;
use harness::docker_registry::{block_on, options};
use harness::http::Response;
use harness::oci_registry::{FakeRegistry, Habits, Reaction, error};
use harness::package::{EPOCH, Made};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{REPOSITORY, plugin, push, said};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUSY: &str = "the registry may be busy: try again later";

fn documents() -> Vec<Attachment> {
    [
        ("application/vnd.cyclonedx+json", "cdx", "{\"bomFormat\":\"CycloneDX\"}\n"),
        ("application/spdx+json", "spdx", "{}\n"),
    ]
    .map(|(media_type, extension, text)| Attachment {
        media_type,
        title: format!("x-plugin-todo-1.2.3.{extension}.json"),
        epoch: EPOCH,
        bytes: text.into(),
    })
    .into()
}

/// An image in a registry, and documents to attach to it.
struct Fixture {
    server: FakeRegistry,
    made: Made,
    sent: usize,
    _dir: TempDir,
}

impl Fixture {
    fn new(has_referrers: bool) -> Self {
        Self::with(Habits { has_referrers, ..Habits::default() })
    }

    fn with(habits: Habits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = plugin(&dir);
        let plain = FakeRegistry::start();
        push(&plain.registry(&[]), &made).unwrap();
        Self { server: plain.beside(habits), made, sent: 0, _dir: dir }
    }

    fn attach(&self) -> Result<Vec<Attached>> {
        block_on(self.server.registry(&[]).attach(&self.made.image, &documents(), &options()))
    }

    fn fails(&self) -> (String, String) {
        said(&self.attach().unwrap_err(), &self.server)
    }

    /// What was asked since the last time.
    fn asked(&mut self) -> Vec<String> {
        let kinds = self.server.kinds().split_off(self.sent);
        self.sent += kinds.len();
        kinds.into_iter().filter(|kind| kind != "GET v2").collect()
    }

    /// The tag that lists the referrers.
    fn tag(&self) -> String {
        format!("sha256-{}", self.made.image.digest.hex())
    }

    fn list(&self) -> Option<Value> {
        let contents = self.server.contents();
        let (kind, bytes) = contents.manifests.get(&self.tag())?;
        assert_eq!(kind, INDEX);
        Some(serde_json::from_slice(bytes).unwrap())
    }

    fn put_list(&self, kind: &str, text: &str) {
        self.server.contents().manifests.insert(self.tag(), (kind.to_owned(), text.into()));
    }

    /// `cannot attach to …`.
    fn cannot(&self, why: &str) -> String {
        format!("cannot attach to `HOST/{REPOSITORY}@{}`: {why}", self.made.image.digest)
    }
}

/// What is asked for one document that is not there.
const DOCUMENT: [&str; 9] = [
    "GET manifest",
    "HEAD blob",
    "POST upload",
    "PUT blob",
    "HEAD blob",
    "POST upload",
    "PUT blob",
    "PUT manifest",
    "GET manifest",
];

#[harness::test]
fn a_registry_with_referrers_is_given_the_documents_alone() {
    let mut fixture = Fixture::new(true);
    let attached = fixture.attach().unwrap();
    let digests: Vec<_> = attached.iter().map(|attached| attached.digest.to_string()).collect();
    let found: Vec<_> = attached.iter().map(|attached| (attached.artifact_type, attached.already_there)).collect();
    assert_eq!(found, documents().iter().map(|document| (document.media_type, false)).collect::<Vec<_>>());
    // The empty config is sent once.
    let second = [&DOCUMENT[..2], &DOCUMENT[4..]].concat();
    assert_eq!(fixture.asked(), [&DOCUMENT[..], &second[..]].concat());
    assert_eq!(fixture.list(), None);
    {
        let contents = fixture.server.contents();
        for (document, digest) in documents().iter().zip(&digests) {
            let (kind, bytes) = &contents.manifests[digest];
            assert_eq!((kind.as_str(), Sha256::of(bytes).to_string()), (MANIFEST, digest.clone()));
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!(manifest["subject"]["digest"], fixture.made.image.digest.to_string());
            assert_eq!(contents.blobs[&Sha256::of(&document.bytes).to_string()], document.bytes);
        }
        assert_eq!(contents.blobs[&Sha256::of("{}").to_string()], b"{}");
    }

    let again = fixture.attach().unwrap();
    assert!(again.iter().all(|attached| attached.already_there));
    assert_eq!(again.iter().map(|attached| attached.digest.to_string()).collect::<Vec<_>>(), digests);
    assert_eq!(fixture.asked(), ["GET manifest", "GET manifest", "GET referrers"]);
    let [.., asked] = &fixture.server.requests()[..] else { panic!("nothing was asked") };
    assert_eq!(asked.target, format!("/v2/{REPOSITORY}/referrers/{}", fixture.made.image.digest));
    assert_eq!(asked.header("accept").as_deref(), Some(INDEX));
}

#[harness::test]
fn elsewhere_the_list_is_kept_under_a_tag_with_what_others_wrote() {
    let mut fixture = Fixture::new(false);
    let foreign = json!({ "mediaType": MANIFEST, "digest": "sha256:0", "size": 1, "own": [1] });
    fixture.put_list(INDEX, &json!({ "schemaVersion": 2, "manifests": [foreign], "annotations": {} }).to_string());
    let attached = fixture.attach().unwrap();
    let second = [&DOCUMENT[..2], &DOCUMENT[4..]].concat();
    let list = ["GET manifest", "PUT manifest", "GET manifest"];
    assert_eq!(fixture.asked(), [&DOCUMENT[..], &second[..], &list[..]].concat());
    let listed = fixture.list().unwrap();
    assert_eq!(listed["manifests"][0], foreign);
    for (number, attached) in attached.iter().enumerate() {
        let entry = &listed["manifests"][number + 1];
        assert_eq!(entry["digest"], attached.digest.to_string());
        assert_eq!(
            (entry["artifactType"].as_str(), &entry["mediaType"]),
            (Some(attached.artifact_type), &json!(MANIFEST))
        );
    }
    let puts = fixture.server.of("PUT manifest");
    assert_eq!(puts.last().unwrap().header("content-type").as_deref(), Some(INDEX));
    assert!(puts.last().unwrap().target.ends_with(&fixture.tag()));

    // What is listed is not written again, whatever the registry says of referrers.
    assert!(fixture.attach().unwrap().iter().all(|attached| attached.already_there));
    assert_eq!(fixture.asked(), ["GET manifest", "GET manifest", "GET referrers", "GET manifest"]);
    // A run that was stopped before it wrote the list is finished.
    fixture.put_list(INDEX, &json!({ "manifests": [foreign] }).to_string());
    fixture.attach().unwrap();
    assert_eq!(fixture.list().unwrap()["manifests"], listed["manifests"]);
}

#[harness::test]
fn referrers_that_cannot_be_asked_for_are_listed_and_a_busy_registry_is_not() {
    for status in [400, 403, 404, 405, 499] {
        let fixture = Fixture::new(true);
        fixture.attach().unwrap();
        fixture.server.say("GET referrers", 1, status);
        fixture.attach().unwrap();
        assert_eq!(fixture.list().unwrap()["manifests"].as_array().unwrap().len(), 2, "{status}");
    }
    let fixture = Fixture::new(true);
    fixture.attach().unwrap();
    fixture.server.on("GET referrers", 1, Reaction::Say(Response::status(200).body("<html>")));
    fixture.attach().unwrap();
    assert!(fixture.list().is_some());
    for status in [500, 399] {
        let fixture = Fixture::new(true);
        fixture.attach().unwrap();
        fixture.server.say("GET referrers", 9, status);
        let (message, _) = fixture.fails();
        assert!(message.starts_with(&fixture.cannot(&format!("the registry answered {status}"))), "{message}");
        assert_eq!(fixture.list(), None);
    }
}

#[harness::test]
fn one_that_is_new_means_that_the_list_is_not_asked_for() {
    let mut fixture = Fixture::new(true);
    fixture.attach().unwrap();
    // The second is gone, and the registry no longer says that it keeps a list.
    let gone = fixture.attach().unwrap()[1].digest.to_string();
    fixture.server.contents().manifests.remove(&gone);
    fixture.server.on("PUT manifest", 1, Reaction::Store(Response::status(201)));
    fixture.asked();
    let attached = fixture.attach().unwrap();
    assert_eq!(attached.iter().map(|attached| attached.already_there).collect::<Vec<_>>(), [true, false]);
    assert_eq!(
        fixture.asked(),
        [
            "GET manifest",
            "GET manifest",
            "HEAD blob",
            "HEAD blob",
            "PUT manifest",
            "GET manifest",
            "GET manifest",
            "PUT manifest",
            "GET manifest",
        ]
    );
    assert_eq!(fixture.list().unwrap()["manifests"].as_array().unwrap().len(), 2);
}

#[harness::test]
fn what_cannot_be_attached_is_said() {
    let document = "x-plugin-todo-1.2.3.cdx.json";
    for (kind, reaction, why, hint) in [
        ("GET manifest", error(500, "UNKNOWN", ""), "the registry answered 500 Internal Server Error: UNKNOWN", BUSY),
        (
            "PUT manifest",
            error(400, "MANIFEST_INVALID", "subject"),
            "NAME: the registry answered 400 Bad Request: MANIFEST_INVALID: subject",
            "push with another program: `--image-pusher skopeo`",
        ),
        ("PUT manifest", Response::status(503), "NAME: the registry answered 503 Service Unavailable", BUSY),
    ] {
        let fixture = Fixture::new(true);
        fixture.server.on(kind, 9, Reaction::Say(reaction));
        let why = fixture.cannot(&why.replace("NAME", document));
        assert_eq!(fixture.fails(), (why, hint.to_owned()), "{kind}");
        // What cannot be asked for is not sent.
        assert_eq!(fixture.server.count("POST upload") == 0, kind == "GET manifest");
    }
    // Blobs are told of as those of a push.
    let fixture = Fixture::new(true);
    fixture.server.say("PUT blob", 9, 413);
    let push =
        format!("cannot push `HOST/{REPOSITORY}:1.2.3`: the empty config: the registry answered 413 Payload Too Large");
    assert_eq!(fixture.fails().0, push);

    let quota = "quay.io does this when the account may not have another private repository: create the repository \
                 beforehand (public, or within the quota), then push again";
    let fixture = Fixture::new(true);
    fixture.attach().unwrap();
    let first = fixture.attach().unwrap()[0].digest;
    fixture.server.contents().manifests.remove(&first.to_string());
    fixture.server.on("PUT manifest", 1, Reaction::Say(Response::status(201)));
    let lost = format!("the registry reported success for `HOST/{REPOSITORY}@{first}`, but it is not there");
    assert_eq!(fixture.fails(), (lost.clone(), quota.to_owned()));
    fixture.server.say("GET manifest", 1, 404);
    fixture.server.on("GET manifest", 1, Reaction::Say(Response::status(200).body("{}")));
    assert_eq!(fixture.fails(), (lost, quota.to_owned()));
    fixture.server.say("GET manifest", 1, 404).say("GET manifest", 1, 403);
    let (message, _) = fixture.fails();
    assert_eq!(message, fixture.cannot("the registry answered 403 Forbidden"));
}

#[harness::test]
fn a_document_that_a_replica_does_not_have_yet_is_asked_for_again() {
    let fixture = Fixture::with(Habits { late: 3, has_referrers: true, ..Habits::default() });
    assert_eq!(fixture.attach().unwrap().len(), 2);
}

#[harness::test]
fn what_is_no_list_is_left_alone_and_a_list_that_does_not_stay_is_said() {
    for (text, why) in [("[]", "it is not an image index"), ("{}", "it lists no manifests")] {
        let fixture = Fixture::new(false);
        fixture.put_list(INDEX, text);
        let message = format!("`HOST/{REPOSITORY}:{}` should list what is attached, and {why}", fixture.tag());
        let hint = "look what stands under that tag, and remove it if nobody needs it".to_owned();
        assert_eq!(fixture.fails(), (message, hint));
        assert_eq!(fixture.server.contents().manifests[&fixture.tag()].1, text.as_bytes());
    }
    // Another push wins each time; ours is tried as often as other requests, and once more.
    let fixture = Fixture::new(false);
    fixture.attach().unwrap();
    fixture.server.contents().manifests.remove(&fixture.tag());
    let before = fixture.server.count("PUT manifest");
    fixture.server.on("PUT manifest", 9, Reaction::Say(Response::status(201)));
    let (message, _) = fixture.fails();
    let tag = fixture.tag();
    let lost = "it does not list what was attached";
    assert_eq!(message, format!("the registry reported success for `HOST/{REPOSITORY}:{tag}`, but {lost}"));
    assert_eq!(fixture.server.count("PUT manifest") - before, options().retries.attempts + 1);
}
