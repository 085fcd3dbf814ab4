//! A signal ends the program wherever it waits for somebody else, with exit code 130.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use factory::lock::Integrity;
use harness::git_server::{Behaviour, Fault, Server};
use harness::http::{Request, Response, listen, stalling};
use harness::npm_registry::Registry;
use harness::oci_registry::{FakeRegistry, Habits, Login, Reaction};
use harness::program::{Test, names};
use harness::repository::Repository;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A workspace in a repository of this machine.
fn workspace() -> Test {
    let mut test = Test::with_path();
    let repository = Repository::init(&test.path("repo"));
    repository
        .write("package.json", r#"{"name": "root", "packageManager": "yarn@4.9.2", "workspaces": ["plugins/*"]}"#)
        .write("yarn.lock", "__metadata:\n  version: 8\n  cacheKey: 10c0\n")
        .write(
            "plugins/a/package.json",
            r#"{"name": "@x/a", "version": "1.0.0", "backstage": {"role": "frontend-plugin"}}"#,
        )
        .commit("first");
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#);
    test.config("plugins-list.yaml", "plugins/a:\n");
    test.env("NODE_VERSION", "22");
    test
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Runs until `waits` says that it waits, and ends it by a signal.
#[track_caller]
fn ends_by(signal_: Signal, command: &mut Command, waits: impl FnOnce(&mut Child)) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    waits(&mut child);
    signal(&child, signal_);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.ends_with("error: interrupted\n"), "{said}");
}

#[track_caller]
fn ends(command: &mut Command, waits: impl FnOnce(&mut Child)) {
    ends_by(Signal::SIGINT, command, waits);
}

/// A server that is asked and does not answer; what it was asked.
fn silent(answers: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> (String, Receiver<String>) {
    let (asked, receiver) = channel();
    let asked = Mutex::new(asked);
    let host = listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        if let Some(response) = answers(&request) {
            let _ = stream.write_all(&response.bytes(&request.method));
        } else {
            let _ = asked.lock().unwrap().send(request.target);
            stalling(&mut stream, b"HTTP/1.1 200 OK\r\n");
        }
    });
    (host, receiver)
}

#[harness::test]
fn each_signal_ends_a_request_for_a_document_of_npm() {
    let mut test = workspace();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // Below `nohup` this one ends nothing.
        if signal == Signal::SIGHUP && ignores_hangups() {
            continue;
        }
        let (host, asked) = silent(|_| None);
        test.env("NPM_CONFIG_REGISTRY", format!("http://{host}/"));
        ends_by(signal, &mut test.command(&["resolve"]), |_| drop(asked.recv().unwrap()));
    }
    assert!(!test.path("config/factory.lock").exists());
}

/// Whether this process, and with it its children, was started so that it ignores SIGHUP.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(ignored, 16).unwrap() & 1 == 1
}

