//! What a push sends, and what it makes of what is there.

use std::fs;
use std::net::TcpListener;

use factory::image::{OciRegistry, PushOptions, Pusher};
use factory::lock::Sha256;
use harness::docker_registry::{block_on, options, variables};
use harness::http::Response;
use harness::oci_registry::{FakeRegistry, Reaction};
use harness::package::{Made, make_small};

use super::{REPOSITORY, check, plugin, push, said};

#[harness::test]
fn a_push_asks_for_what_it_needs_and_sends_the_bytes_that_were_hashed() {
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let pushed = push(&server.registry(&[]), &made).unwrap();
    assert_eq!(pushed.reference, format!("{}/{REPOSITORY}:1.2.3", server.address));
    assert_eq!(pushed.pinned, format!("{}/{REPOSITORY}@{}", server.address, made.image.digest));
    assert_eq!((pushed.digest, pushed.already_there), (made.image.digest, false));
    let Made { image, .. } = &made;
    assert_eq!(pushed.bytes_uploaded, image.layer_len + (image.config.len() + image.manifest.len()) as u64);

    let (config, layer) = (image.config_digest.to_string(), image.layer.to_string());
    let (config_query, layer_query) = (config.replace(':', "%3A"), layer.replace(':', "%3A"));
    let requests = server.requests();
    let lines: Vec<_> = requests.iter().map(|request| format!("{} {}", request.method, request.target)).collect();
    let v2 = format!("/v2/{REPOSITORY}");
    assert_eq!(
        lines,
        [
            "GET /v2/".to_owned(),
            format!("GET {v2}/manifests/1.2.3"),
            format!("HEAD {v2}/blobs/{config}"),
            format!("POST {v2}/blobs/uploads/"),
            format!("PUT {v2}/blobs/uploads/u1?_state=a%2Bb&digest={config_query}"),
            format!("HEAD {v2}/blobs/{layer}"),
            format!("POST {v2}/blobs/uploads/"),
            format!("PUT {v2}/blobs/uploads/u2?_state=a%2Bb&digest={layer_query}"),
            format!("PUT {v2}/manifests/1.2.3"),
            format!("GET {v2}/manifests/1.2.3"),
            format!("HEAD {v2}/blobs/{config}"),
            format!("HEAD {v2}/blobs/{layer}"),
        ]
    );
    let field = |index: usize, name: &str| requests[index].header(name).unwrap_or_default();
    let accepted = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                    application/vnd.docker.distribution.manifest.v2+json, \
                    application/vnd.docker.distribution.manifest.list.v2+json";
    assert_eq!(field(1, "accept"), accepted);
    assert_eq!(field(3, "content-length"), "0");
    assert_eq!(field(7, "content-length"), image.layer_len.to_string());
    assert_eq!(field(7, "content-type"), "application/octet-stream");
    assert_eq!(field(7, "transfer-encoding"), "");
    assert_eq!(field(8, "content-type"), "application/vnd.oci.image.manifest.v1+json");
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
    assert!(field(0, "user-agent").starts_with("factory/"));
    let contents = server.contents();
    assert_eq!(contents.blobs[&config], image.config);
    assert!(contents.blobs[&layer] == fs::read(&image.layer_file).unwrap(), "the layer's bytes");
    assert_eq!(contents.manifests["1.2.3"].1, image.manifest);
}

