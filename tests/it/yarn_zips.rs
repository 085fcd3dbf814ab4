//! The packages of yarn 2 and later that factory fetches ahead of it: which, and what is left to yarn.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use factory::Error;
use factory::build::packages::PackageCache;
use factory::build::packages::berry::{self, LockedPackage};
use factory::build::packages::yarn_settings::YarnSettings;
use factory::build::packages::zips::FetchedZips;
use factory::interrupt::Interrupt;
use factory::npm::registry::NpmRegistry;
use factory::npm::settings::{NpmSettings, NpmSurroundings};
use factory::store::Store;
use factory::yarn::lockfile::YarnLock;
use factory::yarn::package_zip::{self, ZipCompression};
use harness::http::{Request, Response, listen};
use harness::npm_registry::{Registry, npm_package};
use harness::program::names;
use harness::repository::Repository;
use harness::workspace::{SCRIPT, scripted};
use sha2::{Digest as _, Sha512};

/// The entry of a lockfile for a package whose zip is the one of this tarball.
fn entry(name: &str, tarball: &[u8]) -> String {
    let checksum = hex::encode(Sha512::digest(package_zip::of_tarball(tarball, name, ZipCompression::Stored).unwrap()));
    format!(
        "\n\"{name}@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"{name}@npm:1.0.0\"\n  checksum: 10c0/{checksum}\n  \
         languageName: node\n  linkType: hard\n"
    )
}

#[harness::test]
fn what_has_the_lockfiles_checksum_is_there_before_yarn_starts() {
    let package = |text: &str| npm_package(&[("package.json", 0o644, "{}"), ("index.js", 0o644, text)]);
    let (a, b, c) = (package("a"), package("b"), package("c"));
    let packages = [("@s/a", "1.0.0", a.clone()), ("b", "1.0.0", package("another b")), ("@own/c", "1.0.0", c.clone())];
    let registry = Registry::of_scripts_and(&SCRIPT, &packages);
    let installed = "echo \"in the cache: $(cd \"$YARN_GLOBAL_FOLDER/cache\" && echo *)\"\n";
    let plugins = [("p".to_owned(), "frontend-plugin", String::new())];
    let mut test = scripted(&plugins, installed);
    let repo = Repository { dir: test.path("repo") };
    let lockfile = test.read("repo/yarn.lock") + &entry("@s/a", &a) + &entry("b", &b) + &entry("@own/c", &c);
    let settings = "nodeLinker: node-modules\nnpmScopes:\n  own:\n    npmRegistryServer: https://r.invalid\n";
    repo.write("yarn.lock", lockfile).write(".yarnrc.yml", settings).commit("packages");
    test.env("NPM_CONFIG_REGISTRY", &registry.url);
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();

    let said = test.run(&["build", "--timings=json"]).success().stderr;
    assert!(said.contains("✓ repo fetch packages: 1 package, 1 left to yarn "), "{said}");
    let log = test.read("outputs/logs/workspace.log");
    let zip = "@s-a-npm-1.0.0-f7948fcfc6-10c0.zip";
    assert!(log.lines().any(|line| line.ends_with(&format!("in the cache: {zip}"))), "{log}");
    assert!(test.read("outputs/build-report.json").contains("\"fetch packages\": "));
    // Other builds have it as well, and ask for nothing that is there.
    assert_eq!(names(&test.path("cache/yarn/cache")), [zip]);
    let asked = |name: &str| registry.asked().iter().filter(|path| path.ends_with(name)).count();
    test.run(&["build", "--rebuild"]).success();
    assert_eq!(["/a-1.0.0.tgz", "/c-1.0.0.tgz"].map(asked), [1, 0]);
}

/// That many packages of a lockfile.
fn many(count: usize) -> Vec<LockedPackage> {
    let entries: String = (0..count).map(|number| entry(&format!("p{number}"), &npm_package(&[]))).collect();
    let text = format!("__metadata:\n  version: 8\n  cacheKey: 10c0\n{entries}");
    berry::of_lock(&YarnLock::parse(text.as_bytes(), Path::new("yarn.lock")).unwrap())
}

/// What fetching these comes to where a registry answers so; the interrupt is for the answer.
fn fetched(
    packages: &[LockedPackage],
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    interrupt: &Interrupt,
) -> Result<FetchedZips, Error> {
    static GO: AtomicBool = AtomicBool::new(false);
    let host = listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        let _ = stream.write_all(&answer(&request).bytes(&request.method));
    });
    let variables = [("npm_config_registry".to_owned(), format!("http://{host}/"))].into();
    let surroundings = NpmSurroundings { variables, folder: "/".into(), config_dir: None };
    let registry = NpmRegistry::new(NpmSettings::read(&surroundings), interrupt).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("cache")).unwrap();
    let cache = PackageCache::new(&store, &dir.path().join("own"), "https://a", &GO).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(cache.fetch(&registry, packages, &YarnSettings::default()))
}

#[harness::test]
fn a_registry_that_refuses_is_not_asked_for_every_package() {
    let packages = many(200);
    for (status, most) in [(401, 32), (404, 200)] {
        let count = Arc::new(Mutex::new(0));
        let counted = count.clone();
        let answer = move |_: &Request| {
            *counted.lock().unwrap() += 1;
            Response::status(status)
        };
        let none = FetchedZips { fetched: 0, left: 200 };
        assert_eq!(fetched(&packages, answer, &Interrupt::default()).unwrap(), none);
        let count = *count.lock().unwrap();
        assert!(count <= most && (status != 404 || count == 200), "{status}: {count}");
    }
}

#[harness::test]
fn an_interrupt_is_not_left_to_yarn() {
    let (interrupter, interrupt) = Interrupt::new();
    let answer = move |_: &Request| {
        interrupter.press();
        Response::status(200).body(npm_package(&[("index.js", 0o644, "")]))
    };
    assert!(matches!(fetched(&many(40), answer, &interrupt), Err(Error::Interrupted)));
}
