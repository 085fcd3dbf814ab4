//! Git servers that send as much as is taken, or more: whatever it is, it takes less than 200 MB of memory.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;

use harness::http::{Request, listen};
use harness::program::{Outcome, Test};

/// Runs a program, prints the most memory that it or what it started had in KiB, and ends with its code.
const MEASURE: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)";

/// In KiB.
const MOST: u64 = 200_000_000 / 1024;

/// Bytes of refs that are just taken.
const TAKEN: usize = (32 << 20) - (64 << 10);

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// Sends refs until so many bytes are sent.
fn refs(stream: &mut TcpStream, bytes: usize) -> std::io::Result<()> {
    let (mut sent, mut number) = (0, 0);
    while sent < bytes {
        let mut piece = String::new();
        for _ in 0..1000 {
            let _ = write!(piece, "{}", line(&format!("{} refs/heads/{number:x}\n", "1".repeat(40))));
            number += 1;
        }
        stream.write_all(piece.as_bytes())?;
        sent += piece.len();
    }
    stream.write_all(b"0000")
}

/// Serves so many bytes of refs, `main` among them, and no commit.
fn serve(bytes: usize, is_old: bool) -> String {
    listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        let is_greeting = request.method == "GET";
        let kind = if is_greeting { "advertisement" } else { "result" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\n\r\n");
        let main = format!("{} refs/heads/main", "1".repeat(40));
        let answer = match (is_greeting, is_old) {
            (true, true) => line("# service=git-upload-pack\n") + "0000" + &line(&format!("{main}\0shallow\n")),
            (true, false) => {
                let capabilities = ["version 2\n", "ls-refs\n", "fetch=shallow\n"].map(line).concat();
                line("# service=git-upload-pack\n") + "0000" + &capabilities + "0000"
            }
            (false, false) if String::from_utf8_lossy(&request.body).contains("command=ls-refs") => {
                line(&format!("{main}\n"))
            }
            (false, _) => line("ERR upload-pack: not our ref"),
        };
        let has_refs = is_greeting == is_old && !answer.contains("not our ref");
        let sent = stream.write_all((head + &answer).as_bytes());
        if has_refs && sent.is_ok() {
            // The other side may have had enough.
            let _ = refs(&mut stream, bytes);
        }
    })
}

fn resolve(host: &str, program: &str) -> (Outcome, u64) {
    harness::needs(&["python3", "git"]);
    let mut test = Test::with_path();
    let source = format!(r#"{{"repo": "http://{host}/r", "repo-ref": "main", "workspace-path": "."}}"#);
    test.config("source.json", source).config("plugins-list.yaml", ".:\n");
    test.env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/");
    let mut command = Command::new("python3");
    test.prepare(&mut command);
    command.args(["-c", MEASURE, harness::program(), "resolve", "--git-program", program]);
    let said = test.outcome(command.output().unwrap());
    let most = said.stdout.trim().parse().unwrap();
    (said, most)
}

#[harness::test]
fn refs_take_little_memory_as_many_as_there_are() {
    for (bytes, program, is_old) in [
        (usize::MAX, "never", false),
        (usize::MAX, "never", true),
        (usize::MAX, "always", false),
        (TAKEN, "never", false),
        (TAKEN, "never", true),
    ] {
        let host = serve(bytes, is_old);
        let (said, most) = resolve(&host, program);
        let case = format!("{bytes} {program} {is_old}: {most} KiB: {said:?}");
        assert_eq!(said.code, 5, "{case}");
        let is_refused = said.stderr.contains(", the limit");
        assert_eq!(is_refused, bytes == usize::MAX, "{case}");
        assert!(most < MOST, "{case}");
    }
}
