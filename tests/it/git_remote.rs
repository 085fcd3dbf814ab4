//! Sources elsewhere: http, https, ssh, the cache, two processes, and what goes wrong on the way.
//!
//! What depends on the environment runs in a child process: this very test binary, told by variables what to do.

use harness::repository;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use factory::resolve::refs;
use factory::store::Store;
use factory::store::git::{GitProgram, Network, Refusals, SourceUrl};

use harness::git_server::{Behaviour, Fault, Server};
use harness::repository::Repository;

static GO: AtomicBool = AtomicBool::new(false);

pub(super) fn quick() -> Network {
    Network { pause: Duration::from_millis(1), ..Network::default() }
}

/// A folder with the repository `r` (two commits, a tag), and room for caches and a home.
pub(super) struct Fixture {
    pub(super) root: tempfile::TempDir,
    pub(super) first: String,
    pub(super) second: String,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        let repository = Repository::init(&root.path().join("r"));
        let first = repository.write("a", "one").write("dir/b", "b".repeat(10_000)).commit("first");
        repository.git(&["tag", "-a", "v1", "-m", "v1"]);
        let second = repository.write("a", "two").commit("second");
        Self { root, first, second }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn serve(&self, behaviour: Behaviour) -> Server {
        Server::start(self.root.path(), behaviour)
    }

    /// Resolves and fetches in a child process with an environment of its own.
    pub(super) fn child(&self, url: &str, requested: &str) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.path("home"));
        command.env("CHILD_URL", url).env("CHILD_REF", requested).env("CHILD_CACHE", self.path("cache"));
        Child(command)
    }
}

pub(super) struct Child(pub(super) Command);

impl Child {
    pub(super) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    #[track_caller]
    fn said(output: &Output) -> String {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let said = stdout.lines().find_map(|line| line.split_once("@@").map(|(_, said)| said.to_owned()));
        said.unwrap_or_else(|| panic!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What it said, and that no secret is in anything it wrote.
    #[track_caller]
    pub(super) fn run(self) -> String {
        self.run_noted().0
    }

    /// The same, and the lines about the `git` program.
    #[track_caller]
    pub(super) fn run_noted(mut self) -> (String, Vec<String>) {
        let output = self.0.output().unwrap();
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains("s3cret"), "{text}");
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let notes =
            stderr.lines().filter(|line| line.starts_with("using the `git` program")).map(str::to_owned).collect();
        (Self::said(&output), notes)
    }
}

/// The other process of those tests that need one: its environment says what it does.
#[allow(clippy::print_stdout, reason = "read by the parent")]
pub fn child(url: &str) {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::stderr).init();
    let git_program = match std::env::var("CHILD_PROGRAM").as_deref() {
        Ok("1") => GitProgram::Always,
        Ok("never") => GitProgram::Never,
        _ => GitProgram::WhenRefused,
    };
    let ui = std::sync::Arc::new(factory::ui::Ui::new(factory::ui::LogLevel::Info));
    let mut network = Network { git_program, refusals: Refusals::told_to(&ui), ..quick() };
    if let Ok(bytes) = std::env::var("CHILD_ANSWER") {
        network.limits.answer = bytes.parse().unwrap();
    }
    let run = || -> factory::Result<String> {
        let store = Store::open(std::env::var_os("CHILD_CACHE").unwrap())?;
        let url = SourceUrl::parse(url, Path::new("/"))?;
        let requested = std::env::var("CHILD_REF").unwrap();
        let commit = refs::resolve(&store, &url, &requested, &network, &GO)?.commit;
        let tree = store.repository(&url, &GO)?.fetch(&commit, &network, &GO)?;
        Ok(format!("{commit} {}", String::from_utf8(tree.read("a")?.unwrap()).unwrap()))
    };
    match run() {
        Ok(found) => println!("@@{found}"),
        Err(error) => println!("@@{} {error} | {}", error.exit_code(), error.hint().unwrap_or_default()),
    }
}