/// As `nohup` starts programs.
#[harness::test]
fn a_hangup_that_is_ignored_stays_so() {
    let mut test = workspace();
    let (go, answer) = channel::<()>();
    let answer = Mutex::new(answer);
    let (asked, first) = channel();
    let asked = Mutex::new(asked);
    let host = listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        let _ = asked.lock().unwrap().send(());
        let _ = answer.lock().unwrap().recv();
        let _ = stream.write_all(&Response::status(404).bytes(&request.method));
    });
    test.env("NPM_CONFIG_REGISTRY", format!("http://{host}/"));
    let mut command = Command::new("/bin/sh");
    test.prepare(&mut command);
    command.args(["-c", "trap '' HUP; exec \"$0\" resolve", harness::program()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    first.recv().unwrap();
    signal(&child, Signal::SIGHUP);
    drop(go);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}

#[harness::test]
fn a_tarball_of_npm_is_waited_for_until_a_signal() {
    let mut test = workspace();
    let (host, asked) = silent(|request| {
        let version = |version: &str| {
            let dist = serde_json::json!({ "tarball": "http://x/", "integrity": Integrity::of(version).to_string() });
            (version.to_owned(), serde_json::json!({ "dist": dist }))
        };
        let versions = ["22.9.0", "11.5.0", "1.9.1", "4.9.2"].map(version);
        let document = serde_json::json!({ "versions": serde_json::Map::from_iter(versions) });
        (!request.target.contains("/-/")).then(|| Response::status(200).body(document.to_string()))
    });
    test.env("NPM_CONFIG_REGISTRY", format!("http://{host}/")).env("RHDH_CLI_VERSION", "1.9.1");
    ends(&mut test.command(&["resolve"]), |_| {
        let tarball = asked.recv().unwrap();
        assert!(tarball.contains("/-/"), "{tarball}");
    });
    assert_eq!(names(&test.path("cache/tmp")), [""; 0], "no half of it is left");
}

#[harness::test]
fn npm_itself_is_waited_for_until_a_signal() {
    let mut test = workspace();
    for name in ["ready", "never"] {
        nix::unistd::mkfifo(&test.path(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let (ready, never) = (test.path("ready"), test.path("never"));
    let script = format!("#!/bin/sh\necho > {}\nread line < {}\n", ready.display(), never.display());
    test.write("bin/npm", script);
    std::fs::set_permissions(test.path("bin/npm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    test.env("PATH", test.path("bin").display());
    ends(&mut test.command(&["resolve"]), |_| drop(std::fs::read(&ready).unwrap()));
}

#[harness::test]
fn the_pause_between_two_requests_ends_by_a_signal() {
    let mut test = workspace();
    let (asked, first) = channel();
    let asked = Mutex::new(asked);
    let host = listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        let _ = stream.write_all(&Response::status(503).bytes(&request.method));
        let _ = asked.lock().unwrap().send(());
    });
    test.env("NPM_CONFIG_REGISTRY", format!("http://{host}/"));
    ends(&mut test.command(&["resolve"]), |_| first.recv().unwrap());
}

#[harness::test]
fn a_git_server_is_waited_for_until_a_signal() {
    harness::needs(&["git"]);
    let test = workspace();
    // The refs, and after them the commit.
    for silent in [0, 2] {
        let mut faults = vec![None; silent];
        faults.push(Some(Fault::Silence));
        for program in ["never", "always"] {
            let server = Server::start(&test.path(""), Behaviour { faults: faults.clone(), ..Behaviour::default() });
            let source = format!(r#"{{"repo": "{}", "repo-ref": "main", "workspace-path": "."}}"#, server.url("repo"));
            test.config("source.json", source);
            ends(&mut test.command(&["resolve", "--git-program", program]), |_| {
                while !server.requests.recv().unwrap().ends_with("silence") {}
            });
        }
    }
}

#[harness::test]
fn a_lock_of_another_process_is_waited_for_until_a_signal() {
    harness::needs(&["git"]);
    let mut test = workspace();
    let server = Server::start(&test.path(""), Behaviour::default());
    let source = format!(r#"{{"repo": "{}", "repo-ref": "main", "workspace-path": "."}}"#, server.url("repo"));
    test.config("source.json", source);
    test.env("NPM_CONFIG_REGISTRY", Registry::start().url);
    Registry::lay_tree(&test.path("config"));
    test.run(&["resolve"]).success();
    let locks: Vec<_> = names(&test.path("cache/locks"))
        .into_iter()
        .map(|name| std::fs::File::open(test.path("cache/locks").join(name)).unwrap())
        .collect();
    assert!(!locks.is_empty());
    for lock in &locks {
        lock.lock().unwrap();
    }
    ends(test.command(&["resolve"]).env("FACTORY_LOG_LEVEL", "DEBUG"), |child| {
        let mut stderr = BufReader::new(child.stderr.as_mut().unwrap());
        let mut said = String::new();
        while !said.contains("waiting for ") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it did not wait: {said}");
        }
    });
}

#[harness::test]
fn a_registry_of_images_is_waited_for_until_a_signal() {
    let mut test = workspace();
    test.env("NPM_CONFIG_REGISTRY", Registry::start().url);
    Registry::lay_tree(&test.path("config"));
    test.run(&["resolve"]).success();
    test.env("REGISTRY_NAMESPACE", "team").env("REGISTRY_INSECURE", "true");
    for (kind, login) in
        [("GET v2", Login::Anybody), ("GET token", Login::Token(String::new())), ("POST upload", Login::Anybody)]
    {
        let server = FakeRegistry::with(Habits { login, ..Habits::default() });
        // The first request looks whether it speaks TLS.
        server.on(kind, 9, Reaction::Hang);
        let variables =
            [("REGISTRY_URL", server.address.as_str()), ("REGISTRY_USERNAME", "u"), ("REGISTRY_PASSWORD", "p")];
        ends(test.command(&["build", "--push-images"]).envs(variables), |child| {
            while server.count(kind) == 0 {
                assert!(child.try_wait().unwrap().is_none(), "{kind}: it ended: {}", {
                    let mut said = String::new();
                    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                    said
                });
                std::thread::yield_now();
            }
        });
    }
}
