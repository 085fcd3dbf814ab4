//! Tests that this machine cannot run: skipped, and said so with what would run them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Programs that tests run, and Debian's packages of them. All others are in every Debian.
const PACKAGES: [(&str, &str); 16] = [
    ("asciidoctor", "asciidoctor"),
    ("buildah", "buildah"),
    ("docker-registry", "docker-registry"),
    ("faketime", "faketime"),
    ("git", "git"),
    ("mkfs.xfs", "xfsprogs"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("patch", "patch"),
    ("python3", "python3"),
    ("script", "bsdutils"),
    ("skopeo", "skopeo"),
    ("umoci", "umoci"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

/// What a test misses. It ends the test by unwinding; a failed test it is where skips are forbidden.
pub struct Skip {
    pub reason: String,
    /// Debian packages that would help.
    pub packages: Vec<&'static str>,
    /// It was said that this is missing, so it is no failure where skips are forbidden.
    pub is_agreed: bool,
}

/// Ends the test.
pub fn skip(reason: impl Into<String>) -> ! {
    end(Skip { reason: reason.into(), packages: Vec::new(), is_agreed: false })
}

/// Ends the test for want of something that is no program.
pub fn skip_without(what: &str, package: &'static str) -> ! {
    end(Skip {
        reason: format!("{what} not found (Debian package `{package}`)"),
        packages: vec![package],
        is_agreed: false,
    })
}

fn end(skip: Skip) -> ! {
    // Unlike `panic!` it prints nothing.
    std::panic::resume_unwind(Box::new(skip))
}

/// Skips the test unless these programs are installed.
pub fn needs(programs: &[&str]) {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let package = |program: &&str| PACKAGES.iter().find(|(known, _)| known == program).map(|(_, package)| *package);
    let packages: Vec<_> = missing.iter().filter_map(package).collect();
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let noun = if packages.len() == 1 { "package" } else { "packages" };
    let reason = format!("{} not found (Debian {noun} {})", quoted(&missing), quoted(&packages));
    end(Skip { reason, packages, is_agreed: false });
}

/// Skips the test unless the npm registry that this machine is configured to use answers.
pub fn needs_npm_registry() {
    static ANSWERS: LazyLock<bool> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut doctor = Command::new(crate::program());
        doctor.current_dir(folder.path()).arg("doctor").env("FACTORY_CACHE_DIR", folder.path().join("cache"));
        let output = doctor.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with("ok    npm registry: "))
    });
    if !*ANSWERS {
        skip("no npm registry reachable (`factory doctor` says why)");
    }
}

/// A folder of data that is not part of the project: `$variable`, or a neighbour of the project. Skips the test where
/// there is none, also where skips are forbidden if the variable says `none`.
pub fn needs_folder(variable: &str, neighbour: &str) -> PathBuf {
    let beside = || crate::project().join("..").join(neighbour);
    let folder = std::env::var_os(variable).map_or_else(beside, PathBuf::from);
    if folder == Path::new("none") {
        end(Skip { reason: format!("`{variable}` is `none`"), packages: Vec::new(), is_agreed: true });
    }
    if !folder.is_dir() {
        skip(format!("no folder `{}` (set {variable})", folder.display()));
    }
    folder
}

/// A program of `PATH`.
fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let program = program.as_ref();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Skips the test unless it runs as root.
pub fn needs_root() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if !status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0")) {
        skip("only root can do this");
    }
}
