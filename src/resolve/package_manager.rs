//! Which yarn installs a workspace: the committed one (`yarnPath`), the one `packageManager` names, else the line that
//! wrote its lockfile.

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{Error, Place, Result};
use crate::lock::{YarnFrom, at};
use crate::resolve::source_files::Files;
use crate::resolve::yarn_hash::YarnHash;
use crate::yarn::lockfile::YarnLock;

/// What a workspace says about its yarn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YarnRequest {
    /// What says it.
    pub from: YarnFrom,
    /// A version, or a range for [`YarnFrom::Default`].
    pub version: String,
    /// The committed file from the repository's root; only for [`YarnFrom::YarnPath`].
    pub path: Option<String>,
    /// The hash behind the version in `packageManager`.
    pub hash: Option<YarnHash>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rc {
    #[serde(rename = "yarnPath")]
    yarn_path: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Manifest {
    #[serde(rename = "packageManager")]
    package_manager: Option<String>,
}

/// Looks in the workspace's folder, then in its parents up to the repository's root, as yarn and corepack do.
pub fn requested_yarn(files: &Files, workspace: &str, lockfile: &[u8], name: &str) -> Result<YarnRequest> {
    for folder in ancestors(workspace) {
        if let Some(asked) = committed(files, &folder, name)? {
            return Ok(asked);
        }
    }
    for folder in ancestors(workspace) {
        let path = at(&folder, "package.json");
        let Some(bytes) = files.read_text(&path)? else { continue };
        let manifest: Manifest = serde_json::from_slice(&bytes).unwrap_or_default();
        let Some(text) = manifest.package_manager else { continue };
        let refused = || {
            Error::config(
                Place::file(format!("{name}: {path}")),
                format!("requires the package manager `{}`", text.escape_debug()),
                "factory builds workspaces of yarn 1 to 4; add a patch that sets `packageManager` to one of these",
            )
        };
        let rest = text.strip_prefix("yarn@").filter(|rest| !is_unknown_line(rest)).ok_or_else(refused)?;
        let (version, hash) = rest.split_once('+').map_or((rest, None), |(version, hash)| (version, Some(hash)));
        return Ok(YarnRequest {
            from: YarnFrom::PackageManager,
            version: version.to_owned(),
            path: None,
            hash: hash.map(|hash| YarnHash { file: format!("{name}: {path}"), text: hash.to_owned() }),
        });
    }
    let place = PathBuf::from(format!("{name}: {}", at(workspace, "yarn.lock")));
    let version = YarnLock::parse(lockfile, &place)?.kind.yarn_line().to_owned();
    Ok(YarnRequest { from: YarnFrom::Default, version, path: None, hash: None })
}

/// True for yarn 5 and later, of which nothing is known: yarn 6 writes another lockfile and is another program.
fn is_unknown_line(version: &str) -> bool {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    !version.starts_with('<') && major.parse::<u64>().is_ok_and(|major| major > 4)
}

fn committed(files: &Files, folder: &str, name: &str) -> Result<Option<YarnRequest>> {
    let rc_path = at(folder, ".yarnrc.yml");
    let Some(bytes) = files.read_text(&rc_path)? else { return Ok(None) };
    let rc: Rc = yaml_serde::from_slice(&bytes).map_err(|e| {
        Error::config(
            Place { path: format!("{name}: {rc_path}").into(), line: e.location().map(|at| at.line()), column: None },
            format!("cannot be parsed: {e}"),
            "fix it in the repository, or with a patch",
        )
    })?;
    let Some(yarn_path) = rc.yarn_path else { return Ok(None) };
    let path = at(folder, yarn_path.trim_start_matches("./"));
    let bytes = if crate::lock::is_relative(&path) { files.read(&path)? } else { None };
    let Some(bytes) = bytes else {
        return Err(Error::config(
            Place::file(format!("{name}: {rc_path}")),
            format!("`yarnPath` is `{}`, which is not in the repository", yarn_path.escape_debug()),
            "commit it, or remove `yarnPath` so that `packageManager` counts",
        ));
    };
    let version = version_in_name(&path).or_else(|| version_in_program(&bytes)).unwrap_or_else(|| "4.0.0".into());
    Ok(Some(YarnRequest { from: YarnFrom::YarnPath, version, path: Some(path), hash: None }))
}

/// `.yarn/releases/yarn-4.9.2.cjs` says it.
fn version_in_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let rest = file.strip_prefix("yarn-")?;
    let version = [".cjs", ".js", ".mjs"].iter().find_map(|ending| rest.strip_suffix(ending))?;
    semver::Version::parse(version).ok().map(|version| version.to_string())
}

