//! Answers that mean yes, in every form that registries give them.

use std::net::ToSocketAddrs as _;

use harness::docker_registry::{block_on, options};
use harness::http::Response;
use harness::oci_registry::{FakeRegistry, Habits, Login, Reaction, TOKEN};

use super::{LOGIN, REPOSITORY, check, knows_no_secret, plugin, push, said};

#[harness::test]
fn a_location_has_every_form_of_a_uri_reference() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    for location in ["{path}", "http://{host}{path}", "//{host}{path}", "{id}", "./{id}", "../uploads/{id}"] {
        let server = FakeRegistry::with(Habits { location, ..Habits::default() });
        let pushed = push(&server.registry(&[]), &made).unwrap_or_else(|error| panic!("{location}: {error:?}"));
        assert_eq!(server.tag("1.2.3").unwrap(), pushed.digest.to_string(), "{location}");
        for put in server.of("PUT blob") {
            assert!(put.target.contains("?_state=a%2Bb&digest=sha256%3A"), "{location}: {}", put.target);
        }
    }
    for (location, why) in [
        ("", "the registry began an upload and gave no `Location` for it"),
        ("ftp://{host}{path}", "the registry answered with a `Location` that is not a URL"),
        ("http://[", "the registry answered with a `Location` that is not a URL"),
    ] {
        let server = FakeRegistry::with(Habits { location, ..Habits::default() });
        let other = "push with another program: `--image-pusher skopeo`".to_owned();
        let error = check(&server.registry(&[]), &made).unwrap_err();
        assert_eq!(said(&error, &server), (format!("cannot push to `HOST/{REPOSITORY}`: {why}"), other.clone()));
        let error = push(&server.registry(&[]), &made).unwrap_err();
        let message = format!("cannot push `HOST/{REPOSITORY}:1.2.3`: the config: {why}");
        assert_eq!(said(&error, &server), (message, other));
        assert_eq!(server.count("PUT blob"), 0);
    }
}

#[harness::test]
fn every_2xx_says_yes_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    for kind in ["PUT manifest", "PUT blob"] {
        for status in 200..300 {
            let server = FakeRegistry::start();
            // Without a `Location`, too.
            server.on(kind, 9, Reaction::Store(Response::status(status)));
            let pushed = push(&server.registry(&[]), &made).unwrap_or_else(|error| panic!("{kind} {status}: {error}"));
            assert_eq!(server.tag("1.2.3").unwrap(), pushed.digest.to_string());
        }
        for status in [300, 301, 302, 303, 304, 305, 306, 399, 409, 422, 501] {
            let server = FakeRegistry::start();
            let elsewhere = Response::status(status).header("Location", "/v2/");
            server.on(kind, 9, Reaction::Store(elsewhere));
            let (message, _) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
            assert!(message.contains(&format!("the registry answered {status}")), "{kind}: {message}");
            assert_eq!(server.count(kind), 1, "{kind} {status}");
        }
    }
    for status in [200, 201, 202, 204] {
        let server = FakeRegistry::start();
        let begun = Response::status(status).header("Location", &format!("/v2/{REPOSITORY}/blobs/uploads/u"));
        server.on("POST upload", 2, Reaction::Say(begun));
        push(&server.registry(&[]), &made).unwrap();
    }
    let server = FakeRegistry::start();
    let digest = format!("/v2/{REPOSITORY}/manifests/sha256:{}", "0".repeat(64));
    server.on("PUT manifest", 1, Reaction::Store(Response::status(201).header("Location", &digest)));
    push(&server.registry(&[]), &made).expect("what is read back decides");
    // A digest of another kind is not compared.
    let (server, bytes) = (FakeRegistry::start(), made.image.manifest.as_slice());
    let named = Response::status(200).header("Docker-Content-Digest", "sha512:0").body(bytes);
    server.on("GET manifest", 1, Reaction::Say(named));
    assert!(push(&server.registry(&[]), &made).unwrap().already_there);
}

#[harness::test]
fn an_upload_that_is_redirected_is_sent_again_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    for status in [307, 308] {
        let server = FakeRegistry::with(Habits { login: Login::Password, ..Habits::default() });
        let storage = server.beside(Habits::default());
        let to = |path: &str| Reaction::Say(Response::status(status).header("Location", path));
        let uploads = format!("/v2/{REPOSITORY}/blobs/uploads/");
        server.on("POST upload", 1, to(&format!("{uploads}?again=1")));
        server.on("PUT blob", 1, to(&format!("http://{}/storage/x?signature=s", storage.address)));
        server.on("PUT manifest", 1, to(&format!("/v2/{REPOSITORY}/manifests/1.2.3?again=1")));
        push(&server.registry(&LOGIN), &made).unwrap();
        assert_eq!(server.left(), 0);
        let sent: Vec<_> = server.of("POST upload").into_iter().map(|request| request.target).collect();
        assert_eq!(sent, [uploads.clone(), format!("{uploads}?again=1"), uploads]);
        let [put] = &storage.of("PUT storage")[..] else { panic!("{:?}", storage.kinds()) };
        assert_eq!((put.target.as_str(), &put.body), ("/storage/x?signature=s", &made.image.config));
        assert_eq!(put.header("content-length"), Some(made.image.config.len().to_string()));
        assert_eq!((storage.requests().len(), server.count("PUT manifest")), (1, 2));
        knows_no_secret(&storage);
    }
    let server = FakeRegistry::start();
    server.on("PUT blob", 99, Reaction::Say(Response::status(307).header("Location", "/v2/x/blobs/uploads/u")));
    let (message, _) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
    let why = "the config: the registry redirects more than 10 times";
    assert_eq!(message, format!("cannot push `HOST/{REPOSITORY}:1.2.3`: {why}"));
    assert_eq!(server.count("PUT blob"), 11);
    // A redirect to nowhere is an answer like any other.
    let server = FakeRegistry::start();
    server.say("PUT blob", 1, 307);
    let (message, _) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
    assert!(message.ends_with("the config: the registry answered 307 Temporary Redirect"), "{message}");
}

