//! Proxies that want a login. Children are given one on loopback, which adds the login on the way to the real one: build
//! scripts are third-party code, and a company's password is not for them.
//!
//! Who uses it needs the password in its address, which is made for this run and worth nothing after it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// The longest head of a request, in bytes.
const HEAD: u64 = 64 * 1024;
/// How long a head is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The proxies that are forwarded to: the address that children get, by the one with the login.
static FORWARDED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The value of a proxy's variable as children see it: the same where it has no login. A login for a proxy that is
/// reached by TLS is left out, since nobody here can add it.
pub(super) fn without_login(value: &str) -> String {
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let Ok(url) = Url::parse(&with_scheme) else { return hidden(value) };
    if url.username().is_empty() && url.password().is_none() {
        return value.to_owned();
    }
    let mut known = FORWARDED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(address) = known.get(value) {
        return address.clone();
    }
    let forwarded = if url.scheme() == "http" { Forwarder::start(&url).ok() } else { None };
    let address = forwarded.unwrap_or_else(|| hidden(&with_scheme));
    known.insert(value.to_owned(), address.clone());
    address
}

/// Without userinfo.
fn hidden(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
}

/// What each connection needs.
struct Forwarder {
    /// `<host>:<port>` of the real proxy.
    upstream: String,
    /// Its `Proxy-Authorization`.
    login: String,
    /// The one that children have to send.
    own: String,
}

impl Forwarder {
    /// Listens on loopback to the end of the program. Returns the address.
    fn start(url: &Url) -> io::Result<String> {
        let host = url.host_str().ok_or_else(|| io::Error::other("no host"))?;
        let decoded = |text: &str| percent_decoded(text);
        let login = [decoded(url.username()), b":".to_vec(), decoded(url.password().unwrap_or_default())].concat();
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let password = hex::encode(random);
        let forwarder = Arc::new(Self {
            upstream: format!("{host}:{}", url.port_or_known_default().unwrap_or(80)),
            login: format!("Basic {}", STANDARD.encode(login)),
            own: format!("Basic {}", STANDARD.encode(format!("factory:{password}"))),
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://factory:{password}@{}", listener.local_addr()?);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let forwarder = forwarder.clone();
                // A connection that breaks is the child's to report.
                std::thread::spawn(move || forwarder.forward(&client));
            }
        });
        Ok(address)
    }

    /// One connection: the head of its request with the login, then all bytes as they are. Only the first request of a
    /// connection is read, so the proxy is asked to close it afterwards.
    fn forward(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(client);
        let mut head = Vec::new();
        loop {
            let mut line = Vec::new();
            reader.by_ref().take(HEAD).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') || (head.len() + line.len()) as u64 > HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if line == b"\r\n" || line == b"\n" {
                break;
            }
            head.extend(line);
        }
        let Some(head) = self.with_login(&String::from_utf8_lossy(&head)) else {
            let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
                           Content-Length: 0\r\nConnection: close\r\n\r\n";
            return (&*client).write_all(refused.as_bytes());
        };
        let upstream = TcpStream::connect(&self.upstream)?;
        (&upstream).write_all(&[head.as_bytes(), reader.buffer()].concat())?;
        drop(reader);
        client.set_read_timeout(None)?;
        std::thread::scope(|scope| {
            scope.spawn(|| pass_on(client, &upstream));
            pass_on(&upstream, client);
        });
        Ok(())
    }

    /// The head for the proxy, with the empty line that ends it; none when the child does not say the password.
    fn with_login(&self, head: &str) -> Option<String> {
        let mut lines = head.lines();
        let request = lines.next()?;
        let mut out = format!("{request}\r\nProxy-Authorization: {}\r\n", self.login);
        let is_tunnel = request.starts_with("CONNECT ");
        let mut is_allowed = false;
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if name.eq_ignore_ascii_case("proxy-authorization") {
                is_allowed |= value.trim() == self.own;
            } else if is_tunnel || !["connection", "proxy-connection"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
                out.push_str(line);
                out.push_str("\r\n");
            }
        }
        out.push_str(if is_tunnel { "\r\n" } else { "Connection: close\r\n\r\n" });
        is_allowed.then_some(out)
    }
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| hex::decode(digits).ok()).filter(|_| first == b'%');
        out.push(hex.as_ref().map_or(first, |byte| byte[0]));
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that answers each request with 200 and sends its head.
    fn proxy() -> (String, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, heads) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while reader.read_line(&mut head).unwrap_or(0) > 2 {}
                let body = if head.starts_with("CONNECT ") { "" } else { "Content-Length: 2\r\n\r\nok" };
                let end = if body.is_empty() { "\r\ntunnel" } else { body };
                let _ = sender.send(head);
                let _ = write!(stream, "HTTP/1.1 200 OK\r\n{end}");
            }
        });
        (address, heads)
    }

    fn ask(address: &str, request: &str) -> String {
        let url = Url::parse(address).unwrap();
        let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_proxy_without_a_login_is_passed_on_as_it_is() {
        for value in ["http://proxy.example:3128", "proxy.example:3128", "https://proxy.example", "socks5://x:1"] {
            assert_eq!(without_login(value), value);
        }
        assert_eq!(without_login("https://me:planted-hunter2@proxy.example"), "https://proxy.example");
        assert_eq!(without_login("me:planted hunter2@[:x"), "http://[:x");
    }

    #[test]
    fn a_login_is_added_on_the_way_and_no_child_sees_it() {
        let (upstream, heads) = proxy();
        let value = format!("http://me:planted%2Dhunter2@{upstream}");
        let address = without_login(&value);
        assert!(address.starts_with("http://factory:") && address.contains("@127.0.0.1:"), "{address}");
        assert_eq!(without_login(&value), address, "one forwarder a proxy");
        let url = Url::parse(&address).unwrap();
        let own = STANDARD.encode(format!("factory:{}", url.password().unwrap()));
        let login = STANDARD.encode("me:planted-hunter2");
        assert_ne!(own, login);

        let get = |login: &str| {
            ask(
                &address,
                &format!(
                    "GET http://r.example/x HTTP/1.1\r\nHost: r.example\r\nproxy-authorization: Basic {login}\r\n\
                     Connection: keep-alive\r\n\r\n"
                ),
            )
        };
        assert!(get(&own).ends_with("\r\n\r\nok"));
        assert_eq!(
            heads.recv().unwrap(),
            format!(
                "GET http://r.example/x HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\nHost: r.example\r\n\
                 Connection: close\r\n\r\n"
            )
        );
        let tunnel = format!("CONNECT r.example:443 HTTP/1.1\r\nProxy-Authorization: Basic {own}\r\n\r\n");
        assert!(ask(&address, &tunnel).ends_with("\r\n\r\ntunnel"));
        let expected = format!("CONNECT r.example:443 HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n");
        assert_eq!(heads.recv().unwrap(), expected);
        // Nobody else on the machine may use it, and one who knows the real password has no use for it.
        for other in ["bm9ib2R5Om5vYm9keQ==", &login] {
            assert!(get(other).starts_with("HTTP/1.1 407 "), "{other}");
        }
        assert!(heads.try_recv().is_err());
    }
}
