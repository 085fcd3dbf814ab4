//! The time of a build in a bundle: with it, no build is equal to another.

use std::path::Path;

use crate::error::Result;
use crate::image::PackageFiles;

/// The first bundle that carries the time of its build: Backstage's bundler puts an object of `cliVersion`,
/// `timestamp` (milliseconds) and others where code says `process.env.BUILD_INFO`.
pub(super) fn find(entries: &PackageFiles) -> Result<Option<String>> {
    for entry in entries.entries() {
        if !is_bundle(&entry.path) {
            continue;
        }
        if entries.read(&entry.path)?.is_some_and(|bytes| has_build_info(&bytes)) {
            return Ok(Some(entry.path.clone()));
        }
    }
    Ok(None)
}

/// Whether a file of a package may carry it.
pub(super) fn is_bundle(path: &str) -> bool {
    !path.starts_with("node_modules/") && Path::new(path).extension().is_some_and(|e| e == "js")
}

pub(super) fn has_build_info(script: &[u8]) -> bool {
    let find =
        |from: usize, what: &[u8]| script[from..].windows(what.len()).position(|w| w == what).map(|at| at + from);
    let Some(start) = find(0, b"cliVersion") else { return false };
    // Minifiers drop the quotes of keys.
    find(start, b"timestamp").is_some_and(|at| {
        let rest = &script[at + b"timestamp".len()..];
        let digits =
            rest.iter().skip_while(|b| matches!(b, b'"' | b'\'' | b':' | b' ')).take_while(|b| b.is_ascii_digit());
        // Minifiers also write 1763000000000 as 1763e9.
        digits.count() >= 3 && at - start < 400
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_with_the_time_of_its_build_is_known() {
        let written = br#"const a={"cliVersion":"0.34.1","gitVersion":"unknown","packageVersion":"1.0.0","timestamp":1763000000123,"commit":"x"};"#;
        assert!(has_build_info(written));
        assert!(has_build_info(b"a={cliVersion:\"0.34.1\",gitVersion:\"u\",timestamp:1763e9}"));
        assert!(!has_build_info(b"a={cliVersion:x};b.timestamp=Date.now()"));
        assert!(!has_build_info(b"a={timestamp:1763000000123}"));
    }
}
