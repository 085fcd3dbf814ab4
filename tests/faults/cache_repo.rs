//! Finished builds from a registry's repository: what another machine built is not built again, and whatever the
//! repository says, nothing else than what is sealed or signed comes out.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use factory::build::cache_repo::keys::TrustedKeys;
use factory::build::cache_repo::{CacheRepo, CacheRepoMode, CacheRepoSettings};
use factory::image::{ImageName, OciRegistry};
use factory::lock::Sha256;
use harness::docker_registry::{PASSWORD, USER, block_on};
use harness::http::{self, Response};
use harness::oci_registry::{FakeRegistry, Habits, Login, Reaction};
use harness::program::{Outcome, Test, names, outputs};
use harness::workspace::scripted as workspace;
use serde_json::{Value, json};

pub const BUILD: [&str; 3] = ["build", "--output-dir", "out"];

/// A workspace of two plugins, resolved, and a repository that is empty.
pub struct Shared {
    pub test: Test,
    pub registry: FakeRegistry,
}

impl Shared {
    pub fn new() -> Self {
        let closure = "printf '__metadata:\n  version: 8\n' > dist-dynamic/yarn.lock\n";
        Self::of(&[("a", "frontend-plugin", ""), ("b", "backend-plugin", closure)], FakeRegistry::start())
    }

