//! Scalprum: RHDH's backend serves `dist-scalprum` under the name in its `plugin-manifest.json`, and the browser loads the
//! scripts that it names.

use serde_json::{Map, Value};

use super::contents::{Contents, FEDERATION, SCALPRUM as MANIFEST};
use super::findings::Findings;

const FOLDER: &str = "dist-scalprum/";

const BROKEN: &str = "read what the bundler said in the log of the export";
const LEFT_OUT: &str = "let `files` in the plugin's package.json take all of `dist-scalprum`, with a patch or overlay";

/// `is_configured`: the export was given a configuration of Scalprum, which wins over that of package.json.
pub(super) fn check(contents: &Contents, package: &Map<String, Value>, is_configured: bool, findings: &mut Findings) {
    let Some(bytes) = contents.text(MANIFEST) else {
        if contents.has_below(FOLDER) {
            findings.error(format!("`{MANIFEST}` is missing, and `{FOLDER}` is not"), LEFT_OUT);
        } else if !contents.has(FEDERATION) {
            let what = format!("the package has neither `{FEDERATION}` nor `{MANIFEST}`");
            findings.error(what, "let `files` in the plugin's package.json take `dist` and `dist-scalprum`");
        }
        return;
    };
    let manifest: Value = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return findings.error(format!("`{MANIFEST}` is not valid JSON: {error}"), BROKEN),
    };
    let text = |field: &str| manifest.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    for field in ["name", "version", "baseURL"] {
        if text(field).is_none() {
            findings.error(format!("`{MANIFEST}` has no `{field}`"), BROKEN);
        }
    }
    if !matches!(text("registrationMethod"), Some("callback" | "custom")) {
        findings.error(format!("`{MANIFEST}` needs a `registrationMethod` of `callback` or `custom`"), BROKEN);
    }
    let scripts = manifest.get("loadScripts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if scripts.is_empty() || !scripts.iter().all(Value::is_string) {
        findings.error(format!("`{MANIFEST}` needs a list of scripts in `loadScripts`"), BROKEN);
    }
    let mut files: Vec<_> = scripts.iter().filter_map(Value::as_str).map(in_folder).collect();
    files.dedup();
    for file in files.into_iter().filter(|file| !contents.has(file)) {
        findings.error(format!("`{MANIFEST}` names `{file}`, which is not in the package"), LEFT_OUT);
    }
    if let Some(base) = text("baseURL").and_then(base_folder).filter(|base| !contents.has_below(base)) {
        findings.error(format!("`{MANIFEST}` has the `baseURL` `{base}`, which is not in the package"), LEFT_OUT);
    }
    let wanted = package.get("scalprum").and_then(|scalprum| scalprum.get("name")?.as_str());
    if let (Some(name), Some(wanted)) = (text("name"), wanted.filter(|_| !is_configured))
        && name != wanted
    {
        findings.warning(
            format!("`{MANIFEST}` has the name `{name}`, but `scalprum.name` in package.json is `{wanted}`"),
            format!("RHDH's configuration has to call the plugin `{name}`"),
        );
    }
}

/// A file of the manifest from the package's root: RHDH loads scripts from there, whatever the base is.
fn in_folder(name: &str) -> String {
    format!("{FOLDER}{}", name.trim_start_matches("./"))
}