#[harness::test]
fn one_commit_over_http_without_its_history_and_then_from_the_cache() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour::default());
    let store = Store::open(fixture.path("cache")).unwrap();
    let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
    let resolved = |requested: &str| refs::resolve(&store, &url, requested, &quick(), &GO);
    assert_eq!(resolved("").unwrap().commit, fixture.second);
    assert_eq!(resolved("v1").unwrap().commit, fixture.first);
    assert_eq!(resolved(&fixture.second[..8]).unwrap().commit, fixture.second);
    let unadvertised = resolved("0123456").unwrap_err();
    assert_eq!(
        unadvertised.to_string(),
        format!("no branch, tag or advertised commit of `{url}` is or begins with `0123456`")
    );
    assert_eq!(resolved("v1^{commit}").unwrap().commit, fixture.first);
    let error = resolved("main~1").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`main~1` of `{url}` cannot be found without its history, which is not fetched")
    );
    assert_eq!(error.hint().unwrap(), "write the commit itself: `git rev-parse main~1` prints it in a clone");
    let error = resolved("origin/main").unwrap_err();
    assert_eq!(error.hint().unwrap(), "write `main`: `origin/main` is what a clone calls it");
    let error = resolved("v2").unwrap_err();
    assert_eq!(error.hint().unwrap(), "the nearest it has: `v1`, `main`");

    let repository = store.repository(&url, &GO).unwrap();
    assert!(repository.tree(&fixture.second).unwrap().is_none());
    let tree = repository.fetch(&fixture.second, &quick(), &GO).unwrap();
    assert_eq!(tree.read("a").unwrap().unwrap(), b"two");
    assert_eq!(tree.epoch(), 1_763_000_000);
    assert_eq!(tree.work_tree(), None);
    let has_first = || {
        repository::git(&fixture.path("cache/git"))
            .args(["--git-dir"])
            .arg(git_dir(&fixture))
            .args(["cat-file", "-e", &fixture.first])
            .output()
            .unwrap()
    };
    assert!(!has_first().status.success(), "no history");
    assert_eq!(repository.fetch(&fixture.first, &quick(), &GO).unwrap().read("a").unwrap().unwrap(), b"one");
    assert!(has_first().status.success());

    server.log();
    drop(tree);
    repository.fetch(&fixture.second, &quick(), &GO).unwrap();
    let spelled_otherwise = SourceUrl::parse(&format!("{}.git/", server.url("r")), Path::new("/")).unwrap();
    store.repository(&spelled_otherwise, &GO).unwrap().fetch(&fixture.first, &quick(), &GO).unwrap();
    assert_eq!(server.log(), [""; 0], "nothing was asked again");
    let pack = git_dir(&fixture).join("objects/pack");
    let names: Vec<_> = fs::read_dir(pack).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.iter().filter(|path| path.extension().unwrap() == "pack").count(), 2);
    assert!(
        names.iter().all(|path| path.extension().unwrap() == "pack" || path.extension().unwrap() == "idx"),
        "{names:?}"
    );
}

/// The one bare repository in the cache.
fn git_dir(fixture: &Fixture) -> PathBuf {
    fs::read_dir(fixture.path("cache/git")).unwrap().next().unwrap().unwrap().path()
}

pub(super) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

#[harness::test]
fn credentials_of_the_url_and_of_an_extra_header_over_http() {
    let fixture = Fixture::new();
    let guarded = || Behaviour { authorization: Some(basic("me", "s3cret")), ..Behaviour::default() };
    let server = fixture.serve(guarded());
    let expected = format!("{} two", fixture.second);
    assert_eq!(fixture.child(&server.url_as("me:s3cret", "r"), "main").run(), expected);
    // What is in the cache needs no credentials; a listing does.
    let refused = format!(
        "5 cannot list the refs of `{0}`: it is private or does not exist, and no credentials were accepted | make `git \
         ls-remote {0}` work: by a credential helper, `.netrc`, `GIT_ASKPASS` or `http.extraHeader`; a lock never holds \
         credentials",
        server.url("r")
    );
    let (refused_once, _) = refused.split_once(" | ").unwrap();
    assert_eq!(fixture.child(&server.url("r"), "main").run(), refused);
    assert_eq!(fixture.child(&server.url_as("me:s3cretX", "r"), "main").run(), refused);
    let by_program = fixture.child(&server.url_as("me:s3cretX", "r"), "main").env("CHILD_PROGRAM", "1").run();
    assert!(by_program.starts_with(refused_once), "{by_program}");
    assert_eq!(fixture.child(&server.url("r"), &fixture.second).run(), expected);

    fs::remove_dir_all(fixture.path("cache")).unwrap();
    let with_header = fixture
        .child(&server.url("r"), "main")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "http.extraHeader")
        .env("GIT_CONFIG_VALUE_0", format!("Authorization: {}", basic("me", "s3cret")));
    assert_eq!(with_header.run(), expected);
}

