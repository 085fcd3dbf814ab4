//! The npm registry on loopback, for children: what it asks with a login, and what it does not.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use factory::interrupt::Interrupt;
use factory::npm::forwarder::{ForwardedTarballs, RegistryForwarder};
use factory::npm::registry::NpmRegistry;
use factory::npm::settings::{NpmSettings, NpmSurroundings};
use harness::http::{Request, Response, listen};

const SECRET: &str = "planted-hunter2";

type Seen = Arc<Mutex<Vec<String>>>;

/// A server that answers with `answer`, and tells what it was asked.
fn server(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> (String, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let host = listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        let login = request.header("authorization").unwrap_or_else(|| "nobody".into());
        log.lock().unwrap().push(format!("{} {} {login}", request.method, request.target));
        let _ = stream.write_all(&answer(&request).bytes(&request.method));
    });
    (host, seen)
}

fn taken(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut *seen.lock().unwrap())
}

fn registry(npmrc: &str) -> NpmRegistry {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".npmrc"), npmrc).unwrap();
    let variables = [("HOME".to_owned(), home.path().to_str().unwrap().to_owned())].into();
    let folder = home.path().join("nowhere");
    NpmRegistry::new(NpmSettings::read(&NpmSurroundings { variables, folder, config_dir: None }), &Interrupt::default())
        .unwrap()
}

/// The whole answer of a request to an address.
fn ask(method: &str, url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer of-the-child\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn in_runtime(test: impl AsyncFnOnce()) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test());
}

/// A registry at `http://<host>/npm/` with a login.
fn with_login(host: &str) -> NpmRegistry {
    registry(&format!("registry=http://{host}/npm/\n//{host}/npm/:_authToken={SECRET}\n"))
}

