use super::*;

#[test]
fn secrets_are_known_by_name_or_by_a_url_with_userinfo() {
    for name in [
        "REGISTRY_PASSWORD",
        "GITHUB_TOKEN",
        "npm_config__authToken",
        "NPM_CONFIG__AUTH",
        "YARN_NPM_AUTH_IDENT",
        "AWS_SECRET_ACCESS_KEY",
        "GH_PAT",
        "MYSQL_PWD",
        "DB_PASS",
        "API_KEY",
        "SIGNING_KEY",
    ] {
        assert!(is_secret(name, "x"), "{name}");
    }
    for name in ["REGISTRY_USERNAME", "REGISTRY_AUTH_FILE", "PWD", "OLDPWD", "PATH", "COMPASS", "KEYBOARD", "HOME"] {
        assert!(!is_secret(name, "x"), "{name}");
    }
    assert!(is_secret("HTTPS_PROXY", "http://u:p@proxy:3128"));
    assert!(!is_secret("HTTPS_PROXY", "http://proxy:3128/@x"));
}

#[test]
fn every_variable_is_listed_once() {
    let mut names: Vec<_> = all().map(|variable| variable.name).collect();
    let listed = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed);
    let secret: Vec<_> = all().filter(|variable| variable.is_secret()).map(|variable| variable.name).collect();
    assert_eq!(secret, ["REGISTRY_PASSWORD", "FACTORY_CACHE_SIGN_KEY"]);
}

/// Names in upper case behind a call that reads a variable.
fn read_in(text: &str) -> Vec<&str> {
    let calls =
        ["env::var(\"", "env::var_os(\"", "given(\"", "is_true(\"", "variables.get(\"", "absolute(\"", "folder(\""];
    let after = calls.iter().flat_map(|call| text.match_indices(call).map(move |(at, _)| &text[at + call.len()..]));
    let names = after.filter_map(|rest| rest.split('"').next());
    names.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')).collect()
}

#[test]
fn every_variable_that_the_code_reads_is_listed() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = std::collections::BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                found.extend(read_in(code).into_iter().map(str::to_owned));
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    let unlisted: Vec<_> = found.iter().filter(|name| !all().any(|variable| variable.name == *name)).collect();
    assert_eq!(unlisted, [""; 0]);
}