pub(super) fn script(path: &Path, text: &str) {
    // By another process: a file that this one has open for writing cannot be run, and other tests fork meanwhile.
    let source = path.with_extension("source");
    fs::write(&source, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
    let copied = Command::new("cp").args([&source, path]).status().unwrap();
    assert!(copied.success());
}

#[harness::test]
fn https_with_a_private_authority_a_credential_helper_and_askpass() {
    let fixture = Fixture::new();
    let (tls, pem) = harness::certificate::of_server(fixture.root.path(), "IP:127.0.0.1");
    let server =
        fixture.serve(Behaviour { authorization: Some(basic("me", "s3cret")), tls: Some(tls), ..Behaviour::default() });
    let url = server.url("r");
    let expected = format!("{} two", fixture.second);

    let distrusted = fixture.child(&url, "main").run();
    assert!(
        distrusted.starts_with(&format!("5 cannot list the refs of `{url}`: its certificate is not trusted: "))
            && distrusted
                .ends_with("set `SSL_CERT_FILE` to a file with the certificate of the authority that signed it"),
        "{distrusted}"
    );
    let trusted = |url: &str| fixture.child(url, "main").env("SSL_CERT_FILE", &pem);
    let refused =
        format!("5 cannot list the refs of `{url}`: it is private or does not exist, and no credentials were accepted");
    assert!(trusted(&url).run().starts_with(&refused));

    let askpass = fixture.path("askpass");
    script(&askpass, "case \"$1\" in Username*) echo me;; *) echo s3cret;; esac");
    assert_eq!(trusted(&url).env("GIT_ASKPASS", &askpass).run(), expected);
    script(&askpass, "echo s3cretX");
    assert!(trusted(&server.url_as("me", "r")).env("GIT_ASKPASS", &askpass).run().starts_with(&refused));
    script(&askpass, "echo s3cret");
    assert_eq!(trusted(&server.url_as("me", "r")).env("GIT_ASKPASS", &askpass).run(), expected);
    assert_eq!(trusted(&server.url_as("me:s3cret", "r")).run(), expected);

    let helper = fixture.path("helper");
    let log = fixture.path("helper.log");
    script(&helper, &format!("echo $1 >> {}; cat > /dev/null; echo username=me; echo password=s3cret", log.display()));
    fs::write(fixture.path("home/.gitconfig"), format!("[credential]\n\thelper = {}\n", helper.display())).unwrap();
    fs::remove_dir_all(fixture.path("cache")).unwrap();
    assert_eq!(trusted(&url).run(), expected);
    assert_eq!(fs::read_to_string(&log).unwrap(), "get\nstore\nget\nstore\n");
}

/// What stands for `ssh`, on the machine itself; `-G` is asked whether it is one.
const SERVE: &str = "[ \"$1\" = -G ] && exit 0
for last; do :; done
case \"$last\" in git-upload-pack*) eval \"exec $last\";; *) eval \"exec git-upload-pack $last\";; esac";

#[harness::test]
fn ssh_through_the_ssh_program() {
    let fixture = Fixture::new();
    let ssh = fixture.path("fake-ssh");
    let url = format!("git@host.invalid:{}", fixture.path("r").display());
    let expected = format!("{} two", fixture.second);
    script(&ssh, SERVE);
    let over = |url: &str| fixture.child(url, "main").env("GIT_SSH_COMMAND", &ssh);
    assert_eq!(over(&url).run(), expected);
    assert_eq!(over(&url).env("CHILD_PROGRAM", "1").run(), expected);
    assert_eq!(over(&format!("ssh://git@host.invalid:22{}", fixture.path("r").display())).run(), expected);

    script(&ssh, "echo 'git@host.invalid: Permission denied (publickey).' >&2; exit 255");
    let denied = format!(
        "5 cannot list the refs of `{url}`: it is private or does not exist, and no credentials were accepted | add the key to \
         the ssh agent (`ssh-add`) and check `ssh -T` to that host; nothing is asked on the terminal"
    );
    assert_eq!(over(&url).run(), denied);
    assert_eq!(over(&url).env("CHILD_PROGRAM", "1").run(), denied);
    // What it says after its answer has ended reaches gix too late, as on a busy machine: then `git` is asked.
    let late = "exec >&-; cat > /dev/null; echo 'git@host.invalid: Permission denied (publickey).' >&2; exit 255";
    script(&ssh, &format!("[ \"$1\" = -G ] && exit 0\n{late}"));
    assert_eq!(over(&url).run(), denied);
    for (said, understood) in [
        ("ERROR: Repository not found.", "there is no such repository"),
        ("Host key verification failed.", "ssh does not know the host's key"),
        ("kex_exchange_identification: read: no", "kex_exchange_identification: read: no"),
    ] {
        script(&ssh, &format!("echo '{said}' >&2; exit 255"));
        for ended in [over(&url).run(), over(&url).env("CHILD_PROGRAM", "1").run()] {
            assert!(ended.starts_with(&format!("5 cannot list the refs of `{url}`: {understood} | ")), "{ended}");
        }
    }
    script(&ssh, "echo 'ssh: connect to host host.invalid port 22: Connection refused' >&2; exit 255");
    for unreachable in [over(&url).run(), over(&url).env("CHILD_PROGRAM", "1").run()] {
        assert!(unreachable.contains("Connection refused"), "{unreachable}");
    }
}

#[harness::test]
fn what_comes_through_the_ssh_program_has_a_limit() {
    let fixture = Fixture::new();
    let ssh = fixture.path("fake-ssh");
    let url = format!("git@host.invalid:{}", fixture.path("r").display());
    let refused =
        format!("5 cannot list the refs of `{url}`: the server's answer has more than 100 bytes, the limit | ");
    // The second speaks the first protocol, in which the refs are part of the greeting.
    for version in ["", "unset GIT_PROTOCOL\n"] {
        script(&ssh, &format!("{version}{SERVE}"));
        for program in ["never", "1"] {
            let child = fixture.child(&url, "main").env("GIT_SSH_COMMAND", &ssh).env("CHILD_PROGRAM", program);
            let said = child.env("CHILD_ANSWER", "100").run();
            assert!(said.starts_with(&refused), "{program}: {said}");
        }
        let child = fixture.child(&url, "main").env("GIT_SSH_COMMAND", &ssh).env("CHILD_PROGRAM", "never");
        assert_eq!(child.env("CHILD_ANSWER", "1000").run(), format!("{} two", fixture.second));
    }
}

#[harness::test]
fn ssh_asks_nothing_on_the_terminal() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("bin")).unwrap();
    let log = fixture.path("log");
    script(&fixture.path("bin/ssh"), &format!("echo \"$@\" >> {}; exit 255", log.display()));
    let path = format!("{}:{}", fixture.path("bin").display(), std::env::var("PATH").unwrap());
    for program in [None, Some("1")] {
        let mut child = fixture.child("git@host.invalid:r", "main").env("PATH", &path);
        if let Some(program) = program {
            child = child.env("CHILD_PROGRAM", program);
        }
        assert!(child.run().starts_with("5 cannot list the refs of `git@host.invalid:r`: "));
        let args = fs::read_to_string(&log).unwrap();
        assert!(
            args.lines().all(|line| line.contains("-oBatchMode=yes")) && args.contains("git@host.invalid"),
            "{args}"
        );
        fs::remove_file(&log).unwrap();
    }
}

