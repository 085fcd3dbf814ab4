//! The facts of an RHDH host that are built into factory, from a clone of RHDH's repository, to stdout:
//!
//! ```text
//! cargo run -p factory-harness --example host-facts -- <clone> <branch, tag or commit> > src/resolve/facts/<release>.zst
//! ```

use std::io::Write as _;
use std::process::{Command, ExitCode};

use factory::resolve::facts::HostFacts;

fn main() -> ExitCode {
    match write_facts() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_facts() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [clone, revision] = &args[..] else { return Err("name a clone of RHDH's repository and a revision".into()) };
    let git = |args: &[&str]| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let output = Command::new("git").arg("-C").arg(clone).args(args).output()?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().into())
        }
    };
    let commit = String::from_utf8(git(&["rev-parse", &format!("{revision}^{{commit}}")])?)?;
    let commit = commit.trim();
    let file = |name: &str| git(&["show", &format!("{commit}:{name}")]);
    let (package, nvmrc) = (file("package.json").ok(), file(".nvmrc").ok());
    let facts = HostFacts::of_files(commit, &file("yarn.lock")?, package.as_deref(), nvmrc.as_deref())?;
    std::io::stdout().write_all(&facts.to_bytes()?)?;
    Ok(())
}
