//! The `git` program where gix is refused: what only it knows of logins, certificates and servers, what it is not used
//! for, and what it is not told.

use std::fs;
use std::path::Path;

use harness::git_server::Behaviour;
use harness::program::Test;
use harness::repository::{self, Repository};

use super::git_remote::{Fixture, basic, script};

fn guarded() -> Behaviour {
    Behaviour { authorization: Some(basic("me", "s3cret")), ..Behaviour::default() }
}

fn note(url: &str, why: &str) -> Vec<String> {
    vec![format!("using the `git` program for `{url}`: {why}")]
}

const LOGIN: &str = "the server wants a login";

#[harness::test]
fn netrc_is_read_by_the_git_program() {
    let fixture = Fixture::new();
    let server = fixture.serve(guarded());
    let url = server.url("r");
    let expected = format!("{} two", fixture.second);
    let refused =
        format!("5 cannot list the refs of `{url}`: it is private or does not exist, and no credentials were accepted");
    let (failed, notes) = fixture.child(&url, "main").run_noted();
    assert_eq!(
        failed,
        format!(
            "{refused} | make `git ls-remote {url}` work: by a credential helper, `.netrc`, `GIT_ASKPASS` or \
             `http.extraHeader`; a lock never holds credentials"
        )
    );
    assert_eq!(notes, [""; 0]);

    fs::write(fixture.path("home/.netrc"), "machine 127.0.0.1 login me password s3cret\n").unwrap();
    let without = |child: super::git_remote::Child, why_not: &str| {
        assert_eq!(
            child.run_noted(),
            (
                format!(
                    "{refused} | configure a git credential helper, set `GIT_ASKPASS`, or set `http.extraHeader`; `.netrc` \
                     and `http.<url>.extraHeader` need the `git` program, {why_not}; a lock never holds credentials"
                ),
                vec![]
            )
        );
    };
    without(fixture.child(&url, "main").env("PATH", "/nonexistent"), "which is not installed");
    without(fixture.child(&url, "main").env("CHILD_PROGRAM", "never"), "which `--git-program never` forbids");
    // The listing and the fetch: said once, and gix is refused once.
    server.log();
    assert_eq!(fixture.child(&url, "main").run_noted(), (expected.clone(), note(&url, LOGIN)));
    let by_gix = server.seen().iter().filter(|one| one.header("user-agent").unwrap().starts_with("git/oxide")).count();
    assert_eq!(by_gix, 4, "once in each run without git, and once with it: {:?}", server.log());

    // The machine's own, and not that of another host.
    fs::write(fixture.path("home/.netrc"), "machine other.invalid login me password s3cret\n").unwrap();
    fs::remove_dir_all(fixture.path("cache")).unwrap();
    assert!(fixture.child(&url, "main").run().starts_with(&refused));
}

#[harness::test]
fn settings_of_one_address_are_read_wherever_git_reads_them() {
    let fixture = Fixture::new();
    let server = fixture.serve(guarded());
    let url = server.url("r");
    let expected = format!("{} two", fixture.second);
    let key = format!("http.http://{}/.extraHeader", server.host());
    let header = format!("Authorization: {}", basic("me", "s3cret"));
    let config = format!("[http \"http://{}/\"]\n\textraHeader = {header}\n", server.host());
    fs::write(fixture.path("config"), &config).unwrap();
    fs::create_dir_all(fixture.path("xdg/git")).unwrap();
    fs::write(fixture.path("xdg/git/config"), &config).unwrap();
    let config = fixture.path("config").display().to_string();
    let xdg = fixture.path("xdg").display().to_string();
    let ways: [&[(&str, &str)]; 5] = [
        &[("GIT_CONFIG_GLOBAL", &config)],
        &[("GIT_CONFIG_SYSTEM", &config)],
        &[("XDG_CONFIG_HOME", &xdg)],
        &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", &key), ("GIT_CONFIG_VALUE_0", &header)],
        &[("GIT_CONFIG_PARAMETERS", &format!("'{key}'='{header}'"))],
    ];
    for way in ways {
        let child = way.iter().fold(fixture.child(&url, "main"), |child, (name, value)| child.env(name, value));
        assert_eq!(child.run_noted(), (expected.clone(), note(&url, LOGIN)), "{way:?}");
        fs::remove_dir_all(fixture.path("cache")).unwrap();
    }
    // Of another address.
    fs::write(&config, "[http \"http://127.0.0.1:1/\"]\n\textraHeader = Authorization: Basic s3cret\n").unwrap();
    let other = fixture.child(&url, "main").env("GIT_CONFIG_GLOBAL", &config).run();
    assert!(other.starts_with("5 cannot list the refs of "), "{other}");
}