/// Yarn's own bundle has `version:"4.9.2"` or `YarnVersion="…"` in it; classic yarn's `"version": "1.22.22"`.
fn version_in_program(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    ["YarnVersion=\"", "\"version\": \"1."].iter().find_map(|marker| {
        let start = text.find(marker)? + marker.len();
        let end = text[start..].find('"')? + start;
        let found =
            if marker.ends_with("1.") { format!("1.{}", &text[start..end]) } else { text[start..end].to_owned() };
        semver::Version::parse(&found).ok().map(|version| version.to_string())
    })
}

/// The folder and its parents, the innermost first, `.` last.
pub(super) fn ancestors(folder: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut at = folder;
    while at != "." && !at.is_empty() {
        all.push(at.to_owned());
        at = at.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    all.push(".".to_owned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_tree(files: &[(&str, &str)], workspace: &str) -> Result<YarnRequest> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        requested_yarn(&Files::Local(dir.path().to_path_buf()), workspace, b"__metadata:\n  version: 8\n", "todo")
    }

    #[test]
    fn a_committed_yarn_comes_before_package_manager() {
        let files = [
            ("w/.yarnrc.yml", "yarnPath: .yarn/releases/yarn-4.9.2.cjs\n"),
            ("w/.yarn/releases/yarn-4.9.2.cjs", "x"),
            ("package.json", r#"{"packageManager": "yarn@3.0.0"}"#),
        ];
        let asked = in_tree(&files, "w").unwrap();
        assert_eq!((asked.from, asked.version.as_str()), (YarnFrom::YarnPath, "4.9.2"));
        assert_eq!(asked.path.as_deref(), Some("w/.yarn/releases/yarn-4.9.2.cjs"));
    }

    #[test]
    fn package_manager_may_stand_in_a_parent_and_carry_a_hash() {
        let asked = in_tree(&[("package.json", r#"{"packageManager": "yarn@4.9.2+sha224.ab"}"#)], "a/b").unwrap();
        let hash = YarnHash { file: "todo: package.json".into(), text: "sha224.ab".into() };
        assert_eq!((asked.version.as_str(), asked.hash), ("4.9.2", Some(hash)));
    }

    #[test]
    fn another_package_manager_is_refused_with_its_file() {
        let error = in_tree(&[("package.json", r#"{"packageManager": "pnpm@9.0.0"}"#)], ".").unwrap_err();
        assert_eq!(error.to_string(), "todo: package.json: requires the package manager `pnpm@9.0.0`");
    }

    #[test]
    fn a_later_yarn_is_refused_by_its_name() {
        for version in ["6.0.0-rc.1", "^6", ">=5"] {
            let text = format!(r#"{{"packageManager": "yarn@{version}"}}"#);
            let error = in_tree(&[("package.json", &text)], ".").unwrap_err();
            assert_eq!(error.to_string(), format!("todo: package.json: requires the package manager `yarn@{version}`"));
        }
        let asked = in_tree(&[("package.json", r#"{"packageManager": "yarn@^1.22.0"}"#)], ".").unwrap();
        assert_eq!(asked.version, "^1.22.0");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let asked = in_tree(&[("package.json", "\u{feff}{\"packageManager\": \"yarn@4.9.2\"}")], "w").unwrap();
        assert_eq!(asked.version, "4.9.2");
    }

    #[test]
    fn without_either_the_lockfile_says_the_line() {
        assert_eq!(in_tree(&[], ".").unwrap().version, "4");
        let line = |lockfile: &str| {
            let empty = tempfile::tempdir().unwrap();
            let files = Files::Local(empty.path().to_path_buf());
            requested_yarn(&files, "w", lockfile.as_bytes(), "todo").map(|yarn| yarn.version)
        };
        assert_eq!(line("# yarn lockfile v1\n").unwrap(), "1");
        assert_eq!(line("__metadata:\n  version: 5\n").unwrap(), "2");
        assert_eq!(line("__metadata:\n  version: 6\n").unwrap(), "3");
        let error = line("packages:\n").unwrap_err().to_string();
        assert!(error.starts_with("todo: w/yarn.lock:1:1: "), "{error}");
    }
}
