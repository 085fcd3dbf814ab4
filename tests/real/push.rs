//! Pushes to Debian's docker-registry, through a proxy that has bad days, and what other programs pull.
//!
//! Needs docker-registry, skopeo, umoci, openssl and buildah.

use std::fs;
use std::path::Path;
use std::time::Duration;

use factory::Result;
use factory::image::{Compression, OciRegistry, PushOptions, Pushed};
use harness::docker_registry::{PAIR, PASSWORD, Server, USER, block_on, network, options, variables};
use harness::package::{Made, make, run, tree};
use harness::proxy::{Fault, Proxy, header, status};
use tempfile::TempDir;

const REPOSITORY: &str = "team/x-plugin-todo";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn plugin(dir: &TempDir) -> Made {
    make(dir.path(), "@x/plugin-todo", "1.2.3", Compression::Gzip)
}

fn at(address: &str, more: &[(&str, &str)]) -> OciRegistry {
    OciRegistry::from_variables(&variables(address, more)).unwrap()
}

fn insecure(address: &str) -> OciRegistry {
    at(address, &[("REGISTRY_INSECURE", "true")])
}

fn push(registry: &OciRegistry, made: &Made) -> Result<Pushed> {
    block_on(registry.push(&made.image, &options()))
}

fn check(registry: &OciRegistry, made: &Made) -> Result<()> {
    block_on(registry.check_access(std::slice::from_ref(&made.image.name), &options()))
}

#[harness::test]
fn a_pushed_image_is_pulled_byte_for_byte() {
    harness::needs(&["docker-registry", "skopeo", "umoci"]);
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let registry = insecure(&server.address);
    check(&registry, &made).unwrap();
    assert_eq!((server.uploads(REPOSITORY), server.tag(REPOSITORY, "1.2.3")), (0, None));

    let pushed = push(&registry, &made).unwrap();
    assert_eq!(pushed.reference, format!("{}/{REPOSITORY}:1.2.3", server.address));
    assert_eq!(pushed.pinned, format!("{}/{REPOSITORY}@{}", server.address, made.image.digest));
    assert_eq!((pushed.digest, pushed.already_there), (made.image.digest, false));
    let bytes = made.image.layer_len + (made.image.config.len() + made.image.manifest.len()) as u64;
    assert_eq!(pushed.bytes_uploaded, bytes);
    assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), made.image.digest.to_string());

    let copy = dir.path().join("copy");
    let from = format!("docker://{}", pushed.pinned);
    run("skopeo", &["copy", "--src-tls-verify=false", &from, &format!("dir:{}", text(&copy))]);
    assert_eq!(fs::read(copy.join("manifest.json")).unwrap(), made.image.manifest);
    assert_eq!(fs::read(copy.join(made.image.config_digest.hex())).unwrap(), made.image.config);
    assert_eq!(fs::read(copy.join(made.image.layer.hex())).unwrap(), fs::read(&made.image.layer_file).unwrap());

    let (oci, bundle, tgz) = (dir.path().join("oci"), dir.path().join("bundle"), dir.path().join("tgz"));
    run("skopeo", &["copy", "--src-tls-verify=false", &from, &format!("oci:{}:latest", text(&oci))]);
    run("umoci", &["unpack", "--rootless", "--image", &format!("{}:latest", text(&oci)), text(&bundle)]);
    fs::create_dir(&tgz).unwrap();
    run("tar", &["-xzf", text(&made.tgz), "-C", text(&tgz)]);
    let installed = tree(&bundle.join("rootfs").join(made.path.as_str()));
    assert_eq!(installed.len(), made.packed.files);
    assert!(installed == tree(&tgz.join("package")), "the trees differ");
}

