//! Answers that mean no: the message, and what the hint makes of it.

use std::net::TcpListener;

use factory::image::OciRegistry;
use harness::certificate::self_signed;
use harness::docker_registry::variables;
use harness::http::Response;
use harness::oci_registry::{FakeRegistry, Habits, Login, Reaction, error};
use tempfile::TempDir;

use super::{LOGIN, REPOSITORY, check, knows_no_secret, plugin, push, said};

const NO_LOGIN: &str = "there is no login for `HOST/team/x-plugin-todo` in this machine's login: set `REGISTRY_USERNAME` \
                        and `REGISTRY_PASSWORD`, or `REGISTRY_AUTH_FILE`";
const NAMESPACE: &str =
    "check `REGISTRY_NAMESPACE`: some registries want the namespace or the repository created first";
const TOO_LARGE: &str = "the registry, or a proxy before it, limits the size of uploads: raise that limit (nginx: \
                         `client_max_body_size`)";
const QUOTA: &str = "the registry says that a quota is used up: free space there, or have it raised";
const BUSY: &str = "the registry may be busy: try again later";
const OTHER_PUSHER: &str = "push with another program: `--image-pusher skopeo`";

#[harness::test]
fn a_refusal_says_what_the_registry_said_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let harbor = error(412, "PRECONDITION", "Quota exceeded when processing the request");
    let full = Response::status(507).body("disk\nquota");
    let page = Response::status(413).header("Content-Type", "text/html").body("<html>nginx</html>");
    for (kind, response, message, hint) in [
        ("POST upload", Response::status(401), "the config: the registry answered 401 Unauthorized", NO_LOGIN),
        (
            "POST upload",
            error(403, "DENIED", "requested access to the resource is denied"),
            "the config: the registry answered 403 Forbidden: DENIED: requested access to the resource is denied",
            NO_LOGIN,
        ),
        (
            "POST upload",
            error(404, "NAME_UNKNOWN", ""),
            "the config: the registry answered 404 Not Found: NAME_UNKNOWN",
            NAMESPACE,
        ),
        (
            "POST upload",
            Response::status(405),
            "the config: the registry answered 405 Method Not Allowed",
            OTHER_PUSHER,
        ),
        ("POST upload", page.clone(), "the config: the registry answered 413 Payload Too Large", TOO_LARGE),
        ("PUT blob", page, "the config: the registry answered 413 Payload Too Large", TOO_LARGE),
        ("PUT blob", full, "the config: the registry answered 507 Insufficient Storage: disk quota", QUOTA),
        (
            "PUT manifest",
            harbor,
            "the registry answered 412 Precondition Failed: PRECONDITION: Quota exceeded when processing the request",
            QUOTA,
        ),
        (
            "PUT manifest",
            error(400, "MANIFEST_INVALID", "unknown field"),
            "the registry answered 400 Bad Request: MANIFEST_INVALID: unknown field",
            OTHER_PUSHER,
        ),
        (
            "PUT manifest",
            error(429, "TOOMANYREQUESTS", "quota of requests"),
            "the registry answered 429 Too Many Requests: TOOMANYREQUESTS: quota of requests",
            BUSY,
        ),
        ("PUT manifest", Response::status(500), "the registry answered 500 Internal Server Error", BUSY),
        ("GET v2", Response::status(403), "the config: the registry answered 403 Forbidden", NO_LOGIN),
        ("GET v2", Response::status(502), "the registry answered 502 Bad Gateway", BUSY),
        ("GET manifest", Response::status(400), "the registry answered 400 Bad Request", OTHER_PUSHER),
    ] {
        let server = FakeRegistry::start();
        server.on(kind, 99, Reaction::Say(response));
        let found = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
        let message = format!("cannot push `HOST/{REPOSITORY}:1.2.3`: {message}");
        assert_eq!(found, (message, hint.to_owned()), "{kind}");
        assert_eq!(server.tag("1.2.3"), None);
    }
}