#[harness::test]
fn a_server_of_the_first_protocol() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour { old: true, ..Behaviour::default() });
    let store = Store::open(fixture.path("cache")).unwrap();
    let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
    let resolved = |requested: &str| refs::resolve(&store, &url, requested, &quick(), &GO).unwrap();
    assert_eq!(resolved("").name.as_deref(), Some("refs/heads/main"));
    assert_eq!(resolved("v1").commit, fixture.first);
    let repository = store.repository(&url, &GO).unwrap();
    assert_eq!(repository.fetch(&fixture.second, &quick(), &GO).unwrap().read("a").unwrap().unwrap(), b"two");
    assert_eq!(repository.fetch(&fixture.first, &quick(), &GO).unwrap().read("a").unwrap().unwrap(), b"one");

    let made = repository::git(&fixture.path("r")).args(["commit-tree", "HEAD^{tree}", "-m", "x"]).output().unwrap();
    let unreachable = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let error = repository.fetch(&unreachable, &quick(), &GO).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot fetch commit `{unreachable}` from `{url}`: the server has no such commit, or does not serve it"
        )
    );
}

#[harness::test]
fn a_proxy_and_insteadof() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour::default());
    let expected = format!("{} two", fixture.second);
    let proxied = fixture.child("http://git.invalid/r", "main").env("http_proxy", format!("http://{}", server.host()));
    assert_eq!(proxied.run(), expected);
    let config = format!("[url \"http://{}/\"]\n\tinsteadOf = https://other.invalid/\n", server.host());
    fs::write(fixture.path("home/.gitconfig"), config).unwrap();
    assert_eq!(fixture.child("https://other.invalid/r", "main").run(), expected);
}

