//! A registry of images on loopback with the habits of others: it answers as it is told to, remembers what it was asked,
//! and takes what it is given.

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

use factory::image::OciRegistry;
use factory::lock::Sha256;

use crate::docker_registry::{PAIR, variables};
use crate::http::{self, Request, Response};

/// The token of its token server.
pub const TOKEN: &str = "planted-token-0123456789";

/// What it does otherwise than the distribution specification's plainest reading.
#[derive(Clone)]
pub struct Habits {
    /// `Location` of an upload, with `{host}`, `{path}` and `{id}`; none when empty.
    pub location: &'static str,
    /// Who may ask.
    pub login: Login,
    /// Keeps a list of referrers.
    pub has_referrers: bool,
    /// How often blobs and manifests that were just stored are not found.
    pub late: usize,
    /// Sends those who ask for a blob to this address, which has it below `/storage/`.
    pub storage: Option<String>,
    /// Speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Habits {
    fn default() -> Self {
        Self { location: "{path}", login: Login::Anybody, has_referrers: false, late: 0, storage: None, tls: None }
    }
}

/// Whom a registry answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Anybody,
    /// Those with the password of [`PAIR`].
    Password,
    /// Those with [`TOKEN`], for which its own `/token` takes the password, and answers this.
    Token(String),
}

/// What happens to a request instead of the usual answer.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// This answer, and nothing is stored.
    Say(Response),
    /// It is stored, and this is the answer.
    Store(Response),
    /// The connection ends.
    Drop,
    /// No answer until the other side has had enough.
    Hang,
    /// This answer but for its last byte, for which the other side waits until it has had enough.
    Stall(Response),
    /// The usual answer, when as many of these requests have come as the barrier waits for.
    Together(Arc<Barrier>),
}

struct Rule {
    kind: String,
    left: usize,
    reaction: Reaction,
}

/// What it holds.
#[derive(Default)]
pub struct Contents {
    /// By digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and digest: media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    uploads: usize,
    cancelled: usize,
    looks: BTreeMap<String, usize>,
}

struct Shared {
    habits: Habits,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<Request>>,
    contents: Arc<Mutex<Contents>>,
}

/// A registry; it ends with the test's process.
pub struct FakeRegistry {
    /// `127.0.0.1:<port>`.
    pub address: String,
    shared: Arc<Shared>,
}

impl FakeRegistry {
    /// One of the plainest kind.
    pub fn start() -> Self {
        Self::with(Habits::default())
    }

    pub fn with(habits: Habits) -> Self {
        Self::serving(habits, Arc::default())
    }

    /// The variables with which images are pushed to it.
    pub fn variables(&self) -> [(&'static str, &str); 5] {
        [
            ("REGISTRY_URL", &self.address),
            ("REGISTRY_NAMESPACE", "team"),
            ("REGISTRY_INSECURE", "true"),
            ("REGISTRY_USERNAME", "u"),
            ("REGISTRY_PASSWORD", "planted-password"),
        ]
    }

    /// Another address with the same contents.
    pub fn beside(&self, habits: Habits) -> Self {
        Self::serving(habits, Arc::clone(&self.shared.contents))
    }

    fn serving(habits: Habits, contents: Arc<Mutex<Contents>>) -> Self {
        let shared = Arc::new(Shared { habits, rules: Mutex::default(), requests: Mutex::default(), contents });
        let serving = Arc::clone(&shared);
        let address = http::listen(move |stream| {
            let socket = stream.try_clone().unwrap();
            let mut reader = BufReader::new(http::connection(stream, serving.habits.tls.as_ref()));
            let Some(request) = Request::read(&mut reader) else {
                // The beginning of TLS where it is not spoken.
                let _ = reader.get_mut().write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
                return;
            };
            match serving.respond(&request) {
                Ok(response) => {
                    let out = reader.get_mut();
                    let _ = out.write_all(&response.bytes(&request.method)).and_then(|()| out.flush());
                }
                Err(Reaction::Hang) => drop(reader.read(&mut [0])),
                Err(Reaction::Stall(response)) => {
                    let bytes = response.bytes(&request.method);
                    http::stalling(reader.get_mut(), &bytes[..bytes.len() - 1]);
                }
                Err(_) => {}
            }
            let _ = socket.shutdown(Shutdown::Both);
        });
        Self { address, shared }
    }

    /// The next `times` requests of a kind meet this.
    pub fn on(&self, kind: &str, times: usize, reaction: Reaction) -> &Self {
        self.shared.rules.lock().unwrap().push(Rule { kind: kind.to_owned(), left: times, reaction });
        self
    }

    /// The next `times` requests of a kind are answered by this status.
    pub fn say(&self, kind: &str, times: usize, status: u16) -> &Self {
        self.on(kind, times, Reaction::Say(Response::status(status)))
    }

    /// From now on nothing meets anything.
    pub fn forget(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// What it was asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The kinds of what it was asked, in order.
    pub fn kinds(&self) -> Vec<String> {
        self.requests().iter().map(kind).collect()
    }

    /// The requests of a kind.
    pub fn of(&self, wanted: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| kind(request) == wanted).collect()
    }

    pub fn count(&self, wanted: &str) -> usize {
        self.of(wanted).len()
    }

    /// Reactions that nothing has met yet.
    pub fn left(&self) -> usize {
        self.shared.rules.lock().unwrap().iter().map(|rule| rule.left).sum()
    }

    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.shared.contents.lock().unwrap()
    }

