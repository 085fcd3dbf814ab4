//! The registries on loopback, for children: a forwarder asks the real ones with the login, the certificates and the proxy
//! of npm's configuration, which no child sees.
//!
//! It lives for one step and answers only those that know its address, which is made for that step. It reads, it never
//! writes, and asks only for what is below the registries' own addresses, and for the tarballs that their documents name.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::packument::{Edit, pointed_elsewhere};
use super::registry::{NpmRegistry, RegistryAddresses};
use crate::answer::{AnswerFailure, BoundedAnswer};
use crate::error::{Error, Result};

/// The longest head of a request, in bytes.
const HEAD: u64 = 64 * 1024;
/// How long a head is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections at once; more wait.
const CONNECTIONS: usize = 256;
/// Tarballs beside the registries that are remembered.
const MOST_BESIDE: usize = 100_000;
/// The longest address of one that is remembered, in bytes.
const LONGEST_BESIDE: usize = 512;

/// Which addresses of tarballs in documents are those of the forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedTarballs {
    /// Those that follow from name and version. yarn 2 and later writes down all others.
    Usual,
    /// All of the registry's host.
    All,
}

/// A forwarder; it ends when this is dropped.
pub struct RegistryForwarder {
    inner: Arc<Forwarding>,
    task: AbortHandle,
}

struct Forwarding {
    registry: NpmRegistry,
    tarballs: ForwardedTarballs,
    /// `http://127.0.0.1:<port>/<secret>`
    address: String,
    /// Tarballs of documents that lie beside a registry, on its host: nothing else there is asked for.
    beside: Mutex<HashSet<String>>,
    /// A refused login: 1 for none that was sent, 2 for one that was.
    refused: AtomicU8,
}

impl RegistryForwarder {
    /// A forwarder, where children need one.
    pub async fn if_needed(registry: &NpmRegistry, tarballs: ForwardedTarballs) -> Result<Option<Self>> {
        if registry.needs_forwarder() { Self::start(registry, tarballs).await.map(Some) } else { Ok(None) }
    }

    /// Listens on loopback.
    pub async fn start(registry: &NpmRegistry, tarballs: ForwardedTarballs) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::network(format!("cannot listen on loopback for the npm registry: {e}"), "try again")
        };
        let mut random = [0; 16];
        let mut source = tokio::fs::File::open("/dev/urandom").await.map_err(failed)?;
        source.read_exact(&mut random).await.map_err(failed)?;
        let secret = hex::encode(random);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = format!("http://{}/{secret}", listener.local_addr().map_err(failed)?);
        let inner = Arc::new(Forwarding {
            registry: registry.clone(),
            tarballs,
            address,
            beside: Mutex::default(),
            refused: AtomicU8::new(0),
        });
        let task = tokio::spawn(accept(listener, inner.clone())).abort_handle();
        Ok(Self { inner, task })
    }

    /// The addresses of the registries as children get them.
    pub fn addresses(&self) -> RegistryAddresses {
        let address = |number: usize| format!("{}/{number}", self.inner.address);
        let scopes = self.inner.registry.addresses().scopes.into_iter().zip(1..);
        RegistryAddresses {
            base: address(0),
            scopes: scopes.map(|((scope, _), number)| (scope, address(number))).collect(),
        }
    }

    /// A document that factory itself has fetched, as the child that asks for `name` would get it.
    pub fn document(&self, name: &str, document: &[u8]) -> Vec<u8> {
        let scopes = &self.inner.registry.addresses().scopes;
        let scope = name.split_once('/').map(|(scope, _)| scope);
        let number = scopes.iter().position(|(known, _)| Some(known.as_str()) == scope).map_or(0, |at| at + 1);
        let (mut edited, mut done) = (Vec::with_capacity(document.len()), 0);
        for (range, new) in self.inner.pointed_here(document, name, &number.to_string()) {
            edited.extend_from_slice(&document[done..range.start]);
            edited.extend_from_slice(serde_json::Value::from(new).to_string().as_bytes());
            done = range.end;
        }
        edited.extend_from_slice(&document[done..]);
        edited
    }

    /// What puts the true addresses in place of the forwarder's, also where they are percent-encoded.
    pub fn restorer(&self) -> impl Fn(&str) -> String + Send + Sync + use<> {
        let inner = self.inner.clone();
        move |text| inner.restored(text)
    }

    /// What to do, if a registry wanted another login.
    pub fn login_hint(&self) -> Option<String> {
        let refused = self.inner.refused.load(Ordering::Relaxed);
        (refused > 0).then(|| self.inner.registry.login_hint(refused == 2))
    }
}

