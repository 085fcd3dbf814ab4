//! Proxies that want a login. Children are given one on loopback, which adds the login on the way to the real one: build
//! scripts are third-party code, and a company's password is not for them.
//!
//! Who uses it needs the password in its address, which is made for this run and worth nothing after it.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::tls;

/// The longest head of a request, in bytes.
const HEAD: u64 = 64 * 1024;
/// How long a head is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The proxies that are forwarded to: the address that children get, by the one with the login.
static FORWARDED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The value of a proxy's variable as children see it: the same where it has no login. The login of a
/// proxy that is none of HTTP's (`socks5://`) is left out, since nobody here can add it.
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
    let forwarded = match url.scheme() {
        "http" => ProxyForwarder::start(&url, None).ok(),
        "https" => trusting().and_then(|config| ProxyForwarder::start(&url, Some(config)).ok()),
        _ => None,
    };
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
pub struct ProxyForwarder {
    host: String,
    port: u16,
    /// How the real proxy is reached; none without TLS.
    tls: Option<TlsConnector>,
    /// Its `Proxy-Authorization`.
    login: String,
    /// The one that children have to send.
    own: String,
}

/// A connection to the proxy.
trait Upstream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Upstream for T {}

impl ProxyForwarder {
    /// Listens on loopback to the end of the program; `tls` says whom a proxy with TLS has to convince. Returns the
    /// address, in which a password stands.
    pub fn start(url: &Url, tls: Option<ClientConfig>) -> io::Result<String> {
        let host = url.host_str().ok_or_else(|| io::Error::other("no host"))?;
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let login = [decoded(url.username()), b":".to_vec(), decoded(url.password().unwrap_or_default())].concat();
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let password = hex::encode(random);
        let forwarder = Arc::new(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            tls: tls.map(|config| TlsConnector::from(Arc::new(config))),
            login: format!("Basic {}", STANDARD.encode(login)),
            own: format!("Basic {}", STANDARD.encode(format!("factory:{password}"))),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = format!("http://factory:{password}@{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(forwarder.serve(listener)));
        Ok(address)
    }

    async fn serve(self: Arc<Self>, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        loop {
            // One that breaks is the child's to report.
            let Ok((client, _)) = listener.accept().await else { continue };
            let forwarder = self.clone();
            tokio::spawn(async move { forwarder.forward(client).await });
        }
    }

    /// One connection: the head of its request with the login, then all bytes as they are. Only the first request of a
    /// connection is read, so the proxy is asked to close it afterwards.
    async fn forward(&self, client: TcpStream) -> io::Result<()> {
        let mut client = BufReader::new(client);
        let head = tokio::time::timeout(PATIENCE, read_head(&mut client)).await??;
        let Some(head) = self.with_login(&head) else {
            let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
                           Content-Length: 0\r\nConnection: close\r\n\r\n";
            return client.write_all(refused.as_bytes()).await;
        };
        let mut upstream = match self.connect().await {
            Ok(upstream) => upstream,
            Err(e) => {
                let why = format!("the proxy cannot be reached: {e}");
                let answer = format!(
                    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{why}",
                    why.len()
                );
                return client.write_all(answer.as_bytes()).await;
            }
        };
        upstream.write_all(&[head.as_bytes(), client.buffer()].concat()).await?;
        upstream.flush().await?;
        tokio::io::copy_bidirectional(&mut client.into_inner(), &mut upstream).await.map(drop)
    }

    async fn connect(&self) -> io::Result<Box<dyn Upstream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
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

/// The head of a request, without the empty line that ends it.
async fn read_head(client: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut limited = client.take(HEAD);
    let mut head = Vec::new();
    loop {
        let start = head.len();
        limited.read_until(b'\n', &mut head).await?;
        match &head[start..] {
            b"\r\n" | b"\n" => break head.truncate(start),
            line if line.last() != Some(&b'\n') => return Err(io::ErrorKind::InvalidData.into()),
            _ => {}
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Whom a proxy that is reached by TLS has to convince.
fn trusting() -> Option<ClientConfig> {
    tls::trusting(tls::named_by_user().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};

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
        assert_eq!(without_login("socks5://me:planted-hunter2@proxy.example"), "socks5://proxy.example");
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