    /// The digest that a tag names.
    pub fn tag(&self, tag: &str) -> Option<String> {
        Some(Sha256::of(&self.contents().manifests.get(tag)?.1).to_string())
    }

    /// Uploads that were begun and neither ended nor cancelled.
    pub fn open_uploads(&self) -> usize {
        let (ended, contents) = (self.count("PUT blob"), self.contents());
        contents.uploads - contents.cancelled - ended
    }

    /// As a push knows it, with these variables too.
    pub fn registry(&self, more: &[(&str, &str)]) -> OciRegistry {
        let insecure = [("REGISTRY_INSECURE", "true")];
        let more = if self.shared.habits.tls.is_some() { more.to_vec() } else { [&insecure[..], more].concat() };
        OciRegistry::from_variables(&variables(&self.address, &more)).unwrap()
    }
}

/// `PUT blob`, `PUT manifest`, `POST upload`, `GET token`, `GET v2`, `GET storage`, …
pub fn kind(request: &Request) -> String {
    let (path, method) = (request.parts().0, &request.method);
    let what = match path {
        "/v2/" => "v2",
        "/token" => "token",
        _ if path.starts_with("/storage/") => "storage",
        _ if path.ends_with("/tags/list") => "tags",
        _ if path.contains("/manifests/") => "manifest",
        _ if path.contains("/referrers/") => "referrers",
        _ if path.contains("/blobs/uploads/") && method != "PUT" => "upload",
        _ => "blob",
    };
    format!("{method} {what}")
}

impl Shared {
    /// The answer, or what happens instead of one.
    fn respond(&self, request: &Request) -> Result<Response, Reaction> {
        let kind = kind(request);
        self.requests.lock().unwrap().push(request.clone());
        let reaction = {
            let mut rules = self.rules.lock().unwrap();
            let rule = rules.iter_mut().find(|rule| rule.left > 0 && rule.kind == kind);
            rule.map(|rule| {
                rule.left -= 1;
                rule.reaction.clone()
            })
        };
        match reaction {
            Some(Reaction::Say(response)) => return Ok(response),
            Some(reaction @ (Reaction::Drop | Reaction::Hang | Reaction::Stall(_))) => return Err(reaction),
            Some(Reaction::Together(ref barrier)) => drop(barrier.wait()),
            _ => {}
        }
        let usual = self.refused(request, &kind).unwrap_or_else(|| self.answer(request, &kind));
        match reaction {
            Some(Reaction::Store(response)) => Ok(response),
            _ => Ok(usual),
        }
    }