#[harness::test]
fn what_may_go_away_is_tried_again_and_what_stays_is_not() {
    let fixture = Fixture::new();
    let outcome = |faults: Vec<Option<Fault>>, requested: &str| {
        let server = fixture.serve(Behaviour { faults, ..Behaviour::default() });
        let store = Store::open(fixture.path("cache")).unwrap();
        let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
        let network = Network { git_program: GitProgram::Never, ..quick() };
        let fetched = refs::resolve(&store, &url, requested, &network, &GO)
            .and_then(|resolution| store.repository(&url, &GO)?.fetch(&resolution.commit, &network, &GO));
        let text = match fetched {
            Ok(tree) => String::from_utf8(tree.read("a").unwrap().unwrap()).unwrap(),
            Err(error) => error.to_string().replace(&server.url("r"), "URL"),
        };
        (text, server.log().len())
    };
    let fault = |fault| Some(fault);
    let (text, clean) = outcome(vec![], "main");
    assert_eq!(text, "two");
    for status in [503, 500, 429] {
        assert_eq!(outcome(vec![fault(Fault::Status(status))], "main"), ("two".to_owned(), clean + 1), "{status}");
    }
    // The listing, the answer to the fetch cut short, then the fetch once more.
    for at in 0..clean {
        for bytes in [20, 500] {
            let faults: Vec<_> = (0..clean).map(|n| (n == at).then_some(Fault::Torn(bytes))).collect();
            let (text, _) = outcome(faults, "main");
            assert_eq!(text, "two", "request {at} torn after {bytes} bytes");
        }
    }
    let all = |status| outcome(vec![Some(Fault::Status(status)); 20], "main");
    assert_eq!(all(503), ("cannot list the refs of `URL`: the server answered with HTTP status 503".to_owned(), 4));
    assert_eq!(all(404), ("cannot list the refs of `URL`: there is no such repository".to_owned(), 1));
    assert_eq!(all(403), ("cannot list the refs of `URL`: the server forbids it (HTTP status 403)".to_owned(), 1));
    let missing = "1".repeat(40);
    let (text, _) = outcome(vec![], &missing);
    assert_eq!(
        text,
        format!("cannot fetch commit `{missing}` from `URL`: the server has no such commit, or does not serve it")
    );
    let gone = SourceUrl::parse("http://127.0.0.1:9/r", Path::new("/")).unwrap();
    let store = Store::open(fixture.path("cache")).unwrap();
    let error = refs::resolve(&store, &gone, "", &quick(), &GO).unwrap_err();
    assert!(error.to_string().starts_with("cannot list the refs of `http://127.0.0.1:9/r`: "), "{error}");
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
}

