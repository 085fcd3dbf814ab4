//! Module federation: RHDH's backend reads `dist/mf-manifest.json` of a frontend, and the browser loads what it names.

use serde_json::Value;

use super::contents::{Contents, FEDERATION as MANIFEST};
use super::findings::Findings;

/// The next step when the bundler wrote something that RHDH does not load.
const BROKEN: &str = "read what the bundler said in the log of the export";
/// The next step when a file is left out.
const LEFT_OUT: &str = "let `files` in the plugin's package.json take all of `dist`, with a patch or overlay";

pub(super) fn check(contents: &Contents, findings: &mut Findings) {
    let Some(bytes) = contents.text(MANIFEST) else { return };
    let manifest: Value = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return findings.error(format!("`{MANIFEST}` is not valid JSON: {error}"), BROKEN),
    };
    if text_at(&manifest, "/name").is_none() {
        findings.error(format!("`{MANIFEST}` has no `name`"), BROKEN);
    }
    let mut files = Vec::new();
    match text_at(&manifest, "/metaData/remoteEntry/name") {
        Some(name) => files.push(in_folder(text_at(&manifest, "/metaData/remoteEntry/path"), name)),
        None => findings.error(format!("`{MANIFEST}` has no `metaData.remoteEntry.name`"), BROKEN),
    }
    let exposes = manifest.get("exposes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if exposes.is_empty() {
        findings.error(format!("`{MANIFEST}` has no `exposes`, so RHDH finds nothing in the plugin"), BROKEN);
    }
    if exposes.iter().any(|exposed| text_at(exposed, "/name").is_none()) {
        findings.error(format!("`{MANIFEST}` has an entry of `exposes` without `name`"), BROKEN);
    }
    let shared = manifest.get("shared").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    files.extend(exposes.iter().chain(shared).flat_map(assets).map(|asset| in_folder(None, asset)));
    for file in missing(contents, files) {
        findings.error(format!("`{MANIFEST}` names `{file}`, which is not in the package"), LEFT_OUT);
    }
    // Editors load the types, RHDH does not.
    let types = ["/metaData/types/zip", "/metaData/types/api"];
    let types = types.iter().filter_map(|field| text_at(&manifest, field)).map(|name| in_folder(None, name));
    for file in missing(contents, types.collect()) {
        findings.warning(format!("`{MANIFEST}` names the types `{file}`, which are not in the package"), LEFT_OUT);
    }
}

/// A text that is not empty.
fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// The scripts and style sheets of an exposed or shared module.
fn assets(module: &Value) -> impl Iterator<Item = &str> {
    const LISTS: [&str; 4] = ["/assets/js/sync", "/assets/js/async", "/assets/css/sync", "/assets/css/async"];
    let lists = LISTS.iter().filter_map(|list| module.pointer(list)?.as_array());
    lists.flatten().filter_map(Value::as_str)
}

/// A file of the manifest from the package's root.
fn in_folder(folder: Option<&str>, name: &str) -> String {
    let folder = folder.map(|folder| format!("{}/", folder.trim_start_matches("./").trim_matches('/')));
    format!("dist/{}{}", folder.unwrap_or_default(), name.trim_start_matches("./"))
}

fn missing(contents: &Contents, mut files: Vec<String>) -> impl Iterator<Item = String> {
    files.sort();
    files.dedup();
    files.into_iter().filter(|file| !contents.has(file))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{checked_frontend, errors, warnings};

    const GOOD: &str = r#"{"id":"a","name":"a","metaData":{"remoteEntry":{"name":"remoteEntry.js","path":""},
        "types":{"zip":"@mf-types.zip","api":""}},"shared":[{"assets":{"js":{"sync":["static/s.js"],"async":[]}}}],
        "exposes":[{"name":".","assets":{"js":{"sync":["static/e.js"],"async":["static/s.js"]},
        "css":{"sync":["static/e.css"],"async":[]}}}]}"#;

    const FILES: [&str; 5] =
        ["dist/@mf-types.zip", "dist/remoteEntry.js", "dist/static/e.css", "dist/static/e.js", "dist/static/s.js"];

    /// The manifest with all that a good one names, but for the files of `without`.
    fn check(manifest: &str, without: &[&str]) -> super::Findings {
        let mut files = vec![("package.json", "{}"), (super::MANIFEST, manifest)];
        files.extend(FILES.iter().filter(|file| !without.contains(file)).map(|file| (*file, "")));
        checked_frontend(&files)
    }

    #[test]
    fn a_manifest_whose_files_are_there_is_fine() {
        assert_eq!(check(GOOD, &[]), super::Findings::default());
        let deep = GOOD.replace(r#""path":"""#, r#""path":"./static/""#).replace("remoteEntry.js", "e.js");
        assert_eq!(check(&deep, &["dist/remoteEntry.js"]), super::Findings::default());
    }

    #[test]
    fn each_file_that_is_missing_is_named() {
        let findings = check(GOOD, &["dist/remoteEntry.js", "dist/static/s.js", "dist/static/e.css"]);
        assert_eq!(warnings(&findings), [""; 0]);
        let next = "let `files` in the plugin's package.json take all of `dist`, with a patch or overlay";
        assert_eq!(
            errors(&findings),
            ["dist/remoteEntry.js", "dist/static/e.css", "dist/static/s.js"]
                .map(|file| format!("`dist/mf-manifest.json` names `{file}`, which is not in the package: {next}"))
        );
        let findings = check(GOOD, &["dist/@mf-types.zip"]);
        assert_eq!(errors(&findings), [""; 0]);
        let types = "`dist/mf-manifest.json` names the types `dist/@mf-types.zip`, which are not in the package";
        assert_eq!(warnings(&findings), [format!("{types}: {next}")]);
    }

    #[test]
    fn what_rhdh_needs_of_the_manifest_is_there() {
        let next = "read what the bundler said in the log of the export";
        for (from, to, what) in [
            (r#""name":"a","#, "", "has no `name`"),
            ("remoteEntry\"", "other\"", "has no `metaData.remoteEntry.name`"),
            (r#""exposes":[{"#, r#""exposes":[],"x":[{"#, "has no `exposes`, so RHDH finds nothing in the plugin"),
            (r#""exposes":[{"name":".""#, r#""exposes":[{"name":"""#, "has an entry of `exposes` without `name`"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let findings = check(&GOOD.replacen(from, to, 1), &[]);
            assert_eq!(errors(&findings), [format!("`dist/mf-manifest.json` {what}: {next}")]);
        }
        let broken = "`dist/mf-manifest.json` is not valid JSON: EOF while parsing an object at line 1 column 1";
        assert_eq!(errors(&check("{", &[])), [format!("{broken}: {next}")]);
        assert_eq!(errors(&check("[1]", &[])).len(), 3);
    }
}