#[harness::test]
fn what_is_there_is_not_sent_and_a_tag_does_not_move_by_itself() {
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let registry = server.registry(&[]);
    push(&registry, &made).unwrap();
    let sent = server.requests().len();
    let again = push(&registry, &made).unwrap();
    assert_eq!((again.already_there, again.bytes_uploaded, again.digest), (true, 0, made.image.digest));
    assert_eq!(server.kinds()[sent..], ["GET v2", "GET manifest"]);

    let mut other = plugin(&dir);
    other.image.manifest = String::from_utf8(other.image.manifest).unwrap().replace("1.2.3", "1.2.4").into_bytes();
    other.image.digest = Sha256::of(&other.image.manifest);
    let error = push(&registry, &other).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}/{REPOSITORY}:1.2.3` already names another image: {}, of https://example.com/todo at 3fadf6b0595d, and \
             this build made {}",
            server.address, made.image.digest, other.image.digest
        )
    );
    assert_eq!(
        error.hint().unwrap(),
        "released tags stay as they are: raise the plugin's version, give its tag another prefix with `--tag-prefix`, or \
         move the tag with `--overwrite-tags`"
    );
    assert_eq!(error.exit_code(), 1);
    assert_eq!(server.tag("1.2.3").unwrap(), made.image.digest.to_string());
    let moved = block_on(registry.push(&other.image, &PushOptions { overwrite: true, ..options() })).unwrap();
    assert_eq!((moved.already_there, moved.bytes_uploaded), (false, other.image.manifest.len() as u64));
    assert_eq!((server.tag("1.2.3").unwrap(), server.count("PUT blob")), (other.image.digest.to_string(), 2));
}

#[harness::test]
fn the_same_content_of_another_commit_sends_nothing_and_moves_no_tag() {
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let registry = server.registry(&[]);
    push(&registry, &made).unwrap();
    let sent = server.requests().len();
    let mut other = plugin(&dir);
    other.image.manifest =
        String::from_utf8(other.image.manifest).unwrap().replace("3fadf6b0", "4fadf6b0").into_bytes();
    other.image.digest = Sha256::of(&other.image.manifest);
    let pushed = push(&registry, &other).unwrap();
    // What is named, and gets documents, is what is there.
    assert_eq!((pushed.already_there, pushed.bytes_uploaded, pushed.digest), (true, 0, made.image.digest));
    assert_eq!(pushed.pinned, format!("{}/{REPOSITORY}@{}", server.address, made.image.digest));
    assert_eq!(pushed.same_content.unwrap(), made.image.manifest);
    assert_eq!(server.kinds()[sent..], ["GET v2", "GET manifest", "HEAD blob", "HEAD blob"]);
    // Of use is only what is there whole.
    let layer = server.contents().blobs.remove(&made.image.layer.to_string()).unwrap();
    assert!(push(&registry, &other).unwrap_err().to_string().contains("already names another image"));
    server.contents().blobs.insert(made.image.layer.to_string(), layer);
    // Who wants the tag to say the other commit can have that.
    let moved = block_on(registry.push(&other.image, &PushOptions { overwrite: true, ..options() })).unwrap();
    assert_eq!((moved.already_there, moved.same_content, moved.digest), (false, None, other.image.digest));
}

#[harness::test]
fn skopeo_as_well_takes_the_same_content_only_if_all_of_it_is_there() {
    harness::needs(&["skopeo"]);
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let registry = server.registry(&[]);
    push(&registry, &made).unwrap();
    let mut other = plugin(&dir);
    other.image.manifest =
        String::from_utf8(other.image.manifest).unwrap().replace("3fadf6b0", "4fadf6b0").into_bytes();
    other.image.digest = Sha256::of(&other.image.manifest);
    let by_skopeo = || {
        let options = PushOptions { pusher: Pusher::Skopeo, ..PushOptions::default() };
        block_on(registry.push(&other.image, &options))
    };
    let pushed = by_skopeo().unwrap();
    assert_eq!((pushed.already_there, pushed.digest), (true, made.image.digest));
    for blob in [made.image.layer, made.image.config_digest] {
        let bytes = server.contents().blobs.remove(&blob.to_string()).unwrap();
        let error = by_skopeo().unwrap_err();
        assert!(error.to_string().contains("already names another image"), "{error}");
        server.contents().blobs.insert(blob.to_string(), bytes);
    }
    assert_eq!((server.tag("1.2.3").unwrap(), server.count("PUT manifest")), (made.image.digest.to_string(), 1));
    // What cannot be looked at is not said to be gone.
    server.say("GET blob", 1000, 403);
    let error = by_skopeo().unwrap_err();
    assert!(error.to_string().starts_with("skopeo cannot read `"), "{error}");
}

#[harness::test]
fn images_go_at_once_and_their_results_are_in_order() {
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let names = [("@x/plugin-a", "1.0.0"), ("@x/plugin-b", "1.0.1"), ("@x/plugin-c", "1.0.2")];
    let mut images = names.map(|(name, version)| make_small(dir.path(), name, version).image).to_vec();
    let (gone, short) = (dir.path().join("gone"), images[2].layer_len);
    // Other layers than their neighbour's, or they would not be opened at all.
    images[1].layer_file.clone_from(&gone);
    images[1].layer = Sha256::of("gone");
    images[2].layer = Sha256::of("short");
    images[2].layer_len += 1;
    for at_once in [0, 2] {
        let results = block_on(server.registry(&[]).push_all(&images, &options(), at_once));
        let [Ok(first), Err(second), Err(third)] = &results[..] else { panic!("{results:?}") };
        assert_eq!((first.digest, first.already_there), (images[0].digest, at_once == 2));
        let rebuild = "the layer was changed or removed after it was built: build the plugin again".to_owned();
        let cannot = |name: &str, why: String| {
            (format!("cannot push `HOST/team/x-plugin-{name}`: the layer: {why}"), rebuild.clone())
        };
        let why = format!("`{}` cannot be read: No such file or directory (os error 2)", gone.display());
        assert_eq!(said(second, &server), cannot("b:1.0.1", why));
        let file = images[2].layer_file.display();
        assert_eq!(
            said(third, &server),
            cannot("c:1.0.2", format!("`{file}` has {short} bytes instead of {}", short + 1))
        );
    }
}

