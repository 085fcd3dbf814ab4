//! Which platforms a native library is for, as its path and its package say.

use serde::Deserialize;
use serde_json::Value;

use crate::yarn::platform::Platform;

/// The platforms that a package says it is for; of each list, none means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct PackagePlatforms {
    os: Value,
    cpu: Value,
    libc: Value,
}

impl PackagePlatforms {
    /// Those of a package.json that names some.
    pub(super) fn of_manifest(bytes: &[u8]) -> Option<Self> {
        // Most name none, and need not be parsed.
        let names = |field: &[u8]| bytes.windows(field.len()).any(|at| at == field);
        let some = names(b"\"os\"") || names(b"\"cpu\"") || names(b"\"libc\"");
        some.then(|| serde_json::from_slice(bytes).ok()).flatten()
    }

    /// Whether it is for this one.
    pub(super) fn include(&self, platform: &Platform) -> bool {
        allows(&self.os, &platform.os) && allows(&self.cpu, &platform.cpu) && allows(&self.libc, &platform.libc)
    }
}

/// Whether a list such as `["linux"]` or `["!win32"]` allows a name, as npm reads it.
fn allows(list: &Value, name: &str) -> bool {
    let names: Vec<&str> = match list {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let mut only = names.iter().filter(|name| !name.starts_with('!')).peekable();
    let is_excluded = names.iter().any(|other| other.strip_prefix('!') == Some(name));
    !is_excluded && (only.peek().is_none() || only.any(|other| *other == name || *other == "any"))
}

/// Whether a folder or the file is named for another platform: `prebuilds/darwin-x64`, `linux/arm64`, `napi-v3-win32-ia32`,
/// `x.linux-x64-musl.node`.
pub(super) fn names_another_platform(path: &str, platform: &Platform) -> bool {
    let segments: Vec<Vec<&str>> =
        path.split('/').map(|segment| segment.split(|c: char| !c.is_ascii_alphanumeric()).collect()).collect();
    let pairs = segments.windows(2).filter(|pair| pair.iter().all(|names| names.len() == 1)).map(<[Vec<&str>]>::concat);
    let is_other = |names: &[&str]| {
        let Some(os) = names.iter().find_map(|name| system(name)) else { return false };
        let mut cpus = names.iter().filter_map(|name| cpu(name)).peekable();
        if cpus.peek().is_none() {
            return false;
        }
        os != platform.os || !cpus.any(|cpu| cpu == platform.cpu || cpu == "universal")
    };
    if segments.iter().any(|names| is_other(names)) || pairs.into_iter().any(|names| is_other(&names)) {
        return true;
    }
    // `prebuilds/linux-x64/x.musl.node`, `@img/sharp-linuxmusl-x64`.
    let names = segments.iter().flatten();
    names.into_iter().any(|name| matches!(*name, "musl" | "linuxmusl" | "alpine")) && platform.libc == "glibc"
}

/// Whether a path names this operating system, which is written as people do.
pub(super) fn names_system(path: &str, people: &str) -> bool {
    let wanted = if people == "macOS" { "darwin" } else { "win32" };
    path.split(|c: char| !c.is_ascii_alphanumeric()).any(|name| system(name) == Some(wanted))
}

/// An operating system, as Node.js calls it.
fn system(name: &str) -> Option<&'static str> {
    Some(match name {
        "linux" | "linuxmusl" | "linuxglibc" | "alpine" => "linux",
        "darwin" | "macos" => "darwin",
        "win32" | "windows" => "win32",
        "android" => "android",
        "freebsd" => "freebsd",
        "openbsd" => "openbsd",
        "sunos" => "sunos",
        "aix" => "aix",
        _ => return None,
    })
}

/// An architecture, as Node.js calls it.
fn cpu(name: &str) -> Option<&'static str> {
    Some(match name {
        "x64" | "amd64" => "x64",
        "arm64" | "aarch64" | "armv8" => "arm64",
        "ia32" | "x86" => "ia32",
        "arm" | "armv6" | "armv7" | "armv7l" => "arm",
        "ppc64" | "ppc64le" => "ppc64",
        "s390x" => "s390x",
        "riscv64" => "riscv64",
        "loong64" => "loong64",
        "mips64el" => "mips64el",
        "universal" => "universal",
        _ => return None,
    })
}