impl Drop for RegistryForwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, inner: Arc<Forwarding>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        let inner = inner.clone();
        // A connection that breaks is the child's to report.
        connections.spawn(async move { inner.answer(client).await });
    }
}

/// The head of a request.
#[derive(Default)]
struct Asked {
    method: String,
    target: String,
    accept: String,
    has_body: bool,
}

impl Asked {
    async fn read(client: &mut BufReader<TcpStream>) -> std::io::Result<Self> {
        let broken = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let mut head = client.take(HEAD);
        let mut line = String::new();
        head.read_line(&mut line).await?;
        let mut words = line.split_ascii_whitespace();
        let (method, target) = (words.next().ok_or_else(broken)?, words.next().ok_or_else(broken)?);
        let mut asked = Self { method: method.to_owned(), target: target.to_owned(), ..Self::default() };
        loop {
            let mut line = String::new();
            head.read_line(&mut line).await?;
            if !line.ends_with('\n') {
                return Err(broken());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "accept" => value.trim().clone_into(&mut asked.accept),
                "content-length" => asked.has_body |= value.trim() != "0",
                "transfer-encoding" => asked.has_body = true,
                _ => {}
            }
        }
        Ok(asked)
    }
}

impl Forwarding {
    /// The address without its host.
    fn secret(&self) -> &str {
        self.address.rsplit('/').next().unwrap_or_default()
    }