#[harness::test]
fn a_silent_server_ends_by_interruption_or_when_the_time_is_up() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour { faults: vec![Some(Fault::Silence); 2], ..Behaviour::default() });
    let store = Store::open(fixture.path("cache")).unwrap();
    let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
    let interrupt = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| refs::resolve(&store, &url, "main", &quick(), &interrupt));
        server.requests.recv().unwrap();
        interrupt.store(true, Ordering::SeqCst);
        assert!(matches!(waiting.join().unwrap(), Err(factory::Error::Interrupted)));
    });
    let hasty = Network { timeout: Duration::from_millis(100), ..quick() };
    assert_eq!(
        refs::resolve(&store, &url, "main", &hasty, &GO).unwrap_err().to_string(),
        format!("cannot list the refs of `{url}`: not finished after 100ms")
    );
    assert_eq!(refs::resolve(&store, &url, "main", &quick(), &GO).unwrap().commit, fixture.second);
}

#[harness::test]
fn two_processes_fetch_once() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour::default());
    let alone = fixture.child(&server.url("r"), &fixture.second).env("CHILD_CACHE", fixture.path("other"));
    let expected = format!("{} two", fixture.second);
    assert_eq!(alone.run(), expected);
    let once = server.log();
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut child = fixture.child(&server.url("r"), &fixture.second);
            child.0.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        assert_eq!(Child::said(&child.wait_with_output().unwrap()), expected);
    }
    assert_eq!(server.log(), once, "one of them asked, the others waited");
}

#[harness::test]
fn a_killed_fetch_leaves_nothing_that_is_trusted() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour { faults: vec![None, None, Some(Fault::Silence)], ..Behaviour::default() });
    let mut child = fixture.child(&server.url("r"), &fixture.second);
    let mut running = child.0.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    loop {
        match server.requests.recv_timeout(Duration::from_secs(1)) {
            Ok(request) if request.ends_with("silence") => break,
            Ok(_) => {}
            Err(_) => assert!(running.try_wait().unwrap().is_none(), "the fetch ended before it was killed"),
        }
    }
    running.kill().unwrap();
    running.wait().unwrap();
    // As a kill at other moments leaves them.
    let dir = git_dir(&fixture);
    fs::write(dir.join("shallow.lock"), "").unwrap();
    fs::write(dir.join("objects/pack/tmp_pack_1"), "half").unwrap();
    fs::write(dir.join(format!("refs/factory/{}.lock", fixture.second)), "").unwrap();
    fs::write(dir.join(format!("refs/factory/{}", fixture.second)), format!("{}\n", fixture.second)).unwrap();
    assert_eq!(fixture.child(&server.url("r"), &fixture.second).run(), format!("{} two", fixture.second));
    assert!(!dir.join("shallow.lock").exists() && !dir.join("objects/pack/tmp_pack_1").exists());
    assert_eq!(fs::read_dir(fixture.path("cache/tmp")).unwrap().count(), 0);
}

#[harness::test]
fn an_unreachable_repository_fails_its_own_workspaces_only() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour::default());
    let store = Store::open(fixture.path("cache")).unwrap();
    let request =
        |repo: String, requested: &str| (SourceUrl::parse(&repo, Path::new("/")).unwrap(), requested.to_owned());
    let requests = [
        request(server.url("r"), "main"),
        request("http://127.0.0.1:9/gone".to_owned(), "main"),
        request(server.url("r.git"), "v1"),
        request("http://127.0.0.1:9/gone".to_owned(), ""),
        request(server.url("r"), &fixture.first),
    ];
    let answers = refs::resolve_many(&store, &requests, 4, &quick(), &GO);
    let commit = |index: usize| answers[index].as_ref().unwrap().commit.clone();
    assert_eq!([commit(0), commit(2), commit(4)], [&fixture.second, &fixture.first, &fixture.first].map(Clone::clone));
    for gone in [1, 3] {
        let error = answers[gone].as_ref().unwrap_err();
        assert!(error.to_string().starts_with("cannot list the refs of `http://127.0.0.1:9/gone`: "), "{error}");
        assert_eq!(error.exit_code(), 5);
    }
    let listings = server.log().iter().filter(|line| line.starts_with("GET ")).count();
    assert_eq!(listings, 1, "one listing for the three requests of one repository");
}