#[harness::test]
fn a_login_that_is_refused_is_named_by_where_it_is_from() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = FakeRegistry::with(Habits { login: Login::Password, ..Habits::default() });
    let wrong = [("REGISTRY_USERNAME", "planted-user"), ("REGISTRY_PASSWORD", "planted-wrong")];
    let hint = "the login is from `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`: check that it is right and may push to \
                `team/x-plugin-todo`; some registries want the repository created first";
    let refused = "the registry answered 401 Unauthorized";
    for (error, begin) in [
        (check(&server.registry(&wrong), &made).unwrap_err(), format!("cannot push to `HOST/{REPOSITORY}`: ")),
        (
            push(&server.registry(&wrong), &made).unwrap_err(),
            format!("cannot push `HOST/{REPOSITORY}:1.2.3`: the config: "),
        ),
    ] {
        assert!(!format!("{error:?}").contains("planted-wrong"));
        assert_eq!(said(&error, &server), (begin + refused, hint.to_owned()));
    }
    check(&server.registry(&LOGIN), &made).unwrap();
    push(&server.registry(&LOGIN), &made).unwrap();

    // A repository that nobody may look into before it is there.
    let server = FakeRegistry::start();
    server.say("GET manifest", 1, 403);
    assert!(!push(&server.registry(&[]), &made).unwrap().already_there);
    server.say("GET manifest", 1, 401);
    let again = push(&server.registry(&[]), &made).unwrap();
    assert_eq!((again.already_there, again.bytes_uploaded), (true, 0));
    server.say("GET manifest", 2, 403);
    let (message, _) = said(&push(&server.registry(&[]), &made).unwrap_err(), &server);
    assert_eq!(message, format!("cannot push `HOST/{REPOSITORY}:1.2.3`: the registry answered 403 Forbidden"));
}

#[harness::test]
fn what_is_no_registry_is_told_from_one() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = FakeRegistry::start();
    server.say("GET v2", 99, 404);
    let error = check(&server.registry(&[]), &made).unwrap_err();
    let message =
        format!("cannot push to `HOST/{REPOSITORY}`: there is no registry: `http://HOST/v2/` answered 404 Not Found");
    let hint = "check `REGISTRY_URL`: it has to be the host of the registry itself, with its port".to_owned();
    assert_eq!(said(&error, &server), (message, hint));
    assert_eq!(server.kinds(), ["GET v2"]);

    // Where `/v2/` is elsewhere, that is asked, and a circle ends.
    let server = FakeRegistry::start();
    server.on("GET v2", 1, Reaction::Say(Response::status(301).header("Location", "/v2/?there")));
    check(&server.registry(&[]), &made).unwrap();
    server.on("GET v2", 99, Reaction::Say(Response::status(301).header("Location", "/v2/")));
    let (message, _) = said(&check(&server.registry(&[]), &made).unwrap_err(), &server);
    assert!(message.ends_with("`: the registry redirects more than 10 times"), "{message}");
}

#[harness::test]
fn a_dead_or_plain_address_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let registry = OciRegistry::from_variables(&variables(&dead, &[("REGISTRY_INSECURE", "true")])).unwrap();
    let error = check(&registry, &made).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot push to `{dead}/{REPOSITORY}`: no connection: Connection refused (os error 111)")
    );
    assert_eq!(
        error.hint().unwrap(),
        "check `REGISTRY_URL`, the network and the proxy variables; a registry without TLS needs \
         `REGISTRY_INSECURE=true`"
    );

    let server = FakeRegistry::start();
    let registry = OciRegistry::from_variables(&variables(&server.address, &[])).unwrap();
    assert!(check(&registry, &made).is_err(), "plain HTTP has to be allowed");
    assert!(push(&registry, &made).is_err());
    assert_eq!(server.requests(), []);
}

fn named_certificate(dir: &TempDir, name: &str) -> (std::sync::Arc<rustls::ServerConfig>, String) {
    let (tls, pem) = self_signed(dir.path(), name);
    (tls, pem.to_str().unwrap().to_owned())
}