#[harness::test]
fn a_check_begins_an_upload_and_cancels_it() {
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    check(&server.registry(&[]), &made).unwrap();
    assert_eq!(server.kinds(), ["GET v2", "POST upload", "DELETE upload"]);
    assert_eq!(server.requests()[2].target, format!("/v2/{REPOSITORY}/blobs/uploads/u1?_state=a%2Bb"));
    assert_eq!(server.open_uploads(), 0);

    server.on("POST upload", 1, Reaction::Say(Response::status(202).header("Location", "http://localhost:1/u")));
    check(&server.registry(&[]), &made).unwrap();
    assert_eq!(server.kinds()[3..], ["GET v2", "POST upload"], "another host's upload is left to it");
}

#[harness::test]
fn bad_days_pass_and_what_was_sent_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let again = [408, 425, 429, 500, 502, 503, 504].map(|status| Reaction::Say(Response::status(status)));
    let lost = |code: &str, status| Reaction::Say(harness::oci_registry::error(status, code, ""));
    let of_blobs =
        [("DIGEST_INVALID", 400), ("SIZE_INVALID", 400), ("BLOB_UPLOAD_UNKNOWN", 404), ("BLOB_UNKNOWN", 404)];
    let reactions = again.into_iter().chain([Reaction::Drop, lost("MANIFEST_BLOB_UNKNOWN", 400)]);
    let reactions: Vec<_> = reactions.chain(of_blobs.map(|(code, status)| lost(code, status))).collect();
    for kind in ["POST upload", "PUT blob", "PUT manifest"] {
        for reaction in &reactions {
            let server = FakeRegistry::start();
            server.on(kind, 2, reaction.clone());
            let pushed = push(&server.registry(&[]), &made);
            let pushed = pushed.unwrap_or_else(|error| panic!("{kind} {reaction:?}: {error:?}"));
            assert_eq!((pushed.digest, server.left()), (made.image.digest, 0), "{kind} {reaction:?}");
            let extra = if kind == "PUT blob" { 2 } else { 0 };
            assert_eq!(server.count("PUT blob"), 2 + extra, "{kind} {reaction:?}");
        }
    }
    for kind in ["GET v2", "GET manifest", "HEAD blob"] {
        let server = FakeRegistry::start();
        server.say(kind, 2, 503).on(kind, 1, Reaction::Drop);
        assert_eq!(push(&server.registry(&[]), &made).unwrap().digest, made.image.digest, "{kind}");
        assert_eq!((server.left(), server.count("PUT blob")), (0, 2), "{kind}");
    }
}

#[harness::test]
fn a_registry_that_asks_for_a_pause_is_given_it_or_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let wait = |seconds: &str| Reaction::Say(Response::status(429).header("Retry-After", seconds));
    let server = FakeRegistry::start();
    let mut options = options();
    // Its own pauses would be longer than the test.
    options.retries.first_pause = std::time::Duration::from_secs(100_000);
    server.on("POST upload", 3, wait("0"));
    block_on(server.registry(&[]).push(&made.image, &options)).unwrap();
    assert_eq!((server.count("POST upload"), server.left()), (2 + 3, 0));

    for seconds in ["301", "18446744073709551615"] {
        let server = FakeRegistry::start();
        server.on("POST upload", 1, wait(seconds));
        let (message, hint) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
        assert_eq!(
            message,
            format!(
                "cannot push `HOST/{REPOSITORY}:1.2.3`: the config: the registry answered 429 Too Many Requests, and \
                 asks to wait {seconds} seconds"
            )
        );
        assert_eq!((hint.as_str(), server.count("POST upload")), ("the registry may be busy: try again later", 1));
    }
}

#[harness::test]
fn a_proxy_is_gone_through_unless_the_host_is_excepted() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let proxy = FakeRegistry::start();
    let (url, nowhere) = (format!("http://{}", proxy.address), format!("http://{dead}"));
    let through = |more: &[(&str, &str)]| {
        let more = [&[("REGISTRY_INSECURE", "true")], more].concat();
        push(&OciRegistry::from_variables(&variables(&dead, &more)).unwrap(), &made)
    };
    assert!(!through(&[("HTTP_PROXY", &url)]).unwrap().already_there);
    assert!(proxy.requests().iter().all(|request| request.header("host").as_ref() == Some(&dead)));
    // The lower case wins, as in curl.
    assert!(through(&[("http_proxy", &url), ("HTTP_PROXY", &nowhere)]).unwrap().already_there);
    let asked = proxy.requests().len();
    let exempt = [
        ("NO_PROXY", "127.0.0.1"),
        ("no_proxy", "example.com,127.0.0.1"),
        ("NO_PROXY", "127.0.0.0/8"),
        ("no_proxy", "*"),
        ("NO_PROXY", "example.com, *"),
    ];
    for (name, hosts) in exempt {
        let error = through(&[("HTTP_PROXY", &url), (name, hosts)]).unwrap_err();
        assert!(error.to_string().contains("no connection: Connection refused"), "{error}");
    }
    assert_eq!(proxy.requests().len(), asked);
    let error = through(&[("HTTP_PROXY", "http://[")]).unwrap_err();
    assert!(error.to_string().starts_with(&format!("the settings for `{dead}` do not work: ")), "{error}");
    assert_eq!(error.hint().unwrap(), "check `SSL_CERT_FILE` and the proxy variables");
}

