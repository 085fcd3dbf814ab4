//! A proxy that wants a login and is reached by TLS, as children have it. Without TLS: `src/sandbox/proxy_login.rs`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factory::sandbox::proxy_login::ProxyForwarder;
use factory::tls;
use harness::certificate::self_signed;
use harness::http::{connection, listen};
use url::Url;

/// The answer to `CONNECT` through a forwarder.
fn tunnel(address: &str) -> String {
    let url = Url::parse(address).unwrap();
    let own = STANDARD.encode(format!("factory:{}", url.password().unwrap()));
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).unwrap();
    write!(stream, "CONNECT r.example:443 HTTP/1.1\r\nProxy-Authorization: Basic {own}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[harness::test]
fn a_login_is_added_for_a_proxy_with_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (server, pem) = self_signed(dir.path(), "IP:127.0.0.1");
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = heads.clone();
    let upstream = listen(move |stream| {
        let mut reader = BufReader::new(connection(stream, Some(&server)));
        let mut head = String::new();
        while reader.read_line(&mut head).unwrap_or(0) > 2 {}
        seen.lock().unwrap().push(head);
        let out = reader.get_mut();
        let _ = out.write_all(b"HTTP/1.1 200 OK\r\n\r\ntunnel").and_then(|()| out.flush());
    });
    let url = Url::parse(&format!("https://me:planted-hunter2@{upstream}")).unwrap();
    let trusting = |named| Some(tls::trusting(named).unwrap());

    let address = ProxyForwarder::start(&url, trusting(tls::certificates(&pem).unwrap())).unwrap();
    assert!(address.starts_with("http://factory:") && !address.contains("hunter2"), "{address}");
    assert!(tunnel(&address).ends_with("\r\n\r\ntunnel"));
    let login = STANDARD.encode("me:planted-hunter2");
    let expected = format!("CONNECT r.example:443 HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n");
    assert_eq!(std::mem::take(&mut *heads.lock().unwrap()), [expected]);

    // One that nobody vouches for gets no login.
    let address = ProxyForwarder::start(&url, trusting(vec![])).unwrap();
    let refused = tunnel(&address);
    assert!(refused.starts_with("HTTP/1.1 502 Bad Gateway\r\n") && !refused.contains("hunter2"), "{refused}");
    assert!(!heads.lock().unwrap().concat().contains(&login));
}