#[harness::test]
fn certificates_are_trusted_as_git_is_told() {
    let fixture = Fixture::new();
    for name in ["own", "signed"] {
        let dir = fixture.path(name);
        fs::create_dir(&dir).unwrap();
        let made = if name == "own" { harness::certificate::self_signed } else { harness::certificate::of_server };
        let (tls, pem) = made(&dir, "IP:127.0.0.1");
        let server = fixture.serve(Behaviour { tls: Some(tls), ..Behaviour::default() });
        let url = server.url("r");
        let expected = format!("{} two", fixture.second);
        let pem = pem.display().to_string();
        let noted = note(&url, "the server's certificate is not trusted without git's settings");
        let none = vec![];
        let setting = |key: &str, value: &str| {
            let child = fixture.child(&url, "main").env("GIT_CONFIG_COUNT", "1");
            child.env("GIT_CONFIG_KEY_0", key).env("GIT_CONFIG_VALUE_0", value)
        };
        let mut ways = vec![
            (setting("http.sslCAInfo", &pem), &noted),
            (fixture.child(&url, "main").env("SSL_CERT_FILE", &pem), &none),
        ];
        if name == "own" {
            ways.extend([
                (setting(&format!("http.{url}.sslVerify"), "false"), &noted),
                (fixture.child(&url, "main").env("GIT_SSL_CAINFO", &pem), &noted),
                (fixture.child(&url, "main").env("GIT_SSL_NO_VERIFY", "1"), &noted),
                (fixture.child(&url, "main").env("SSL_CERT_FILE", &pem).env("CHILD_PROGRAM", "1"), &none),
            ]);
        }
        for (number, (child, noted)) in ways.into_iter().enumerate() {
            assert_eq!(child.run_noted(), (expected.clone(), noted.clone()), "{name} {number}");
            fs::remove_dir_all(fixture.path("cache")).unwrap();
        }
    }
}