#[harness::test]
fn a_servers_own_certificate_is_trusted_when_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let (tls, pem) = named_certificate(&dir, "IP:127.0.0.1");
    let server = FakeRegistry::with(Habits { tls: Some(tls), ..Habits::default() });
    let (message, hint) = said(&check(&server.registry(&LOGIN), &made).unwrap_err(), &server);
    assert!(message.starts_with(&format!("cannot push to `HOST/{REPOSITORY}`: its certificate is not trusted: ")));
    assert_eq!(
        hint,
        "the registry's certificate is one of a CA (basicConstraints `CA:TRUE`): name its own file in `SSL_CERT_FILE`, or \
         give the registry one with `CA:FALSE`; for a test registry set `REGISTRY_INSECURE=true`"
    );
    let (other, other_pem) = named_certificate(&dir, "DNS:other.example");
    let both = dir.path().join("both.pem");
    let texts = [&other_pem, &pem].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(&both, texts.concat()).unwrap();
    for file in [pem.as_str(), both.to_str().unwrap()] {
        check(&server.registry(&[("SSL_CERT_FILE", file)]), &made).unwrap();
    }
    push(&server.registry(&[("SSL_CERT_FILE", &pem)]), &made).unwrap();
    push(&server.registry(&[("REGISTRY_INSECURE", "true")]), &made).unwrap();
    // podman's folder for the registry.
    let folder = dir.path().join("home/.config/containers/certs.d").join(&server.address);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(&pem, folder.join("ca.crt")).unwrap();
    std::fs::write(folder.join("client.key"), "not a certificate").unwrap();
    check(&server.registry(&[("HOME", dir.path().join("home").to_str().unwrap())]), &made).unwrap();

    // It is trusted for its own names alone.
    let server = FakeRegistry::with(Habits { tls: Some(other), ..Habits::default() });
    let error = check(&server.registry(&[("SSL_CERT_FILE", &other_pem)]), &made).unwrap_err();
    let (message, hint) = said(&error, &server);
    assert!(message.contains("certificate not valid for name"), "{message}");
    assert_eq!(
        hint,
        "use one of the names in the certificate, or give the registry one for this name; for a test registry set \
         `REGISTRY_INSECURE=true`"
    );
    assert_eq!(server.requests(), []);
}

#[harness::test]
fn a_file_of_certificates_has_some() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = FakeRegistry::start();
    let file = dir.path().join("ca.pem");
    let named = file.to_str().unwrap();
    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nhunter2\n"] {
        std::fs::write(&file, text).unwrap();
        let error = check(&server.registry(&[("SSL_CERT_FILE", named)]), &made).unwrap_err();
        assert_eq!(error.to_string(), format!("`{named}` holds no certificates in PEM"));
        assert_eq!(error.exit_code(), 2);
    }
    std::fs::remove_file(&file).unwrap();
    let error = check(&server.registry(&[("SSL_CERT_FILE", named)]), &made).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read `{named}`: ")), "{error}");
}

#[harness::test]
fn an_upload_is_not_sent_in_the_clear_behind_tls() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let (tls, pem) = named_certificate(&dir, "IP:127.0.0.1");
    let plain = FakeRegistry::start();
    let server = plain.beside(Habits { tls: Some(tls), login: Login::Password, ..Habits::default() });
    let trusted = [&LOGIN[..], &[("SSL_CERT_FILE", pem.as_str())]].concat();
    let hint = "the registry does not know that it is reached over https: have the proxy before it send \
                `X-Forwarded-Proto: https` (and `Host`), or set the registry's own external URL";
    let to = |status, path: &str| {
        let location = format!("http://{}{path}?signature=s", plain.address);
        Reaction::Say(Response::status(status).header("Location", &location))
    };
    let why = format!("the registry wants the upload sent to `http://{}`, without TLS", plain.address);
    for (kind, status) in [("POST upload", 202), ("POST upload", 307), ("PUT blob", 308)] {
        server.on(kind, 1, to(status, "/v2/team/x-plugin-todo/blobs/uploads/u"));
        let found = said(&push(&server.registry(&trusted), &made).unwrap_err(), &server);
        let message = format!("cannot push `HOST/{REPOSITORY}:1.2.3`: the config: {why}");
        assert_eq!(found, (message, hint.to_owned()), "{kind} {status}");
    }
    server.on("POST upload", 1, to(202, "/v2/team/x-plugin-todo/blobs/uploads/u"));
    let error = check(&server.registry(&trusted), &made).unwrap_err();
    assert_eq!(said(&error, &server).0, format!("cannot push to `HOST/{REPOSITORY}`: {why}"));
    assert_eq!(plain.requests(), []);
    knows_no_secret(&plain);
}