/// The folder of the package that a base means; none for a URL, and for `auto`: where the script itself comes from.
fn base_folder(base: &str) -> Option<String> {
    let is_elsewhere = base == "auto" || base.starts_with('/') || base.contains(':');
    let folder = in_folder(base);
    (!is_elsewhere).then(|| format!("{}/", folder.trim_end_matches(['/', '.'])))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{checked_frontend, errors, warnings};
    use super::*;

    const GOOD: &str = r#"{"name":"x.a","version":"1.0.0","extensions":[],"registrationMethod":"callback",
        "baseURL":"auto","loadScripts":["x.a.1.js"],"buildHash":"1"}"#;
    const PACKAGE: &str = r#"{"name":"@x/a-dynamic","scalprum":{"name":"x.a"}}"#;
    const SCRIPT: (&str, &str) = ("dist-scalprum/x.a.1.js", "");

    fn check(manifest: &str, more: &[(&str, &str)]) -> Findings {
        checked_frontend(&[&[("package.json", PACKAGE), (MANIFEST, manifest)], more].concat())
    }

    #[test]
    fn a_manifest_whose_files_are_there_is_fine() {
        for base in ["auto", "/", "https://x.y/z/", "./", ".", "/api/scalprum/x.a/"] {
            let manifest = GOOD.replace("auto", base);
            assert_eq!(check(&manifest, &[SCRIPT]), Findings::default(), "{base}");
        }
        let deep = GOOD.replace("auto", "./static/");
        assert_eq!(check(&deep, &[SCRIPT, ("dist-scalprum/static/1.js", "")]), Findings::default());
    }

    #[test]
    fn what_is_missing_is_named() {
        let next = "let `files` in the plugin's package.json take all of `dist-scalprum`, with a patch or overlay";
        let script = "`dist-scalprum/plugin-manifest.json` names `dist-scalprum/x.a.1.js`, which is not in the package";
        assert_eq!(errors(&check(GOOD, &[])), [format!("{script}: {next}")]);
        let base =
            "`dist-scalprum/plugin-manifest.json` has the `baseURL` `dist-scalprum/b/`, which is not in the package";
        assert_eq!(errors(&check(&GOOD.replace("auto", "b"), &[SCRIPT])), [format!("{base}: {next}")]);
        let gone = checked_frontend(&[("package.json", PACKAGE), SCRIPT]);
        let manifest = "`dist-scalprum/plugin-manifest.json` is missing, and `dist-scalprum/` is not";
        assert_eq!(errors(&gone), [format!("{manifest}: {next}")]);
        let neither = "the package has neither `dist/mf-manifest.json` nor `dist-scalprum/plugin-manifest.json`";
        let take = "let `files` in the plugin's package.json take `dist` and `dist-scalprum`";
        let gone = checked_frontend(&[("package.json", PACKAGE), ("dist/index.js", "")]);
        assert_eq!(errors(&gone), [format!("{neither}: {take}")]);
    }

    #[test]
    fn what_rhdh_needs_of_the_manifest_is_there() {
        let next = "read what the bundler said in the log of the export";
        for (from, to, what) in [
            (r#""name":"x.a""#, r#""name":"""#, "has no `name`"),
            (r#""version":"1.0.0""#, r#""version":1"#, "has no `version`"),
            (r#""baseURL":"auto""#, r#""base":"""#, "has no `baseURL`"),
            ("callback", "magic", "needs a `registrationMethod` of `callback` or `custom`"),
            (r#"["x.a.1.js"]"#, "[]", "needs a list of scripts in `loadScripts`"),
            (r#"["x.a.1.js"]"#, r#"["x.a.1.js",1]"#, "needs a list of scripts in `loadScripts`"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let findings = check(&GOOD.replacen(from, to, 1), &[SCRIPT]);
            assert_eq!(errors(&findings), [format!("`dist-scalprum/plugin-manifest.json` {what}: {next}")]);
        }
        let broken = "`dist-scalprum/plugin-manifest.json` is not valid JSON: expected value at line 1 column 1";
        assert_eq!(errors(&check("x", &[SCRIPT])), [format!("{broken}: {next}")]);
    }

    #[test]
    fn another_name_than_that_of_package_json_is_a_warning_unless_it_was_configured() {
        let other = GOOD.replace("x.a\"", "y.a\"");
        let said = "`dist-scalprum/plugin-manifest.json` has the name `y.a`, but `scalprum.name` in package.json is \
                    `x.a`: RHDH's configuration has to call the plugin `y.a`";
        let findings = check(&other, &[SCRIPT]);
        assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![said.to_owned()]));
        let mut contents = Contents::new(false);
        for (path, text) in [(MANIFEST, &*other), SCRIPT] {
            contents.add(path, text.len() as u64, || Ok(text.as_bytes().into())).unwrap();
        }
        let package: Value = serde_json::from_str(PACKAGE).unwrap();
        let mut findings = Findings::default();
        super::check(&contents, package.as_object().unwrap(), true, &mut findings);
        assert_eq!(findings, Findings::default());
    }
}