#[harness::test]
fn servers_that_gix_does_not_speak_with() {
    let fixture = Fixture::new();
    let repository = Repository { dir: fixture.path("r") };
    repository.git(&["tag", "-d", "v1"]);
    repository.git(&["update-server-info"]);
    let odd = "the server does not speak as usual";
    let dumb = fixture.serve(Behaviour { dumb: true, ..Behaviour::default() });
    let no_shallow = fixture.serve(Behaviour { old: true, without_shallow: true, ..Behaviour::default() });
    let no_wish = fixture.serve(Behaviour { old: true, ..Behaviour::default() });
    let (newest, older) = (format!("{} two", fixture.second), format!("{} one", fixture.first));
    for (server, repo, requested, expected, why) in [
        (&dumb, "r/.git", "main", &newest, odd),
        (&dumb, "r/.git", fixture.first.as_str(), &older, odd),
        (&no_shallow, "r", "main", &newest, odd),
        (&no_shallow, "r", fixture.first.as_str(), &older, odd),
    ] {
        let url = server.url(repo);
        let noted = note(&url, why);
        assert_eq!(fixture.child(&url, requested).run_noted(), (expected.clone(), noted), "{requested}");
        fs::remove_dir_all(fixture.path("cache")).unwrap();
        let never = fixture.child(&url, requested).env("CHILD_PROGRAM", "never").run();
        assert!(never.ends_with(" program, which `--git-program never` forbids"), "{never}");
        let _ = fs::remove_dir_all(fixture.path("cache"));
    }
    // Over ssh such a server gives out what a ref points to, and no other commit.
    let ssh = fixture.path("fake-ssh");
    script(
        &ssh,
        "[ \"$1\" = -G ] && exit 0\nunset GIT_PROTOCOL\nfor last; do :; done\n\
         case \"$last\" in git-upload-pack*) eval \"exec $last\";; *) eval \"exec git-upload-pack $last\";; esac",
    );
    let url = format!("git@host.invalid:{}", fixture.path("r").display());
    let over = || fixture.child(&url, &fixture.first).env("GIT_SSH_COMMAND", &ssh);
    assert_eq!(over().run_noted(), (older, note(&url, "the server gives this commit only with its history")));
    fs::remove_dir_all(fixture.path("cache")).unwrap();
    let never = over().env("CHILD_PROGRAM", "never").run();
    assert!(never.ends_with(" program, which `--git-program never` forbids"), "{never}");

    let missing = "1".repeat(40);
    for server in [&no_shallow, &no_wish] {
        let url = server.url("r");
        assert_eq!(
            fixture.child(&url, &missing).run(),
            format!(
                "5 cannot fetch commit `{missing}` from `{url}`: the server has no such commit, or does not serve it | check \
                 the commit; it may have been removed by a forced push"
            )
        );
    }
}