    fn restored(&self, text: &str) -> String {
        if !text.contains(self.secret()) {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (number, upstream) in self.registry.upstreams().into_iter().enumerate() {
            let root = format!("{}/", upstream.origin().ascii_serialization());
            for (here, there) in [(format!("{number}"), upstream.as_str()), (format!("{number}r"), &root)] {
                let here = format!("{}/{here}", self.address);
                let there = there.trim_end_matches('/');
                let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                text = text.replace(&format!("{here}/"), &format!("{there}/"));
                text = text.replace(&encoded(&format!("{here}/")), &encoded(&format!("{there}/")));
                text = text.replace(&format!("{here}\""), &format!("{there}\""));
            }
        }
        text
    }

    fn beside(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the tarballs that a document now gives out below `root`, the host of the registry `number`.
    fn remember(&self, edits: &[Edit], root: &str, number: &str) {
        let paths = edits.iter().filter_map(|(_, address)| address.strip_prefix(root));
        let mut beside = self.beside();
        let free = MOST_BESIDE.saturating_sub(beside.len());
        for path in paths.filter(|path| path.len() <= LONGEST_BESIDE).take(free) {
            beside.insert(format!("{number}r/{path}"));
        }
    }

    async fn answer(&self, client: TcpStream) -> std::io::Result<()> {
        let mut client = BufReader::new(client);
        let asked = tokio::time::timeout(PATIENCE, Asked::read(&mut client)).await??;
        let is_head = asked.method == "HEAD";
        if asked.has_body || !(is_head || asked.method == "GET") {
            return say(&mut client, 405, "only GET is forwarded").await;
        }
        let below = asked.target.strip_prefix('/').and_then(|rest| rest.strip_prefix(self.secret())?.strip_prefix('/'));
        let Some((number, path)) = below.and_then(|rest| rest.split_once('/')) else {
            return say(&mut client, 404, "not found").await;
        };
        // A path below the host, with the login: only one that a document of the registry names.
        if number.ends_with('r') && !self.beside().contains(&format!("{number}/{path}")) {
            return say(&mut client, 404, "not found").await;
        }
        let (digits, is_root) = number.strip_suffix('r').map_or((number, false), |digits| (digits, true));
        let upstream = digits.parse().ok().and_then(|number| self.registry.below(number, is_root, path));
        let Some((url, upstream)) = upstream else { return say(&mut client, 404, "not found").await };
        let response = match self.registry.pass_on(url, upstream, &asked.accept, is_head).await {
            Ok(response) => response,
            Err(why) => return say(&mut client, 502, &format!("the npm registry cannot be reached: {why}")).await,
        };
        if matches!(response.status().as_u16(), 401 | 403) {
            self.refused.fetch_max(1 + u8::from(self.registry.has_login(upstream)), Ordering::Relaxed);
        }
        let name = path.split('?').next().unwrap_or_default().replace("%2f", "/").replace("%2F", "/");
        let is_document = response.status().is_success()
            && !is_head
            && !is_root
            && crate::lock::is_package_name(&name)
            && field(&response, "content-type").contains("json");
        if is_document {
            return self.document(&mut client, response, &name, digits).await;
        }
        stream(&mut client, BoundedAnswer::new(response, self.registry.limits.tarball), is_head).await
    }

    /// What makes the tarballs of a document those at this address.
    fn pointed_here(&self, document: &[u8], name: &str, number: &str) -> Vec<Edit> {
        let here = format!("{}/{number}/", self.address);
        let root = (self.tarballs == ForwardedTarballs::All).then(|| format!("{}/{number}r/", self.address));
        let upstream = number.parse().ok().and_then(|number: usize| self.registry.upstreams().into_iter().nth(number));
        let pointed = |upstream| pointed_elsewhere(document, name, upstream, (&here, root.as_deref()));
        let edits = upstream.map(pointed).unwrap_or_default();
        if let Some(root) = &root {
            self.remember(&edits, root, number);
        }
        edits
    }

    /// The document of a package, with tarballs at this address.
    async fn document(
        &self,
        client: &mut BufReader<TcpStream>,
        response: reqwest::Response,
        name: &str,
        number: &str,
    ) -> std::io::Result<()> {
        let head = head_of(&response);
        let document =
            match self.registry.documents.read(BoundedAnswer::new(response, self.registry.limits.document)).await {
                Ok(document) => document,
                Err(AnswerFailure::Torn(_)) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
                Err(failure) => return say(client, 502, &format!("the npm registry {failure}")).await,
            };
        let edits = self.pointed_here(&document.bytes, name, number);
        send_edited(client, &head, &document.bytes, &edits).await
    }
}

/// A document with changed tarballs.
async fn send_edited(
    client: &mut BufReader<TcpStream>,
    head: &str,
    document: &[u8],
    edits: &[Edit],
) -> std::io::Result<()> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let grown = edits.iter().map(|(range, new)| (range.len(), quoted(new).len()));
    let length = grown.fold(document.len(), |length, (old, new)| length - old + new);
    client.write_all(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes()).await?;
    let mut sent = 0;
    for (range, new) in edits {
        client.write_all(&document[sent..range.start]).await?;
        client.write_all(quoted(new).as_bytes()).await?;
        sent = range.end;
    }
    client.write_all(&document[sent..]).await?;
    client.flush().await
}

fn field(response: &reqwest::Response, name: &str) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The answer's head, up to what says how long its body is.
fn head_of(response: &reqwest::Response) -> String {
    let status = response.status();
    let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("Said"));
    for name in ["content-type", "etag", "last-modified", "retry-after"] {
        let value = field(response, name);
        if !value.is_empty() {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    head + "Connection: close\r\n"
}

/// Any answer as it is; one whose length is not known is sent in chunks, so that its end is.
async fn stream(client: &mut BufReader<TcpStream>, mut answer: BoundedAnswer, is_head: bool) -> std::io::Result<()> {
    let torn = |_: AnswerFailure| std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    let length = answer.head().content_length().filter(|_| !is_head);
    let framing = match length {
        Some(length) => format!("Content-Length: {length}\r\n\r\n"),
        None if is_head => "\r\n".to_owned(),
        None => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
    };
    client.write_all((head_of(answer.head()) + &framing).as_bytes()).await?;
    while let Some(chunk) = answer.chunk().await.map_err(torn)?.filter(|_| !is_head) {
        if length.is_some() {
            client.write_all(&chunk).await?;
        } else if !chunk.is_empty() {
            client.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            client.write_all(&chunk).await?;
            client.write_all(b"\r\n").await?;
        }
    }
    if length.is_none() && !is_head {
        client.write_all(b"0\r\n\r\n").await?;
    }
    client.flush().await
}

/// An answer of the forwarder's own.
async fn say(client: &mut BufReader<TcpStream>, status: u16, why: &str) -> std::io::Result<()> {
    let text = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{why}",
        why.len()
    );
    client.write_all(text.as_bytes()).await?;
    client.flush().await
}
