//! Build scripts are confined: what a hostile one tries, as root and as an ordinary user, with python3 as its language.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// What may lie in `/etc`.
const ETC: &str = "alternatives ca-certificates ca-certificates.conf crypto-policies gai.conf group host.conf hosts \
                   ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf passwd pki protocols resolv.conf services ssl static";

/// Ends with the test.
struct Victim(std::process::Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `program` as the user who runs the tests, or as nobody.
fn command(program: &str, as_root: bool) -> Command {
    if as_root || !nix::unistd::Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", program]);
    command
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn everything_is_refused(as_root: bool) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["root", "work", "tools"] {
        fs::create_dir(at(folder)).unwrap();
        open_to_all(&at(folder), 0o777);
    }
    open_to_all(dir.path(), 0o755);
    fs::write(at("tools/node"), "node").unwrap();
    open_to_all(&at("tools/node"), 0o777);
    fs::write(at("outside"), "a file of the machine").unwrap();
    fs::write(at("work/escapes.py"), include_str!("../data/confined/escapes.py")).unwrap();
    // Stands for factory: of the same user, with a secret in its environment.
    let victim = command("sleep", as_root).arg("600").env("REGISTRY_PASSWORD", "planted-secret").spawn().unwrap();
    let victim = Victim(victim);

    // A service of the machine that trusts whoever reaches it.
    let socket = format!("factory-{}-{as_root}", std::process::id());
    let _service = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&socket).unwrap()).unwrap();

    // What a shell or cargo may have left open: a folder of the machine, for all that is started meanwhile.
    let left_open = fs::File::open("/").unwrap();
    fcntl(&left_open, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();

    let bind = |name: &str, writable: bool| serde_json::json!({"outside": at(name), "inside": format!("/build/{name}"), "writable": writable});
    let spec = serde_json::json!({
        "scratch": at("root"),
        "user": !as_root,
        "network": true,
        "binds": [bind("work", true), bind("tools", false)],
        "cwd": "/build/work",
    });
    // Where nobody can read it, too.
    let factory = at("factory");
    let copied = Command::new("cp").arg(harness::program()).arg(&factory).status().unwrap();
    assert!(copied.success());
    let mut child = command(factory.to_str().unwrap(), as_root)
        .args(["__enter", &spec.to_string(), "/usr/bin/python3", "/build/work/escapes.py"])
        .args([&victim.0.id().to_string(), "planted-secret", at("outside").to_str().unwrap(), ETC, &socket])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program runs as long as this is open.
    let lifeline = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(lifeline);
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}{errors}");
    let is_old = "abstract socket of the machine: of a kernel without scopes";
    let got: Vec<_> = said.lines().filter(|line| !line.ends_with(": refused") && *line != is_old).collect();
    assert_eq!(got, ["built"], "{said}{errors}");
    assert_eq!(said.lines().count(), 55, "{said}");
    assert_eq!(fs::read_to_string(at("tools/node")).unwrap(), "node");
    assert_eq!(fs::read_to_string(at("work/made")).unwrap(), "node");
}

#[harness::test]
fn a_script_of_root_gets_nothing() {
    harness::needs(&["python3"]);
    harness::needs_root();
    everything_is_refused(true);
}

#[harness::test]
fn a_script_of_an_ordinary_user_gets_nothing() {
    harness::needs(&["python3", "setpriv"]);
    everything_is_refused(false);
}
