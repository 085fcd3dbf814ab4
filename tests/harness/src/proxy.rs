//! A proxy in front of a registry that does to its traffic what networks and registries do on bad days.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request, as far as a rule may ask.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub authorization: Option<String>,
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub fn host(&self) -> String {
        field(&self.head, "host").unwrap_or_default()
    }

    /// `PUT blob`, `PUT manifest`, `POST upload`, `GET token`, `GET v2`, …
    pub fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap();
        let what = if path == "/v2/" {
            "v2"
        } else if path == "/token" {
            "token"
        } else if path.contains("/manifests/") {
            "manifest"
        } else if path.contains("/blobs/uploads/") {
            if self.method == "PUT" { "blob" } else { "upload" }
        } else {
            "blob"
        };
        format!("{} {what}", self.method)
    }
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection ends without an answer.
    Drop,
    /// The connection ends when this many bytes of the body have come.
    DropAt(usize),
    /// No answer until the other side has had enough.
    Hang,
    /// This answer, and the registry hears nothing of it.
    Answer(u16, Vec<(String, String)>, String),
    /// The registry gets this many bytes of the body.
    TruncateRequest(usize),
    /// The client gets half of the answer's body.
    TruncateAnswer,
    /// The registry's answer with this text replaced by that.
    Replace(String, String),
}

pub fn status(code: u16) -> Fault {
    Fault::Answer(code, vec![], String::new())
}

pub fn header(code: u16, name: &str, value: &str) -> Fault {
    Fault::Answer(code, vec![(name.to_owned(), value.to_owned())], String::new())
}

struct Rule {
    kind: String,
    left: usize,
    fault: Fault,
}

/// Answers a request itself, or lets it through.
type Guard = Box<dyn Fn(&Request) -> Option<Fault> + Send + Sync>;

pub struct Proxy {
    pub address: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Proxy {
    pub fn before(upstream: &str) -> Self {
        Self::guarded(upstream, Box::new(|_| None))
    }

    pub fn guarded(upstream: &str, guard: Guard) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let rules = Arc::new(Mutex::new(Vec::<Rule>::new()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (to_rules, to_seen, upstream) = (Arc::clone(&rules), Arc::clone(&seen), upstream.to_owned());
        let guard = Arc::new(guard);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (rules, seen, upstream, guard) =
                    (Arc::clone(&to_rules), Arc::clone(&to_seen), upstream.clone(), Arc::clone(&guard));
                thread::spawn(move || serve(client, &upstream, &rules, &seen, &guard));
            }
        });
        Self { address, rules, seen }
    }

    /// The next `times` requests of a kind meet a fault.
    pub fn fail(&self, kind: &str, times: usize, fault: Fault) -> &Self {
        self.rules.lock().unwrap().push(Rule { kind: kind.to_owned(), left: times, fault });
        self
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self, kind: &str) -> usize {
        self.requests().iter().filter(|request| request.kind() == kind).count()
    }

    /// Faults that nothing has met yet.
    pub fn left(&self) -> usize {
        self.rules.lock().unwrap().iter().map(|rule| rule.left).sum()
    }
}

/// One request a connection: every answer says `Connection: close`.
fn serve(
    mut client: TcpStream,
    upstream: &str,
    rules: &Mutex<Vec<Rule>>,
    seen: &Mutex<Vec<Request>>,
    guard: &Guard,
) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
        if head == [0x16] {
            // The beginning of TLS, which is not spoken here.
            return client.shutdown(Shutdown::Both).ok();
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.split(' ');
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        authorization: field(&head, "authorization"),
        head: head.clone(),
        body: Vec::new(),
    };
    seen.lock().unwrap().push(request.clone());
    let fault = {
        let mut rules = rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.left > 0 && rule.kind == request.kind());
        rule.map(|rule| {
            rule.left -= 1;
            rule.fault.clone()
        })
    };
    let len: usize = field(&head, "content-length").map_or(0, |len| len.parse().unwrap());
    let wanted = match fault {
        Some(Fault::Drop) => return client.shutdown(Shutdown::Both).ok(),
        Some(Fault::DropAt(bytes)) => bytes.min(len),
        _ => len,
    };
    request.body = vec![0; wanted];
    client.read_exact(&mut request.body).ok()?;
    let fault = fault.or_else(|| guard(&request));
    match &fault {
        Some(Fault::DropAt(_)) => return client.shutdown(Shutdown::Both).ok(),
        Some(Fault::Hang) => {
            let _ = client.read_exact(&mut byte);
            return None;
        }
        Some(Fault::Answer(code, headers, body)) => {
            let length = ("Content-Length".to_owned(), body.len().to_string());
            let fields = headers.iter().chain([&length]).map(|(name, value)| format!("{name}: {value}\r\n"));
            let fields = fields.collect::<Vec<_>>().concat();
            let answer = format!("HTTP/1.1 {code} X\r\n{fields}Connection: close\r\n\r\n{body}");
            return client.write_all(answer.as_bytes()).ok();
        }
        Some(Fault::TruncateRequest(bytes)) => request.body.truncate(*bytes),
        _ => {}
    }
    let mut answer = forward(&request, upstream)?;
    match fault {
        Some(Fault::TruncateAnswer) => {
            let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            answer.truncate(body + (answer.len() - body) / 2);
        }
        Some(Fault::Replace(this, that)) => {
            answer = String::from_utf8(answer).unwrap().replace(&this, &that).into_bytes();
        }
        _ => {}
    }
    client.write_all(&answer).ok()
}

fn forward(request: &Request, upstream: &str) -> Option<Vec<u8>> {
    let lines = request.head.trim_end().split("\r\n");
    let kept = lines.filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("connection:") && !line.starts_with("content-length:")
    });
    let kept = kept.collect::<Vec<_>>().join("\r\n");
    let head = format!("{kept}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", request.body.len());
    let mut server = TcpStream::connect(upstream).ok()?;
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&request.body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}

fn field(head: &str, name: &str) -> Option<String> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
