//! Servers that send too much, too slowly or without end: each is given up, with its name, its limit and exit code 5.
//! The limits are lowered, so that a test takes no time.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use factory::Error;
use factory::answer::{AnswerLimits, Pace};
use factory::image::PushOptions;
use factory::interrupt::Interrupt;
use factory::lock::Integrity;
use factory::npm::limits::NpmLimits;
use factory::npm::registry::NpmRegistry;
use factory::npm::settings::{NpmSettings, NpmSurroundings};
use factory::store::Store;
use factory::store::git::{GitLimits, GitProgram, Network, RefScope, Refusals, SourceUrl};
use factory::ui::Ui;
use harness::docker_registry::{block_on, options};
use harness::git_server::{Behaviour, Server};
use harness::http::{Request, Response, endless, listen, stalling};
use harness::oci_registry::{FakeRegistry, Habits, Login, Reaction};
use harness::package::make_small;
use harness::program::Test;
use harness::repository::Repository;

const PATIENT: Pace = Pace { slowest: 1, window: Duration::from_secs(60), total: Duration::from_secs(600) };
/// For servers that stop in the middle.
const HASTY: Pace = Pace { slowest: 1 << 20, window: Duration::from_millis(50), total: Duration::from_secs(600) };
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

static GO: AtomicBool = AtomicBool::new(false);

/// A registry of npm at this address.
fn npm(host: &str, bytes: u64, pace: Pace) -> NpmRegistry {
    let variables = [("npm_config_registry".to_owned(), format!("http://{host}/npm/"))].into();
    let settings = NpmSettings::read(&NpmSurroundings { variables, folder: "/nowhere".into(), config_dir: None });
    let one = AnswerLimits { bytes, pace };
    let limits = NpmLimits { document: one, manifest: one, tarball: one, ..NpmLimits::default() };
    NpmRegistry::new(settings, &Interrupt::default()).unwrap().with_limits(limits)
}

/// What is said of a server, with its address as `HOST`, after a look that it is about the network.
#[track_caller]
fn said(error: &Error, host: &str) -> String {
    assert_eq!(error.exit_code(), 5, "{error:?}");
    error.to_string().replace(host, "HOST")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// Everything that is read of npm's registry, from a server that answers so; how often it was asked in all.
fn each_of_npm(
    limit: u64,
    pace: Pace,
    expected: &str,
    serve: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static,
) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let host = listen(move |mut stream| {
        if Request::read(&mut BufReader::new(&stream)).is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            serve(&mut stream);
        }
    });
    let registry = npm(&host, limit, pace);
    let dir = tempfile::tempdir().unwrap();
    let (to, url) = (dir.path().join("a.tgz"), format!("http://{host}/npm/a/-/a-1.0.0.tgz"));
    block_on(async {
        let failure = |what: &str| format!("{what}: the npm registry at `http://HOST` {expected}");
        let document = registry.packument("a").await.unwrap_err();
        assert_eq!(said(&document, &host), failure("npm package `a`"));
        let manifest = registry.manifest("a", "1.0.0").await.unwrap_err();
        assert_eq!(said(&manifest, &host), failure("npm package `a@1.0.0`"));
        let tarball = registry.tarball("a", "1.0.0", &Integrity::of("a"), &to).await.unwrap_err();
        assert_eq!(said(&tarball, &host), failure("npm package `a@1.0.0`"));
        let tarball = registry.tarball_at(&url.parse().unwrap(), &to).await.unwrap_err();
        assert_eq!(said(&tarball, &host), failure("`http://HOST/npm/a/-/a-1.0.0.tgz`"));
    });
    assert_eq!(harness::program::names(dir.path()), [""; 0], "nothing is left of it");
    assert_eq!(asked.load(Ordering::SeqCst), 4, "none was asked again");
}

#[harness::test]
fn an_npm_registry_that_sends_without_end_is_given_up() {
    each_of_npm(1 << 20, PATIENT, "sent more than 1 MiB, the limit", |stream| {
        endless(stream, &format!("{OK}\r\n"), &[b' '; 4096]);
    });
}

#[harness::test]
fn an_npm_registry_that_announces_too_much_is_not_read() {
    each_of_npm(1 << 20, PATIENT, "sent more than 1 MiB, the limit", |stream| {
        stalling(stream, format!("{OK}Content-Length: 2500000000\r\n\r\n").as_bytes());
    });
}

#[harness::test]
fn an_npm_registry_whose_answers_inflate_is_given_up() {
    let bomb = gzip(&vec![b' '; 2 << 20]);
    assert!(bomb.len() < 1 << 18);
    each_of_npm(1 << 20, PATIENT, "sent more than 1 MiB, the limit", move |stream| {
        let answer = Response::status(200).header("Content-Encoding", "gzip").body(bomb.clone());
        let _ = stream.write_all(&answer.bytes("GET"));
    });
}

