use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use std::fs;

use super::*;

fn registry(variables: &[(&str, &str)]) -> OciRegistry {
    let base = [("REGISTRY_URL", "quay.io"), ("REGISTRY_NAMESPACE", "org/team")];
    let all = base.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    OciRegistry::from_variables(&all.collect()).unwrap()
}

fn find_with(variables: &[(&str, &str)]) -> Result<Credential> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(find(&registry(variables), "org/team/x-todo"))
}

fn file(dir: &TempDir, name: &str, json: &serde_json::Value) -> String {
    let file = dir.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, json.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn auth(user: &str) -> serde_json::Value {
    json!({ "auth": BASE64.encode(format!("{user}:pass:{user}")) })
}

fn password(user: &str) -> CredentialKind {
    CredentialKind::Password { username: user.to_owned(), password: Secret::new(format!("pass:{user}")) }
}

#[test]
fn the_most_specific_entry_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut auths = json!({
        "quay.io/org/team/x-todo": auth("image"),
        "quay.io/org/team": auth("team"),
        "quay.io/org": auth("org"),
        "quay.io": auth("host"),
        "https://quay.io/v1/": auth("docker"),
        "quay.io/org/tea": auth("other"),
        "quay.io/org/team/x-tod": auth("other"),
        "io": auth("other"),
    });
    for (key, user) in [
        ("quay.io/org/team/x-todo", "image"),
        ("quay.io/org/team", "team"),
        ("quay.io/org", "org"),
        ("quay.io", "host"),
        ("https://quay.io/v1/", "docker"),
    ] {
        let path = file(&dir, "auth.json", &json!({ "auths": auths }));
        let found = find_with(&[("REGISTRY_AUTH_FILE", &path)]).unwrap();
        assert_eq!((found.kind, found.source), (password(user), format!("`{path}`")));
        auths.as_object_mut().unwrap().remove(key).unwrap();
    }
    let path = file(&dir, "auth.json", &json!({ "auths": auths }));
    assert_eq!(find_with(&[("REGISTRY_AUTH_FILE", &path)]).unwrap().kind, CredentialKind::None);
}

#[test]
fn docker_keys_are_read_in_all_their_forms() {
    for key in ["https://quay.io", "http://quay.io/", "https://quay.io/v2/", "quay.io/v1/"] {
        assert_eq!(docker_key(key), "quay.io", "{key}");
    }
    for key in ["quay.io/org", "quay.io/v1/org"] {
        assert_eq!(docker_key(key), "", "{key}");
    }
    assert_eq!(docker_key("https://index.docker.io/v1/"), "docker.io");
    assert_eq!(keys("h:5000", "a/b").collect::<Vec<_>>(), ["h:5000/a/b", "h:5000/a", "h:5000"]);
}

#[test]
fn every_kind_of_entry_is_understood() {
    for (entry, kind) in [
        (
            json!({ "username": "u", "password": "p" }),
            CredentialKind::Password { username: "u".to_owned(), password: Secret::new("p") },
        ),
        (
            json!({ "auth": BASE64.encode("u:p\0\0") }),
            CredentialKind::Password { username: "u".to_owned(), password: Secret::new("p") },
        ),
        (json!({ "auth": BASE64.encode("u:p"), "identitytoken": "id" }), CredentialKind::Identity(Secret::new("id"))),
        (json!({ "registrytoken": "reg" }), CredentialKind::Bearer(Secret::new("reg"))),
        (json!({}), CredentialKind::None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, "config.json", &json!({ "auths": { "quay.io": entry }, "HttpHeaders": { "A": "b" } }));
        assert_eq!(find_with(&[("REGISTRY_AUTH_FILE", &path)]).unwrap().kind, kind);
    }
}

#[test]
fn broken_files_are_named_without_their_contents() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "auth.json", &json!({ "auths": { "quay.io": "hunter2" } }));
    let error = find_with(&[("REGISTRY_AUTH_FILE", &path)]).unwrap_err();
    assert_eq!(error.to_string(), format!("{path}:1:29: is neither an `auth.json` nor a docker `config.json`"));
    assert!(!format!("{error:?}").contains("hunter2"));

    let path = file(&dir, "auth.json", &json!({ "auths": { "quay.io": { "auth": "hunter2" } } }));
    let error = find_with(&[("REGISTRY_AUTH_FILE", &path)]).unwrap_err();
    assert_eq!(error.to_string(), format!("{path}: the `auth` of `quay.io` is not the base64 of `user:password`"));
    assert!(!format!("{error:?}").contains("hunter2"));

    let gone = dir.path().join("gone").to_str().unwrap().to_owned();
    let error = find_with(&[("REGISTRY_AUTH_FILE", &gone)]).unwrap_err();
    assert_eq!((error.to_string(), error.exit_code()), (format!("{gone}: the auth file does not exist"), 2));
}