#[harness::test]
fn a_push_that_broke_off_goes_on_where_it_was() {
    let (server, dir) = (FakeRegistry::start(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    server.say("PUT manifest", 4, 503);
    let error = push(&server.registry(&[]), &made).unwrap_err();
    let message = format!("cannot push `HOST/{REPOSITORY}:1.2.3`: the registry answered 503 Service Unavailable");
    assert_eq!(said(&error, &server), (message, "the registry may be busy: try again later".to_owned()));
    assert_eq!((server.count("PUT blob"), server.tag("1.2.3"), server.left()), (2, None, 0));
    let pushed = push(&server.registry(&[]), &made).unwrap();
    assert_eq!((pushed.bytes_uploaded, server.count("PUT blob")), (made.image.manifest.len() as u64, 2));
}

#[harness::test]
fn only_what_was_read_back_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let image = &made.image;
    let quota = "quay.io does this when the account may not have another private repository: create the repository \
                 beforehand (public, or within the quota), then push again";
    let another = || Reaction::Say(Response::status(200).body("{}"));
    let lie = Response::status(200).header("Docker-Content-Digest", &Sha256::of("x").to_string());
    let lie = lie.body(image.manifest.as_slice());
    let large = Response::status(200).body(vec![b' '; 4 * 1024 * 1024 + 1]);
    let success = format!("the registry reported success for `HOST/{REPOSITORY}:1.2.3`, but ");
    let cannot = format!("cannot push `HOST/{REPOSITORY}:1.2.3`: ");
    for (kind, reaction, message, hint) in [
        (
            "PUT manifest",
            Reaction::Say(Response::status(201)),
            success.clone() + "there is nothing under that tag",
            quota,
        ),
        (
            "GET manifest",
            another(),
            format!("{success}the tag names {} instead of {}", Sha256::of("{}"), image.digest),
            quota,
        ),
        (
            "GET manifest",
            Reaction::Say(lie),
            format!("{cannot}the registry sent {} and called it {}", image.digest, Sha256::of("x")),
            "the registry may be busy: try again later",
        ),
        (
            "GET manifest",
            Reaction::Say(large),
            cannot.clone() + "the registry sent more than 4 MiB, the limit",
            "check that `REGISTRY_URL` is the address of a registry",
        ),
        (
            "HEAD blob",
            Reaction::Say(Response::status(404)),
            format!("{success}it does not have the config {}", image.config_digest),
            quota,
        ),
        (
            "HEAD blob",
            Reaction::Say(Response::status(500)),
            cannot.clone() + "the registry answered 500 Internal Server Error",
            "the registry may be busy: try again later",
        ),
    ] {
        let server = FakeRegistry::start();
        // The first looks find nothing, as they should.
        match kind {
            "GET manifest" => drop(server.say(kind, 1, 404)),
            "HEAD blob" => drop(server.say(kind, 2, 404)),
            _ => {}
        }
        server.on(kind, 9, reaction);
        let error = push(&server.registry(&[]), &made).unwrap_err();
        assert_eq!(said(&error, &server), (message, hint.to_owned()), "{kind}");
    }
    // The manifest is not larger than the largest.
    let server = FakeRegistry::start();
    server.on("GET manifest", 1, Reaction::Say(Response::status(200).body(vec![b' '; 4 * 1024 * 1024])));
    assert!(push(&server.registry(&[]), &made).unwrap_err().to_string().contains("already names another image"));
    // The layer alone is missing.
    let server = FakeRegistry::start();
    push(&server.registry(&[]), &made).unwrap();
    server.contents().manifests.clear();
    server.contents().blobs.remove(&image.layer.to_string());
    server.on("PUT blob", 1, Reaction::Say(Response::status(201)));
    let error = push(&server.registry(&[]), &made).unwrap_err();
    assert_eq!(said(&error, &server).0, format!("{success}it does not have the layer {}", image.layer));
}
