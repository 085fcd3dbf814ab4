//! The HTTP that the servers of the tests speak: requests read whole, one thread a connection.

use std::io::{BufRead, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A request that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path, with the query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The next request; none at the end of the connection, and where another protocol is spoken.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        // The beginning of TLS: its client would wait for an answer.
        if reader.fill_buf().ok()?.first() == Some(&0x16) {
            return None;
        }
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        // A proxy is asked for a whole URL.
        let target = match target.split_once("://") {
            Some((_, rest)) => rest[rest.find('/')?..].to_owned(),
            None => target,
        };
        let mut request = Self { method, target, headers: Vec::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if let Some(length) = request.header("content-length") {
            request.body = vec![0; length.parse().ok()?];
            reader.read_exact(&mut request.body).ok()?;
        } else if request.header("transfer-encoding").is_some() {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size).ok()?;
                let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).ok()? + 2];
                reader.read_exact(&mut chunk).ok()?;
                if chunk.len() == 2 {
                    break;
                }
                request.body.extend_from_slice(&chunk[..chunk.len() - 2]);
            }
        }
        Some(request)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }

    /// The path and the query.
    pub fn parts(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// As it is sent in answer to a request with this method; the connection ends with it.
    pub fn bytes(&self, method: &str) -> Vec<u8> {
        let fields = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let fields = fields.collect::<Vec<_>>().concat();
        let head = format!(
            "HTTP/1.1 {} Said\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n",
            self.status,
            self.body.len()
        );
        let body: &[u8] = if method == "HEAD" { &[] } else { &self.body };
        [head.as_bytes(), body].concat()
    }
}

/// Serves each connection of a port of its own in a thread, until the test's process ends; the address.
pub fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// What a connection is read from and written to.
pub trait Connection: Read + std::io::Write {}

impl<T: Read + std::io::Write> Connection for T {}

/// The connection, with TLS where there is a configuration.
pub fn connection(stream: TcpStream, tls: Option<&Arc<rustls::ServerConfig>>) -> Box<dyn Connection> {
    match tls {
        None => Box::new(stream),
        Some(config) => {
            let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        }
    }
}

/// Sends `head` and then `piece` until the other side has had enough.
pub fn endless(stream: &mut impl std::io::Write, head: &str, piece: &[u8]) {
    let mut sent = stream.write_all(head.as_bytes());
    while sent.is_ok() {
        sent = stream.write_all(piece);
    }
}

/// Sends `bytes` and then nothing until the other side has had enough.
pub fn stalling(stream: &mut (impl Read + std::io::Write), bytes: &[u8]) {
    if stream.write_all(bytes).and_then(|()| stream.flush()).is_ok() {
        let _ = stream.read(&mut [0]);
    }
}