#[test]
fn without_a_file_the_places_of_podman_and_docker_are_read_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let (runtime, home) = (format!("{root}/run"), format!("{root}/home"));
    let found = |more: &[(&str, &str)]| {
        find_with(&[&[("XDG_RUNTIME_DIR", runtime.as_str()), ("HOME", home.as_str())], more].concat()).unwrap().kind
    };
    assert_eq!(found(&[]), CredentialKind::None);
    let host = |user: &str| json!({ "auths": { "quay.io": auth(user) } });
    file(&dir, "home/.docker/config.json", &host("docker"));
    assert_eq!(found(&[]), password("docker"));
    file(&dir, "docker/config.json", &host("docker-config"));
    assert_eq!(found(&[("DOCKER_CONFIG", &format!("{root}/docker"))]), password("docker-config"));
    file(&dir, "home/.config/containers/auth.json", &host("config"));
    assert_eq!(found(&[]), password("config"));
    file(&dir, "xdg/containers/auth.json", &host("xdg"));
    assert_eq!(found(&[("XDG_CONFIG_HOME", &format!("{root}/xdg"))]), password("xdg"));
    file(&dir, "run/containers/auth.json", &json!({ "auths": { "other.io": auth("other") } }));
    assert_eq!(found(&[]), password("config"), "a file without the registry is passed over");
    file(&dir, "run/containers/auth.json", &host("run"));
    assert_eq!(found(&[]), password("run"));
}

#[test]
fn the_variables_need_no_file() {
    let found = find_with(&[("REGISTRY_USERNAME", "u"), ("REGISTRY_PASSWORD", "hunter2")]).unwrap();
    assert_eq!(found.kind, CredentialKind::Password { username: "u".to_owned(), password: Secret::new("hunter2") });
    assert!(!format!("{found:?}").contains("hunter2"));
}

/// A helper that answers with what it was asked, and with what it finds in its environment.
fn helper(dir: &TempDir, name: &str, script: &str) -> String {
    let source = dir.path().join(name);
    fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    // By another process: a file that this one has open for writing cannot be run, and other tests fork meanwhile.
    let program = dir.path().join(format!("docker-credential-{name}"));
    let copied = Command::new("install").args(["-m", "755"]).args([&source, &program]).status().unwrap();
    assert!(copied.success());
    format!("{}:/usr/bin:/bin", dir.path().display())
}

#[test]
fn helpers_are_asked_on_their_standard_input_and_see_nothing_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = helper(
        &dir,
        "echo",
        r#"read server; printf '{"ServerURL":"x","Username":"%s","Secret":"%s-%s-%s"}' "$server" "$1" "$KEYRING" "$REGISTRY_URL""#,
    );
    let answered =
        |server: &str| CredentialKind::Password { username: server.to_owned(), password: Secret::new("get-k-") };
    let variables =
        |auth: &str| find_with(&[("PATH", &path), ("KEYRING", "k"), ("REGISTRY_AUTH_FILE", auth)]).unwrap().kind;

    let store = file(&dir, "store.json", &json!({ "credsStore": "echo", "auths": { "quay.io": {} } }));
    assert_eq!(variables(&store), answered("quay.io"));
    let own = file(&dir, "own.json", &json!({ "credsStore": "echo", "auths": { "quay.io": auth("file") } }));
    assert_eq!(variables(&own), password("file"));
    let named = json!({ "credHelpers": { "quay.io/org": "echo" }, "auths": { "quay.io/org/team": auth("file") } });
    let named = file(&dir, "named.json", &named);
    assert_eq!(variables(&named), answered("quay.io/org"));
}

#[test]
fn helpers_that_fail_are_named_and_what_they_say_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = helper(&dir, "none", "echo credentials not found in native keychain; exit 1");
    helper(&dir, "broken", "echo hunter2; exit 3");
    helper(&dir, "odd", "echo hunter2");
    helper(&dir, "token", r#"echo '{"Username":"<token>","Secret":"refresh"}'"#);
    let found = |helper: &str| {
        let auth = file(&dir, "auth.json", &json!({ "credsStore": helper }));
        find_with(&[("PATH", &path), ("REGISTRY_AUTH_FILE", &auth)])
    };
    assert_eq!(found("none").unwrap().kind, CredentialKind::None);
    assert_eq!(found("token").unwrap().kind, CredentialKind::Identity(Secret::new("refresh")));
    for (helper, what) in [
        ("broken", "failed (exit status: 3)"),
        ("odd", "returned something that is not a credential"),
        ("../odd", "is not a valid program name"),
        ("gone", "cannot be run: No such file or directory (os error 2)"),
    ] {
        let error = found(helper).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the credential helper `docker-credential-{helper}` for `quay.io` {what}")
        );
        assert_eq!(error.exit_code(), 5);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().display().to_string();
    let error = find_with(&[("REGISTRY_AUTH_FILE", &folder)]).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn half_a_password_is_none() {
    let dir = tempfile::tempdir().unwrap();
    for half in [json!({ "username": "me" }), json!({ "password": "secret" })] {
        let auth = file(&dir, "auth.json", &json!({ "auths": { "quay.io": half } }));
        assert_eq!(find_with(&[("REGISTRY_AUTH_FILE", &auth)]).unwrap().kind, CredentialKind::None);
    }
}