    fn refused(&self, request: &Request, kind: &str) -> Option<Response> {
        let host = request.header("host").unwrap_or_default();
        let (right, challenge) = match &self.habits.login {
            Login::Anybody => return None,
            Login::Password => (format!("Basic {PAIR}"), "Basic realm=\"test\"".to_owned()),
            Login::Token(_) => {
                let challenge = format!(r#"Bearer realm="http://{host}/token",service="test registry""#);
                (format!("Bearer {TOKEN}"), challenge)
            }
        };
        let is_free = kind.ends_with(" token") || kind.ends_with(" storage");
        let is_right = request.header("authorization") == Some(right);
        (!is_free && !is_right).then(|| Response::status(401).header("WWW-Authenticate", &challenge))
    }

    fn answer(&self, request: &Request, kind: &str) -> Response {
        let (path, query) = request.parts();
        let last = path.rsplit('/').next().unwrap().to_owned();
        let mut contents = self.contents.lock().unwrap();
        match kind {
            "GET v2" => Response::status(200),
            "GET token" => self.token(request),
            "POST upload" => {
                contents.uploads += 1;
                self.begun(request, contents.uploads)
            }
            "DELETE upload" => {
                contents.cancelled += 1;
                Response::status(204)
            }
            "PUT blob" | "PUT storage" => {
                let digest = Sha256::of(&request.body).to_string();
                let named = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
                if kind == "PUT blob" && named != Some(&digest.replace(':', "%3A")) {
                    return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
                }
                contents.blobs.insert(digest.clone(), request.body.clone());
                let path = path.split("/blobs/").next().unwrap();
                Response::status(201).header("Location", &format!("{path}/blobs/{digest}"))
            }
            "HEAD blob" | "GET blob" => self.blob(request, &mut contents, &last),
            "HEAD storage" => Response::status(403),
            "GET storage" => found(contents.blobs.get(&last), "application/octet-stream"),
            "PUT manifest" => self.put_manifest(request, &mut contents, &last),
            "HEAD manifest" | "GET manifest" => {
                if self.is_late(&mut contents, &last) {
                    return error(404, "MANIFEST_UNKNOWN", "manifest unknown");
                }
                match contents.manifests.get(&last) {
                    Some((kind, bytes)) => found(Some(bytes), kind),
                    None => error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
                }
            }
            "GET tags" => {
                let tags: Vec<_> = contents.manifests.keys().filter(|name| !name.starts_with("sha256:")).collect();
                Response::status(200).body(serde_json::json!({"name": "x", "tags": tags}).to_string())
            }
            "DELETE manifest" => {
                let digest = |bytes: &[u8]| Sha256::of(bytes).to_string();
                contents.manifests.retain(|_, (_, bytes)| digest(bytes) != last);
                Response::status(202)
            }
            "GET referrers" if self.habits.has_referrers => referrers(&contents, &last),
            _ => Response::status(404),
        }
    }

    fn token(&self, request: &Request) -> Response {
        let scope = "service=test+registry&scope=repository%3Ateam%2Fx-plugin-todo%3Apull%2Cpush";
        let is_right = request.header("authorization") == Some(format!("Basic {PAIR}")) && request.parts().1 == scope;
        match &self.habits.login {
            Login::Token(answer) if is_right => Response::status(200).body(answer.as_str()),
            _ => Response::status(401),
        }
    }

    fn begun(&self, request: &Request, number: usize) -> Response {
        let id = format!("u{number}?_state=a%2Bb");
        let host = request.header("host").unwrap_or_default();
        let path = format!("{}{id}", request.parts().0);
        let location = self.habits.location.replace("{host}", &host).replace("{path}", &path).replace("{id}", &id);
        let begun = Response::status(202);
        if location.is_empty() { begun } else { begun.header("Location", &location) }
    }

    fn blob(&self, request: &Request, contents: &mut Contents, digest: &str) -> Response {
        if self.is_late(contents, digest) {
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry");
        }
        match (&self.habits.storage, contents.blobs.get(digest)) {
            (Some(storage), Some(_)) => {
                Response::status(307).header("Location", &format!("http://{storage}/storage/{digest}?signature=s"))
            }
            (_, Some(bytes)) if request.header("range").is_some() => {
                Response::status(206).body(&bytes[..1]).header("Content-Range", &format!("bytes 0-0/{}", bytes.len()))
            }
            (_, bytes) => found(bytes, "application/octet-stream"),
        }
    }

    fn is_late(&self, contents: &mut Contents, name: &str) -> bool {
        if !contents.blobs.contains_key(name) && !contents.manifests.contains_key(name) {
            return false;
        }
        let looks = contents.looks.entry(name.to_owned()).or_default();
        *looks += 1;
        *looks <= self.habits.late
    }

    fn put_manifest(&self, request: &Request, contents: &mut Contents, reference: &str) -> Response {
        let digest = Sha256::of(&request.body).to_string();
        let manifest: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let kind = request.header("content-type").unwrap_or_default();
        for name in [reference, &digest] {
            contents.manifests.insert(name.to_owned(), (kind.clone(), request.body.clone()));
        }
        let path = request.parts().0.rsplit_once('/').unwrap().0;
        let stored = Response::status(201).header("Location", &format!("{path}/{digest}"));
        match manifest["subject"]["digest"].as_str() {
            Some(subject) if self.habits.has_referrers => stored.header("OCI-Subject", subject),
            _ => stored,
        }
    }
}

fn found(bytes: Option<&Vec<u8>>, media_type: &str) -> Response {
    match bytes {
        Some(bytes) => Response::status(200).header("Content-Type", media_type).body(bytes.as_slice()),
        None => error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}

/// The manifests with this subject.
fn referrers(contents: &Contents, subject: &str) -> Response {
    let is_of = |bytes: &[u8]| {
        let manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        manifest["subject"]["digest"] == subject
    };
    let entries: Vec<_> = contents
        .manifests
        .iter()
        .filter(|(name, (_, bytes))| name.starts_with("sha256:") && is_of(bytes))
        .map(|(digest, (kind, bytes))| serde_json::json!({"mediaType": kind, "digest": digest, "size": bytes.len()}))
        .collect();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    });
    Response::status(200).body(index.to_string())
}

/// An error as registries say it.
pub fn error(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    Response::status(status).header("Content-Type", "application/json").body(body.to_string())
}