#[harness::test]
fn it_reads_with_the_login_below_the_registry_and_nothing_else() {
    let (host, seen) = server(|request| match request.target.as_str() {
        "/npm/gone" => Response::status(404).body("{}"),
        _ => Response::status(200).body("bytes"),
    });
    in_runtime(async || {
        let forwarder = RegistryForwarder::start(&with_login(&host), ForwardedTarballs::All).await.unwrap();
        let base = forwarder.addresses().base;
        let answer = ask("GET", &format!("{base}/a/-/a-1.0.0.tgz?x=1"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nbytes"), "{answer}");
        assert!(ask("HEAD", &format!("{base}/a")).ends_with("\r\n\r\n"));
        assert!(ask("GET", &format!("{base}/gone")).starts_with("HTTP/1.1 404 Not Found\r\n"));
        // Beside the registry, on its host: only what a document names.
        assert!(ask("GET", &format!("{base}r/other/a.tgz")).starts_with("HTTP/1.1 404 "));
        let expected = [
            "GET /npm/a/-/a-1.0.0.tgz?x=1 Bearer planted-hunter2",
            "HEAD /npm/a Bearer planted-hunter2",
            "GET /npm/gone Bearer planted-hunter2",
        ];
        assert_eq!(taken(&seen), expected);

        let root = base.rsplit_once('/').unwrap().0;
        let (loopback, _) = root.rsplit_once('/').unwrap();
        for outside in [
            "../x",
            "%2e%2e/x",
            "..%2fx",
            "a/..%2F..%2fx",
            ".%2e/x",
            "..\\x",
            "%252e%252e/x",
            "..;/x",
            "a;b/x",
            "%25252525252525252e/x",
        ] {
            assert!(ask("GET", &format!("{base}/{outside}")).starts_with("HTTP/1.1 404 "), "{outside}");
        }
        for url in [
            format!("{loopback}/0/a"),
            format!("{root}/1/a"),
            format!("{root}/x/a"),
            root.to_owned(),
            format!("{loopback}/"),
        ] {
            assert!(ask("GET", &url).starts_with("HTTP/1.1 404 "), "{url}");
        }
        for method in ["PUT", "POST", "DELETE", "CONNECT"] {
            assert!(ask(method, &format!("{base}/a")).starts_with("HTTP/1.1 405 "), "{method}");
        }
        assert_eq!(taken(&seen), [""; 0]);
        assert_eq!(forwarder.login_hint(), None);

        // It ends with its step.
        drop(forwarder);
        while let Ok(mut stream) = TcpStream::connect(base.strip_prefix("http://").unwrap().split('/').next().unwrap())
        {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            tokio::task::yield_now().await;
        }
    });
}

#[harness::test]
fn no_login_goes_to_where_a_registry_redirects() {
    let (other, seen) = server(|_| Response::status(200).body("elsewhere"));
    let target = format!("http://{other}/files/a.tgz");
    let (host, asked) = server(move |_| Response::status(302).header("location", &target));
    in_runtime(async || {
        let forwarder = RegistryForwarder::start(&with_login(&host), ForwardedTarballs::All).await.unwrap();
        let answer = ask("GET", &format!("{}/a/-/a-1.0.0.tgz", forwarder.addresses().base));
        assert!(answer.ends_with("elsewhere"), "{answer}");
    });
    assert_eq!(taken(&asked), ["GET /npm/a/-/a-1.0.0.tgz Bearer planted-hunter2"]);
    assert_eq!(taken(&seen), ["GET /files/a.tgz nobody"]);
}

#[harness::test]
fn documents_name_it_and_what_yarn_writes_down_does_not() {
    let (host, _) = server(|request| {
        let host = request.header("host").unwrap();
        let at = |version: &str, tarball: &str| {
            format!(r#""{version}":{{"dist":{{"tarball":"{tarball}","integrity":"sha512-x"}}}}"#)
        };
        let versions = [
            at("1.0.0", &format!("http://{host}/npm/@s/a/-/a-1.0.0.tgz")),
            at("2.0.0", &format!("http://{host}/files/2")),
            at("3.0.0", "http://elsewhere.invalid/3"),
        ];
        let body = format!(r#"{{"name":"@s/a","versions":{{{}}}}}"#, versions.join(","));
        Response::status(200).header("content-type", "application/json").body(body)
    });
    in_runtime(async || {
        for (tarballs, second) in [(ForwardedTarballs::Usual, None), (ForwardedTarballs::All, Some("r/files/2"))] {
            let forwarder = RegistryForwarder::start(&with_login(&host), tarballs).await.unwrap();
            let base = forwarder.addresses().base;
            let answer = ask("GET", &format!("{base}/@s%2fa"));
            let document: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
            let tarball = |version: &str| document["versions"][version]["dist"]["tarball"].as_str().unwrap().to_owned();
            let at_host = format!("http://{host}/files/2");
            assert_eq!(tarball("1.0.0"), format!("{base}/@s/a/-/a-1.0.0.tgz"));
            assert_eq!(tarball("2.0.0"), second.map_or(at_host.clone(), |path| format!("{base}{path}")));
            assert_eq!(tarball("3.0.0"), "http://elsewhere.invalid/3");
            if second.is_some() {
                assert!(ask("GET", &tarball("2.0.0")).starts_with("HTTP/1.1 200 "));
            }
            assert!(ask("GET", &format!("{base}r/files/3")).starts_with("HTTP/1.1 404 "));
            let restored = forwarder.restorer();
            assert_eq!(restored(&tarball("1.0.0")), format!("http://{host}/npm/@s/a/-/a-1.0.0.tgz"));
            assert_eq!(restored(&tarball("2.0.0")), at_host);
            let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            assert_eq!(restored(&encoded(&format!("{base}/x"))), encoded(&format!("http://{host}/npm/x")));
        }
    });
}

#[harness::test]
fn a_refused_login_is_remembered_for_the_hint() {
    let (host, _) = server(|_| Response::status(401));
    let hint = |registry: NpmRegistry| {
        let hint = Mutex::new(None);
        in_runtime(async || {
            let forwarder = RegistryForwarder::start(&registry, ForwardedTarballs::All).await.unwrap();
            assert!(ask("GET", &format!("{}/a", forwarder.addresses().base)).starts_with("HTTP/1.1 401 "));
            *hint.lock().unwrap() = forwarder.login_hint();
        });
        hint.into_inner().unwrap().unwrap()
    };
    let refused = "the login in npm's configuration is not accepted: renew it with `npm login`";
    assert_eq!(hint(with_login(&host)), refused);
    let missing = "log in to the registry with `npm login`, or set its `_authToken` in `.npmrc`";
    assert_eq!(hint(registry(&format!("registry=http://{host}/npm/"))), missing);
}