#[harness::test]
fn the_same_image_is_pushed_once_and_another_does_not_take_its_tag() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let proxy = Proxy::before(&server.address);
    let registry = insecure(&proxy.address);
    push(&registry, &made).unwrap();
    let sent = (proxy.count("PUT blob"), proxy.count("PUT manifest"));
    assert_eq!(sent, (2, 1));
    let again = push(&registry, &made).unwrap();
    assert_eq!((again.already_there, again.bytes_uploaded, again.digest), (true, 0, made.image.digest));
    assert_eq!((proxy.count("PUT blob"), proxy.count("PUT manifest")), sent);

    // The same layer under another version's manifest: the tag must not move, the layer need not be sent.
    let mut other = plugin(&dir);
    other.image.manifest = String::from_utf8(other.image.manifest).unwrap().replace("1.2.3", "1.2.4").into_bytes();
    other.image.digest = factory::lock::Sha256::of(&other.image.manifest);
    let error = push(&registry, &other).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}/{REPOSITORY}:1.2.3` already names another image: {}, of https://example.com/todo at 3fadf6b0595d, and \
             this build made {}",
            proxy.address, made.image.digest, other.image.digest
        )
    );
    assert_eq!(error.exit_code(), 1);
    assert!(error.hint().unwrap().contains("`--overwrite-tags`"));
    assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), made.image.digest.to_string());

    let moved = block_on(registry.push(&other.image, &PushOptions { overwrite: true, ..options() })).unwrap();
    assert_eq!((moved.already_there, moved.bytes_uploaded), (false, other.image.manifest.len() as u64));
    assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), other.image.digest.to_string());
    assert_eq!(proxy.count("PUT blob"), 2);
}

#[harness::test]
fn several_images_go_at_once_and_one_that_fails_stops_none() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let names = ["@x/plugin-a", "@x/plugin-b", "@x/plugin-c", "@x/plugin-d"];
    let mut images: Vec<_> =
        names.iter().map(|name| make(dir.path(), name, "1.0.0", Compression::Gzip).image).collect();
    let gone = dir.path().join("gone");
    images[1].layer_file.clone_from(&gone);
    // Another layer than its neighbours', or it would not be opened at all.
    images[1].layer = factory::lock::Sha256::of("gone");
    let results = block_on(insecure(&server.address).push_all(&images, &options(), 3));
    let pushed: Vec<_> = results.iter().map(|result| result.as_ref().ok().map(|pushed| pushed.digest)).collect();
    assert_eq!(pushed, [Some(images[0].digest), None, Some(images[2].digest), Some(images[3].digest)]);
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot push `{}/team/x-plugin-b:1.0.0`: the layer: `{}` cannot be read: No such file or directory (os error 2)",
            server.address,
            gone.display()
        )
    );
    assert_eq!(server.tag("team/x-plugin-b", "1.0.0"), None);
}

#[harness::test]
fn a_password_is_taken_from_everywhere_it_may_stand() {
    let (server, dir) = (Server::with_password(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let base = [("REGISTRY_INSECURE", "true")];
    let login = |more: &[(&str, &str)]| at(&server.address, &[&base[..], more].concat());
    let auth = |key: &str| {
        let file = dir.path().join("auth.json");
        fs::write(&file, format!(r#"{{"auths":{{"{key}":{{"auth":"{PAIR}"}}}}}}"#)).unwrap();
        text(&file).to_owned()
    };
    check(&login(&[("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)]), &made).unwrap();
    for key in [format!("{}/team", server.address), server.address.clone(), format!("https://{}/v1/", server.address)] {
        check(&login(&[("REGISTRY_AUTH_FILE", &auth(&key))]), &made).unwrap();
    }
    let file = auth(&server.address);
    let ignored = [("REGISTRY_AUTH_FILE", file.as_str()), ("REGISTRY_USERNAME", "x"), ("REGISTRY_PASSWORD", "wrong")];
    let pushed = push(&login(&ignored), &made).unwrap();
    assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), pushed.digest.to_string());

    let other = auth(&format!("{}/another", server.address));
    let error = check(&login(&[("REGISTRY_AUTH_FILE", &other)]), &made).unwrap_err();
    let message = network(&error);
    assert!(
        message.starts_with(&format!(
            "cannot push to `{}/{REPOSITORY}`: the registry answered 401 Unauthorized",
            server.address
        )),
        "{message}"
    );
    let hint = format!("there is no login for `{}/{REPOSITORY}` in `{other}`: ", server.address);
    assert!(error.hint().unwrap().starts_with(&hint), "{error:?}");
}

#[harness::test]
fn a_wrong_password_fails_before_anything_is_built() {
    let (server, dir) = (Server::with_password(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let more = [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", "planted-wrong")];
    let registry = at(&server.address, &more);
    for error in [check(&registry, &made).unwrap_err(), push(&registry, &made).unwrap_err()] {
        let message = network(&error);
        assert!(message.contains("the registry answered 401 Unauthorized"), "{message}");
        assert!(!format!("{error:?}").contains("planted-wrong"));
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("the login is from `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`: check"), "{hint}");
    }
}

#[harness::test]
fn a_ca_of_ones_own_is_trusted_when_it_is_named() {
    harness::needs(&["docker-registry", "openssl"]);
    let (server, dir) = (Server::with_tls(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let error = check(&at(&server.address, &[]), &made).unwrap_err();
    let message = network(&error);
    assert!(message.contains("its certificate is not trusted: "), "{message}");
    assert!(error.hint().unwrap().contains("`SSL_CERT_FILE`"));
    assert!(push(&at(&server.address, &[]), &made).is_err());
    assert_eq!(server.tag(REPOSITORY, "1.2.3"), None);

    let trusted = at(&server.address, &[("SSL_CERT_FILE", &server.ca())]);
    check(&trusted, &made).unwrap();
    assert!(!push(&trusted, &made).unwrap().already_there);
    assert!(push(&insecure(&server.address), &made).unwrap().already_there);

    let home = dir.path().join("home");
    let folder = home.join(".config/containers/certs.d").join(&server.address);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(server.ca(), folder.join("ca.crt")).unwrap();
    check(&at(&server.address, &[("HOME", text(&home))]), &made).unwrap();

    let none = dir.path().join("none").to_str().unwrap().to_owned();
    let error = check(&at(&server.address, &[("SSL_CERT_FILE", &none)]), &made).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read `{none}`: ")), "{error}");
}

#[harness::test]
fn a_proxy_is_gone_through_unless_the_host_is_excepted() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let proxy = Proxy::before(&server.address);
    let url = format!("http://{}", proxy.address);
    let through = at(&server.address, &[("REGISTRY_INSECURE", "true"), ("HTTP_PROXY", &url)]);
    check(&through, &made).unwrap();
    push(&through, &made).unwrap();
    let through = proxy.requests();
    assert!(through.iter().all(|request| request.path.starts_with(&format!("http://{}/v2/", server.address))));
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
        assert!(through.iter().any(|request| request.method == method), "{method}");
    }
    let excepted = [("REGISTRY_INSECURE", "true"), ("http_proxy", &url), ("no_proxy", "127.0.0.1")];
    assert!(push(&at(&server.address, &excepted), &made).unwrap().already_there);
    assert_eq!(proxy.requests().len(), through.len());
}

#[harness::test]
fn plain_http_needs_to_be_allowed_and_a_dead_host_is_named() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let error = check(&at(&server.address, &[]), &made).unwrap_err();
    // It is final: asking again would not change it.
    assert_eq!(network(&error), format!("cannot push to `{}/{REPOSITORY}`: it does not speak TLS", server.address));
    assert!(error.hint().unwrap().contains("`REGISTRY_INSECURE=true`"), "{error:?}");

    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = check(&insecure(&dead), &made).unwrap_err();
    assert!(network(&error).contains("no connection: "), "{error}");
}

#[harness::test]
fn bad_days_pass_and_what_was_sent_is_not_sent_again() {
    for (kind, times, fault) in [
        ("POST upload", 2, status(503)),
        ("POST upload", 3, header(429, "Retry-After", "0")),
        ("POST upload", 1, Fault::Drop),
        ("PUT blob", 1, Fault::DropAt(100)),
        ("PUT blob", 1, Fault::TruncateRequest(100)),
        ("PUT blob", 2, status(502)),
        ("HEAD blob", 2, status(500)),
        ("GET v2", 2, status(503)),
        ("GET manifest", 2, Fault::Drop),
        ("PUT manifest", 3, status(504)),
        ("PUT manifest", 1, Fault::Drop),
    ] {
        let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
        let made = plugin(&dir);
        let proxy = Proxy::before(&server.address);
        let registry = insecure(&proxy.address);
        proxy.fail(kind, times, fault.clone());
        let pushed = push(&registry, &made).unwrap_or_else(|error| panic!("{kind} {fault:?}: {error:?}"));
        assert_eq!((pushed.digest, proxy.left()), (made.image.digest, 0), "{kind} {fault:?}");
        assert_eq!(server.tag(REPOSITORY, "1.2.3").unwrap(), made.image.digest.to_string());
        let extra = if kind == "PUT blob" { times } else { 0 };
        assert_eq!(proxy.count("PUT blob"), 2 + extra, "{kind} {fault:?}");
    }
}

#[harness::test]
fn a_push_that_broke_off_goes_on_where_it_was() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let proxy = Proxy::before(&server.address);
    let registry = insecure(&proxy.address);
    proxy.fail("PUT manifest", 4, status(503));
    let error = push(&registry, &made).unwrap_err();
    assert_eq!(
        network(&error),
        format!("cannot push `{}/{REPOSITORY}:1.2.3`: the registry answered 503 Service Unavailable", proxy.address)
    );
    assert_eq!(error.hint().unwrap(), "the registry may be busy: try again later");
    assert_eq!((proxy.count("PUT blob"), server.tag(REPOSITORY, "1.2.3")), (2, None));
    let pushed = push(&registry, &made).unwrap();
    assert_eq!((pushed.bytes_uploaded, proxy.count("PUT blob")), (made.image.manifest.len() as u64, 2));
}

#[harness::test]
fn a_registry_that_asks_for_too_long_a_pause_is_given_up() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let proxy = Proxy::before(&server.address);
    let registry = insecure(&proxy.address);
    proxy.fail("POST upload", 1, header(429, "Retry-After", "3600"));
    let error = push(&registry, &made).unwrap_err();
    let message = network(&error);
    assert!(
        message.ends_with("the config: the registry answered 429 Too Many Requests, and asks to wait 3600 seconds"),
        "{message}"
    );
    assert_eq!((proxy.count("POST upload"), proxy.left()), (1, 0));
}

#[harness::test]
fn a_connection_that_stands_still_is_left() {
    for kind in ["PUT blob", "PUT manifest", "GET manifest"] {
        let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
        let made = plugin(&dir);
        let proxy = Proxy::before(&server.address);
        let registry = insecure(&proxy.address);
        proxy.fail(kind, 1, Fault::Hang);
        let mut options = options();
        options.retries.stall = Duration::from_millis(300);
        let pushed = block_on(registry.push(&made.image, &options)).unwrap();
        assert_eq!((pushed.digest, proxy.left()), (made.image.digest, 0), "{kind}");
    }
}

#[harness::test]
fn lies_are_not_reported_as_pushed() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let ours = made.image.digest.to_string();
    let other = factory::lock::Sha256::of("another").to_string();
    let stored = header(201, "Location", &format!("/v2/{REPOSITORY}/manifests/{ours}"));
    let replaced = || Fault::Replace(ours.clone(), other.clone());
    for (kind, times, fault, message) in [
        // Success, and nothing is stored: quay.io without quota.
        ("PUT manifest", 9, stored, "reported success for `REF`, but there is nothing under that tag"),
        ("PUT blob", 9, header(201, "Location", "/x"), "cannot push `REF`: the registry answered"),
    ] {
        let server = Server::open();
        let proxy = Proxy::before(&server.address);
        proxy.fail(kind, times, fault);
        let error = push(&insecure(&proxy.address), &made).unwrap_err();
        let reference = format!("{}/{REPOSITORY}:1.2.3", proxy.address);
        let message = message.replace("REF", &reference);
        assert!(network(&error).contains(&message), "{error}");
    }

    // Once it is stored, what is read back decides: another manifest, a damaged one, one whose digest is a lie.
    let changed = ("3fadf6b0595d1d1804f5c7f2690f4db7b81275f1", "4fadf6b0595d1d1804f5c7f2690f4db7b81275f1");
    let changed = Fault::Replace(changed.0.to_owned(), changed.1.to_owned());
    for (fault, message) in [
        (changed, " and called it sha256:"),
        (Fault::TruncateAnswer, "the connection was lost: "),
        (replaced(), " and called it sha256:"),
        (Fault::Answer(200, vec![], "{}".to_owned()), "reported success for"),
        (status(403), "the registry answered 403 Forbidden"),
    ] {
        let server = Server::open();
        let proxy = Proxy::before(&server.address);
        // The first look finds nothing, as it should.
        proxy.fail("GET manifest", 1, status(404)).fail("GET manifest", 9, fault.clone());
        let error = push(&insecure(&proxy.address), &made).unwrap_err();
        assert!(network(&error).contains(message), "{fault:?}: {error}");
    }
    // The manifest is there, the layer is not.
    let server = Server::open();
    let proxy = Proxy::before(&server.address);
    proxy.fail("HEAD blob", 2, status(404)).fail("HEAD blob", 9, status(404));
    let error = push(&insecure(&proxy.address), &made).unwrap_err();
    assert!(network(&error).contains(&format!("it does not have the config {}", made.image.config_digest)), "{error}");
    assert!(error.hint().unwrap().contains("quay.io"), "{error:?}");
}

const TOKEN: &str = "planted-token-0123456789";

/// A registry that wants a token, and a token server that wants the password; tokens live for `seconds`.
fn token_proxy(server: &Server, seconds: u64) -> Proxy {
    let answer = format!(r#"{{"token":"{TOKEN}","expires_in":{seconds}}}"#);
    Proxy::guarded(
        &server.address,
        Box::new(move |request| {
            let host = request.host();
            if request.kind() == "GET token" {
                let scope = "scope=repository%3Ateam%2Fx-plugin-todo%3Apull%2Cpush";
                let right = request.authorization.as_deref() == Some(&format!("Basic {PAIR}"));
                let asked = request.path.contains("service=test+registry") && request.path.contains(scope);
                return Some(if right && asked { Fault::Answer(200, vec![], answer.clone()) } else { status(401) });
            }
            if request.authorization.as_deref() == Some(&format!("Bearer {TOKEN}")) {
                return None;
            }
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="test registry""#);
            Some(header(401, "WWW-Authenticate", &challenge))
        }),
    )
}

#[harness::test]
fn a_token_is_fetched_used_and_renewed() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let login = [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)];
    let proxy = token_proxy(&server, 300);
    proxy.fail("GET token", 2, status(503));
    let registry = at(&proxy.address, &login);
    check(&registry, &made).unwrap();
    assert_eq!(push(&registry, &made).unwrap().digest, made.image.digest);
    assert_eq!((proxy.count("GET token"), proxy.left()), (2 + 2, 0));
    for request in proxy.requests().iter().filter(|request| !matches!(request.kind().as_str(), "GET v2" | "GET token"))
    {
        assert_eq!(request.authorization.as_deref(), Some(format!("Bearer {TOKEN}").as_str()), "{}", request.kind());
    }

    let server = Server::open();
    let proxy = token_proxy(&server, 0);
    push(&at(&proxy.address, &login), &made).unwrap();
    assert!(proxy.count("GET token") > 4, "each request needs a new one");

    let wrong = [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", "planted-wrong")];
    let error = check(&at(&proxy.address, &wrong), &made).unwrap_err();
    let message = "its token server answered 401 Unauthorized";
    assert_eq!(network(&error), format!("cannot push to `{}/{REPOSITORY}`: {message}", proxy.address));
    assert!(error.hint().unwrap().starts_with("the login is from `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`"));
}

#[harness::test]
fn no_secret_is_in_any_log() {
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let made = plugin(&dir);
    let proxy = token_proxy(&server, 300);
    proxy.fail("POST upload", 1, Fault::Answer(503, vec![], format!("you said {PASSWORD} {PAIR} {TOKEN}")));
    let login = [("REGISTRY_INSECURE", "true"), ("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)];
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: beside other tests' threads a subscriber of this thread alone misses events.
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).init();
    let registry = at(&proxy.address, &login);
    check(&registry, &made).unwrap();
    push(&registry, &made).unwrap();
    let log = log.text();
    assert!(log.contains("you said *** *** ***; trying again in"), "{log}");
    assert!(log.contains(&format!("pushed `{}/{REPOSITORY}:1.2.3`", proxy.address)), "{log}");
    for secret in [PASSWORD, PAIR, TOKEN] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