/// A `git` that writes down how it is called, and with which environment, before it does what it is told.
fn watched_git(fixture: &Fixture) -> String {
    let bin = fixture.path("bin");
    fs::create_dir(&bin).unwrap();
    let real = which("git");
    let log = fixture.path("calls");
    script(&bin.join("git"), &format!("echo \"$@\" >> {0}; env >> {0}\nexec {real} \"$@\"", log.display()));
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

fn which(program: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let found = path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    found.unwrap().display().to_string()
}

#[harness::test]
fn the_git_program_is_not_asked_what_it_cannot_know_either() {
    let fixture = Fixture::new();
    let path = watched_git(&fixture);
    let server = fixture.serve(Behaviour::default());
    for (url, requested) in [
        ("http://127.0.0.1:9/r", "main"),
        ("http://name.invalid/r", "main"),
        (&server.url("r"), "no-such-branch"),
        (&server.url("r"), "2222222222222222222222222222222222222222"),
        (&server.url("r"), "main"),
    ] {
        let (said, notes) = fixture.child(url, requested).env("PATH", &path).run_noted();
        assert_eq!(notes, [""; 0], "{said}");
        assert!(!fixture.path("calls").exists(), "{said}: {}", fs::read_to_string(fixture.path("calls")).unwrap());
    }
}

#[harness::test]
fn the_git_program_runs_no_hook_and_gets_no_login_of_others() {
    let fixture = Fixture::new();
    let path = watched_git(&fixture);
    let server = fixture.serve(guarded());
    let url = server.url("r");
    let ran = fixture.path("ran");
    fs::create_dir(fixture.path("hooks")).unwrap();
    script(&fixture.path("hooks/reference-transaction"), &format!("touch {}", ran.display()));
    let config = format!("[core]\n\thooksPath = {}\n", fixture.path("hooks").display());
    fs::write(fixture.path("home/.gitconfig"), config).unwrap();
    fs::write(fixture.path("home/.netrc"), "machine 127.0.0.1 login me password s3cret\n").unwrap();
    let mut child = fixture.child(&url, "main").env("PATH", &path);
    for name in [
        "REGISTRY_PASSWORD",
        "NPM_TOKEN",
        "npm_config__authToken",
        "NODE_AUTH_TOKEN",
        "YARN_NPM_AUTH_TOKEN",
        "FACTORY_SOURCE_REPO",
    ] {
        child = child.env(name, "planted-secret");
    }
    for name in ["GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE"] {
        child = child.env(name, fixture.path("trace"));
    }
    assert_eq!(child.env("GIT_DIR", "/nonexistent").run(), format!("{} two", fixture.second));
    let calls = fs::read_to_string(fixture.path("calls")).unwrap();
    assert!(!calls.contains("planted-secret") && !calls.contains("s3cret"), "{calls}");
    assert!(
        calls.contains("GIT_TERMINAL_PROMPT=0") && calls.contains("GIT_ALLOW_PROTOCOL=https:http:ssh:file"),
        "{calls}"
    );
    assert!(!ran.exists() && !fixture.path("trace").exists());
}

#[harness::test]
fn no_login_follows_a_redirect_to_another_host() {
    let fixture = Fixture::new();
    let other = fixture.serve(Behaviour::default());
    let elsewhere = format!("http://localhost:{}", other.host().rsplit_once(':').unwrap().1);
    let open = fixture.serve(Behaviour { redirect: Some(elsewhere.clone()), ..Behaviour::default() });
    let open_url = open.url("r");
    let server = fixture.serve(Behaviour { redirect: Some(elsewhere), ..guarded() });
    let url = server.url("r");
    let key = format!("http.http://{}/.extraHeader", server.host());
    let global = format!("[http]\n\textraHeader = Authorization: {}\n", basic("me", "s3cret"));
    let token = format!("[http \"http://{}/\"]\n\textraHeader = X-Token: s3cret\n", open.host());
    fs::write(fixture.path("global"), global).unwrap();
    fs::write(fixture.path("token"), token).unwrap();
    let header = |child: super::git_remote::Child| {
        let child = child.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", &key);
        child.env("GIT_CONFIG_VALUE_0", format!("Authorization: {}", basic("me", "s3cret")))
    };
    let two = format!("{} two", fixture.second);
    let with_account = server.url_as("me:s3cret", "r");
    for program in ["", "1"] {
        let redirected = format!(
            "5 cannot list the refs of `{url}`: the server redirects, and a login does not follow | write the address that \
             it redirects to"
        );
        let known = other.seen().len();
        let child = |url: &str| fixture.child(url, "main").env("CHILD_PROGRAM", program);
        assert_eq!(child(&with_account).run(), redirected, "account {program}");
        assert_eq!(header(child(&url)).run(), redirected, "header {program}");
        let global = child(&url).env("GIT_CONFIG_GLOBAL", fixture.path("global"));
        assert_eq!(global.run(), redirected, "global {program}");
        assert_eq!(other.seen().len(), known, "{program}");
        // gix does not know of this header, and its request is led on; git's is not, as curl would send the header along.
        let token = child(&open_url).env("GIT_CONFIG_GLOBAL", fixture.path("token")).run();
        let expected = if program.is_empty() { two.clone() } else { redirected.replace(&url, &open_url) };
        assert_eq!(token, expected, "token {program}");
        fs::remove_dir_all(fixture.path("cache")).unwrap();
        // Those that git itself binds to a host may lead on, without the login.
        fs::write(fixture.path("home/.netrc"), "machine 127.0.0.1 login me password s3cret\n").unwrap();
        assert_eq!(child(&url).run(), two, "netrc {program}");
        fs::remove_file(fixture.path("home/.netrc")).unwrap();
        fs::remove_dir_all(fixture.path("cache")).unwrap();
        let seen = other.seen();
        assert!(seen.len() > known, "{seen:?}");
        let login = |name: &str| seen.iter().find(|request| request.header(name).is_some());
        assert_eq!((login("authorization"), login("x-token")), (None, None));
    }
}

#[harness::test]
fn always_by_the_git_program() {
    let fixture = Fixture::new();
    let server = fixture.serve(Behaviour { authorization: Some(basic("me", "s3cret")), ..Behaviour::default() });
    let expected = format!("{} two", fixture.second);
    fs::write(fixture.path("home/.netrc"), "machine 127.0.0.1 login me password s3cret\n").unwrap();
    let url = server.url("r");
    assert_eq!(fixture.child(&url, "main").env("CHILD_PROGRAM", "1").run(), expected);
    assert_eq!(fixture.child(&url, "v1").env("CHILD_PROGRAM", "1").run(), format!("{} one", fixture.first));

    // A commit that no ref points to, by a few of its digits: only with the history, which gix does not fetch.
    repository::git(&fixture.path("r")).args(["tag", "-d", "v1"]).output().unwrap();
    repository::git(&fixture.path("r")).args(["config", "uploadpack.allowFilter", "true"]).output().unwrap();
    let short = &fixture.first[..7];
    assert_eq!(fixture.child(&url, short).env("CHILD_PROGRAM", "1").run(), format!("{} one", fixture.first));
    let unknown = fixture.child(&url, "0123456").env("CHILD_PROGRAM", "1").run();
    assert!(
        unknown.starts_with(&format!("2 the repository `{url}` has no branch, tag or commit `0123456` | ")),
        "{unknown}"
    );

    fs::remove_file(fixture.path("home/.netrc")).unwrap();
    fs::remove_dir_all(fixture.path("cache")).unwrap();
    let by_url = fixture.child(&server.url_as("me:s3cret", "r"), "main").env("CHILD_PROGRAM", "1");
    assert_eq!(by_url.run(), expected);
    let nowhere = "1".repeat(40);
    let missing = fixture.child(&server.url_as("me:s3cret", "r"), &nowhere).env("CHILD_PROGRAM", "1").run();
    assert!(
        missing.starts_with(&format!("5 cannot fetch commit `{nowhere}` from `{url}`: the server has no such commit")),
        "{missing}"
    );
}

#[harness::test]
fn the_option_says_when_the_git_program_is_used() {
    let fixture = Fixture::new();
    let server = fixture.serve(guarded());
    let url = server.url("r");
    let test = Test::with_path();
    test.config("source.json", format!(r#"{{"repo": "{url}", "workspace-path": "."}}"#));
    test.write("home/.netrc", "machine 127.0.0.1 login me password s3cret\n");
    let answers = format!("ok    repository: {url} answers\n");
    let forbidden = "`.netrc` and `http.<url>.extraHeader` need the `git` program, which `--git-program never` forbids";
    let problem = ["error: 1 problem found".to_owned()];
    for (args, variable, expected, said) in [
        (&["doctor"][..], "", answers.as_str(), &note(&url, LOGIN)[..]),
        (&["doctor", "--git-program=auto"], "1", &answers, &note(&url, LOGIN)),
        (&["doctor", "--git-program", "always"], "never", &answers, &[]),
        (&["doctor", "--git-program"], "no", &answers, &[]),
        (&["doctor"], "yes", &answers, &[]),
        (&["doctor", "--git-program", "never"], "", forbidden, &problem),
        (&["doctor"], "false", forbidden, &problem),
    ] {
        let outcome = test.run_with(args, &[("FACTORY_GIT_PROGRAM", variable)]);
        assert!(outcome.stdout.contains(expected), "{args:?} {variable}: {}", outcome.stdout);
        assert_eq!(outcome.stderr.lines().collect::<Vec<_>>(), said, "{args:?} {variable}");
        assert!(!outcome.stdout.contains("s3cret"), "{}", outcome.stdout);
    }
    let wrong = test.run(&["doctor", "--git-program=sometimes"]).exits(2).stderr;
    assert!(
        wrong.starts_with(
            "error: invalid value 'sometimes' for '--git-program[=<WHEN>]': it is `auto`, `always` or `never`"
        ),
        "{wrong}"
    );
    // Any other word is a workspace's name, as it was when the option was a flag.
    let name = test.run(&["resolve", "--git-program", "todo"]).exits(2).stderr;
    assert!(name.contains("error: `todo` is not a value of `--git-program`, nor a workspace\n"), "{name}");
}