#[harness::test]
fn an_npm_registry_that_is_too_slow_is_given_up() {
    let slow = "sent less than 1 MiB a second for 50 ms";
    each_of_npm(1 << 20, HASTY, slow, |stream| stalling(stream, format!("{OK}\r\n{{").as_bytes()));
    // Fast enough, and never at its end.
    let pace = Pace { total: Duration::from_millis(50), ..PATIENT };
    each_of_npm(u64::MAX, pace, "did not finish within 50 ms", |stream| {
        endless(stream, &format!("{OK}\r\n"), b" ");
    });
}

/// As the program itself does it, with the limits that it has: 64 KiB become 65 MiB.
#[harness::test]
fn a_document_that_inflates_ends_a_resolve() {
    let mut test = Test::with_path();
    let repository = Repository::init(&test.path("repo"));
    repository
        .write("package.json", r#"{"name":"a","version":"1.0.0","backstage":{"role":"frontend-plugin"}}"#)
        .write("yarn.lock", "__metadata:\n  version: 8\n\n\"a@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"a@workspace:.\"\n")
        .commit("first");
    test.config("plugins-list.yaml", ".:\n");
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#);
    let bomb = gzip(&vec![b' '; 65 << 20]);
    let host = listen(move |mut stream| {
        if Request::read(&mut BufReader::new(&stream)).is_some() {
            let answer = Response::status(200).header("Content-Encoding", "gzip").body(bomb.clone());
            let _ = stream.write_all(&answer.bytes("GET"));
        }
    });
    test.env("NPM_CONFIG_REGISTRY", format!("http://{host}/"));
    let error = test.run(&["resolve"]).exits(5).stderr;
    let expected =
        format!(": the npm registry at `http://{host}` sent more than 64 MiB, the limit\n\nhint: check which");
    assert!(error.contains(&expected), "{error}");
}

#[harness::test]
fn a_registry_of_images_that_sends_too_much_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let made = make_small(dir.path(), "@x/plugin-todo", "1.2.3");
    let push = |server: &FakeRegistry| {
        let error = block_on(server.registry(&super::oci::LOGIN).push(&made.image, &options())).unwrap_err();
        said(&error, &server.address)
    };
    let large = |bytes: usize| Response::status(200).body(vec![b' '; bytes]);
    let server = FakeRegistry::start();
    server.on("GET manifest", 1, Reaction::Say(large((4 << 20) + 1)));
    let cannot = "cannot push `HOST/team/x-plugin-todo:1.2.3`: ";
    assert_eq!(push(&server), format!("{cannot}the registry sent more than 4 MiB, the limit"));
    assert_eq!(server.left(), 0);

    let server = FakeRegistry::with(Habits { login: Login::Token(String::new()), ..Habits::default() });
    server.on("GET token", 1, Reaction::Say(large((64 << 10) + 1)));
    assert_eq!(push(&server), format!("{cannot}its token server sent more than 64 KiB, the limit"));

    // Of an error its beginning is enough.
    let server = FakeRegistry::start();
    let denied = Response::status(403).body(format!("denied {}", "x".repeat(10 << 20)));
    server.on("POST upload", 1, Reaction::Say(denied));
    let expected = format!("{cannot}the config: the registry answered 403 Forbidden: denied xxx");
    assert!(push(&server).starts_with(&expected));
}

