//! Debian's docker-registry, on a port of its own, for the length of a test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use factory::image::{PushOptions, Retries};
use tempfile::TempDir;

pub const USER: &str = "planted-user";
pub const PASSWORD: &str = "planted-hunter2";
/// `USER:PASSWORD` as it is sent and stored.
pub const PAIR: &str = "cGxhbnRlZC11c2VyOnBsYW50ZWQtaHVudGVyMg==";
/// bcrypt of [`PASSWORD`].
const HTPASSWD: &str = "planted-user:$2b$04$abcdefghijklmnopqrstuuZeexdCfRDU/Z8SgoIARmLxJkUifpZbe\n";

/// Impatient, so that a test that must fail does so soon.
pub fn options() -> PushOptions {
    let retries = Retries {
        attempts: 4,
        first_pause: std::time::Duration::from_millis(1),
        longest_pause: std::time::Duration::from_secs(300),
        stall: std::time::Duration::from_secs(20),
        ..Retries::default()
    };
    PushOptions { retries, ..PushOptions::default() }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The error's message, after a look that it is about the network and holds nothing secret.
pub fn network(error: &factory::Error) -> String {
    assert_eq!(error.exit_code(), 5, "{error:?}");
    for secret in [PASSWORD, PAIR] {
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    error.to_string()
}

pub struct Server {
    child: Child,
    pub dir: TempDir,
    /// `127.0.0.1:<port>`.
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Anybody may do anything.
    pub fn open() -> Self {
        Self::start(tempfile::tempdir().unwrap(), "", "")
    }

    /// Only [`USER`] may.
    pub fn with_password() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("htpasswd");
        fs::write(&file, HTPASSWD).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}", file.display());
        Self::start(dir, &auth, "")
    }

    /// With a certificate of a CA of its own: [`Server::ca`].
    pub fn with_tls() -> Self {
        let dir = tempfile::tempdir().unwrap();
        certificates(dir.path());
        let tls = format!(", tls: {{certificate: {0}/tls.crt, key: {0}/tls.key}}", dir.path().display());
        Self::start(dir, "", &tls)
    }

    fn start(dir: TempDir, auth: &str, tls: &str) -> Self {
        crate::needs(&["docker-registry"]);
        let config = dir.path().join("config.yml");
        let root = dir.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0', relativeurls: true, secret: s{tls}}}\n{auth}\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env_clear()
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`docker-registry` can be run");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split("listening on ").nth(1)?.to_owned();
            Some(rest.split(['"', ',', ' ']).next()?.to_owned())
        });
        // It would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, dir, address: address.expect("docker-registry says where it listens") }
    }

    pub fn ca(&self) -> String {
        self.dir.path().join("ca.crt").to_str().unwrap().to_owned()
    }

    /// The digest a tag names, from the registry's own files.
    pub fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        let file = format!("data/docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link");
        fs::read_to_string(self.dir.path().join(file)).ok()
    }

    /// Uploads that were begun and not ended.
    pub fn uploads(&self, repository: &str) -> usize {
        let folder = format!("data/docker/registry/v2/repositories/{repository}/_uploads");
        let Ok(uploads) = fs::read_dir(self.dir.path().join(folder)) else { return 0 };
        // An upload that was given up leaves some folders behind.
        uploads.filter(|upload| upload.as_ref().unwrap().path().join("startedat").exists()).count()
    }
}

/// The variables of a workspace that pushes to `address`, and nothing of this machine's.
pub fn variables(address: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [
        ("REGISTRY_URL", address),
        ("REGISTRY_NAMESPACE", "team"),
        ("HOME", "/nonexistent"),
        ("XDG_RUNTIME_DIR", "/nonexistent"),
        ("PATH", "/usr/bin:/bin"),
    ];
    base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn certificates(dir: &Path) {
    crate::needs(&["openssl"]);
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(dir).output().expect("`openssl` can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let ca = ["req", "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA"];
    openssl(&[&ca[..], &key, &["-addext", "keyUsage=critical,keyCertSign"]].concat());
    fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    openssl(&[&["req", "-new", "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=registry"], &key[..5]].concat());
    openssl(&[
        "x509",
        "-req",
        "-in",
        "tls.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "san",
        "-out",
        "tls.crt",
    ]);
}