#[harness::test]
fn a_login_goes_to_no_other_host() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let token = format!(r#"{{"token":"{TOKEN}"}}"#);
    for login in [Login::Password, Login::Token(token.clone())] {
        // Uploads and blobs are elsewhere.
        let storage = FakeRegistry::start();
        let habits = Habits { login: login.clone(), storage: Some(storage.address.clone()), ..Habits::default() };
        let server = storage.beside(habits);
        let upload = format!("http://{}/v2/{REPOSITORY}/blobs/uploads/u", storage.address);
        server.on("POST upload", 9, Reaction::Say(Response::status(202).header("Location", &upload)));
        push(&server.registry(&LOGIN), &made).unwrap();
        assert_eq!((storage.count("PUT blob"), storage.count("GET storage"), server.count("PUT blob")), (2, 2, 0));
        knows_no_secret(&storage);

        // All of the repository is elsewhere, by the name of the same host, too.
        let other = FakeRegistry::start();
        let server = other.beside(Habits { login: login.clone(), ..Habits::default() });
        let port = other.address.rsplit(':').next().unwrap();
        // Some containers have no such name.
        let name = if ("localhost", 0).to_socket_addrs().is_ok() { "localhost" } else { "127.0.0.1" };
        let paths = [("GET manifest", "manifests/1.2.3"), ("POST upload", "blobs/uploads/")];
        for (kind, path) in paths {
            let there = format!("http://{name}:{port}/v2/{REPOSITORY}/{path}");
            server.on(kind, 9, Reaction::Say(Response::status(307).header("Location", &there)));
        }
        push(&server.registry(&LOGIN), &made).unwrap();
        assert_eq!((other.count("GET manifest"), other.count("POST upload"), other.count("PUT blob")), (2, 2, 2));
        knows_no_secret(&other);

        // Who asks for a login elsewhere does not get it, not even by a token server of its own.
        for asked in [Login::Password, Login::Token(token.clone())] {
            let greedy = FakeRegistry::with(Habits { login: asked, ..Habits::default() });
            let server = FakeRegistry::with(Habits { login: login.clone(), ..Habits::default() });
            let there = format!("http://{}/v2/{REPOSITORY}/manifests/1.2.3", greedy.address);
            server.on("PUT manifest", 1, Reaction::Say(Response::status(307).header("Location", &there)));
            let (message, _) = said(&push(&server.registry(&LOGIN), &made).unwrap_err(), &server);
            assert!(message.ends_with("`: the registry answered 401 Unauthorized"), "{message}");
            assert_eq!(greedy.kinds(), ["PUT manifest"]);
            knows_no_secret(&greedy);
        }
    }
}

#[harness::test]
fn a_blob_whose_head_is_refused_is_asked_for_its_first_byte() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = FakeRegistry::start();
    let storage = server.beside(Habits::default());
    let server = server.beside(Habits { storage: Some(storage.address.clone()), ..Habits::default() });
    push(&server.registry(&[]), &made).unwrap();
    assert_eq!(storage.kinds(), ["HEAD storage", "GET storage", "HEAD storage", "GET storage"]);
    assert!(storage.of("GET storage").iter().all(|get| get.header("range").as_deref() == Some("bytes=0-0")));

    for status in [400, 403, 405, 501] {
        let server = FakeRegistry::start();
        server.say("HEAD blob", 99, status);
        let pushed = push(&server.registry(&[]), &made).unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(pushed.digest, made.image.digest);
        assert_eq!((server.count("HEAD blob"), server.count("GET blob"), server.count("PUT blob")), (4, 4, 2));
        // What is there is not sent again.
        server.contents().manifests.clear();
        push(&server.registry(&[]), &made).unwrap();
        assert_eq!(server.count("PUT blob"), 2);
    }
    // Who may not ask at all may still push.
    for status in [401, 403] {
        let server = FakeRegistry::start();
        server.say("HEAD blob", 2, status).say("GET blob", 2, 403);
        push(&server.registry(&[]), &made).unwrap();
        assert_eq!(server.count("PUT blob"), 2);
    }
    let server = FakeRegistry::start();
    server.say("HEAD blob", 9, 409);
    let (message, _) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
    assert!(message.ends_with("the config: the registry answered 409 Conflict"), "{message}");
}

#[harness::test]
fn what_a_replica_does_not_have_yet_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = FakeRegistry::with(Habits { late: 3, ..Habits::default() });
    push(&server.registry(&[]), &made).unwrap();
    assert_eq!((server.count("GET manifest"), server.count("HEAD blob")), (1 + 4, 2 + 4 + 4));
    // For a limited time.
    let server = FakeRegistry::with(Habits { late: 4, ..Habits::default() });
    let (message, _) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
    let success = format!("the registry reported success for `HOST/{REPOSITORY}:1.2.3`, but ");
    assert_eq!(message, success + "there is nothing under that tag");
    assert_eq!(server.count("GET manifest"), 1 + 4);
}

#[harness::test]
fn a_connection_that_makes_no_progress_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    for kind in ["PUT manifest", "GET manifest", "HEAD blob"] {
        let server = FakeRegistry::start();
        server.on(kind, 1, Reaction::Hang);
        let mut options = options();
        options.retries.stall = std::time::Duration::from_millis(300);
        let pushed = block_on(server.registry(&[]).push(&made.image, &options)).unwrap();
        assert_eq!((pushed.digest, server.left()), (made.image.digest, 0), "{kind}");
    }
}