#[harness::test]
fn a_registry_of_images_that_is_too_slow_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let made = make_small(dir.path(), "@x/plugin-todo", "1.2.3");
    let mut options = options();
    options.retries.pace = HASTY;
    let push = |server: &FakeRegistry, options: &PushOptions| {
        let error = block_on(server.registry(&super::oci::LOGIN).push(&made.image, options)).unwrap_err();
        said(&error, &server.address)
    };
    let cannot = "cannot push `HOST/team/x-plugin-todo:1.2.3`: ";
    let slow = "sent less than 1 MiB a second for 50 ms";
    let stall = |body: &str| Reaction::Stall(Response::status(200).body(body));
    let server = FakeRegistry::start();
    server.on("GET manifest", 1, stall("{}"));
    assert_eq!(push(&server, &options), format!("{cannot}the registry {slow}"));
    let server = FakeRegistry::with(Habits { login: Login::Token(String::new()), ..Habits::default() });
    server.on("GET token", 1, stall(r#"{"token":"t"}"#));
    assert_eq!(push(&server, &options), format!("{cannot}its token server {slow}"));
    let server = FakeRegistry::start();
    server.on("POST upload", 1, Reaction::Stall(Response::status(403).body("denied.")));
    assert_eq!(push(&server, &options), format!("{cannot}the config: the registry answered 403 Forbidden: denied"));
}

/// A repository with a file that does not compress, and how it is reached.
fn repository(root: &Path) -> (String, Server) {
    let repository = Repository::init(&root.join("r"));
    let noise = Integrity::of("a").to_string() + &Integrity::of("b").to_string();
    let commit = repository.write("noise", noise.repeat(40)).commit("first");
    (commit, Server::start(root, Behaviour::default()))
}

fn network(git_program: GitProgram, change: impl FnOnce(&mut GitLimits)) -> Network {
    let mut network = Network { attempts: 1, git_program, ..Network::default() };
    network.refusals = Refusals::told_to(&Arc::new(Ui::silent()));
    change(&mut network.limits);
    network
}

#[harness::test]
fn a_git_server_that_sends_too_much_is_given_up() {
    harness::needs(&["git"]);
    let root = tempfile::tempdir().unwrap();
    let (commit, server) = repository(root.path());
    let store = Store::open(root.path().join("cache")).unwrap();
    let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
    let repository = store.repository(&url, &GO).unwrap();
    let refs = "cannot list the refs of `http://HOST/r`: the server's answer has more than 64 bytes, the limit";
    for program in [GitProgram::WhenRefused, GitProgram::Always] {
        let network = network(program, |limits| limits.answer = 64);
        let error = repository.list(RefScope::Usual, &network, &GO).unwrap_err();
        assert_eq!(said(&error, &server.host()), refs, "{program:?}");
    }
    let cannot = format!("cannot fetch commit `{commit}` from `http://HOST/r`: ");
    for (limits, what) in [
        (network(GitProgram::WhenRefused, |limits| limits.pack = 64), "the commit has more than 64 bytes, the limit"),
        (
            network(GitProgram::WhenRefused, |limits| limits.object = 1024),
            "a file of the commit has more than 1 KiB, the limit",
        ),
        (
            network(GitProgram::WhenRefused, |limits| limits.answer = 64),
            "the server's answer has more than 64 bytes, the limit",
        ),
    ] {
        let error = repository.fetch(&commit, &limits, &GO).unwrap_err();
        assert_eq!(said(&error, &server.host()), format!("{cannot}{what}"));
    }
    // Nothing of it is in the way of another attempt.
    repository.fetch(&commit, &network(GitProgram::Never, |_| ()), &GO).unwrap();
}

#[harness::test]
fn a_git_server_that_sends_refs_without_end_or_too_slowly_is_given_up() {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let capabilities =
        line("# service=git-upload-pack\n") + "0000" + &line("version 2\n") + &line("ls-refs\n") + "0000";
    let reference = line(&format!("{} refs/heads/main\n", "1".repeat(40)));
    let head = |kind: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\n\r\n");
    let serve = move |is_slow: bool| {
        let (capabilities, reference) = (capabilities.clone(), reference.clone());
        listen(move |mut stream| match Request::read(&mut BufReader::new(&stream)) {
            Some(request) if request.method == "GET" => {
                let _ = stream.write_all(format!("{}{capabilities}", head("advertisement")).as_bytes());
            }
            Some(_) if is_slow => stalling(&mut stream, format!("{}{reference}", head("result")).as_bytes()),
            Some(_) => endless(&mut stream, &head("result"), reference.repeat(100).as_bytes()),
            None => {}
        })
    };
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path().join("cache")).unwrap();
    let list = |host: &str, network: &Network| {
        let url = SourceUrl::parse(&format!("http://{host}/r"), Path::new("/")).unwrap();
        let error = store.repository(&url, &GO).unwrap().list(RefScope::Usual, network, &GO).unwrap_err();
        said(&error, host)
    };
    let cannot = "cannot list the refs of `http://HOST/r`: ";
    let host = serve(false);
    let patient = network(GitProgram::WhenRefused, |limits| limits.answer = 1 << 20);
    assert_eq!(list(&host, &patient), format!("{cannot}the server's answer has more than 1 MiB, the limit"));
    let slow = Pace { slowest: u64::MAX, window: Duration::ZERO, ..PATIENT };
    let hasty = network(GitProgram::WhenRefused, |limits| limits.pace = slow);
    assert!(list(&host, &hasty).starts_with(&format!("{cannot}the server sent less than ")));
    // What sends nothing more at all ends with the time of the attempt.
    let host = serve(true);
    let short = Network { timeout: Duration::from_millis(100), ..network(GitProgram::WhenRefused, |_| ()) };
    assert_eq!(list(&host, &short), format!("{cannot}not finished after 100ms"));
}