    pub fn of(plugins: &[(&str, &'static str, &str)], registry: FakeRegistry) -> Self {
        let plugins = plugins.iter().map(|(name, role, script)| ((*name).to_owned(), *role, (*script).to_owned()));
        let mut test = workspace(&plugins.collect::<Vec<_>>(), "");
        test.env("FACTORY_CACHE_REPO", format!("oci://{}/team/cache", registry.address));
        test.env("REGISTRY_INSECURE", "true");
        test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
        for name in ["own", "other"] {
            test.run(&["cache", "keygen", name]).success();
        }
        test.write("unsealed.lock", test.read("config/factory.lock"));
        Self { test, registry }
    }

    /// Builds, signs and stores them.
    pub fn stored(self) -> Self {
        self.run(&["--cache-mode", "read-write", "--cache-sign-key", "own"]).success();
        fs::rename(self.test.path("out"), self.test.path("first")).unwrap();
        self
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        self.test.run(&[&BUILD[..], args].concat())
    }

    /// On a machine that has nothing but the configuration and this program.
    pub fn elsewhere(&self, args: &[&str]) -> Outcome {
        let _ = fs::remove_dir_all(self.test.path("elsewhere"));
        let nothing = [
            ("PATH", "/nonexistent"),
            ("FACTORY_CACHE_DIR", "elsewhere"),
            ("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1"),
        ];
        self.test.run_with(&[&BUILD[..], args].concat(), &nothing)
    }

    /// The same with the tools, and without any finished build.
    pub fn again(&self, args: &[&str]) -> Outcome {
        let _ = fs::remove_dir_all(self.test.path("out"));
        for name in names(&self.test.path("cache/builds")) {
            fs::remove_dir_all(self.test.path("cache/builds").join(name)).unwrap();
        }
        self.run(args)
    }

    /// As before the first build.
    pub fn unseal(&self) {
        self.test.config("factory.lock", self.test.read("unsealed.lock"));
        let _ = fs::remove_dir_all(self.test.path("config/factory.lock.d/repo"));
    }

    pub fn tags(&self, kind: &str) -> Vec<String> {
        let contents = self.registry.contents();
        contents.manifests.keys().filter(|tag| tag.starts_with(kind)).cloned().collect()
    }

    /// The tag of the entry of a plugin.
    pub fn tag(&self, kind: &str, plugin: &str) -> String {
        let tags = self.tags(kind);
        tags.into_iter().find(|tag| self.entry(tag).2["record"]["name"] == format!("@x/{plugin}-dynamic")).unwrap()
    }

    /// Manifest, statement and facts under a tag.
    pub fn entry(&self, tag: &str) -> (Value, Value, Value) {
        let contents = self.registry.contents();
        let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
        let manifest = json(&contents.manifests[tag].1);
        let statement = json(&contents.blobs[manifest["config"]["digest"].as_str().unwrap()]);
        let facts = json(&contents.blobs[statement["facts"]["digest"].as_str().unwrap()]);
        (manifest, statement, facts)
    }

    /// Changes what lies under a tag, all digests as they have to be, and the signature as it was.
    pub fn forge(&self, tag: &str, change: impl FnOnce(&mut Value, &mut Value)) {
        let (mut manifest, mut statement, mut facts) = self.entry(tag);
        let before = facts.clone();
        change(&mut statement, &mut facts);
        if facts != before {
            statement["facts"] = self.blob(facts.to_string());
        }
        let said = self.blob(statement.to_string());
        for (key, value) in said.as_object().unwrap() {
            manifest["config"][key] = value.clone();
        }
        let mut contents = self.registry.contents();
        contents.manifests.get_mut(tag).unwrap().1 = manifest.to_string().into_bytes();
    }

    pub fn blob(&self, bytes: impl AsRef<[u8]>) -> Value {
        let (bytes, digest) = (bytes.as_ref(), Sha256::of(bytes.as_ref()).to_string());
        self.registry.contents().blobs.insert(digest.clone(), bytes.to_vec());
        json!({"digest": digest, "size": bytes.len()})
    }

    /// Other bytes under the digest of a blob.
    pub fn replace(&self, tag: &str, blob: &str, bytes: impl FnOnce(&[u8]) -> Vec<u8>) {
        let (_, statement, _) = self.entry(tag);
        let digest = statement[blob]["digest"].as_str().unwrap();
        let mut contents = self.registry.contents();
        let blob = contents.blobs.get_mut(digest).unwrap();
        *blob = bytes(blob);
    }
}

#[harness::test]
fn what_another_machine_built_is_laid_down_without_any_tool() {
    let shared = Shared::new().stored();
    assert_eq!((shared.tags("inputs-").len(), shared.tags("unsealed-").len()), (2, 2));
    let sealed = shared.test.read("config/factory.lock");
    let first = outputs(&shared.test.path("first"));
    let asked = shared.registry.count("GET manifest");
    let outcome = shared.elsewhere(&[]).success();
    assert!(outcome.stderr.contains("✓ repo plugins/a fetch from "), "{}", outcome.stderr);
    assert_eq!(shared.registry.count("GET manifest"), asked + 2, "one look-up for each");
    assert_eq!(outputs(&shared.test.path("out")), first);
    assert_eq!(shared.test.read("config/factory.lock"), sealed);
    // From the local cache now.
    let requests = shared.registry.requests().len();
    let offline = [("PATH", "/nonexistent"), ("FACTORY_CACHE_DIR", "elsewhere"), ("FACTORY_OFFLINE", "true")];
    shared.test.run_with(&BUILD, &offline).success();
    assert_eq!(shared.registry.requests().len(), requests);

    // A lock that is not sealed yet is sealed as by the build, if who built it is trusted.
    shared.unseal();
    let outcome = shared.elsewhere(&["--cache-trust", "own.pub"]).success();
    assert!(outcome.stderr.contains("fetch from "), "{}", outcome.stderr);
    assert_eq!((shared.test.read("config/factory.lock"), outputs(&shared.test.path("out"))), (sealed, first));
}

#[harness::test]
fn what_is_there_is_not_stored_again_and_readers_store_nothing() {
    let shared = Shared::new().stored();
    let writes = || ["POST upload", "PUT blob", "PUT manifest"].map(|kind| shared.registry.count(kind));
    let before = writes();
    assert_eq!(before[2], 6, "two builds under two tags each, and a claim on each of the builds");
    let outcome = shared.again(&["--rebuild", "--cache-mode", "read-write", "--cache-sign-key", "own"]).success();
    assert!(outcome.stderr.contains("store builds in ") && outcome.stderr.contains(" 0 builds"), "{}", outcome.stderr);
    shared.again(&["--rebuild"]).success();
    assert_eq!(writes(), before);
    // One that stores only looks whether it is there.
    let fetched = shared.registry.count("GET blob");
    shared.registry.contents().manifests.clear();
    shared.again(&["--cache-mode", "write"]).success();
    assert_eq!(shared.registry.count("GET blob"), fetched);
    assert_eq!((shared.tags("inputs-").len(), shared.tags("unsealed-").len()), (2, 0), "nobody signed");
}

/// Warnings, and notes about the repository.
pub fn said(outcome: &Outcome, shared: &Shared) -> Vec<String> {
    let lines = outcome.stderr.lines().filter(|line| line.starts_with("warning: ") || line.contains(" is ignored"));
    lines.map(|line| line.replace(&shared.registry.address, "HOST")).collect()
}

/// A tar of one file at a path that leads out, compressed.
fn hostile_archive() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    let path = b"package/../../../../planted";
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path);
    header.set_cksum();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    tar.append(&header, &b"evil"[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

/// What a repository that lies has in place of an entry, and why that is refused where the lock is sealed.
/// A name, what is done to the entry under a tag, and what is said of it.
type Lie = (&'static str, fn(&Shared, &str), &'static str);

const LIES: [Lie; 11] = [
    ("other bytes", |it, tag| it.replace(tag, "archive", |bytes| vec![0; bytes.len()]), "and called it sha256:"),
    ("truncated", |it, tag| it.replace(tag, "layer", |bytes| bytes[1..].to_vec()), "the registry sent "),
    (
        "more than it says",
        |it, tag| it.replace(tag, "facts", |bytes| [bytes, &[32; 1 << 20]].concat()),
        "the registry sent more than ",
    ),
    (
        "another entry",
        |it, tag| {
            let other = it.tag("inputs-", "honest");
            let mut contents = it.registry.contents();
            let other = contents.manifests[&other].clone();
            contents.manifests.insert(tag.to_owned(), other);
        },
        "it was built from other inputs",
    ),
    (
        "another archive",
        |it, tag| {
            let archive = it.blob(hostile_archive());
            it.forge(tag, |statement, _| statement["archive"] = archive);
        },
        "its archive is another one",
    ),
    (
        "another package",
        |it, tag| {
            let bytes = hostile_archive();
            let archive = it.blob(&bytes);
            it.forge(tag, |statement, facts| {
                statement["archive"] = archive;
                let integrity = factory::lock::Integrity::of(&bytes).to_string();
                facts["record"]["packed"]["tgz"] = integrity.clone().into();
                statement["seal"]["tgz"] = integrity.into();
            });
        },
        "it is not what the lock has sealed",
    ),
    (
        "10 GB",
        |it, tag| it.forge(tag, |statement, _| statement["layer"]["size"] = 10_000_000_000_u64.into()),
        "layer has 10000000000 bytes, and 2 GiB is the limit",
    ),
    (
        "a path as version",
        |it, tag| it.forge(tag, |_, facts| facts["record"]["version"] = "1/../../x".into()),
        "has the version",
    ),
    (
        "another configuration",
        |it, tag| it.forge(tag, |_, facts| facts["record"]["config"] = "evil: true".into()),
        "its configuration for RHDH is not what the lock has sealed",
    ),
    (
        "no manifest",
        |it, tag| it.registry.contents().manifests.get_mut(tag).unwrap().1 = b"{".to_vec(),
        "its manifest cannot be read",
    ),
    (
        "no configuration",
        |it, tag| it.forge(tag, |_, facts| facts["record"]["config"] = Value::Null),
        "it is not what the lock has sealed",
    ),
];

#[harness::test]
fn a_repository_that_lies_is_refused_where_the_lock_is_sealed() {
    let names: Vec<String> = (0..LIES.len()).map(|number| format!("p{number}")).chain(["honest".to_owned()]).collect();
    let plugin = |name: &'_ str| match name {
        "p10" | "honest" => "printf 'own: config\n' > app-config.yaml\n",
        _ => "",
    };
    let plugins: Vec<_> = names.iter().map(|name| (name.as_str(), "frontend-plugin", plugin(name))).collect();
    let shared = Shared::of(&plugins, FakeRegistry::start()).stored();
    let first = outputs(&shared.test.path("first"));
    let tags: Vec<String> = names.iter().map(|name| shared.tag("inputs-", name)).collect();
    for ((_, lie, _), tag) in LIES.iter().zip(&tags) {
        lie(&shared, tag);
    }
    // The signatures that they have are of what was there before.
    let outcome = shared.again(&["--cache-trust", "own.pub"]).success();
    let lines = said(&outcome, &shared);
    assert_eq!(lines.len(), LIES.len(), "{lines:?}");
    for (number, (name, _, why)) in LIES.iter().enumerate() {
        let refused =
            format!("warning: `HOST/team/cache:{}` is refused, and `plugins/p{number}` is built: ", tags[number]);
        let line = lines.iter().find(|line| line.starts_with(&refused));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {lines:?}");
    }
    assert!(outcome.stderr.contains("✓ repo plugins/honest fetch from "), "{}", outcome.stderr);
    assert_eq!(outputs(&shared.test.path("out")), first);
    assert!(!shared.test.path("planted").exists());
    // Who stores puts the right ones in their place: those that a registry, which checks digests, can have.
    shared.again(&["--cache-mode", "read-write"]).success();
    let outcome =
        shared.elsewhere(&["-p", "plugins/p3", "-p", "plugins/p6", "-p", "plugins/p9", "-p", "plugins/p10"]).success();
    assert!(said(&outcome, &shared).is_empty(), "{}", outcome.stderr);
}

#[harness::test]
fn what_is_not_sealed_is_taken_from_trusted_signers_alone() {
    let shared = Shared::new().stored();
    let (sealed, first) = (shared.test.read("config/factory.lock"), outputs(&shared.test.path("first")));
    let again = |args: &[&str]| {
        shared.unseal();
        let outcome = shared.again(args).success();
        assert!(outcome.stderr.contains("✓ repo plugins/a export: "), "{}", outcome.stderr);
        assert_eq!(
            (shared.test.read("config/factory.lock"), outputs(&shared.test.path("out"))),
            (sealed.clone(), first.clone())
        );
        outcome
    };
    // Nobody is trusted: nothing is asked.
    let asked = shared.registry.requests().len();
    let outcome = again(&[]);
    let note = format!(
        "cache repository `{}/team/cache`: plugins that the lock has not sealed are not taken from it without \
         `--cache-trust`\n",
        shared.registry.address
    );
    assert_eq!(outcome.stderr.matches(&note).count(), 1, "{}", outcome.stderr);
    assert_eq!(shared.registry.requests().len(), asked);

    // Another signer; and the signature of another entry.
    let (a, b) = (shared.tag("unsealed-", "a"), shared.tag("unsealed-", "b"));
    let ignored = |tag: &str| format!("`HOST/team/cache:{tag}` is ignored: no key of `--cache-trust` has signed it");
    let mut lines = said(&again(&["--cache-trust", "other.pub"]), &shared);
    lines.sort();
    let mut both = [ignored(&a), ignored(&b)];
    both.sort();
    assert_eq!(lines, both);
    let manifest = {
        let mut contents = shared.registry.contents();
        let other = contents.manifests[&b].clone();
        contents.manifests.insert(a.clone(), other).unwrap()
    };
    let refused =
        format!("warning: `HOST/team/cache:{a}` is refused, and `plugins/a` is built: it was built from other inputs");
    assert_eq!(said(&again(&["--cache-trust", "own.pub"]), &shared), [refused]);
    // One whose facts were changed after they were signed.
    shared.registry.contents().manifests.insert(a.clone(), manifest);
    shared.forge(&a, |_, facts| facts["record"]["config"] = "evil: true".into());
    assert_eq!(said(&again(&["--cache-trust", "own.pub,other.pub"]), &shared), [ignored(&a)]);
}

#[harness::test]
fn what_is_signed_with_a_key_of_yesterday_is_replaced_by_those_who_store() {
    let shared = Shared::new().stored();
    let sealed = shared.test.read("config/factory.lock");
    let signer = ["--cache-trust", "other.pub", "--cache-mode", "read-write", "--cache-sign-key", "other"];
    shared.unseal();
    let outcome = shared.again(&signer).success();
    assert_eq!(outcome.stderr.matches(" is ignored: no key of `--cache-trust` has signed it").count(), 2);
    // Without tools nothing can be built.
    shared.unseal();
    shared.elsewhere(&["--cache-trust", "other.pub"]).success();
    assert_eq!(shared.test.read("config/factory.lock"), sealed);
}

#[harness::test]
fn a_repository_that_does_not_answer_is_given_up_and_fails_no_build() {
    let habits = Habits { login: Login::Password, ..Habits::default() };
    let shared = Shared::of(&[("a", "frontend-plugin", ""), ("b", "frontend-plugin", "")], FakeRegistry::with(habits));
    let login = [("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)];
    let store = ["--cache-mode", "read-write", "--cache-sign-key", "own"];
    let built = shared.test.run_with(&[&BUILD[..], &store].concat(), &login).success();
    assert!(built.stderr.contains(": 2 builds "), "{}", built.stderr);
    let first = outputs(&shared.test.path("out"));
    let given_up = |outcome: &Outcome, why: &str| {
        let all = said(outcome, &shared);
        let cannot = "warning: the cache repository `HOST/team/cache` cannot be ";
        assert!(all.len() == 1 && all[0].starts_with(cannot) && all[0].contains(why), "{all:?}");
        assert!(outcome.stderr.contains("✓ repo plugins/b export: "), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains(PASSWORD), "{}", outcome.stderr);
        assert_eq!(outputs(&shared.test.path("out")), first);
    };
    let again = |variables: &[(&str, &str)], args: &[&str]| {
        let _ = fs::remove_dir_all(shared.test.path("cache/builds"));
        shared.test.run_with(&[&BUILD[..], &["--cache-timeout", "1"], args].concat(), variables).success()
    };
    // Nobody, and then what a registry may answer for ever.
    given_up(&again(&[], &[]), "the registry answered 401");
    for reaction in [Reaction::Hang, Reaction::Drop, Reaction::Say(Response::status(500))] {
        shared.registry.on("GET manifest", 99, reaction.clone());
        given_up(&again(&login, &[]), "");
        shared.registry.forget();
    }
    shared.registry.on("GET blob", 99, Reaction::Stall(Response::status(200).body("xx")));
    given_up(&again(&login, &[]), "cannot be read, and is not used");
    shared.registry.forget();
    // What cannot be stored.
    shared.registry.contents().manifests.clear();
    shared.registry.say("PUT manifest", 99, 403);
    given_up(
        &again(&login, &["--cache-mode", "write"]),
        "cannot be written to, and is not used: the registry answered 403",
    );
}

#[harness::test]
fn entries_are_counted_and_removed_where_the_registry_lets_them() {
    let shared = Shared::new().stored();
    let repository = format!("oci://{}/team/cache", shared.registry.address);
    shared.registry.contents().manifests.insert("1.0.0".to_owned(), (String::new(), b"{}".to_vec()));
    let cache = |args: &[&str]| shared.test.run(&[&["cache"], args, &["--cache-repo", &repository]].concat());
    let size = cache(&["size"]).success().stdout;
    assert_eq!(size, format!("builds      2     0.0 MB  {}/team/cache\n", shared.registry.address));
    assert_eq!(cache(&["prune", "--older-than", "1"]).success().stderr, "removed 0 entries, 0.0 MB\n");
    cache(&["prune"]).fails(
        2,
        "error: a cache repository is everybody's, and is pruned with `--older-than` or `--max-size` alone\n\n\
         hint: `--older-than 30` keeps what was stored within 30 days; `--older-than 0` removes all builds",
    );
    shared.registry.say("DELETE manifest", 1, 405);
    cache(&["prune", "--older-than", "0"]).fails(
        5,
        &format!(
            "error: entries of `{}/team/cache` cannot be removed: the registry answered 405 Method Not Allowed\n\n\
             hint: the registry removes nothing on request: have it do so (docker-registry: \
             `REGISTRY_STORAGE_DELETE_ENABLED=true`), or let its own rules of retention remove what is old",
            shared.registry.address
        ),
    );
    assert_eq!(cache(&["prune", "--older-than", "0"]).success().stderr, "removed 2 entries, 0.0 MB\n");
    assert_eq!(shared.registry.contents().manifests.keys().collect::<Vec<_>>(), ["1.0.0"]);
    assert_eq!(cache(&["prune", "--older-than", "0"]).success().stderr, "removed 0 entries, 0.0 MB\n");
}

#[harness::test]
fn a_key_or_an_address_that_is_wrong_is_said_before_anything_is_built() {
    let shared = Shared::new();
    let private = shared.test.read("own");
    let secret = private.lines().nth(1).unwrap();
    let hint = "a key is ed25519 or ECDSA P-256, in PEM: `factory cache keygen` writes a pair";
    let fails = |args: &[&str], code: i32, what: &str| {
        let outcome = shared.run(args);
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
        outcome.fails(code, what);
    };
    fails(
        &["--cache-trust", "own"],
        2,
        &format!(
            "error: own: has something else than public keys of a known kind (`-----BEGIN PUBLIC KEY-----`)\n\nhint: {hint}"
        ),
    );
    let key = [("FACTORY_CACHE_SIGN_KEY", private.as_str()), ("FACTORY_CACHE_MODE", "write")];
    let outcome = shared.test.run_with(&BUILD, &key);
    assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
    outcome.fails(
        2,
        "error: `--cache-sign-key` is a key itself, which is not shown here\n\n\
         hint: write it to a file that only you can read, and name that file",
    );
    for wrong in [
        "oci://127.0.0.1/cache",
        "https://127.0.0.1/team/cache",
        "oci://127.0.0.1/team/cache:1",
        "oci://127.0.0.1/Team/cache",
    ] {
        fails(
            &["--cache-repo", wrong],
            2,
            &format!(
                "error: `--cache-repo` is `{wrong}`, which names no repository\n\nhint: give host, namespace and name, such as `oci://quay.io/my-organisation/factory-cache`"
            ),
        );
    }
    fails(
        &["--cache-repo", "oci://u:hunter2@127.0.0.1/team/cache"],
        2,
        "error: `--cache-repo` is `…`, which names no repository\n\nhint: give host, namespace and name, such as `oci://quay.io/my-organisation/factory-cache`",
    );
    assert_eq!(
        shared.test.run(&["cache", "keygen", "own"]).exits(2).stderr,
        "error: `own` is there already\n\nhint: keys are not replaced: name another file, or remove that one\n"
    );
    assert_eq!(shared.registry.requests().len(), 0);
}

#[harness::test]
fn whoever_does_not_wait_for_what_is_stored_has_everything_else() {
    let shared = Shared::new();
    shared.registry.on("POST upload", 99, Reaction::Hang);
    let mut command = shared.test.command(&[&BUILD[..], &["--cache-mode", "write"]].concat());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("· cache store builds in ")));
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(shared.test.read("config/factory.lock").matches("[workspace.plugin.sealed]").count(), 2);
    for name in ["build-report.json", "dynamic-plugins.yaml"] {
        assert!(shared.test.path("out").join(name).is_file(), "{name}");
    }
    assert!(shared.tags("").is_empty());
}

/// A registry in which nothing is, which answers when so many have asked as are let to ask at once.
fn answering_together(at_once: usize) -> (String, Arc<AtomicUsize>) {
    let (asked, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(at_once)));
    let count = Arc::clone(&asked);
    let address = http::listen(move |stream| {
        let mut reader = BufReader::new(stream);
        let Some(request) = http::Request::read(&mut reader) else { return };
        let is_there = request.target == "/v2/";
        if !is_there {
            count.fetch_add(1, Ordering::SeqCst);
            together.wait();
        }
        let _ = reader.get_mut().write_all(&Response::status(if is_there { 200 } else { 404 }).bytes(&request.method));
    });
    (address, asked)
}

#[harness::test]
fn many_plugins_are_asked_for_once_each_and_sixteen_at_once() {
    let (address, asked) = answering_together(16);
    let variables = [("REGISTRY_URL", address.as_str()), ("REGISTRY_NAMESPACE", "team"), ("REGISTRY_INSECURE", "true")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = CacheRepoSettings {
        registry: OciRegistry::from_variables(&variables).unwrap(),
        name: ImageName::of_package("cache").unwrap(),
        mode: CacheRepoMode::Read,
        trusted: TrustedKeys::default(),
        patience: Duration::from_secs(60),
    };
    let repo = CacheRepo::new(settings, None);
    let wanted: Vec<Sha256> = (0..656).map(|number| Sha256::of(number.to_string())).collect();
    let (found, failure) = block_on(repo.having(wanted.iter().map(|inputs| (*inputs, None))));
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!((found.len(), asked.load(Ordering::SeqCst)), (0, wanted.len()));
}
