//! Berry's `conditions`: on which platforms a package is installed at all.

/// A platform that packages are installed on; by default the one that arguments are computed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Node's `process.platform`.
    pub os: String,
    /// Node's `process.arch`.
    pub cpu: String,
    /// `glibc` or `musl`.
    pub libc: String,
}

impl Default for Platform {
    fn default() -> Self {
        Self { os: "linux".into(), cpu: "x64".into(), libc: "glibc".into() }
    }
}

impl Platform {
    /// The machine this runs on, as Node.js calls it.
    pub fn of_machine() -> Self {
        let cpu = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: std::env::consts::OS.into(), cpu: cpu.into(), libc: "glibc".into() }
    }

    /// True when `conditions` (`os=linux & (cpu=x64 | cpu=arm64)`) hold here, or cannot be read.
    pub fn allows(&self, conditions: &str) -> bool {
        evaluate(conditions, &|name, value| match name {
            "os" => value == self.os,
            "cpu" => value == self.cpu,
            "libc" => value == self.libc,
            _ => true,
        })
        .unwrap_or(true)
    }
}

/// True when `conditions` can be read.
pub(super) fn is_well_formed(conditions: &str) -> bool {
    evaluate(conditions, &|_, _| true).is_some()
}

/// Parentheses nest no deeper than this in a lock that makes sense; Berry writes one level.
const DEEPEST: usize = 8;

type Holds<'a> = &'a dyn Fn(&str, &str) -> bool;

fn evaluate(text: &str, holds: Holds<'_>) -> Option<bool> {
    let (value, rest) = either(text, holds, DEEPEST)?;
    rest.trim_start().is_empty().then_some(value)
}

fn either<'t>(text: &'t str, holds: Holds<'_>, depth: usize) -> Option<(bool, &'t str)> {
    let (mut value, mut rest) = both(text, holds, depth)?;
    while let Some(after) = rest.trim_start().strip_prefix('|') {
        let (next, tail) = both(after, holds, depth)?;
        (value, rest) = (value | next, tail);
    }
    Some((value, rest))
}

fn both<'t>(text: &'t str, holds: Holds<'_>, depth: usize) -> Option<(bool, &'t str)> {
    let (mut value, mut rest) = one(text, holds, depth)?;
    while let Some(after) = rest.trim_start().strip_prefix('&') {
        let (next, tail) = one(after, holds, depth)?;
        (value, rest) = (value & next, tail);
    }
    Some((value, rest))
}

fn one<'t>(text: &'t str, holds: Holds<'_>, depth: usize) -> Option<(bool, &'t str)> {
    let depth = depth.checked_sub(1)?;
    let text = text.trim_start();
    if let Some(after) = text.strip_prefix('!') {
        let (value, rest) = one(after, holds, depth)?;
        return Some((!value, rest));
    }
    if let Some(after) = text.strip_prefix('(') {
        let (value, rest) = either(after, holds, depth)?;
        return Some((value, rest.trim_start().strip_prefix(')')?));
    }
    let end = text.find([' ', '&', '|', ')', '(']).unwrap_or(text.len());
    let (term, rest) = text.split_at(end);
    let (name, value) = term.split_once('=')?;
    (!name.is_empty() && !value.is_empty()).then(|| (holds(name, value), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluates_conditions() {
        let here = Platform::default();
        for (conditions, expected) in [
            ("os=linux", true),
            ("os=darwin", false),
            ("os=linux & cpu=x64 & libc=glibc", true),
            ("os=linux & cpu=x64 & libc=musl", false),
            ("(os=darwin | os=linux | os=win32) & (cpu=arm64 | cpu=x64)", true),
            ("(os=darwin | os=win32) & cpu=x64", false),
            ("!os=win32", true),
            ("os=darwin | os=linux & cpu=x64", true),
        ] {
            assert!(is_well_formed(conditions), "{conditions}");
            assert_eq!(here.allows(conditions), expected, "{conditions}");
        }
        let deep = format!("{}os=linux{}", "(".repeat(9), ")".repeat(9));
        for broken in ["", "os", "os=", "os=linux &", "(os=linux", "os=linux)", "os=linux cpu=x64", &deep] {
            assert!(!is_well_formed(broken), "{broken}");
        }
    }
}
