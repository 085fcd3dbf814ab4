//! A small web server on the loopback interface that serves repositories with `git http-backend`, and misbehaves when
//! told to.

use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use crate::http::{self, Request, Response};
use crate::repository::git;

/// What happens to one request instead of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This status and no git.
    Status(u16),
    /// The connection is cut after so many bytes of the answer.
    Torn(usize),
    /// No answer, until the server is dropped.
    Silence,
}

/// How the server behaves.
#[derive(Default)]
pub struct Behaviour {
    /// The `Authorization` header that is asked for.
    pub authorization: Option<String>,
    /// Faults for the first requests, in order; `None` is a normal answer.
    pub faults: Vec<Option<Fault>>,
    /// Speaks the protocol's first version, as before git 2.26.
    pub old: bool,
    /// Certificate and key: https.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Serves the files of the repositories, as a web server without git: the dumb protocol.
    pub dumb: bool,
    /// With `old`: a server that cannot cut off the history.
    pub without_shallow: bool,
    /// The address, without the path, that all requests are sent on to.
    pub redirect: Option<String>,
}

pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// One message per request: method, path with query, status.
    pub requests: mpsc::Receiver<String>,
}

struct Shared {
    root: PathBuf,
    behaviour: Behaviour,
    faults: Mutex<VecDeque<Option<Fault>>>,
    seen: Mutex<Vec<Request>>,
    stopped: AtomicBool,
    silent: Mutex<Vec<TcpStream>>,
}

impl Server {
    /// Serves the bare repositories and clones below `root`.
    pub fn start(root: &Path, mut behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (log, requests) = mpsc::channel();
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            faults: Mutex::new(std::mem::take(&mut behaviour.faults).into()),
            behaviour,
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
            silent: Mutex::default(),
        });
        let server = Self { address: listener.local_addr().unwrap(), shared: Arc::clone(&shared), requests };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, log) = (Arc::clone(&shared), log.clone());
                thread::spawn(move || shared.serve(stream.unwrap(), &log));
            }
        });
        server
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self, repository: &str) -> String {
        let scheme = if self.shared.behaviour.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{repository}", self.address)
    }

    /// The URL with an account in it.
    pub fn url_as(&self, account: &str, repository: &str) -> String {
        self.url(repository).replace("://", &format!("://{account}@"))
    }

    /// The requests so far, whole.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// What was asked so far.
    pub fn log(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for stream in self.shared.silent.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream, log: &mpsc::Sender<String>) {
        let socket = stream.try_clone().unwrap();
        self.answer(http::connection(stream, self.behaviour.tls.as_ref()), &socket, log);
    }

    fn answer(&self, stream: impl Read + Write, socket: &TcpStream, log: &mpsc::Sender<String>) {
        let mut reader = BufReader::new(stream);
        let Some(request) = Request::read(&mut reader) else { return };
        let fault = self.faults.lock().unwrap().pop_front().flatten();
        let line = format!("{} {}", request.method, request.target);
        let mut stream = reader.into_inner();
        if matches!(fault, Some(Fault::Silence)) {
            self.silent.lock().unwrap().push(socket.try_clone().unwrap());
            let _ = log.send(format!("{line} silence"));
            let _ = stream.read(&mut [0]);
            return;
        }
        self.seen.lock().unwrap().push(request.clone());
        let wanted = &self.behaviour.authorization;
        let refused = wanted.is_some() && request.header("authorization") != *wanted;
        let mut answer = match (fault, &self.behaviour.redirect) {
            (Some(Fault::Status(status)), _) => plain(status),
            _ if refused => plain(401),
            (_, Some(to)) => {
                let location = format!("{to}{}", request.target);
                Response::status(302).header("Location", &location).bytes(&request.method)
            }
            _ if self.behaviour.dumb => self.file(&request),
            _ => self.run_backend(&request),
        };
        let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
        let _ = log.send(format!("{line} {status}"));
        if let Some(Fault::Torn(bytes)) = fault {
            answer.truncate(bytes);
        }
        let _ = stream.write_all(&answer).and_then(|()| stream.flush());
        let _ = socket.shutdown(Shutdown::Both);
    }

    fn file(&self, request: &Request) -> Vec<u8> {
        let path = self.root.join(request.parts().0.trim_start_matches('/'));
        match std::fs::read(path) {
            Ok(bytes) => Response::status(200).body(bytes).bytes(&request.method),
            Err(_) => plain(404),
        }
    }

    fn run_backend(&self, request: &Request) -> Vec<u8> {
        let (path, query) = request.parts();
        let mut child = git(&self.root)
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("REQUEST_METHOD", &request.method)
            .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("GIT_PROTOCOL", request.header("git-protocol").filter(|_| !self.behaviour.old).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let body = request.body.clone();
        let writer = thread::spawn(move || {
            let _ = stdin.write_all(&body);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let end = output.stdout.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = output.stdout.split_at(end);
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
        let mut answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for line in head.lines().filter(|line| !line.starts_with("Status: ") && !line.is_empty()) {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
        answer.push_str("\r\n");
        let mut answer = answer.into_bytes();
        let mut body = body.to_vec();
        if self.behaviour.without_shallow
            && let Some(at) = body.windows(9).position(|part| part == b" shallow ")
        {
            // Of the same length, as the line says how long it is.
            body[at..at + 9].copy_from_slice(b" nothing ");
        }
        answer.extend(body);
        answer
    }
}

fn plain(status: u16) -> Vec<u8> {
    let answer = Response::status(status);
    let answer = if status == 401 { answer.header("WWW-Authenticate", "Basic realm=\"git\"") } else { answer };
    answer.bytes("GET")
}
